//! Errors: why what is inside the seal gives no session.

use crate::error::Source;

/// The reason why a message that was authentic gives no session.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum MessageError {
    /// It does not follow the format of the envelope or of the packing.
    #[error("the sealed message is malformed")]
    Malformed,
    /// Its format is not compiled in, or a part of it is of a later release.
    #[error("the format of the session is not read by this node")]
    UnsupportedFormat,
    /// The session does not fit its type.
    #[error("the session does not fit its type")]
    Deserialize(#[source] Source),
}
