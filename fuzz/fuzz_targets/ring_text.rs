//! Any text as a key or as a list of keys: refused, or equal to what it is written as.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealed_session::{Key, KeyId, KeyRing};

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<Key>() {
        assert_eq!(text.trim(), key.expose_text().as_str());
        assert_eq!(key.expose_text().parse::<Key>().expect("parses").id(), key.id());
    }
    if let Ok(ring) = text.parse::<KeyRing>() {
        assert!(ring.primary() == ring.ids().first().copied() && ring.primary().is_some());
    }
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(text.to_ascii_lowercase(), id.to_string());
    }
    // The same with a prefix and a length that are right, so that the rest is reached.
    if text.is_ascii() && text.len() >= 48 {
        let text = format!("SEALED-SESSION-KEY-1-{}", &text[..48]);
        if let Ok(key) = text.parse::<Key>() {
            assert_eq!(text, key.expose_text().as_str());
        }
    }
});
