//! A whole server without disk, sockets and clock.
//!
//! The test says when time passes and how far the log is flushed. Until then transactions are on their way,
//! and what comes next is judged by what they will have done.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rookeeper_core::acl::{AclPolicy, AuthRules};
use rookeeper_core::client::{Connection, ConnectionRules, Disposition, ReadView};
use rookeeper_core::pipeline::{Connections, Finished, Now, Pipeline, PipelineRules, WriteRequest};
use rookeeper_core::session::password_matches;
use rookeeper_core::tree::{ChangeLog, Tree, TreeRules};
use rookeeper_core::watch::{ConnId, WatchTable};
use rookeeper_protocol::client::EventType;
use rookeeper_protocol::txn::{DIGEST_VERSION, LogEntry, Txn, TxnDigest, TxnHeader};
use rookeeper_protocol::types::{AclList, ExtendedTypes, SessionId, Zxid};

use super::wire::{Request, Sent, read_sent};

/// The wall clock at the start, in milliseconds since 1970.
pub(crate) const T0: i64 = 1_700_000_000_000;

/// What a test may set.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) pipeline: PipelineRules,
    pub(crate) tree: TreeRules,
    pub(crate) required_schemes: Vec<String>,
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        let auth = AuthRules { digest_enabled: true, ..AuthRules::default() };
        Self {
            pipeline: PipelineRules {
                server_id: 1,
                tick_ms: 1000,
                session_timeout_ms_min: 2000,
                session_timeout_ms_max: 20_000,
                acl: AclPolicy { skip: false, auth },
                enforce_quota: false,
                reconfig_enabled: false,
                close_session_txn: true,
                inner_length_max: 1 << 20,
            },
            tree: TreeRules { extended_types: ExtendedTypes { enabled: true, emulate_353: false }, digest: true },
            required_schemes: Vec::new(),
            seed: 1,
        }
    }
}

/// The connections of a world.
pub(crate) struct Clients {
    pub(crate) connections: BTreeMap<ConnId, Connection>,
    rules: ConnectionRules,
    now_ms: i64,
    /// Connections in the order in which they got events and results, with what it was.
    pub(crate) calls: Vec<(ConnId, &'static str)>,
    /// How many watches fired, whoever may learn of it.
    pub(crate) fired: usize,
}

impl Connections for Clients {
    fn fired(&mut self, _event: EventType, count: usize) {
        self.fired += count;
    }

    fn event(&mut self, conn: ConnId, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        self.calls.push((conn, "event"));
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.event(&self.rules.acl, event, path, zxid, acl);
        }
    }

    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, mut watches: &mut WatchTable) {
        self.calls.push((conn, "finished"));
        if let Some(connection) = self.connections.get_mut(&conn) {
            let mut view = ReadView { tree, watches: &mut watches, rules: &self.rules, now_ms: self.now_ms };
            connection.finished(finished, &mut view);
        }
    }

    fn session_over(&mut self, session: SessionId, conn: ConnId) {
        self.calls.push((conn, "session over"));
        if let Some(connection) = self.connections.get_mut(&conn)
            && connection.session() == session
        {
            connection.end();
        }
    }
}

