//! Packing: the serialized session made small, field by field. See `segment` for the bytes.
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
//! # Strings that stand for bytes
//!
//! A string that is bytes or a number in text (see `notation`), or several of base64url joined by dots as in a JWT
//! (RFC 7515), is stored as what it stands for, in lists too. Of base64url that alone saves a quarter, and it uncovers the
//! JSON of the claims, which compresses, where base64 of it does not. How much a string saves is a matter of that string
//! alone, so this tells of no other field.

use std::ops::Range;

use memchr::memchr_iter;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::bytes::varint::write_varint;
use crate::message::compress::{Compressor, Dictionary, Method, SEGMENT_COST};
use crate::message::format::Format;
use crate::message::notation::{MIN_TEXT, Notation};
use crate::message::recorder::{FieldSpan, Spans, StringSpan};
use crate::message::segment::{Head, MAX_SEPARATOR, write_compressed};

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
    /// LZ4, which costs next to nothing to open; and DEFLATE for the longest values where only that keeps the session
    /// within the limits, or within fewer cookies. The default.
    #[default]
    Adaptive,
    /// DEFLATE wherever it is smaller: some 10 to 20 % off, for microseconds.
    Smallest,
    /// No compression; tokens, ids and times are still stored as the bytes that they stand for.
    Off,
    /// DEFLATE over the whole session at once, where that is smaller than field by field.
    ///
    /// **Only for sessions in which there is no secret beside text that others choose**: such as the attributes of a
    /// user from a directory, whose names and values repeat each other. If a CSRF token or an access token stands in the
    /// session beside a name, a search or an address that an attacker can send, then the attacker learns the token from
    /// the length of the cookie, character by character (CRIME). `tests/oracle.rs` learns 64 bits in some 12,000 requests.
    DangerousOneContext,
}

/// How one message is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Strings become the bytes that they stand for, and nothing is compressed.
    Plain,
    /// Each field by itself.
    Fields(Method),
    /// All fields together.
    Whole(Method),
}

impl Packing {
    pub(crate) fn method(self) -> Option<Method> {
        match self {
            Self::Plain => None,
            Self::Fields(method) | Self::Whole(method) => Some(method),
        }
    }
}

/// Packs `body` onto `out`.
pub(crate) fn pack(
    body: &[u8],
    spans: &Spans,
    format: Format,
    packing: Packing,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let fields = &spans.fields;
    let longest = match packing {
        Packing::Whole(_) => body.len(),
        _ => fields.iter().map(|field| field.range.len()).max().unwrap_or(0),
    };
    let compressor = Compressor::new(packing.method(), longest);
    let mut packer = Packer { body, format, done: 0, compressor, out };
    if let Packing::Whole(_) = packing {
        packer.value(0..body.len(), Dictionary::None);
    } else {
        fields.iter().for_each(|field| packer.field(field, &spans.strings));
    }
    let mut done = packer.done;
    if out.len() - start >= done {
        out.truncate(start); // nothing was gained
        done = 0;
    }
    if let Some(rest @ [_, ..]) = body.get(done..) {
        Head::Rest.write(out);
        out.extend_from_slice(rest);
    }
}

struct Packer<'a> {
    body: &'a [u8],
    format: Format,
    /// What of the body is written.
    done: usize,
    compressor: Compressor,
    out: &'a mut Vec<u8>,
}

impl<'a> Packer<'a> {
    fn field(&mut self, field: &FieldSpan, strings: &[StringSpan]) {
        match field {
            FieldSpan { string: Some(len), range, .. } => {
                let chars = self.chars(&StringSpan { end: range.end, len: *len });
                if let Some((start, chars)) = chars {
                    if self.string(start, chars) {
                        return;
                    }
                    if WITH_WORDS.iter().any(|word| chars.starts_with(word))
                        && self.value(start..start + chars.len(), Dictionary::Words)
                    {
                        return;
                    }
                }
                self.value(range.clone(), Dictionary::None);
            }
            FieldSpan { range, strings: within, whole, .. } => match strings.get(within.clone()) {
                Some(strings @ [_, ..]) => self.list(range.clone(), strings, *whole),
                _ if *whole => {
                    self.value(range.clone(), Dictionary::None);
                }
                _ => {}
            },
        }
    }

