//! An nginx before nodes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// An nginx on a port of its own.
pub struct Nginx {
    pub address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Nginx {
    /// Starts it with what stands in `http`, where `LISTEN` is its address.
    pub async fn start(http: &str) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let directory = tempfile::tempdir().unwrap();
        let http = http.replace("LISTEN", &address.to_string());
        let text = format!(
            "worker_processes 1;\nevents {{}}\nhttp {{\naccess_log off;\nproxy_set_header Host $host;\n{http}\n}}\n"
        );
        std::fs::write(directory.path().join("nginx.conf"), text).unwrap();
        let child = command(&directory).stderr(Stdio::inherit()).spawn().expect("nginx runs");
        let nginx = Self { address, child, directory };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            tokio::task::yield_now().await;
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = command(&self.directory).args(["-s", "stop"]).status();
        let _ = self.child.wait();
    }
}

fn command(directory: &TempDir) -> Command {
    let path = |name| directory.path().join(name).display().to_string();
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p", &path(""), "-c", &path("nginx.conf")]);
    command.args(["-g", &format!("daemon off; pid {};", path("pid"))]);
    command
}
