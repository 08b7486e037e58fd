//! Packets and what is in them.

use std::collections::BTreeSet;

use bytes::BytesMut;
use rookeeper_protocol::peer::{
    AckEpoch, CommitAndActivate, ForwardedRequest, InformAndActivate, LeaderInfo, LearnerInfo, PEER_PROTOCOL_VERSION,
    PacketType, QuorumPacket, Revalidate, Revalidated, Touch, new_leader_config, write_packet,
};
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{Id, OpCode, ServerId, SessionId, Zxid};

use crate::stream::{CONNECTIONS, Part, Side, parts};

#[test]
fn streams_are_written_as_they_were() {
    for connection in CONNECTIONS {
        for side in Side::BOTH {
            let stream = side.recording(connection);
            let whole = parts(&stream, usize::MAX);
            let mut out = BytesMut::new();
            for part in &whole {
                match part {
                    Part::Packet(packet) => packet.write(&mut out),
                    Part::Snapshot(bytes) => out.extend_from_slice(bytes),
                }
            }
            assert_eq!(out, stream, "{connection} {side:?}");
            for step in [1, 3, 17, 1000] {
                assert_eq!(parts(&stream, step), whole, "{connection} {side:?} in pieces of {step}");
            }
        }
    }
}

#[test]
fn every_type_is_written_as_it_was() {
    let mut types = BTreeSet::new();
    for connection in CONNECTIONS {
        for side in Side::BOTH {
            for packet in side.packets(connection) {
                let mut as_it_was = BytesMut::new();
                packet.write(&mut as_it_was);
                assert_eq!(written_by_type(&packet, side), as_it_was, "{packet:?}");
                types.insert(packet.kind().unwrap());
            }
        }
    }
    assert!(types.iter().eq(PacketType::ALL), "{types:?}");
}

/// Decodes what is in a packet and writes it with the encoder of that type.
fn written_by_type(packet: &QuorumPacket, side: Side) -> BytesMut {
    let mut out = BytesMut::new();
    let (kind, zxid) = (packet.kind().unwrap(), packet.zxid);
    match kind {
        PacketType::FollowerInfo | PacketType::ObserverInfo => {
            LearnerInfo::read(packet.payload().unwrap()).write_packet(&mut out, kind, zxid);
        }
        PacketType::LeaderInfo => LeaderInfo::read(packet.payload().unwrap()).unwrap().write_packet(&mut out, zxid),
        PacketType::AckEpoch => AckEpoch::read(packet.payload().unwrap()).unwrap().write_packet(&mut out, zxid),
        PacketType::NewLeader => {
            let config = new_leader_config(packet.data.as_deref()).unwrap();
            write_packet(&mut out, kind, zxid, Some(config.as_bytes()));
        }
        PacketType::Proposal | PacketType::Inform => {
            let mut entry = BytesMut::new();
            LogEntry::read(packet.payload().unwrap()).unwrap().write(&mut entry);
            write_packet(&mut out, kind, zxid, Some(&entry));
        }
        PacketType::CommitAndActivate => {
            CommitAndActivate::read(packet.payload().unwrap()).unwrap().write_packet(&mut out, zxid);
        }
        PacketType::InformAndActivate => {
            InformAndActivate::read(packet.payload().unwrap()).unwrap().write_packet(&mut out, zxid);
        }
        PacketType::Request => {
            let request = ForwardedRequest::read(packet.payload().unwrap()).unwrap();
            request.write_packet(&mut out, packet.authinfo.as_deref());
        }
        PacketType::Ping if side == Side::Learner => {
            Touch::write_packet(&mut out, zxid, Touch::read_all(packet.payload().unwrap()).unwrap());
        }
        PacketType::Revalidate if side == Side::Learner => {
            Revalidate::read(packet.payload().unwrap()).unwrap().write_packet(&mut out);
        }
        PacketType::Revalidate => Revalidated::read(packet.payload().unwrap()).unwrap().write_packet(&mut out),
        PacketType::Ack
        | PacketType::Commit
        | PacketType::Sync
        | PacketType::UpToDate
        | PacketType::Diff
        | PacketType::Trunc
        | PacketType::Snap
        | PacketType::Ping => write_packet(&mut out, kind, zxid, None),
    }
    out
}

/// The packets up to the point where the learner serves clients, as type and zxid.
fn synchronization(connection: &str) -> Vec<(&'static str, i64)> {
    let mut packets = Vec::new();
    for packet in Side::Leader.packets(connection) {
        packets.push((packet.kind().unwrap().name(), packet.zxid.0));
        if packet.kind() == Some(PacketType::UpToDate) {
            return packets;
        }
    }
    panic!("{connection} ends before that");
}

