//! What the errors of all rooms share.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The error of another crate, behind [`Error::source`](std::error::Error::source).
pub type Source = Arc<dyn Error + Send + Sync>;

/// Shows an error and, after colons, each of its sources.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    }
}
