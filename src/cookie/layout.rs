//! Layout: how a text of known length is laid out over cookies under the limits.

use crate::bytes::base64url;
use crate::cookie::error::{ConfigError, Limit};
use crate::cookie::limits::{Cost, LINE, Limits, SET_TAG};
use crate::seal::OVERHEAD;

/// The layout of a text of known length over cookies. All of it is closed-form: nothing is tried.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    limits: Limits,
    name_len: usize,
    /// The longest that the attributes get.
    attributes_len: usize,
    /// What one cookie holds, two, and so on.
    capacities: Vec<usize>,
}

impl Layout {
    pub(crate) fn new(
        limits: Limits,
        name_len: usize,
        attributes_len: usize,
    ) -> Result<Self, ConfigError> {
        let limits = limits.check()?;
        let mut layout = Self { limits, name_len, attributes_len, capacities: Vec::new() };
        layout.capacities = (1..=limits.cookies).map(|cookies| layout.capacity(cookies)).collect();
        let least = base64url::encoded_len(OVERHEAD + LEAST_MESSAGE);
        if layout.capacity(1) < least { Err(ConfigError::LimitTooLow) } else { Ok(layout) }
    }

    /// Returns the least number of cookies that hold `chars` characters, if any number does.
    pub(crate) fn cookies_for(&self, chars: usize) -> Option<u8> {
        let mut capacities = (1..).zip(&self.capacities);
        capacities.find(|(_, capacity)| chars <= **capacity).map(|(cookies, _)| cookies)
    }

    /// Returns the largest sealed value, in bytes, that this many cookies hold.
    pub(crate) fn max_sealed(&self, cookies: u8) -> usize {
        base64url::decoded_len(self.capacity(cookies))
    }

    /// Returns the largest sealed value, in bytes, that any number of cookies holds.
    pub(crate) fn max_sealed_at_all(&self) -> usize {
        (1..=self.limits.cookies).map(|cookies| self.max_sealed(cookies)).max().unwrap_or(0)
    }

    /// Returns the characters of the text that the cookie of this index takes.
    pub(crate) fn share(&self, index: u8) -> usize {
        let tag = if index == 0 { 0 } else { SET_TAG };
        let rest = self.name(index) + 1 + self.attributes_len + tag;
        self.limits.cookie_bytes.saturating_sub(rest)
    }

    /// Returns the characters that this many cookies hold under all three limits.
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

    /// Returns which limit a text of `chars` characters breaks, what it needs there, and what is allowed.
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

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the bytes of `Set-Cookie` lines that are left beside those of a session.
    pub(crate) fn response_bytes_left(&self, used: usize) -> usize {
        self.limits.response_bytes.saturating_sub(used)
    }

    fn name(&self, index: u8) -> usize {
        self.name_len + if index == 0 { 0 } else { ".1".len() }
    }
}

/// What the smallest message has: tag, times, an empty body, the marker.
const LEAST_MESSAGE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

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
