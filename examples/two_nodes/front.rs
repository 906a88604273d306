//! The front: a load balancer that sends each request to either node, and buttons to rotate the key and to stop and start
//! nodes.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sealed_session::{Key, KeyRing, RingKey};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::Result;
use crate::browser;
use crate::node::Node;
use crate::page::{self, FLEET, ROUTE};

const NAMES: [&str; 2] = ["A", "B"];

struct Fleet {
    nodes: [Option<Node>; 2],
    /// The node that got the last request, and how many in a row it got.
    last: (usize, u8),
    /// The texts of the keys, the primary first.
    keys: Vec<String>,
    /// The last requests, the newest last.
    recent: VecDeque<Routed>,
}

/// A request, and the node that got it.
struct Routed {
    method: Method,
    path: String,
    node: &'static str,
}

/// Serves on `port`. Without one it takes 8080, or any free port if that is taken.
pub(crate) async fn serve(port: Option<u16>) -> Result<()> {
    let keys = vec![Key::generate()?.expose_text().to_string()];
    let nodes = [
        Some(Node::start(NAMES[0], ring_keys(&keys)?).await?),
        Some(Node::start(NAMES[1], ring_keys(&keys)?).await?),
    ];
    let fleet = Arc::new(Mutex::new(Fleet { nodes, last: (1, 0), keys, recent: VecDeque::new() }));
    let listener =
        match (TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(8080))).await, port) {
            (Err(error), None) if error.kind() == ErrorKind::AddrInUse => {
                println!("port 8080 is taken, so another one it is");
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?
            }
            (Err(error), Some(port)) => return Err(format!("port {port}: {error}").into()),
            (bound, _) => bound?,
        };
    println!("open http://localhost:{}/ — stop with Ctrl-C", listener.local_addr()?.port());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&fleet), request));
            // A browser that goes away in the middle of a request is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    fleet: Arc<Mutex<Fleet>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let mut fleet = fleet.lock().await;
    if request.method() == Method::POST && request.uri().path().starts_with("/fleet/") {
        fleet.act(request.uri().path()).await?;
        return Ok(Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, "/")
            .body(Full::default())?);
    }
    let Some((name, node)) = fleet.next() else {
        let page = page::fill(NO_NODE, "<p>Nobody answered it but the load balancer.</p>");
        return Ok(Response::builder()
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
            .body(page.replace(FLEET, &fleet.panel()).into())?);
    };
    let route = fleet.route(&request, name);
    let panel = fleet.panel();
    drop(fleet);

    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, Full::new(body.collect().await?.to_bytes()));
    let (mut head, body) = browser::send(node, request).await?.into_parts();
    let html = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
    if !html {
        return Ok(Response::from_parts(head, Full::new(body)));
    }
    head.headers.remove(header::CONTENT_LENGTH);
    let page = String::from_utf8_lossy(&body).replace(ROUTE, &route).replace(FLEET, &panel);
    Ok(Response::from_parts(head, Full::new(Bytes::from(page))))
}

impl Fleet {
    /// Picks a node that is up by chance, and none three times in a row. Strict turns would always send the form to one
    /// node and the page after it to the other.
    fn next(&mut self) -> Option<(&'static str, SocketAddr)> {
        let mut byte = [0];
        SysRng.try_fill_bytes(&mut byte).ok()?;
        let (last, in_a_row) = self.last;
        let other = 1 - last;
        let chosen = if in_a_row >= 2 || byte[0] % 2 == 0 { other } else { last };
        let chosen = if self.nodes[chosen].is_some() { chosen } else { 1 - chosen };
        self.last = (chosen, if chosen == last { in_a_row.saturating_add(1) } else { 1 });
        self.nodes[chosen].as_ref().map(|node| (node.name, node.address))
    }

    /// Notes who gets a request, and tells who got the form that led to it: a form and the page after it
    /// are two requests.
    fn route(&mut self, request: &Request<Incoming>, node: &'static str) -> String {
        let form = self
            .recent
            .back()
            .filter(|last| request.method() == Method::GET && last.method == Method::POST);
        let mut route = form.map_or(String::new(), |form| {
            let path = page::escape(&form.path);
            format!(
                "<dt>Form sent to</dt><dd><code>{0}</code> on node <b class='node {1}'>{1}</b></dd>",
                path, form.node
            )
        });
        let cookies = request.headers().get_all(header::COOKIE);
        let ours = |value: &[u8]| String::from_utf8_lossy(value).contains("__Host-session=");
        let kept = cookies.iter().any(|value| ours(value.as_bytes()));
        if form.is_some_and(|form| form.path == "/login") && !kept {
            route += NOT_KEPT;
        }
        let path = request.uri().path().chars().take(40).collect();
        self.recent.push_back(Routed { method: request.method().clone(), path, node });
        if self.recent.len() > 6 {
            self.recent.pop_front();
        }
        route
    }

