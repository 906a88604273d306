//! Cookies as the libraries themselves make them, each in a response of its own framework.

pub mod actix;
pub mod browser;
pub mod jars;
pub mod programs;
pub mod proxy;
pub mod sessions;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealed_session::legacy::{IronSession, Jar, JarKey, RailsSession, Reader};
use serde::{Deserialize, Serialize};

/// One cookie, and how it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    pub by: String,
    pub reader: Format,
    pub key: Key,
    pub name: String,
    pub value: String,
    pub session: Old,
}

/// The readers of the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    PrivateText,
    SignedText,
    PrivateJson,
    SignedJson,
    PrivateActix,
    SignedActix,
    PrivateTower,
    SignedTower,
    Iron,
    Rails,
}

/// The forms in which applications have their key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// `cookie::Key::from`, in base64.
    Bytes(String),
    /// `cookie::Key::derive_from`, in base64.
    Master(String),
    Rocket(String),
    Password(String),
}

/// What each of them is asked to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Old {
    pub user: u64,
    pub name: String,
}

/// With all that is changed on the way, where something is.
pub fn session() -> Old {
    Old { user: 7, name: "Zo\u{eb} \"O'Hara\" +%41%;/=&\\ \u{2603}".to_owned() }
}

impl Made {
    pub fn new(by: &str, reader: Format, key: Key, (name, value): (String, String)) -> Self {
        Self { by: by.to_owned(), reader, key, name, value, session: session() }
    }

    /// The reader that an application would make for this cookie.
    pub fn reader(&self) -> Reader<Old> {
        let key = || self.key.jar();
        let name = self.name.clone();
        let text = |text: &str| serde_json::from_str(text).ok();
        match self.reader {
            Format::PrivateText => Jar::private(&key()).text(name, text),
            Format::SignedText => Jar::signed(&key()).text(name, text),
            Format::PrivateJson => Jar::private(&key()).json(name, Some::<Old>),
            Format::SignedJson => Jar::signed(&key()).json(name, Some::<Old>),
            Format::PrivateActix => Jar::private(&key()).actix_session(name, Some::<Old>),
            Format::SignedActix => Jar::signed(&key()).actix_session(name, Some::<Old>),
            Format::PrivateTower => Jar::private(&key()).tower_session(name, Some::<Old>),
            Format::SignedTower => Jar::signed(&key()).tower_session(name, Some::<Old>),
            Format::Iron => IronSession::new(self.key.password()).unwrap().json(name, Some::<Old>),
            Format::Rails => {
                RailsSession::new(self.key.password()).unwrap().json(name, Some::<Old>)
            }
        }
    }
}

impl Key {
    fn jar(&self) -> JarKey {
        match self {
            Self::Bytes(text) => JarKey::from_bytes(&STANDARD.decode(text).unwrap()),
            Self::Master(text) => JarKey::derive_from(&STANDARD.decode(text).unwrap()),
            Self::Rocket(text) => JarKey::from_rocket(text),
            Self::Password(_) => panic!("a jar has no password"),
        }
        .unwrap()
    }

    fn password(&self) -> &str {
        match self {
            Self::Password(password) => password,
            _ => panic!("this has a password"),
        }
    }
}

/// All of the Rust libraries, each with a key made of this secret.
pub fn all(secret: [u8; 64]) -> Vec<Made> {
    [jars::all(secret), actix::all(secret), sessions::all(secret)].concat()
}

/// The name and value of a `Set-Cookie` line, as they stand there.
fn cut(set_cookie: &str) -> (String, String) {
    let pair = set_cookie.split(';').next().unwrap();
    let (name, value) = pair.split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

fn json() -> String {
    serde_json::to_string(&session()).unwrap()
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
