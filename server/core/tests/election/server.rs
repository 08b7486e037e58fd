//! A server: its election and connections, and as much of agreement as it takes to lose a leader and find another.
//!
//! What servers say to their leader is not simulated: they look at each other, where the network lets them. A leader
//! with a quorum begins an epoch; its followers take over what it has; it writes, and now and then only some of them
//! get the write. Whoever is left alone looks for a leader again.

use std::collections::BTreeMap;

use rookeeper_core::election::{Decision, Election, ElectionOutput, LinkId, LinkOutput, Links, Standing, Timing};
use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig, Membership};
use rookeeper_protocol::peer::{Notification, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::network::World;

/// How long a leader waits for a quorum, in milliseconds.
const LEADER_PATIENCE_MS: i64 = 1_000;

/// How long a follower tries to reach its leader, in milliseconds.
const FOLLOWER_PATIENCE_MS: i64 = 400;

/// What survives a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) epoch: i64,
    pub(super) accepted: i64,
    pub(super) zxid: i64,
}

impl Disk {
    /// How new its history is.
    pub(super) fn rank(&self) -> (i64, i64) {
        (self.epoch, self.zxid)
    }

    fn standing(&self) -> Standing {
        Standing { zxid: Zxid(self.zxid), epoch: self.epoch }
    }
}

/// A server that runs.
#[derive(Debug)]
pub(super) struct Live {
    membership: Membership,
    election: Election,
    links: Links,
    senders: BTreeMap<LinkId, ServerId>,
    /// Leads with a quorum behind it, or has taken over its leader's history.
    pub(super) established: bool,
    /// When all was well last.
    content_ms: i64,
}

impl Live {
    pub(super) fn new(id: ServerId, config: EnsembleConfig, disk: Disk) -> Self {
        let (election, membership) = begin(id, config, disk.standing());
        Self {
            membership,
            election,
            links: Links::new(id),
            senders: BTreeMap::new(),
            established: false,
            content_ms: 0,
        }
    }

    pub(super) fn next_deadline_ms(&self) -> Option<i64> {
        [self.election.next_deadline_ms(), self.links.next_deadline_ms()].into_iter().flatten().min()
    }

    pub(super) fn state(&self) -> PeerState {
        self.election.state()
    }

    /// Whom it follows, or leads as.
    pub(super) fn leader(&self) -> Option<usize> {
        (self.state() != PeerState::Looking).then(|| World::at(self.election.current_vote().leader))
    }

    pub(super) fn links(&mut self, call: impl FnOnce(&mut Links, &mut Vec<LinkOutput>)) -> Vec<LinkOutput> {
        let mut out = Vec::new();
        call(&mut self.links, &mut out);
        out
    }
}

fn begin(id: ServerId, config: EnsembleConfig, standing: Standing) -> (Election, Membership) {
    let rules = ConfigRules { multi_address: false, standalone_enabled: false };
    let membership = Membership::new(id, config, None, rules, false);
    (Election::new(id, standing, Timing::default()), membership)
}

impl World {
    /// The election of a server that is not part of anything, and that looks for a leader.
    pub(super) fn election(&self, id: ServerId) -> (Election, Membership) {
        let standing = Disk::default().standing();
        let (mut election, membership) = begin(id, self.config.clone(), standing);
        election.look(0, standing, &membership, &mut Vec::new());
        (election, membership)
    }

    /// Lets a server's election do something, and carries out what it asks.
    fn elect(&mut self, at: usize, call: impl FnOnce(&mut Election, &mut Membership, &mut Vec<ElectionOutput>)) {
        let Some(live) = self.machines[at].live.as_mut() else { return };
        let mut outputs = Vec::new();
        call(&mut live.election, &mut live.membership, &mut outputs);
        for output in outputs {
            match output {
                ElectionOutput::Send { to, message } => {
                    self.remember_vote(at, &message);
                    let now_ms = self.now_ms;
                    let Some(live) = self.live(at) else { return };
                    let out = live.links(|links, out| links.send(now_ms, to, message, out));
                    self.carry_out(at, out);
                }
                ElectionOutput::Decided(decision) => self.decided(at, decision),
                ElectionOutput::VoterLooks(_) => {}
                ElectionOutput::Activated(_) => panic!("nobody changes the list"),
            }
        }
    }

