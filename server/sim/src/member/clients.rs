//! The clients of a member, as its process knows them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use rookeeper_core::client::{Connection, ConnectionRules, Phase, ReadView};
use rookeeper_core::peer::Clients;
use rookeeper_core::pipeline::{Connections, Finished};
use rookeeper_core::tree::Tree;
use rookeeper_core::watch::{ConnId, WatchTable};
use rookeeper_protocol::client::EventType;
use rookeeper_protocol::types::{AclList, SessionId, Zxid};

use crate::network::PipeId;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) pipe: PipeId,
    pub(crate) heard_ms: i64,
    /// What was read and is no whole frame.
    pub(crate) unread: BytesMut,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) clients: BTreeMap<ConnId, Client>,
    /// Connections on which something is to be written.
    touched: BTreeSet<ConnId>,
    pub(crate) rules: ConnectionRules,
    pub(crate) now_ms: i64,
    next: u32,
}

impl Table {
    pub(crate) fn new(rules: ConnectionRules) -> Self {
        Self { clients: BTreeMap::new(), touched: BTreeSet::new(), rules, now_ms: 0, next: 1 }
    }

    /// Somebody has connected.
    pub(crate) fn add(&mut self, pipe: PipeId) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        let connection = Connection::new(conn, "10.0.0.1");
        self.clients.insert(conn, Client { connection, pipe, heard_ms: self.now_ms, unread: BytesMut::new() });
        conn
    }

    pub(crate) fn on_pipe(&self, pipe: PipeId) -> Option<ConnId> {
        self.clients.iter().find(|(_, client)| client.pipe == pipe).map(|(conn, _)| *conn)
    }

    pub(crate) fn touch(&mut self, conn: ConnId) {
        self.touched.insert(conn);
    }

    /// All of them end.
    pub(crate) fn end_all(&mut self) {
        for (conn, client) in &mut self.clients {
            client.connection.end();
            self.touched.insert(*conn);
        }
    }

    pub(crate) fn end(&mut self, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.connection.end();
            self.touched.insert(conn);
        }
    }

    /// What is to be written, and whether the connection closes behind it.
    pub(crate) fn take_written(&mut self) -> Vec<(ConnId, PipeId, Bytes, bool)> {
        let mut written = Vec::new();
        for conn in std::mem::take(&mut self.touched) {
            let Some(client) = self.clients.get_mut(&conn) else { continue };
            let out = client.connection.out.split().freeze();
            client.connection.drained();
            let ends = client.connection.phase() == Phase::Ending;
            written.push((conn, client.pipe, out, ends));
        }
        written
    }
}

impl Clients for Table {
    fn last_heard(&self, conn: ConnId) -> Option<(i64, i32)> {
        self.clients.get(&conn).map(|client| (client.heard_ms, client.connection.timeout_ms()))
    }
}

impl Connections for Table {
    fn event(&mut self, conn: ConnId, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.connection.event(&self.rules.acl, event, path, zxid, acl);
            self.touched.insert(conn);
        }
    }

    fn fired(&mut self, _: EventType, _: usize) {}

    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, mut watches: &mut WatchTable) {
        if let Some(client) = self.clients.get_mut(&conn) {
            let mut view = ReadView { tree, watches: &mut watches, rules: &self.rules, now_ms: self.now_ms };
            client.connection.finished(finished, &mut view);
            self.touched.insert(conn);
        }
    }

    fn session_over(&mut self, session: SessionId, conn: ConnId) {
        if self.clients.get(&conn).is_some_and(|client| client.connection.session() == session) {
            self.end(conn);
        }
    }
}
