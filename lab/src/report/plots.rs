//! Which plots there are, and what is on them.

use super::find::Law;
use super::plot::{Bars, Heat, Line, Lines};
use crate::cluster::System;
use crate::events::SIZE;
use crate::run::Run;

pub(super) fn all(run: &Run) -> Vec<(&'static str, String)> {
    vec![
        ("logged_out.svg", logged_out(run)),
        ("bytes.svg", bytes(run)),
        ("processor.svg", processor(run)),
        ("memory.svg", memory(run)),
    ]
}

fn name(system: System) -> String {
    system.title().replace(['*', '`'], "").replace("sticky: ", "").replace("central: ", "")
}

fn logged_out(run: &Run) -> String {
    let events = super::tables::EVENTS;
    let cell = |system, event| {
        let (out, of) = run.logged_out(system, event)?;
        Some((out.to_string(), out as f64 / of as f64))
    };
    let users = run.outcomes.first().map_or(0, |outcome| outcome.users);
    Heat {
        title: format!("Users logged out, of {users}"),
        columns: events.iter().map(|event| event.title().to_owned()).collect(),
        rows: run
            .systems()
            .into_iter()
            .map(|system| (name(system), events.iter().map(|event| cell(system, *event)).collect()))
            .collect(),
    }
    .draw()
}

fn bytes(run: &Run) -> String {
    let lines = [
        (System::DeltaSynchronous, "DeltaManager", "#a61c1c"),
        (System::Backup, "BackupManager", "#c77d0a"),
        (System::Redis, "Redis", "#1f4e79"),
        (System::Sealed, "cookies, sticky", "#2e7d32"),
    ];
    let line = |(system, name, color): (System, &str, &'static str)| {
        let [_, law]: [Law; 2] = run.law(system, SIZE)?;
        let measured = run.figures(system)?.bytes.iter().filter(|bytes| bytes.size == SIZE);
        Some(Line {
            name: name.into(),
            color,
            measured: measured.map(|bytes| (bytes.nodes as f64, bytes.write)).collect(),
            computed: (2..=100).map(|n| (f64::from(n), law.at(f64::from(n)))).collect(),
        })
    };
    Lines {
        title: "Bytes between servers for one write of a session of 2,000 bytes".into(),
        unit: "bytes",
        lines: lines.into_iter().filter_map(line).collect(),
        measured_to: 4.0,
    }
    .draw()
}

const PROXY: &str = "#b8c4d0";
const NODES: &str = "#1f4e79";
const STORE: &str = "#c77d0a";

fn processor(run: &Run) -> String {
    let mut rows = Vec::new();
    for figures in &run.figures {
        for (kind, load) in [("read", figures.load.read), ("write", figures.load.write)] {
            let name = format!("{}, {kind}", name(figures.system).replace("Tomcat ", ""));
            rows.push((name, vec![load.proxy, load.nodes, load.store]));
        }
    }
    Bars {
        title: "Processor time for a request, in microseconds".into(),
        parts: vec![("proxy", PROXY), ("nodes", NODES), ("Redis", STORE)],
        rows,
        digits: 0,
    }
    .draw()
}

fn memory(run: &Run) -> String {
    let mut rows = Vec::new();
    for memory in &run.memory {
        let title = match memory.system {
            System::IpHash => "in memory, sticky or not".into(),
            system => name(system).replace("Tomcat ", ""),
        };
        let sessions = super::find::count(memory.sessions as f64);
        rows.push((
            format!("{title}, {sessions}"),
            vec![memory.nodes as f64 / 1e6, memory.store as f64 / 1e6],
        ));
    }
    Bars {
        title: "Memory for sessions of 2,000 bytes, three nodes together, in MB".into(),
        parts: vec![("nodes", NODES), ("Redis", STORE)],
        rows,
        digits: 0,
    }
    .draw()
}