    pub(super) fn look(&mut self, at: usize) {
        let (now_ms, standing) = (self.now_ms, self.machines[at].disk.standing());
        if let Some(live) = self.live(at) {
            live.established = false;
        }
        self.note(format!("look {}", at + 1));
        self.elect(at, |election, membership, out| election.look(now_ms, standing, membership, out));
    }

    pub(super) fn hear(&mut self, at: usize, link: LinkId, message: &[u8]) {
        let now_ms = self.now_ms;
        let Some(from) = self.live(at).and_then(|live| live.senders.get(&link).copied()) else { return };
        self.elect(at, |election, membership, out| {
            election.on_message(now_ms, from, message, membership, out).unwrap();
        });
    }

    pub(super) fn linked(&mut self, at: usize, with: ServerId, link: LinkId) {
        if let Some(live) = self.live(at) {
            live.senders.insert(link, with);
            live.election.on_connected(with);
        }
    }

    pub(super) fn unreachable(&mut self, at: usize, id: ServerId) {
        let now_ms = self.now_ms;
        self.elect(at, |election, membership, out| election.on_unreachable(now_ms, id, membership, out));
    }

    pub(super) fn wake(&mut self, at: usize) {
        let now_ms = self.now_ms;
        self.elect(at, |election, membership, out| election.on_timeout(now_ms, membership, out));
        if let Some(live) = self.live(at) {
            let out = live.links(|links, out| links.on_timeout(now_ms, out));
            self.carry_out(at, out);
        }
    }

    fn decided(&mut self, at: usize, Decision { vote, state }: Decision) {
        self.note(format!("{} is {state:?} under {} in round {}", at + 1, vote.leader, vote.round));
        let leader = World::at(vote.leader);
        assert!(self.config.is_voter(vote.leader), "{} follows {}", at + 1, vote.leader);
        assert_ne!(self.config.quorum().weight(vote.leader), 0);
        assert_eq!(state == PeerState::Leading, leader == at);
        // The vote is no more than the truth: an epoch is told early by those who follow already.
        let truth = self.machines[leader].disk;
        assert!((vote.peer_epoch, vote.zxid.0) <= (truth.accepted, truth.zxid), "{vote:?} {truth:?}");
        let now_ms = self.now_ms;
        let Some(live) = self.live(at) else { return };
        live.content_ms = now_ms;
        if state == PeerState::Leading {
            // The newest of a quorum wins: nobody has elected it who had more when it did.
            let votes = &self.votes;
            let elected = |id: ServerId| votes.get(&(id, vote.round, leader)).is_some_and(|rank| *rank <= truth.rank());
            assert!(self.config.quorum().satisfied_by(elected), "{vote:?} {votes:?}");
        }
    }

    /// What a voter has at the time when it votes.
    fn remember_vote(&mut self, at: usize, message: &[u8]) {
        let vote = Notification::read(message).unwrap();
        if vote.state == PeerState::Looking.number() && self.config.is_voter(vote.leader) {
            let rank = self.machines[at].disk.rank();
            self.votes.insert((World::id(at), vote.election_epoch, World::at(vote.leader)), rank);
        }
    }

    /// A look at the leader or at the followers.
    pub(super) fn tick(&mut self, at: usize) {
        match self.live(at).map(|live| live.state()) {
            Some(PeerState::Leading) => self.lead(at),
            Some(PeerState::Following | PeerState::Observing) => self.follow(at),
            Some(PeerState::Looking) | None => {}
        }
    }

    fn sees(&self, a: usize, b: usize) -> bool {
        self.machines[b].live.is_some() && !self.is_blocked(a, b) && !self.is_blocked(b, a)
    }

    /// Those who follow this leader and could be brought to its history.
    fn supporters(&self, at: usize) -> Vec<usize> {
        let rank = self.machines[at].disk.rank();
        let follows = |other: &usize| {
            let live = self.machines[*other].live.as_ref();
            live.and_then(Live::leader) == Some(at) && self.machines[*other].disk.rank() <= rank
        };
        (0..self.machines.len()).filter(|other| self.sees(at, *other)).filter(follows).collect()
    }

