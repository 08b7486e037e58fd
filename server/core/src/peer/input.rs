//! Everything that can happen to a server.
//!
//! The driver hands in one of these at a time, with the time it was at ([`super::Peer::step`]). Requests of clients
//! and the applying of what is committed have methods of their own, since they need the tree
//! ([`super::Peer::submit`], [`super::Peer::apply`]).
//!
//! Inputs about the same disk, connection or client come in the order in which things happened; inputs about what is over
//! already have no effect. The monotonic time never goes back from one call to the next, and [`Input::Timeout`] comes when
//! [`super::Peer::next_deadline_ms`] says, since most of what ends a silent connection hangs on it. What the machine relies on
//! besides stands at the head of `output.rs`.

use bytes::Bytes;
use rookeeper_protocol::peer::QuorumPacket;
use rookeeper_protocol::types::{ServerId, SessionId, Zxid};

use super::output::WriteId;
use crate::tree::ChangeLog;
use crate::watch::ConnId;
use crate::zab::{DialId, HistoryPiece, LearnerLink, LogRecord};

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The time that [`super::Peer::next_deadline_ms`] told has come. Harmless at any other time.
    Timeout,

    /// A message arrived on the election connection with this server: what stood behind its length.
    ElectionMessage {
        /// Who sent it, as the connection's handshake said.
        from: ServerId,
        /// The notification, not looked at yet.
        message: Bytes,
    },
    /// An election connection with this server stands (anew).
    ElectionConnected {
        /// The other end.
        with: ServerId,
    },
    /// There is no election connection with this server, and the last attempt to make one failed.
    ElectionUnreachable {
        /// The server.
        server: ServerId,
    },

    /// Somebody connected to the learner port. A server that does not lead may be about to: it keeps the link until it
    /// knows.
    LearnerConnected {
        /// The new connection.
        link: LearnerLink,
    },
    /// Somebody connected to the port for observers (`observerMasterPort`). From here on it is a learner's connection like any
    /// other; a server that does not follow ends it at once.
    ObserverConnected {
        /// The new connection, numbered like those to the learner port.
        link: LearnerLink,
    },
    /// A learner sent packets. What came at once is handed in at once: its requests become one batch, and what it
    /// acknowledges is counted once.
    LearnerPackets {
        /// Its connection.
        link: LearnerLink,
        /// The packets, in their order.
        packets: Vec<QuorumPacket>,
    },
    /// A learner's connection ended, by whatever reason, or sent what is no packet.
    LearnerGone {
        /// The connection; nothing more comes from it.
        link: LearnerLink,
    },

    /// The connection to the leader that was asked for stands.
    LeaderConnected {
        /// Which attempt.
        dial: DialId,
    },
    /// The leader sent packets; TRUNC and SNAP are the last of their input. Behind them the driver reads no packet before it has reported
    /// [`Input::Truncated`] or [`Input::SnapshotReceived`]; what stands behind SNAP is the snapshot.
    LeaderPackets {
        /// The connection.
        dial: DialId,
        /// The packets, in their order.
        packets: Vec<QuorumPacket>,
    },
    /// The attempt failed, or the connection ended or sent what is no packet.
    LeaderGone {
        /// The attempt; nothing more comes from it.
        dial: DialId,
    },

    /// Everything up to this write is on disk. Writes are reported in the order in which they were asked for; one
    /// report may cover many.
    Durable {
        /// The newest of them.
        through: WriteId,
    },
    /// The log was cut, durably. Counts as the write's report.
    Truncated {
        /// The write.
        write: WriteId,
        /// Where the log ends now: at the record that was to stay, or before it if there was none with its number.
        last_zxid: Zxid,
        /// What was read anew, if the tree had been ahead of the cut.
        reloaded: Option<Loaded>,
    },
    /// The snapshot that was asked for has come to its end, with Java's signature behind it. Nothing has changed yet.
    SnapshotReceived {
        /// The connection that it came over.
        dial: DialId,
        /// The newest transaction in it.
        zxid: Zxid,
    },
    /// The snapshot, and what was appended behind it, stands durably in the place of image and log; the tree is that of
    /// the snapshot alone. Counts as the write's report.
    SnapshotInstalled {
        /// The write.
        write: WriteId,
        /// What the snapshot holds.
        loaded: Loaded,
    },
    /// A piece of the log's history was read for a learner: only what is flushed, and without a gap behind the record that
    /// was asked for.
    HistoryRead {
        /// The learner.
        link: LearnerLink,
        /// What was found.
        piece: HistoryPiece,
    },
    /// A picture of the tree stands still, to be sent to a learner.
    SnapshotOpened {
        /// The learner it is for.
        link: LearnerLink,
        /// The newest transaction in it. Everything up to it is committed: a picture of the image always is, one of a tree
        /// that was loaded with its whole log need not be.
        zxid: Zxid,
    },
    /// The picture went out to the learner, to its last byte.
    SnapshotSent {
        /// The learner.
        link: LearnerLink,
    },

    /// A client came back with a session and the right password. Answered by [`super::Output::SessionRenewed`].
    RenewSession {
        /// The connection that the client is on now.
        conn: ConnId,
        /// The session.
        session: SessionId,
        /// The timeout agreed on, in milliseconds.
        timeout_ms: i32,
    },
    /// A client's connection is gone; its session waits for another one.
    Disconnected {
        /// The connection.
        conn: ConnId,
        /// Its session.
        session: SessionId,
        /// The timeout agreed on, in milliseconds.
        timeout_ms: i32,
        /// When it last heard of its client, in monotonic milliseconds.
        heard_ms: i64,
    },

    /// The server is told to stop: it takes no more requests, answers those under way, and ends ([`super::Output::Stopped`]).
    /// Told a second time it waits for nothing.
    Stop,
}

/// What stands in a tree that was just loaded, as far as the tree itself does not know it.
#[derive(Debug)]
pub struct Loaded {
    /// The newest transaction in the tree; also the newest in the log behind it.
    pub last_zxid: Zxid,
    /// The newest transaction in the image: what is surely committed.
    pub image_zxid: Zxid,
    /// The newest records of the log, oldest first and without a gap, up to `last_zxid`: what a learner that lacks
    /// only these is given. As many as the driver likes; the oldest that are too many are dropped.
    pub recent: Vec<LogRecord>,
    /// All sessions with their timeouts in milliseconds.
    pub sessions: Vec<(SessionId, i32)>,
    /// What the image lacks.
    pub changes: ChangeLog,
}

/// What the machine asks of the clients' connections.
pub trait Clients {
    /// When this connection last heard of its client (monotonic milliseconds), and the timeout agreed on in
    /// milliseconds. `None` when it is gone.
    fn last_heard(&self, conn: ConnId) -> Option<(i64, i32)>;
}
