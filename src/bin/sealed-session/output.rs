//! What the tool prints: text for people, JSON for machines.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use sealed_session::{DecodeError, EncodeError, KeyFileError, PolicyError};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::printable::{printable, printable_json};

/// Prints to the standard output, with colours where a terminal shows them.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

/// The reason why the tool did not do what it was told.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no.
    No(&'static str, String),
    /// Wrong usage, beyond what the parser of arguments sees.
    Usage(String),
    /// A file or an input could not be read or written.
    Io(String),
    /// The change would log users out.
    Unsafe(String),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::No(..) => 1,
            Self::Usage(_) => 2,
            Self::Io(_) => 3,
            Self::Unsafe(_) => 4,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::No(kind, _) => kind,
            Self::Usage(_) => "usage",
            Self::Io(_) => "io",
            Self::Unsafe(_) => "unsafe",
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::No(_, text) | Self::Usage(text) | Self::Io(text) | Self::Unsafe(text) => text,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let text = error.to_string();
        match error {
            KeyFileError::Exposed { path, mode } => Self::Io(format!(
                "the key file {} has mode {mode:04o}, so others can read the keys; run `chmod 600` on it, \
                 or give it as `--keys -` on the standard input if it lies on a mount that guards it",
                path.display()
            )),
            KeyFileError::Read(_)
            | KeyFileError::Open { .. }
            | KeyFileError::Untrusted { .. }
            | KeyFileError::ReadOnly(_)
            | KeyFileError::Command { .. }
            | KeyFileError::CommandFailed { .. }
            | KeyFileError::CommandSlow { .. }
            | KeyFileError::Exists(_)
            | KeyFileError::Lock { .. }
            | KeyFileError::Locked(_)
            | KeyFileError::Write { .. }
            | KeyFileError::NotAFile(_) => Self::Io(text),
            _ => Self::No("key_file", text),
        }
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::File(error) => error.into(),
            PolicyError::NotAnnounced { .. } => {
                Self::Unsafe(format!("{error}; --force overrides this"))
            }
            PolicyError::NoSuccessor(_)
            | PolicyError::OnlyPending { .. }
            | PolicyError::Pending(_) => Self::Unsafe(error.to_string()),
            PolicyError::KeepTooShort { .. }
            | PolicyError::EveryTooShort { .. }
            | PolicyError::TooLong { .. }
            | PolicyError::CutoffAhead(_) => Self::Usage(error.to_string()),
            PolicyError::Key(_) => Self::Io(error.to_string()),
            _ => Self::No("ring", error.to_string()),
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::No("refused", error.to_string())
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self::No("not_sealed", error.to_string())
    }
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a line of text; nothing in JSON.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        if !self.json {
            ended(writeln!(anstream::stdout(), "{text}"))?;
        }
        Ok(())
    }

    pub(crate) fn print_json(&mut self, value: &Value) -> Result<(), Failure> {
        ended(writeln!(io::stdout(), "{}", printable_json(&format!("{value:#}"))))
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        ended(io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()))
    }

    /// Prints rows under a head, each column as wide as its widest cell.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        let mut widths: Vec<usize> = head.iter().map(|name| name.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let whole = widths.iter().map(|width| width + 2).sum::<usize>().saturating_sub(2);
        if width().is_some_and(|width| width < whole) {
            return self.list(head, rows);
        }
        let head: Vec<Cell> = head.iter().map(|name| Cell::styled(name, DIM)).collect();
        for row in std::iter::once(&head).chain(rows) {
            let mut line = String::new();
            for (Cell { text, style }, width) in row.iter().zip(&widths) {
                if !text.is_empty() {
                    line += &format!("{style}{text}{style:#}");
                }
                line += &" ".repeat(width.saturating_sub(text.chars().count()) + 2);
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Prints rows one under the other, where they are too wide for a table.
    fn list(&mut self, head: &[&str], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        let width = head.iter().map(|name| name.chars().count()).max().unwrap_or_default() + 2;
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                self.line("")?;
            }
            for (name, Cell { text, style }) in head.iter().zip(row) {
                if !text.is_empty() {
                    self.line(format_args!("{DIM}{name:<width$}{DIM:#}{style}{text}{style:#}"))?;
                }
            }
        }
        Ok(())
    }

    /// Prints a name and what there is to say of it.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) -> Result<(), Failure> {
        self.line(format_args!("{DIM}{name:<10}{DIM:#}{value}"))
    }

    /// Prints something beside the output.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{DIM}{text}{DIM:#}");
    }

    pub(crate) fn warn(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning:{YELLOW:#} {text}");
    }

    /// Prints a failure, if there is one, and gives the exit code.
    pub(crate) fn end(&self, done: Result<(), Failure>) -> ExitCode {
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                self.fail(&failure);
                ExitCode::from(failure.code())
            }
        }
    }

    fn fail(&self, failure: &Failure) {
        let message = printable(failure.message());
        let _ = if self.json {
            let kind = failure.kind();
            let value = serde_json::json!({ "error": { "kind": kind, "message": message } });
            writeln!(io::stderr(), "{}", printable_json(&format!("{value:#}")))
        } else {
            writeln!(anstream::stderr(), "{RED}error:{RED:#} {message}")
        };
    }

    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }
}

/// Allows a reader to stop, as `head` has: what we answer does not depend on it.
fn ended(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Returns the standard input, unless somebody sits there who may not know that he is waited for.
pub(crate) fn piped(what: &str) -> Result<io::Stdin, Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(Failure::Usage(format!("nothing on the standard input; pipe {what} in")));
    }
    Ok(input)
}

/// Returns the columns of the terminal, if there is one.
fn width() -> Option<usize> {
    if let Some(columns) = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()) {
        return Some(columns);
    }
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(width.0.into())
}

/// One cell of a table.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Display) -> Self {
        Self::styled(text, Style::new())
    }

    pub(crate) fn styled(text: impl Display, style: Style) -> Self {
        Self { text: text.to_string(), style }
    }
}

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Formats a time as RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "after the year 9999".to_owned())
}

/// Formats a time, and how far from now it is.
pub(crate) fn when(time: SystemTime, now: SystemTime) -> String {
    format!("{} ({})", rfc3339(time), from_now(time, now))
}

/// Formats how far from now a time is.
pub(crate) fn from_now(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        Ok(ahead) if ahead.as_secs() == 0 => "now".to_owned(),
        Ok(ahead) => format!("in {}", roughly(ahead)),
        Err(past) if past.duration().as_secs() == 0 => "now".to_owned(),
        Err(past) => format!("{} ago", roughly(past.duration())),
    }
}

/// Formats a duration in its largest unit of which there are two.
pub(crate) fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, name) = UNITS
        .into_iter()
        .map(|(name, unit)| (unit, name))
        .find(|(unit, _)| seconds >= 2 * unit)
        .unwrap_or((1, 's'));
    format!("{} {name}", seconds / unit)
}

/// Reads a duration such as `30d`, `12h`, `90s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let told = || "a duration is a number and one of s, m, h, d: 30d, 12h, 90s".to_owned();
    let unit = text.chars().next_back().ok_or_else(told)?;
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(told)?;
    let (number, _) = text.split_at(text.len() - 1);
    let number = number.trim_end().parse::<u32>().map_err(|_| told())?;
    let duration = Duration::from_secs(u64::from(number) * unit);
    if duration > LONGEST {
        return Err("a duration is 10 years at most".to_owned());
    }
    Ok(duration)
}

/// As the library has it for a policy.
const LONGEST: Duration = Duration::from_secs(3652 * 86_400);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
