//! The double of a file system: in memory, deterministic, and as forgetful as a disk may be.
//!
//! What was not flushed is pending. A [`ModelFs::crash`] draws from a seed which pending writes reach the disk: none,
//! some, or single sectors of them, in any combination, because a disk and a page cache promise no order between
//! two flushes. Names in folders are treated the same way. A failed flush leaves its bytes readable and never writes
//! them, as Linux does. Nothing outside the written range is ever touched: the log assumes that of a disk
//! (DESIGN.md, "Assumptions about the disk").

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Access, Fs, FsFile, LockError};

/// A write is torn at multiples of this many bytes: the smallest unit a disk writes whole.
pub const SECTOR_BYTES: usize = 512;

/// What becomes of unflushed writes when the machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashLuck {
    /// All of them are lost.
    Forget,
    /// All of them had been written already.
    Keep,
    /// Each write, sector and name is kept or lost as the seed decides.
    Seed(u64),
}

/// A failure that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The write after this many more writes fails; half of its bytes arrive.
    Write(u64),
    /// The flush (of a file or a folder) after this many more flushes fails.
    Flush(u64),
    /// After this many more calls that change anything, names included, every such call fails: the machine dies there,
    /// and half of a write arrives. Lasts until [`ModelFs::crash`] or [`ModelFs::kill`].
    Stop(u64),
}

/// A call that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Write,
    Flush,
    /// Of a name, or of a length.
    Other,
}

/// The double. Clones share one disk.
#[derive(Debug, Clone)]
pub struct ModelFs {
    disk: Arc<Mutex<Disk>>,
}

/// A file of the double.
#[derive(Debug)]
pub struct ModelFile {
    disk: Arc<Mutex<Disk>>,
    inode: u64,
    /// The boot in which it was opened: a process that died with the machine cannot write any more.
    boot: u64,
    access: Access,
}

/// A lock of the double, given back when it is dropped.
#[derive(Debug)]
pub struct ModelLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
    boot: u64,
}

#[derive(Debug, Default)]
struct Disk {
    folders: BTreeMap<PathBuf, Folder>,
    /// Folders that were removed, and may be back after a crash.
    removed: BTreeSet<PathBuf>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    boot: u64,
    locks: BTreeSet<PathBuf>,
    capacity: Option<u64>,
    fault: Option<Fault>,
    identities: u64,
    flushes: u64,
}

#[derive(Debug, Default)]
struct Folder {
    durable: BTreeMap<String, u64>,
    current: BTreeMap<String, u64>,
    pending: Vec<NameChange>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(String, u64),
    Remove(String),
    Rename { from: String, to: String, inode: u64 },
}

#[derive(Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Add(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes: new } => write_into(bytes, *offset, new),
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }

    /// Applies those sectors of a write that `rng` lets through.
    fn apply_torn(&self, bytes: &mut Vec<u8>, rng: &mut Rng) {
        let Self::Write { offset, bytes: new } = self else {
            return self.apply(bytes);
        };
        let mut done = 0;
        while done < new.len() {
            let at = offset + done;
            let end = (done + SECTOR_BYTES - at % SECTOR_BYTES).min(new.len());
            if rng.coin() {
                write_into(bytes, at, &new[done..end]);
            }
            done = end;
        }
    }
}

