//! Scale: over threads while the keys change, and as sessions grow.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use sealed_session::{Codec, Compression, Format, Key, Limits, Padding, RingKey};

use crate::contest::medians;
use crate::contestants;
use crate::sessions::{self, Shop};

const RUN: Duration = Duration::from_secs(2);

pub(crate) fn threads() {
    let codec = contestants::codec(Format::MessagePack, Compression::Adaptive, Padding::Padme);
    let session = sessions::shop();
    // Alternately, so that both see the same machine.
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..7 {
        for (threads, runs) in (1..).zip(&mut runs) {
            runs.push(rate(&codec, &session, threads));
        }
    }
    let [one, two] = runs.map(|runs| Rate {
        clock: median(runs.iter().map(|run| run.clock)),
        cpu: median(runs.iter().map(|run| run.cpu)),
    });
    println!(
        "Decode of the shop session; one ring, replaced 100 times a second by a further thread."
    );
    println!(
        "By the processor time that the threads got, other load on the machine does not count.\n"
    );
    println!("| threads | sessions a second, by the clock | × one | by processor time | × one |");
    println!("|--:|--:|--:|--:|--:|");
    println!("| 1 | {:.0} | 1 | {:.0} | 1 |", one.clock, one.cpu);
    let (clock, cpu) = (two.clock / one.clock, two.cpu / one.cpu);
    println!("| 2 | {:.0} | {clock:.2} | {:.0} | {cpu:.2} |", two.clock, two.cpu);
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sessions opened by all threads together in a second.
struct Rate {
    clock: f64,
    /// In a second of processor time of each.
    cpu: f64,
}

fn rate(codec: &Codec<Shop>, session: &Shop, threads: usize) -> Rate {
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
                let (mut own, clock, cpu) = (0_u32, Instant::now(), cpu_seconds());
                while !stop.load(Relaxed) {
                    let request = codec.request([black_box(header)]);
                    black_box(codec.decode(&request).expect("opens").expect("a session"));
                    own += 1;
                }
                let own = f64::from(own);
                let clock = own / clock.elapsed().as_secs_f64();
                let cpu = own / (cpu_seconds() - cpu);
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

/// Gives the seconds for which this thread has run (Linux).
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds: f64 = stat.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    nanoseconds / 1e9
}

/// The same two keys each time.
fn keys() -> [Key; 2] {
    [1, 2].map(|fill: u8| {
        let bytes: [u8; 32] = std::array::from_fn(|i| fill.wrapping_mul(37).wrapping_add(i as u8));
        Key::from_bytes(bytes).expect("not all bytes equal")
    })
}

pub(crate) fn sizes() {
    println!("A session of one string of so many bytes; no compression, no padding.\n");
    println!("| bytes | cookies | encode ns | ns/byte | decode ns | ns/byte |");
    println!("|--:|--:|--:|--:|--:|--:|");
    let limits = Limits::NGINX_PROXY_BUFFER_16K
        .cookie_bytes(4096)
        .response_bytes(16_384)
        .request_bytes(12_288);
    let codec = Codec::<String>::builder(Key::generate().expect("random bytes"))
        .compression(Compression::Off)
        .padding(Padding::DangerousNone)
        .limits(limits)
        .build()
        .expect("settings");
    let mut base = None;
    for bytes in [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 9000, 16_384] {
        // A space in it, so that it is no token.
        let session = format!("{} ", "x".repeat(bytes - 1));
        let request = codec.request::<_, str>([]);
        let set = match codec.renew(&session, &request) {
            Ok(set) => set,
            Err(error) => {
                println!("| {bytes} | {error} |");
                continue;
            }
        };
        let pairs: Vec<_> = set.values().filter_map(|line| line.split(';').next()).collect();
        let header = pairs.join("; ");
        let times = medians(&mut [
            Box::new(|| drop(black_box(codec.renew(black_box(&session), &request)))),
            Box::new(|| {
                let request = codec.request([black_box(&header)]);
                drop(black_box(codec.decode(&request)));
            }),
        ]);
        let (encode, decode) = (times[0], times[1]);
        let (e0, d0) = *base.get_or_insert((encode, decode));
        let more = (bytes - 16).max(1) as f64;
        println!(
            "| {bytes} | {} | {encode:.0} | {:.2} | {decode:.0} | {:.2} |",
            pairs.len(),
            (encode - e0) / more,
            (decode - d0) / more
        );
    }
    println!("\nns/byte is what each byte over 16 costs.");
}
