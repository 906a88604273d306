//! Where a key file comes from, and who guards it there.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::keys::command::{self, KeyCommand};
use crate::keys::file::{KeyFile, KeyFileError, Text};
use crate::keys::folder::{self, Folder};

/// The origin of a key file, and who keeps others from reading it.
///
/// # Example
///
/// ```no_run
/// use sealed_session::{Codec, KeySource};
///
/// let file = KeySource::file("/etc/shop/keys.toml").load()?;
/// let codec = Codec::<String>::new(file.ring()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeySource {
    origin: Origin,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    File(PathBuf, Guard),
    Command(KeyCommand),
}

/// Who keeps others from reading a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// The mode of the file: nobody but its owner reads it.
    Mode,
    /// The service manager: its group reads it too, as an access control list shows.
    Manager,
    /// Whoever made the mount.
    Mount,
}

/// What a source gave, and what there is against it though it can be read.
pub(crate) struct Contents {
    pub(crate) text: Text,
    pub(crate) refusal: Option<KeyFileError>,
}

impl KeySource {
    /// Creates a source: a file that only its owner may read: mode 0600 or 0400, or it is refused.
    ///
    /// For root, it must also lie where nobody else can exchange it: the folder belongs to root or to the owner of
    /// the file, and others cannot write to it. The same holds for the folder of a link that leads to the file.
    ///
    /// On systems without such modes nothing is checked.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { origin: Origin::File(path.into(), Guard::Mode) }
    }

    /// Creates a source: a file on a mount that guards it, such as a Kubernetes Secret: its mode is not checked.
    ///
    /// A Secret is mounted with mode 0644 by default, and with 0440 under an `fsGroup`, into the one
    /// container that may see it; its mode says nothing about who can.
    pub fn mount(path: impl Into<PathBuf>) -> Self {
        Self { origin: Origin::File(path.into(), Guard::Mount) }
    }

    /// Creates a source: a credential that systemd passes: the file `name` in `$CREDENTIALS_DIRECTORY`.
    ///
    /// systemd gives it mode 0400, or 0440 where an access control list lets the service's user read
    /// it; so the group is not looked at, but all others are.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::NoCredentials`] if the variable is not set.
    pub fn credential(name: &str) -> Result<Self, KeyFileError> {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
            .ok_or_else(|| KeyFileError::NoCredentials(name.to_owned()))?;
        Ok(Self { origin: Origin::File(Path::new(&folder).join(name), Guard::Manager) })
    }

    /// Creates a source: a program that prints the key file: the client of a secret manager, or what decrypts a file.
    ///
    /// It is run at each read, without a shell and without an input, for up to 10 seconds
    /// ([`timeout`](Self::timeout)). On Unix, it has a process group of its own, which is killed when it is late.
    /// It must end with success. What it prints is wiped from memory and stands in no error. Its standard error is that
    /// of this process, so that it can say why it fails.
    ///
    /// Other users of the machine may see its arguments, so none may be a secret.
    ///
    /// A watcher runs it as often as [`Watcher::every`](crate::Watcher::every) says, and for requests with a key that is
    /// not known, which anybody can send, at most every 10 seconds.
    ///
    /// ```no_run
    /// use sealed_session::{KeySource, Watcher};
    ///
    /// let vault = KeySource::command("vault", ["kv", "get", "-field=keys", "secret/shop"]);
    /// let watcher = Watcher::new(vault)?.every(std::time::Duration::from_secs(60));
    /// # Ok::<(), sealed_session::KeyFileError>(())
    /// ```
    pub fn command<A: Into<OsString>>(
        program: impl Into<OsString>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        let command = KeyCommand { program: program.into(), args, timeout: command::TIMEOUT };
        Self { origin: Origin::Command(command) }
    }

    /// Sets how long the program of [`command`](Self::command) may take. Default: 10 seconds. Files are read as fast as
    /// they can be.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Origin::Command(command) = &mut self.origin {
            command.timeout = timeout;
        }
        self
    }

    /// Returns the path of the file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path, _) => Some(path),
            Origin::Command(_) => None,
        }
    }

    /// Reads the file. Symbolic links are followed; what counts is the file that was opened.
    ///
    /// # Errors
    ///
    /// Each [`KeyFileError`] of reading. [`KeyFileError::In`] names the source of those that are about what is in it.
    pub fn load(&self) -> Result<KeyFile, KeyFileError> {
        let Contents { text, refusal } = self.contents()?;
        refusal.map_or_else(|| text.parse(), Err).map_err(|error| self.named(error))
    }

    /// Reads the file, and tells what there is against it beside what is in it.
    pub(crate) fn contents(&self) -> Result<Contents, KeyFileError> {
        let (path, guard) = match &self.origin {
            Origin::File(path, guard) => (path, *guard),
            Origin::Command(command) => {
                return Ok(Contents { text: command.output()?, refusal: None });
            }
        };
        let failed = |error| KeyFileError::Open { path: path.clone(), error: Arc::new(error) };
        let file = match guard {
            Guard::Mode if is_root() => {
                let (folder, name) = Folder::of(&follow(path)?).map_err(failed)?;
                let file = folder.open(&name).map_err(failed)?;
                check_trust(&file, &folder, path)?;
                file
            }
            _ => folder::open(path).map_err(failed)?,
        };
        let refusal = check(&file, path, guard)?;
        Ok(Contents { text: Text::read(file)?, refusal })
    }

    /// Adds to an error where the file is.
    pub(crate) fn named(&self, error: KeyFileError) -> KeyFileError {
        let place = match &self.origin {
            Origin::File(path, _) => path.display().to_string(),
            Origin::Command(command) => format!("the output of {}", command.name()),
        };
        error.found_in(place)
    }
}

