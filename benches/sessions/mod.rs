//! Sessions of the shapes that applications have, as the types a user would write. No real person,
//! token or key is in them.

#![allow(dead_code, reason = "each of those who include this uses some of it")]

pub(crate) mod shapes;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// User id, login time, CSRF token, two roles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) user_id: u64,
    pub(crate) login_at: u64,
    pub(crate) csrf: String,
    pub(crate) roles: Vec<String>,
}

/// Profile, flash messages, a cart of 12 lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shop {
    pub(crate) user_id: u64,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) locale: String,
    pub(crate) timezone: String,
    pub(crate) roles: Vec<String>,
    pub(crate) csrf: String,
    pub(crate) flash: Vec<String>,
    pub(crate) last_seen: u64,
    pub(crate) cart: Vec<CartLine>,
    pub(crate) return_to: String,
}

/// One line of a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CartLine {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) quantity: u32,
    pub(crate) price_cents: u64,
}

/// Two JWTs, a refresh token, groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenIdConnect {
    pub(crate) sub: String,
    pub(crate) id_token: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expires_at: u64,
    pub(crate) email: String,
    pub(crate) groups: Vec<String>,
}

/// What a request changes in its session: a number, so that the size stays.
pub(crate) trait Change {
    /// Changes the session and returns the number, which is greater each time.
    fn change(&mut self) -> u64;
}

impl Change for Login {
    fn change(&mut self) -> u64 {
        self.login_at += 1;
        self.login_at
    }
}

impl Change for Shop {
    fn change(&mut self) -> u64 {
        self.last_seen += 1;
        self.last_seen
    }
}

impl Change for OpenIdConnect {
    fn change(&mut self) -> u64 {
        self.expires_at += 1;
        self.expires_at
    }
}

/// Reads a session of its JSON.
fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the session is JSON of its type")
}

pub(crate) fn login() -> Login {
    read(include_str!("login.json"))
}

pub(crate) fn shop() -> Shop {
    read(include_str!("shop.json"))
}

pub(crate) fn openid_connect() -> OpenIdConnect {
    read(include_str!("openid_connect.json"))
}

pub(crate) fn openid_connect_large() -> OpenIdConnect {
    read(include_str!("openid_connect_large.json"))
}
