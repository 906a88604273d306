//! What a browser does with cookies, as far as it matters here.

use std::collections::BTreeMap;

use cookie::Cookie;
use sealed_session::SetCookies;

#[derive(Clone, Default, Debug, PartialEq)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Takes a response. Like browsers, it drops a cookie of over 4096 bytes and keeps the old one.
    pub(crate) fn take(&mut self, set_cookies: &SetCookies) {
        for cookie in set_cookies.values().map(|line| Cookie::parse(line).unwrap()) {
            let (name, value) = cookie.name_value();
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.cookies.remove(name);
            } else if name.len() + value.len() <= 4096 {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Takes what somebody else set.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.cookies.remove(name);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.cookies.contains_key(name)
    }

    pub(crate) fn header(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.cookies.keys().map(String::as_str).collect()
    }
}
