//! A learner, from the end of the election to the end of its leader (`Learner`, `Follower`, `Observer`).
//!
//! ```text
//!  Connecting --connected: FOLLOWERINFO--> Introduced --LEADERINFO--> Accepting --accepted epoch on disk: ACKEPOCH-->
//!     Awaiting --DIFF | TRUNC, log cut | SNAP, all of it received--> Copying --NEWLEADER--> Adopting
//!     --history and current epoch on disk: ACK--> Prepared --UPTODATE--> Serving
//! ```
//!
//! Followers log proposals as they come, acknowledge them when they are on disk and NEWLEADER was acknowledged, and
//! commit what the leader commits. Observers are told what is committed.

mod broadcast;
mod discovery;
mod synchronization;

use std::collections::VecDeque;

use bytes::Bytes;
use rookeeper_protocol::peer::{PacketType, QuorumPacket};
use rookeeper_protocol::types::{ServerId, Zxid};

pub use discovery::Target;

use super::action::{Action, DialId, LearnerLink, Reason};
use super::epoch::{Epoch, Epochs};
use super::history::History;
use super::leader::Leader;
use super::state::State;

/// How far a learner has come; the picture is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It dials.
    Connecting,
    /// It has told its accepted epoch.
    Introduced,
    /// It writes down that it accepts the leader's epoch.
    Accepting,
    /// It has told its last zxid, and waits for what the leader makes of it.
    Awaiting,
    /// Its log is being cut.
    Cutting,
    /// It takes a snapshot, which is put in the place of everything only when all that follows is there too.
    Receiving,
    /// It takes what it lacks.
    Copying,
    /// It has all of it, and makes the leader's epoch its current one.
    Adopting,
    /// It has acknowledged NEWLEADER.
    Prepared,
    /// It may serve.
    Serving,
}

/// How a learner is brought to the leader's history (`QuorumPeer.SyncMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// It is sent what it lacks.
    Diff,
    /// It is sent the whole tree.
    Snap,
    /// Its log is cut first.
    Trunc,
}

impl SyncMode {
    /// What the leader's first word has led to.
    fn of(stage: Stage) -> Option<Self> {
        match stage {
            Stage::Copying => Some(Self::Diff),
            Stage::Receiving => Some(Self::Snap),
            Stage::Cutting => Some(Self::Trunc),
            _ => None,
        }
    }
}

/// A packet of the leader with content that the agreement does not know.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The proposal is new, and stands in the log now.
    Learned,
    /// The leader asks for a sign of life, and for the sessions that gave one.
    Ping(Zxid),
    /// The answer to a question for a session.
    Revalidated(Bytes),
    /// The oldest waiting `sync` has all it waited for, behind what was committed so far.
    Synced,
}

/// A learner.
#[derive(Debug)]
pub struct Learner {
    leader: ServerId,
    /// The server that it connects to, if that is not the leader.
    master: Option<ServerId>,
    follows: bool,
    dial: DialId,
    stage: Stage,
    epoch: Epoch,
    /// The leader speaks the protocol before ZooKeeper 3.4.
    old_protocol: bool,
    /// How it is brought to the leader's history, once the leader has said so.
    sync_mode: Option<SyncMode>,
    /// When the leader was heard last, in monotonic milliseconds.
    heard_ms: i64,
    connecting: discovery::Connecting,
    /// Proposals that the leader has not committed yet.
    uncommitted: VecDeque<Zxid>,
    /// Proposals that are to be acknowledged when they are on disk.
    unacknowledged: VecDeque<Zxid>,
    /// The newest transaction that the leader says is committed. While it is not said to have a quorum behind it, this is
    /// not to be believed.
    told_committed: Zxid,
    /// The history on disk, while a snapshot is to take its place.
    replaced: Option<History>,
    /// The observers that it serves, since the first one came.
    observers: Option<Box<Leader>>,
}

impl Learner {
    /// The server that it learns from.
    pub fn leader(&self) -> ServerId {
        self.leader
    }

    /// The server that it connects to: the leader, or a follower that serves observers.
    pub fn master(&self) -> ServerId {
        self.master.unwrap_or(self.leader)
    }

    /// The present connection, or the attempt at it.
    pub fn dial(&self) -> DialId {
        self.dial
    }

    /// Whether it follows; otherwise it observes.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How it is being brought to the leader's history, from the leader's word on until it acknowledges that it is there.
    pub fn sync_mode(&self) -> Option<SyncMode> {
        self.sync_mode.filter(|_| self.stage < Stage::Prepared)
    }

    /// The leader's epoch, once it is accepted.
    pub fn epoch(&self) -> Option<Epoch> {
        (self.stage > Stage::Introduced).then_some(self.epoch)
    }

    /// Whether a snapshot is to take the place of what is on disk, and nobody has asked for that yet.
    pub fn is_replacing(&self) -> bool {
        self.replaced.is_some()
    }

    /// The newest transaction that the leader says is committed.
    pub fn told_committed(&self) -> Zxid {
        self.told_committed
    }

    /// The proposals that the leader has not committed yet, oldest first.
    pub fn uncommitted(&self) -> impl Iterator<Item = Zxid> {
        self.uncommitted.iter().copied()
    }

    /// Whoever serves observers on this server's behalf, if there were any.
    pub fn observer_master(&self) -> Option<&Leader> {
        self.observers.as_deref()
    }

    /// The same, to hand in what comes from them.
    pub fn observer_master_mut(&mut self) -> Option<&mut Leader> {
        self.observers.as_deref_mut()
    }

