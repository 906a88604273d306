//! Client-side sessions in sealed cookies.

mod attributes;
mod builder;
mod chunk;
mod codec;
mod envelope;
mod error;
mod fields;
mod format;
mod key;
mod limits;
mod open;
mod pack;
mod request;
mod ring;
mod seal;
mod set_cookies;
mod text;
mod time;
mod write;

pub use attributes::{Persistence, SameSite};
pub use builder::{Builder, Padding};
pub use codec::{Codec, Opened, Reseal};
pub use envelope::SessionId;
pub use error::{
    Advice, ConfigError, DecodeError, EncodeError, Expiry, FieldSize, KeyError, Limit, RingError,
    Source, TooLarge,
};
pub use format::Format;
pub use key::{Key, KeyId};
pub use limits::{Cost, Limits};
pub use pack::Compression;
pub use request::Request;
pub use ring::{KeyRing, RingKey};
pub use set_cookies::SetCookies;
