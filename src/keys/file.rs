//! The key file: the keys of a ring with their times, as text.
//!
//! ```toml
//! [[key]]
//! id = "8a346e56"
//! key = "SEALED-SESSION-KEY-1-…"
//! created = 2026-11-01T00:00:00Z
//! activates = 2026-11-03T00:00:00Z
//! ```
//!
//! Only what somebody decided is stored. Whether a key is pending or primary follows from the times, so
//! that one file, the same on all nodes, promotes itself on all of them at the same moment.

use std::fmt::{self, Write as _};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;
use toml::value::Datetime;
use zeroize::Zeroizing;

use crate::cutoff::Cutoff;
use crate::error::Source;
use crate::keys::error::{KeyError, RingError};
use crate::keys::key::Key;
use crate::keys::key_id::KeyId;
use crate::keys::mask::{Masked, redact};
#[cfg(feature = "watch")]
use crate::keys::revocations::Revocations;
use crate::keys::ring::{KeyRing, RingKey};

/// The keys of a ring as a key file holds them, with what operators need to know about each.
///
/// # The format
///
/// TOML. At the top there may be `cutoff`, a time: sessions that began before it are refused, by whatever key they are
/// sealed. Then follows one table for each key, with these fields; any other field is an error:
///
/// | field | what | present |
/// |---|---|---|
/// | `id` | the id of the key | always; it must fit the key |
/// | `key` | the text form of the key: the secret | unless the key is revoked |
/// | `created` | when it was made | always |
/// | `activates` | from when it seals, if it is the newest by then; it opens at once | on keys that may seal |
/// | `retires` | from when it neither seals nor opens | if set |
/// | `state` | `"open-only"` or `"revoked"` | if decided so |
/// | `comment` | anything | if you like |
///
/// ```toml
/// [[key]]
/// id = "8a346e56"
/// key = "SEALED-SESSION-KEY-1-…"
/// created = 2026-11-01T00:00:00Z
/// activates = 2026-11-03T00:00:00Z
/// comment = "the first one"
/// ```
///
/// Times are those of RFC 3339 with an offset. There is no state for *pending*, *primary* and
/// *retired*: they follow from the times ([`KeyState`]), so the file need not change when they do.
///
/// # Example
///
/// ```
/// use sealed_session::{Key, KeyFile, KeyState};
///
/// let key = Key::generate()?;
/// let text = format!(
///     r#"
///         [[key]]
///         id = "{}"
///         key = "{}"
///         created = 2026-11-01T00:00:00Z
///         activates = 2026-11-03T00:00:00Z
///     "#,
///     key.id(),
///     *key.expose_text(),
/// );
/// let file: KeyFile = text.parse()?;
/// let november_7 = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_794_009_600);
/// assert_eq!(file.keys_at(november_7)[0].state, KeyState::Primary);
/// let ring = file.ring_at(november_7)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct KeyFile {
    /// In whole seconds.
    pub(crate) cutoff: Cutoff,
    /// In the order of activation.
    pub(crate) records: Vec<Record>,
}

/// One key of a file, with its secret.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: KeyId,
    pub(crate) role: Role,
    pub(crate) created: SystemTime,
    /// Kept where it means nothing any more, so that the file tells the key's history.
    pub(crate) activates: Option<SystemTime>,
    pub(crate) retires: Option<SystemTime>,
    pub(crate) comment: Option<String>,
}

/// What somebody decided about a key.
#[derive(Debug)]
pub(crate) enum Role {
    /// It seals from its activation on, if it is the newest.
    Seals(Key),
    OpensOnly(Key),
    Revoked,
}

impl Record {
    /// Returns the time from which the key may seal.
    pub(crate) fn seals_from(&self) -> Option<SystemTime> {
        self.activates.filter(|_| matches!(self.role, Role::Seals(_)))
    }

    pub(crate) fn retired(&self, now: SystemTime) -> bool {
        self.retires.is_some_and(|at| at <= now)
    }

