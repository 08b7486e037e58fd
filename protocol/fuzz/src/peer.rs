//! What arrives from other servers: no panic, the same however it arrives, and what was read survives being written.

use bytes::{Buf, Bytes, BytesMut};
use rookeeper_protocol::jute::{DecodeErrorKind, decode_text};
use rookeeper_protocol::peer::{
    AckEpoch, CommitAndActivate, ForwardedRequest, InformAndActivate, InitialMessage, LeaderInfo, LearnerInfo,
    Notification, PacketDecoder, PacketType, QuorumPacket, Revalidate, Revalidated, Touch, election_frames,
    new_leader_config,
};
use rookeeper_protocol::snapshot::{SnapshotItem, SnapshotParser, SnapshotWriter};

/// Longest string or buffer in packets and snapshots.
const INNER_LENGTH_MAX: i32 = 2048;

/// An election connection, from its first message on or from behind it, as the first bit says. The bits above it tell
/// how much arrives at once.
pub fn election(data: &[u8]) {
    let [switches, stream @ ..] = data else { return };
    let begins = switches & 1 != 0;
    let whole = election_stream(begins, stream, stream.len().max(1));
    assert_eq!(whole, election_stream(begins, stream, usize::from(switches >> 1).max(1)));
}

/// What was read of an election connection: who dialled, and the messages up to the first frame that ends it.
fn election_stream(begins: bool, stream: &[u8], step: usize) -> (Option<InitialMessage>, Vec<Bytes>) {
    let (mut first, mut messages, mut buffer) = (None, Vec::new(), BytesMut::new());
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        if begins && first.is_none() {
            match InitialMessage::next(&mut buffer) {
                Ok(Some(message)) => first = Some(message),
                Ok(None) => continue,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    break;
                }
            }
        }
        loop {
            match election_frames().next_frame(&mut buffer) {
                Ok(Some(message)) => {
                    notification(&message);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(_) => return (first, messages),
            }
        }
    }
    (first, messages)
}

fn notification(message: &[u8]) {
    let Ok(read) = Notification::read(message) else { return };
    let mut out = BytesMut::new();
    read.write(&mut out);
    let again = Notification::read(&out).expect("what is written can be read");
    assert_eq!(again.config.as_deref(), Some(read.config.as_deref().unwrap_or_default()));
    assert_eq!(again, Notification { version: again.version, config: again.config.clone(), ..read });
}

/// A learner's connection. The first byte says how much arrives at once.
pub fn packets(data: &[u8]) {
    let [step, stream @ ..] = data else { return };
    let whole = cut(stream, stream.len().max(1));
    assert_eq!(whole, cut(stream, usize::from(*step).max(1)));
    for packet in whole.0 {
        let again = |packet: &QuorumPacket| {
            let mut out = BytesMut::new();
            packet.write(&mut out);
            let again = PacketDecoder::new(i32::MAX).next_packet(&mut out);
            again.ok().flatten().expect("what is written can be read")
        };
        let second = again(&packet);
        assert_eq!((second.packet_type, second.zxid, &second.data), (packet.packet_type, packet.zxid, &packet.data));
        // Broken text may be broken again by the first writing, as in Java; from then on nothing changes any more.
        assert_eq!(again(&second), second);
        payload(&packet);
    }
}

/// The packets of a stream that arrives in pieces, and what was wrong behind them.
fn cut(stream: &[u8], step: usize) -> (Vec<QuorumPacket>, Option<DecodeErrorKind>) {
    let decoder = PacketDecoder::new(INNER_LENGTH_MAX);
    let (mut packets, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next_packet(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error.kind)),
            }
        }
    }
    (packets, None)
}

