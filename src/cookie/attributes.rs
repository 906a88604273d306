//! The cookie's name and attributes, and the header lines made of them.

use std::fmt::{self, Write as _};

use cookie::Cookie;

use crate::cookie::error::ConfigError;
use crate::cookie::limits::LINE;

/// On which requests from other sites browsers send the cookie (RFC 6265bis, 5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// On none.
    Strict,
    /// When a user follows a link, and not on a form's POST. The default.
    #[default]
    Lax,
    /// On all: for applications embedded in other sites, which then need their own defence against
    /// cross-site request forgery.
    None,
}

/// How long browsers keep the cookie. How long the session is *valid* is sealed inside, and this
/// does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Persistence {
    /// Until the session expires, by `Max-Age`. The default.
    #[default]
    UntilExpiry,
    /// Until the browser is closed (or for as long as it restores its tabs).
    BrowserSession,
}

/// The settings as they were given.
#[derive(Debug, Clone)]
pub(crate) struct Unchecked {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) domain: Option<String>,
    pub(crate) same_site: SameSite,
    pub(crate) secure: bool,
    pub(crate) partitioned: bool,
    pub(crate) persistence: Persistence,
}

impl Default for Unchecked {
    fn default() -> Self {
        Self {
            name: "__Host-session".to_owned(),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::Lax,
            secure: true,
            partitioned: false,
            persistence: Persistence::UntilExpiry,
        }
    }
}

impl Unchecked {
    /// Checks what browsers would refuse or cut, and prints the attributes once.
    pub(crate) fn build(self) -> Result<Attributes, ConfigError> {
        let Self { name, path, domain, same_site, secure, partitioned, persistence } = self;
        check_name(&name)?;
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("__host-") && (!secure || domain.is_some() || path != "/") {
            return Err(ConfigError::HostPrefix);
        }
        if (lower.starts_with("__secure-") || lower.starts_with("__http-")) && !secure {
            return Err(ConfigError::SecurePrefix);
        }
        if (same_site == SameSite::None || partitioned) && !secure {
            return Err(ConfigError::NeedsSecure);
        }
        check_path(&path)?;
        if let Some(domain) = &domain {
            check_domain(domain)?;
        }
        let mut cookie = Cookie::build(("", ""))
            .path(path)
            .secure(secure)
            .http_only(true)
            .same_site(match same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .partitioned(partitioned);
        if let Some(domain) = domain {
            cookie = cookie.domain(domain);
        }
        let printed = cookie.build().to_string();
        let constant = printed.trim_start_matches('=').to_owned();
        Ok(Attributes { name, constant, persistence })
    }
}

/// The name and the attributes, checked and printed.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) name: String,
    /// All but Max-Age.
    constant: String,
    persistence: Persistence,
}

impl Attributes {
    /// Returns the most bytes that the attributes take for sessions of at most `longest` seconds.
    pub(crate) fn max_len(&self, longest: u64) -> usize {
        match self.persistence {
            Persistence::UntilExpiry => self.constant.len() + MAX_AGE.len() + digits(longest),
            Persistence::BrowserSession => self.constant.len(),
        }
    }

    /// Prints a `Set-Cookie` value, with the value that `write` appends. Without `max_age`, the cookie ends with the
    /// browser.
    pub(crate) fn set(
        &self,
        index: u8,
        value_len: usize,
        max_age: Option<u64>,
        write: impl FnOnce(&mut String),
    ) -> SetCookie {
        let max_age = match self.persistence {
            Persistence::UntilExpiry => max_age,
            Persistence::BrowserSession => None,
        };
        self.line(index, value_len, max_age, write)
    }

    /// Prints the `Set-Cookie` value that removes a cookie. It repeats all attributes, without which
    /// browsers ignore it.
    pub(crate) fn remove(&self, index: u8) -> SetCookie {
        SetCookie { removes: true, ..self.line(index, 0, Some(0), |_| {}) }
    }

    fn line(
        &self,
        index: u8,
        value_len: usize,
        max_age: Option<u64>,
        write: impl FnOnce(&mut String),
    ) -> SetCookie {
        let attributes_len = self.max_len(max_age.unwrap_or(0));
        let len = self.name.len() + ".1=".len() + value_len + attributes_len;
        let mut line = String::with_capacity(len);
        line.push_str(&self.name);
        if index > 0 {
            line.push('.');
            line.push(char::from(b'0' + index));
        }
        let name_len = line.len();
        line.push('=');
        write(&mut line);
        line.push_str(&self.constant);
        if let Some(seconds) = max_age {
            line.push_str(MAX_AGE);
            // Writing to a string does not fail.
            let _ = write!(line, "{seconds}");
        }
        SetCookie { line, name_len, removes: false }
    }
}

