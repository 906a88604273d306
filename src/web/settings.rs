//! What a middleware is set to.

use std::fmt;
use std::sync::Arc;

use crate::{Codec, Opened};

/// What becomes of a session that this node cannot read but another may, where a handler wants to write.
///
/// Set by `on_unreadable` of the middlewares; see [the page on operating](https://github.com/sealed-session/sealed-session/blob/main/docs/OPERATING.md)
/// for when to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is kept, and the write is refused by [`ChangeError::WouldReplace`](super::ChangeError::WouldReplace), a 503. The
    /// default: during a deploy, or before a key has arrived, no user is logged out.
    #[default]
    Keep,
    /// It is replaced by a session that begins anew, and a warning is logged: for when no node will read it again, after a
    /// bad release, say, or a key that was lost.
    Replace,
}

/// The codec of a middleware, and what the application decides.
pub(super) struct Settings<T> {
    pub(super) codec: Codec<T>,
    pub(super) accept: Option<Accept<T>>,
    pub(super) unreadable: Unreadable,
}

/// Returns whether the application takes a session that opened.
pub(super) type Accept<T> = Arc<dyn Fn(&Opened<T>) -> bool + Send + Sync>;

impl<T> Settings<T> {
    pub(super) fn new(codec: Codec<T>) -> Self {
        Self { codec, accept: None, unreadable: Unreadable::default() }
    }

    /// Returns whether the rules of both are the same.
    pub(super) fn same_rules(&self, other: &Self) -> bool {
        let same = match (&self.accept, &other.accept) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same && self.unreadable == other.unreadable
    }
}

impl<T> Clone for Settings<T> {
    fn clone(&self) -> Self {
        let Self { codec, accept, unreadable } = self;
        Self { codec: codec.clone(), accept: accept.clone(), unreadable: *unreadable }
    }
}

impl<T> fmt::Debug for Settings<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("codec", &self.codec)
            .field("accept", &self.accept.is_some())
            .field("unreadable", &self.unreadable)
            .finish()
    }
}
