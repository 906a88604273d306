//! Growth: time and memory over the size of the session, ours beside the jar.

use std::collections::BTreeMap;
use std::process::Command;

use crate::contest::measure;
use crate::contestants::{self, Session};
use crate::grown::{self, Entry, Grown, SIZES, Value};
use crate::plot::{self, Line, Panel};

pub(crate) fn table() {
    let memory = memory();
    let mut panels = Vec::new();
    let mut worst = Vec::new();
    println!(
        "Change is decode, change, and encode. Bytes are those of JSON. Times of ours in ns.\n"
    );
    println!(
        "| session | bytes | renew ns | × jar | change ns | × jar | decode ns | × jar | bytes of cookies | × jar |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    kind::<String>(&memory, &mut panels, &mut worst);
    kind::<Vec<String>>(&memory, &mut panels, &mut worst);
    kind::<BTreeMap<String, String>>(&memory, &mut panels, &mut worst);
    kind::<BTreeMap<String, BTreeMap<String, Entry>>>(&memory, &mut panels, &mut worst);
    println!(
        "\nThe most that sealing takes is × {:.2} of the jar.",
        worst.iter().copied().fold(0.0, f64::max)
    );
    plot::write("growth.svg", &plot::lines(&panels, "bytes of JSON"));
}

fn kind<V: Value>(memory: &[Memory], panels: &mut Vec<Panel>, worst: &mut Vec<f64>)
where
    Grown<V>: Session,
{
    let names = ["ours, change", "jar, change", "ours, open", "jar, open"];
    let mut times = names.map(Line::new);
    for bytes in SIZES {
        let session = grown::of::<V>(bytes);
        let scores = measure(&[contestants::ours(), contestants::private_jar()], &session);
        let [ours, jar] = &scores[..] else { unreachable!("two") };
        let all = [&ours.cycle, &jar.cycle, &ours.decode, &jar.decode];
        for (line, time) in times.iter_mut().zip(all) {
            line.points.push((bytes as f64, time.median() / 1e3));
        }
        worst.push(ours.encode.over(&jar.encode));
        println!(
            "| {} | {bytes} | {:.0} | {:.2} | {:.0} | {:.2} | {:.0} | {:.2} | {} ({}) | {:.2} |",
            V::NAME,
            ours.encode.median(),
            ours.encode.over(&jar.encode),
            ours.cycle.median(),
            ours.cycle.over(&jar.cycle),
            ours.decode.median(),
            ours.decode.over(&jar.decode),
            ours.bytes,
            ours.cookies,
            ours.bytes as f64 / jar.bytes as f64,
        );
    }
    panels.push(Panel { title: format!("{}: microseconds", V::NAME), lines: times.into() });
    let mut peaks = names.map(Line::new);
    for row in memory.iter().filter(|row| row.kind == V::NAME) {
        for (line, peak) in peaks.iter_mut().zip(row.peaks) {
            line.points.push((row.bytes, peak / 1024.0));
        }
    }
    panels.push(Panel { title: format!("{}: KB of memory at most", V::NAME), lines: peaks.into() });
}

/// The most memory that was taken at once, in bytes.
struct Memory {
    kind: String,
    bytes: f64,
    /// Of ours and of the jar, for a change; then for opening.
    peaks: [f64; 4],
}

/// Asks the program that counts; here, counting would take time.
fn memory() -> Vec<Memory> {
    let program = std::env::current_exe().expect("Linux").with_file_name("memory");
    let output = Command::new(&program).output().expect("cargo built src/bin/memory.rs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let row = |line: &str| {
        let (kind, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_whitespace().map_while(|number| number.parse().ok());
        let bytes = numbers.next()?;
        let peaks = [numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?];
        Some(Memory { kind: kind.to_owned(), bytes, peaks })
    };
    text.lines().map(|line| row(line).expect("a line of five numbers")).collect()
}
