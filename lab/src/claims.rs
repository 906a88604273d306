//! What must hold on any machine, however busy.

use crate::cluster::System;
use crate::events::{Event, SIZE};
use crate::run::Run;

/// A claim, and whether it holds.
pub(crate) struct Claim {
    pub(crate) holds: bool,
    pub(crate) text: String,
}

/// Checks all that the run has figures for.
pub(crate) fn check(run: &Run) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut claim = |holds: bool, text: String| claims.push(Claim { holds, text });
    for fault in &run.faults {
        claim(false, fault.clone());
    }
    for outcome in &run.outcomes {
        let (event, tally, users) = (outcome.event, &outcome.tally, outcome.users);
        let out = tally.logged_out.len();
        let name = format!("{:?}, {:?}", outcome.system, event);
        match (outcome.system, event) {
            (System::Overflow, Event::RedisLost) => {
                claim(
                    out * 10 > users * 9,
                    format!("{name}: all of {users} users were logged out ({out})"),
                );
            }
            (System::Sealed | System::Revocable | System::Overflow, _) => {
                let nothing = tally.logouts == 0 && tally.lost == 0 && tally.stale == 0;
                claim(
                    nothing && tally.requests > 0,
                    format!(
                        "{name}: of {} requests none logged out ({}), lost ({}) or showed less ({})",
                        tally.requests, tally.logouts, tally.lost, tally.stale
                    ),
                );
            }
            (System::StatusQuo, Event::Steady) => {
                claim(
                    out * 2 > users,
                    format!("{name}: most of {users} users were logged out ({out})"),
                );
            }
            (System::IpHash | System::RouteCookie | System::Haproxy, Event::Steady) => {
                // A node that the machine kept from answering for seconds is passed over, and then its users are out.
                let kept_waiting = tally.failed + tally.slow;
                claim(
                    out == 0 || kept_waiting > 0,
                    format!(
                        "{name}: nobody was logged out ({out}), unless kept waiting ({kept_waiting})"
                    ),
                );
            }
            (System::IpHash | System::RouteCookie | System::Haproxy, Event::Killed) => {
                claim(
                    0 < out && out < users,
                    format!("{name}: some of {users} users were logged out ({out})"),
                );
            }
            (System::Redis, Event::RedisLost) => {
                claim(
                    out * 10 > users * 9,
                    format!("{name}: all of {users} users were logged out ({out})"),
                );
            }
            (System::Redis, Event::Steady | Event::Killed | Event::RedisKept) => {
                claim(out == 0, format!("{name}: nobody was logged out ({out})"));
            }
            _ => {}
        }
    }
    for figures in &run.figures {
        for bytes in figures.bytes.iter().filter(|bytes| bytes.size == SIZE) {
            let (others, more) = (bytes.nodes as f64 - 1.0, bytes.nodes as f64 - 2.0);
            // What was measured for one more node, and where it does not matter how many there are.
            let expected = match figures.system {
                System::DeltaAsynchronous | System::DeltaSynchronous => {
                    Some((655.0 * others, 2700.0 * others))
                }
                System::Backup => Some((4500.0 + 1220.0 * more, 6600.0 + 1240.0 * more)),
                System::Redis => Some(REDIS),
                System::RedisCluster => Some((2120.0, 6430.0)),
                System::Sealed | System::IpHash | System::RouteCookie | System::Haproxy => {
                    Some((0.0, 0.0))
                }
                _ => None,
            };
            if let Some((read, write)) = expected {
                let near = |is: f64, should: f64| (is - should).abs() <= 0.1 * should + 1.0;
                claim(
                    near(bytes.read, read) && near(bytes.write, write),
                    format!(
                        "{:?}, {} nodes: {:.0} bytes a read and {:.0} a write are within 10 % of {read:.0} and {write:.0}",
                        figures.system, bytes.nodes, bytes.read, bytes.write
                    ),
                );
            }
        }
        let tabs = figures.tabs;
        if figures.system == System::Revocable {
            let logout = figures.logout;
            claim(
                logout.never == 0,
                format!(
                    "Revocable: after a logout every node refused the old cookie ({} of {} did not)",
                    logout.never, logout.rounds
                ),
            );
        }
        match figures.system {
            System::Sealed => {
                // Whichever is first, and however far apart: both requests carry the cookie of before.
                claim(
                    tabs.writes > 0 && tabs.lost * 2 == tabs.writes,
                    format!(
                        "{:?}: of two changes at once, the last one wins ({} of {} lost)",
                        figures.system, tabs.lost, tabs.writes
                    ),
                );
                let logout = figures.logout;
                claim(
                    logout.never == logout.rounds,
                    format!(
                        "Sealed: without revocation a copy of the cookie outlives the logout ({} of {})",
                        logout.never, logout.rounds
                    ),
                );
            }
            System::Redis => claim(
                tabs.lost > 0,
                format!(
                    "{:?}: changes at once are lost here too ({} of {})",
                    figures.system, tabs.lost, tabs.writes
                ),
            ),
            _ => {}
        }
    }
    for (road, steps) in &run.migrations {
        let (mut out, mut lost) = (0, 0);
        for step in steps {
            out += step.tally.logouts;
            lost += step.tally.lost;
        }
        claim(
            !steps.is_empty() && out == 0 && lost == 0,
            format!("{road}: nobody was logged out ({out}), nothing lost ({lost})"),
        );
    }
    claims
}

/// Bytes between the nodes and Redis for a session of 2,000 characters: a read and a write.
const REDIS: (f64, f64) = (2250.0, 4500.0);
