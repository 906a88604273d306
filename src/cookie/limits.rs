//! Limits: what browsers keep and proxies pass.

use crate::cookie::error::ConfigError;
use crate::seal::MAX_CHUNKS;

/// The limits of size: how large the cookies of a session may be, and over how many it may be split.
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
/// A session is judged by its length with [padding](crate::Padding): under the default names and attributes, the largest one
/// of the last profile takes three cookies.
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
    pub(super) cookie_bytes: usize,
    pub(super) response_bytes: usize,
    pub(super) request_bytes: usize,
    pub(super) cookies: u8,
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

    /// Checks that the codecs of one application, with these limits, together keep to this one: to what the proxy takes.
    /// Each codec knows but its own, and a proxy counts all cookies of a response and of a request. Call it at start.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TooMuchTogether`].
    ///
    /// # Example
    ///
    /// ```
    /// use sealed_session::{Codec, Key, KeyRing, Limits};
    ///
    /// const PROXY: Limits = Limits::UNMODIFIED_NGINX;
    /// let ring = KeyRing::from(Key::generate()?);
    /// let shop = Codec::<String>::builder(ring.clone())
    ///     .limits(PROXY.response_bytes(2500).request_bytes(2500))
    ///     .build()?;
    /// let theme = Codec::<u8>::builder(ring)
    ///     .name("__Host-theme")
    ///     .limits(PROXY.response_bytes(500).request_bytes(500))
    ///     .build()?;
    /// PROXY.holds([shop.limits(), theme.limits()])?;
    /// # assert!(PROXY.holds([PROXY, theme.limits()]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holds(self, codecs: impl IntoIterator<Item = Self>) -> Result<(), ConfigError> {
        let (mut response, mut request) = (0_usize, 0_usize);
        for codec in codecs {
            response = response.saturating_add(codec.response_bytes);
            request = request.saturating_add(codec.request_bytes);
        }
        for (what, needed, allowed) in [
            ("response_bytes", response, self.response_bytes),
            ("request_bytes", request, self.request_bytes),
        ] {
            if needed > allowed {
                return Err(ConfigError::TooMuchTogether { what, needed, allowed });
            }
        }
        Ok(())
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

    /// Returns limits that leave so many bytes of the response to others.
    pub(crate) fn less_in_response(self, bytes: usize) -> Self {
        Self { response_bytes: self.response_bytes.saturating_sub(bytes), ..self }
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

/// What a session of a given size takes: see [`Codec::cost`](crate::Codec::cost).
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

/// `Set-Cookie: ` and the end of the line.
pub(crate) const LINE: usize = "Set-Cookie: \r\n".len();

/// The characters before each further cookie's share: see `chunk`.
pub(crate) const SET_TAG: usize = 4;

/// The most text that any session has, and the most that is read.
pub(crate) const MAX_TEXT: usize = 12_288;
