//! Everything that a server can ask of its driver.
//!
//! Outputs are carried out in their order, as far as they concern the same thing: the disk, or one connection. What
//! rests on a write is not handed out before the write was reported durable, so that a driver never has to wait.
//!
//! The machine relies on its driver for the following.
//!
//! **The disk is one queue.** [`Output::Append`], [`Output::PersistEpochs`], [`Output::Truncate`],
//! [`Output::ReceiveSnapshot`], [`Output::InstallSnapshot`], [`Output::DropSnapshot`], [`Output::MembersSeen`] and
//! [`Output::MembersActivated`] are carried out in their order, as if by one hand.
//! - A report for a write says that all before it is on disk too. So the log is flushed before the epochs are written, and
//!   before it is cut or replaced; and nothing is reported behind a list of members that is not on disk.
//! - Each write is reported once, in order, and never before it was taken.
//! - The first write that fails ends the process. Nobody knows what the disk holds then, and no report may be made up.
//!
//! **Connections may stop at any time,** and the machine has no clock for what only a driver sees.
//! - Writing never holds the machine up. A connection whose other end takes nothing for initLimit ticks, or for which more
//!   waits than the driver has memory for, is ended and reported as gone.
//! - The same for a snapshot that does not go on, in either direction. Whole packets the machine waits for by itself.
//! - [`Output::OpenSnapshot`], [`Output::SendSnapshot`] and [`Output::ReadHistory`] are always answered, if only by the end
//!   of the learner's connection; [`Output::Dial`] is answered within its time.
//! - An ended connection's bytes are not handed in any more. A number of a connection never comes twice.
//!
//! **Trees change hands.** When the driver reports [`super::Input::Truncated`] with what it has reloaded, or
//! [`super::Input::SnapshotInstalled`], the tree that it lends is the new one already, and no reader sees the old one any
//! more: all of it under one hold of the tree's lock. [`super::Peer::image_may_follow`] counts only while the lock is held
//! under which it was asked.

use bytes::Bytes;
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::{ServerId, SessionId, Zxid};

use crate::ensemble::Activation;
use crate::watch::ConnId;
use crate::zab::{DialId, Epochs, LearnerLink, LogRecord, Reason};

