//! One operation on one session, so many times, for callgrind to count: see `instructions.sh`. And the bytes
//! of the session, for `thresholds.py`.
//!
//! After a plus sign, the operation has a setting that this session does not need: `decode+store`, `encode+reader`.
//! Large sessions need several cookies: `change+cookies`.

#[path = "sessions/mod.rs"]
mod sessions;

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use sealed_session::legacy::Reader;
use sealed_session::{Codec, Key, Limits, Padding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sessions::{Change, shapes};

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let [operation, session, times] = args[..] else {
        println!("instructions: run benches/instructions.sh");
        return;
    };
    let times = times.parse().expect("a number");
    match session {
        "login" => run(operation, &sessions::login(), times),
        "shop" => run(operation, &sessions::shop(), times),
        "openid_connect" => run(operation, &sessions::openid_connect(), times),
        "large" => run(operation, &sessions::openid_connect_large(), times),
        "flags" => run(operation, &shapes::flags_400(), times),
        "nested" => run(operation, &shapes::nested(), times),
        _ => unreachable!("no session has this name: {session}"),
    }
}

fn run<T>(operation: &str, session: &T, times: u32)
where
    T: Serialize + DeserializeOwned + Change + 'static,
{
    let key = Key::generate().expect("random bytes");
    if operation == "bytes" {
        let builder = Codec::<T>::builder(key).padding(Padding::DangerousNone);
        let codec = builder.build().expect("settings that fit each other");
        let set = codec.renew(session, &codec.request::<_, str>([])).expect("fits");
        println!("{}", set.values().map(str::len).sum::<usize>());
        return;
    }
    let (operation, setting) = operation.split_once('+').unwrap_or((operation, ""));
    let builder = Codec::<T>::builder(key);
    let builder = match setting {
        "" => builder,
        "cookies" => builder.limits(Limits::NGINX_PROXY_BUFFER_16K),
        "reader" => {
            let end = SystemTime::now() + Duration::from_secs(86_400);
            builder.also_reads(Reader::new("id", |_| None), end)
        }
        #[cfg(feature = "store")]
        "store" => builder.overflow(sealed_session::store::MemoryStore::new()),
        _ => unreachable!("no setting has this name: {setting}"),
    };
    let codec = builder.build().expect("settings that fit each other");
    let request = codec.request::<_, str>([]);
    let set = codec.renew(session, &request).expect("fits");
    let pairs: Vec<_> = set.values().filter_map(|line| line.split(';').next()).collect();
    let header = &pairs.join("; ");
    for _ in 0..times {
        match operation {
            "encode" => drop(black_box(codec.renew(black_box(session), &request).expect("fits"))),
            "decode" => {
                let request = codec.request([black_box(header)]);
                drop(black_box(codec.decode(&request).expect("opens").expect("a session")));
            }
            "change" => {
                let request = codec.request([black_box(header)]);
                let mut session = codec.decode(&request).expect("opens").expect("one").session;
                session.change();
                drop(black_box(codec.encode_changed(&session, &request).expect("fits")));
            }
            _ => unreachable!("no operation has this name: {operation}"),
        }
    }
}
