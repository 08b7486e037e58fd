//! What a data folder says about itself: its layout, its format version, its owner.
//!
//! ```text
//! <dataDir>/rookeeper/FORMAT        three lines: what this is, "format 1", "store " and 16 hexadecimal digits
//! <dataDir>/rookeeper/LOCK          held while a process has the folder open; its process id for messages
//! <dataDir>/rookeeper/image/        the image
//! <dataLogDir>/rookeeper/LOCK       the same, if this is another folder
//! <dataLogDir>/rookeeper/log/       the log's segments
//! ```
//!
//! `FORMAT` is written last when a store is made. Where it stands, log and image both exist; where it does not, there is
//! nothing, or what an interrupted creation left.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Result, StorageError};
use crate::fs::{Fs, FsFile, LockError, read_small};

/// Folder below dataDir and dataLogDir in which everything is.
pub const DATA_FOLDER: &str = "rookeeper";
/// File that tells the format version.
pub const FORMAT_FILE: &str = "FORMAT";
/// File that stands for the lock.
pub const LOCK_FILE: &str = "LOCK";
/// Version of the layout, and of what this file describes.
pub const FORMAT_VERSION: u32 = 1;

const TITLE: &str = "rookeeper data folder";
/// A format file is three short lines; more is none.
const FORMAT_BYTES_MAX: usize = 256;

/// Identity of a store, the same in its format file, its image and its log: folders of two servers cannot be mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId(pub u64);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) image: PathBuf,
    pub(crate) log_root: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn new(data_dir: &Path, data_log_dir: &Path) -> Self {
        let root = data_dir.join(DATA_FOLDER);
        let log_root = data_log_dir.join(DATA_FOLDER);
        Self { image: root.join("image"), log: log_root.join("log"), root, log_root }
    }

    pub(crate) fn format_file(&self) -> PathBuf {
        self.root.join(FORMAT_FILE)
    }
}

/// Reads the format file; `None` if there is none.
pub(crate) fn read_format<F: Fs>(fs: &F, layout: &Layout) -> Result<Option<StoreId>> {
    let path = layout.format_file();
    let bytes = match read_small(fs, &path, FORMAT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StorageError::io("read", &path)(e)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let title = lines.next();
    let version = lines.next().and_then(|line| line.strip_prefix("format ")?.parse::<u32>().ok());
    match (title, version) {
        (Some(TITLE), Some(FORMAT_VERSION)) => {}
        (Some(TITLE), Some(found)) => {
            return Err(StorageError::UnknownFormat { path, found, known: FORMAT_VERSION });
        }
        _ => return Err(not_a_format(&path)),
    }
    let store = lines.next().and_then(|line| u64::from_str_radix(line.strip_prefix("store ")?, 16).ok());
    store.map(|store| Some(StoreId(store))).ok_or_else(|| not_a_format(&path))
}

fn not_a_format(path: &Path) -> StorageError {
    StorageError::damaged(path, 0, "it does not tell a format version", "restore it, or use another dataDir")
}

/// Writes the format file: it is there whole or not at all.
pub(crate) fn write_format<F: Fs>(fs: &F, layout: &Layout, store: StoreId) -> Result<()> {
    let path = layout.format_file();
    let new = layout.root.join("FORMAT.new");
    if fs.exists(&new).map_err(StorageError::io("read", &new))? {
        fs.remove(&new).map_err(StorageError::io("remove", &new))?;
    }
    let text = format!("{TITLE}\nformat {FORMAT_VERSION}\nstore {store}\n");
    let mut file = fs.create(&new).map_err(StorageError::io("create", &new))?;
    file.write_at(text.as_bytes(), 0).map_err(StorageError::io("write", &new))?;
    file.flush().map_err(StorageError::io("flush", &new))?;
    fs.rename(&new, &path).map_err(StorageError::io("rename", &new))?;
    fs.sync_dir(&layout.root).map_err(StorageError::io("flush", &layout.root))
}

/// Locks of the folders that make a store.
#[derive(Debug)]
#[must_use = "the store is locked only as long as this lives"]
pub struct StoreLock<F: Fs> {
    _data: F::Lock,
    _log: Option<F::Lock>,
}

impl<F: Fs> StoreLock<F> {
    pub(crate) fn take(fs: &F, layout: &Layout) -> Result<Self> {
        let data = lock_folder(fs, &layout.root)?;
        // Another dataDir with the same dataLogDir would write into the same log.
        let log = if layout.log_root == layout.root { None } else { Some(lock_folder(fs, &layout.log_root)?) };
        Ok(Self { _data: data, _log: log })
    }
}

fn lock_folder<F: Fs>(fs: &F, folder: &Path) -> Result<F::Lock> {
    fs.create_dir(folder).map_err(StorageError::io("create", folder))?;
    let path = folder.join(LOCK_FILE);
    fs.lock(&path).map_err(|e| match e {
        LockError::Held(pid) => StorageError::Locked { path, pid },
        LockError::Io(e) => StorageError::io("lock", &path)(e),
    })
}
