//! Requests of this server's clients that another server prepares, while they wait for their transactions
//! (`CommitProcessor`).
//!
//! The leader answers with nothing but the transactions themselves, so that a request is known by its session and its
//! number when its transaction is applied. A session's requests are finished in their order; each session waits for
//! itself only.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rookeeper_protocol::types::{ErrorCode, SessionId};

use super::Origin;

/// A request that waits.
#[derive(Debug)]
struct Waiting {
    origin: Origin,
    kind: Kind,
    /// Length of the request in bytes.
    bytes: usize,
}

#[derive(Debug)]
enum Kind {
    /// Its transaction will come. If that is an error, the client may be told another one.
    Write(Option<ErrorCode>),
    /// A `sync` with this body: the leader says when it may be answered.
    Sync(Bytes),
    /// It was not sent.
    Kept(Kept),
}

/// Why a request was not sent: it is answered here, in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// No leader can read it, and Java's would say nothing.
    Refused(ErrorCode),
    /// A local session begins or ends.
    Local,
}

/// Who asked for a `sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncer {
    /// A session of this server.
    Session(SessionId),
    /// The observer on this connection, which knows for whom (`LearnerSyncRequest`).
    Observer(u64),
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Forwarded {
    sessions: BTreeMap<SessionId, VecDeque<Waiting>>,
    /// All `sync`s that the leader has not answered, in the order in which it was asked.
    syncs: VecDeque<Syncer>,
    /// Requests that were not sent and whose turn has come.
    due: VecDeque<(Origin, Kept)>,
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl Forwarded {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.due.is_empty()
    }

    /// A request that was sent. If it fails, the client is told `refusal` instead of the leader's error.
    pub(super) fn write(&mut self, origin: Origin, bytes: usize, refusal: Option<ErrorCode>) {
        self.push(Waiting { origin, kind: Kind::Write(refusal), bytes });
    }

    pub(super) fn sync(&mut self, origin: Origin, body: Bytes) {
        self.syncs.push_back(Syncer::Session(origin.session));
        let bytes = body.len();
        self.push(Waiting { origin, kind: Kind::Sync(body), bytes });
    }

    pub(super) fn refuse(&mut self, origin: Origin, code: ErrorCode, bytes: usize) {
        self.keep(origin, Kept::Refused(code), bytes);
    }

    pub(super) fn keep_local(&mut self, origin: Origin, bytes: usize) {
        self.keep(origin, Kept::Local, bytes);
    }

    fn keep(&mut self, origin: Origin, kept: Kept, bytes: usize) {
        let session = origin.session;
        self.push(Waiting { origin, kind: Kind::Kept(kept), bytes });
        self.settle(session);
    }

    fn push(&mut self, waiting: Waiting) {
        self.count += 1;
        self.bytes += waiting.bytes;
        self.sessions.entry(waiting.origin.session).or_default().push_back(waiting);
    }

    /// Takes the request that a transaction belongs to, if it is one of ours, and what its client is told if it failed.
    pub(super) fn take_write(&mut self, session: SessionId, xid: i32) -> Option<(Origin, Option<ErrorCode>)> {
        let is_it = |waiting: &Waiting| matches!(waiting.kind, Kind::Write(_)) && waiting.origin.xid == xid;
        let Waiting { origin, kind, .. } = self.take(session, is_it)?;
        match kind {
            Kind::Write(refusal) => Some((origin, refusal)),
            Kind::Sync(_) | Kind::Kept(_) => None,
        }
    }

    /// The leader is asked for a `sync` on behalf of an observer.
    pub(super) fn sync_of_observer(&mut self, link: u64) {
        self.syncs.push_back(Syncer::Observer(link));
    }

    pub(super) fn syncs_waiting(&self) -> usize {
        self.syncs.len()
    }

    /// The leader has answered the oldest `sync`: whose it is.
    pub(super) fn answered_sync(&mut self) -> Option<Syncer> {
        self.syncs.pop_front()
    }

    /// Takes a session's `sync` with its body, once everything before it is finished.
    pub(super) fn take_sync(&mut self, session: SessionId) -> Option<(Origin, Bytes)> {
        let waiting = self.take(session, |waiting| matches!(waiting.kind, Kind::Sync(_)))?;
        match waiting.kind {
            Kind::Sync(body) => Some((waiting.origin, body)),
            Kind::Write(_) | Kind::Kept(_) => None,
        }
    }

    /// Takes a request that was not sent and whose turn has come.
    pub(super) fn take_due(&mut self) -> Option<(Origin, Kept)> {
        self.due.pop_front()
    }

    /// Whether something may be answered without the leader.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    fn take(&mut self, session: SessionId, is_it: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let queue = self.sessions.get_mut(&session)?;
        let waiting = queue.pop_front_if(|waiting| is_it(waiting))?;
        self.count -= 1;
        self.bytes -= waiting.bytes;
        self.settle(session);
        Some(waiting)
    }

    /// What was not sent and stands in front has its turn.
    fn settle(&mut self, session: SessionId) {
        let Some(queue) = self.sessions.get_mut(&session) else { return };
        while let Some(Waiting { kind: Kind::Kept(kept), .. }) = queue.front() {
            let kept = *kept;
            if let Some(waiting) = queue.pop_front() {
                self.count -= 1;
                self.bytes -= waiting.bytes;
                self.due.push_back((waiting.origin, kept));
            }
        }
        if queue.is_empty() {
            self.sessions.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::watch::ConnId;
    use rookeeper_protocol::types::OpCode;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn origin(session: SessionId, xid: i32) -> Origin {
        Origin { conn: Some(ConnId(1)), learner: None, session, xid, op: OpCode::Create, received_ms: 0 }
    }

    #[test]
    fn a_session_waits_for_itself_only_and_in_order() {
        let mut forwarded = Forwarded::default();
        forwarded.write(origin(A, 1), 10, None);
        forwarded.write(origin(A, 2), 10, None);
        forwarded.write(origin(B, 2), 10, None);
        assert_eq!(forwarded.take_write(A, 2), None);
        assert_eq!(forwarded.take_write(B, 2), Some((origin(B, 2), None)));
        assert_eq!(forwarded.take_write(A, 1), Some((origin(A, 1), None)));
        assert_eq!((forwarded.count, forwarded.bytes), (1, 10));
        // The transaction of another server's client.
        assert_eq!(forwarded.take_write(SessionId(3), 1), None);
        assert_eq!(forwarded.take_write(A, 2), Some((origin(A, 2), None)));
        assert!(forwarded.is_empty() && forwarded.bytes == 0);
    }

    #[test]
    fn a_sync_is_finished_behind_the_writes_before_it() {
        let mut forwarded = Forwarded::default();
        forwarded.write(origin(A, 1), 0, None);
        forwarded.sync(origin(A, 2), Bytes::from_static(b"a"));
        forwarded.sync(origin(B, 3), Bytes::from_static(b"b"));
        forwarded.sync_of_observer(7);
        assert_eq!(forwarded.syncs_waiting(), 3);
        assert_eq!(forwarded.answered_sync(), Some(Syncer::Session(A)));
        assert_eq!(forwarded.take_sync(A), None);
        forwarded.take_write(A, 1).unwrap();
        assert_eq!(forwarded.take_sync(A), Some((origin(A, 2), Bytes::from_static(b"a"))));
        let rest = [(); 3].map(|()| forwarded.answered_sync());
        assert_eq!(rest, [Some(Syncer::Session(B)), Some(Syncer::Observer(7)), None]);
    }

    #[test]
    fn what_is_not_sent_is_answered_in_its_turn() {
        let mut forwarded = Forwarded::default();
        forwarded.refuse(origin(B, 1), ErrorCode::MarshallingError, 5);
        assert_eq!(forwarded.take_due(), Some((origin(B, 1), Kept::Refused(ErrorCode::MarshallingError))));
        forwarded.write(origin(A, 1), 5, None);
        forwarded.refuse(origin(A, 2), ErrorCode::MarshallingError, 5);
        forwarded.keep_local(origin(A, 3), 5);
        assert!(!forwarded.has_due() && !forwarded.is_empty());
        forwarded.take_write(A, 1).unwrap();
        assert_eq!(forwarded.take_due().unwrap().0.xid, 2);
        assert_eq!(forwarded.take_due(), Some((origin(A, 3), Kept::Local)));
        assert!(forwarded.is_empty() && forwarded.count == 0);
    }
}
