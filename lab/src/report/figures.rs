//! What the systems take and give when nothing goes wrong, as tables, each with what is to be seen in it.

use super::find::{bytes, count, dash};
use super::tables::{table, title};
use crate::cluster::System;
use crate::events::{Event, Outcome, SIZE};
use crate::figures::memory::{APPLICATIONS, Memory, SYSTEMS};
use crate::figures::{Bytes, Figures, SIZES};
use crate::run::Run;

pub(super) fn all(run: &Run) -> String {
    [
        between_servers(run),
        to_the_client(run),
        processor(run),
        memory(run),
        uneven(run),
        logout(run),
        tabs(run),
    ]
    .join("\n\n")
}

fn between_servers(run: &Run) -> String {
    let mut rows = Vec::new();
    for figures in &run.figures {
        let system = figures.system;
        // Nothing is nothing, of whatever size.
        let nothing = figures.bytes.iter().all(|bytes| bytes.read < 1.0 && bytes.write < 1.0);
        for size in if nothing { vec![SIZE] } else { SIZES.to_vec() } {
            if !figures.bytes.iter().any(|bytes| bytes.size == size) {
                continue;
            }
            let pair = |nodes| {
                let found = run.bytes(system, nodes, size);
                dash(found.map(|found| format!("{} / {}", bytes(found.read), bytes(found.write))))
            };
            let law = run.law(system, size);
            let at_100 = law.map(|[read, write]| {
                format!("*{} / {}*", bytes(read.at(100.0)), bytes(write.at(100.0)))
            });
            rows.push(vec![
                title(system),
                if nothing { "any".into() } else { count(size as f64) },
                pair(2),
                pair(3),
                pair(4),
                dash(law.map(|[read, write]| format!("{} / {}", read.text(), write.text()))),
                dash(at_100),
            ]);
        }
    }
    let head = [
        "",
        "session",
        "2 nodes",
        "3 nodes",
        "4 nodes",
        "law for n nodes",
        "*computed: 100 nodes*",
    ];
    let direct = |system| {
        let found = run.figures(system)?.direct;
        Some(format!("{} / {}", bytes(found.read), bytes(found.write)))
    };
    format!(
        "## Bytes between servers\n\n![bytes of a write over the number of nodes](four_ways/bytes.svg)\n\n\
         A read / a write, as the kernel counts what the nodes and the store send to each other. The law is a line fitted to the \
         three; what follows from it is in italics and has not been measured. Each node brings its own requests, so what the \
         network carries in all grows with another factor n.\n\n{}\n\n\
         - DeltaManager sends a read too: the time of the last access goes to every node.\n\
         - BackupManager keeps one copy, but with round robin each request makes another node the session's first, and that \
         is told to all. Where all requests of a user go to one node, a read / a write takes {} at three nodes.\n\
         - Sealed cookies, and nodes with sessions in their memory, send each other nothing. With revocation, a node and Redis exchange a \
         beat now and then, of which single bytes are left here.",
        table(&head, &rows),
        dash(direct(System::Backup)),
    )
}

fn to_the_client(run: &Run) -> String {
    let mut rows = Vec::new();
    for figures in &run.figures {
        let of = |size| figures.bytes.iter().find(|bytes| bytes.size == size);
        let found: Vec<&Bytes> = SIZES.into_iter().filter_map(of).collect();
        // Where the cookie is an id, the session's size is not to be seen.
        let up = |bytes: &Bytes| bytes.client_read.0;
        let same =
            found.len() > 1 && found.iter().all(|bytes| (up(bytes) - up(found[0])).abs() < 1.0);
        for bytes in found.iter().take(if same { 1 } else { SIZES.len() }) {
            let pair = |(up, down): (f64, f64)| format!("{} / {}", count(up), count(down));
            rows.push(vec![
                title(figures.system),
                if same { "any".into() } else { count(bytes.size as f64) },
                pair(bytes.client_read),
                pair(bytes.client_write),
            ]);
        }
    }
    let head = ["", "session", "a read: up / down", "a write: up / down"];
    format!(
        "## Bytes to and from the client\n\nThe cookie's price. Request and response with their heads, from a client whose other \
         headers are the fewest there can be; the session is text that does not compress, its worst case. With text of a real \
         shop, 1,465 bytes of JSON take a cookie of 869 bytes ([SIZES.md](SIZES.md)). Above some 2 KB it takes more than one \
         cookie, and a proxy that is configured for it.\n\n{}",
        table(&head, &rows)
    )
}

fn processor(run: &Run) -> String {
    let mut rows = Vec::new();
    for figures in &run.figures {
        let load = figures.load;
        let cpu = |kind: crate::figures::Kind| {
            let store =
                if kind.store > 0.0 { format!(" + {:.0}", kind.store) } else { String::new() };
            format!("{:.0} + {:.0}{store}", kind.proxy, kind.nodes)
        };
        let time = |kind: crate::figures::Kind| format!("{:.2} / {:.1}", kind.p50, kind.p99);
        rows.push(vec![
            title(figures.system),
            cpu(load.read),
            cpu(load.write),
            time(load.read),
            time(load.write),
        ]);
    }
    let head = [
        "",
        "CPU µs, a read: proxy + nodes + Redis",
        "a write",
        "ms, a read: p50 / p99",
        "a write",
    ];
    format!(
        "## Processor and response time\n\n![processor time by process](four_ways/processor.svg)\n\n\
         About 1,400 requests a second, which the machine carries with ease; 16 clients, three nodes, {} bytes. The nodes in Java are \
         warmed up for 4 s only, and an old virtual machine does better; so compare the ways within a language. What Redis costs \
         a node is the way there and back: a round trip on loopback, where a network adds its own.\n\n{}",
        count(SIZE as f64),
        table(&head, &rows)
    )
}

