//! In the place of servers of Apache ZooKeeper: what those said to each other (`protocol/tests/data`) is said to ours, which
//! must answer as they did.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig, Membership};
use rookeeper_core::peer::{Input, Output};
use rookeeper_core::tree::Tree;
use rookeeper_core::zab::leader::{Leader, Stage};
use rookeeper_core::zab::{Action, Epoch, Epochs, History, LearnerLink, LogRecord, State, SyncRules, ZabRules};
use rookeeper_protocol::peer::{
    AckEpoch, LearnerInfo, Notification, PacketDecoder, PacketType, PeerState, QuorumPacket, new_leader_config,
    write_packet,
};
use rookeeper_protocol::snapshot::{SnapshotItem, SnapshotParser};
use rookeeper_protocol::txn::{LogEntry, Txn, TxnHeader};
use rookeeper_protocol::types::{OpCode, ServerId, SessionId, Zxid};

use super::disk::Dump;
use super::server::{Server, TREE_RULES};

const INNER_LENGTH_MAX: i32 = 2 * 0xF_FFFF;

/// One part of a stream.
enum Part {
    Packet(QuorumPacket),
    Snapshot(Dump),
}

/// A stream, cut into its parts.
fn parts(connection: &str, side: &str) -> Vec<Part> {
    let path = format!("{}/../../protocol/tests/data/{connection}.{side}.bin", env!("CARGO_MANIFEST_DIR"));
    let mut rest = BytesMut::from(&std::fs::read(path).unwrap()[..]);
    let decoder = PacketDecoder::new(INNER_LENGTH_MAX);
    let mut parts = Vec::new();
    while let Some(packet) = decoder.next_packet(&mut rest).unwrap() {
        let snap = (packet.kind() == Some(PacketType::Snap)).then_some(packet.zxid);
        parts.push(Part::Packet(packet));
        if let Some(zxid) = snap {
            let mut parser = SnapshotParser::new(rest, INNER_LENGTH_MAX);
            parts.push(Part::Snapshot(dump(&mut parser, zxid)));
            rest = parser.into_rest();
        }
    }
    assert!(rest.is_empty());
    parts
}

fn packets(connection: &str, side: &str) -> Vec<QuorumPacket> {
    let packet = |part| match part {
        Part::Packet(packet) => Some(packet),
        Part::Snapshot(_) => None,
    };
    parts(connection, side).into_iter().filter_map(packet).collect()
}

fn dump(parser: &mut SnapshotParser, zxid: Zxid) -> Dump {
    let (mut sessions, mut acls) = (Vec::new(), std::collections::BTreeMap::new());
    let open = [rookeeper_protocol::types::Acl::open()];
    let mut loader = Tree::loader(TREE_RULES, 1);
    while let Some(item) = parser.next_item().unwrap() {
        match item {
            SnapshotItem::Session { id, timeout_ms } => sessions.push((id, timeout_ms)),
            SnapshotItem::Acl { key, acl } => drop(acls.insert(key, acl.into_owned())),
            SnapshotItem::Znode(znode) => {
                let acl = acls.get(&znode.acl_key).map_or(&open[..], |acl| acl);
                let path = if &*znode.path == "/" { "" } else { &*znode.path };
                loader.add(path, znode.data, &acl.into(), znode.stat).unwrap();
            }
            SnapshotItem::Sessions(_) | SnapshotItem::Acls(_) | SnapshotItem::End => {}
        }
    }
    Dump::of(&loader.finish(zxid), sessions.into_iter())
}

/// What a recorded learner said of itself.
struct Told {
    info: LearnerInfo,
    follows: bool,
    accepted: u32,
    current: Option<u32>,
    last_zxid: Zxid,
}

