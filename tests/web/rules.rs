//! The rules, as a table.

use std::time::Duration;

use sealed_session::Codec;
use sealed_session::web::ChangeError;

use crate::log::Log;
use crate::shop::{Answer, LOCKED_OUT, codec, go_on, key, pair, sealed, sealed_for};

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
    let locked_out = || Some(sealed_for(LOCKED_OUT, &codec(), now));
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
        ok("expired: a read leaves it alone", expired(), "read", "nobody", Untouched, None),
        ok(
            "expired: the handler knows",
            expired(),
            "reason",
            "the session has expired (idle timeout)",
            Untouched,
            None,
        ),
        ok("due, and looked at without keeping it alive", due(), "peek", "7", Untouched, None),
        ok("nothing to update: nothing begins", None, "update", "none", Untouched, None),
        ok("updated to the same: nothing", fresh(), "update", "same", Untouched, None),
        ok("updated into being", None, "begin", "begin", Set(5, 0), None),
        ok("updated", fresh(), "begin", "begin", Set(5, 0), None),
        ok("updated twice", None, "twice", "twice", Set(5, 1), None),
        ok("taken: cleared", fresh(), "take", "taken", Removed, None),
        ok("nothing to take: nothing", None, "take", "none", Untouched, None),
        ok("expired: nothing to take", expired(), "take", "none", Untouched, None),
        ok("unknown key: nothing to update", of_unknown_key(), "update", "none", Untouched, None),
        refused(
            "unknown key: an update that begins one would destroy it",
            of_unknown_key(),
            "begin",
            503,
            "WARN the request carries a session",
        ),
        refused(
            "updated while somebody holds what was changed before",
            fresh(),
            "held",
            500,
            "ERROR the session is to be updated while",
        ),
        ok("a login takes along what was there", fresh(), "keep", "keep", Set(8, 1), None),
        ok("a login where nothing was", None, "keep", "keep", Set(8, 1), None),
        refused(
            "a lifetime for a session that goes on",
            fresh(),
            "lifetime",
            500,
            "ERROR a lifetime was set for a session that did not begin",
        ),
        ok("asked beforehand, it does not fit", fresh(), "full", "full", Untouched, None),
        ok("not accepted: none for the handlers", locked_out(), "read", "nobody", Untouched, None),
        ok(
            "not accepted: the handler knows",
            locked_out(),
            "reason",
            "the application does not accept the session",
            Untouched,
            None,
        ),
        ok("not accepted: a change begins anew", locked_out(), "buy", "buy", Set(0, 1), None),
        Row {
            status: 503,
            body: "down",
            ..refused(
                "a change before a failure of the server is not kept",
                fresh(),
                "down",
                503,
                "WARN the response tells of a failure; a change of the session is not kept",
            )
        },
        Row {
            body: "late",
            ..refused(
                "a change before the time ran out is not kept",
                fresh(),
                "late",
                408,
                "WARN the response tells of a failure",
            )
        },
        Row {
            body: "slow",
            ..refused(
                "nor one before that of another server did",
                None,
                "slow",
                504,
                "WARN the response tells of a failure",
            )
        },
        Row {
            status: 503,
            ..ok("a logout before a failure is kept", fresh(), "quit", "quit", Removed, None)
        },
        ok("expired: a change begins a session", expired(), "buy", "buy", Set(0, 1), None),
        ok("expired, but nobody looked", expired(), "ignore", "ignore", Untouched, None),
        ok("damaged: a read leaves it alone", damaged(), "read", "nobody", Untouched, None),
        ok("damaged: a change replaces it", damaged(), "buy", "buy", Set(0, 1), None),
        ok(
            "nonsense: a read leaves it alone",
            Some(format!("{NAME}=%%%")),
            "read",
            "nobody",
            Untouched,
            None,
        ),
        ok(
            "nonsense: a change replaces it",
            Some(format!("{NAME}=%%%")),
            "buy",
            "buy",
            Set(0, 1),
            None,
        ),
        ok("a logout removes what does not open", damaged(), "logout", "logout", Removed, None),
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
        ok(
            "a change that is under way when the response is there",
            fresh(),
            "meanwhile",
            "meanwhile",
            Untouched,
            None,
        ),
        refused(
            "one that has taken what was changed before, so that nothing is left to keep",
            fresh(),
            "unfinished",
            500,
            "ERROR a change of the session was under way when the response was there; the cookie is left alone",
        ),
    ]
}

