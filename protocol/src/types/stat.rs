//! What ZooKeeper tells about a znode besides its data.

use byteorder::{BigEndian, ByteOrder};
use bytes::BytesMut;

use super::ids::Zxid;
use crate::jute::{DecodeError, Reader, Writer};

/// What clients see of a znode (68 bytes on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Transaction that created the znode.
    pub czxid: Zxid,
    /// Transaction that last changed the data.
    pub mzxid: Zxid,
    /// Creation time in milliseconds since 1970.
    pub ctime: i64,
    /// Time of the last change of the data, in milliseconds since 1970.
    pub mtime: i64,
    /// Number of changes of the data.
    pub version: i32,
    /// Number of children created and deleted.
    pub cversion: i32,
    /// Number of changes of the ACL.
    pub aversion: i32,
    /// Session of an ephemeral znode, else zero.
    pub ephemeral_owner: i64,
    /// Length of the data in bytes; null counts as zero.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
    /// Transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl Stat {
    /// Reads a Stat.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid(reader.long()?),
            mzxid: Zxid(reader.long()?),
            ctime: reader.long()?,
            mtime: reader.long()?,
            version: reader.int()?,
            cversion: reader.int()?,
            aversion: reader.int()?,
            ephemeral_owner: reader.long()?,
            data_length: reader.int()?,
            num_children: reader.int()?,
            pzxid: Zxid(reader.long()?),
        })
    }

    /// Writes a Stat.
    pub fn write(&self, out: &mut BytesMut) {
        // In most replies: put together first, appended once.
        let mut bytes = [0; 68];
        BigEndian::write_i64(&mut bytes[0..8], self.czxid.0);
        BigEndian::write_i64(&mut bytes[8..16], self.mzxid.0);
        BigEndian::write_i64(&mut bytes[16..24], self.ctime);
        BigEndian::write_i64(&mut bytes[24..32], self.mtime);
        BigEndian::write_i32(&mut bytes[32..36], self.version);
        BigEndian::write_i32(&mut bytes[36..40], self.cversion);
        BigEndian::write_i32(&mut bytes[40..44], self.aversion);
        BigEndian::write_i64(&mut bytes[44..52], self.ephemeral_owner);
        BigEndian::write_i32(&mut bytes[52..56], self.data_length);
        BigEndian::write_i32(&mut bytes[56..60], self.num_children);
        BigEndian::write_i64(&mut bytes[60..68], self.pzxid.0);
        out.extend_from_slice(&bytes);
    }
}

/// What is stored of a znode besides its data (60 bytes). Its `cversion` counts created children only; the
/// one in [`Stat`] is `2 * cversion - num_children` (`DataNode#copyStat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatPersisted {
    /// Transaction that created the znode.
    pub czxid: Zxid,
    /// Transaction that last changed the data.
    pub mzxid: Zxid,
    /// Creation time in milliseconds since 1970.
    pub ctime: i64,
    /// Time of the last change of the data, in milliseconds since 1970.
    pub mtime: i64,
    /// Number of changes of the data.
    pub version: i32,
    /// Number of children ever created.
    pub cversion: i32,
    /// Number of changes of the ACL.
    pub aversion: i32,
    /// As stored, see [`EphemeralOwner`](super::EphemeralOwner).
    pub ephemeral_owner: i64,
    /// Transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl StatPersisted {
    /// Stat of a znode created by `zxid` at `time` (`DataTree#createStat`).
    pub fn created(zxid: Zxid, time: i64, ephemeral_owner: i64) -> Self {
        Self { czxid: zxid, mzxid: zxid, ctime: time, mtime: time, ephemeral_owner, pzxid: zxid, ..Self::default() }
    }

    /// Reads a StatPersisted.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid(reader.long()?),
            mzxid: Zxid(reader.long()?),
            ctime: reader.long()?,
            mtime: reader.long()?,
            version: reader.int()?,
            cversion: reader.int()?,
            aversion: reader.int()?,
            ephemeral_owner: reader.long()?,
            pzxid: Zxid(reader.long()?),
        })
    }

    /// Writes a StatPersisted.
    pub fn write(&self, out: &mut BytesMut) {
        out.long(self.czxid.0);
        out.long(self.mzxid.0);
        out.long(self.ctime);
        out.long(self.mtime);
        out.int(self.version);
        out.int(self.cversion);
        out.int(self.aversion);
        out.long(self.ephemeral_owner);
        out.long(self.pzxid.0);
    }
}
