//! Local sessions: begun and ended by this server alone, and made the ensemble's when they need to be
//! (`UpgradeableSessionTracker`, `QuorumZooKeeperServer`).
//!
//! ```text
//!   (none) --createSession, answered here--> local --closeSession, or silent too long--> (none)
//!                                              |
//!                                              +--creates an ephemeral: createSession goes before it--> the ensemble's
//! ```
//!
//! A session is in one of the two tables, never in both: whatever a client asks for behind its upgrade, the end of its
//! session above all, goes the way of the ensemble's sessions, so that no ephemeral znode is left behind (ZOOKEEPER-3471).

use bytes::Bytes;
use rookeeper_protocol::client::{CreateRequest, MultiOp, MultiRequest};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{CreateMode, ErrorCode, OpCode, SessionId};

use super::{Now, Origin, Outcome, Pipeline, Proposal, WriteRequest};
use crate::session::{LocalSessions, Session};
use crate::watch::ConnId;

impl Pipeline {
    /// Lets sessions be local. Without this none is, as on a server that stands alone.
    pub fn with_local_sessions(mut self, rule: LocalSessions) -> Self {
        self.local_rule = rule;
        self
    }

    /// Whether sessions begin as local ones.
    pub fn has_local_sessions(&self) -> bool {
        self.local_rule != LocalSessions::Disabled
    }

    /// A new session that only this server knows; its createSession request is what comes next.
    pub fn begin_local_session(&mut self, now: Now, timeout_ms: i32, conn: ConnId) -> SessionId {
        let session = self.ids.next_id();
        self.local_sessions.track(session, timeout_ms, Some(conn), now.monotonic_ms);
        session
    }

    /// A session, of whichever kind.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.local_sessions.get(id).or_else(|| self.sessions.get(id))
    }

    /// The session, of whichever kind, is now on this connection (or on none). Returns the connection it was on.
    pub fn attach(&mut self, id: SessionId, conn: Option<ConnId>) -> Option<ConnId> {
        match self.local_sessions.get(id) {
            Some(_) => self.local_sessions.attach(id, conn),
            None => self.sessions.attach(id, conn),
        }
    }

    /// Takes a request that begins or ends a local session: no other server hears of it, it only waits for its turn. Any
    /// other request is given back (`QuorumZooKeeperServer#setLocalSessionFlag`).
    pub fn take_local(&mut self, request: WriteRequest) -> Option<WriteRequest> {
        if !matches!(request.origin.op, OpCode::CreateSession | OpCode::CloseSession) || !self.is_local(&request.origin)
        {
            return Some(request);
        }
        let (origin, bytes) = (request.origin, request.body.len());
        // A leader's requests wait in one queue; nothing stands before the beginning of a session.
        if self.leads && origin.op == OpCode::CloseSession {
            self.enqueue(Proposal { request: origin, outcome: Outcome::Local, bytes, quota: Vec::new() });
        } else {
            self.forwarded.keep_local(origin, bytes);
        }
        None
    }

    /// The request that makes a session the ensemble's, if this one needs that: it goes first
    /// (`QuorumZooKeeperServer#checkUpgradeSession`).
    pub fn upgrade(&mut self, now: Now, request: &WriteRequest) -> Option<WriteRequest> {
        if self.local_rule != LocalSessions::Upgradable || !self.is_too_much_for_local(request) {
            return None;
        }
        let id = request.origin.session;
        let Session { timeout_ms, conn, .. } = self.local_sessions.remove(id)?;
        self.sessions.track(id, timeout_ms, conn, now.monotonic_ms);
        let body = Bytes::copy_from_slice(&timeout_ms.to_be_bytes());
        Some(WriteRequest::internal(OpCode::CreateSession, id, now.monotonic_ms, body))
    }

    /// What a client is told when the leader refuses its request because of a session that it does not know: the leader
    /// takes it for one that has expired. Like Java's, a multi tells what the leader said (`FinalRequestProcessor`).
    pub(super) fn refusal_of_local(&self, request: &WriteRequest) -> Option<ErrorCode> {
        let refused = request.origin.op != OpCode::Multi && self.is_too_much_for_local(request);
        refused.then_some(ErrorCode::EphemeralOnLocalSession)
    }

    /// Whether the session may be a local one of another server (`LeaderSessionTracker#checkSession`).
    pub(super) fn is_local_elsewhere(&self, id: SessionId) -> bool {
        self.has_local_sessions() && (id.0 >> 56) as u8 != self.rules.server_id
    }

    fn is_local(&self, origin: &Origin) -> bool {
        origin.learner.is_none() && self.local_sessions.get(origin.session).is_some()
    }

    fn is_too_much_for_local(&self, request: &WriteRequest) -> bool {
        self.is_local(&request.origin) && creates_ephemeral(request, self.rules.inner_length_max)
    }
}

/// Whether a request makes an ephemeral znode; a multi counts as soon as one of its parts does (ZOOKEEPER-2725). What
/// cannot be read makes none.
fn creates_ephemeral(request: &WriteRequest, inner_length_max: i32) -> bool {
    let is_ephemeral = |op: OpCode, create: &CreateRequest<'_>| {
        let mode = CreateMode::from_flags(create.flags);
        matches!(op, OpCode::Create | OpCode::Create2) && mode.is_some_and(CreateMode::is_ephemeral)
    };
    let mut reader = Reader::with_limit(&request.body, inner_length_max);
    match request.origin.op {
        op @ (OpCode::Create | OpCode::Create2) => {
            CreateRequest::read(&mut reader).is_ok_and(|create| is_ephemeral(op, &create))
        }
        OpCode::Multi => MultiRequest::read(&mut reader).is_ok_and(|multi| {
            multi.ops.iter().any(|op| matches!(op, MultiOp::Create(op, create) if is_ephemeral(*op, create)))
        }),
        _ => false,
    }
}