    fn print(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\n[[key]]\nid = \"{}\"", self.id)?;
        let state = match &self.role {
            Role::Seals(_) => None,
            Role::OpensOnly(_) => Some(OPEN_ONLY),
            Role::Revoked => Some(REVOKED),
        };
        if let Role::Seals(key) | Role::OpensOnly(key) = &self.role {
            writeln!(out, "key = \"{}\"", *key.expose_text())?;
        }
        writeln!(out, "created = {}", Rfc3339Utc(self.created))?;
        if let Some(at) = self.activates {
            writeln!(out, "activates = {}", Rfc3339Utc(at))?;
        }
        if let Some(at) = self.retires {
            writeln!(out, "retires = {}", Rfc3339Utc(at))?;
        }
        if let Some(state) = state {
            writeln!(out, "state = \"{state}\"")?;
        }
        if let Some(comment) = &self.comment {
            writeln!(out, "comment = {}", Quoted(comment))?;
        }
        Ok(())
    }
}

/// What a key file says about one key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its id.
    pub id: KeyId,
    /// What it may do at the time asked for.
    pub state: KeyState,
    /// When it was made.
    pub created: SystemTime,
    /// From when it seals, if it is the newest by then.
    pub activates: Option<SystemTime>,
    /// From when it neither seals nor opens.
    pub retires: Option<SystemTime>,
    /// What somebody wrote about it.
    pub comment: Option<String>,
}

/// What a key may do at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// It opens, and seals later: its activation has not come.
    Pending,
    /// It seals.
    Primary,
    /// It opens: a newer one seals, or it was never to seal.
    OpenOnly,
    /// Its time is over: it neither seals nor opens.
    Retired,
    /// All that it sealed is refused.
    Revoked,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Primary => "primary",
            Self::OpenOnly => OPEN_ONLY,
            Self::Retired => "retired",
            Self::Revoked => REVOKED,
        })
    }
}

impl KeyFile {
    /// Reads a key file from wherever it comes, to the end.
    ///
    /// # Errors
    ///
    /// As `str::parse`; [`KeyFileError::Read`] when reading fails.
    pub fn read(from: impl Read) -> Result<Self, KeyFileError> {
        Text::read(from)?.parse()
    }

    /// Creates the ring that this file describes.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::ring_at`].
    pub fn ring(&self) -> Result<KeyRing, KeyFileError> {
        self.ring_at(SystemTime::now())
    }

    /// Creates the ring that this file describes, if a key may seal at the time `now`.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::NoActiveKey`] and [`KeyFileError::PrimaryRetired`] where none may;
    /// [`KeyFileError::Ring`] as from [`KeyRing::new`].
    pub fn ring_at(&self, now: SystemTime) -> Result<KeyRing, KeyFileError> {
        self.check_at(now)?;
        let ring = KeyRing::new(self.ring_keys()).map_err(KeyFileError::Ring)?;
        ring.cut_off(self.cutoff);
        Ok(ring)
    }

    /// Returns the time before which no session may have begun, if the file has one.
    #[must_use]
    pub fn cutoff(&self) -> Option<SystemTime> {
        cutoff_time(self.cutoff)
    }

    /// Returns the keys for [`KeyRing::new`] or [`KeyRing::replace`]. The cutoff of the file goes another way:
    /// [`KeyRing::refuse_before`].
    pub fn ring_keys(&self) -> impl Iterator<Item = RingKey> {
        self.records.iter().map(|record| {
            let key = match &record.role {
                Role::Seals(key) => {
                    let from = record.activates.unwrap_or(record.created);
                    RingKey::new(key.copy()).activates(from)
                }
                Role::OpensOnly(key) => RingKey::open_only(key.copy()),
                Role::Revoked => RingKey::revoked(record.id),
            };
            match record.retires {
                Some(at) => key.retires(at),
                None => key,
            }
        })
    }

