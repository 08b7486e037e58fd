//! What a server does without the others: local sessions, and the read-only mode
//! (`LearnerSessionTracker`, `ReadOnlyZooKeeperServer`).
//!
//! ```text
//!   looks for a leader --for two seconds, a tick at least--> read-only --an election is over--> (its role; clients go)
//! ```
//!
//! A server that is read-only shows the tree that it has, and spends no zxid: nothing that it does there can be taken for
//! history later (ZOOKEEPER-3526). It shows no tree that is being replaced: while the log is uncertain nobody looks for a
//! leader (ZOOKEEPER-3713).

use rookeeper_protocol::types::SessionId;

use super::output::Output;
use super::{Lent, Peer, Role, Serving};
use crate::pipeline::{Now, Origin, WriteRequest};
use crate::watch::ConnId;

/// So long a server looks for a leader, at least, before it takes itself for cut off, in milliseconds (`QuorumPeer#run`).
const READ_ONLY_AFTER_MS: i64 = 2000;

impl Peer {
    /// A new session for a connection; its createSession request is what comes next.
    pub fn begin_session(&mut self, now: Now, timeout_ms: i32, conn: ConnId) -> SessionId {
        // Java's read-only servers refuse all sessions unless `localSessionsEnabled` is set. Here the mode is enough.
        if self.is_read_only() || self.pipeline.has_local_sessions() {
            return self.pipeline.begin_local_session(now, timeout_ms, conn);
        }
        self.pipeline.begin_session(now, timeout_ms, conn)
    }

    /// Whether a request comes from where its session is. One that was read before the role changed does not: what its
    /// client sent before it is lost, and must not be followed by it.
    pub(super) fn is_current(&self, origin: &Origin) -> bool {
        let Some(conn) = origin.conn else { return true };
        match self.pipeline.session(origin.session) {
            Some(session) => session.conn == Some(conn),
            // Whoever prepares the request takes a session that nobody knows for a local one of another server.
            None => !self.pipeline.has_local_sessions(),
        }
    }

    /// The session is on another connection of this server now: the one it was on ends.
    pub(super) fn move_session(&mut self, session: SessionId, conn: ConnId) {
        let old = self.pipeline.attach(session, Some(conn));
        if let Some(old) = old.filter(|old| *old != conn) {
            self.outbox.push(Output::CloseConnection { conn: old, session });
        }
    }

    /// A client comes back to a session that only this server knows. False if it is none.
    pub(super) fn renew_local(&mut self, now: Now, conn: ConnId, session: SessionId, timeout_ms: i32) -> bool {
        let valid = self.pipeline.local_sessions.touch(session, timeout_ms, now.monotonic_ms);
        if valid {
            self.move_session(session, conn);
            self.outbox.push(Output::SessionRenewed { conn, session, valid });
        }
        valid
    }

    /// Ends the local sessions that were silent too long.
    pub(super) fn expire_local_sessions(&mut self, now: Now, lent: &Lent<'_>) {
        let now_ms = now.monotonic_ms;
        let expired = self.pipeline.local_sessions.expire(now_ms, |conn| lent.clients.last_heard(conn));
        self.figures.expired(expired.len());
        for session in expired {
            let _taken = self.pipeline.take_local(WriteRequest::expire(session, now_ms));
        }
    }

    /// Whether clients that can do with that are shown the tree, and nobody may write.
    pub fn is_read_only(&self) -> bool {
        self.serving == Serving::ReadOnly
    }

    /// The server begins to look for a leader.
    pub(super) fn begin_to_look(&mut self, now: Now) {
        let wait_ms = self.rules.zab.tick_ms.max(READ_ONLY_AFTER_MS);
        self.read_only_from_ms = self.rules.read_only_mode.then_some(now.monotonic_ms + wait_ms);
    }

    /// When the server becomes read-only if it finds no leader, in monotonic milliseconds.
    pub(super) fn read_only_deadline_ms(&self) -> Option<i64> {
        self.read_only_from_ms.filter(|_| matches!(self.role, Role::Looking))
    }

    /// Shows the tree, if the server has looked for a leader long enough.
    pub(super) fn become_read_only(&mut self, now: Now) {
        if self.read_only_deadline_ms().is_some_and(|from_ms| from_ms <= now.monotonic_ms) && !self.draining {
            self.read_only_from_ms = None;
            self.serving = Serving::ReadOnly;
            self.outbox.push(Output::ServeReadOnly);
        }
    }

    /// The server is about to be something else: its clients go, and their sessions with them.
    pub(super) fn end_read_only(&mut self) {
        self.read_only_from_ms = None;
        if self.is_read_only() {
            self.serving = Serving::No;
            self.pipeline.end_local();
            self.outbox.push(Output::StopServing);
        }
    }

    /// Requests of a read-only server's clients. The connections refuse writes; what comes here begins and ends sessions.
    pub(super) fn submit_read_only(&mut self, requests: impl IntoIterator<Item = WriteRequest>) {
        for request in requests {
            if self.is_current(&request.origin) {
                // Nothing else may come: there is nobody who could agree to it (ZOOKEEPER-1754).
                let _refused = self.pipeline.take_local(request);
            }
        }
    }

    /// A client comes back with a session to a read-only server (`ReadOnlyZooKeeperServer#validateSession`).
    pub(super) fn renew_read_only(&mut self, conn: ConnId, session: SessionId) {
        // The client of a session of the ensemble must not be told that it expired: it closes without a word.
        self.outbox.push(match self.pipeline.sessions.get(session) {
            Some(_) => Output::CloseConnection { conn, session },
            None => Output::SessionRenewed { conn, session, valid: false },
        });
    }
}
