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
    for compression in [Compression::Adaptive, Compression::Smallest, Compression::Off] {
        a_session(compression);
    }
    println!("4 passed, 0 failed");
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
