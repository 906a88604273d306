//! The application under test: a session, what handlers do with it, and the cookies of its visitors.

use std::cell::Cell;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, EncodeError, Key, KeyRing, Lifetime, Opened, RingKey};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shop {
    pub(crate) user: u32,
    pub(crate) cart: Vec<String>,
}

/// Another session of the same application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Theme(pub(crate) String);

pub(crate) fn codec() -> Codec<Shop> {
    let after = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let keys = [RingKey::new(key(1)).activates(after), RingKey::new(key(2))];
    let ring = KeyRing::new(keys).unwrap();
    Codec::builder(ring).session_ids().build().unwrap()
}

pub(crate) fn theme_codec() -> Codec<Theme> {
    Codec::builder(key(1)).name("__Host-theme").build().unwrap()
}

/// What a program should not have: see the tests of what clashes.
pub(crate) const SAME_SESSION: &str = "two codecs provide a session of type web::shop::Shop here; give one of \
    them a type of its own (a newtype), or clone one codec for both";
pub(crate) const SAME_COOKIE: &str = "the sessions of types web::shop::Theme and web::shop::Shop are in cookies \
    of one name; give one of their codecs another, by Builder::name";

pub(crate) fn key(n: u8) -> Key {
    let mut secret = [n; Key::LEN];
    secret[0] = !n;
    Key::from_bytes(secret).unwrap()
}

/// Whom the application does not let in, whatever their cookies say.
pub(crate) const LOCKED_OUT: u32 = 13;

pub(crate) fn accept(opened: &Opened<Shop>) -> bool {
    opened.session.user != LOCKED_OUT
}

/// A visitor's cookie as `codec` set it this long ago.
pub(crate) fn sealed(codec: &Codec<Shop>, age: Duration) -> String {
    sealed_for(7, codec, age)
}

pub(crate) fn sealed_for(user: u32, codec: &Codec<Shop>, age: Duration) -> String {
    let request = codec.request::<_, str>([]);
    let shop = Shop { user, cart: vec![] };
    let set = codec.renew_at(&shop, &request, SystemTime::now() - age).unwrap();
    pair(set.values().next().unwrap()).to_owned()
}

pub(crate) fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap()
}

/// What the handler at `/{deed}` does.
pub(crate) fn act(deed: &str, session: &Session<Shop>) -> Result<String, ChangeError> {
    match deed {
        "ignore" => {}
        "aside" => drop(session.get()),
        "read" => return Ok(session.get().map_or("nobody".into(), |shop| shop.user.to_string())),
        "reason" => return Ok(session.opened().map_or_else(|e| e.to_string(), |_| "none".into())),
        "id" => return Ok(id(session)),
        "peek" => return Ok(session.peek().map_or("nobody".into(), |shop| shop.user.to_string())),
        "buy" | "fail" | "down" | "late" | "slow" | "headers" | "panic" | "side" => {
            session.change(|shop| shop.cart.push("pen".into()))?
        }
        "update" => return session.update(|shop| shop.as_mut().map_or("none", |_| "same").into()),
        "begin" => session.update(|shop| shop.get_or_insert_default().user = 5)?,
        "take" => return session.update(|shop| shop.take().map_or("none", |_| "taken").into()),
        "twice" => {
            session.update(|shop| shop.get_or_insert_default().user = 5)?;
            session.update(|shop| shop.as_mut().unwrap().cart.push("ink".into()))?;
        }
        "held" => {
            session.update(|shop| shop.get_or_insert_default().user = 5)?;
            let _held = session.get();
            session.update(|shop| *shop = None)?;
        }
        "full" => {
            let cart = heavy();
            return Ok(match session.fits(&Shop { user: 7, cart }) {
                Err(EncodeError::TooLarge(_)) => "full".into(),
                other => format!("{other:?}"),
            });
        }
        "keep" => session.renew_with(|old| {
            let mut cart = old.map(|old| old.cart.clone()).unwrap_or_default();
            cart.push(format!("of {}", old.map_or(0, |old| old.user)));
            Shop { user: 8, cart }
        })?,
        "brief" => {
            session.renew(Shop { user: 8, cart: vec![] })?;
            let lifetime = Lifetime::new().idle_timeout(Duration::from_secs(60)).browser_session();
            session.set_lifetime(lifetime)?;
        }
        "lifetime" => session.set_lifetime(Lifetime::new().browser_session())?,
        "device" => {
            session.renew(Shop { user: 8, cart: vec![] })?;
            return Ok(format!("{:?}", session.id()));
        }
        "same" => session.change(|_| ())?,
        "huge" => session.change(|shop| shop.cart = heavy())?,
        "meanwhile" => under_way(session, |session, wait| session.change(|_| wait())),
        "unfinished" => {
            session.update(|shop| shop.get_or_insert_default().user = 5)?;
            under_way(session, |session, wait| session.update(|_| wait()));
        }
        "login" => session.renew(Shop { user: 8, cart: vec![] })?,
        "logout" | "quit" => session.clear()?,
        "switch" => {
            session.clear()?;
            session.change(|shop| shop.user = 9)?;
        }
        other => panic!("no such deed: {other}"),
    }
    match deed {
        "panic" => panic!("as asked"),
        // A task that has the session too, and does not fare well.
        "side" | "aside" => {
            let session = session.clone();
            let aside = thread::spawn(move || {
                let _session = session;
                panic!("as asked");
            });
            assert!(aside.join().is_err());
        }
        _ => {}
    }
    Ok(deed.into())
}

