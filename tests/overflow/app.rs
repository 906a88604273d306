//! The application under test, and a browser before it.

use std::time::{Duration, SystemTime};

use sealed_session::store::BlobStore;
use sealed_session::web::{ChangeError, LoadError, Session};
use sealed_session::{Attached, Codec, Key};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shop {
    pub(crate) user: u32,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) tokens: Attached<String>,
}

/// A codec over this store; with the same key each time, as two nodes have.
pub(crate) fn codec(store: impl BlobStore) -> Codec<Shop> {
    let key = Key::from_bytes(*b"this key is public, never use it").unwrap();
    Codec::builder(key).overflow(store).build().unwrap()
}

/// The same, where a logout revokes.
#[cfg(feature = "revocation")]
pub(crate) fn revoking_codec(
    store: impl BlobStore,
    revoked: &sealed_session::revocation::Revocations,
) -> Codec<Shop> {
    let key = Key::from_bytes(*b"this key is public, never use it").unwrap();
    let builder = Codec::builder(key).overflow(store);
    builder.revocations(revoked.clone(), |_: &Shop| []).build().unwrap()
}

/// The codec of a node that has the key and no store.
pub(crate) fn without_store() -> Codec<Shop> {
    Codec::new(Key::from_bytes(*b"this key is public, never use it").unwrap())
}

/// What a handler may answer instead.
#[derive(Debug)]
pub(crate) enum Failure {
    Change(ChangeError),
    Load(LoadError),
}

/// What the handler at `/{deed}/{n}` does.
pub(crate) async fn act(deed: &str, n: usize, session: &Session<Shop>) -> Result<String, Failure> {
    match deed {
        "user" => {
            return Ok(session.get().map_or("nobody".into(), |shop| shop.user.to_string()));
        }
        "read" => {
            let read = session.get().map(|shop| format!("{} {}", shop.user, shop.text.len()));
            return Ok(read.unwrap_or("nobody".into()));
        }
        "reason" => {
            let reason = session.opened().map(|_| ());
            return Ok(reason.map_or_else(|error| error.to_string(), |()| "none".into()));
        }
        "token" => {
            let Some(shop) = session.get() else { return Ok("nobody".into()) };
            return match session.load(&shop.tokens).await {
                Ok(None) => Ok("no token".into()),
                Ok(Some(token)) => Ok(format!("token {}", token.len())),
                Err(error) if error.is_lost() && n == 1 => Ok("log in again".into()),
                Err(error) => Err(Failure::Load(error)),
            };
        }
        "login" => {
            let shop = Shop { user: 7, text: noise(n), tokens: Attached::default() };
            session.renew(shop).map_err(Failure::Change)?;
        }
        "write" => session.change(|shop| shop.text = noise(n)).map_err(Failure::Change)?,
        "attach" => session.change(|shop| shop.tokens.set(noise(n))).map_err(Failure::Change)?,
        "logout" => session.clear().map_err(Failure::Change)?,
        other => panic!("no such deed: {other}"),
    }
    Ok(deed.into())
}

/// A response, whichever framework made it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The new cookie, as a browser returns it; empty if it was removed.
    pub(crate) fn cookie(&self) -> Option<String> {
        let line = self.all("set-cookie").next()?;
        let pair = line.split(';').next().unwrap();
        Some(if line.contains("Max-Age=0") { String::new() } else { pair.to_owned() })
    }
}

/// A cookie as `codec` set it so long ago: what must be stored for it is left to the caller.
pub(crate) fn aged(
    codec: &Codec<Shop>,
    age: Duration,
    len: usize,
    tokens: Attached<String>,
) -> (String, sealed_session::SetCookies) {
    let shop = Shop { user: 7, text: noise(len), tokens };
    let request = codec.request::<_, str>([]);
    let set = codec.renew_at(&shop, &request, SystemTime::now() - age).unwrap();
    let pair = set.values().next().unwrap().split(';').next().unwrap().to_owned();
    (pair, set)
}

/// Text that nothing compresses.
pub(crate) fn noise(len: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + (state >> 40) as u8 % 95)
    };
    (0..len).map(|_| next()).collect()
}
