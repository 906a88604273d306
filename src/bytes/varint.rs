//! Numbers of variable length: unsigned LEB128, minimal, of at most 64 bits.

pub(crate) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Returns the number of bytes that [`write_varint`] writes.
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    usize::try_from(bits.div_ceil(7).max(1)).unwrap_or(usize::MAX)
}

#[inline]
pub(crate) fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    // Most take one byte.
    match rest.split_first() {
        Some((byte, after)) if *byte < 0x80 => {
            *rest = after;
            Some(u64::from(*byte))
        }
        _ => read_long_varint(rest),
    }
}

fn read_long_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take::<1>(rest)?;
        let low = u64::from(byte & 0x7f);
        if low << shift >> shift != low {
            return None; // over 64 bits
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(value); // minimal only
        }
    }
    None
}

/// Takes `N` bytes off the front.
pub(crate) fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_minimal_and_round_trip() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            assert_eq!(bytes.len(), varint_len(value));
            assert_eq!(read_varint(&mut bytes.as_slice()), Some(value));
            for cut in 0..bytes.len() {
                assert_eq!(read_varint(&mut &bytes[..cut]), None);
            }
        }
        let over = [0xff; 10];
        for bad in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &[0x80; 11], &over] {
            assert_eq!(read_varint(&mut &bad[..]), None, "{bad:?}");
        }
    }
}
