//! A store in a directory: one file for each blob.
//!
//! ```text
//! DIRECTORY/7f/7f3a…e1     the blob; its time of modification is when it expires
//! DIRECTORY/new/7f3a…e1.N  a blob that is being written
//! ```
//!
//! A file is written under another name, brought to the disk, and then renamed, so that a blob is there whole or not at
//! all, whenever the power fails.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, process, thread};

use crate::message::blob_ref::BlobId;
use crate::store::blob_store::{BlobStore, StoreError, StoreFuture};
use crate::store::workers::Workers;

/// A store in a directory of this machine's disk: the one to begin with, since nothing has to be run for it.
///
/// All processes of the machine may share it. **Nodes on several machines may not**, unless they mount one file system:
/// a node that does not find a blob logs its user out. They share a `RedisStore` (feature `store-redis`), or one of your
/// own.
///
/// A blob is on the disk, by `fsync`, before the cookie that refers to it is sent. Files, and folders in the directory,
/// belong to the process alone (modes 0600 and 0700). The time of modification of a file is when its blob expires: a
/// backup has to restore it, and files copied without it count as expired. Expired files are removed every ten minutes, by
/// processes that store blobs; who only reads removes none.
///
/// # The directory
///
/// Make it before the first use: `install -d -m 0700 -o shop /var/lib/shop/sessions`, or `StateDirectory=` of systemd. The
/// store makes only what is in it, so that a path that is mistyped, or a volume that is not mounted, is an error and no empty
/// store, which would log users out. On a volume of its own, let it be a folder *in* that: the place where a volume is
/// mounted is there without the volume too.
///
/// A directory that goes while the process runs is an error for each request that needs it, and no session ends by it.
///
/// The work is done by threads, which do not survive a fork: a server that forks its workers opens the store in each.
///
/// # Example
///
/// ```
/// use sealed_session::store::DirectoryStore;
/// use sealed_session::{Codec, Key};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// let store = DirectoryStore::open(path)?; // such as "/var/lib/shop/sessions"
/// let codec = Codec::<Vec<String>>::builder(Key::generate()?).overflow(store).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DirectoryStore {
    folder: Arc<Folder>,
    workers: Workers,
    limit: Duration,
    /// To the thread that sweeps, which starts with the first blob that is stored; when this is dropped, it ends.
    sweeping: OnceLock<Option<Sender<()>>>,
}

impl DirectoryStore {
    /// Opens the store in this directory, which has to be there, for up to 1 GiB of blobs. Nothing is removed before the
    /// first blob is stored.
    ///
    /// # Errors
    ///
    /// If there is no such directory, it cannot be read, or what is missing in it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_with(path, 1 << 30)
    }

    /// Opens a store for up to so many bytes, counted in blocks of 4 KiB. Beyond that a session that
    /// needs the store is refused with 503, and no other one is touched.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(path: impl Into<PathBuf>, most_bytes: u64) -> io::Result<Self> {
        let folder = Arc::new(Folder::open(path.into(), most_bytes)?);
        let (workers, limit) = (Workers::start()?, Duration::from_secs(1));
        Ok(Self { folder, workers, limit, sweeping: OnceLock::new() })
    }

    /// Sets within which time each operation answers, or fails, as on a disk that hangs. Default: a second. A request waits
    /// for it.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn run<V: Send + 'static>(
        &self,
        job: impl FnOnce(&Folder) -> Result<V, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, V> {
        let folder = Arc::clone(&self.folder);
        self.workers.run(self.limit, move || job(&folder))
    }

    /// Starts the thread that sweeps, if it is not there. Without one, it is swept when there is no room.
    fn sweep_from_now_on(&self) {
        self.sweeping.get_or_init(|| {
            let (sweeping, ended) = channel();
            let swept = Arc::clone(&self.folder);
            let thread = thread::Builder::new().name("sealed-session-sweep".into());
            let sweep = move || {
                // What could not be removed now will be next time.
                drop(swept.sweep(SystemTime::now()));
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(SWEEP) {
                    drop(swept.sweep(SystemTime::now()));
                }
            };
            thread.spawn(sweep).ok().map(|_| sweeping)
        });
    }
}

