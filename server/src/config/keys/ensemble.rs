//! Properties of elections, of the leader and of learners. One server alone reads none of them,
//! in Java either, so they are checked and otherwise left in peace.

use super::{ENSEMBLE, Key, Kind, Place, key};

const fn property(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    key(Place::Property, name, kind, default, about, ENSEMBLE)
}

const fn property_or_bare(name: &'static str, about: &'static str) -> Key {
    key(Place::PropertyOrBare, name, Kind::Bool, "false", about, ENSEMBLE)
}

pub(super) static KEYS: &[Key] = &[
    property("commitLogCount", Kind::PlainInt, "500", "Transactions kept in memory for learners, at least 500"),
    property("snapshotSizeFactor", Kind::Real, "0.33", "Part of a snapshot's size up to which the log is sent instead"),
    property("cnxTimeout", Kind::PlainInt, "5000", "Timeout of election connections, ms"),
    property("quorumCnxnTimeoutMs", Kind::Int, "-1", "Read timeout of election connections, ms"),
    property("electionPortBindRetry", Kind::Int, "3", "Tries to bind the election port; 0: for ever"),
    property("fastleader.minNotificationInterval", Kind::Int, "200", "First wait for votes, ms"),
    property("fastleader.maxNotificationInterval", Kind::Int, "60000", "Longest wait for votes, ms"),
    property("leaderConnectDelayDuringRetryMs", Kind::Int, "100", "Wait between two tries to reach the leader, ms"),
    property("leaderServes", Kind::Exactly("no", "yes"), "yes", "no: the leader serves no clients"),
    property("leader.maxConcurrentSnapSyncs", Kind::Int, "10", "Snapshots sent at a time"),
    property("leader.maxConcurrentDiffSyncs", Kind::Int, "100", "Logs sent at a time"),
    property("leader.maxTimeToWaitForEpoch", Kind::Int, "-1", "Longest wait for a new epoch, ms"),
    property("leader.ackLoggingFrequency", Kind::Int, "1000", "Every how many acknowledgements a line is logged"),
    property_or_bare("leader.closeSocketAsync", "Closes learner sockets in the background"),
    property_or_bare("learner.closeSocketAsync", "Closes the leader's socket in the background"),
    property_or_bare("learner.asyncSending", "Sends to the leader in the background"),
    property("forceSnapshotSync", Kind::Bool, "false", "Learners always get a snapshot"),
    property("observer.syncEnabled", Kind::Bool, "", "Overrides syncEnabled"),
    property("observer.reconnectDelayMs", Kind::Long, "0", "Wait before an observer connects again, ms"),
    property("observer.election.DelayMs", Kind::Long, "200", "Wait before an observer looks for a leader, ms"),
    property("observerMaster.sizeLimit", Kind::Int, "33554432", "Bytes kept for observers"),
    property(
        "follower.skipLearnerRequestToNextProcessor",
        Kind::Bool,
        "false",
        "Learners' requests take the short way",
    ),
    property(
        "forward_learner_requests_to_commit_processor_disabled",
        Kind::Bool,
        "false",
        "Learners' requests take the short way at the leader",
    ),
    property("commitProcessor.numWorkerThreads", Kind::Int, "", "Threads that answer reads"),
    property("commitProcessor.shutdownTimeout", Kind::Long, "5000", "How long a stop waits for them, ms"),
    property("commitProcessor.maxReadBatchSize", Kind::Int, "-1", "Reads before a commit is looked for"),
    property("commitProcessor.maxCommitBatchSize", Kind::Int, "1", "Commits before reads are looked for"),
    property("tcpKeepAlive", Kind::Bool, "false", "TCP keepalive on election connections"),
    property("messageTracker.Enabled", Kind::Bool, "false", "Keeps the last messages of a learner for the log"),
    property("messageTracker.BufferSize", Kind::Int, "10", "How many"),
];
