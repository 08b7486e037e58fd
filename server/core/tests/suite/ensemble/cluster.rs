//! Servers, a network between them and a clock, all from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use rookeeper_core::peer::{Input, Output, PeerRules};
use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::watch::ConnId;
use rookeeper_core::zab::{DialId, LearnerLink};
use rookeeper_protocol::peer::{PacketDecoder, PacketType, PeerState};
use rookeeper_protocol::types::{ServerId, SessionId};

use super::disk::Dump;
use super::server::Server;
use crate::wire::{Request, Sent};

/// What travels to a learner or back.
enum Cargo {
    Frame(Bytes),
    Snapshot(Rc<Dump>),
    End,
}

/// Something that will happen.
enum Event {
    Election { from: i64, to: i64, message: Bytes },
    Connected { link: u64 },
    Refused { server: i64, dial: DialId },
    ToLearner { link: u64, cargo: Cargo },
    ToLeader { link: u64, cargo: Cargo },
    Flush { server: i64 },
}

/// A learner's connection.
struct Link {
    learner: i64,
    dial: DialId,
    leader: i64,
    /// It goes to the port for observers.
    observes: bool,
    /// Bytes that were received and not decoded, on either side.
    at_learner: Vec<Cargo>,
    learner_bytes: BytesMut,
    leader_bytes: BytesMut,
    /// The learner reads no further before its disk has reported.
    paused: bool,
    cutting: bool,
    /// The picture that is being made for the learner.
    picture: Option<Rc<Dump>>,
    /// When what was sent last arrives, there and here.
    last_ms: [i64; 2],
}

/// The cluster.
pub(crate) struct Cluster {
    pub(crate) now_ms: i64,
    pub(crate) servers: BTreeMap<i64, Server>,
    events: BTreeMap<(i64, u64), Event>,
    next_event: u64,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    /// Servers that nobody reaches.
    pub(crate) cut_off: BTreeSet<i64>,
    random: u64,
    /// How learners were brought to their leaders' histories.
    pub(crate) plans: Vec<PacketType>,
    /// Pictures have so many transactions more than they say, as those of Apache ZooKeeper do.
    pub(crate) newer_pictures: usize,
}

impl Cluster {
    /// Three voters and so many observers, which are started.
    pub(crate) fn new(seed: u64, observers: i64) -> Self {
        let mut cluster = Self::stopped(seed, observers);
        (1..=3 + observers).for_each(|id| cluster.start(id));
        cluster
    }

    /// The same, whose servers have other rules.
    pub(crate) fn tuned(seed: u64, observers: i64, tune: fn(&mut PeerRules)) -> Self {
        let mut cluster = Self::stopped(seed, observers);
        for id in 1..=3 + observers {
            cluster.server(id).tune = tune;
            cluster.start(id);
        }
        cluster
    }

    /// The same, not started.
    pub(crate) fn stopped(seed: u64, observers: i64) -> Self {
        let servers = (1..=3 + observers).map(|id| (id, Server::new(id, 1000, observers))).collect();
        Self {
            now_ms: 0,
            servers,
            events: BTreeMap::new(),
            next_event: 0,
            links: BTreeMap::new(),
            next_link: 1,
            cut_off: BTreeSet::new(),
            random: seed,
            plans: Vec::new(),
            newer_pictures: 0,
        }
    }

    pub(crate) fn random_below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    fn later(&mut self, at_ms: i64, event: Event) {
        self.events.insert((at_ms, self.next_event), event);
        self.next_event += 1;
    }

    fn reachable(&self, one: i64, other: i64) -> bool {
        !self.cut_off.contains(&one) && !self.cut_off.contains(&other)
    }

    pub(crate) fn start(&mut self, id: i64) {
        let now_ms = self.now_ms;
        self.server(id).start(now_ms);
        self.pump(id);
    }

    pub(crate) fn server(&mut self, id: i64) -> &mut Server {
        self.servers.get_mut(&id).unwrap()
    }

