//! What the errors of all rooms share.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The error of another crate, behind [`Error::source`](std::error::Error::source).
pub type Source = Arc<dyn Error + Send + Sync>;

/// Shows an error and, after colons, each of its sources, in one line: the message of an application's own `Serialize` may
/// hold what users wrote.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn Error);

/// Escapes control characters.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            c if c.is_control() => write!(self.0, "{}", c.escape_default()),
            c => self.0.write_char(c),
        })
    }
}

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut OneLine(f);
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the {0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn an_error_is_shown_with_all_that_caused_it() {
        let cause = Layer("middle", Some(Box::new(Layer("cause", None))));
        assert_eq!(Causes(&cause).to_string(), "the middle: the cause");
        assert_eq!(Causes(&Layer("end", None)).to_string(), "the end");
        let lines = Layer("a\nb\u{1b}[31m", Some(Box::new(Layer("é\r\u{85}", None))));
        assert_eq!(Causes(&lines).to_string(), "the a\\nb\\u{1b}[31m: the é\\r\\u{85}");
    }
}
