//! For tests: states to begin with, and actions as lines that can be compared.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{PacketDecoder, PacketType, QuorumPacket};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::{Action, Epoch, Epochs, History, LogRecord, State, SyncRules, ZabRules};
use crate::ensemble::{ConfigRules, EnsembleConfig, Membership};

pub(super) const RULES: ZabRules = ZabRules {
    tick_ms: 1000,
    init_limit: 10,
    sync_limit: 5,
    connect_limit: 0,
    epoch_wait_ms_max: None,
    observer_sync: true,
    sync: SyncRules::DEFAULT,
    first_counter: 0,
};

/// Numbers that look random, from a seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// The first zxid of a number in an epoch.
pub(super) fn z(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

pub(super) fn record(zxid: Zxid) -> LogRecord {
    LogRecord { zxid, payload: Bytes::from(format!("txn {zxid}")) }
}

/// Server `me` of an ensemble of servers 1 to 3 that vote and 4 that observes, with the epochs 1 and this log, all of it
/// on disk; up to `committed` it is known to be committed.
pub(super) fn state(me: i64, committed: Zxid, log: &[Zxid]) -> State {
    let rules = ConfigRules { multi_address: false, standalone_enabled: false };
    let lines: Vec<String> = (1..=4)
        .map(|id| format!("server.{id}=h{id}:1:2:{}\n", if id == 4 { "observer" } else { "participant" }))
        .collect();
    let config = EnsembleConfig::parse(&format!("{}version=0", lines.concat()), rules).unwrap();
    let last = log.last().copied().unwrap_or(committed);
    State {
        rules: RULES,
        membership: Membership::new(ServerId(me), config, None, rules, false),
        epochs: Epochs { accepted: Epoch(1), current: Epoch(1) },
        known_epoch: Epoch(0),
        history: History::new(500, last, committed, log.iter().map(|zxid| record(*zxid)).collect()),
        wants_snapshot: false,
        is_ahead_of_log: false,
        is_unknown: false,
    }
}

pub(super) fn quorum_packet(packet_type: PacketType, zxid: Zxid, data: Option<&[u8]>) -> QuorumPacket {
    let data = data.map(Bytes::copy_from_slice);
    QuorumPacket { packet_type: packet_type.number(), zxid, data, authinfo: None }
}

/// The packets in a frame.
fn packets(frame: &Bytes) -> Vec<QuorumPacket> {
    let mut buffer = BytesMut::from(&frame[..]);
    let decoder = PacketDecoder::new(1 << 20);
    let packets = std::iter::from_fn(|| decoder.next_packet(&mut buffer).unwrap()).collect();
    assert!(buffer.is_empty(), "half a packet");
    packets
}

fn line(prefix: &str, packet: &QuorumPacket) -> String {
    let kind = packet.kind().unwrap();
    let zxid = packet.zxid;
    let data = match (&packet.data, kind) {
        (None, _) => String::new(),
        // Payloads and lists of members are text here.
        (Some(data), PacketType::Proposal | PacketType::Inform) => {
            assert_eq!(*data, record(zxid).payload);
            String::new()
        }
        (Some(_), PacketType::NewLeader) => " config".to_owned(),
        (Some(data), _) => format!(" {:02x?}", data.to_vec()).replace(", ", ""),
    };
    format!("{prefix} {} {zxid}{data}", kind.name())
}

/// One line for each packet and each other action; forgets them.
pub(super) fn take(actions: &mut Vec<Action>) -> Vec<String> {
    let lines = actions.drain(..).flat_map(|action| match action {
        Action::ToLearner(link, frame) => {
            packets(&frame).iter().map(|packet| line(&format!("to {}:", link.0), packet)).collect()
        }
        Action::ToLeader(frame) => packets(&frame).iter().map(|packet| line("to leader:", packet)).collect(),
        Action::Append(LogRecord { zxid, payload }) => {
            assert_eq!(payload, record(zxid).payload);
            vec![format!("append {zxid}")]
        }
        Action::PersistEpochs(epochs) => {
            vec![format!("persist accepted {} current {}", epochs.accepted, epochs.current)]
        }
        Action::Truncate(zxid) => vec![format!("truncate {zxid}")],
        Action::ReceiveSnapshot(zxid) => vec![format!("receive snapshot {zxid}")],
        Action::InstallSnapshot => vec!["install snapshot".to_owned()],
        Action::DropSnapshot => vec!["drop snapshot".to_owned()],
        Action::Dial { dial, to, timeout_ms } => vec![format!("dial {} server {to} for {timeout_ms}", dial.0)],
        Action::DialObserverMaster { dial, to, timeout_ms } => {
            vec![format!("dial {} observer master {to} for {timeout_ms}", dial.0)]
        }
        Action::OpenSnapshot(link) => vec![format!("open snapshot for {}", link.0)],
        Action::SendSnapshot(link) => vec![format!("to {}: the snapshot", link.0)],
        Action::ReadHistory { link, after, through, size_limit_permille } => {
            vec![format!("read for {} behind {after} up to {through}, limit {size_limit_permille:?}", link.0)]
        }
        Action::Dismiss { link, server, reason } => {
            vec![format!("dismiss {} server {:?}: {reason:?}", link.0, server.map(|server| server.0))]
        }
        Action::SeeConfig(_) => vec!["see config".to_owned()],
        Action::SeeFirstConfig(version) => vec![format!("see first config {version:#x}")],
        Action::ActivateConfig => vec!["activate config".to_owned()],
        Action::Activate(zxid, leader) => vec![format!("activate {zxid} with leader {leader}")],
        Action::Establish(zxid) => vec![format!("establish {zxid}")],
        Action::Commit(zxid) => vec![format!("commit {zxid}")],
        Action::Synced => vec!["synced".to_owned()],
        Action::Synchronized(server) => vec![format!("synchronized {server}")],
        Action::Leave(reason) => vec![format!("leave: {reason:?}")],
    });
    lines.collect()
}
