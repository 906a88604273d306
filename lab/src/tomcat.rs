//! Tomcat nodes that replicate their sessions, on loopback and without multicast.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::Result;
use crate::cluster::Setup;
use crate::process::{self, Process, free_port};
use crate::programs::TOMCAT;

const SERVER: &str = include_str!("../tomcat/server.xml");
const CONTEXT: &str = include_str!("../tomcat/context.xml");
const WEB: &str = include_str!("../tomcat/web.xml");
const SHOP: &str = include_str!("../tomcat/Shop.java");
const SERVLET: &str = include_str!("../tomcat/ShopServlet.java");

/// Without this line, the version is made of the fields, and so changes with them.
const VERSION: &str = "private static final long serialVersionUID = 1;";

/// How the nodes replicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replication {
    /// To all nodes, and the response does not wait.
    DeltaAsynchronous,
    /// To all nodes, before the response.
    DeltaSynchronous,
    /// To one other node, before the response; the rest learn where a session is.
    Backup,
}

impl Replication {
    fn manager(self) -> &'static str {
        match self {
            Self::DeltaAsynchronous | Self::DeltaSynchronous => {
                "<Manager className=\"org.apache.catalina.ha.session.DeltaManager\" \
                 stateTransferTimeout=\"5\" expireSessionsOnShutdown=\"false\" \
                 notifyListenersOnReplication=\"false\"/>"
            }
            Self::Backup => {
                "<Manager className=\"org.apache.catalina.ha.session.BackupManager\" \
                 mapSendOptions=\"6\" expireSessionsOnShutdown=\"false\" \
                 notifyListenersOnReplication=\"false\"/>"
            }
        }
    }

    /// Bits of Tribes: 8 sends asynchronously; 2 waits for the receiver, and 4 for its having done it.
    fn send_options(self) -> &'static str {
        if self == Self::DeltaSynchronous { "6" } else { "8" }
    }
}

/// How much the virtual machines do to make the code fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// What they do by default.
    Default,
    /// Little: they start in half the time, for what does not depend on how fast the code is in the end.
    Quick,
}

/// What all nodes of a cluster have in common.
#[derive(Debug)]
pub(crate) struct Tomcats {
    replication: Replication,
    compiler: Compiler,
    applications: usize,
    releases: &'static Path,
    folder: PathBuf,
    receivers: Vec<u16>,
}

impl Tomcats {
    /// Reserves a port for each node that may ever be.
    pub(crate) async fn new(
        replication: Replication,
        Setup { compiler, applications, .. }: Setup,
        folder: &Path,
        most: usize,
    ) -> Result<Self> {
        let releases = RELEASES.get_or_try_init(|| compile(folder)).await?;
        let receivers = (0..most).map(|_| free_port()).collect::<Result<_>>()?;
        let folder = folder.into();
        Ok(Self { replication, compiler, applications, releases, folder, receivers })
    }

    /// Starts node `i`. Its heap is bounded, so that what it takes is what it needs.
    pub(crate) fn start(&self, i: usize, port: u16, release: u32) -> Result<Process> {
        let base = self.folder.join(format!("tomcat{}", i + 1));
        for folder in ["conf", "logs", "temp"] {
            fs::create_dir_all(base.join(folder))?;
        }
        let source = self.releases.join(format!("release{release}"));
        for application in 0..self.applications {
            let folder = base.join("webapps").join(application_folder(application)).join("WEB-INF");
            let classes = folder.join("classes");
            fs::create_dir_all(&classes)?;
            for class in ["Shop.class", "ShopServlet.class"] {
                fs::copy(source.join(class), classes.join(class))?;
            }
            fs::write(folder.join("web.xml"), WEB)?;
        }
        fs::write(base.join("conf/web.xml"), "<web-app version=\"6.0\"/>")?;
        fs::write(base.join("conf/context.xml"), CONTEXT)?;
        fs::write(base.join("conf/server.xml"), self.server_xml(i, port))?;
        let base = base.to_string_lossy();
        let property = |name: &str, value: &str| format!("-D{name}={value}");
        Process::start(
            &format!("tomcat{}", i + 1),
            &self.folder,
            &[
                "java",
                "-Xmx2g",
                match self.compiler {
                    Compiler::Default => "-XX:+TieredCompilation",
                    Compiler::Quick => "-XX:TieredStopAtLevel=1",
                },
                &property("lab.node", &format!("n{}", i + 1)),
                &property("catalina.base", &base),
                &property("catalina.home", TOMCAT),
                &property("java.io.tmpdir", &format!("{base}/temp")),
                "-cp",
                &format!("{TOMCAT}/bin/bootstrap.jar:{TOMCAT}/bin/tomcat-juli.jar"),
                "org.apache.catalina.startup.Bootstrap",
                "start",
            ],
        )
    }

