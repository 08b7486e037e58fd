//! The packets on a learner port (`QuorumPacket`): Jute records one after the other, with no length in front.

use bytes::{Buf, Bytes, BytesMut};

use crate::jute::{DecodeError, DecodeErrorKind, Reader, VectorLength, Writer};
use crate::types::{Id, MANY_ACLS, Zxid};

/// Length in bytes of a packet without data and identities: type, zxid, two lengths.
pub const PACKET_OVERHEAD_LEN: usize = 20;

/// Most bytes that the identities in one packet may take. Java has no bound; a client would have to authenticate
/// thousands of times to come near this one.
pub const AUTHINFO_LEN_MAX: usize = 4 << 20;

macro_rules! packet_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal,)*) => {
        /// What a packet says (`Leader`'s constants).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum PacketType { $($(#[$doc])* $name = $code,)* }

        impl PacketType {
            /// All of them.
            pub const ALL: &'static [PacketType] = &[$(Self::$name),*];

            /// The type of this number, if there is one.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($code => Some(Self::$name),)* _ => None }
            }

            /// Java's name of the type (`LearnerHandler#packetToString`).
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

packet_types! {
    /// To the leader: a client's write, see [`ForwardedRequest`](super::ForwardedRequest).
    Request = 1 "REQUEST",
    /// To a follower: an entry to log and acknowledge.
    Proposal = 2 "PROPOSAL",
    /// To the leader: everything up to this zxid is on disk.
    Ack = 3 "ACK",
    /// To a follower: the proposal with this zxid is to be applied.
    Commit = 4 "COMMIT",
    /// Asks for a sign of life; the answer tells which sessions gave one, see [`Touch`](super::Touch).
    Ping = 5 "PING",
    /// To the leader: whether a session is alive, and that it is here now; and back the answer. See
    /// [`Revalidate`](super::Revalidate) and [`Revalidated`](super::Revalidated).
    Revalidate = 6 "REVALIDATE",
    /// To a learner: everything that its oldest waiting sync waited for has been sent.
    Sync = 7 "SYNC",
    /// To an observer: a committed entry.
    Inform = 8 "INFORM",
    /// As COMMIT, of a reconfiguration, see [`CommitAndActivate`](super::CommitAndActivate).
    CommitAndActivate = 9 "COMMITANDACTIVATE",
    /// To a learner: it has all that it needs for the new epoch, see [`new_leader_config`](super::new_leader_config).
    NewLeader = 10 "NEWLEADER",
    /// A follower introduces itself, see [`LearnerInfo`](super::LearnerInfo).
    FollowerInfo = 11 "FOLLOWERINFO",
    /// To a learner: it may serve clients.
    UpToDate = 12 "UPTODATE",
    /// To a learner: what it has is the leader's history, as far as it goes.
    Diff = 13 "DIFF",
    /// To a learner: what it has behind this zxid is not the leader's history.
    Trunc = 14 "TRUNC",
    /// To a learner: the whole tree follows, see [`snapshot`](crate::snapshot).
    Snap = 15 "SNAP",
    /// An observer introduces itself, see [`LearnerInfo`](super::LearnerInfo).
    ObserverInfo = 16 "OBSERVERINFO",
    /// To a learner: the new epoch, see [`LeaderInfo`](super::LeaderInfo).
    LeaderInfo = 17 "LEADERINFO",
    /// To the leader: the new epoch is accepted, see [`AckEpoch`](super::AckEpoch).
    AckEpoch = 18 "ACKEPOCH",
    /// As INFORM, of a reconfiguration, see [`InformAndActivate`](super::InformAndActivate).
    InformAndActivate = 19 "INFORMANDACTIVATE",
}

impl PacketType {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// One packet, its data not looked at yet. They share the memory that they were received in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumPacket {
    /// Number of a [`PacketType`], or not; Java passes over those it does not know.
    pub packet_type: i32,
    /// What it means depends on the type.
    pub zxid: Zxid,
    /// The typed part.
    pub data: Option<Bytes>,
    /// The client's identities in a REQUEST.
    pub authinfo: Option<Vec<Id>>,
}

impl QuorumPacket {
    /// The type, if it is a known one.
    pub fn kind(&self) -> Option<PacketType> {
        PacketType::from_number(self.packet_type)
    }

    /// The data of a packet that must have some.
    pub fn payload(&self) -> Result<&Bytes, DecodeError> {
        const OFFSET: usize = 12;
        self.data.as_ref().ok_or(DecodeError { kind: DecodeErrorKind::NullField, offset: OFFSET })
    }

    /// Writes the packet.
    pub fn write(&self, out: &mut BytesMut) {
        out.int(self.packet_type);
        out.long(self.zxid.0);
        out.buffer(self.data.as_deref());
        write_authinfo(out, self.authinfo.as_deref());
    }
}

/// Cuts packets off the front of a stream.
#[derive(Debug, Clone, Copy)]
pub struct PacketDecoder {
    inner_length_max: i32,
}

impl PacketDecoder {
    /// Refuses data and strings of more than `inner_length_max` bytes: `jute.maxbuffer` and its extra size.
    pub fn new(inner_length_max: i32) -> Self {
        Self { inner_length_max }
    }

    /// Takes the next whole packet, if it is there. Its data are not copied.
    ///
    /// After a SNAP packet the buffer goes on with the snapshot, so ask for one packet at a time.
    pub fn next_packet(&self, buffer: &mut BytesMut) -> Result<Option<QuorumPacket>, DecodeError> {
        let length_max = PACKET_OVERHEAD_LEN + self.inner_length_max.max(0) as usize + AUTHINFO_LEN_MAX;
        let mut reader = Reader::with_limit(buffer, self.inner_length_max);
        let Some((packet_type, zxid, data, authinfo)) = reader.arriving(length_max, read_packet)? else {
            return Ok(None);
        };
        let mut rest = reader.position();
        // Only data share the buffer: most packets have none, or nothing else worth a share of its own.
        let data = data.map(|data| {
            buffer.advance(data.start);
            rest -= data.end;
            buffer.split_to(data.len()).freeze()
        });
        buffer.advance(rest);
        Ok(Some(QuorumPacket { packet_type, zxid, data, authinfo }))
    }
}

type Parts = (i32, Zxid, Option<std::ops::Range<usize>>, Option<Vec<Id>>);

/// Reads a packet; where its data are is told, not what they are.
fn read_packet(reader: &mut Reader<'_>) -> Result<Parts, DecodeError> {
    let (packet_type, zxid) = (reader.int()?, Zxid(reader.long()?));
    let length = reader.buffer()?.map(<[u8]>::len);
    let end = reader.position();
    let authinfo = match reader.vector()? {
        VectorLength::Null => None,
        VectorLength::Elements(count) => {
            let mut ids = Vec::with_capacity(count.min(MANY_ACLS));
            for _ in 0..count {
                ids.push(Id::read(reader)?);
            }
            Some(ids)
        }
    };
    Ok((packet_type, zxid, length.map(|length| end - length..end), authinfo))
}

/// Writes a packet without identities, straight from borrowed data. Many may stand one after the other in `out`.
pub fn write_packet(out: &mut BytesMut, packet_type: PacketType, zxid: Zxid, data: Option<&[u8]>) {
    out.reserve(PACKET_OVERHEAD_LEN + data.map_or(0, <[u8]>::len));
    out.int(packet_type.number());
    out.long(zxid.0);
    out.buffer(data);
    out.null();
}

/// Begins a packet whose data are written in place; returns what [`finish_packet`] needs.
pub fn start_packet(out: &mut BytesMut, packet_type: PacketType, zxid: Zxid) -> usize {
    out.int(packet_type.number());
    out.long(zxid.0);
    let start = out.len();
    out.int(0);
    start
}

/// Fills in the length of the data begun at `start` and adds the identities.
pub fn finish_packet(out: &mut BytesMut, start: usize, authinfo: Option<&[Id]>) {
    out.fill_length(start);
    write_authinfo(out, authinfo);
}

fn write_authinfo(out: &mut BytesMut, authinfo: Option<&[Id]>) {
    match authinfo {
        None => out.null(),
        Some(ids) => {
            out.count(ids.len());
            ids.iter().for_each(|id| id.write(out));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn decoder() -> PacketDecoder {
        PacketDecoder::new(100)
    }

    fn packet(packet_type: i32, data: Option<&'static [u8]>, authinfo: Option<Vec<Id>>) -> QuorumPacket {
        QuorumPacket { packet_type, zxid: Zxid(-7), data: data.map(Bytes::from_static), authinfo }
    }

    #[test]
    fn packets_come_off_whole() {
        let nobody = Id { scheme: None, id: None };
        let packets = [
            packet(PacketType::Ack.number(), None, None),
            packet(PacketType::Ping.number(), Some(b""), Some(vec![])),
            packet(77, Some(b"data"), Some(vec![Id::new("ip", "::1"), nobody])),
        ];
        let mut whole = BytesMut::new();
        packets.iter().for_each(|packet| packet.write(&mut whole));
        for step in 1..=whole.len() {
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            for piece in whole.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some(packet) = decoder().next_packet(&mut buffer).unwrap() {
                    read.push(packet);
                }
            }
            assert_eq!(read, packets, "in pieces of {step}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn data_written_in_place_are_the_same() {
        let (mut borrowed, mut in_place) = (BytesMut::new(), BytesMut::new());
        write_packet(&mut borrowed, PacketType::Proposal, Zxid(5), Some(b"entry"));
        let start = start_packet(&mut in_place, PacketType::Proposal, Zxid(5));
        in_place.extend_from_slice(b"entry");
        finish_packet(&mut in_place, start, None);
        assert_eq!(borrowed, in_place);
        assert_eq!(borrowed.len(), PACKET_OVERHEAD_LEN + 5);
    }

    #[test]
    fn lengths_are_judged_at_once() {
        let refused = |tail: &[i32]| {
            let mut out = BytesMut::new();
            out.int(1);
            out.long(0);
            tail.iter().for_each(|number| out.int(*number));
            decoder().next_packet(&mut out).unwrap_err().kind
        };
        assert_eq!(refused(&[101]), DecodeErrorKind::UnreasonableLength(101));
        assert_eq!(refused(&[-2]), DecodeErrorKind::UnreasonableLength(-2));
        assert_eq!(refused(&[-1, i32::MAX, 101]), DecodeErrorKind::UnreasonableLength(101));
    }

    #[test]
    fn identities_are_bounded() {
        // 100 bytes each.
        let id = Id::new("digest", &"0".repeat(86));
        let count = AUTHINFO_LEN_MAX / 100;
        let length_max = PACKET_OVERHEAD_LEN + 100 + AUTHINFO_LEN_MAX;
        let too_long = DecodeErrorKind::RecordTooLong(length_max);
        let mut most = BytesMut::new();
        packet(1, None, Some(vec![id.clone(); count])).write(&mut most);
        assert_eq!(decoder().next_packet(&mut most).unwrap().unwrap().authinfo.unwrap().len(), count);
        let mut more = BytesMut::new();
        packet(1, None, Some(vec![id; count + 2])).write(&mut more);
        let mut unfinished = BytesMut::from(&more[..length_max + 1]);
        assert_eq!(decoder().next_packet(&mut more).unwrap_err().kind, too_long);
        assert_eq!(decoder().next_packet(&mut unfinished).unwrap_err().kind, too_long);
        unfinished.truncate(length_max);
        assert_eq!(decoder().next_packet(&mut unfinished), Ok(None));
    }

    #[test]
    fn data_may_be_missing() {
        let ack = packet(PacketType::Ack.number(), None, None);
        assert_eq!(ack.payload().unwrap_err().kind, DecodeErrorKind::NullField);
        assert_eq!(packet(0, Some(b"x"), None).kind(), None);
    }
}
