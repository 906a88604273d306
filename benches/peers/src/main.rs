//! sealed-session beside its peers, in one run: see `../README.md`.

mod contest;
mod contestants;
mod plot;
mod redis;
mod scale;
#[path = "../../sessions/mod.rs"]
mod sessions;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo run --release -- [SECTION]...

  peers    ours, each peer and the floor: time, ratios, bytes
  formats  ours in each format, with each compression
  header   ours alone, and among 30 others in 4 KB
  threads  one and two threads with one ring that is replaced 100 times a second
  sizes    from 16 bytes to all that fits
  redis    one decode beside one look-up in a Redis on loopback

Without a section, all of them. `peers` draws ../peers.svg.";

fn main() -> ExitCode {
    let sections: [(&str, fn()); 6] = [
        ("peers", contest::peers),
        ("formats", contest::formats),
        ("header", contest::header),
        ("threads", scale::threads),
        ("sizes", scale::sizes),
        ("redis", redis::compare),
    ];
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    if wanted.iter().any(|name| sections.iter().all(|(known, _)| known != name)) {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    }
    for (name, run) in sections {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("## {name}\n");
            run();
            println!();
        }
    }
    ExitCode::SUCCESS
}
