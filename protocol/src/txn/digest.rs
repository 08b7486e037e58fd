//! The digest by which servers compare their trees (`DigestCalculator`).

use bytes::BytesMut;

use crate::jute::{DecodeError, Reader, Writer};
use crate::types::StatPersisted;

/// Version of the digest's definition (`DigestCalculator#DIGEST_VERSION`).
pub const DIGEST_VERSION: i32 = 2;

/// Znodes up to this size are copied into one piece for their digest.
const JOINED_BYTES_MAX: usize = 512;

const ZOOKEEPER_TREE: &str = "/zookeeper/";

/// The digest of the whole tree after a transaction: the wrapping sum of all znodes' digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnDigest {
    /// Version of the definition.
    pub version: i32,
    /// The sum.
    pub tree_digest: i64,
}

impl TxnDigest {
    /// Its length in bytes.
    pub const LEN: usize = 12;

    /// Reads a digest.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { version: reader.int()?, tree_digest: reader.long()? })
    }

    /// Writes a digest.
    pub fn write(&self, out: &mut BytesMut) {
        out.int(self.version);
        out.long(self.tree_digest);
    }
}

/// The digest of one znode: CRC-32 over path, data and persisted stat. Everything below `/zookeeper` counts
/// as zero, since servers may differ there. The root's path is empty (the caller may also pass `/`).
pub fn znode_digest(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> i64 {
    if path.starts_with(ZOOKEEPER_TREE) {
        return 0;
    }
    let path = if path == "/" { "" } else { path };
    let mut fields = [0u8; 60];
    fields[0..8].copy_from_slice(&stat.czxid.0.to_be_bytes());
    fields[8..16].copy_from_slice(&stat.mzxid.0.to_be_bytes());
    fields[16..24].copy_from_slice(&stat.pzxid.0.to_be_bytes());
    fields[24..32].copy_from_slice(&stat.ctime.to_be_bytes());
    fields[32..40].copy_from_slice(&stat.mtime.to_be_bytes());
    fields[40..44].copy_from_slice(&stat.version.to_be_bytes());
    fields[44..48].copy_from_slice(&stat.cversion.to_be_bytes());
    fields[48..52].copy_from_slice(&stat.aversion.to_be_bytes());
    fields[52..60].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let parts = [path.as_bytes(), data.unwrap_or_default(), &fields];
    // One long run of bytes is summed several at a time; three short ones are not.
    let mut joined = [0u8; JOINED_BYTES_MAX];
    let mut len = 0;
    for part in parts {
        match joined.get_mut(len..len + part.len()) {
            Some(place) => place.copy_from_slice(part),
            None => {
                return i64::from(
                    parts
                        .iter()
                        .fold(crc32fast::Hasher::new(), |mut crc, part| {
                            crc.update(part);
                            crc
                        })
                        .finalize(),
                );
            }
        }
        len += part.len();
    }
    i64::from(crc32fast::hash(&joined[..len]))
}