fn write_into(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

/// SplitMix64: small, seeded, the same everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

impl Default for ModelFs {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelFs {
    /// An empty disk without end.
    pub fn new() -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::default())) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    /// The process dies, the machine goes on: open files and locks are gone, unflushed writes stay where they were.
    pub fn kill(&self) {
        let mut disk = self.disk();
        disk.boot += 1;
        disk.locks.clear();
        disk.fault = None;
    }

    /// The machine dies and comes back.
    pub fn crash(&self, luck: CrashLuck) {
        self.kill();
        let mut disk = self.disk();
        let mut rng = Rng(match luck {
            CrashLuck::Seed(seed) => seed,
            _ => 0,
        });
        for dir in std::mem::take(&mut disk.removed) {
            if luck == CrashLuck::Forget || luck != CrashLuck::Keep && rng.coin() {
                disk.folders.entry(dir).or_default();
            }
        }
        for folder in disk.folders.values_mut() {
            for change in std::mem::take(&mut folder.pending) {
                let keep = match luck {
                    CrashLuck::Forget => false,
                    CrashLuck::Keep => true,
                    CrashLuck::Seed(_) => rng.coin(),
                };
                if keep {
                    change.apply(&mut folder.durable);
                }
            }
            folder.current = folder.durable.clone();
        }
        for inode in disk.inodes.values_mut() {
            for change in std::mem::take(&mut inode.pending) {
                match luck {
                    CrashLuck::Forget => {}
                    CrashLuck::Keep => change.apply(&mut inode.durable),
                    CrashLuck::Seed(_) => match rng.next() % 3 {
                        0 => {}
                        1 => change.apply(&mut inode.durable),
                        _ => change.apply_torn(&mut inode.durable, &mut rng),
                    },
                }
            }
            inode.current = inode.durable.clone();
        }
    }

    /// Lets one operation fail, or all from one on.
    pub fn fail(&self, fault: Fault) {
        self.disk().fault = Some(fault);
    }

    /// Limits the sum of all file lengths, or lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// Sum of all file lengths in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.disk().used()
    }

    /// How many flushes have succeeded.
    pub fn flushes(&self) -> u64 {
        self.disk().flushes
    }

    /// A copy of a file's bytes, to damage and hand back to [`Self::replace`].
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        let inode = disk.find(path)?;
        Ok(disk.inodes[&inode].current.clone())
    }

    /// Replaces a file's bytes durably, as damage does.
    pub fn replace(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.find(path)?;
        disk.inodes.insert(inode, Inode { durable: bytes.clone(), current: bytes, pending: Vec::new() });
        Ok(())
    }
}

impl Disk {
    fn find(&self, path: &Path) -> io::Result<u64> {
        let (dir, name) = split(path)?;
        let folder = self.folders.get(dir).ok_or_else(|| not_found(path))?;
        folder.current.get(name).copied().ok_or_else(|| not_found(path))
    }

    fn folder(&mut self, dir: &Path) -> io::Result<&mut Folder> {
        self.folders.get_mut(dir).ok_or_else(|| not_found(dir))
    }

    fn change_name(&mut self, dir: &Path, change: NameChange) -> io::Result<()> {
        let folder = self.folder(dir)?;
        change.apply(&mut folder.current);
        folder.pending.push(change);
        Ok(())
    }

    fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self.folders.values().flat_map(|f| f.current.values().copied()).collect();
        named.iter().filter_map(|id| self.inodes.get(id)).map(|inode| inode.current.len() as u64).sum()
    }

    /// Whether a call is the one that is to fail, counting down to it otherwise.
    fn fails(&mut self, call: Call) -> bool {
        let (left, lasts) = match &mut self.fault {
            Some(Fault::Write(left)) if call == Call::Write => (left, false),
            Some(Fault::Flush(left)) if call == Call::Flush => (left, false),
            Some(Fault::Stop(left)) => (left, true),
            _ => return false,
        };
        if *left > 0 {
            *left -= 1;
            return false;
        }
        if !lasts {
            self.fault = None;
        }
        true
    }

    /// Fails a call on a name if it is the one that is to fail.
    fn check_call(&mut self, call: Call) -> io::Result<()> {
        if self.fails(call) { Err(io::Error::other("the double was told to fail this call")) } else { Ok(()) }
    }
}

impl Fs for ModelFs {
    type File = ModelFile;
    type Lock = ModelLock;

    fn open(&self, path: &Path, access: Access) -> io::Result<ModelFile> {
        let disk = self.disk();
        Ok(ModelFile { inode: disk.find(path)?, boot: disk.boot, disk: Arc::clone(&self.disk), access })
    }