    /// Compresses a value, if that pays.
    fn value(&mut self, range: Range<usize>, dictionary: Dictionary) -> bool {
        let Some(value) = self.body.get(range.clone()) else { return false };
        let pays = self.compressor.compress(value, dictionary);
        if pays {
            self.plain_until(range.start);
            self.compressed(value.len(), dictionary);
            self.done = range.end;
        }
        pays
    }

    /// Writes what the compressor has.
    fn compressed(&mut self, expanded: usize, dictionary: Dictionary) {
        let (method, bytes) = (self.compressor.method(), self.compressor.output());
        write_compressed(dictionary, method, expanded, bytes, self.out);
    }

    /// Finds where the characters of a string begin, and the characters. A string that JSON had to
    /// escape has more of them than the session's, and is in no notation.
    fn chars(&self, string: &StringSpan) -> Option<(usize, &'a [u8])> {
        let end = string.end.checked_sub(self.format.string_tail())?;
        let start = end.checked_sub(string.len)?;
        Some((start, self.body.get(start..end)?))
    }

    /// Writes a string that stands for fewer bytes, or several of base64url joined by dots. Of any other string nothing
    /// is written, and it returns false.
    fn string(&mut self, start: usize, chars: &[u8]) -> bool {
        match Notation::candidates(chars).into_iter().flatten().next() {
            None => return false,
            Some(Notation::Base64Url(_)) => return self.token(start, chars),
            Some(_) => {}
        }
        let mut value = SecretBytes::new(Vec::with_capacity(chars.len() + 3));
        let notation = match Notation::decode(chars, &mut value) {
            None | Some(Notation::Base64Url(_)) => return self.token(start, chars),
            Some(notation) => notation,
        };
        self.plain_until(start);
        Head::Text(notation).write(self.out);
        self.out.extend_from_slice(&value);
        self.done = start + chars.len();
        true
    }

