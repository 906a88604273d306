//! What a system takes and gives when nothing goes wrong. One system at a time has the machine.

mod bytes;
mod load;
mod logout;
mod memory;
mod tabs;

pub(crate) use bytes::{Bytes, Direct};
pub(crate) use load::Load;
pub(crate) use logout::Logout;
pub(crate) use memory::Memory;
pub(crate) use tabs::Tabs;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cluster::{Cluster, MOST, Setup, System};
use crate::events::SIZE;

/// Bytes of the sessions that are compared.
pub(crate) const SIZES: [usize; 3] = [200, 2000, 8000];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) system: System,
    pub(crate) bytes: Vec<Bytes>,
    /// Of the same at 2,000 bytes and three nodes, where all requests go to one node.
    pub(crate) direct: Option<Direct>,
    pub(crate) load: Load,
    pub(crate) logout: Logout,
    pub(crate) tabs: Tabs,
    pub(crate) memory: Vec<Memory>,
}

/// Measures a system.
pub(crate) async fn measure(system: System, folder: &Path, quick: bool) -> Result<Figures> {
    let mut cluster = Cluster::start(system, folder, Setup { nodes: 2, split: false }).await?;
    let mut bytes = Vec::new();
    let sizes = if quick { &SIZES[1..2] } else { &SIZES };
    let most = if quick { 2 } else { MOST };
    let (mut direct, mut load, mut logout, mut tabs) = (None, None, None, None);
    for nodes in 2..=most {
        if nodes > 2 {
            cluster.start_node(nodes - 1, 1).await?;
            cluster.set(nodes - 1, crate::front::Role::Serves).await?;
        }
        for size in sizes {
            if system == System::Sealed && *size > SIZE {
                continue;
            }
            bytes.push(bytes::measure(&cluster, *size).await?);
        }
        if nodes == most.min(3) {
            direct = Some(bytes::measure_direct(&cluster, SIZE).await?);
            logout = Some(logout::measure(system, &cluster).await?);
            tabs = Some(tabs::measure(&cluster).await?);
            load = Some(load::measure(&cluster, quick).await?);
        }
    }
    drop(cluster);
    if system == System::Sealed && !quick {
        // More than one cookie, behind a proxy with longer buffers.
        let folder = folder.join("split");
        let setup = Setup { nodes: 3, split: true };
        let cluster = Cluster::start(system, &folder, setup).await?;
        bytes.push(bytes::measure(&cluster, SIZES[2]).await?);
    }
    let memory = memory::measure(system, &folder.join("memory"), quick).await?;
    let missing = "a figure was not measured";
    Ok(Figures {
        system,
        bytes,
        direct,
        load: load.ok_or(missing)?,
        logout: logout.ok_or(missing)?,
        tabs: tabs.ok_or(missing)?,
        memory,
    })
}
