//! ACKEPOCH: a learner has accepted the leader's new epoch.

use bytes::BytesMut;

use super::packet::{PacketType, write_packet};
use crate::jute::{DecodeError, Reader};
use crate::types::Zxid;

/// In place of an epoch: the learner had accepted the new one before, so that this must not count as one more
/// acknowledgement.
const NOT_COUNTED: i32 = -1;

/// The data of ACKEPOCH. Its zxid is the last one that the learner has logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckEpoch {
    /// The epoch of the last leader that the learner has synchronized with; `None` if it had accepted the new epoch
    /// before (`Learner#registerWithLeader`).
    pub current_epoch: Option<u32>,
}

impl AckEpoch {
    /// Reads the data; more than is needed does not matter (`LearnerHandler#run`).
    pub fn read(data: &[u8]) -> Result<Self, DecodeError> {
        let epoch = Reader::new(data).int()?;
        Ok(Self { current_epoch: (epoch != NOT_COUNTED).then_some(epoch as u32) })
    }

    /// Writes an ACKEPOCH.
    pub fn write_packet(&self, out: &mut BytesMut, last_logged: Zxid) {
        let epoch = self.current_epoch.map_or(NOT_COUNTED, |epoch| epoch as i32);
        write_packet(out, PacketType::AckEpoch, last_logged, Some(&epoch.to_be_bytes()));
    }
}
