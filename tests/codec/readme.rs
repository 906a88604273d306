//! The tables of sizes are what the crate gives, and the tests that the page on security names are there.

use std::fmt::Write;
use std::path::Path;

use sealed_session::{Codec, Compression, EncodeError, Format, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{at, ring, sessions};

#[cfg(all(feature = "json", feature = "postcard", feature = "bincode"))]
const COMPRESSIONS: [Compression; 3] =
    [Compression::Adaptive, Compression::Smallest, Compression::Off];

/// The profiles in their order, with their names in the tables. The first is the default.
const PROFILES: [(Limits, &str); 3] = [
    (Limits::UNMODIFIED_NGINX, "UNMODIFIED_NGINX"),
    (Limits::NGINX_PROXY_BUFFER_8K, "NGINX_PROXY_BUFFER_8K"),
    (Limits::NGINX_PROXY_BUFFER_16K, "NGINX_PROXY_BUFFER_16K"),
];

/// The bytes of the session's cookies in a request with the default name, and the first profile that takes them.
fn size<T: Serialize + DeserializeOwned + 'static>(
    session: &T,
    format: Format,
    compression: Compression,
) -> (String, &'static str) {
    for (limits, profile) in PROFILES {
        let codec = Codec::<T>::builder(ring())
            .format(format)
            .schema(0)
            .compression(compression)
            .limits(limits)
            .build()
            .unwrap();
        let set = match codec.encode_at(session, &codec.request([""]), at(0)) {
            Ok(set) => set,
            Err(EncodeError::TooLarge(_)) => continue,
            Err(error) => panic!("{error}"),
        };
        let pairs: Vec<_> = set.values().map(|line| line.split(';').next().unwrap()).collect();
        let note = if pairs.len() > 1 { format!(" ({})", pairs.len()) } else { String::new() };
        return (format!("{}{note}", pairs.join("; ").len()), profile);
    }
    panic!("no profile takes the session");
}

/// What `serde_json` and `cookie::PrivateJar` make of it: base64 of a nonce, the JSON and a tag.
fn private_jar(session: &impl Serialize) -> usize {
    let json = serde_json::to_vec(session).unwrap().len();
    "__Host-session=".len() + (12 + json + 16).div_ceil(3) * 4
}

fn row<T: Serialize + DeserializeOwned + 'static>(name: &str, session: &T) -> String {
    let mut row = format!("| {name} | {}", private_jar(session));
    for compression in [Compression::Adaptive, Compression::Smallest] {
        match size(session, Format::MessagePack, compression) {
            (bytes, "UNMODIFIED_NGINX") => write!(row, " | {bytes}").unwrap(),
            (bytes, profile) => {
                write!(row, " | too large; fits `{profile}`: {bytes}").unwrap();
            }
        }
    }
    row + " |"
}

#[test]
fn the_tables_begin_from_the_defaults() {
    assert_eq!(PROFILES[0].0, Limits::default());
    assert_eq!(Codec::<u32>::new(ring()).name(), "__Host-session");
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

#[test]
fn the_lines_for_frameworks_in_the_readme_stand_in_examples_that_are_run() {
    let pages = [
        ("| [axum]", include_str!("../../src/web/axum.rs")),
        ("| tower |", include_str!("../../src/web/tower.rs")),
        ("| [actix-web]", include_str!("../../src/web/actix.rs")),
    ];
    for (row, page) in pages {
        let readme = include_str!("../../README.md");
        let row = readme.lines().find(|line| line.starts_with(row)).unwrap();
        let lines: Vec<_> = row.split('`').skip(3).step_by(2).collect();
        assert_eq!(lines.len(), 3, "{row}");
        for line in lines {
            assert!(page.contains(&line.replace("\\|", "|")), "no example has {line}");
        }
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
            ]
            .map(|(bytes, profile)| match profile {
                "UNMODIFIED_NGINX" => bytes,
                profile => format!("{bytes}, {}", profile.rsplit_once('_').unwrap().1),
            });
            writeln!(table, "| {format} | {compression:?} | {} |", sizes.join(" | ")).unwrap();
        }
    }
    let known = include_str!("../../docs/SIZES.md");
    assert!(known.contains(&table), "docs/SIZES.md lacks this table:\n{table}");

    let (uuids, saml) = (sessions::shapes::uuids(), sessions::shapes::saml());
    let mut table = String::new();
    type Size<'a> = &'a dyn Fn(Format, Compression) -> (String, &'static str);
    let rows: [(&str, Size<'_>); 2] = [
        ("20 UUIDs", &|format, compression| size(&uuids, format, compression)),
        ("SAML, 5.8 KB", &|format, compression| size(&saml, format, compression)),
    ];
    for (name, size) in rows {
        for format in [Format::MessagePack, Format::Json, Format::Postcard] {
            let compressions =
                [Compression::Adaptive, Compression::Smallest, Compression::DangerousOneContext];
            let [adaptive, smallest, one] = compressions.map(|by| size(format, by).0);
            writeln!(table, "| {name} | {format} | {adaptive} | {smallest} | {one} |").unwrap();
        }
    }
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
