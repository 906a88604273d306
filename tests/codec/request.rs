//! Our cookie is found in any header, and any bytes in the header do no harm.

use proptest::prelude::*;
use sealed_session::Codec;

use super::browser::Browser;
use super::{at, ring};

fn sealed() -> (Codec<u8>, String) {
    let codec = Codec::<u8>::new(ring());
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(&1, &codec.request([""]), at(0)).unwrap());
    let value = browser.cookies.remove(codec.name()).unwrap();
    (codec, value)
}

/// Outcome of a header in which `VALUE` stands for a sealed session.
fn outcome(header: &[u8]) -> String {
    let (codec, value) = sealed();
    let mut bytes = Vec::new();
    let mut rest = header;
    while let Some(at) = rest.windows(5).position(|window| window == b"VALUE") {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(value.as_bytes());
        rest = &rest[at + 5..];
    }
    bytes.extend_from_slice(rest);
    match codec.decode_at(&codec.request([&bytes]), at(0)) {
        Ok(Some(_)) => "session".to_owned(),
        Ok(None) => "none".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn the_cookies_of_other_programs_under_our_name_do_not_block_a_write() {
    for other in [
        "5be86359-073c-434b-ad2d-a3932222dabe",        // a session id
        "gGJ4dPbQ8a5iYLQ1IyOFTcHyzRXFrJ0Yw2bUxpwvLrk", // 32 random bytes
        "Q8a5iYLQ1IyOFTcHyzRXFrJ0Yw2bUxpwvLrk/Q8a5iYLQ1IyOFTcHyzRXFrJ0Yw2bUxpwvLrk=", // PrivateJar
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6ji.XFBoMYUZodetZdvTiFvSkQ",
        "Fe26.2**0cdd607945dd1dffb7da0b0bf5f1a7daa6218cbae14cac51dcbd91fb077aeb5b*aOZLCKLhCt0D5IU1qLTtYw",
    ] {
        let header = format!("__Host-session={other}");
        assert_eq!(outcome(header.as_bytes()), "Malformed", "{other}");
        let (codec, _) = sealed();
        assert_eq!(codec.encode_at(&2, &codec.request([&header]), at(0)).unwrap().set().count(), 1);
    }
    let newer = format!("__Host-session=I{}", "A".repeat(59));
    assert_eq!(outcome(newer.as_bytes()), "UnsupportedVersion(2)");
}

#[test]
fn every_kind_of_input_gives_the_same() {
    let (codec, value) = sealed();
    let pair = format!("__Host-session={value}");
    let read = |request: &sealed_session::RequestCookies<'_>| {
        codec.decode_at(request, at(0)).unwrap().unwrap().session
    };
    assert_eq!(read(&codec.request([&pair])), 1);
    assert_eq!(read(&codec.request([pair.as_bytes()])), 1);
    assert_eq!(read(&codec.request(Some(&pair))), 1);
    assert_eq!(read(&codec.request(&["a=b".to_owned(), pair.clone()])), 1);
    assert_eq!(read(&codec.request_from_pairs([("a", "b"), ("__Host-session", &value)])), 1);
    let mut jar = cookie::CookieJar::new();
    jar.add_original(cookie::Cookie::new("__Host-session", value.clone()));
    assert_eq!(read(&codec.request_from_pairs(jar.iter().map(cookie::Cookie::name_value))), 1);
    assert!(codec.decode_at(&codec.request::<_, str>(None), at(0)).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_in_the_header_give_none_or_an_error(
        parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..30),
            prop::sample::select(vec![
                b"__Host-session=".to_vec(), b"__Host-session.1=".to_vec(), b"; ".to_vec(),
                b"ES2P09".to_vec(), b"Ei2P09AAAAAA".to_vec(), b"=".to_vec(), b"A".repeat(70),
            ]),
        ], 0..12),
    ) {
        let (codec, _) = sealed();
        let header = parts.concat();
        let request = codec.request([&header]);
        prop_assert!(!matches!(codec.decode_at(&request, at(0)), Ok(Some(_))));
        let _ = codec.encode_at(&2, &request, at(0));
        prop_assert!(codec.clear(&request).values().len() <= 9);
    }
}