    /// A server dies with all its connections.
    pub(crate) fn crash(&mut self, id: i64) {
        self.server(id).crash();
        self.end_links(|link| link.learner == id || link.leader == id);
    }

    /// A server is told to stop.
    pub(crate) fn tell_to_stop(&mut self, id: i64) {
        self.step(id, Input::Stop);
    }

    /// A server is told to stop, and its process ends when it says so.
    pub(crate) fn stop(&mut self, id: i64) {
        self.tell_to_stop(id);
        self.run_until("end", |cluster| cluster.servers[&id].stopped);
        self.crash(id);
    }

    /// Nobody reaches the server any more; connections end as if somebody had noticed.
    pub(crate) fn isolate(&mut self, id: i64) {
        self.cut_off.insert(id);
        self.end_links(|link| link.learner == id || link.leader == id);
    }

    pub(crate) fn heal(&mut self) {
        self.cut_off.clear();
    }

    fn end_links(&mut self, is_over: impl Fn(&Link) -> bool) {
        let over: Vec<_> = self.links.iter().filter(|(_, link)| is_over(link)).map(|(id, _)| *id).collect();
        for link in over {
            self.end_link(link);
        }
    }

    fn end_link(&mut self, id: u64) {
        let Some(link) = self.links.remove(&id) else { return };
        self.step(link.learner, Input::LeaderGone { dial: link.dial });
        self.step(link.leader, Input::LearnerGone { link: LearnerLink(id) });
    }

    fn step(&mut self, id: i64, input: Input) {
        let now_ms = self.now_ms;
        self.server(id).step(now_ms, input);
        self.pump(id);
    }

    /// Carries out what a server asks for.
    fn pump(&mut self, id: i64) {
        for output in self.server(id).take_outputs() {
            let Some(output) = self.server(id).carry_out(output) else { continue };
            self.carry_out(id, output);
        }
        if !self.server(id).writes.is_empty() {
            let at_ms = self.now_ms + 1 + self.random_below(4) as i64;
            self.later(at_ms, Event::Flush { server: id });
        }
    }

