//! Properties of elections, of the leader and of learners. One server alone reads none of them, in Java either.

use super::Status::{self, Accepted, Honoured};
use super::{Key, Kind, Place, key};

const ALWAYS: Status = Accepted("never waits for another server here, whatever is set");

const SOONER: Status =
    Accepted("a leader whose port is not open yet is tried again after 10 ms, and then ever later up to 100 ms");

const NO_PROCESSOR: Status = Accepted("there is no such processor here: reads and writes are ordered without one");

const FROM_THE_LOG: Status = Accepted("what observers lack is read from the log, and takes no memory");

const NO_TRACKER: Status = Accepted("what ended a connection is in the log by its rule");

const fn property(name: &'static str, kind: Kind, default: &'static str, about: &'static str, status: Status) -> Key {
    key(Place::Property, name, kind, default, about, status)
}

const fn property_or_bare(name: &'static str, about: &'static str) -> Key {
    key(Place::PropertyOrBare, name, Kind::Bool, "false", about, ALWAYS)
}

pub(super) static KEYS: &[Key] = &[
    property(
        "commitLogCount",
        Kind::PlainInt,
        "500",
        "Transactions kept in memory for learners, at least 500",
        Honoured,
    ),
    property(
        "snapshotSizeFactor",
        Kind::Real,
        "0.33",
        "Part of a snapshot's size up to which the log is sent instead",
        Honoured,
    ),
    property("cnxTimeout", Kind::PlainInt, "5000", "How long connecting to an election port may take, ms", Honoured),
    property(
        "quorumCnxnTimeoutMs",
        Kind::Int,
        "-1",
        "How long whoever calls the election port may take to say who it is, ms; -1: syncLimit ticks",
        Honoured,
    ),
    property("electionPortBindRetry", Kind::Int, "3", "Tries to bind the election port; 0: for ever", Honoured),
    property("fastleader.minNotificationInterval", Kind::Int, "200", "First wait for votes, ms", Honoured),
    property("fastleader.maxNotificationInterval", Kind::Int, "60000", "Longest wait for votes, ms", Honoured),
    property(
        "leaderConnectDelayDuringRetryMs",
        Kind::Int,
        "100",
        "Wait between two tries to reach the leader, ms",
        SOONER,
    ),
    property("leaderServes", Kind::Exactly("no", "yes"), "yes", "no: the leader serves no clients", Honoured),
    property("leader.maxConcurrentSnapSyncs", Kind::Int, "10", "Snapshots sent at a time", Honoured),
    property("leader.maxConcurrentDiffSyncs", Kind::Int, "100", "Logs sent at a time", Honoured),
    property("leader.maxTimeToWaitForEpoch", Kind::Int, "-1", "Longest wait for a new epoch, ms", Honoured),
    property(
        "leader.ackLoggingFrequency",
        Kind::Int,
        "1000",
        "Every how many acknowledgements a line is logged",
        Accepted("acknowledgements are not logged one by one"),
    ),
    property_or_bare("leader.closeSocketAsync", "Closes learner sockets in the background"),
    property_or_bare("learner.closeSocketAsync", "Closes the leader's socket in the background"),
    property_or_bare("learner.asyncSending", "Sends to the leader in the background"),
    property("forceSnapshotSync", Kind::Bool, "false", "Learners always get a snapshot", Honoured),
    property("observer.syncEnabled", Kind::Bool, "", "Overrides syncEnabled", Honoured),
    property("observer.reconnectDelayMs", Kind::Long, "0", "Wait before an observer connects again, ms", Honoured),
    property(
        "observer.election.DelayMs",
        Kind::Long,
        "200",
        "Wait before an observer looks for a leader, ms",
        Honoured,
    ),
    property("observerMaster.sizeLimit", Kind::Int, "33554432", "Bytes kept for observers", FROM_THE_LOG),
    property(
        "follower.skipLearnerRequestToNextProcessor",
        Kind::Bool,
        "false",
        "Learners' requests take the short way",
        NO_PROCESSOR,
    ),
    property(
        "forward_learner_requests_to_commit_processor_disabled",
        Kind::Bool,
        "false",
        "Learners' requests take the short way at the leader",
        NO_PROCESSOR,
    ),
    property("commitProcessor.numWorkerThreads", Kind::Int, "", "Threads that answer reads", NO_PROCESSOR),
    property("commitProcessor.shutdownTimeout", Kind::Long, "5000", "How long a stop waits for them, ms", NO_PROCESSOR),
    property("commitProcessor.maxReadBatchSize", Kind::Int, "-1", "Reads before a commit is looked for", NO_PROCESSOR),
    property("commitProcessor.maxCommitBatchSize", Kind::Int, "1", "Commits before reads are looked for", NO_PROCESSOR),
    property("tcpKeepAlive", Kind::Bool, "false", "TCP keepalive on election connections", Honoured),
    property(
        "messageTracker.Enabled",
        Kind::Bool,
        "false",
        "Keeps the last messages of a learner for the log",
        NO_TRACKER,
    ),
    property("messageTracker.BufferSize", Kind::Int, "10", "How many", NO_TRACKER),
];
