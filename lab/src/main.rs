//! The four ways to keep sessions on several nodes, side by side, with real programs on loopback.
//!
//! ```sh
//! cargo run --release              # everything, in less than ten minutes; writes docs/FOUR_WAYS.md
//! cargo run --release -- --quick   # what must hold on any machine, in less than two; for CI
//! cargo run --release -- --report  # the report again, from the figures of the last run
//! ```

mod claims;
mod client;
mod cluster;
mod events;
mod figures;
mod front;
mod migration;
mod node;
mod process;
mod programs;
mod progress;
mod redis;
mod report;
mod run;
mod tomcat;
mod users;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use cluster::System;
use run::{Plan, Run};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((first, rest)) if first == "node" => node::run(rest).await.map(|()| true),
        _ => lab(&arguments).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all claims hold.
async fn lab(arguments: &[String]) -> Result<bool> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let figures = docs.join("four_ways/run.json");
    let mut plan = Plan { quick: false, only: None };
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--quick" => plan.quick = true,
            "--report" => {
                let run: Run = serde_json::from_slice(&fs::read(figures)?)?;
                report::write(&run, &docs)?;
                return Ok(true);
            }
            "--only" => {
                let name = arguments.next().unwrap_or_default();
                let system = System::ALL.into_iter().find(|system| format!("{system:?}") == name);
                plan.only = Some(system.ok_or_else(|| format!("one of {:?}", System::ALL))?);
            }
            _ => return Err("usage: lab [--quick | --report] [--only SYSTEM]".into()),
        }
    }
    programs::check()?;
    // Where it ends, by success, failure or a signal, all processes and files are gone.
    let folder = tempfile::tempdir()?;
    let run = tokio::select! {
        run = run::run(plan, folder.path()) => run?,
        () = interrupted() => return Err("interrupted".into()),
    };
    if !plan.quick && plan.only.is_none() {
        report::write(&run, &docs)?;
        fs::write(figures, serde_json::to_string(&run)? + "\n")?;
    } else if let Some(file) = std::env::var_os("LAB_FIGURES") {
        fs::write(file, serde_json::to_string(&run)?)?;
    }
    let claims = claims::check(&run);
    for claim in &claims {
        println!("{} {}", if claim.holds { "ok  " } else { "FAIL" }, claim.text);
    }
    let failed = claims.iter().filter(|claim| !claim.holds).count();
    println!("\n{}", progress::timetable(&run.parts));
    println!("{} passed, {failed} failed", claims.len() - failed);
    Ok(failed == 0)
}

async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
