//! Formats: how a session becomes bytes. The tag of the format is sealed with the session, so a codec
//! opens every format compiled in, and a change of format logs nobody out.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bytes::secret_bytes::SecretBytes;
use crate::error::Source;
use crate::message::error::MessageError;
use crate::message::fields::{Recorded, Sink, SpanRecorder};

/// The formats in which a session can be serialized.
///
/// A session type must not contain itself (a tree, say): the formats bound the depth of lists and maps
/// to 128 levels, but not that of enums, and the positional ones bound none.
///
/// In the named formats two versions of a struct read each other: a removed field is ignored, an added
/// one needs only `#[serde(default)]`, the order does not matter. The positional formats store no
/// names; reading with a changed struct may give a *wrong* session, so they demand a
/// [`Builder::schema`](crate::Builder::schema) number that changes with the struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// MessagePack with named fields. The default: safe for rolling deploys, and compact.
    #[default]
    MessagePack,
    /// JSON, for people who debug.
    #[cfg(feature = "json")]
    Json,
    /// postcard (wire format 1): positional.
    #[cfg(feature = "postcard")]
    Postcard,
    /// bincode 2 in its standard configuration: positional. The project has ended
    /// (RUSTSEC-2025-0141); for those who have it already.
    #[cfg(feature = "bincode")]
    Bincode,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessagePack => "MessagePack",
            #[cfg(feature = "json")]
            Self::Json => "JSON",
            #[cfg(feature = "postcard")]
            Self::Postcard => "postcard",
            #[cfg(feature = "bincode")]
            Self::Bincode => "bincode",
        })
    }
}

impl Format {
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::MessagePack => 1,
            #[cfg(feature = "json")]
            Self::Json => 2,
            #[cfg(feature = "postcard")]
            Self::Postcard => 3,
            #[cfg(feature = "bincode")]
            Self::Bincode => 4,
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::MessagePack),
            #[cfg(feature = "json")]
            2 => Some(Self::Json),
            #[cfg(feature = "postcard")]
            3 => Some(Self::Postcard),
            #[cfg(feature = "bincode")]
            4 => Some(Self::Bincode),
            _ => None,
        }
    }

    pub(crate) fn is_positional(self) -> bool {
        match self {
            Self::MessagePack => false,
            #[cfg(feature = "json")]
            Self::Json => false,
            #[cfg(feature = "postcard")]
            Self::Postcard => true,
            #[cfg(feature = "bincode")]
            Self::Bincode => true,
        }
    }

    /// Returns the bytes that follow the characters of a string: JSON's closing quote.
    pub(crate) fn string_tail(self) -> usize {
        match self {
            #[cfg(feature = "json")]
            Self::Json => 1,
            _ => 0,
        }
    }

    /// Serializes a session, with notes of where its fields lie on the recorder.
    pub(crate) fn serialize<T: Serialize>(
        self,
        session: &T,
        recorder: &mut SpanRecorder,
    ) -> Result<SecretBytes, Source> {
        let bytes = self.serialize_once(session, recorder)?;
        match recorder.second_pass() {
            Some(second) if self == Self::MessagePack => {
                *recorder = second;
                self.serialize_once(session, recorder)
            }
            _ => Ok(bytes),
        }
    }

    fn serialize_once<T: Serialize>(
        self,
        session: &T,
        recorder: &SpanRecorder,
    ) -> Result<SecretBytes, Source> {
        let mut sink = Sink::new(recorder);
        let value = Recorded::new(session, recorder);
        match self {
            Self::MessagePack => {
                let mut to = rmp_serde::Serializer::new(sink).with_struct_map();
                value.serialize(&mut to).map_err(refused)?;
                sink = to.into_inner();
            }
            #[cfg(feature = "json")]
            Self::Json => serde_json::to_writer(&mut sink, &value).map_err(refused)?,
            #[cfg(feature = "postcard")]
            Self::Postcard => {
                postcard::to_io(&value, &mut sink).map_err(refused)?;
            }
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                bincode::serde::encode_into_std_write(&value, &mut sink, BINCODE)
                    .map_err(refused)?;
            }
        }
        Ok(sink.into_bytes())
    }

    /// Checks that what was serialized can be read again. The named formats refuse what is nested too
    /// deeply, and some only when reading; the positional ones write types that they cannot read, such
    /// as those with `skip_serializing_if`.
    pub(crate) fn check_readable<T: DeserializeOwned>(self, body: &[u8]) -> Result<(), Source> {
        // Each level has a head of its own, so a body with few bytes that may be heads need not be read.
        let heads = match self {
            Self::MessagePack if body.len() < MAX_DEPTH - 1 => 0,
            Self::MessagePack => count(
                body,
                |byte| matches!(byte, 0x80..=0x9f | 0xc7..=0xc9 | 0xd4..=0xd8 | 0xdc..=0xdf),
            ),
            #[cfg(feature = "json")]
            Self::Json => count(body, |byte| matches!(byte, b'[' | b'{')),
            #[cfg(feature = "postcard")]
            Self::Postcard => usize::MAX,
            #[cfg(feature = "bincode")]
            Self::Bincode => usize::MAX,
        };
        if heads < MAX_DEPTH - 1 {
            return Ok(());
        }
        match self.deserialize::<T>(body) {
            Err(MessageError::Deserialize(source)) => Err(source),
            _ => Ok(()),
        }
    }

    /// Deserializes a session; bytes left over are an error.
    pub(crate) fn deserialize<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, MessageError> {
        match self {
            Self::MessagePack => {
                let mut from = rmp_serde::Deserializer::from_read_ref(body);
                from.set_max_depth(MAX_DEPTH);
                let session = T::deserialize(&mut from).map_err(refused_by_type)?;
                // A further value cannot even begin where no byte is left.
                match <()>::deserialize(&mut from) {
                    Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(session),
                    _ => Err(refused_by_type(TRAILING)),
                }
            }
            #[cfg(feature = "json")]
            Self::Json => serde_json::from_slice(body).map_err(refused_by_type),
            #[cfg(feature = "postcard")]
            Self::Postcard => {
                let (session, rest) = postcard::take_from_bytes(body).map_err(refused_by_type)?;
                whole(session, rest)
            }
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                let (session, read) =
                    bincode::serde::decode_from_slice(body, BINCODE).map_err(refused_by_type)?;
                whole(session, body.get(read..).unwrap_or_default())
            }
        }
    }
}

