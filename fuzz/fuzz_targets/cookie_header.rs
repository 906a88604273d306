//! Any bytes as `Cookie` headers, one a line: never a panic, never a session, and the write that follows works.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealed_session::Codec;
use sealed_session_fuzz::{at, builder};

static CODEC: LazyLock<Codec<u32>> =
    LazyLock::new(|| builder().context("not that of the vectors").build().expect("settings"));

fuzz_target!(|bytes: &[u8]| {
    let request = CODEC.request(bytes.split(|byte| *byte == b'\n'));
    assert!(!matches!(CODEC.decode_at(&request, at(0)), Ok(Some(_))), "nobody sealed this");
    match CODEC.encode_at(&7, &request, at(0)) {
        Ok(set_cookies) => assert_eq!(set_cookies.set().count(), 1),
        Err(error) => assert!(error.to_string().contains("cannot read"), "{error}"),
    }
    assert!(CODEC.clear(&request).removed().count() <= 9);
});
