//! Unpacking: the serialized session from its segments.

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::message::MAX_BODY;
use crate::message::compress::{Dictionary, Inflater, Method};
use crate::message::error::MessageError;
use crate::message::notation::{Notation, Value};
use crate::message::segment::Segment;

/// Returns the whole body where it stands in `packed` as it is.
pub(crate) fn plain(packed: &[u8]) -> Option<&[u8]> {
    packed.strip_prefix(&[REST])
}

/// Unpacks a session. Each segment is held against [`MAX_BODY`] before there is room made for it, and each inflating is held
/// to the length it announced.
pub(crate) fn unpack(packed: &[u8]) -> Result<SecretBytes, MessageError> {
    let mut body = SecretBytes::new(Vec::with_capacity(packed.len().saturating_mul(USUAL)));
    let mut inflater = Inflater::default();
    let mut rest = packed;
    while !rest.is_empty() {
        let segment = Segment::read(&mut rest).ok_or(MessageError::Malformed)?;
        let len = segment.body_len();
        if len > MAX_BODY.saturating_sub(body.len()) {
            return Err(MessageError::Malformed);
        }
        match segment {
            Segment::Plain(bytes) => body.append(bytes),
            Segment::Compressed { dictionary: Dictionary::Claims, method, expanded, bytes } => {
                let start = body.len();
                // What they inflate to lies behind their text for as long as that is written.
                let (text, inflated) = body
                    .append_zeros(len + expanded)
                    .split_at_mut_checked(len)
                    .ok_or(MessageError::Malformed)?;
                inflater.inflate(bytes, method, Dictionary::Claims, inflated)?;
                base64url::encode_into(inflated, text);
                body.truncate(start + len);
            }
            Segment::Compressed { dictionary, method, bytes, .. } => {
                inflater.inflate(bytes, method, dictionary, body.append_zeros(len))?;
            }
            Segment::Text { notation, value } => write(notation, value, &mut body)?,
            Segment::Run(run) => {
                for (i, value) in run.values().enumerate() {
                    if i > 0 {
                        body.append(run.separator);
                    }
                    write(run.notation, value, &mut body)?;
                }
            }
        }
    }
    Ok(body)
}

/// Appends what a value stands for.
fn write(notation: Notation, value: Value<'_>, body: &mut SecretBytes) -> Result<(), MessageError> {
    let text = body.append_zeros(notation.text_len(value));
    notation.encode_into(value, text).ok_or(MessageError::Malformed)
}

/// Returns how a session was made smaller: `deflate` or `lz4` if any part of it is compressed, else `none`.
pub(crate) fn packing(packed: &[u8]) -> &'static str {
    let mut rest = packed;
    let segments =
        std::iter::from_fn(|| if rest.is_empty() { None } else { Segment::read(&mut rest) });
    segments.fold("none", |packing, segment| match (packing, segment) {
        ("deflate", _) | (_, Segment::Compressed { method: Method::Deflate, .. }) => "deflate",
        (_, Segment::Compressed { method: Method::Lz4, .. }) => "lz4",
        (packing, _) => packing,
    })
}

/// So many times as long as they are packed most sessions are, with room for what is inflated on the way.
const USUAL: usize = 3;

