//! The cookie of another library, in each framework: moved with the first response, and removed by a logout.

use std::time::{Duration, SystemTime};

use sealed_session::Codec;
use sealed_session::legacy::Reader;

use crate::shop::{Answer, Shop, key, pair};

const NAME: &str = "__Host-session";

pub(crate) fn codec() -> Codec<Shop> {
    let reader = Reader::new("old", |value| {
        let user = str::from_utf8(value).ok()?.strip_prefix("sealed.")?.parse().ok()?;
        Some(Shop { user, cart: vec!["a hat".into()] })
    });
    let end = SystemTime::now() + Duration::from_secs(3600);
    Codec::builder(key(1)).also_reads(reader, end).build().unwrap()
}

/// Holds it against a framework, whose application answers through `send(deed, cookie)`.
pub(crate) async fn hold(send: impl AsyncFn(&str, Option<&str>) -> Answer) {
    let removal = "old=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
    let old = Some("old=sealed.7");
    for (deed, body, things) in [("read", "7", 1), ("buy", "buy", 2), ("fail", "fail", 2)] {
        let answer = send(deed, old).await;
        assert_eq!(answer.body, body, "{deed}");
        assert_eq!(answer.cookies("old").collect::<Vec<_>>(), [removal], "{deed}");
        let ours = answer.cookies(NAME).collect::<Vec<_>>();
        assert_eq!(ours.len(), 1, "{deed}");
        let codec = codec();
        let opened = codec.decode(&codec.request([pair(ours[0])])).unwrap().unwrap();
        assert_eq!((opened.session.user, opened.session.cart.len()), (7, things), "{deed}");
        assert_eq!(opened.moved_from, None, "{deed}: it is ours now");
        assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store"], "{deed}");
        assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["cookie"], "{deed}");

        // The next request: nothing is left to do.
        let answer = send("read", Some(pair(ours[0]))).await;
        assert_eq!((answer.body.as_str(), answer.all("set-cookie").count()), ("7", 0), "{deed}");
    }
    // A login begins anew, and leaves nothing of the old one.
    let answer = send("login", old).await;
    assert_eq!(answer.cookies(NAME).count(), 1);
    assert_eq!(answer.cookies("old").collect::<Vec<_>>(), [removal]);
    // A logout removes both.
    let answer = send("logout", old).await;
    assert_eq!(answer.cookies("old").collect::<Vec<_>>(), [removal]);
    let ours = answer.cookies(NAME).collect::<Vec<_>>();
    assert_eq!(ours, [format!("{NAME}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0")]);
    // Who did not look at the session did not move it.
    let answer = send("ignore", old).await;
    assert_eq!(answer.all("set-cookie").count(), 0);
    // What does not open is left alone, and a session can begin beside it.
    let answer = send("read", Some("old=forged.7")).await;
    assert_eq!((answer.body.as_str(), answer.all("set-cookie").count()), ("nobody", 0));
    let answer = send("buy", Some("old=forged.7")).await;
    assert_eq!((answer.status, answer.all("set-cookie").count()), (200, 2));
}