impl BlobStore for DirectoryStore {
    fn put<'a>(&'a self, id: BlobId, bytes: &'a [u8], lives: Duration) -> StoreFuture<'a, ()> {
        self.sweep_from_now_on();
        let bytes = bytes.to_vec();
        self.run(move |folder| folder.put(id, &bytes, lives, SystemTime::now()))
    }

    fn get(&self, id: BlobId, most: usize) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.run(move |folder| {
            folder.get(id, most, SystemTime::now()).map_err(StoreError::unavailable)
        })
    }

    fn expire_within(&self, id: BlobId, rest: Duration) -> StoreFuture<'_, ()> {
        self.run(move |folder| {
            folder.expire_within(id, rest, SystemTime::now()).map_err(StoreError::unavailable)
        })
    }

    fn keep_for(&self, id: BlobId, lives: Duration) -> StoreFuture<'_, ()> {
        self.run(move |folder| {
            folder.keep_for(id, lives, SystemTime::now()).map_err(StoreError::unavailable)
        })
    }
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryStore").field("path", &self.folder.path).finish_non_exhaustive()
    }
}

/// The directory; all of it blocks.
struct Folder {
    path: PathBuf,
    most: u64,
    /// The bytes of all blobs, as of the last sweep, and what this process has written since.
    used: AtomicU64,
    /// Distinguishes the new files of this process.
    written: AtomicU64,
    swept: Mutex<SystemTime>,
    /// Brings a file or a folder to the disk; a test sees it done, and failing.
    sync: fn(&File) -> io::Result<()>,
}

impl Folder {
    fn open(path: PathBuf, most: u64) -> io::Result<Self> {
        // An empty store in the place of one that is not mounted would log users out.
        fs::read_dir(&path).map_err(|error| {
            let what = format!("the directory {} of a store: {error}", path.display());
            io::Error::new(error.kind(), what)
        })?;
        make_folder(&path.join(NEW))?;
        let swept = Mutex::new(SystemTime::UNIX_EPOCH);
        let (used, written) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { path, most, used, written, swept, sync: File::sync_all })
    }

    fn put(
        &self,
        id: BlobId,
        bytes: &[u8],
        lives: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let weight = weight(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if !self.has_room(weight) {
            self.sweep_if_due(now).map_err(StoreError::unavailable)?;
            if !self.has_room(weight) {
                return Err(StoreError::Full);
            }
        }
        self.write(id, bytes, lives, now).map_err(|error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
            _ => StoreError::unavailable(error),
        })?;
        self.used.fetch_add(weight, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, id: BlobId, bytes: &[u8], lives: Duration, now: SystemTime) -> io::Result<()> {
        let path = self.path_of(id);
        if path.try_exists()? {
            return Ok(());
        }
        let Some(until) = now.checked_add(lives) else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "no such time"));
        };
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let new = self.path.join(NEW).join(format!("{id}.{}.{number}", process::id()));
        let written = create(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.set_modified(until)?;
            (self.sync)(&file)
        });
        let shelf = path.parent().unwrap_or(&self.path);
        let shelved = written.and_then(|()| {
            match fs::rename(&new, &path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    make_folder(shelf)?;
                    self.sync_folder(&self.path)?;
                    fs::rename(&new, &path)?;
                }
                renamed => renamed?,
            }
            self.sync_folder(shelf)
        });
        if shelved.is_err() {
            // What is left of it, the sweep removes.
            drop(fs::remove_file(&new));
        }
        shelved
    }

    fn get(&self, id: BlobId, most: usize, now: SystemTime) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.absent(existing().read(true).open(self.path_of(id)))? else {
            return Ok(None);
        };
        if file.metadata()?.modified()? <= now {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn expire_within(&self, id: BlobId, rest: Duration, now: SystemTime) -> io::Result<()> {
        let path = self.path_of(id);
        if rest.is_zero() {
            return self.absent(fs::remove_file(path)).map(|_| ());
        }
        self.set_expiry(&path, now, |until| now.checked_add(rest).filter(|new| *new < until))
    }

    fn keep_for(&self, id: BlobId, lives: Duration, now: SystemTime) -> io::Result<()> {
        self.set_expiry(&self.path_of(id), now, |until| {
            now.checked_add(lives).filter(|new| *new > until)
        })
    }

    fn set_expiry(
        &self,
        path: &Path,
        now: SystemTime,
        new: impl FnOnce(SystemTime) -> Option<SystemTime>,
    ) -> io::Result<()> {
        let Some(file) = self.absent(existing().write(true).open(path))? else { return Ok(()) };
        let until = file.metadata()?.modified()?;
        match new(until).filter(|_| until > now) {
            Some(new) => file.set_modified(new),
            None => Ok(()),
        }
    }

    /// What is not there is absent only while the store is: it may be unmounted, or moved away.
    fn absent<V>(&self, result: io::Result<V>) -> io::Result<Option<V>> {
        let found = absent(result)?;
        if found.is_none() && !fs::symlink_metadata(self.path.join(NEW))?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(found)
    }

    fn has_room(&self, weight: u64) -> bool {
        self.used.load(Ordering::Relaxed).saturating_add(weight) <= self.most
    }

    /// Sweeps if the last time was long enough ago that it can make a difference.
    fn sweep_if_due(&self, now: SystemTime) -> io::Result<()> {
        let swept = *self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        match now.duration_since(swept) {
            Ok(since) if since < LEAST_SWEEP => Ok(()),
            _ => self.sweep(now),
        }
    }

    /// Removes the blobs that have expired and what a process that died left half written, and counts the others.
    fn sweep(&self, now: SystemTime) -> io::Result<()> {
        // One at a time is enough.
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        *swept = now;
        let mut used = 0;
        for shelf in fs::read_dir(&self.path)? {
            let shelf = shelf?;
            let name = shelf.file_name();
            // A link may lead into the folder of somebody else.
            if !shelf.file_type()?.is_dir() {
                continue;
            }
            if name == NEW {
                for file in fs::read_dir(shelf.path())? {
                    let file = file?;
                    if !is_of_blob(&file.file_name()) {
                        continue;
                    }
                    remove_if(&file, |file| {
                        // Its time is that of the writing, or of the expiry, which is later.
                        now.duration_since(file.modified()?)
                            .map_or(Ok(false), |age| Ok(age > HALF_WRITTEN))
                    })?;
                }
            } else if is_shelf(&name) {
                for file in fs::read_dir(shelf.path())? {
                    let file = file?;
                    if is_of_blob(&file.file_name()) {
                        used += remove_if(&file, |file| Ok(file.modified()? <= now))?;
                    }
                }
            }
        }
        self.used.store(used, Ordering::Relaxed);
        Ok(())
    }

    /// Brings what was made in a folder to the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Windows opens no folders, and needs none of this.
        if cfg!(unix) { (self.sync)(&File::open(folder)?) } else { Ok(()) }
    }

    fn path_of(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        let shelf = name.get(..2).unwrap_or_default().to_owned();
        self.path.join(shelf).join(name)
    }
}

