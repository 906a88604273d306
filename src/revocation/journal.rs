//! The journal: what is revoked, in a file that the processes of one machine share and that survives them.
//!
//! ```text
//! journal = header(32) · record(32)*
//! header  = "SSREVOK1" · generation(8, random) · 0(16)
//! record  = entry(27) · checksum(5), the first bytes of SHA-256 of the entry
//! ```
//!
//! - Who writes holds the lock file beside it, first reads what others have written, then appends, syncs, and only
//!   then says "stored". Readers need no lock: what is half written has no checksum yet.
//! - What a crash has torn has no checksum either. It is skipped, and cut off by the next writer.
//! - A new file takes the place of the old one by a rename, with another generation, without what is dead. Whoever
//!   sees another generation reads all of it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::observe;
use crate::revocation::entry::Entry;
use crate::revocation::guarded;
use crate::revocation::receipt::{Part, Stored};
use crate::revocation::set::{Revocations, Sink};

/// A set of revocations that is kept in a file, and in step with the other processes of this machine that do so.
///
/// What is revoked here is on the disk before its receipt says so; what others revoke holds here within some 20
/// milliseconds. A thread of its own does the work, so this needs no runtime. When it is dropped, it writes what is
/// queued, and ends.
///
/// A thread does not survive a fork: a server that forks its workers opens the journal in each of them.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use sealed_session::revocation::{Journal, Revocations, Stored, SubjectTag};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("revoked");
/// let week = Duration::from_secs(7 * 86_400);
/// let revocations = Revocations::new(week);
/// let _journal = Journal::open(&path, &revocations)?; // until it is dropped
///
/// let receipt = revocations.revoke_subject(SubjectTag::new("user", "7"))?;
/// assert_eq!(receipt.wait(Duration::from_secs(5)), Stored::Acknowledged);
///
/// // After a restart, or in another process.
/// let revocations = Revocations::new(week);
/// let _journal = Journal::open(&path, &revocations)?;
/// assert_eq!(revocations.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the journal is kept until this is dropped"]
pub struct Journal {
    shared: Arc<Shared>,
    set: Revocations,
    thread: Option<JoinHandle<()>>,
}

/// The reason why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file, its lock file or its folder cannot be read or written.
    #[error("the journal {} cannot be used: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        error: io::Error,
    },
    /// The file is something else.
    #[error("{} is no journal of revocations; give the path of one, or of none for a new one", .0.display())]
    NotAJournal(PathBuf),
    /// Other users may write to it, so they could take revocations back.
    #[error("the journal {} may be written by others (mode {mode:o}); chmod 600", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another process has held the lock for too long: it may be stopped.
    #[error("the journal {} is locked by another process", .0.display())]
    Locked(PathBuf),
}

impl Journal {
    /// Opens the journal, or makes an empty one (mode 0600), loads what it holds, and keeps the set in it from now on.
    ///
    /// Beside it is a lock file, whose name has `.lock` appended.
    ///
    /// # Errors
    ///
    /// [`JournalError`]. Without its journal a node does not know what is revoked, so do not start it.
    pub fn open(path: impl AsRef<Path>, set: &Revocations) -> Result<Self, JournalError> {
        let path = path.as_ref();
        // What takes its place by a rename shall take the place of the file, and not of a link to it.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let shared = Arc::new(Shared::default());
        let mut keeper = Keeper::new(path, set.clone(), Arc::clone(&shared));
        // What is revoked while the file is read is written after that.
        set.attach(shared.clone());
        let opened = keeper.open();
        keeper.tell_damage();
        let thread = opened.and_then(|()| {
            let path = keeper.path.clone();
            let thread = thread::Builder::new().name("sealed-session-journal".to_owned());
            thread.spawn(move || keeper.run()).map_err(|error| JournalError::Io { path, error })
        });
        let thread = thread.inspect_err(|_| set.detach(&*shared))?;
        Ok(Self { shared, set: set.clone(), thread: Some(thread) })
    }

    /// Returns when the thread last finished a check of the file. If that is seconds ago, the disk hangs, or the process
    /// was forked and this one has no such thread: something for a health check.
    #[must_use]
    pub fn last_check(&self) -> Instant {
        self.shared.lock().checked
    }

    /// Returns what is wrong with the file at present, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.shared.lock().fault.clone()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.set.detach(&*self.shared);
        self.shared.lock().stop = true;
        self.shared.woken.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the set, the thread and the handle share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
}

