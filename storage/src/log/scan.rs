//! Walks over the records of one segment, and judges what stands where the walk ends.
//!
//! The walk ends at the first place that is not the expected next record. In the last segment this is the plain end, a
//! torn group, or damage. The judge is [`judge_tail`]: a whole record further on that was made after the missing one
//! had been flushed proves damage; without such a witness the missing record was never acknowledged.

use std::path::{Path, PathBuf};

use super::record::{RECORD_HEADER_BYTES, RecordHeader, checksum_holds, peek};
use super::segment::{HEADER_BYTES, Segment};
use crate::error::{Result, StorageError};
use crate::fs::FsFile;

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// Bytes that are checksummed in search of a witness. A client that knew the sequence numbers could fill a znode with
/// the likeness of records, to make a start behind a torn group slow: it gets a second at most, and then a refusal.
const JUDGED_BYTES_MAX: u64 = 1 << 30;

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
    /// Nothing from here on is looked at.
    limit: u64,
    buf: Vec<u8>,
    /// Where in the file `buf` begins.
    buf_offset: u64,
    /// Where in `buf` the next record begins.
    pos: usize,
    /// Length of the last payload, which ends at `pos`.
    last_len: usize,
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
        Self {
            file,
            path,
            seed: segment.seed(),
            limit,
            buf: Vec::new(),
            buf_offset: HEADER_BYTES as u64,
            pos: 0,
            last_len: 0,
            next_sequence: segment.first_sequence,
            last_zxid: segment.base_zxid,
            flushed_below: segment.first_sequence,
            unproven_offset: HEADER_BYTES as u64,
        }
    }

    /// Offset of the next record.
    pub(super) fn offset(&self) -> u64 {
        self.buf_offset + self.pos as u64
    }

    /// Sequence number of the next record.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// zxid of the last record seen, or the one before the segment.
    pub(super) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Offset from which on no later record proves that the bytes were flushed.
    pub(super) fn unproven_offset(&self) -> u64 {
        self.unproven_offset
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// zxid and payload of the record that the last step went over.
    pub(super) fn last_record(&self) -> Option<(i64, &[u8])> {
        Some((self.last_zxid, self.buf.get(self.pos - self.last_len..self.pos)?))
    }

    /// Goes on to the next record.
    pub(super) fn step(&mut self) -> Result<Step<'_>> {
        let Some(header) = self.peek_record()? else {
            return Ok(Step::End);
        };
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
        self.last_len = header.len as usize;
        if is_mark { Ok(Step::Mark) } else { Ok(Step::Record { zxid: header.zxid, payload: &self.buf[payload] }) }
    }

    /// The next record's header, once the whole record is in the buffer and its checksum holds.
    fn peek_record(&mut self) -> Result<Option<RecordHeader>> {
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
        Ok(checksum_holds(self.seed, &self.buf[self.pos..self.pos + whole]).then_some(header))
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
    pub(super) fn judge(&self) -> Result<Tail> {
        judge_tail(&self.file, &self.path, self.seed, self.offset(), self.limit, self.next_sequence)
    }
}

fn peek_at(bytes: &[u8], at: usize) -> Option<RecordHeader> {
    peek(bytes.get(at..at + RECORD_HEADER_BYTES)?.try_into().ok()?)
}

/// What stands where a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing but zeros.
    Clean,
    /// Something that was not flushed: `bytes` to the last byte that is not zero.
    Torn { bytes: u64 },
    /// The missing record had been flushed: the whole record at `witness` says so.
    Damaged { witness: u64, witness_sequence: u64 },
}

/// Looks through `file` from `offset` to `limit` for a witness that the record `missing` had been flushed.
///
/// Every byte is tried as the beginning of a record, since the length of the missing one is not to be believed. The
/// sequence numbers tell nearly all of them apart before a checksum is computed.
fn judge_tail(file: &impl FsFile, path: &Path, seed: u32, offset: u64, limit: u64, missing: u64) -> Result<Tail> {
    let read = |buf: &mut [u8], at| file.read_at(buf, at).map_err(StorageError::io("read", path));
    // No more records than this fit into what is left.
    let sequence_max = missing + (limit - offset) / RECORD_HEADER_BYTES as u64 + 1;
    let mut last_byte = None;
    let mut checksummed = 0;
    let mut window = vec![0; READ_BYTES + RECORD_HEADER_BYTES];
    let mut at = offset;
    while at < limit {
        // Windows overlap by one header, so that none is missed at a seam.
        let want = window.len().min((limit - at) as usize);
        let len = read(&mut window[..want], at)?;
        let bytes = &window[..len];
        if let Some(last) = bytes.iter().rposition(|&b| b != 0) {
            last_byte = Some(at + last as u64);
            for pos in 0..bytes.len().saturating_sub(RECORD_HEADER_BYTES - 1) {
                let Some(header) = peek_at(bytes, pos) else { continue };
                let tells = header.flushed_below > missing && header.sequence <= sequence_max;
                let end = at + (pos + RECORD_HEADER_BYTES) as u64 + u64::from(header.len);
                if !tells || end > limit {
                    continue;
                }
                let mut record = vec![0; RECORD_HEADER_BYTES + header.len as usize];
                checksummed += record.len() as u64;
                if checksummed > JUDGED_BYTES_MAX {
                    return Ok(Tail::Damaged { witness: at + pos as u64, witness_sequence: header.sequence });
                }
                if read(&mut record, at + pos as u64)? == record.len() && checksum_holds(seed, &record) {
                    return Ok(Tail::Damaged { witness: at + pos as u64, witness_sequence: header.sequence });
                }
            }
        }
        if len < want {
            break;
        }
        at += READ_BYTES as u64;
    }
    Ok(last_byte.map_or(Tail::Clean, |last| Tail::Torn { bytes: last + 1 - offset }))
}
