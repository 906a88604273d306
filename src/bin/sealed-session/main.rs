//! The tool `sealed-session`: keys, key rings, and a look into cookies.

mod output;
mod printable;
mod revoke;
mod ring;
mod session;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use sealed_session::Key;

use crate::output::{Failure, Output};

/// Makes keys, rotates key rings, and inspects session cookies.
///
/// Secrets are never taken from the command line, where other users can read them, but from files, the
/// standard input, or the environment.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, after_long_help = format!("{EXIT_CODES}\n\n{ENVIRONMENT}"))]
struct Args {
    /// Print JSON, for machines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a new key.
    Keygen,
    /// Make, show and change a key file.
    #[command(subcommand)]
    Ring(ring::Command),
    /// Show what a session cookie is made of.
    Inspect(session::Inspect),
    /// Seal a session, given as JSON on the standard input, and print the Set-Cookie values.
    Seal(session::Seal),
    /// Open the session of a Cookie header and print it as JSON.
    Open(session::Open),
    /// Tell how large a session may be.
    Capacity(session::Capacity),
    /// End sessions before their time, on all nodes.
    #[command(subcommand)]
    Revoke(revoke::Revoke),
    /// Show which sessions were ended before their time.
    #[command(subcommand)]
    Revocations(revoke::Show),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const KEY_AS_ARGUMENT: &str = "\
a key stands on the command line, where every user of this machine can read it; treat it as leaked, and \
give keys in a file, on the standard input or in the environment";

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and all is well
  1  the answer is no: faults were found, the cookie is none or does not open, the session is too large
  2  wrong usage
  3  a file or an input could not be read or written
  4  the change was refused because users would be logged out; the message says what makes it all the same";

const ENVIRONMENT: &str = "\
Environment:
  SEALED_SESSION_KEY_FILE  the key file, where --keys is not given
  SEALED_SESSION_KEYS      keys, newest first, where there is no key file (inspect, seal, open)
  SEALED_SESSION_JOURNAL   the journal of revocations, where --journal is not given (revoke, revocations)
  SEALED_SESSION_REDIS_URL the server of revocations, or of the store (inspect, open): redis://user:password@host
  NO_COLOR                 print without colours";

fn main() -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if std::env::args_os().any(|arg| arg.to_string_lossy().contains("SEALED-SESSION-KEY-")) {
        // Not even shown in an error: a parser would quote it.
        return Output::new(json).end(Err(Failure::Usage(KEY_AS_ARGUMENT.to_owned())));
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if json && error.use_stderr() => {
            return Output::new(json).end(Err(Failure::Usage(usage(&error))));
        }
        Err(error) => error.exit(),
    };
    let mut out = Output::new(args.json);
    let done = match args.command {
        Command::Keygen => keygen(&mut out),
        Command::Ring(command) => ring::run(command, &mut out),
        Command::Inspect(command) => session::inspect(&command, &mut out),
        Command::Seal(command) => session::seal(&command, &mut out),
        Command::Open(command) => session::open(&command, &mut out),
        Command::Capacity(command) => session::capacity(&command, &mut out),
        Command::Revoke(command) => revoke::revoke(command, &mut out),
        Command::Revocations(command) => revoke::show(command, &mut out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "sealed-session", &mut script);
            out.raw(&script)
        }
    };
    out.end(done)
}

/// Returns what the parser of arguments says, without the synopsis that follows.
fn usage(error: &clap::Error) -> String {
    let told = error.render().to_string();
    let told = told.split("\n\nUsage:").next().unwrap_or(&told).trim();
    told.strip_prefix("error: ").unwrap_or(told).to_owned()
}

fn keygen(out: &mut Output) -> Result<(), Failure> {
    let key = Key::generate().map_err(|error| Failure::Io(error.to_string()))?;
    let id = key.id().to_string();
    if out.json {
        return out.print_json(&serde_json::json!({ "id": id, "key": *key.expose_text() }));
    }
    out.raw(format!("{}\n", *key.expose_text()).as_bytes())?;
    out.note(&format!("the key {id}"));
    if out.is_terminal() {
        out.warn("this is a secret, and your terminal remembers it; pipe it into a secret store");
    }
    Ok(())
}
