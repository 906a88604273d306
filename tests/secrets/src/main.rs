//! What `check.py` runs under valgrind: seals, and refuses, with a key whose bytes memcheck takes for undefined.
//! It then tells of each branch and of each address that depends on them.

use sealed_session::{Codec, Key};

unsafe extern "C" {
    fn make_secret(bytes: *mut u8, len: usize);
}

fn main() {
    let mut bytes: [u8; 32] = std::array::from_fn(|i| i as u8);
    let session = "x".repeat(300);
    let sealed = cookie(&Codec::new(Key::from_bytes(bytes).expect("a key")), &session);

    // SAFETY: the pointer and the length are those of the array.
    unsafe { make_secret(bytes.as_mut_ptr(), bytes.len()) };
    let codec = Codec::<String>::new(Key::from_bytes(bytes).expect("a key"));

    // To be refused without a word on where, or on how the key is.
    for at in ["nonce", "ciphertext", "tag"] {
        let mut changed = sealed.clone().into_bytes();
        let place = match at {
            "nonce" => changed.len() - sealed.len() + "__Host-session=".len() + 12,
            "ciphertext" => changed.len() / 2,
            _ => changed.len() - 10,
        };
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let refused = codec.decode(&codec.request([&changed[..]])).is_err();
        println!("the {at} changed: refused {refused}");
    }

    let set = codec.renew(&session, &codec.request([""])).expect("fits");
    println!("sealed: {}", !set.is_empty());
}

fn cookie(codec: &Codec<String>, session: &String) -> String {
    let set = codec.renew(session, &codec.request([""])).expect("fits");
    set.values().next().and_then(|line| line.split(';').next()).expect("a cookie").to_owned()
}
