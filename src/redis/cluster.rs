//! What the nodes of a cluster know: which of them holds a slot, and since which election.
//!
//! All keys of one hash tag are in one slot, so a plain connection to its master is enough for them. It is
//! found anew whenever anything is odd; a client that hides failovers would hide also what they lose.

use ::redis::{Cmd, FromRedisValue, Value, cmd};

use super::Node;

pub(super) fn question() -> Cmd {
    let mut question = cmd("CLUSTER");
    question.arg("NODES");
    question
}

/// What one node tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The master of the slot, and the number of the election that made it so.
    pub(super) master: Option<(u64, Node)>,
    pub(super) nodes: Vec<Node>,
}

/// Reads lines of `id host:port@bus[,name] flags master ping pong epoch link slots…`.
pub(super) fn read(answer: &Value, slot: u16, asked: &Node) -> Told {
    let mut told = Told::default();
    let Ok(lines) = String::from_redis_value_ref(answer) else { return told };
    for line in lines.lines() {
        let mut words = line.split(' ');
        let (Some(address), Some(flags)) = (words.nth(1), words.next()) else { continue };
        let Some(epoch) = words.nth(3).and_then(|epoch| epoch.parse().ok()) else { continue };
        if flags.split(',').any(|flag| flag == "noaddr" || flag == "handshake") {
            continue;
        }
        let Some(node) = node(address, asked) else { continue };
        let mut slots = words.skip(1).filter_map(range);
        if slots.any(|(first, last)| (first..=last).contains(&slot)) {
            told.master = told.master.max_by_epoch((epoch, node.clone()));
        }
        told.nodes.push(node);
    }
    told
}

trait ByEpoch {
    fn max_by_epoch(self, other: (u64, Node)) -> Self;
}

impl ByEpoch for Option<(u64, Node)> {
    fn max_by_epoch(self, other: (u64, Node)) -> Self {
        match self {
            Some(known) if known.0 >= other.0 => Some(known),
            _ => Some(other),
        }
    }
}

/// Reads `host:port@bus[,name]`. A node that does not know its own address gives none: it is where it was asked.
fn node(address: &str, asked: &Node) -> Option<Node> {
    let address = address.split(['@', ',']).next()?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { &asked.host } else { host };
    Some(Node { host: host.to_owned(), port: port.parse().ok().filter(|port| *port != 0)? })
}

/// Reads `7` or `0-5460`; slots that are on their way, `[7->-id]`, are still where they are.
fn range(slots: &str) -> Option<(u16, u16)> {
    let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Returns the slot of a key: CRC-16/XMODEM of it, or of its hash tag, modulo 16384.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
07c37df 127.0.0.1:30004@31004,node4.example slave e7d1eec 0 1426238317239 4 connected
67ed2db :30002@31002 myself,master - 0 1426238316232 2 connected 5461-10922
292f8b3 127.0.0.1:30003@31003 master - 0 1426238318243 3 connected 10923-16383 [7->-67ed2db]
6ec2392 127.0.0.1:0@0 master,noaddr - 0 1426238316232 5 disconnected 5
e7d1eec [2001:db8::1]:30001@31001 master - 0 0 1 connected 0-5460
824fe11 127.0.0.1:30006@31006 master - 0 0 9 connected 12
";

    #[test]
    fn the_master_of_a_slot_is_the_one_of_the_latest_election() {
        let asked = Node { host: "asked".into(), port: 1 };
        let read = |slot| read(&Value::BulkString(NODES.as_bytes().to_vec()), slot, &asked);
        let node = |host: &str, port| Node { host: host.into(), port };
        for (slot, expected) in [
            (5461, (2, node("asked", 30002))),
            (10922, (2, node("asked", 30002))),
            (16383, (3, node("127.0.0.1", 30003))),
            (5, (1, node("[2001:db8::1]", 30001))),
            (12, (9, node("127.0.0.1", 30006))),
        ] {
            assert_eq!(read(slot).master, Some(expected), "{slot}");
        }
        assert_eq!(read(5).nodes.len(), 5);
        assert_eq!(super::read(&Value::Nil, 5, &asked), Told::default());
    }

    /// Those of `CLUSTER KEYSLOT`, and the examples of the specification for hash tags.
    #[test]
    fn slots_are_those_of_redis() {
        for (key, expected) in [
            ("123456789", 12739),
            ("", 0),
            ("foo", 12182),
            ("{foo}bar", 12182),
            ("a{foo}bar", 12182),
            ("foo{}", slot("foo{}")),
            ("{{foo}}", slot("x{{foo}")),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
        assert_ne!(slot("{}a"), slot("{}b"));
    }
}