fn memory(run: &Run) -> String {
    let mut rows = Vec::new();
    for system in SYSTEMS {
        let at = |sessions| {
            run.memory.iter().find(|found| (found.system, found.sessions) == (system, sessions))
        };
        let (Some(none), Some(some), Some(many)) = (at(0), at(10_000), at(100_000)) else {
            continue;
        };
        let sum = |found: &Memory| found.nodes + found.store;
        let mb = |number: u64| format!("{:.0}", number as f64 / 1e6);
        rows.push(vec![
            match system {
                System::IpHash => "in memory, sticky or not".into(),
                _ => title(system),
            },
            mb(sum(none)),
            mb(sum(some)),
            format!("{} + {} + {}", mb(many.proxy), mb(many.nodes), mb(many.store)),
            count((sum(many).saturating_sub(sum(none))) as f64 / 100_000.0),
            mb(many.resident),
        ]);
    }
    let head = [
        "",
        "MB of nodes and Redis, no sessions",
        "10,000",
        "100,000: proxy + nodes + Redis",
        "bytes a session",
        "resident set of the nodes at 100,000",
    ];
    format!(
        "## Memory\n\n![memory by process](four_ways/memory.svg)\n\nThree nodes together, sessions of {} bytes. Of the nodes in Java \
         it is what lives in the heap after a full collection; the resident set is what they take from the machine \
         (`-Xmx2g` each). The other systems are as these: revocation adds nothing to a session, what overflows is in Redis as all \
         is with a central store, a synchronous DeltaManager keeps what an asynchronous one does, and a replica takes as much again.\n\n{}\n\n\
         At each login, BackupManager walks over all sessions of an application to count them: the more there are, the longer it takes. \
         The 100,000 sessions are those of {APPLICATIONS} applications.",
        count(SIZE as f64),
        table(&head, &rows)
    )
}

fn uneven(run: &Run) -> String {
    let share = |system, event| {
        let Outcome { tally, nodes, .. } = run.outcome(system, event)?;
        let all: u64 = tally.by_node.values().sum();
        let most = tally.by_node.values().max()?;
        // One that came during the event counts too.
        let nodes = tally.by_node.len().max(*nodes);
        Some(format!("{:.2}", *most as f64 * nodes as f64 / all as f64))
    };
    let rows: Vec<_> = run
        .systems()
        .into_iter()
        .map(|system| {
            vec![
                title(system),
                dash(share(system, Event::Steady)),
                dash(share(system, Event::OneAddress)),
                dash(share(system, Event::CameBack)),
            ]
        })
        .collect();
    let head = ["", "from many networks", "all behind one address", "after a node came back"];
    format!(
        "## How even the load is\n\nRequests of the busiest node, where 1.00 is its fair share and 3.00 is all there is.\n\n{}",
        table(&head, &rows)
    )
}

pub(super) fn logout_holds(figures: &Figures) -> String {
    let logout = figures.logout;
    match logout.never {
        0 if logout.most < 0.05 => "at once".into(),
        0 => format!("{:.1} ms, {:.1} at most", logout.p50, logout.most),
        _ => "the timeout".into(),
    }
}

fn logout(run: &Run) -> String {
    let rows: Vec<_> = run
        .figures
        .iter()
        .map(|figures| {
            vec![title(figures.system), logout_holds(figures), figures.logout.rounds.to_string()]
        })
        .collect();
    format!(
        "## A logout, and then the old cookie again\n\nA user logs out, and somebody who has a copy of the cookie asks all nodes at once \
         until each refuses. *At once* is that no node took it after the response to the logout. With overflow, the cookie is of no \
         use when what it points to is removed; a session that fits into its cookie is as without.\n\n{}",
        table(&["", "refused everywhere after", "rounds"], &rows)
    )
}

fn tabs(run: &Run) -> String {
    let rows: Vec<_> = run
        .figures
        .iter()
        .map(|figures| {
            let tabs = figures.tabs;
            let share = 100.0 * tabs.lost as f64 / tabs.writes.max(1) as f64;
            vec![
                title(figures.system),
                format!("{} of {} ({share:.0} %)", tabs.lost, tabs.writes),
                tabs.logged_out.to_string(),
            ]
        })
        .collect();
    format!(
        "## Two changes at the same time\n\nTwo tabs of one browser change the session at once, and each handler waits {} ms for \
         something else in between. Of two such changes the last one wins, unless one node has them both and takes one at a \
         time, as the servlet here does where it can.\n\n{}",
        crate::figures::WORK,
        table(&["", "changes lost", "users logged out"], &rows)
    )
}
