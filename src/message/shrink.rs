//! Shrinking: DEFLATE for the largest values, where LZ4 leaves a session in too many cookies or in none.
//!
//! DEFLATE makes a value smaller than LZ4 does, and costs some microseconds for each value, however small. So the values
//! get it in the order of their length, and only until the session fits, within a budget. The order depends on how long
//! each value is before it is compressed, and the end on the sum of all sizes: none of it tells what two values have in
//! common (CRIME).

use std::cmp::Reverse;
use std::ops::Range;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::message::compress::{Compressor, Dictionary, Method, SMALLEST};
use crate::message::recorder::{FieldSpan, Spans};
use crate::message::segment::{Head, Segment, write_compressed};

/// Packs a session again, if that takes fewer cookies than it does as it was packed with LZ4.
///
/// `cookies` returns how many cookies a packed session of a length takes, and `None` where it is too large.
pub(crate) fn shrink(
    body: &[u8],
    spans: &Spans,
    packed: &[u8],
    cookies: impl Fn(usize) -> Option<u8>,
) -> Option<SecretBytes> {
    // No number of cookies is worse than any.
    let cookies = |len| cookies(len).unwrap_or(u8::MAX);
    let now = cookies(packed.len());
    let mut pieces = pieces(body, spans, packed)?;
    // Where the session is refused otherwise, it may take its time.
    let refused = now == u8::MAX;
    let (budget, saving) = if refused { (4 * body.len(), MOST) } else { (body.len(), USUAL) };
    let chosen = choose(&pieces, budget);
    let longest = chosen.iter().filter_map(|i| pieces.get(*i)).map(|piece| piece.expanded).max()?;
    let level = match longest {
        _ if refused => SMALLEST,
        0..LONG => FAST,
        _ => FASTEST,
    };
    let mut compressor = Compressor::deflate(level, longest);
    // As small as all could become together.
    let least = |total: usize, left: &[usize], pieces: &[Piece<'_>]| {
        let sizes = left.iter().filter_map(|i| pieces.get(*i)).map(|piece| piece.size);
        cookies(total.saturating_sub(sizes.map(|size| size * saving / 100).sum()))
    };
    let mut total = packed.len();
    let mut left = &chosen[..];
    while least(total, left, &pieces) < cookies(total)
        && let [first, others @ ..] = left
    {
        left = others;
        let Some(piece) = pieces.get_mut(*first) else { continue };
        if let Some(smaller) = piece.deflate(body, &mut compressor) {
            total =
                total - piece.size + smaller.len() + if piece.packed.is_none() { SPLIT } else { 0 };
            piece.deflated = Some(smaller);
        }
    }
    (cookies(total) < now).then(|| write(body, &pieces, total))
}

/// A part of the body that does not stand in the packed session as it is, or need not.
struct Piece<'p> {
    /// What of the body it is.
    body: Range<usize>,
    /// The segment that stands for it, if one does.
    packed: Option<&'p [u8]>,
    /// The bytes that it takes.
    size: usize,
    /// From what it can be compressed, and how many bytes.
    dictionary: Option<Dictionary>,
    expanded: usize,
    /// The segment that is to stand for it.
    deflated: Option<SecretBytes>,
}

/// Finds the pieces of a packed session, in order.
fn pieces<'p>(body: &[u8], spans: &Spans, packed: &'p [u8]) -> Option<Vec<Piece<'p>>> {
    let mut fields = spans.fields.iter().peekable();
    let mut pieces = Vec::with_capacity(spans.fields.len());
    let (mut rest, mut at) = (packed, 0);
    while !rest.is_empty() {
        let from = rest;
        let segment = Segment::read(&mut rest)?;
        let bytes = from.get(..from.len() - rest.len())?;
        let range = at..at + segment.body_len();
        at = range.end;
        while fields.next_if(|field| field.range.start < range.start).is_some() {}
        let (dictionary, expanded) = match segment {
            Segment::Plain(_) => {
                // The fields that lie in it.
                while let Some(field) = fields.next_if(|field| field.range.end <= range.end) {
                    let FieldSpan { range, whole, .. } = field;
                    if *whole && range.len() >= MIN_DEFLATE {
                        pieces.push(Piece {
                            body: range.clone(),
                            packed: None,
                            size: range.len(),
                            dictionary: Some(Dictionary::None),
                            expanded: range.len(),
                            deflated: None,
                        });
                    }
                }
                continue;
            }
            Segment::Compressed { dictionary, expanded, .. } => (Some(dictionary), expanded),
            Segment::Text { .. } | Segment::Run(_) => (None, 0),
        };
        let size = bytes.len();
        pieces.push(Piece {
            body: range,
            packed: Some(bytes),
            size,
            dictionary,
            expanded,
            deflated: None,
        });
    }
    (at == body.len()).then_some(pieces)
}

