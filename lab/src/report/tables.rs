//! The tables, each with what is to be seen in it.

use std::fmt::Write as _;

use super::find::{bytes, count, dash};
use crate::cluster::System;
use crate::events::{Event, Outcome, SIZE};
use crate::figures::memory::{Memory, SYSTEMS};
use crate::figures::{Figures, SIZES};
use crate::front::{FAIL_TIMEOUT, READ_TIMEOUT};
use crate::migration::Step;
use crate::run::Run;

/// What happens in all systems.
pub(super) const EVENTS: [Event; 8] = [
    Event::Steady,
    Event::Killed,
    Event::CameBack,
    Event::Deployed,
    Event::Added,
    Event::Removed,
    Event::Stopped,
    Event::Released,
];

const OF_REDIS: [Event; 5] =
    [Event::RedisKept, Event::RedisLost, Event::RedisStopped, Event::Failover, Event::KeysRotated];

pub(super) fn all(run: &Run) -> String {
    [
        at_a_glance(run),
        events(run),
        store_and_keys(run),
        between_servers(run),
        to_the_client(run),
        processor(run),
        memory(run),
        uneven(run),
        logout(run),
        tabs(run),
        where_we_lose(run),
        migrations(run),
        method(),
    ]
    .join("\n\n")
}

/// Writes a table with the first column to the left and the others to the right.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|---|{}\n", head.join(" | "), "--:|".repeat(head.len() - 1));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.trim_end().to_owned()
}

fn title(system: System) -> String {
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
         and the page after it, a pause of 0.1 to 0.4 s. All systems have the same events.\n\n\
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
         *With a file* is Redis' append-only file. The connections give up after 1 s (the client's own default is to wait for \
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

fn between_servers(run: &Run) -> String {
    let mut rows = Vec::new();
    for figures in &run.figures {
        let law = run.law(figures.system);
        let sticky = figures.direct.write == 0.0 && figures.bytes.iter().all(|b| b.nodes == 3);
        for size in SIZES {
            // Nothing is nothing, of whatever size.
            let measured = figures.bytes.iter().any(|bytes| bytes.size == size);
            if !measured || sticky && size != SIZE {
                continue;
            }
            let pair = |nodes| {
                let found = run.bytes(figures.system, nodes, size);
                dash(found.map(|found| format!("{} / {}", bytes(found.read), bytes(found.write))))
            };
            let law = law.filter(|_| size == figures.system.size());
            let at_100 = law.map(|[read, write]| {
                format!("{} / {}", bytes(read.at(100.0)), bytes(write.at(100.0)))
            });
            rows.push(vec![
                title(figures.system),
                count(size as f64),
                pair(2),
                pair(3),
                pair(4),
                law.map_or(String::new(), |[r, w]| format!("{} / {}", r.text(), w.text())),
                at_100.map_or(String::new(), |text| format!("*{text}*")),
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
    for system in [
        System::Sealed,
        System::Revocable,
        System::Overflow,
        System::Redis,
        System::Haproxy,
        System::DeltaSynchronous,
    ] {
        let Some(figures) = run.figures(system) else { continue };
        for size in SIZES {
            let Some(found) = figures.bytes.iter().find(|bytes| bytes.size == size) else {
                continue;
            };
            let pair = |(up, down): (f64, f64)| format!("{} / {}", count(up), count(down));
            rows.push(vec![
                title(system),
                count(size as f64),
                pair(found.client_read),
                pair(found.client_write),
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
            format!("{} + {}", mb(many.nodes), mb(many.store)),
            count((sum(many).saturating_sub(sum(none))) as f64 / 100_000.0),
            mb(many.resident),
        ]);
    }
    let head = [
        "",
        "MB, no sessions",
        "10,000",
        "100,000: nodes + Redis",
        "bytes a session",
        "resident set of the nodes at 100,000",
    ];
    format!(
        "## Memory\n\n![memory by process](four_ways/memory.svg)\n\nThree nodes together, sessions of {} bytes. Of the nodes in Java \
         it is what lives in the heap after a full collection; the resident set is what they take from the machine \
         (`-Xmx2g` each).\n\n{}",
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
    let rows: Vec<_> =
        [System::Sealed, System::Redis, System::IpHash, System::RouteCookie, System::Haproxy]
            .into_iter()
            .filter(|system| run.outcome(*system, Event::Steady).is_some())
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
        steps("from Redis"),
        steps("from sticky nodes")
    )
}

fn method() -> String {
    format!(
        "## How it was measured, and what it does not show\n\n\
         - Everything runs on one machine, over loopback, without TLS. A network adds its round trips to the store and to replication, and \
         none to cookies. Processor times are of this machine; ratios within a language carry over better.\n\
         - The application is the same everywhere ([axum](../lab/src/node/mod.rs), [servlet](../lab/tomcat/ShopServlet.java)): log in, read, change, log \
         out. Stores are tower-sessions' with its own `MemoryStore` and `RedisStore`.\n\
         - nginx has `max_fails=1 fail_timeout={FAIL_TIMEOUT}s`, a read timeout of {READ_TIMEOUT} s, and keeps connections to the nodes. HAProxy checks each \
         node twice a second. Sticky `hash` uses a cookie that nginx gives for this alone.\n\
         - Bytes between servers are what the kernel counts for each socket (`ss`), less what flows without requests. Processor time is \
         that of `/proc/PID/stat`, memory `smaps_rollup` and `jcmd`.\n\
         - Events of six systems run at once, so a figure of single requests may be chance; a figure of users logged out is not. \
         Times are measured with one system at a time.\n\
         - Spring Session with Redis is not here: neither it nor a Redis client for Java is among Debian's packages. It asks Redis for \
         each request too.\n\
         - The raw figures: [`four_ways/run.json`](four_ways/run.json)."
    )
}
