//! The feed under load: much at once, of this node and of others.

use std::time::{Duration, Instant, SystemTime};

use sealed_session::revocation::{Feed, RedisFeed, Revocations, WhenStale};

use super::servers::Server;
use super::{PATIENCE, WEEK, id, until};

const LOG: &str = "{sealed-session}:revoked";

fn follow(server: &Server, set: &Revocations) -> Feed {
    let feed = RedisFeed::new(&server.url(), WhenStale::Refuse).unwrap().spawn(set).unwrap();
    assert!(feed.wait(PATIENCE), "{:?}", feed.status());
    feed
}

fn revoke(set: &Revocations, numbers: impl Iterator<Item = u64>) {
    let now = SystemTime::now();
    numbers.for_each(|number| drop(set.revoke_session_at(id(number), now).unwrap()));
}

#[test]
#[ignore = "needs redis-server"]
fn what_is_more_than_can_be_queued_reaches_the_others_all_the_same() {
    let server = Server::start("");
    let [set, other] = [(); 2].map(|()| Revocations::new(WEEK));
    let _feeds = [&set, &other].map(|set| follow(&server, set));
    // What a node lacks at its start is told within half a second.
    let started = Instant::now();
    until("that is over", || started.elapsed() >= Duration::from_millis(800));
    // Nothing leaves the queue meanwhile.
    server.signal("STOP");
    revoke(&set, std::iter::repeat_n(0, 100_000).chain(1..=1000));
    server.signal("CONT");
    until("the other knows all", || other.len() == 1001);
}

#[test]
#[ignore = "needs redis-server"]
fn a_backlog_holds_up_no_heartbeat_and_does_not_wait_again_and_again_for_a_replica_that_is_stopped()
{
    const MANY: u64 = 20_000;
    let server = Server::start("");
    let replica = Server::start(&format!("replicaof 127.0.0.1 {}", server.port));
    until("the replica is up", || server.call(&["INFO", "replication"]).contains("state=online"));
    let set = Revocations::new(WEEK);
    let _feed = follow(&server, &set);
    let commands = server.monitor();
    replica.signal("STOP");
    server.signal("STOP");
    let stopped = Instant::now();
    revoke(&set, 0..MANY);
    until("a heartbeat is due", || stopped.elapsed() >= Duration::from_millis(600));
    server.signal("CONT");
    let (mut sent, mut before_the_beat, mut waits) = (0, None, 0);
    for command in commands {
        if command.contains(r#""XADD" "{sealed-session}:revoked""#) {
            sent += 1;
        } else if command.contains(r#""XADD" "{sealed-session}:beat:"#) {
            before_the_beat.get_or_insert(sent);
        } else if command.contains(r#""WAIT""#) {
            waits += 1;
        }
        if sent == MANY {
            break;
        }
    }
    assert!(before_the_beat.is_some_and(|sent| sent <= 2000), "{before_the_beat:?} of {MANY}");
    assert!(waits < 20, "{waits}");
}

/// Who has heard a heartbeat knows all that was revoked before it was written.
#[test]
#[ignore = "needs redis-server"]
fn a_heartbeat_counts_once_all_that_was_written_before_it_is_read() {
    const MANY: usize = 40_000;
    let server = Server::start("");
    let set = Revocations::new(WEEK);
    let began = Instant::now();
    let _feed = follow(&server, &set);
    let beats = server.call(&["KEYS", "*:beat:*"]);
    let beats = beats.lines().last().unwrap();
    let script = "for n = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'e', \
                  '\\1' .. struct.pack('>I8I8I5I5', n, 7, 0, 2 ^ 39)) end";
    assert_eq!(server.call(&["EVAL", script, "1", LOG, &MANY.to_string()]), "$-1");
    // One more, so as not to depend on when the next one is due.
    let written = began.elapsed();
    server.call(&["XADD", beats, "*", "t", &written.as_millis().to_string()]);
    let written = began + written;
    until("the heartbeat is heard", || {
        let now = Instant::now();
        let heard = now - set.staleness().unwrap();
        if heard < written {
            return false;
        }
        assert_eq!(set.len(), MANY, "{:?} after it was written", now - written);
        true
    });
}
