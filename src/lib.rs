//! Client-side sessions: the session lives in the user's own cookie, sealed with AES-GCM under a rotating key ring.
//!
//! Any node serves any user, and there is nothing to run, to copy or to lose. For web applications with more than one node
//! and no wish for a session store.
//!
//! # In a web framework
//!
//! A middleware reads the request and writes the response. In [axum](web::axum), with the feature `axum`:
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::{get, post}};
//! use sealed_session::web::axum::{ChangeError, Session, SessionLayer};
//! use sealed_session::{Codec, KeyRing};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Shop { cart: Vec<String> }
//!
//! async fn show(session: Session<Shop>) -> String {
//!     session.get().map_or("an empty cart".into(), |shop| shop.cart.join(", "))
//! }
//!
//! async fn buy(session: Session<Shop>, item: String) -> Result<(), ChangeError> {
//!     session.change(|shop| shop.cart.push(item))
//! }
//!
//! // The keys are in the variable SEALED_SESSION_KEYS, the same on all nodes.
//! # let _ = || -> Result<Router, Box<dyn std::error::Error>> {
//! let codec = Codec::<Shop>::new(KeyRing::from_env()?);
//! let app = Router::new().route("/cart", get(show).post(buy)).layer(SessionLayer::new(codec));
//! # Ok(app) };
//! ```
//!
//! Likewise in [actix-web](web::actix) and in any [tower](web::tower) service. The rules that the middlewares follow are
//! in [`web`]. [`guide::frameworks`] shows Rocket, poem, salvo, warp and plain hyper.
//!
//! # Without a framework
//!
//! The [`Codec`] is synchronous, needs no runtime, and knows no framework: header strings in, header strings out.
//!
//! ```
//! use sealed_session::{Codec, KeyRing};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Session { user: u64, cart: Vec<String> }
//!
//! # let _ = || -> Result<KeyRing, Box<dyn std::error::Error>> {
//! let ring = KeyRing::from_env()?;
//! # Ok(ring) };
//! # let ring = sealed_session::Key::generate()?;
//! let codec = Codec::<Session>::new(ring); // once, at start
//!
//! // In each request: its `Cookie` headers, whatever holds them.
//! let request = codec.request(["theme=dark; lang=en"]);
//!
//! // At a login.
//! let response = codec.renew(&Session { user: 7, cart: vec![] }, &request)?;
//! for (name, value) in response.headers() {
//!     // response.headers_mut().append(name, value)
//! }
//! # let cookie = response.values().next().unwrap().split(';').next().unwrap().to_owned();
//! # let request = codec.request([&cookie]);
//!
//! // In every later request, on any node.
//! if let Some(mut opened) = codec.decode(&request)? {
//!     opened.session.cart.push("SKU-1".into());
//!     let response = codec.encode(&opened.session, &request)?; // empty if nothing changed
//! #   assert!(!response.is_empty());
//! }
//!
//! // At a logout.
//! let response = codec.clear(&request);
//! # assert_eq!(response.removed().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The first key
//!
//! [`Key::generate`] creates a key, and [`Key::expose_text`] returns the text for the variable. From a checkout of this
//! crate:
//!
//! ```sh
//! export SEALED_SESSION_KEYS="$(cargo run --quiet --example keygen)"
//! ```
//!
//! # Guides
//!
//! | guide | what it answers |
//! |---|---|
//! | [`frameworks`](guide::frameworks) | How do I use it from my web framework? |
//! | [`sessions`](guide::sessions) | How do I change the type of a session while old ones are out there? |
//! | [`operating`](guide::operating) | How do I make, rotate and revoke keys? What do I do at 3 a.m.? |
//! | [`revocation`](guide::revocation) | How do I end sessions before their time? |
//! | [`overflow`](guide::overflow) | What if a session is sometimes larger than its cookies? |
//! | [`coming_from`](guide::coming_from) | How do I switch from another library without a logout? |
//! | [`security`](guide::security) | What can attackers try, what stops them, and what does not? |
//! | [`sizes`](guide::sizes) | How large do the cookies get? |
//! | [`format`](guide::format) | What are the bytes of a cookie? |
//! | [`dependencies`](guide::dependencies) | Which crates come along, and who keeps them? |
//! | [the four ways](https://github.com/sealed-session/sealed-session/blob/main/docs/FOUR_WAYS.md) | Replicated, sticky, central or in the cookie: which way is right for me? |
//!
//! # How it works
//!
//! ```text
//! session ─serialize→ body ─pack→ packed ─envelope, padding→ message
//! message ─seal→ sealed ─base64url→ text ─split→ cookies
//! ```
//!
//! - **Serialize**: MessagePack with named fields ([`Format`]), so that two releases of a struct read each
//!   other during a deploy.
//! - **Pack**: tokens such as JWTs become the bytes they stand for, and each field is compressed by itself
//!   where that pays ([`Compression`]).
//! - **Envelope**: the times of the session are sealed with it, and an optional id and schema number. The
//!   length is padded ([`Padding`]).
//! - **Seal**: XAES-256-GCM with random 192-bit nonces from the operating system; bound to the cookie's
//!   name and to a context of yours.
//! - **Split**, if asked for ([`Limits`]); otherwise one cookie or an error that names the heaviest fields.
//!
//! The bytes are specified in [`guide::format`].
//!
//! # Two versions always run at once
//!
//! During a deploy, nodes run different releases and different keys for minutes. A node that meets a session
//! of a newer release or under a key that it has not got yet says so by a typed [`DecodeError`], whose
//! [`advice`](DecodeError::advice) is to keep the cookie; and [`Codec::encode`] does not overwrite it.
//!
//! # Keys
//!
//! A [`KeyRing`] holds one *primary* key that seals and others that only open. Roll out a new key with an
//! activation some time ahead ([`RingKey::activates`]); all nodes switch to it by themselves, and sessions
//! in use move to it. [`RingKey::revoked`] ends what a leaked key sealed.
//!
//! Nodes get keys from an environment variable ([`KeyRing::from_env`]), or from a [`KeyFile`] that a daily job rotates and
//! that nodes load while they run ([`Watcher`], feature `watch`). All that operators do with them is in
//! [`guide::operating`].
//!
//! # Security
//!
//! The attacks, each with what stops it and the test that shows it, are in [`guide::security`]. What holds,
//! whoever writes the `Cookie` header:
//!
//! - Nobody without the key reads a session, changes it, or makes one up; nor moves it to another cookie,
//!   context or key.
//! - A session ends at its absolute and idle timeouts even if the client keeps the cookie.
//! - Any bytes give `None` or a typed error, in time linear in their number, without a panic, and without
//!   allocating more than a small multiple of them and of 64 KiB.
//! - The size of the cookie never tells whether what users write in one field is like what another holds.
//!   A list is one field in this, with all that is in it: see [`Compression`].
//!
//! What no sealed cookie can do, and what helps:
//!
//! - **Be taken back**: a copy of a cookie works until the session's timeouts, also after a logout. With
//!   [`Builder::revocations`] a logout is final, and a user or everybody can be logged out: see [`guide::revocation`].
//! - **Order parallel requests**: the last response wins. Keep in the session what can stand this, and
//!   what must not be lost (balances, stock) in a database.
//! - **Be large**: see [`Limits`]; what does not fit goes into a store, if you give one (feature `store`).
//! - Keep a sibling domain from evicting it, or an attacker who runs code in the browser from using it.
//!
//! Keys, derived keys and opened sessions are wiped from memory when dropped; copies that the compiler, the
//! serializer, the key derivation or the operating system made are not.
//!
//! # Features
//!
//! None is on by default. Each adds something and changes nothing else:
//!
//! - `json`, `postcard`, `bincode`: further values of [`Format`]. A codec opens every format compiled in.
//! - `key-file`: [`KeyFile`], a file of keys with their times; [`Policy`], which rotates it.
//! - `watch`: [`Watcher`], which keeps a ring as its file says while requests run.
//! - `legacy`: readers of the cookies of other libraries, in [`legacy`], so that a switch logs nobody out.
//! - `tracing`, `metrics`: events and counters of what is opened, refused and sealed, and by which key.
//! - `store`, `store-redis`: a store for sessions that do not fit into their cookies, and for values beside a session;
//!   in a directory, or in Redis or Valkey. A session that fits asks no store.
//! - `revocation`, `revocation-redis`: sessions ended before their time, in [`revocation::Revocations`]; shared by a journal file on one
//!   machine, or by Redis or Valkey between machines.
//! - `cli`: the tool `sealed-session`, for key files and to inspect cookies.
//! - `aws-lc-rs`: AES by AWS-LC in the place of RustCrypto's. The bytes are the same, so nodes may differ. It is
//!   faster, most so on long sessions, and needs a C compiler. See [below](#aws-lc).
//! - `tower`, `axum`, `actix-web`: middlewares and extractors in [`web`], which call the codec and write
//!   the response for you. Other frameworks: [`guide::frameworks`].
//!
//! # AWS-LC
//!
//! With the feature `aws-lc-rs`, sealing and opening call AES-256 and AES-256-GCM of AWS-LC. Key ids, derived
//! keys and the binding, which are made once, stay with RustCrypto's HKDF and SHA-256, and random bytes with the
//! operating system. An application that enables `aws-lc-rs/fips` gets the module of AWS-LC that is validated for
//! FIPS 140-3 for those two calls. That does not make this crate an approved service: the module cannot see that
//! the key and the nonce of each message come from a random 192-bit nonce, and counts a nonce that its
//! caller chose as not approved.
//!
//! # Foreign types in the API
//!
//! `zeroize::Zeroizing` around what is secret; the error sources are opaque. The middlewares speak the language
//! of their frameworks: `http` 1, `tower-layer` and `tower-service` 0.3, `axum-core` 0.5, `actix-web` 4. All
//! others are of `std`, `serde` and this crate.
//!
//! # Processors
//!
//! The vectors run on x86-64, on 32-bit Arm and on s390x, which is big-endian, in each run of the checks. aarch64, i686,
//! RISC-V and both kinds of WebAssembly (`wasm32-unknown-unknown`, `wasm32-wasip1`) are compiled.
//!
//! On `wasm32-unknown-unknown` an application adds two things. The time: there [`SystemTime::now`] panics, so give a
//! [`Builder::clock`]. Random bytes: add `getrandom` with its feature `wasm_js`, which asks the browser or the edge runtime.
//!
//! [`SystemTime::now`]: std::time::SystemTime::now
//!
//! # MSRV
//!
//! Rust 1.88, that of the dependencies. Raising it is a minor release.

