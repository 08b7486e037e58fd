//! The open end of one segment: collects records, writes them, flushes them.
//!
//! It knows nothing of the segments before it; when it is full is for its owner to ask.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::record::{RECORD_HEADER_BYTES, lay, seal_all};
use super::segment::{HEADER_BYTES, Place, Segment};
use super::{LogOptions, PENDING_BYTES_MAX, PREPARE_BYTES, PREPARE_GROUP_MAX, RECORD_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::error::{Result, StorageError};
use crate::fs::FsFile;

/// What a writer has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records appended.
    pub records: u64,
    /// Bytes handed to the file system, zeros included.
    pub written_bytes: u64,
    /// Flushes of a segment.
    pub flushes: u64,
    /// Segments begun.
    pub segments: u64,
    /// Those among them whose file was used before.
    pub recycled: u64,
}

impl LogStats {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.written_bytes += other.written_bytes;
        self.flushes += other.flushes;
        self.segments += other.segments;
        self.recycled += other.recycled;
    }
}

/// A flush that was begun by [`LogWriter::begin_flush`](super::LogWriter::begin_flush): somebody else may wait for the
/// disk, while records are appended behind what it covers.
#[derive(Debug)]
#[must_use = "what it covers is not durable before it was run, and the writer told"]
pub struct Flush<File> {
    file: Arc<Flushed<File>>,
    path: PathBuf,
    /// Number of the segment that it is about.
    pub(super) segment: u64,
    /// Of the log when it was begun: what was taken back since says nothing any more.
    pub(super) generation: u64,
    /// Everything before is durable once it has been run.
    pub(super) end: Place,
}

impl<File: FsFile> Flush<File> {
    /// Waits until what it covers is durable.
    pub fn run(&self) -> Result<()> {
        self.file.flush(&self.path)
    }
}

/// A segment's file, as all see it who flush it.
#[derive(Debug)]
struct Flushed<File> {
    file: File,
    /// The first flush that failed. The system tells of lost bytes only once, whoever asks: a later flush that succeeds
    /// says nothing of them.
    failure: Mutex<Option<StorageError>>,
}

impl<File: FsFile> Flushed<File> {
    fn flush(&self, path: &Path) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &*failure {
            return Err(failure.clone());
        }
        let flushed = self.file.flush().map_err(StorageError::io("flush", path));
        *failure = flushed.as_ref().err().cloned();
        flushed
    }
}

/// The end of a segment.
///
/// The first write or flush that fails is answered again by every later call: after a failed flush nobody knows what
/// the disk holds.
#[derive(Debug)]
pub(super) struct Tail<File> {
    pub(super) segment: Segment,
    pub(super) path: PathBuf,
    pub(super) stats: LogStats,
    /// Shared with whoever carries out a [`Flush`].
    file: Arc<Flushed<File>>,
    /// Records that were appended and not yet written.
    pending: Vec<u8>,
    /// Where in the file they go.
    offset: u64,
    /// The file has bytes up to here.
    prepared: u64,
    next_sequence: u64,
    /// Every record with a lower sequence number was flushed.
    flushed_below: u64,
    last_zxid: i64,
    failure: Option<StorageError>,
    options: LogOptions,
}

impl<File: FsFile> Tail<File> {
    /// The end of a segment that has no record yet and a file filled up to `prepared`.
    pub(super) fn new(segment: Segment, file: File, path: PathBuf, prepared: u64, options: LogOptions) -> Self {
        Self { prepared, ..Self::resume(segment, file, path, segment.begin(), options) }
    }

    /// The end of a segment whose file ends at `end`, where everything before was flushed.
    pub(super) fn resume(segment: Segment, file: File, path: PathBuf, end: Place, options: LogOptions) -> Self {
        let file = Arc::new(Flushed { file, failure: Mutex::new(None) });
        Self {
            segment,
            path,
            stats: LogStats::default(),
            file,
            pending: Vec::new(),
            offset: end.offset,
            prepared: end.offset,
            next_sequence: end.next_sequence,
            flushed_below: end.next_sequence,
            last_zxid: end.last_zxid,
            failure: None,
            options,
        }
    }

    /// Goes on where another end stops; what that one has done is counted here too.
    pub(super) fn succeed(mut self, before: &Self) -> Self {
        self.stats.add(before.stats);
        self
    }

    /// Whether a record may be appended. A refusal leaves everything as it was and usable.
    pub(super) fn admit(&self, zxid: i64, payload: &[u8]) -> Result<()> {
        self.check()?;
        if payload.is_empty() || payload.len() > RECORD_BYTES_MAX {
            return Err(StorageError::RecordSize { len: payload.len(), max: RECORD_BYTES_MAX });
        }
        if zxid <= self.last_zxid {
            return Err(StorageError::NotRising { zxid, last: self.last_zxid });
        }
        Ok(())
    }

