//! Firefox, by Marionette: WebDriver's commands over TCP, as Firefox itself speaks it.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Firefox {
    process: Child,
    connection: BufReader<TcpStream>,
    commands: u32,
    _profile: TempDir,
}

impl Firefox {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let profile = tempfile::tempdir().unwrap();
        let preferences = format!("user_pref(\"marionette.port\", {});\n", address.port());
        std::fs::write(profile.path().join("user.js"), preferences).unwrap();
        let process = Command::new("firefox-esr")
            .args(["--headless", "--marionette", "--no-remote", "--profile"])
            .arg(profile.path())
            .env("HOME", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("firefox-esr runs");
        let deadline = Instant::now() + Duration::from_secs(60);
        let connection = loop {
            match TcpStream::connect(address).await {
                Ok(connection) => break BufReader::new(connection),
                Err(_) => assert!(Instant::now() < deadline, "Firefox does not listen"),
            }
            tokio::task::yield_now().await;
        };
        let mut firefox = Self { process, connection, commands: 0, _profile: profile };
        let greeting = firefox.receive().await;
        assert_eq!(greeting["marionetteProtocol"], 3, "{greeting}");
        firefox.command("NewSession", json!({ "acceptInsecureCerts": true })).await;
        firefox
    }

    pub(crate) async fn command(&mut self, name: &str, parameters: Value) -> Value {
        self.commands += 1;
        let parameters = if parameters.is_null() { json!({}) } else { parameters };
        let text = json!([0, self.commands, format!("WebDriver:{name}"), parameters]).to_string();
        let framed = format!("{}:{text}", text.len());
        self.connection.write_all(framed.as_bytes()).await.unwrap();
        let mut answer = self.receive().await;
        assert_eq!(answer[1], self.commands);
        assert!(answer[2].is_null(), "{name}: {answer}");
        let mut result = answer[3].take();
        match result.get_mut("value") {
            Some(value) => value.take(),
            None => result,
        }
    }

    /// Reads the length, a colon, and so many bytes of JSON.
    async fn receive(&mut self) -> Value {
        let mut len = Vec::new();
        self.connection.read_until(b':', &mut len).await.unwrap();
        let len = String::from_utf8(len).unwrap();
        let mut text = vec![0; len.trim_end_matches(':').parse().expect("a length")];
        self.connection.read_exact(&mut text).await.unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
