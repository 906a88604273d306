//! Limits: what browsers keep and proxies pass, and how a text is laid out over cookies under them.

use crate::error::{ConfigError, Limit};
use crate::seal::{MAX_CHUNKS, OVERHEAD};
use crate::text;

/// Says how large the cookies of a session may be, and over how many it may be split.
///
/// Three limits apply, and all of them to what is really sent, attributes and removals included: one
/// cookie, because browsers drop a larger one in silence and keep the old one; all `Set-Cookie` lines
/// of a response, because a proxy answers 502 to a response head over its buffer; all cookies of the
/// session in a request, because a proxy answers 400 to a longer `Cookie` line, and goes on doing so
/// until the user deletes cookies.
///
/// A session that breaks a limit is refused with [`EncodeError::TooLarge`](crate::EncodeError::TooLarge),
/// and no cookie is set.
///
/// # Profiles
///
/// | profile | cookies | in a response | in a request | nginx needs |
/// |---|---|---|---|---|
/// | [`UNMODIFIED_NGINX`](Self::UNMODIFIED_NGINX), the default | 1 | 3000 bytes | 3000 | nothing |
/// | [`NGINX_PROXY_BUFFER_8K`](Self::NGINX_PROXY_BUFFER_8K) | ≤ 2 | 7000 | 6144 | `proxy_buffer_size 8k;` |
/// | [`NGINX_PROXY_BUFFER_16K`](Self::NGINX_PROXY_BUFFER_16K) | ≤ 4 | 14000 | 12288 | `proxy_buffer_size 16k; proxy_buffers 8 16k; large_client_header_buffers 4 16k;` |
///
/// The numbers leave room for the application's other headers and cookies: an unmodified nginx takes
/// a response head of 4095 bytes and a `Cookie` line of 8182. Apache, HAProxy, Varnish, Caddy and Node
/// pass the second profile with their defaults; Tomcat and lighttpd do too, where other headers are few.
///
/// # Example: splitting, and what is too large even so
///
/// ```
/// use sealed_session::{Codec, EncodeError, Key, Limits};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Session { user: u64, notes: String }
///
/// let codec = Codec::<Session>::builder(Key::generate()?)
///     .limits(Limits::NGINX_PROXY_BUFFER_8K) // up to two cookies
///     .build()?;
/// # let request = codec.request([""]);
/// # let mut state = 1_u64;
/// # let mut noise = |len| (0..len).map(|_| {
/// #     (state ^= state << 13, state ^= state >> 7, state ^= state << 17);
/// #     char::from(b' ' + (state % 95) as u8)
/// # }).collect::<String>();
/// let mut session = Session { user: 7, notes: noise(8000) }; // text that does not compress
/// let response = match codec.encode(&session, &request) {
///     Err(EncodeError::TooLarge(error)) => {
///         // For the log, as `error` says it: "the session needs … bytes of cookies in each request, 6144 are
///         // allowed; heaviest fields before compression: notes 8009, user 6". No cookie is set.
///         assert!(error.needed > error.allowed);
///         assert_eq!(error.heaviest[0].name, "notes");
///         session.notes.truncate(4000); // what your application can do without
///         codec.encode(&session, &request)?
///     }
///     sealed => sealed?,
/// };
/// assert!(response.set().eq(["__Host-session", "__Host-session.1"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Limits {
    cookie_bytes: usize,
    response_bytes: usize,
    request_bytes: usize,
    cookies: u8,
}

impl Limits {
    /// One cookie that an nginx without any setting passes in both directions.
    pub const UNMODIFIED_NGINX: Self =
        Self { cookie_bytes: 4000, response_bytes: 3000, request_bytes: 3000, cookies: 1 };

    /// Up to two cookies. nginx needs `proxy_buffer_size 8k;`.
    pub const NGINX_PROXY_BUFFER_8K: Self =
        Self { cookie_bytes: 4000, response_bytes: 7000, request_bytes: 6144, cookies: 2 };

    /// Up to four cookies. nginx needs
    /// `proxy_buffer_size 16k; proxy_buffers 8 16k; large_client_header_buffers 4 16k;`, and every
    /// proxy and server on the way must take a `Cookie` line of over 12 KB.
    pub const NGINX_PROXY_BUFFER_16K: Self = Self {
        cookie_bytes: 4000,
        response_bytes: 14_000,
        request_bytes: 12_288,
        cookies: MAX_CHUNKS,
    };

