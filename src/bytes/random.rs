//! Random bytes, from the operating system at each call.
//!
//! A generator in user space repeats itself after a fork, or after a virtual machine was restored from a snapshot, and
//! a nonce that repeats is fatal to AES-GCM. So there is none: `rand`'s `SysRng` holds no state.

use rand::TryRng;
pub(crate) use rand::rngs::SysError;
use rand::rngs::SysRng;

/// Fills a buffer with random bytes of the operating system.
///
/// # Errors
///
/// The operating system's, and the buffer then holds nothing that may be used.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), SysError> {
    SysRng.try_fill_bytes(bytes)
}
