//! A server so simple that it can be seen to be right.
//!
//! There is one map of paths. A write happens when its turn comes, all at once, and a multi works on a copy.
//! Nothing is looked ahead, shared or counted along: whatever can be found by looking at all there is, is.

mod change;
mod look;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use rookeeper_protocol::types::{Acl, Id, OpCode, Perms, Stat, Zxid};

use super::wire::*;
use super::world::T0;

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create { op: OpCode, path: String, data: Option<Vec<u8>>, acl: AclChoice, flags: i32, ttl_ms: i64 },
    Delete { path: String, version: i32 },
    SetData { path: String, data: Vec<u8>, version: i32 },
    SetAcl { path: String, acl: AclChoice, version: i32 },
    Check { path: String, version: i32 },
    Multi(Vec<Op>),
    Read { op: OpCode, path: String, watch: bool },
    ByPath { op: OpCode, path: String },
    ByNumber { op: OpCode, path: String, number: i32 },
    MultiRead(Vec<String>),
    SetWatches { since: i64, lists: [Vec<String>; 5] },
    Ping,
    Close,
}

/// The lists that are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AclChoice {
    Open,
    ReadOnly,
    NoRead,
    Auth,
    Nobody,
    Empty,
}

impl AclChoice {
    pub(crate) fn list(self) -> Vec<Acl> {
        let world = |perms| vec![Acl { perms, id: Id::new("world", "anyone") }];
        match self {
            Self::Open => world(Perms::ALL),
            Self::ReadOnly => world(Perms::READ),
            Self::NoRead => world(Perms::ALL - Perms::READ),
            Self::Auth => auth_acl(),
            Self::Nobody => vec![user_acl(Perms::ALL, "nobody:x")],
            Self::Empty => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Nobody,
    Session(i64),
    Container,
    Ttl(i64),
}

/// A znode.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) acl: Vec<Acl>,
    pub(crate) owner: Owner,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    /// Children ever created.
    pub(crate) created: i32,
}

/// A way to watch; `Child` and `Data` end with their first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Data,
    Child,
    Persistent,
    Recursive,
}

#[derive(Debug)]
enum Waiting {
    Write,
    Read { xid: i32, op: Op, ids: Vec<String> },
}

/// A client with its connection.
#[derive(Debug, Default)]
pub(crate) struct Client {
    session: i64,
    pub(crate) ids: Vec<String>,
    waiting: VecDeque<Waiting>,
    pub(crate) out: Vec<Sent>,
    pub(crate) over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionState {
    Open,
    Closing,
    Gone,
}

/// A write whose turn has not come.
#[derive(Debug)]
struct Write {
    /// None for the server's own.
    conn: Option<u32>,
    xid: i32,
    op: Op,
    session: i64,
    state: SessionState,
    ids: Vec<String>,
    time: i64,
}

/// What a write works with.
struct Context {
    zxid: i64,
    time: i64,
    session: i64,
    state: SessionState,
    ids: Vec<String>,
}

/// The server.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) clients: BTreeMap<u32, Client>,
    sessions: BTreeMap<i64, SessionState>,
    watches: BTreeSet<(String, u32, Kind)>,
    writes: VecDeque<Write>,
    pub(crate) zxid: i64,
    pub(crate) now: i64,
    /// Changes of the write that is happening: what, where, and who may know.
    changes: Vec<(i32, String, Vec<Acl>)>,
}

type Outcome = Result<BytesMut, i32>;

fn parent_of(path: &str) -> Option<String> {
    let slash = path.rfind('/')?;
    Some(if slash == 0 { "/".to_owned() } else { path[..slash].to_owned() })
}

fn may(acl: &[Acl], perm: i32, ids: &[String]) -> bool {
    acl.iter().any(|acl| {
        let name = acl.id.id.as_deref().unwrap();
        acl.perms & perm != 0 && (name == "anyone" || ids.iter().any(|id| id == name))
    })
}

fn allow(acl: &[Acl], perm: i32, ids: &[String]) -> Result<(), i32> {
    if may(acl, perm, ids) { Ok(()) } else { Err(-102) }
}

impl Model {
    pub(crate) fn new() -> Self {
        let node = |perms, aversion| Node {
            data: Some(Vec::new()),
            acl: vec![Acl { perms, id: Id::new("world", "anyone") }],
            owner: Owner::Nobody,
            czxid: 0,
            mzxid: 0,
            pzxid: 0,
            ctime: 0,
            mtime: 0,
            version: 0,
            aversion,
            created: 0,
        };
        let open = || node(Perms::ALL, 0);
        let nodes = BTreeMap::from([
            ("/".to_owned(), open()),
            ("/zookeeper".to_owned(), open()),
            ("/zookeeper/quota".to_owned(), open()),
            ("/zookeeper/config".to_owned(), node(Perms::READ, -1)),
        ]);
        Self {
            nodes,
            clients: BTreeMap::new(),
            sessions: BTreeMap::new(),
            watches: BTreeSet::new(),
            writes: VecDeque::new(),
            zxid: 0,
            now: T0,
            changes: Vec::new(),
        }
    }

    /// A client gets a session, before which everything is flushed.
    pub(crate) fn connect(&mut self, conn: u32, session: i64) {
        self.flush(usize::MAX);
        self.zxid += 1;
        self.sessions.insert(session, SessionState::Open);
        self.clients.insert(conn, Client { session, ..Client::default() });
    }