/// The server.
pub(crate) struct World {
    pub(crate) pipeline: Pipeline,
    pub(crate) tree: Tree,
    pub(crate) watches: WatchTable,
    pub(crate) clients: Clients,
    pub(crate) now: Now,
    /// Entries of the log that no test has taken yet.
    pub(crate) log: Vec<LogEntry>,
    /// All entries.
    pub(crate) history: Vec<LogEntry>,
    /// Whether each request is flushed and applied at once.
    pub(crate) flushes_at_once: bool,
    durable: Zxid,
    next_conn: u32,
    fresh: BTreeMap<ConnId, bool>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let tree = Tree::new(options.tree, options.seed);
        Self::around(options, tree, [])
    }

    /// A server that starts with this tree and these sessions.
    pub(crate) fn around(options: Options, tree: Tree, sessions: impl IntoIterator<Item = (SessionId, i32)>) -> Self {
        let now = Now { monotonic_ms: 0, wall_ms: T0 };
        let rules = ConnectionRules {
            acl: options.pipeline.acl.clone(),
            inner_length_max: options.pipeline.inner_length_max,
            sync_is_agreed: false,
            required_schemes: options.required_schemes,
        };
        Self {
            pipeline: Pipeline::new(options.pipeline, &tree, sessions, ChangeLog::default(), now),
            durable: tree.last_zxid(),
            tree,
            watches: WatchTable::new(options.seed),
            clients: Clients { connections: BTreeMap::new(), rules, now_ms: 0, calls: Vec::new(), fired: 0 },
            now,
            log: Vec::new(),
            history: Vec::new(),
            flushes_at_once: true,
            next_conn: 1,
            fresh: BTreeMap::new(),
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
        self.clients.now_ms = self.now.monotonic_ms;
    }

    /// A connection that has said nothing.
    pub(crate) fn dial(&mut self) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.clients.connections.insert(conn, Connection::new(conn, "10.0.0.1"));
        self.fresh.insert(conn, true);
        conn
    }

    /// A connection whose client asks for a session.
    pub(crate) fn begin(&mut self, timeout_ms: i32, read_only_flag: Option<bool>) -> ConnId {
        let conn = self.dial();
        let timeout_ms = self.pipeline.rules().clamp_timeout(timeout_ms);
        let session = self.pipeline.begin_session(self.now, timeout_ms, conn);
        let connection = self.clients.connections.get_mut(&conn).unwrap();
        connection.establish(session, timeout_ms, read_only_flag);
        let request = connection.create_session_request(self.now.monotonic_ms);
        self.submit(request);
        conn
    }

    /// A client with a session; what was sent and logged for it is taken.
    pub(crate) fn connect(&mut self) -> ConnId {
        let conn = self.begin(10_000, Some(false));
        self.flush();
        self.log.clear();
        self.take(conn);
        conn
    }

    /// A client comes back with its session and a password.
    pub(crate) fn resume(&mut self, session: SessionId, timeout_ms: i32, password: &[u8]) -> ConnId {
        let conn = self.dial();
        let sessions = &mut self.pipeline.sessions;
        if let Some(old) = sessions.attach(session, None)
            && let Some(old) = self.clients.connections.get_mut(&old)
        {
            old.end();
        }
        let valid =
            password_matches(session, Some(password)) && sessions.touch(session, timeout_ms, self.now.monotonic_ms);
        if valid {
            sessions.attach(session, Some(conn));
        }
        let connection = self.clients.connections.get_mut(&conn).unwrap();
        connection.establish(session, timeout_ms, None);
        connection.resumed(valid);
        conn
    }

    pub(crate) fn connection(&self, conn: ConnId) -> &Connection {
        &self.clients.connections[&conn]
    }

    pub(crate) fn session(&self, conn: ConnId) -> SessionId {
        self.connection(conn).session()
    }

    /// The socket is closed.
    pub(crate) fn hang_up(&mut self, conn: ConnId) {
        let connection = self.clients.connections.remove(&conn).unwrap();
        self.watches.remove_connection(conn);
        let (timeout_ms, heard_ms) = (connection.timeout_ms(), self.now.monotonic_ms);
        self.pipeline.sessions.detach(connection.session(), conn, timeout_ms, heard_ms);
    }

    /// A client sends a request.
    pub(crate) fn send(&mut self, conn: ConnId, xid: i32, request: &Request) -> Disposition {
        self.send_frame(conn, request.frame(xid))
    }

    /// A client sends whatever it likes.
    pub(crate) fn send_frame(&mut self, conn: ConnId, frame: Bytes) -> Disposition {
        let mut writes = Vec::new();
        let Self { tree, clients, watches, now, .. } = self;
        let Clients { connections, rules, .. } = clients;
        let mut watches = watches;
        let mut view = ReadView { tree, watches: &mut watches, rules, now_ms: now.monotonic_ms };
        let disposition = connections.get_mut(&conn).unwrap().request(frame, &mut view, &mut writes);
        for write in writes {
            self.submit(write);
        }
        disposition
    }

    /// A request comes into the pipeline.
    pub(crate) fn submit(&mut self, write: WriteRequest) {
        let before = self.pipeline.last_proposed();
        let mut log = BytesMut::new();
        let zxid = self.pipeline.submit(self.now, &self.tree, write, &mut log);
        match zxid {
            Some(zxid) => {
                assert_eq!(zxid, before.next());
                let entry = LogEntry::read(&log).unwrap();
                assert_eq!(entry.header.zxid, zxid);
                self.log.push(entry.clone());
                self.history.push(entry);
            }
            None => assert!(log.is_empty() && self.pipeline.last_proposed() == before),
        }
        if self.flushes_at_once {
            self.flush();
        } else {
            self.commit();
        }
    }

    /// So many more transactions are durable.
    pub(crate) fn flush_some(&mut self, count: i64) {
        self.durable = Zxid(self.durable.0 + count).min(self.pipeline.last_proposed());
        self.commit();
    }

    /// Everything is durable.
    pub(crate) fn flush(&mut self) {
        self.durable = self.pipeline.last_proposed();
        self.commit();
        assert_eq!(self.pipeline.in_flight(), 0);
    }

    /// Applies one after the other, and looks at the digest each time.
    fn commit(&mut self) {
        loop {
            let before = self.tree.last_zxid();
            let Self { pipeline, tree, watches, clients, durable, .. } = self;
            let more = pipeline.commit(tree, watches, clients, *durable, 1);
            self.check_digest(before);
            if !more {
                return;
            }
        }
    }

    fn check_digest(&self, before: Zxid) {
        let zxid = self.tree.last_zxid();
        if zxid == before {
            return;
        }
        let digest = self.tree.digest();
        assert_eq!(digest, self.tree.compute_digest(), "the digest kept is not the tree's at {zxid}");
        assert_eq!(self.tree.digest_mismatches(), 0, "a digest was foreseen wrongly at {zxid}");
        let entry = self.history.iter().rev().find(|entry| entry.header.zxid == zxid).unwrap();
        let expected = match entry.txn {
            Txn::Error { .. } => None,
            _ if !self.tree.rules().digest => None,
            _ => Some(TxnDigest { version: DIGEST_VERSION, tree_digest: digest }),
        };
        assert_eq!(entry.digest, expected, "at {zxid}");
    }

    /// What the client got since the last time.
    pub(crate) fn take(&mut self, conn: ConnId) -> Vec<Sent> {
        let connection = self.clients.connections.get_mut(&conn).unwrap();
        if connection.out.is_empty() {
            return Vec::new();
        }
        let expects_connect = self.fresh.insert(conn, false).unwrap_or(false);
        read_sent(&mut connection.out, expects_connect)
    }

    /// Sends a request, and takes the one frame that comes back.
    pub(crate) fn call(&mut self, conn: ConnId, xid: i32, request: &Request) -> Sent {
        self.send(conn, xid, request);
        let mut sent = self.take(conn);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// Sends a request that must succeed, and returns the body of its reply.
    pub(crate) fn ok(&mut self, conn: ConnId, request: &Request) -> Vec<u8> {
        match self.call(conn, 1, request) {
            Sent::Reply { error: 0, body, .. } => body,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request, and returns its error.
    pub(crate) fn error(&mut self, conn: ConnId, request: &Request) -> i32 {
        match self.call(conn, 1, request) {
            Sent::Reply { error, body, .. } if error == 0 || body.is_empty() => error,
            other => panic!("{other:?}"),
        }
    }

    /// Takes the log.
    pub(crate) fn take_log(&mut self) -> Vec<LogEntry> {
        std::mem::take(&mut self.log)
    }

    /// The entry that a request of this connection should have logged last; its digest was checked when it
    /// was applied.
    pub(crate) fn entry(&self, conn: ConnId, cxid: i32, zxid: i64, txn: Txn) -> LogEntry {
        let header = TxnHeader {
            client_id: self.session(conn),
            cxid,
            zxid: Zxid(zxid),
            time: self.now.wall_ms,
            kind: txn.kind().number(),
        };
        let applied = self.tree.last_zxid() >= header.zxid && !matches!(txn, Txn::Error { .. });
        let digest = applied.then(|| self.history.iter().find(|entry| entry.header.zxid == header.zxid).unwrap());
        LogEntry { header, txn, digest: digest.and_then(|entry| entry.digest) }
    }

    /// Whether a znode is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.tree.find(path).is_some()
    }

    /// The data of a znode as text.
    pub(crate) fn data(&self, path: &str) -> String {
        String::from_utf8(self.tree.get(path).unwrap().data.unwrap().to_vec()).unwrap()
    }

    /// Ends sessions that are silent too long; those on a connection were heard of at `heard_ms`.
    pub(crate) fn expire(&mut self, heard_ms: i64) -> Vec<SessionId> {
        let now_ms = self.now.monotonic_ms;
        let connections = &self.clients.connections;
        let heard = |conn| connections.get(&conn).map(|connection| (heard_ms, connection.timeout_ms()));
        let expired = self.pipeline.sessions.expire(now_ms, heard);
        for session in &expired {
            self.submit(WriteRequest::expire(*session, now_ms));
        }
        expired
    }

    /// The server removes a container or TTL znode.
    pub(crate) fn reap(&mut self, path: &str) {
        self.submit(WriteRequest::reap(path, self.now.monotonic_ms));
    }

    /// Number of watches on data and on children, as Java counts.
    pub(crate) fn watch_count(&self) -> usize {
        self.watches.len()
    }
}
