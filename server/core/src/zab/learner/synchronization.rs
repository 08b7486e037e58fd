//! Synchronization: the learner takes over the leader's history (`Learner#syncWithLeader`).
//!
//! What comes is logged at once but applied only when the leader is known to have a quorum behind it (UPTODATE), so that
//! nothing applied ever has to be taken back. On disk the order is: history, current epoch, then the ACK of NEWLEADER, and
//! only then acknowledgements of proposals (ZOOKEEPER-3911, 4643, 4646, 4685, 4785).

use rookeeper_protocol::peer::{PacketType, QuorumPacket};
use rookeeper_protocol::types::Zxid;

use super::{Learner, Stage};
use crate::zab::action::{Action, Reason};
use crate::zab::epoch::Epoch;
use crate::zab::packet;
use crate::zab::state::State;

impl Learner {
    /// What the leader makes of the learner's history.
    // zab: FollowerProcessSyncMessage
    pub(super) fn on_plan(&mut self, state: &mut State, packet: &QuorumPacket, actions: &mut Vec<Action>) {
        let zxid = packet.zxid;
        match packet.kind() {
            // There is no history that could be cut or gone on with.
            Some(PacketType::Diff | PacketType::Trunc) if state.is_unknown => {
                actions.push(Action::Leave(Reason::BadPacket));
            }
            Some(PacketType::Diff) => self.copy_behind(state.last_logged()),
            Some(PacketType::Trunc) if zxid < state.history.committed() || state.is_ahead_of_log => {
                // A snapshot of a leader that was never established, or a leader that lost something.
                state.wants_snapshot = true;
                actions.push(Action::Leave(Reason::CommittedCut));
            }
            Some(PacketType::Trunc) if planted!(TruncSkipped) => self.copy_behind(state.last_logged()),
            Some(PacketType::Trunc) if zxid <= state.last_logged() => {
                self.stage = Stage::Cutting;
                state.history.truncate(zxid);
                actions.push(Action::Truncate(zxid));
            }
            Some(PacketType::Snap) if self.may_have(zxid) => {
                self.stage = Stage::Receiving;
                actions.push(Action::ReceiveSnapshot(zxid));
            }
            _ => actions.push(Action::Leave(Reason::BadPacket)),
        }
    }

    /// What the learner has is the beginning of the leader's history; the rest comes.
    fn copy_behind(&mut self, last_logged: Zxid) {
        self.stage = Stage::Copying;
        self.told_committed = last_logged;
    }

    /// The log was cut, durably, and ends at `last_zxid` now.
    pub fn on_truncated(&mut self, state: &mut State, now_ms: i64, last_zxid: Zxid, actions: &mut Vec<Action>) {
        if self.stage != Stage::Cutting {
            return;
        }
        self.heard_ms = now_ms;
        if last_zxid != state.last_logged() {
            // The log did not have the record that it was to end with: what is left is the beginning of the leader's
            // history, but what comes next would leave a hole.
            state.history.truncate(last_zxid);
            return actions.push(Action::Leave(Reason::CutTooShort));
        }
        self.copy_behind(last_zxid);
    }

    /// The snapshot of everything up to `zxid` is there as a whole. It may be older than what this server has logged and
    /// acknowledged, which must not be lost even for a moment: so everything stays as it is on disk until what follows has
    /// come too.
    pub fn on_snapshot_received(&mut self, state: &mut State, now_ms: i64, zxid: Zxid) {
        if self.stage == Stage::Receiving {
            self.heard_ms = now_ms;
            let history = state.history.behind_snapshot(zxid);
            self.replaced = Some(std::mem::replace(&mut state.history, history));
            self.copy_behind(zxid);
        }
    }

    /// The learner leaves. A snapshot that was not asked to be installed never was.
    pub fn end(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        if let Some(mut observers) = self.observers.take() {
            observers.dismiss_all(Reason::NotLeading, actions);
        }
        if let Some(history) = self.replaced.take() {
            state.history = history;
            actions.push(Action::DropSnapshot);
        } else if self.stage == Stage::Receiving {
            actions.push(Action::DropSnapshot);
        }
    }

    // zab: FollowerProcessNEWLEADER
    pub(super) fn on_new_leader(&mut self, state: &mut State, packet: QuorumPacket, actions: &mut Vec<Action>) {
        if Epoch::of(packet.zxid) != Some(self.epoch) {
            return actions.push(Action::Leave(Reason::BadPacket));
        }
        if let Some(config) = packet.data {
            actions.push(Action::SeeConfig(config));
        }
        // What is committed already needs no acknowledgement.
        self.unacknowledged.clone_from(&self.uncommitted);
        self.adopt_epoch(state, actions);
    }

    fn adopt_epoch(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        self.stage = Stage::Adopting;
        if self.replaced.take().is_some() {
            actions.push(Action::InstallSnapshot);
            (state.wants_snapshot, state.is_ahead_of_log, state.is_unknown) = (false, false, false);
        }
        if state.is_ahead_of_log && !self.follows {
            // The epoch would stand for a history that is not on disk, should this server get a vote.
            return self.epoch_adopted(state, actions);
        }
        state.epochs.current = self.epoch;
        actions.push(Action::PersistEpochs(state.epochs));
        if planted!(HistoryNotDurable) {
            self.epoch_adopted(state, actions);
        }
    }

    /// The current epoch is on disk, and behind it the history.
    pub(super) fn epoch_adopted(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        if self.old_protocol {
            return self.begin_to_serve(state, actions);
        }
        self.stage = Stage::Prepared;
        actions.push(Action::ToLeader(packet(PacketType::Ack, self.epoch.start())));
        self.acknowledge(state, actions);
    }

    // zab: FollowerProcessUPTODATE
    pub(super) fn on_up_to_date(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        match self.stage {
            Stage::Prepared => self.begin_to_serve(state, actions),
            // Before ZooKeeper 3.4 there was no NEWLEADER in between.
            Stage::Copying if self.old_protocol => {
                self.unacknowledged.clone_from(&self.uncommitted);
                self.adopt_epoch(state, actions);
            }
            _ => actions.push(Action::Leave(Reason::BadPacket)),
        }
    }

    /// A quorum stands behind the leader: what it said to be committed is.
    fn begin_to_serve(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        self.stage = Stage::Serving;
        actions.push(Action::ActivateConfig);
        actions.push(Action::ToLeader(packet(PacketType::Ack, self.epoch.start())));
        state.history.commit(self.told_committed);
        actions.push(Action::Establish(self.told_committed));
        self.acknowledge(state, actions);
    }
}
