//! A leader, from the end of the election to the end of its epoch (`Leader`, `LearnerHandler`).
//!
//! ```text
//!  Discovering --quorum of FOLLOWERINFO--> Accepting --accepted epoch on disk--> Gathering
//!     --quorum of ACKEPOCH--> Adopting --current epoch on disk--> Synchronizing
//!     --quorum of ACK of NEWLEADER, its own history on disk--> Establishing --all of it applied--> Broadcasting
//! ```
//!
//! Learners come at any time and go through the same phases, each as far as the leader's stage lets it.

mod broadcast;
mod discovery;
mod figures;
mod learner;
mod relay;
mod synchronization;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use rookeeper_protocol::peer::{PacketType, QuorumPacket};
use rookeeper_protocol::types::{ServerId, Zxid};

pub use broadcast::Syncer;
pub use figures::{LearnerCounts, ProposalSizes, SyncCounts};
pub use learner::{Phase, ServedLearner};

use super::action::{Action, LearnerLink, Reason};
use super::epoch::{Epoch, Epochs, StateSummary};
use super::state::State;

/// How far the leader has come; the picture is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It asks who accepted which epoch.
    Discovering,
    /// It has found the new epoch and writes down that it accepts it.
    Accepting,
    /// It waits until a quorum has accepted the epoch.
    Gathering,
    /// It makes the epoch its current one.
    Adopting,
    /// It brings learners to its history.
    Synchronizing,
    /// Its history is committed and is being applied.
    Establishing,
    /// It proposes and commits.
    Broadcasting,
}

/// Connections to the learner port at a time. Each costs a little memory before it says who it is.
pub const LEARNERS_MAX: usize = 1024;

/// A packet of a learner with content that the agreement does not know.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A client's write or `sync`.
    Request(QuorumPacket),
    /// Sessions that gave a sign of life.
    Touches(Bytes),
    /// A question for a session.
    Revalidate(Bytes),
}

/// A leader.
#[derive(Debug)]
pub struct Leader {
    me: ServerId,
    /// It is a follower, and its learners are observers.
    relays: bool,
    stage: Stage,
    /// The new epoch, as far as it is known: greater than any that was told.
    epoch: Epoch,
    /// How new its history is; no learner may be newer.
    own: StateSummary,
    learners: BTreeMap<LearnerLink, ServedLearner>,
    /// The connection of each server that said who it is.
    links: BTreeMap<ServerId, LearnerLink>,
    /// Voters that told their accepted epoch (`connectingFollowers`).
    introduced: BTreeSet<ServerId>,
    /// Voters that accepted the new epoch (`electingFollowers`).
    accepted: BTreeSet<ServerId>,
    /// Voters that have the leader's history (`newLeaderProposal`).
    ready: BTreeSet<ServerId>,
    /// The end of the present stage's time, in monotonic milliseconds.
    deadline_ms: i64,
    /// When pings are due, in monotonic milliseconds, and whether the quorum is looked at then.
    next_ping_ms: i64,
    quorum_is_due: bool,
    last_proposed: Zxid,
    /// What that is while nothing is proposed: the beginning of the epoch.
    begins_behind: Zxid,
    /// The reconfiguration under way.
    reconfig: Option<Zxid>,
    /// A learner has acknowledged something, and nobody has looked what that makes committed.
    has_new_acks: bool,
    /// Another server is to lead: nothing more is committed here.
    is_replaced: bool,
    syncs: VecDeque<broadcast::WaitingSync>,
    round: broadcast::Round,
    /// The number for the next learner that does not tell one (`followerCounter`).
    next_unnamed: i64,
    figures: figures::Figures,
}

