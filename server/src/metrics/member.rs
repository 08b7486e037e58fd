//! What a member of an ensemble measures ([`rookeeper_core::peer::Measure`]).

use rookeeper_core::peer::{Measure, Sample};

use super::percentiles::Percentiles;
use super::summary::Summary;

/// Times in milliseconds since the start, or since `srst`.
#[derive(Debug, Default)]
pub(crate) struct MemberTimes {
    pub(super) election: Summary,
    pub(super) unavailable: Summary,
    pub(super) leader_unavailable: Summary,
    pub(super) follower_sync: Summary,
    pub(super) observer_sync: Summary,
    pub(super) quorum_ack: Percentiles,
    pub(super) commit_propagation: Percentiles,
    pub(super) proposal: Percentiles,
    pub(super) propagation: Percentiles,
}

impl MemberTimes {
    /// Adds what the machine has measured.
    pub(crate) fn add(&self, sample: &Sample) {
        let Sample { measure, ms, count } = *sample;
        match measure {
            Measure::Election => self.election.add_many(ms, count),
            Measure::Unavailable => self.unavailable.add_many(ms, count),
            Measure::LeaderUnavailable => self.leader_unavailable.add_many(ms, count),
            Measure::FollowerSync => self.follower_sync.add_many(ms, count),
            Measure::ObserverSync => self.observer_sync.add_many(ms, count),
            Measure::QuorumAck => self.quorum_ack.add_many(ms, count),
            Measure::CommitPropagation => self.commit_propagation.add_many(ms, count),
            Measure::Proposal => self.proposal.add_many(ms, count),
            Measure::Propagation => self.propagation.add_many(ms, count),
        }
    }

    /// Begins anew.
    pub(super) fn reset(&self) {
        let summaries =
            [&self.election, &self.unavailable, &self.leader_unavailable, &self.follower_sync, &self.observer_sync];
        summaries.into_iter().for_each(Summary::reset);
        let distributions = [&self.quorum_ack, &self.commit_propagation, &self.proposal, &self.propagation];
        distributions.into_iter().for_each(Percentiles::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_count_as_often_as_they_say() {
        let times = MemberTimes::default();
        times.add(&Sample { measure: Measure::Election, ms: 40, count: 1 });
        times.add(&Sample { measure: Measure::QuorumAck, ms: 3, count: 5 });
        times.add(&Sample { measure: Measure::QuorumAck, ms: 9, count: 1 });
        assert_eq!((times.election.count(), times.election.total(), times.election.min()), (1, 40, 40));
        assert_eq!((times.quorum_ack.count(), times.quorum_ack.summary().total()), (6, 24));
        assert_eq!(times.quorum_ack.values_at([0.5, 0.99]), [3, 9]);
        times.reset();
        assert_eq!((times.election.count(), times.quorum_ack.count(), times.propagation.count()), (0, 0, 0));
    }
}