    pub(crate) fn hang_up(&mut self, conn: u32) {
        self.clients.remove(&conn);
        self.watches.retain(|(_, watcher, _)| *watcher != conn);
    }

    /// Number of watches, as Java counts: by path and connection in each of two tables.
    pub(crate) fn watch_count(&self) -> usize {
        let in_table = |kinds: [Kind; 3]| {
            let pairs = self.watches.iter().filter(|(_, _, kind)| kinds.contains(kind));
            pairs.map(|(path, conn, _)| (path, conn)).collect::<BTreeSet<_>>().len()
        };
        in_table([Kind::Data, Kind::Persistent, Kind::Recursive])
            + in_table([Kind::Child, Kind::Persistent, Kind::Child])
    }

    pub(crate) fn send(&mut self, conn: u32, xid: i32, op: Op) {
        let client = self.clients.get_mut(&conn).unwrap();
        let (session, ids) = (client.session, client.ids.clone());
        let is_write = matches!(
            op,
            Op::Create { .. } | Op::Delete { .. } | Op::SetData { .. } | Op::SetAcl { .. } | Op::Multi(_) | Op::Close
        );
        if is_write {
            client.waiting.push_back(Waiting::Write);
            self.submit(Some(conn), session, xid, op, ids);
        } else if client.waiting.is_empty() {
            self.read(conn, xid, &op, &ids);
        } else {
            client.waiting.push_back(Waiting::Read { xid, op, ids });
        }
    }

    fn submit(&mut self, conn: Option<u32>, session: i64, xid: i32, op: Op, ids: Vec<String>) {
        let state = self.sessions.get(&session).copied().unwrap_or(SessionState::Gone);
        if let (Op::Close, Some(state)) = (&op, self.sessions.get_mut(&session)) {
            *state = SessionState::Closing;
        }
        self.writes.push_back(Write { conn, xid, op, session, state, ids, time: self.now });
    }

    /// The server ends a client's session.
    pub(crate) fn expire(&mut self, conn: u32) {
        let session = self.clients[&conn].session;
        self.submit(None, session, 0, Op::Close, Vec::new());
    }

    /// The server removes a container or TTL znode; that is a delete by nobody.
    pub(crate) fn reap(&mut self, path: &str) {
        self.submit(None, 0, 0, Op::Delete { path: path.to_owned(), version: 0 }, Vec::new());
    }

    /// The next writes happen.
    pub(crate) fn flush(&mut self, count: usize) {
        for _ in 0..count {
            let Some(write) = self.writes.pop_front() else { return };
            self.happen(write);
        }
    }

    fn happen(&mut self, write: Write) {
        self.zxid += 1;
        let context =
            Context { zxid: self.zxid, time: write.time, session: write.session, state: write.state, ids: write.ids };
        let outcome = match (&write.op, write.conn) {
            (Op::Close, _) => Ok(self.close(&context)),
            (Op::Multi(ops), _) => Ok(self.multi(&context, ops)),
            (Op::Delete { path, .. }, None) => self.remove_unneeded(&context, path),
            (op, _) => self.change(&context, op),
        };
        for (event, path, acl) in std::mem::take(&mut self.changes) {
            self.fire(event, &path, &acl);
        }
        if let Some(conn) = write.conn
            && let Some(client) = self.clients.get_mut(&conn)
            && !client.over
        {
            client.waiting.pop_front();
            client.out.push(match outcome {
                Ok(body) => answer(write.xid, self.zxid, body),
                Err(code) => reply(write.xid, self.zxid, code),
            });
            while let Some(Waiting::Read { .. }) = self.clients[&conn].waiting.front() {
                let Some(Waiting::Read { xid, op, ids }) = self.clients.get_mut(&conn).unwrap().waiting.pop_front()
                else {
                    unreachable!()
                };
                self.read(conn, xid, &op, &ids);
            }
        }
        if matches!(write.op, Op::Close) {
            let of_session = self.clients.values_mut().filter(|client| client.session == write.session);
            of_session.for_each(|client| client.over = true);
        }
    }

    fn close(&mut self, context: &Context) -> BytesMut {
        let mine = |node: &Node| node.owner == Owner::Session(context.session);
        let paths: Vec<String> =
            self.nodes.iter().filter(|(_, node)| mine(node)).map(|(path, _)| path.clone()).collect();
        for path in paths {
            self.remove(&path, context.zxid);
        }
        self.sessions.remove(&context.session);
        BytesMut::new()
    }

    pub(crate) fn children(&self, path: &str) -> Vec<&str> {
        let is_child = |child: &&String| child.as_str() != "/" && parent_of(child).as_deref() == Some(path);
        self.nodes.keys().filter(is_child).map(|child| child.rsplit('/').next().unwrap()).collect()
    }

    fn empty(&self, path: &str) -> Result<(), i32> {
        if self.children(path).is_empty() { Ok(()) } else { Err(-111) }
    }

    fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let children = self.children(path).len() as i32;
        Stat {
            czxid: Zxid(node.czxid),
            mzxid: Zxid(node.mzxid),
            pzxid: Zxid(node.pzxid),
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            aversion: node.aversion,
            // Every child was created once, and those that are gone were deleted once.
            cversion: 2 * node.created - children,
            ephemeral_owner: if let Owner::Session(session) = node.owner { session } else { 0 },
            data_length: node.data.as_ref().map_or(0, Vec::len) as i32,
            num_children: children,
        }
    }
}