impl Leader {
    /// This server was elected.
    pub fn new(state: &State, now_ms: i64) -> Self {
        let me = state.membership.my_id();
        let mut leader = Self {
            me,
            relays: false,
            stage: Stage::Discovering,
            epoch: state.epochs.accepted,
            own: state.summary(),
            learners: BTreeMap::new(),
            links: BTreeMap::new(),
            introduced: BTreeSet::new(),
            accepted: BTreeSet::new(),
            ready: BTreeSet::new(),
            deadline_ms: now_ms + state.rules.init_ms(),
            next_ping_ms: i64::MAX,
            quorum_is_due: false,
            last_proposed: Zxid::ZERO,
            begins_behind: Zxid::ZERO,
            reconfig: None,
            has_new_acks: false,
            is_replaced: false,
            syncs: VecDeque::new(),
            round: broadcast::Round::default(),
            next_unnamed: -1,
            figures: figures::Figures::default(),
        };
        leader.offer_own_epoch(state);
        leader
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Its epoch, once it is found.
    pub fn epoch(&self) -> Option<Epoch> {
        (self.stage > Stage::Discovering).then_some(self.epoch)
    }

    /// The newest zxid proposed; the beginning of the epoch while there is none.
    pub fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// Whether something was proposed in this epoch.
    pub fn has_proposed(&self) -> bool {
        self.last_proposed > self.begins_behind
    }

    /// Its learners by their connections.
    pub fn learners(&self) -> &BTreeMap<LearnerLink, ServedLearner> {
        &self.learners
    }

    /// Whether a server has what this one has, and was heard lately (`Leader#isQuorumSynced`).
    pub fn is_in_sync(&self, id: ServerId, now_ms: i64) -> bool {
        let learner = self.links.get(&id).and_then(|link| self.learners.get(link));
        let in_sync = |learner: &ServedLearner| learner.is_forwarded_to() && learner.follows && learner.counts(now_ms);
        id == self.me || learner.is_some_and(in_sync)
    }

    /// Somebody connected to the learner port.
    pub fn on_connected(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        if self.learners.len() >= LEARNERS_MAX {
            actions.push(Action::Dismiss { link, server: None, reason: Reason::TooMany });
            return;
        }
        self.learners.insert(link, ServedLearner::new(now_ms, &state.rules));
    }

    /// A learner's connection ended.
    pub fn on_gone(&mut self, link: LearnerLink) {
        if let Some(learner) = self.learners.remove(&link)
            && let Some(server) = learner.server
            && self.links.get(&server) == Some(&link)
        {
            self.links.remove(&server);
        }
        self.syncs.retain(|sync| sync.who != Syncer::Learner(link));
    }

    /// A learner sent a packet. What is in it for the pipeline is returned.
    pub fn on_packet(
        &mut self,
        state: &mut State,
        now_ms: i64,
        link: LearnerLink,
        packet: QuorumPacket,
        actions: &mut Vec<Action>,
    ) -> Option<Incoming> {
        let learner = self.learners.get_mut(&link)?;
        learner.heard(now_ms, &state.rules);
        let phase = learner.phase;
        match (phase, packet.kind()) {
            (Phase::Connected, Some(PacketType::FollowerInfo)) if !self.relays => {
                self.on_introduction(state, now_ms, link, true, &packet, actions);
            }
            (Phase::Connected, Some(PacketType::ObserverInfo)) => {
                self.on_introduction(state, now_ms, link, false, &packet, actions);
            }
            (Phase::Informed, Some(PacketType::AckEpoch)) => {
                self.on_ack_epoch(state, now_ms, link, &packet, actions);
            }
            (Phase::Synchronizing | Phase::Synchronized | Phase::UpToDate, Some(PacketType::Ack)) => {
                self.on_ack(state, now_ms, link, packet.zxid, actions);
            }
            (Phase::UpToDate, Some(PacketType::Ping)) => {
                if !learner.answered() {
                    self.dismiss(link, Reason::BadPacket, actions);
                    return None;
                }
                self.answer_syncs(state, actions);
                return Some(Incoming::Touches(packet.data.unwrap_or_default()));
            }
            (Phase::UpToDate, Some(PacketType::Request)) => return Some(Incoming::Request(packet)),
            (Phase::UpToDate, Some(PacketType::Revalidate)) => {
                return Some(Incoming::Revalidate(packet.data.unwrap_or_default()));
            }
            // Java passes over what it does not know, once it serves the learner.
            (Phase::UpToDate, None) => {}
            _ => self.dismiss(link, Reason::BadPacket, actions),
        }
        None
    }

    /// The epochs are on disk.
    pub fn on_epochs_persisted(&mut self, state: &mut State, now_ms: i64, epochs: Epochs, actions: &mut Vec<Action>) {
        match self.stage {
            Stage::Accepting if epochs.accepted == self.epoch => self.epoch_accepted(state, now_ms, actions),
            Stage::Adopting if epochs.current == self.epoch => self.epoch_adopted(state, now_ms, actions),
            _ => {}
        }
    }

    /// More of the log is on disk; the history knows how much.
    pub fn on_flushed(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        match self.stage {
            Stage::Synchronizing => self.count_ready(state, actions),
            Stage::Broadcasting => self.count_acks(state, actions),
            _ => {}
        }
    }

    /// When something is due, in monotonic milliseconds.
    pub fn next_deadline_ms(&self, state: &State) -> i64 {
        let learners = self.learners.values().filter_map(|learner| learner.deadline_ms(&state.rules)).min();
        let own = if self.stage == Stage::Broadcasting { self.next_ping_ms } else { self.deadline_ms };
        learners.map_or(own, |deadline_ms| deadline_ms.min(own))
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        let late = |learner: &ServedLearner| learner.deadline_ms(&state.rules).is_some_and(|due_ms| due_ms <= now_ms);
        let silent: Vec<_> = self.learners.iter().filter(|(_, learner)| late(learner)).map(|(link, _)| *link).collect();
        for link in silent {
            let reason = match self.learners.get(&link).map(|learner| learner.phase) {
                Some(Phase::Synchronized | Phase::UpToDate) => Reason::Silent,
                _ => Reason::TooSlow,
            };
            self.dismiss(link, reason, actions);
        }
        match self.stage {
            Stage::Broadcasting if now_ms >= self.next_ping_ms => self.tick(state, now_ms, actions),
            Stage::Broadcasting | Stage::Establishing => {}
            _ if now_ms >= self.deadline_ms => actions.push(Action::Leave(Reason::NoQuorum)),
            _ => {}
        }
    }

    /// Ends a learner's connection.
    pub fn dismiss(&mut self, link: LearnerLink, reason: Reason, actions: &mut Vec<Action>) {
        if let Some(server) = self.learners.get(&link).map(|learner| learner.server) {
            self.on_gone(link);
            actions.push(Action::Dismiss { link, server, reason });
        }
    }

    /// Ends all connections: this server leads no longer.
    pub fn dismiss_all(&mut self, reason: Reason, actions: &mut Vec<Action>) {
        let links: Vec<_> = self.learners.keys().copied().collect();
        links.into_iter().for_each(|link| self.dismiss(link, reason, actions));
    }

    /// The oldest zxid behind which learners still need the log.
    pub fn keep_log_after(&self) -> Option<Zxid> {
        let needed = |learner: &ServedLearner| match learner.phase {
            Phase::Planning => Some(learner.told.last_zxid),
            Phase::Opening => Some(Zxid::ZERO),
            Phase::Sending | Phase::Reading => Some(learner.sent),
            _ => None,
        };
        self.learners.values().filter_map(needed).min()
    }
}

#[cfg(test)]
mod tests;
