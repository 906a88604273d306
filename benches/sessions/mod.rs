//! Sessions of the shapes that applications have, as the types a user would write. No real person,
//! token or key is in them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// User id, login time, CSRF token, two roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Login {
    pub user_id: u64,
    pub login_at: u64,
    pub csrf: String,
    pub roles: Vec<String>,
}

/// Profile, flash messages, a cart of 12 lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shop {
    pub user_id: u64,
    pub email: String,
    pub display_name: String,
    pub locale: String,
    pub timezone: String,
    pub roles: Vec<String>,
    pub csrf: String,
    pub flash: Vec<String>,
    pub last_seen: u64,
    pub cart: Vec<CartLine>,
    pub return_to: String,
}

/// One line of a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CartLine {
    pub sku: String,
    pub name: String,
    pub quantity: u32,
    pub price_cents: u64,
}

/// Two JWTs, a refresh token, groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIdConnect {
    pub sub: String,
    pub id_token: String,
    pub access_token: String,
    pub refresh_token: String,
    pub expires_at: u64,
    pub email: String,
    pub groups: Vec<String>,
}

/// Reads a session of its JSON.
fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the session is JSON of its type")
}

pub fn login() -> Login {
    read(include_str!("login.json"))
}

pub fn shop() -> Shop {
    read(include_str!("shop.json"))
}

pub fn openid_connect() -> OpenIdConnect {
    read(include_str!("openid_connect.json"))
}

pub fn openid_connect_large() -> OpenIdConnect {
    read(include_str!("openid_connect_large.json"))
}
