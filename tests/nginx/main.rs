//! Two nodes behind a real nginx, with the configuration of the examples.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod client;
mod server;

use sealed_session::{EncodeError, Limits};

use client::Client;
use server::{Nginx, Node, codec, key};

const NO_LINES: &str = "";
const LINES_8K: &str = "proxy_buffer_size 8k;";
const LINES_16K: &str =
    "proxy_buffer_size 16k; proxy_buffers 8 16k; large_client_header_buffers 4 16k;";

/// Each profile with the lines of the file that it names, and those that must not do.
#[tokio::test]
#[ignore = "needs nginx"]
async fn the_largest_session_of_each_profile_passes_with_the_lines_it_names_and_no_less() {
    for (limits, cookies, needs, too_little) in [
        (Limits::UNMODIFIED_NGINX, 1, NO_LINES, &[][..]),
        (Limits::NGINX_PROXY_BUFFER_8K, 2, LINES_8K, &[NO_LINES][..]),
        (Limits::NGINX_PROXY_BUFFER_16K, 4, LINES_16K, &[NO_LINES, LINES_8K]),
    ] {
        assert!(
            needs.is_empty() || server::EXAMPLE.contains(&format!("    # {needs}\n")),
            "the file names {needs}"
        );
        let len = largest(limits);
        for (lines, passes) in
            [(needs, true)].into_iter().chain(too_little.iter().map(|lines| (*lines, false)))
        {
            let nodes = [Node::start(1, limits).await, Node::start(2, limits).await];
            let nginx = Nginx::start(&nodes, lines).await;
            let mut client = Client::new(nginx.address);
            let (status, body) = client.get(&format!("/fill/{len}")).await;
            if !passes {
                assert_eq!(status, 502, "{limits:?} with {lines:?}");
                assert!(client.cookies.is_empty());
                continue;
            }
            assert_eq!((status, body.as_str()), (200, "filled"), "{limits:?} with {lines:?}");
            assert_eq!(client.cookies.len(), cookies, "{limits:?}");
            // Round robin: both nodes read it, and the second write has it in both directions.
            let mut answered = Vec::new();
            for path in ["/read", "/read", &format!("/fill/{len}"), "/read", "/read"] {
                let (status, body) = client.get(path).await;
                assert_eq!(status, 200, "{path}: {limits:?} with {lines:?}");
                if let Some((node, found)) = body.split_once(' ') {
                    assert_eq!(found.parse(), Ok(len), "{limits:?}");
                    answered.push(node.to_owned());
                }
            }
            answered.sort();
            answered.dedup();
            assert_eq!(answered, ["1", "2"], "both nodes were asked");
        }
    }
}

/// `large_client_header_buffers` is about requests: what is stored must also come back.
#[tokio::test]
#[ignore = "needs nginx"]
async fn the_request_line_of_the_largest_profile_needs_its_setting_too() {
    let limits = Limits::NGINX_PROXY_BUFFER_16K;
    let nodes = [Node::start(1, limits).await, Node::start(2, limits).await];
    let nginx = Nginx::start(&nodes, "proxy_buffer_size 16k; proxy_buffers 8 16k;").await;
    let mut client = Client::new(nginx.address);
    assert_eq!(client.get(&format!("/fill/{}", largest(limits))).await.0, 200);
    assert_eq!(client.get("/read").await.0, 400);
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn nodes_come_and_go_and_nobody_is_logged_out() {
    let limits = Limits::default();
    let (first, second) = (Node::start(1, limits).await, Node::start(2, limits).await);
    let nodes = [first, second];
    let mut nginx = Nginx::start(&nodes, NO_LINES).await;
    let mut client = Client::new(nginx.address);
    assert_eq!(client.get("/fill/0").await.0, 200);
    let mut len = 0;
    let mut traffic = async |client: &mut Client, wanted: &[&str]| {
        let mut seen = Vec::new();
        for _ in 0..200 {
            let (status, body) = client.get("/more").await;
            assert_eq!(status, 200, "{body}");
            len += 1;
            let (node, found) = body.split_once(' ').unwrap();
            assert_eq!(found.parse(), Ok(len), "the session goes on, whoever answers");
            if !seen.iter().any(|seen| seen == node) {
                seen.push(node.to_owned());
            }
            if len % 20 == 0 && wanted.iter().all(|node| seen.iter().any(|seen| seen == node)) {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, wanted, "who answers");
    };
    traffic(&mut client, &["1", "2"]).await;

    // Killed: the listener is gone, and nginx asks the other one.
    let [first, second] = nodes;
    let address = first.address;
    first.kill().await;
    traffic(&mut client, &["2"]).await;

    // Restarted, and a third one added.
    let first = Node::start_at(1, limits, address).await;
    let third = Node::start(3, limits).await;
    let nodes = [first, second, third];
    nginx.reload(&nodes).await;
    traffic(&mut client, &["1", "2", "3"]).await;

    // Only the new one is left.
    let [first, second, _third] = nodes;
    first.kill().await;
    second.kill().await;
    traffic(&mut client, &["3"]).await;
}

/// The most characters that a session may have, found by asking the codec.
fn largest(limits: Limits) -> usize {
    let codec = codec(key(), limits);
    let fits = |len: usize| {
        let request = codec.request::<_, str>([]);
        match codec.renew(&server::noise(len), &request) {
            Ok(_) => true,
            Err(EncodeError::TooLarge(_)) => false,
            Err(other) => panic!("{other}"),
        }
    };
    let (mut low, mut high) = (0, 64 * 1024);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}