/// Shows nothing of the arguments of a command.
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path, guard) => f.debug_tuple("File").field(path).field(guard).finish(),
            Origin::Command(command) => {
                f.debug_tuple("Command").field(&command.program).finish_non_exhaustive()
            }
        }
    }
}

/// Returns the path of the file that a path leads to. Root follows no link that others can turn to another file.
pub(crate) fn follow(path: &Path) -> Result<PathBuf, KeyFileError> {
    let failed = |error| KeyFileError::Open { path: path.to_owned(), error: Arc::new(error) };
    let target = path.canonicalize().map_err(failed)?;
    let link = path.symlink_metadata().map_err(failed)?;
    if link.is_symlink() && is_root() {
        let folder = Folder::of(path).and_then(|(folder, _)| folder.metadata()).map_err(failed)?;
        let file = target.metadata().map_err(failed)?;
        let [link, folder, file] = [&link, &folder, &file].map(Holder::of);
        if let Some(reason) = distrust_link(&link, &folder, &file) {
            return Err(KeyFileError::Untrusted { path: path.to_owned(), reason });
        }
    }
    Ok(target)
}

/// Opens a file that is to be changed, in its folder, and checks it.
pub(crate) fn open_in(
    folder: &Folder,
    name: &std::ffi::OsStr,
    path: &Path,
) -> Result<File, KeyFileError> {
    let failed = |error| KeyFileError::Open { path: path.to_owned(), error: Arc::new(error) };
    let file = folder.open(name).map_err(failed)?;
    if is_root() {
        check_trust(&file, folder, path)?;
    }
    match check(&file, path, Guard::Mode)? {
        Some(refusal) => Err(refusal),
        None => Ok(file),
    }
}

/// Checks what was opened. That others can read it is said, and is no reason not to read it.
fn check(file: &File, path: &Path, guard: Guard) -> Result<Option<KeyFileError>, KeyFileError> {
    let failed = |error| KeyFileError::Open { path: path.to_owned(), error: Arc::new(error) };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    let forbidden = match guard {
        Guard::Mode => 0o077,
        Guard::Manager => 0o007,
        Guard::Mount => 0,
    };
    let mode = mode(&metadata);
    let exposed = KeyFileError::Exposed { path: path.to_owned(), mode };
    match mode & forbidden {
        0 => Ok(None),
        // What others can write, nobody has said.
        wrong if wrong & 0o022 != 0 => Err(exposed),
        _ => Ok(Some(exposed)),
    }
}