    async fn act(&mut self, path: &str) -> Result<()> {
        match path {
            "/fleet/rotate" => {
                // Announce on all nodes, then promote on all nodes; the old key goes on opening.
                let new = Key::generate()?.expose_text();
                for node in self.nodes.iter().flatten() {
                    let mut keys = ring_keys(&self.keys)?;
                    keys.push(RingKey::open_only(new.parse()?));
                    node.replace_keys(keys)?;
                }
                self.keys.insert(0, new.to_string());
                self.keys.truncate(KeyRing::MAX_KEYS / 2);
                for node in self.nodes.iter().flatten() {
                    node.replace_keys(ring_keys(&self.keys)?)?;
                }
            }
            "/fleet/0" | "/fleet/1" => {
                let i = usize::from(path.ends_with('1'));
                match self.nodes[i].take() {
                    Some(node) => node.stop().await?,
                    None => {
                        self.nodes[i] = Some(Node::start(NAMES[i], ring_keys(&self.keys)?).await?)
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Draws how the last requests travelled: the form, if there was one, and then the page.
    fn journey(&self) -> String {
        let legs = self.recent.iter().rev().take(2).collect::<Vec<_>>();
        let form = legs.get(1).filter(|form| form.method == Method::POST);
        let travels = form.copied().into_iter().chain(legs.first().copied());
        let dots: String = travels
            .enumerate()
            .map(|(i, Routed { method, node, .. })| {
                let y = if *node == "A" { 32 } else { 108 };
                format!(
                    "<g class='dot {node}' opacity=0><rect x=-25 y=-12 width=50 height=24 rx=12 /><text y=5>{method}</text>
                    <set attributeName=opacity to=1 begin={begin}s />
                    <animateMotion path='M75 70 H285 L480 {y} L285 70 H75' begin={begin}s dur=2s fill=freeze
                    calcMode=spline keyPoints='0;.5;1' keyTimes='0;.5;1' keySplines='.4 0 .4 1;.4 0 .4 1' />
                    <set attributeName=opacity to=0 begin={end}s /></g>",
                    method = page::escape(method.as_str()),
                    begin = 0.3 + 2.2 * i as f32,
                    end = 2.3 + 2.2 * i as f32,
                )
            })
            .collect();
        let node = |name: &str, y: u8, up: bool| {
            let class = if up { name } else { "off" };
            format!(
                "<g class='box {class}'><rect x=480 y={} width=90 height=48 rx=10 /><text x=525 y={}>node {name}</text></g>",
                y - 24,
                y + 6
            )
        };
        format!(
            "<svg class=journey viewBox='0 0 600 140' role=img aria-label='how the last requests travelled'>
            <path d='M75 70 H285 L480 32 M285 70 L480 108' />
            <g class=box><rect x=10 y=46 width=110 height=48 rx=10 /><text x=65 y=76>browser</text></g>
            <g class=box><rect x=215 y=46 width=140 height=48 rx=10 /><text x=285 y=76>load balancer</text></g>
            {}{}{dots}</svg>",
            node("A", 32, self.nodes[0].is_some()),
            node("B", 108, self.nodes[1].is_some()),
        )
    }

    fn panel(&self) -> String {
        let nodes: String = NAMES
            .iter()
            .zip(&self.nodes)
            .enumerate()
            .map(|(i, (name, node))| {
                let (class, state, action) = match node {
                    Some(_) => (*name, "runs", "Stop"),
                    None => ("off", "is stopped", "Start"),
                };
                format!(
                    "<form method=post action=/fleet/{i} class=row><span><b class='node {class}'>{name}</b>
                    {state}</span><button>{action} node {name}</button></form>"
                )
            })
            .collect();
        let recent: String = self
            .recent
            .iter()
            .map(|Routed { method, path, node }| {
                let (method, path) = (page::escape(method.as_str()), page::escape(path));
                format!("<li><code>{method} {path}</code> <b class='node {node}'>{node}</b></li>")
            })
            .collect();
        format!(
            "<section class='wide first'>{}</section><section class=wide><h2>The fleet</h2><div class=fleet>{nodes}
            <form method=post action=/fleet/rotate class=row><span>Keys in the ring: {}</span>
            <button>Rotate key</button></form></div>
            <p class=hint>Rotate, stop and start as you like: you stay logged in. Nothing of you is on the nodes,
            so even both may stop.</p>
            <h3>The last requests and who answered them</h3><ol class=recent>{recent}</ol></section>",
            self.journey(),
            self.keys.len()
        )
    }
}

const NO_NODE: &str = "<h2>No node is running</h2>
    <p>Your session is still in your cookie; start a node.</p>";

const NOT_KEPT: &str = "<dt>Login</dt><dd class=notice>Your browser did not keep the cookie. Some, such as Safari, take
    no <code>Secure</code> cookie from <code>http://localhost</code>: try Firefox or Chromium.</dd>";

/// The newest, which is the first, seals; the others have sealed before it and only open now.
fn ring_keys(keys: &[String]) -> Result<Vec<RingKey>> {
    let activations = (1..).map(|i| SystemTime::UNIX_EPOCH + Duration::from_secs(i));
    let mut all = Vec::new();
    for (text, at) in keys.iter().rev().zip(activations) {
        all.push(RingKey::new(text.parse()?).activates(at));
    }
    Ok(all)
}
