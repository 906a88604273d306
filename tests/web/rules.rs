//! The rules, as a table.

use std::time::Duration;

use sealed_session::Codec;

use crate::log::Log;
use crate::shop::{Answer, codec, key, pair, sealed};

const NAME: &str = "__Host-session";

/// What is expected of the session's cookie.
#[derive(Clone, Copy)]
enum Cookie {
    Untouched,
    Removed,
    /// Set, to a session of this user with this many things in the cart.
    Set(u32, usize),
}
use Cookie::{Removed, Set, Untouched};

struct Row {
    why: &'static str,
    cookie: Option<String>,
    deed: &'static str,
    status: u16,
    body: &'static str,
    then: Cookie,
    /// How the log line begins, if there is one.
    log: Option<&'static str>,
}

fn rows() -> Vec<Row> {
    let hour = Duration::from_secs(3600);
    let now = Duration::ZERO;
    let fresh = || Some(sealed(&codec(), now));
    let due = || Some(sealed(&codec(), 3 * hour));
    let expired = || Some(sealed(&codec(), 25 * hour));
    let of_older_key = || Some(sealed(&Codec::new(key(2)), now));
    let of_unknown_key = || Some(sealed(&Codec::new(key(3)), now));
    let newer = Codec::builder(key(1)).schema(1).build().unwrap();
    let of_newer_release = || Some(sealed(&newer, now));
    let damaged = || Some(format!("{}AAAA", sealed(&codec(), now)));
    let ok = |why, cookie, deed, body, then, log| Row {
        why,
        cookie,
        deed,
        status: 200,
        body,
        then,
        log,
    };
    let refused = |why, cookie, deed, status, log| Row {
        why,
        cookie,
        deed,
        status,
        body: "",
        then: Untouched,
        log: Some(log),
    };
    vec![
        ok("nothing asked, nothing given", None, "ignore", "ignore", Untouched, None),
        ok("nobody to read", None, "read", "nobody", Untouched, None),
        ok("a change begins a session", None, "buy", "buy", Set(0, 1), None),
        ok("a login begins a session", None, "login", "login", Set(8, 0), None),
        ok("read and fresh: nothing", fresh(), "read", "7", Untouched, None),
        ok("changed to the same: nothing", fresh(), "same", "same", Untouched, None),
        ok("changed", fresh(), "buy", "buy", Set(7, 1), None),
        ok("renewed", fresh(), "login", "login", Set(8, 0), None),
        ok("cleared", fresh(), "logout", "logout", Removed, None),
        ok(
            "cleared and begun again: the old one is gone",
            fresh(),
            "switch",
            "switch",
            Set(9, 0),
            None,
        ),
        ok("a logout without a login", None, "logout", "logout", Removed, None),
        ok("due, and looked at", due(), "read", "7", Set(7, 0), None),
        ok("due, but nobody looked", due(), "ignore", "ignore", Untouched, None),
        ok("under an older key", of_older_key(), "read", "7", Set(7, 0), None),
        ok(
            "under an older key, but nobody looked",
            of_older_key(),
            "ignore",
            "ignore",
            Untouched,
            None,
        ),
        Row {
            status: 404,
            ..ok("an error response sets cookies too", fresh(), "fail", "fail", Set(7, 1), None)
        },
        ok("expired: cleared", expired(), "read", "nobody", Removed, None),
        ok(
            "expired: the handler knows",
            expired(),
            "reason",
            "the session has expired (idle timeout)",
            Removed,
            None,
        ),
        ok("expired: a change begins a session", expired(), "buy", "buy", Set(0, 1), None),
        ok("expired, but nobody looked", expired(), "ignore", "ignore", Untouched, None),
        ok("damaged: cleared", damaged(), "read", "nobody", Removed, None),
        ok("nonsense: cleared", Some(format!("{NAME}=%%%")), "read", "nobody", Removed, None),
        ok("unknown key: kept", of_unknown_key(), "read", "nobody", Untouched, None),
        ok("unknown key: a login replaces it", of_unknown_key(), "login", "login", Set(8, 0), None),
        ok("unknown key: a logout removes it", of_unknown_key(), "logout", "logout", Removed, None),
        ok(
            "unknown key: cleared and begun again",
            of_unknown_key(),
            "switch",
            "switch",
            Set(9, 0),
            None,
        ),
        refused(
            "unknown key: a change would destroy it",
            of_unknown_key(),
            "buy",
            503,
            "WARN the request carries a session that this node cannot read and another may; a change would destroy it: the key ",
        ),
        ok(
            "newer release: kept",
            of_newer_release(),
            "reason",
            "the session has schema 1, this node has schema 0",
            Untouched,
            None,
        ),
        refused(
            "newer release: a change would destroy it",
            of_newer_release(),
            "buy",
            503,
            "WARN the request carries a session",
        ),
        refused(
            "what another library left under our name",
            Some(format!(
                "{NAME}=ZXhhbXBsZSBvZiBhbm90aGVyIGxpYnJhcnksIHdob3NlIGNvb2tpZSBoYXMgb3VyIG5hbWUuLi4"
            )),
            "buy",
            503,
            "WARN the request carries a session",
        ),
        refused(
            "a panic beside the handler: what it changed is not half kept",
            fresh(),
            "side",
            500,
            "ERROR a handler panicked; the cookie is left alone",
        ),
        ok(
            "a panic beside a handler that changed nothing",
            due(),
            "aside",
            "aside",
            Untouched,
            Some("ERROR a handler panicked; the cookie is left alone"),
        ),
        refused("too large", fresh(), "huge", 500, "ERROR the session needs "),
    ]
}

