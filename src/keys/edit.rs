//! How a key file is changed in place: under a lock, and replaced at once.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fs4::TryLockError;

use crate::keys::file::{KeyFile, KeyFileError, MAX_LEN};
use crate::keys::source::KeySource;

impl KeyFile {
    /// Writes a new file with mode 0600, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Exists`] if there is one already, and [`KeyFileError::Write`].
    pub fn create(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
            _ => KeyFileError::Write { path: path.to_owned(), error: Arc::new(error) },
        };
        // Nobody has read it yet, so it need not appear at once.
        let file = private().create_new(true).open(path).map_err(failed)?;
        let written = fill(file, &self.expose_text()).and_then(|()| sync_folder(path));
        if written.is_err() {
            let _ = fs::remove_file(path);
        }
        written.map_err(failed)
    }

    /// Changes a file in place: `change` gets what is in it, and what it leaves behind is written.
    ///
    /// One process after the other does so: a lock on `path.lock` beside the file is waited for, up to half a
    /// minute. That lock file gets the owner of the key file, and stays. The file is replaced at once, by a rename, after all is on the disk, with mode 0600 and the owner
    /// that it had. Readers see the old file or the new one; a crash leaves one of the two. Nothing is
    /// written if nothing changed, or if `change` fails.
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
        let failed = |error| KeyFileError::Write { path: path.to_owned(), error: Arc::new(error) };
        // A link stays, and what it points to is replaced.
        let target = path.canonicalize().map_err(|error| KeyFileError::Open {
            path: path.to_owned(),
            error: Arc::new(error),
        })?;
        let _lock = lock(&target, PATIENCE)?;
        let opened = KeySource::file(&target).open()?;
        let owner = owner(&opened.metadata().map_err(failed)?);
        let mut file = Self::read(opened)?;
        let before = file.expose_text();
        let result = change(&mut file)?;
        file.check()?;
        let after = file.expose_text();
        if after.len() > MAX_LEN {
            return Err(KeyFileError::TooLong.into());
        }
        if *before != *after {
            replace(&target, &after, owner).map_err(failed)?;
        }
        Ok(result)
    }
}

/// Waits for the lock that goes with a file; it is held until the result is dropped. The lock file stays,
/// because one that is removed could be locked by two.
fn lock(path: &Path, patience: Duration) -> Result<File, KeyFileError> {
    let lock = beside(path, ".lock");
    let failed = |error| KeyFileError::Lock { path: lock.clone(), error: Arc::new(error) };
    let file = open_lock(path, &lock).map_err(failed)?;
    let since = Instant::now();
    loop {
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if since.elapsed() >= patience => {
                return Err(KeyFileError::Locked(lock));
            }
            // No system call waits for a lock and gives up.
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
        }
    }
}

/// Opens a lock file. One that is new gets the owner of the key file, so that root leaves none behind that the
/// service cannot open; one that is there may be a link to anything, and is not given to anybody.
fn open_lock(path: &Path, lock: &Path) -> io::Result<File> {
    match private().create_new(true).open(lock) {
        Ok(file) => {
            set_owner(&file, owner(&fs::metadata(path)?))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => private().open(lock),
        Err(error) => Err(error),
    }
}

/// Puts a file in the place of another one, at once.
fn replace(path: &Path, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    // The lock is held, so one that is there was left behind by a crash.
    let new = beside(path, ".new");
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let written = write(&new, text, owner).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&new);
        return written;
    }
    sync_folder(path)
}

fn write(path: &Path, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    let file = private().create_new(true).open(path)?;
    set_owner(&file, owner)?;
    fill(file, text)
}

fn fill(mut file: File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Returns the path with something after its file name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
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

/// Brings the rename to the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
}

#[cfg(not(unix))]
fn owner(_: &Metadata) -> Option<(u32, u32)> {
    None
}

#[cfg(not(unix))]
fn set_owner(_: &File, _: Option<(u32, u32)>) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
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
        fs::write(&path, "").unwrap();
        let held = lock(&path, Duration::ZERO).unwrap();
        let error = lock(&path, Duration::ZERO).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the lock file {}.lock is held by another process, which may be changing the key file; \
                 when it has ended, try again",
                path.display()
            )
        );
        drop(held);
        lock(&path, Duration::ZERO).unwrap();
    }
}
