//! Settings that would fail in silence later are refused at once.

use std::time::Duration;

use sealed_session::{Builder, Codec, ConfigError, Limits, SameSite};

use super::ring;

#[test]
fn each_setting_that_cannot_work_is_refused_by_name() {
    type Setup = fn(Builder<u8>) -> Builder<u8>;
    let cases: Vec<(&str, Setup, ConfigError)> = vec![
        ("empty name", |b| b.name(""), ConfigError::Name),
        ("name with =", |b| b.name("a=b"), ConfigError::Name),
        ("name with ;", |b| b.name("a;b"), ConfigError::Name),
        ("name with space", |b| b.name("a b"), ConfigError::Name),
        ("name with control", |b| b.name("a\nb"), ConfigError::Name),
        ("name not of ASCII", |b| b.name("é"), ConfigError::Name),
        ("name like a chunk's", |b| b.name("a.1"), ConfigError::NameOfChunk),
        ("name like no chunk's, but near", |b| b.name("a.10"), ConfigError::NameOfChunk),
        (
            "long name",
            |b| b.name("a".repeat(129)),
            ConfigError::NameTooLong { found: 129, allowed: 128 },
        ),
        ("__Host- with a path", |b| b.path("/app"), ConfigError::HostPrefix),
        ("__Host- with a domain", |b| b.domain("example.com"), ConfigError::HostPrefix),
        ("__Host- without Secure", |b| b.dangerous_without_secure(), ConfigError::HostPrefix),
        (
            "__hOsT- in another case",
            |b| b.name("__hOsT-a").domain("example.com"),
            ConfigError::HostPrefix,
        ),
        (
            "__Secure- without Secure",
            |b| b.name("__Secure-a").dangerous_without_secure(),
            ConfigError::SecurePrefix,
        ),
        (
            "SameSite=None without Secure",
            |b| b.name("a").same_site(SameSite::None).dangerous_without_secure(),
            ConfigError::NeedsSecure,
        ),
        (
            "Partitioned without Secure",
            |b| b.name("a").partitioned().dangerous_without_secure(),
            ConfigError::NeedsSecure,
        ),
        (
            "no absolute timeout",
            |b| b.absolute_timeout(Duration::ZERO),
            ConfigError::Duration { what: "the absolute timeout" },
        ),
        (
            "absolute timeout that browsers cut",
            |b| b.absolute_timeout(Duration::from_secs(401 * 86_400)),
            ConfigError::Duration { what: "the absolute timeout" },
        ),
        (
            "endless absolute timeout",
            |b| b.absolute_timeout(Duration::MAX),
            ConfigError::Duration { what: "the absolute timeout" },
        ),
        (
            "idle timeout under a second",
            |b| b.idle_timeout(Duration::from_millis(999)),
            ConfigError::Duration { what: "the idle timeout" },
        ),
        (
            "idle over absolute",
            |b| b.absolute_timeout(Duration::from_secs(60)).idle_timeout(Duration::from_secs(61)),
            ConfigError::IdleExceedsAbsolute,
        ),
        (
            "touch at idle",
            |b| b.idle_timeout(Duration::from_secs(60)).touch_after(Duration::from_secs(60)),
            ConfigError::TouchExceedsIdle,
        ),
        ("touch never", |b| b.touch_after(Duration::MAX), ConfigError::TouchExceedsIdle),
        (
            "touch at idle, but for a nanosecond",
            |b| b.idle_timeout(Duration::from_secs(60)).touch_after(Duration::new(59, 999_999_999)),
            ConfigError::TouchExceedsIdle,
        ),
        (
            "endless idle timeout",
            |b| b.idle_timeout(Duration::MAX),
            ConfigError::Duration { what: "the idle timeout" },
        ),
        (
            "endless skew",
            |b| b.clock_skew(Duration::MAX),
            ConfigError::Duration { what: "the clock skew" },
        ),
        (
            "migration from the present schema",
            |b| b.schema(2).migration(2, |old: u8| old),
            ConfigError::Migration { from: 2, schema: 2 },
        ),
        (
            "migration without a schema",
            |b| b.migration(0, |old: u8| old),
            ConfigError::Migration { from: 0, schema: 0 },
        ),
        (
            "cookies that browsers drop",
            |b| b.limits(Limits::default().cookie_bytes(4097)),
            ConfigError::LimitTooHigh { what: "cookie_bytes", allowed: 4096 },
        ),
        (
            "responses that no proxy passes",
            |b| b.limits(Limits::default().response_bytes(16_385)),
            ConfigError::LimitTooHigh { what: "response_bytes", allowed: 16_384 },
        ),
        (
            "requests that no server takes",
            |b| b.limits(Limits::default().request_bytes(12_289)),
            ConfigError::LimitTooHigh { what: "request_bytes", allowed: 12_288 },
        ),
        (
            "five cookies",
            |b| b.limits(Limits::default().cookies(5)),
            ConfigError::LimitTooHigh { what: "cookies", allowed: 4 },
        ),
        (
            "more than a browser keeps of a partition",
            |b| b.partitioned().limits(Limits::NGINX_PROXY_BUFFER_16K),
            ConfigError::LimitTooHigh {
                what: "request_bytes of a partitioned cookie",
                allowed: 10_240,
            },
        ),
        ("no cookie", |b| b.limits(Limits::default().cookies(0)), ConfigError::LimitTooLow),
        ("no room", |b| b.limits(Limits::default().cookie_bytes(100)), ConfigError::LimitTooLow),
    ];
    for (reason, setup, expected) in cases {
        let error = setup(Codec::builder(ring())).build().map(|_| ()).unwrap_err();
        assert_eq!(error, expected, "{reason}");
    }
}

