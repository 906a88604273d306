//! What comes of each failure of a store, as a table.

use std::time::Duration;

use sealed_session::store::BlobStore;

use crate::app::{Answer, aged, codec, noise};
use crate::stores::{Fault, TestStore};

/// What is expected of the session's cookie.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cookie {
    Untouched,
    Removed,
    Set,
}
use Cookie::{Removed, Set, Untouched};

/// Where the visitor's session is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Visitor {
    Nobody,
    /// In the cookie.
    Small,
    /// In the store.
    Large,
    /// In the store, and due to be resealed.
    Due,
    /// In the store, and in the place of another.
    Changed,
    /// In the cookie, with a value beside it.
    Attached,
    /// So too, and due to be resealed.
    AttachedDue,
}
use Visitor::{Attached, AttachedDue, Changed, Due, Large, Nobody, Small};

struct Row {
    why: &'static str,
    visitor: Visitor,
    fault: Fault,
    path: &'static str,
    status: u16,
    body: &'static str,
    cookie: Cookie,
    /// What the store was asked.
    asked: &'static str,
}

fn rows(swapped: &Fault) -> Vec<Row> {
    let row = |why, visitor, fault, path, status, body, cookie, asked| Row {
        why,
        visitor,
        fault,
        path,
        status,
        body,
        cookie,
        asked,
    };
    let ok = |why, visitor, path, body, cookie, asked| {
        row(why, visitor, Fault::None, path, 200, body, cookie, asked)
    };
    let down = |why, visitor, path, status, body, cookie, asked| {
        row(why, visitor, Fault::Down, path, status, body, cookie, asked)
    };
    let full = |why, visitor, path, status, body, cookie, asked| {
        row(why, visitor, Fault::Full, path, status, body, cookie, asked)
    };
    let flushed = |why, visitor, path, status, body, cookie, asked| {
        row(why, visitor, Fault::Flushed, path, status, body, cookie, asked)
    };
    let lies = |why, path, body, cookie, asked| {
        row(why, Large, swapped.clone(), path, 200, body, cookie, asked)
    };
    let refuted = |why, visitor, fault, asked| {
        row(why, visitor, fault, "/reason/0", 200, UNAUTHENTIC, Untouched, asked)
    };
    vec![
        ok("a small session asks no store", Small, "/read/0", "7 10", Untouched, ""),
        ok("nor when it changes", Small, "/write/20", "write", Set, ""),
        ok("one that grows is stored first", Small, "/write/8000", "write", Set, "put"),
        ok("it is fetched before the handler", Large, "/read/0", "7 8000", Untouched, "get"),
        ok("and not where no handler wants it", Large, "/ignore", "ignore", Untouched, ""),
        ok("each change is a new blob", Large, "/write/9000", "write", Set, "get put"),
        ok("it may shrink into its cookie again", Large, "/write/20", "write", Set, "get"),
        ok("due, and sealed again as a copy", Due, "/user/0", "7", Set, "get put"),
        ok("a login takes no notice of it", Large, "/login/20", "login", Set, "get"),
        ok("a logout removes it", Large, "/logout/0", "logout", Removed, "get expire:0"),
        ok("what is beside stays there", Attached, "/user/0", "7", Untouched, ""),
        ok("until it is asked for", Attached, "/token/0", "token 8000", Untouched, "get"),
        ok("a change leaves it alone", Attached, "/write/20", "write", Set, ""),
        ok("it is replaced", Attached, "/attach/9000", "attach", Set, "put"),
        ok("a logout removes that too", Attached, "/logout/0", "logout", Removed, "expire:0"),
        down("down: visitors do not notice", Nobody, "/read/0", 200, "nobody", Untouched, ""),
        down("nor do small sessions", Small, "/write/20", 200, "write", Set, ""),
        down("down at a read: kept", Large, "/read/0", 503, "", Untouched, "get"),
        down("whatever the handler wants", Large, "/login/20", 503, "", Untouched, "get"),
        down("no handler wants it", Large, "/ignore", 200, "ignore", Untouched, ""),
        down(
            "down at a write: the old cookie is good",
            Small,
            "/write/8000",
            503,
            "",
            Untouched,
            "put",
        ),
        down("down at a login", Nobody, "/login/8000", 503, "", Untouched, "put"),
        down(
            "a logout that fetches nothing",
            Large,
            "/emergency/logout",
            200,
            "logout",
            Removed,
            "expire:0",
        ),
        down("beside: pages that need none", Attached, "/user/0", 200, "7", Untouched, ""),
        down("a page that needs it", Attached, "/token/0", 503, "", Untouched, "get"),
        down("a new one", Attached, "/attach/9000", 503, "", Untouched, "put"),
        down("a logout", Attached, "/logout/0", 200, "logout", Removed, "expire:0"),
        full("full: who is in stays in", Large, "/read/0", 200, "7 8000", Untouched, "get"),
        full("full at a write", Large, "/write/9000", 503, "", Untouched, "get put"),
        full("at a touch nothing happens", Due, "/user/0", 200, "7", Untouched, "get put"),
        flushed("gone: nobody", Large, "/read/0", 200, "nobody", GONE, "get"),
        flushed(
            "the handler knows",
            Large,
            "/reason/0",
            200,
            "the store does not have the blob",
            GONE,
            "get",
        ),
        flushed("a change begins a session", Large, "/write/20", 200, "write", Set, "get"),
        flushed("a login", Large, "/login/20", 200, "login", Set, "get"),
        flushed("a small session stays", Small, "/read/0", 200, "7 10", Untouched, ""),
        flushed(
            "what was beside is lost, the login is not",
            Attached,
            "/user/0",
            200,
            "7",
            Untouched,
            "",
        ),
        flushed(
            "and the handler may know",
            Attached,
            "/token/1",
            200,
            "log in again",
            Untouched,
            "get",
        ),
        flushed("or not", Attached, "/token/0", 500, "", Untouched, "get"),
        lies("swapped: refused", "/read/0", "nobody", Untouched, "get"),
        lies("the handler knows", "/reason/0", UNAUTHENTIC, Untouched, "get"),
        lies("a change begins a session", "/write/20", "write", Set, "get"),
        refuted("replayed: the blob of before", Changed, Fault::Replays, "get expire:60"),
        refuted("cut", Large, Fault::Cut, "get"),
        refuted("emptied", Large, Fault::Gives(Vec::new()), "get"),
        refuted("filled", Large, Fault::Gives(vec![0; 72 * 1024]), "get"),
        row("beside, cut", Attached, Fault::Cut, "/token/1", 200, "log in again", Untouched, "get"),
        row(
            "beside, another value",
            Attached,
            swapped.clone(),
            "/token/0",
            500,
            "",
            Untouched,
            "get",
        ),
        ok(
            "shown: the predecessor gets a minute",
            Changed,
            "/read/0",
            "7 9000",
            Untouched,
            "get expire:60",
        ),
        down("a touch of what is beside asks nothing", AttachedDue, "/user/0", 200, "7", Set, ""),
    ]
}

