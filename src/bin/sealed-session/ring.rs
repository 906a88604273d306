//! `sealed-session ring`: the key file.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use sealed_session::{
    Change, Key, KeyFile, KeyId, KeyInfo, KeySource, KeyState, Policy, PolicyError,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::output::{
    BOLD, CYAN, Cell, DIM, Failure, GREEN, Output, RED, YELLOW, duration, from_now, piped, rfc3339,
};
use crate::printable::printable;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key file with one key that seals from now on.
    Init {
        #[command(flatten)]
        keys: Place,
        /// Take the key from the standard input instead of making one: the key in use so far.
        #[arg(long)]
        stdin: bool,
        /// What to write about the key.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Show the keys, what each may do, and when it may go.
    List {
        #[command(flatten)]
        keys: Source,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Add a key, to seal once all nodes know it.
    Add {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        policy: PolicyArgs,
        /// When it seals: a time such as 2026-11-03T00:00:00Z. Default: when it has been announced.
        #[arg(long, value_name = "TIME", value_parser = time)]
        at: Option<SystemTime>,
        /// Take the key from the standard input instead of making one.
        #[arg(long)]
        stdin: bool,
        /// What to write about the key.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        /// Let it seal though some node may not know it yet, which logs users out.
        #[arg(long)]
        force: bool,
    },
    /// Make the changes that are due; run it from cron, on any number of hosts that share the file.
    Rotate {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Let a key seal now: a pending one ahead of its time, or an older one again.
    Promote {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        policy: PolicyArgs,
        /// The key.
        #[arg(value_parser = id)]
        id: KeyId,
        /// Do it though some node may not know the key yet, which logs users out.
        #[arg(long)]
        force: bool,
    },
    /// Let a key end once no session that it sealed can live.
    Retire {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        policy: PolicyArgs,
        /// The key.
        #[arg(value_parser = id)]
        id: KeyId,
        /// Let it end as soon as another key seals, which logs users out.
        #[arg(long)]
        force: bool,
    },
    /// Refuse all that a key ever sealed, and wipe its secret from the file: for a key that leaked.
    Revoke {
        #[command(flatten)]
        keys: Keys,
        /// The key.
        #[arg(value_parser = id)]
        id: KeyId,
        /// Let another key seal in its place at once: a pending one that all nodes know, or else a new one.
        #[arg(long)]
        replace: bool,
        /// End all sessions that began before this time too, whatever key sealed them, `now` or a time such as
        /// 2026-11-03T00:00:00Z: one that was forged under the key may have been resealed by another since.
        #[arg(long, value_name = "TIME", value_parser = past)]
        since: Option<SystemTime>,
    },
    /// End all sessions that began before a time, whatever key sealed them: after a leak.
    Cutoff {
        #[command(flatten)]
        keys: Keys,
        /// The time: `now`, or one such as 2026-11-03T00:00:00Z.
        #[arg(value_parser = past)]
        time: SystemTime,
    },
    /// Look for faults, and for what breaks the policy.
    Check {
        #[command(flatten)]
        keys: Source,
        #[command(flatten)]
        policy: PolicyArgs,
    },
}

/// Where a key file is to be made.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The key file.
    #[arg(long, short, value_name = "FILE", env = "SEALED_SESSION_KEY_FILE")]
    keys: PathBuf,
}

/// A key file that is to be changed.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    place: Place,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A key file that is to be read.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The key file; `-` is the standard input.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "SEALED_SESSION_KEY_FILE",
        required_unless_present = "keys_command"
    )]
    keys: Option<PathBuf>,
    /// A program that prints the key file, and its arguments, split at white space. There is no shell, so quotes are
    /// refused.
    #[arg(long, value_name = "COMMAND")]
    keys_command: Option<String>,
}

impl Source {
    fn load(&self) -> Result<KeyFile, Failure> {
        load(self.keys.as_deref(), self.keys_command.as_deref())
    }
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// How long a key seals: an hour at least.
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration)]
    every: Duration,
    /// How long a key stands in the file before it seals: longer than the file takes to reach all nodes.
    #[arg(long, value_name = "DURATION", default_value = "2d", value_parser = duration)]
    announce: Duration,
    /// How long a key opens after another took over: the absolute timeout of sessions and the time of
    /// announcing.
    #[arg(long, value_name = "DURATION", default_value = "9d", value_parser = duration)]
    keep: Duration,
}

