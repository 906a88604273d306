//! Padding: how the length of a message is hidden.

/// How the length of a message is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Padding {
    /// The sealed value to the next length of few significant bits (Padmé; Nikitin et al., PETS 2019): at
    /// most 12 %, some 3 % as a rule. The limits are judged by the padded length. The default.
    ///
    /// It hides a length from who sees it once, or as it happens to be. Who can make a part of the session longer, byte by
    /// byte, and see each time how large the cookie gets, learns the length of the rest to the byte all the same, by
    /// where it steps.
    #[default]
    Padme,
    /// Not at all: who sees the cookie's size knows the session's to the byte.
    DangerousNone,
}

/// Returns the padded length: Padmé (Nikitin et al., PETS 2019), which lets the length tell
/// only O(log log n) bits and costs at most 12 %.
pub(crate) fn padme(len: usize) -> usize {
    len.next_multiple_of(step(len))
}

/// Returns the longest padded length within `most`.
pub(crate) fn padme_within(most: usize) -> usize {
    most - most % step(most)
}

/// Returns how far apart the padded lengths are at this length.
fn step(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else { return 1 };
    let kept = exponent.ilog2() + 1;
    1 << (exponent - kept.min(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padme_keeps_only_the_leading_bits_of_a_length() {
        for (len, padded) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (7, 7),
            (8, 8),
            (9, 10),
            (16, 16),
            (17, 18),
            (95, 96),
            (96, 96),
            (97, 104),
            (1000, 1024),
            (1025, 1088),
            (2049, 2176),
            (9000, 9216),
        ] {
            assert_eq!(padme(len), padded, "{len}");
        }
        for len in 1..20_000 {
            assert!(padme(len) >= len && (padme(len) - len) * 100 <= len * 12, "{len}");
            assert_eq!(padme(padme(len)), padme(len), "{len}");
            let within = padme_within(len);
            assert!(within <= len && padme(within) == within, "{len}");
            assert!(within == len || padme(within + 1) > len, "{len}");
        }
    }
}