/// Holds the table against a framework, whose application answers through `send(deed, cookie)`.
pub(crate) async fn hold(send: impl AsyncFn(&str, Option<&str>) -> Answer) {
    let logged = Log::start();
    for Row { why, cookie, deed, status, body, then, log } in rows() {
        let answer = send(deed, cookie.as_deref()).await;
        let lines = logged.take();
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{why}: {lines:?}");
        let set: Vec<&str> = answer.cookies(NAME).collect();
        match then {
            Untouched => assert!(set.is_empty(), "{why}: {set:?}"),
            Removed => {
                assert_eq!(
                    set,
                    [format!("{NAME}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0")],
                    "{why}"
                );
            }
            Set(user, things) => {
                assert_eq!(set.len(), 1, "{why}");
                let codec = codec();
                let opened = codec.decode(&codec.request([pair(set[0])])).unwrap().unwrap();
                let found = (opened.session.user, opened.session.cart.len());
                assert_eq!(found, (user, things), "{why}");
                assert_eq!(opened.reseal, None, "{why}: sealed by the primary key, now");
            }
        }
        // What the middleware answers by itself does not depend on the session any more.
        let own_refusal = ["huge", "side"].contains(&deed);
        let looked = deed != "ignore" && !own_refusal;
        let set = !matches!(then, Untouched);
        let header = |name| answer.all(name).collect::<Vec<_>>();
        assert_eq!(header("vary"), if looked { &["cookie"][..] } else { &[] }, "{why}");
        assert_eq!(header("cache-control"), if set { &["no-store"][..] } else { &[] }, "{why}");
        let later = if status == 503 { &["1"][..] } else { &[] };
        assert_eq!(header("retry-after"), later, "{why}: another node may do better");
        match log {
            None => assert!(lines.is_empty(), "{why}: {lines:?}"),
            Some(start) => {
                assert!(lines.iter().any(|line| line.starts_with(start)), "{why}: {lines:?}");
            }
        }
    }
    own_headers_stay(&send).await;
    ids_change_at_a_login(&send).await;
}

async fn own_headers_stay(send: &impl AsyncFn(&str, Option<&str>) -> Answer) {
    let answer = send("headers", None).await;
    assert_eq!(answer.cookies("lang").count(), 1);
    assert_eq!(answer.cookies(NAME).count(), 1);
    assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["accept-encoding", "cookie"]);
    assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store, no-transform"]);
    assert_eq!(answer.all("cdn-cache-control").count(), 0);
}

async fn ids_change_at_a_login(send: &impl AsyncFn(&str, Option<&str>) -> Answer) {
    let id = async |cookie: &str| send("id", Some(cookie)).await.body;
    let next = async |deed: &str, cookie: &str| {
        let answer = send(deed, Some(cookie)).await;
        pair(answer.cookies(NAME).next().unwrap()).to_owned()
    };
    let first = sealed(&codec(), Duration::ZERO);
    let changed = next("buy", &first).await;
    assert_eq!(id(&first).await, id(&changed).await, "a change goes on");
    let renewed = next("login", &changed).await;
    assert_ne!(id(&changed).await, id(&renewed).await, "a login begins anew");
}
