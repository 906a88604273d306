//! Contests: all contestants take turns, so that whatever else the machine does hits all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sealed_session::{Compression, Format, Padding};

use crate::contestants::{self, Contestant, Session};
use crate::plot::{self, Bar};
use crate::sessions;

const ROUNDS: usize = 101;
const TURN: Duration = Duration::from_micros(500);

/// What one contestant took.
pub(crate) struct Result {
    pub(crate) name: String,
    /// Nanoseconds: the median of the rounds.
    pub(crate) encode: f64,
    pub(crate) decode: f64,
    /// Bytes of the cookies in a request, and their number.
    pub(crate) bytes: usize,
    pub(crate) cookies: usize,
}

pub(crate) fn measure<T: Session>(contestants: &[Contestant<T>], session: &T) -> Vec<Result> {
    let headers: Vec<_> = contestants.iter().map(|c| c.header(session)).collect();
    let mut encodes: Vec<_> = contestants
        .iter()
        .map(|c| Box::new(|| drop(black_box((c.encode)(black_box(session))))) as Box<dyn FnMut()>)
        .collect();
    let encode = medians(&mut encodes);
    let mut decodes: Vec<_> = contestants
        .iter()
        .zip(&headers)
        .map(|(c, h)| Box::new(|| drop(black_box((c.decode)(black_box(h))))) as Box<dyn FnMut()>)
        .collect();
    let decode = medians(&mut decodes);
    let times = encode.into_iter().zip(decode);
    let named = contestants.iter().zip(&headers);
    named
        .zip(times)
        .map(|((contestant, header), (encode, decode))| Result {
            name: contestant.name.to_string(),
            encode,
            decode,
            bytes: header.len(),
            cookies: header.matches("; ").count() + 1,
        })
        .collect()
}

/// Gives the nanoseconds that each takes, from turns of equal length.
pub(crate) fn medians(work: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    let turns: Vec<u32> = work.iter_mut().map(|work| turns(work)).collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); work.len()];
    for _ in 0..ROUNDS {
        for ((work, turns), times) in work.iter_mut().zip(&turns).zip(&mut times) {
            let start = Instant::now();
            for _ in 0..*turns {
                work();
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(*turns));
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

/// Finds how often the work fits a turn, and warms up.
fn turns(work: &mut dyn FnMut()) -> u32 {
    let start = Instant::now();
    let mut turns = 0;
    while start.elapsed() < TURN * 4 {
        work();
        turns += 1;
    }
    (turns / 4).max(1)
}

pub(crate) fn peers() {
    let mut charts = Vec::new();
    charts.push(("login", contest("login", &sessions::login())));
    charts.push(("shop", contest("shop", &sessions::shop())));
    charts.push(("OpenID Connect", contest("OpenID Connect", &sessions::openid_connect())));
    charts.push(("large", contest("OpenID Connect, large", &sessions::openid_connect_large())));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers.svg");
    std::fs::write(file, plot::peers(&charts)).expect("the plot can be written");
}

fn contest<T: Session>(title: &str, session: &T) -> Vec<Bar> {
    let results = measure(
        &[
            contestants::ours(),
            contestants::ours_plain(),
            contestants::floor(),
            contestants::private_jar(),
            contestants::axum_jar(),
            contestants::biscotti(),
            contestants::paseto(),
            contestants::fernet(),
            contestants::jwe(),
        ],
        session,
    );
    let jar = results.iter().find(|r| r.name.contains("::PrivateJar")).expect("it takes part");
    let floor = results.iter().find(|r| r.name.contains("floor")).expect("it takes part");
    println!("### {title}\n");
    println!("| | encode ns | × jar | × floor | decode ns | × jar | × floor | bytes | × jar |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for r in &results {
        println!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {} | {:.2} |",
            r.name,
            r.encode,
            r.encode / jar.encode,
            r.encode / floor.encode,
            r.decode,
            r.decode / jar.decode,
            r.decode / floor.decode,
            r.bytes,
            r.bytes as f64 / jar.bytes as f64,
        );
    }
    println!();
    let bar = |r: &Result| Bar { name: r.name.clone(), encode: r.encode, decode: r.decode };
    results.iter().map(bar).collect()
}

pub(crate) fn formats() {
    format_table("login", &sessions::login());
    format_table("shop", &sessions::shop());
    format_table("OpenID Connect", &sessions::openid_connect());
    format_table("OpenID Connect, large", &sessions::openid_connect_large());
}

fn format_table<T: Session>(title: &str, session: &T) {
    let formats = [Format::MessagePack, Format::Json, Format::Postcard, Format::Bincode];
    let compressions = [Compression::Adaptive, Compression::Smallest, Compression::Off];
    let mut all = vec![contestants::private_jar()];
    for format in formats {
        for compression in compressions {
            let codec = contestants::codec(format, compression, Padding::Padme);
            all.push(contestants::ours_as(&format!("{format} | {compression:?}"), codec));
        }
    }
    let results = measure(&all, session);
    let (jar, ours) = results.split_first().expect("the jar is first");
    println!("### {title}\n");
    println!("| format | compression | encode ns | × jar | decode ns | × jar | bytes | × jar |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for r in ours {
        let note = if r.cookies > 1 { format!(" ({})", r.cookies) } else { String::new() };
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {}{note} | {:.2} |",
            r.name,
            r.encode,
            r.encode / jar.encode,
            r.decode,
            r.decode / jar.decode,
            r.bytes,
            r.bytes as f64 / jar.bytes as f64,
        );
    }
    println!();
}

pub(crate) fn header() {
    println!("| session | alone ns | among 30 others, 4 KB in all ns | ratio |");
    println!("|---|--:|--:|--:|");
    among("login", &sessions::login());
    among("shop", &sessions::shop());
    among("OpenID Connect", &sessions::openid_connect());
}

fn among<T: Session>(name: &str, session: &T) {
    let ours = contestants::ours::<T>();
    let own = ours.header(session);
    // 30 names and values of equal length before ours, and 4096 bytes in all.
    let room = 4096_usize.saturating_sub(own.len()) / 30;
    let filler = "x".repeat(room.saturating_sub("_ga_10=; ".len()));
    let others: String = (10..40).map(|i| format!("_ga_{i}={filler}; ")).collect();
    let crowded = others + &own;
    let decode = |header: String| {
        let ours = &ours;
        Box::new(move || drop(black_box((ours.decode)(black_box(&header))))) as Box<dyn FnMut()>
    };
    let times = medians(&mut [decode(own), decode(crowded)]);
    println!("| {name} | {:.0} | {:.0} | {:.2} |", times[0], times[1], times[1] / times[0]);
}
