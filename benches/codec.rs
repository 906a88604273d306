//! Encode and decode of whole sessions, beside what most would use instead and beside the bare
//! primitives, in one run. See `README.md` in this folder.

#[path = "sessions/mod.rs"]
mod sessions;

use rand::TryRng as _;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::time::Duration;
use cookie::{Cookie, CookieJar};
use divan::{Bencher, black_box};
use sealed_session::{Codec, Compression, Key, Limits, Padding};
use serde::Serialize;
use serde::de::DeserializeOwned;

use sessions::{Login, OpenIdConnect, Shop};

fn main() {
    for line in
        [sizes(&sessions::login()), sizes(&sessions::shop()), sizes(&sessions::openid_connect())]
    {
        println!("{line}");
    }
    divan::main();
}

/// A session and its name.
trait Sample: Serialize + DeserializeOwned + 'static {
    const NAME: &str;
    fn sample() -> Self;
}

impl Sample for Login {
    const NAME: &str = "login";
    fn sample() -> Self {
        sessions::login()
    }
}

impl Sample for Shop {
    const NAME: &str = "shop";
    fn sample() -> Self {
        sessions::shop()
    }
}

impl Sample for OpenIdConnect {
    const NAME: &str = "OpenID Connect";
    fn sample() -> Self {
        sessions::openid_connect()
    }
}

/// The same type with more in it.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Large(OpenIdConnect);

impl Sample for Large {
    const NAME: &str = "OpenID Connect, large";
    fn sample() -> Self {
        Self(sessions::openid_connect_large())
    }
}

fn codec<T: Sample>() -> Codec<T> {
    Codec::builder(Key::generate().expect("random bytes"))
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .build()
        .expect("settings")
}

/// Without compression and padding, to be held against [`floor`].
fn plain_codec<T: Sample>() -> Codec<T> {
    Codec::builder(Key::generate().expect("random bytes"))
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .compression(Compression::Off)
        .padding(Padding::DangerousNone)
        .build()
        .expect("settings")
}

fn header<T: Sample>(codec: &Codec<T>) -> String {
    let set = codec.renew(&T::sample(), &codec.request([""])).expect("fits");
    let pairs: Vec<_> = set.values().filter_map(|line| line.split(';').next()).collect();
    pairs.join("; ")
}

fn sizes<T: Sample + fmt::Debug>(session: &T) -> String {
    let ours = header(&codec::<T>()).len();
    let jar = private_jar::header(session, &cookie::Key::generate()).len();
    format!("{:<16} {ours:>5} bytes of cookie, PrivateJar {jar:>5}", T::NAME)
}

mod encode {
    use super::*;

    #[divan::bench(types = [Login, Shop, OpenIdConnect, Large])]
    fn ours<T: Sample>(bencher: Bencher<'_, '_>) {
        let (codec, session) = (codec::<T>(), T::sample());
        let request = codec.request([""]);
        bencher.bench_local(|| codec.renew(black_box(&session), &request).expect("fits"));
    }

    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn ours_not_compressed<T: Sample>(bencher: Bencher<'_, '_>) {
        let (codec, session) = (plain_codec::<T>(), T::sample());
        let request = codec.request([""]);
        bencher.bench_local(|| codec.renew(black_box(&session), &request).expect("fits"));
    }

    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn json_and_private_jar<T: Sample>(bencher: Bencher<'_, '_>) {
        let (key, session) = (cookie::Key::generate(), T::sample());
        bencher.bench_local(|| private_jar::encode(black_box(&session), &key));
    }

    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn floor<T: Sample>(bencher: Bencher<'_, '_>) {
        let (floor, session) = (Floor::new(), T::sample());
        bencher.bench_local(|| floor.encode(black_box(&session)));
    }

    /// An unchanged session: serialized, compared, and nothing sent.
    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn ours_unchanged<T: Sample>(bencher: Bencher<'_, '_>) {
        let (codec, session) = (codec::<T>(), T::sample());
        let header = header(&codec);
        let request = codec.request([&header]);
        bencher.bench_local(|| codec.encode(black_box(&session), &request).expect("fits"));
    }
}

mod decode {
    use super::*;