/// Returns the number of decimal digits.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| usize::try_from(log).unwrap_or(0) + 1)
}

/// One `Set-Cookie` value, printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) line: String,
    name_len: usize,
    pub(crate) removes: bool,
}

impl SetCookie {
    /// Returns the bytes that it takes in the head of a response.
    pub(crate) fn cost(&self) -> usize {
        self.line.len() + LINE
    }

    pub(crate) fn name(&self) -> &str {
        self.line.get(..self.name_len).unwrap_or_default()
    }
}

/// Shows no value: whoever reads it in a log is logged in.
impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SetCookie");
        shown.field("name", &self.name()).field("characters", &self.line.len());
        shown.field("removes", &self.removes).finish()
    }
}

/// A cookie-name is a token (RFC 9110, 5.6.2). One that ends like a chunk's would clash with the
/// chunks of another cookie.
fn check_name(name: &str) -> Result<(), ConfigError> {
    let special = b"!#$%&'*+-.^_`|~";
    let token = |c: u8| c.is_ascii_alphanumeric() || special.contains(&c);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(ConfigError::Name);
    }
    let number = |end: &str| !end.is_empty() && end.bytes().all(|c| c.is_ascii_digit());
    if name.rsplit_once('.').is_some_and(|(_, end)| number(end)) {
        return Err(ConfigError::NameOfChunk);
    }
    if name.len() > MAX_NAME {
        return Err(ConfigError::NameTooLong { found: name.len(), allowed: MAX_NAME });
    }
    Ok(())
}

/// Browsers compare the path with that of the request's URL, octet by octet (RFC 6265bis, 5.1.4). So what no such path
/// can have in it would keep the cookie from ever being sent.
fn check_path(path: &str) -> Result<(), ConfigError> {
    let refuse = |why| Err(ConfigError::Path { why });
    // What browsers write in another way (URL Standard, path percent-encode set), but for the two below.
    let escaped = |c: u8| {
        c <= b' ' || matches!(c, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'}' | 0x7f)
    };
    if !path.starts_with('/') {
        return refuse("must begin with /");
    }
    if path.len() > MAX_ATTRIBUTE {
        return refuse("must have at most 1024 bytes, or browsers ignore it");
    }
    if path.contains(';') {
        return refuse("must hold no semicolon, which ends an attribute");
    }
    if path.contains(['?', '#']) {
        return refuse("must hold no ? and no #, which end the path of a URL");
    }
    if !path.is_ascii() || path.bytes().any(escaped) {
        return refuse("must be percent-encoded, as it stands in the URLs that browsers send");
    }
    // Which are dots to browsers in this form too (URL Standard, 4.4).
    let lower = path.to_ascii_lowercase().replace("%2e", ".");
    if lower.split('/').any(|segment| matches!(segment, "." | "..")) {
        return refuse("must hold no segment . or .., which browsers resolve");
    }
    Ok(())
}

/// Browsers ignore a cookie whose domain is not of the request's host, and refuse one for a public suffix (RFC 6265bis,
/// 5.6.3). They take what DNS takes as a label, and `_`.
///
/// Of the public suffixes only those of one label are refused here. The list of all grows by the week, and a wrong
/// domain shows at the first login.
fn check_domain(domain: &str) -> Result<(), ConfigError> {
    let refuse = |why| Err(ConfigError::Domain { why });
    let of_label = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    if !domain.is_ascii() {
        return refuse("must be in its ASCII form, which begins with xn--");
    }
    if domain.starts_with('.') || domain.ends_with('.') {
        return refuse("must neither begin nor end with a dot");
    }
    if domain.len() > 253 || domain.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return refuse(
            "must have labels of 1 to 63 characters between its dots, and at most 253 in all",
        );
    }
    let edges = |label: &str| label.starts_with('-') || label.ends_with('-');
    if !domain.bytes().all(|c| of_label(c) || c == b'.') || domain.split('.').any(edges) {
        return refuse(
            "must be a host name: letters, digits, hyphens, underscores and dots, without a port",
        );
    }
    match domain.rsplit_once('.') {
        None => refuse(
            "must have two labels or more: browsers take no cookie for a whole top-level domain, and localhost needs none",
        ),
        // Whatever ends in a number, also in one of base 16, is an IPv4 address to browsers (URL Standard, 3.5).
        Some((_, last)) if is_number(last) => {
            refuse("must not be an IP address, for which there are no subdomains: leave it out")
        }
        Some(_) => Ok(()),
    }
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|c| c.is_ascii_hexdigit()),
        None => label.bytes().all(|c| c.is_ascii_digit()),
    }
}

const MAX_AGE: &str = "; Max-Age=";

const MAX_NAME: usize = 128;

/// Browsers ignore an attribute whose value is longer.
const MAX_ATTRIBUTE: usize = 1024;
