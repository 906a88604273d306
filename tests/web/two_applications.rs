//! Two applications on one host, whose cookies have one name, as on two ports of `localhost`.

use std::time::Duration;

use sealed_session::Codec;

use crate::log::Log;
use crate::shop::{Answer, Shop, key, pair, sealed};

const NAME: &str = "__Host-session";

fn codec(n: u8, name: &str, context: &str) -> Codec<Shop> {
    Codec::builder(key(n)).name(name).context(context).session_ids().build().unwrap()
}

/// Holds what one of them does that meets the cookie of the other. `send(codec, deed, cookie)` sends to the application
/// with this codec.
pub(crate) async fn hold(send: impl AsyncFn(&Codec<Shop>, &str, Option<&str>) -> Answer) {
    let logged = Log::start();
    let theirs = sealed(&codec(1, NAME, "theirs"), Duration::ZERO);
    for (why, ours, change) in [
        ("two keys", codec(2, NAME, ""), 503),
        ("two keys and two contexts", codec(2, NAME, "ours"), 503),
        ("two contexts on one key", codec(1, NAME, "ours"), 200),
    ] {
        // A glance leaves it alone, and the visitor is nobody here.
        for (deed, body) in
            [("ignore", "ignore"), ("read", "nobody"), ("peek", "nobody"), ("update", "none")]
        {
            let answer = send(&ours, deed, Some(&theirs)).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, body), "{why}");
            assert_eq!(answer.all("set-cookie").count(), 0, "{why}: {deed}");
        }
        assert!(logged.take().is_empty(), "{why}");
        // What tells it from a key that has not arrived yet? Nothing. So it is kept, and the log says how to be rid of that.
        let answer = send(&ours, "buy", Some(&theirs)).await;
        assert_eq!(answer.status, change, "{why}");
        assert_eq!(answer.cookies(NAME).count(), usize::from(change == 200), "{why}");
        let lines = logged.take();
        let told = lines.iter().filter(|line| {
            line.contains("another application on this host, give the two cookies different names")
        });
        assert_eq!(told.count(), usize::from(change == 503), "{why}: {lines:?}");
        // Who means it gets it.
        for deed in ["login", "logout"] {
            let answer = send(&ours, deed, Some(&theirs)).await;
            assert_eq!((answer.status, answer.cookies(NAME).count()), (200, 1), "{why}: {deed}");
        }
    }
    // The way out: under two names, each has its own, though browsers send both to both.
    for ours in [codec(2, "__Host-ours", ""), codec(1, "__Host-ours", "ours")] {
        let answer = send(&ours, "buy", Some(&theirs)).await;
        assert_eq!((answer.status, answer.cookies(NAME).count()), (200, 0));
        let mine = pair(answer.cookies("__Host-ours").next().unwrap()).to_owned();
        let both = format!("{theirs}; {mine}");
        let answer = send(&ours, "login", Some(&both)).await;
        let mine = pair(answer.cookies("__Host-ours").next().unwrap()).to_owned();
        let both = format!("{mine}; {theirs}");
        assert_eq!(send(&ours, "read", Some(&both)).await.body, "8");
        assert_eq!(send(&codec(1, NAME, "theirs"), "read", Some(&both)).await.body, "7");
        assert_eq!(send(&ours, "logout", Some(&both)).await.cookies(NAME).count(), 0);
    }
    assert!(logged.take().is_empty());
}