/// Holds the table against a framework, whose application answers through `send(deed, cookie)`.
pub(crate) async fn hold(send: impl AsyncFn(&str, Option<&str>) -> Answer) {
    let logged = Log::start();
    for Row { why, cookie, deed, status, body, then, log } in rows() {
        let answer = send(deed, cookie.as_deref()).await;
        let lines = logged.take();
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{why}: {lines:?}");
        let late = go_on();
        assert_eq!(late.is_some(), ["meanwhile", "unfinished"].contains(&deed), "{why}: {late:?}");
        assert!(matches!(late, None | Some(Err(ChangeError::HeadersSent))), "{why}: {late:?}");
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
        let own_refusal = ["huge", "side", "unfinished"].contains(&deed);
        let busy = log.is_some_and(|log| log.starts_with("WARN the request carries"));
        let looked = deed != "ignore" && !own_refusal;
        let set = !matches!(then, Untouched);
        let header = |name| answer.all(name).collect::<Vec<_>>();
        assert_eq!(header("vary"), if looked { &["cookie"][..] } else { &[] }, "{why}");
        assert_eq!(header("cache-control"), if set { &["no-store"][..] } else { &[] }, "{why}");
        let later = if busy { &["1"][..] } else { &[] };
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
    what_is_not_accepted_is_not_continued(&send).await;
    a_session_may_have_a_lifetime_of_its_own(&send).await;
}

/// Holds what changes where the application says that what this node cannot read is lost.
pub(crate) async fn replace(send: impl AsyncFn(&str, Option<&str>) -> Answer) {
    let logged = Log::start();
    let unknown = sealed(&Codec::new(key(3)), Duration::ZERO);
    for (deed, status, set) in [
        ("read", 200, None),
        ("update", 200, None),
        ("buy", 200, Some((0, 1))),
        ("begin", 200, Some((5, 0))),
    ] {
        let answer = send(deed, Some(&unknown)).await;
        assert_eq!(answer.status, status, "{deed}");
        let found = answer.cookies(NAME).next().map(|cookie| {
            let codec = codec();
            let opened = codec.decode(&codec.request([pair(cookie)])).unwrap().unwrap();
            (opened.session.user, opened.session.cart.len())
        });
        assert_eq!(found, set, "{deed}");
        let lines = logged.take();
        let told = lines.iter().filter(|line| {
            line.starts_with("WARN a session that this node cannot read is replaced: the key ")
        });
        assert_eq!(told.count(), usize::from(set.is_some()), "{deed}: {lines:?}");
    }
}

async fn own_headers_stay(send: &impl AsyncFn(&str, Option<&str>) -> Answer) {
    let answer = send("headers", None).await;
    assert_eq!(answer.cookies("lang").count(), 1);
    assert_eq!(answer.cookies(NAME).count(), 1);
    assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["accept-encoding", "cookie"]);
    assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store, no-transform"]);
    for name in ["cdn-cache-control", "surrogate-control", "edge-control", "x-accel-expires"] {
        assert_eq!(answer.all(name).count(), 0, "{name}");
    }
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
    let login = send("device", Some(&renewed)).await;
    let cookie = pair(login.cookies(NAME).next().unwrap());
    assert_eq!(login.body, id(cookie).await);
    assert_ne!(login.body, id(&renewed).await, "known to the handler before the cookie is made");
}

