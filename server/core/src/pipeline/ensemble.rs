//! The pipeline of one server among others: it prepares while its server leads, follows what another one prepared, and
//! goes from one to the other without reviving what was on its way.

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{ErrorCode, OpCode, SessionId, Zxid};

use super::forward::{Forwarded, Syncer};
use super::outstanding::Outstanding;
use super::prepare::{is_readable, spends_zxid};
use super::{Now, Origin, Outcome, Pipeline, Proposal, WriteRequest};
use crate::tree::{ChangeLog, Tree};

impl Pipeline {
    /// The server leads: requests are prepared, the first of them with the zxid behind `start`. Everything that was
    /// logged before is applied.
    pub fn lead(&mut self, now: Now, tree: &Tree, start: Zxid) {
        debug_assert!(self.queue.is_empty(), "a leader applies its whole history before it serves");
        self.outstanding = Outstanding::new(tree.digest(), tree.hash_seed());
        self.last_proposed = start;
        self.leads = true;
        self.sessions.restart(now.monotonic_ms);
    }

    /// The role ends. Requests that were on their way are forgotten; their transactions, if they have any, stand in the
    /// log, and may still be committed.
    pub fn end_role(&mut self, now: Now, tree: &Tree) {
        self.leads = false;
        self.end_local();
        self.queue.retain(|proposal| matches!(proposal.outcome, Outcome::Logged(_)));
        for proposal in &mut self.queue {
            (proposal.request.conn, proposal.request.learner) = (None, None);
            proposal.bytes = 0;
            proposal.quota = Vec::new();
        }
        (self.queue_bytes, self.own) = (0, (0, 0));
        // What was proposed is not judged by any more.
        self.outstanding = Outstanding::new(tree.digest(), tree.hash_seed());
        self.sessions.restart(now.monotonic_ms);
    }

    /// All connections of clients end: what they wait for is forgotten, and so are the sessions that nobody else knows.
    pub fn end_local(&mut self) {
        self.forwarded = Forwarded::default();
        self.local_sessions.clear();
    }

    /// Submits a reconfiguration that was judged by the one who knows the ensemble: the text of the new list of members, or
    /// why there is none. Returns the zxid as [`Pipeline::submit`] does, and whether the list is proposed with it.
    pub fn submit_reconfig(
        &mut self,
        now: Now,
        tree: &Tree,
        request: WriteRequest,
        judged: Result<String, ErrorCode>,
        log: &mut BytesMut,
    ) -> (Option<Zxid>, bool) {
        self.reconfiguration = Some(judged);
        let zxid = self.submit(now, tree, request, log);
        self.reconfiguration = None;
        let entry = self.queue.back().map(|proposal| &proposal.outcome);
        let is_list = matches!(entry, Some(Outcome::Logged(entry)) if matches!(entry.txn, Txn::SetData { .. }));
        (zxid, is_list)
    }

    /// Requests in work that this server's own clients wait for, and their bytes (`ZooKeeperServer#getInProcess`): what
    /// learners bring counts there.
    pub fn requests_in_flight(&self) -> (usize, usize) {
        (self.own.0 + self.forwarded.count, self.own.1 + self.forwarded.bytes)
    }

    /// A transaction that waits to be applied.
    pub fn waiting_entry(&self, zxid: Zxid) -> Option<&LogEntry> {
        self.queue.iter().find_map(|proposal| match &proposal.outcome {
            Outcome::Logged(entry) if entry.header.zxid == zxid => Some(entry),
            _ => None,
        })
    }

    /// A transaction that another server prepared is in the log; it waits to be committed.
    pub fn learn(&mut self, entry: LogEntry) {
        let header = &entry.header;
        let op = OpCode::from_number(header.kind).unwrap_or(OpCode::Error);
        let request =
            Origin { conn: None, learner: None, session: header.client_id, xid: header.cxid, op, received_ms: 0 };
        self.last_proposed = header.zxid;
        self.enqueue(Proposal { request, outcome: Outcome::Logged(entry), bytes: 0, quota: Vec::new() });
    }

