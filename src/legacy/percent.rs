//! Percent-encoding, as `cookie`'s `Cookie::encoded`, Rack and `encodeURIComponent` put it around a value.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Returns the value as it is, and then as it was before it was percent-encoded, if that is another.
///
/// Not every framework encodes. Both readings are tried, and what is authentic decides.
pub(super) fn readings(value: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let decoded = Cow::from(percent_decode(value));
    let decoded = (*decoded != *value).then_some(decoded);
    std::iter::once(Cow::Borrowed(value)).chain(decoded)
}
