//! Session ids.

/// The name of one session, from login to logout, by 16 random bytes.
///
/// Absent unless [`Builder::session_ids`](crate::Builder::session_ids) asks for it. Shown as 32
/// hexadecimal digits. It is sealed with the session, so clients do not see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) [u8; SessionId::LEN]);

impl SessionId {
    pub(crate) const LEN: usize = 16;

    /// Creates the id from its 16 bytes, such as those of a row in a list of devices.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes, for a database or a deny list.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionId({self})")
    }
}