#![cfg_attr(docsrs, feature(doc_cfg))]
// The page links to what features add.
#![cfg_attr(
    not(all(
        feature = "watch",
        feature = "axum",
        feature = "actix-web",
        feature = "revocation",
        feature = "store",
        feature = "legacy"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

mod bytes;
mod codec;
mod cookie;
#[cfg_attr(
    not(all(feature = "key-file", feature = "revocation")),
    allow(dead_code, reason = "each feature uses a part of it")
)]
mod cutoff;
mod error;
mod keys;
pub mod legacy;
mod message;
mod observe;
#[cfg(any(feature = "revocation-redis", feature = "store-redis"))]
#[allow(dead_code, reason = "revocation and overflow each take what they need of it")]
mod redis;
#[cfg(feature = "revocation")]
pub mod revocation;
mod seal;
#[cfg(feature = "store")]
pub mod store;
#[cfg(any(feature = "revocation", feature = "store"))]
mod timer;
#[cfg(any(feature = "tower", feature = "actix-web"))]
pub mod web;
mod xaes;

pub use codec::Codec;
pub use codec::begin::Begin;
pub use codec::builder::Builder;
pub use codec::error::{Advice, DecodeError, EncodeError, Expiry};
#[cfg(feature = "cli")]
pub use codec::inspect::{Contents, Header, Inspection};
pub use codec::opened::Opened;
pub use codec::request_cookies::RequestCookies;
pub use codec::reseal::Reseal;
pub use cookie::attributes::{Persistence, SameSite};
pub use cookie::error::{ConfigError, Limit, TooLarge};
pub use cookie::limits::{Cost, Limits};
pub use cookie::padding::Padding;
pub use cookie::set_cookies::SetCookies;
pub use error::Source;
pub use keys::env::KeyListError;
pub use keys::error::{KeyError, RingError};
#[cfg(feature = "key-file")]
pub use keys::file::{KeyFile, KeyFileError, KeyInfo, KeyProblem, KeyState};
pub use keys::key::Key;
pub use keys::key_id::KeyId;
pub use keys::ring::{KeyRing, RingKey};
#[cfg(feature = "key-file")]
pub use keys::rotation::{Change, Concern, Policy, PolicyError};
#[cfg(feature = "key-file")]
pub use keys::source::KeySource;
#[cfg(feature = "watch")]
pub use keys::watch::{Watch, WatchEvent, Watcher};
pub use message::format::Format;
pub use message::lifetime::Lifetime;
pub use message::pack::Compression;
pub use message::recorder::FieldSize;
pub use message::session_id::SessionId;
#[cfg(any(feature = "revocation-redis", feature = "store-redis"))]
pub use redis::RedisUrlError;
#[cfg(feature = "store")]
pub use store::attached::Attached;

