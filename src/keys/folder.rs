//! The folder of a key file, held open.
//!
//! Root changes the key file in a folder that a service owns. By a path, the service could put another folder in its
//! place between the reading and the writing, and let root overwrite a file of its choice. What is held open stays the
//! same folder, whatever its name becomes; and in it no link is followed.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a file.
#[derive(Debug)]
pub(crate) struct Folder {
    #[cfg(unix)]
    folder: File,
    #[cfg(not(unix))]
    folder: PathBuf,
}

impl Folder {
    /// Opens the folder of a file, and returns it with the name of the file in it. Links on the way there are followed; the
    /// file itself may not exist yet.
    pub(crate) fn of(path: &Path) -> io::Result<(Self, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
        Ok((Self::hold(folder)?, name.to_owned()))
    }
}

#[cfg(unix)]
mod unix {
    use rustix::fs::{self, AtFlags, Mode, OFlags};

    use super::*;

    impl Folder {
        pub(super) fn hold(path: PathBuf) -> io::Result<Self> {
            let flags = HOLD | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(Self { folder: fs::open(path, flags, Mode::empty())?.into() })
        }

        pub(crate) fn metadata(&self) -> io::Result<Metadata> {
            self.folder.metadata()
        }

        /// Opens a file to be read.
        pub(crate) fn open(&self, name: &OsStr) -> io::Result<File> {
            self.open_with(name, OFlags::RDONLY)
        }

        /// Opens a file to be locked.
        pub(crate) fn open_to_lock(&self, name: &OsStr) -> io::Result<File> {
            self.open_with(name, OFlags::RDWR)
        }

        /// Creates a file that its owner alone may read.
        pub(crate) fn create(&self, name: &OsStr) -> io::Result<File> {
            self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
        }

        fn open_with(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
            let mode = Mode::RUSR | Mode::WUSR;
            Ok(fs::openat(&self.folder, name, flags | OPENED | OFlags::NOFOLLOW, mode)?.into())
        }

        pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
            Ok(fs::renameat(&self.folder, from, &self.folder, to)?)
        }

        pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
            Ok(fs::unlinkat(&self.folder, name, AtFlags::empty())?)
        }

        /// Brings what was renamed to the disk.
        pub(crate) fn sync(&self) -> io::Result<()> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(fs::fsync(fs::openat(&self.folder, ".", flags, Mode::empty())?)?)
        }
    }

    /// Opens a file to be read, and follows links. A pipe that nobody writes to does not keep us waiting.
    pub(crate) fn open(path: &Path) -> io::Result<File> {
        Ok(fs::open(path, OFlags::RDONLY | OPENED, Mode::empty())?.into())
    }

    /// What is no regular file is refused once it is open, and must do nothing until then.
    const OPENED: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

    /// A folder may be entered that cannot be listed.
    #[cfg(target_os = "linux")]
    const HOLD: OFlags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    const HOLD: OFlags = OFlags::RDONLY;
}

#[cfg(unix)]
pub(crate) use self::unix::open;

#[cfg(not(unix))]
mod by_path {
    use std::fs::{self, OpenOptions};

    use super::*;

    impl Folder {
        pub(super) fn hold(folder: PathBuf) -> io::Result<Self> {
            Ok(Self { folder })
        }

        pub(crate) fn metadata(&self) -> io::Result<Metadata> {
            fs::metadata(&self.folder)
        }

        pub(crate) fn open(&self, name: &OsStr) -> io::Result<File> {
            File::open(self.folder.join(name))
        }

        pub(crate) fn open_to_lock(&self, name: &OsStr) -> io::Result<File> {
            OpenOptions::new().read(true).write(true).open(self.folder.join(name))
        }

        pub(crate) fn create(&self, name: &OsStr) -> io::Result<File> {
            OpenOptions::new().read(true).write(true).create_new(true).open(self.folder.join(name))
        }

        pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
            fs::rename(self.folder.join(from), self.folder.join(to))
        }

        pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_file(self.folder.join(name))
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Opens a file to be read, and follows links.
    pub(crate) fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }
}

#[cfg(not(unix))]
pub(crate) use self::by_path::open;