    /// Returns what the file says about its keys, at the time `now`: oldest first.
    #[must_use]
    pub fn keys_at(&self, now: SystemTime) -> Vec<KeyInfo> {
        let primary = self.primary_at(now);
        let info = |record: &Record| {
            let pending = record.seals_from().is_some_and(|from| from > now);
            let state = match record.role {
                Role::Revoked => KeyState::Revoked,
                _ if record.retired(now) => KeyState::Retired,
                _ if primary == Some(record.id) => KeyState::Primary,
                _ if pending => KeyState::Pending,
                _ => KeyState::OpenOnly,
            };
            let Record { id, created, activates, retires, .. } = *record;
            KeyInfo { id, state, created, activates, retires, comment: record.comment.clone() }
        };
        self.records.iter().map(info).collect()
    }

    /// Prints the file, secrets included.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        let comments: usize = self.records.iter().flat_map(|r| &r.comment).map(String::len).sum();
        let len = HEAD.len() + 512 * self.records.len() + 6 * comments;
        let mut out = Zeroizing::new(String::with_capacity(len));
        out.push_str(HEAD);
        if let Some(cutoff) = self.cutoff() {
            let _ = writeln!(out, "\n{CUTOFF} = {}", Rfc3339Utc(cutoff));
        }
        for record in &self.records {
            // Writing to a string cannot fail.
            let _ = record.print(&mut out);
        }
        out
    }

    /// Returns the ids of all keys.
    #[cfg(feature = "watch")]
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        self.records.iter().map(|record| record.id).collect()
    }

    /// What the file takes back.
    #[cfg(feature = "watch")]
    pub(crate) fn revocations(&self) -> Revocations {
        let revoked = self.records.iter().filter(|r| matches!(r.role, Role::Revoked));
        Revocations { ids: revoked.map(|record| record.id).collect(), cutoff: self.cutoff }
    }

    /// Returns the id of the key that seals at the time `now`: of those that may, the newest.
    pub(crate) fn primary_at(&self, now: SystemTime) -> Option<KeyId> {
        let may = |record: &&Record| {
            !record.retired(now) && record.seals_from().is_some_and(|from| from <= now)
        };
        self.records.iter().filter(may).max_by_key(|record| record.seals_from()).map(|r| r.id)
    }

    /// Checks that a key may seal at the time `now`, and that it is the one that should.
    pub(crate) fn check_at(&self, now: SystemTime) -> Result<(), KeyFileError> {
        let from = |record: &Record| record.seals_from();
        let newest = self
            .records
            .iter()
            .filter(|record| from(record).is_some_and(|from| from <= now))
            .max_by_key(|record| from(record));
        match newest {
            Some(newest) if newest.retired(now) => Err(KeyFileError::PrimaryRetired(newest.id)),
            Some(_) => Ok(()),
            None => Err(KeyFileError::NoActiveKey),
        }
    }

    /// Puts the keys into the order of the file: oldest first.
    pub(crate) fn sort(&mut self) {
        self.records.sort_by_key(|record| (record.activates, record.created, record.id));
    }

    /// Checks what holds at any time.
    pub(crate) fn check(&self) -> Result<(), KeyFileError> {
        for record in &self.records {
            if let Role::Seals(key) | Role::OpensOnly(key) = &record.role {
                key.check_private().map_err(KeyFileError::NotPrivate)?;
            }
        }
        KeyRing::new(self.ring_keys()).map(|_| ()).map_err(KeyFileError::Ring)
    }
}

impl std::str::FromStr for KeyFile {
    type Err = KeyFileError;

