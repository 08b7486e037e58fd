//! REVALIDATE: a client came with a session from elsewhere; is it alive? (`Learner#validateSession`)

use bytes::BytesMut;

use super::packet::{PacketType, finish_packet, start_packet};
use crate::jute::{DecodeError, Reader, Writer};
use crate::types::{SessionId, Zxid};

/// The zxid of question and answer.
const NO_ZXID: Zxid = Zxid(-1);

/// What a learner asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revalidate {
    /// The session that the client came with.
    pub session: SessionId,
    /// The timeout that was agreed on, in milliseconds.
    pub timeout_ms: i32,
}

impl Revalidate {
    /// Reads the data; more than is needed does not matter (`Leader#revalidateSession`).
    pub fn read(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        Ok(Self { session: SessionId(reader.long()?), timeout_ms: reader.int()? })
    }

    /// Writes the question.
    pub fn write_packet(&self, out: &mut BytesMut) {
        let start = start_packet(out, PacketType::Revalidate, NO_ZXID);
        out.long(self.session.0);
        out.int(self.timeout_ms);
        finish_packet(out, start, None);
    }
}

/// What the leader answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revalidated {
    /// The session.
    pub session: SessionId,
    /// Whether it is alive; if so, it belongs to the learner that asked from now on.
    pub valid: bool,
}

impl Revalidated {
    /// Reads the data; more than is needed does not matter (`Learner#revalidate`).
    pub fn read(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        Ok(Self { session: SessionId(reader.long()?), valid: reader.boolean()? })
    }

    /// Writes the answer. Java sends the question back with other data, so its zxid is the question's.
    pub fn write_packet(&self, out: &mut BytesMut) {
        let start = start_packet(out, PacketType::Revalidate, NO_ZXID);
        out.long(self.session.0);
        out.boolean(self.valid);
        finish_packet(out, start, None);
    }
}
