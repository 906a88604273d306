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
        ("name like a chunk's", |b| b.name("a.1"), ConfigError::Name),
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
        ("no path", |b| b.name("a").path(""), ConfigError::Path),
        ("relative path", |b| b.name("a").path("a"), ConfigError::Path),
        ("path with ;", |b| b.name("a").path("/;Domain=evil"), ConfigError::Path),
        ("path with a line's end", |b| b.name("a").path("/\r\nX: y"), ConfigError::Path),
        ("path that is too long", |b| b.name("a").path("/".repeat(1025)), ConfigError::Path),
        ("no domain", |b| b.name("a").domain(""), ConfigError::Domain),
        ("domain with ;", |b| b.name("a").domain("a;b"), ConfigError::Domain),
        ("domain with a dot before", |b| b.name("a").domain(".example.com"), ConfigError::Domain),
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
