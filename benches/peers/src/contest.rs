//! Contests: all contestants take turns, so that whatever else the machine does hits all alike. What is measured is
//! processor time, and what is compared is the two turns of one round.

use std::hint::black_box;

use sealed_session::{Compression, Format, Padding};

use crate::clock::thread_seconds;
use crate::contestants::{self, Contestant, Session};
use crate::plot::{self, Bar};
use crate::sessions;

const ROUNDS: usize = 101;
/// The seconds of one turn.
const TURN: f64 = 0.0005;

/// Work that is measured.
pub(crate) type Work<'w> = Box<dyn FnMut() + 'w>;

/// What one kind of work took, in each round.
#[derive(Clone)]
pub(crate) struct Times {
    nanoseconds: Vec<f64>,
}

impl Times {
    /// Returns the median in nanoseconds.
    pub(crate) fn median(&self) -> f64 {
        median(self.nanoseconds.iter().copied())
    }

    /// Returns the median of the ratios of both in each round: what slows a whole round down cancels out.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        median(self.nanoseconds.iter().zip(&other.nanoseconds).map(|(own, other)| own / other))
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures the processor time of each kind of work, in turns of equal length.
pub(crate) fn rounds(work: &mut [Work<'_>]) -> Vec<Times> {
    rounds_by(thread_seconds, work)
}

/// Does what [`rounds`] does, by another clock.
pub(crate) fn rounds_by(seconds: fn() -> f64, work: &mut [Work<'_>]) -> Vec<Times> {
    let turns: Vec<u32> = work.iter_mut().map(|work| turns(seconds, work)).collect();
    let mut times = vec![Times { nanoseconds: Vec::with_capacity(ROUNDS) }; work.len()];
    for _ in 0..ROUNDS {
        for ((work, turns), times) in work.iter_mut().zip(&turns).zip(&mut times) {
            let start = seconds();
            for _ in 0..*turns {
                work();
            }
            times.nanoseconds.push((seconds() - start) * 1e9 / f64::from(*turns));
        }
    }
    times
}

/// Finds how often the work fits a turn, and warms up.
fn turns(seconds: fn() -> f64, work: &mut dyn FnMut()) -> u32 {
    let start = seconds();
    let mut turns = 0;
    while seconds() - start < TURN * 4.0 {
        work();
        turns += 1;
    }
    (turns / 4).max(1)
}

/// What one contestant took.
pub(crate) struct Score {
    pub(crate) name: String,
    pub(crate) encode: Times,
    pub(crate) decode: Times,
    /// Decode, change, and encode.
    pub(crate) cycle: Times,
    /// Bytes of the cookies in a request, and their number.
    pub(crate) bytes: usize,
    pub(crate) cookies: usize,
}

pub(crate) fn measure<T: Session>(contestants: &[Contestant<T>], session: &T) -> Vec<Score> {
    let headers: Vec<_> = contestants.iter().map(|c| c.header(session)).collect();
    let mut work: Vec<Work<'_>> = Vec::new();
    for (c, header) in contestants.iter().zip(&headers) {
        work.push(Box::new(|| drop(black_box((c.encode)(black_box(session))))));
        work.push(Box::new(move || drop(black_box((c.decode)(black_box(header))))));
        work.push(Box::new(move || drop(black_box((c.cycle)(black_box(header))))));
    }
    let times = rounds(&mut work);
    drop(work);
    let mut scores = Vec::new();
    for ((c, header), times) in contestants.iter().zip(&headers).zip(times.chunks(3)) {
        let [encode, decode, cycle] = times else { unreachable!("three for each") };
        scores.push(Score {
            name: c.name.to_string(),
            encode: encode.clone(),
            decode: decode.clone(),
            cycle: cycle.clone(),
            bytes: header.len(),
            cookies: header.matches("; ").count() + 1,
        });
    }
    scores
}

pub(crate) fn peers() {
    let charts = [
        ("login", contest("login", &sessions::login())),
        ("shop", contest("shop", &sessions::shop())),
        ("OpenID Connect", contest("OpenID Connect", &sessions::openid_connect())),
        ("large", contest("OpenID Connect, large", &sessions::openid_connect_large())),
    ];
    plot::write("peers.svg", &plot::peers(&charts));
}

fn contest<T: Session>(title: &str, session: &T) -> Vec<Bar> {
    let scores = measure(
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
    let jar = scores.iter().find(|r| r.name.contains("::PrivateJar")).expect("it takes part");
    let floor = scores.iter().find(|r| r.name.contains("floor")).expect("it takes part");
    println!("### {title}\n");
    println!("| | encode ns | × jar | × floor | decode ns | × jar | × floor | bytes | × jar |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for r in &scores {
        println!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {} | {:.2} |",
            r.name,
            r.encode.median(),
            r.encode.over(&jar.encode),
            r.encode.over(&floor.encode),
            r.decode.median(),
            r.decode.over(&jar.decode),
            r.decode.over(&floor.decode),
            r.bytes,
            r.bytes as f64 / jar.bytes as f64,
        );
    }
    println!();
    let bar = |r: &Score| Bar {
        name: r.name.clone(),
        encode: r.encode.median(),
        decode: r.decode.median(),
    };
    scores.iter().map(bar).collect()
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
    let scores = measure(&all, session);
    let (jar, ours) = scores.split_first().expect("the jar is first");
    println!("### {title}\n");
    println!("| format | compression | encode ns | × jar | decode ns | × jar | bytes | × jar |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for r in ours {
        let note = if r.cookies > 1 { format!(" ({})", r.cookies) } else { String::new() };
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {}{note} | {:.2} |",
            r.name,
            r.encode.median(),
            r.encode.over(&jar.encode),
            r.decode.median(),
            r.decode.over(&jar.decode),
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
        Box::new(move || drop(black_box((ours.decode)(black_box(&header))))) as Work<'_>
    };
    let times = rounds(&mut [decode(own), decode(crowded)]);
    let ratio = times[1].over(&times[0]);
    println!("| {name} | {:.0} | {:.0} | {ratio:.2} |", times[0].median(), times[1].median());
}
