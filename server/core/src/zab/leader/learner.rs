//! What a leader knows of one learner (`LearnerHandler`).
//!
//! ```text
//!  Connected --FOLLOWERINFO--> Introduced --epoch found--> Informed --ACKEPOCH--> Acknowledged
//!     --quorum of them--> Planning | Opening -> Sending | Reading --all it lacks--> Synchronizing
//!     --ACK of NEWLEADER--> Synchronized --leader established--> UpToDate
//! ```

use std::collections::VecDeque;

use rookeeper_protocol::peer::PEER_PROTOCOL_VERSION;
use rookeeper_protocol::types::{ServerId, Zxid};

use crate::zab::epoch::Epoch;
use crate::zab::state::ZabRules;
use crate::zab::sync_plan::LearnerState;

/// Pings that a learner may leave unanswered though it says other things. Each `sync` may bring one, thousands in a second.
const PINGS_MAX: usize = 64 << 10;

/// How far a learner has come; the picture is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It has said nothing yet.
    Connected,
    /// It told which epoch it has accepted, and waits for the new one.
    Introduced,
    /// It was told the new epoch.
    Informed,
    /// It has accepted the new epoch, and waits until a quorum has.
    Acknowledged,
    /// What it is to be sent depends on the log, which is being read.
    Planning,
    /// A picture of the tree is made for it.
    Opening,
    /// The picture is on its way.
    Sending,
    /// Records of the log are on their way.
    Reading,
    /// It was sent all that it lacked, and NEWLEADER; from here on it gets what everybody gets.
    Synchronizing,
    /// It has all of this on disk, and waits until the leader serves.
    Synchronized,
    /// It serves.
    UpToDate,
}

/// What a learner is sent until it acknowledges NEWLEADER. There may be only so many of each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// A snapshot.
    Snap,
    /// What it lacks, or a cut.
    Diff,
}

/// Proposals that wait for a learner's acknowledgement: two are remembered, as by Java's `SyncLimitCheck`.
#[derive(Debug, Default)]
struct Unacknowledged {
    /// The one watched now, and when it was sent (monotonic milliseconds).
    watched: Option<(Zxid, i64)>,
    /// The newest one behind it; watched next.
    newest: Option<(Zxid, i64)>,
}

/// One learner.
#[derive(Debug)]
pub struct ServedLearner {
    /// Its server, once it said so.
    pub server: Option<ServerId>,
    /// It follows; otherwise it observes, and gets nothing but what is committed.
    pub follows: bool,
    /// The protocol that it speaks.
    protocol_version: i32,
    /// How far it has come.
    pub phase: Phase,
    /// What it is being sent.
    pub(super) sync: Option<Sync>,
    /// What it told of its history.
    pub told: LearnerState,
    /// Everything up to here was written to it, or was there already.
    pub sent: Zxid,
    /// Everything up to here is on its disk. Unknown until it acknowledges a proposal.
    pub acked: Option<Zxid>,
    /// When it was heard last, or asked something, in monotonic milliseconds.
    heard_ms: i64,
    /// Until when it counts as one of the quorum that a leader needs, in monotonic milliseconds.
    counts_until_ms: i64,
    unacknowledged: Unacknowledged,
    /// The rounds that the unanswered pings belong to.
    pings: VecDeque<u64>,
    /// The newest round that it answered.
    pub round: u64,
}

impl ServedLearner {
    pub(super) fn new(now_ms: i64, rules: &ZabRules) -> Self {
        Self {
            server: None,
            follows: false,
            protocol_version: 0,
            phase: Phase::Connected,
            sync: None,
            told: LearnerState { last_zxid: Zxid::ZERO, current_epoch: None },
            sent: Zxid::ZERO,
            acked: None,
            heard_ms: now_ms,
            counts_until_ms: now_ms + rules.init_ms() + rules.sync_ms(),
            unacknowledged: Unacknowledged::default(),
            pings: VecDeque::new(),
            round: 0,
        }
    }

    pub(super) fn introduce(&mut self, server: ServerId, follows: bool, protocol_version: i32) {
        self.server = Some(server);
        self.follows = follows;
        self.protocol_version = protocol_version;
        self.phase = Phase::Introduced;
    }

    /// Whether it knows LEADERINFO and ACKEPOCH, and the configuration in NEWLEADER.
    pub(super) fn speaks_epochs(&self) -> bool {
        self.protocol_version >= PEER_PROTOCOL_VERSION
    }

    /// Whether live packets go to it.
    pub(super) fn is_forwarded_to(&self) -> bool {
        self.phase >= Phase::Synchronizing
    }

    /// The leader begins to wait for it.
    pub(super) fn awaited(&mut self, now_ms: i64) {
        self.heard_ms = now_ms;
    }

    /// It was heard.
    pub(super) fn heard(&mut self, now_ms: i64, rules: &ZabRules) {
        self.heard_ms = now_ms;
        if self.phase == Phase::UpToDate {
            self.counts_until_ms = now_ms + rules.sync_ms();
        }
    }

    /// The leader serves from now on: only now its ticks begin to count.
    pub(super) fn count_from(&mut self, now_ms: i64, rules: &ZabRules) {
        self.counts_until_ms = now_ms + rules.init_ms() + rules.sync_ms();
    }

    /// Whether it is one of the quorum that a leader needs (`LearnerHandler#synced`).
    pub(super) fn counts(&self, now_ms: i64) -> bool {
        now_ms <= self.counts_until_ms
    }