impl PolicyArgs {
    fn policy(&self, force: bool) -> Result<Policy, Failure> {
        let policy = Policy::default().every(self.every).announce(self.announce).keep(self.keep);
        policy.check()?;
        Ok(if force { policy.dangerous_at_once() } else { policy })
    }
}

pub(crate) fn run(command: Command, out: &mut Output) -> Result<(), Failure> {
    let now = SystemTime::now();
    match command {
        Command::Init { keys, stdin, comment } => {
            let path = in_place(&keys)?;
            let key = new_key(stdin)?;
            let id = key.id();
            let mut file = KeyFile::new_at(key, now);
            if let Some(comment) = comment {
                file.comment(id, comment)?;
            }
            file.create(path)?;
            show(&file, &Policy::default(), now, out)
        }
        Command::List { keys, policy } => show(&keys.load()?, &policy.policy(false)?, now, out),
        Command::Add { keys, policy, at, stdin, comment, force } => {
            let key = new_key(stdin)?;
            let (id, policy) = (key.id(), policy.policy(force)?);
            edit(&keys, out, |file| {
                let changes = policy.add_at(file, key, at, now)?;
                if let Some(comment) = comment {
                    file.comment(id, comment)?;
                }
                Ok(changes)
            })
        }
        Command::Rotate { keys, policy } => {
            let policy = policy.policy(false)?;
            edit(&keys, out, |file| policy.rotate_at(file, now))
        }
        Command::Promote { keys, policy, id, force } => {
            let policy = policy.policy(force)?;
            edit(&keys, out, |file| policy.promote_at(file, id, now))
        }
        Command::Retire { keys, policy, id, force } => {
            let policy = policy.policy(force)?;
            edit(&keys, out, |file| policy.retire_at(file, id, now))
        }
        Command::Revoke { keys, id, replace, since } => {
            edit(&keys, out, |file| {
                let mut changes = if replace { replace_at(file, id, now)? } else { Vec::new() };
                changes.extend(Policy::default().revoke_at(file, id, now)?);
                if let Some(since) = since {
                    changes.extend(Policy::default().cut_off_at(file, since, now)?);
                }
                Ok(changes)
            })
            .map_err(|failure| match failure {
                Failure::Unsafe(text) => Failure::Unsafe(format!(
                    "{text}; or give --replace, so that another key seals at once, before other nodes know it"
                )),
                other => other,
            })?;
            if since.is_none() && !out.json {
                out.note(
                    "if it leaked: what was forged under it and resealed by another key lives on; when all nodes \
                     have this file, `sealed-session ring cutoff now` ends that",
                );
            }
            Ok(())
        }
        Command::Cutoff { keys, time } => {
            edit(&keys, out, |file| Policy::default().cut_off_at(file, time, now))
        }
        Command::Check { keys, policy } => check(&keys.load()?, &policy.policy(false)?, now, out),
    }
}

/// Promotes a key in the place of one that is to be revoked: one that waits and that all nodes know, or a new one.
fn replace_at(file: &mut KeyFile, id: KeyId, now: SystemTime) -> Result<Vec<Change>, PolicyError> {
    let policy = Policy::default();
    let pending = file.keys_at(now).into_iter();
    let pending = pending.filter(|key| key.id != id && key.state == KeyState::Pending);
    for key in pending {
        if let Ok(changes) = policy.promote_at(file, key.id, now) {
            return Ok(changes);
        }
    }
    policy.dangerous_at_once().add_at(file, Key::generate()?, Some(now), now)
}

