//! The tool, as it is run.

#![cfg(all(feature = "cli", unix))]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sealed_session::store::DirectoryStore;
use sealed_session::{Attached, Codec, Key, Limits};
use serde_json::Value;

const TOOL: &str = env!("CARGO_BIN_EXE_sealed-session");

/// What one run gave.
struct Run {
    code: i32,
    out: String,
    err: String,
}

/// A folder with a key file, and an environment with nothing of ours in it.
struct Desk {
    folder: tempfile::TempDir,
    env: Vec<(&'static str, String)>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), env: Vec::new() }
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.keys()).expect("a key file")
    }

    /// Runs the tool on the key file of this desk.
    fn run(&self, args: &str, input: &str) -> Run {
        let mut child = self.start(args);
        // Which reads nothing if it refuses its arguments.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let done = child.wait_with_output().expect("the tool");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let code = done.status.code().expect("an exit code");
        Run { code, out: text(done.stdout), err: text(done.stderr) }
    }

    fn start(&self, args: &str) -> Child {
        self.command(args).spawn().expect("the tool")
    }

    fn command(&self, args: &str) -> Command {
        let keys = self.keys();
        let keys = keys.to_str().expect("text");
        let args: Vec<_> = args.split_whitespace().map(|arg| arg.replace("KEYS", keys)).collect();
        let mut command = Command::new(TOOL);
        command
            .args(args)
            .env_remove("SEALED_SESSION_KEYS")
            .env_remove("SEALED_SESSION_KEY_FILE")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn json(&self, args: &str) -> Value {
        let run = self.run(&format!("{args} --json"), "");
        assert_eq!(run.code, 0, "{args}: {}", run.err);
        serde_json::from_str(&run.out).expect("JSON")
    }

    /// Gives the ids and states of the keys, oldest first.
    fn states(&self) -> Vec<(String, String)> {
        let list = self.json("ring list --keys KEYS");
        let get = |value: &Value, name: &str| value.get(name).expect("a field").clone();
        let text = |key: &Value, name: &str| get(key, name).as_str().expect("text").to_owned();
        get(&list, "keys")
            .as_array()
            .expect("a list")
            .iter()
            .map(|key| (text(key, "id"), text(key, "state")))
            .collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn a_ring_lives_from_init_to_revoke() {
    let desk = Desk::new();
    let run = desk.run("ring init --keys KEYS --comment the-first", "");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.contains("primary") && run.out.contains("the-first"), "{}", run.out);
    assert_eq!(mode(&desk.keys()), 0o600);
    assert_eq!(desk.run("ring init --keys KEYS", "").code, 3, "a ring is never overwritten");
    let [(first, _)] = desk.states().try_into().unwrap();

    // Nothing is due, today and at the second run.
    assert_eq!(desk.run("ring rotate --keys KEYS", "").out, "nothing is due\n");
    let run = desk.run("ring retire --keys KEYS ID".replace("ID", &first).as_str(), "");
    assert_eq!(run.code, 4, "{}", run.err);

    // Announced, and not to be promoted before.
    let added = desk.json("ring add --keys KEYS");
    assert_eq!(added["changes"][0]["change"], "added");
    let second = added["changes"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.states()[1], (second.clone(), "pending".into()));
    let before = desk.text();
    let run = desk.run(&format!("ring promote --keys KEYS {second}"), "");
    assert_eq!(run.code, 4);
    assert!(
        run.err.starts_with(&format!("error: {second} must not seal before 20")),
        "{}",
        run.err
    );
    assert!(run.err.ends_with("--force overrides this\n"), "{}", run.err);
    assert_eq!(desk.text(), before);
    let run = desk.run(&format!("ring promote --keys KEYS {second} --force"), "");
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(desk.states()[1], (second.clone(), "primary".into()));

    let changes = desk.json("ring rotate --keys KEYS --announce 0s");
    assert_eq!(changes["changes"][0]["change"], "retires");
    assert_eq!(changes["changes"][0]["id"], first.as_str());
    assert_eq!(
        desk.json("ring rotate --keys KEYS --announce 0s")["changes"],
        serde_json::json!([])
    );
    let run = desk.run("ring check --keys KEYS", "");
    assert_eq!((run.code, run.out.as_str()), (0, "✓ 2 keys, and all is well\n"));
    let run = desk.run("ring check --keys KEYS --keep 30d", "");
    assert_eq!(run.code, 1);
    assert!(run.out.contains("retires while sessions sealed by it may live"), "{}", run.out);

    // Leaked: the older key takes over; then that one leaks too.
    let run = desk.run(&format!("ring revoke --keys KEYS {second}"), "");
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains(&format!("{first} does not retire")), "{}", run.out);
    let run = desk.run(&format!("ring revoke --keys KEYS {first}"), "");
    assert_eq!(run.code, 4, "{}", run.out);
    assert!(run.err.contains("--replace"), "{}", run.err);
    let run = desk.run(&format!("ring revoke --keys KEYS {first} --replace"), "");
    assert_eq!(run.code, 0, "{}", run.err);
    let mut states: Vec<_> = desk.states().into_iter().map(|(_, state)| state).collect();
    states.sort();
    assert_eq!(states, ["primary", "revoked", "revoked"]);
    assert_eq!(desk.text().matches("SEALED-SESSION-KEY-1-").count(), 1);
}

