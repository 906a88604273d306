//! `sealed-session revoke` and `revocations`: ending sessions, and what is ended.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use sealed_session::SessionId;
use sealed_session::revocation::{
    Full, Journal, Receipt, Revocations, Revoked, Stored, SubjectTag, Target,
};
use serde_json::{Value, json};

use crate::output::{Cell, Failure, Output, duration, rfc3339, when};
use crate::ring::time;

/// What `revoke` ends.
#[derive(Debug, Subcommand)]
pub(crate) enum Revoke {
    /// End one session.
    Session {
        #[command(flatten)]
        place: Place,
        /// Its id: 32 hexadecimal digits.
        #[arg(value_parser = session_id)]
        id: SessionId,
    },
    /// End all sessions of a subject that have begun up to now.
    Subject {
        #[command(flatten)]
        place: Place,
        /// What kind of subject it is, as the application says to SubjectTag::new: user, device.
        context: String,
        /// The subject, as the application says; or, with --hex, its bytes.
        subject: String,
        /// The subject is written in hexadecimal digits.
        #[arg(long)]
        hex: bool,
    },
    /// End all sessions that began before a time.
    Before {
        #[command(flatten)]
        place: Place,
        /// A time such as 2026-11-03T00:00:00Z, or `now`.
        #[arg(value_parser = time_or_now)]
        time: SystemTime,
    },
}

/// What `revocations` shows.
#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// Show what is revoked and not forgotten.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Show how much is revoked, and how the server is.
    Stats {
        #[command(flatten)]
        place: Place,
    },
}

/// Where what is revoked is stored. A URL may hold a password, so it is no argument.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The journal of this machine. The server's URL is in SEALED_SESSION_REDIS_URL.
    #[arg(long, value_name = "FILE", env = "SEALED_SESSION_JOURNAL")]
    journal: Option<PathBuf>,
    /// What the keys on the server begin with, as the application says to RedisFeed::prefix.
    #[arg(long, value_name = "TEXT", default_value = "sealed-session")]
    prefix: String,
    /// How long to wait for the disk and for the server.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    wait: Duration,
}

/// What is done with the set, once it is open.
type Do = Box<dyn FnOnce(&Revocations) -> Result<Receipt, Full>>;

/// The set, and what keeps it, for as long as the tool runs.
struct Opened {
    set: Revocations,
    _journal: Option<Journal>,
    #[cfg(feature = "revocation-redis")]
    feed: Option<sealed_session::revocation::Feed>,
}

pub(crate) fn revoke(command: Revoke, out: &mut Output) -> Result<(), Failure> {
    let (place, told, revoked): (_, _, Do) = match command {
        Revoke::Session { place, id } => {
            (place, format!("the session {id}"), Box::new(move |set| set.revoke_session(id)))
        }
        Revoke::Subject { place, context, subject, hex } => {
            let bytes = if hex { unhex(&subject)? } else { subject.into_bytes() };
            let tag = SubjectTag::new(&context, bytes);
            let told = format!("the sessions of the {context} with the tag {tag}");
            (place, told, Box::new(move |set| set.revoke_subject(tag)))
        }
        Revoke::Before { place, time } => {
            let told = format!("all sessions that began before {}", rfc3339(time));
            (place, told, Box::new(move |set| set.revoke_before(time)))
        }
    };
    let opened = open(&place)?;
    let receipt = revoked(&opened.set).map_err(|full| Failure::Io(full.to_string()))?;
    match receipt.wait(place.wait) {
        Stored::Queued => Err(Failure::Io(opened.fault())),
        stored => {
            let replicated = stored == Stored::Replicated;
            if out.json {
                return out.print_json(&json!({ "revoked": told, "replicated": replicated }));
            }
            let how = if replicated { ", stored and replicated" } else { ", stored" };
            out.line(format_args!("ended {told}{how}"))
        }
    }
}

pub(crate) fn show(command: Show, out: &mut Output) -> Result<(), Failure> {
    let (Show::List { place } | Show::Stats { place }) = &command;
    let opened = open(place)?;
    opened.read(place.wait)?;
    let now = SystemTime::now();
    let mut entries: Vec<Revoked> = opened.set.list().collect();
    entries.sort_by_key(|entry| (entry.until, described(entry.target)));
    match command {
        Show::List { .. } if out.json => {
            out.print_json(&entries.iter().map(entry_json).collect::<Vec<_>>().into())
        }
        Show::List { .. } => {
            let row = |entry: &Revoked| {
                let (kind, which) = described(entry.target);
                let before = entry.before.map(rfc3339).unwrap_or_default();
                [kind, &which, &before, &when(entry.until, now)].map(Cell::new).into()
            };
            let rows: Vec<_> = entries.iter().map(row).collect();
            out.table(&["ENDS", "WHICH", "BEGUN BEFORE", "FORGOTTEN"], &rows)
        }
        Show::Stats { .. } => {
            let count =
                |kind| entries.iter().filter(|entry| described(entry.target).0 == kind).count();
            let (sessions, subjects) = (count("session"), count("subject"));
            let everything = entries.iter().find(|entry| entry.target == Target::Everything);
            let everything = everything.and_then(|entry| entry.before);
            let bytes = opened.set.bytes();
            if out.json {
                let everything = everything.map(rfc3339);
                return out.print_json(&json!({
                    "sessions": sessions, "subjects": subjects, "everything_before": everything,
                    "memory_bytes": bytes, "server": opened.server_json(),
                }));
            }
            out.field("sessions", sessions)?;
            out.field("subjects", subjects)?;
            let everything =
                everything.map_or("nothing".to_owned(), |t| format!("before {}", when(t, now)));
            out.field("all", everything)?;
            out.field("memory", format_args!("{bytes} bytes on each node"))?;
            opened.server_fields(out)
        }
    }
}

