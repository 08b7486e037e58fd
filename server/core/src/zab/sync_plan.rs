//! How a learner is brought to the leader's history: the choice of DIFF, TRUNC or SNAP
//! (`LearnerHandler#syncFollower`, `#queueCommittedProposals`).
//!
//! Everything here is a function of what the leader has and of the last zxid that the learner told. Whatever the choice,
//! the learner then gets all records behind the named one.

use rookeeper_protocol::types::Zxid;

use super::epoch::Epoch;
use super::history::History;

/// Switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncRules {
    /// `zookeeper.forceSnapshotSync`: always a snapshot.
    pub force_snapshot: bool,
    /// `zookeeper.snapshotSizeFactor` in thousandths: a learner that lacks more than the window has is served from the
    /// log on disk, if what it lacks is no longer than this share of a snapshot. `None` (a negative factor): never.
    pub snapshot_size_permille: Option<u32>,
    /// `zookeeper.leader.maxConcurrentSnapSyncs`: observers are refused while so many learners are sent snapshots.
    pub snap_syncs_max: usize,
    /// `zookeeper.leader.maxConcurrentDiffSyncs`: the same for learners that are sent what they lack.
    pub diff_syncs_max: usize,
}

impl SyncRules {
    /// What holds without a configuration.
    pub const DEFAULT: Self =
        Self { force_snapshot: false, snapshot_size_permille: Some(330), snap_syncs_max: 10, diff_syncs_max: 100 };
}

/// What a learner told of its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerState {
    /// The last zxid of its log.
    pub last_zxid: Zxid,
    /// Its current epoch; `None` when it did not tell.
    pub current_epoch: Option<Epoch>,
}

impl LearnerState {
    /// Whether the learner stands at the beginning of an epoch: no transaction has this number, so that nobody can find
    /// it, and there is nothing behind it to be cut.
    fn at_epoch_start(&self) -> bool {
        self.last_zxid.counter() == 0
    }

    /// Whether its history is one that a leader had up to some zxid, and then something else. Not so behind a
    /// synchronization that was cut short: then there are records of an epoch whose initial history the learner may
    /// lack in part, and what is left after a cut may have a hole. Java does not look at that.
    fn may_be_cut(&self) -> bool {
        match (self.current_epoch, Epoch::of(self.last_zxid)) {
            (Some(current), Some(last)) => last <= current,
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }
}

/// What a learner is sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPlan {
    /// Its history is the beginning of the leader's.
    Diff {
        /// The zxid in the packet: where the learner will be.
        target: Zxid,
        /// It gets everything behind this.
        after: Zxid,
    },
    /// It has more than the leader: that goes.
    Trunc {
        /// What stays. It gets everything behind this.
        keep: Zxid,
    },
    /// It lacks what is not in memory; [`plan_from_log`] decides when the log was read.
    Log,
    /// A snapshot.
    Snap,
}

/// Decides by what is in memory. `committed` is where the leader's committed history ends: while a leader is not
/// established, all that it brought along counts.
pub fn plan(history: &History, committed: Zxid, learner: &LearnerState, rules: &SyncRules) -> SyncPlan {
    let last = learner.last_zxid;
    // Without anything in memory Java takes the last zxid for both ends.
    let oldest = history.first_in_window().filter(|first| *first <= committed).unwrap_or(committed);
    // No log reaches back before the first zxid: so a learner asks that cannot be cut where it should be.
    if rules.force_snapshot || last < Zxid::ZERO {
        return SyncPlan::Snap;
    }
    if last == committed {
        return SyncPlan::Diff { target: last, after: last };
    }
    if last > committed {
        return match !learner.at_epoch_start() && learner.may_be_cut() {
            true => SyncPlan::Trunc { keep: committed },
            false => SyncPlan::Snap,
        };
    }
    if last >= oldest {
        let at_or_before = history.at_or_before(last).unwrap_or(oldest);
        let next = history.window_after(last).map(|record| record.zxid).find(|zxid| *zxid <= committed);
        return walk(at_or_before, next, committed, learner);
    }
    match rules.snapshot_size_permille {
        Some(_) => SyncPlan::Log,
        None => SyncPlan::Snap,
    }
}