#[test]
fn learners_are_brought_up_to_date() {
    const EPOCH: i64 = 1 << 32;
    let around = |synchronization: &[(&'static str, i64)]| {
        let mut packets = vec![("LEADERINFO", EPOCH)];
        packets.extend(synchronization);
        packets.extend([("NEWLEADER", EPOCH), ("UPTODATE", -1)]);
        packets
    };
    assert_eq!(synchronization("follower"), around(&[("DIFF", 0)]));
    assert_eq!(synchronization("observer"), around(&[("SNAP", EPOCH)]));
    assert_eq!(synchronization("snap"), around(&[("SNAP", EPOCH + 0x31)]));
    let mut missed = vec![("DIFF", EPOCH + 0x2e)];
    for zxid in 0x26..=0x2e {
        missed.extend([("PROPOSAL", EPOCH + zxid), ("COMMIT", EPOCH + zxid)]);
    }
    assert_eq!(synchronization("diff"), around(&missed));
    let second = 2 << 32;
    let former_leader = [("LEADERINFO", second), ("TRUNC", EPOCH + 0x3b), ("NEWLEADER", second), ("UPTODATE", -1)];
    assert_eq!(synchronization("trunc"), former_leader);
}

#[test]
fn learners_introduce_themselves() {
    let introduction = |connection: &str| {
        let packets = Side::Learner.packets(connection);
        let info = LearnerInfo::read(packets[0].payload().unwrap());
        assert_eq!(info.protocol_version, PEER_PROTOCOL_VERSION);
        assert_eq!(packets[1].kind(), Some(PacketType::AckEpoch));
        let ack = AckEpoch::read(packets[1].payload().unwrap()).unwrap();
        (packets[0].kind().unwrap(), info.server.0, packets[0].zxid, ack.current_epoch, packets[1].zxid)
    };
    let last = |counter| Zxid::new(1, counter);
    assert_eq!(introduction("follower"), (PacketType::FollowerInfo, 1, Zxid(0), Some(0), Zxid(0)));
    assert_eq!(introduction("observer"), (PacketType::ObserverInfo, 4, Zxid(0), Some(0), Zxid(0)));
    // It comes back to the leader that it had followed before, so that it must not count once more.
    assert_eq!(introduction("diff"), (PacketType::FollowerInfo, 2, last(0), None, last(0x25)));
    assert_eq!(introduction("trunc"), (PacketType::FollowerInfo, 3, last(0), Some(1), last(0x3c)));
}

#[test]
fn requests_carry_identities() {
    let mut seen = Vec::new();
    for packet in Side::Learner.packets("follower") {
        if packet.kind() == Some(PacketType::Request) {
            let request = ForwardedRequest::read(packet.payload().unwrap()).unwrap();
            seen.push((OpCode::from_number(request.op).unwrap(), request.cxid, packet.authinfo));
        }
    }
    // The timeout of a session stands in place of a request, and nobody has asked yet.
    assert_eq!(seen[0], (OpCode::CreateSession, 0, None));
    let ip = Id::new("ip", "127.0.0.1");
    assert_eq!(seen[1], (OpCode::Create, 1, Some(vec![ip.clone()])));
    let reconfig = seen.iter().find(|(op, ..)| *op == OpCode::Reconfig).unwrap();
    let super_user = [Id::new("super", ""), ip, Id::new("digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")];
    assert_eq!(reconfig.2.as_deref(), Some(&super_user[..]));
}

#[test]
fn sessions_are_asked_for() {
    let mut answers = Vec::new();
    for packet in Side::Leader.packets("revalidate") {
        if packet.kind() == Some(PacketType::Revalidate) {
            answers.push(Revalidated::read(packet.payload().unwrap()).unwrap());
        }
    }
    let mut questions = Side::Learner.packets("revalidate");
    questions.retain(|packet| packet.kind() == Some(PacketType::Revalidate));
    let questions: Vec<_> =
        questions.iter().map(|packet| Revalidate::read(packet.payload().unwrap()).unwrap()).collect();
    assert!(questions.iter().all(|question| question.timeout_ms == 20_000));
    assert!(answers.iter().map(|answer| answer.session).eq(questions.iter().map(|question| question.session)));
    assert_eq!(answers.iter().map(|answer| answer.valid).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn pings_tell_who_is_alive() {
    let mut touched: BTreeSet<SessionId> = BTreeSet::new();
    for packet in Side::Learner.packets("observer") {
        if packet.kind() == Some(PacketType::Ping) {
            touched.extend(Touch::read_all(packet.payload().unwrap()).unwrap().iter().map(|touch| touch.session));
        }
    }
    // A session's number begins with the server that made it. That of the observer's own client is there, and those
    // that were new when it learned of them.
    assert_eq!(touched.iter().map(|session| session.0 >> 56).collect::<Vec<_>>(), [1, 1, 1, 4]);
}

#[test]
fn reconfigurations_name_the_next_leader() {
    for (connection, kind) in [("follower", PacketType::CommitAndActivate), ("observer", PacketType::InformAndActivate)]
    {
        let packet = Side::Leader.packets(connection).into_iter().find(|packet| packet.kind() == Some(kind)).unwrap();
        let data = packet.payload().unwrap();
        assert_eq!(CommitAndActivate::read(data).unwrap().leader, ServerId(3));
        if kind == PacketType::InformAndActivate {
            let entry = InformAndActivate::read(data).unwrap().entry;
            let entry = LogEntry::read(&entry).unwrap();
            assert_eq!((entry.header.zxid, entry.txn.kind()), (packet.zxid, OpCode::Reconfig));
        }
    }
}
