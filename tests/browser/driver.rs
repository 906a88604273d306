//! The little of WebDriver (W3C) that is needed.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    origin: String,
}

impl Browser {
    pub(crate) async fn start(origin: &str) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdout(Stdio::null())
            .spawn()
            .expect("chromedriver runs");
        let mut browser =
            Self { driver, address, session: String::new(), origin: origin.to_owned() };
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
        let created = browser.command("POST", "/session", &capabilities).await;
        browser.session = format!("/session/{}", created["sessionId"].as_str().unwrap());
        browser
    }

    /// Goes to a page of the site and gives its text.
    pub(crate) async fn open(&mut self, path: &str) -> String {
        let url = format!("{}{path}", self.origin);
        self.post("/url", json!({ "url": url })).await;
        self.text().await
    }

    pub(crate) async fn reload(&mut self) -> String {
        self.post("/refresh", json!({})).await;
        self.text().await
    }

    pub(crate) async fn back(&mut self) {
        self.post("/back", json!({})).await;
    }

    async fn text(&mut self) -> String {
        let text = self.script("return document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    pub(crate) async fn script(&mut self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Gives all cookies of the page, those that scripts do not see too.
    pub(crate) async fn cookies(&mut self) -> Vec<Value> {
        let path = format!("{}/cookie", self.session);
        self.command("GET", &path, &Value::Null).await.as_array().unwrap().clone()
    }

    pub(crate) async fn names(&mut self) -> Vec<String> {
        let cookies = self.cookies().await;
        let mut names: Vec<String> =
            cookies.iter().map(|cookie| cookie["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    pub(crate) async fn tab(&mut self) -> String {
        let path = format!("{}/window", self.session);
        self.command("GET", &path, &Value::Null).await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn new_tab(&mut self) -> String {
        let created = self.post("/window/new", json!({ "type": "tab" })).await;
        let tab = created["handle"].as_str().unwrap().to_owned();
        self.switch_to(&tab).await;
        tab
    }

    pub(crate) async fn switch_to(&mut self, tab: &str) {
        self.post("/window", json!({ "handle": tab })).await;
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        let path = format!("{}{path}", self.session);
        self.command("POST", &path, &body).await
    }

    async fn command(&mut self, method: &str, path: &str, body: &Value) -> Value {
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

impl Drop for Browser {
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
