//! What is left in memory: the heap of this process is searched for a key and for a session after both are gone.
//!
//! Linux alone shows a process its own memory. What moves and calls leave on the stack is not looked for: no
//! crate can wipe that.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use sealed_session::{Codec, Compression, Key, Limits};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Without the harness, which has threads, whose heaps lie elsewhere.
fn main() {
    if !cfg!(target_os = "linux") {
        return println!("skipped: only Linux shows a process its memory");
    }
    a_key_and_its_text();
    #[cfg(feature = "key-file")]
    key_files();
    for compression in [Compression::Adaptive, Compression::Smallest, Compression::Off] {
        a_session(compression);
    }
    println!("all passed");
}

/// A session that wipes its own fields, so that what is found is the codec's.
#[derive(Serialize, Deserialize, PartialEq)]
struct Session {
    plain: String,
    token: String,
    compressed: String,
    long: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        let Self { plain, token, compressed, long } = self;
        for field in [plain, token, compressed, long] {
            field.zeroize();
        }
    }
}

fn a_session(compression: Compression) {
    let words = Hidden::random();
    let session = words.show(|words| Session {
        plain: repeated(words, " and a space", 1),
        token: repeated(words, "", 2),
        compressed: repeated(words, "; ", 20),
        long: "x ".repeat(800), // so that buffers grow
    });
    let codec = Codec::<Session>::builder(Key::generate().unwrap())
        .compression(compression)
        .limits(Limits::NGINX_PROXY_BUFFER_8K)
        .build()
        .unwrap();
    let request = codec.request([""]);
    let set = codec.renew(&session, &request).unwrap();
    let pairs: Vec<_> = set.values().map(|line| line.split(';').next().unwrap()).collect();
    let header = pairs.join("; ");
    let request = codec.request([&header]);
    let opened = codec.decode(&request).unwrap().unwrap();
    assert!(opened.session == session);
    assert!(codec.encode(&opened.session, &request).unwrap().is_empty());
    assert!(words.are_found() > 4, "the search finds what is still there");
    drop(opened);
    drop(session);
    assert!(words.are_found() > 0, "the request holds what it opened, to compare with");
    drop(request);
    assert_eq!(words.are_found(), 0, "{compression:?}: the session was left in memory");
}

/// Never grows, and so leaves no copy behind.
fn repeated(words: &str, end: &str, times: usize) -> String {
    let mut text = String::with_capacity((words.len() + end.len()) * times);
    for _ in 0..times {
        text.push_str(words);
        text.push_str(end);
    }
    text
}

fn a_key_and_its_text() {
    let key = Key::generate().unwrap();
    let text = key.expose_text();
    // 16 characters of it: 96 bits that are not the prefix.
    let words = Hidden::hide(&text.as_bytes()[30..30 + LEN]);
    let same: Key = text.parse().unwrap();
    let codec = Codec::<u8>::new(same);
    assert!(words.are_found() > 0, "the search finds what is still there");
    drop((codec, key));
    drop(text);
    assert_eq!(words.are_found(), 0, "the text of the key was left in memory");
}

