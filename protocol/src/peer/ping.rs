//! The answer to PING: which sessions gave a sign of life since the last one (`Learner#ping`).

use bytes::BytesMut;

use super::packet::{PacketType, finish_packet, start_packet};
use crate::jute::{DecodeError, Reader, Writer};
use crate::types::{SessionId, Zxid};

/// A session that gave a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// The session.
    pub session: SessionId,
    /// Its timeout in milliseconds.
    pub timeout_ms: i32,
}

impl Touch {
    const LEN: usize = 12;

    /// Reads all of the data. Java touches those in front of a half one before it fails over it; here none counts.
    pub fn read_all(data: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let mut reader = Reader::new(data);
        let mut touches = Vec::with_capacity(data.len() / Self::LEN);
        while reader.remaining() > 0 {
            touches.push(Self { session: SessionId(reader.long()?), timeout_ms: reader.int()? });
        }
        Ok(touches)
    }

    /// Writes the answer to the PING with this zxid.
    pub fn write_packet(out: &mut BytesMut, zxid: Zxid, touches: impl IntoIterator<Item = Touch>) {
        let start = start_packet(out, PacketType::Ping, zxid);
        for touch in touches {
            out.long(touch.session.0);
            out.int(touch.timeout_ms);
        }
        finish_packet(out, start, None);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn half_a_session_is_refused() {
        let mut data = [0; 36];
        (data[7], data[11], data[19], data[23]) = (1, 2, 3, 4);
        let touch = |session, timeout_ms| Touch { session: SessionId(session), timeout_ms };
        assert_eq!(Touch::read_all(&data).unwrap(), [touch(1, 2), touch(3, 4), touch(0, 0)]);
        assert_eq!(Touch::read_all(&[]).unwrap(), []);
        Touch::read_all(&data[..35]).unwrap_err();
    }
}