    /// Reads the text of a key file. Whether a key may seal *now* is asked by [`KeyFile::ring`].
    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        if text.trim().is_empty() {
            return Err(KeyFileError::Empty);
        }
        let masked = Masked::new(text);
        let line = |at: usize| {
            let before = masked.text.get(..at).unwrap_or(&masked.text);
            before.bytes().filter(|byte| *byte == b'\n').count() + 1
        };
        let raw: RawFile = toml::from_str(&masked.text).map_err(|error| {
            let line = error.span().map_or(1, |span| line(span.start));
            let mut reason = redact(error.message());
            if reason.starts_with("unknown field") {
                reason.push_str("; if a newer release wrote it, upgrade this program first");
            }
            KeyFileError::Syntax { line, reason }
        })?;
        let mut file = Self::default();
        if let Some(time) = raw.cutoff {
            let time = OffsetDateTime::parse(&time.to_string(), &Rfc3339);
            file.cutoff = Cutoff::before(time.map_err(|_| KeyFileError::Cutoff)?.into());
        }
        for raw in raw.keys {
            let line = line(raw.span().start);
            let refuse = |problem| KeyFileError::Key { line, problem };
            let record = Record::read(raw.into_inner(), &masked).map_err(refuse)?;
            if file.records.iter().any(|known| known.id == record.id) {
                return Err(refuse(KeyProblem::Duplicate(record.id)));
            }
            file.records.push(record);
        }
        if file.records.is_empty() {
            return Err(KeyFileError::NoKeys);
        }
        file.sort();
        file.check()?;
        Ok(file)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    cutoff: Option<Datetime>,
    #[serde(default, rename = "key")]
    keys: Vec<Spanned<RawKey>>,
}

/// One key as it was parsed: masked, and so no secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    id: String,
    key: Option<String>,
    created: Datetime,
    activates: Option<Datetime>,
    retires: Option<Datetime>,
    state: Option<String>,
    comment: Option<String>,
}

impl Record {
    fn read(raw: RawKey, masked: &Masked<'_>) -> Result<Self, KeyProblem> {
        let id: KeyId = raw.id.parse().map_err(KeyProblem::Key)?;
        let key = raw.key.map(|text| {
            masked.unmask(&text).parse().and_then(|key: Key| key.check_private().map(|()| key))
        });
        let key = key.transpose().map_err(KeyProblem::Key)?;
        if let Some(key) = &key
            && key.id() != id
        {
            return Err(KeyProblem::OtherId { written: id, found: key.id() });
        }
        let role = match (raw.state.as_deref(), key) {
            (None, Some(key)) => Role::Seals(key),
            (Some(OPEN_ONLY), Some(key)) => Role::OpensOnly(key),
            (None | Some(OPEN_ONLY), None) => return Err(KeyProblem::NoSecret(id)),
            (Some(REVOKED), None) => Role::Revoked,
            (Some(REVOKED), Some(_)) => return Err(KeyProblem::RevokedSecret(id)),
            (Some(_), _) => return Err(KeyProblem::State(id)),
        };
        if matches!(role, Role::Seals(_)) && raw.activates.is_none() {
            return Err(KeyProblem::NoActivation(id));
        }
        let time = |time: Option<Datetime>| time.map(|time| parse_time(id, &time)).transpose();
        Ok(Self {
            id,
            role,
            created: parse_time(id, &raw.created)?,
            activates: time(raw.activates)?,
            retires: time(raw.retires)?,
            comment: raw.comment.map(|comment| masked.unmask(&comment).to_string()),
        })
    }
}

fn parse_time(id: KeyId, time: &Datetime) -> Result<SystemTime, KeyProblem> {
    let parsed = OffsetDateTime::parse(&time.to_string(), &Rfc3339);
    parsed.map(|time| whole(time.into())).map_err(|_| KeyProblem::Time(id))
}

/// Returns the time of a cutoff, unless it ends nothing.
pub(crate) fn cutoff_time(cutoff: Cutoff) -> Option<SystemTime> {
    let seconds = Some(cutoff.as_secs()).filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Cuts a time to whole seconds, and to what RFC 3339 can write.
pub(crate) fn whole(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs().min(YEAR_9999))
}

/// Shows a time as RFC 3339 in UTC.
pub(crate) struct Rfc3339Utc(pub(crate) SystemTime);

