//! Bytes between the servers, and to and from the client, of a read and of a write.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::process::output;
use crate::users::notes;

/// So many requests of each kind are made, one after another.
const REQUESTS: u32 = 120;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bytes {
    pub(crate) nodes: usize,
    pub(crate) size: usize,
    /// Between the servers: nodes, and the store if there is one. The proxy is not counted.
    pub(crate) read: f64,
    pub(crate) write: f64,
    /// Of the client's requests and responses, heads included.
    pub(crate) client_read: (f64, f64),
    pub(crate) client_write: (f64, f64),
}

/// Bytes between the servers if each request of a user goes to the same node.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Direct {
    pub(crate) read: f64,
    pub(crate) write: f64,
}

/// What flows between the servers without any request, in bytes a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle(f64);

impl Idle {
    pub(crate) async fn measure(cluster: &Cluster) -> Result<Self> {
        tokio::time::sleep(PAUSE).await;
        let (since, before) = (Instant::now(), between_servers(cluster).await?);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let bytes = between_servers(cluster).await?.saturating_sub(before);
        Ok(Self(bytes as f64 / since.elapsed().as_secs_f64()))
    }
}

/// Where so much time brings nothing new, nothing is under way any more.
const PAUSE: Duration = Duration::from_millis(150);

/// Waits until what is under way after a response has arrived, and returns the bytes between the servers so far.
async fn settled(cluster: &Cluster, Idle(idle): Idle) -> Result<u64> {
    let mut sum = between_servers(cluster).await?;
    // A machine that is busy takes its time; one that talks without end is not waited for.
    for _ in 0..20 {
        let since = Instant::now();
        tokio::time::sleep(PAUSE).await;
        let now = between_servers(cluster).await?;
        let more = now.saturating_sub(sum) as f64;
        sum = now;
        if more <= idle * since.elapsed().as_secs_f64() + 200.0 {
            break;
        }
    }
    Ok(sum)
}

pub(crate) async fn measure(cluster: &Cluster, idle: Idle, size: usize) -> Result<Bytes> {
    let mut client = Client::new(cluster.front.port());
    log_in(&mut client, size).await?;
    let (write, client_write) = requests(cluster, idle, &mut client, true).await?;
    let (read, client_read) = requests(cluster, idle, &mut client, false).await?;
    Ok(Bytes { nodes: cluster.running().len(), size, read, write, client_read, client_write })
}

pub(crate) async fn measure_direct(cluster: &Cluster, idle: Idle, size: usize) -> Result<Direct> {
    let mut client = Client::new(cluster.port(0));
    log_in(&mut client, size).await?;
    let (write, _) = requests(cluster, idle, &mut client, true).await?;
    let (read, _) = requests(cluster, idle, &mut client, false).await?;
    Ok(Direct { read, write })
}

async fn log_in(client: &mut Client, size: usize) -> Result<()> {
    let answer = client.post("/login", &format!("user=u0&notes={}", notes(size))).await?;
    if answer.status == 200 { Ok(()) } else { Err(format!("login: {answer:?}").into()) }
}

/// Returns bytes between the servers for each request, and those from and to the client.
async fn requests(
    cluster: &Cluster,
    idle: Idle,
    client: &mut Client,
    write: bool,
) -> Result<(f64, (f64, f64))> {
    // For the login, and for the one request after which connections are there.
    request(client, write).await?;
    let before = settled(cluster, idle).await?;
    let (since, traffic) = (Instant::now(), client.traffic());
    for _ in 0..REQUESTS {
        request(client, write).await?;
    }
    let after = client.traffic();
    let bytes = settled(cluster, idle).await?.saturating_sub(before) as f64;
    let bytes = (bytes - idle.0 * since.elapsed().as_secs_f64()).max(0.0);
    let each = |bytes: u64| bytes as f64 / f64::from(REQUESTS);
    let client = (each(after.0 - traffic.0), each(after.1 - traffic.1));
    Ok((bytes / f64::from(REQUESTS), client))
}

async fn request(client: &mut Client, write: bool) -> Result<()> {
    let answer = match write {
        true => client.post("/cart", "item=1").await?,
        false => client.get("/cart").await?,
    };
    // Just after a login, a node may not have heard of it; that is counted elsewhere.
    if answer.status >= 500 { Err(format!("{answer:?}").into()) } else { Ok(()) }
}

/// Returns the bytes that the servers have sent over the connections among them, as the kernel counts.
///
/// By which the servers of Redis tell each other how they are is left out: it depends on no request.
async fn between_servers(cluster: &Cluster) -> Result<u64> {
    let mut ids = cluster.node_ids();
    ids.extend(cluster.redis.iter().flat_map(|redis| redis.ids()));
    // What comes and goes at a node's own port is for the proxy.
    let mut others = cluster.ports().to_vec();
    others.extend(cluster.redis.iter().flat_map(|redis| redis.buses()));
    let sockets = output(&["ss", "-tinpHO", "state", "established"]).await?;
    // Nor does what Sentinels ask of the servers depend on requests.
    let watchers: Vec<u32> = cluster.redis.iter().flat_map(|redis| redis.watchers()).collect();
    others
        .extend(sockets.lines().filter(|of| is_of(of, &watchers)).filter_map(|of| ends(of).next()));
    let mut sum = 0;
    for socket in sockets.lines() {
        if is_of(socket, &ids) && !ends(socket).any(|port| others.contains(&port)) {
            let (_, sent) = socket.split_once("bytes_sent:").unwrap_or(("", "0"));
            sum += sent.split(' ').next().and_then(|sent| sent.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Returns whether one of these processes has the socket that this line of `ss` is about.
fn is_of(socket: &str, ids: &[u32]) -> bool {
    socket.split("pid=").skip(1).any(|from| {
        let id = from.split(|c: char| !c.is_ascii_digit()).next();
        id.and_then(|id| id.parse().ok()).is_some_and(|id| ids.contains(&id))
    })
}

/// Returns the ports of a socket: its own, and its peer's.
fn ends(socket: &str) -> impl Iterator<Item = u16> {
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse().ok());
    socket.split_whitespace().skip(2).take(2).filter_map(port)
}