const UNAUTHENTIC: &str = "what the store has is not the blob that was stored";

/// What becomes of a cookie that no store has a blob for, when it was only looked at.
const GONE: Cookie = Untouched;

/// Holds the table against a framework, whose application over this store answers through `send(path, cookie)`.
pub(crate) async fn hold(store: &TestStore, send: impl AsyncFn(&str, &str) -> Answer) {
    // Another session's blob.
    send("/login/8000", "").await;
    let swapped = Fault::Answers(store.blobs()[0].0);
    for Row { why, visitor, fault, path, status, body, cookie, asked } in rows(&swapped) {
        let before = visit(visitor, store, &send).await;
        store.asked();
        store.set(fault.clone());
        let answer = send(path, &before).await;
        store.set(Fault::None);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{why}");
        assert_eq!(found(&answer), cookie, "{why}: {answer:?}");
        assert_eq!(store.asked(), asked, "{why}");
        let retry = answer.all("retry-after").next();
        assert_eq!(retry, (status == 503).then_some("1"), "{why}");
        if cookie == Set {
            let cookie = answer.cookie().unwrap();
            assert!(cookie.len() < 400, "{why}: {}", cookie.len());
            let after = send("/read/0", &cookie).await;
            assert!(after.status == 200 && after.body != "nobody", "{why}: {after:?}");
        }
        // Whoever did not log out is still in by the old cookie: the response may have been lost.
        if visitor != Nobody && !path.ends_with("/logout") && !path.starts_with("/logout") {
            assert_eq!(send("/user/0", &before).await.body, "7", "{why}: the old cookie");
        }
    }
    // A copy of a cookie, made before a logout, is worth nothing where its session was in the store.
    let large = visit(Large, store, &send).await;
    send("/logout/0", &large).await;
    assert_eq!(send("/user/0", &large).await.body, "nobody");
}

