//! Our cookie is found in any header, and any bytes in the header do no harm.

use proptest::prelude::*;
use sealed_session::{Codec, DecodeError, EncodeError};

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
    assert!(codec.decode_at(&codec.request::<_, str>(None), at(0)).unwrap().is_none());
}

/// What browsers take from a sibling domain over plain HTTP, however much it looks like a name with `__Host-`.
#[test]
fn a_name_that_a_sibling_domain_may_set_is_not_ours() {
    for name in [
        "__%48ost-session",
        "%5f_Host-session",
        "\u{2000}__Host-session",
        "\u{a0}__Host-session",
        "\u{feff}__Host-session",
        "\u{c}__Host-session",
        "\u{b}__Host-session",
        "\u{85}__Host-session",
        "\0__Host-session",
        "\n__Host-session",
        "\r__Host-session",
        "\u{1f}__Host-session",
        "\u{7f}__Host-session",
        "\"__Host-session",
        "$Version=1,__Host-session",
        "a=b,__Host-session",
        "=__Host-session",
        "__Host-session\u{2000}",
        "__Host-session ",
        "__Host-session\t",
        "__Host-session\"",
        "__Host-session.0",
        "__Host-session.",
        "__Host-sess%69on",
        "__Host-session%",
        "__HOST-SESSION",
    ] {
        for before in ["", "; ", "a=b;"] {
            let header = format!("{before}{name}=VALUE");
            assert_eq!(outcome(header.as_bytes()), "none", "{header:?}");
        }
    }
}

#[test]
fn a_value_may_stand_in_double_quotes() {
    for (header, expected) in [
        ("__Host-session=\"VALUE\"", "session"),
        ("__Host-session= \"VALUE\"\t; a=b", "session"),
        ("__Host-session=\"VALUE", "Malformed"),
        ("__Host-session=VALUE\"", "Malformed"),
        ("__Host-session=\"\"VALUE\"\"", "Malformed"),
        ("__Host-session=\" VALUE\"", "Malformed"),
        ("__Host-session=\"", "Malformed"),
        ("__Host-session=\"\"", "Malformed"),
    ] {
        assert_eq!(outcome(header.as_bytes()), expected, "{header}");
    }
    assert_eq!(outcome(b"__Host-session=\x0cVALUE"), "Malformed", "no space");
}

/// Space and tabs around, other cookies of any kind before and after, and those of RFC 2965 that no browser sends any more.
#[test]
fn our_cookie_is_found_wherever_it_stands() {
    for header in [
        "__Host-session=VALUE",
        " \t __Host-session=VALUE \t ",
        "a=b;__Host-session=VALUE;c=d",
        "a=b;\t __Host-session=\tVALUE\t;\tc=d",
        ";;; ;__Host-session=VALUE;;",
        "$Version=1; __Host-session=\"VALUE\"; $Path=\"/\"; $Domain=example.com",
        "a=\"b; __Host-session=VALUE",
        "__Host-sessio=a; __Host-session=VALUE; __Host-sessionn=b",
        "__Host-session; __Host-session=VALUE",
        "x=__Host-session=a; __Host-session=VALUE",
        "\0=\u{1}; \u{ff}; __Host-session=VALUE",
    ] {
        assert_eq!(outcome(header.as_bytes()), "session", "{header:?}");
    }
    // Not quite UTF-8, and not quite a header.
    assert_eq!(outcome(b"a=\xff\xfe; \x80; __Host-session=VALUE"), "session");
}

#[test]
fn values_that_cannot_be_ours_do_not_crowd_out_a_good_one() {
    let junk = |n: usize| format!("__Host-session={}; ", n.to_string().repeat(10));
    let junk: String = (0..100).map(junk).collect();
    assert_eq!(outcome(format!("{junk}__Host-session=VALUE").as_bytes()), "session");
    let with_characters: String =
        (0..100).map(|n| format!("__Host-session={n}.{}; ", "A".repeat(80))).collect();
    assert_eq!(outcome(format!("{with_characters}__Host-session=VALUE").as_bytes()), "session");
    let long = "A".repeat(12_289);
    let long: String = (0..9).map(|n| format!("__Host-session={n}{long}; ")).collect();
    assert_eq!(outcome(format!("{long}__Host-session=VALUE").as_bytes()), "session");
}

/// Whoever sends more than we try may be hiding a good one from us.
#[test]
fn of_too_many_values_the_rest_is_neither_tried_nor_overwritten() {
    // Malformed to our eyes, since of version 0, though of the right characters.
    let fakes = |count: u8| -> String {
        (0..count)
            .map(|n| format!("__Host-session=AA{}{}; ", char::from(b'a' + n), "A".repeat(60)))
            .collect()
    };
    assert_eq!(outcome(format!("{}__Host-session=VALUE", fakes(7)).as_bytes()), "session");
    let too_many = format!("{}__Host-session=VALUE", fakes(8));
    assert_eq!(outcome(too_many.as_bytes()), "TooManyValues");
    assert_eq!(outcome(fakes(8).as_bytes()), "Malformed", "there is no other");
    let (codec, _) = sealed();
    let header = fakes(9);
    let error = codec.encode_at(&2, &codec.request([&header]), at(0)).unwrap_err();
    assert!(matches!(error, EncodeError::WouldReplace(DecodeError::TooManyValues)), "{error:?}");
    // One that opens is enough.
    assert_eq!(outcome(format!("__Host-session=VALUE; {}", fakes(20)).as_bytes()), "session");
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
