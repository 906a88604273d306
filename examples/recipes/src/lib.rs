//! What applications do with sessions all day. Each recipe is a module with an application of its own, and each is
//! driven by a test in `tests/`.

pub mod csrf;
pub mod flash;
pub mod logout_everywhere;
pub mod oidc;
pub mod remember_me;
pub mod single_page;
pub mod step_up;
pub mod two_sessions;
pub mod websocket;

/// Returns 128 random bits, as 32 hexadecimal digits.
///
/// # Panics
///
/// If the operating system gives no random bytes.
#[must_use]
pub fn token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("random bytes of the operating system");
    format!("{:032x}", u128::from_be_bytes(bytes))
}
