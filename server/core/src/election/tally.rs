//! Votes that were heard, one of each server, and whether they decide (`FastLeaderElection.getVoteTracker`).

use std::collections::BTreeMap;

use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::ServerId;

use super::vote::Ballot;
use crate::ensemble::Quorums;

/// Java's recvset, or its outofelection. Only voters' ballots are put in, so that it is as small as the ensemble.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    ballots: BTreeMap<ServerId, Ballot>,
}

impl Tally {
    /// Counts a server's vote in the place of its earlier one. True if that was another, or none.
    pub(super) fn record(&mut self, from: ServerId, ballot: Ballot) -> bool {
        self.ballots.insert(from, ballot) != Some(ballot)
    }

    pub(super) fn clear(&mut self) {
        self.ballots.clear();
    }

    /// Whether the votes that count with this one are a quorum of every list of members.
    pub(super) fn decides(&self, ballot: &Ballot, quorums: &Quorums) -> bool {
        quorums.satisfied_by(|id| self.counts(id, ballot))
    }

    /// Whether those of the list in force do what this vote says. A newer list that this server alone remembers may have
    /// come to nothing; the leader sees to it that what it commits has all the quorums that it needs.
    pub(super) fn tells_of_ensemble(&self, ballot: &Ballot, quorums: &Quorums) -> bool {
        quorums.active().satisfied_by(|id| self.counts(id, ballot))
    }

    fn counts(&self, id: ServerId, ballot: &Ballot) -> bool {
        self.ballots.get(&id).is_some_and(|other| ballot.counts_with(other))
    }

    /// Whether it said by itself that it leads. What others believe is not enough: it may have crashed since
    /// (`FastLeaderElection.checkLeader`).
    pub(super) fn says_it_leads(&self, leader: ServerId) -> bool {
        self.ballots.get(&leader).is_some_and(|ballot| ballot.state == PeerState::Leading)
    }

    /// Whether its vote was heard.
    pub(super) fn heard(&self, id: ServerId) -> bool {
        self.ballots.contains_key(&id)
    }
}
