//! Applying what is durable: the tree changes, watchers are told, clients are answered.

use rookeeper_protocol::client::EventType;
use rookeeper_protocol::types::{AclList, OpCode, SessionId, Zxid};

use super::{Finished, Outcome, Pipeline};
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
        for _ in 0..count_max {
            match self.queue.front().map(|proposal| &proposal.outcome) {
                None => return false,
                Some(Outcome::Logged(entry)) if entry.header.zxid > durable => return false,
                Some(_) => self.commit_one(tree, watches, connections),
            }
        }
        match self.queue.front().map(|proposal| &proposal.outcome) {
            None => false,
            Some(Outcome::Logged(entry)) => entry.header.zxid <= durable,
            Some(Outcome::Refused(_)) => true,
        }
    }

    fn commit_one(&mut self, tree: &mut Tree, watches: &mut WatchTable, connections: &mut dyn Connections) {
        let Some(proposal) = self.queue.pop_front() else { return };
        self.queue_bytes -= proposal.bytes;
        let origin = &proposal.request;
        let entry = match &proposal.outcome {
            Outcome::Logged(entry) => entry,
            Outcome::Refused(code) => {
                if let Some(conn) = origin.conn {
                    let finished = Finished::refused(origin, *code, tree.last_zxid());
                    connections.finished(conn, &finished, tree, watches);
                }
                return;
            }
        };
        let applied: Applied = {
            let mut told = Vec::new();
            let mut trigger = Trigger { watches, connections, told: &mut told };
            tree.apply(entry, &mut self.changes, &mut trigger)
        };
        self.outstanding.applied(entry.header.zxid);
        for delta in &proposal.quota {
            self.outstanding.take_quota(delta);
        }
        let mut over = None;
        if entry.header.kind == OpCode::CloseSession.number() {
            over = self.sessions.remove(origin.session).and_then(|session| session.conn);
        }
        if let Some(conn) = origin.conn {
            let finished = Finished::applied(origin, entry, &applied, tree.last_zxid());
            connections.finished(conn, &finished, tree, watches);
        }
        // The connection that asked for the end gets its reply; any other just closes.
        if let Some(conn) = over
            && origin.conn != Some(conn)
        {
            connections.session_over(origin.session, conn);
        }
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