/// A write to disk. Counted up from 1 by the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WriteId(pub u64);

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a notification to a server over the election connection with it ([`crate::election::Links`]).
    ElectionMessage {
        /// To whom.
        to: ServerId,
        /// What stands behind its length.
        message: Bytes,
    },

    /// Append to the log (or behind the snapshot that is being received), and report when it is flushed. What is asked for
    /// before a flush is one group.
    Append {
        /// The write.
        write: WriteId,
        /// Records in order, at least one.
        records: Vec<LogRecord>,
    },
    /// Replace both epochs on disk at once, behind everything appended before.
    PersistEpochs {
        /// The write.
        write: WriteId,
        /// The new ones.
        epochs: Epochs,
    },
    /// Cut the log behind `keep`, durably. If the tree is ahead of that it is loaded anew from image and log. The image is
    /// never ahead, as long as it follows only when it may ([`super::Peer::image_may_follow`]). Answered by [`super::Input::Truncated`].
    Truncate {
        /// The write.
        write: WriteId,
        /// The newest record that stays.
        keep: Zxid,
    },
    /// Take the snapshot that follows on the connection to the leader, beside what there is. What is appended from now on
    /// belongs behind it, until it is installed or dropped. Answered by [`super::Input::SnapshotReceived`]; one that cannot
    /// be read, or stands still for initLimit ticks, ends the connection. Between the SNAP packet and this output the
    /// connection is not read.
    ReceiveSnapshot {
        /// The connection.
        dial: DialId,
        /// The newest transaction in it, as the leader says.
        zxid: Zxid,
    },
    /// Put the snapshot with what was appended behind it in the place of image and log, in one durable step: a crash leaves
    /// the old or the new. The tree of the snapshot has its zxid, whether a transaction has this number or not: a leader of
    /// Java's names the beginning of its epoch. Answered by [`super::Input::SnapshotInstalled`].
    InstallSnapshot {
        /// The write.
        write: WriteId,
    },
    /// Forget the snapshot and what was appended behind it; everything is as it was.
    DropSnapshot {
        /// The write.
        write: WriteId,
    },
    /// Read a piece of the log behind `after` for a learner, once what was to be written to it has gone out: so a slow
    /// learner costs no memory. Answered by [`super::Input::HistoryRead`].
    ReadHistory {
        /// The learner.
        link: LearnerLink,
        /// The transaction behind which to begin; it need not be in the log.
        after: Zxid,
        /// The newest transaction wanted.
        through: Zxid,
        /// Bytes of records in the answer.
        bytes_max: usize,
        /// The answer is unavailable when the log from here on is longer than this share of the image, in thousandths
        /// (`snapshotSizeFactor`). `None` while a learner is half served: then all must come.
        size_limit_permille: Option<u32>,
    },

    /// Connect to a server's learner port, at each of its addresses at once.
    Dial {
        /// The attempt.
        dial: DialId,
        /// To whom.
        to: ServerId,
        /// Milliseconds that the attempt may take.
        timeout_ms: i64,
    },
    /// The same, at the host of that server's learner port, but at this server's own `observerMasterPort`
    /// (`QuorumPeer#updateObserverMasterList`). What comes of it is the connection to the leader for all that follows.
    DialObserverMaster {
        /// The attempt.
        dial: DialId,
        /// To whom.
        to: ServerId,
        /// Milliseconds that the attempt may take.
        timeout_ms: i64,
    },
    /// Write to the leader.
    ToLeader {
        /// The connection.
        dial: DialId,
        /// Whole packets.
        frames: Vec<Bytes>,
    },
    /// Close the connection to the leader, or give the attempt up. What was not written yet is dropped; nothing comes
    /// from it any more.
    HangUp {
        /// The connection.
        dial: DialId,
    },

    /// Write to a learner.
    ToLearner {
        /// The connection.
        link: LearnerLink,
        /// Whole packets.
        frames: Vec<Bytes>,
    },
    /// Make a picture of the tree that stands still at one transaction while the tree goes on, for this learner. It may be
    /// older than what is applied, as long as the log reaches back to it. Of the sessions it has those that are committed
    /// ([`crate::session::SessionTable::committed`]): a leader knows more. Answered by [`super::Input::SnapshotOpened`].
    OpenSnapshot {
        /// For whom.
        link: LearnerLink,
    },
    /// Write the picture to the learner: sessions, ACLs, znodes and Java's signature, behind what was to be written
    /// before. Answered by [`super::Input::SnapshotSent`].
    SendSnapshot {
        /// To whom.
        link: LearnerLink,
    },
    /// Close a learner's connection and forget its picture. What was to be written before goes out first, as far as the
    /// other end takes it without delay: it may be what tells a learner who leads from now on. Nothing comes from it any more.
    Dismiss {
        /// The connection.
        link: LearnerLink,
    },

    /// Clients may come: handshakes are taken, requests are submitted.
    Serve,
    /// There is no quorum: clients that said they can do with it may come and read
    /// ([`refusal`](crate::client::refusal), [`Connection::serve_read_only`](crate::client::Connection::serve_read_only)).
    /// Ends with [`Output::StopServing`].
    ServeReadOnly,
    /// Close all connections of clients, and take none.
    StopServing,
    /// Whether a client keeps its session. Follows every [`super::Input::RenewSession`], unless serving stops.
    SessionRenewed {
        /// The connection that asked.
        conn: ConnId,
        /// The session.
        session: SessionId,
        /// Whether it is still there.
        valid: bool,
    },
    /// A session went to another connection or another server: this connection ends.
    CloseConnection {
        /// The connection.
        conn: ConnId,
        /// The session that it had.
        session: SessionId,
    },

    /// Keep the list of members that was seen last beside the one in force (`zoo.cfg.dynamic.next`). A server that has
    /// acknowledged a reconfiguration and then starts without this list would decide by the old members alone: so it is one
    /// of the disk's writes, though without a number.
    MembersSeen {
        /// Its text.
        text: String,
    },
    /// Another list of members is in force: it is written first, and only then the one that was seen goes, if nothing is
    /// pending any more.
    MembersActivated {
        /// Its text.
        text: String,
        /// What it means to this server.
        activation: Activation,
    },

    /// The server's state changed. Whatever else the change needs is asked for by other outputs.
    StateChanged(PeerState),
    /// Something that an operator should read.
    Tell(Event),
    /// Nothing is asked for any more; the process may end once its writes are done.
    Stopped,
}

/// Something that an operator should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A learner's connection was closed.
    Dismissed {
        /// The connection.
        link: LearnerLink,
        /// Its server, if it said so.
        server: Option<ServerId>,
        /// Why.
        reason: Reason,
    },
    /// The connection to the leader was closed from this side.
    LeftLeader {
        /// The leader.
        leader: ServerId,
        /// Why.
        reason: Reason,
    },
    /// This server leads no longer.
    SteppedDown {
        /// Why.
        reason: Reason,
    },
    /// A learner is synchronized from now on.
    Synchronized {
        /// The learner.
        server: ServerId,
    },
}