/// Neither its id nor its beginning, by which it would pass for older than what refused it.
async fn what_is_not_accepted_is_not_continued(send: &impl AsyncFn(&str, Option<&str>) -> Answer) {
    let codec = codec();
    let open = |cookie: &str| codec.decode(&codec.request([cookie])).unwrap().unwrap();
    let refused = sealed_for(LOCKED_OUT, &codec, Duration::from_secs(600));
    for deed in ["buy", "begin", "keep", "login"] {
        let answer = send(deed, Some(&refused)).await;
        let (before, after) = (open(&refused), open(pair(answer.cookies(NAME).next().unwrap())));
        assert_ne!(after.id, before.id, "{deed}");
        assert!(after.began >= before.began + Duration::from_secs(590), "{deed}: {after:?}");
    }
}

/// Holds that the session is that of the request as it came to the middleware, where a layer within, through which `send`
/// sends, takes the cookies away.
pub(crate) async fn taken_away(send: impl AsyncFn(&str, Option<&str>) -> Answer) {
    let unknown = sealed(&Codec::new(key(3)), Duration::ZERO);
    for (cookie, status, cookies) in [(sealed(&codec(), Duration::ZERO), 200, 1), (unknown, 503, 0)]
    {
        let answer = send("buy", Some(&cookie)).await;
        assert_eq!((answer.status, answer.all("set-cookie").count()), (status, cookies));
        for cookie in answer.cookies(NAME) {
            let codec = codec();
            let opened = codec.decode(&codec.request([pair(cookie)])).unwrap().unwrap();
            assert_eq!(opened.session.user, 7, "it goes on");
        }
    }
}

/// Holds what becomes of a handler that has done a deed and waits for more, where a layer within drops it then, as one does
/// whose time runs out, and answers by a status.
pub(crate) async fn half_way(send: impl AsyncFn(&str, u16, &str) -> Answer) {
    let logged = Log::start();
    let cookie = sealed(&codec(), Duration::ZERO);
    for status in [408, 500, 503, 504] {
        for (deed, cookies, lines) in [("buy", 0, 1), ("logout", 1, 0), ("read", 0, 0)] {
            let answer = send(deed, status, &cookie).await;
            let set = answer.all("set-cookie").count();
            assert_eq!((answer.status, set), (status, cookies), "{deed}");
            let told = logged.take();
            assert_eq!(told.len(), lines, "{deed}: {told:?}");
            let wanted =
                "WARN the response tells of a failure; a change of the session is not kept";
            assert!(told.iter().all(|line| line.starts_with(wanted)), "{told:?}");
        }
    }
}

/// Holds what the log tells where there is no response: `hang_up` lets the handler do its deed, and then drops the request, as
/// when the client goes, or a layer around the middleware has waited for long enough.
pub(crate) fn hung_up(hang_up: impl Fn(&str)) {
    let logged = Log::start();
    let lost =
        r#"WARN there was no response; a change of the session is lost cookie="__Host-session""#;
    for (deed, lines) in [
        ("buy", &[lost][..]),
        ("logout", &[lost]),
        ("login", &[lost]),
        ("read", &[]),
        ("ignore", &[]),
    ] {
        hang_up(deed);
        assert_eq!(logged.take(), lines, "{deed}");
    }
}

async fn a_session_may_have_a_lifetime_of_its_own(
    send: &impl AsyncFn(&str, Option<&str>) -> Answer,
) {
    let answer = send("brief", None).await;
    let first = answer.cookies(NAME).next().unwrap().to_owned();
    assert!(!first.contains("Max-Age"), "{first}");
    let answer = send("buy", Some(pair(&first))).await;
    let next = answer.cookies(NAME).next().unwrap();
    assert!(!next.contains("Max-Age"), "a change keeps it: {next}");
    let codec = codec();
    let opened = codec.decode(&codec.request([pair(next)])).unwrap().unwrap();
    assert_eq!(opened.expires, opened.sealed + Duration::from_secs(60));
}