#[test]
fn a_refusal_says_what_to_do_and_that_works() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let again = desk.run("ring init --keys KEYS", "");
    let path = desk.keys().display().to_string();
    let told = format!(
        "error: there is a key file {path} already, and it is never overwritten; `sealed-session ring list` \
         shows what is in it\n"
    );
    assert_eq!((again.code, again.err), (3, told));
    assert_eq!(desk.run("ring check --keys KEYS", "").out, "✓ 1 key, and all is well\n");
    let [(first, _)] = desk.states().try_into().unwrap();
    let refused = |args: &str, told: &str| {
        let run = desk.run(&format!("ring {args} --keys KEYS"), "");
        assert_eq!((run.code, run.err), (4, format!("error: {told}\n")), "{args}");
    };
    let alone = format!("no other key may seal in the place of {first}; add one first");
    refused(&format!("retire {first}"), &alone);
    refused(&format!("retire {first} --force"), &alone);
    let replace =
        "; or give --replace, so that another key seals at once, before other nodes know it";
    refused(&format!("revoke {first}"), &format!("{alone}{replace}"));

    desk.run("ring add --keys KEYS", "");
    let [_, (second, _)] = desk.states().try_into().unwrap();
    let pending = format!(
        "{second} has not sealed yet; take it out with `sealed-session ring revoke {second}`"
    );
    refused(&format!("retire {second}"), &pending);
    refused(&format!("retire {second} --force"), &pending);
    refused(
        &format!("revoke {first}"),
        &format!(
            "no other key may seal yet in the place of {first}; let {second}, which is pending, seal by \
             `sealed-session ring promote {second}` first{replace}"
        ),
    );
    for args in [format!("promote {second} --force"), format!("revoke {first}")] {
        assert_eq!(desk.run(&format!("ring {args} --keys KEYS"), "").code, 0, "{args}");
    }

    let before = desk.text();
    let run = desk.run("ring rotate --every 6h --keys KEYS", "");
    assert_eq!(run.code, 2);
    assert!(run.err.contains("set `every` to at least 10 hours"), "{}", run.err);
    let run = desk.run("ring check --keep 1d --keys KEYS", "");
    assert_eq!(run.code, 2, "{}", run.out);
    assert_eq!(desk.text(), before);
}

#[test]
fn whoever_stops_reading_does_not_change_the_answer() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    fs::write(desk.keys(), desk.text().replace("activates = 2", "activates = 1")).unwrap();
    for (args, code) in [
        ("ring check --keys KEYS", 1),
        ("ring check --keys KEYS --json", 1),
        ("ring list --keys KEYS", 0),
        ("keygen", 0),
        ("completions bash", 0),
    ] {
        let (_, closed) = std::io::pipe().unwrap();
        let status = desk.command(args).stdout(closed).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args}");
    }
}

#[test]
fn machines_get_json_for_wrong_usage_too() {
    let desk = Desk::new();
    let key = Key::generate().unwrap().expose_text();
    for (args, told) in [
        ("ring rotate --keys KEYS --every 30 --json", "invalid value '30' for '--every"),
        ("ring --json", "requires a subcommand"),
        ("--json ring retire --keys KEYS", "required arguments were not provided"),
        ("ring rotate --keys - --json", "the standard input cannot be changed"),
        (&format!("inspect --json {}", *key), "treat it as leaked"),
    ] {
        let run = desk.run(args, "");
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args}");
        let error: Value = serde_json::from_str(&run.err).expect(&run.err);
        assert_eq!(error["error"]["kind"], "usage");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(told) && !message.contains("Usage:"), "{message}");
    }
    assert_eq!(desk.run("ring --help --json", "").code, 0);
}