fn edit(
    keys: &Keys,
    out: &mut Output,
    change: impl FnOnce(&mut KeyFile) -> Result<Vec<Change>, PolicyError>,
) -> Result<(), Failure> {
    let path = in_place(&keys.place)?;
    let (held, waiting) = mpsc::channel::<()>();
    let note =
        format!("waiting for the lock file of {}, which another process holds", path.display());
    let json = out.json;
    thread::spawn(move || {
        if waiting.recv_timeout(MOMENT) == Err(RecvTimeoutError::Timeout) && !json {
            Output::new(json).note(&note);
        }
    });
    let changes = if keys.dry_run {
        let mut file = load(Some(path), None)?;
        let changes = change(&mut file)?;
        // As it would be read again.
        file.expose_text().parse::<KeyFile>()?;
        changes
    } else {
        KeyFile::edit(path, |file| {
            drop(held);
            change(file)
        })?
    };
    if out.json {
        let changes: Vec<_> = changes.iter().map(change_json).collect();
        return out.print_json(&json!({ "changes": changes, "written": !keys.dry_run }));
    }
    if keys.dry_run && !changes.is_empty() {
        out.note("nothing is written; this would change, with another key where one is added:");
    }
    if changes.is_empty() {
        out.line(format_args!("{DIM}nothing is due{DIM:#}"))?;
    }
    for change in changes {
        out.line(change)?;
    }
    Ok(())
}

fn show(file: &KeyFile, policy: &Policy, now: SystemTime, out: &mut Output) -> Result<(), Failure> {
    let keys = file.keys_at(now);
    if out.json {
        let keys: Vec<_> = keys.iter().map(|key| key_json(key, file, policy)).collect();
        let cutoff = file.cutoff().map(rfc3339);
        return out.print_json(&json!({ "keys": keys, "cutoff": cutoff }));
    }
    let minute = |time: Option<SystemTime>| match time {
        Some(time) => Cell::new(date(time)),
        None => Cell::styled("–", DIM),
    };
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let style = match key.state {
                KeyState::Primary => GREEN,
                KeyState::Pending => YELLOW,
                KeyState::OpenOnly => CYAN,
                KeyState::Revoked => RED,
                _ => DIM,
            };
            vec![
                Cell::styled(key.id, BOLD),
                Cell::styled(key.state, style),
                minute(key.activates),
                minute(key.retires),
                may_retire(key, file, policy, now),
                Cell::styled(key.comment.as_deref().map(one_line).unwrap_or_default(), DIM),
            ]
        })
        .collect();
    out.table(&["key", "state", "seals from", "retires", "may it retire?", "comment"], &rows)?;
    if let Some(cutoff) = file.cutoff() {
        out.line(format_args!("\nNo session that began before {} lives.", rfc3339(cutoff)))?;
    }
    out.line(format_args!("\n{DIM}Times are UTC; now it is {}.{DIM:#}", date(now)))
}

/// Answers whether a key may be retired.
fn may_retire(key: &KeyInfo, file: &KeyFile, policy: &Policy, now: SystemTime) -> Cell {
    match (key.state, policy.retirable(file, key.id)) {
        (KeyState::Retired | KeyState::Revoked, _) => Cell::styled("–", DIM),
        (KeyState::Primary, None) => Cell::new("no, it seals"),
        (_, Some(from)) if from <= now => Cell::styled("yes", GREEN),
        (_, Some(from)) => Cell::styled(from_now(from, now), YELLOW),
        (KeyState::Pending, None) => Cell::new("no, it is next"),
        (_, None) => Cell::new("if nobody uses it"),
    }
}

fn check(
    file: &KeyFile,
    policy: &Policy,
    now: SystemTime,
    out: &mut Output,
) -> Result<(), Failure> {
    file.ring_at(now)?;
    let concerns: Vec<_> = policy.concerns_at(file, now).iter().map(ToString::to_string).collect();
    if out.json {
        out.print_json(&json!({ "concerns": concerns }))?;
    }
    for concern in &concerns {
        out.line(format_args!("{YELLOW}!{YELLOW:#} {concern}"))?;
    }
    if concerns.is_empty() {
        let keys = match file.keys_at(now).len() {
            1 => "1 key".to_owned(),
            keys => format!("{keys} keys"),
        };
        out.line(format_args!("{GREEN}✓{GREEN:#} {keys}, and all is well"))
    } else {
        Err(Failure::No("concerns", "the key file works, but it breaks the policy".to_owned()))
    }
}

