//! Each library makes a cookie under a fresh key, and the reader opens it.

use std::time::{Duration, SystemTime};

use sealed_session_legacy_tests::{Made, all, programs, session};

#[test]
fn what_the_rust_libraries_write_is_read() {
    let made = all(secret());
    for made in &made {
        assert_eq!(made.reader().read(made.value.as_bytes()), Some(session()), "{}", made.by);
    }
    assert_eq!(made.len(), 18);
}

#[test]
fn no_cookie_is_read_under_another_key_nor_where_it_is_sealed_under_another_name() {
    let (made, others) = (all(secret()), all(secret()));
    for (made, other) in made.iter().zip(&others) {
        assert_eq!(made.reader().read(other.value.as_bytes()), None, "{}", made.by);
        let renamed = Made { name: "another".to_owned(), ..made.clone() };
        let found = renamed.reader().read(made.value.as_bytes());
        let bound = !made.by.contains("signed");
        assert_eq!(found.is_none(), bound, "{}: private cookies are bound to their name", made.by);
    }
}

#[test]
#[ignore = "needs Node and what npm installs"]
fn what_iron_session_writes_is_read_until_it_expires() {
    let made = programs::iron("a password of this test, 32 characters", 3600);
    lives(&made, Duration::from_secs(3600));
    let made = programs::iron("a password of this test, 32 characters", 0);
    let late = SystemTime::now() + Duration::from_secs(1_000_000_000);
    assert_eq!(made.reader().read_at(made.value.as_bytes(), late), Some(session()));
}

#[test]
#[ignore = "needs Ruby and ActionPack"]
fn what_rails_writes_is_read_until_it_expires() {
    for digest in ["sha256", "sha1"] {
        let made = programs::rails("a secret of this test, 30 characters", digest, "3600");
        lives(&made, Duration::from_secs(3600));
        let renamed = Made { name: "another".to_owned(), ..made.clone() };
        assert_eq!(renamed.reader().read(made.value.as_bytes()), None, "bound to its name");
    }
}

/// Reads it now, and not when its time is over.
fn lives(made: &Made, life: Duration) {
    let (reader, value) = (made.reader(), made.value.as_bytes());
    let now = SystemTime::now();
    assert_eq!(reader.read_at(value, now), Some(session()), "{}", made.by);
    assert_eq!(reader.read_at(value, now + life + Duration::from_secs(1)), None, "{}", made.by);
}

fn secret() -> [u8; 64] {
    cookie::Key::generate().master().try_into().unwrap()
}