    fn is_quorum(&self, some: &[usize]) -> bool {
        self.config.quorum().satisfied_by(|id| some.contains(&World::at(id)))
    }

    fn lead(&mut self, at: usize) {
        let supporters = self.supporters(at);
        let now_ms = self.now_ms;
        let Some(live) = self.live(at) else { return };
        let (established, content_ms) = (live.established, live.content_ms);
        if !self.is_quorum(&supporters) {
            if now_ms - content_ms > LEADER_PATIENCE_MS {
                self.look(at);
            }
            return;
        }
        if !established {
            self.establish(at, &supporters);
        }
        if let Some(live) = self.live(at) {
            (live.content_ms, live.established) = (now_ms, true);
        }
        if self.random.chance(50) {
            self.write_one(at, &supporters);
        }
    }

    fn establish(&mut self, at: usize, supporters: &[usize]) {
        let epoch = 1 + supporters.iter().map(|other| self.machines[*other].disk.accepted).max().unwrap();
        self.note(format!("{} leads epoch {epoch}", at + 1));
        let (rank, committed) = (self.machines[at].disk.rank(), self.committed);
        assert!(rank >= committed, "{} lacks what was committed: {rank:?} {committed:?}", at + 1);
        assert_eq!(self.epochs.insert(epoch, at), None, "two leaders of epoch {epoch}");
        for other in supporters {
            self.take_over(*other, at, epoch);
        }
    }

    /// History and epoch of the leader become the follower's.
    fn take_over(&mut self, at: usize, leader: usize, epoch: i64) {
        let zxid = self.machines[leader].disk.zxid;
        self.machines[at].disk = Disk { epoch, accepted: epoch, zxid };
        if let Some(live) = self.live(at) {
            live.election.on_epoch(epoch);
            live.established = true;
        }
    }

    /// A write that everybody gets at once, or only some.
    fn write_one(&mut self, at: usize, supporters: &[usize]) {
        let disk = &mut self.machines[at].disk;
        disk.zxid += 1;
        let written = *disk;
        let mut have = vec![at];
        for other in supporters.iter().filter(|other| **other != at) {
            let in_order = self.machines[*other].disk.rank() == (written.epoch, written.zxid - 1);
            if in_order && self.random.chance(80) {
                self.machines[*other].disk = written;
                have.push(*other);
            }
        }
        if self.is_quorum(&have) {
            self.committed = self.committed.max(written.rank());
        }
    }

    fn follow(&mut self, at: usize) {
        let Some(leader) = self.live(at).and_then(|live| live.leader()) else { return };
        let now_ms = self.now_ms;
        let lead = self.machines[leader].live.as_ref().filter(|live| live.state() == PeerState::Leading);
        let leads = lead.map(|live| live.established).filter(|_| self.sees(at, leader));
        let Some(live) = self.live(at) else { return };
        let (established, content_ms) = (live.established, live.content_ms);
        match leads {
            Some(true) => {
                let epoch = self.machines[leader].disk.epoch;
                self.take_over(at, leader, epoch);
            }
            // Before its epoch begins a leader sends those away that have more than it has.
            Some(false) if self.machines[at].disk.rank() > self.machines[leader].disk.rank() => return self.look(at),
            Some(false) => {}
            // The connection ended, or could not be made.
            None if established || now_ms - content_ms > FOLLOWER_PATIENCE_MS => return self.look(at),
            None => return,
        }
        if let Some(live) = self.live(at) {
            live.content_ms = now_ms;
        }
    }

    /// Whether every server runs and follows one leader; and which.
    pub(super) fn settled(&self) -> Option<usize> {
        let leader = self.machines.iter().position(|machine| {
            machine.live.as_ref().is_some_and(|live| live.state() == PeerState::Leading && live.established)
        })?;
        let follows = |live: &Live| live.leader() == Some(leader) && live.established;
        self.machines.iter().all(|machine| machine.live.as_ref().is_some_and(follows)).then_some(leader)
    }
}
