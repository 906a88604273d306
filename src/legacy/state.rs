//! What session libraries put into a jar.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use super::reader::Refusal;

/// Reads the state of actix-session.
///
/// ```text
/// up to 0.11: {"key": "<JSON>", …}
/// after:      {"v": 1, "state": {"key": <JSON>, …}}
/// ```
pub(super) fn actix<Old: DeserializeOwned>(text: &str) -> Option<Old> {
    let mut object: Map<String, Value> = serde_json::from_str(text).ok()?;
    let first = object.get("v").is_some_and(|version| version.as_u64() == Some(1));
    let state = match object.get_mut("state") {
        Some(Value::Object(state)) if first => std::mem::take(state),
        _ => {
            let inner = |(key, value)| match value {
                Value::String(json) => Some((key, serde_json::from_str(&json).ok()?)),
                _ => None,
            };
            object.into_iter().map(inner).collect::<Option<_>>()?
        }
    };
    serde_json::from_value(Value::Object(state)).ok()
}

/// Reads a record of tower-sessions-cookie-store.
///
/// ```text
/// base64url({"v": 1, "record": {"id": …, "data": {"key": <JSON>, …}, "expiry_date": …}})
/// ```
pub(super) fn tower<Old: DeserializeOwned>(text: &str, now: SystemTime) -> Result<Old, Refusal> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Content)?;
    let Envelope { v: 1, record } = serde_json::from_slice(&json).map_err(|_| Refusal::Content)?
    else {
        return Err(Refusal::Content);
    };
    let expires = record.expiry_date.time().ok_or(Refusal::Content)?;
    if expires <= OffsetDateTime::from(now) {
        return Err(Refusal::Expired);
    }
    serde_json::from_value(Value::Object(record.data)).map_err(|_| Refusal::Content)
}

#[derive(Deserialize)]
struct Envelope {
    v: u8,
    record: Record,
}

#[derive(Deserialize)]
struct Record {
    data: Map<String, Value>,
    expiry_date: Expiry,
}

/// As the crate `time` serializes an `OffsetDateTime`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expiry {
    /// Year, day of the year, hour, minute, second, nanosecond; hours, minutes and seconds of the offset.
    Compact(i32, u16, u8, u8, u8, u32, i8, i8, i8),
    /// With its feature `serde-human-readable`: `2025-11-25 02:08:55.0 +00:00:00`.
    Readable(String),
}

impl Expiry {
    fn time(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Compact(year, day, hour, minute, second, nano, hours, minutes, seconds) => {
                let date = Date::from_ordinal_date(*year, *day).ok()?;
                let time = Time::from_hms_nano(*hour, *minute, *second, *nano).ok()?;
                let offset = UtcOffset::from_hms(*hours, *minutes, *seconds).ok()?;
                Some(OffsetDateTime::new_in_offset(date, time, offset))
            }
            Self::Readable(text) => {
                let mut parts = text.split(' ');
                let (date, time, offset) = (parts.next()?, parts.next()?, parts.next()?);
                let offset = offset.strip_suffix(":00").unwrap_or(offset);
                OffsetDateTime::parse(&format!("{date}T{time}{offset}"), &Rfc3339).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Old {
        user: u64,
        #[serde(default)]
        name: String,
    }

    #[test]
    fn both_formats_of_actix_session_are_read_and_others_refused() {
        let read = |text: &str| actix::<Old>(text).map(|old| (old.user, old.name));
        let jane = Some((7, "jane".to_owned()));
        for (text, expected) in [
            (r#"{"user":"7","name":"\"jane\""}"#, jane.clone()),
            (r#"{"v":1,"state":{"user":7,"name":"jane"}}"#, jane),
            // Keys of an application that are named like those of the format.
            (r#"{"v":"1","state":"{}","user":"7"}"#, Some((7, String::new()))),
            (r#"{"v":2,"state":{"user":7}}"#, None),
            (r#"{"v":-1,"state":{"user":7}}"#, None),
            (r#"{"user":7}"#, None),
            (r#"{"user":"seven"}"#, None),
            (r#"{"name":"\"jane\""}"#, None),
            (r#"[]"#, None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn the_expiry_of_a_record_is_heeded_in_both_forms() {
        let read = |expiry: &str, unix: i64| {
            let json = format!(
                r#"{{"v":1,"record":{{"id":-9,"data":{{"user":7}},"expiry_date":{expiry}}}}}"#
            );
            let now = OffsetDateTime::from_unix_timestamp(unix).unwrap().into();
            tower::<Old>(&URL_SAFE_NO_PAD.encode(json), now).map(|old| old.user)
        };
        // 2025-11-25T02:08:55Z is 1764036535.
        for expiry in [
            "[2025,329,2,8,55,0,0,0,0]",
            "[2025,329,4,8,55,0,2,0,0]",
            r#""2025-11-25 02:08:55.0 +00:00:00""#,
            r#""2025-11-25 04:08:55.0 +02:00:00""#,
        ] {
            assert_eq!(read(expiry, 1_764_036_534), Ok(7), "{expiry}");
            assert_eq!(read(expiry, 1_764_036_535), Err(Refusal::Expired), "{expiry}");
        }
        for expiry in ["null", "0", "[2025,400,2,8,55,0,0,0,0]", r#""soon""#, r#""""#] {
            assert_eq!(read(expiry, 0), Err(Refusal::Content), "{expiry}");
        }
    }

    #[test]
    fn a_record_of_another_version_is_refused() {
        let json =
            r#"{"v":2,"record":{"id":1,"data":{"user":7},"expiry_date":[2999,1,0,0,0,0,0,0,0]}}"#;
        let found = tower::<Old>(&URL_SAFE_NO_PAD.encode(json), SystemTime::UNIX_EPOCH);
        assert_eq!(found, Err(Refusal::Content));
    }
}
