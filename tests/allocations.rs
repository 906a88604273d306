//! How often a request allocates. Every allocation of the thread is counted, and each time that a
//! buffer grows counts as one; what a clone of the session allocates is taken off, for decoding has to
//! do the same.
//!
//! Opening keeps to 4 but for DEFLATE, and sealing to 6 but for two cases: each part of a token that compresses takes a table of its
//! own, which `lz4_flex` cannot reuse beside a dictionary, and DEFLATE has a state and a window.

#![cfg(not(feature = "metrics"))] // whose labels are allocated
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "../benches/sessions/mod.rs"]
mod sessions;

use allocation_counter::measure;
use sealed_session::{Codec, Compression, Key, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Gives the allocations of decode, without those of the session, and of encode.
fn count<T>(session: &T, compression: Compression) -> (u64, u64)
where
    T: Serialize + DeserializeOwned + Clone + 'static,
{
    let codec = Codec::builder(Key::generate().unwrap())
        .compression(compression)
        .limits(Limits::NGINX_PROXY_BUFFER_8K) // for what is not compressed
        .build()
        .unwrap();
    let seal = || codec.renew(session, &codec.request::<_, str>([])).unwrap();
    let set = seal(); // what is made once for the process is made here
    let header = set.values().next().unwrap().split(';').next().unwrap();
    let open = || codec.decode(&codec.request([header])).unwrap().unwrap();
    drop(open());

    let own = measure(|| drop(session.clone())).count_total;
    let decode = measure(|| drop(open())).count_total;
    // What is read back before it is sealed has the strings of a second session.
    let encode = measure(|| drop(seal())).count_total;
    (decode - own, encode - own)
}

#[test]
fn allocations_do_not_become_more() {
    use Compression::{Adaptive, Off, Smallest};
    for (compression, most) in [
        (Adaptive, [(3, 5), (3, 6), (4, 17)]),
        (Smallest, [(3, 5), (4, 7), (5, 14)]),
        (Off, [(3, 5), (3, 5), (3, 12)]),
    ] {
        let counts = [
            count(&sessions::login(), compression),
            count(&sessions::shop(), compression),
            count(&sessions::openid_connect(), compression),
        ];
        for ((decode, encode), (most_decode, most_encode)) in counts.into_iter().zip(most) {
            assert!(
                decode <= most_decode && encode <= most_encode,
                "{compression:?}: (decode, encode) of login, shop, OpenID Connect: {counts:?}"
            );
        }
    }
}
