//! Packing: the serialized session made small, field by field.
//!
//! ```text
//! packed     = segment* · [rest]
//! segment    = head · [expanded] · bytes
//! head       = varint, length of bytes << 2 | text << 1 | compressed
//! expanded   = varint, length after inflating, only if compressed
//! rest       = 0x00 · all bytes up to the end, as they are
//! compressed = 1: the bytes are compressed, by the method of the message
//! text       = 1: the bytes, inflated, stand for their base64url
//! method     = an LZ4 block, or raw DEFLATE (RFC 1951)
//! ```
//!
//! The body is what the segments stand for, in a row. In segments of text, both methods start from the
//! dictionary `dictionary-1.txt`.
//!
//! # Why field by field
//!
//! Compression beside text that an attacker chooses leaks secrets through the length: a guess that
//! equals a part of the secret makes the whole shorter (CRIME, BREACH). So no two fields share a
//! compression context. What is decided for the message as a whole, whether to compress and by what,
//! depends on the sum of their sizes and not on what they have in common. Most of what there is to
//! gain lies inside one field anyway: the lines of a cart, the claims of a token. A list is one field. In what
//! `#[serde(flatten)]` gives, nobody can tell a tuple from a list, so lists directly in it are not compressed.
//!
//! # Tokens
//!
//! A string of base64url, or several joined by dots as in a JWT (RFC 7515), is stored as the bytes
//! it stands for. That alone saves a quarter, and it uncovers the JSON of the claims, which
//! compresses, where base64 of it does not. Strict decoding makes it lossless: each text has one byte
//! string and each byte string one text.

use std::cell::RefCell;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};
use lz4_flex::block::CompressTable;
use memchr::memchr_iter;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::bytes::varint::{read_varint, write_varint};
use crate::message::MAX_BODY;
use crate::message::error::MessageError;
use crate::message::fields::FieldSpan;
use crate::message::format::Format;

/// Whether and how a session is compressed. Opening needs no setting: each session says how it
/// was made.
///
/// Every field of a struct, entry of a map and element of a tuple is compressed by itself, so that text
/// which an attacker chooses in one never gets smaller because it equals a secret in another, however often
/// the size is watched (CRIME). What the size tells is the sum of what each takes alone.
///
/// **A list is one field, with all structs in it**: its elements are compressed together. Do not put a secret
/// and what users write into one list, or turn compression off. (A list that is a field of a struct with
/// `#[serde(flatten)]` is not compressed, since serde makes tuples into lists there.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// LZ4, which costs next to nothing to open; DEFLATE where only that keeps the session within the
    /// limits, or within fewer cookies. The default.
    #[default]
    Adaptive,
    /// DEFLATE wherever it is smaller: some 10 to 20 % off, for microseconds.
    Smallest,
    /// No compression; tokens are still stored as the bytes that they stand for.
    Off,
}

/// The compression of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Lz4,
    Deflate,
}

/// Packs `body` onto `out`. Without a method, tokens become bytes and nothing is compressed.
pub(crate) fn pack(
    body: &[u8],
    fields: &[FieldSpan],
    format: Format,
    method: Option<Method>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let longest = fields.iter().map(|field| field.range.len()).max().unwrap_or(0);
    let mut packer = Packer { body, done: 0, compressor: Compressor::new(method, longest), out };
    for field in fields {
        packer.field(field, format);
    }
    let mut done = packer.done;
    if out.len() - start >= done {
        out.truncate(start); // nothing was gained
        done = 0;
    }
    if let Some(rest @ [_, ..]) = body.get(done..) {
        out.push(REST);
        out.extend_from_slice(rest);
    }
}

struct Packer<'a> {
    body: &'a [u8],
    /// What of the body is written.
    done: usize,
    compressor: Compressor,
    out: &'a mut Vec<u8>,
}

impl<'a> Packer<'a> {
    fn field(&mut self, field: &FieldSpan, format: Format) {
        if let Some((start, chars)) = self.chars(field, format)
            && self.token(start, chars)
        {
            return;
        }
        let Some(value) = self.body.get(field.range.clone()) else { return };
        if self.compressor.compress(value, false) {
            self.plain_until(field.range.start);
            segment(false, Some(value.len()), self.compressor.output(), self.out);
            self.done = field.range.end;
        }
    }