fn key_json(key: &KeyInfo, file: &KeyFile, policy: &Policy) -> Value {
    json!({
        "id": key.id.to_string(),
        "state": key.state.to_string(),
        "created": rfc3339(key.created),
        "activates": key.activates.map(rfc3339),
        "retires": key.retires.map(rfc3339),
        "may_retire_from": policy.retirable(file, key.id).map(rfc3339),
        "comment": key.comment,
    })
}

fn change_json(change: &Change) -> Value {
    let (what, id, at) = match *change {
        Change::Added { id, activates } => ("added", id, Some(activates)),
        Change::Promoted { id, at } => ("promoted", id, Some(at)),
        Change::Retires { id, at } => ("retires", id, Some(at)),
        Change::Stays(id) => ("stays", id, None),
        Change::Revoked(id) => ("revoked", id, None),
        Change::Removed(id) => ("removed", id, None),
        Change::CutOff(at) => return json!({ "change": "cut_off", "at": rfc3339(at) }),
        _ => return json!({ "change": "other", "text": change.to_string() }),
    };
    json!({ "change": what, "id": id.to_string(), "at": at.map(rfc3339) })
}

/// Reads a key file, the standard input, or what a command prints.
pub(crate) fn load(path: Option<&Path>, command: Option<&str>) -> Result<KeyFile, Failure> {
    match (command, path) {
        (Some(command), _) => Ok(source(command)?.load()?),
        (None, Some(path)) if path == Path::new("-") => Ok(KeyFile::read(piped("the key file")?)?),
        (None, Some(path)) => Ok(KeySource::file(path).load()?),
        (None, None) => Err(Failure::Usage("no key file; give --keys FILE".to_owned())),
    }
}

/// Splits a command at white space. What only a shell would understand is refused, and not taken as it stands.
fn source(command: &str) -> Result<KeySource, Failure> {
    if let Some(sign) = command.chars().find(|c| "'\"`\\$|&;<>*?~".contains(*c)) {
        return Err(Failure::Usage(format!(
            "--keys-command is no shell, and has {sign} in it; write a script, and give its path"
        )));
    }
    let mut words = command.split_whitespace();
    let program =
        words.next().ok_or_else(|| Failure::Usage("--keys-command is empty".to_owned()))?;
    Ok(KeySource::command(program, words))
}

fn in_place(keys: &Place) -> Result<&Path, Failure> {
    if keys.keys == Path::new("-") {
        return Err(Failure::Usage("the standard input cannot be changed; name a file".to_owned()));
    }
    Ok(&keys.keys)
}

/// Creates a key, or reads one from the standard input.
fn new_key(stdin: bool) -> Result<Key, Failure> {
    if !stdin {
        return Ok(Key::generate().map_err(PolicyError::Key)?);
    }
    let mut text = zeroize::Zeroizing::new(String::with_capacity(2 * 4096));
    piped("a key")?.take(MAX_INPUT).read_to_string(&mut text)?;
    let mut keys =
        text.split(|c: char| c == ',' || c.is_whitespace()).filter(|key| !key.is_empty());
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(Failure::No(
            "key",
            "give one key on the standard input, no more and no less".to_owned(),
        ));
    };
    key.parse().map_err(|error| Failure::No("key", format!("{error}; copy it anew")))
}

fn id(text: &str) -> Result<KeyId, String> {
    text.parse().map_err(|error: sealed_session::KeyError| error.to_string())
}

pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(SystemTime::from)
        .map_err(|_| "a time is written like 2026-11-03T00:00:00Z".to_owned())
}

/// Reads a time that may be now.
fn past(text: &str) -> Result<SystemTime, String> {
    if text == "now" { Ok(SystemTime::now()) } else { time(text) }
}

/// Formats a time to the minute.
fn date(time: SystemTime) -> String {
    let text = rfc3339(time);
    match text.get(..16) {
        Some(minute) => minute.replace('T', " "),
        None => text,
    }
}

/// Formats a comment without what a terminal would obey.
fn one_line(text: &str) -> String {
    printable(&text.replace('\n', " "))
}

/// More than a few keys. What is read has twice the room, so that it never moves.
const MAX_INPUT: u64 = 4096;

/// How long a lock is waited for before something is said.
const MOMENT: Duration = Duration::from_secs(1);
