//! What an attacker can write into a `Cookie` header, with or without a key: each input with its exact outcome, and
//! a bound on the memory that it takes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aes_gcm::KeyInit;
use aes_gcm::aead::AeadInOut;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use hkdf::Hkdf;
use sealed_session::{Codec, Format, Key, KeyRing, Limits, RingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xaes_256_gcm::Xaes256Gcm;

const NAME: &str = "__Host-session";
const SCHEMA: u8 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Session {
    user: u32,
    #[serde(default)]
    text: String,
    #[serde(default)]
    list: Vec<u64>,
    #[serde(default)]
    map: BTreeMap<String, bool>,
}

/// The same for formats that know neither names nor defaults.
#[derive(Debug, Serialize, Deserialize)]
struct Positional(u32, String, Vec<u64>, BTreeMap<String, bool>);

/// One input and what comes of it: `None`, `Session`, or how the error begins in `Debug`.
struct Row {
    name: String,
    header: Vec<u8>,
    expected: &'static str,
}

fn row(name: impl Into<String>, header: impl Into<Vec<u8>>, expected: &'static str) -> Row {
    Row { name: name.into(), header: header.into(), expected }
}

fn cookie(name: impl Into<String>, value: &str, expected: &'static str) -> Row {
    row(name, format!("{NAME}={value}"), expected)
}

/// A message behind a valid seal.
fn behind_seal(name: impl Into<String>, message: &[u8], expected: &'static str) -> Row {
    cookie(name, &seal(1, message), expected)
}

/// A body behind a valid seal, in the format of this number.
fn body(name: impl Into<String>, format: u8, body: &[u8], expected: &'static str) -> Row {
    behind_seal(name, &message(format, &[&[0], body].concat()), expected)
}

#[test]
fn each_hostile_input_has_its_outcome_and_takes_little_memory() {
    let groups: [(&str, Vec<Row>); 9] = [
        ("header", headers()),
        ("text", texts()),
        ("seal", seals()),
        ("tampering", tampered()),
        ("chunks", chunks()),
        ("envelope", envelopes()),
        ("time", times()),
        ("packing", packings()),
        ("body", bodies()),
    ];
    let named = codec::<Session>(Format::MessagePack);
    let [postcard, bincode] = [Format::Postcard, Format::Bincode].map(codec::<Positional>);
    let mut rows = 0;
    for (group, inputs) in groups {
        for Row { name, header, expected } in inputs {
            let mut outcome = String::new();
            let used = allocation_counter::measure(|| {
                outcome = match name.strip_prefix("positional: ") {
                    None => decode(&named, &header),
                    Some(name) if name.starts_with("postcard") => decode(&postcard, &header),
                    Some(_) => decode(&bincode, &header),
                };
            });
            assert!(outcome.starts_with(expected), "{group}: {name}: {outcome}");
            // The text decoded, what is inflated, the session; the header itself is only borrowed. What a thief of
            // a key says of a list's length, serde believes up to a mebibyte.
            let believed = if group == "body" { 1 << 20 } else { 0 };
            let bound = believed + 3 * 64 * 1024 + 2 * 12_288;
            assert!(used.bytes_max < bound, "{group}: {name}: {} bytes at once", used.bytes_max);
            assert!(used.count_total < 200, "{group}: {name}: {} allocations", used.count_total);
            rows += 1;
        }
    }
    println!("{rows} inputs");
    assert!(rows >= 150, "{rows}");
}

fn decode<T: Serialize + serde::de::DeserializeOwned + 'static>(
    codec: &Codec<T>,
    header: &[u8],
) -> String {
    match codec.decode_at(&codec.request([header]), at(0)) {
        Ok(Some(_)) => "Session".to_owned(),
        Ok(None) => "None".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// What stands around and instead of our cookie; `VALUE` is a session that opens.
fn headers() -> Vec<Row> {
    let value = good();
    let rows: &[(&[u8], &str)] = &[
        (&b""[..], "None"),
        (b";", "None"),
        (b";;; ;", "None"),
        (b"   ", "None"),
        (b"=", "None"),
        (b"==;=", "None"),
        (b"__Host-session", "None"),
        (b"__Host-session;", "None"),
        (b"__Host-session=", "Malformed"),
        (b"__Host-session=;", "Malformed"),
        (b"__Host-session=VALUE", "Session"),
        (b"__Host-session=VALUE;", "Session"),
        (b"  __Host-session=VALUE  ", "Session"),
        (b"\t__Host-session=\t VALUE \t;", "Session"),
        (b"a=b; __Host-session=VALUE; c=d", "Session"),
        (b"a=b;__Host-session=VALUE;c=d", "Session"),
        (b"a;;=;; ;__Host-session=VALUE", "Session"),
        (b"$Version=1; __Host-session=VALUE", "Session"),
        (b"x=\xff\xfe\x80; __Host-session=VALUE; y=\xc3", "Session"),
        (b"x=\"a; __Host-session=VALUE", "Session"),
        (b"\0\x01\x7f=\r\n; __Host-session=VALUE", "Session"),
        (b"x=1; __HOST-SESSION=VALUE", "None"),
        (b"x__Host-session=VALUE", "None"),
        (b"x=__Host-session=VALUE", "None"),
        (b"a b __Host-session=VALUE", "None"),
        (b"__Host-sessionx=VALUE", "None"),
        (b"__Host-session =VALUE", "None"),
        (b"__Host-session.=VALUE", "None"),
        (b"__Host-session=\"VALUE\"", "Session"),
        (b"\x0c__Host-session=VALUE", "None"),
        (b"\xe2\x80\x80__Host-session=VALUE", "None"),
        (b"__%48ost-session=VALUE", "None"),
        (b"__Host-session=VALUE VALUE", "Malformed"),
        (b"__Host-session=VALUE\0", "Malformed"),
        (b"__Host-session=\xffVALUE", "Malformed"),
        (b"__Host-session=VALUE%3D", "Malformed"),
        (b"__Host-session=VALUE=", "Malformed"),
        (b"__Host-session=x; __Host-session=VALUE", "Session"),
        (b"__Host-session=1; __Host-session=2; __Host-session=3; __Host-session=VALUE", "Session"),
        (
            b"__Host-session=1; __Host-session=2; __Host-session=3; __Host-session=4; __Host-session=VALUE",
            "Session", // what cannot be ours does not count
        ),
    ];
    let mut rows: Vec<Row> = rows
        .iter()
        .map(|(header, expected)| {
            let mut bytes = Vec::new();
            for (i, part) in header.utf8_chunks().enumerate() {
                assert!(i < 9);
                bytes.extend_from_slice(part.valid().replace("VALUE", &value).as_bytes());
                bytes.extend_from_slice(part.invalid());
            }
            row(header.escape_ascii().to_string(), bytes, expected)
        })
        .collect();
    let neighbours: String =
        (0..10_000).map(|i| format!("__Host-sessio{i}=__Host-session; ")).collect();
    rows.push(row("ten thousand neighbours", format!("{neighbours}{NAME}={value}"), "Session"));
    rows.push(row("our name many times", format!("{NAME}=A; ").repeat(10_000), "Malformed"));
    rows.push(cookie("a value of a megabyte", &"A".repeat(1 << 20), "Malformed"));
    rows.push(row("a megabyte of nothing", vec![b' '; 1 << 20], "None"));
    rows
}

fn texts() -> Vec<Row> {
    let value = good();
    let end = &value[value.len() - 1..];
    let cut = &value[..value.len() - 1];
    let noncanonical = BASE64URL.encode([&BASE64URL.decode(&value).unwrap()[..], &[0]].concat());
    let mut rows = vec![
        cookie("a plus, of the other alphabet", &format!("{cut}+"), "Malformed"),
        cookie("a slash, of the other alphabet", &format!("{cut}/"), "Malformed"),
        cookie("padding", &format!("{value}=="), "Malformed"),
        cookie("a space inside", &format!("{cut} {end}"), "Malformed"),
        cookie("a tab inside", &format!("{cut}\t{end}"), "Malformed"),
        cookie("percent-escaped", &format!("{cut}%{:02X}", end.as_bytes()[0]), "Malformed"),
        cookie("quoted", &format!("\"{value}\""), "Session"),
        cookie("quoted twice", &format!("\"\"{value}\"\""), "Malformed"),
        cookie("non-ASCII", &format!("{cut}é"), "Malformed"),
        cookie("a dot", &format!("{cut}.{end}"), "Malformed"),
        cookie("a line feed inside", &format!("{cut}\n{end}"), "Malformed"),
        cookie("one more byte", &noncanonical, "InvalidTag"),
        cookie("the most characters", &format!("{value:A<12288}"), "InvalidTag"),
        cookie("too many characters", &format!("{value:A<12290}"), "Malformed"),
        cookie("a UUID", "5be86359-073c-434b-ad2d-a3932222dabe", "Malformed"),
        cookie("a JWT", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "Malformed"),
    ];
    for len in 1..8 {
        rows.push(cookie(format!("{len} characters"), &"A".repeat(len), "Malformed"));
    }
    for (spare, len) in [("four", 22), ("two", 23)] {
        let sealed = seal(1, &vec![0x80; len]);
        let text = format!("{}B", &sealed[..sealed.len() - 1]);
        rows.push(cookie(format!("{spare} bits over, not all 0"), &text, "Malformed"));
    }
    rows
}

fn seals() -> Vec<Row> {
    let sealed = BASE64URL.decode(good()).unwrap();
    let with_first = |byte: u8| {
        let mut sealed = sealed.clone();
        sealed[0] = byte;
        BASE64URL.encode(sealed)
    };
    let id = key(1).id();
    let mut rows = vec![
        cookie("version 0", &with_first(0x01), "Malformed"),
        cookie("version 2", &with_first(0x21), "UnsupportedVersion(2)"),
        cookie("version 15", &with_first(0xf1), "UnsupportedVersion(15)"),
        cookie("version 2, too short for any", &BASE64URL.encode([0x21; 30]), "Malformed"),
        cookie("no chunk", &with_first(0x10), "Malformed"),
        cookie("five chunks", &with_first(0x15), "TooManyChunks(5)"),
        cookie("fifteen chunks", &with_first(0x1f), "TooManyChunks(15)"),
        cookie("an unknown key", &seal(9, &message(1, &[0])), "UnknownKey"),
        cookie("a retired key", &seal(2, &message(1, &[0])), "RetiredKey"),
        cookie("a revoked key", &seal(3, &message(1, &[0])), "RevokedKey"),
        cookie("a key that does not seal yet", &seal(4, &session_message()), "Session"),
    ];
    // Under the name of another key of the ring.
    let mut other = BASE64URL.decode(seal(4, &session_message())).unwrap();
    other[1..5].copy_from_slice(&sealed[1..5]);
    rows.push(cookie(
        format!("sealed by another key than {id}"),
        &BASE64URL.encode(other),
        "InvalidTag",
    ));
    for len in 6..45 {
        rows.push(cookie(format!("{len} bytes"), &BASE64URL.encode(&sealed[..len]), "Malformed"));
    }
    for len in [45, 46, sealed.len() - 1] {
        rows.push(cookie(format!("{len} bytes"), &BASE64URL.encode(&sealed[..len]), "InvalidTag"));
    }
    rows
}

fn tampered() -> Vec<Row> {
    let [a, b] = [good(), good()].map(|text| BASE64URL.decode(text).unwrap());
    let end = a.len();
    let mixed = |range: std::ops::Range<usize>| {
        let mut mixed = a.clone();
        mixed[range.clone()].copy_from_slice(&b[range]);
        BASE64URL.encode(mixed)
    };
    let other = |name: &str, context: &str| {
        let codec = Codec::<Session>::builder(ring()).name(name).context(context).schema(2);
        let codec = codec.build().unwrap();
        let set = codec.renew_at(&session(), &codec.request([""]), at(0)).unwrap();
        let line = set.values().next().unwrap().split(';').next().unwrap().to_owned();
        line.split_once('=').unwrap().1.to_owned()
    };
    vec![
        cookie("the nonce of another value", &mixed(5..29), "InvalidTag"),
        cookie("the ciphertext of another value", &mixed(29..end - 16), "InvalidTag"),
        cookie("the tag of another value", &mixed(end - 16..end), "InvalidTag"),
        cookie(
            "a tag of zeros",
            &BASE64URL.encode([&a[..end - 16], &[0; 16]].concat()),
            "InvalidTag",
        ),
        cookie("twice", &BASE64URL.encode([&a[..], &a].concat()), "InvalidTag"),
        cookie(
            "backwards",
            &BASE64URL
                .encode([&a[..5], &a[5..].iter().rev().copied().collect::<Vec<_>>()].concat()),
            "InvalidTag",
        ),
        cookie("of another cookie", &other("__Host-other", ""), "InvalidTag"),
        cookie("of another context", &other(NAME, "tenant 7"), "InvalidTag"),
    ]
}

fn chunks() -> Vec<Row> {
    let codec = codec::<Session>(Format::MessagePack);
    let large = |n: u8| {
        let noise = (0..140_u8)
            .flat_map(|i| Sha256::digest([n, i]))
            .map(|byte| char::from(b' ' + byte % 90));
        let text = noise.collect();
        let session = Session { text, ..session() };
        let set = codec.renew_at(&session, &codec.request([""]), at(0)).unwrap();
        let values =
            set.values().map(|line| line.split(';').next().unwrap().split_once('=').unwrap().1);
        let [base, further] = values.collect::<Vec<_>>()[..] else { panic!("two cookies") };
        [base.to_owned(), further.to_owned()]
    };
    let ([base, further], [other_base, other_further]) = (large(0), large(1));
    let one = good();
    let (tag, share) = further.split_at(4);
    let with = |further: &str| format!("{NAME}={base}; {further}");
    // Where the base is cut depends on the attributes, and what its last character holds over whole bytes on chance.
    let base_alone = if BASE64URL.decode(&base).is_ok() { "InvalidTag" } else { "Malformed" };
    vec![
        row("whole", with(&format!("{NAME}.1={further}")), "Session"),
        row("in the other order", format!("{NAME}.1={further}; {NAME}={base}"), "Session"),
        row("twice the same", with(&format!("{NAME}.1={further}; {NAME}.1={further}")), "Session"),
        row(
            "after one of another write",
            with(&format!("{NAME}.1={other_further}; {NAME}.1={further}")),
            "Session",
        ),
        row(
            "with leftovers of more",
            with(&format!("{NAME}.1={further}; {NAME}.2=x; {NAME}.3=y")),
            "Session",
        ),
        row("the base alone", format!("{NAME}={base}"), "MissingChunk"),
        row("the further alone", format!("{NAME}.1={further}"), "None"),
        row("of another write", with(&format!("{NAME}.1={other_further}")), "MixedChunks"),
        row("another base", format!("{NAME}={other_base}; {NAME}.1={further}"), "MixedChunks"),
        row("without its tag", with(&format!("{NAME}.1={share}")), "MixedChunks"),
        row("empty", with(&format!("{NAME}.1=")), "MixedChunks"),
        row("its tag alone", with(&format!("{NAME}.1={tag}")), base_alone),
        row(
            "shares swapped",
            format!("{NAME}={}{share}; {NAME}.1={tag}{}", &base[..12], &base[12..]),
            "InvalidTag",
        ),
        row("cut", with(&format!("{NAME}.1={}", &further[..further.len() - 4])), "InvalidTag"),
        row(
            "the base of one cookie before further ones",
            format!("{NAME}={one}; {NAME}.1={further}"),
            "Session",
        ),
        row("index 0", with(&format!("{NAME}.0={further}")), "MissingChunk"),
        row("index 01", with(&format!("{NAME}.01={further}")), "MissingChunk"),
        row("index +1", with(&format!("{NAME}.+1={further}")), "MissingChunk"),
        row("index -1", with(&format!("{NAME}.-1={further}")), "MissingChunk"),
        row("index 1e0", with(&format!("{NAME}.1e0={further}")), "MissingChunk"),
        row("index 10²⁰", with(&format!("{NAME}.100000000000000000000={further}")), "MissingChunk"),
        row("index 1.1", with(&format!("{NAME}.1.1={further}")), "MissingChunk"),
    ]
}

fn envelopes() -> Vec<Row> {
    let began = varint(NOW);
    let whole = |tag: u8, parts: &[&[u8]]| [&[tag][..], &parts.concat()].concat();
    let rest: &[u8] = &[0, 0x81, 0xa4, b'u', b's', b'e', b'r', 7, 0x80];
    vec![
        behind_seal("nothing", &[], "Message"),
        behind_seal("zeros", &[0; 40], "Message"),
        behind_seal("the end of the padding alone", &[0x80], "Message"),
        behind_seal(
            "no end of the padding",
            &whole(0x11, &[&began, &[0], &[SCHEMA], &rest[..8]]),
            "Message",
        ),
        behind_seal("a tag alone", &[0x11, 0x80], "Message"),
        behind_seal("no age", &whole(0x11, &[&began, &[0x80]]), "Message"),
        behind_seal("as it should be", &whole(0x11, &[&began, &[0], &[SCHEMA], rest]), "Session"),
        behind_seal(
            "much padding",
            &whole(0x11, &[&began, &[0], &[SCHEMA], rest, &[0; 4000]]),
            "Session",
        ),
        behind_seal(
            "format 0",
            &whole(0x10, &[&began, &[0], &[SCHEMA], rest]),
            "UnsupportedFormat",
        ),
        behind_seal(
            "format 5",
            &whole(0x15, &[&began, &[0], &[SCHEMA], rest]),
            "UnsupportedFormat",
        ),
        behind_seal(
            "format 15",
            &whole(0x1f, &[&began, &[0], &[SCHEMA], rest]),
            "UnsupportedFormat",
        ),
        behind_seal("no schema", &whole(0x01, &[&began, &[0], rest]), "NoMigration"),
        behind_seal("schema 0, written out", &whole(0x11, &[&began, &[0], &[0], rest]), "Message"),
        behind_seal("an older schema", &whole(0x11, &[&began, &[0], &[1], rest]), "NoMigration"),
        behind_seal("a newer schema", &whole(0x11, &[&began, &[0], &[3], rest]), "NewerSchema"),
        behind_seal("schema 2³²", &whole(0x11, &[&began, &[0], &varint(1 << 32), rest]), "Message"),
        behind_seal("an id", &whole(0x31, &[&began, &[0], &[SCHEMA], &[7; 16], rest]), "Session"),
        behind_seal(
            "half an id",
            &whole(0x31, &[&began, &[0], &[SCHEMA], &[7; 8], &[0x80]]),
            "Message",
        ),
        behind_seal(
            "an extension that may be skipped",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &[4, 0xfe, 0x7f, 1, 3], rest]),
            "Session",
        ),
        behind_seal(
            "an extension that must be known",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &[4, 0xff, 0x7f, 1, 3], rest]),
            "UnsupportedFormat",
        ),
        behind_seal(
            "a lifetime",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &[4, 7, 2, 1, 60], rest]),
            "Session",
        ),
        behind_seal(
            "a lifetime of no time",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &[4, 7, 2, 1, 0], rest]),
            "Message",
        ),
        behind_seal(
            "extensions of nothing",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &[0], rest]),
            "Message",
        ),
        behind_seal(
            "extensions longer than all",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &[200], rest]),
            "Message",
        ),
        behind_seal(
            "extensions of 2⁶³ bytes",
            &whole(0x51, &[&began, &[0], &[SCHEMA], &varint(1 << 63), rest]),
            "Message",
        ),
        behind_seal(
            "a number that is not minimal",
            &whole(0x11, &[&began, &[0x80, 0], &[SCHEMA], rest]),
            "Message",
        ),
        behind_seal(
            "a number over 64 bits",
            &whole(0x11, &[&[0xff; 9], &[2], &[0], &[SCHEMA], rest]),
            "Message",
        ),
        behind_seal("a number without an end", &whole(0x11, &[&[0xff; 12]]), "Message"),
    ]
}