    #[divan::bench(types = [Login, Shop, OpenIdConnect, Large])]
    fn ours<T: Sample>(bencher: Bencher<'_, '_>) {
        let codec = codec::<T>();
        let header = header(&codec);
        bencher.bench_local(|| {
            codec.decode(&codec.request([black_box(&header)])).expect("opens").expect("a session")
        });
    }

    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn ours_not_compressed<T: Sample>(bencher: Bencher<'_, '_>) {
        let codec = plain_codec::<T>();
        let header = header(&codec);
        bencher.bench_local(|| {
            codec.decode(&codec.request([black_box(&header)])).expect("opens").expect("a session")
        });
    }

    /// The same behind 30 other cookies in a header of 4 KB.
    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn ours_among_30_others<T: Sample>(bencher: Bencher<'_, '_>) {
        let codec = codec::<T>();
        let own = header(&codec);
        let filler = 4096_usize.saturating_sub(own.len()) / 30;
        let others: String = (10..40)
            .map(|i| format!("_ga_{i}={}; ", "x".repeat(filler.saturating_sub(9))))
            .collect();
        let header = others + &own;
        bencher.bench_local(|| {
            codec.decode(&codec.request([black_box(&header)])).expect("opens").expect("a session")
        });
    }

    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn json_and_private_jar<T: Sample>(bencher: Bencher<'_, '_>) {
        let key = cookie::Key::generate();
        let header = private_jar::header(&T::sample(), &key);
        bencher.bench_local(|| private_jar::decode::<T>(black_box(&header), &key));
    }

    #[divan::bench(types = [Login, Shop, OpenIdConnect])]
    fn floor<T: Sample>(bencher: Bencher<'_, '_>) {
        let floor = Floor::new();
        let text = floor.encode(&T::sample());
        bencher.bench_local(|| floor.decode::<T>(black_box(&text)));
    }
}

/// `serde_json` and `cookie::PrivateJar`, as axum-extra, Rocket and actix-session use them, and with the
/// attributes that our cookie has.
mod private_jar {
    use super::*;

    pub(super) fn encode(session: &impl Serialize, key: &cookie::Key) -> String {
        let json = serde_json::to_string(session).expect("JSON");
        let mut jar = CookieJar::new();
        let cookie = Cookie::build(("__Host-session", json))
            .path("/")
            .secure(true)
            .http_only(true)
            .same_site(cookie::SameSite::Lax)
            .max_age(Duration::days(1));
        jar.private_mut(key).add(cookie);
        jar.delta().map(ToString::to_string).next().expect("a cookie")
    }

    pub(super) fn header(session: &impl Serialize, key: &cookie::Key) -> String {
        encode(session, key).split(';').next().expect("a pair").to_owned()
    }

    pub(super) fn decode<T: DeserializeOwned>(header: &str, key: &cookie::Key) -> T {
        let mut jar = CookieJar::new();
        for cookie in Cookie::split_parse(header).flatten() {
            jar.add_original(cookie.into_owned());
        }
        let cookie = jar.private(key).get("__Host-session").expect("a cookie");
        serde_json::from_str(cookie.value()).expect("a session")
    }
}

/// The primitives alone, called straight: serialize, a random nonce, seal, base64url.
struct Floor(xaes_256_gcm::Xaes256Gcm);

impl Floor {
    fn new() -> Self {
        Self(aes_gcm::KeyInit::new((&[7; 32]).into()))
    }

    fn encode(&self, session: &impl Serialize) -> String {
        use aes_gcm::aead::AeadInOut as _;
        let mut sealed = vec![0; 24];
        rand::rngs::SysRng.try_fill_bytes(&mut sealed).expect("random bytes");
        rmp_serde::encode::write_named(&mut sealed, session).expect("MessagePack");
        let (nonce, message) = sealed.split_first_chunk_mut::<24>().expect("the nonce");
        let nonce = (&*nonce).into();
        let tag = self.0.encrypt_inout_detached(nonce, &[0; 37], message.into()).expect("short");
        sealed.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(&sealed)
    }

    fn decode<T: DeserializeOwned>(&self, text: &str) -> T {
        use aes_gcm::aead::AeadInOut as _;
        let mut sealed = URL_SAFE_NO_PAD.decode(text).expect("base64url");
        let (nonce, rest) = sealed.split_first_chunk_mut::<24>().expect("the nonce");
        let (message, tag) = rest.split_last_chunk_mut::<16>().expect("the tag");
        let (nonce, tag) = ((&*nonce).into(), (&*tag).into());
        self.0.decrypt_inout_detached(nonce, &[0; 37], (&mut *message).into(), tag).expect("opens");
        rmp_serde::from_slice(message).expect("a session")
    }
}
