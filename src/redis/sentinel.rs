//! What Sentinels know: who the master is, and since which election.

use ::redis::{Cmd, FromRedisValue, Value, cmd};

use super::Node;

pub(super) fn question(master: &str) -> Cmd {
    let mut question = cmd("SENTINEL");
    question.arg("MASTER").arg(master);
    question
}

/// Reads the number of the election and the master.
///
/// The address here is the one that the Sentinel believes in: while a failover runs it is still the old one, with
/// the old number.
pub(super) fn read(answer: &Value) -> Option<(u64, Node)> {
    let fields = Vec::<String>::from_redis_value_ref(answer).ok()?;
    let field = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [key, value] if key == name => Some(value.as_str()),
            _ => None,
        })
    };
    let node = Node { host: field("ip")?.to_owned(), port: field("port")?.parse().ok()? };
    Some((field("config-epoch")?.parse().ok()?, node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_and_its_election_are_read_and_what_lacks_one_is_not() {
        let answer = |fields: &[&str]| {
            Value::Array(fields.iter().map(|f| Value::BulkString(f.as_bytes().to_vec())).collect())
        };
        let whole = ["name", "main", "ip", "10.0.0.7", "port", "6379", "config-epoch", "3"];
        let node = Node { host: "10.0.0.7".into(), port: 6379 };
        assert_eq!(read(&answer(&whole)), Some((3, node)));
        for cut in [0, 2, 4, 6, 7] {
            assert_eq!(read(&answer(&whole[..cut])), None, "{cut}");
        }
        assert_eq!(read(&Value::Nil), None);
    }
}
