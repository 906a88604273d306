//! Each way to keep a session in a cookie, as its own documentation uses it: from the session to a
//! `Set-Cookie` value, and from a `Cookie` header to the session.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, CookieJar};
use sealed_session::{Codec, Compression, Format, Key, Limits, Padding};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sessions::Change;

pub(crate) const NAME: &str = "__Host-session";

/// A session that can be measured.
pub(crate) trait Session: Serialize + DeserializeOwned + Change + 'static {}
impl<T: Serialize + DeserializeOwned + Change + 'static> Session for T {}

/// One way to keep sessions of type `T` in cookies.
pub(crate) struct Contestant<T> {
    pub(crate) name: Cow<'static, str>,
    /// Gives the `Set-Cookie` values, one a line.
    pub(crate) encode: Box<dyn Fn(&T) -> String>,
    /// Reads the `Cookie` header.
    pub(crate) decode: Box<dyn Fn(&str) -> T>,
    /// Reads the `Cookie` header, changes the session, and gives the `Set-Cookie` values. That it was changed is known, as
    /// it is to our middlewares.
    pub(crate) cycle: Box<dyn Fn(&str) -> String>,
}

impl<T: Session> Contestant<T> {
    /// One that knows no difference between a session that goes on and one that begins.
    fn new(
        name: impl Into<Cow<'static, str>>,
        encode: impl Fn(&T) -> String + 'static,
        decode: impl Fn(&str) -> T + 'static,
    ) -> Self {
        let (encode, decode) = (Rc::new(encode), Rc::new(decode));
        let (writer, reader) = (Rc::clone(&encode), Rc::clone(&decode));
        Self {
            name: name.into(),
            encode: Box::new(move |session| encode(session)),
            decode: Box::new(move |header| decode(header)),
            cycle: Box::new(move |header| {
                let mut session = reader(header);
                session.change();
                writer(&session)
            }),
        }
    }

    /// Gives the `Cookie` header that a browser would send.
    pub(crate) fn header(&self, session: &T) -> String {
        let lines = (self.encode)(session);
        let pairs: Vec<_> = lines.lines().filter_map(|line| line.split(';').next()).collect();
        pairs.join("; ")
    }
}

pub(crate) fn codec<T: Session>(
    format: Format,
    compression: Compression,
    padding: Padding,
) -> Codec<T> {
    Codec::builder(Key::generate().expect("random bytes"))
        .name(NAME)
        .format(format)
        .schema(0)
        .compression(compression)
        .padding(padding)
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .build()
        .expect("settings that fit each other")
}

pub(crate) fn ours_as<T: Session>(name: &str, codec: Codec<T>) -> Contestant<T> {
    let [writer, reader] = [(); 2].map(|()| codec.clone());
    Contestant {
        name: name.to_owned().into(),
        encode: Box::new(move |session| {
            let request = writer.request::<_, str>([]);
            writer.renew(session, &request).expect("fits").into_lines()
        }),
        decode: Box::new(move |header| {
            let request = reader.request([header]);
            reader.decode(&request).expect("opens").expect("a session").session
        }),
        cycle: Box::new(move |header| {
            let request = codec.request([header]);
            let mut session = codec.decode(&request).expect("opens").expect("a session").session;
            session.change();
            let lines = codec.encode_changed(&session, &request).expect("fits").into_lines();
            assert!(!lines.is_empty(), "a changed session is sealed");
            lines
        }),
    }
}

/// Takes the one cookie of most sessions as it is, as a framework would.
trait IntoLines {
    fn into_lines(self) -> String;
}

impl IntoLines for sealed_session::SetCookies {
    fn into_lines(self) -> String {
        let mut values = self.values();
        let mut lines = values.next().unwrap_or_default().to_owned();
        for value in values {
            lines.push('\n');
            lines.push_str(value);
        }
        lines
    }
}

/// With every default but the limits, so that the large session passes.
pub(crate) fn ours<T: Session>() -> Contestant<T> {
    ours_as("sealed-session", codec(Format::MessagePack, Compression::Adaptive, Padding::Padme))
}

/// As [`ours`], but what is sealed is not read back before.
pub(crate) fn ours_not_read_back<T: Session>() -> Contestant<T> {
    let codec = Codec::<T>::builder(Key::generate().expect("random bytes"))
        .name(NAME)
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .dangerous_without_read_back()
        .build()
        .expect("settings that fit each other");
    ours_as("sealed-session, not read back", codec)
}

