//! Makes the vectors anew: `cargo run >../vectors/legacy.json`. Their keys are public, and their times far away.

use sealed_session_legacy_tests::{Made, all, programs};

fn main() {
    let secret: [u8; 64] = *b"these keys are public, never use them; they are for vectors onlY";
    let password = "this password is public, never use it";
    let mut made: Vec<Made> = all(secret);
    made.push(programs::iron(password, 0));
    made.push(programs::rails(password, "sha256", "never"));
    made.push(programs::rails(password, "sha1", "never"));
    println!("{}", serde_json::to_string_pretty(&made).unwrap());
}