/// The head of a last segment that takes all there is.
pub(crate) const REST: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::varint::write_varint;
    use crate::message::compress::Compressor;
    use crate::message::compress::Method::{Deflate, Lz4};
    use crate::message::segment::Head;

    fn compressed(method: Method, dictionary: Dictionary, expanded: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Head::Compressed(dictionary, bytes.len()).write(&mut out);
        write_varint(expanded << 1 | u64::from(method == Deflate), &mut out);
        out.extend_from_slice(bytes);
        out
    }

    #[test]
    fn a_body_has_64_kib_at_most() {
        let repeated = |len: usize| {
            let lz4 = lz4_flex::block::compress(&vec![7; len]);
            let out = compressed(Lz4, Dictionary::None, u64::try_from(len).unwrap(), &lz4);
            unpack(&out).map(|body| body.len())
        };
        assert_eq!(repeated(MAX_BODY).unwrap(), MAX_BODY);
        assert!(repeated(MAX_BODY + 1).is_err());
    }

    #[test]
    fn each_malformed_packing_is_refused() {
        use Dictionary::{Claims, None};
        let lz4 = lz4_flex::block::compress(&[7; 100]);
        let bomb = lz4_flex::block::compress(&vec![7; 70_000]);
        let large = compressed(Lz4, None, 60_000, &lz4_flex::block::compress(&[7; 60_000]));
        let claims = compressed(Lz4, Claims, 60_000, &lz4_flex::block::compress(&[7; 60_000]));
        let good = compressed(Lz4, None, 100, &lz4);
        assert_eq!(unpack(&good).unwrap().as_slice(), [7; 100]);
        // A run of many values with a separator: 200 zeros, and over the limit.
        let run = |count: u64, values: usize| {
            let mut out = Vec::new();
            write_varint(count << 5 | 5 << 2 | 3, &mut out);
            [out, [&[16], &[b','; 16][..], &[3 << 2 | 3], &vec![0; values]].concat()].concat()
        };
        assert_eq!(unpack(&run(200, 200)).unwrap().len(), 200 + 199 * 16);
        for (reason, bad) in [
            ("no head", vec![0x80]),
            ("a head that is not minimal", vec![0x84, 0x00, 1]),
            ("a head without bytes", vec![2 << 2, 1]),
            ("no expanded length", vec![1 << 2 | 1]),
            ("expanded length too small", compressed(Lz4, None, 99, &lz4)),
            ("expanded length too large", compressed(Lz4, None, 101, &lz4)),
            ("expanded length 0", compressed(Lz4, None, 0, &[0])),
            ("expanded length over the limit", compressed(Lz4, None, 70_000, &bomb)),
            ("expanded length 2⁶²", compressed(Lz4, None, 1 << 62, &bomb)),
            ("a bomb that announces little", compressed(Lz4, None, 100, &bomb)),
            ("many segments that are over the limit together", large.repeat(2)),
            ("text that is over the limit once encoded", claims),
            ("a length of 2⁶²", vec![0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            ("no LZ4", compressed(Lz4, None, 100, &[0xff; 4])),
            ("nothing compressed", vec![1, 5]),
            ("no bytes as base64url", vec![2]),
            ("no compressed claims", vec![3, 5]),
            ("no bytes as hex", vec![1 << 2 | 3]),
            ("no bytes as base64", vec![7 << 2 | 3]),
            ("a UUID cut", [&[2 << 2 | 3][..], &[7; 15]].concat()),
            ("two UUIDs by one head", [&[1 << 5 | 2 << 2 | 3][..], &[7; 32]].concat()),
            ("no number", vec![3 << 2 | 3]),
            ("a number of a form", vec![1 << 5 | 3 << 2 | 3, 5]),
            ("a number that is not minimal", vec![3 << 2 | 3, 0x80, 0]),
            ("a number over 64 bits", [&[3 << 2 | 3][..], &[0xff; 9], &[2]].concat()),
            ("a time of an unknown form", vec![0x93, 0x02, 5]), // 8 << 5 | 4 << 2 | 3
            ("a time after 9999", {
                let mut out = vec![4 << 2 | 3];
                write_varint(253_402_300_800, &mut out);
                out
            }),
            ("a run of one", run(1, 1)),
            ("a run of none", run(0, 0)),
            ("a run that is cut", run(3, 2)),
            ("a run of 2⁵⁸", run(1 << 58, 10)),
            ("a run over the limit", run(5000, 5000)),
            (
                "a separator of 17 bytes",
                [&[2 << 5 | 5 << 2 | 3, 17][..], &[0; 17], &[3 << 2 | 3, 1, 1]].concat(),
            ),
            ("a run of plain bytes", vec![2 << 5 | 5 << 2 | 3, 0, 1 << 2, 1, 1]),
            (
                "a run of runs",
                vec![2 << 5 | 5 << 2 | 3, 0, 2 << 5 | 5 << 2 | 3, 0, 3 << 2 | 3, 1, 1],
            ),
            ("a run without a head", vec![2 << 5 | 5 << 2 | 3, 0]),
        ] {
            let error = unpack(&bad).unwrap_err();
            assert!(matches!(error, MessageError::Malformed), "{reason}");
        }
        assert!(unpack(&compressed(Deflate, None, 100, &lz4)).is_err(), "LZ4 is no DEFLATE");
        assert!(unpack(&[]).unwrap().is_empty());
    }

    #[test]
    fn deflate_takes_exactly_its_bytes() {
        let mut compressor = Compressor::new(Some(Deflate), 1000);
        assert!(compressor.compress(&[7; 1000], Dictionary::None));
        let deflated = compressor.output().to_vec();
        let inflate = |bytes: &[u8], expanded| {
            let out = compressed(Deflate, Dictionary::None, expanded, bytes);
            assert_eq!(packing(&out), "deflate");
            unpack(&out).map(|body| body.len())
        };
        assert_eq!(inflate(&deflated, 1000).unwrap(), 1000);
        for (bytes, expanded) in [
            (&deflated[..], 999),
            (&deflated, 1001),
            (&deflated[..deflated.len() - 1], 1000),
            (&[&deflated[..], &[0]].concat(), 1000),
        ] {
            assert!(inflate(bytes, expanded).is_err());
        }
    }
}