impl fmt::Display for Rfc3339Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from(whole(self.0));
        f.write_str(&time.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// Shows a basic string of TOML.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// The reason why a key file gave no ring, or could not be changed.
///
/// No message holds a part of a key.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Reading failed.
    #[error("the key file cannot be read: {0}")]
    Read(Source),
    /// The file cannot be opened.
    #[error("the key file {} cannot be opened: {error}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: Source,
    },
    /// Others than the owner can read the file.
    #[error(
        "the key file {} has mode {mode:04o}, so others can read the keys; run `chmod 600` on it, or \
         load it with KeySource::mount if it lies on a mount that guards it", .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is a directory, a device or the like.
    #[error("the key file {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// systemd gave this process no credentials.
    #[error(
        "CREDENTIALS_DIRECTORY is not set; give the unit a line LoadCredential={0}:/path/to/the/key/file"
    )]
    NoCredentials(String),
    /// It is longer than a file of 64 keys can be: 64 KiB.
    #[error("the key file is longer than 64 KiB; is it the right one?")]
    TooLong,
    /// It is not UTF-8.
    #[error("the key file is not UTF-8 text; is it the right one?")]
    NotText,
    /// It is no TOML, or has a field that key files do not have.
    #[error("line {line} of the key file: {reason}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What the parser says, without long words, which may be secrets.
        reason: String,
    },
    /// One of the keys is wrong.
    #[error("the key at line {line} of the key file: {problem}")]
    Key {
        /// The line of its `[[key]]`, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// There is nothing in the file.
    #[error("the key file is empty; remove it, and then make one with `sealed-session ring init`")]
    Empty,
    /// There is no key in the file.
    #[error(
        "the key file has no keys; add a [[key]], or remove the file and make one with `sealed-session ring init`"
    )]
    NoKeys,
    /// The cutoff is not a time.
    #[error("`cutoff` has no date or no offset; write a time like 2026-11-03T00:00:00Z")]
    Cutoff,
    /// A key is one that everybody knows.
    #[error("{0}")]
    NotPrivate(KeyError),
    /// A key of the ring is revoked, and the file takes that back.
    #[error(
        "the key {0} is revoked in the running ring, which is final, and the file uses it again; is it an old one? \
         Revoke the key in it too, or restart the nodes if the key did not leak"
    )]
    TakenBack(KeyId),
    /// Something is wrong with what is in a file, or in the output of a command.
    #[error("{place}: {error}")]
    In {
        /// The path of the file, or the name of the command.
        place: String,
        /// What is wrong.
        error: Box<Self>,
    },
    /// Others can exchange the file, so that root does not read it.
    #[error("the key file {} is not read by root, because {reason}", .path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// The command that prints the key file cannot be run.
    #[error("the command {program} cannot be run: {error}")]
    Command {
        /// The program.
        program: String,
        /// What the operating system says.
        error: Source,
    },
    /// The command failed. What it printed is not looked at.
    #[error("the command {program} failed with {status}; its standard error says why")]
    CommandFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
    },
    /// The command took too long, and was ended.
    #[error("the command {program} was ended, because it took longer than {} s", .timeout.as_secs_f64())]
    CommandSlow {
        /// The program.
        program: String,
        /// How long it may take.
        timeout: Duration,
    },
    /// No key has reached its activation.
    #[error("no key of the file is active yet; set `activates` of one to a time that has passed")]
    NoActiveKey,
    /// The key that should seal is past its retirement.
    #[error(
        "the key {0} should seal, but it has retired; run `sealed-session ring rotate`, which lets it seal \
         until there is a newer key"
    )]
    PrimaryRetired(KeyId),
    /// The keys are no ring together.
    #[error("{0}; correct the key file")]
    Ring(RingError),
    /// There is one already, and a key file is never overwritten.
    #[error(
        "there is a key file {} already, and it is never overwritten; `sealed-session ring list` shows what is in it",
        .0.display()
    )]
    Exists(PathBuf),
    /// The file lies where nothing can be written.
    #[error(
        "the key file {} lies on a read-only file system; change it where it is kept, and bring it here as before",
        .0.display()
    )]
    ReadOnly(PathBuf),
    /// The lock file, which keeps others from changing the key file meanwhile, cannot be had.
    #[error(
        "the lock file {} cannot be opened: {error}; give it the owner of the key file, with mode 0600",
        .path.display()
    )]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the operating system says.
        error: Source,
    },
    /// Somebody else has held the lock for half a minute.
    #[error(
        "the lock file {} is held by another process, which may be changing the key file; when it has \
         ended, try again", .0.display()
    )]
    Locked(PathBuf),
    /// Writing failed; the file is as it was.
    #[error("the key file {} cannot be written: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: Source,
    },
}