    fn carry_out(&mut self, id: i64, output: Output) {
        let delay_ms = 1 + self.random_below(3) as i64;
        let at_ms = self.now_ms + delay_ms;
        match output {
            Output::ElectionMessage { to, message } => {
                self.later(at_ms, Event::Election { from: id, to: to.0, message });
            }
            Output::Dial { dial, to, .. } => self.dial(id, dial, to.0, false, at_ms),
            Output::DialObserverMaster { dial, to, .. } => self.dial(id, dial, to.0, true, at_ms),
            Output::ToLeader { dial, frames } => {
                let Some((link, _)) = self.links.iter().find(|(_, link)| link.learner == id && link.dial == dial)
                else {
                    return;
                };
                let link = *link;
                frames.into_iter().for_each(|frame| self.ship(link, 1, at_ms, Cargo::Frame(frame)));
            }
            Output::HangUp { dial } => {
                self.end_links(|link| link.learner == id && link.dial == dial);
            }
            Output::ToLearner { link, frames } => {
                frames.into_iter().for_each(|frame| self.ship(link.0, 0, at_ms, Cargo::Frame(frame)));
            }
            Output::OpenSnapshot { link } => {
                let newer = self.newer_pictures;
                let dump = Rc::new(self.server(id).picture(newer));
                let zxid = dump.zxid;
                if let Some(link) = self.links.get_mut(&link.0) {
                    link.picture = Some(dump);
                }
                self.step(id, Input::SnapshotOpened { link, zxid });
            }
            Output::SendSnapshot { link } => {
                if let Some(dump) = self.links.get_mut(&link.0).and_then(|link| link.picture.take()) {
                    self.ship(link.0, 0, at_ms + 5, Cargo::Snapshot(dump));
                    self.step(id, Input::SnapshotSent { link });
                }
            }
            Output::ReadHistory { link, after, through, size_limit_permille, .. } => {
                let piece = self.server(id).disk.history(after, through, size_limit_permille.is_some());
                self.step(id, Input::HistoryRead { link, piece });
            }
            Output::Dismiss { link } => {
                // What was written before arrives before the end does.
                if self.links.contains_key(&link.0) {
                    self.ship(link.0, 0, at_ms, Cargo::End);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn dial(&mut self, id: i64, dial: DialId, to: i64, observes: bool, at_ms: i64) {
        if !self.reachable(id, to) || self.server(to).running.is_none() {
            return self.later(at_ms, Event::Refused { server: id, dial });
        }
        let link = self.next_link;
        self.next_link += 1;
        let value = Link {
            learner: id,
            dial,
            leader: to,
            observes,
            at_learner: Vec::new(),
            learner_bytes: BytesMut::new(),
            leader_bytes: BytesMut::new(),
            paused: false,
            cutting: false,
            picture: None,
            last_ms: [at_ms; 2],
        };
        self.links.insert(link, value);
        self.later(at_ms, Event::Connected { link });
    }

    /// Sends over a link; nothing overtakes anything.
    fn ship(&mut self, id: u64, direction: usize, at_ms: i64, cargo: Cargo) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let at_ms = at_ms.max(link.last_ms[direction]);
        link.last_ms[direction] = at_ms;
        self.later(
            at_ms,
            match direction {
                0 => Event::ToLearner { link: id, cargo },
                _ => Event::ToLeader { link: id, cargo },
            },
        );
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Election { from, to, message } => {
                if !self.reachable(from, to) || self.server(to).running.is_none() {
                    return self.step(from, Input::ElectionUnreachable { server: ServerId(to) });
                }
                self.step(to, Input::ElectionMessage { from: ServerId(from), message });
            }
            Event::Connected { link: id } => {
                let Some(link) = self.links.get(&id) else { return };
                let (learner, dial, leader) = (link.learner, link.dial, link.leader);
                let link = LearnerLink(id);
                let connected = match self.links[&id].observes {
                    true => Input::ObserverConnected { link },
                    false => Input::LearnerConnected { link },
                };
                self.step(leader, connected);
                self.step(learner, Input::LeaderConnected { dial });
            }
            Event::Refused { server, dial } => self.step(server, Input::LeaderGone { dial }),
            Event::ToLearner { link, cargo } => {
                if let Some(value) = self.links.get_mut(&link) {
                    value.at_learner.push(cargo);
                    self.read_at_learner(link);
                }
            }
            Event::ToLeader { link: id, cargo } => {
                let Some(link) = self.links.get_mut(&id) else { return };
                let (leader, Cargo::Frame(frame)) = (link.leader, cargo) else { return };
                link.leader_bytes.extend_from_slice(&frame);
                let mut packets = Vec::new();
                while let Some(packet) = PacketDecoder::new(1 << 20).next_packet(&mut link.leader_bytes).unwrap() {
                    packets.push(packet);
                }
                self.step(leader, Input::LearnerPackets { link: LearnerLink(id), packets });
            }
            Event::Flush { server } => {
                let now_ms = self.now_ms;
                self.server(server).flush(now_ms);
                self.pump(server);
                self.resume(server);
            }
        }
    }

    /// The disk has reported: what waited behind TRUNC goes on.
    fn resume(&mut self, server: i64) {
        if self.server(server).writes.iter().any(|write| matches!(write, Output::Truncate { .. })) {
            return;
        }
        let cutting = |link: &Link| link.learner == server && link.cutting;
        let links: Vec<_> = self.links.iter().filter(|(_, link)| cutting(link)).map(|(id, _)| *id).collect();
        for id in links {
            if let Some(link) = self.links.get_mut(&id) {
                (link.paused, link.cutting) = (false, false);
            }
            self.read_at_learner(id);
        }
    }

    fn read_at_learner(&mut self, id: u64) {
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            let (learner, dial) = (link.learner, link.dial);
            if link.paused {
                // Behind SNAP the snapshot itself comes, behind TRUNC nothing is read.
                if matches!(link.at_learner.first(), Some(Cargo::Snapshot(_)))
                    && let Cargo::Snapshot(dump) = link.at_learner.remove(0)
                {
                    link.paused = false;
                    let zxid = dump.zxid;
                    self.server(learner).received = Some((dial, dump));
                    self.step(learner, Input::SnapshotReceived { dial, zxid });
                    continue;
                }
                return;
            }
            let mut packets = Vec::new();
            while !link.paused
                && let Some(packet) = PacketDecoder::new(1 << 20).next_packet(&mut link.learner_bytes).unwrap()
            {
                let kind = packet.kind().unwrap();
                link.cutting = kind == PacketType::Trunc;
                link.paused = link.cutting || kind == PacketType::Snap;
                if matches!(kind, PacketType::Diff | PacketType::Trunc | PacketType::Snap) {
                    self.plans.push(kind);
                }
                packets.push(packet);
            }
            if !packets.is_empty() {
                self.step(learner, Input::LeaderPackets { dial, packets });
                continue;
            }
            if link.at_learner.is_empty() {
                return;
            }
            match link.at_learner.remove(0) {
                Cargo::Frame(frame) => link.learner_bytes.extend_from_slice(&frame),
                Cargo::End => return self.end_link(id),
                Cargo::Snapshot(_) => panic!("a snapshot that nobody announced"),
            }
        }
    }

    /// One thing happens. False if nothing ever will.
    fn advance(&mut self, until_ms: i64) -> bool {
        let event_ms = self.events.keys().next().map(|(at_ms, _)| *at_ms);
        let deadline = |server: &Server| Some((server.running.as_ref()?.peer.next_deadline_ms()?, server.id));
        let timeout = self.servers.values().filter_map(deadline).min();
        let next_ms = [event_ms, timeout.map(|(at_ms, _)| at_ms)].into_iter().flatten().min().unwrap_or(i64::MAX);
        if next_ms > until_ms {
            self.now_ms = until_ms;
            return false;
        }
        self.now_ms = self.now_ms.max(next_ms);
        if event_ms == Some(next_ms) {
            let (_, event) = self.events.pop_first().unwrap();
            self.happen(event);
        } else if let Some((_, server)) = timeout {
            self.step(server, Input::Timeout);
        }
        true
    }

    /// Time passes.
    pub(crate) fn run(&mut self, ms: i64) {
        let until_ms = self.now_ms + ms;
        while self.advance(until_ms) {}
    }

    /// Time passes until something is the case.
    pub(crate) fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until_ms = self.now_ms + 60_000;
        while !is_so(self) {
            assert!(self.advance(until_ms), "no {what} within a minute; at {}", self.now_ms);
        }
    }

