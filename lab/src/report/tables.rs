//! What happened to the systems and their users, as tables, each with what is to be seen in it.

use std::fmt::Write as _;

use super::figures::logout_holds;
use super::find::{bytes, count, dash};
use crate::cluster::System;
use crate::events::{Event, Outcome, SIZE};
use crate::front::{FAIL_TIMEOUT, READ_TIMEOUT};
use crate::run::Run;

/// What happens in all systems.
pub(super) const EVENTS: [Event; 9] = [
    Event::Steady,
    Event::Killed,
    Event::CameBack,
    Event::Deployed,
    Event::Grown,
    Event::Added,
    Event::Removed,
    Event::Stopped,
    Event::Released,
];

const OF_REDIS: [Event; 5] =
    [Event::RedisKept, Event::RedisLost, Event::RedisStopped, Event::Failover, Event::KeysRotated];

pub(super) fn all(run: &Run) -> String {
    [at_a_glance(run), events(run), store_and_keys(run)].join("\n\n")
}

/// Writes a table with the first column to the left and the others to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|---|{}\n", head.join(" | "), "--:|".repeat(head.len() - 1));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.trim_end().to_owned()
}

pub(super) fn title(system: System) -> String {
    system.title().to_owned()
}

fn at_a_glance(run: &Run) -> String {
    let out = |system, event| {
        dash(run.logged_out(system, event).map(|(out, of)| format!("{out} of {of}")))
    };
    let rows: Vec<_> = run
        .systems()
        .into_iter()
        .map(|system| {
            let figures = run.figures(system);
            let size = system.size();
            let write = run.bytes(system, 3, size).or_else(|| run.bytes(system, 2, size));
            vec![
                title(system),
                out(system, Event::Killed),
                out(system, Event::Deployed),
                dash(write.map(|found| bytes(found.write))),
                dash(figures.map(|found| {
                    let load = found.load.read;
                    count(load.proxy + load.nodes + load.store)
                })),
                dash(figures.map(logout_holds)),
                runs_beside(system).into(),
            ]
        })
        .collect();
    let table = table(
        &[
            "",
            "logged out: a node is killed",
            "logged out: a rolling deploy",
            "bytes between servers, a write",
            "CPU µs, a read",
            "a logout holds after",
            "to run and watch",
        ],
        &rows,
    );
    // What stands in the last column is no number.
    let table = table.replacen("--:|\n", "---|\n", 1);
    format!(
        "## At a glance\n\n![users logged out, by system and event](four_ways/logged_out.svg)\n\n\
         Three nodes, sessions of {} bytes, a proxy in front.\n\n{table}",
        count(SIZE as f64)
    )
}

fn runs_beside(system: System) -> &'static str {
    match system {
        System::StatusQuo => "nothing",
        System::DeltaAsynchronous | System::DeltaSynchronous | System::Backup => {
            "membership and replication of the nodes; heap"
        }
        System::Sealed => "a key file, the same on all nodes",
        System::Overflow => "the key file, and a Redis with a file for the large ones",
        System::Revocable => "the key file, and a Redis without which nobody is logged out",
        System::IpHash | System::RouteCookie => "nothing; draining before deploys",
        System::Haproxy => "HAProxy's states of the nodes; draining before deploys",
        System::Redis => "a server: its memory, its disk, its being there",
        System::RedisSentinel => "two servers and three Sentinels: memory, failover",
        System::RedisCluster => "six servers: memory, slots, failover",
    }
}

