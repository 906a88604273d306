//! Formats: how a session becomes bytes. The tag of the format is sealed with the session, so a codec
//! opens every format compiled in, and a change of format logs nobody out.

use std::fmt;
use std::io;
use std::sync::Arc;

use memchr::memchr;
#[cfg(feature = "json")]
use memchr::memmem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bytes::secret_bytes::SecretBytes;
use crate::error::Source;
use crate::message::error::MessageError;
use crate::message::fields::Recorded;
use crate::message::recorder::{SpanRecorder, Strict};
use crate::message::same::{self, Lists};
use crate::message::sink::Sink;

/// The formats in which a session can be serialized.
///
/// A session type must not contain itself (a tree, say): the formats bound the depth of lists and maps
/// to 128 levels, but not that of enums, and the positional ones bound none.
///
/// In the named formats two versions of a struct read each other: an unknown field is ignored, a missing
/// one needs `#[serde(default)]`, the order does not matter. See [the guide](crate::guide::sessions). The positional formats store no
/// names; reading with a changed struct may give a *wrong* session, so they demand a
/// [`Builder::schema`](crate::Builder::schema) number that changes with the struct, and a session in one of them is read by a codec of that
/// format and schema alone, or by a [migration that says so](crate::Builder::migration_in).
///
/// # What comes back
///
/// Some types are written so that nobody can read them, or so that they read as another value: by attributes of serde that do not
/// fit each other, or because the format has no word for something. So each session that is sealed anew is read at once,
/// and what was read is serialized again and compared, but for the order of maps and lists (that of tuples and arrays counts).
/// What differs is refused ([`EncodeError::Serialize`](crate::EncodeError::Serialize)), and its source names the field.
/// [`Codec::check`](crate::Codec::check) does the same in a test.
///
/// The named formats write `Some(None)`, `Some(())` and `Some` of anything else that is null as they write `None`, and most
/// types read `None` then. That is seen, and refused too: use an enum of your own.
///
/// What else is equal when it is serialized cannot be told apart by this. These come back as another value:
///
/// | sealed | read | way out |
/// |---|---|---|
/// | a variant of an `untagged` enum that looks like an earlier one | the earlier one | a tag |
/// | in JSON, a number or a bool as the key of a map, where an `untagged` enum also takes a string | the string | a tag |
/// | `Some` of what is null, as the key of a map | `None` | an enum of your own |
/// | a flattened `None`, where nothing that it might hold has to be there, as in a map | `Some` of nothing | no `Option` |
/// | a flattened `Some` whose fields are those of an earlier flattened `Option`, which is `None` | the earlier one | a name before it, instead of `flatten` |
/// | a field with `#[serde(skip)]` or `skip_serializing`; or one that `skip_serializing_if` leaves out and that is not its default | its default | none: it is not sealed |
/// | an element that `skip_serializing_if` leaves out of a tuple struct | the next one in its place | named fields |
/// | a list whose type reads it in another order than it writes it | in that order | `with` for both |
/// | what the type's own `Serialize` leaves out: the zone of a time, the digits after a millisecond, what people are not to see | without it | another `with` |
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
        recorder.set_strict(self.strict());
        let bytes = self.serialize_once(session, recorder)?;
        match recorder.second_pass() {
            Some(second) if self == Self::MessagePack => {
                *recorder = second;
                self.serialize_once(session, recorder)
            }
            _ => Ok(bytes),
        }
    }

    /// Returns what this format writes and cannot read.
    fn strict(self) -> Strict {
        Strict { no_skipping: self.is_positional(), finite: !self.has_all_numbers() }
    }

    fn has_all_numbers(self) -> bool {
        match self {
            #[cfg(feature = "json")]
            Self::Json => false,
            _ => true,
        }
    }

    fn serialize_once<T: Serialize>(
        self,
        session: &T,
        recorder: &SpanRecorder,
    ) -> Result<SecretBytes, Source> {
        let mut sink = Sink::new(recorder);
        self.serialize_to(&Recorded::new(session, recorder), &mut sink)?;
        Ok(sink.into_bytes())
    }

    /// Serializes a value. The named formats say of themselves that people read them: serde's own buffer, in which it
    /// holds what it reads for `flatten`, tags and untagged enums, says that too, and a type that is one thing to people
    /// and another to machines (an `IpAddr`, a UUID) would be written as the one and read as the other.
    fn serialize_to<T: Serialize>(self, value: &T, to: &mut impl io::Write) -> Result<(), Source> {
        match self {
            Self::MessagePack => {
                let to = rmp_serde::Serializer::new(to).with_struct_map().with_human_readable();
                value.serialize(&mut { to }).map_err(refused)
            }
            #[cfg(feature = "json")]
            Self::Json => serde_json::to_writer(to, &value).map_err(refused),
            #[cfg(feature = "postcard")]
            Self::Postcard => postcard::to_io(&value, to).map(|_| ()).map_err(refused),
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                let mut to = to;
                bincode::serde::encode_into_std_write(value, &mut to, BINCODE)
                    .map(|_| ())
                    .map_err(refused)
            }
        }
    }

    /// Checks that what was serialized, with so many odd nulls, can be read and reads back as the same session.
    ///
    /// Serde types can be written so that no format reads them, or reads them as another value, and nothing of it can be
    /// seen from outside of their code: in what they ask a serializer to do as little as in the bytes. So it is tried.
    pub(crate) fn check_reads_back<T: Serialize + DeserializeOwned>(
        self,
        session: &T,
        body: &[u8],
        odd_nulls: usize,
    ) -> Result<(), ReadBackError> {
        let again: T =
            self.deserialize(body).map_err(|error| ReadBackError::Unreadable(cause(error)))?;
        match self.difference(session, body, odd_nulls, &again, Lists::Unordered) {
            None => Ok(()),
            Some(path) => Err(ReadBackError::Differs(path)),
        }
    }

    /// Returns where a session that was serialized to `body`, with so many odd nulls, differs from another one, or `None` if
    /// it does not.
    ///
    /// `Some(None)` and `None` are written alike by the named formats. So such nulls are marked, where there are any, and not
    /// refused: a type may know by itself to read `Some(None)`.
    ///
    /// The positional formats write no names, so that two sessions may have the same bytes: they are compared with names. That
    /// is done as for people and as for machines, since a type may leave out for either what it writes for the other.
    pub(crate) fn difference<T: Serialize>(
        self,
        session: &T,
        body: &[u8],
        odd_nulls: usize,
        other: &T,
        lists: Lists,
    ) -> Option<Vec<String>> {
        if odd_nulls == 0 && !self.is_positional() {
            match self.compare(body, other) {
                Compared::Same => return None,
                Compared::Other(other) => {
                    let difference = same::difference(self, body, &other, Lists::Ordered);
                    if difference.is_none() || lists == Lists::Ordered {
                        return difference;
                    }
                    // A list may be in another order, and a tuple may not: marks tell one from the other.
                }
                Compared::Different => {}
            }
        }
        let format = if self.is_positional() { Self::MessagePack } else { self };
        let marked = |session| format.serialize(session, &mut SpanRecorder::marking());
        type Written = Result<SecretBytes, Source>;
        let difference = |session: Written, other: Written| match (session, other) {
            (Ok(session), Ok(other)) => same::difference(format, &session, &other, lists),
            // What cannot be serialized is not the same either.
            _ => Some(Vec::new()),
        };
        difference(marked(session), marked(other)).or_else(|| {
            if !self.is_positional() || matches!(self.compare(body, other), Compared::Same) {
                return None;
            }
            difference(named_for_machines(session), named_for_machines(other))
        })
    }

    /// Returns whether a session that was serialized to `body`, with so many odd nulls, is the same as another one, but
    /// for the order of maps.
    pub(crate) fn is_same<T: Serialize>(
        self,
        session: &T,
        body: &[u8],
        odd_nulls: usize,
        other: &T,
    ) -> bool {
        // Positional formats are compared with names.
        if odd_nulls > 0 || self.is_positional() {
            return self.difference(session, body, odd_nulls, other, Lists::Ordered).is_none();
        }
        match self.compare(body, other) {
            Compared::Same => true,
            Compared::Other(other) => {
                // No other order of maps has another tally. A counter that went up, as most changes are, is told so at once.
                Tally::of(body) == Tally::of(&other)
                    && same::difference(self, body, &other, Lists::Ordered).is_none()
            }
            Compared::Different => false,
        }
    }

    /// Returns whether a session has no odd null.
    pub(crate) fn has_plain_nulls<T: Serialize>(self, session: &T) -> bool {
        let nulls = SpanRecorder::of_nulls();
        let written = self.serialize_to(&Recorded::new(session, &nulls), &mut io::sink());
        written.is_ok() && nulls.odd_nulls() == 0
    }

    /// Compares a session with what one without an odd null was serialized to, byte by byte, without a buffer as long as
    /// they are the same.
    fn compare<T: Serialize>(self, body: &[u8], other: &T) -> Compared {
        let mut expected = Expected { body, same: 0, other: None };
        let nulls = SpanRecorder::of_nulls();
        let written = if self.may_hold_null(body) {
            self.serialize_to(&Recorded::new(other, &nulls), &mut expected)
        } else {
            self.serialize_to(other, &mut expected)
        };
        if written.is_err() || nulls.odd_nulls() > 0 {
            return Compared::Different;
        }
        match expected {
            Expected { other: Some(other), .. } => Compared::Other(other),
            Expected { body, same, .. } if same == body.len() => Compared::Same,
            // It ends before.
            _ => Compared::Different,
        }
    }

    /// Returns whether a null can stand in what was serialized that the bytes do not tell from another one. Where none can,
    /// none need be counted, in half the time.
    pub(crate) fn may_hold_null(self, body: &[u8]) -> bool {
        match self {
            // No text holds this byte.
            Self::MessagePack => memchr(0xc0, body).is_some(),
            #[cfg(feature = "json")]
            Self::Json => memmem::find(body, b"null").is_some(),
            // The positional formats tell one from another.
            #[cfg(any(feature = "postcard", feature = "bincode"))]
            _ => false,
        }
    }

    /// Deserializes a session; bytes left over are an error.
    pub(crate) fn deserialize<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, MessageError> {
        match self {
            Self::MessagePack => {
                let mut from = rmp_serde::Deserializer::from_read_ref(body).with_human_readable();
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

/// The reason why a session that was serialized must not be sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadBackError {
    #[error("what was serialized cannot be read back: {0}")]
    Unreadable(String),
    /// With the path to the field.
    #[error("what was serialized reads back as another session, which differs in {}", place(.0))]
    Differs(Vec<String>),
}

/// Shows where two sessions differ. Keys of maps may be long.
fn place(path: &[String]) -> String {
    match path {
        [] => "the whole".to_owned(),
        path => format!("`{}`", path.join(".").chars().take(64).collect::<String>()),
    }
}

/// What a comparison byte by byte tells.
enum Compared {
    Same,
    /// The other session is serialized to other bytes. They may be the same in another order, as those of a `HashMap` are.
    Other(SecretBytes),
    /// It has an odd null, or cannot be serialized.
    Different,
}

/// Compares what is written with what is expected, up to the first difference, and from there on collects it.
struct Expected<'a> {
    body: &'a [u8],
    /// So many bytes of it were written.
    same: usize,
    /// All that was written, once it differs.
    other: Option<SecretBytes>,
}

impl Expected<'_> {
    #[cold]
    fn differ(&mut self, bytes: &[u8]) {
        let same = self.body.get(..self.same).unwrap_or_default();
        let mut other =
            SecretBytes::new(Vec::with_capacity(self.body.len().max(same.len() + bytes.len())));
        other.extend_from_slice(same);
        other.extend_from_slice(bytes);
        self.other = Some(other);
    }
}