    /// Who leads, if anybody does whom the others reach.
    pub(crate) fn leader(&self) -> Option<i64> {
        let leads = |server: &&Server| {
            let running = server.running.as_ref();
            running.is_some_and(|running| running.peer.is_established_leader()) && !self.cut_off.contains(&server.id)
        };
        self.servers.values().find(leads).map(|server| server.id)
    }

    /// The server that this one learns from.
    pub(crate) fn master_of(&self, id: i64) -> Option<i64> {
        self.links.values().find(|link| link.learner == id).map(|link| link.leader)
    }

    pub(crate) fn serves(&self, id: i64) -> bool {
        self.servers[&id].running.as_ref().is_some_and(|running| running.serves)
    }

    /// Waits until all servers that run and can be reached serve.
    pub(crate) fn settle(&mut self) -> i64 {
        self.run_until("service by all", |cluster| {
            let here = |server: &&Server| server.running.is_some() && !cluster.cut_off.contains(&server.id);
            cluster.leader().is_some() && cluster.servers.values().filter(here).all(|server| cluster.serves(server.id))
        });
        self.leader().unwrap()
    }

    pub(crate) fn state(&self, id: i64) -> PeerState {
        self.servers[&id].running.as_ref().unwrap().peer.peer_state()
    }

    /// All servers that run have the same tree and the same sessions.
    pub(crate) fn assert_equal(&mut self) {
        self.run_until("agreement", |cluster| {
            let dumps: Vec<_> =
                cluster.servers.values().filter(|server| server.running.is_some()).map(Server::dump).collect();
            dumps.windows(2).all(|pair| pair[0] == pair[1])
        });
    }

