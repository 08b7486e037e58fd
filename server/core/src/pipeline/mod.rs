//! The way of a write: admitted, prepared, logged, applied, answered.
//!
//! ```text
//! request --prepare--> transaction or error --log--> flushed --apply--> reply and events
//! ```
//!
//! [`Pipeline::submit`] prepares: it judges a request by the tree and by what was proposed but not applied
//! yet, and turns it into one of Java's transactions or into an error. [`Pipeline::commit`] applies what is
//! durable, in the order of the zxids. What stands between the two (a log, or the agreement of an ensemble) is not
//! the pipeline's business. On a server that follows another one the first half happens there (`ensemble.rs`).

mod commit;
mod create;
mod ensemble;
mod finish;
mod forward;
mod local;
mod multi;
mod outstanding;
mod prepare;
mod quota;
mod request;
mod rules;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{ErrorCode, SessionId, Zxid};

pub use commit::Connections;
pub use finish::Finished;
pub use request::{Origin, WriteRequest};
pub use rules::{Now, PipelineRules};

use crate::session::{LocalSessions, SessionIds, SessionTable};
use crate::tree::{ChangeLog, Tree};
use crate::watch::ConnId;
use forward::Forwarded;
use outstanding::Outstanding;

/// Something an operator should read in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A quota is exceeded; a soft one only says so.
    QuotaExceeded {
        /// The path that has the quota.
        path: String,
        /// What would be exceeded, how, and by what.
        text: String,
        /// The limit is a hard one: the request was refused.
        refused: bool,
    },
}

/// What a request became.
#[derive(Debug)]
enum Outcome {
    /// A transaction, or an error that has a place in the order.
    Logged(LogEntry),
    /// An error without a place in the order: the request could not be decoded.
    Refused(ErrorCode),
    /// A local session begins or ends.
    Local,
    /// A `sync`, which waits for nothing but its turn once it is due.
    Sync { body: Bytes, due: bool },
}

/// A request on its way.
#[derive(Debug)]
struct Proposal {
    request: Origin,
    outcome: Outcome,
    /// Length of the request in bytes.
    bytes: usize,
    /// What it adds to quotas' counts once it is applied.
    quota: Vec<quota::QuotaDelta>,
}

/// The state between requests and the tree.
#[derive(Debug)]
pub struct Pipeline {
    rules: PipelineRules,
    /// All sessions of the ensemble.
    pub sessions: SessionTable,
    /// Sessions that only this server knows.
    pub local_sessions: SessionTable,
    local_rule: LocalSessions,
    ids: SessionIds,
    /// What the image lacks.
    pub changes: ChangeLog,
    outstanding: Outstanding,
    queue: VecDeque<Proposal>,
    queue_bytes: usize,
    /// Those in the queue that clients of this server wait for, and their bytes.
    own: (usize, usize),
    /// What another server prepares for this one's clients.
    forwarded: Forwarded,
    last_proposed: Zxid,
    /// The server leads an ensemble.
    leads: bool,
    /// What the reconfiguration that comes next is to make of the ensemble, as text.
    reconfiguration: Option<Result<String, ErrorCode>>,
    notices: Vec<Notice>,
}

impl Pipeline {
    /// A pipeline on top of a tree, with the sessions that survived. Their clocks begin anew.
    pub fn new(
        rules: PipelineRules,
        tree: &Tree,
        sessions: impl IntoIterator<Item = (SessionId, i32)>,
        changes: ChangeLog,
        now: Now,
    ) -> Self {
        let mut table = SessionTable::new(rules.tick_ms);
        // The wall clock: a session id must not come twice, however often the server is started.
        let mut ids = SessionIds::new(rules.server_id, now.wall_ms);
        for (session, timeout_ms) in sessions {
            ids.skip(session);
            table.confirm(session, timeout_ms);
        }
        table.restart(now.monotonic_ms);
        Self {
            outstanding: Outstanding::new(tree.digest(), tree.hash_seed()),
            last_proposed: tree.last_zxid(),
            local_sessions: SessionTable::new(rules.tick_ms),
            local_rule: LocalSessions::Disabled,
            rules,
            sessions: table,
            ids,
            changes,
            queue: VecDeque::new(),
            queue_bytes: 0,
            own: (0, 0),
            forwarded: Forwarded::default(),
            leads: false,
            reconfiguration: None,
            notices: Vec::new(),
        }
    }

    /// What depends on the configuration.
    pub fn rules(&self) -> &PipelineRules {
        &self.rules
    }

    /// Number of requests that are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.queue.len() + self.forwarded.count
    }

    /// Whether somebody waits for an answer: a client of this server, or a learner whose client asked. What else is on its
    /// way goes on without this server.
    pub fn is_awaited(&self) -> bool {
        let awaits = |origin: &Origin| origin.conn.is_some() || origin.learner.is_some();
        !self.forwarded.is_empty() || self.queue.iter().any(|proposal| awaits(&proposal.request))
    }

    /// Bytes of the requests that are not answered yet.
    pub fn in_flight_bytes(&self) -> usize {
        self.queue_bytes + self.forwarded.bytes
    }

    /// The newest transaction proposed.
    pub fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// How many changes of znodes were ever proposed, and how many of them were applied.
    pub fn change_counts(&self) -> (u64, u64) {
        (self.outstanding.queued, self.outstanding.removed)
    }

    /// Takes what operators should read.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Prepares a request and appends its log entry, if it has one, to `log`. Returns the entry's zxid.
    ///
    /// Every entry must be given to the log, in this order: the zxid is spent.
    pub fn submit(&mut self, now: Now, tree: &Tree, request: WriteRequest, log: &mut BytesMut) -> Option<Zxid> {
        let proposal = self.prepare(now, tree, request);
        let zxid = match &proposal.outcome {
            Outcome::Logged(entry) => {
                entry.write(log);
                Some(entry.header.zxid)
            }
            Outcome::Refused(_) | Outcome::Local | Outcome::Sync { .. } => None,
        };
        self.enqueue(proposal);
        zxid
    }

    fn enqueue(&mut self, proposal: Proposal) {
        self.queue_bytes += proposal.bytes;
        if proposal.request.conn.is_some() {
            self.own = (self.own.0 + 1, self.own.1 + proposal.bytes);
        }
        self.queue.push_back(proposal);
    }

    fn dequeue(&mut self) -> Option<Proposal> {
        let proposal = self.queue.pop_front()?;
        self.queue_bytes -= proposal.bytes;
        if proposal.request.conn.is_some() {
            self.own = (self.own.0 - 1, self.own.1 - proposal.bytes);
        }
        Some(proposal)
    }

    /// A new session for a connection, tracked from now on; its createSession request is what comes next.
    pub fn begin_session(&mut self, now: Now, timeout_ms: i32, conn: ConnId) -> SessionId {
        let session = self.ids.next_id();
        self.sessions.track(session, timeout_ms, Some(conn), now.monotonic_ms);
        session
    }
}
