//! Hexadecimal digits in lower case, and UUIDs (RFC 9562) of them.
//!
//! Decoding is strict: each text has one byte string and each byte string one text of each kind.

/// Appends what the digits stand for.
pub(crate) fn decode_onto(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    for [high, low] in pairs {
        out.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(())
}

/// Encodes to a buffer of twice the length.
pub(crate) fn encode_into(bytes: &[u8], out: &mut [u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (byte, pair) in bytes.iter().zip(pairs) {
        *pair = [character(byte >> 4), character(byte & 0x0f)];
    }
}

/// Reads a UUID in its usual form, as in `67e55044-10b1-426f-9247-bb680e5fe0c8`.
pub(crate) fn decode_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; UUID_LEN] = text.try_into().ok()?;
    let mut bytes = Vec::with_capacity(16);
    for (i, group) in text.split(|c| *c == b'-').enumerate() {
        if GROUPS.get(i) != Some(&group.len()) {
            return None;
        }
        decode_onto(group, &mut bytes)?;
    }
    bytes.try_into().ok()
}

/// Writes a UUID in its usual form.
pub(crate) fn encode_uuid(bytes: [u8; 16], out: &mut [u8]) {
    let (mut bytes, mut out) = (&bytes[..], out);
    for (i, len) in GROUPS.into_iter().enumerate() {
        if i > 0
            && let Some((dash, rest)) = std::mem::take(&mut out).split_first_mut()
        {
            *dash = b'-';
            out = rest;
        }
        let (Some((group, rest)), Some((text, after))) =
            (bytes.split_at_checked(len / 2), std::mem::take(&mut out).split_at_mut_checked(len))
        else {
            return;
        };
        encode_into(group, text);
        (bytes, out) = (rest, after);
    }
}

pub(crate) const UUID_LEN: usize = 36;

const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

fn character(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_is_strict() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = vec![0; 512];
        encode_into(&bytes, &mut text);
        assert!(text.starts_with(b"000102") && text.ends_with(b"fdfeff"));
        let mut back = Vec::new();
        decode_onto(&text, &mut back).unwrap();
        assert_eq!(back, bytes);
        for bad in ["0", "0A", "0g", "0 ", "0x", "/0", ":0", "`0", "é"] {
            assert!(decode_onto(bad.as_bytes(), &mut Vec::new()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_uuid_has_its_dashes_and_nothing_else() {
        let text = b"67e55044-10b1-426f-9247-bb680e5fe0c8";
        let bytes = decode_uuid(text).unwrap();
        assert_eq!(bytes[..5], [0x67, 0xe5, 0x50, 0x44, 0x10]);
        let mut back = [0; UUID_LEN];
        encode_uuid(bytes, &mut back);
        assert_eq!(&back, text);
        for bad in [
            "67E55044-10b1-426f-9247-bb680e5fe0c8",
            "67e5504-410b1-426f-9247-bb680e5fe0c8",
            "67e55044010b1-426f-9247-bb680e5fe0c8",
            "67e55044-10b1-426f-9247bb680-e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0c",
            "67e55044-10b1-426f-9247-bb680e5fe0c-",
            "67e55044-10b1-426f-9247-bb680e5fe0c88",
            "67e5504410b1426f9247bb680e5fe0c8",
            "------------------------------------",
        ] {
            assert!(decode_uuid(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