    fn create(&self, path: &Path) -> io::Result<ModelFile> {
        let mut disk = self.disk();
        let (dir, name) = split(path)?;
        if disk.find(path).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        disk.check_call(Call::Other)?;
        let inode = disk.next_inode;
        disk.next_inode += 1;
        disk.change_name(dir, NameChange::Add(name.to_owned(), inode))?;
        disk.inodes.insert(inode, Inode::default());
        let boot = disk.boot;
        drop(disk);
        Ok(ModelFile { disk: Arc::clone(&self.disk), inode, boot, access: Access::ReadWrite })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        let mut names: BTreeSet<String> = match disk.folders.get(dir) {
            Some(folder) => folder.current.keys().cloned().collect(),
            None => return Ok(Vec::new()),
        };
        let below = disk.folders.keys().filter(|path| path.parent() == Some(dir));
        names.extend(below.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())));
        Ok(names.into_iter().collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let disk = self.disk();
        Ok(disk.folders.contains_key(path) || disk.find(path).is_ok())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            if !disk.folders.contains_key(dir) {
                disk.check_call(Call::Other)?;
                disk.removed.remove(dir);
                disk.folders.insert(dir.to_path_buf(), Folder::default());
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.find(from)?;
        let ((dir, from), (to_dir, to)) = (split(from)?, split(to)?);
        if dir != to_dir {
            return Err(ErrorKind::CrossesDevices.into());
        }
        disk.check_call(Call::Other)?;
        disk.change_name(dir, NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.find(path)?;
        disk.check_call(Call::Other)?;
        let (dir, name) = split(path)?;
        disk.change_name(dir, NameChange::Remove(name.to_owned()))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if !disk.folder(dir)?.current.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        disk.check_call(Call::Other)?;
        disk.folders.remove(dir);
        disk.removed.insert(dir.to_path_buf());
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.check_call(Call::Flush)?;
        let folder = disk.folder(dir)?;
        folder.pending.clear();
        folder.durable = folder.current.clone();
        disk.removed.retain(|removed| removed.parent() != Some(dir));
        disk.flushes += 1;
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<ModelLock, LockError> {
        let mut disk = self.disk();
        if !disk.locks.insert(path.to_path_buf()) {
            return Err(LockError::Held(None));
        }
        let boot = disk.boot;
        drop(disk);
        Ok(ModelLock { disk: Arc::clone(&self.disk), path: path.to_path_buf(), boot })
    }

    fn unique(&self) -> u64 {
        let mut disk = self.disk();
        disk.identities += 1;
        Rng(disk.identities).next()
    }
}

impl ModelFile {
    /// The file's inode, or an error if the process that opened it is dead.
    fn inode<'d>(&self, disk: &'d mut Disk) -> io::Result<&'d mut Inode> {
        if self.boot != disk.boot {
            return Err(io::Error::other("the process that opened this file has died"));
        }
        disk.inodes.get_mut(&self.inode).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.access == Access::Read { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl FsFile for ModelFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = lock(&self.disk);
        let bytes = &self.inode(&mut disk)?.current;
        let from = bytes.len().min(offset as usize);
        let len = buf.len().min(bytes.len() - from);
        buf[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = lock(&self.disk);
        let offset = offset as usize;
        let len = self.inode(&mut disk)?.current.len();
        let growth = (offset + buf.len()).saturating_sub(len) as u64;
        let room = disk.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(disk.used()));
        let (arrives, result) = if disk.fails(Call::Write) {
            (buf.len() / 2, Err(io::Error::other("the double was told to fail this write")))
        } else if growth > room {
            ((buf.len() as u64).saturating_sub(growth - room) as usize, Err(ErrorKind::StorageFull.into()))
        } else {
            (buf.len(), Ok(()))
        };
        if arrives > 0 {
            let change = Change::Write { offset, bytes: buf[..arrives].to_vec() };
            let inode = self.inode(&mut disk)?;
            change.apply(&mut inode.current);
            inode.pending.push(change);
        }
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = lock(&self.disk);
        disk.check_call(Call::Other)?;
        let inode = self.inode(&mut disk)?;
        let change = Change::SetLen(len as usize);
        change.apply(&mut inode.current);
        inode.pending.push(change);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = lock(&self.disk);
        Ok(self.inode(&mut disk)?.current.len() as u64)
    }

    fn flush(&self) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        let fails = disk.fails(Call::Flush);
        let inode = self.inode(&mut disk)?;
        let pending = std::mem::take(&mut inode.pending);
        if fails {
            // Linux marks the pages clean: they can be read until the machine dies and are never written.
            return Err(io::Error::other("the double was told to fail this flush"));
        }
        for change in pending {
            change.apply(&mut inode.durable);
        }
        disk.flushes += 1;
        Ok(())
    }
}

impl Drop for ModelLock {
    fn drop(&mut self) {
        let mut disk = lock(&self.disk);
        if disk.boot == self.boot {
            disk.locks.remove(&self.path);
        }
    }
}

/// The double holds no invariant across a panic of a test that is worth hiding the panic for.
fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("no such file: {}", path.display()))
}
