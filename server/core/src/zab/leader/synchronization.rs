//! Synchronization: learners are brought to the leader's history (`LearnerHandler#syncFollower`, `#run`), and a quorum
//! of them makes it committed (`Leader#waitForNewLeaderAck`).
//!
//! A learner is served in three steps, each behind the last zxid that was written to it: a snapshot or records of the log
//! on disk, piece by piece as it takes them; what is in memory, all at once; and from then on what everybody gets.

use bytes::BytesMut;
use rookeeper_protocol::peer::{PacketType, write_packet};
use rookeeper_protocol::types::Zxid;

use super::learner::{Phase, Sync};
use super::{Leader, Stage};
use crate::zab::action::{Action, LearnerLink, Reason};
use crate::zab::history::{HistoryPiece, LogRecord, follows};
use crate::zab::packet;
use crate::zab::state::State;
use crate::zab::sync_plan::{SyncPlan, plan, plan_from_log};

impl Leader {
    /// The new epoch is the leader's current one, on disk: now it may tell its history.
    pub(super) fn epoch_adopted(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        self.stage = Stage::Synchronizing;
        self.deadline_ms = now_ms + state.rules.init_ms();
        for link in self.links_in(Phase::Acknowledged) {
            self.synchronize(state, now_ms, link, actions);
        }
        self.count_ready(state, actions);
    }

    /// Where the history ends that learners are brought to. What a leader brought along is committed as soon as a
    /// quorum has it, so that it is sent as committed from the beginning.
    fn target(&self, state: &State) -> Zxid {
        if self.stage < Stage::Establishing { state.last_logged() } else { state.history.committed() }
    }

    /// Chooses how a learner is brought to the leader's history, and begins.
    // zab: LeaderSyncFollower
    pub(super) fn synchronize(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        let target = self.target(state);
        let Some(learner) = self.learners.get(&link) else { return };
        let plan = plan(&state.history, target, &learner.told, &state.rules.sync);
        self.follow_plan(state, now_ms, link, plan, actions);
    }

    /// Whether a learner may be sent what it lacks. While too many are, observers are refused: they come again. Followers are
    /// not, but they count (`LearnerSyncThrottler`).
    fn begin_sync(&mut self, state: &State, link: LearnerLink, sync: Sync, actions: &mut Vec<Action>) -> bool {
        let rules = &state.rules.sync;
        let count_max = match sync {
            Sync::Snap => rules.snap_syncs_max,
            Sync::Diff => rules.diff_syncs_max,
        };
        let count = self.learners.values().filter(|learner| learner.sync == Some(sync)).count();
        let Some(learner) = self.learners.get_mut(&link) else { return false };
        if !learner.follows && count >= count_max {
            self.dismiss(link, Reason::TooManySyncs, actions);
            return false;
        }
        learner.sync = Some(sync);
        self.figures.synchronizes(sync);
        true
    }

    fn follow_plan(
        &mut self,
        state: &State,
        now_ms: i64,
        link: LearnerLink,
        plan: SyncPlan,
        actions: &mut Vec<Action>,
    ) {
        let target = self.target(state);
        let sync = match plan {
            SyncPlan::Diff { .. } | SyncPlan::Trunc { .. } => Some(Sync::Diff),
            SyncPlan::Snap => Some(Sync::Snap),
            // Which it is shows in the log.
            SyncPlan::Log => None,
        };
        if sync.is_some_and(|sync| !self.begin_sync(state, link, sync, actions)) {
            return;
        }
        let Some(learner) = self.learners.get_mut(&link) else { return };
        match plan {
            SyncPlan::Diff { target, after } => {
                learner.sent = after;
                actions.push(Action::ToLearner(link, packet(PacketType::Diff, target)));
                self.serve(state, now_ms, link, actions);
            }
            SyncPlan::Trunc { keep } => {
                learner.sent = keep;
                actions.push(Action::ToLearner(link, packet(PacketType::Trunc, keep)));
                self.serve(state, now_ms, link, actions);
            }
            SyncPlan::Log => {
                learner.phase = Phase::Planning;
                let size_limit_permille = state.rules.sync.snapshot_size_permille;
                let after = learner.told.last_zxid;
                actions.push(Action::ReadHistory { link, after, through: target, size_limit_permille });
            }
            SyncPlan::Snap => {
                learner.phase = Phase::Opening;
                actions.push(Action::OpenSnapshot(link));
            }
        }
    }

