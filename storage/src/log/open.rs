//! Reads a log from end to end: once for a start, once for the offline check.
//!
//! [`Survey`] only reads. [`LogWriter::open`](super::LogWriter::open) then takes away what it found to be void.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::append::remove_durably;
use super::judge::Verdict;
use super::map::LiveSegment;
use super::scan::{Scan, Step, TornTail};
use super::segment::{self, HeaderFound, LOG_FORMAT_VERSION, Place, Segment, read_header};
use crate::error::{CallerError, Result, StorageError};
use crate::fs::{Access, Fs, FsFile};
use crate::meta::StoreId;

const KEEP_AND_RESTORE: &str =
    "keep the folder, take this server's data from a backup, or start it empty if other servers have the data";

/// Receives a record: its zxid and its payload.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(i64, &[u8]) -> std::result::Result<(), CallerError>;

/// What is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// How many segments it has.
    pub segments: usize,
    /// Sum of their lengths in bytes, as far as records reach.
    pub bytes: u64,
    /// How many records it has.
    pub records: u64,
    /// The log holds everything after this zxid.
    pub begins_after: i64,
    /// zxid of the last record, or [`Self::begins_after`] if there is none.
    pub last_zxid: i64,
    /// What a crash left half written at the end.
    pub torn: Option<TornTail>,
}

/// A log as it was found: its headers first, then, after [`Survey::walk`], everything.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) report: LogReport,
    pub(super) dir: PathBuf,
    pub(super) segments: VecDeque<LiveSegment>,
    /// Files that hold nothing of this log: begun and not finished, or void since the log began anew.
    pub(crate) void: Vec<PathBuf>,
    /// From here on no later record proves that the last segment's bytes were flushed.
    pub(super) unproven_offset: u64,
}

impl Survey {
    /// Reads the headers in `dir`. Segments of another store than the expected one are refused.
    pub(crate) fn headers<F: Fs>(fs: &F, dir: &Path, expected: Option<StoreId>) -> Result<Self> {
        let (segments, mut void) = headers(fs, dir)?;
        let first = segments.first();
        if let (Some(first), Some(expected)) = (first, expected)
            && first.store != expected
        {
            let what = format!("the log is of store {}, the data folder of store {expected}", first.store);
            return Err(StorageError::mismatch(dir, what, "set dataLogDir to the folder this server had before"));
        }
        let begins_after = first.map_or(0, |first| first.base_zxid);
        let candidates =
            segment::list_candidates(fs, dir)?.into_iter().map(|number| dir.join(segment::candidate_name(number)));
        void.extend(candidates);
        let report = LogReport {
            segments: segments.len(),
            bytes: 0,
            records: 0,
            begins_after,
            last_zxid: begins_after,
            torn: None,
        };
        let segments = segments.into_iter().map(LiveSegment::new).collect();
        Ok(Self { report, dir: dir.to_path_buf(), segments, void, unproven_offset: 0 })
    }

    /// The log holds everything after this zxid; `None` if there is no segment.
    pub(crate) fn begins_after(&self) -> Option<i64> {
        self.segments.front().map(|first| first.segment.base_zxid)
    }

    /// Number of the image that this log continues; `None` if there is no segment.
    pub(crate) fn image(&self) -> Option<u32> {
        self.segments.front().map(|first| first.segment.image)
    }

    /// Walks over all records and hands those after zxid `after` to `visit`.
    pub(crate) fn walk<F: Fs>(mut self, fs: &F, after: i64, visit: Visit<'_>) -> Result<Self> {
        for index in 0..self.segments.len() {
            let live = &mut self.segments[index];
            let mut scan = open_scan(fs, &self.dir, &live.segment)?;
            loop {
                match scan.step()? {
                    Step::Record { zxid, payload } => {
                        self.report.records += 1;
                        if zxid > after {
                            visit(zxid, payload).map_err(|e| StorageError::replay(&self.dir, e))?;
                        }
                    }
                    Step::Mark => {}
                    Step::End => break,
                }
                live.reach(scan.place());
            }
            self.report.bytes += scan.place().offset;
            self.report.last_zxid = scan.place().last_zxid;
            match self.segments.get(index + 1) {
                Some(next) => check_sealed(&scan, &next.segment)?,
                None => {
                    self.report.torn = check_tail(&scan)?;
                    self.unproven_offset = scan.unproven_offset();
                }
            }
        }
        Ok(self)
    }