/// Counts bytes, in blocks whose counts fit a byte, which compiles to vector instructions.
fn count(bytes: &[u8], is_one: impl Fn(u8) -> bool) -> usize {
    let in_block = |block: &[u8]| block.iter().map(|byte| u8::from(is_one(*byte))).sum::<u8>();
    bytes.chunks(255).map(|block| usize::from(in_block(block))).sum()
}

#[cfg(any(feature = "postcard", feature = "bincode"))]
fn whole<T>(session: T, rest: &[u8]) -> Result<T, MessageError> {
    if rest.is_empty() { Ok(session) } else { Err(refused_by_type(TRAILING)) }
}

const TRAILING: &str = "bytes follow the session";

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Source {
    Arc::new(error)
}

/// Returns no more than [`redact`] does: a deserializer quotes what it found.
fn refused_by_type(error: impl fmt::Display) -> MessageError {
    MessageError::Deserialize(Arc::new(DeserializeError(redact(&error.to_string()))))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DeserializeError(String);

/// Returns what of serde's own messages (`serde::de::Error`) is of the type and not of the session.
fn redact(message: &str) -> String {
    let found = |start: &str| message.starts_with(start);
    if found("missing field `") || found("duplicate field `") {
        let quoted = message.splitn(3, '`').take(2).collect::<Vec<_>>();
        return quoted.join("`") + "`";
    }
    for start in
        ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"]
    {
        if found(start) {
            // What a type without any is told ends with what was found.
            if message.contains("`, there are no ") {
                return start.to_owned();
            }
            let expected = message.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
            let expected = expected.split(" at line ").next().unwrap_or_default();
            return match expected {
                "" => start.to_owned(),
                _ => format!("{start}, expected {expected}"),
            };
        }
    }
    match message {
        TRAILING => TRAILING.to_owned(),
        // rmp-serde's word for one that is followed by what was found.
        _ if found("wrong msgpack marker") => "invalid type".to_owned(),
        _ => "it is not of the format, or its own `Deserialize` refuses it".to_owned(),
    }
}

/// As serde_json has it: deep enough for any session, and far from the end of any stack.
const MAX_DEPTH: usize = 128;

#[cfg(feature = "bincode")]
const BINCODE: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<{ crate::message::MAX_BODY }>,
> = bincode::config::standard().with_limit();