    /// Writes a string of base64url, or of several joined by dots, each of at least [`MIN_TEXT`] characters.
    fn token(&mut self, mut at: usize, chars: &[u8]) -> bool {
        if parts(chars).any(|part| part.len() < MIN_TEXT) {
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
        Head::Text(Notation::Base64Url(base64url::decoded_len(chars.len()))).write(self.out);
        let start = self.out.len();
        base64url::decode_onto(chars, self.out)?;
        let bytes = self.out.get(start..).unwrap_or_default();
        // Claims compress; keys, signatures and ciphertexts do not.
        if bytes.starts_with(b"{") && self.compressor.compress(bytes, Dictionary::Claims) {
            let expanded = bytes.len();
            self.out.truncate(head);
            self.compressed(expanded, Dictionary::Claims);
        }
        Some(())
    }

    /// Writes a list, either compressed as a whole or with the strings in it as what they stand for, whatever is smaller.
    fn list(&mut self, range: Range<usize>, strings: &[StringSpan], whole: bool) {
        let (written, done) = (self.out.len(), self.done);
        self.strings(strings);
        if !whole {
            return;
        }
        let Some(value) = self.body.get(range.clone()) else { return };
        if self.compressor.compress(value, Dictionary::None) {
            let by_strings = self.out.len() - written + range.end - self.done;
            let as_a_whole = range.start - done + self.compressor.output().len() + SEGMENT_COST / 2;
            if as_a_whole < by_strings {
                self.out.truncate(written);
                self.done = done;
                self.plain_until(range.start);
                self.compressed(value.len(), Dictionary::None);
                self.done = range.end;
            }
        }
    }

    /// Writes those strings of a list that stand for fewer bytes, with runs of such as are alike.
    fn strings(&mut self, mut strings: &[StringSpan]) {
        let chars = strings.iter().map(|string| string.len).sum::<usize>();
        let mut values = SecretBytes::new(Vec::with_capacity(chars + 3));
        while let [string, others @ ..] = strings {
            strings = others;
            let Some((start, chars)) = self.chars(string) else { continue };
            values.clear();
            let Some(notation) = Notation::decode(chars, &mut values) else {
                if chars.contains(&b'.') {
                    self.token(start, chars);
                }
                continue;
            };
            let (mut end, mut count, mut separator) = (start + chars.len(), 1, None);
            while let [next, others @ ..] = strings
                && let Some((start, chars)) = self.chars(next)
                && let Some(between) = self.body.get(end..start)
                && between.len() <= MAX_SEPARATOR
                && separator.is_none_or(|separator| separator == between)
            {
                let written = values.len();
                if Notation::decode(chars, &mut values) != Some(notation) {
                    values.truncate(written);
                    break;
                }
                separator = Some(between);
                (end, count, strings) = (start + chars.len(), count + 1, others);
            }
            self.plain_until(start);
            if let Some(separator) = separator {
                Head::Run(count).write(self.out);
                write_varint(u64::try_from(separator.len()).unwrap_or(u64::MAX), self.out);
                self.out.extend_from_slice(separator);
            }
            Head::Text(notation).write(self.out);
            self.out.extend_from_slice(&values);
            self.done = end;
        }
    }

    fn plain_until(&mut self, end: usize) {
        if let Some(plain @ [_, ..]) = self.body.get(self.done..end) {
            Head::Plain(plain.len()).write(self.out);
            self.out.extend_from_slice(plain);
        }
        self.done = end;
    }
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

/// How strings begin of which the dictionary has the words.
const WITH_WORDS: [&[u8]; 3] = [b"http", b"Mozilla/", b"urn:"];

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::message::recorder::SpanRecorder;
    use crate::message::unpack::{REST, plain, unpack};

    /// Returns the body and what it is packed to, after it was unpacked again.
    fn packed_in(format: Format, session: &impl Serialize, packing: Packing) -> (Vec<u8>, Vec<u8>) {
        let mut recorder = SpanRecorder::default();
        let body = format.serialize(session, &mut recorder).unwrap().to_vec();
        let mut out = Vec::new();
        pack(&body, &recorder.into_spans(), format, packing, &mut out);
        assert_eq!(*unpack(&out).unwrap(), body);
        (body, out)
    }

    fn packed(session: &impl Serialize, packing: Packing) -> (Vec<u8>, Vec<u8>) {
        packed_in(Format::MessagePack, session, packing)
    }

    #[test]
    fn a_small_session_is_one_plain_segment() {
        let (body, out) = packed(&("small", 1), Packing::Fields(Method::Lz4));
        assert_eq!(out, [&[REST], &body[..]].concat());
        assert_eq!(plain(&out), Some(&body[..]));
    }

    #[test]
    fn a_token_stands_as_its_bytes_between_plain_segments() {
        #[derive(Serialize)]
        struct Session {
            csrf: &'static str,
        }
        let (_, out) = packed(
            &Session { csrf: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" },
            Packing::Plain,
        );
        let bytes: Vec<u8> = (0..32).collect();
        // {"csrf": and the head of the string, plain; then 32 bytes as text.
        let expected =
            [&[8 << 2, 0x81, 0xa4], &b"csrf"[..], &[0xd9, 43, 0x82, 0x01], &bytes].concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn each_notation_has_its_head() {
        for (text, head, len) in [
            ("67e55044-10b1-426f-9247-bb680e5fe0c8", &[2 << 2 | 3][..], 16),
            ("67e5504410b1426f9247bb680e5fe0c8", &[0x87, 0x04], 16), // 16 << 5 | 1 << 2 | 3
            ("1234567890123456789", &[3 << 2 | 3], 9),
            ("2025-11-24T15:00:00Z", &[4 << 2 | 3], 5),
            ("2025-11-24T15:00:00.123Z", &[1 << 5 | 4 << 2 | 3], 6),
            ("2025-11-24T15:00:00.123456789+00:00", &[0xf3, 0x01], 9), // 7 << 5 | 4 << 2 | 3
            ("AAECAwQFBgcICQoLDA0ODw==", &[0x9f, 0x04], 16),           // 16 << 5 | 7 << 2 | 3
            ("AAECAwQFBgcICQoLDA0ODw", &[16 << 2 | 2], 16),
        ] {
            let (body, out) = packed(&(true, text), Packing::Plain);
            let before = body.len() - text.len();
            let plain = u8::try_from(before << 2).unwrap();
            let expected = [&[plain], &body[..before], head].concat();
            assert!(out.starts_with(&expected), "{text}: {out:x?}");
            assert_eq!(out.len(), expected.len() + len, "{text}");
            #[cfg(feature = "json")]
            packed_in(Format::Json, &(text, text), Packing::Plain);
        }
    }

    #[test]
    fn a_list_of_ids_is_a_run() {
        let id = |i: u8| format!("67e55044-10b1-426f-9247-bb680e5fe0{i:02x}");
        let ids: Vec<_> = (0..20).map(id).collect();
        let (body, out) = packed(&ids, Packing::Plain);
        assert_eq!(body.len(), 3 + 20 * 38);
        // The head of the list and of the first string; then a run of 20, with the heads of the others between.
        let expected = [5 << 2, 0xdc, 0, 20, 0xd9, 36, 0x97, 0x05, 2, 0xd9, 36, 2 << 2 | 3];
        assert!(out.starts_with(&expected), "{out:x?}");
        assert_eq!(out.len(), expected.len() + 20 * 16);
        assert!(
            packed(&ids, Packing::Fields(Method::Lz4)).1.len() <= out.len(),
            "as they differ in the end alone"
        );

        // Of two kinds in turn, there is no run; and a list of texts stays as it is.
        let mixed: Vec<_> =
            (0..20).flat_map(|i| [id(i), format!("12345678901234567{i:02}")]).collect();
        let (_, out) = packed(&mixed, Packing::Plain);
        assert_eq!(out.len(), 3 + 20 * (2 + 1 + 1 + 16 + 1 + 1 + 1 + 9));
        let (body, out) = packed(&vec!["some text of words"; 3], Packing::Plain);
        assert_eq!(out.len(), body.len() + 1);
        #[cfg(feature = "json")]
        packed_in(Format::Json, &(ids, mixed), Packing::Plain);
    }

    #[test]
    fn strings_within_structs_in_lists_and_in_what_is_flattened_are_found() {
        #[derive(Serialize)]
        struct Line {
            id: &'static str,
            note: &'static str,
        }
        #[derive(Serialize)]
        struct Session {
            lines: Vec<Line>,
            #[serde(flatten)]
            more: std::collections::BTreeMap<&'static str, Vec<Vec<&'static str>>>,
        }
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let line = || Line { id, note: "a \"note\"" };
        let one =
            Session { lines: vec![line(), line()], more: [("ids", vec![vec![id, id]])].into() };
        let formats = [
            Format::MessagePack,
            #[cfg(feature = "json")]
            Format::Json,
        ];
        for format in formats {
            let (body, out) = packed_in(format, &one, Packing::Plain);
            assert!(
                out.len() + 4 * 36 < body.len() + 4 * 24,
                "{format}: {} of {}",
                out.len(),
                body.len()
            );
        }
    }

    #[test]
    fn an_address_and_the_name_of_a_browser_are_packed_with_the_words_of_many() {
        let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0";
        let picture = "https://lh3.googleusercontent.com/a/ACg8ocK3cV4zq7Zf=s96-c";
        for (text, most) in [(agent, 60), (picture, 50)] {
            for method in [Method::Lz4, Method::Deflate] {
                let (_, out) = packed(&(1, text), Packing::Fields(method));
                assert!(out.len() < most, "{}", out.len());
            }
        }
    }

    #[test]
    fn one_context_compresses_what_fields_have_in_common() {
        let attributes: std::collections::BTreeMap<_, _> = (0..30)
            .map(|i| (format!("urn:example:attribute:{i}"), format!("value of attribute {i}")))
            .collect();
        let [fields, whole] = [Packing::Fields(Method::Deflate), Packing::Whole(Method::Deflate)]
            .map(|packing| packed(&attributes, packing).1.len());
        assert!(whole * 4 < fields, "{whole} and {fields}");
    }
}