/// Chooses what may get DEFLATE within a budget, the longest first.
fn choose(pieces: &[Piece<'_>], mut budget: usize) -> Vec<usize> {
    let compressible =
        |piece: &Piece<'_>| piece.dictionary.is_some() && piece.expanded >= MIN_DEFLATE;
    let all = pieces.iter().enumerate().filter(|(_, piece)| compressible(piece));
    let mut all: Vec<_> = all.map(|(i, piece)| (Reverse(piece.expanded), i)).collect();
    all.sort_unstable();
    let mut chosen = Vec::with_capacity(all.len());
    for (Reverse(expanded), i) in all {
        // The longest in any case.
        let Some(left) = budget.checked_sub(FIXED + expanded).or(chosen.is_empty().then_some(0))
        else {
            break;
        };
        budget = left;
        chosen.push(i);
    }
    chosen
}

impl Piece<'_> {
    /// Returns the segment with DEFLATE, if that is smaller.
    fn deflate(&self, body: &[u8], compressor: &mut Compressor) -> Option<SecretBytes> {
        let value = body.get(self.body.clone())?;
        let dictionary = self.dictionary?;
        let mut claims = SecretBytes::new(Vec::new());
        let value = match dictionary {
            Dictionary::Claims => {
                claims.reserve_exact(self.expanded + 3);
                base64url::decode_onto(value, &mut claims)?;
                claims.as_slice()
            }
            Dictionary::None | Dictionary::Words => value,
        };
        if !compressor.compress(value, dictionary) {
            return None;
        }
        let mut segment =
            SecretBytes::new(Vec::with_capacity(compressor.output().len() + 2 * SPLIT));
        write_compressed(
            dictionary,
            Method::Deflate,
            value.len(),
            compressor.output(),
            &mut segment,
        );
        (segment.len() < self.size).then_some(segment)
    }
}

