//! The part that a server plays, and how it goes from one to the next.

use rookeeper_protocol::peer::PeerState;

use crate::zab::DialId;
use crate::zab::leader::Leader;
use crate::zab::learner::Learner;

/// What a server is at the moment, with all that belongs to it.
#[derive(Debug)]
pub(super) enum Role {
    /// It looks for a leader.
    Looking,
    /// It will look for a leader.
    Pausing(Pause),
    /// It leads.
    Leading(Box<Leader>),
    /// It follows or observes a leader.
    Learning(Box<Learner>),
    /// It does nothing any more.
    Stopped,
}

/// What a server waits for before it looks for a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// This time, in monotonic milliseconds: observers do not come all at once.
    Until(i64),
    /// The disk: nobody knows where its log ends while it is cut or replaced.
    Disk,
}

impl Role {
    /// What others call it.
    pub(super) fn state(&self) -> PeerState {
        match self {
            Self::Looking | Self::Pausing(_) | Self::Stopped => PeerState::Looking,
            Self::Leading(_) => PeerState::Leading,
            Self::Learning(learner) if learner.follows() => PeerState::Following,
            Self::Learning(_) => PeerState::Observing,
        }
    }

    /// Whoever serves learners: a leader, or a follower's part that serves observers (`LearnerMaster`).
    pub(super) fn learner_master(&mut self) -> Option<&mut Leader> {
        match self {
            Self::Leading(leader) => Some(leader),
            Self::Learning(learner) => learner.observer_master_mut(),
            Self::Looking | Self::Pausing(_) | Self::Stopped => None,
        }
    }

    /// The learner, if `dial` is its present connection.
    pub(super) fn learner_on(&mut self, dial: DialId) -> Option<&mut Learner> {
        match self {
            Self::Learning(learner) if learner.dial() == dial => Some(learner),
            _ => None,
        }
    }
}

/// All changes of a server's state. An epoch begins with an election, or with a reconfiguration that names the leader.
pub const CHANGES: [(PeerState, PeerState); 14] = [
    (PeerState::Looking, PeerState::Leading),
    (PeerState::Looking, PeerState::Following),
    (PeerState::Looking, PeerState::Observing),
    (PeerState::Leading, PeerState::Looking),
    (PeerState::Following, PeerState::Looking),
    (PeerState::Observing, PeerState::Looking),
    // By a reconfiguration: another leader, a vote gained or lost.
    (PeerState::Leading, PeerState::Following),
    (PeerState::Leading, PeerState::Observing),
    (PeerState::Following, PeerState::Leading),
    (PeerState::Following, PeerState::Following),
    (PeerState::Following, PeerState::Observing),
    (PeerState::Observing, PeerState::Following),
    (PeerState::Observing, PeerState::Leading),
    (PeerState::Observing, PeerState::Observing),
];

/// Whether a server may go from one state to another.
pub fn may_become(from: PeerState, to: PeerState) -> bool {
    CHANGES.contains(&(from, to))
}
