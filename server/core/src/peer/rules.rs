//! What a server needs to know before it begins.

use crate::election::Timing;
use crate::ensemble::Membership;
use crate::pipeline::PipelineRules;
use crate::session::LocalSessions;
use crate::zab::{Epochs, ZabRules};

use super::input::Loaded;

/// Limits and switches.
#[derive(Debug, Clone)]
pub struct PeerRules {
    /// The agreement's.
    pub zab: ZabRules,
    /// The pipeline's.
    pub pipeline: PipelineRules,
    /// The election's.
    pub election: Timing,
    /// `zookeeper.commitLogCount`: committed records kept in memory for learners that lack little.
    pub commit_log_count: usize,
    /// `zookeeper.leaderServes`: whether a leader serves clients.
    pub leader_serves: bool,
    /// `zookeeper.observer.election.DelayMs`: an observer that lost its leader waits for less than this before it looks
    /// for another, in milliseconds.
    pub observer_delay_ms: i64,
    /// `zookeeper.observer.reconnectDelayMs`: an observer that has tried all observer masters waits for less than this
    /// before it begins anew, in milliseconds.
    pub observer_reconnect_delay_ms: i64,
    /// `observerMasterPort` is set: an observer learns from any voter instead of the leader alone.
    pub observer_masters: bool,
    /// `localSessionsEnabled` and `localSessionsUpgradingEnabled`.
    pub local_sessions: LocalSessions,
    /// `readonlymode.enabled`: a server that finds no quorum shows its tree to clients that said they can do with that.
    pub read_only_mode: bool,
    /// Makes what is random different on each server.
    pub seed: u64,
}

/// What was found on disk.
#[derive(Debug)]
pub struct Start {
    /// Who belongs to the ensemble.
    pub membership: Membership,
    /// The epochs.
    pub epochs: Epochs,
    /// The tree that was loaded, the whole log applied to it.
    pub loaded: Loaded,
    /// It is an empty tree, and nobody knows what it should be: the server has no part in elections until a leader has sent
    /// it a snapshot (`zookeeper.db.autocreate`, `FileTxnSnapLog#restore`).
    pub is_unknown: bool,
}
