//! COMMITANDACTIVATE and INFORMANDACTIVATE: a reconfiguration is committed, and who is to lead from now on.

use bytes::{BufMut, Bytes, BytesMut};

use super::packet::{PacketType, finish_packet, start_packet, write_packet};
use crate::jute::{DecodeError, Reader, Writer};
use crate::types::{ServerId, Zxid};

/// The data of COMMITANDACTIVATE (`Leader#commitAndActivate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitAndActivate {
    /// Who is to lead.
    pub leader: ServerId,
}

impl CommitAndActivate {
    /// Reads the data; more than is needed does not matter (`Follower#processPacket`).
    pub fn read(data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { leader: ServerId(Reader::new(data).long()?) })
    }

    /// Writes a COMMITANDACTIVATE of the transaction with this zxid.
    pub fn write_packet(&self, out: &mut BytesMut, zxid: Zxid) {
        write_packet(out, PacketType::CommitAndActivate, zxid, Some(&self.leader.0.to_be_bytes()));
    }
}

/// The data of INFORMANDACTIVATE (`Leader#buildInformAndActivePacket`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InformAndActivate {
    /// Who is to lead.
    pub leader: ServerId,
    /// The entry as it stands in a PROPOSAL.
    pub entry: Bytes,
}

impl InformAndActivate {
    /// Reads the data. The entry is not copied (`Observer#processPacket`).
    pub fn read(data: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let leader = ServerId(reader.long()?);
        Ok(Self { leader, entry: data.slice(reader.position()..) })
    }

    /// Writes an INFORMANDACTIVATE of the transaction with this zxid.
    pub fn write_packet(&self, out: &mut BytesMut, zxid: Zxid) {
        let start = start_packet(out, PacketType::InformAndActivate, zxid);
        out.long(self.leader.0);
        out.put_slice(&self.entry);
        finish_packet(out, start, None);
    }
}
