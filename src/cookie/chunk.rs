//! Chunks: one text over several cookies, and back.
//!
//! ```text
//! name    = the first share of the text
//! name.1  = set tag · the next share
//! name.2  = set tag · the next share …
//! set tag = characters 8 to 11 of the text, which stand for bytes of the nonce
//! ```
//!
//! The first cookie announces, in the seal's header, how many there are. The set tag tells the chunks of
//! one write from those of another before anything is opened; what tells for certain is the one seal
//! over the whole.

use std::borrow::Cow;

use crate::bytes::base64url;
use crate::cookie::found::{FoundCookies, can_be_ours};
use crate::cookie::layout::Layout;
use crate::cookie::limits::{MAX_TEXT, SET_TAG};
use crate::seal::{self, HEADER, OpenError};

/// The reason why cookies give no sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChunkError {
    /// The header of the seal, in the first cookie, says so.
    Header(OpenError),
    /// A further cookie is absent.
    Missing,
    /// A further cookie is of another write.
    Mixed,
}

const MALFORMED: ChunkError = ChunkError::Header(OpenError::Malformed);

/// Returns the sealed value whose text begins with the value `base`.
pub(crate) fn sealed(base: &[u8], found: &FoundCookies<'_>) -> Result<Vec<u8>, ChunkError> {
    // Most sessions are in one cookie, which need not be put together.
    if base.len() <= MAX_TEXT
        && let Some(sealed) = base64url::decode(base)
        && matches!(seal::parse_header(&sealed), Ok((1, _)))
    {
        return Ok(sealed);
    }
    base64url::decode(&join(base, found)?).ok_or(MALFORMED)
}

/// Joins the text that begins with the value `base`.
pub(crate) fn join<'a>(
    base: &'a [u8],
    found: &FoundCookies<'_>,
) -> Result<Cow<'a, [u8]>, ChunkError> {
    if base.len() > MAX_TEXT {
        return Err(MALFORMED);
    }
    let (head, after) = base.split_first_chunk::<HEAD>().ok_or(MALFORMED)?;
    let mut header = [0; base64url::decoded_len(HEAD)];
    base64url::decode_into(head, &mut header).ok_or(MALFORMED)?;
    let (cookies, _) = match seal::parse_header(&header) {
        // What another program put under our name is not to be kept for a newer version.
        Err(OpenError::UnsupportedVersion(_)) if !can_be_ours(0, base) => Err(MALFORMED),
        parsed => parsed.map_err(ChunkError::Header),
    }?;
    if cookies == 1 {
        return Ok(Cow::Borrowed(base));
    }
    let (tag, _) = after.split_first_chunk::<SET_TAG>().ok_or(MALFORMED)?;
    let mut text = base.to_vec();
    for index in 1..cookies {
        let mut values = found.values(index).peekable();
        if values.peek().is_none() {
            return Err(ChunkError::Missing);
        }
        let share = values.find_map(|value| value.strip_prefix(tag));
        text.extend_from_slice(share.ok_or(ChunkError::Mixed)?);
        if text.len() > MAX_TEXT {
            return Err(MALFORMED);
        }
    }
    Ok(Cow::Owned(text))
}

/// Splits a text into the values of its cookies, in order: the tag to put before each, and its share.
pub(crate) fn split<'a>(
    text: &'a str,
    layout: &Layout,
) -> impl Iterator<Item = (u8, &'a str, &'a str)> {
    let tag = text.get(HEAD..HEAD + SET_TAG).unwrap_or_default();
    let mut rest = text;
    (0_u8..).map_while(move |index| {
        if rest.is_empty() {
            return None;
        }
        let share;
        (share, rest) = rest.split_at_checked(layout.share(index)).unwrap_or((rest, ""));
        Some((index, if index == 0 { "" } else { tag }, share))
    })
}

/// The characters that hold the seal's header, and before the set tag.
const HEAD: usize = 8;

const _: () = assert!(base64url::decoded_len(HEAD) > HEADER, "the set tag is of the nonce alone");
