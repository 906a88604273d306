//! What a system takes and gives when nothing goes wrong.
//!
//! Some systems are measured at once: bytes are the same on a machine that is busy. Where times are measured, a system has
//! the machine for itself; that is the lock that all share.

mod bytes;
mod load;
mod logout;
pub(crate) mod memory;
mod tabs;

use bytes::Idle;
pub(crate) use bytes::{Bytes, Direct};
pub(crate) use load::{Kind, Load};
pub(crate) use logout::Logout;
pub(crate) use tabs::{Tabs, WORK};

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

use crate::Result;
use crate::cluster::{Cluster, MOST, Setup, System};
use crate::events::SIZE;
use crate::front::Role;

/// Bytes of the sessions that are compared.
pub(crate) const SIZES: [usize; 3] = [200, 2000, 8000];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) system: System,
    pub(crate) bytes: Vec<Bytes>,
    /// Of the same at 2,000 bytes and three nodes, where all requests go to one node.
    pub(crate) direct: Direct,
    pub(crate) load: Load,
    pub(crate) logout: Logout,
    pub(crate) tabs: Tabs,
}

/// The machine: shared, or had alone.
pub(crate) type Machine = RwLock<()>;

/// Measures a system.
pub(crate) async fn measure(
    system: System,
    folder: &Path,
    quick: bool,
    machine: &Machine,
) -> Result<Figures> {
    let mut shared = machine.read().await;
    // Sticky nodes with sessions in memory send each other nothing, however many they are.
    let sticky = matches!(system, System::IpHash | System::RouteCookie | System::Haproxy);
    let nodes: &[usize] = match (quick, sticky) {
        (true, _) => &[2],
        (false, true) => &[3],
        (false, false) => &[2, 3, MOST],
    };
    let only = [system.size()];
    let sizes = if quick { &only[..] } else { &SIZES };
    let mut cluster =
        Cluster::start(system, folder, Setup { nodes: nodes[0], split: false }).await?;
    let in_one_cookie = matches!(system, System::Sealed | System::Revocable);
    let (mut bytes, mut others) = (Vec::new(), None);
    for nodes in nodes {
        for i in cluster.running().len()..*nodes {
            cluster.start_node(i, 1).await?;
            cluster.set(i, Role::Serves).await?;
        }
        let idle = Idle::measure(&cluster).await?;
        for size in sizes.iter().filter(|size| !in_one_cookie || **size <= SIZE) {
            bytes.push(bytes::measure(&cluster, idle, *size).await?);
        }
        if *nodes == 3 || quick {
            let size = system.size();
            let direct = bytes::measure_direct(&cluster, idle, size).await?;
            let tabs = tabs::measure(&cluster, size).await?;
            drop(shared);
            let alone = machine.write().await;
            let logout = logout::measure(&cluster, size).await?;
            let load = load::measure(&cluster, size, quick).await?;
            others = Some((direct, logout, tabs, load));
            drop(alone);
            shared = machine.read().await;
        }
    }
    drop(cluster);
    if system == System::Sealed && !quick {
        // More than one cookie, behind a proxy with longer buffers.
        let folder = folder.join("split");
        let cluster = Cluster::start(system, &folder, Setup { nodes: 3, split: true }).await?;
        let idle = Idle::measure(&cluster).await?;
        bytes.push(bytes::measure(&cluster, idle, SIZES[2]).await?);
    }
    drop(shared);
    let (direct, logout, tabs, load) = others.ok_or("there were never three nodes")?;
    Ok(Figures { system, bytes, direct, load, logout, tabs })
}