fn told(connection: &str) -> Told {
    let said = packets(connection, "learner");
    let (info, ack) = (&said[0], &said[1]);
    Told {
        info: LearnerInfo::read(info.data.as_deref().unwrap()),
        follows: info.kind() == Some(PacketType::FollowerInfo),
        accepted: info.zxid.epoch(),
        current: AckEpoch::read(ack.data.as_deref().unwrap()).unwrap().current_epoch,
        last_zxid: ack.zxid,
    }
}

/// The list of members in NEWLEADER, with another version.
fn members(connection: &str, version: i64) -> String {
    let new_leader =
        packets(connection, "leader").into_iter().find(|packet| packet.kind() == Some(PacketType::NewLeader));
    let text = new_leader_config(new_leader.unwrap().data.as_deref()).unwrap().into_owned();
    let (servers, _) = text.rsplit_once("version=").unwrap();
    format!("{servers}version={version:x}")
}

/// The log that a server of the recorded ensemble had, up to a zxid.
fn log(through: Zxid) -> Vec<LogRecord> {
    let proposals =
        packets("follower", "leader").into_iter().filter(|packet| packet.kind() == Some(PacketType::Proposal));
    let record = |packet: QuorumPacket| LogRecord { zxid: packet.zxid, payload: packet.data.unwrap() };
    let mut log: Vec<_> = proposals.map(record).filter(|record| record.zxid <= through).collect();
    while through > Zxid::ZERO && log.last().map_or(Zxid::new(1, 0), |record| record.zxid) < through {
        // Only the server itself had it.
        let zxid = log.last().map_or(Zxid::new(1, 0), |record| record.zxid).next();
        let header = TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: 0, kind: OpCode::Error.number() };
        let mut payload = BytesMut::new();
        LogEntry { header, txn: Txn::Error { code: -1 }, digest: None }.write(&mut payload);
        log.push(LogRecord { zxid, payload: payload.freeze() });
    }
    log
}

fn decoded(frames: impl IntoIterator<Item = Bytes>) -> Vec<QuorumPacket> {
    let mut buffer = BytesMut::new();
    frames.into_iter().for_each(|frame| buffer.extend_from_slice(&frame));
    let decoder = PacketDecoder::new(INNER_LENGTH_MAX);
    std::iter::from_fn(|| decoder.next_packet(&mut buffer).unwrap()).collect()
}

/// A learner of ours, and what it has sent.
struct OurLearner {
    server: Server,
    sent: Vec<QuorumPacket>,
    dial: Option<rookeeper_core::zab::DialId>,
    left: bool,
}

impl OurLearner {
    /// In the place of the recorded one.
    fn new(connection: &str) -> Self {
        let told = told(connection);
        let mut server = Server::new(told.info.server.0, 1000, 0);
        server.reconfigures = connection != "version-3.8";
        server.disk.members = members(connection, told.info.config_version);
        server.disk.log = log(told.last_zxid);
        let current = told.current.unwrap_or(told.accepted);
        server.disk.epochs = Epochs { accepted: Epoch(told.accepted), current: Epoch(current) };
        server.start(0);
        let mut learner = Self { server, sent: Vec::new(), dial: None, left: false };
        learner.elect(told.info.server);
        learner
    }

    /// The others vote for the one of them with the largest number, which has most.
    fn elect(&mut self, me: ServerId) {
        let running = self.server.running.as_ref().unwrap();
        let voters = running.peer.zab().membership.voters().clone();
        let others: Vec<_> = voters.into_iter().filter(|id| *id != me).collect();
        for from in &others {
            let mut message = BytesMut::new();
            Notification {
                state: PeerState::Looking.number(),
                leader: *others.last().unwrap(),
                zxid: Zxid::new(9, 9),
                election_epoch: 9,
                peer_epoch: 9,
                version: 2,
                config: None,
            }
            .write(&mut message);
            self.step(Input::ElectionMessage { from: *from, message: message.freeze() });
        }
        let dial = self.dial.expect("nobody was elected");
        self.step(Input::LeaderConnected { dial });
    }

