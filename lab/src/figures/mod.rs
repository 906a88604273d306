//! What a system takes and gives when nothing goes wrong.
//!
//! Bytes are the same on a machine that is busy, so they are counted first, while much else runs. Where times are measured,
//! a system has the machine for itself.

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

use crate::Result;
use crate::cluster::{Cluster, MOST, Setup, System};
use crate::events::SIZE;
use crate::front::Role;
use crate::tomcat::Compiler;

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

/// A system whose bytes have been counted, and which does nothing until its times are measured.
#[derive(Debug)]
pub(crate) struct Still {
    pub(crate) system: System,
    cluster: Cluster,
    bytes: Vec<Bytes>,
    direct: Direct,
    tabs: Tabs,
}

/// Counts the bytes of a system with two, three and four nodes, and the changes that are lost with three.
///
/// In a hurry, it is two nodes for everything.
pub(crate) async fn count(system: System, folder: &Path, quick: bool) -> Result<Still> {
    let nodes: &[usize] = if quick { &[2] } else { &[2, 3, MOST] };
    let only = [system.size()];
    let sizes = if quick { &only[..] } else { &SIZES };
    let setup = Setup { compiler: Compiler::Default, ..Setup::of(nodes[0]) };
    let mut cluster = Cluster::start(system, folder, setup).await?;
    let in_one_cookie = matches!(system, System::Sealed | System::Revocable);
    let (mut bytes, mut others) = (Vec::new(), None);
    for nodes in nodes {
        cluster.grow(*nodes).await?;
        let idle = Idle::measure(&cluster).await?;
        for size in sizes.iter().filter(|size| !in_one_cookie || **size <= SIZE) {
            bytes.push(bytes::measure(&cluster, idle, *size).await?);
        }
        if *nodes == 3 || quick {
            let size = system.size();
            let direct = bytes::measure_direct(&cluster, idle, size).await?;
            others = Some((direct, tabs::measure(&cluster, size).await?));
        }
    }
    if !quick {
        cluster.retire(MOST - 1, Role::Gone).await?;
    }
    if system == System::Sealed && !quick {
        // More than one cookie, behind a proxy with longer buffers.
        let folder = folder.join("split");
        let split = Setup { split: true, ..Setup::of(2) };
        let mut cluster = Cluster::start(system, &folder, split).await?;
        for nodes in nodes {
            cluster.grow(*nodes).await?;
            let idle = Idle::measure(&cluster).await?;
            bytes.push(bytes::measure(&cluster, idle, SIZES[2]).await?);
        }
    }
    let (direct, tabs) = others.ok_or("there were never three nodes")?;
    Ok(Still { system, cluster, bytes, direct, tabs })
}

impl Still {
    /// Measures times. Nothing else should run.
    pub(crate) async fn measure(self, quick: bool) -> Result<Figures> {
        let Self { system, cluster, bytes, direct, tabs } = self;
        let logout = logout::measure(&cluster, system.size()).await?;
        let load = load::measure(&cluster, system.size(), quick).await?;
        Ok(Figures { system, bytes, direct, load, logout, tabs })
    }
}