    /// Finds where the characters of a string begin, and the characters. A string that JSON had to
    /// escape has more of them than the session's, and is no token.
    fn chars(&self, field: &FieldSpan, format: Format) -> Option<(usize, &'a [u8])> {
        let end = field.range.end.checked_sub(format.string_tail())?;
        let start = end.checked_sub(field.str_len?)?;
        Some((start, self.body.get(start..end)?))
    }

    /// Writes a string of base64url, or of several joined by dots, each of at least [`MIN_TOKEN`]
    /// characters. Of any other string nothing is written, and it gives false.
    fn token(&mut self, mut at: usize, chars: &[u8]) -> bool {
        if parts(chars).any(|part| part.len() < MIN_TOKEN) {
            return false;
        }
        let (written, done) = (self.out.len(), self.done);
        for part in parts(chars) {
            self.plain_until(at); // what stands before the string, or the dot
            if self.text(part).is_none() {
                self.out.truncate(written);
                self.done = done;
                return false;
            }
            at += part.len();
            self.done = at;
            at += 1;
        }
        true
    }

    /// Writes what one string of base64url stands for.
    fn text(&mut self, chars: &[u8]) -> Option<()> {
        let head = self.out.len();
        write_head(true, None, base64url::decoded_len(chars.len()), self.out);
        let start = self.out.len();
        base64url::decode_onto(chars, self.out)?;
        let bytes = self.out.get(start..).unwrap_or_default();
        // Claims compress; keys, signatures and ciphertexts do not.
        if bytes.starts_with(b"{") && self.compressor.compress(bytes, true) {
            let expanded = Some(bytes.len());
            self.out.truncate(head);
            segment(true, expanded, self.compressor.output(), self.out);
        }
        Some(())
    }

    fn plain_until(&mut self, end: usize) {
        if let Some(plain @ [_, ..]) = self.body.get(self.done..end) {
            segment(false, None, plain, self.out);
        }
        self.done = end;
    }
}

