//! A segment's name and header.
//!
//! The file is named after the segment's number, 16 hexadecimal digits and `.log`. Numbers rise by one and are not
//! given twice, whatever happens. The header is 64 bytes:
//!
//! ```text
//! offset  bytes
//!  0      8   "RKEEPLOG"
//!  8      4   format version, 1
//! 12      4   flags: bit 0, the log begins anew here (segments before it are void);
//!             bit 1, the file was used by an older segment, whose bytes stand behind the records
//! 16      8   identity of the store
//! 24      8   number of the segment
//! 32      8   sequence number of its first record
//! 40      8   zxid of the last record before it
//! 48      4   number of the image that the log belongs to
//! 52      8   zero
//! 60      4   CRC32C over the 60 bytes before
//! ```

use std::path::{Path, PathBuf};

use super::record::{segment_seed, u32_at, u64_at};
use crate::error::{Result, StorageError};
use crate::fs::{Fs, FsFile};
use crate::meta::StoreId;

pub(super) const HEADER_BYTES: usize = 64;
pub(super) const LOG_FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"RKEEPLOG";
const FLAG_ANEW: u32 = 1;
const FLAG_RECYCLED: u32 = 2;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) store: StoreId,
    pub(super) number: u64,
    pub(super) first_sequence: u64,
    /// zxid of the last record before this segment, 0 if there never was one.
    pub(super) base_zxid: i64,
    pub(super) begins_anew: bool,
    /// The file was used before: what stands behind the records are not zeros.
    pub(super) is_recycled: bool,
    /// The image that this log continues. A log that begins anew names another one: one step replaces both.
    pub(super) image: u32,
}

/// A boundary between two records of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// Sequence number of the record behind it.
    pub(super) next_sequence: u64,
    /// zxid of the record before it, or the one before the segment.
    pub(super) last_zxid: i64,
}

/// What was found where a header should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFound {
    /// A header.
    Whole(Segment),
    /// The header of a version that this one does not know.
    Unknown(u32),
    /// No header. `rest_is_zero` tells that the file has no other byte, so that no record was ever written to it.
    Broken {
        /// Nothing but zeros follows.
        rest_is_zero: bool,
    },
}

impl Segment {
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(file_name(self.number))
    }

    /// The place before its first record.
    pub(super) fn begin(&self) -> Place {
        Place { offset: HEADER_BYTES as u64, next_sequence: self.first_sequence, last_zxid: self.base_zxid }
    }

    pub(super) fn seed(&self) -> u32 {
        segment_seed(self.store.0, self.number)
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&LOG_FORMAT_VERSION.to_le_bytes());
        let flag = |set, flag: u32| if set { flag } else { 0 };
        let flags = flag(self.begins_anew, FLAG_ANEW) | flag(self.is_recycled, FLAG_RECYCLED);
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.store.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base_zxid.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.image.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<HeaderFound> {
        if &bytes[..8] != MAGIC {
            return None;
        }
        let version = u32_at(bytes, 8);
        if version != LOG_FORMAT_VERSION {
            return Some(HeaderFound::Unknown(version));
        }
        if u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return None;
        }
        Some(HeaderFound::Whole(Self {
            store: StoreId(u64_at(bytes, 16)),
            number: u64_at(bytes, 24),
            first_sequence: u64_at(bytes, 32),
            base_zxid: u64_at(bytes, 40) as i64,
            begins_anew: u32_at(bytes, 12) & FLAG_ANEW != 0,
            is_recycled: u32_at(bytes, 12) & FLAG_RECYCLED != 0,
            image: u32_at(bytes, 48),
        }))
    }
}

/// Reads the header of a segment's file.
pub(super) fn read_header(file: &impl FsFile, path: &Path) -> Result<HeaderFound> {
    let mut bytes = [0; HEADER_BYTES];
    let read = |buf: &mut [u8], at| file.read_at(buf, at).map_err(StorageError::io("read", path));
    let len = read(&mut bytes, 0)?;
    if len == HEADER_BYTES
        && let Some(found) = Segment::decode(&bytes)
    {
        return Ok(found);
    }
    let mut chunk = vec![0; 64 << 10];
    let mut at = HEADER_BYTES as u64;
    loop {
        let len = read(&mut chunk, at)?;
        if len == 0 {
            return Ok(HeaderFound::Broken { rest_is_zero: true });
        }
        if chunk[..len].iter().any(|&b| b != 0) {
            return Ok(HeaderFound::Broken { rest_is_zero: false });
        }
        at += len as u64;
    }
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// Name of the file of a retired segment that waits to be used again. It keeps its number, so that no two are given
/// the same name.
pub(super) fn spare_name(number: u64) -> String {
    format!("{number:016x}.old")
}

/// Name of the file of a segment that is filled before it becomes part of the log.
pub(super) fn candidate_name(number: u64) -> String {
    format!("{number:016x}.new")
}

/// Numbers of the segments in a folder, rising. Other names are left alone.
pub(super) fn list<F: Fs>(fs: &F, dir: &Path) -> Result<Vec<u64>> {
    list_named(fs, dir, ".log", file_name)
}

/// Numbers of the spare files in a folder, rising.
pub(super) fn list_spares<F: Fs>(fs: &F, dir: &Path) -> Result<Vec<u64>> {
    list_named(fs, dir, ".old", spare_name)
}

/// Numbers of the segments in a folder that never became part of the log, rising.
pub(super) fn list_candidates<F: Fs>(fs: &F, dir: &Path) -> Result<Vec<u64>> {
    list_named(fs, dir, ".new", candidate_name)
}

fn list_named<F: Fs>(fs: &F, dir: &Path, suffix: &str, name_of: fn(u64) -> String) -> Result<Vec<u64>> {
    let names = fs.list(dir).map_err(StorageError::io("list", dir))?;
    let number = |name: &String| {
        let number = u64::from_str_radix(name.strip_suffix(suffix)?, 16).ok()?;
        (*name == name_of(number)).then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn header_reads_back_and_every_flipped_bit_is_seen() {
        let segment = Segment {
            store: StoreId(1),
            number: 2,
            first_sequence: 3,
            base_zxid: -4,
            begins_anew: true,
            is_recycled: true,
            image: 5,
        };
        let bytes = segment.encode();
        assert_eq!(Segment::decode(&bytes), Some(HeaderFound::Whole(segment)));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(Segment::decode(&bytes), Some(HeaderFound::Whole(_))), "bit {bit}");
        }
    }
}
