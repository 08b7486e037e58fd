//! What both roles borrow: who belongs to the ensemble, the epochs, the history, and the limits.

use rookeeper_protocol::types::Zxid;

use super::epoch::{Epoch, Epochs, StateSummary};
use super::history::History;
use super::sync_plan::SyncRules;
use crate::ensemble::Membership;

/// Limits and switches of the agreement, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZabRules {
    /// tickTime in milliseconds.
    pub tick_ms: i64,
    /// initLimit in ticks: connecting and synchronizing.
    pub init_limit: i64,
    /// syncLimit in ticks: silence and missing acknowledgements.
    pub sync_limit: i64,
    /// connectToLearnerMasterLimit in ticks; 0 is initLimit.
    pub connect_limit: i64,
    /// `zookeeper.leader.maxTimeToWaitForEpoch` in milliseconds: a leader that has waited longer for a quorum gives up when
    /// one of its voters looks for a leader again. `None` (a negative time): it waits for initLimit.
    pub epoch_wait_ms_max: Option<i64>,
    /// `syncEnabled` or `zookeeper.observer.syncEnabled`: whether an observer writes what it is told to its log.
    pub observer_sync: bool,
    /// How learners are synchronized.
    pub sync: SyncRules,
    /// The number behind which a leader begins to count in its epoch: 0, unless a test wants to see the end of an epoch
    /// (`zookeeper.testingonly.initialZxid`).
    pub first_counter: u32,
}

impl ZabRules {
    /// What a server has time for until it is synchronized, in milliseconds.
    pub fn init_ms(&self) -> i64 {
        self.tick_ms * self.init_limit
    }

    /// How long a synchronized server may be silent, in milliseconds.
    pub fn sync_ms(&self) -> i64 {
        self.tick_ms * self.sync_limit
    }

    /// The time between two pings, in milliseconds: half a tick, and never none.
    pub fn ping_ms(&self) -> i64 {
        (self.tick_ms / 2).max(1)
    }

    /// What connecting to a leader may take, in milliseconds.
    pub fn connect_ms(&self) -> i64 {
        self.tick_ms * if self.connect_limit > 0 { self.connect_limit } else { self.init_limit }
    }
}

/// The state.
#[derive(Debug)]
pub struct State {
    /// Limits and switches.
    pub rules: ZabRules,
    /// Who belongs to the ensemble.
    pub membership: Membership,
    /// The epochs, as they were last given to the disk.
    pub epochs: Epochs,
    /// The newest epoch that a voter is known to have accepted. Not on disk: it only saves elections.
    pub known_epoch: Epoch,
    /// The history.
    pub history: History,
    /// What is on disk cannot be brought to the leader's history by a cut: the next leader is asked for a snapshot.
    pub wants_snapshot: bool,
    /// The history goes on in memory behind the end of the log: the server observed and was not to write
    /// ([`ZabRules::observer_sync`]). Only a snapshot makes the log whole again.
    pub is_ahead_of_log: bool,
    /// There is nothing here, and nobody knows what there should be (`zookeeper.db.autocreate`): until a leader has sent a
    /// snapshot this server has no part in elections.
    pub is_unknown: bool,
}

impl State {
    /// How new this server's history is.
    pub fn summary(&self) -> StateSummary {
        StateSummary { epoch: self.epochs.current, last_zxid: self.history.last_logged() }
    }

    /// What the server stands for election with: nobody is elected for what would be gone after a crash.
    pub fn standing_zxid(&self) -> Zxid {
        match (self.is_unknown, self.is_ahead_of_log) {
            (true, _) => Zxid::UNKNOWN,
            (false, true) => self.history.durable(),
            (false, false) => self.history.last_logged(),
        }
    }

    /// The last zxid of the log.
    pub fn last_logged(&self) -> Zxid {
        self.history.last_logged()
    }
}
