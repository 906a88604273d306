//! The values of another library's cookie in a request.

use std::borrow::Cow;
use std::fmt;

/// The different values of one name, found as ours are: in the bytes of the header, with nothing decoded.
#[derive(Clone, Default)]
pub(crate) struct OldValues<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> OldValues<'a> {
    /// Adds those among the cookies of one header whose names begin with this one's.
    pub(crate) fn add(&mut self, cookies: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        for (rest, value) in cookies {
            if rest.is_empty()
                && self.0.len() < MAX_VALUES
                && self.iter().all(|known| known != value)
            {
                self.0.push(Cow::Borrowed(value));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|value| &**value)
    }

    pub(crate) fn into_owned(self) -> OldValues<'static> {
        let own = |value: Cow<'_, [u8]>| Cow::Owned(value.into_owned());
        OldValues(self.0.into_iter().map(own).collect())
    }
}

/// Shows no value: whoever reads it in a log is logged in.
impl fmt::Debug for OldValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OldValues({})", self.0.len())
    }
}

/// The same name can come more than once, when a sibling domain or another path sets it too. Each value is tried, so
/// their number bounds the work.
const MAX_VALUES: usize = 4;
