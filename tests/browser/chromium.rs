//! Chromium, by its driver, which speaks WebDriver over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Chromium {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Chromium {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdout(Stdio::null())
            .spawn()
            .expect("chromedriver runs");
        let mut browser = Self { driver, address, session: String::new() };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "chromedriver does not listen");
            tokio::task::yield_now().await;
        }
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        }}});
        let created = browser.send("POST", "/session", &capabilities).await;
        browser.session = format!("/session/{}", created["sessionId"].as_str().unwrap());
        browser
    }

    pub(crate) async fn command(&mut self, name: &str, parameters: &Value) -> Value {
        let (method, path) = match name {
            "Navigate" => ("POST", "/url"),
            "Refresh" => ("POST", "/refresh"),
            "Back" => ("POST", "/back"),
            "ExecuteScript" => ("POST", "/execute/sync"),
            "GetCookies" => ("GET", "/cookie"),
            "GetWindowHandle" => ("GET", "/window"),
            "NewWindow" => ("POST", "/window/new"),
            "SwitchToWindow" => ("POST", "/window"),
            _ => unreachable!("{name} is not needed"),
        };
        let path = format!("{}{path}", self.session);
        self.send(method, &path, parameters).await
    }

    async fn send(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(connection);
        let mut len = 0;
        loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).await.unwrap(), 0, "the driver answers");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; len];
        lines.read_exact(&mut body).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(answer["value"].get("error").is_none(), "{method} {path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Chromium {
    /// Ends the browser by its driver, which alone knows all its processes; then the driver.
    fn drop(&mut self) {
        if let Ok(mut connection) = std::net::TcpStream::connect(self.address) {
            let head = format!("DELETE {} HTTP/1.1\r\nHost: localhost", self.session);
            let request = format!("{head}\r\nConnection: close\r\n\r\n");
            let _ = connection.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = connection.write_all(request.as_bytes());
            let _ = connection.read(&mut [0; 256]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
