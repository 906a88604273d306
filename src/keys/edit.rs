//! How a key file is changed in place: under a lock, and replaced at once.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fs4::TryLockError;

use crate::keys::file::{KeyFile, KeyFileError, MAX_LEN, Text};
use crate::keys::folder::Folder;
use crate::keys::source::{KeySource, follow, open_in};

impl KeyFile {
    /// Writes a new file with mode 0600, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Exists`] if there is one already, [`KeyFileError::ReadOnly`], and [`KeyFileError::Write`].
    pub fn create(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        self.check()?;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
            _ => not_written(path, error),
        };
        let (folder, name) = Folder::of(path).map_err(failed)?;
        // Nobody has read it yet, so it need not appear at once.
        let file = folder.create(&name).map_err(failed)?;
        let written = fill(file, &self.expose_text()).and_then(|()| folder.sync());
        if written.is_err() {
            let _ = folder.remove(&name);
        }
        written.map_err(failed)
    }

    /// Changes a file in place: `change` gets what is in it, and what it leaves behind is written.
    ///
    /// One process after the other does so: a lock on `path.lock` beside the file is waited for, up to half a
    /// minute. That lock file gets the owner of the key file, and stays. The file is replaced at once, by a
    /// rename, after all is on the disk, with mode 0600 and the owner that it had. Readers see the old file or the new
    /// one; a crash leaves one of the two. Nothing is written if nothing changed, or if `change` fails.
    ///
    /// The folder is held open meanwhile. Whoever puts another one in its place, for which root could be made to write
    /// elsewhere, moves the change away with it.
    ///
    /// # Errors
    ///
    /// What `change` gives, and each [`KeyFileError`]; [`KeyFileError::Lock`] and [`KeyFileError::Locked`] name
    /// the lock file.
    pub fn edit<R, E: From<KeyFileError>>(
        path: impl AsRef<Path>,
        change: impl FnOnce(&mut Self) -> Result<R, E>,
    ) -> Result<R, E> {
        let path = path.as_ref();
        let failed = |error| KeyFileError::Open { path: path.to_owned(), error: Arc::new(error) };
        // A link stays, and what it points to is replaced.
        let target = follow(path)?;
        let (folder, name) = Folder::of(&target).map_err(failed)?;
        let _lock = lock(&folder, &name, &target, PATIENCE)?;
        let opened = open_in(&folder, &name, path)?;
        let owner = owner(&opened.metadata().map_err(failed)?);
        let named = |error| KeySource::file(path).named(error);
        let mut file = Text::read(opened)?.parse().map_err(named)?;
        let before = file.expose_text();
        let result = change(&mut file)?;
        file.check()?;
        let after = file.expose_text();
        if after.len() > MAX_LEN {
            return Err(KeyFileError::TooLong.into());
        }
        if *before != *after {
            replace(&folder, &name, &after, owner).map_err(|error| not_written(path, error))?;
        }
        Ok(result)
    }
}

/// Returns the error for a file that could not be written.
fn not_written(path: &Path, error: io::Error) -> KeyFileError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => KeyFileError::ReadOnly(path),
        _ => KeyFileError::Write { path, error: Arc::new(error) },
    }
}

/// Waits for the lock that goes with a file; it is held until the result is dropped. The lock file stays,
/// because one that is removed could be locked by two.
fn lock(
    folder: &Folder,
    name: &OsStr,
    path: &Path,
    patience: Duration,
) -> Result<File, KeyFileError> {
    let lock = beside(name, ".lock");
    let told = || PathBuf::from(beside(path.as_os_str(), ".lock"));
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => KeyFileError::ReadOnly(path.to_owned()),
        _ => KeyFileError::Lock { path: told(), error: Arc::new(error) },
    };
    let file = open_lock(folder, name, &lock).map_err(failed)?;
    let since = Instant::now();
    loop {
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if since.elapsed() >= patience => {
                return Err(KeyFileError::Locked(told()));
            }
            // No system call waits for a lock and gives up.
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
        }
    }
}

/// Opens a lock file. One that is new gets the owner of the key file, so that root leaves none behind that the
/// service cannot open; one that is there is not given to anybody.
fn open_lock(folder: &Folder, name: &OsStr, lock: &OsStr) -> io::Result<File> {
    match folder.create(lock) {
        Ok(file) => {
            set_owner(&file, owner(&folder.open(name)?.metadata()?))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.open_to_lock(lock),
        Err(error) => Err(error),
    }
}

/// Puts a file in the place of another one, at once.
fn replace(folder: &Folder, name: &OsStr, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    // The lock is held, so one that is there was left behind by a crash.
    let new = beside(name, ".new");
    if let Err(error) = folder.remove(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let written = write(folder, &new, text, owner).and_then(|()| folder.rename(&new, name));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = folder.remove(&new);
        return written;
    }
    folder.sync()
}

fn write(folder: &Folder, name: &OsStr, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    let file = folder.create(name)?;
    set_owner(&file, owner)?;
    fill(file, text)
}

fn fill(mut file: File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Returns a name or a path with something after it.
fn beside(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}

#[cfg(unix)]
fn owner(metadata: &Metadata) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.uid(), metadata.gid()))
}

/// Sets the owner of a new file to that of the file that it replaces, so that root can rotate the keys of a service.
#[cfg(unix)]
fn set_owner(file: &File, owner: Option<(u32, u32)>) -> io::Result<()> {
    match owner {
        Some((user, group)) if self::owner(&file.metadata()?) != owner => {
            std::os::unix::fs::fchown(file, Some(user), Some(group))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn owner(_: &Metadata) -> Option<(u32, u32)> {
    None
}

#[cfg(not(unix))]
fn set_owner(_: &File, _: Option<(u32, u32)>) -> io::Result<()> {
    Ok(())
}

/// How long a lock is waited for: many times what a change takes.
const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_somebody_holds_is_given_up_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        std::fs::write(&path, "").unwrap();
        let (folder, name) = Folder::of(&path).unwrap();
        let lock_now = || lock(&folder, &name, &path, Duration::ZERO);
        let held = lock_now().unwrap();
        let error = lock_now().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the lock file {}.lock is held by another process, which may be changing the key file; \
                 when it has ended, try again",
                path.display()
            )
        );
        drop(held);
        lock_now().unwrap();
    }

    #[test]
    fn a_read_only_file_system_is_told_as_such() {
        let error = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let told = not_written(Path::new("/run/keys/keys.toml"), error).to_string();
        assert_eq!(
            told,
            "the key file /run/keys/keys.toml lies on a read-only file system; change it where it is kept, and \
             bring it here as before"
        );
    }
}