/// By what RFC 6265bis and the URL Standard say of paths.
#[test]
fn a_path_that_no_url_has_is_refused() {
    let build = |path: &str| match Codec::<u8>::builder(ring()).name("a").path(path).build() {
        Ok(_) => "",
        Err(ConfigError::Path { why }) => why,
        Err(error) => panic!("{error}"),
    };
    let long = "/".repeat(1025);
    for (path, why) in [
        ("", "must begin with /"),
        ("app", "must begin with /"),
        ("https://example.com/", "must begin with /"),
        (&long, "must have at most 1024 bytes"),
        ("/;Domain=evil", "must hold no semicolon"),
        ("/app?x=1", "must hold no ?"),
        ("/app#top", "must hold no ?"),
        ("/\r\nX: y", "must be percent-encoded"),
        ("/a b", "must be percent-encoded"),
        ("/ü", "must be percent-encoded"),
        ("/a\\b", "must be percent-encoded"),
        ("/{id}", "must be percent-encoded"),
        ("/a/../b", "must hold no segment ."),
        ("/.", "must hold no segment ."),
        ("/%2e", "must hold no segment ."),
        ("/a/%2E%2e/b", "must hold no segment ."),
        ("/a/.%2E", "must hold no segment ."),
        ("/app\u{7f}", "must be percent-encoded"),
        ("/app\0", "must be percent-encoded"),
        ("/app\t", "must be percent-encoded"),
        ("/\u{2000}", "must be percent-encoded"),
        ("\\app", "must begin with /"),
    ] {
        let found = build(path);
        assert!(!found.is_empty() && found.starts_with(why), "{path}: {found}");
    }
    for path in [
        "/",
        "/app",
        "/app/",
        "/%C3%BC",
        "/a.b/..c/~d",
        "/a=b&c,d:e@f!$'()*+-_|",
        "/%",
        "/...",
        "/.a",
        "/a.",
        "//",
        &long[1..],
    ] {
        assert_eq!(build(path), "", "{path}");
    }
}

#[test]
fn a_domain_that_browsers_ignore_is_refused() {
    let build = |domain: &str| match Codec::<u8>::builder(ring()).name("a").domain(domain).build() {
        Ok(_) => "",
        Err(ConfigError::Domain { why }) => why,
        Err(error) => panic!("{error}"),
    };
    let label = |len| format!("{}.example.com", "a".repeat(len));
    let long = |len: usize| format!("{}b.example", "a.".repeat((len - 9) / 2));
    for (domain, why) in [
        ("", "must have labels"),
        (".", "must neither begin"),
        (".example.com", "must neither begin"),
        ("example.com.", "must neither begin"),
        ("example..com", "must have labels"),
        (&label(64), "must have labels"),
        (&long(255), "must have labels"),
        ("com", "must have two labels"),
        ("localhost", "must have two labels"),
        ("127.0.0.1", "must not be an IP address"),
        ("1.2", "must not be an IP address"),
        ("0x7f.0x1", "must not be an IP address"),
        ("example.0X1f", "must not be an IP address"),
        ("example.0x", "must not be an IP address"),
        ("2130706433", "must have two labels"),
        ("::ffff:127.0.0.1", "must be a host name"),
        ("fe80::1%25eth0", "must be a host name"),
        ("example.com\0", "must be a host name"),
        ("example.com\r\nX: y", "must be a host name"),
        ("user@example.com", "must be a host name"),
        ("%65xample.com", "must be a host name"),
        ("example。com", "must be in its ASCII form"),
        ("com.", "must neither begin"),
        ("[::1]", "must be a host name"),
        ("::1", "must be a host name"),
        ("example.com:8080", "must be a host name"),
        ("https://example.com", "must be a host name"),
        ("example.com/app", "must be a host name"),
        ("a;b.com", "must be a host name"),
        ("a b.com", "must be a host name"),
        ("*.example.com", "must be a host name"),
        ("-a.example.com", "must be a host name"),
        ("a-.example.com", "must be a host name"),
        ("münchen.example", "must be in its ASCII form"),
    ] {
        let found = build(domain);
        assert!(!found.is_empty() && found.starts_with(why), "{domain}: {found}");
    }
    for domain in [
        "example.com",
        "EXAMPLE.com",
        "my_app.example.com",
        "_x.example.com",
        "xn--mnchen-3ya.example",
        "1.example.com",
        "a--b.c0m",
        "example.0xg",
        "0x1.example.com",
        "a.localhost",
        // A public suffix, which browsers refuse, and of which the list is not here.
        "co.uk",
        &label(63),
        &long(253),
    ] {
        assert_eq!(build(domain), "", "{domain}");
    }
}

