//! A key file that a command prints: how it is run, and what is told when it fails.

#![cfg(all(feature = "key-file", unix))]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sealed_session::{Key, KeyFile, KeyFileError, KeySource};
use tempfile::TempDir;

/// A folder with a key file and a script that uses it.
struct Desk {
    folder: TempDir,
    file: KeyFile,
}

impl Desk {
    fn new() -> Self {
        let file = KeyFile::new(Key::generate().expect("a key"));
        let folder = tempfile::tempdir().expect("a folder");
        file.create(folder.path().join("keys.toml")).expect("written");
        Self { folder, file }
    }

    fn script(&self, lines: &str) -> PathBuf {
        let path = self.folder.path().join("script");
        fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{lines}\n", self.folder.path().display()))
            .expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("own file");
        path
    }

    fn load(&self, lines: &str) -> Result<KeyFile, KeyFileError> {
        KeySource::command(self.script(lines), [""; 0]).load()
    }
}

#[test]
fn a_command_prints_the_file() {
    let desk = Desk::new();
    let path = desk.folder.path().join("keys.toml");
    let loaded = KeySource::command("cat", [&path]).load().unwrap();
    assert_eq!(*loaded.expose_text(), *desk.file.expose_text());
    assert_eq!(KeySource::command("cat", [&path]).path(), None);
    // No shell: what one would expand stays as it is.
    let arguments = ["$HOME", "*", "; exit 3", "a b", "'"];
    let script = desk.script("printf '%s\\n' \"$@\" > arguments; cat keys.toml; cat > input");
    KeySource::command(script, arguments).load().unwrap();
    let found = fs::read_to_string(desk.folder.path().join("arguments")).unwrap();
    assert_eq!(found, arguments.map(|argument| format!("{argument}\n")).concat());
    assert_eq!(fs::read(desk.folder.path().join("input")).unwrap(), b"", "and no input");
    // Slowly, and in pieces.
    desk.load("while read -r line; do echo \"$line\"; done < keys.toml").unwrap();
}

#[test]
fn whatever_a_command_does_wrong_is_told_without_its_output() {
    let desk = Desk::new();
    let text = desk.file.expose_text();
    let secret = text.split("KEY-1-").nth(1).unwrap().get(..48).unwrap();
    let script = desk.folder.path().join("script").display().to_string();
    for (lines, told) in [
        ("cat keys.toml; exit 2", format!("the command {script} failed with exit status: 2; ")),
        ("cat keys.toml; kill -9 $$", format!("the command {script} failed with signal: 9")),
        ("sed s/created/made/ keys.toml", format!("the output of {script}: line ")),
        ("sed s/KEY-1-/KEY-1-A/ keys.toml", format!("the output of {script}: the key at line ")),
        ("grep '^key' keys.toml", format!("the output of {script}: line 1 of the key file: ")),
        ("exit 0", format!("the output of {script}: the key file is empty")),
        (
            "while :; do cat keys.toml; done",
            format!("the output of {script}: the key file is longer"),
        ),
        (
            "printf '\\377'; cat keys.toml",
            format!("the output of {script}: the key file is not UTF-8"),
        ),
    ] {
        let error = desk.load(lines).expect_err(lines);
        let shown = format!("{error} {error:?}");
        assert!(shown.starts_with(&told), "{lines}: {shown}");
        for at in 0..secret.len() - 16 {
            assert!(!shown.contains(&secret[at..at + 16]), "{lines}: {shown}");
        }
    }
    let absent = KeySource::command("/nowhere/vault", ["--token=1234"]).load().unwrap_err();
    let shown = format!("{absent} {absent:?}");
    assert!(shown.starts_with("the command /nowhere/vault cannot be run: "), "{shown}");
    assert!(!shown.contains("1234"), "{shown}");
}

#[test]
fn a_command_that_is_late_is_ended_with_all_that_it_started() {
    let desk = Desk::new();
    let short = Duration::from_millis(100);
    for lines in [
        // It prints nothing, it prints all and stays, and it leaves a child that holds the pipe.
        "echo $$ > pid; exec sleep 1000",
        "echo $$ > pid; cat keys.toml; exec sleep 1000 > /dev/null",
        "cat keys.toml; sleep 1000 & echo $! > pid",
    ] {
        let source = KeySource::command(desk.script(lines), [""; 0]).timeout(short);
        let error = source.load().unwrap_err();
        assert!(matches!(error, KeyFileError::CommandSlow { .. }), "{lines}: {error}");
        assert!(
            error.to_string().ends_with("was ended, because it took longer than 0.1 s"),
            "{error}"
        );
        let Ok(id) = fs::read_to_string(desk.folder.path().join("pid")) else {
            continue; // it was ended before it began
        };
        // Gone, or a zombie that its parent has not looked after yet.
        let since = Instant::now();
        while let Ok(status) = fs::read_to_string(format!("/proc/{}/stat", id.trim()))
            && !status.contains(") Z ")
        {
            assert!(since.elapsed() < Duration::from_secs(60), "{lines}: it lives on");
            std::thread::yield_now();
        }
    }
}
