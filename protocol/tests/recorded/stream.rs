//! Learner connections as lists of packets and snapshots.

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{PacketDecoder, PacketType, QuorumPacket};
use rookeeper_protocol::snapshot::{SnapshotItem, SnapshotParser, SnapshotWriter};

/// `jute.maxbuffer` and its extra size, if nobody sets them.
pub(crate) const INNER_LENGTH_MAX: i32 = 2 * 0xF_FFFF;

/// All connections between learners and leaders.
pub(crate) const CONNECTIONS: [&str; 8] =
    ["follower", "revalidate", "observer", "diff", "snap", "trunc", "without-lists", "version-3.8"];

/// What stands in a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    Packet(QuorumPacket),
    /// A snapshot, written again.
    Snapshot(Bytes),
}

pub(crate) fn recording(file: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{file}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Who writes on a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Learner,
    Leader,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Learner, Side::Leader];

    pub(crate) fn recording(self, connection: &str) -> Vec<u8> {
        let side = match self {
            Self::Learner => "learner",
            Self::Leader => "leader",
        };
        recording(&format!("{connection}.{side}"))
    }

    pub(crate) fn packets(self, connection: &str) -> Vec<QuorumPacket> {
        let packet = |part| match part {
            Part::Packet(packet) => Some(packet),
            Part::Snapshot(_) => None,
        };
        parts(&self.recording(connection), usize::MAX).into_iter().filter_map(packet).collect()
    }
}

/// The parts of a stream that arrives in pieces of `step` bytes.
pub(crate) fn parts(stream: &[u8], step: usize) -> Vec<Part> {
    let decoder = PacketDecoder::new(INNER_LENGTH_MAX);
    let mut parts = Vec::new();
    let mut packets = BytesMut::new();
    let mut snapshot: Option<Snapshot> = None;
    for piece in stream.chunks(step) {
        match &mut snapshot {
            Some(snapshot) => snapshot.parser.buffer().extend_from_slice(piece),
            None => packets.extend_from_slice(piece),
        }
        loop {
            if let Some(mut whole) = snapshot.take() {
                whole.copy();
                if !whole.writer.is_ended() {
                    snapshot = Some(whole);
                    break;
                }
                parts.push(Part::Snapshot(whole.copy.freeze()));
                packets = whole.parser.into_rest();
            }
            let Some(packet) = decoder.next_packet(&mut packets).unwrap() else { break };
            if packet.kind() == Some(PacketType::Snap) {
                snapshot = Some(Snapshot::after(std::mem::take(&mut packets)));
            }
            parts.push(Part::Packet(packet));
        }
    }
    assert!(packets.is_empty() && snapshot.is_none(), "half a part at the end");
    parts
}

struct Snapshot {
    parser: SnapshotParser,
    writer: SnapshotWriter,
    copy: BytesMut,
}

impl Snapshot {
    fn after(buffer: BytesMut) -> Self {
        let parser = SnapshotParser::new(buffer, INNER_LENGTH_MAX);
        Self { parser, writer: SnapshotWriter::default(), copy: BytesMut::new() }
    }

    fn copy(&mut self) {
        while let Some(item) = self.parser.next_item().unwrap() {
            self.writer.fill([item], usize::MAX, &mut self.copy).unwrap();
        }
    }
}

/// All items of the only snapshot on a connection.
pub(crate) fn with_snapshot(connection: &str, mut take: impl FnMut(SnapshotItem<'_>)) {
    for part in parts(&Side::Leader.recording(connection), usize::MAX) {
        let Part::Snapshot(bytes) = part else { continue };
        let mut parser = SnapshotParser::new(bytes.into(), INNER_LENGTH_MAX);
        while let Some(item) = parser.next_item().unwrap() {
            take(item);
        }
        return;
    }
    panic!("no snapshot on {connection}");
}