    /// A piece of the log was read for a learner.
    pub fn on_history(
        &mut self,
        state: &State,
        now_ms: i64,
        link: LearnerLink,
        piece: HistoryPiece,
        actions: &mut Vec<Action>,
    ) {
        let target = self.target(state);
        let Some(learner) = self.learners.get_mut(&link) else { return };
        match (learner.phase, piece) {
            (Phase::Planning, HistoryPiece::Unavailable) => {
                self.follow_plan(state, now_ms, link, SyncPlan::Snap, actions);
            }
            (Phase::Planning, HistoryPiece::Records { at_or_before, records }) => {
                let next = records.first().map(|record| record.zxid);
                let (first, after) = match plan_from_log(at_or_before, next, target, &learner.told) {
                    SyncPlan::Diff { target, after } => (packet(PacketType::Diff, target), after),
                    SyncPlan::Trunc { keep } => (packet(PacketType::Trunc, keep), keep),
                    plan => return self.follow_plan(state, now_ms, link, plan, actions),
                };
                if !self.begin_sync(state, link, Sync::Diff, actions) {
                    return;
                }
                let Some(learner) = self.learners.get_mut(&link) else { return };
                actions.push(Action::ToLearner(link, first));
                learner.sent = after;
                learner.phase = Phase::Reading;
                self.send_piece(state, now_ms, link, &records, actions);
            }
            (Phase::Reading, HistoryPiece::Records { records, .. }) => {
                self.send_piece(state, now_ms, link, &records, actions);
            }
            (Phase::Reading, HistoryPiece::Unavailable) => self.dismiss(link, Reason::HistoryGone, actions),
            _ => {}
        }
    }

    /// Writes records of the log, and goes on.
    fn send_piece(
        &mut self,
        state: &State,
        now_ms: i64,
        link: LearnerLink,
        records: &[LogRecord],
        actions: &mut Vec<Action>,
    ) {
        let target = self.target(state);
        let Some(learner) = self.learners.get_mut(&link) else { return };
        let mut out = BytesMut::new();
        let from = learner.sent;
        for record in records.iter().filter(|record| record.zxid > from && record.zxid <= target) {
            if !follows(learner.sent, record.zxid) {
                // A hole in the log, or a driver that left something out: never pass it on (ZOOKEEPER-4925).
                return self.dismiss(link, Reason::HistoryGone, actions);
            }
            write_committed(&mut out, record);
            learner.sent = record.zxid;
        }
        let progress = !out.is_empty();
        if progress {
            actions.push(Action::ToLearner(link, out.freeze()));
        }
        if !progress && !state.history.window_reaches(learner.sent) {
            return self.dismiss(link, Reason::HistoryGone, actions);
        }
        self.serve(state, now_ms, link, actions);
    }

    /// Goes on behind what was sent: from memory if it reaches so far back, else from the log.
    fn serve(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        let through = self.target(state);
        let Some(learner) = self.learners.get_mut(&link) else { return };
        if state.history.window_reaches(learner.sent) {
            self.finish_synchronization(state, now_ms, link, actions);
        } else {
            learner.phase = Phase::Reading;
            let after = learner.sent;
            actions.push(Action::ReadHistory { link, after, through, size_limit_permille: None });
        }
    }

    /// The picture of the tree for a learner stands still at `zxid`.
    pub fn on_snapshot_opened(&mut self, link: LearnerLink, zxid: Zxid, actions: &mut Vec<Action>) {
        if let Some(learner) = self.learners.get_mut(&link)
            && learner.phase == Phase::Opening
        {
            learner.phase = Phase::Sending;
            learner.sent = zxid;
            actions.push(Action::ToLearner(link, packet(PacketType::Snap, zxid)));
            actions.push(Action::SendSnapshot(link));
        }
    }

