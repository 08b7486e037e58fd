//! FOLLOWERINFO and OBSERVERINFO: who a learner is (`LearnerInfo`).

use bytes::BytesMut;

use super::leader_info::PEER_PROTOCOL_VERSION;
use super::packet::{PacketType, finish_packet, start_packet};
use crate::jute::{Reader, Writer};
use crate::types::{ServerId, Zxid};

/// What the leader takes for the protocol of a learner that does not tell (`LearnerHandler#version`).
const UNTOLD_PROTOCOL_VERSION: i32 = 1;

/// The data of FOLLOWERINFO and OBSERVERINFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerInfo {
    /// The learner.
    pub server: ServerId,
    /// [`PEER_PROTOCOL_VERSION`] in all learners since 3.4.
    pub protocol_version: i32,
    /// Version of the configuration that is active there.
    pub config_version: i64,
}

impl LearnerInfo {
    /// What a learner of today says.
    pub fn new(server: ServerId, config_version: i64) -> Self {
        Self { server, protocol_version: PEER_PROTOCOL_VERSION, config_version }
    }

    /// Reads the data; what an old learner leaves out is as `LearnerHandler` has it then. A packet without data comes
    /// from a learner that has no number and must be given one.
    pub fn read(data: &[u8]) -> Self {
        let mut reader = Reader::new(data);
        let mut info = Self { server: ServerId(0), protocol_version: UNTOLD_PROTOCOL_VERSION, config_version: 0 };
        let Ok(server) = reader.long() else { return info };
        info.server = ServerId(server);
        let Ok(protocol_version) = reader.int() else { return info };
        info.protocol_version = protocol_version;
        info.config_version = reader.long().unwrap_or(info.config_version);
        info
    }

    /// Writes a FOLLOWERINFO or OBSERVERINFO. Its zxid is that of the accepted epoch, with counter 0.
    pub fn write_packet(&self, out: &mut BytesMut, packet_type: PacketType, zxid: Zxid) {
        let start = start_packet(out, packet_type, zxid);
        out.long(self.server.0);
        out.int(self.protocol_version);
        out.long(self.config_version);
        finish_packet(out, start, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_learners_say_less() {
        let data: Vec<u8> = (1..=21).collect();
        let (server, version) = (ServerId(0x0102_0304_0506_0708), 0x090a_0b0c);
        for (length, server, protocol_version, config_version) in [
            (0, ServerId(0), 1, 0),
            (7, ServerId(0), 1, 0),
            (8, server, 1, 0),
            (11, server, 1, 0),
            (12, server, version, 0),
            (19, server, version, 0),
            (20, server, version, 0x0d0e_0f10_1112_1314),
            (21, server, version, 0x0d0e_0f10_1112_1314),
        ] {
            let info = LearnerInfo { server, protocol_version, config_version };
            assert_eq!(LearnerInfo::read(&data[..length]), info, "{length} bytes");
        }
    }
}