/// Checks that nobody else than its owner and root can exchange a file that root reads.
fn check_trust(file: &File, folder: &Folder, path: &Path) -> Result<(), KeyFileError> {
    let failed =
        |error: io::Error| KeyFileError::Open { path: path.to_owned(), error: Arc::new(error) };
    let (file, folder) = (file.metadata().map_err(failed)?, folder.metadata().map_err(failed)?);
    match distrust(&Holder::of(&file), &Holder::of(&folder)) {
        Some(reason) => Err(KeyFileError::Untrusted { path: path.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Who holds a file or a folder.
struct Holder {
    user: u32,
    mode: u32,
    links: u64,
}

const ROOT: u32 = 0;

/// Returns whether others than the owner of a folder can exchange what stands in it.
fn others_exchange(entry: &Holder, folder: &Holder) -> bool {
    let others_write = folder.mode & 0o022 != 0;
    let sticky = folder.mode & 0o1000 != 0;
    others_write && !(sticky && entry.user == ROOT)
}

/// Returns why root does not follow a link to a file, if it does not.
fn distrust_link(link: &Holder, folder: &Holder, file: &Holder) -> Option<&'static str> {
    if others_exchange(link, folder) {
        return Some(
            "others than its owner can write to the folder of the link: run `chmod go-w` on that",
        );
    }
    (folder.user != ROOT && folder.user != file.user)
        .then_some("a link in the folder of another user leads to it: name the file itself")
}

/// Returns why root does not read a file, if it does not.
fn distrust(file: &Holder, folder: &Holder) -> Option<&'static str> {
    if others_exchange(file, folder) {
        return Some("others than its owner can write to its folder: run `chmod go-w` on that");
    }
    if folder.user == ROOT || file.user == folder.user {
        return None;
    }
    if file.user != ROOT {
        return Some("its folder belongs to another user: give one the owner of the other");
    }
    // The owner of the folder may have linked it there.
    (file.links > 1)
        .then_some("it has another name elsewhere: copy it, and move the copy to its place")
}

#[cfg(unix)]
impl Holder {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { user: metadata.uid(), mode: metadata.mode(), links: metadata.nlink() }
    }
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
impl Holder {
    fn of(_: &Metadata) -> Self {
        Self { user: 0, mode: 0, links: 1 }
    }
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_reads_what_nobody_else_can_exchange() {
        const SERVICE: u32 = 33;
        const OTHER: u32 = 34;
        for (file, links, folder, mode, trusted) in [
            (0, 1, 0, 0o755, true),
            (SERVICE, 1, 0, 0o755, true),
            (SERVICE, 2, SERVICE, 0o700, true),
            (0, 1, SERVICE, 0o755, true),
            (0, 2, SERVICE, 0o755, false),
            (OTHER, 1, SERVICE, 0o755, false),
            (SERVICE, 1, SERVICE, 0o775, false),
            (0, 1, 0, 0o777, false),
            (0, 1, 0, 0o1777, true),
            (SERVICE, 1, 0, 0o1777, false),
        ] {
            let file = Holder { user: file, mode: 0o600, links };
            let folder = Holder { user: folder, mode, links: 2 };
            let found = distrust(&file, &folder);
            assert_eq!(
                found.is_none(),
                trusted,
                "{} in {} {mode:o}: {found:?}",
                file.user,
                folder.user
            );
        }
    }

    #[test]
    fn root_follows_no_link_that_others_can_turn() {
        const SERVICE: u32 = 33;
        for (link, folder, mode, file, trusted) in [
            (0, 0, 0o755, 0, true),
            (0, 0, 0o755, SERVICE, true),
            (SERVICE, SERVICE, 0o700, SERVICE, true),
            (SERVICE, SERVICE, 0o700, 0, false),
            (0, SERVICE, 0o755, 0, false),
            (0, 0, 0o1777, 0, true),
            (SERVICE, 0, 0o1777, 0, false),
            (0, 0, 0o777, 0, false),
            (SERVICE, SERVICE, 0o770, SERVICE, false),
        ] {
            let holder = |user, mode| Holder { user, mode, links: 1 };
            let (link, file) = (holder(link, 0o777), holder(file, 0o600));
            let found = distrust_link(&link, &holder(folder, mode), &file);
            assert_eq!(
                found.is_none(),
                trusted,
                "{} in {folder} {mode:o} to {}",
                link.user,
                file.user
            );
        }
    }

    #[test]
    fn no_argument_of_a_command_is_shown() {
        let source = KeySource::command("vault", ["--token=secret"]);
        assert_eq!(format!("{source:?}"), "Command(\"vault\", ..)");
    }
}