    fn step(&mut self, input: Input) {
        self.server.step(0, input);
        loop {
            for output in self.server.take_outputs() {
                match self.server.carry_out(output) {
                    Some(Output::Dial { dial, .. }) => self.dial = Some(dial),
                    Some(Output::ToLeader { frames, .. }) => self.sent.extend(decoded(frames)),
                    Some(Output::HangUp { .. }) => self.left = true,
                    _ => {}
                }
            }
            if self.server.writes.is_empty() {
                return;
            }
            self.server.flush(0);
        }
    }

    fn hear(&mut self, part: Part) {
        let dial = self.dial.unwrap();
        match part {
            Part::Packet(packet) => self.step(Input::LeaderPackets { dial, packets: vec![packet] }),
            Part::Snapshot(dump) => {
                let zxid = dump.zxid;
                self.server.received = Some((dial, Rc::new(dump)));
                self.step(Input::SnapshotReceived { dial, zxid });
            }
        }
    }
}

/// What a learner says in an order that does not depend on its clients and its disk.
fn promises(packets: impl IntoIterator<Item = QuorumPacket>) -> Vec<QuorumPacket> {
    let is_promise = |packet: &QuorumPacket| {
        !matches!(packet.kind(), Some(PacketType::Request | PacketType::Ping | PacketType::Revalidate))
    };
    packets.into_iter().filter(is_promise).collect()
}

#[test]
fn our_learner_says_to_javas_leader_what_javas_learner_said() {
    for connection in ["follower", "revalidate", "observer", "diff", "snap", "trunc", "version-3.8"] {
        let mut learner = OurLearner::new(connection);
        let mut committed = Zxid::ZERO;
        for part in parts(connection, "leader") {
            if let Part::Packet(packet) = &part {
                use PacketType::{Commit, CommitAndActivate, Inform, InformAndActivate};
                if matches!(packet.kind(), Some(Commit | CommitAndActivate | Inform | InformAndActivate)) {
                    committed = committed.max(packet.zxid);
                }
            }
            assert!(!learner.left, "{connection}: it left its leader");
            learner.hear(part);
        }
        // The observer's recording ends with the reconfiguration that removes it, as Java's observer left then.
        assert_eq!(learner.left, connection == "observer", "{connection}");
        let (sent, said) = (promises(learner.sent), promises(packets(connection, "learner")));
        assert_eq!(sent, said, "{connection}");
        let running = learner.server.running.as_ref().unwrap();
        assert_eq!(running.serves, !learner.left, "{connection}");
        // Each transaction has told which digest the tree has behind it; the server was asked after each.
        let (applied, waits) = (running.tree.last_zxid(), running.peer.pipeline().waiting().last());
        assert_eq!(waits.unwrap_or(applied), committed, "{connection}");
        assert_eq!(running.tree.digest(), running.tree.compute_digest(), "{connection}");
    }
}

/// One call of a leader, with its state, the time and what it asks for.
type Act<'a> = dyn FnMut(&mut Leader, &mut State, i64, &mut Vec<Action>) + 'a;

/// A leader of ours in the place of the recorded one, with a follower besides the recorded learner.
struct OurLeader {
    state: State,
    leader: Leader,
    sent: Vec<QuorumPacket>,
    now_ms: i64,
    /// A follower besides the recorded one, where the ensemble has a third server.
    other: Option<ServerId>,
}

const RECORDED: LearnerLink = LearnerLink(1);
const OTHER: LearnerLink = LearnerLink(2);