/// Holds that a logout ends each copy of the cookie, though the store cannot be asked for the session: by its id, which is
/// in the cookie.
#[cfg(feature = "revocation")]
pub(crate) async fn revoke(
    store: &TestStore,
    revoked: &sealed_session::revocation::Revocations,
    send: impl AsyncFn(&str, &str) -> Answer,
) {
    for (n, visitor) in (1..).zip([Large, Attached, Small]) {
        let cookie = visit(visitor, store, &send).await;
        assert_eq!(send("/user/0", &cookie).await.body, "7");
        store.set(Fault::Down);
        let answer = send("/emergency/logout", &cookie).await;
        assert_eq!((answer.status, answer.cookie().as_deref()), (200, Some("")), "{visitor:?}");
        store.set(Fault::None);
        assert_eq!(revoked.len(), n, "{visitor:?}");
        assert_eq!(send("/user/0", &cookie).await.body, "nobody", "{visitor:?}");
    }
}

/// Returns a visitor's cookie.
async fn visit(
    visitor: Visitor,
    store: &TestStore,
    send: impl AsyncFn(&str, &str) -> Answer,
) -> String {
    let login = async |path| send(path, "").await.cookie().unwrap();
    match visitor {
        Nobody => String::new(),
        Small => login("/login/10").await,
        Large => login("/login/8000").await,
        Due => stored(store, 8000, sealed_session::Attached::default()).await,
        AttachedDue => stored(store, 10, sealed_session::Attached::new(noise(8000))).await,
        Changed => send("/write/9000", &login("/login/8000").await).await.cookie().unwrap(),
        Attached => send("/attach/8000", &login("/login/10").await).await.cookie().unwrap(),
    }
}

/// Returns the cookie of a session that was sealed three hours ago.
async fn stored(store: &TestStore, len: usize, tokens: sealed_session::Attached<String>) -> String {
    let (cookie, set) = aged(&codec(store.clone()), Duration::from_secs(3 * 3600), len, tokens);
    for blob in set.blobs() {
        store.put(blob.id, &blob.bytes, blob.lives).await.unwrap();
    }
    cookie
}

/// Holds what a node does that has no store, with the cookie of one that has: `send(path, cookie)` asks it.
pub(crate) async fn hold_without(send: impl AsyncFn(&str, &str) -> Answer) {
    let store = TestStore::default();
    let large = stored(&store, 8000, sealed_session::Attached::default()).await;
    for (path, status, body, cookie) in [
        ("/ignore", 200, "ignore", Untouched),
        ("/read/0", 200, "nobody", Untouched),
        ("/write/20", 503, "", Untouched),
        // A login replaces it deliberately, and a logout removes it.
        ("/login/20", 200, "login", Set),
        ("/logout/0", 200, "logout", Removed),
    ] {
        let answer = send(path, &large).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{path}");
        assert_eq!(found(&answer), cookie, "{path}");
        let retry = answer.all("retry-after").next();
        assert_eq!(retry, (status == 503).then_some("1"), "{path}");
    }
    assert_eq!(store.asked(), "put");
}

/// What the response does with the cookie.
fn found(answer: &Answer) -> Cookie {
    match answer.cookie() {
        None => Untouched,
        Some(cookie) if cookie.is_empty() => Removed,
        Some(_) => Set,
    }
}
