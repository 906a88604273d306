//! Prints a new key, for the variable `SEALED_SESSION_KEYS`.
//!
//! ```sh
//! export SEALED_SESSION_KEYS="$(cargo run --quiet --example keygen)"
//! ```

fn main() -> Result<(), sealed_session::KeyError> {
    println!("{}", *sealed_session::Key::generate()?.expose_text());
    Ok(())
}