#[derive(Debug)]
struct Queue {
    entries: Vec<(Entry, Option<Part>)>,
    stop: bool,
    checked: Instant,
    fault: Option<String>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { entries: Vec::new(), stop: false, checked: Instant::now(), fault: None }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Shared {
    fn push(&self, entry: Entry, part: Option<Part>) {
        self.lock().entries.push((entry, part));
        self.woken.notify_one();
    }
}

/// What one reading of the file goes by, and what it finds.
#[derive(Default)]
struct Reading {
    /// Whether nobody can be writing.
    locked: bool,
    /// Whether this is the first reading of all, after which the file has nothing that the set lacks.
    first: bool,
    entries: HashSet<Entry>,
}

/// Who reads and writes the file.
struct Keeper {
    path: PathBuf,
    lock: PathBuf,
    set: Revocations,
    shared: Arc<Shared>,
    /// The generation that was read, and up to where.
    generation: Option<[u8; 8]>,
    offset: u64,
    /// What is to be written.
    pending: Vec<(Entry, Option<Part>)>,
    /// Records of a later release: they are carried along.
    unknown: HashSet<[u8; RECORD]>,
    /// Whether the file lacks some of what the set has.
    incomplete: bool,
    /// Damaged records that nobody was told of yet.
    damaged: u64,
}

impl Keeper {
    fn new(path: PathBuf, set: Revocations, shared: Arc<Shared>) -> Self {
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let (lock, generation, offset, incomplete) = (lock.into(), None, 0, false);
        let (pending, unknown, damaged) = (Vec::new(), HashSet::new(), 0);
        Self { path, lock, set, shared, generation, offset, pending, unknown, incomplete, damaged }
    }

    fn open(&mut self) -> Result<(), JournalError> {
        let had = self.set.len();
        self.check_permissions()?;
        let _locked = self.lock(Instant::now() + PATIENCE)?;
        self.read(&mut Reading { locked: true, first: true, ..Reading::default() })?;
        if self.generation.is_none() || self.incomplete || had > 0 {
            self.rewrite()?;
        }
        Ok(())
    }

