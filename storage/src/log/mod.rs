//! The transaction log: the truth of what was acknowledged.
//!
//! Records are appended to segments, each a file of its own, and made durable in groups: [`LogWriter::append`]
//! collects, [`LogWriter::flush`] writes what was collected with one write and one flush. A start reads the segments
//! back with [`LogWriter::open`], which cuts what the last, unacknowledged group left half written and refuses
//! everything else that is not as it was written. DESIGN.md has the bytes and the reasons.

mod anew;
mod append;
mod history;
mod judge;
mod map;
mod open;
mod purge;
mod record;
mod scan;
mod segment;
mod tail;
mod truncate;

pub(crate) use anew::NewLog;
pub use append::LogWriter;
pub use history::{History, HistoryReader, Hold, Piece};
pub use open::LogReport;
pub(crate) use open::Survey;
pub use purge::Retired;
pub use scan::TornTail;
pub use tail::{Flush, LogStats};

/// Longest record in bytes. Jute lengths are 31 bits and `jute.maxbuffer` is 1 MiB unless raised; values beyond some
/// hundred MiB have no use, and a length above this is surely not a length.
pub const RECORD_BYTES_MAX: usize = 256 << 20;

/// Collected records are written out (not flushed) when they pass this many bytes, so that a group of any size takes
/// this much memory and one record more. Large enough that the system call does not count.
pub const PENDING_BYTES_MAX: usize = 1 << 20;

/// The file is filled with zeros this far ahead of the records: a flush that changes neither the length of the file nor
/// its blocks needs no journal commit. Small, because zeros cost a write as well.
pub const PREPARE_BYTES: u64 = 128 << 10;

/// A group larger than this is not followed by zeros: against its own bytes a journal commit is cheap, while the
/// zeros would double what is written.
pub const PREPARE_GROUP_MAX: usize = 32 << 10;

/// Files of retired segments that are kept to be used again. Writing over them costs a flush neither a journal commit nor
/// zeros; one is enough, since one is needed at a time.
pub const SPARES_MAX: usize = 1;

/// A place from which the log can be read is remembered each time that so many bytes were flushed: whoever asks for the
/// records after some zxid reads about this much in vain, and 10 GB of log cost 240 kB of memory.
pub const INDEX_STEP_BYTES: u64 = 1 << 20;

/// Smallest size at which a segment may be set to roll: below it, files would cost more than records.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;

/// Java's `preAllocSize`, 64 MiB: the size at which a segment is closed and the next begun.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment that would pass this many bytes is closed and the next one begun. Raised to [`SEGMENT_BYTES_MIN`].
    /// A group is never longer than what fits, except for a single record that alone is longer.
    pub segment_bytes: u64,
    /// `forceSync`: whether [`LogWriter::flush`] waits for the disk. Without it a crash of the machine, though not of
    /// the process, loses acknowledged records.
    pub force_sync: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES_DEFAULT, force_sync: true }
    }
}