    /// Sets the most bytes of one cookie: name, `=`, value and attributes. At most 4096; 4000 by
    /// default, because proxies add attributes.
    pub const fn cookie_bytes(self, most: usize) -> Self {
        Self { cookie_bytes: most, ..self }
    }

    /// Sets the most bytes of all `Set-Cookie` lines of a response: `Set-Cookie: `, the value and the
    /// line's end. At most 16384.
    pub const fn response_bytes(self, most: usize) -> Self {
        Self { response_bytes: most, ..self }
    }

    /// Sets the most bytes of the session's cookies in a request: name, `=` and value of each, and
    /// `; ` between them. At most 12288.
    pub const fn request_bytes(self, most: usize) -> Self {
        Self { request_bytes: most, ..self }
    }

    /// Sets the most cookies of one session: 1 to 4.
    pub const fn cookies(self, most: u8) -> Self {
        Self { cookies: most, ..self }
    }

    /// Chromium keeps 10,240 bytes of cookies in a partition, and drops the oldest beyond that.
    pub(crate) fn check_partitioned(self) -> Result<(), ConfigError> {
        const MOST: usize = 10_240;
        let what = "request_bytes of a partitioned cookie";
        if self.request_bytes > MOST {
            return Err(ConfigError::LimitTooHigh { what, allowed: MOST });
        }
        Ok(())
    }

    pub(crate) fn check(self) -> Result<Self, ConfigError> {
        for (what, found, allowed) in [
            ("cookie_bytes", self.cookie_bytes, 4096),
            ("response_bytes", self.response_bytes, 16 * 1024),
            ("request_bytes", self.request_bytes, MAX_TEXT),
            ("cookies", self.cookies.into(), MAX_CHUNKS.into()),
        ] {
            if found > allowed {
                return Err(ConfigError::LimitTooHigh { what, allowed });
            }
        }
        if self.cookies == 0 { Err(ConfigError::LimitTooLow) } else { Ok(self) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::UNMODIFIED_NGINX
    }
}

/// Tells what a session of a given size takes: see [`Codec::cost`](crate::Codec::cost).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// The number of cookies.
    pub cookies: u8,
    /// The bytes of its `Set-Cookie` lines in the response, line ends included.
    pub response_bytes: usize,
    /// The bytes of its cookies in each request.
    pub request_bytes: usize,
}

/// Lays a text of known length out over cookies. All of it is closed-form: nothing is tried.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    limits: Limits,
    name_len: usize,
    /// The longest that the attributes get.
    attributes_len: usize,
}

impl Layout {
    pub(crate) fn new(
        limits: Limits,
        name_len: usize,
        attributes_len: usize,
    ) -> Result<Self, ConfigError> {
        let layout = Self { limits: limits.check()?, name_len, attributes_len };
        let least = text::encoded_len(OVERHEAD + LEAST_MESSAGE);
        if layout.capacity(1) < least { Err(ConfigError::LimitTooLow) } else { Ok(layout) }
    }

    /// Gives the least number of cookies that hold `chars` characters, if any number does.
    pub(crate) fn cookies_for(&self, chars: usize) -> Option<u8> {
        (1..=self.limits.cookies).find(|cookies| chars <= self.capacity(*cookies))
    }

    /// Gives the largest sealed value, in bytes, that this many cookies hold.
    pub(crate) fn max_sealed(&self, cookies: u8) -> usize {
        text::decoded_len(self.capacity(cookies))
    }

    /// Gives the largest sealed value, in bytes, that any number of cookies holds.
    pub(crate) fn max_sealed_at_all(&self) -> usize {
        (1..=self.limits.cookies).map(|cookies| self.max_sealed(cookies)).max().unwrap_or(0)
    }

    /// Gives the characters of the text that the cookie of this index takes.
    pub(crate) fn share(&self, index: u8) -> usize {
        let tag = if index == 0 { 0 } else { SET_TAG };
        let rest = self.name(index) + 1 + self.attributes_len + tag;
        self.limits.cookie_bytes.saturating_sub(rest)
    }

    /// Gives the characters that this many cookies hold under all three limits.
    fn capacity(&self, cookies: u8) -> usize {
        let shares = (0..cookies).map(|index| self.share(index)).sum::<usize>();
        let Cost { response_bytes, request_bytes, .. } = self.cost(0, cookies);
        let response = self.limits.response_bytes.saturating_sub(response_bytes);
        let request = self.limits.request_bytes.saturating_sub(request_bytes);
        shares.min(response).min(request)
    }

