//! LEADERINFO and NEWLEADER: what a leader says of its epoch before it goes on to proposals.

use std::borrow::Cow;

use bytes::BytesMut;

use super::packet::{PacketType, write_packet};
use crate::jute::{DecodeError, Reader, decode_text};
use crate::types::Zxid;

/// The protocol since ZooKeeper 3.4, with LEADERINFO and ACKEPOCH. A learner below it gets neither, and a NEWLEADER
/// without data.
pub const PEER_PROTOCOL_VERSION: i32 = 0x1_0000;

/// The data of LEADERINFO. Its zxid holds the new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderInfo {
    /// [`PEER_PROTOCOL_VERSION`] in all leaders since 3.4.
    pub protocol_version: i32,
}

impl LeaderInfo {
    /// What a leader of today says.
    pub const CURRENT: LeaderInfo = LeaderInfo { protocol_version: PEER_PROTOCOL_VERSION };

    /// Reads the data; more than is needed does not matter (`Learner#registerWithLeader`).
    pub fn read(data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { protocol_version: Reader::new(data).int()? })
    }

    /// Writes a LEADERINFO. Its zxid is that of the new epoch, with counter 0.
    pub fn write_packet(&self, out: &mut BytesMut, zxid: Zxid) {
        write_packet(out, PacketType::LeaderInfo, zxid, Some(&self.protocol_version.to_be_bytes()));
    }
}

/// The text of the configuration in a NEWLEADER, if it has one: a single byte is none (`Learner#syncWithLeader`).
pub fn new_leader_config(data: Option<&[u8]>) -> Option<Cow<'_, str>> {
    data.filter(|data| data.len() > 1).map(decode_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_longer_than_a_byte() {
        assert_eq!(new_leader_config(None), None);
        assert_eq!(new_leader_config(Some(b"")), None);
        assert_eq!(new_leader_config(Some(b"v")), None);
        assert_eq!(new_leader_config(Some(b"vv")).as_deref(), Some("vv"));
    }
}
