//! Broadcast: proposals go out in order, and are committed in order once a quorum has them on disk (`Leader#propose`,
//! `#processAck`, `#tryToCommit`).
//!
//! An acknowledgement stands for everything before it, since learners log and acknowledge in order. So a learner is one
//! number, and what is committed is the highest number that a quorum has reached.

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{CommitAndActivate, InformAndActivate, PacketType, write_packet};
use rookeeper_protocol::types::Zxid;

use super::learner::Phase;
use super::{Leader, Stage};
use crate::ensemble::designated_leader;
use crate::zab::action::{Action, LearnerLink, Reason};
use crate::zab::history::{LogRecord, follows};
use crate::zab::packet;
use crate::zab::state::State;

/// `sync`s that may wait at a time: a learner that asks for more is sent away. Its clients wait for their answers, so that
/// this is more than an ensemble has clients.
pub(super) const SYNCS_MAX: usize = 100_000;

/// Who asked for a `sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncer {
    /// A client of this server.
    Here,
    /// A client of a learner, or of somebody behind it.
    Learner(LearnerLink),
}

/// A `sync` that is not answered yet.
#[derive(Debug)]
pub(super) struct WaitingSync {
    pub(super) who: Syncer,
    /// What was proposed when it came must be committed.
    through: Zxid,
    /// A quorum must have answered a ping of this round: it still follows this leader. Java asks nobody, so that a leader
    /// that was replaced without noticing lies.
    round: u64,
}

/// Rounds of pings that ask whether a quorum still follows.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The newest round that was begun.
    begun: u64,
    /// The newest one that a quorum answered.
    answered: u64,
}

impl Leader {
    /// Sends proposals: `records` in their order, and the same as PROPOSAL packets in `frame`.
    // zab: LeaderProcessRequest
    pub fn propose(
        &mut self,
        state: &mut State,
        now_ms: i64,
        records: impl IntoIterator<Item = LogRecord>,
        frame: &Bytes,
        actions: &mut Vec<Action>,
    ) {
        for record in records {
            debug_assert!(follows(self.last_proposed, record.zxid), "proposals are numbered without a gap");
            self.last_proposed = record.zxid;
            self.figures.proposed(record.payload.len());
            state.history.append(record.clone());
            actions.push(Action::Append(record));
        }
        let zxid = self.last_proposed;
        for (link, learner) in &mut self.learners {
            if learner.is_forwarded_to() && learner.follows {
                learner.proposed(zxid, now_ms);
                actions.push(Action::ToLearner(*link, frame.clone()));
            }
        }
    }

    /// The newest proposal is a reconfiguration; from now on both lists decide.
    pub fn reconfigures(&mut self) {
        self.reconfig = Some(self.last_proposed);
    }

