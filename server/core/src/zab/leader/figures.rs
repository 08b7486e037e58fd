//! What operators ask of a leader (`LeaderZooKeeperServer#registerMetrics`, `BufferStats`).

use super::Leader;
use super::learner::Sync;
use crate::zab::state::State;

/// Lengths of proposed transactions in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalSizes {
    /// The newest one's.
    pub last: usize,
    /// The shortest one's.
    pub min: usize,
    /// The longest one's.
    pub max: usize,
}

/// A leader's learners by their kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LearnerCounts {
    /// All connections, those included that have said nothing yet.
    pub all: usize,
    /// Followers that get what everybody gets.
    pub followers: usize,
    /// Those of them that no list in force names as voters.
    pub non_voting: usize,
    /// Observers that get what everybody gets.
    pub observers: usize,
}

/// How often learners were brought to a leader's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncCounts {
    /// By what they lacked, or a cut.
    pub diffs: u64,
    /// By a snapshot.
    pub snapshots: u64,
}

/// What a leader counts while it leads.
#[derive(Debug, Default)]
pub(super) struct Figures {
    sizes: Option<ProposalSizes>,
    syncs: SyncCounts,
    serves_since_ms: Option<i64>,
}

impl Figures {
    pub(super) fn proposed(&mut self, bytes: usize) {
        let before = self.sizes.unwrap_or(ProposalSizes { last: bytes, min: bytes, max: bytes });
        self.sizes = Some(ProposalSizes { last: bytes, min: before.min.min(bytes), max: before.max.max(bytes) });
    }

    pub(super) fn synchronizes(&mut self, sync: Sync) {
        match sync {
            Sync::Diff => self.syncs.diffs += 1,
            Sync::Snap => self.syncs.snapshots += 1,
        }
    }

    pub(super) fn established(&mut self, now_ms: i64) {
        self.serves_since_ms = Some(now_ms);
    }
}

impl Leader {
    /// Its learners by their kinds.
    pub fn learner_counts(&self, state: &State) -> LearnerCounts {
        let mut counts = LearnerCounts { all: self.learners.len(), ..LearnerCounts::default() };
        for learner in self.learners.values().filter(|learner| learner.is_forwarded_to()) {
            if !learner.follows {
                counts.observers += 1;
                continue;
            }
            counts.followers += 1;
            if !learner.server.is_some_and(|server| state.membership.active().is_voter(server)) {
                counts.non_voting += 1;
            }
        }
        counts
    }

    /// Lengths of what it has proposed, if it has proposed anything.
    pub fn proposal_sizes(&self) -> Option<ProposalSizes> {
        self.figures.sizes
    }

    /// How often it has begun to bring a learner to its history.
    pub fn sync_counts(&self) -> SyncCounts {
        self.figures.syncs
    }

    /// Since when it proposes and commits, in monotonic milliseconds.
    pub fn serves_since_ms(&self) -> Option<i64> {
        self.figures.serves_since_ms
    }

    /// How many `sync`s wait.
    pub fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_last_the_shortest_and_the_longest() {
        let mut figures = Figures::default();
        assert_eq!(figures.sizes, None);
        for bytes in [50, 20, 70, 30] {
            figures.proposed(bytes);
        }
        assert_eq!(figures.sizes, Some(ProposalSizes { last: 30, min: 20, max: 70 }));
    }
}
