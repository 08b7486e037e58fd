//! What a data folder says about itself: its layout, its format version, its owner, and the epochs of its owner.
//!
//! ```text
//! <dataDir>/rookeeper/FORMAT        what this is, format version, identity; of a member also its id, its epochs, and whether
//!                                   it does not know its data
//! <dataDir>/rookeeper/LOCK          held while a process has the folder open; its process id for messages
//! <dataDir>/rookeeper/image/        the image, image-1 and so on after the first snapshot that a leader sent
//! <dataLogDir>/rookeeper/LOCK       the same, if this is another folder
//! <dataLogDir>/rookeeper/log/       the log's segments
//! ```
//!
//! `FORMAT` is written last when a store is made. Where it stands, log and image both exist; where it does not, there is
//! nothing, or what an interrupted creation left. It is only ever replaced whole.

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
/// The line of a member that does not know what it lacks.
const UNKNOWN_DATA: &str = "data unknown\n";
const FORMAT_NEW: &str = "FORMAT.new";
/// A format file is a few short lines; more is none.
const FORMAT_BYTES_MAX: usize = 512;

/// Identity of a store, the same in its format file, its image and its log: folders of two servers cannot be mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId(pub u64);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The two epochs of a member (ZAB; Java's files `acceptedEpoch` and `currentEpoch`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epochs {
    /// The newest epoch that this server has promised to join; no leader of an older one is followed.
    pub accepted: u32,
    /// The epoch whose leader this server has synchronized with last.
    pub current: u32,
}

/// What the format file says of its owner as a member of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Java's myid, if it was known when the epochs were written.
    pub(crate) server: Option<i64>,
    pub(crate) epochs: Epochs,
    /// Whether nobody knows what the ensemble has that is not here: the store was made empty, and no leader has filled it.
    pub(crate) is_unknown: bool,
}

/// All that the format file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) store: StoreId,
    /// `None` if this store was never a member's.
    pub(crate) member: Option<Member>,
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) log_root: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn new(data_dir: &Path, data_log_dir: &Path) -> Self {
        let root = data_dir.join(DATA_FOLDER);
        let log_root = data_log_dir.join(DATA_FOLDER);
        Self { log: log_root.join("log"), root, log_root }
    }

    pub(crate) fn format_file(&self) -> PathBuf {
        self.root.join(FORMAT_FILE)
    }

    /// What an interrupted change of the format file leaves.
    pub(crate) fn format_new(&self) -> PathBuf {
        self.root.join(FORMAT_NEW)
    }

    /// Folder of an image. The log names the one that counts.
    pub(crate) fn image(&self, number: u32) -> PathBuf {
        self.root.join(image_name(number))
    }

    /// Numbers of the images of which there is a folder, rising.
    pub(crate) fn images<F: Fs>(&self, fs: &F) -> Result<Vec<u32>> {
        let names = fs.list(&self.root).map_err(StorageError::io("list", &self.root))?;
        let number = |name: &String| match name.strip_prefix("image")? {
            "" => Some(0),
            rest => rest.strip_prefix('-')?.parse().ok().filter(|&number| *name == image_name(number)),
        };
        let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn image_name(number: u32) -> String {
    if number == 0 { "image".to_owned() } else { format!("image-{number}") }
}

impl Format {
    /// The same of a member that was told to go on with what it has.
    pub(crate) fn trusted(self) -> Self {
        Self { member: self.member.map(|member| Member { is_unknown: false, ..member }), ..self }
    }

    /// Three lines, and four or five more for a member, the last of which is the checksum of those before.
    fn text(&self) -> String {
        let mut text = format!("{TITLE}\nformat {FORMAT_VERSION}\nstore {}\n", self.store);
        if let Some(Member { server, epochs, is_unknown }) = self.member {
            let server = server.map_or("-".to_owned(), |server| server.to_string());
            text += &format!("server {server}\naccepted {}\ncurrent {}\n", epochs.accepted, epochs.current);
            if is_unknown {
                text += UNKNOWN_DATA;
            }
            text += &format!("crc32c {:08x}\n", crc32c::crc32c(text.as_bytes()));
        }
        text
    }

    /// Reads what [`Self::text`] writes, and nothing else: whatever it writes otherwise for what was read is damage.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(2);
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let store = StoreId(u64::from_str_radix(value("store")?, 16).ok()?);
        let member = match value("server") {
            None => None,
            Some(server) => Some(Member {
                server: if server == "-" { None } else { Some(server.parse().ok()?) },
                epochs: Epochs { accepted: value("accepted")?.parse().ok()?, current: value("current")?.parse().ok()? },
                is_unknown: text.contains(UNKNOWN_DATA),
            }),
        };
        let format = Self { store, member };
        (format.text() == text).then_some(format)
    }
}

/// Reads the format file; `None` if there is none.
pub(crate) fn read_format<F: Fs>(fs: &F, layout: &Layout) -> Result<Option<Format>> {
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
    let damaged = |what| Err(StorageError::damaged(&path, 0, what, "restore it, or use another dataDir"));
    match (title, version) {
        (Some(TITLE), Some(FORMAT_VERSION)) => match Format::parse(&text) {
            Some(format) => Ok(Some(format)),
            None => damaged("its lines are not what was written"),
        },
        (Some(TITLE), Some(found)) => Err(StorageError::UnknownFormat { path, found, known: FORMAT_VERSION }),
        _ => damaged("it does not tell a format version"),
    }
}

/// Writes the format file: a crash leaves the old one or the new one.
pub(crate) fn write_format<F: Fs>(fs: &F, layout: &Layout, format: &Format) -> Result<()> {
    remove_format_new(fs, layout)?;
    let (path, new) = (layout.format_file(), layout.format_new());
    let file = fs.create(&new).map_err(StorageError::io("create", &new))?;
    file.write_at(format.text().as_bytes(), 0).map_err(StorageError::io("write", &new))?;
    file.flush().map_err(StorageError::io("flush", &new))?;
    fs.rename(&new, &path).map_err(StorageError::io("rename", &new))?;
    fs.sync_dir(&layout.root).map_err(StorageError::io("flush", &layout.root))
}

/// Removes what an interrupted change of the format file left.
pub(crate) fn remove_format_new<F: Fs>(fs: &F, layout: &Layout) -> Result<()> {
    let new = layout.format_new();
    if fs.exists(&new).map_err(StorageError::io("read", &new))? {
        fs.remove(&new).map_err(StorageError::io("remove", &new))?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_nothing_else_does() {
        let epochs = Epochs { accepted: u32::MAX, current: 7 };
        let member = |server, is_unknown| Some(Member { server, epochs, is_unknown });
        for member in [None, member(None, false), member(Some(3), true), member(Some(i64::MIN), true)] {
            let format = Format { store: StoreId(0x0123_4567_89ab_cdef), member };
            let text = format.text();
            assert_eq!(Format::parse(&text), Some(format), "{text}");
            assert!(text.len() <= FORMAT_BYTES_MAX);
            // The identity of a store that was never a member's has no checksum: log and image bear it too.
            for bit in (0..text.len() * 8).filter(|_| member.is_some()) {
                let mut bytes = text.clone().into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let read = String::from_utf8(bytes).ok().and_then(|text| Format::parse(&text));
                assert_eq!(read, None, "bit {bit} of {text}");
            }
            for len in 0..text.len() {
                let read = Format::parse(&text[..len]);
                assert!(read.is_none() || read.is_some_and(|read| read.member.is_none()), "{len} bytes of {text}");
            }
        }
    }
}
