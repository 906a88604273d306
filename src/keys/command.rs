//! Commands: a key file that a program prints, such as the client of a secret manager.
//!
//! The program runs without a shell and without an input. Nothing that it prints is shown to anybody: its output is kept
//! in a buffer that is wiped, and no error holds a part of it.

use std::ffi::OsString;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::keys::file::{KeyFileError, Text};

/// A program, and how long it may take.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyCommand {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) timeout: Duration,
}

impl KeyCommand {
    /// Runs it, and reads what it prints.
    pub(crate) fn output(&self) -> Result<Text, KeyFileError> {
        let deadline = Instant::now().checked_add(self.timeout);
        let mut child = self.start()?;
        let (tell, output) = mpsc::sync_channel(1);
        let stdout = child.stdout.take();
        // Only another thread can read and be given up. It ends when the last process that has the pipe does.
        let reader =
            thread::Builder::new().name("sealed-session-keys".to_owned()).spawn(move || {
                let _ = tell.send(stdout.map_or_else(|| Text::read(std::io::empty()), Text::read));
            });
        if let Err(error) = reader {
            end(&mut child);
            return Err(self.failed(error));
        }
        let Ok(text) = output.recv_timeout(self.timeout) else {
            end(&mut child);
            return Err(self.slow());
        };
        let text = text.inspect_err(|_| end(&mut child))?;
        if text.is_too_long() {
            // It may have more to print, and nobody reads on.
            end(&mut child);
            return Ok(text);
        }
        match wait(&mut child, deadline).map_err(|error| self.failed(error))? {
            None => Err(self.slow()),
            Some(status) if status.success() => Ok(text),
            Some(status) => {
                let (program, status) = (self.name(), status.to_string());
                Err(KeyFileError::CommandFailed { program, status })
            }
        }
    }

    fn start(&self) -> Result<Child, KeyFileError> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::piped());
        // A group of its own, so that what it started can be ended with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map_err(|error| self.failed(error))
    }

    /// Returns the name of the program. Its arguments are not told: there may be a secret among them.
    pub(crate) fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn failed(&self, error: std::io::Error) -> KeyFileError {
        KeyFileError::Command { program: self.name(), error: Arc::new(error) }
    }

    fn slow(&self) -> KeyFileError {
        KeyFileError::CommandSlow { program: self.name(), timeout: self.timeout }
    }
}

/// Waits for the end of a program that has closed its output. One that is late is ended.
fn wait(child: &mut Child, deadline: Option<Instant>) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            end(child);
            return Ok(None);
        }
        // The standard library waits for a child without a limit, or not at all.
        thread::sleep(PAUSE);
    }
}

/// Ends a program and all that it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(id) = child.id().try_into()
        && let Some(group) = rustix::process::Pid::from_raw(id)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Longer than the client of a secret manager takes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(2);
