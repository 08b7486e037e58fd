//! The header of a transaction (`TxnHeader`, 32 bytes).

use bytes::BytesMut;

use crate::jute::{DecodeError, Reader, Writer};
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
        out.long(self.client_id.0);
        out.int(self.cxid);
        out.long(self.zxid.0);
        out.long(self.time);
        out.int(self.kind);
    }
}