#[test]
fn a_lock_that_is_waited_for_is_told() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    desk.run("ring rotate --keys KEYS", "");
    let lock = fs::File::open(desk.keys().with_extension("toml.lock")).unwrap();
    fs4::FileExt::lock(&lock).unwrap();
    let mut child = desk.start("ring rotate --keys KEYS");
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting for the lock file of "), "{line}");
    drop(lock);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"nothing is due\n");
    line.clear();
    told.read_to_string(&mut line).unwrap();
    assert_eq!(line, "", "nothing more");
}

#[test]
fn exit_codes_and_errors_are_as_documented() {
    let desk = Desk::new();
    let code = |args: &str, input: &str| {
        let run = desk.run(args, input);
        assert_eq!(run.err.is_empty(), run.code == 0, "{args}: {}", run.err);
        run.code
    };
    assert_eq!(code("ring list --keys KEYS", ""), 3, "no file");
    assert_eq!(code("ring init --keys KEYS", ""), 0);
    assert_eq!(code("ring list", ""), 2, "no key file named");
    assert_eq!(code("ring rotate --keys -", ""), 2, "what cannot be changed");
    assert_eq!(code("ring rotate --keys KEYS --every 30", ""), 2, "a duration without unit");
    assert_eq!(code("ring retire --keys KEYS 12", ""), 2, "no key id");
    assert_eq!(code("ring retire --keys KEYS 12345678", ""), 1, "no such key");
    assert_eq!(code("seal", "{}"), 2, "no keys");
    assert_eq!(code("seal --keys KEYS", "{"), 1, "no JSON");
    assert_eq!(code("seal --keys KEYS --name a/b", "{}"), 2, "no cookie name");
    assert_eq!(code("open --keys KEYS", "theme=dark"), 1, "no session cookie");
    assert_eq!(code("open --keys KEYS", "__Host-session=nonsense"), 1);
    assert_eq!(code("inspect", "__Host-session=nonsense"), 1, "that is no session");
    assert_eq!(code("inspect --keys KEYS", "__Host-session=nonsense"), 1);
    assert_eq!(code("ring list --keys -", &desk.text()), 0, "from the standard input");
    fs::set_permissions(desk.keys(), fs::Permissions::from_mode(0o644)).unwrap();
    let run = desk.run("ring list --keys KEYS --json", "");
    assert_eq!(run.code, 3);
    let error: Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(error["error"]["kind"], "io");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("mode 0644") && message.contains("--keys -"), "{message}");
    assert_eq!(code("ring check --keys -", "[[key]]\nid = 1"), 1, "a broken file");
}

