//! Scale: over threads, while the keys change.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use sealed_session::{Codec, Compression, Format, Key, Padding, RingKey};

use crate::clock::thread_seconds;
use crate::contest::median;
use crate::contestants;
use crate::sessions::{self, Change as _, Shop};

const RUN: Duration = Duration::from_millis(700);

pub(crate) fn threads() {
    println!("The shop session; one ring, replaced 100 times a second by a further thread.");
    println!(
        "By the processor time that the threads got, other load on the machine does not count.\n"
    );
    println!("| | threads | sessions a second, by the clock | × one | by processor time | × one |");
    println!("|---|--:|--:|--:|--:|--:|");
    row("decode", |codec, header| {
        let request = codec.request([black_box(header)]);
        black_box(codec.decode(&request).expect("opens").expect("a session"));
    });
    row("decode, change, encode", |codec, header| {
        let request = codec.request([black_box(header)]);
        let mut session = codec.decode(&request).expect("opens").expect("a session").session;
        session.change();
        drop(black_box(codec.encode(&session, &request).expect("fits")));
    });
}

fn row(name: &str, work: impl Fn(&Codec<Shop>, &str) + Sync) {
    let codec = contestants::codec(Format::MessagePack, Compression::Adaptive, Padding::Padme);
    let session = sessions::shop();
    // Alternately, so that both see the same machine.
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..7 {
        for (threads, runs) in (1..).zip(&mut runs) {
            runs.push(rate(&codec, &session, threads, &work));
        }
    }
    let [one, two] = runs.map(|runs| Rate {
        clock: median(runs.iter().map(|run| run.clock)),
        cpu: median(runs.iter().map(|run| run.cpu)),
    });
    println!("| {name} | 1 | {:.0} | 1 | {:.0} | 1 |", one.clock, one.cpu);
    let (clock, cpu) = (two.clock / one.clock, two.cpu / one.cpu);
    println!("| {name} | 2 | {:.0} | {clock:.2} | {:.0} | {cpu:.2} |", two.clock, two.cpu);
}

/// Sessions that all threads together see in a second.
struct Rate {
    clock: f64,
    /// In a second of processor time of each.
    cpu: f64,
}

fn rate(
    codec: &Codec<Shop>,
    session: &Shop,
    threads: usize,
    work: &(impl Fn(&Codec<Shop>, &str) + Sync),
) -> Rate {
    let [kept, _] = keys();
    codec.ring().replace([RingKey::new(kept)]).expect("a ring");
    let set = codec.renew(session, &codec.request::<_, str>([])).expect("fits");
    let header = set.values().next().and_then(|line| line.split(';').next()).expect("a cookie");
    let (stop, rates) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let start = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                let (mut own, clock, cpu) = (0_u32, Instant::now(), thread_seconds());
                while !stop.load(Relaxed) {
                    work(codec, header);
                    own += 1;
                }
                let own = f64::from(own);
                let clock = own / clock.elapsed().as_secs_f64();
                let cpu = own / (thread_seconds() - cpu);
                rates.lock().expect("no panic").push(Rate { clock, cpu });
            });
        }
        start.wait();
        let began = Instant::now();
        let mut replaced = 0;
        while began.elapsed() < RUN {
            let [kept, other] = keys();
            codec.ring().replace([RingKey::new(kept), RingKey::open_only(other)]).expect("a ring");
            replaced += 1;
            let next = Duration::from_millis(10) * replaced;
            std::thread::sleep(next.saturating_sub(began.elapsed()));
        }
        stop.store(true, Relaxed);
    });
    let rates = rates.into_inner().expect("no panic");
    Rate { clock: rates.iter().map(|r| r.clock).sum(), cpu: rates.iter().map(|r| r.cpu).sum() }
}

/// The same two keys each time.
fn keys() -> [Key; 2] {
    [1, 2].map(|fill: u8| {
        let bytes: [u8; 32] = std::array::from_fn(|i| fill.wrapping_mul(37).wrapping_add(i as u8));
        Key::from_bytes(bytes).expect("not all bytes equal")
    })
}
