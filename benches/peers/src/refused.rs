//! How soon a session that is too large for the default limits is refused.

use std::hint::black_box;

use sealed_session::{Codec, EncodeError, Key};

use crate::contest::{Work, rounds};
use crate::contestants::{self, Session};
use crate::grown;
use crate::sessions::{self, shapes};

pub(crate) fn table() {
    println!("With the default limits; the jar seals what no browser keeps.\n");
    println!("| session | refused after ns | × jar |");
    println!("|---|--:|--:|");
    row("OpenID Connect, large", &sessions::openid_connect_large());
    row("map of 200", &shapes::map_of_200());
    row("SAML, 30 lists", &shapes::saml());
    row("a string of 8 KB", &grown::of::<String>(8192));
    row("a list of 8 KB", &grown::of::<Vec<String>>(8192));
    row("a string of 40 KB", &grown::of::<String>(40_000));
}

fn row<T: Session>(name: &str, session: &T) {
    let codec = Codec::<T>::new(Key::generate().expect("random bytes"));
    let request = codec.request::<_, str>([]);
    if !matches!(codec.renew(session, &request), Err(EncodeError::TooLarge(_))) {
        println!("| {name} | fits | |");
        return;
    }
    let jar = contestants::private_jar();
    let mut work: [Work<'_>; 2] = [
        Box::new(|| drop(black_box(codec.renew(black_box(session), &request)))),
        Box::new(|| drop(black_box((jar.encode)(black_box(session))))),
    ];
    let times = rounds(&mut work);
    println!("| {name} | {:.0} | {:.2} |", times[0].median(), times[0].over(&times[1]));
}
