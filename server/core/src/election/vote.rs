//! A vote, the order of votes, and when two of them are the same (`Vote`, `FastLeaderElection`).

use rookeeper_protocol::peer::{Notification, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

use crate::ensemble::Quorum;

/// Whom a server would follow, and what it knows of that one's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The one voted for. Who has no vote of its own begins with a number that nobody has.
    pub leader: ServerId,
    /// The last transaction that this one has logged.
    pub zxid: Zxid,
    /// The last epoch that it has taken part in.
    pub peer_epoch: i64,
    /// The round of voting (Java's electionEpoch and logicalclock).
    pub round: i64,
}

impl Vote {
    /// Whether to change over to this vote from `other`: a newer epoch, in the same epoch more transactions, then
    /// the larger number. Rounds are compared elsewhere. Whose votes weigh nothing never leads
    /// (`FastLeaderElection.totalOrderPredicate`).
    ///
    /// In Java a server without weight may think its own vote the best and stay with it, so that it hears of the
    /// election's end only when it repeats its vote. Here it leaves it for anybody's who can be elected.
    pub fn beats(&self, other: &Vote, quorum: &Quorum) -> bool {
        let electable = |vote: &Vote| quorum.weight(vote.leader) != 0;
        electable(self) && (!electable(other) || self.rank() > other.rank())
    }

    /// What votes are compared by.
    pub fn rank(&self) -> (i64, Zxid, ServerId) {
        let zxid = if planted!(VoteOrderWrong) { Zxid(self.leader.0) } else { self.zxid };
        (self.peer_epoch, zxid, self.leader)
    }

    /// The vote in a notification.
    pub(super) fn of(notification: &Notification<'_>) -> Self {
        let Notification { leader, zxid, peer_epoch, election_epoch: round, .. } = *notification;
        Self { leader, zxid, peer_epoch, round }
    }
}

/// A vote as it is counted: with what its sender was doing, and in which form it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ballot {
    pub(super) vote: Vote,
    pub(super) state: PeerState,
    /// The form of the notification: 0 is from before ZooKeeper 3.4.6.
    pub(super) version: i32,
}

impl Ballot {
    /// The vote of one who looks for a leader; its form does not count.
    pub(super) fn looking(vote: Vote) -> Self {
        Self { vote, state: PeerState::Looking, version: 0 }
    }

    /// Whether two votes count together (`Vote.equals`).
    ///
    /// Members of a running ensemble may have learnt of their leader at different times, so that zxid and round
    /// of their votes differ (ZOOKEEPER-1805); and old forms had no epoch that could be compared with that of new
    /// ones (ZOOKEEPER-1732). Within one round votes for one leader count together whatever their epochs, since a
    /// member's vote has the new epoch only when it has taken over the leader's history. Java knows that of its
    /// own round only.
    pub(super) fn counts_with(&self, other: &Ballot) -> bool {
        if self.state == PeerState::Looking || other.state == PeerState::Looking {
            return self.vote == other.vote;
        }
        let one_is_old = (self.version > 0) != (other.version > 0);
        let same_term = self.vote.peer_epoch == other.vote.peer_epoch || self.vote.round == other.vote.round;
        self.vote.leader == other.vote.leader && (one_is_old || same_term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{ConfigRules, EnsembleConfig};

    fn vote(peer_epoch: i64, zxid: i64, leader: i64, round: i64) -> Vote {
        Vote { leader: ServerId(leader), zxid: Zxid(zxid), peer_epoch, round }
    }

    fn quorum(text: &str) -> Quorum {
        EnsembleConfig::parse(text, ConfigRules { multi_address: false, standalone_enabled: true }).unwrap().quorum()
    }

    /// `totalOrderPredicate`.
    #[test]
    fn order() {
        let quorum = quorum("server.1=a:1:2\nserver.2=b:1:2\nversion=0");
        let rising = [
            vote(i64::MIN, i64::MIN, i64::MIN, 9),
            vote(0, 0, 1, 8),
            vote(0, 0, 2, 7),
            vote(0, 5, 1, 6),
            vote(1, 0, 1, 5),
            vote(1, 4, 1, 4),
            vote(1, 4, 2, 3),
        ];
        for (at, low) in rising.iter().enumerate() {
            assert!(!low.beats(low, &quorum));
            for high in &rising[at + 1..] {
                assert!(high.beats(low, &quorum) && !low.beats(high, &quorum), "{low:?} {high:?}");
            }
        }
    }

    #[test]
    fn no_weight_no_leader() {
        let quorum = quorum("server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\nweight.2=0\nversion=0");
        let (one, two) = (vote(1, 1, 1, 1), vote(2, 2, 2, 1));
        assert!(!two.beats(&one, &quorum) && one.beats(&two, &quorum));
        assert!(vote(1, 1, 1, 1).beats(&vote(i64::MIN, i64::MIN, i64::MIN, 1), &quorum));
    }

    /// `Vote.equals`.
    #[test]
    fn which_votes_count_together() {
        let ballot = |vote, state, version| Ballot { vote, state, version };
        use PeerState::{Following, Leading, Looking};
        let a = vote(3, 7, 1, 5);
        for (other, looking, following, mixed) in [
            (vote(3, 7, 1, 5), true, true, true),
            (vote(3, 8, 1, 5), false, true, true),
            (vote(3, 7, 1, 6), false, true, true),
            (vote(4, 7, 1, 5), false, true, true),
            (vote(4, 7, 1, 6), false, false, true),
            (vote(3, 7, 2, 5), false, false, false),
        ] {
            assert_eq!(ballot(a, Looking, 2).counts_with(&ballot(other, Following, 2)), looking, "{other:?}");
            assert_eq!(ballot(a, Leading, 2).counts_with(&ballot(other, Looking, 0)), looking, "{other:?}");
            assert_eq!(ballot(a, Leading, 2).counts_with(&ballot(other, Following, 1)), following, "{other:?}");
            assert_eq!(ballot(a, Leading, 0).counts_with(&ballot(other, Following, 0)), following, "{other:?}");
            assert_eq!(ballot(a, Leading, 2).counts_with(&ballot(other, Following, 0)), mixed, "{other:?}");
        }
    }
}