fn times() -> Vec<Row> {
    let of = |began: u64, age: u64| {
        let head = [&[0x11][..], &varint(began), &varint(age), &[SCHEMA]].concat();
        [&head[..], &[0, 0x81, 0xa4, b'u', b's', b'e', b'r', 7, 0x80]].concat()
    };
    const DAY: u64 = 86_400;
    vec![
        behind_seal("from 1970", &of(0, 0), "Expired(Absolute)"),
        behind_seal("from 1970, sealed now", &of(0, NOW), "Expired(Absolute)"),
        behind_seal("2⁴⁰ seconds", &of(1 << 40, 0), "Message"),
        behind_seal("an age of 2⁴⁰ seconds", &of(NOW, 1 << 40), "Message"),
        behind_seal("the last time there is", &of((1 << 40) - 1, (1 << 40) - 1), "FromFuture"),
        behind_seal("within the skew", &of(NOW + 60, 0), "Session"),
        behind_seal("beyond the skew", &of(NOW + 61, 0), "FromFuture"),
        behind_seal("sealed beyond the skew", &of(NOW - 10, 71), "FromFuture"),
        behind_seal("idle for a second less than a day", &of(NOW - DAY + 1, 0), "Session"),
        behind_seal("idle for a day", &of(NOW - DAY, 0), "Expired(Idle)"),
        behind_seal("a week old, sealed now", &of(NOW - 7 * DAY, 7 * DAY), "Expired(Absolute)"),
        behind_seal("a second less", &of(NOW - 7 * DAY + 1, 7 * DAY - 1), "Session"),
    ]
}

