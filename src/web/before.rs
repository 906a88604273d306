//! What has to happen between the last handler and the head of the response.

use std::pin::Pin;

/// A future that the middleware waits for before it writes the head. It bounds its own time.
pub(super) type Before = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What becomes of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "without a feature that brings work, nothing has to happen")]
pub(super) enum Outcome {
    /// It goes out as it was settled.
    Send,
    /// It goes out, and no cookie is set: nobody asked for one, and the client's is good.
    WithoutCookies,
    /// A 503 goes out in its place, with `Retry-After: 1` and without a cookie.
    Refuse,
}