impl OurLeader {
    fn new(connection: &str, epoch: u32, log: Vec<LogRecord>) -> Self {
        let told = told(connection);
        let rules = ConfigRules { multi_address: true, standalone_enabled: false };
        let config = EnsembleConfig::parse(&members(connection, told.info.config_version), rules).unwrap();
        let mut others = config
            .participants()
            .map(|member| member.id)
            .filter(|id| *id != told.info.server)
            .collect::<Vec<_>>()
            .into_iter()
            .rev();
        let (me, other) = (others.next().unwrap(), others.next());
        let last = log.last().map_or(Zxid::ZERO, |record| record.zxid);
        let state = State {
            rules: ZabRules {
                tick_ms: 1000,
                init_limit: 10,
                sync_limit: 5,
                connect_limit: 0,
                epoch_wait_ms_max: None,
                observer_sync: true,
                sync: SyncRules { snapshot_size_permille: None, ..SyncRules::DEFAULT },
                first_counter: 0,
            },
            membership: Membership::new(me, config, None, rules, connection != "version-3.8"),
            epochs: Epochs { accepted: Epoch(epoch - 1), current: Epoch(epoch - 1) },
            known_epoch: Epoch(0),
            history: History::new(500, last, last, log),
            wants_snapshot: false,
            is_ahead_of_log: false,
            is_unknown: false,
        };
        let leader = Leader::new(&state, 0);
        let mut ours = Self { state, leader, sent: Vec::new(), now_ms: 0, other };
        ours.begin(epoch);
        ours
    }

