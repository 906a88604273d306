//! The exact header lines.

use std::time::Duration;

use sealed_session::{Builder, Codec, Limits, Persistence, SameSite};

use super::{at, noise, ring};

/// The lines of a new session and of its removal, with `…` for the value.
fn lines(setup: impl FnOnce(Builder<u8>) -> Builder<u8>) -> [String; 2] {
    let codec = setup(Codec::builder(ring())).build().unwrap();
    let set = codec.encode_at(&1, &codec.request([""]), at(0)).unwrap();
    let line = set.values().next().unwrap();
    let (name, rest) = line.split_once('=').unwrap();
    let (value, attributes) = rest.split_once(';').unwrap();
    assert!(value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    let cleared = codec.clear(&codec.request([""]));
    let removal = cleared.values().next().unwrap().to_owned();
    // What the cookie crate makes of our line is the same cookie.
    let parsed = cookie::Cookie::parse(line).unwrap();
    assert_eq!((parsed.name(), parsed.value()), (name, value));
    assert_eq!(parsed.to_string(), line);
    [format!("{name}=…;{attributes}"), removal]
}

#[test]
fn every_attribute_stands_in_the_line_and_in_its_removal() {
    let defaults = "HttpOnly; SameSite=Lax; Secure; Path=/";
    assert_eq!(
        lines(|b| b),
        [
            format!("__Host-session=…; {defaults}; Max-Age=86400"),
            format!("__Host-session=; {defaults}; Max-Age=0"),
        ]
    );
    assert_eq!(
        lines(|b| b.persistence(Persistence::BrowserSession)),
        [
            format!("__Host-session=…; {defaults}"),
            format!("__Host-session=; {defaults}; Max-Age=0"),
        ]
    );
    assert_eq!(
        lines(|b| b
            .name("__Secure-id")
            .path("/app")
            .domain("example.com")
            .same_site(SameSite::Strict)
            .idle_timeout(Duration::from_secs(60))),
        [
            "__Secure-id=…; HttpOnly; SameSite=Strict; Secure; Path=/app; Domain=example.com; Max-Age=60",
            "__Secure-id=; HttpOnly; SameSite=Strict; Secure; Path=/app; Domain=example.com; Max-Age=0",
        ]
    );
    assert_eq!(
        lines(|b| b.same_site(SameSite::None).partitioned()),
        [
            "__Host-session=…; HttpOnly; SameSite=None; Partitioned; Secure; Path=/; Max-Age=86400",
            "__Host-session=; HttpOnly; SameSite=None; Partitioned; Secure; Path=/; Max-Age=0",
        ]
    );
    assert_eq!(
        lines(|b| b.name("id").dangerous_without_secure()),
        [
            "id=…; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400",
            "id=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
        ]
    );
}

#[test]
fn headers_hold_each_cookie_and_keep_caches_away() {
    let codec =
        Codec::<String>::builder(ring()).limits(Limits::NGINX_PROXY_BUFFER_8K).build().unwrap();
    let header = format!("{0}.3=left; {0}.5=left", codec.name());
    let request = codec.request([&header]);
    let set = codec.encode_at(&noise(4000), &request, at(0)).unwrap();
    let names: Vec<_> = set.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["set-cookie", "set-cookie", "set-cookie", "set-cookie", "cache-control"]);
    assert_eq!(set.headers().last().unwrap(), ("cache-control", "no-store"));
    assert_eq!(set.set().collect::<Vec<_>>(), ["__Host-session", "__Host-session.1"]);
    assert_eq!(set.removed().collect::<Vec<_>>(), ["__Host-session.3", "__Host-session.5"]);
}

#[test]
fn an_unchanged_session_sets_nothing_at_all() {
    let codec = Codec::<u8>::new(ring());
    let set = codec.encode_at(&1, &codec.request([""]), at(0)).unwrap();
    let header = set.values().next().unwrap().split(';').next().unwrap().to_owned();
    let request = codec.request([&header]);
    let unchanged = codec.encode_at(&1, &request, at(1)).unwrap();
    assert!(unchanged.is_empty());
    assert_eq!((unchanged.headers().count(), unchanged.values().count()), (0, 0));
    assert!(!codec.encode_at(&2, &request, at(1)).unwrap().is_empty(), "a change is seen");
}