    fn server_xml(&self, i: usize, port: u16) -> String {
        let member = |element: &str, j: usize| {
            let port = self.receivers[j];
            let id = ["0"; 15].join(",");
            format!(
                "<{element} className=\"org.apache.catalina.tribes.membership.StaticMember\" \
                 host=\"127.0.0.1\" port=\"{port}\" uniqueId=\"{{{id},{}}}\"/>",
                j + 1
            )
        };
        let others = (0..self.receivers.len()).filter(|j| *j != i).map(|j| member("Member", j));
        let members: String = [member("LocalMember", i)].into_iter().chain(others).collect();
        SERVER
            .replace("@HTTP@", &port.to_string())
            .replace("@SEND@", self.replication.send_options())
            .replace("@MANAGER@", self.replication.manager())
            .replace("@RECEIVER@", &self.receivers[i].to_string())
            .replace("@MEMBERS@", &members)
    }
}

/// Returns the path before those of an application.
pub(crate) fn application_path(application: usize) -> String {
    if application == 0 { String::new() } else { format!("/{}", application_folder(application)) }
}

fn application_folder(application: usize) -> String {
    if application == 0 { "ROOT".into() } else { format!("shop{}", application + 1) }
}

/// Where the releases are that [`compile`] has made; all clusters have the same.
static RELEASES: OnceCell<PathBuf> = OnceCell::const_new();

/// Compiles the servlet in its releases, the last of which does not declare which version its session has.
async fn compile(folder: &Path) -> Result<PathBuf> {
    let second = SHOP.replace("//2 ", "");
    let undeclared = second.replace(VERSION, "");
    for (release, shop) in [(1, SHOP), (2, &second), (3, &undeclared)] {
        let source = folder.join(format!("release{release}"));
        fs::create_dir_all(&source)?;
        fs::write(source.join("Shop.java"), shop)?;
        fs::write(source.join("ShopServlet.java"), SERVLET)?;
        let servlets = format!("{TOMCAT}/lib/servlet-api.jar");
        let [shop, servlet] = ["Shop.java", "ShopServlet.java"].map(|name| source.join(name));
        let [classes, shop, servlet] = [&source, &shop, &servlet].map(|p| p.to_string_lossy());
        process::output(&["javac", "-cp", &servlets, "-d", &classes, &shop, &servlet]).await?;
    }
    Ok(folder.into())
}

/// Returns the bytes of live objects in the heaps of these processes, after a full collection.
pub(crate) async fn live_heap(ids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for id in ids {
        let id = id.to_string();
        process::output(&["jcmd", &id, "GC.run"]).await?;
        let info = process::output(&["jcmd", &id, "GC.heap_info"]).await?;
        let used = info.lines().filter(|line| line.contains(" total ")).filter_map(|line| {
            let (_, used) = line.split_once(" used ")?;
            used.split('K').next()?.parse::<u64>().ok()
        });
        sum += used.sum::<u64>() * 1024;
    }
    Ok(sum)
}