/// Without compression and padding, to be held against [`floor`].
pub(crate) fn ours_plain<T: Session>() -> Contestant<T> {
    ours_as(
        "sealed-session, nothing compressed",
        codec(Format::MessagePack, Compression::Off, Padding::DangerousNone),
    )
}

/// The primitives alone, called straight: MessagePack, a random nonce, XAES-256-GCM, base64url.
pub(crate) fn floor<T: Session>() -> Contestant<T> {
    use aes_gcm::aead::AeadInOut as _;
    let cipher = || -> xaes_256_gcm::Xaes256Gcm { aes_gcm::KeyInit::new((&[7; 32]).into()) };
    let (sealer, opener) = (cipher(), cipher());
    Contestant::new(
        "the floor",
        move |session| {
            let mut sealed = vec![0; 24];
            getrandom::fill(&mut sealed).expect("random bytes");
            rmp_serde::encode::write_named(&mut sealed, session).expect("MessagePack");
            let (nonce, message) = sealed.split_first_chunk_mut::<24>().expect("the nonce");
            let nonce = (&*nonce).into();
            let tag =
                sealer.encrypt_inout_detached(nonce, &[0; 37], message.into()).expect("short");
            sealed.extend_from_slice(&tag);
            let mut line = format!("{NAME}=");
            URL_SAFE_NO_PAD.encode_string(&sealed, &mut line);
            line
        },
        move |header| {
            let text = header.split_once('=').expect("a pair").1;
            let mut sealed = URL_SAFE_NO_PAD.decode(text).expect("base64url");
            let (nonce, rest) = sealed.split_first_chunk_mut::<24>().expect("the nonce");
            let (message, tag) = rest.split_last_chunk_mut::<16>().expect("the tag");
            let (nonce, tag) = ((&*nonce).into(), (&*tag).into());
            opener
                .decrypt_inout_detached(nonce, &[0; 37], (&mut *message).into(), tag)
                .expect("opens");
            rmp_serde::from_slice(message).expect("a session")
        },
    )
}

/// As axum-extra, Rocket and actix-session use it.
pub(crate) fn private_jar<T: Session>() -> Contestant<T> {
    let key = cookie::Key::generate();
    let opener = key.clone();
    Contestant::new(
        "serde_json + cookie::PrivateJar",
        move |session| {
            let json = serde_json::to_string(session).expect("JSON");
            let mut jar = CookieJar::new();
            jar.private_mut(&key).add(attributes(NAME, json));
            jar.delta().map(ToString::to_string).next().expect("a cookie")
        },
        move |header| {
            let mut jar = CookieJar::new();
            for cookie in Cookie::split_parse(header).flatten() {
                jar.add_original(cookie.into_owned());
            }
            let cookie = jar.private(&opener).get(NAME).expect("a cookie");
            serde_json::from_str(cookie.value()).expect("a session")
        },
    )
}

/// The same by the extractor of axum, which opens each cookie of the request, seals it again, and opens it once
/// more where it is asked for.
pub(crate) fn axum_jar<T: Session>() -> Contestant<T> {
    use axum_extra::extract::cookie::{Key, PrivateCookieJar};
    use http::header::{COOKIE, HeaderMap, HeaderValue};
    let key = Key::generate();
    let opener = key.clone();
    // A server has the headers already.
    let request = RefCell::new((String::new(), HeaderMap::new()));
    Contestant::new(
        "serde_json + axum-extra's PrivateCookieJar",
        move |session| {
            let json = serde_json::to_string(session).expect("JSON");
            let jar: PrivateCookieJar =
                PrivateCookieJar::new(key.clone()).add(attributes(NAME, json));
            jar_lines(jar)
        },
        move |header| {
            let mut request = request.borrow_mut();
            if request.0 != header {
                let value = HeaderValue::from_str(header).expect("a header");
                *request = (header.to_owned(), HeaderMap::from_iter([(COOKIE, value)]));
            }
            let jar = PrivateCookieJar::from_headers(&request.1, opener.clone());
            let cookie = jar.get(NAME).expect("a cookie");
            serde_json::from_str(cookie.value()).expect("a session")
        },
    )
}