impl io::Write for Expected<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.other {
            Some(other) => other.append(bytes),
            None if self.body.get(self.same..self.same + bytes.len()) == Some(bytes) => {
                self.same += bytes.len();
            }
            None => self.differ(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What does not depend on the order of some bytes.
#[derive(PartialEq, Eq)]
struct Tally {
    len: usize,
    sum: u64,
    squares: u64,
}

impl Tally {
    fn of(bytes: &[u8]) -> Self {
        let mut tally = Self { len: bytes.len(), sum: 0, squares: 0 };
        for byte in bytes.iter().copied().map(u64::from) {
            tally.sum += byte;
            tally.squares += byte * byte;
        }
        tally
    }
}

/// Returns what is told of a session that does not fit its type.
fn cause(error: MessageError) -> String {
    match error {
        MessageError::Deserialize(source) => source.to_string(),
        other => other.to_string(),
    }
}

/// Serializes a session with names and marks, and types as a positional format has them.
fn named_for_machines<T: Serialize>(session: &T) -> Result<SecretBytes, Source> {
    let recorder = SpanRecorder::marking();
    let mut sink = Sink::new(&recorder);
    let mut to = rmp_serde::Serializer::new(&mut sink).with_struct_map();
    Recorded::new(session, &recorder).serialize(&mut to).map_err(refused)?;
    Ok(sink.into_bytes())
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Two faults that cancel out: one null in `Some` goes, and another comes, or moves to another place, or deeper.
    #[test]
    fn nulls_in_some_are_compared_one_by_one() {
        type Deep = Option<Option<Option<u8>>>;
        let sessions: [[Deep; 2]; 5] = [
            [None, None],
            [Some(None), None],
            [None, Some(None)],
            [Some(Some(None)), None],
            [Some(None), Some(None)],
        ];
        for format in [
            Format::MessagePack,
            #[cfg(feature = "json")]
            Format::Json,
            #[cfg(feature = "postcard")]
            Format::Postcard,
        ] {
            for (one, a) in sessions.iter().enumerate() {
                let mut nulls = SpanRecorder::default();
                let body = format.serialize(a, &mut nulls).unwrap();
                for (other, b) in sessions.iter().enumerate() {
                    let is_same = format.is_same(a, &body, nulls.odd_nulls(), b);
                    assert_eq!(is_same, one == other, "{format:?} {a:?} {b:?}");
                    let (nulls, lists) = (nulls.odd_nulls(), Lists::Ordered);
                    let difference = format.difference(a, &body, nulls, b, lists);
                    assert_eq!(difference.is_none(), one == other, "{format:?} {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn another_order_of_a_map_is_the_same_and_another_value_is_not() {
        let map = || (0..40).map(|i| (i.to_string(), i)).collect::<HashMap<_, _>>();
        let formats = [
            Format::MessagePack,
            #[cfg(feature = "json")]
            Format::Json,
        ];
        for format in formats {
            let one = (map(), 1);
            let body = format.serialize(&one, &mut SpanRecorder::default()).unwrap();
            let is_same = |other: &_| format.is_same(&one, &body, 0, other);
            let other = (map(), 1);
            assert!(is_same(&other));
            assert!(!is_same(&(map(), 2)));
            assert!(!is_same(&(map().into_iter().skip(1).collect(), 1)));
            // The same bytes in another order, which is not that of a map.
            let mut swapped = map();
            swapped.extend([("7".to_owned(), 8), ("8".to_owned(), 7)]);
            assert!(!is_same(&(swapped, 1)));
        }
    }
}
