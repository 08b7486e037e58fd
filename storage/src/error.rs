//! The one error type of this package.
//!
//! Every error names the file it is about and what an operator can do. It is cheap to clone, because the first failed
//! write or flush is answered again by every later call (a writer that has failed once never tries again: what
//! the disk holds after a failed flush is unknown).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result of this package.
pub type Result<T> = std::result::Result<T, StorageError>;

/// What a caller of this package handed in as its own failure (see [`StorageError::Replay`]).
pub type CallerError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, where, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file system refused an operation.
    #[error("cannot {action} {}: {source}{}", path.display(), full_disk_advice(source))]
    Io {
        /// The operation, as a verb that fits after "cannot".
        action: &'static str,
        /// The file or folder it was about.
        path: PathBuf,
        /// What the operating system answered.
        source: Arc<io::Error>,
    },

    /// The key-value store of the image refused an operation.
    #[error("cannot {action} the image in {}: {message}{}", path.display(), if *full { FULL } else { "" })]
    Kv {
        /// The operation, as a verb that fits before "the image".
        action: &'static str,
        /// Folder of the image.
        path: PathBuf,
        /// What the store answered.
        message: Arc<str>,
        /// Whether the answer means that the disk is full.
        full: bool,
    },

    /// Bytes on disk are not what was written, at a place where no crash can explain it.
    #[error("{} is damaged at offset {offset}: {what}; {advice}", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Offset of the damage in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// What to do.
        advice: &'static str,
    },

    /// The files are each whole, but do not belong together.
    #[error("{} does not fit: {what}; {advice}", path.display())]
    Mismatch {
        /// The file or folder that does not fit the others.
        path: PathBuf,
        /// What does not fit.
        what: String,
        /// What to do.
        advice: &'static str,
    },

    /// The data was written in a format that this version does not know.
    #[error(
        "{} has format version {found}, this server knows only {known}: start the version that wrote it, or use another folder",
        path.display()
    )]
    UnknownFormat {
        /// The file that tells the version.
        path: PathBuf,
        /// The version found there.
        found: u32,
        /// The version that can be read.
        known: u32,
    },

    /// Another process holds the folder.
    #[error(
        "{} is in use by another process{}: stop it first, or use another dataDir",
        path.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, where it is known.
        pid: Option<u32>,
    },

    /// The folder belongs to another server's software.
    #[error(
        "{} holds data of Apache ZooKeeper (version-2) and none of Rookeeper: importing it is not supported, choose another dataDir",
        path.display()
    )]
    ForeignData {
        /// The folder.
        path: PathBuf,
    },

    /// A record or change was handed in that does not continue what is there. Nothing was written.
    #[error("refused to write zxid 0x{zxid:x} after 0x{last:x}: zxids must rise")]
    NotRising {
        /// The zxid handed in.
        zxid: i64,
        /// The last one written.
        last: i64,
    },

    /// A record is longer than a record may be, or empty. Nothing was written.
    #[error("refused to write a record of {len} bytes: allowed are 1 to {max}")]
    RecordSize {
        /// Its length in bytes.
        len: usize,
        /// The longest allowed, in bytes.
        max: usize,
    },

    /// A path that cannot be a key. Nothing was written.
    #[error("refused to store the path {path:?}: it must begin with a slash and hold no zero byte")]
    BadPath {
        /// The path.
        path: String,
    },

    /// The records asked for are not in the log any more, or never were.
    #[error("the log begins after zxid 0x{begins_after:x}, zxid 0x{asked:x} is not in it")]
    NotInLog {
        /// The zxid asked for.
        asked: i64,
        /// The log holds what came after this zxid.
        begins_after: i64,
    },

    /// Records were taken back while they were read: the log was truncated, or a snapshot took its place.
    #[error("the log in {} was cut or begun anew while it was read: begin again", path.display())]
    LogReplaced {
        /// Folder of the log.
        path: PathBuf,
    },

    /// A snapshot was to take the place of a log to which records were appended meanwhile. Nothing was changed.
    #[error("the log went on to zxid 0x{last:x} while a snapshot was received to replace it")]
    LogMoved {
        /// The last zxid appended.
        last: i64,
    },

    /// The log was to be cut before what the image has. Nothing was changed.
    #[error(
        "refused to cut the log after zxid 0x{keep:x}: the image is at 0x{image:x} and cannot go back, only be replaced"
    )]
    ImageAhead {
        /// The zxid that was to be the last.
        keep: i64,
        /// The image's.
        image: i64,
    },

    /// The image was to be brought to a zxid that is not known to be committed. Nothing was written.
    #[error(
        "refused to bring the image to zxid 0x{zxid:x}: only what is before 0x{committed:x} is known to be committed"
    )]
    NotCommitted {
        /// The zxid handed in.
        zxid: i64,
        /// The last one known to be committed.
        committed: i64,
    },

    /// Too many snapshots are being read at once.
    #[error("{limit} snapshots are being sent already")]
    TooManyTransfers {
        /// The limit that was given.
        limit: usize,
    },

    /// Epochs that contradict each other or go back. Nothing was written.
    #[error("refused to write accepted epoch {accepted} and current epoch {current}: {why}")]
    BadEpochs {
        /// The accepted epoch handed in.
        accepted: u32,
        /// The current epoch handed in.
        current: u32,
        /// What is wrong with them.
        why: String,
    },

    /// The folder is another member's.
    #[error(
        "{} belongs to server {found} of the ensemble, this is server {asked}: correct myid or dataDir, or begin with an empty folder",
        path.display()
    )]
    OtherServer {
        /// The file that says so.
        path: PathBuf,
        /// The server named there.
        found: i64,
        /// The server that was to be started.
        asked: i64,
    },

    /// The caller refused what was read.
    #[error("cannot take what was read from {}: {source}", path.display())]
    Replay {
        /// Where it was read.
        path: PathBuf,
        /// What the caller said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

const FULL: &str = "; the disk is full: make room, then start the server again";

fn full_disk_advice(source: &io::Error) -> &'static str {
    if is_full(source) { FULL } else { "" }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StorageError {
    /// Whether this means that there is no room (disk or quota), which an operator can mend.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Kv { full, .. } => *full,
            _ => false,
        }
    }

    /// Whether this means that bytes on disk are damaged or do not belong together.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Mismatch { .. })
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>, advice: &'static str) -> Self {
        Self::Damaged { path: path.to_path_buf(), offset, what: what.into(), advice }
    }

    pub(crate) fn mismatch(path: &Path, what: impl Into<String>, advice: &'static str) -> Self {
        Self::Mismatch { path: path.to_path_buf(), what: what.into(), advice }
    }

    pub(crate) fn replay(path: &Path, source: CallerError) -> Self {
        Self::Replay { path: path.to_path_buf(), source: Arc::from(source) }
    }
}
