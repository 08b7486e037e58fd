//! The headers in front of requests and replies.

use bytes::BytesMut;

use crate::jute::{DecodeError, Reader, Writer};
use crate::types::Zxid;

/// Request numbers with a meaning of their own (`ClientCnxn`).
pub mod xid {
    /// In the header of a watch event.
    pub const NOTIFICATION: i32 = -1;
    /// Of a ping and its answer.
    pub const PING: i32 = -2;
    /// Of an auth packet.
    pub const AUTH: i32 = -4;
    /// Of setWatches and setWatches2.
    pub const SET_WATCHES: i32 = -8;
}

/// In front of every request: the client's number for it, and the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number for the request; comes back in the reply.
    pub xid: i32,
    /// The number of the operation, known or not.
    pub op: i32,
}

impl RequestHeader {
    /// Reads the header.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: reader.int()?, op: reader.int()? })
    }

    /// Writes the header.
    pub fn write(&self, out: &mut BytesMut) {
        out.int(self.xid);
        out.int(self.op);
    }
}

/// In front of every reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's number.
    pub xid: i32,
    /// The newest transaction the server had applied when it answered.
    pub zxid: Zxid,
    /// Number of the [`ErrorCode`](crate::types::ErrorCode); a body follows only when it is 0.
    pub error: i32,
}

impl ReplyHeader {
    /// Reads the header.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: reader.int()?, zxid: Zxid(reader.long()?), error: reader.int()? })
    }

    /// Writes the header.
    pub fn write(&self, out: &mut BytesMut) {
        out.int(self.xid);
        out.long(self.zxid.0);
        out.int(self.error);
    }
}