/// Takes the `Set-Cookie` out of the response that axum would send.
fn jar_lines(jar: axum_extra::extract::cookie::PrivateCookieJar) -> String {
    use axum_core::response::IntoResponse as _;
    let response = jar.into_response();
    let line = response.headers().get(http::header::SET_COOKIE).expect("a cookie");
    line.to_str().expect("ASCII").to_owned()
}

fn attributes(name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(cookie::SameSite::Lax)
        .max_age(cookie::time::Duration::days(1))
        .build()
}

pub(crate) fn biscotti<T: Session>() -> Contestant<T> {
    use biscotti::config::{CryptoAlgorithm, CryptoRule};
    use biscotti::{
        Key, Processor, ProcessorConfig, RequestCookies, ResponseCookie, ResponseCookies,
    };
    let mut config = ProcessorConfig::default();
    config.crypto_rules.push(CryptoRule {
        cookie_names: vec![NAME.to_owned()],
        algorithm: CryptoAlgorithm::Encryption,
        key: Key::generate(),
        fallbacks: Vec::new(),
    });
    let writer = Processor::from(config.clone());
    let reader = Processor::from(config);
    Contestant::new(
        "serde_json + biscotti",
        move |session| {
            let json = serde_json::to_string(session).expect("JSON");
            let mut cookies = ResponseCookies::new();
            cookies.insert(
                ResponseCookie::new(NAME, json)
                    .set_path("/")
                    .set_secure(true)
                    .set_http_only(true)
                    .set_same_site(biscotti::SameSite::Lax)
                    .set_max_age(biscotti::time::SignedDuration::from_hours(24)),
            );
            cookies.header_values(&writer).next().expect("a cookie")
        },
        move |header| {
            let cookies = RequestCookies::parse_header(header, &reader).expect("opens");
            let cookie = cookies.get(NAME).expect("a cookie");
            serde_json::from_str(cookie.value()).expect("a session")
        },
    )
}

/// The token formats make no cookies; `cookie` prints and parses them.
fn token<T: Session>(
    name: &'static str,
    seal: impl Fn(&[u8]) -> String + 'static,
    open: impl Fn(&str) -> Vec<u8> + 'static,
) -> Contestant<T> {
    Contestant::new(
        name,
        move |session| {
            let json = serde_json::to_vec(session).expect("JSON");
            attributes(NAME, seal(&json)).to_string()
        },
        move |header| {
            let cookie = Cookie::parse(header).expect("a pair");
            serde_json::from_slice(&open(cookie.value())).expect("a session")
        },
    )
}

pub(crate) fn paseto<T: Session>() -> Contestant<T> {
    use pasetors::keys::{Generate as _, SymmetricKey};
    use pasetors::token::UntrustedToken;
    use pasetors::version4::{LocalToken, V4};
    let key = SymmetricKey::<V4>::generate().expect("random bytes");
    let opener = key.clone();
    token(
        "serde_json + pasetors v4.local",
        move |json| LocalToken::encrypt(&key, json, None, Some(NAME.as_bytes())).expect("seals"),
        move |text| {
            let untrusted = UntrustedToken::try_from(text).expect("a token");
            let trusted = LocalToken::decrypt(&opener, &untrusted, None, Some(NAME.as_bytes()));
            trusted.expect("opens").payload().as_bytes().to_vec()
        },
    )
}

pub(crate) fn fernet<T: Session>() -> Contestant<T> {
    let key = fernet::Fernet::new(&fernet::Fernet::generate_key()).expect("a key");
    let opener = key.clone();
    token(
        "serde_json + fernet",
        move |json| key.encrypt(json),
        move |text| opener.decrypt_with_ttl(text, 86_400).expect("opens"),
    )
}

pub(crate) fn jwe<T: Session>() -> Contestant<T> {
    use josekit::jwe::{self, Dir, JweHeader};
    let key: [u8; 32] = std::array::from_fn(|i| i as u8);
    let encrypter = Dir.encrypter_from_bytes(key).expect("a key");
    let decrypter = Dir.decrypter_from_bytes(key).expect("a key");
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    token(
        "serde_json + josekit JWE (dir, A256GCM)",
        move |json| jwe::serialize_compact(json, &header, &encrypter).expect("seals"),
        move |text| jwe::deserialize_compact(text, &decrypter).expect("opens").0,
    )
}
