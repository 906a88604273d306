//! The reverse proxy in front of the nodes, and how it spreads the requests.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::Result;
use crate::process::{Process, free_port};

/// How the proxy picks the node of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Balance {
    /// nginx, each node in turn.
    RoundRobin,
    /// nginx, by the client's address: for IPv4 its first three bytes.
    IpHash,
    /// nginx, by a cookie that it gives to each client for this alone.
    RouteCookie,
    /// nginx, by the cookie of the session itself.
    SessionCookie,
    /// HAProxy, by a cookie that names the node.
    HaproxyCookie,
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Serves,
    /// Keeps its place, as in a deploy.
    Down,
    /// Serves the clients that it has, and gets no new ones. HAProxy alone can do this.
    Drains,
    /// Is none of the nodes.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Front {
    balance: Balance,
    folder: PathBuf,
    process: Process,
    port: u16,
    nodes: Vec<u16>,
    lines: String,
}

impl Front {
    /// Starts the proxy before these nodes. `lines` are further ones for the configuration of nginx.
    pub(crate) async fn start(
        balance: Balance,
        folder: &Path,
        nodes: &[u16],
        roles: &[Role],
        lines: &str,
    ) -> Result<Self> {
        // The workers of nginx run as a user of their own.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let port = free_port()?;
        let process = if balance == Balance::HaproxyCookie {
            let file = folder.join("haproxy.cfg");
            fs::write(&file, haproxy_cfg(folder, port, nodes, roles))?;
            Process::start(
                "haproxy",
                folder,
                &["/usr/sbin/haproxy", "-db", "-f", &file.to_string_lossy()],
            )?
        } else {
            let file = folder.join("nginx.conf");
            fs::write(&file, nginx_conf(balance, folder, port, nodes, roles, lines))?;
            let file = file.to_string_lossy();
            let error_log = folder.join("nginx.log");
            let error_log = error_log.to_string_lossy();
            Process::start_with_workers(
                "nginx",
                folder,
                &["/usr/sbin/nginx", "-e", &error_log, "-c", &file],
            )?
        };
        let (folder, nodes, lines) = (folder.into(), nodes.to_vec(), lines.into());
        let mut front = Self { balance, folder, process, port, nodes, lines };
        front.until_it_listens().await?;
        Ok(front)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn ids(&self) -> Vec<u32> {
        self.process.ids()
    }

    /// Tells the proxy which nodes there are, without a connection lost.
    pub(crate) async fn set(&mut self, roles: &[Role]) -> Result<()> {
        if self.balance == Balance::HaproxyCookie {
            for (i, role) in roles.iter().enumerate() {
                let state = match role {
                    Role::Serves => "ready",
                    Role::Drains => "drain",
                    Role::Down | Role::Gone => "maint",
                };
                self.haproxy(&format!("set server nodes/n{} state {state}", i + 1)).await?;
            }
            return self.until_haproxy_sees(roles).await;
        }
        let conf =
            nginx_conf(self.balance, &self.folder, self.port, &self.nodes, roles, &self.lines);
        let file = self.folder.join("nginx.conf");
        if fs::read_to_string(&file)? == conf {
            return Ok(());
        }
        fs::write(file, conf)?;
        let before: BTreeSet<u32> = self.process.workers().into_iter().collect();
        self.process.signal(Signal::HUP);
        let since = Instant::now();
        while self.process.workers().iter().all(|id| before.contains(id)) {
            self.process.check()?;
            if since.elapsed() > Duration::from_secs(10) {
                return Err("nginx does not take its new configuration".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }

    async fn until_it_listens(&mut self) -> Result<()> {
        let since = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            self.process.check()?;
            if since.elapsed() > Duration::from_secs(10) {
                return Err("the proxy does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn until_haproxy_sees(&self, roles: &[Role]) -> Result<()> {
        let since = Instant::now();
        loop {
            // Columns: name of the backend, of the server, …, and the status as the 18th.
            let stat = self.haproxy("show stat").await?;
            let up = |i: usize| {
                let line =
                    stat.lines().find(|line| line.starts_with(&format!("nodes,n{},", i + 1)));
                line.and_then(|line| line.split(',').nth(17)).is_some_and(|s| s.starts_with("UP"))
            };
            if roles.iter().enumerate().all(|(i, role)| *role != Role::Serves || up(i)) {
                return Ok(());
            }
            if since.elapsed() > Duration::from_secs(10) {
                return Err("HAProxy does not see a node".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn haproxy(&self, command: &str) -> Result<String> {
        let mut stream = UnixStream::connect(self.folder.join("haproxy.sock")).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// After so many seconds without an answer a node is passed over, for as long as `fail_timeout`.
pub(crate) const READ_TIMEOUT: u64 = 3;
pub(crate) const FAIL_TIMEOUT: u64 = 2;

fn nginx_conf(
    balance: Balance,
    folder: &Path,
    port: u16,
    nodes: &[u16],
    roles: &[Role],
    lines: &str,
) -> String {
    let folder = folder.display();
    let mut servers = String::new();
    for (node, role) in nodes.iter().zip(roles) {
        let down = match role {
            Role::Serves | Role::Drains => "",
            Role::Down => " down",
            Role::Gone => continue,
        };
        let _ = writeln!(
            servers,
            "    server 127.0.0.1:{node} max_fails=1 fail_timeout={FAIL_TIMEOUT}s{down};"
        );
    }
    let (balance, cookie) = match balance {
        Balance::IpHash => ("ip_hash;", ""),
        Balance::RouteCookie => {
            ("hash $route consistent;", "add_header Set-Cookie $set_route always;")
        }
        Balance::SessionCookie => ("hash $cookie_id consistent;", ""),
        Balance::RoundRobin | Balance::HaproxyCookie => ("", ""),
    };
    format!(
        r#"daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/client; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  map $cookie_route $route {{ default $cookie_route; "" $request_id; }}
  map $cookie_route $set_route {{ default ""; "" "route=$request_id; Path=/; HttpOnly"; }}
  upstream nodes {{
    {balance}
{servers}    keepalive 32;
  }}
  server {{
    listen 127.0.0.1:{port};
    {lines}
    location / {{
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_read_timeout {READ_TIMEOUT}s;
      {cookie}
    }}
  }}
}}
"#
    )
}

fn haproxy_cfg(folder: &Path, port: u16, nodes: &[u16], roles: &[Role]) -> String {
    let folder = folder.display();
    let mut servers = String::new();
    for (i, (node, role)) in nodes.iter().zip(roles).enumerate() {
        let disabled = if *role == Role::Serves { "" } else { " disabled" };
        let name = i + 1;
        let _ = writeln!(
            servers,
            "  server n{name} 127.0.0.1:{node} cookie n{name} check inter 500ms fall 2 rise 1{disabled}"
        );
    }
    format!(
        r#"global
  stats socket {folder}/haproxy.sock mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server {READ_TIMEOUT}s
  option redispatch
  retries 2
  option httpchk GET /ready
frontend front
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  balance roundrobin
  cookie node insert indirect nocache
{servers}"#
    )
}
