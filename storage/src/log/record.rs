//! One record as bytes.
//!
//! ```text
//! offset  bytes
//!  0      4   CRC32C over the segment's identity, bytes 4..32 and the payload
//!  4      4   length of the payload; 0 for a mark
//!  8      8   sequence number, 1 for the first record of a store, no gaps
//! 16      8   sequence number up to which (exclusive) everything was flushed when this record was written
//! 24      8   zxid; that of the record before it for a mark
//! 32      n   payload
//! ```
//!
//! All numbers are little-endian. A *mark* carries nothing but the proof that what is before it was flushed.

use super::RECORD_BYTES_MAX;

/// Bytes before the payload.
pub(super) const RECORD_HEADER_BYTES: usize = 32;

/// What a record says beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) len: u32,
    pub(super) sequence: u64,
    pub(super) flushed_below: u64,
    pub(super) zxid: i64,
}

/// The checksum of nothing in a given segment. It makes the bytes of any other segment, and of any other store,
/// worthless here: stale blocks can never be taken for records.
pub(super) fn segment_seed(store: u64, segment: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&store.to_le_bytes()), &segment.to_le_bytes())
}

/// Appends a record to `out` that [`seal_all`] completes. The caller has checked the length.
pub(super) fn lay(out: &mut Vec<u8>, sequence: u64, zxid: i64, payload: &[u8]) {
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&zxid.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Completes the records in `bytes`, which are about to be written: what is flushed by now, and the checksum.
pub(super) fn seal_all(mut bytes: &mut [u8], seed: u32, flushed_below: u64) {
    while !bytes.is_empty() {
        let (record, rest) = bytes.split_at_mut(RECORD_HEADER_BYTES + u32_at(bytes, 4) as usize);
        record[16..24].copy_from_slice(&flushed_below.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        bytes = rest;
    }
}

/// Reads a header without believing it yet. `None` if no record can look like this.
pub(super) fn peek(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<RecordHeader> {
    let header = RecordHeader {
        len: u32_at(bytes, 4),
        sequence: u64_at(bytes, 8),
        flushed_below: u64_at(bytes, 16),
        zxid: u64_at(bytes, 24) as i64,
    };
    let possible = header.sequence > 0
        && header.flushed_below > 0
        && header.flushed_below <= header.sequence
        && header.len as usize <= RECORD_BYTES_MAX;
    possible.then_some(header)
}

/// [`peek`] into a longer piece, `None` also if it ends before.
pub(super) fn peek_at(bytes: &[u8], at: usize) -> Option<RecordHeader> {
    peek(bytes.get(at..at + RECORD_HEADER_BYTES)?.try_into().ok()?)
}

/// Whether header and payload, given together, carry the checksum of this segment.
pub(super) fn checksum_holds(seed: u32, record: &[u8]) -> bool {
    crc32c::crc32c_append(seed, &record[4..]) == u32_at(record, 0)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> (RecordHeader, Vec<u8>) {
        let header = RecordHeader { len: 5, sequence: 9, flushed_below: 7, zxid: 0x1_0000_0003 };
        let mut bytes = Vec::new();
        lay(&mut bytes, header.sequence, header.zxid, b"hello");
        seal_all(&mut bytes, segment_seed(11, 3), header.flushed_below);
        (header, bytes)
    }

    #[test]
    fn reads_back_what_was_written() {
        let (header, bytes) = sample();
        assert_eq!(bytes.len(), RECORD_HEADER_BYTES + 5);
        assert_eq!(peek(bytes[..32].try_into().unwrap()), Some(header));
        assert!(checksum_holds(segment_seed(11, 3), &bytes));
    }

    #[test]
    fn each_of_many_is_sealed() {
        let (_, one) = sample();
        let mut bytes = Vec::new();
        for _ in 0..3 {
            lay(&mut bytes, 9, 0x1_0000_0003, b"hello");
        }
        seal_all(&mut bytes, segment_seed(11, 3), 7);
        assert_eq!(bytes, one.repeat(3));
    }

    #[test]
    fn is_worthless_in_another_segment_or_store() {
        let (_, bytes) = sample();
        assert!(!checksum_holds(segment_seed(11, 4), &bytes));
        assert!(!checksum_holds(segment_seed(12, 3), &bytes));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let (_, bytes) = sample();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!checksum_holds(segment_seed(11, 3), &bytes), "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(peek(&[0; 32]), None);
    }
}
