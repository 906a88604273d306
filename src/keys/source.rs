//! Where a key file lies, and who guards it there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::keys::file::{KeyFile, KeyFileError};

/// The place of a key file, and who keeps others from reading it.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    path: PathBuf,
    guard: Guard,
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

impl KeySource {
    /// Creates a source: a file that only its owner may read: mode 0600 or 0400, or it is refused.
    ///
    /// On systems without such modes nothing is checked.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), guard: Guard::Mode }
    }

    /// Creates a source: a file on a mount that guards it, such as a Kubernetes Secret: its mode is not checked.
    ///
    /// A Secret is mounted with mode 0644 by default, and with 0440 under an `fsGroup`, into the one
    /// container that may see it; its mode says nothing about who can.
    pub fn mount(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), guard: Guard::Mount }
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
        Ok(Self { path: Path::new(&folder).join(name), guard: Guard::Manager })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. Symbolic links are followed; what counts is the file that was opened.
    ///
    /// # Errors
    ///
    /// Each [`KeyFileError`] of reading.
    pub fn load(&self) -> Result<KeyFile, KeyFileError> {
        KeyFile::read(self.open()?)
    }

    /// Opens the file, and checks what was opened.
    pub(crate) fn open(&self) -> Result<File, KeyFileError> {
        let failed = |error| KeyFileError::Open { path: self.path.clone(), error: Arc::new(error) };
        // A pipe would keep us waiting, so it is not even opened.
        if !fs::metadata(&self.path).map_err(failed)?.is_file() {
            return Err(KeyFileError::NotAFile(self.path.clone()));
        }
        let file = File::open(&self.path).map_err(failed)?;
        let mode = mode(&file).map_err(failed)?;
        let forbidden = match self.guard {
            Guard::Mode => 0o077,
            Guard::Manager => 0o007,
            Guard::Mount => 0,
        };
        if mode & forbidden == 0 {
            Ok(file)
        } else {
            Err(KeyFileError::Exposed { path: self.path.clone(), mode })
        }
    }
}

#[cfg(unix)]
fn mode(file: &File) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &File) -> io::Result<u32> {
    Ok(0)
}
