//! What servers say to each other: elections on one port, a learner and its leader on the other.
//!
//! An election connection begins with an [`InitialMessage`]; then each side sends [`Notification`]s, each behind its
//! length ([`election_frames`]). On a learner's connection there are [`QuorumPacket`]s. A file here knows the data of
//! one type of packet, or of two that belong together: PROPOSAL and INFORM hold a
//! [`LogEntry`](crate::txn::LogEntry), and types that are not mentioned hold nothing.

mod ack_epoch;
mod activate;
mod election;
mod handshake;
mod leader_info;
mod learner_info;
mod packet;
mod ping;
mod request;
mod revalidate;

pub use ack_epoch::AckEpoch;
pub use activate::{CommitAndActivate, InformAndActivate};
pub use election::{ELECTION_MESSAGE_LEN_MAX, Notification, PeerState, election_frames};
pub use handshake::{ADDRESSES_LEN_MAX, HandshakeError, HandshakeVersion, InitialMessage, LEGACY_OBSERVER};
pub use leader_info::{LeaderInfo, PEER_PROTOCOL_VERSION, new_leader_config};
pub use learner_info::LearnerInfo;
pub use packet::{
    AUTHINFO_LEN_MAX, PACKET_OVERHEAD_LEN, PacketDecoder, PacketType, QuorumPacket, finish_packet, start_packet,
    write_packet,
};
pub use ping::Touch;
pub use request::ForwardedRequest;
pub use revalidate::{Revalidate, Revalidated};

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{
        AckEpoch, CommitAndActivate, ForwardedRequest, InformAndActivate, LeaderInfo, Revalidate, Revalidated,
    };

    /// Each type of data needs so many bytes, and what stands behind them is ignored or is part of it.
    #[test]
    fn data_are_read_only_if_all_is_there() {
        let data = Bytes::from_static(&[1; 30]);
        let cut = |length: usize| data.slice(..length);
        for length in 0..=data.len() {
            let data = cut(length);
            assert_eq!(LeaderInfo::read(&data).is_ok(), length >= 4, "{length}");
            assert_eq!(AckEpoch::read(&data).is_ok(), length >= 4, "{length}");
            assert_eq!(CommitAndActivate::read(&data).is_ok(), length >= 8, "{length}");
            assert_eq!(Revalidated::read(&data).is_ok(), length >= 9, "{length}");
            assert_eq!(Revalidate::read(&data).is_ok(), length >= 12, "{length}");
            let entry = InformAndActivate::read(&data).map(|inform| inform.entry.len()).ok();
            assert_eq!(entry, length.checked_sub(8), "{length}");
            let body = ForwardedRequest::read(&data).map(|request| request.body.len()).ok();
            assert_eq!(body, length.checked_sub(16), "{length}");
        }
    }
}
