//! Mistakes for the simulator to find, one at a time. They are not compiled into a server.

use std::cell::Cell;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A follower acknowledges what its disk has not flushed (ZOOKEEPER-4646).
    AckBeforeFlush,
    /// Half of the voters are enough.
    QuorumOffByOne,
    /// A leader takes what it has sent for acknowledged.
    CommitBeforeAck,
    /// A follower acknowledges an epoch that it has not written down.
    EpochNotPersisted,
    /// A follower takes TRUNC for DIFF.
    TruncSkipped,
    /// A vote is judged by the server's number before its zxid.
    VoteOrderWrong,
    /// A session that expires is not marked, and expires again.
    SessionClosedTwice,
    /// A follower acknowledges NEWLEADER while its history is on the way to the disk (ZOOKEEPER-3911).
    HistoryNotDurable,
    /// The epochs overtake the history on the way to the disk (ZOOKEEPER-4643).
    EpochBeforeHistory,
    /// A watch is taken out, and its client is not told.
    EventLost,
    /// Of the znodes that go with a session one stays.
    EphemeralKept,
    /// A leader leaves out the last record of a DIFF.
    DiffWithHole,
    /// A leader answers `sync` without asking whether it still leads.
    SyncUnasked,
    /// A read-only server shows what it has logged, agreed on or not.
    UnagreedShown,
    /// A read-only server takes clients that did not say that they can do with that.
    ReadOnlyForAll,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::AckBeforeFlush,
        Self::QuorumOffByOne,
        Self::CommitBeforeAck,
        Self::EpochNotPersisted,
        Self::TruncSkipped,
        Self::VoteOrderWrong,
        Self::SessionClosedTwice,
        Self::HistoryNotDurable,
        Self::EpochBeforeHistory,
        Self::EventLost,
        Self::EphemeralKept,
        Self::DiffWithHole,
        Self::SyncUnasked,
        Self::UnagreedShown,
        Self::ReadOnlyForAll,
    ];
}

thread_local! {
    static MADE: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// From now on this mistake is made on this thread, or none.
pub fn plant(mistake: Option<Mistake>) {
    MADE.set(mistake);
}

/// Whether it is.
pub(crate) fn is_made(mistake: Mistake) -> bool {
    MADE.get() == Some(mistake)
}