    /// The transactions that wait to be applied, in order.
    pub fn waiting(&self) -> impl Iterator<Item = Zxid> {
        self.queue.iter().filter_map(|proposal| match &proposal.outcome {
            Outcome::Logged(entry) => Some(entry.header.zxid),
            Outcome::Refused(_) | Outcome::Local | Outcome::Sync { .. } => None,
        })
    }

    /// Transactions behind `keep` were never agreed on.
    pub fn forget_behind(&mut self, keep: Zxid) {
        let is_kept = |outcome: &Outcome| !matches!(outcome, Outcome::Logged(entry) if entry.header.zxid > keep);
        self.queue.retain(|proposal| is_kept(&proposal.outcome));
    }

    /// The tree is another one, loaded from disk or from a snapshot, with these sessions and what its image lacks.
    pub fn replace(
        &mut self,
        now: Now,
        tree: &Tree,
        sessions: impl IntoIterator<Item = (SessionId, i32)>,
        changes: ChangeLog,
    ) {
        self.sessions.clear();
        for (session, timeout_ms) in sessions {
            self.ids.skip(session);
            self.sessions.confirm(session, timeout_ms);
        }
        self.sessions.restart(now.monotonic_ms);
        self.changes = changes;
        self.queue.clear();
        (self.queue_bytes, self.own) = (0, (0, 0));
        self.outstanding = Outstanding::new(tree.digest(), tree.hash_seed());
    }

    /// Keeps a request that the leader is to prepare until its transaction comes. Whether it may be sent: a request that
    /// nobody can read is answered here, in its turn.
    pub fn forward(&mut self, request: &WriteRequest) -> bool {
        let (origin, bytes) = (request.origin.clone(), request.body.len());
        if origin.op == OpCode::Sync {
            self.forwarded.sync(origin, request.body.clone());
            return true;
        }
        let readable = spends_zxid(origin.op) || is_readable(origin.op, &request.body, self.rules.inner_length_max);
        if readable {
            let refusal = self.refusal_of_local(request);
            self.forwarded.write(origin, bytes, refusal);
        } else {
            self.forwarded.refuse(origin, ErrorCode::MarshallingError, bytes);
        }
        readable
    }

    /// A client of a leader wants to see all that is committed now. Nothing behind it is answered before it.
    pub fn submit_sync(&mut self, request: WriteRequest) {
        let bytes = request.body.len();
        let outcome = Outcome::Sync { body: request.body, due: false };
        self.enqueue(Proposal { request: request.origin, outcome, bytes, quota: Vec::new() });
    }

    /// How many `sync`s the leader has not answered yet, those of observers included.
    pub fn syncs_waiting(&self) -> usize {
        self.forwarded.syncs_waiting()
    }

    /// The leader is asked for a `sync` on behalf of the observer on this connection.
    pub fn sync_of_observer(&mut self, link: u64) {
        self.forwarded.sync_of_observer(link);
    }

    /// The oldest `sync` may be answered once everything up to `committed` is applied. If it is an observer's, that one is
    /// to be told at once; its connection is returned.
    pub fn sync_due(&mut self, committed: Zxid) -> Option<u64> {
        if self.leads {
            let waits = |proposal: &&mut Proposal| matches!(proposal.outcome, Outcome::Sync { due: false, .. });
            if let Some(Proposal { outcome: Outcome::Sync { due, .. }, .. }) = self.queue.iter_mut().find(waits) {
                *due = true;
            }
            return None;
        }
        let session = match self.forwarded.answered_sync()? {
            Syncer::Session(session) => session,
            Syncer::Observer(link) => return Some(link),
        };
        let request = Origin { conn: None, learner: None, session, xid: 0, op: OpCode::Sync, received_ms: 0 };
        let is_later = |outcome: &Outcome| matches!(outcome, Outcome::Logged(entry) if entry.header.zxid > committed);
        let at = self.queue.iter().position(|proposal| is_later(&proposal.outcome)).unwrap_or(self.queue.len());
        let outcome = Outcome::Sync { body: Bytes::new(), due: true };
        self.queue.insert(at, Proposal { request, outcome, bytes: 0, quota: Vec::new() });
        None
    }
}
