//! The advice: which way to take, each with the figure that decides.

use super::find::{bytes, count, dash};
use crate::cluster::System;
use crate::events::{Event, SIZE};
use crate::figures::SIZES;
use crate::run::Run;

pub(super) fn all(run: &Run) -> String {
    let rows: String = rows(run)
        .into_iter()
        .map(|[have, need, take, because]| {
            format!("| {have} | {need} | **{take}** | {because} |\n")
        })
        .collect();
    format!(
        "## Which one to take\n\n| you have | you need | take | because |\n|---|---|---|---|\n{}",
        rows.trim_end()
    )
}

fn rows(run: &Run) -> Vec<[String; 4]> {
    let out = |system, event| {
        dash(run.logged_out(system, event).map(|(out, of)| format!("{out} of {of}")))
    };
    let ours: Vec<_> =
        run.outcomes.iter().filter(|outcome| outcome.system == System::Sealed).collect();
    let (events, requests) =
        (ours.len(), ours.iter().map(|outcome| outcome.tally.requests).sum::<u64>());
    let logouts: u64 = ours.iter().map(|outcome| outcome.tally.logouts).sum();
    let cpu = |system| {
        let load = run.figures(system)?.load.read;
        Some(format!("{:.0} µs", load.proxy + load.nodes + load.store))
    };
    let up = |system, size| {
        let found = &run.figures(system)?.bytes;
        found.iter().find(|bytes| bytes.size == size).map(|bytes| bytes.client_read.0)
    };
    let more = |size| Some(count(up(System::Sealed, size)? - up(System::Redis, size)?));
    let write = |system| {
        let [_, write] = run.law(system, SIZE)?;
        Some(bytes(write.at(20.0)))
    };
    let hangs = |system| {
        let tally = &run.outcome(system, Event::Stopped)?.tally;
        Some(format!("{} of {}", tally.failed + tally.slow, tally.requests))
    };
    let tabs = |system| {
        let tabs = run.figures(system)?.tabs;
        Some(format!("{} of {}", tabs.lost, tabs.writes))
    };
    let logout = |system| dash(run.figures(system).map(super::figures::logout_holds));
    let row = |have: &str, need: &str, take: &str, because: String| {
        [have.into(), need.into(), take.into(), because]
    };
    vec![
        row(
            "two nodes or more, sessions of up to 2 KB",
            "nobody logged out by what happens to servers, and nothing to run",
            "sealed cookies",
            format!(
                "{logouts} logouts in {events} events, {} requests; no bytes between servers; {} of CPU a read, with Redis {}",
                count(requests as f64),
                dash(cpu(System::Sealed)),
                dash(cpu(System::Redis))
            ),
        ),
        row(
            "slow uplinks, many requests a page on one host",
            "small requests",
            "a central store",
            format!(
                "each request carries {} bytes more at 200 bytes of session, {} at 2,000",
                dash(more(SIZES[0])),
                dash(more(SIZES[1]))
            ),
        ),
        row(
            "sessions of 8 KB",
            "them to stay so",
            "a central store, or sealed cookies with overflow",
            format!(
                "in cookies alone, each request carries {} bytes more; with overflow {} in all, and Redis lost without a file \
                 logs out {}, as with a central store",
                dash(more(SIZES[2])),
                dash(up(System::Overflow, SIZES[2]).map(count)),
                out(System::Overflow, Event::RedisLost)
            ),
        ),
        row(
            "accounts that must be locked, copied cookies that must end",
            "a logout that holds at once, everywhere",
            "a central store, or sealed cookies with revocation",
            format!(
                "the old cookie is refused everywhere: Redis {}, revocation {}; when Redis is lost, revocation logs out {}",
                logout(System::Redis),
                logout(System::Revocable),
                out(System::Revocable, Event::RedisLost)
            ),
        ),
        row(
            "changes at the same time that must all count",
            "no lost change",
            "a database, whatever the session is in",
            format!(
                "of changes at once lost: cookies {}, Redis {}, DeltaManager {}",
                dash(tabs(System::Sealed)),
                dash(tabs(System::Redis)),
                dash(tabs(System::DeltaSynchronous))
            ),
        ),
        row(
            "a store that you run anyway, with somebody on call",
            "sessions that outlive the browser, or a list of them",
            "the central store, with a file and a replica",
            format!(
                "it restarts without a file: {} logged out, with one {}; it dies with a replica and Sentinels: {}; it hangs: {}",
                out(System::Redis, Event::RedisLost),
                out(System::Redis, Event::RedisKept),
                out(System::RedisSentinel, Event::Failover),
                dash(run.outcome(System::Redis, Event::RedisStopped).map(|outcome| {
                    let tally = &outcome.tally;
                    format!("{} of {} requests fail", tally.failed + tally.slow, tally.requests)
                }))
            ),
        ),
        row(
            "Java that cannot be changed, two or three nodes",
            "sessions that survive a node",
            "DeltaManager, asynchronous, and sticky in front",
            format!(
                "a dead node logs out {}, with BackupManager {}; a node hangs: {} requests fail or are slow, synchronous {}, BackupManager {}; \
                 without sticky {} reads show too little in 3 s; at 20 nodes a write takes {} (computed)",
                out(System::DeltaAsynchronous, Event::Killed),
                out(System::Backup, Event::Killed),
                dash(hangs(System::DeltaAsynchronous)),
                dash(hangs(System::DeltaSynchronous)),
                dash(hangs(System::Backup)),
                dash(
                    run.outcome(System::DeltaAsynchronous, Event::Steady)
                        .map(|outcome| outcome.tally.stale.to_string())
                ),
                dash(write(System::DeltaAsynchronous)),
            ),
        ),
        row(
            "a problem today, and a release next month",
            "a step that changes no code",
            "HAProxy `cookie insert`",
            format!(
                "a dead node logs out {} and its return {}; nginx `ip_hash` {} and {}",
                out(System::Haproxy, Event::Killed),
                out(System::Haproxy, Event::CameBack),
                out(System::IpHash, Event::Killed),
                out(System::IpHash, Event::CameBack)
            ),
        ),
        row(
            "round robin and sessions in memory",
            "–",
            "anything else",
            format!("{} logged out while nothing happens", out(System::StatusQuo, Event::Steady)),
        ),
        row(
            "sticky nodes or Redis today",
            "cookies, and nobody logged out on the way",
            "[the third road](#from-a-store-or-sticky-nodes-to-cookies-without-a-logout)",
            {
                let steps = run.migrations.values().flatten();
                let (out, requests) = steps.fold((0, 0), |(out, requests), step| {
                    (out + step.tally.logouts, requests + step.tally.requests)
                });
                format!(
                    "{out} logouts in {} requests, {} bytes of session",
                    count(requests as f64),
                    count(SIZE as f64)
                )
            },
        ),
    ]
}