/// Changes the session in another thread, which has begun when this returns, and goes on when it is [told to](go_on).
fn under_way(session: &Session<Shop>, change: fn(&Session<Shop>, &dyn Fn()) -> Outcome) {
    let session = session.clone();
    let (begun, begins) = mpsc::channel();
    let (ends, is_to_end) = mpsc::channel::<()>();
    let writer = thread::spawn(move || {
        let wait = || {
            begun.send(()).unwrap();
            // Until the other end is dropped.
            let _ = is_to_end.recv();
        };
        change(&session, &wait)
    });
    begins.recv().unwrap();
    UNDER_WAY.set(Some((ends, writer)));
}

/// Lets a change that is under way come to its end, and returns its outcome.
pub(crate) fn go_on() -> Option<Outcome> {
    let (ends, writer) = UNDER_WAY.take()?;
    drop(ends);
    Some(writer.join().unwrap())
}

type Outcome = Result<(), ChangeError>;
type UnderWay = (mpsc::Sender<()>, thread::JoinHandle<Outcome>);

thread_local! {
    static UNDER_WAY: Cell<Option<UnderWay>> = const { Cell::new(None) };
}

fn id(session: &Session<Shop>) -> String {
    let opened = session.opened().unwrap();
    assert_eq!(opened.as_ref().and_then(|opened| opened.id), session.id());
    opened.map_or("none".into(), |opened| format!("{:?}", opened.id))
}

/// More than a cookie holds.
fn heavy() -> Vec<String> {
    (0..2000).map(|n: u32| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect()
}

/// The status of what the handler answers.
pub(crate) fn status(deed: &str) -> u16 {
    match deed {
        "fail" => 404,
        "late" => 408,
        "down" | "quit" => 503,
        "slow" => 504,
        _ => 200,
    }
}

/// What the application puts into its response beside the session.
pub(crate) fn own_headers(deed: &str) -> &'static [(&'static str, &'static str)] {
    match deed {
        "headers" => &[
            ("set-cookie", "lang=en"),
            ("vary", "accept-encoding"),
            ("cache-control", "public, max-age=60, no-transform"),
            ("cdn-cache-control", "max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("edge-control", "max-age=600"),
            ("x-accel-expires", "600"),
        ],
        _ => &[],
    }
}

/// A response, whichever framework made it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The `Set-Cookie` lines of this cookie.
    pub(crate) fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all("set-cookie").filter(move |line| line.split('=').next() == Some(name))
    }
}
