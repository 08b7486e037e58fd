//! Tells a torn end from damage.
//!
//! A walk over a segment has ended where a whole record was expected. If that record was flushed once, this is damage;
//! if it never was, it belongs to a group that a crash interrupted, of which any part may have arrived. Every
//! record carries the sequence number below which everything had been flushed when it was made: a whole record further
//! on that names a number above the missing one is the witness for damage. Without a witness nothing that was
//! acknowledged can be missing, except by damage to the very last group, which is told from a torn one only after an
//! end in order (the mark is its witness).

use std::path::Path;

use super::record::{RECORD_HEADER_BYTES, checksum_holds, peek_at, u64_at};
use crate::error::{Result, StorageError};
use crate::fs::FsFile;

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// Bytes that are checksummed in search of a witness. A client that knew the sequence numbers could fill a znode with
/// the likeness of records, to make a start behind a torn group slow: it gets a second at most, and then a refusal.
const JUDGED_BYTES_MAX: u64 = 1 << 30;

/// Where a walk has ended.
pub(super) struct Ended<'f, File> {
    pub(super) file: &'f File,
    pub(super) path: &'f Path,
    pub(super) seed: u32,
    /// The file has bytes of an older segment behind the records, instead of zeros.
    pub(super) is_recycled: bool,
    pub(super) offset: u64,
    pub(super) limit: u64,
    /// Sequence number of the record that was expected.
    pub(super) missing: u64,
}

/// What stands there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing of this segment.
    Clean,
    /// Something that was not flushed: `bytes` to where it ends, as far as that can be seen.
    Torn { bytes: u64 },
    /// The missing record had been flushed: the whole record at `witness` says so.
    Damaged { witness: u64, witness_sequence: u64 },
}

/// Judges what stands from the end of a walk on.
///
/// Every byte is tried as the beginning of a record, since the length of the missing one is not to be believed. The
/// sequence numbers tell nearly all of them apart before a checksum is computed; those of an older segment, in a file
/// that is used again, are all below.
pub(super) fn judge_tail<File: FsFile>(ended: &Ended<'_, File>) -> Result<Verdict> {
    let Ended { offset, limit, missing, .. } = *ended;
    let read = |buf: &mut [u8], at| ended.file.read_at(buf, at).map_err(StorageError::io("read", ended.path));
    // No more records than this fit into what is left.
    let span = limit.saturating_sub(offset) / RECORD_HEADER_BYTES as u64 + 1;
    let mut seen_until = offset;
    let mut checksummed = 0;
    let mut window = vec![0; (READ_BYTES + RECORD_HEADER_BYTES).min(limit.saturating_sub(offset) as usize)];
    let mut at = offset;
    while at < limit {
        // Windows overlap by one header, so that none is missed at a seam.
        let want = window.len().min((limit - at) as usize);
        let len = read(&mut window[..want], at)?;
        let bytes = &window[..len];
        let Some(last) = bytes.iter().rposition(|&b| b != 0) else {
            at += READ_BYTES as u64;
            continue;
        };
        if !ended.is_recycled {
            seen_until = at + last as u64 + 1;
        }
        for (pos, header) in bytes.windows(RECORD_HEADER_BYTES).enumerate() {
            if u64_at(header, 8).wrapping_sub(missing) > span {
                continue;
            }
            let Some(header) = peek_at(bytes, pos) else { continue };
            let here = at + pos as u64;
            let whole = RECORD_HEADER_BYTES as u64 + u64::from(header.len);
            let witness = Verdict::Damaged { witness: here, witness_sequence: header.sequence };
            if here == offset && header.sequence == missing {
                seen_until = seen_until.max((offset + whole).min(limit));
            }
            if here + whole > limit {
                continue;
            }
            checksummed += whole;
            if checksummed > JUDGED_BYTES_MAX {
                return Ok(witness);
            }
            let mut record = vec![0; whole as usize];
            if read(&mut record, here)? == record.len() && checksum_holds(ended.seed, &record) {
                if header.flushed_below > missing {
                    return Ok(witness);
                }
                seen_until = seen_until.max(here + whole);
            }
        }
        at += READ_BYTES as u64;
    }
    Ok(if seen_until > offset { Verdict::Torn { bytes: seen_until - offset } } else { Verdict::Clean })
}
