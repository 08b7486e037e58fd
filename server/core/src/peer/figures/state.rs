//! What a server is, and how far, in Java's words.

use std::fmt;

use rookeeper_protocol::peer::PeerState;

use crate::peer::{Peer, Role};
use crate::zab::leader::Stage as LeaderStage;
use crate::zab::learner::{Stage as LearnerStage, SyncMode};

/// How far a server is in the protocol (`QuorumPeer.ZabState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZabPhase {
    /// It has no leader.
    Election,
    /// The new epoch is being found.
    Discovery,
    /// Learners are brought to the leader's history.
    Synchronization,
    /// Transactions are proposed and committed.
    Broadcast,
}

/// What a server is, and how far (`QuorumPeer#getDetailedPeerState`). Its text is Java's, `following - broadcast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailedState {
    /// What it is.
    pub state: PeerState,
    /// How far it is.
    pub phase: ZabPhase,
    /// How it is being brought to the leader's history.
    pub sync: Option<SyncMode>,
}

impl fmt::Display for DetailedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            PeerState::Looking => "looking",
            PeerState::Following => "following",
            PeerState::Leading => "leading",
            PeerState::Observing => "observing",
        })?;
        f.write_str(match self.phase {
            ZabPhase::Election => "",
            ZabPhase::Discovery => " - discovery",
            ZabPhase::Synchronization => " - synchronization",
            ZabPhase::Broadcast => " - broadcast",
        })?;
        f.write_str(match self.sync {
            None => "",
            Some(SyncMode::Diff) => " - diff",
            Some(SyncMode::Snap) => " - snap",
            Some(SyncMode::Trunc) => " - trunc",
        })
    }
}

impl Peer {
    /// What it is, and how far.
    pub fn detailed_state(&self) -> DetailedState {
        let phase = match &self.role {
            Role::Looking | Role::Pausing(_) | Role::Stopped => ZabPhase::Election,
            Role::Leading(leader) => phase_of_leader(leader.stage()),
            Role::Learning(learner) => phase_of_learner(learner.stage()),
        };
        let sync = match &self.role {
            Role::Learning(learner) => learner.sync_mode(),
            _ => None,
        };
        DetailedState { state: self.peer_state(), phase, sync }
    }
}

fn phase_of_leader(stage: LeaderStage) -> ZabPhase {
    match stage {
        LeaderStage::Discovering | LeaderStage::Accepting | LeaderStage::Gathering | LeaderStage::Adopting => {
            ZabPhase::Discovery
        }
        LeaderStage::Synchronizing | LeaderStage::Establishing => ZabPhase::Synchronization,
        LeaderStage::Broadcasting => ZabPhase::Broadcast,
    }
}

fn phase_of_learner(stage: LearnerStage) -> ZabPhase {
    match stage {
        LearnerStage::Connecting | LearnerStage::Introduced | LearnerStage::Accepting => ZabPhase::Discovery,
        LearnerStage::Awaiting
        | LearnerStage::Cutting
        | LearnerStage::Receiving
        | LearnerStage::Copying
        | LearnerStage::Adopting
        | LearnerStage::Prepared => ZabPhase::Synchronization,
        LearnerStage::Serving => ZabPhase::Broadcast,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_javas_text() {
        let text = |state, phase, sync| DetailedState { state, phase, sync }.to_string();
        assert_eq!(text(PeerState::Looking, ZabPhase::Election, None), "looking");
        assert_eq!(text(PeerState::Leading, ZabPhase::Discovery, None), "leading - discovery");
        assert_eq!(text(PeerState::Observing, ZabPhase::Broadcast, None), "observing - broadcast");
        for (sync, word) in [(SyncMode::Diff, "diff"), (SyncMode::Snap, "snap"), (SyncMode::Trunc, "trunc")] {
            let expected = format!("following - synchronization - {word}");
            assert_eq!(text(PeerState::Following, ZabPhase::Synchronization, Some(sync)), expected);
        }
    }
}
