//! sealed-session beside its peers, in one run: see `../README.md`.

mod clock;
mod contest;
mod contestants;
mod grown;
mod growth;
mod plot;
mod redis;
mod refused;
mod revocation;
mod scale;
mod servers;
#[path = "../../sessions/mod.rs"]
mod sessions;
mod shapes;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo run --release -- [SECTION]...

  shapes   sessions of ten shapes, opened, changed and renewed: ours, the jar and the floor
  peers    ours, each peer and the floor: time, ratios, bytes
  formats  ours in each format, with each compression
  header   ours alone, and among 30 others in 4 KB
  refused  how soon what is too large is refused
  growth   time and memory from nothing to 8 KB
  threads  one and two threads with one ring that is replaced 100 times a second
  redis    one decode beside one look-up in a Redis on loopback
  revocation  what revocation adds to a request, how fast it spreads, what it takes
  servers  requests to servers of axum and actix-web, with sessions kept in nine ways

Without a section, all of them. `peers`, `growth` and `servers` each draw a plot into the folder above.";

fn main() -> ExitCode {
    let sections: [(&str, fn()); 10] = [
        ("shapes", shapes::table),
        ("peers", contest::peers),
        ("formats", contest::formats),
        ("header", contest::header),
        ("refused", refused::table),
        ("growth", growth::table),
        ("threads", scale::threads),
        ("redis", redis::compare),
        ("revocation", revocation::table),
        ("servers", servers::compare),
    ];
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    // How `servers` starts one.
    if let [first, rest @ ..] = &wanted[..]
        && first == "serve"
    {
        servers::serve(rest);
        return ExitCode::SUCCESS;
    }
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