/// Guides: pages to read, and no code.
///
/// How all this is tested is in
/// [`docs/TESTING.md`](https://github.com/sealed-session/sealed-session/blob/main/docs/TESTING.md), and how fast it is in
/// [`benches/README.md`](https://github.com/sealed-session/sealed-session/blob/main/benches/README.md).
pub mod guide {
    /// What the bytes of a cookie are: the specification, for whoever writes a reader.
    ///
    #[doc = include_str!("../docs/FORMAT.md")]
    pub mod format {}

    /// What attackers can try, what stops them, and what no sealed cookie can do.
    ///
    #[doc = include_str!("../docs/SECURITY.md")]
    pub mod security {}

    /// How to change the type of a session while sessions of the old one are out there.
    ///
    #[doc = include_str!("../docs/SESSIONS.md")]
    pub mod sessions {}

    /// How to use the codec from each web framework, with and without a middleware.
    ///
    #[doc = include_str!("../docs/FRAMEWORKS.md")]
    pub mod frameworks {}

    /// How to make, rotate and revoke keys, and what to do when something goes wrong.
    ///
    #[cfg(feature = "watch")]
    #[doc = include_str!("../docs/OPERATING.md")]
    pub mod operating {}

    /// How to move here from another library, and log nobody out.
    ///
    #[doc = include_str!("../docs/COMING_FROM.md")]
    pub mod coming_from {}

