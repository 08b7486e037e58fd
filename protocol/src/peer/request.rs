//! REQUEST: a client's write, on its way to the leader (`Learner#request`).

use bytes::{BufMut, Bytes, BytesMut};

use super::packet::{PacketType, finish_packet, start_packet};
use crate::jute::{DecodeError, Reader, Writer};
use crate::types::{Id, SessionId, Zxid};

/// The data of REQUEST. The client's identities stand in the packet's `authinfo`; the leader believes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// The client's session.
    pub session: SessionId,
    /// The client's number for the request (Java: cxid).
    pub cxid: i32,
    /// Number of an [`OpCode`](crate::types::OpCode), or not.
    pub op: i32,
    /// The request's record as the client sent it; a createSession has the timeout there, in milliseconds.
    pub body: Bytes,
}

impl ForwardedRequest {
    /// Reads the data. The body is not copied (`LearnerHandler#run`).
    pub fn read(data: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let (session, cxid, op) = (SessionId(reader.long()?), reader.int()?, reader.int()?);
        Ok(Self { session, cxid, op, body: data.slice(reader.position()..) })
    }

    /// Writes a REQUEST.
    pub fn write_packet(&self, out: &mut BytesMut, authinfo: Option<&[Id]>) {
        let start = start_packet(out, PacketType::Request, Zxid(-1));
        out.long(self.session.0);
        out.int(self.cxid);
        out.int(self.op);
        out.put_slice(&self.body);
        finish_packet(out, start, authinfo);
    }
}
