//! Every message, and what each error advises.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use sealed_session::{
    Advice, Codec, ConfigError, DecodeError, EncodeError, Expiry, Format, KeyError, RingError,
    Source,
};

use super::{at, key, ring};

fn source() -> Source {
    Arc::new(std::io::Error::other("inner"))
}

#[test]
fn every_decode_error_has_its_message_and_its_advice() {
    use Advice::{Clear, Keep};
    let id = key(1).id();
    // error, message, advice, whether another node may read it
    for (error, message, advice, elsewhere) in [
        (DecodeError::Malformed, "the session cookie is malformed", Clear, false),
        (
            DecodeError::UnsupportedVersion(2),
            "the session cookie has wire version 2, which this node does not know",
            Keep,
            true,
        ),
        (
            DecodeError::UnknownKey(id),
            "the key 329fc509 of the session cookie is not in the ring",
            Keep,
            true,
        ),
        (
            DecodeError::RetiredKey(id),
            "the key 329fc509 of the session cookie has retired",
            Keep,
            false,
        ),
        (
            DecodeError::RevokedKey(id),
            "the key 329fc509 of the session cookie is revoked",
            Clear,
            false,
        ),
        (
            DecodeError::BeforeCutoff,
            "the session began before the cutoff of the key ring",
            Clear,
            false,
        ),
        (DecodeError::InvalidTag, "the seal of the session cookie does not hold", Clear, false),
        (DecodeError::MissingChunk, "a chunk of the session is missing", Keep, false),
        (
            DecodeError::MixedChunks,
            "the chunks of the session are of different writes",
            Keep,
            false,
        ),
        (DecodeError::TooManyChunks(9), "the session announces 9 chunks", Clear, false),
        (
            DecodeError::Expired(Expiry::Absolute),
            "the session has expired (absolute timeout)",
            Clear,
            false,
        ),
        (
            DecodeError::Expired(Expiry::Idle),
            "the session has expired (idle timeout)",
            Clear,
            false,
        ),
        (
            DecodeError::FromFuture { by: Duration::from_secs(61) },
            "the session was sealed 61 s in the future",
            Keep,
            true,
        ),
        (
            DecodeError::UnsupportedFormat,
            "the format of the session is not read by this node",
            Keep,
            true,
        ),
        (
            DecodeError::NewerSchema { found: 3, known: 2 },
            "the session has schema 3, this node has schema 2",
            Keep,
            true,
        ),
        (
            DecodeError::NoMigration { found: 1 },
            "the session has schema 1, and no migration starts there",
            Keep,
            true,
        ),
        (DecodeError::Deserialize(source()), "the session does not fit its type", Keep, true),
        (DecodeError::Message, "the sealed message is malformed", Keep, true),
        (DecodeError::NotAccepted, "the application does not accept the session", Clear, false),
        (
            DecodeError::TooManyValues,
            "the request has more values of the session cookie than are tried",
            Keep,
            true,
        ),
        (
            DecodeError::OldCookieGone,
            "the session was valid beside the cookie of the old application, which is gone",
            Clear,
            false,
        ),
        (DecodeError::OtherCodec, "the request was read by another codec", Keep, true),
    ] {
        assert_eq!(error.to_string(), message);
        assert_eq!((error.advice(), error.is_readable_elsewhere()), (advice, elsewhere), "{error}");
        assert_eq!(error.source().is_some(), matches!(error, DecodeError::Deserialize(_)));
    }
}