fn packings() -> Vec<Row> {
    let lz4 = |body: &[u8]| lz4_flex::block::compress(body);
    let segment = |text: u64, compressed: &[u8], expanded: u64| {
        let len = u64::try_from(compressed.len()).unwrap();
        let head = varint(if text == 0 { len << 2 | 1 } else { len << 5 | 3 });
        [&head[..], &varint(expanded << 1), compressed].concat()
    };
    let body = b"\x81\xa4user\x07";
    let row =
        |name: &str, packed: &[u8], expected| behind_seal(name, &message(1, packed), expected);
    let bomb = lz4(&vec![0; 1 << 20]);
    let many = segment(0, &lz4(&[0; 60_000]), 60_000).repeat(20);
    let mut deflated = segment(0, &lz4(body), 7);
    deflated[1] |= 1;
    let run =
        |count: u64, values: &[u8]| [&varint(count << 5 | 0x17), &[0, 0x0f][..], values].concat();
    vec![
        row("one segment", &segment(0, &lz4(body), 7), "Session"),
        row("in plain segments", &[&[4 << 2], &body[..4], &[0], &body[4..]].concat(), "Session"),
        row("nothing", &[], "Deserialize"),
        row("a head and no bytes", &[3 << 2], "Message"),
        row("a head that is not minimal", &[0x9c, 0x00], "Message"),
        row(
            "a length of 2⁶²",
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            "Message",
        ),
        row("no expanded length", &[1], "Message"),
        row("expanded length too small", &segment(0, &lz4(body), 6), "Message"),
        row("expanded length too large", &segment(0, &lz4(body), 8), "Message"),
        row("an empty stream", &segment(0, &[], 7), "Message"),
        row("no LZ4", &segment(0, &[0xff; 20], 400), "Message"),
        row("a stream that is cut", &segment(0, &lz4(&[7; 200])[..5], 200), "Message"),
        row(
            "bytes after the stream",
            &segment(0, &[&lz4(&[7; 200])[..], &[0]].concat(), 200),
            "Message",
        ),
        row("a bomb of a megabyte", &segment(0, &bomb, 1 << 20), "Message"),
        row("a bomb that says little", &segment(0, &bomb, 100), "Message"),
        row("a bomb that says 64 KiB", &segment(0, &bomb, 65_536), "Message"),
        row("many segments over the limit together", &many, "Message"),
        row("text over the limit once encoded", &segment(1, &lz4(&[0; 60_000]), 60_000), "Message"),
        row(
            "a match before the beginning",
            &segment(0, &[0x10, b'a', 0xff, 0x7f, 0], 20),
            "Message",
        ),
        row("LZ4 that is said to be DEFLATE", &deflated, "Message"),
        row("a number for the last byte", &[&[6 << 2], &body[..6], &[0x0f, 7]].concat(), "Session"),
        row("a UUID that is cut", &[&[0x0b][..], &[7; 15]].concat(), "Message"),
        row("a time after all", &[&[0x13][..], &varint(u64::MAX)].concat(), "Message"),
        row("a run of 2⁵⁸ values", &run(1 << 58, &[0; 100]), "Message"),
        row("a run of one", &run(1, &[0]), "Message"),
        row("a run that is cut", &run(9, &[0; 8]), "Message"),
        row("a run of zeros", &run(9, &[0; 9]), "Deserialize"),
    ]
}