/// Decides by what the log has: its newest record at or before the learner's last zxid, and the one behind that.
pub fn plan_from_log(at_or_before: Zxid, next: Option<Zxid>, committed: Zxid, learner: &LearnerState) -> SyncPlan {
    walk(at_or_before, next, committed, learner)
}

fn walk(at_or_before: Zxid, next: Option<Zxid>, committed: Zxid, learner: &LearnerState) -> SyncPlan {
    let last = learner.last_zxid;
    if at_or_before == last || learner.at_epoch_start() {
        return SyncPlan::Diff { target: committed, after: last };
    }
    match next {
        // A cut never crosses the border of an epoch.
        Some(next) if next.epoch() == last.epoch() && learner.may_be_cut() => SyncPlan::Trunc { keep: at_or_before },
        _ => SyncPlan::Snap,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::zab::LogRecord;
    use bytes::Bytes;

    const RULES: SyncRules = SyncRules::DEFAULT;
    /// Two records of epoch 1, three of epoch 2, the last of them not committed.
    const WINDOW: [i64; 5] = [0x1_0000_0006, 0x1_0000_0007, 0x2_0000_0001, 0x2_0000_0002, 0x2_0000_0003];
    const COMMITTED: Zxid = Zxid(0x2_0000_0002);

    fn history() -> History {
        let record = |zxid| LogRecord { zxid: Zxid(zxid), payload: Bytes::new() };
        History::new(500, Zxid(WINDOW[4]), COMMITTED, WINDOW.map(record).to_vec())
    }

    fn learner(last_zxid: i64) -> LearnerState {
        LearnerState { last_zxid: Zxid(last_zxid), current_epoch: Some(Epoch(9)) }
    }

    fn plan_for(last_zxid: i64) -> SyncPlan {
        plan(&history(), COMMITTED, &learner(last_zxid), &RULES)
    }

    fn diff(after: i64) -> SyncPlan {
        SyncPlan::Diff { target: COMMITTED, after: Zxid(after) }
    }

    #[test]
    fn rule_1_a_snapshot_can_be_forced() {
        let rules = SyncRules { force_snapshot: true, ..RULES };
        assert_eq!(plan(&history(), COMMITTED, &learner(COMMITTED.0), &rules), SyncPlan::Snap);
    }

    #[test]
    fn who_has_nothing_that_could_be_kept_gets_a_snapshot() {
        assert_eq!(plan_for(-1), SyncPlan::Snap);
        assert_eq!(plan_for(-2), SyncPlan::Snap);
    }

    #[test]
    fn rule_2_who_has_everything_gets_an_empty_diff() {
        assert_eq!(plan_for(COMMITTED.0), diff(COMMITTED.0));
    }

    #[test]
    fn rule_3_who_has_more_than_is_committed_is_cut() {
        assert_eq!(plan_for(0x2_0000_0003), SyncPlan::Trunc { keep: COMMITTED });
        assert_eq!(plan_for(0x3_0000_0005), SyncPlan::Trunc { keep: COMMITTED });
        // Unless there is nothing to be cut.
        assert_eq!(plan_for(0x3_0000_0000), SyncPlan::Snap);
    }

    #[test]
    fn rule_4_who_is_within_the_window_gets_the_rest_of_it() {
        assert_eq!(plan_for(0x1_0000_0006), diff(0x1_0000_0006));
        assert_eq!(plan_for(0x2_0000_0001), diff(0x2_0000_0001));
        // The start of an epoch is no transaction, but everybody knows what lies behind it.
        assert_eq!(plan_for(0x2_0000_0000), diff(0x2_0000_0000));
        // Not found, and the next one is of another epoch.
        assert_eq!(plan_for(0x1_0000_0009), SyncPlan::Snap);
        // Not found, and the next one is of the same epoch.
        let mut history = History::new(500, Zxid(9), Zxid(9), Vec::new());
        for zxid in [10, 12, 13] {
            history.append(LogRecord { zxid: Zxid(zxid), payload: Bytes::new() });
        }
        history.commit(Zxid(13));
        assert_eq!(plan(&history, Zxid(13), &learner(11), &RULES), SyncPlan::Trunc { keep: Zxid(10) });
    }

    #[test]
    fn rule_5_who_is_behind_the_window_is_served_from_the_log_if_that_is_allowed() {
        assert_eq!(plan_for(0x1_0000_0005), SyncPlan::Log);
        assert_eq!(plan_for(0), SyncPlan::Log);
        let rules = SyncRules { snapshot_size_permille: None, ..RULES };
        assert_eq!(plan(&history(), COMMITTED, &learner(5), &rules), SyncPlan::Snap);
        let from_log = |last, at_or_before, next: Option<i64>| {
            plan_from_log(Zxid(at_or_before), next.map(Zxid), COMMITTED, &learner(last))
        };
        assert_eq!(from_log(5, 5, Some(6)), diff(5));
        assert_eq!(from_log(5, 5, None), diff(5));
        assert_eq!(from_log(5, 4, Some(6)), SyncPlan::Trunc { keep: Zxid(4) });
        assert_eq!(from_log(5, 4, Some(0x1_0000_0001)), SyncPlan::Snap);
        assert_eq!(from_log(5, 4, None), SyncPlan::Snap);
        assert_eq!(from_log(0x1_0000_0000, 4, Some(0x1_0000_0001)), diff(0x1_0000_0000));
    }

    #[test]
    fn with_nothing_in_memory_both_ends_of_the_window_are_the_last_zxid() {
        let history = History::new(500, Zxid(9), Zxid(9), Vec::new());
        let plan = |last| super::plan(&history, Zxid(9), &learner(last), &RULES);
        assert_eq!(plan(9), SyncPlan::Diff { target: Zxid(9), after: Zxid(9) });
        assert_eq!(plan(10), SyncPlan::Trunc { keep: Zxid(9) });
        assert_eq!(plan(8), SyncPlan::Log);
    }

    #[test]
    fn what_a_leader_brought_along_counts_as_committed_until_it_is_established() {
        let plan = |last| super::plan(&history(), Zxid(WINDOW[4]), &learner(last), &RULES);
        assert_eq!(plan(0x2_0000_0003), SyncPlan::Diff { target: Zxid(WINDOW[4]), after: Zxid(WINDOW[4]) });
        assert_eq!(plan(0x2_0000_0002), SyncPlan::Diff { target: Zxid(WINDOW[4]), after: COMMITTED });
    }

    /// Not Java's rule: a learner that crashed while it was synchronized has records of an epoch that it never came to.
    #[test]
    fn a_history_that_was_taken_over_only_in_part_is_never_cut() {
        let learner = |current| LearnerState { last_zxid: Zxid(0x3_0000_0005), current_epoch: current };
        let plan = |current| super::plan(&history(), COMMITTED, &learner(current), &RULES);
        assert_eq!(plan(Some(Epoch(2))), SyncPlan::Snap);
        assert_eq!(plan(Some(Epoch(3))), SyncPlan::Trunc { keep: COMMITTED });
        assert_eq!(plan(None), SyncPlan::Trunc { keep: COMMITTED });
        // What is found in the leader's history is a beginning of it, however the learner came to it.
        let learner = LearnerState { last_zxid: Zxid(0x2_0000_0001), current_epoch: Some(Epoch(1)) };
        assert_eq!(super::plan(&history(), COMMITTED, &learner, &RULES), diff(0x2_0000_0001));
    }
}