#[test]
fn every_other_error_has_its_message() {
    let (a, b) = (key(1).id(), key(2).id());
    let errors: Vec<(Box<dyn Error>, &str)> = vec![
        (Box::new(KeyError::Prefix), "a key begins with SEALED-SESSION-KEY-1-"),
        (
            Box::new(KeyError::Length { found: 47 }),
            "a key has 48 characters after its prefix, this has 47",
        ),
        (
            Box::new(KeyError::Alphabet),
            "a key is written in base64url, and this holds another character",
        ),
        (
            Box::new(KeyError::Checksum),
            "the checksum of the key does not fit, so it was not copied whole",
        ),
        (Box::new(KeyError::Weak), "all bytes of the key are equal; keys must be random"),
        (Box::new(KeyError::Id), "a key id is 8 hexadecimal digits"),
        (Box::new(KeyError::Random(source())), "the operating system's random source failed"),
        (
            Box::new(RingError::NoSealingKey),
            "the ring has no key that may seal; one must be neither revoked nor open-only",
        ),
        (Box::new(RingError::DuplicateId(a)), "the key 329fc509 stands in the ring twice"),
        (
            Box::new(RingError::SameActivation(a, b)),
            "the keys 329fc509 and c6edacb8 become primary at the same time; let one of them activate later, or only open",
        ),
        (Box::new(RingError::RetiresFirst(a)), "the key 329fc509 retires before it activates"),
        (
            Box::new(RingError::TooManyKeys { found: 65, allowed: 64 }),
            "the ring has 65 keys, 64 are allowed",
        ),
        (
            Box::new(EncodeError::WouldReplace(DecodeError::Message)),
            "the request carries a session that this node cannot read and another may; only Codec::renew replaces it",
        ),
        (
            Box::new(EncodeError::Ended(DecodeError::RevokedKey(a))),
            "the session has ended since the request opened it",
        ),
        (
            Box::new(EncodeError::NoActiveKey),
            "no key of the ring is active: none is past its activation and before its retirement",
        ),
        (Box::new(EncodeError::Serialize(source())), "the session cannot be serialized"),
        (Box::new(EncodeError::Random(source())), "the operating system's random source failed"),
        (
            Box::new(ConfigError::SchemaRequired(Format::MessagePack)),
            "MessagePack stores no field names, so a schema number must be given with Builder::schema",
        ),
        (
            Box::new(ConfigError::Name),
            "the cookie name is empty or holds a character that cookie names must not have",
        ),
        (
            Box::new(ConfigError::NameTooLong { found: 129, allowed: 128 }),
            "the cookie name has 129 bytes, 128 are allowed",
        ),
        (
            Box::new(ConfigError::OldNodesTooLong),
            "the end date of an old cookie must be the idle timeout or more after the last old node is gone",
        ),
        (
            Box::new(ConfigError::OldName),
            "the cookie of another library must have another name than ours",
        ),
        (
            Box::new(ConfigError::HostPrefix),
            "a __Host- cookie must be Secure, with Path=/ and without Domain, or browsers refuse it",
        ),
        (
            Box::new(ConfigError::SecurePrefix),
            "a __Secure- or __Http- cookie must be Secure, or browsers refuse it",
        ),
        (
            Box::new(ConfigError::NeedsSecure),
            "SameSite=None and Partitioned need Secure, or browsers refuse the cookie",
        ),
        (
            Box::new(ConfigError::NameOfChunk),
            "the cookie name must not end with a dot and a number, as those of further cookies do",
        ),
        (Box::new(ConfigError::Path { why: "must begin with /" }), "the path must begin with /"),
        (Box::new(ConfigError::Domain { why: "must be …" }), "the domain must be …"),
        (
            Box::new(ConfigError::Duration { what: "the idle timeout" }),
            "the idle timeout must be at least 1 second (0 for the skew) and at most 400 days",
        ),
        (
            Box::new(ConfigError::IdleExceedsAbsolute),
            "the idle timeout is longer than the absolute timeout",
        ),
        (
            Box::new(ConfigError::TouchExceedsIdle),
            "the touch threshold must be shorter than the idle timeout",
        ),
        (
            Box::new(ConfigError::Migration { from: 2, schema: 1 }),
            "a migration from schema 2 was given, but the present schema is 1",
        ),
        (
            Box::new(ConfigError::LimitTooHigh { what: "cookies", allowed: 4 }),
            "cookies must be at most 4",
        ),
        (
            Box::new(ConfigError::TooMuchTogether {
                what: "response_bytes",
                needed: 6000,
                allowed: 3000,
            }),
            "the codecs together have response_bytes of 6000, 3000 are allowed",
        ),
        (
            Box::new(ConfigError::LimitTooLow),
            "the limits leave no room for a session; raise them, or shorten the name and the attributes",
        ),
    ];
    for (error, message) in errors {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn an_error_of_reading_names_fields_and_types_and_shows_nothing_of_the_session() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Number {
        csrf: u64,
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Kind {
        kind: Choice,
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    enum Choice {
        One,
        Two,
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Missing {
        csrf: String,
        added: u8,
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        csrf: String,
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    /// Whose own message quotes what it read.
    #[derive(Debug)]
    struct Own;
    impl serde::Serialize for Own {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_unit()
        }
    }
    impl<'de> serde::Deserialize<'de> for Own {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let all = std::collections::BTreeMap::<String, String>::deserialize(from)?;
            Err(serde::de::Error::custom(format!("invalid csrf: {all:?}")))
        }
    }
    fn source<T>(format: Format) -> String
    where
        T: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug + 'static,
    {
        let writer = Codec::<std::collections::BTreeMap<String, String>>::builder(ring())
            .format(format)
            .build()
            .unwrap();
        let session = [
            ("csrf", "s3cret, expected s3cret"),
            ("kind", "s3cret` at line 1"),
            ("a, expected s3cret", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let set = writer.encode_at(&session, &writer.request([""]), at(0)).unwrap();
        let header = set.values().next().unwrap().split(';').next().unwrap();
        let reader = Codec::<T>::builder(ring()).format(format).build().unwrap();
        let error = reader.decode_at(&reader.request([header]), at(0)).map(|_| ()).unwrap_err();
        let source = Error::source(&error).unwrap();
        let all = format!("{error} {error:?} {source} {source:?}");
        assert!(!all.contains("s3cret"), "{all}");
        source.to_string()
    }
    let formats = [
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ];
    for format in formats {
        assert!(source::<Number>(format).starts_with("invalid type"));
        assert_eq!(source::<Kind>(format), "unknown variant, expected `One` or `Two`");
        assert_eq!(source::<Missing>(format), "missing field `added`");
        assert_eq!(source::<Nothing>(format), "unknown field");
        assert_eq!(source::<Strict>(format), "unknown field, expected `csrf`");
        assert_eq!(
            source::<Own>(format),
            "it is not of the format, or its own `Deserialize` refuses it"
        );
    }
}