#[test]
fn a_session_goes_round_in_one_cookie_and_in_several() {
    let mut desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let short = r#"{"user":"jane","roles":["a","b"],"n":-3,"none":null,"half":0.5,"yes":true}"#;
    // Too much for one cookie.
    let parts: Vec<_> =
        (0..95).map(|_| Key::generate().unwrap().expose_text()[21..].to_owned()).collect();
    let long = serde_json::json!({ "parts": parts, "user": "joe" }).to_string();
    for (session, settings, cookies) in
        [(short, "", 1), (&long, " --limits nginx8k --context shop --schema 7 --name s", 2)]
    {
        let sealed = desk.run(&format!("seal --keys KEYS{settings}"), session);
        assert_eq!((sealed.code, sealed.out.lines().count()), (0, cookies), "{}", sealed.err);
        let header = desk.run(&format!("seal --keys KEYS --cookie{settings}"), session).out;
        assert_eq!(header.split("; ").count(), cookies);
        let expected: Value = serde_json::from_str(session).unwrap();
        for cookie in [&sealed.out, &header, &format!("Cookie: theme=dark; {header}")] {
            let opened = desk.run(&format!("open --keys KEYS{settings}"), cookie);
            assert_eq!(opened.code, 0, "{}", opened.err);
            assert_eq!(serde_json::from_str::<Value>(&opened.out).unwrap(), expected);
            let inspected = desk.run(&format!("inspect --json --keys KEYS{settings}"), cookie);
            assert_eq!(inspected.code, 0, "{}", inspected.err);
            let found: Value = serde_json::from_str(&inspected.out).unwrap();
            assert_eq!(found["values"][0]["header"]["cookies"], cookies);
            assert_eq!(found["values"][0]["contents"]["session"], expected);
            assert_eq!(found["values"][0]["contents"]["format"], "MessagePack");
        }
        let other = desk.run("open --keys KEYS --context other --name s", &header);
        assert_eq!(other.code, 1, "another context does not open");
    }

    // The bare value as an argument, without keys and with them.
    let header = desk.run("seal --keys KEYS --cookie", short).out;
    let value = header.trim().split_once('=').unwrap().1;
    let [(id, _)] = desk.states().try_into().unwrap();
    let shown = desk.run(&format!("inspect {value}"), "");
    assert_eq!(shown.code, 0, "{}", shown.err);
    let lines =
        format!("version   1\nkey       {id}\ncookies   1\nlength    {} characters", value.len());
    assert!(shown.out.contains(&lines), "{}", shown.out);
    assert!(!shown.out.contains("jane"));
    assert!(
        desk.run(&format!("inspect --keys KEYS {value}"), "").out.contains("\"user\": \"jane\"")
    );

    // Keys of the environment instead of a file.
    let text = desk.text();
    let key = text.lines().find_map(|line| line.strip_prefix("key = ")).unwrap();
    let (key, other) = (key.trim_matches('"'), Key::generate().unwrap());
    desk.env.push(("SEALED_SESSION_KEYS", format!("{},{key}", *other.expose_text())));
    assert_eq!(desk.run("open", &header).code, 0);
    desk.env[0].1 = other.expose_text().to_string();
    let unknown = desk.run("open", &header);
    assert_eq!(unknown.code, 1);
    assert_eq!(
        unknown.err,
        format!("error: the key {id} of the session cookie is not in the ring\n")
    );
    desk.env[0].1.pop();
    assert!(
        desk.run("open", &header)
            .err
            .starts_with("error: key number 1 of the list is refused: a key has")
    );
}

#[test]
fn no_secret_is_taken_from_the_command_line_or_printed() {
    let desk = Desk::new();
    let made = desk.run("keygen", "");
    let key: Key = made.out.parse().expect("nothing but a key, so that it can be piped");
    assert_eq!(made.err, format!("the key {}\n", key.id()));
    let secret = made.out.trim();
    for args in
        ["keygen KEY", "inspect --keys KEY", "ring add KEY", "--key=KEY", "ring promote KEY"]
    {
        let run = desk.run(&args.replace("KEY", secret), "");
        assert_eq!(run.code, 2, "{args}");
        assert!(run.err.contains("treat it as leaked"), "{}", run.err);
        assert!(!run.err.contains(&secret[21..30]) && run.out.is_empty());
    }

    desk.run("ring init --keys KEYS", "");
    let run = desk.run("ring add --keys KEYS --stdin --comment imported", secret);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(desk.states()[1].0, key.id().to_string());
    assert_eq!(desk.run("ring add --keys KEYS --stdin", secret).code, 1, "it is there already");
    let kept = Desk::new();
    assert_eq!(kept.run("ring init --keys KEYS --stdin", secret).code, 0);
    assert_eq!(kept.states(), [(key.id().to_string(), "primary".to_owned())]);
    for two in [format!("{secret},{secret}"), format!("{secret}\n{secret}\n"), String::new()] {
        let run = desk.run("ring add --keys KEYS --stdin", &two);
        let told = "error: give one key on the standard input, no more and no less\n";
        assert_eq!((run.code, run.err.as_str()), (1, told));
    }
    let cut = &secret[..60];
    let mut told = vec![run, desk.run("ring add --keys KEYS --stdin", cut)];
    assert_eq!(told[1].code, 1);
    let text = desk.text();
    let broken = text.replace("id = ", "key = ").replace("created", "secret");
    for args in [
        "ring list --keys KEYS",
        "ring list --keys KEYS --json",
        "ring check --keys KEYS",
        "ring rotate --keys KEYS",
        "ring list --keys - --json",
        "ring check --keys -",
        "inspect --keys KEYS x",
    ] {
        told.push(desk.run(args, &broken));
    }
    let secrets = text.split("SEALED-SESSION-KEY-1-").skip(1).map(|rest| &rest[..48]);
    for secret in secrets {
        for Run { out, err, .. } in &told {
            for i in 0..secret.len() - 16 {
                let part = &secret[i..i + 16];
                assert!(!out.contains(part) && !err.contains(part), "{out}{err}");
            }
        }
    }
}

