//! A follower whose disk takes its time while its connection to the leader comes and goes.

use bytes::BytesMut;
use rookeeper_core::peer::{Input, Output, WriteId};
use rookeeper_core::zab::DialId;
use rookeeper_protocol::peer::{Notification, PacketDecoder, PacketType, PeerState, QuorumPacket};
use rookeeper_protocol::txn::{LogEntry, Txn, TxnHeader};
use rookeeper_protocol::types::{OpCode, ServerId, SessionId, Zxid};

use super::server::Server;

/// Server 1 of three, and its connection to server 3.
struct Follower {
    server: Server,
    dial: DialId,
    round: i64,
}

impl Follower {
    fn new() -> Self {
        let mut server = Server::new(1, 1000, 0);
        server.start(0);
        Self { server, dial: DialId(0), round: 8 }
    }

    /// Something happens; what is said to the leader is returned.
    fn step(&mut self, input: Input) -> Vec<PacketType> {
        self.server.step(0, input);
        let mut said = BytesMut::new();
        for output in self.server.take_outputs() {
            match self.server.carry_out(output) {
                Some(Output::Dial { dial, .. }) => self.dial = dial,
                Some(Output::ToLeader { frames, .. }) => frames.iter().for_each(|frame| said.extend_from_slice(frame)),
                _ => {}
            }
        }
        let decoder = PacketDecoder::new(1 << 20);
        std::iter::from_fn(|| decoder.next_packet(&mut said).unwrap()).map(|packet| packet.kind().unwrap()).collect()
    }

    /// The other two vote for server 3, and the connection to it stands.
    fn follow(&mut self) {
        self.round += 1;
        for from in [2, 3] {
            let (state, leader) = (PeerState::Looking.number(), ServerId(3));
            let (zxid, election_epoch) = (Zxid::new(1, 9), self.round);
            let vote = Notification { state, leader, zxid, election_epoch, peer_epoch: 5, version: 2, config: None };
            let mut message = BytesMut::new();
            vote.write(&mut message);
            self.step(Input::ElectionMessage { from: ServerId(from), message: message.freeze() });
        }
        let dial = self.dial;
        assert_eq!(self.step(Input::LeaderConnected { dial }), [PacketType::FollowerInfo]);
    }

    fn hear(&mut self, kind: PacketType, zxid: Zxid, data: Option<&[u8]>) -> Vec<PacketType> {
        let data = data.map(bytes::Bytes::copy_from_slice);
        let packet = QuorumPacket { packet_type: kind.number(), zxid, data, authinfo: None };
        self.step(Input::LeaderPackets { dial: self.dial, packets: vec![packet] })
    }

    /// The oldest write that was not reported is on disk.
    fn write(&mut self) -> Vec<PacketType> {
        let (Output::Append { write, .. } | Output::PersistEpochs { write, .. }) =
            self.server.writes.pop_front().unwrap()
        else {
            panic!("no plain write")
        };
        self.step(Input::Durable { through: write })
    }
}

fn payload(zxid: Zxid) -> BytesMut {
    let header = TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: 0, kind: OpCode::Error.number() };
    let mut payload = BytesMut::new();
    LogEntry { header, txn: Txn::Error { code: -1 }, digest: None }.write(&mut payload);
    payload
}

/// The epoch of an earlier attempt to synchronize with the same leader says nothing of what this one has brought
/// (ZOOKEEPER-3911).
#[test]
fn newleader_is_not_acknowledged_for_an_epoch_that_was_written_earlier() {
    let (epoch, first) = (Zxid::new(2, 0), Zxid::new(1, 1));
    let mut follower = Follower::new();
    follower.follow();
    follower.hear(PacketType::LeaderInfo, epoch, Some(&[0, 1, 0, 0]));
    assert_eq!(follower.write(), [PacketType::AckEpoch]);
    follower.hear(PacketType::Diff, Zxid::ZERO, None);
    follower.hear(PacketType::NewLeader, epoch, None);
    // The disk has not answered yet.
    follower.step(Input::LeaderGone { dial: follower.dial });
    follower.follow();
    assert_eq!(follower.hear(PacketType::LeaderInfo, epoch, Some(&[0, 1, 0, 0])), [PacketType::AckEpoch]);
    follower.hear(PacketType::Diff, first, None);
    follower.hear(PacketType::Proposal, first, Some(&payload(first)));
    follower.hear(PacketType::Commit, first, None);
    follower.hear(PacketType::NewLeader, epoch, None);
    assert_eq!(follower.write(), [], "the epoch of the first attempt");
    assert_eq!(follower.write(), [], "the history");
    assert_eq!(follower.write(), [PacketType::Ack], "the epoch of this attempt");
    assert_eq!(follower.server.running.as_ref().unwrap().peer.last_write(), WriteId(4));
}