#[test]
fn a_touch_threshold_is_never_rounded_to_nothing() {
    let codec = |set: fn(Builder<u8>) -> Builder<u8>| set(Codec::builder(ring())).build().unwrap();
    let due = |codec: &Codec<u8>, after| {
        let set = codec.encode_at(&1, &codec.request([""]), super::at(0)).unwrap();
        let header = set.values().next().unwrap().split(';').next().unwrap().to_owned();
        let opened = codec.decode_at(&codec.request([&header]), super::at(after)).unwrap();
        opened.unwrap().reseal.is_some()
    };
    let short = codec(|b| b.touch_after(Duration::from_millis(1)));
    assert_eq!((due(&short, 0), due(&short, 1)), (false, true));
    let shortest = codec(|b| b.touch_after(Duration::from_nanos(1)));
    assert_eq!((due(&shortest, 0), due(&shortest, 1)), (false, true));
    let more = codec(|b| b.touch_after(Duration::from_millis(1001)));
    assert_eq!((due(&more, 1), due(&more, 2)), (false, true));
    let of_five = codec(|b| b.idle_timeout(Duration::from_secs(5)));
    assert_eq!((due(&of_five, 0), due(&of_five, 1)), (false, true), "the default, a tenth of it");
    // Asked for, it is done: each response sets the cookie. And an idle time of a second leaves no other choice.
    assert!(due(&codec(|b| b.touch_after(Duration::ZERO)), 0));
    assert!(due(&codec(|b| b.idle_timeout(Duration::from_secs(1))), 0));
}

#[cfg(feature = "postcard")]
#[test]
fn a_positional_format_needs_a_schema_number() {
    use sealed_session::Format;
    let build = |b: Builder<u8>| b.format(Format::Postcard).build().map(|_| ());
    assert_eq!(
        build(Codec::builder(ring())).unwrap_err(),
        ConfigError::SchemaRequired(Format::Postcard)
    );
    build(Codec::builder(ring()).schema(0)).unwrap();
}

#[test]
fn codecs_that_together_exceed_the_proxy_are_refused_at_start() {
    const PROXY: Limits = Limits::UNMODIFIED_NGINX;
    let part = |response, request| {
        let limits = PROXY.response_bytes(response).request_bytes(request);
        Codec::<u8>::builder(ring()).limits(limits).build().unwrap().limits()
    };
    let refused = |what, needed| Err(ConfigError::TooMuchTogether { what, needed, allowed: 3000 });
    assert_eq!(PROXY.holds([]), Ok(()));
    assert_eq!(PROXY.holds([part(2500, 2500), part(500, 500)]), Ok(()));
    assert_eq!(PROXY.holds([part(2500, 2500), part(501, 500)]), refused("response_bytes", 3001));
    assert_eq!(PROXY.holds([part(2500, 2500), part(500, 501)]), refused("request_bytes", 3001));
    assert_eq!(PROXY.holds([PROXY, PROXY]), refused("response_bytes", 6000));
    assert_eq!(Codec::<u8>::new(ring()).limits(), PROXY);
}

#[test]
fn settings_at_their_edges_work() {
    for setup in [
        (|b| b.name("a".repeat(128))) as fn(Builder<u8>) -> Builder<u8>,
        |b| b.absolute_timeout(Duration::from_secs(400 * 86_400)),
        |b| b.absolute_timeout(Duration::from_secs(1)),
        |b| b.clock_skew(Duration::ZERO),
        |b| b.clock_skew(Duration::from_secs(400 * 86_400)),
        |b| b.touch_after(Duration::ZERO),
        |b| b.name("a").path("/").domain("sub.example.com"),
        |b| b.partitioned().limits(Limits::NGINX_PROXY_BUFFER_16K.request_bytes(10_240)),
    ] {
        setup(Codec::builder(ring())).build().unwrap();
    }
}