#[test]
fn what_a_session_holds_is_shown_and_not_obeyed() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let hostile: String = [
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{202e}',
        '\u{2066}',
        '\u{200d}',
        '\u{2028}',
        '\u{feff}',
        '\u{e0041}',
    ]
    .iter()
    .collect();
    let session = serde_json::json!({ "user": format!("jane{hostile}é🔑"), hostile.clone(): 1 });
    let header = desk.run("seal --keys KEYS --cookie", &session.to_string()).out;
    for args in ["open", "open --json", "inspect", "inspect --json"] {
        let run = desk.run(&format!("{args} --keys KEYS"), &header);
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(!run.out.contains(|c| hostile.contains(c)), "{args}: {:?}", run.out);
        assert!(run.out.contains("\\u009b") && run.out.contains("é🔑"), "{args}: {}", run.out);
    }
    let shown: Value = serde_json::from_str(&desk.run("open --keys KEYS", &header).out).unwrap();
    assert_eq!(shown, session, "and it is the same session");

    let named = desk.command("ring add --keys KEYS --comment").arg(&hostile).output().unwrap();
    assert!(named.status.success());
    let list = desk.run("ring list --keys KEYS", "").out;
    assert!(!list.contains(|c| hostile.contains(c)) && list.contains("\\u{9b}"), "{list:?}");
    let error = desk.command("inspect --keys").arg(format!("no{hostile}file")).output().unwrap();
    let error = String::from_utf8(error.stderr).unwrap();
    assert!(!error.contains(|c| hostile.contains(c)) && error.contains("\\u{9b}"), "{error:?}");
}

#[test]
fn what_does_not_open_is_told_once_with_what_it_was_tried_with() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let header = desk.run("seal --keys KEYS --cookie --context shop", "{}").out;
    let told = "error: the cookie was sealed for another name or context than `__Host-session` and no context, or it \
                is damaged or forged; give those of the application with --name and --context\n";
    for args in ["open --keys KEYS", "inspect --keys KEYS"] {
        let run = desk.run(args, &header);
        assert_eq!((run.code, run.err.as_str()), (1, told), "{args}");
    }
    let other = desk.run("open --keys KEYS --context mall", &header).err;
    assert!(other.contains("`__Host-session` and the context `mall`"), "{other}");
    for garbage in ["garbage", "__Host-session=garbage", "%", "EQ"] {
        let run = desk.run("inspect", garbage);
        assert_eq!(run.code, 1, "{garbage}");
        assert!(
            run.err.contains("the session cookie is malformed") || run.err.contains("wire version"),
            "{}",
            run.err
        );
        assert_eq!(desk.run("inspect --json", garbage).code, 1);
    }

    // A key of each state is called by it.
    let [(first, _)] = desk.states().try_into().unwrap();
    let role = || {
        let run = desk.run("inspect --keys KEYS --context shop", &header);
        run.out
            .lines()
            .find(|line| line.starts_with("key"))
            .unwrap()
            .trim_start_matches("key")
            .trim()
            .to_owned()
    };
    assert_eq!(role(), format!("{first}, the primary"));
    let run = desk.run(&format!("ring revoke {first} --replace --keys KEYS"), "");
    assert!(run.err.contains("`sealed-session ring cutoff now` ends that"), "{}", run.err);
    assert_eq!(role(), format!("{first}, revoked"));
}

