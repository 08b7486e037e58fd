//! Applying what is durable: the tree changes, watchers are told, clients are answered.

use rookeeper_protocol::client::EventType;
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{AclList, OpCode, SessionId, Zxid};

use super::forward::Kept;
use super::{Finished, Origin, Outcome, Pipeline, Proposal};
use crate::session::Session;
use crate::tree::{Applied, Observer, Tree};
use crate::watch::{ConnId, WatchTable};

/// The clients' connections, as applying sees them. All calls come in the order in which a client must
/// see their effects.
pub trait Connections {
    /// A watch of this connection fired. Whether its client may know is the connection's business: the event
    /// is delivered only to those who may read by `acl`.
    fn event(&mut self, conn: ConnId, event: EventType, path: &str, zxid: Zxid, acl: &AclList);

    /// Watches of so many connections fired at once.
    fn fired(&mut self, event: EventType, count: usize);

    /// A request has its result; the reads that waited behind it may go on, up to the next write.
    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, watches: &mut WatchTable);

    /// The session is over: whatever connection it is on closes without a word.
    fn session_over(&mut self, session: SessionId, conn: ConnId);
}

impl Pipeline {
    /// Applies everything up to `durable`, and answers. Must be called again after each [`Pipeline::submit`]
    /// that logged nothing, since an answer without a transaction waits only for what stands before it.
    ///
    /// At most `count_max` requests are finished, so that readers get their turn; returns whether any are left.
    pub fn commit(
        &mut self,
        tree: &mut Tree,
        watches: &mut WatchTable,
        connections: &mut dyn Connections,
        durable: Zxid,
        count_max: usize,
    ) -> bool {
        self.answer_kept(tree, watches, connections);
        for _ in 0..count_max {
            if !self.is_due(durable) {
                return false;
            }
            self.commit_one(tree, watches, connections);
        }
        self.is_due(durable)
    }

    /// Whether [`Pipeline::commit`] has something to do.
    pub fn has_due(&self, durable: Zxid) -> bool {
        self.is_due(durable) || self.forwarded.has_due()
    }

    /// Whether what stands in front waits for nothing any more.
    fn is_due(&self, durable: Zxid) -> bool {
        match self.queue.front().map(|proposal| &proposal.outcome) {
            None => false,
            Some(Outcome::Logged(entry)) => entry.header.zxid <= durable,
            Some(Outcome::Refused(_) | Outcome::Local) => true,
            Some(Outcome::Sync { due, .. }) => *due,
        }
    }

    /// Answers what was not sent to the leader and has its turn.
    fn answer_kept(&mut self, tree: &Tree, watches: &mut WatchTable, connections: &mut dyn Connections) {
        while let Some((origin, kept)) = self.forwarded.take_due() {
            match kept {
                Kept::Refused(code) => {
                    answer(&origin, Finished::refused(&origin, code, tree.last_zxid()), tree, watches, connections);
                }
                Kept::Local => self.finish_local(&origin, tree, watches, connections),
            }
        }
    }

    /// A local session begins or ends.
    fn finish_local(
        &mut self,
        origin: &Origin,
        tree: &Tree,
        watches: &mut WatchTable,
        connections: &mut dyn Connections,
    ) {
        let ends = origin.op == OpCode::CloseSession;
        let over = if ends { self.local_sessions.remove(origin.session) } else { None };
        answer(origin, Finished::local(origin, tree.last_zxid()), tree, watches, connections);
        end_connection(origin, over, connections);
    }

    fn commit_one(&mut self, tree: &mut Tree, watches: &mut WatchTable, connections: &mut dyn Connections) {
        let Some(proposal) = self.dequeue() else { return };
        match &proposal.outcome {
            Outcome::Logged(entry) => self.apply(&proposal, entry, tree, watches, connections),
            Outcome::Refused(code) => {
                let finished = Finished::refused(&proposal.request, *code, tree.last_zxid());
                answer(&proposal.request, finished, tree, watches, connections);
            }
            Outcome::Local => self.finish_local(&proposal.request, tree, watches, connections),
            Outcome::Sync { body, .. } => {
                // A learner's queue knows only whose turn it is.
                let forwarded = self.forwarded.take_sync(proposal.request.session);
                let (origin, body) =
                    forwarded.as_ref().map_or((&proposal.request, body), |(origin, body)| (origin, body));
                answer(origin, Finished::synced(origin, body, tree.last_zxid()), tree, watches, connections);
            }
        }
        if self.forwarded.has_due() {
            self.answer_kept(tree, watches, connections);
        }
    }