    /// When its silence ends the connection, where the leader waits for it (`Socket#setSoTimeout`).
    pub(super) fn deadline_ms(&self, rules: &ZabRules) -> Option<i64> {
        match self.phase {
            Phase::Connected | Phase::Informed | Phase::Synchronizing => Some(self.heard_ms + rules.init_ms()),
            Phase::Synchronized | Phase::UpToDate => Some(self.heard_ms + rules.sync_ms()),
            Phase::Introduced
            | Phase::Acknowledged
            | Phase::Planning
            | Phase::Opening
            | Phase::Sending
            | Phase::Reading => None,
        }
    }

    /// A proposal was sent to it. Only those behind its synchronization are watched.
    pub(super) fn proposed(&mut self, zxid: Zxid, now_ms: i64) {
        self.sent = zxid;
        if planted!(CommitBeforeAck) {
            self.acked = Some(zxid);
        }
        if self.phase < Phase::Synchronized {
            return;
        }
        let unacknowledged = &mut self.unacknowledged;
        match unacknowledged.watched {
            None => unacknowledged.watched = Some((zxid, now_ms)),
            Some(_) => unacknowledged.newest = Some((zxid, now_ms)),
        }
    }

    /// It has everything up to `zxid` on disk.
    pub(super) fn acknowledged(&mut self, zxid: Zxid) {
        self.acked = Some(zxid);
        let unacknowledged = &mut self.unacknowledged;
        if unacknowledged.watched.is_some_and(|(watched, _)| watched <= zxid) {
            unacknowledged.watched = unacknowledged.newest.take().filter(|(newest, _)| *newest > zxid);
        }
    }

    /// Whether a proposal has waited too long for it (`SyncLimitCheck#check`), or too many pings have.
    pub(super) fn is_too_slow(&self, now_ms: i64, rules: &ZabRules) -> bool {
        let unacknowledged = self.unacknowledged.watched;
        unacknowledged.is_some_and(|(_, since_ms)| now_ms - since_ms >= rules.sync_ms()) || self.pings.len() > PINGS_MAX
    }

    /// A ping of this round is sent. Java's learners pass over what comes before UPTODATE.
    pub(super) fn pinged(&mut self, round: u64) {
        if self.phase == Phase::UpToDate {
            self.pings.push_back(round);
        }
    }

    /// The oldest ping was answered. False if there was none.
    pub(super) fn answered(&mut self) -> bool {
        let Some(round) = self.pings.pop_front() else { return false };
        self.round = round;
        true
    }

    /// The epoch that a learner of the old protocol must be in: that of its last zxid.
    pub(super) fn extrapolated_epoch(&self) -> Option<Epoch> {
        Epoch::of(self.told.last_zxid)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::zab::sync_plan::SyncRules;

    const RULES: ZabRules = ZabRules {
        tick_ms: 1000,
        init_limit: 10,
        sync_limit: 5,
        connect_limit: 0,
        sync: SyncRules { snapshot_size_permille: None, ..SyncRules::DEFAULT },
        epoch_wait_ms_max: None,
        observer_sync: true,
        first_counter: 0,
    };

    fn learner(phase: Phase) -> ServedLearner {
        ServedLearner { phase, ..ServedLearner::new(0, &RULES) }
    }

    #[test]
    fn of_many_unacknowledged_proposals_the_oldest_and_the_newest_are_watched() {
        let mut learner = learner(Phase::Synchronized);
        for (zxid, at_ms) in [(1, 100), (2, 200), (3, 300)] {
            learner.proposed(Zxid(zxid), at_ms);
        }
        assert!(!learner.is_too_slow(5099, &RULES) && learner.is_too_slow(5100, &RULES));
        learner.acknowledged(Zxid(1));
        assert!(!learner.is_too_slow(5299, &RULES) && learner.is_too_slow(5300, &RULES));
        // One acknowledgement may stand for many.
        learner.acknowledged(Zxid(3));
        assert!(!learner.is_too_slow(99_999, &RULES));
    }

    #[test]
    fn proposals_before_the_synchronization_are_not_watched() {
        let mut learner = learner(Phase::Synchronizing);
        learner.proposed(Zxid(1), 0);
        assert!(!learner.is_too_slow(99_999, &RULES) && learner.sent == Zxid(1));
    }

    #[test]
    fn only_who_is_waited_for_can_be_late() {
        let deadline = |phase| learner(phase).deadline_ms(&RULES);
        assert_eq!(deadline(Phase::Connected), Some(10_000));
        assert_eq!(deadline(Phase::Introduced), None);
        assert_eq!(deadline(Phase::Sending), None);
        assert_eq!(deadline(Phase::Synchronizing), Some(10_000));
        assert_eq!(deadline(Phase::UpToDate), Some(5000));
    }

    #[test]
    fn nobody_may_leave_pings_unanswered_for_ever() {
        let mut learner = learner(Phase::UpToDate);
        (0..PINGS_MAX as u64).for_each(|round| learner.pinged(round));
        assert!(!learner.is_too_slow(0, &RULES));
        learner.pinged(0);
        assert!(learner.is_too_slow(0, &RULES));
    }

    #[test]
    fn pings_are_answered_in_order() {
        let mut learner = learner(Phase::Synchronized);
        learner.pinged(1);
        assert!(!learner.answered());
        learner.phase = Phase::UpToDate;
        learner.pinged(2);
        learner.pinged(3);
        assert!(learner.answered() && learner.round == 2 && learner.answered() && learner.round == 3);
        assert!(!learner.answered());
    }
}