#[test]
fn integers_of_more_than_64_bits_are_not_rounded_without_a_word() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    for (session, number) in [
        (r#"{"n":108858650188719526842}"#, Some("108858650188719526842")),
        (r#"[-9223372036854775809]"#, Some("-9223372036854775809")),
        (
            r#"{"a\\\"1":"108858650188719526842","b":[18446744073709551615,-9223372036854775808]}"#,
            None,
        ),
        (r#"{"n":1.5e300}"#, None),
    ] {
        let run = desk.run("seal --keys KEYS --cookie", session);
        match number {
            Some(number) => assert_eq!(
                (run.code, run.err),
                (
                    1,
                    format!(
                        "error: the number {number} has more than 64 bits, and would be rounded; write it as a string\n"
                    )
                )
            ),
            None => assert_eq!(run.code, 0, "{session}: {}", run.err),
        }
    }
    // What another program wrote.
    let header = desk.run("seal --keys KEYS --cookie", r#"{"n":108858650188719526842.0}"#).out;
    for args in ["open", "open --json", "inspect"] {
        let run = desk.run(&format!("{args} --keys KEYS"), &header);
        assert_eq!(run.code, 0);
        assert!(
            run.err.contains("if it is an integer, it is shown rounded"),
            "{args}: {}",
            run.err
        );
    }
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let before = desk.text();
    let [(first, _)] = desk.states().try_into().unwrap();
    for (args, told) in [
        ("rotate --every 1d --announce 1d --keep 8d", "added "),
        ("add", "added "),
        (&format!("promote {first} --force"), "promoted "),
        (
            &format!("revoke {first} --replace --since now"),
            "ended all sessions that began before 20",
        ),
        ("cutoff now", "ended all sessions that began before 20"),
    ] {
        let run = desk.run(&format!("ring {args} --keys KEYS --dry-run"), "");
        assert_eq!(run.code, 0, "{args}: {}", run.err);
        assert!(run.out.contains(told), "{args}: {}", run.out);
        assert!(run.err.starts_with("nothing is written; "), "{}", run.err);
        let json = desk.json(&format!("ring {args} --keys KEYS --dry-run"));
        assert_eq!(json["written"], false);
        assert_eq!(desk.text(), before, "{args}");
    }
    assert_eq!(desk.run("ring retire --dry-run --keys KEYS ".to_owned().as_str(), "").code, 2);
    assert_eq!(desk.run(&format!("ring retire {first} --dry-run --keys KEYS"), "").code, 4);
    assert!(!desk.keys().with_extension("toml.lock").exists(), "not even a lock");
}

#[test]
fn a_leak_is_ended_with_a_cutoff() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let [(first, _)] = desk.states().try_into().unwrap();
    let run = desk.run(&format!("ring revoke {first} --replace --since now --keys KEYS"), "");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let cutoff = desk.json("ring list --keys KEYS")["cutoff"].as_str().unwrap().to_owned();
    assert!(desk.text().contains(&format!("\ncutoff = {cutoff}\n")));
    let list = desk.run("ring list --keys KEYS", "").out;
    assert!(list.contains(&format!("No session that began before {cutoff} lives.")), "{list}");
    // Not to come, and never earlier than it was.
    let run = desk.run("ring cutoff 2099-01-01T00:00:00Z --keys KEYS", "");
    assert_eq!(run.code, 2);
    assert!(run.err.contains("is to come"), "{}", run.err);
    assert_eq!(
        desk.run("ring cutoff 2020-01-01T00:00:00Z --keys KEYS", "").out,
        "nothing is due\n"
    );
    let again = desk.json("ring cutoff now --keys KEYS");
    assert!(
        again["changes"].as_array().unwrap().iter().all(|change| change["change"] == "cut_off")
    );

    // A pending key that all nodes know takes over in the place of a new one.
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    desk.run("ring add --keys KEYS --at 2098-01-01T00:00:00Z", "");
    let [(first, _), (second, _)] = desk.states().try_into().unwrap();
    let text = desk.text();
    let old = text.lines().map(|line| match line.strip_prefix("created = ") {
        Some(_) => "created = 2026-01-01T00:00:00Z\n".to_owned(),
        None => format!("{line}\n"),
    });
    fs::write(desk.keys(), old.collect::<String>()).unwrap();
    let json = desk.json(&format!("ring revoke {first} --replace --keys KEYS"));
    assert_eq!(json["changes"][0]["change"], "promoted");
    assert_eq!(json["changes"][0]["id"], second.as_str());
}

#[test]
fn keys_come_from_a_command_too() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let states = desk.states();
    for args in ["ring list", "ring check", "seal"] {
        let mut command = desk.command(&format!("{args} --json --keys-command"));
        let child = command.arg(format!("cat  {}", desk.keys().display())).spawn();
        let mut child = child.unwrap();
        let _ = child.stdin.take().unwrap().write_all(b"{}");
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
        if args == "ring list" {
            let list: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(list["keys"][0]["id"], states[0].0.as_str());
        }
    }
    for (given, code, told) in [
        ("cat 'a file'", 2, "--keys-command is no shell, and has ' in it"),
        ("cat $HOME/keys", 2, "--keys-command is no shell, and has $ in it"),
        (" ", 2, "--keys-command is empty"),
        ("false", 3, "the command false failed with exit status: 1"),
        ("/nowhere/vault", 3, "the command /nowhere/vault cannot be run: "),
        ("echo", 1, "the output of echo: the key file is empty"),
    ] {
        let done = desk.command("ring list --keys-command").arg(given).output().unwrap();
        let error = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{given}: {error}");
        assert!(error.contains(told), "{given}: {error}");
    }
    let run = desk.run("ring rotate --keys-command cat", "");
    assert_eq!(run.code, 2, "what a command prints cannot be changed");
}

#[test]
fn a_list_in_a_narrow_terminal_is_one_thing_a_line() {
    let mut desk = Desk::new();
    desk.run("ring init --keys KEYS --comment the-first-of-all-keys", "");
    desk.run("ring add --keys KEYS", "");
    desk.env.push(("COLUMNS", "44".to_owned()));
    let narrow = desk.run("ring list --keys KEYS", "").out;
    assert!(narrow.lines().all(|line| line.chars().count() <= 44), "{narrow}");
    let [(first, _), (second, _)] = desk.states().try_into().unwrap();
    assert!(
        narrow.starts_with(&format!("key             {first}\nstate           primary\n")),
        "{narrow}"
    );
    assert!(
        narrow.contains(&format!("\n\nkey             {second}\nstate           pending\n")),
        "{narrow}"
    );
    desk.env[0].1 = "200".to_owned();
    let wide = desk.run("ring list --keys KEYS", "").out;
    assert!(wide.starts_with("key       state    seals from        retires"), "{wide}");
}

#[test]
fn a_duration_without_end_is_refused_at_once() {
    let desk = Desk::new();
    desk.run("ring init --keys KEYS", "");
    let before = desk.text();
    for args in ["--announce 9999999d", "--keep 4294967295d", "--every 3653d"] {
        let run = desk.run(&format!("ring rotate {args} --keys KEYS"), "");
        assert_eq!(run.code, 2, "{args}");
        assert!(run.err.contains("a duration is 10 years at most"), "{}", run.err);
    }
    assert_eq!(desk.text(), before);
}

#[test]
fn capacity_is_that_of_the_codec() {
    let desk = Desk::new();
    let told =
        desk.json("capacity --name __Secure-s --domain example.com --path /shop --session-ids");
    let limits =
        [Limits::UNMODIFIED_NGINX, Limits::NGINX_PROXY_BUFFER_8K, Limits::NGINX_PROXY_BUFFER_16K];
    for (i, limits) in limits.into_iter().enumerate() {
        let codec = Codec::<u8>::builder(Key::generate().unwrap())
            .name("__Secure-s")
            .domain("example.com")
            .path("/shop")
            .session_ids()
            .limits(limits)
            .build()
            .unwrap();
        assert_eq!(told["capacity"][i]["packed_bytes"], codec.capacity());
    }
    assert_eq!(desk.run("capacity --domain example.com", "").code, 2, "__Host- has no Domain");
}

#[test]
fn completions_know_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = desk.run(&format!("completions {shell}"), "");
        for word in ["keygen", "ring", "rotate", "promote", "inspect", "capacity", "announce"] {
            assert!(run.out.contains(word), "{word} in {shell}");
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Login {
    user: String,
    text: String,
    tokens: Attached<Vec<u32>>,
}

#[tokio::test]
async fn a_session_in_a_store_is_told_of_and_opened_with_the_store() {
    let mut desk = Desk::new();
    let key = Key::generate().unwrap();
    desk.env.push(("SEALED_SESSION_KEYS", key.expose_text().to_string()));
    let folder = desk.folder.path().join("store");
    fs::create_dir(&folder).unwrap();
    let store = DirectoryStore::open(&folder).unwrap();
    let codec = Codec::<Login>::builder(key).overflow(store).build().unwrap();
    // Nothing compresses it.
    let parts = (0..250).map(|_| Key::generate().unwrap().expose_text()[21..].to_owned());
    let text: String = parts.collect();
    let cookie = async |text: &str| {
        let (user, tokens) = ("jane".to_owned(), Attached::new(vec![7, 8, 9]));
        let login = Login { user, text: text.to_owned(), tokens };
        let set = codec.renew(&login, &codec.request([""])).unwrap();
        codec.store(&set).unwrap().await.unwrap();
        let pair = set.values().next().unwrap().split(';').next().unwrap().to_owned();
        let ids: Vec<_> = set.blobs().iter().map(|blob| blob.id.to_string()).collect();
        (pair, ids)
    };
    let (large, ids) = cookie(&text).await;
    let place = format!(" --store {}", folder.display());

    // Without the store: what it is called there.
    let run = desk.run("inspect", &large);
    assert_eq!(run.code, 0, "{}", run.err);
    let blob = run.out.lines().find_map(|line| line.strip_prefix("blob ")).unwrap().trim();
    assert!(ids.iter().any(|id| id == blob), "{blob} {ids:?}");
    assert!(run.out.contains("give --store") && !run.out.contains("jane"), "{}", run.out);
    let found: Value = serde_json::from_str(&desk.run("inspect --json", &large).out).unwrap();
    let contents = &found["values"][0]["contents"];
    assert_eq!(contents["blob"], blob);
    assert_eq!((&contents["blob_bytes"], &contents["session"]), (&Value::Null, &Value::Null));
    let run = desk.run("open", &large);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("lies in the store"), "{}", run.err);

    // With it: all.
    let run = desk.run(&format!("inspect{place}"), &large);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("\"user\": \"jane\"") && run.out.contains(" bytes"), "{}", run.out);
    let run = desk.run(&format!("inspect --json{place}"), &large);
    let found: Value = serde_json::from_str(&run.out).unwrap();
    let contents = &found["values"][0]["contents"];
    assert_eq!(contents["session"]["text"], text.as_str());
    let len = fs::metadata(folder.join(&blob[..2]).join(blob)).unwrap().len();
    assert_eq!(contents["blob_bytes"], len);
    let run = desk.run(&format!("open --attached tokens{place}"), &large);
    let opened: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&opened["user"], &opened["tokens"]),
        (&"jane".into(), &serde_json::json!([7, 8, 9]))
    );

    // A value beside a session that is in its cookie; the reference, with its key, is not shown.
    let (small, ids) = cookie("short").await;
    let [id] = &ids[..] else { panic!("one blob") };
    let shown = |args: &str| {
        let run = desk.run(args, &small);
        assert_eq!(run.code, 0, "{args}: {}", run.err);
        run.out
    };
    let opened: Value = serde_json::from_str(&shown("open --attached tokens")).unwrap();
    assert_eq!(opened["tokens"], serde_json::json!({ "blob": id }));
    for command in ["inspect", "open"] {
        let out = shown(&format!("{command} --attached tokens{place}"));
        assert!(out.contains("7,") && out.contains("9"), "{out}");
    }
    for (field, why) in [("other", "is not there"), ("user", "holds no reference")] {
        let run = desk.run(&format!("open --attached {field}"), &small);
        assert_eq!(run.code, 1);
        assert!(run.err.contains(why), "{}", run.err);
    }

    // On a copy without the times of the files, or with a clock that is ahead: told as gone, and left as it is.
    let file = folder.join(&blob[..2]).join(blob);
    let long_ago = std::time::UNIX_EPOCH;
    fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    for args in ["inspect", "open"] {
        let run = desk.run(&format!("{args}{place}"), &large);
        assert_eq!(run.code, 1, "{args}");
        assert!(file.exists(), "{args} removed a blob");
    }

    // What the store has lost.
    for id in [blob, id] {
        fs::remove_file(folder.join(&id[..2]).join(id)).unwrap();
    }
    for args in ["inspect", "open"] {
        let run = desk.run(&format!("{args}{place}"), &large);
        assert_eq!(run.code, 1, "{args}");
        assert!(run.err.contains("the store does not have the blob"), "{}", run.err);
        let run = desk.run(&format!("{args}{place} --attached tokens"), &small);
        assert_eq!(run.code, 1, "{args}");
        assert!(run.err.contains("the store does not have the blob"), "{}", run.err);
    }

    // A path that is mistyped makes no store.
    let none = desk.folder.path().join("none");
    let run = desk.run(&format!("inspect --store {}", none.display()), &large);
    assert_eq!(run.code, 3);
    assert!(run.err.contains("is no directory of a DirectoryStore"), "{}", run.err);
    assert!(!none.exists());
}