    /// How to end sessions before their time, what then holds, and for how long.
    ///
    #[cfg(feature = "revocation")]
    #[doc = include_str!("../docs/REVOCATION.md")]
    pub mod revocation {}

    /// What to do with sessions that are sometimes larger than their cookies.
    ///
    #[cfg(feature = "store")]
    #[doc = include_str!("../docs/OVERFLOW.md")]
    pub mod overflow {}

    /// How large the cookies of a session get, in each format and with each compression.
    ///
    #[doc = include_str!("../docs/SIZES.md")]
    pub mod sizes {}

    /// Which crates come with this one, what for, and who keeps them.
    ///
    #[doc = include_str!("../docs/DEPENDENCIES.md")]
    pub mod dependencies {}
}

/// Compiles the examples of the README, which begin with axum.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// What must not compile, so that no key is shown, copied or stored by accident.
///
/// ```
/// let key = sealed_session::Key::generate().unwrap();
/// println!("{key:?}"); // shows the id
/// ```
///
/// ```compile_fail,E0277
/// let key = sealed_session::Key::generate().unwrap();
/// println!("{key}");
/// ```
///
/// ```compile_fail,E0277
/// let key = sealed_session::Key::generate().unwrap();
/// serde_json::to_string(&key).unwrap();
/// ```
///
/// ```compile_fail,E0277
/// let key: sealed_session::Key = serde_json::from_str("[]").unwrap();
/// ```
///
/// ```compile_fail,E0599
/// let key = sealed_session::Key::generate().unwrap();
/// let other = key.clone();
/// ```
///
/// ```compile_fail,E0277
/// let ring = sealed_session::KeyRing::from(sealed_session::Key::generate().unwrap());
/// serde_json::to_string(&ring).unwrap();
/// ```
///
/// ```compile_fail,E0277
/// let ring = sealed_session::KeyRing::from(sealed_session::Key::generate().unwrap());
/// println!("{ring}");
/// ```
#[cfg(doctest)]
struct Secret;