/// The data of a packet, taken for those of every type.
fn payload(packet: &QuorumPacket) {
    let config = new_leader_config(packet.data.as_deref());
    let Ok(data) = packet.payload() else {
        assert!(config.is_none() && packet.data.is_none());
        return;
    };
    assert!(config.is_none_or(|config| config == decode_text(data)));
    let kind = packet.kind().unwrap_or(PacketType::FollowerInfo);
    let zxid = packet.zxid;
    let info = LearnerInfo::read(data);
    assert_eq!(LearnerInfo::read(&written(|out| info.write_packet(out, kind, zxid))), info);
    if let Ok(info) = LeaderInfo::read(data) {
        assert_eq!(LeaderInfo::read(&written(|out| info.write_packet(out, zxid))), Ok(info));
    }
    if let Ok(ack) = AckEpoch::read(data) {
        assert_eq!(AckEpoch::read(&written(|out| ack.write_packet(out, zxid))), Ok(ack));
    }
    if let Ok(commit) = CommitAndActivate::read(data) {
        assert_eq!(CommitAndActivate::read(&written(|out| commit.write_packet(out, zxid))), Ok(commit));
    }
    if let Ok(inform) = InformAndActivate::read(data) {
        assert_eq!(written(|out| inform.write_packet(out, zxid)), data);
    }
    if let Ok(request) = ForwardedRequest::read(data) {
        assert_eq!(written(|out| request.write_packet(out, packet.authinfo.as_deref())), data);
    }
    if let Ok(question) = Revalidate::read(data) {
        assert_eq!(Revalidate::read(&written(|out| question.write_packet(out))), Ok(question));
    }
    if let Ok(answer) = Revalidated::read(data) {
        assert_eq!(Revalidated::read(&written(|out| answer.write_packet(out))), Ok(answer));
    }
    if let Ok(touches) = Touch::read_all(data) {
        assert_eq!(written(|out| Touch::write_packet(out, zxid, touches)), data);
    }
}

/// The data of the only packet that is written.
fn written(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    let packet = PacketDecoder::new(i32::MAX).next_packet(&mut out).ok().flatten().expect("one packet");
    assert!(out.is_empty());
    packet.data.expect("it has data")
}

/// A snapshot. The first byte says how much arrives at once.
pub fn snapshot(data: &[u8]) {
    let [step, stream @ ..] = data else { return };
    let whole = copied(stream, stream.len().max(1));
    assert_eq!(whole, copied(stream, usize::from(*step).max(1)));
    let copy = whole.0;
    // A broken byte takes three as a replacement character.
    assert!(copy.len() <= stream.len() * 3);
    // Broken text may be broken again by the first writing, as in Java; from then on nothing changes any more. It may
    // have grown beyond what is allowed.
    let (second, error, _) = copied(&copy, copy.len().max(1));
    if error.is_none() {
        assert_eq!(copied(&second, second.len().max(1)).0, second);
    }
}

type Copied = (BytesMut, Option<DecodeErrorKind>, Option<usize>);

/// A snapshot that arrives in pieces, written again item by item; what was wrong with it; and how much was left behind
/// its end, if it has one.
fn copied(stream: &[u8], step: usize) -> Copied {
    let mut parser = SnapshotParser::new(BytesMut::new(), INNER_LENGTH_MAX);
    let (mut writer, mut copy) = (SnapshotWriter::default(), BytesMut::new());
    let mut ended = false;
    for piece in stream.chunks(step) {
        parser.buffer().extend_from_slice(piece);
        loop {
            match parser.next_item() {
                Ok(Some(item)) => {
                    assert!(!ended);
                    ended = item == SnapshotItem::End;
                    writer.fill([item], usize::MAX, &mut copy).expect("it was read in order");
                }
                Ok(None) => break,
                Err(error) => return (copy, Some(error.kind), None),
            }
        }
    }
    assert_eq!(writer.is_ended(), ended);
    (copy, None, ended.then(|| parser.into_rest().remaining()))
}

/// Streams to begin with: what servers of Apache ZooKeeper said to each other (`protocol/tests/data`). A byte stands in
/// front of each, in which all bits are set that `switches` has.
pub(crate) fn recordings(sides: &[&str], switches: u8) -> Vec<BytesMut> {
    const PIECE: u8 = 1 << 6;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data");
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.retain(|file| sides.iter().any(|side| file.to_string_lossy().ends_with(&format!(".{side}.bin"))));
    let recording = |file| {
        let mut input = BytesMut::from(&[PIECE | switches][..]);
        input.extend_from_slice(&std::fs::read(file).expect("the file is there"));
        input
    };
    files.into_iter().map(recording).collect()
}

/// The snapshots in recorded streams.
pub(crate) fn recorded_snapshots() -> Vec<BytesMut> {
    let behind_snap = |mut input: BytesMut| {
        let step = input.get_u8();
        loop {
            let packet = PacketDecoder::new(INNER_LENGTH_MAX).next_packet(&mut input).ok()??;
            if packet.kind() == Some(PacketType::Snap) {
                let mut snapshot = BytesMut::from(&[step][..]);
                snapshot.unsplit(input);
                return Some(snapshot);
            }
        }
    };
    recordings(&["leader"], 0).into_iter().filter_map(behind_snap).collect()
}