    fn apply(
        &mut self,
        proposal: &Proposal,
        entry: &LogEntry,
        tree: &mut Tree,
        watches: &mut WatchTable,
        connections: &mut dyn Connections,
    ) {
        let applied: Applied = {
            let mut told = Vec::new();
            let mut trigger = Trigger { watches, connections, told: &mut told };
            tree.apply(entry, &mut self.changes, &mut trigger)
        };
        self.outstanding.applied(entry.header.zxid);
        for delta in &proposal.quota {
            self.outstanding.take_quota(delta);
        }
        let session = entry.header.client_id;
        let mut over = None;
        match &entry.txn {
            Txn::CreateSession { timeout_ms } => self.sessions.confirm(session, *timeout_ms),
            Txn::CloseSession { .. } => over = self.sessions.remove(session),
            _ => {}
        }
        let forwarded = match self.forwarded.is_empty() {
            true => None,
            false => self.forwarded.take_write(session, entry.header.cxid),
        };
        let (origin, refusal) = match &forwarded {
            Some((origin, refusal)) => (origin, *refusal),
            None => (&proposal.request, None),
        };
        let finished = match (&entry.txn, refusal) {
            (Txn::Error { .. }, Some(code)) => Finished::refused(origin, code, tree.last_zxid()),
            _ => Finished::applied(origin, entry, &applied, tree.last_zxid()),
        };
        answer(origin, finished, tree, watches, connections);
        end_connection(origin, over, connections);
    }
}

/// A session is over: the connection that asked for its end gets its reply; any other just closes.
fn end_connection(origin: &Origin, over: Option<Session>, connections: &mut dyn Connections) {
    if let Some(conn) = over.and_then(|session| session.conn)
        && origin.conn != Some(conn)
    {
        connections.session_over(origin.session, conn);
    }
}

/// Tells the connection that waits, if there is one.
fn answer(
    origin: &Origin,
    finished: Finished<'_>,
    tree: &Tree,
    watches: &mut WatchTable,
    connections: &mut dyn Connections,
) {
    if let Some(conn) = origin.conn {
        connections.finished(conn, &finished, tree, watches);
    }
}

/// Turns changes into events.
struct Trigger<'a> {
    watches: &'a mut WatchTable,
    connections: &'a mut dyn Connections,
    told: &'a mut Vec<ConnId>,
}

impl Trigger<'_> {
    fn tell(&mut self, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        if planted!(EventLost) {
            return;
        }
        if !self.told.is_empty() {
            self.connections.fired(event, self.told.len());
        }
        for conn in self.told.iter() {
            self.connections.event(*conn, event, path, zxid, acl);
        }
    }
}

impl Observer for Trigger<'_> {
    fn created(&mut self, path: &str, zxid: Zxid, acl: &AclList) {
        self.watches.fire_data(path, self.told);
        self.tell(EventType::NodeCreated, path, zxid, acl);
    }

    fn deleted(&mut self, path: &str, zxid: Zxid, acl: &AclList) {
        self.watches.fire_deleted(path, self.told);
        self.tell(EventType::NodeDeleted, path, zxid, acl);
    }

    fn data_changed(&mut self, path: &str, zxid: Zxid, acl: &AclList) {
        self.watches.fire_data(path, self.told);
        self.tell(EventType::NodeDataChanged, path, zxid, acl);
    }

    fn children_changed(&mut self, path: &str, zxid: Zxid, acl: &AclList) {
        self.watches.fire_children(path, self.told);
        self.tell(EventType::NodeChildrenChanged, path, zxid, acl);
    }
}
