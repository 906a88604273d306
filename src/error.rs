//! What the errors of all rooms share.

use std::sync::Arc;

/// Carries the error of another crate behind [`Error::source`](std::error::Error::source).
pub type Source = Arc<dyn std::error::Error + Send + Sync>;