fn open(place: &Place) -> Result<Opened, Failure> {
    // Longer than any session lives. Nodes cut it to what theirs live.
    let set = Revocations::new(LONGEST);
    let url = std::env::var("SEALED_SESSION_REDIS_URL").ok();
    if place.journal.is_none() && url.is_none() {
        return Err(Failure::Usage(
            "give the journal with --journal, or the server's URL in SEALED_SESSION_REDIS_URL"
                .to_owned(),
        ));
    }
    if let Some(path) = place.journal.as_ref().filter(|path| !path.exists()) {
        // It would be the tool's user's own, and the nodes could not write to it.
        return Err(Failure::Io(format!(
            "there is no journal at {}; the nodes of the application make it",
            path.display()
        )));
    }
    let journal = place.journal.as_ref().map(|path| Journal::open(path, &set)).transpose();
    let _journal = journal.map_err(|error| Failure::Io(error.to_string()))?;
    #[cfg(not(feature = "revocation-redis"))]
    if url.is_some() {
        return Err(Failure::Usage(
            "this tool was built without the feature revocation-redis; unset SEALED_SESSION_REDIS_URL".to_owned(),
        ));
    }
    #[cfg(feature = "revocation-redis")]
    let feed = match url {
        Some(url) => {
            use sealed_session::revocation::{RedisFeed, WhenStale};
            let feed = RedisFeed::new(&url, WhenStale::Serve);
            let feed =
                feed.map_err(|error| Failure::Usage(format!("SEALED_SESSION_REDIS_URL: {error}")))?;
            Some(feed.prefix(&place.prefix).spawn(&set)?)
        }
        None => None,
    };
    Ok(Opened {
        set,
        _journal,
        #[cfg(feature = "revocation-redis")]
        feed,
    })
}

#[cfg(feature = "revocation-redis")]
impl Opened {
    /// Waits until all is read.
    fn read(&self, limit: Duration) -> Result<(), Failure> {
        match &self.feed {
            Some(feed) if !feed.wait(limit) => Err(Failure::Io(self.fault())),
            _ => Ok(()),
        }
    }

    fn fault(&self) -> String {
        let status = self.feed.as_ref().map(|feed| feed.status()).unwrap_or_default();
        match (&status.error, &self._journal) {
            (Some(error), _) => format!("the server does not answer: {error}"),
            (None, Some(journal)) if journal.fault().is_some() => {
                journal.fault().unwrap_or_default()
            }
            _ => "it was not stored in time; try again".to_owned(),
        }
    }

    fn server_json(&self) -> Value {
        let Some(status) = self.feed.as_ref().map(|feed| feed.status()) else { return Value::Null };
        let lag = status.lag.map(|lag| lag.as_millis().to_string());
        json!({ "address": status.server, "evicts": status.evicts, "lag_ms": lag })
    }

    fn server_fields(&self, out: &mut Output) -> Result<(), Failure> {
        let Some(status) = self.feed.as_ref().map(|feed| feed.status()) else { return Ok(()) };
        out.field("server", status.server.unwrap_or_default())?;
        if status.evicts {
            out.warn(
                "the server evicts keys when its memory is full; set maxmemory-policy noeviction",
            );
        }
        Ok(())
    }
}

#[cfg(not(feature = "revocation-redis"))]
impl Opened {
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "it is so with a server")]
    fn read(&self, _: Duration) -> Result<(), Failure> {
        Ok(())
    }

    fn fault(&self) -> String {
        let fault = self._journal.as_ref().and_then(Journal::fault);
        fault.unwrap_or_else(|| "it was not stored in time; try again".to_owned())
    }

    #[expect(clippy::unused_self, reason = "it is so with a server")]
    fn server_json(&self) -> Value {
        Value::Null
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "it is so with a server")]
    fn server_fields(&self, _: &mut Output) -> Result<(), Failure> {
        Ok(())
    }
}

fn described(target: Target) -> (&'static str, String) {
    match target {
        Target::Session(id) => ("session", id.to_string()),
        Target::Subject(tag) => ("subject", tag.to_string()),
        _ => ("everything", String::new()),
    }
}

fn entry_json(entry: &Revoked) -> Value {
    let (kind, which) = described(entry.target);
    let before = entry.before.map(rfc3339);
    json!({ "kind": kind, "which": which, "before": before, "until": rfc3339(entry.until) })
}

fn session_id(text: &str) -> Result<SessionId, String> {
    let bytes = unhex(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(SessionId::from_bytes).ok_or_else(|| "an id is 32 hexadecimal digits".to_owned())
}

fn time_or_now(text: &str) -> Result<SystemTime, String> {
    if text == "now" { Ok(SystemTime::now()) } else { time(text) }
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let told =
        || Failure::Usage("hexadecimal digits come in pairs of 0 to 9 and a to f".to_owned());
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits = text.as_bytes().iter().map(digit).collect::<Option<Vec<_>>>().ok_or_else(told)?;
    if !digits.len().is_multiple_of(2) {
        return Err(told());
    }
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// The longest absolute timeout that a codec takes.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