    fn act(&mut self, act: impl FnOnce(&mut Leader, &mut State, i64, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        act(&mut self.leader, &mut self.state, self.now_ms, &mut actions);
        self.carry_out(actions);
    }

    fn follow_up(&mut self, act: &mut Act<'_>) {
        let mut actions = Vec::new();
        act(&mut self.leader, &mut self.state, self.now_ms, &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::ToLearner(RECORDED, frame) => self.sent.extend(decoded([frame])),
                Action::PersistEpochs(epochs) => {
                    self.follow_up(&mut |leader, state, now_ms, out| {
                        leader.on_epochs_persisted(state, now_ms, epochs, out)
                    });
                }
                Action::Append(record) => {
                    self.state.history.flushed(record.zxid);
                    self.follow_up(&mut |leader, state, _, out| leader.on_flushed(state, out));
                }
                Action::OpenSnapshot(link) => {
                    let zxid = self.state.history.committed();
                    self.follow_up(&mut |leader, _, _, out| leader.on_snapshot_opened(link, zxid, out));
                }
                Action::SendSnapshot(link) => {
                    self.follow_up(&mut |leader, state, now_ms, out| leader.on_snapshot_sent(state, now_ms, link, out));
                }
                Action::SeeFirstConfig(version) => {
                    let first = EnsembleConfig { version, ..self.state.membership.active().clone() };
                    self.state.membership.see(first);
                }
                Action::ActivateConfig | Action::Activate(..) => {
                    let (config, me) = (self.state.membership.last_seen().clone(), self.state.membership.my_id());
                    self.state.membership.activate(config, me, Some(me));
                }
                Action::Establish(_) => {
                    self.follow_up(&mut |leader, state, now_ms, out| leader.established(state, now_ms, out))
                }
                Action::Dismiss { link, reason, .. } => panic!("{link:?} is sent away: {reason}"),
                Action::Leave(reason) => panic!("it leads no longer: {reason}"),
                Action::ToLearner(..) | Action::Commit(_) | Action::Synced | Action::Synchronized(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn hear(&mut self, link: LearnerLink, packet: QuorumPacket) {
        self.act(|leader, state, now_ms, out| {
            drop(leader.on_packet(state, now_ms, link, packet, out));
            leader.count_new_acks(state, out);
        });
    }

    /// Begins, with the other follower, which has what the leader has.
    fn begin(&mut self, epoch: u32) {
        self.act(|leader, state, now_ms, out| leader.begin(state, now_ms, out));
        let Some(other) = self.other else { return };
        self.act(|leader, state, now_ms, out| leader.on_connected(state, now_ms, OTHER, out));
        let (last, start) = (self.state.last_logged(), Epoch(epoch).start());
        let mut said = BytesMut::new();
        let accepted = Epoch(epoch - 1).start();
        LearnerInfo::new(other, 0).write_packet(&mut said, PacketType::FollowerInfo, accepted);
        AckEpoch { current_epoch: Some(epoch - 1) }.write_packet(&mut said, last);
        write_packet(&mut said, PacketType::Ack, start, None);
        decoded([said.freeze()]).into_iter().for_each(|packet| self.hear(OTHER, packet));
        assert_eq!(self.leader.stage(), Stage::Broadcasting);
    }

    /// Proposes what Java's leader proposed, and the other follower acknowledges it.
    fn propose(&mut self, record: LogRecord) {
        let (zxid, mut frame, mut ack) = (record.zxid, BytesMut::new(), BytesMut::new());
        write_packet(&mut frame, PacketType::Proposal, zxid, Some(&record.payload));
        write_packet(&mut ack, PacketType::Ack, zxid, None);
        if let Txn::SetData { op: OpCode::Reconfig, data, .. } = LogEntry::read(&record.payload).unwrap().txn {
            let text = String::from_utf8(data.unwrap().to_vec()).unwrap();
            self.state.membership.see(EnsembleConfig::parse(&text, self.state.membership.rules()).unwrap());
            let frame = frame.freeze();
            self.act(|leader, state, now_ms, out| {
                leader.propose(state, now_ms, [record], &frame, out);
                leader.reconfigures();
            });
        } else {
            let frame = frame.freeze();
            self.act(|leader, state, now_ms, out| leader.propose(state, now_ms, [record], &frame, out));
        }
        self.hear_other(ack);
    }

    /// What the other follower says, if there is one.
    fn hear_other(&mut self, said: BytesMut) {
        if self.other.is_some() {
            decoded([said.freeze()]).into_iter().for_each(|packet| self.hear(OTHER, packet));
        }
    }
}

/// What a leader says in an order that does not depend on clocks and clients.
fn orders(packets: Vec<QuorumPacket>) -> Vec<(PacketType, Zxid)> {
    let kinds = packets.into_iter().map(|packet| (packet.kind().unwrap(), packet.zxid));
    kinds.filter(|(kind, _)| !matches!(kind, PacketType::Ping | PacketType::Sync | PacketType::Revalidate)).collect()
}

#[test]
fn our_leader_says_to_javas_learner_what_javas_leader_said() {
    for connection in ["diff", "snap", "trunc", "version-3.8", "without-lists"] {
        let (orders_of_java, told) = (orders(packets(connection, "leader")), told(connection));
        let epoch = orders_of_java[0].1.epoch();
        let proposed: Vec<_> = packets(connection, "leader")
            .into_iter()
            .filter(|packet| packet.kind() == Some(PacketType::Proposal))
            .map(|packet| LogRecord { zxid: packet.zxid, payload: packet.data.unwrap() })
            .collect();
        // What was proposed before the learner came, in this epoch or in an older one.
        let (_, target) = orders_of_java[1];
        let old = if epoch > 1 { log(target) } else { Vec::new() };
        let mut leader = OurLeader::new(connection, epoch, old);
        if epoch == 1 {
            log(target).into_iter().for_each(|record| leader.propose(record));
        }
        leader.act(|leader, state, now_ms, out| leader.on_connected(state, now_ms, RECORDED, out));
        let mut proposed = proposed.into_iter().filter(|record| record.zxid > target).peekable();
        for packet in packets(connection, "learner") {
            let (kind, zxid) = (packet.kind().unwrap(), packet.zxid);
            while kind == PacketType::Ack
                && let Some(record) = proposed.next_if(|record| record.zxid <= zxid)
            {
                leader.propose(record);
            }
            if kind == PacketType::Ping {
                leader.now_ms += 500;
                leader.act(|leader, state, now_ms, out| leader.on_timeout(state, now_ms, out));
                let mut answer = BytesMut::new();
                write_packet(&mut answer, PacketType::Ping, zxid, None);
                leader.hear_other(answer);
            }
            leader.hear(RECORDED, packet);
        }
        assert_eq!(orders(leader.sent), orders_of_java, "{connection}");
        assert!(told.follows);
    }
}
