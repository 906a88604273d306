//! Where this crate loses, the way to it, and how all was measured.

use super::figures::logout_holds;
use super::find::{count, dash};
use super::tables::table;
use crate::cluster::System;
use crate::figures::SIZES;
use crate::front::{FAIL_TIMEOUT, READ_TIMEOUT};
use crate::migration::Step;
use crate::run::{FROM_REDIS, FROM_STICKY, Run};

pub(super) fn all(run: &Run) -> String {
    [where_we_lose(run), migrations(run), method(run)].join("\n\n")
}

fn where_we_lose(run: &Run) -> String {
    let up = |system, size| {
        let found = &run.figures(system)?.bytes;
        found.iter().find(|bytes| bytes.size == size).map(|bytes| bytes.client_read.0)
    };
    let each = |size| {
        let more = up(System::Sealed, size)? - up(System::Redis, size)?;
        Some(count(more))
    };
    let tabs = run.figures(System::Sealed).map(|found| found.tabs);
    let logout = run.figures(System::Sealed).map(logout_holds);
    format!(
        "## Where sealed cookies lose\n\n\
         - **Bandwidth of the client.** Each request carries the session: {} bytes more than an id for a session of 200 bytes that does not \
         compress, {} for 2,000 and {} for 8,000. Pictures and scripts of the same host carry it too; serve them from \
         another.\n\
         - **Size.** Above some 2 KB packed it takes several cookies and a proxy configured for them, and above 9 KB there is no room at \
         all.\n\
         - **Taking back.** By itself, a copied cookie is good until its timeout after a logout ({}, above); in a store it ends at \
         once. Revocation ends it too ({}), and then there is a Redis to run, if one whose loss logs nobody out.\n\
         - **Two changes at once.** {}\n\
         - **Reading what all users have.** Nobody can list the sessions, or count them: they are not there.",
        dash(each(SIZES[0])),
        dash(each(SIZES[1])),
        dash(each(SIZES[2])),
        dash(logout),
        dash(run.figures(System::Revocable).map(logout_holds)),
        match tabs {
            Some(tabs) => format!(
                "{} of {} are lost, always the one whose response comes first. A store loses about as many, unless it \
                 locks; one node's memory need not lose any.",
                tabs.lost, tabs.writes
            ),
            None => "Of two, one is lost.".into(),
        },
    )
}

fn migrations(run: &Run) -> String {
    let steps = |road: &str| {
        let row = |step: &Step| {
            vec![
                step.title.clone(),
                step.tally.requests.to_string(),
                format!("{} of {}", step.tally.logged_out.len(), step.users),
                format!("{} / {}", step.tally.lost, step.tally.stale),
                format!("{} / {}", step.tally.failed, step.tally.slow),
            ]
        };
        let rows: Vec<_> = run.migrations.get(road).into_iter().flatten().map(row).collect();
        let head = [
            "",
            "requests",
            "logged out",
            "changes lost / reads that showed less",
            "failed / over a second",
        ];
        table(&head, &rows)
    };
    format!(
        "## From a store or sticky nodes to cookies, without a logout\n\n\
         **From Redis**, in three rolling deploys. Nodes of two phases always run at once, so each phase writes what the one before it \
         reads. The code is [`lab/src/node/both.rs`](../lab/src/node/both.rs): two layers, and a handler that knows both.\n\n{}\n\n\
         Let each phase last as long as a session may rest. Only then is no cookie left that a node of the phase before should have \
         brought up to date or removed, and nobody who comes back late has a session in Redis alone.\n\n\
         **From sticky nodes** there is nothing to read from: what a node has in memory ends with it. So no node is replaced; nodes with \
         cookies are added, the old ones keep the users they have until these leave (HAProxy's `drain`), and nobody new comes to \
         them.\n\n{}",
        steps(FROM_REDIS),
        steps(FROM_STICKY)
    )
}

fn method(run: &Run) -> String {
    let phase = |name| {
        let parts = run.parts.iter().filter(|part| part.phase == name);
        let (from, to) = parts.fold((f64::MAX, 0.0), |(from, to), part| {
            (f64::min(from, part.from), f64::max(to, part.to))
        });
        format!("{:.0} s", (to - from).max(0.0))
    };
    format!(
        "## How it was measured, and what it does not show\n\n\
         This page and its plots are written by [`lab/`](../lab), and so are all figures in them:\n\n\
         ```sh\n\
         cargo run --release --manifest-path lab/Cargo.toml             # all of it; it names the programs that are missing\n\
         cargo run --release --manifest-path lab/Cargo.toml -- --quick  # what must hold on any machine, as CI runs it\n\
         ```\n\n\
         - This run took {} s: events {}, and beside them the bytes and the two roads to cookies; times {}, one system at a time; \
         memory {}. All systems have their events at once, so a figure of single requests may be chance. So may be that of \
         users logged out by asynchronous replication behind round robin, which lags by how busy the machine is: their next request \
         came to a node before their session did. The other figures of users logged out are not.\n\
         - Everything runs on one machine, over loopback, without TLS. A network adds its round trips to the store and to replication, and \
         none to cookies. Processor times are of this machine; ratios within a language carry over better.\n\
         - The application is the same everywhere ([axum](../lab/src/node/mod.rs), [servlet](../lab/tomcat/ShopServlet.java)): log in, read, change, log \
         out. Stores are tower-sessions' with its own `MemoryStore` and `RedisStore`.\n\
         - nginx has `max_fails=1 fail_timeout={FAIL_TIMEOUT}s`, a read timeout of {READ_TIMEOUT} s, and keeps connections to the nodes. HAProxy checks each \
         node twice a second. Sticky `hash` uses a cookie that nginx gives for this alone.\n\
         - Bytes between servers are what the kernel counts for each socket (`ss`), less what flows without requests. Processor time is \
         that of `/proc/PID/stat`, memory `smaps_rollup` and `jcmd`.\n\
         - Virtual machines start with `-XX:TieredStopAtLevel=1` for events and memory, which halves the start, and as they are for all else.\n\
         - What a dash stands for has not been measured: in the status quo most requests are of nobody.\n\
         - Spring Session with Redis is not here: Spring is among Debian's packages, and neither Spring Session nor a Redis client for Java \
         is. It asks Redis for each request too.\n\
         - The raw figures: [`four_ways/run.json`](four_ways/run.json).",
        run.seconds,
        phase("events"),
        phase("times"),
        phase("memory"),
    )
}