    fn run(mut self) {
        let mut pause = EVERY;
        loop {
            let mut queue = self.shared.lock();
            if queue.entries.is_empty() && !queue.stop {
                let woken = self.shared.woken.wait_timeout(queue, EVERY);
                queue = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            let stop = queue.stop;
            self.pending.append(&mut queue.entries);
            drop(queue);
            let worked = self.work(stop);
            let fault = worked.as_ref().err().map(ToString::to_string);
            let mut queue = self.shared.lock();
            queue.checked = Instant::now();
            let before = std::mem::replace(&mut queue.fault, fault.clone());
            drop(queue);
            // Nothing is locked now: who is told may ask the journal, or revoke something.
            self.tell_damage();
            if fault != before {
                guarded(|| match &fault {
                    Some(fault) => observe::journal_failed(fault),
                    None => observe::journal_recovered(),
                });
            }
            if stop {
                return;
            }
            pause = match worked {
                Ok(()) => EVERY,
                // A try costs nothing, and the other process is about to finish.
                Err(JournalError::Locked(_)) => EVERY,
                Err(_) => (pause * 2).min(MOST_PAUSE),
            };
            if fault.is_some() {
                // What is pending is tried again, and what comes meanwhile waits too: a try may write all of the file.
                let queue = self.shared.lock();
                drop(self.shared.woken.wait_timeout_while(queue, pause, |queue| !queue.stop));
            }
        }
    }

    fn tell_damage(&mut self) {
        match std::mem::take(&mut self.damaged) {
            0 => {}
            damaged => guarded(|| observe::journal_damaged(damaged)),
        }
    }

    /// Reads what others have written, and writes what is pending.
    fn work(&mut self, last: bool) -> Result<(), JournalError> {
        if self.pending.is_empty() && !self.incomplete {
            self.read(&mut Reading::default())?;
            if self.generation.is_some() && !self.incomplete && !self.is_bloated() {
                return Ok(());
            }
        }
        let patience = if last { PATIENCE } else { EVERY };
        let _locked = self.lock(Instant::now() + patience)?;
        let mut read = Reading { locked: true, ..Reading::default() };
        self.read(&mut read)?;
        if self.generation.is_none() || self.incomplete || self.is_bloated() {
            self.rewrite()?;
        } else {
            self.append(&read.entries)?;
        }
        for part in self.pending.drain(..).filter_map(|(_, part)| part) {
            part.stored(Stored::Acknowledged);
        }
        Ok(())
    }

    /// Reads what was written since the last time, or all of another generation.
    fn read(&mut self, read: &mut Reading) -> Result<(), JournalError> {
        let mut file = match existing().read(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.generation = None;
                return Ok(());
            }
            Err(error) => return Err(self.io(error)),
        };
        let mut header = Vec::with_capacity(HEADER);
        let limit = u64::try_from(HEADER).unwrap_or(u64::MAX);
        (&mut file).take(limit).read_to_end(&mut header).map_err(|error| self.io(error))?;
        if !header.starts_with(MAGIC.get(..header.len().min(MAGIC.len())).unwrap_or(&MAGIC)) {
            return Err(JournalError::NotAJournal(self.path.clone()));
        }
        if header.len() < HEADER {
            // Torn before its first record.
            self.generation = None;
            return Ok(());
        }
        let generation = header.get(8..16).and_then(|bytes| bytes.first_chunk()).copied();
        let other = generation != self.generation;
        if other {
            (self.generation, self.offset) = (generation, limit);
        }
        let len = file.metadata().map_err(|error| self.io(error))?.len();
        if len < self.offset {
            // Cut off by somebody else: what is left is read again, and what is lost is in the set.
            self.offset = limit;
            self.incomplete = true;
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(|error| self.io(error))?;
        self.read_records(file, read)?;
        if other && !read.first {
            // Somebody has removed dead records; or else the file was deleted, and begun anew by a process that did
            // not know all.
            let live = self.set.entries(SystemTime::now()).count();
            let found = read.entries.iter().map(|entry| entry.target).collect::<HashSet<_>>();
            self.incomplete |= found.len() < live;
        }
        Ok(())
    }

    fn read_records(&mut self, mut file: File, read: &mut Reading) -> Result<(), JournalError> {
        let now = SystemTime::now();
        let mut buffer = Vec::with_capacity(BUFFER);
        // Records without a good checksum; those at the end may be half written, or torn.
        let mut doubted = 0;
        loop {
            buffer.clear();
            let limit = u64::try_from(BUFFER).unwrap_or(u64::MAX);
            (&mut file).take(limit).read_to_end(&mut buffer).map_err(|error| self.io(error))?;
            for record in buffer.chunks_exact(RECORD) {
                let Some(entry) = checked(record) else {
                    doubted += 1;
                    continue;
                };
                if doubted > 0 {
                    self.incomplete = true;
                    if !read.locked {
                        // It may be that somebody is writing just now: nothing is skipped before that is ruled out.
                        return Ok(());
                    }
                    self.damaged += doubted;
                }
                self.offset += RECORD_LEN * (doubted + 1);
                doubted = 0;
                match Entry::from_bytes(entry) {
                    Some(entry) => {
                        // Where there is no room, the set says so, and counts as stale.
                        let _ = self.set.merge(entry, 0, &*self.shared, now);
                        if !read.first {
                            read.entries.insert(entry);
                        }
                    }
                    None => self.unknown.extend(record.first_chunk().copied()),
                }
            }
            if buffer.len() < BUFFER {
                return Ok(());
            }
        }
    }

    /// Appends what is pending; the lock is held, and all of the file was read.
    fn append(&mut self, read: &HashSet<Entry>) -> Result<(), JournalError> {
        let mut records = Vec::new();
        for (entry, part) in &self.pending {
            // What many processes hear of at once, the first writes down.
            if part.is_some() || !read.contains(entry) {
                records.extend_from_slice(&print(*entry));
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        let written = (|| {
            let mut file = existing().write(true).open(&self.path)?;
            // What a crash has torn goes.
            file.set_len(self.offset)?;
            file.seek(SeekFrom::Start(self.offset))?;
            file.write_all(&records)?;
            file.sync_data()
        })();
        written.map_err(|error| self.io(error))?;
        self.offset += u64::try_from(records.len()).unwrap_or(0);
        Ok(())
    }

    /// Puts a file of all that is live in the place of the present one; the lock is held.
    fn rewrite(&mut self) -> Result<(), JournalError> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let mut generation = [0; 8];
        let written = (|| {
            crate::bytes::random::fill(&mut generation).map_err(io::Error::other)?;
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let new = create(&temporary)?;
            keep_owner(&self.path, &new)?;
            let mut file = io::BufWriter::with_capacity(BUFFER, new);
            file.write_all(&MAGIC)?;
            file.write_all(&generation)?;
            file.write_all(&[0; HEADER - 16])?;
            let mut records = 0;
            for entry in self.set.entries(SystemTime::now()) {
                file.write_all(&print(entry))?;
                records += 1;
            }
            for record in &self.unknown {
                file.write_all(record)?;
                records += 1;
            }
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            sync_folder(&self.path)?;
            Ok(records)
        })();
        let records: u64 = written.map_err(|error| self.io(error))?;
        self.generation = Some(generation);
        self.offset = u64::try_from(HEADER).unwrap_or(0) + records * RECORD_LEN;
        self.incomplete = false;
        Ok(())
    }

    /// Returns whether most of the file is dead or written twice.
    fn is_bloated(&self) -> bool {
        let live = u64::try_from(self.set.len() + self.unknown.len()).unwrap_or(u64::MAX);
        self.offset / RECORD_LEN > live.saturating_mul(2).saturating_add(SLACK)
    }

    /// Takes the lock that all writers take, until the result is dropped.
    fn lock(&self, deadline: Instant) -> Result<File, JournalError> {
        let file = self.open_lock().map_err(|error| self.io(error))?;
        loop {
            match fs4::FileExt::try_lock(&file) {
                Ok(()) => return Ok(file),
                Err(fs4::TryLockError::WouldBlock) => {
                    if Instant::now() >= deadline {
                        return Err(JournalError::Locked(self.path.clone()));
                    }
                    thread::park_timeout(Duration::from_millis(1));
                }
                Err(fs4::TryLockError::Error(error)) => return Err(self.io(error)),
            }
        }
    }

    /// Opens the lock file. One that is new gets the owner of the journal, so that an administrator leaves none behind that
    /// the service cannot open.
    fn open_lock(&self) -> io::Result<File> {
        match create(&self.lock) {
            Ok(file) => {
                keep_owner(&self.path, &file)?;
                Ok(file)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                existing().write(true).open(&self.lock)
            }
            Err(error) => Err(error),
        }
    }

    #[cfg(unix)]
    fn check_permissions(&self) -> Result<(), JournalError> {
        use std::os::unix::fs::PermissionsExt;
        match fs::metadata(&self.path) {
            Ok(metadata) => match metadata.permissions().mode() & 0o7777 {
                mode if mode & 0o022 != 0 => {
                    Err(JournalError::Permissions { path: self.path.clone(), mode })
                }
                _ => Ok(()),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io(error)),
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it is so on Unix")]
    fn check_permissions(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn io(&self, error: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), error }
    }
}

fn print(entry: Entry) -> [u8; RECORD] {
    let entry = entry.to_bytes();
    let mut record = [0; RECORD];
    let (bytes, check) = record.split_at_mut(Entry::LEN);
    bytes.copy_from_slice(&entry);
    check.copy_from_slice(&checksum(&entry));
    record
}

/// Returns the entry of a record whose checksum is good.
fn checked(record: &[u8]) -> Option<&[u8]> {
    let (entry, check) = record.split_at_checked(Entry::LEN)?;
    (checksum(entry) == check).then_some(entry)
}

fn checksum(entry: &[u8]) -> [u8; RECORD - Entry::LEN] {
    let hash: [u8; 32] = Sha256::digest(entry).into();
    let mut check = [0; RECORD - Entry::LEN];
    check.copy_from_slice(hash.first_chunk::<{ RECORD - Entry::LEN }>().unwrap_or(&[0; 5]));
    check
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    private(&mut options);
    options.open(path)
}

/// What opens a file that is there. No link is followed, since an administrator may revoke in a folder of the service, who
/// could lead the write to another file.
fn existing() -> OpenOptions {
    let mut options = OpenOptions::new();
    private(&mut options);
    options
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
    options.custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0));
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// Makes a rename last.
#[cfg(unix)]
fn keep_owner(old: &Path, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    // An administrator who revokes takes nothing away from the nodes.
    let Ok(old) = fs::metadata(old) else { return Ok(()) };
    let mine = new.metadata()?;
    if (old.uid(), old.gid()) == (mine.uid(), mine.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

const MAGIC: [u8; 8] = *b"SSREVOK1";
const HEADER: usize = 32;
const RECORD: usize = 32;
const RECORD_LEN: u64 = 32;
const BUFFER: usize = 1 << 16;

/// How often the file is checked: a read of its header and length.
const EVERY: Duration = Duration::from_millis(20);

/// The longest time between two tries to write, where the file has a fault.
const MOST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for the lock at the start and at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file may have so many records more than twice the live ones.
const SLACK: u64 = 4096;
