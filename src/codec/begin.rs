//! Beginnings: what is set for a session when it begins.

use crate::message::lifetime::Lifetime;
use crate::message::session_id::SessionId;

/// How a session begins: see [`Codec::renew_with`](crate::Codec::renew_with). Unset, it is as the codec has it.
///
/// # Example: the id of a login, before the response is made
///
/// ```
/// use sealed_session::{Begin, Codec, Key, Lifetime};
///
/// let codec = Codec::<u64>::builder(Key::generate()?).session_ids().build()?;
/// let begin = Begin::new().id(codec.new_id()?).lifetime(Lifetime::new().browser_session());
/// // … a row in the list of the user's devices …
/// let set_cookies = codec.renew_with(&7, &codec.request([""]), begin)?;
/// assert_eq!(set_cookies.id(), begin.chosen_id());
/// # assert!(set_cookies.id().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a beginning does nothing until a session is sealed with it"]
pub struct Begin {
    pub(crate) lifetime: Lifetime,
    pub(crate) id: Option<SessionId>,
}

impl Begin {
    /// Creates a beginning that is as the codec has it.
    pub const fn new() -> Self {
        Self { lifetime: Lifetime::new(), id: None }
    }

    /// Sets how long the session lives.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the id of the session, which must be a new one: see [`Codec::new_id`](crate::Codec::new_id).
    pub fn id(mut self, id: impl Into<Option<SessionId>>) -> Self {
        self.id = id.into();
        self
    }

    /// Returns the id that was set.
    #[must_use]
    pub fn chosen_id(&self) -> Option<SessionId> {
        self.id
    }
}

impl From<Lifetime> for Begin {
    fn from(lifetime: Lifetime) -> Self {
        Self::new().lifetime(lifetime)
    }
}
