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

    /// The learner, if `dial` is its present connection.
    pub(super) fn learner_on(&mut self, dial: DialId) -> Option<&mut Learner> {
        match self {
            Self::Learning(learner) if learner.dial() == dial => Some(learner),
            _ => None,
        }
    }
}

/// All changes of a server's state: every epoch begins with an election, and nobody goes from leader to leader
/// without one.
pub const CHANGES: [(PeerState, PeerState); 6] = [
    (PeerState::Looking, PeerState::Leading),
    (PeerState::Looking, PeerState::Following),
    (PeerState::Looking, PeerState::Observing),
    (PeerState::Leading, PeerState::Looking),
    (PeerState::Following, PeerState::Looking),
    (PeerState::Observing, PeerState::Looking),
];

/// Whether a server may go from one state to another.
pub fn may_become(from: PeerState, to: PeerState) -> bool {
    CHANGES.contains(&(from, to))
}