/// A key file that is good, and one with each fault: none leaves the secret behind.
#[cfg(feature = "key-file")]
fn key_files() {
    use sealed_session::{KeyFile, KeyRing};
    use zeroize::Zeroizing;

    let good = "[[key]]\nid = \"ID\"\nkey = \"KEY\"\ncreated = 2026-11-01T00:00:00Z\nactivates = 2026-11-01T00:00:00Z\n";
    let other = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    for (what, form, is_good) in [
        ("good", good.to_owned(), true),
        ("a bad id", other("\"ID\"", "\"8a34\""), false),
        ("the id of another key", other("\"ID\"", "\"8a346e56\""), false),
        ("a field is missing", other("created = 2026-11-01T00:00:00Z\n", ""), false),
        ("a field is unknown", other("created", "made"), false),
        ("a type is wrong", other("created = 2026-11-01T00:00:00Z", "created = \"KEY\""), false),
        ("the key is the id", other("\"ID\"", "\"KEY\""), false),
        ("the key is the state", format!("{good}state = \"KEY\"\n"), false),
        ("the key is in a list", other("\"KEY\"", "[\"KEY\"]"), false),
        ("the key is a name", other("key = \"KEY\"", "KEY = 1"), false),
        ("no quote after the key", other("\"KEY\"", "\"KEY"), false),
        ("no quotes", other("\"KEY\"", "KEY"), false),
        ("a sign too many", other("KEY", "KEYa"), false),
        ("another alphabet", other("\"KEY\"", "\"KEY+\""), false),
        ("revoked, with a secret", format!("{good}state = \"revoked\"\n"), false),
        ("twice", format!("{good}{good}"), false),
        ("it ends in the midst", format!("{good}[[key]]\nid = \""), false),
        ("no UTF-8", format!("{good}\0"), false),
        (
            "no key seals at all",
            format!("{}state = \"open-only\"\n", other("activates = 2026-11-01T00:00:00Z\n", "")),
            false,
        ),
    ] {
        let key = Key::generate().unwrap();
        let text = key.expose_text();
        let words = Hidden::hide(&text.as_bytes()[30..30 + LEN]);
        // Never grows, and so leaves no copy behind.
        let mut file = Zeroizing::new(Vec::with_capacity(form.len() + 1000));
        let id = key.id().to_string();
        let mut rest = form.as_str();
        while let Some(at) = [rest.find("KEY"), rest.find("ID")].into_iter().flatten().min() {
            file.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("KEY") {
                file.extend_from_slice(text.as_bytes());
                rest = after;
            } else {
                file.extend_from_slice(id.as_bytes());
                rest = &rest[2..];
            }
        }
        file.extend_from_slice(rest.as_bytes());
        file.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0xff);
        let read = KeyFile::read(file.as_slice());
        assert_eq!(read.is_ok(), is_good, "{what}: {read:?}");
        assert!(words.are_found() > 0, "the search finds what is still there");
        // The error stays.
        let error = read.err();
        drop((key, text, file));
        assert_eq!(words.are_found(), 0, "{what}: the secret was left in memory: {error:?}");
    }

    // Lists of keys, as they stand in the environment.
    for (before, after, is_good) in [
        ("", "", true),
        ("'", "'", false),
        ("", "a", false),
        ("", ",nonsense", false),
        ("", "\u{e9}", false),
    ] {
        let key = Key::generate().unwrap();
        let text = key.expose_text();
        let words = Hidden::hide(&text.as_bytes()[30..30 + LEN]);
        let mut list = Zeroizing::new(String::with_capacity(200));
        for part in [before, &text, after] {
            list.push_str(part);
        }
        let ring = list.parse::<KeyRing>();
        assert_eq!(ring.is_ok(), is_good, "{before}KEY{after}");
        drop((key, text, list));
        let error = ring.err();
        assert_eq!(words.are_found(), 0, "{before}KEY{after}: {error:?}");
    }
}

const LEN: usize = 16;

/// Words that this test itself does not keep in memory.
struct Hidden([u8; LEN]);

impl Hidden {
    fn random() -> Self {
        let text = Key::generate().unwrap().expose_text();
        Self::hide(&text.as_bytes()[30..30 + LEN])
    }

    fn hide(words: &[u8]) -> Self {
        Self(std::array::from_fn(|i| !words[i]))
    }

    fn show<T>(&self, give: impl FnOnce(&str) -> T) -> T {
        let mut words = String::with_capacity(LEN);
        words.extend(self.0.iter().map(|byte| char::from(!byte)));
        let given = give(&words);
        words.zeroize();
        given
    }

    /// Counts them on the heap.
    fn are_found(&self) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let heap = maps.lines().find(|line| line.ends_with("[heap]")).expect("a heap");
        let (from, to) = heap.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut memory = File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(from)).unwrap();
        // On the stack, for on the heap it would find itself.
        let mut window = [0; 4096];
        let mut found = 0;
        let mut at = from;
        while at < to {
            memory.read_exact(&mut window).unwrap();
            found += window
                .windows(LEN)
                .filter(|part| part.iter().zip(&self.0).all(|(a, b)| *a == !b))
                .count();
            at += 4096;
        }
        found
    }
}