    /// Removes every file of the log: what the interrupted creation of a store left.
    pub(crate) fn remove_all<F: Fs>(&self, fs: &F) -> Result<()> {
        let segments = self.segments.iter().map(|live| live.segment.path(&self.dir));
        // Newest first: whatever is left by a crash is again the beginning of a log.
        for path in segments.chain(self.void.iter().cloned()).rev() {
            remove_durably(fs, &self.dir, &path)?;
        }
        Ok(())
    }
}

pub(super) fn open_scan<F: Fs>(fs: &F, dir: &Path, segment: &Segment) -> Result<Scan<F::File>> {
    let path = segment.path(dir);
    let file = fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
    let limit = file.len().map_err(StorageError::io("read", &path))?;
    Ok(Scan::new(file, path, segment, limit))
}

/// Reads and checks the headers; tells the segments of the log and the files that are void.
fn headers<F: Fs>(fs: &F, dir: &Path) -> Result<(Vec<Segment>, Vec<PathBuf>)> {
    let numbers = segment::list(fs, dir)?;
    let mut segments: Vec<Segment> = Vec::new();
    let mut void = Vec::new();
    for (index, &number) in numbers.iter().enumerate() {
        let path = dir.join(segment::file_name(number));
        let is_last = index + 1 == numbers.len();
        let file = fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
        let segment = match read_header(&file, &path)? {
            HeaderFound::Whole(segment) => segment,
            HeaderFound::Unknown(found) => {
                return Err(StorageError::UnknownFormat { path, found, known: LOG_FORMAT_VERSION });
            }
            // A header is flushed before the first record is written: a crash came between the file and its header.
            HeaderFound::Broken { rest_is_zero: true } if is_last => {
                tracing::warn!(path = %path.display(), "this segment was begun and not finished; nothing is lost with it");
                void.push(path);
                continue;
            }
            HeaderFound::Broken { .. } => {
                return Err(StorageError::damaged(&path, 0, "the header is not whole", KEEP_AND_RESTORE));
            }
        };
        if segment.number != number {
            let what = format!("the header says segment {:x}: the file was renamed", segment.number);
            return Err(StorageError::damaged(&path, 24, what, "give it its name back"));
        }
        if segment.begins_anew {
            void.extend(segments.drain(..).map(|old| old.path(dir)));
        }
        if let Some(previous) = segments.last() {
            if previous.number + 1 != number {
                let missing = previous.number + 1;
                let what = format!("segment {} is missing", segment::file_name(missing));
                return Err(StorageError::mismatch(dir, what, KEEP_AND_RESTORE));
            }
            if (previous.store, previous.image) != (segment.store, segment.image) {
                let what = "it belongs to another store or image than the segments before it";
                return Err(StorageError::mismatch(&path, what, "move it out of this folder"));
            }
        }
        segments.push(segment);
    }
    Ok((segments, void))
}

/// A segment that has a successor was flushed whole before the successor was made.
fn check_sealed<File: FsFile>(scan: &Scan<File>, next: &Segment) -> Result<()> {
    let Place { offset, next_sequence, last_zxid } = scan.place();
    if next_sequence != next.first_sequence || last_zxid != next.base_zxid {
        let what = format!(
            "record {next_sequence} is not whole there, and the next segment begins with record {}",
            next.first_sequence
        );
        return Err(StorageError::damaged(scan.path(), offset, what, KEEP_AND_RESTORE));
    }
    match scan.judge()? {
        Verdict::Clean => Ok(()),
        Verdict::Torn { .. } | Verdict::Damaged { .. } => {
            Err(StorageError::damaged(scan.path(), offset, "bytes follow the last record", KEEP_AND_RESTORE))
        }
    }
}

fn check_tail<File: FsFile>(scan: &Scan<File>) -> Result<Option<TornTail>> {
    let Place { offset, next_sequence, .. } = scan.place();
    match scan.judge()? {
        Verdict::Clean => Ok(None),
        Verdict::Torn { bytes } => Ok(Some(TornTail { path: scan.path().to_path_buf(), offset, bytes })),
        Verdict::Damaged { witness, witness_sequence } => {
            let what = format!(
                "record {next_sequence} is not whole, though record {witness_sequence} at offset {witness} shows that it was flushed"
            );
            Err(StorageError::damaged(scan.path(), offset, what, KEEP_AND_RESTORE))
        }
    }
}