fn segment(as_text: bool, expanded: Option<usize>, bytes: &[u8], out: &mut Vec<u8>) {
    write_head(as_text, expanded, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_head(as_text: bool, expanded: Option<usize>, len: usize, out: &mut Vec<u8>) {
    let kind = u64::from(as_text) << 1 | u64::from(expanded.is_some());
    write_varint(wide(len) << 2 | kind, out);
    if let Some(expanded) = expanded {
        write_varint(wide(expanded), out);
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Splits a string at its dots.
fn parts(chars: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut dots = memchr_iter(b'.', chars);
    let mut start = Some(0);
    std::iter::from_fn(move || {
        let from = start?;
        let dot = dots.next();
        start = dot.map(|dot| dot + 1);
        chars.get(from..dot.unwrap_or(chars.len()))
    })
}

/// Returns the whole body where it stands in `packed` as it is.
pub(crate) fn plain(packed: &[u8]) -> Option<&[u8]> {
    packed.strip_prefix(&[REST])
}

/// Unpacks what [`pack`] gave. What comes out is measured and held against [`MAX_BODY`] before
/// anything is allocated, and each inflating is held to the length it announced.
pub(crate) fn unpack(packed: &[u8], method: Method) -> Result<SecretBytes, MessageError> {
    let mut len = 0_usize;
    let mut longest_text = 0;
    let mut rest = packed;
    while !rest.is_empty() {
        let segment = Segment::read(&mut rest)?;
        len = len.saturating_add(segment.body_len());
        if let (true, Some(expanded)) = (segment.as_text, segment.expanded) {
            longest_text = longest_text.max(expanded);
        }
    }
    if len > MAX_BODY {
        return Err(MessageError::Malformed);
    }
    let mut body = SecretBytes::new(vec![0; len]);
    let mut left = body.as_mut_slice();
    let mut scratch = SecretBytes::new(vec![0; longest_text]);
    let mut inflater = Inflater { method, deflate: None };
    rest = packed;
    while !rest.is_empty() {
        let segment = Segment::read(&mut rest)?;
        let target;
        (target, left) =
            left.split_at_mut_checked(segment.body_len()).ok_or(MessageError::Malformed)?;
        match segment {
            Segment { as_text: false, expanded: None, bytes } => target.copy_from_slice(bytes),
            Segment { as_text: true, expanded: None, bytes } => {
                base64url::encode_into(bytes, target)
            }
            Segment { as_text: false, expanded: Some(_), bytes } => {
                inflater.inflate(bytes, None, target)?;
            }
            Segment { as_text: true, expanded: Some(len), bytes } => {
                let inflated = scratch.get_mut(..len).ok_or(MessageError::Malformed)?;
                inflater.inflate(bytes, Some(DICTIONARY), inflated)?;
                base64url::encode_into(inflated, target);
            }
        }
    }
    Ok(body)
}

struct Segment<'a> {
    as_text: bool,
    /// The length after inflating, if the segment is compressed.
    expanded: Option<usize>,
    bytes: &'a [u8],
}

impl<'a> Segment<'a> {
    fn read(rest: &mut &'a [u8]) -> Result<Self, MessageError> {
        Self::read_some(rest).ok_or(MessageError::Malformed)
    }

    fn read_some(rest: &mut &'a [u8]) -> Option<Self> {
        let head = read_varint(rest)?;
        let expanded = match head & 1 {
            0 => None,
            _ => Some(usize::try_from(read_varint(rest)?).ok().filter(|len| *len <= MAX_BODY)?),
        };
        let len =
            if head == u64::from(REST) { rest.len() } else { usize::try_from(head >> 2).ok()? };
        let bytes;
        (bytes, *rest) = rest.split_at_checked(len)?;
        Some(Self { as_text: head & 2 != 0, expanded, bytes })
    }

    fn body_len(&self) -> usize {
        let len = self.expanded.unwrap_or(self.bytes.len());
        if self.as_text { base64url::encoded_len(len) } else { len }
    }
}

/// A compressor of one value after another, each from a fresh start.
struct Compressor {
    method: Option<Method>,
    /// No value is longer.
    longest: usize,
    deflate: Option<Compress>,
    output: SecretBytes,
    written: usize,
}

impl Compressor {
    fn new(method: Option<Method>, longest: usize) -> Self {
        Self { method, longest, deflate: None, output: SecretBytes::default(), written: 0 }
    }

    /// Compresses `value` to `output`, with the dictionary where it stands for text, and gives false where
    /// it does not pay.
    fn compress(&mut self, value: &[u8], as_text: bool) -> bool {
        let Some(method) = self.method else { return false };
        let least = match (method, as_text) {
            (Method::Lz4, false) => MIN_LZ4,
            _ => MIN_COMPRESS,
        };
        if value.len() < least {
            return false;
        }
        // As long as for any value, so that it never grows and leaves nothing behind.
        if self.output.is_empty() {
            self.output.resize(lz4_flex::block::get_maximum_output_size(self.longest), 0);
        }
        let written = match (method, as_text) {
            (Method::Lz4, false) => TABLE
                .try_with(|table| {
                    let table = &mut table.borrow_mut();
                    lz4_flex::block::compress_into_with_table(value, &mut self.output, table).ok()
                })
                .ok()
                .flatten(),
            (Method::Lz4, true) => {
                let words = if value.len() < SHORT { WORDS_OF_HEADERS } else { DICTIONARY };
                lz4_flex::block::compress_into_with_dict(value, &mut self.output, words).ok()
            }
            (Method::Deflate, _) => self.deflate(value, as_text),
        };
        self.written = written.unwrap_or(usize::MAX);
        self.written.saturating_add(SEGMENT_COST) <= value.len() - value.len() / 16
    }

    fn output(&self) -> &[u8] {
        self.output.get(..self.written).unwrap_or_default()
    }

    fn deflate(&mut self, value: &[u8], as_text: bool) -> Option<usize> {
        let deflate = self.deflate.get_or_insert_with(|| Compress::new(Level::new(6), false));
        deflate.reset();
        if as_text {
            deflate.set_dictionary(DICTIONARY).ok()?;
        }
        match deflate.compress(value, &mut self.output, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => usize::try_from(deflate.total_out()).ok(),
            _ => None,
        }
    }
}

thread_local! {
    /// Is cleared before each use. It holds positions, and no byte of a session.
    static TABLE: RefCell<CompressTable> = RefCell::new(CompressTable::small());
}

/// Inflates one value after another, each from a fresh start.
struct Inflater {
    method: Method,
    deflate: Option<Decompress>,
}

impl Inflater {
    /// Fills `target`, to the last byte and no further, or fails.
    fn inflate(
        &mut self,
        bytes: &[u8],
        dictionary: Option<&[u8]>,
        target: &mut [u8],
    ) -> Result<(), MessageError> {
        let expanded = target.len();
        let written = match (self.method, dictionary) {
            (Method::Lz4, None) => lz4_flex::block::decompress_into(bytes, target).ok(),
            (Method::Lz4, Some(dictionary)) => {
                lz4_flex::block::decompress_into_with_dict(bytes, target, dictionary).ok()
            }
            (Method::Deflate, _) => self.inflate_deflate(bytes, dictionary, target),
        };
        if written == Some(expanded) { Ok(()) } else { Err(MessageError::Malformed) }
    }

    fn inflate_deflate(
        &mut self,
        bytes: &[u8],
        dictionary: Option<&[u8]>,
        target: &mut [u8],
    ) -> Option<usize> {
        let inflate = self.deflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        if let Some(dictionary) = dictionary {
            inflate.set_dictionary(dictionary).ok()?;
        }
        match inflate.decompress(bytes, target, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) if inflate.total_in() == wide(bytes.len()) => {
                usize::try_from(inflate.total_out()).ok()
            }
            _ => None,
        }
    }
}

/// Words of tokens: the registered names of JOSE (RFC 7515, RFC 7519) and OpenID Connect Core 5.1,
/// and what widespread issuers add. Sealed sessions depend on every byte of it.
const DICTIONARY: &[u8] = include_bytes!("dictionary-1.txt");

/// The end of the dictionary, with the words that stand in the headers of tokens. LZ4 counts distances from
/// behind, so what is compressed with this part is inflated with the whole.
const WORDS_OF_HEADERS: &[u8] = DICTIONARY.split_at(DICTIONARY.len() - 320).1;

/// Shorter claims are headers.
const SHORT: usize = 128;

/// Shorter strings are not worth the heads of their segments.
const MIN_TOKEN: usize = 16;

/// Small values are never compressed. Measured: `benches/README.md`, as for all thresholds.
const MIN_COMPRESS: usize = 48;

/// LZ4 without a dictionary has to find repetitions within the value itself.
const MIN_LZ4: usize = 96;

/// The head of a last segment that takes all there is.
const REST: u8 = 0;

/// What a segment of its own costs at most, with the one that then follows.
const SEGMENT_COST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fields::SpanRecorder;

    fn packed(session: &impl serde::Serialize, method: Option<Method>) -> (Vec<u8>, Vec<u8>) {
        let mut recorder = SpanRecorder::default();
        let body = Format::MessagePack.serialize(session, &mut recorder).unwrap().to_vec();
        let mut out = Vec::new();
        pack(&body, &recorder.into_fields(), Format::MessagePack, method, &mut out);
        (body, out)
    }

    #[test]
    fn a_small_session_is_one_plain_segment() {
        let (body, out) = packed(&("small", 1), Some(Method::Lz4));
        assert_eq!(out, [&[REST], &body[..]].concat());
        assert_eq!(plain(&out), Some(&body[..]));
    }

    #[test]
    fn a_token_stands_as_its_bytes_between_plain_segments() {
        #[derive(serde::Serialize)]
        struct Session {
            csrf: &'static str,
        }
        let (body, out) =
            packed(&Session { csrf: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" }, None);
        let bytes: Vec<u8> = (0..32).collect();
        // {"csrf": and the head of the string, plain; then 32 bytes as text.
        let expected =
            [&[8 << 2, 0x81, 0xa4], &b"csrf"[..], &[0xd9, 43, 0x82, 0x01], &bytes].concat();
        assert_eq!(out, expected);
        assert_eq!(*unpack(&out, Method::Lz4).unwrap(), body);
    }

    #[test]
    fn what_saves_less_than_a_sixteenth_and_its_heads_stays_as_it_is() {
        use sha2::{Digest, Sha256};
        // LZ4 gains what is repeated at the end, but for a handful of bytes.
        let noise: Vec<u8> = (0..25_u8).flat_map(|i| Sha256::digest([i])).collect();
        let saved = |repeated: usize| {
            let value = [&noise[..], &noise[..repeated]].concat();
            let mut compressor = Compressor::new(Some(Method::Lz4), value.len());
            let pays = compressor.compress(&value, false);
            pays.then(|| value.len() - compressor.written)
        };
        let least = (0..800).find_map(saved).unwrap();
        assert_eq!(least, 870 / 16 + SEGMENT_COST);
    }

    #[test]
    fn a_body_has_64_kib_at_most() {
        let repeated = |len| {
            let mut out = Vec::new();
            segment(false, Some(len), &lz4_flex::block::compress(&vec![7; len]), &mut out);
            unpack(&out, Method::Lz4).map(|body| body.len())
        };
        assert_eq!(repeated(MAX_BODY).unwrap(), MAX_BODY);
        assert!(repeated(MAX_BODY + 1).is_err());
    }

    #[test]
    fn each_malformed_packing_is_refused() {
        let lz4 = lz4_flex::block::compress(&[7; 100]);
        let len = u8::try_from(lz4.len()).unwrap();
        let bomb = lz4_flex::block::compress(&vec![7; 70_000]);
        let mut bomb_segment = Vec::new();
        segment(false, Some(70_000), &bomb, &mut bomb_segment);
        let mut lying_bomb = Vec::new();
        segment(false, Some(100), &bomb, &mut lying_bomb);
        let mut many = Vec::new();
        for _ in 0..20 {
            segment(false, Some(60_000), &lz4_flex::block::compress(&[7; 60_000]), &mut many);
        }
        let mut text_bomb = Vec::new();
        segment(true, Some(60_000), &lz4_flex::block::compress(&[7; 60_000]), &mut text_bomb);
        let good = [&[len << 2 | 1, 100], &lz4[..]].concat();
        assert_eq!(unpack(&good, Method::Lz4).unwrap().as_slice(), [7; 100]);
        for (reason, bad) in [
            ("no head", vec![0x80]),
            ("a head that is not minimal", vec![0x84, 0x00, 1]),
            ("a head without bytes", vec![2 << 2, 1]),
            ("no expanded length", vec![1]),
            ("expanded length too small", [&[len << 2 | 1, 99], &lz4[..]].concat()),
            ("expanded length too large", [&[len << 2 | 1, 101], &lz4[..]].concat()),
            ("expanded length over the limit", bomb_segment),
            ("a bomb that announces little", lying_bomb),
            ("many segments that are over the limit together", many),
            ("text that is over the limit once encoded", text_bomb),
            ("a length of 2⁶²", vec![0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            ("no LZ4", vec![4 << 2 | 1, 100, 0xff, 0xff, 0xff, 0xff]),
            ("nothing compressed", vec![1, 5]),
        ] {
            for method in [Method::Lz4, Method::Deflate] {
                let error = unpack(&bad, method).unwrap_err();
                assert!(matches!(error, MessageError::Malformed), "{reason}");
            }
        }
        assert!(unpack(&good, Method::Deflate).is_err(), "LZ4 is no DEFLATE");
        assert!(unpack(&[], Method::Lz4).unwrap().is_empty());
    }

    #[test]
    fn deflate_takes_exactly_its_bytes() {
        let mut compressor = Compressor::new(Some(Method::Deflate), 1000);
        assert!(compressor.compress(&[7; 1000], false));
        let deflated = compressor.output().to_vec();
        let inflate = |bytes: &[u8], expanded: usize| {
            let mut out = Vec::new();
            segment(false, Some(expanded), bytes, &mut out);
            unpack(&out, Method::Deflate).map(|body| body.len())
        };
        assert_eq!(inflate(&deflated, 1000).unwrap(), 1000);
        for (bytes, expanded) in [
            (&deflated[..], 999),
            (&deflated, 1001),
            (&deflated[..deflated.len() - 1], 1000),
            (&[&deflated[..], &[0]].concat(), 1000),
            (&[], 0),
        ] {
            assert!(inflate(bytes, expanded).is_err());
        }
    }

    #[test]
    fn the_dictionary_is_that_of_version_1() {
        use sha2::{Digest, Sha256};
        let hash: String =
            Sha256::digest(DICTIONARY).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "cf2aa0289363ce49eb9fd7444776046d7131f96c892c5304d424bf1b0fc12386");
    }
}