fn events(run: &Run) -> String {
    let cell = |found: Option<&Outcome>, what: fn(&Outcome) -> String| dash(found.map(what));
    let matrix = |what: fn(&Outcome) -> String| {
        let mut head = vec![""];
        head.extend(EVENTS.iter().map(|event| event.title()));
        let row = |system: System| {
            let mut row = vec![title(system)];
            row.extend(EVENTS.iter().map(|event| cell(run.outcome(system, *event), what)));
            row
        };
        table(&head, &run.systems().into_iter().map(row).collect::<Vec<_>>())
    };
    let out = matrix(|outcome| {
        let out = outcome.tally.logged_out.len();
        if out == 0 { "·".into() } else { format!("{out} of {}", outcome.users) }
    });
    let lost = matrix(|outcome| match (outcome.tally.lost, outcome.tally.stale) {
        (0, 0) => "·".into(),
        (lost, stale) => format!("{lost} / {stale}"),
    });
    let failed = matrix(|outcome| match (outcome.tally.failed, outcome.tally.slow) {
        (0, 0) => "·".into(),
        (failed, slow) => {
            let share = 100.0 * (failed + slow) as f64 / outcome.tally.requests as f64;
            format!("{failed} / {slow} ({share:.1} %)")
        }
    });
    let by_session_cookie = dash(
        run.by_session_cookie
            .as_ref()
            .map(|tally| format!("{} of {} users", tally.logged_out.len(), crate::run::USERS)),
    );
    let undeclared = run.outcomes.iter().find(|outcome| outcome.event == Event::ReleasedUndeclared);
    let undeclared = dash(
        undeclared
            .map(|outcome| format!("{} of {}", outcome.tally.logged_out.len(), outcome.users)),
    );
    format!(
        "## What users notice when something happens\n\n\
         Users with a browser's cookie jar read and change their carts the whole time: a page, a third of the time a change \
         and the page after it, a pause of 0.1 to 0.4 s. All systems have the same events. That a third \
         node is added comes first; those who come then find three.\n\n\
         **Users logged out**, a dot for none:\n\n{out}\n\n\
         **Changes lost / reads that showed less than was acknowledged**:\n\n{lost}\n\n\
         **Requests that failed / took over a second**:\n\n{failed}\n\n\
         - *A node is killed* is `kill -9` without a word to the proxy. A request in its hands fails, if it was a change, \
         in every system: nginx repeats only what changes nothing. *It comes back* at once with an empty memory; nginx then \
         moves its users back, and HAProxy does not.\n\
         - *A rolling deploy* takes each node from the proxy, ends it, starts it, puts it back. What is in memory is gone \
         with it.\n\
         - *Hangs* is SIGSTOP: the node takes connections and does not answer. nginx passes it over after {READ_TIMEOUT} s, \
         for {FAIL_TIMEOUT} s, and tries again; HAProxy's check finds it in one. With DeltaManager, synchronous, the healthy nodes wait \
         for it too.\n\
         - *A release with a new field* is a rolling deploy after which the session has a field more. serde reads both ways \
         (`#[serde(default)]`), and so does Java, because the class declares its `serialVersionUID`. Where that is left out, \
         Java refuses the class that has changed: {undeclared} logged out.\n\
         - nginx' `hash` needs a cookie that is there before the login. By the cookie of the session itself, which a login changes, \
         {by_session_cookie} were logged out in 2 s in which nothing happened."
    )
}

fn store_and_keys(run: &Run) -> String {
    let rows: Vec<_> = OF_REDIS
        .iter()
        .flat_map(|event| run.outcomes.iter().filter(move |outcome| outcome.event == *event))
        .map(|Outcome { system, event, users, tally, .. }| {
            vec![
                format!("{}: {}", title(*system), event.title()),
                format!("{} of {users}", tally.logged_out.len()),
                format!("{} / {}", tally.lost, tally.stale),
                format!("{} / {} of {}", tally.failed, tally.slow, tally.requests),
            ]
        })
        .collect();
    let head =
        ["", "logged out", "changes lost / reads that showed less", "failed / over a second"];
    format!(
        "## What happens to the store, and to the keys\n\n{}\n\n\
         *With a file* is Redis' append-only file, written before each answer (`appendfsync always`; by default the last second may be \
         missing). The connections give up after 1 s (the client's own default is to wait for \
         ever), a failover begins after 2 s (the default is 15 with a cluster, and 30 with Sentinels). A key is rotated as in \
         [OPERATING.md](OPERATING.md): announced 2 s before it seals, and the old one revoked 3 s later, when all who were \
         there have moved.\n\n\
         With Sentinels, a master that hung and comes back takes changes for some seconds more, until they make a replica of it and \
         what it took is gone; `min-replicas-to-write` makes that shorter.\n\n\
         While Redis is away, tower-sessions' client holds requests back for up to a second and then fails; ours with overflow answers 503 at \
         once, so that more requests fail in the same time. In both, the cookie is kept and the user is logged in when Redis is \
         back, if it has what it had.",
        table(&head, &rows)
    )
}
