//! The tool: what an administrator ends holds on running nodes.

use std::path::Path;
use std::process::Command;

use sealed_session::revocation::{Journal, Revocations, SubjectTag};

use super::{WEEK, id, now, until};

const TOOL: &str = env!("CARGO_BIN_EXE_sealed-session");

fn run(args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(TOOL);
    command.args(args).env_remove("SEALED_SESSION_JOURNAL").env_remove("SEALED_SESSION_REDIS_URL");
    let done = command.envs(env.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

fn journal(path: &Path) -> (Revocations, Journal) {
    let set = Revocations::new(WEEK);
    let journal = Journal::open(path, &set).unwrap();
    (set, journal)
}

#[test]
fn what_the_tool_ends_holds_on_a_running_node_and_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoked");
    let place = path.to_str().unwrap();
    let (set, _journal) = journal(&path);
    let session = id(7).to_string();
    let user = SubjectTag::new("user", "jane");

    let (code, out, err) = run(&["revoke", "session", &session, "--journal", place], &[]);
    assert_eq!(
        (code, out.as_str()),
        (0, &*format!("ended the session {session}, stored\n")),
        "{err}"
    );
    until("the node hears it", || set.ends(now(), Some(id(7)), &[]));
    let env = [("SEALED_SESSION_JOURNAL", place)];
    let before = now();
    let (code, out, _) = run(&["revoke", "subject", "user", "jane"], &env);
    assert_eq!(
        (code, out),
        (0, format!("ended the sessions of the user with the tag {user}, stored\n"))
    );
    until("the node hears it", || set.ends(before, None, &[user]));
    let (code, _, err) = run(&["revoke", "before", "2020-01-01T00:00:00Z"], &env);
    assert_eq!(code, 0, "{err}");
    assert_eq!(run(&["revoke", "subject", "user", "6a616e65", "--hex"], &env).0, 0);

    let (code, out, _) = run(&["revocations", "list", "--json"], &env);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    let kinds: Vec<_> =
        listed.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(code, 0);
    assert_eq!(kinds.iter().filter(|kind| **kind == "session").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| **kind == "subject").count(), 1);
    let (_, out, _) = run(&["revocations", "list"], &env);
    assert!(out.contains(&session) && out.contains("in 401 d"), "{out}");
    let (_, out, _) = run(&["revocations", "stats"], &env);
    assert!(out.contains("sessions  1\n") && out.contains("subjects  1\n"), "{out}");
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let absent = absent.to_str().unwrap();
    for (args, code, told) in [
        (
            &["revocations", "list"][..],
            2,
            "--journal, or the server's URL in SEALED_SESSION_REDIS_URL",
        ),
        (&["revocations", "list", "--journal", absent], 3, "the nodes of the application make it"),
        (&["revoke", "session", "7", "--journal", absent], 2, "an id is 32 hexadecimal digits"),
        (&["revoke", "before", "yesterday", "--journal", absent], 2, "2026-11-03T00:00:00Z"),
        (
            &["revoke", "subject", "user", "xy", "--hex", "--journal", absent],
            2,
            "0 to 9 and a to f",
        ),
    ] {
        let (found, _, err) = run(args, &[]);
        assert_eq!(found, code, "{args:?}: {err}");
        assert!(err.contains(told), "{args:?}: {err}");
    }
    assert!(!Path::new(absent).exists());
}

#[cfg(feature = "revocation-redis")]
#[test]
fn a_url_is_taken_from_the_environment_and_never_repeated() {
    let url = [("SEALED_SESSION_REDIS_URL", "redis://u:geheim@127.0.0.1:9")];
    let (code, out, err) = run(&["revoke", "subject", "user", "jane", "--wait", "1s"], &url);
    assert_eq!(code, 3);
    assert!(
        err.contains("the server does not answer") && !format!("{out}{err}").contains("geheim"),
        "{err}"
    );
    let url = [("SEALED_SESSION_REDIS_URL", "redis://u:geheim@127.0.0.1:x")];
    let (code, out, err) = run(&["revocations", "list"], &url);
    assert_eq!(code, 2);
    assert!(!format!("{out}{err}").contains("geheim"), "{err}");
}

#[cfg(feature = "revocation-redis")]
#[test]
#[ignore = "needs redis-server"]
fn what_the_tool_ends_on_the_server_holds_on_running_nodes() {
    use sealed_session::revocation::{RedisFeed, WhenStale};
    let server = super::servers::Server::start("");
    let set = Revocations::new(WEEK);
    let feed = RedisFeed::new(&server.url(), WhenStale::Refuse).unwrap().spawn(&set).unwrap();
    assert!(feed.wait(super::PATIENCE));
    let url = server.url();
    let env = [("SEALED_SESSION_REDIS_URL", url.as_str())];
    let (code, _, err) = run(&["revoke", "session", &id(7).to_string()], &env);
    assert_eq!(code, 0, "{err}");
    until("the node hears it", || set.ends(now(), Some(id(7)), &[]));
    let (code, out, err) = run(&["revocations", "stats", "--json"], &env);
    let stats: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &stats["sessions"]), (0, &1.into()), "{err}");
    assert_eq!(stats["server"]["address"], format!("127.0.0.1:{}", server.port));
}