    /// Whether a payload of this length fits into the segment. One record does, however long it is.
    pub(super) fn has_room(&self, payload: usize) -> bool {
        let end = self.offset + self.pending.len() as u64;
        end == HEADER_BYTES as u64
            || end + (RECORD_HEADER_BYTES + payload) as u64 <= self.options.segment_bytes.max(SEGMENT_BYTES_MIN)
    }

    /// Collects a record that [`Self::admit`] has let through.
    pub(super) fn append(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        self.put(zxid, payload)?;
        self.last_zxid = zxid;
        self.stats.records += 1;
        Ok(())
    }

    /// Collects a mark: what is before it was flushed, which a later start then knows.
    pub(super) fn mark(&mut self) -> Result<()> {
        self.put(self.last_zxid, &[])
    }

    /// Writes what was collected and, where `through` says so, waits until it is durable.
    pub(super) fn flush(&mut self, through: bool) -> Result<()> {
        self.check()?;
        if self.flushed_below == self.next_sequence {
            return Ok(());
        }
        self.write_pending()?;
        if through {
            let flushed = self.file.flush(&self.path);
            self.keep_failure(flushed)?;
            self.flushed_below = self.next_sequence;
            self.stats.flushes += 1;
        }
        Ok(())
    }

    /// Writes what was collected, and gives out the flush that makes it durable; `None` if nothing is to be flushed.
    /// `generation` is that of the log.
    pub(super) fn begin_flush(&mut self, generation: u64) -> Result<Option<Flush<File>>> {
        self.check()?;
        if self.flushed_below == self.next_sequence {
            return Ok(None);
        }
        self.write_pending()?;
        let file = Arc::clone(&self.file);
        Ok(Some(Flush { file, path: self.path.clone(), segment: self.segment.number, generation, end: self.end() }))
    }

    /// A flush has ended in order.
    pub(super) fn end_flush(&mut self, flush: &Flush<File>) {
        // The segment may have been closed meanwhile, which flushed all of it.
        self.flushed_below = self.flushed_below.max(flush.end.next_sequence);
        self.stats.flushes += 1;
    }

    /// Takes away the zeros behind the last record. Not flushed: should they come back after a crash, they mean nothing.
    pub(super) fn seal(&mut self) -> Result<()> {
        let cut = self.file.file.set_len(self.offset).map_err(StorageError::io("cut", &self.path));
        self.keep_failure(cut)
    }

    /// Where the written records end.
    pub(super) fn end(&self) -> Place {
        debug_assert!(self.pending.is_empty(), "the end of what is written, asked for while records are collected");
        Place { offset: self.offset, next_sequence: self.next_sequence, last_zxid: self.last_zxid }
    }

    /// Sequence number of the next record.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// zxid of the last record appended, or the one before the segment.
    pub(super) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    pub(super) fn failure(&self) -> Option<&StorageError> {
        self.failure.as_ref()
    }

    pub(super) fn check(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    pub(super) fn keep_failure<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(failure) = &result {
            self.failure.get_or_insert_with(|| failure.clone());
        }
        result
    }

    fn put(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        lay(&mut self.pending, self.next_sequence, zxid, payload);
        self.next_sequence += 1;
        if self.pending.len() > PENDING_BYTES_MAX {
            self.write_pending()?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Only now: the group before this one may have been flushed since they were collected, which each of them proves.
        seal_all(&mut self.pending, self.segment.seed(), self.flushed_below);
        let len = self.pending.len();
        let end = self.offset + len as u64;
        if end > self.prepared && len <= PREPARE_GROUP_MAX {
            let target = prepare_target(end, self.options);
            self.pending.resize(len + (target - end) as usize, 0);
        }
        let written =
            self.file.file.write_at(&self.pending, self.offset).map_err(StorageError::io("write", &self.path));
        self.stats.written_bytes += self.pending.len() as u64;
        self.keep_failure(written)?;
        self.prepared = self.prepared.max(self.offset + self.pending.len() as u64);
        self.offset = end;
        self.pending.clear();
        // One huge record shall not hold its memory for ever.
        self.pending.shrink_to(2 * PENDING_BYTES_MAX);
        Ok(())
    }
}

/// Where the zeros behind a write that ends at `end` shall reach: the next step, but not past the segment's size.
pub(super) fn prepare_target(end: u64, options: LogOptions) -> u64 {
    let step = end.next_multiple_of(PREPARE_BYTES);
    step.min(options.segment_bytes.max(SEGMENT_BYTES_MIN)).max(end)
}