    /// A learner has something on disk.
    // zab: LeaderProcessACK
    pub(super) fn on_ack(
        &mut self,
        state: &mut State,
        now_ms: i64,
        link: LearnerLink,
        zxid: Zxid,
        actions: &mut Vec<Action>,
    ) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        if zxid == self.epoch.start() {
            // Java's learners send this once more behind UPTODATE.
            if learner.phase == Phase::Synchronizing {
                self.on_new_leader_ack(state, now_ms, link, actions);
            }
            return;
        }
        // Observers acknowledge nothing that would count; others not what they were never sent.
        if !learner.follows {
            return;
        }
        if zxid > learner.sent {
            return self.dismiss(link, Reason::BadAcknowledgement, actions);
        }
        match learner.acked {
            Some(acked) if zxid <= acked => return,
            Some(acked) if !follows(acked, zxid) => return self.dismiss(link, Reason::BadAcknowledgement, actions),
            // The first one may be any: what a learner had when it was synchronized it does not acknowledge.
            _ => learner.acknowledged(zxid),
        }
        // One that acknowledges proposals before it acknowledges NEWLEADER (Java before 3.9.3) counts when it has done both.
        self.has_new_acks |= self.stage == Stage::Broadcasting && learner.phase >= Phase::Synchronized;
    }

    /// Looks whether more is committed, if a learner has acknowledged more since the last look: once for all the packets that
    /// came together.
    pub fn count_new_acks(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        if std::mem::take(&mut self.has_new_acks) {
            self.count_acks(state, actions);
        }
    }

    /// Looks whether more is committed: the highest zxid that a quorum of each list has, the leader's own log included.
    // zab: LeaderTryToCommit
    pub(super) fn count_acks(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        if self.is_replaced || self.relays {
            return;
        }
        let (me, own) = (self.me, state.history.durable());
        let acked = |id| {
            if id == me {
                return Some(own);
            }
            let learner = self.learners.get(self.links.get(&id)?)?;
            if learner.phase >= Phase::Synchronized { learner.acked } else { None }
        };
        let reached = state.membership.quorums().highest(acked).unwrap_or(Zxid::ZERO).min(self.last_proposed);
        // Whoever asked for a sync waits for its answer in front of what was proposed later. By acknowledging that, the
        // quorum tells that it still follows.
        while let Some(through) = self.syncs.front().map(|sync| sync.through).filter(|through| *through < reached) {
            self.commit(state, through, actions);
            if let Some(sync) = self.syncs.pop_front_if(|sync| sync.through <= through) {
                answer(&sync, actions);
            }
        }
        self.commit(state, reached, actions);
    }

    /// Commits up to `through`, a reconfiguration on the way by itself.
    fn commit(&mut self, state: &mut State, through: Zxid, actions: &mut Vec<Action>) {
        if let Some(reconfig) = self.reconfig.filter(|reconfig| *reconfig <= through) {
            self.commit_plain(state, Zxid(reconfig.0 - 1), actions);
            self.commit_reconfig(state, reconfig, actions);
        }
        if !self.is_replaced {
            self.commit_plain(state, through, actions);
        }
    }

    /// Tells everybody that a list of members is in force, and who leads under it (`Leader#commitAndActivate`).
    fn commit_reconfig(&mut self, state: &mut State, zxid: Zxid, actions: &mut Vec<Action>) {
        self.reconfig = None;
        let membership = &state.membership;
        let acked = |id| self.learners.get(self.links.get(&id)?)?.acked;
        let leader = designated_leader(self.me, membership.active(), membership.last_seen(), zxid, acked);
        let (mut commit, mut inform) = (BytesMut::new(), BytesMut::new());
        CommitAndActivate { leader }.write_packet(&mut commit, zxid);
        if let Some(record) = state.history.window_after(Zxid(zxid.0 - 1)).next() {
            InformAndActivate { leader, entry: record.payload.clone() }.write_packet(&mut inform, zxid);
        }
        self.tell_committed(zxid, &commit.freeze(), &inform.freeze(), actions);
        state.history.commit(zxid);
        actions.push(Action::Commit(zxid));
        actions.push(Action::Activate(zxid, leader));
        self.is_replaced = leader != self.me;
        self.answer_syncs(state, actions);
    }

    /// Hands out what tells that everything up to `through` is committed.
    pub(super) fn tell_committed(
        &mut self,
        through: Zxid,
        commits: &Bytes,
        informs: &Bytes,
        actions: &mut Vec<Action>,
    ) {
        for (link, learner) in self.learners.iter_mut().filter(|(_, learner)| learner.is_forwarded_to()) {
            let frame = if learner.follows { commits } else { informs };
            actions.push(Action::ToLearner(*link, frame.clone()));
            if !learner.follows {
                learner.sent = through;
            }
        }
    }

    fn commit_plain(&mut self, state: &mut State, through: Zxid, actions: &mut Vec<Action>) {
        let before = state.history.committed();
        if through <= before {
            return;
        }
        let mut commits = BytesMut::new();
        let mut informs = BytesMut::new();
        let observed = self.learners.values().any(|learner| learner.is_forwarded_to() && !learner.follows);
        for record in state.history.window_after(before).take_while(|record| record.zxid <= through) {
            write_packet(&mut commits, PacketType::Commit, record.zxid, None);
            if observed {
                write_packet(&mut informs, PacketType::Inform, record.zxid, Some(&record.payload));
            }
        }
        // Nothing stands between the epoch's beginning and a reconfiguration that is its first transaction.
        if commits.is_empty() {
            return;
        }
        self.tell_committed(through, &commits.freeze(), &informs.freeze(), actions);
        state.history.commit(through);
        actions.push(Action::Commit(through));
        self.answer_syncs(state, actions);
    }

    /// A client wants to see all that is committed now. It is answered when all that is proposed now is committed, and
    /// a quorum has told that it still follows.
    pub fn sync(&mut self, state: &State, who: Syncer, actions: &mut Vec<Action>) {
        if let Syncer::Learner(link) = who
            && self.syncs.len() >= SYNCS_MAX
        {
            return self.dismiss(link, Reason::TooManyRequests, actions);
        }
        // What came before this epoch is committed.
        let through = if self.has_proposed() { self.last_proposed } else { state.history.committed() };
        let sync = WaitingSync { who, through, round: self.round.begun + 1 };
        if planted!(SyncUnasked) {
            return answer(&sync, actions);
        }
        self.syncs.push_back(sync);
        self.begin_round(actions);
        self.answer_syncs(state, actions);
    }

    /// Asks everybody whether they still follow, unless they are being asked: then the next round begins with the
    /// answers to this one.
    fn begin_round(&mut self, actions: &mut Vec<Action>) {
        let wanted = self.syncs.back().is_some_and(|newest| newest.round > self.round.begun);
        if self.round.answered < self.round.begun || !wanted {
            return;
        }
        self.round.begun += 1;
        self.ping_all(actions);
    }

    fn ping_all(&mut self, actions: &mut Vec<Action>) {
        let ping = packet(PacketType::Ping, self.last_proposed);
        for (link, learner) in self.learners.iter_mut().filter(|(_, learner)| learner.is_forwarded_to()) {
            learner.pinged(self.round.begun);
            actions.push(Action::ToLearner(*link, ping.clone()));
        }
    }

    /// Answers what can be answered, in order.
    pub(super) fn answer_syncs(&mut self, state: &State, actions: &mut Vec<Action>) {
        loop {
            let (me, begun) = (self.me, self.round.begun);
            let round = |id| {
                let learner = || self.learners.get(self.links.get(&id)?).filter(|learner| learner.follows);
                if id == me { Some(begun) } else { learner().map(|learner| learner.round) }
            };
            self.round.answered = state.membership.quorums().highest(round).unwrap_or(0);
            self.begin_round(actions);
            let (answered, committed) = (self.round.answered, state.history.committed());
            let ready = |sync: &mut WaitingSync| sync.round <= answered && sync.through <= committed;
            let Some(sync) = self.syncs.pop_front_if(ready) else { return };
            answer(&sync, actions);
        }
    }

    /// Twice in a tick the learners are pinged, and once the quorum is counted (`Leader#lead`).
    pub(super) fn tick(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        self.next_ping_ms = now_ms + state.rules.ping_ms();
        if self.quorum_is_due && !self.relays && !self.has_quorum(state, now_ms) {
            return actions.push(Action::Leave(Reason::NoQuorum));
        }
        self.quorum_is_due = !self.quorum_is_due;
        let slow: Vec<_> = self
            .learners
            .iter()
            .filter(|(_, learner)| learner.is_forwarded_to() && learner.is_too_slow(now_ms, &state.rules))
            .map(|(link, _)| *link)
            .collect();
        for link in slow {
            self.dismiss(link, Reason::Unacknowledged, actions);
        }
        self.ping_all(actions);
    }

    fn has_quorum(&self, state: &State, now_ms: i64) -> bool {
        let counts = |id| {
            let learner = self.links.get(&id).and_then(|link| self.learners.get(link));
            id == self.me || learner.is_some_and(|learner| learner.follows && learner.counts(now_ms))
        };
        state.membership.quorums().satisfied_by(counts)
    }
}

fn answer(sync: &WaitingSync, actions: &mut Vec<Action>) {
    actions.push(match sync.who {
        Syncer::Here => Action::Synced,
        Syncer::Learner(link) => Action::ToLearner(link, packet(PacketType::Sync, Zxid::ZERO)),
    });
}
