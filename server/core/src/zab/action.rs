//! What the agreement asks for, and the names of what it deals with.
//!
//! The roles know neither files nor sockets nor write numbers: they say what is to be done, and are told what has
//! become durable. Whoever owns them ([`crate::peer`]) sees to the rest.

use std::fmt;

use bytes::Bytes;
use rookeeper_protocol::types::{ServerId, Zxid};

use super::epoch::Epochs;
use super::history::LogRecord;

/// A connection that somebody made to this server's learner port. The driver gives the numbers, none twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnerLink(pub u64);

/// An attempt to connect to the leader, and the connection that comes of it. Counted up by the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Append to the log.
    Append(LogRecord),
    /// Write both epochs to disk, behind everything appended before.
    PersistEpochs(Epochs),
    /// Cut the log behind this record.
    Truncate(Zxid),
    /// Take the snapshot of everything up to this transaction that follows on the connection to the leader. What is
    /// appended from now on belongs behind it.
    ReceiveSnapshot(Zxid),
    /// Put the snapshot, and what was appended behind it, in the place of everything.
    InstallSnapshot,
    /// Forget the snapshot, and what was appended behind it.
    DropSnapshot,

    /// Connect to the leader.
    Dial {
        /// The attempt.
        dial: DialId,
        /// To whom.
        to: ServerId,
        /// Milliseconds that it may take.
        timeout_ms: i64,
    },
    /// The same at the port for observers.
    DialObserverMaster {
        /// The attempt.
        dial: DialId,
        /// To whom.
        to: ServerId,
        /// Milliseconds that it may take.
        timeout_ms: i64,
    },
    /// Write packets to the leader.
    ToLeader(Bytes),

    /// Write packets to a learner.
    ToLearner(LearnerLink, Bytes),
    /// Make a picture of the tree for a learner.
    OpenSnapshot(LearnerLink),
    /// Send it, behind what was written before.
    SendSnapshot(LearnerLink),
    /// Read the log for a learner, once it has taken what was written before.
    ReadHistory {
        /// For whom.
        link: LearnerLink,
        /// Behind this transaction, which need not be in the log.
        after: Zxid,
        /// Up to this one.
        through: Zxid,
        /// Only if there is no more of it than this share of a snapshot, in thousandths.
        size_limit_permille: Option<u32>,
    },
    /// Close a learner's connection.
    Dismiss {
        /// The connection.
        link: LearnerLink,
        /// Its server, if it said so.
        server: Option<ServerId>,
        /// Why.
        reason: Reason,
    },

    /// The leader told its last list of members, as the data of NEWLEADER.
    SeeConfig(Bytes),
    /// The list of members gets this version, its first.
    SeeFirstConfig(i64),
    /// The last list of members that was seen is in force.
    ActivateConfig,
    /// The reconfiguration with this zxid is committed, and who is to lead from now on.
    Activate(Zxid, ServerId),
    /// A quorum stands behind this server's history, or the leader said so: all of it up to here is committed, and is
    /// to be applied before anybody is served.
    Establish(Zxid),
    /// Everything up to here is committed.
    Commit(Zxid),
    /// The leader has committed everything that it had when the oldest waiting `sync` asked.
    Synced,
    /// A learner is synchronized from now on.
    Synchronized(ServerId),
    /// The role ends.
    Leave(Reason),
}

/// Why a connection or a role ended. Each names the rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It did not come as far as it should have within initLimit.
    TooSlow,
    /// It was silent for longer than its limit.
    Silent,
    /// It left a proposal unacknowledged for longer than syncLimit.
    Unacknowledged,
    /// A packet that is not allowed here, or that cannot be read.
    BadPacket,
    /// It acknowledged what it was not sent.
    BadAcknowledgement,
    /// A proposal that does not follow the one before.
    BadProposal,
    /// A commit of something else than the oldest proposal.
    BadCommit,
    /// Its configuration is newer than the leader's.
    NewerConfiguration,
    /// Its history is newer than the leader's.
    NewerHistory,
    /// Its epoch is older than what was accepted.
    OldEpoch,
    /// A voter has accepted a newer epoch than this leader's, so that only a new leader can bring it along.
    NewerEpoch,
    /// After the cut that the leader asked for, the log ends somewhere else: it must be asked again.
    CutTooShort,
    /// The leader asked for a cut before something that is committed; it must be asked for a snapshot.
    CommittedCut,
    /// What the learner lacks is not in the log any more.
    HistoryGone,
    /// There are too many connections already.
    TooMany,
    /// Too many learners are being synchronized already.
    TooManySyncs,
    /// It asks faster than it can be answered.
    TooManyRequests,
    /// The same server came again on another connection.
    Replaced,
    /// The connection ended.
    Disconnected,
    /// The leader could not be reached.
    Unreachable,
    /// No quorum of servers is in sync.
    NoQuorum,
    /// A voter looks for a leader again, before a quorum has come.
    DisloyalVoter,
    /// The epoch has no zxids left.
    EpochFull,
    /// A reconfiguration changed who leads, or what this server is.
    Reconfigured,
    /// This server does not lead.
    NotLeading,
    /// This server stops.
    Stopping,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooSlow => "it took longer than initLimit allows",
            Self::Silent => "it was silent for longer than allowed",
            Self::Unacknowledged => "it left a proposal unacknowledged for longer than syncLimit allows",
            Self::BadPacket => "it sent a packet that is not allowed here",
            Self::BadAcknowledgement => "it acknowledged what it was not sent",
            Self::BadProposal => "it sent a proposal that does not follow the one before",
            Self::BadCommit => "it committed something else than the oldest proposal",
            Self::NewerConfiguration => "its configuration is newer than the leader's",
            Self::NewerHistory => "its history is newer than the leader's",
            Self::OldEpoch => "its epoch is older than the one accepted",
            Self::NewerEpoch => "a voter has accepted a newer epoch",
            Self::CutTooShort => "the log had a gap where it was cut",
            Self::CommittedCut => "it wanted something cut that is committed here",
            Self::HistoryGone => "what it lacks is not in the log any more",
            Self::TooMany => "there are too many learners",
            Self::TooManySyncs => "too many learners are being synchronized",
            Self::TooManyRequests => "it asked for more than may wait at a time",
            Self::Replaced => "the same server connected again",
            Self::Disconnected => "the connection ended",
            Self::Unreachable => "it cannot be reached",
            Self::NoQuorum => "no quorum of servers is in sync",
            Self::DisloyalVoter => "a voter looks for another leader, and no quorum came in time",
            Self::EpochFull => "the epoch has no zxids left",
            Self::Reconfigured => "a reconfiguration changed its part",
            Self::NotLeading => "this server does not lead",
            Self::Stopping => "this server stops",
        })
    }
}