    /// A client with a session of its own.
    pub(crate) fn connect(&mut self, server: i64, timeout_ms: i32) -> (ConnId, SessionId) {
        let now_ms = self.now_ms;
        let conn = self.server(server).connect(now_ms, None, timeout_ms).expect("nobody is served");
        self.pump(server);
        let sent = self.wait(server, conn);
        assert!(matches!(&sent[..], [Sent::Connect(response)] if response.timeout_ms == timeout_ms), "{sent:?}");
        let session = self.servers[&server].running.as_ref().unwrap().table.clients[&conn].connection.session();
        (conn, session)
    }

    /// A client comes back with its session. Whether it keeps it.
    pub(crate) fn reconnect(&mut self, server: i64, session: SessionId, timeout_ms: i32) -> Option<ConnId> {
        let (conn, sent) = self.come_back(server, session, timeout_ms);
        match &sent[..] {
            [Sent::Connect(response)] => (response.timeout_ms > 0).then_some(conn),
            other => panic!("{other:?}"),
        }
    }

    /// A client comes back with its session. What it is told.
    pub(crate) fn come_back(&mut self, server: i64, session: SessionId, timeout_ms: i32) -> (ConnId, Vec<Sent>) {
        let now_ms = self.now_ms;
        let conn = self.server(server).connect(now_ms, Some(session), timeout_ms).expect("nobody is served");
        self.pump(server);
        (conn, self.wait(server, conn))
    }

    pub(crate) fn hang_up(&mut self, server: i64, conn: ConnId) {
        let now_ms = self.now_ms;
        self.server(server).hang_up(now_ms, conn);
        self.pump(server);
    }

    pub(crate) fn send(&mut self, server: i64, conn: ConnId, xid: i32, request: &Request) {
        let now_ms = self.now_ms;
        self.server(server).send(now_ms, conn, xid, request);
        self.pump(server);
    }

    /// A request that was read before, and is only now submitted.
    pub(crate) fn submit(&mut self, server: i64, request: WriteRequest) {
        let now_ms = self.now_ms;
        self.server(server).submit(now_ms, request);
        self.pump(server);
    }

    /// Time passes until the connection got something, or ended.
    pub(crate) fn wait(&mut self, server: i64, conn: ConnId) -> Vec<Sent> {
        let until_ms = self.now_ms + 60_000;
        loop {
            let (sent, lives) = self.server(server).take(conn);
            if !sent.is_empty() || !lives {
                return sent;
            }
            assert!(self.advance(until_ms), "no answer within a minute");
        }
    }

    /// Sends a request and returns its error, or `None` if the connection ended.
    pub(crate) fn call(&mut self, server: i64, conn: ConnId, xid: i32, request: &Request) -> Option<i32> {
        self.send(server, conn, xid, request);
        match &self.wait(server, conn)[..] {
            [] => None,
            [Sent::Reply { xid: answered, error, .. }] if *answered == xid => Some(*error),
            other => panic!("{other:?}"),
        }
    }

    /// Whether a znode is there, for a server's own clients.
    pub(crate) fn has(&self, server: i64, path: &str) -> bool {
        self.servers[&server].running.as_ref().unwrap().tree.find(path).is_some()
    }
}
