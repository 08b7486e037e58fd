//! The header of a transaction (`TxnHeader`, 32 bytes).

use byteorder::{BigEndian, ByteOrder};
use bytes::BytesMut;

use crate::jute::{DecodeError, Reader};
use crate::types::{SessionId, Zxid};

/// Who asked for a transaction, its place in the order, when, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnHeader {
    /// The session that asked, or [`SessionId::NONE`] for internal ones.
    pub client_id: SessionId,
    /// The client's number for the request.
    pub cxid: i32,
    /// Its place in the order.
    pub zxid: Zxid,
    /// The proposer's clock, in milliseconds since 1970.
    pub time: i64,
    /// Number of the operation; decides how the body reads.
    pub kind: i32,
}

impl TxnHeader {
    /// Reads a header.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            client_id: SessionId(reader.long()?),
            cxid: reader.int()?,
            zxid: Zxid(reader.long()?),
            time: reader.long()?,
            kind: reader.int()?,
        })
    }

    /// Writes a header.
    pub fn write(&self, out: &mut BytesMut) {
        // In front of every transaction: put together first, appended once.
        let mut bytes = [0; 32];
        BigEndian::write_i64(&mut bytes[0..8], self.client_id.0);
        BigEndian::write_i32(&mut bytes[8..12], self.cxid);
        BigEndian::write_i64(&mut bytes[12..20], self.zxid.0);
        BigEndian::write_i64(&mut bytes[20..28], self.time);
        BigEndian::write_i32(&mut bytes[28..32], self.kind);
        out.extend_from_slice(&bytes);
    }
}