    /// Somebody connected to the port for observers. Java opens it when a follower begins to serve
    /// (`Follower#followLeader`).
    pub fn on_observer_connected(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        if !self.follows || self.stage != Stage::Serving {
            return actions.push(Action::Dismiss { link, server: None, reason: Reason::NotLeading });
        }
        let epoch = self.epoch;
        let observers = self.observers.get_or_insert_with(|| Box::new(Leader::relay(state, now_ms, epoch)));
        observers.on_connected(state, now_ms, link, actions);
    }

    /// The connection is gone, or there is none.
    pub fn on_gone(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        match self.stage {
            Stage::Connecting => self.redial(now_ms, actions),
            _ => actions.push(Action::Leave(Reason::Disconnected)),
        }
    }

    /// The leader sent a packet. Whether the data of a PROPOSAL or INFORM can be read was looked at before.
    pub fn on_packet(
        &mut self,
        state: &mut State,
        now_ms: i64,
        packet: QuorumPacket,
        actions: &mut Vec<Action>,
    ) -> Option<Incoming> {
        self.heard_ms = now_ms;
        match self.stage {
            Stage::Introduced => self.on_first_packet(state, &packet, actions),
            Stage::Awaiting => {
                self.on_plan(state, &packet, actions);
                self.sync_mode = SyncMode::of(self.stage);
            }
            Stage::Copying | Stage::Adopting | Stage::Prepared | Stage::Serving => {
                return self.on_stream_packet(state, packet, actions);
            }
            // Nothing is due: the driver reads no further before it has cut or received, and a leader waits for ACKEPOCH.
            Stage::Connecting | Stage::Accepting | Stage::Cutting | Stage::Receiving => {
                actions.push(Action::Leave(Reason::BadPacket));
            }
        }
        None
    }

    fn on_stream_packet(
        &mut self,
        state: &mut State,
        packet: QuorumPacket,
        actions: &mut Vec<Action>,
    ) -> Option<Incoming> {
        let serves = self.stage == Stage::Serving;
        let learned = |is_new: bool| is_new.then_some(Incoming::Learned);
        let zxid = packet.zxid;
        match packet.kind() {
            // Between the leader and an observer that serves only INFORM has a meaning.
            Some(PacketType::Proposal | PacketType::Commit) if serves && !self.follows => {}
            Some(PacketType::Proposal) => return learned(self.on_proposal(state, packet, actions)),
            Some(PacketType::Commit) => self.on_commit(state, zxid, None, actions),
            Some(PacketType::CommitAndActivate) => self.on_commit_and_activate(state, &packet, actions),
            Some(PacketType::Inform) if !self.follows => return learned(self.on_inform(state, packet, actions)),
            Some(PacketType::InformAndActivate) if !self.follows => {
                return learned(self.on_inform_and_activate(state, packet, actions));
            }
            Some(PacketType::NewLeader) if self.stage == Stage::Copying => self.on_new_leader(state, packet, actions),
            Some(PacketType::UpToDate) if !serves => self.on_up_to_date(state, actions),
            Some(PacketType::Ping) if serves => return Some(Incoming::Ping(zxid)),
            Some(PacketType::Revalidate) if serves => {
                return Some(Incoming::Revalidated(packet.data.unwrap_or_default()));
            }
            Some(PacketType::Sync) if serves => return Some(Incoming::Synced),
            // Java passes over what it does not expect here.
            _ => {}
        }
        None
    }

    /// The epochs are on disk. While that took, the leader had nothing to say.
    pub fn on_epochs_persisted(&mut self, state: &mut State, now_ms: i64, epochs: Epochs, actions: &mut Vec<Action>) {
        self.heard_ms = self.heard_ms.max(now_ms);
        match self.stage {
            Stage::Accepting if epochs.accepted == self.epoch => self.epoch_accepted(state, actions),
            Stage::Adopting if epochs.current == self.epoch => self.epoch_adopted(state, actions),
            _ => {}
        }
    }

    /// The log is on disk up to `zxid`; the history knows.
    pub fn on_flushed(&mut self, state: &State, zxid: Zxid, actions: &mut Vec<Action>) {
        if let Some(history) = &mut self.replaced {
            // It comes back if the snapshot does not. Everything that belongs to it was written before the snapshot came.
            history.flushed(zxid);
        }
        self.acknowledge(state, actions);
    }

    /// When something is due, in monotonic milliseconds.
    pub fn next_deadline_ms(&self, state: &State) -> i64 {
        let observers_ms = self.observers.as_ref().map_or(i64::MAX, |observers| observers.next_deadline_ms(state));
        self.own_deadline_ms(state).min(observers_ms)
    }

    fn own_deadline_ms(&self, state: &State) -> i64 {
        match self.stage {
            Stage::Connecting => self.connecting.next_deadline_ms(),
            // The disk is waited for, or the driver, who sees whether more of the snapshot comes.
            Stage::Accepting | Stage::Cutting | Stage::Receiving | Stage::Adopting => i64::MAX,
            Stage::Introduced | Stage::Awaiting | Stage::Copying => self.heard_ms + state.rules.init_ms(),
            Stage::Prepared | Stage::Serving => self.heard_ms + state.rules.sync_ms(),
        }
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        if let Some(observers) = &mut self.observers {
            observers.on_timeout(state, now_ms, actions);
        }
        if now_ms < self.own_deadline_ms(state) {
            return;
        }
        match self.stage {
            Stage::Connecting => self.on_connecting_timeout(now_ms, actions),
            Stage::Prepared | Stage::Serving => actions.push(Action::Leave(Reason::Silent)),
            _ => actions.push(Action::Leave(Reason::TooSlow)),
        }
    }
}

#[cfg(test)]
mod tests;