    pub(crate) fn cost(&self, chars: usize, cookies: u8) -> Cost {
        let names = (0..cookies).map(|index| self.name(index) + 1).sum::<usize>();
        let n = usize::from(cookies);
        let values = chars + SET_TAG * (n - 1);
        Cost {
            cookies,
            response_bytes: names + values + n * (self.attributes_len + LINE),
            request_bytes: names + values + 2 * (n - 1),
        }
    }

    /// Tells which limit a text of `chars` characters breaks, what it needs there, and what is allowed.
    pub(crate) fn refusal(&self, chars: usize) -> (Limit, usize, usize) {
        let most = self.limits.cookies;
        let Cost { response_bytes, request_bytes, .. } = self.cost(chars, most);
        let shares = (0..most).map(|index| self.share(index)).sum::<usize>();
        // The last cookie would have to take the rest.
        let last = self.limits.cookie_bytes + chars.saturating_sub(shares);
        [
            (Limit::Response, response_bytes, self.limits.response_bytes),
            (Limit::Request, request_bytes, self.limits.request_bytes),
            (Limit::Cookie, last, self.limits.cookie_bytes),
        ]
        .into_iter()
        .max_by_key(|(_, needed, allowed)| needed.saturating_sub(*allowed))
        .unwrap_or((Limit::Response, response_bytes, self.limits.response_bytes))
    }

    /// Gives the bytes of `Set-Cookie` lines that are left beside those of a session.
    pub(crate) fn response_bytes_left(&self, used: usize) -> usize {
        self.limits.response_bytes.saturating_sub(used)
    }

    fn name(&self, index: u8) -> usize {
        self.name_len + if index == 0 { 0 } else { ".1".len() }
    }
}

/// Says how the length of a message is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Padding {
    /// The sealed value to the next length of few significant bits (Padmé; Nikitin et al., PETS 2019): at
    /// most 12 %, some 3 % as a rule. The default.
    #[default]
    Padme,
    /// Not at all: who sees the cookie's size knows the session's to the byte.
    DangerousNone,
}

/// Gives the padded length: Padmé (Nikitin et al., PETS 2019), which lets the length tell
/// only O(log log n) bits and costs at most 12 %.
pub(crate) fn padme(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else { return len };
    let kept = exponent.ilog2() + 1;
    let step = 1 << (exponent - kept.min(exponent));
    len.next_multiple_of(step)
}

/// `Set-Cookie: ` and the end of the line.
pub(crate) const LINE: usize = "Set-Cookie: \r\n".len();

/// The characters before each further cookie's share: see `chunk`.
pub(crate) const SET_TAG: usize = 4;

/// The most text that any session has, and the most that is read.
pub(crate) const MAX_TEXT: usize = 12_288;

/// The most that a session may have before packing, and so the hard limit of inflating: 64 KiB, far
/// more than four cookies hold.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// What the smallest message has: tag, times, an empty body, the marker.
const LEAST_MESSAGE: usize = 16;

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
        }
    }

    #[test]
    fn capacity_is_where_a_limit_begins_to_break() {
        for limits in [
            Limits::UNMODIFIED_NGINX,
            Limits::NGINX_PROXY_BUFFER_8K,
            Limits::NGINX_PROXY_BUFFER_16K,
            Limits::UNMODIFIED_NGINX.response_bytes(16_384).request_bytes(12_288),
            Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(500),
        ] {
            let layout = Layout::new(limits, "__Host-session".len(), 58).unwrap();
            for chars in 1..13_000 {
                let fits = (1..=limits.cookies).find(|n| {
                    let cost = layout.cost(chars, *n);
                    let shares: usize = (0..*n).map(|i| layout.share(i)).sum();
                    cost.response_bytes <= limits.response_bytes
                        && cost.request_bytes <= limits.request_bytes
                        && chars <= shares
                });
                assert_eq!(layout.cookies_for(chars), fits, "{chars} under {limits:?}");
                if fits.is_none() {
                    let (_, needed, allowed) = layout.refusal(chars);
                    assert!(needed > allowed, "{chars} under {limits:?}");
                }
            }
        }
    }
}
