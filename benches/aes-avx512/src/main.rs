//! What preparing the round keys for AVX-512 costs each call of `aes` 0.9.4: see ISSUE.md.
//!
//! `cargo run --release`, on a processor with AVX-512 and VAES.

use std::arch::x86_64::{__m128i, __m512i, _mm512_broadcast_i32x4, _mm512_setzero_si512};
use std::hint::black_box;
use std::time::Instant;

use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// As in `src/backends/x86_vaes512/encdec.rs` of 0.9.4.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast_by_map<const RK: usize>(keys: &[__m128i; RK]) -> [__m512i; RK] {
    keys.map(|key| _mm512_broadcast_i32x4(key))
}

/// The same as a loop.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast_by_loop<const RK: usize>(keys: &[__m128i; RK]) -> [__m512i; RK] {
    let mut broadcast = [_mm512_setzero_si512(); RK];
    for (to, key) in broadcast.iter_mut().zip(keys) {
        *to = _mm512_broadcast_i32x4(*key);
    }
    broadcast
}

#[target_feature(enable = "avx512f,vaes")]
fn map(keys: &[__m128i; 15]) {
    black_box(broadcast_by_map(black_box(keys)));
}

#[target_feature(enable = "avx512f,vaes")]
fn plain_loop(keys: &[__m128i; 15]) {
    black_box(broadcast_by_loop(black_box(keys)));
}

fn main() {
    if !(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vaes")) {
        println!("this processor has no AVX-512 or no VAES, so `aes` takes another way");
        return;
    }
    // SAFETY: all bit patterns are valid.
    let keys: [__m128i; 15] = unsafe { std::mem::transmute([7_u8; 240]) };
    // SAFETY: both features were detected.
    report("broadcast_keys by `map`, 15 keys", || unsafe { map(&keys) });
    // SAFETY: both features were detected.
    report("broadcast_keys by a loop, 15 keys", || unsafe { plain_loop(&keys) });
    let aes = aes::Aes256::new(&[7; 32].into());
    let mut block = aes::Block::default();
    report("Aes256::encrypt_block", || aes.encrypt_block(black_box(&mut block)));
    let mut blocks = [aes::Block::default(); 8];
    report("Aes256::encrypt_blocks, 8", || aes.encrypt_blocks(black_box(&mut blocks)));
}

/// Prints the least time of many runs.
fn report(name: &str, mut work: impl FnMut()) {
    const TIMES: u32 = 2_000;
    let least = (0..500).map(|_| {
        let start = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
    });
    println!("{name:36} {:6.1} ns", least.fold(f64::INFINITY, f64::min));
}