fn bodies() -> Vec<Row> {
    let mut rows = vec![
        body("nothing", 1, b"", "Deserialize"),
        body("no session", 1, b"\xc0", "Deserialize"),
        body("cut", 1, b"\x81\xa4use", "Deserialize"),
        body("a byte too many", 1, b"\x81\xa4user\x07\x00", "Deserialize"),
        body("a wrong type", 1, b"\x81\xa4user\xa1x", "Deserialize"),
        body(
            "a number out of range",
            1,
            b"\x81\xa4user\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            "Deserialize",
        ),
        body("a negative number", 1, b"\x81\xa4user\xff", "Deserialize"),
        body("a number with a fraction", 1, b"\x81\xa4user\xcb\x3f\xf8\0\0\0\0\0\0", "Deserialize"),
        body("a field missing", 1, b"\x80", "Deserialize"),
        body("a field twice", 1, b"\x82\xa4user\x07\xa4user\x07", "Deserialize"),
        body("an unknown field", 1, b"\x82\xa4user\x07\xa3new\x01", "Session"),
        body("a string of 4 GB", 1, b"\x82\xa4user\x07\xa4text\xdb\xff\xff\xff\xff", "Deserialize"),
        body(
            "a list of 4 billion",
            1,
            b"\x82\xa4user\x07\xa4list\xdd\xff\xff\xff\xff\x01",
            "Deserialize",
        ),
        body(
            "a map of 4 billion",
            1,
            b"\x82\xa4user\x07\xa3map\xdf\xff\xff\xff\xff",
            "Deserialize",
        ),
        body("a map of 4 billion for all", 1, b"\xdf\xff\xff\xff\xff", "Deserialize"),
        body("bytes that are no text", 1, b"\x82\xa4user\x07\xa4text\xa2\xff\xfe", "Deserialize"),
        body("a marker that is reserved", 1, b"\xc1", "Deserialize"),
        body(
            "10,000 levels unknown",
            1,
            &[&b"\x82\xa4user\x07\xa1x"[..], &[0x91; 9000], &[1]].concat(),
            "Deserialize",
        ),
        body("JSON", 2, br#"{"user":7}"#, "Session"),
        body("JSON, nothing", 2, b"", "Deserialize"),
        body("JSON, cut", 2, br#"{"user":7"#, "Deserialize"),
        body("JSON, a byte too many", 2, br#"{"user":7}x"#, "Deserialize"),
        body("JSON, white space after", 2, b"{\"user\":7} ", "Session"),
        body("JSON, a wrong type", 2, br#"{"user":"7"}"#, "Deserialize"),
        body("JSON, out of range", 2, br#"{"user":4294967296}"#, "Deserialize"),
        body("JSON, 1e999", 2, br#"{"user":1e999}"#, "Deserialize"),
        body("JSON, NaN", 2, br#"{"user":NaN}"#, "Deserialize"),
        body("JSON, a field twice", 2, br#"{"user":7,"user":8}"#, "Deserialize"),
        body("JSON, half a surrogate", 2, br#"{"user":7,"text":"\ud800"}"#, "Deserialize"),
        body("JSON, bytes that are no text", 2, b"{\"user\":7,\"text\":\"\xff\"}", "Deserialize"),
        body(
            "JSON, 10,000 levels",
            2,
            &[&br#"{"user":7,"x":"#[..], &[b'['; 9000]].concat(),
            "Deserialize",
        ),
    ];
    for (format, name) in [(3, "postcard"), (4, "bincode")] {
        let longest = if format == 3 {
            &b"\xff\xff\xff\xff\x0f"[..]
        } else {
            b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff"
        };
        for (what, bytes, expected) in [
            ("as it should be", &b"\x07\x01a\x01\x05\x00"[..], "Session"),
            ("nothing", b"", "Deserialize"),
            ("cut", b"\x07\x01a\x01", "Deserialize"),
            ("a byte too many", b"\x07\x01a\x01\x05\x00\x00", "Deserialize"),
            ("bytes that are no text", b"\x07\x01\xff\x00\x00", "Deserialize"),
            ("a number out of range", b"\xff\xff\xff\xff\xff\xff\x01", "Deserialize"),
            ("a string of all there is", &[b"\x07", longest].concat(), "Deserialize"),
            ("a list of all there is", &[b"\x07\x00", longest].concat(), "Deserialize"),
            ("a map of all there is", &[b"\x07\x00\x00", longest].concat(), "Deserialize"),
        ] {
            rows.push(body(format!("positional: {name}, {what}"), format, bytes, expected));
        }
    }
    rows
}

const NOW: u64 = 1_763_996_400;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + seconds)
}

/// Key 1 seals, 2 has retired, 3 is revoked, 4 will seal, and 9 is a stranger's.
fn ring() -> KeyRing {
    KeyRing::new([
        RingKey::new(key(1)),
        RingKey::open_only(key(2)).retires(at(0)),
        RingKey::revoked(key(3).id()),
        RingKey::new(key(4)).activates(at(1000)),
    ])
    .unwrap()
}

fn secret(n: u8) -> [u8; Key::LEN] {
    let mut secret = [n; Key::LEN];
    secret[0] = 0;
    secret
}

fn key(n: u8) -> Key {
    Key::from_bytes(secret(n)).unwrap()
}

fn codec<T: Serialize + serde::de::DeserializeOwned + 'static>(format: Format) -> Codec<T> {
    let builder = Codec::builder(ring()).format(format).schema(SCHEMA.into());
    builder.limits(Limits::NGINX_PROXY_BUFFER_16K).build().unwrap()
}

fn session() -> Session {
    Session { user: 7, text: String::new(), list: vec![1], map: BTreeMap::new() }
}

/// A value that the crate made.
fn good() -> String {
    let codec = codec::<Session>(Format::MessagePack);
    let set = codec.renew_at(&session(), &codec.request([""]), at(0)).unwrap();
    let line = set.values().next().unwrap();
    line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
}

fn session_message() -> Vec<u8> {
    message(1, &[&[0][..], b"\x81\xa4user\x07"].concat())
}

/// A message with all that is needed around what is packed.
fn message(format: u8, packed: &[u8]) -> Vec<u8> {
    [&[0x10 | format][..], &varint(NOW), &[0, SCHEMA], packed, &[0x80]].concat()
}

/// Seals for the cookie `NAME`, written anew from `docs/FORMAT.md`.
fn seal(n: u8, message: &[u8]) -> String {
    let (mut id, mut sealing_key) = ([0; 4], [0; 32]);
    let hkdf = Hkdf::<Sha256>::new(None, &secret(n));
    hkdf.expand(b"sealed-session key id", &mut id).unwrap();
    hkdf.expand(b"sealed-session/1 XAES-256-GCM", &mut sealing_key).unwrap();
    let header = [0x11, id[0], id[1], id[2], id[3]];
    let mut binding = Sha256::new();
    for part in [&b"sealed-session/1"[..], NAME.as_bytes(), b""] {
        binding.update(u64::try_from(part.len()).unwrap().to_be_bytes());
        binding.update(part);
    }
    let associated = [&header[..], &binding.finalize()].concat();
    let nonce = [7; 24];
    let mut sealed = message.to_vec();
    let tag = Xaes256Gcm::new((&sealing_key).into())
        .encrypt_inout_detached((&nonce).into(), &associated, sealed.as_mut_slice().into())
        .unwrap();
    BASE64URL.encode([&header[..], &nonce, &sealed, &tag].concat())
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 127 {
        out.push(n.to_le_bytes()[0] | 128);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
    out
}
