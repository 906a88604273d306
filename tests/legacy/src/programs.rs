//! Libraries of other languages, each in a program of its own.

use std::path::Path;
use std::process::Command;

use crate::{Format, Key, Made, cut, json};

/// iron-session, by Node. `ttl` is in seconds.
pub fn iron(password: &str, ttl: u64) -> Made {
    let key = Key::Password(password.to_owned());
    let line = run("node", &["node/iron.mjs", password, &ttl.to_string(), "my-session", &json()]);
    Made::new("iron-session 8.0.4", Format::Iron, key, cut(&line))
}

/// Rails, by Ruby, with the hash function of its defaults before 7.0 or since.
pub fn rails(secret: &str, digest: &str, seconds: &str) -> Made {
    let key = Key::Password(secret.to_owned());
    let line = run("ruby", &["ruby/rails.rb", secret, digest, seconds, "_app_session", &json()]);
    Made::new(&format!("Rails, encrypted, {digest}"), Format::Rails, key, cut(&line))
}

fn run(program: &str, arguments: &[&str]) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).args(arguments).current_dir(here).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