impl KeyFileError {
    /// Adds where it was found, if that is not known yet.
    pub(crate) fn found_in(self, place: String) -> Self {
        match self {
            Self::TooLong
            | Self::NotText
            | Self::Syntax { .. }
            | Self::Key { .. }
            | Self::Empty
            | Self::NoKeys
            | Self::Cutoff
            | Self::Ring(_) => Self::In { place, error: Box::new(self) },
            known => known,
        }
    }
}

/// The bytes of a key file, which are wiped when dropped.
pub(crate) struct Text {
    bytes: Zeroizing<Vec<u8>>,
    len: usize,
}

impl Text {
    /// Reads to the end, or as much as shows that it is too long.
    pub(crate) fn read(mut from: impl Read) -> Result<Self, KeyFileError> {
        // Sized once, so that no part of the secrets stays behind in a smaller allocation.
        let mut bytes = Zeroizing::new(vec![0; MAX_LEN + 1]);
        let mut len = 0;
        loop {
            let rest = bytes.get_mut(len..).unwrap_or_default();
            match from.read(rest) {
                Ok(0) => return Ok(Self { bytes, len }),
                Ok(read) => len += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(KeyFileError::Read(Arc::new(error))),
            }
        }
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.len > MAX_LEN
    }

    pub(crate) fn parse(&self) -> Result<KeyFile, KeyFileError> {
        if self.is_too_long() {
            return Err(KeyFileError::TooLong);
        }
        std::str::from_utf8(self.bytes()).map_err(|_| KeyFileError::NotText)?.parse()
    }

    /// Finds what the text takes back, whether it is a key file or not.
    #[cfg(feature = "watch")]
    pub(crate) fn revocations(&self) -> Revocations {
        // What follows a byte that is no text is none of ours.
        Revocations::find(self.bytes().utf8_chunks().next().map_or("", |chunk| chunk.valid()))
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What is wrong with one key of a file.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The key or its id is damaged.
    #[error("{}{}", .0, .0.mend())]
    Key(KeyError),
    /// The id belongs to another key.
    #[error("`id` says {written}, but the key has the id {found}; correct the one or the other")]
    OtherId {
        /// The id in the file.
        written: KeyId,
        /// The id of the key in the file.
        found: KeyId,
    },
    /// The key stands in the file twice.
    #[error("{0} stands in the file twice; take one of the two out")]
    Duplicate(KeyId),
    /// The secret is absent, though the key is to be used.
    #[error("{0} has no `key`; add it, or write `state = \"revoked\"`")]
    NoSecret(KeyId),
    /// The secret is there, though the key is revoked.
    #[error("{0} is revoked and needs no secret; take its line `key` out")]
    RevokedSecret(KeyId),
    /// The state is none that can be stored.
    #[error(
        "{0} has a `state` that is neither \"open-only\" nor \"revoked\"; leave it out to let the \
         key seal: pending and primary follow from `activates`"
    )]
    State(KeyId),
    /// When the key is to seal is not said.
    #[error("{0} has no `activates`; add it, or write `state = \"open-only\"`")]
    NoActivation(KeyId),
    /// A time is not complete.
    #[error("{0} has a time without date or offset; write times like 2026-11-03T00:00:00Z")]
    Time(KeyId),
}

/// The name of the time before which no session may have begun.
pub(crate) const CUTOFF: &str = "cutoff";

const OPEN_ONLY: &str = "open-only";
pub(crate) const REVOKED: &str = "revoked";

const HEAD: &str = "\
# Keys of sealed-session. Whoever reads this file can forge every session: keep it at mode 0600.
# The tool `sealed-session ring` keeps `comment`, but not lines like this one.
";

/// Far more than 64 keys take.
pub(crate) const MAX_LEN: usize = 64 * 1024;

/// The last second of the year 9999.
pub(crate) const YEAR_9999: u64 = 253_402_300_799;