    /// A learner was sent its picture to the last byte.
    pub fn on_snapshot_sent(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        if self.learners.get(&link).is_some_and(|learner| learner.phase == Phase::Sending) {
            self.serve(state, now_ms, link, actions);
        }
    }

    /// Writes what is in memory, and NEWLEADER behind it; the learner gets from now on what all get
    /// (`Leader#startForwarding`).
    fn finish_synchronization(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        let target = self.target(state);
        let config = state.membership.last_seen().to_string();
        let zxid = self.epoch.start();
        let Some(learner) = self.learners.get_mut(&link) else { return };
        let mut out = BytesMut::new();
        for record in state.history.window_after(learner.sent) {
            if planted!(DiffWithHole) && record.zxid == target {
                continue;
            }
            if record.zxid <= target {
                write_committed(&mut out, record);
            } else if learner.follows {
                write_packet(&mut out, PacketType::Proposal, record.zxid, Some(&record.payload));
            } else {
                break;
            }
            learner.sent = record.zxid;
        }
        let config = learner.speaks_epochs().then_some(config.as_bytes());
        write_packet(&mut out, PacketType::NewLeader, zxid, config);
        learner.phase = Phase::Synchronizing;
        learner.awaited(now_ms);
        actions.push(Action::ToLearner(link, out.freeze()));
    }

    /// A learner has the leader's history on disk.
    // zab: LeaderProcessACKLD
    pub(super) fn on_new_leader_ack(
        &mut self,
        state: &mut State,
        now_ms: i64,
        link: LearnerLink,
        actions: &mut Vec<Action>,
    ) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        (learner.phase, learner.sync) = (Phase::Synchronized, None);
        let (server, follows) = (learner.server, learner.follows);
        if let Some(server) = server
            && follows
            && state.membership.voters().contains(&server)
        {
            self.ready.insert(server);
        }
        if self.stage == Stage::Broadcasting {
            self.let_serve(state, now_ms, link, actions);
            // What it acknowledged before may be what was missing.
            self.count_acks(state, actions);
        } else {
            self.count_ready(state, actions);
        }
    }

    /// Looks whether a quorum has the leader's history. The leader counts once its own log is on disk.
    pub(super) fn count_ready(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        if self.stage != Stage::Synchronizing || state.history.durable() < state.last_logged() {
            return;
        }
        let (me, ready) = (self.me, &self.ready);
        if state.membership.quorums().satisfied_by(|id| id == me || ready.contains(&id)) {
            self.stage = Stage::Establishing;
            self.begins_behind = Zxid::new(self.epoch.0, state.rules.first_counter);
            self.last_proposed = self.begins_behind;
            let committed = state.last_logged();
            state.history.commit(committed);
            actions.push(Action::ActivateConfig);
            actions.push(Action::Establish(committed));
            // Nothing is waited for but the applying of what is committed.
            self.deadline_ms = i64::MAX;
        }
    }

    /// Everything that was committed with this leader is applied: it serves from now on.
    pub fn established(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        self.stage = Stage::Broadcasting;
        self.figures.established(now_ms);
        self.next_ping_ms = now_ms + state.rules.ping_ms();
        self.quorum_is_due = false;
        self.learners.values_mut().for_each(|learner| learner.count_from(now_ms, &state.rules));
        for link in self.links_in(Phase::Synchronized) {
            self.let_serve(state, now_ms, link, actions);
        }
    }

    fn let_serve(&mut self, state: &State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        learner.phase = Phase::UpToDate;
        learner.heard(now_ms, &state.rules);
        actions.push(Action::ToLearner(link, packet(PacketType::UpToDate, Zxid(-1))));
        if let Some(server) = learner.server {
            actions.push(Action::Synchronized(server));
        }
    }
}

/// A record that is committed: its PROPOSAL and at once its COMMIT, for observers too.
fn write_committed(out: &mut BytesMut, record: &LogRecord) {
    write_packet(out, PacketType::Proposal, record.zxid, Some(&record.payload));
    write_packet(out, PacketType::Commit, record.zxid, None);
}
