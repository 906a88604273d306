//! Two web servers that share nothing but a key ring, and users that go back and forth between them.
//!
//! ```sh
//! cargo run --example two_nodes                  # the tour: real requests, each step checked and shown
//! cargo run --example two_nodes -- --serve 8080  # stays up, to be clicked through in a browser
//! ```
//!
//! `node.rs` is the part to copy from: an application that keeps its sessions in sealed cookies. `browser.rs`
//! and `front.rs` stand for what is around it in the world, a browser and a load balancer.

mod browser;
mod front;
mod node;
mod page;
mod tour;

use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => tour::run().await,
        Some("--serve") => {
            let port = arguments.next().map(|port| port.parse()).transpose()?;
            front::serve(port).await
        }
        Some(_) => Err("usage: two_nodes [--serve [PORT]]".into()),
    }
}