fn write(body: &[u8], pieces: &[Piece<'_>], len: usize) -> SecretBytes {
    let mut out = SecretBytes::new(Vec::with_capacity(len));
    let mut done = 0;
    for piece in pieces {
        let Some(segment) = piece.deflated.as_deref().map(Vec::as_slice).or(piece.packed) else {
            continue;
        };
        if let Some(plain @ [_, ..]) = body.get(done..piece.body.start) {
            Head::Plain(plain.len()).write(&mut out);
            out.extend_from_slice(plain);
        }
        out.extend_from_slice(segment);
        done = piece.body.end;
    }
    if let Some(rest @ [_, ..]) = body.get(done..) {
        Head::Rest.write(&mut out);
        out.extend_from_slice(rest);
    }
    debug_assert!(out.len() <= len, "it fits as it was estimated to");
    out
}

/// The levels of DEFLATE: the second takes a fifth less than the 6th for 2 % more bytes, the first half as long.
const FASTEST: u32 = 1;
const FAST: u32 = 2;

/// Longer values get the fastest level.
const LONG: usize = 3072;

/// Shorter values are not worth the time.
const MIN_DEFLATE: usize = 128;

/// So much of a hundred bytes, as LZ4 or nothing left them, DEFLATE may save: of text of few different characters, and of
/// all else. Most sessions that cannot fit are found out by it before anything is compressed.
const MOST: usize = 75;
const USUAL: usize = 50;

/// What each value costs beside its length, in bytes that DEFLATE could compress in this time.
const FIXED: usize = 1536;

/// What it costs at most to write a value apart from the bytes around it, in bytes.
const SPLIT: usize = 8;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;
    use crate::message::format::Format;
    use crate::message::pack::{Packing, pack};
    use crate::message::recorder::SpanRecorder;
    use crate::message::unpack::unpack;

    #[derive(Serialize)]
    struct Session {
        short: String,
        middle: Vec<String>,
        id: &'static str,
        longest: String,
        token: String,
    }

    fn session() -> Session {
        let words = |seed: u64, len: usize| {
            let mut random = seed;
            let mut text = String::new();
            while text.len() < len {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text += ["order ", "invoice ", "north ", "blue ", "street ", "paper "]
                    [usize::try_from(random >> 33).unwrap() % 6];
            }
            text
        };
        let claims = format!("{{\"sub\":\"{}\"}}", words(4, 700));
        let mut token = String::new();
        base64url::encode(claims.as_bytes(), &mut token);
        Session {
            short: words(1, 100),
            middle: vec![words(2, 200); 4],
            id: "67e55044-10b1-426f-9247-bb680e5fe0c8",
            longest: words(3, 2000),
            token,
        }
    }

    /// The body, its spans, and how LZ4 packs it.
    fn packed(session: &impl Serialize) -> (Vec<u8>, Spans, Vec<u8>) {
        let mut recorder = SpanRecorder::default();
        let body = Format::MessagePack.serialize(session, &mut recorder).unwrap().to_vec();
        let spans = recorder.into_spans();
        let mut out = Vec::new();
        pack(&body, &spans, Format::MessagePack, Packing::Fields(Method::Lz4), &mut out);
        (body, spans, out)
    }

    /// The bytes after inflating of all that is compressed with this method, in order.
    fn compressed(packed: &[u8], method: Method) -> Vec<usize> {
        let (mut rest, mut found) = (packed, Vec::new());
        while !rest.is_empty() {
            match Segment::read(&mut rest).unwrap() {
                Segment::Compressed { method: used, expanded, .. } if used == method => {
                    found.push(expanded)
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn the_longest_values_get_deflate_and_only_until_the_session_fits() {
        let (body, spans, lz4) = packed(&session());
        assert_eq!(compressed(&lz4, Method::Deflate), [0_usize; 0]);
        let up_to = |most: usize| shrink(&body, &spans, &lz4, |len| (len <= most).then_some(1));
        let some = up_to(lz4.len() - 1).unwrap();
        let longest = compressed(&some, Method::Deflate);
        assert!(matches!(longest[..], [2000..2100]), "{longest:?}");
        let more = up_to(some.len() - 1).unwrap();
        assert!(compressed(&more, Method::Deflate).len() > 1);
        for shrunk in [&some, &more] {
            assert_eq!(*unpack(shrunk).unwrap(), body);
            assert!(!compressed(shrunk, Method::Lz4).is_empty(), "what is short keeps LZ4");
        }
        assert!(more.len() < some.len() && some.len() < lz4.len());
        assert!(up_to(100).is_none());
        // Where two cookies hold it anyway, one is not worth as much time.
        let or_two =
            |most: usize| shrink(&body, &spans, &lz4, |len| Some(if len <= most { 1 } else { 2 }));
        assert_eq!(compressed(&or_two(lz4.len() - 1).unwrap(), Method::Deflate), longest);
        assert!(or_two(some.len() - 1).is_none());
    }

    #[test]
    fn what_cannot_fit_is_found_out_before_anything_is_compressed() {
        let (body, spans, lz4) = packed(&session());
        let asked = Cell::new(0);
        let most = lz4.len() / 5;
        let none = shrink(&body, &spans, &lz4, |len| {
            asked.set(asked.get() + 1);
            (len <= most).then_some(1)
        });
        assert!(none.is_none());
        // For what it takes, at best, and compared with what it took.
        assert!(asked.get() <= 4, "{}", asked.get());
    }

    /// Whatever it is made of: many small fields, some large ones, lists of lists.
    #[test]
    fn the_work_before_a_refusal_is_bounded_by_the_length_of_the_session() {
        let value = |n: u64, len: usize| {
            let mut text = String::new();
            for i in 0_u64.. {
                if text.len() >= len {
                    break;
                }
                let digits = (n << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                text += &format!("{digits} order {}; ", digits % 7);
            }
            text.truncate(len);
            text
        };
        let map = |count: u64, len: usize| {
            (0..count).map(|n| (format!("field {n}"), value(n, len))).collect::<BTreeMap<_, _>>()
        };
        let lists = |count: u64, len: usize| {
            let list = |n| (n..n + 20).map(|n| value(n, len)).collect::<Vec<_>>();
            (0..count).map(|n| (n, list(n))).collect::<BTreeMap<_, _>>()
        };
        let count = |(body, spans, lz4): (Vec<u8>, Spans, Vec<u8>)| {
            let pieces = pieces(&body, &spans, &lz4).unwrap();
            let budget = 4 * body.len();
            let chosen = choose(&pieces, budget);
            let work: usize = chosen.iter().map(|i| FIXED + pieces[*i].expanded).sum();
            assert!(work <= budget || chosen.len() == 1, "{work} for {} bytes", body.len());
            chosen.len()
        };
        // What is too short to gain anything costs nothing more.
        assert_eq!(count(packed(&map(2000, 8))), 0);
        assert_eq!(count(packed(&map(2000, 20))), 0);
        assert_eq!(count(packed(&(0..400).map(|n| value(n, 30)).collect::<Vec<_>>())), 1);
        for (session, fields) in [(map(400, 130), 400), (map(200, 300), 200), (map(30, 2000), 30)] {
            let chosen = count(packed(&session));
            assert!(chosen > 0 && chosen <= fields, "{chosen}");
        }
        assert!(count(packed(&map(400, 130))) < 200, "not each of many");
        assert!(count(packed(&lists(100, 12))) <= 100);
        assert_eq!(count(packed(&value(1, 60_000))), 1);
    }

    #[test]
    fn a_value_that_lz4_left_alone_is_written_apart() {
        // Digits repeat nothing, and are of ten kinds.
        let digits: String = (0_u64..90)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).to_string() + ".")
            .collect();
        let (body, spans, lz4) = packed(&(1, digits, "after"));
        assert_eq!(compressed(&lz4, Method::Lz4), [0_usize; 0]);
        let shrunk =
            shrink(&body, &spans, &lz4, |len| (len < lz4.len() - 100).then_some(1)).unwrap();
        assert_eq!(compressed(&shrunk, Method::Deflate).len(), 1);
        assert_eq!(*unpack(&shrunk).unwrap(), body);
        let nothing = shrink(&body, &Spans::default(), &lz4, |len| (len < lz4.len()).then_some(1));
        assert!(nothing.is_none());
    }
}
