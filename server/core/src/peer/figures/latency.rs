//! When transactions were made, until they are applied.

use std::collections::VecDeque;

use rookeeper_protocol::types::Zxid;

/// Transactions behind each other that were made in the same millisecond.
#[derive(Debug)]
struct Run {
    /// The transaction before the first.
    after: Zxid,
    /// The last one.
    through: Zxid,
    /// The time of all of them, in wall milliseconds.
    made_ms: i64,
}

impl Run {
    /// How many of them are behind `from` and not behind `to`.
    fn between(&self, from: Zxid, to: Zxid) -> u64 {
        let count = self.through.min(to).0 - self.after.max(from).0;
        u64::try_from(count).unwrap_or(0)
    }
}

/// What was proposed in this role and is not applied. There are never more runs than transactions on their way.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    runs: VecDeque<Run>,
    committed: Zxid,
    applied: Zxid,
}

impl Timeline {
    /// The transactions behind `after` up to `through` were made at this time.
    pub(super) fn proposed(&mut self, after: Zxid, through: Zxid, made_ms: i64) {
        match self.runs.back_mut().filter(|run| run.made_ms == made_ms && run.through == after) {
            Some(run) => run.through = through,
            None => self.runs.push_back(Run { after, through, made_ms }),
        }
    }

    /// Whether there is anything up to here that was not said to be committed.
    pub(super) fn has_uncommitted(&self, through: Zxid) -> bool {
        through > self.committed && self.runs.front().is_some_and(|run| run.after < through)
    }

    /// Everything up to `through` is committed; tells the times of what was not before, and how many have each.
    pub(super) fn committed(&mut self, through: Zxid, mut tell: impl FnMut(i64, u64)) {
        let from = self.committed;
        self.committed = from.max(through);
        for run in self.runs.iter().take_while(|run| run.after < through) {
            tell(run.made_ms, run.between(from, through));
        }
    }

    /// Everything up to `through` is applied; tells the same, and forgets it.
    pub(super) fn applied(&mut self, through: Zxid, mut tell: impl FnMut(i64, u64)) {
        let from = self.applied;
        self.applied = from.max(through);
        for run in self.runs.iter().take_while(|run| run.after < through) {
            tell(run.made_ms, run.between(from, through));
        }
        while self.runs.pop_front_if(|run| run.through <= through).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(mut what: impl FnMut(&mut dyn FnMut(i64, u64))) -> Vec<(i64, u64)> {
        let mut told = Vec::new();
        what(&mut |made_ms, count| told.extend((count > 0).then_some((made_ms, count))));
        told
    }

    #[test]
    fn each_transaction_is_told_once_when_it_is_committed_and_once_when_it_is_applied() {
        let mut timeline = Timeline::default();
        for (after, through, made_ms) in [(0, 3, 100), (3, 5, 100), (5, 9, 101)] {
            timeline.proposed(Zxid(after), Zxid(through), made_ms);
        }
        assert_eq!(timeline.runs.len(), 2);
        assert_eq!(told(|tell| timeline.committed(Zxid(2), tell)), [(100, 2)]);
        assert!(!timeline.has_uncommitted(Zxid(2)) && timeline.has_uncommitted(Zxid(3)));
        assert_eq!(told(|tell| timeline.committed(Zxid(6), tell)), [(100, 3), (101, 1)]);
        assert_eq!(told(|tell| timeline.applied(Zxid(4), tell)), [(100, 4)]);
        assert_eq!(told(|tell| timeline.applied(Zxid(6), tell)), [(100, 1), (101, 1)]);
        assert_eq!(told(|tell| timeline.committed(Zxid(9), tell)), [(101, 3)]);
        assert_eq!(told(|tell| timeline.applied(Zxid(9), tell)), [(101, 3)]);
        assert!(timeline.runs.is_empty() && !timeline.has_uncommitted(Zxid(9)));
    }
}
