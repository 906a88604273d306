//! The tables of sizes are what the crate gives, and the tests that the page on security names are there.

use std::fmt::Write;
use std::path::Path;

use sealed_session::{Codec, Compression, Format, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{at, ring, sessions};

const COMPRESSIONS: [Compression; 3] =
    [Compression::Adaptive, Compression::Smallest, Compression::Off];

/// The bytes of the session's cookies in a request.
fn size<T: Serialize + DeserializeOwned + 'static>(
    session: &T,
    format: Format,
    compression: Compression,
) -> String {
    let codec = Codec::<T>::builder(ring())
        .name("session")
        .format(format)
        .schema(0)
        .compression(compression)
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .build()
        .unwrap();
    let set = codec.encode_at(session, &codec.request([""]), at(0)).unwrap();
    let pairs: Vec<_> = set.values().map(|line| line.split(';').next().unwrap()).collect();
    let note = if pairs.len() > 1 { format!(" ({})", pairs.len()) } else { String::new() };
    format!("{}{note}", pairs.join("; ").len())
}

/// What `serde_json` and `cookie::PrivateJar` make of it: base64 of a nonce, the JSON and a tag.
fn private_jar(session: &impl Serialize) -> usize {
    let json = serde_json::to_vec(session).unwrap().len();
    "session=".len() + (12 + json + 16).div_ceil(3) * 4
}

fn row<T: Serialize + DeserializeOwned + 'static>(name: &str, session: &T) -> String {
    let mut row = format!("| {name} | {}", private_jar(session));
    for compression in COMPRESSIONS {
        write!(row, " | {}", size(session, Format::MessagePack, compression)).unwrap();
    }
    row + " |"
}

#[test]
fn the_sizes_in_the_readme_are_true() {
    let readme = include_str!("../../README.md");
    for row in [
        row("login (id, roles, CSRF token)", &sessions::login()),
        row("shop (profile, cart of 12 lines)", &sessions::shop()),
        row("OpenID Connect (two JWTs, groups)", &sessions::openid_connect()),
        row("OpenID Connect, large", &sessions::openid_connect_large()),
    ] {
        assert!(readme.contains(&row), "the README lacks this row:\n{row}");
    }
}

#[cfg(all(feature = "json", feature = "postcard", feature = "bincode"))]
#[test]
fn the_sizes_of_all_formats_are_known() {
    let formats = [Format::MessagePack, Format::Json, Format::Postcard, Format::Bincode];
    let mut table = String::new();
    for format in formats {
        for compression in COMPRESSIONS {
            let sizes = [
                size(&sessions::login(), format, compression),
                size(&sessions::shop(), format, compression),
                size(&sessions::openid_connect(), format, compression),
                size(&sessions::openid_connect_large(), format, compression),
            ];
            writeln!(table, "| {format} | {compression:?} | {} |", sizes.join(" | ")).unwrap();
        }
    }
    let known = include_str!("../../docs/SIZES.md");
    assert!(known.contains(&table), "docs/SIZES.md lacks this table:\n{table}");
}

#[test]
fn the_tests_that_the_page_on_security_names_exist() {
    fn read(folder: &Path, sources: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources);
    }
    let page = include_str!("../../docs/SECURITY.md");
    let attacks = page.split("\n## ").find(|section| section.starts_with("Attacks")).unwrap();
    let names: Vec<_> = attacks.split('*').skip(1).step_by(2).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let function = format!("fn {}(", name.replace(' ', "_"));
        assert!(sources.contains(&function), "no test has the name {name:?}");
    }
}