/// Removes a file if `expired` says so, and returns what is left of it: its weight, or nothing.
fn remove_if(
    file: &DirEntry,
    expired: impl FnOnce(&fs::Metadata) -> io::Result<bool>,
) -> io::Result<u64> {
    let Some(found) = absent(file.metadata())? else { return Ok(0) };
    if !found.is_file() {
        return Ok(0);
    }
    if expired(&found)? {
        absent(fs::remove_file(file.path()))?;
        return Ok(0);
    }
    Ok(weight(found.len()))
}

/// Two hexadecimal digits: nothing else in the directory is looked into.
fn is_shelf(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == 2 && name.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// What begins with an id is of this store; all else is somebody else's.
fn is_of_blob(name: &OsStr) -> bool {
    let id = name.as_encoded_bytes().get(..32);
    id.is_some_and(|id| id.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')))
}

/// What a file takes on most disks, with its entry.
fn weight(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(4096)
}

/// Another process may have removed the file meanwhile.
fn absent<V>(result: io::Result<V>) -> io::Result<Option<V>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What opens a file that is there. No link is followed, and no pipe waited for: neither was made here.
fn existing() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options
}

const NEW: &str = "new";
const SWEEP: Duration = Duration::from_secs(600);
const LEAST_SWEEP: Duration = Duration::from_secs(60);
const HALF_WRITTEN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn id(n: u8) -> BlobId {
        BlobId::from_bytes([n; 16])
    }

    fn folder(most: u64) -> (tempfile::TempDir, Folder, SystemTime) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("store");
        fs::create_dir(&path).unwrap();
        let folder = Folder::open(path, most).unwrap();
        (temp, folder, SystemTime::now())
    }

    fn files(folder: &Folder) -> Vec<PathBuf> {
        let shelves = fs::read_dir(&folder.path).unwrap().map(|shelf| shelf.unwrap().path());
        shelves.flat_map(|shelf| fs::read_dir(shelf).unwrap()).map(|f| f.unwrap().path()).collect()
    }

    #[test]
    fn a_blob_lives_for_its_time_and_is_swept_afterwards() {
        let (_temp, folder, now) = folder(1 << 20);
        folder.put(id(1), b"one", HOUR, now).unwrap();
        folder.put(id(2), b"two", 2 * HOUR, now).unwrap();
        assert_eq!(folder.get(id(1), 99, now).unwrap().unwrap(), b"one");
        assert_eq!(folder.get(id(3), 99, now).unwrap(), None);
        let later = now + HOUR;
        assert_eq!(folder.get(id(1), 99, later).unwrap(), None);
        assert_eq!(folder.get(id(2), 99, later).unwrap().unwrap(), b"two");
        assert_eq!(files(&folder).len(), 2);
        folder.sweep(later).unwrap();
        assert_eq!(files(&folder), [folder.path_of(id(2))]);
    }

    #[test]
    fn a_blob_never_changes() {
        let (_temp, folder, now) = folder(1 << 20);
        folder.put(id(1), b"one", HOUR, now).unwrap();
        folder.put(id(1), b"other", 2 * HOUR, now).unwrap();
        assert_eq!(folder.get(id(1), 99, now).unwrap().unwrap(), b"one");
        assert_eq!(folder.get(id(1), 99, now + HOUR).unwrap(), None);
    }

    #[test]
    fn a_life_is_shortened_by_the_one_call_and_prolonged_by_the_other() {
        let (_temp, folder, now) = folder(1 << 20);
        let lives = |at| folder.get(id(1), 99, now + at).unwrap().is_some();
        folder.put(id(1), b"one", HOUR, now).unwrap();
        folder.expire_within(id(1), 2 * HOUR, now).unwrap();
        assert!(!lives(HOUR), "expire_within prolongs nothing");
        folder.keep_for(id(1), HOUR / 2, now).unwrap();
        assert!(lives(HOUR / 2), "keep_for shortens nothing");
        folder.keep_for(id(1), 2 * HOUR, now).unwrap();
        assert!(lives(HOUR) && !lives(2 * HOUR));
        folder.expire_within(id(1), HOUR / 2, now).unwrap();
        assert!(lives(HOUR / 3) && !lives(HOUR / 2));
        folder.keep_for(id(1), HOUR, now + HOUR).unwrap();
        assert!(!lives(HOUR), "what has expired stays so");
        folder.expire_within(id(1), Duration::ZERO, now).unwrap();
        assert_eq!(files(&folder).len(), 0);
        // And where there is none, nothing happens.
        folder.expire_within(id(1), Duration::ZERO, now).unwrap();
        folder.expire_within(id(1), HOUR, now).unwrap();
        folder.keep_for(id(1), HOUR, now).unwrap();
    }

    #[test]
    fn a_full_store_refuses_and_evicts_nobody() {
        let (_temp, folder, now) = folder(2 * 4096);
        folder.put(id(1), &[1; 4096], HOUR, now).unwrap();
        folder.put(id(2), &[2; 100], 2 * HOUR, now).unwrap();
        let full = folder.put(id(3), b"three", HOUR, now);
        assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
        assert!(folder.get(id(1), 9999, now).unwrap().is_some());
        // What has expired makes room, without waiting for the thread that sweeps.
        folder.put(id(3), b"three", HOUR, now + HOUR).unwrap();
        assert!(folder.get(id(3), 99, now + HOUR).unwrap().is_some());
        assert!(folder.get(id(2), 999, now + HOUR).unwrap().is_some());
    }

    #[test]
    fn another_process_finds_the_blobs_and_counts_them() {
        let (_temp, folder, now) = folder(4096);
        folder.put(id(1), b"one", HOUR, now).unwrap();
        let other = Folder::open(folder.path.clone(), 4096).unwrap();
        other.sweep(now).unwrap();
        assert_eq!(other.get(id(1), 99, now).unwrap().unwrap(), b"one");
        assert!(matches!(other.put(id(2), b"two", HOUR, now), Err(StoreError::Full)));
    }

    #[test]
    fn what_a_process_that_died_left_half_written_is_no_blob_and_is_removed() {
        let (_temp, folder, now) = folder(1 << 20);
        let half = folder.path.join(NEW).join(format!("{}.1.1", id(1)));
        fs::write(&half, b"hal").unwrap();
        assert_eq!(folder.get(id(1), 99, now).unwrap(), None);
        folder.sweep(now).unwrap();
        assert!(half.exists(), "another process may be writing it");
        folder.sweep(now + 2 * HOUR).unwrap();
        assert!(!half.exists());
    }

    #[test]
    fn what_is_longer_than_asked_for_is_cut() {
        let (_temp, folder, now) = folder(1 << 20);
        folder.put(id(1), &[7; 5000], HOUR, now).unwrap();
        assert_eq!(folder.get(id(1), 4999, now).unwrap().unwrap().len(), 4999);
    }

    #[test]
    fn files_of_others_in_the_directory_stay() {
        let (_temp, folder, now) = folder(1 << 20);
        let theirs = folder.path.join("notes.txt");
        fs::write(&theirs, b"theirs").unwrap();
        let also = folder.path.join("Ab");
        fs::create_dir(&also).unwrap();
        fs::write(also.join("file"), b"theirs").unwrap();
        folder.sweep(now + 2 * HOUR).unwrap();
        assert!(theirs.exists() && also.join("file").exists());
    }

    #[test]
    fn files_of_others_beside_the_blobs_stay_too() {
        let (_temp, folder, now) = folder(1 << 20);
        folder.put(id(0xab), b"one", HOUR, now).unwrap();
        let theirs = [folder.path.join("ab/.keep"), folder.path.join("new/README")];
        for path in &theirs {
            fs::write(path, b"theirs").unwrap();
        }
        folder.sweep(now + 3 * HOUR).unwrap();
        assert!(theirs.iter().all(|path| path.exists()));
        assert!(!folder.path_of(id(0xab)).exists());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        use std::os::unix::fs::symlink;
        let (temp, folder, now) = folder(1 << 20);
        // What belongs to somebody else, and looks as ours does.
        let theirs = temp.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        let file = theirs.join(id(1).to_string());
        fs::write(&file, b"theirs").unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(now + HOUR).unwrap();

        fs::remove_dir(folder.path.join(NEW)).unwrap();
        for link in [NEW, "01", "ff"] {
            symlink(&theirs, folder.path.join(link)).unwrap();
        }
        folder.sweep(now + 9 * HOUR).unwrap();
        assert!(file.exists(), "swept by way of a link");

        let shelf = folder.path.join("02");
        fs::create_dir(&shelf).unwrap();
        symlink(&file, folder.path_of(id(2))).unwrap();
        folder.get(id(2), 99, now).unwrap_err();
        folder.expire_within(id(2), HOUR / 2, now).unwrap_err();
        folder.keep_for(id(2), 2 * HOUR, now).unwrap_err();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), now + HOUR);
    }

    thread_local! {
        /// What was brought to the disk, and whether a blob lay on a shelf by then.
        static SYNCED: std::cell::RefCell<Vec<(&'static str, bool)>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    #[test]
    fn a_blob_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_acknowledged() {
        let (_temp, mut folder, now) = folder(1 << 20);
        static PATH: OnceLock<PathBuf> = OnceLock::new();
        PATH.set(folder.path_of(id(1))).unwrap();
        folder.sync = |file| {
            let is_folder = file.metadata()?.is_dir();
            let named = PATH.get().unwrap().exists();
            SYNCED.with_borrow_mut(|synced| {
                synced.push((if is_folder { "folder" } else { "file" }, named));
            });
            file.sync_all()
        };
        folder.put(id(1), b"one", HOUR, now).unwrap();
        let synced = SYNCED.take();
        // The shelf was new, so it is one more.
        assert_eq!(synced, [("file", false), ("folder", false), ("folder", true)]);
        folder.expire_within(id(1), Duration::ZERO, now).unwrap();
        folder.put(id(1), b"one", HOUR, now).unwrap();
        assert_eq!(SYNCED.take(), [("file", false), ("folder", true)]);
    }

    #[test]
    fn what_the_disk_does_not_take_is_not_acknowledged_and_leaves_nothing() {
        let (_temp, mut folder, now) = folder(1 << 20);
        folder.sync = |_| Err(io::Error::other("the disk is gone"));
        let error = folder.put(id(1), b"one", HOUR, now);
        assert!(matches!(error, Err(StoreError::Unavailable(_))), "{error:?}");
        assert_eq!(files(&folder).len(), 0);
        folder.sync = |_| Err(ErrorKind::StorageFull.into());
        assert!(matches!(folder.put(id(1), b"one", HOUR, now), Err(StoreError::Full)));
        folder.sync = File::sync_all;
        folder.put(id(1), b"one", HOUR, now).unwrap();
        assert_eq!(folder.get(id(1), 99, now).unwrap().unwrap(), b"one");
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_temp, folder, now) = folder(1 << 20);
        folder.put(id(1), b"one", HOUR, now).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = folder.path_of(id(1));
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(mode(&folder.path.join(NEW)), 0o700);
    }

    #[test]
    fn a_store_that_is_gone_is_an_error_and_no_absence() {
        let (temp, folder, now) = folder(1 << 20);
        folder.put(id(1), b"one", HOUR, now).unwrap();
        let elsewhere = temp.path().join("elsewhere");
        fs::rename(&folder.path, &elsewhere).unwrap();
        let all_fail = || {
            for id in [id(1), id(2)] {
                folder.get(id, 99, now).unwrap_err();
                folder.expire_within(id, Duration::ZERO, now).unwrap_err();
                folder.expire_within(id, HOUR / 2, now).unwrap_err();
                folder.keep_for(id, 2 * HOUR, now).unwrap_err();
                folder.put(id, b"one", HOUR, now).unwrap_err();
            }
        };
        all_fail();
        // Where it was mounted, an empty folder is.
        fs::create_dir(&folder.path).unwrap();
        all_fail();
        assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 0);
        fs::remove_dir(&folder.path).unwrap();
        fs::rename(&elsewhere, &folder.path).unwrap();
        assert_eq!(folder.get(id(1), 99, now).unwrap().unwrap(), b"one");
        assert_eq!(folder.get(id(2), 99, now).unwrap(), None);
    }

    #[test]
    fn a_path_that_is_not_there_makes_no_store() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("store");
        let error = DirectoryStore::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("store"), "{error}");
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        DirectoryStore::open(&path).unwrap();
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_an_error_in_time() {
        static HANG: std::sync::Barrier = std::sync::Barrier::new(2);
        let (_temp, mut folder, _) = folder(1 << 20);
        folder.sync = |_| {
            HANG.wait();
            Err(io::Error::other("it hung"))
        };
        let store = DirectoryStore::open(&folder.path).unwrap().timeout(Duration::from_millis(1));
        let store = DirectoryStore { folder: Arc::new(folder), ..store };
        let error = store.put(id(1), b"one", HOUR).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        HANG.wait();
    }

    #[tokio::test]
    async fn who_only_reads_removes_nothing_and_who_stores_sweeps() {
        let (_temp, folder, now) = folder(1 << 20);
        folder.put(id(1), b"one", HOUR, now - 2 * HOUR).unwrap();
        let old = folder.path_of(id(1));
        let store = DirectoryStore::open(&folder.path).unwrap().timeout(PATIENCE);
        assert_eq!(store.get(id(1), 99).await.unwrap(), None);
        assert!(old.exists());
        store.put(id(2), b"two", HOUR).await.unwrap();
        let since = std::time::Instant::now();
        while old.exists() {
            assert!(since.elapsed() < PATIENCE, "nothing is swept");
            thread::yield_now();
        }
        assert_eq!(store.get(id(2), 99).await.unwrap().unwrap(), b"two");
    }

    #[test]
    fn a_disk_that_fails_is_an_error_and_no_absence() {
        let (_temp, folder, now) = folder(1 << 20);
        // A folder stands where the file should.
        fs::create_dir_all(folder.path_of(id(1))).unwrap();
        assert!(folder.get(id(1), 99, now - HOUR).is_err());
    }
}
