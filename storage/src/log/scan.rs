//! Walks over the records of one segment, up to the first place that is not the expected next record.
//!
//! What stands there is for `judge.rs` to say.

use std::path::{Path, PathBuf};

use super::judge::{Ended, Verdict, judge_tail};
use super::record::{RECORD_HEADER_BYTES, RecordHeader, checksum_holds, peek_at};
use super::segment::{Place, Segment};
use crate::error::{Result, StorageError};
use crate::fs::FsFile;

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// What a crash left half written behind the last whole record, and what was cut for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub path: PathBuf,
    /// Where the last whole record ends.
    pub offset: u64,
    /// Bytes from there to the last byte that had arrived.
    pub bytes: u64,
}

/// A walk over one segment.
#[derive(Debug)]
pub(super) struct Scan<File> {
    file: File,
    path: PathBuf,
    seed: u32,
    is_recycled: bool,
    /// Nothing from here on is looked at.
    limit: u64,
    buf: Vec<u8>,
    /// Where in the file `buf` begins.
    buf_offset: u64,
    /// Where in `buf` the next record begins.
    pos: usize,
    /// The record at `pos`, if it was looked at already and is whole.
    peeked: Option<RecordHeader>,
    next_sequence: u64,
    last_zxid: i64,
    flushed_below: u64,
    unproven_offset: u64,
}

/// One step of a walk.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Record {
        zxid: i64,
        payload: &'a [u8],
    },
    Mark,
    /// What comes next is not the next record.
    End,
}

impl<File: FsFile> Scan<File> {
    /// Begins behind the header of `segment`; looks at nothing from `limit` on.
    pub(super) fn new(file: File, path: PathBuf, segment: &Segment, limit: u64) -> Self {
        Self::from(file, path, segment, segment.begin(), limit)
    }

    /// Begins at a place in `segment`.
    pub(super) fn from(file: File, path: PathBuf, segment: &Segment, place: Place, limit: u64) -> Self {
        Self {
            file,
            path,
            seed: segment.seed(),
            is_recycled: segment.is_recycled,
            limit,
            buf: Vec::new(),
            buf_offset: place.offset,
            pos: 0,
            peeked: None,
            next_sequence: place.next_sequence,
            last_zxid: place.last_zxid,
            flushed_below: segment.first_sequence,
            unproven_offset: place.offset,
        }
    }

    /// Where the next record begins.
    pub(super) fn place(&self) -> Place {
        Place { offset: self.offset(), next_sequence: self.next_sequence, last_zxid: self.last_zxid }
    }

    /// Nothing from here on is looked at.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// More of the segment may be looked at: the records in it have reached `limit`.
    pub(super) fn extend(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    fn offset(&self) -> u64 {
        self.buf_offset + self.pos as u64
    }

    /// Offset from which on no later record proves that the bytes were flushed.
    pub(super) fn unproven_offset(&self) -> u64 {
        self.unproven_offset
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// zxid of the next record or mark, `None` where there is none.
    pub(super) fn peek(&mut self) -> Result<Option<i64>> {
        Ok(self.peek_record()?.map(|header| header.zxid))
    }

    /// Goes on to the next record.
    pub(super) fn step(&mut self) -> Result<Step<'_>> {
        let Some(header) = self.peek_record()? else {
            return Ok(Step::End);
        };
        self.peeked = None;
        let offset = self.offset();
        let is_mark = header.len == 0;
        let zxid_fits = if is_mark { header.zxid == self.last_zxid } else { header.zxid > self.last_zxid };
        if !zxid_fits || header.flushed_below < self.flushed_below {
            // The checksum holds, so this was written like that: no crash does it.
            return Err(StorageError::damaged(
                &self.path,
                offset,
                format!("zxid 0x{:x} stands after 0x{:x}", header.zxid, self.last_zxid),
                "this is a defect of the server that wrote it: keep the folder and report it",
            ));
        }
        if header.flushed_below > self.flushed_below {
            self.flushed_below = header.flushed_below;
            self.unproven_offset = offset;
        }
        self.next_sequence += 1;
        self.last_zxid = header.zxid;
        let payload = self.pos + RECORD_HEADER_BYTES..self.pos + RECORD_HEADER_BYTES + header.len as usize;
        self.pos = payload.end;
        if is_mark { Ok(Step::Mark) } else { Ok(Step::Record { zxid: header.zxid, payload: &self.buf[payload] }) }
    }

    /// The next record's header, once the whole record is in the buffer and its checksum holds.
    fn peek_record(&mut self) -> Result<Option<RecordHeader>> {
        if self.peeked.is_some() {
            return Ok(self.peeked);
        }
        if !self.fill(RECORD_HEADER_BYTES)? {
            return Ok(None);
        }
        let Some(header) = peek_at(&self.buf, self.pos) else {
            return Ok(None);
        };
        let whole = RECORD_HEADER_BYTES + header.len as usize;
        if header.sequence != self.next_sequence || !self.fill(whole)? {
            return Ok(None);
        }
        self.peeked = checksum_holds(self.seed, &self.buf[self.pos..self.pos + whole]).then_some(header);
        Ok(self.peeked)
    }

    /// Has `want` bytes from the position on in the buffer, unless the segment ends before.
    fn fill(&mut self, want: usize) -> Result<bool> {
        if self.buf.len() - self.pos >= want {
            return Ok(true);
        }
        if self.offset() + want as u64 > self.limit {
            return Ok(false);
        }
        self.buf.drain(..self.pos);
        self.buf_offset += self.pos as u64;
        self.pos = 0;
        let have = self.buf.len();
        let at = self.buf_offset + have as u64;
        let more = ((want - have).max(READ_BYTES) as u64).min(self.limit - at) as usize;
        self.buf.resize(have + more, 0);
        let read = self.file.read_at(&mut self.buf[have..], at).map_err(StorageError::io("read", &self.path))?;
        self.buf.truncate(have + read);
        Ok(self.buf.len() >= want)
    }

    /// Judges what stands from the position on, after [`Step::End`] in the last segment.
    pub(super) fn judge(&self) -> Result<Verdict> {
        judge_tail(&Ended {
            file: &self.file,
            path: &self.path,
            seed: self.seed,
            is_recycled: self.is_recycled,
            offset: self.offset(),
            limit: self.limit,
            missing: self.next_sequence,
        })
    }
}
