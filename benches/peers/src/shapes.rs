//! What a request does with a session of each shape: it opens it, or opens, changes and seals it, or begins anew.

use crate::contest::{Score, measure};
use crate::contestants::{self, Session};
use crate::sessions::{self, shapes};

const TARGETS: &str = "\
Medians of processor time, in ns; ratios are to `serde_json` and `cookie::PrivateJar`, and to the floor, in the same rounds.
*Change* is decode, change, and `encode_changed`, as the middlewares do it. The last two columns are without reading back what is sealed
(`Builder::dangerous_without_read_back`).";

pub(crate) fn table() {
    println!("{TARGETS}\n");
    println!(
        "| session | JSON bytes | decode ns | × jar | × floor | change ns | × jar | × floor | renew ns | × jar | bytes | × jar | change × jar | renew × jar |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    row("empty", &shapes::empty());
    row("login", &sessions::login());
    row("40 permissions", &shapes::permissions());
    row("names not of ASCII", &shapes::non_ascii());
    row("20 UUIDs", &shapes::uuids());
    row("shop", &sessions::shop());
    row("OpenID Connect", &sessions::openid_connect());
    row("OpenID Connect, large", &sessions::openid_connect_large());
    row("map of 200", &shapes::map_of_200());
    row("SAML, 30 lists", &shapes::saml());
    row("`HashMap` of 400 flags", &shapes::flags_400());
    row("20 `HashMap`s in one", &shapes::nested());
}

fn row<T: Session>(name: &str, session: &T) {
    let json = serde_json::to_string(session).expect("JSON").len();
    let scores = measure(
        &[
            contestants::ours(),
            contestants::private_jar(),
            contestants::floor(),
            contestants::ours_not_read_back(),
        ],
        session,
    );
    let [ours, jar, floor, unread] = &scores[..] else { unreachable!("four") };
    let bytes = |score: &Score| match score.cookies {
        1 => score.bytes.to_string(),
        cookies => format!("{} ({cookies})", score.bytes),
    };
    println!(
        "| {name} | {json} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {} | {:.2} | {:.2} | {:.2} |",
        ours.decode.median(),
        ours.decode.over(&jar.decode),
        ours.decode.over(&floor.decode),
        ours.cycle.median(),
        ours.cycle.over(&jar.cycle),
        ours.cycle.over(&floor.cycle),
        ours.encode.median(),
        ours.encode.over(&jar.encode),
        bytes(ours),
        ours.bytes as f64 / jar.bytes as f64,
        unread.cycle.over(&jar.cycle),
        unread.encode.over(&jar.encode),
    );
}
