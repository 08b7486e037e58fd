//! A write on its way into the pipeline.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_protocol::types::OpCode;
use rookeeper_protocol::types::{Id, SessionId};

use crate::session::Owner;
use crate::watch::ConnId;

/// Where a request came from, and what its reply needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The connection that waits for the reply; none for requests of the server itself, and of other servers' clients.
    pub conn: Option<ConnId>,
    /// The learner that it came from; none for requests of this server.
    pub learner: Option<u64>,
    /// The session.
    pub session: SessionId,
    /// The client's number for the request.
    pub xid: i32,
    /// What it asks for.
    pub op: OpCode,
    /// When it was read, in monotonic milliseconds: the latency counts from here.
    pub received_ms: i64,
}

impl Origin {
    /// The server through which the request came; none if it was made by a server itself.
    pub fn owner(&self) -> Option<Owner> {
        self.conn.map(|_| Owner::Here).or(self.learner.map(Owner::Learner))
    }
}

/// A request that becomes a transaction.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// Where it came from.
    pub origin: Origin,
    /// The identities of the connection when the request was read.
    pub ids: Arc<[Id]>,
    /// What stands behind the request's header.
    pub body: Bytes,
}

impl WriteRequest {
    /// A request of the server itself.
    pub fn internal(op: OpCode, session: SessionId, received_ms: i64, body: Bytes) -> Self {
        Self {
            origin: Origin { conn: None, learner: None, session, xid: 0, op, received_ms },
            ids: Arc::from([]),
            body,
        }
    }

    /// The end of a session that was silent too long.
    pub fn expire(session: SessionId, received_ms: i64) -> Self {
        Self::internal(OpCode::CloseSession, session, received_ms, Bytes::new())
    }

    /// The removal of an empty container or of an expired TTL znode.
    pub fn reap(path: &str, received_ms: i64) -> Self {
        let body = Bytes::copy_from_slice(path.as_bytes());
        Self::internal(OpCode::DeleteContainer, SessionId::NONE, received_ms, body)
    }
}
