//! A server so simple that it can be seen to be right.
//!
//! There is one map of paths. A write happens when its turn comes, all at once, and a multi works on a copy.
//! Nothing is looked ahead, shared or counted along: whatever can be found by looking at all there is, is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, CreateMode, Id, OpCode, Perms, Stat, Zxid, write_acls};

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

fn is_legal(path: &str) -> bool {
    path == "/"
        || path.starts_with('/')
            && path[1..].split('/').all(|name| !["", ".", ".."].contains(&name) && !name.contains('\u{1}'))
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

fn resolve(choice: AclChoice, ids: &[String]) -> Result<Vec<Acl>, i32> {
    let list = match choice {
        AclChoice::Auth => ids.iter().map(|id| user_acl(Perms::ALL, id)).collect(),
        other => other.list(),
    };
    if list.is_empty() { Err(-114) } else { Ok(list) }
}

fn next(version: i32, expected: i32) -> Result<i32, i32> {
    if expected == -1 || expected == version { Ok(version + 1) } else { Err(-103) }
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

    fn multi(&mut self, context: &Context, ops: &[Op]) -> BytesMut {
        let before = self.nodes.clone();
        let mut parts = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            // In a multi the container's flag counts under every code.
            let op = match op {
                Op::Create { path, data, acl, flags: 4, ttl_ms, .. } => {
                    let (op, path, data) = (OpCode::CreateContainer, path.clone(), data.clone());
                    &Op::Create { op, path, data, acl: *acl, flags: 4, ttl_ms: *ttl_ms }
                }
                op => op,
            };
            match self.change(context, op) {
                Ok(body) => parts.push((self.result_number(op), 0, body)),
                Err(code) => {
                    self.nodes = before;
                    self.changes.clear();
                    let told = |at: usize| match at.cmp(&index) {
                        Ordering::Less => 0,
                        Ordering::Equal => code,
                        Ordering::Greater => -2,
                    };
                    parts = (0..ops.len()).map(|at| failed(told(at))).collect();
                    break;
                }
            }
        }
        results(&parts)
    }

    fn result_number(&self, op: &Op) -> i32 {
        match op {
            Op::Create { op: OpCode::Create, .. } => 1,
            Op::Create { .. } => 15,
            Op::Delete { .. } => 2,
            Op::SetData { .. } => 5,
            Op::Check { .. } => 13,
            other => panic!("{other:?}"),
        }
    }

    fn session_of(context: &Context, ephemeral: bool) -> Result<(), i32> {
        match context.state {
            SessionState::Open => Ok(()),
            SessionState::Gone if !ephemeral => Err(-12),
            _ => Err(-112),
        }
    }

    fn node(&self, path: &str) -> Result<&Node, i32> {
        self.nodes.get(path).ok_or(-101)
    }

    fn change(&mut self, context: &Context, op: &Op) -> Outcome {
        match op {
            Op::Create { op, path, data, acl, flags, ttl_ms } => {
                self.create(context, *op, path, data.clone(), *acl, *flags, *ttl_ms)
            }
            Op::Delete { path, version } => {
                Self::session_of(context, false)?;
                let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
                let parent = parent_of(path).filter(|_| !special.contains(&path.as_str())).ok_or(-8)?;
                allow(&self.node(&parent)?.acl, Perms::DELETE, &context.ids)?;
                next(self.node(path)?.version, *version)?;
                self.empty(path)?;
                self.remove(path, context.zxid);
                Ok(BytesMut::new())
            }
            Op::SetData { path, data, version } => {
                Self::session_of(context, false)?;
                is_legal(path).then_some(()).ok_or(-8)?;
                allow(&self.node(path)?.acl, Perms::WRITE, &context.ids)?;
                let version = next(self.node(path)?.version, *version)?;
                let node = self.nodes.get_mut(path).unwrap();
                node.data = Some(data.clone());
                (node.version, node.mzxid, node.mtime) = (version, context.zxid, context.time);
                self.changes.push((DATA, path.clone(), node.acl.clone()));
                Ok(stat_bytes(&self.stat(path)))
            }
            Op::SetAcl { path, acl, version } => {
                Self::session_of(context, false)?;
                is_legal(path).then_some(()).ok_or(-8)?;
                let acl = resolve(*acl, &context.ids)?;
                allow(&self.node(path)?.acl, Perms::ADMIN, &context.ids)?;
                let aversion = next(self.node(path)?.aversion, *version)?;
                let node = self.nodes.get_mut(path).unwrap();
                (node.acl, node.aversion) = (acl, aversion);
                Ok(stat_bytes(&self.stat(path)))
            }
            Op::Check { path, version } => {
                Self::session_of(context, false)?;
                is_legal(path).then_some(()).ok_or(-8)?;
                allow(&self.node(path)?.acl, Perms::READ, &context.ids)?;
                next(self.node(path)?.version, *version)?;
                Ok(BytesMut::new())
            }
            other => panic!("{other:?}"),
        }
    }

    #[allow(clippy::too_many_arguments)] // The fields of one operation.
    fn create(
        &mut self,
        context: &Context,
        op: OpCode,
        path: &str,
        data: Option<Vec<u8>>,
        acl: AclChoice,
        flags: i32,
        ttl_ms: i64,
    ) -> Outcome {
        let mode = CreateMode::from_flags(flags).ok_or(-8)?;
        let legal_ttl = if flags >= 5 { ttl_ms > 0 } else { ttl_ms < 0 && op != OpCode::CreateTtl };
        legal_ttl.then_some(()).ok_or(-8)?;
        Self::session_of(context, mode.is_ephemeral())?;
        let parent = parent_of(path).ok_or(-8)?;
        let acl = resolve(acl, &context.ids)?;
        allow(&self.node(&parent)?.acl, Perms::CREATE, &context.ids)?;
        let number = self.node(&parent)?.created;
        let path = if mode.is_sequential() { format!("{path}{number:010}") } else { path.to_owned() };
        is_legal(&path).then_some(()).ok_or(-8)?;
        if self.nodes.contains_key(&path) {
            return Err(-110);
        }
        if matches!(self.node(&parent)?.owner, Owner::Session(_)) {
            return Err(-108);
        }
        let owner = match op {
            OpCode::CreateContainer => Owner::Container,
            OpCode::CreateTtl => Owner::Ttl(ttl_ms),
            _ if mode.is_ephemeral() => Owner::Session(context.session),
            _ => Owner::Nobody,
        };
        let Context { zxid, time, .. } = *context;
        let node = Node {
            data,
            acl: acl.clone(),
            owner,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            created: 0,
        };
        self.nodes.insert(path.clone(), node);
        let above = self.nodes.get_mut(&parent).unwrap();
        above.created += 1;
        above.pzxid = zxid;
        self.changes.push((CREATED, path.clone(), acl));
        self.changes.push((CHILDREN, parent, above.acl.clone()));
        Ok(if op == OpCode::Create { text(&path) } else { path_and_stat(&path, &self.stat(&path)) })
    }

    fn remove_unneeded(&mut self, context: &Context, path: &str) -> Outcome {
        let owner = self.node(path)?.owner;
        self.empty(path)?;
        if !matches!(owner, Owner::Container | Owner::Ttl(_)) {
            return Err(-103);
        }
        self.remove(path, context.zxid);
        Ok(BytesMut::new())
    }

    fn remove(&mut self, path: &str, zxid: i64) {
        let node = self.nodes.remove(path).unwrap();
        let parent = parent_of(path).unwrap();
        let above = self.nodes.get_mut(&parent).unwrap();
        above.pzxid = zxid;
        self.changes.push((DELETED, path.to_owned(), node.acl));
        self.changes.push((CHILDREN, parent, above.acl.clone()));
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

    /// Tells everybody who watches, in the order of the connections.
    fn fire(&mut self, event: i32, path: &str, acl: &[Acl]) {
        let kinds: &[Kind] = match event {
            CHILDREN => &[Kind::Child, Kind::Persistent],
            DELETED => &[Kind::Data, Kind::Child, Kind::Persistent],
            _ => &[Kind::Data, Kind::Persistent],
        };
        // The root has a second name, but not for watches.
        let below = |at: &str| at == "/" || path == at || !at.is_empty() && path.starts_with(&format!("{at}/"));
        let fires = |(at, _, kind): &&(String, u32, Kind)| match kind {
            Kind::Recursive => event != CHILDREN && below(at),
            kind => at == path && kinds.contains(kind),
        };
        let fired: Vec<(String, u32, Kind)> = self.watches.iter().filter(fires).cloned().collect();
        let told: BTreeSet<u32> = fired.iter().map(|(_, conn, _)| *conn).collect();
        for watch in fired.into_iter().filter(|(_, _, kind)| matches!(kind, Kind::Data | Kind::Child)) {
            self.watches.remove(&watch);
        }
        for conn in told {
            let client = self.clients.get_mut(&conn).unwrap();
            if !client.over && may(acl, Perms::READ, &client.ids) {
                client.out.push(super::wire::event(self.zxid, event, path));
            }
        }
    }

    fn read(&mut self, conn: u32, xid: i32, op: &Op, ids: &[String]) {
        let xid = if matches!(op, Op::Ping) { -2 } else { xid };
        let sent = match self.result_of_read(conn, op, ids) {
            Ok(body) => answer(xid, self.zxid, body),
            Err(code) => reply(xid, self.zxid, code),
        };
        self.clients.get_mut(&conn).unwrap().out.push(sent);
    }

    fn result_of_read(&mut self, conn: u32, op: &Op, ids: &[String]) -> Outcome {
        // The root has a second name.
        let key = |path: &String| if path.is_empty() { "/".to_owned() } else { path.clone() };
        match op {
            Op::Ping => Ok(BytesMut::new()),
            Op::Read { op: OpCode::Exists, path, watch } => {
                if let Some(node) = self.nodes.get(&key(path)) {
                    allow(&node.acl, Perms::READ, ids)?;
                }
                self.watch(*watch, conn, path, Kind::Data);
                self.node(&key(path))?;
                Ok(stat_bytes(&self.stat(&key(path))))
            }
            Op::Read { op, path, watch } => {
                allow(&self.node(&key(path))?.acl, Perms::READ, ids)?;
                let kind = if *op == OpCode::GetData { Kind::Data } else { Kind::Child };
                self.watch(*watch, conn, path, kind);
                Ok(bytes(|out| {
                    if *op == OpCode::GetData {
                        out.buffer(self.nodes[&key(path)].data.as_deref());
                    } else {
                        names(out, &self.children(&key(path)));
                    }
                    if *op != OpCode::GetChildren {
                        self.stat(&key(path)).write(out);
                    }
                }))
            }
            Op::ByPath { op: OpCode::Sync, path } => Ok(text(path)),
            Op::ByPath { op: OpCode::GetAcl, path } => {
                let acl = self.node(&key(path))?.acl.clone();
                allow(&acl, Perms::READ | Perms::ADMIN, ids)?;
                Ok(bytes(|out| {
                    let hide = |acl: &Acl| match acl.id.id.as_deref().unwrap().split_once(':') {
                        Some((user, _)) => user_acl(acl.perms, &format!("{user}:x")),
                        None => acl.clone(),
                    };
                    let hidden: Vec<Acl> = acl.iter().map(hide).collect();
                    write_acls(out, if may(&acl, Perms::ADMIN, ids) { &acl } else { &hidden });
                    self.stat(&key(path)).write(out);
                }))
            }
            Op::ByPath { op: OpCode::GetEphemerals, path } => {
                let owner = Owner::Session(self.clients[&conn].session);
                // Java trims control characters as well.
                let all = ["", "/"].contains(&path.trim_matches(|character| character <= ' '));
                let mine = self
                    .nodes
                    .iter()
                    .filter(|(at, node)| node.owner == owner && (all || at.starts_with(path.as_str())));
                let mine: Vec<&str> = mine.map(|(at, _)| at.as_str()).collect();
                Ok(bytes(|out| names(out, &mine)))
            }
            Op::ByPath { op: OpCode::GetAllChildrenNumber, path } => {
                allow(&self.node(&key(path))?.acl, Perms::READ, ids)?;
                // For `/` Java takes its two names off, for the empty name only one.
                let prefix = if path == "/" { "/" } else { &format!("{path}/") };
                let below = self.nodes.keys().filter(|at| at.starts_with(prefix)).count();
                Ok(bytes(|out| out.int(below as i32 - i32::from(path == "/"))))
            }
            Op::ByNumber { op, path, number } => self.watch_request(conn, *op, path, *number),
            Op::MultiRead(paths) => {
                let part = |path: &String| match self.node(&key(path)) {
                    Err(code) => failed(code),
                    Ok(node) if !may(&node.acl, Perms::READ, ids) => failed(-102),
                    Ok(node) => {
                        let data = bytes(|out| {
                            out.buffer(node.data.as_deref());
                            self.stat(&key(path)).write(out);
                        });
                        (4, 0, data)
                    }
                };
                Ok(results(&paths.iter().map(part).collect::<Vec<_>>()))
            }
            Op::SetWatches { since, lists } => {
                self.catch_up(conn, *since, lists, key);
                Ok(BytesMut::new())
            }
            other => panic!("{other:?}"),
        }
    }

    fn watch(&mut self, wanted: bool, conn: u32, path: &str, kind: Kind) {
        if wanted {
            self.watches.insert((path.to_owned(), conn, kind));
        }
    }

    fn watch_request(&mut self, conn: u32, op: OpCode, path: &str, number: i32) -> Outcome {
        let all = [Kind::Child, Kind::Data, Kind::Persistent, Kind::Recursive];
        if op == OpCode::AddWatch {
            let kind = [Kind::Persistent, Kind::Recursive].get(number as usize).ok_or(-5)?;
            self.watch(true, conn, path, *kind);
            return Ok(bytes(|out| out.int(0)));
        }
        let kinds: &[Kind] = match number {
            1 => &all[..1],
            2 => &all[1..2],
            3 => &all,
            4 => &all[2..3],
            5 => &all[3..],
            _ => return Err(-5),
        };
        let found: Vec<_> = kinds
            .iter()
            .map(|kind| (path.to_owned(), conn, *kind))
            .filter(|watch| self.watches.contains(watch))
            .collect();
        if op == OpCode::RemoveWatches {
            found.iter().for_each(|watch| assert!(self.watches.remove(watch)));
        }
        if found.is_empty() { Err(-121) } else { Ok(BytesMut::new()) }
    }

    fn catch_up(&mut self, conn: u32, since: i64, lists: &[Vec<String>; 5], key: impl Fn(&String) -> String) {
        let missed = |event, path: &str| super::wire::event(-1, event, path);
        for (index, list) in lists.iter().enumerate() {
            for path in list {
                let node = self.nodes.get(&key(path));
                let happened = match (index, node) {
                    (0, Some(node)) if node.mzxid > since => Some(DATA),
                    (1, Some(_)) => Some(CREATED),
                    (2, Some(node)) if node.pzxid > since => Some(CHILDREN),
                    (0 | 2, None) => Some(DELETED),
                    _ => None,
                };
                let kind = [Kind::Data, Kind::Data, Kind::Child, Kind::Persistent, Kind::Recursive][index];
                match happened {
                    Some(event) => self.clients.get_mut(&conn).unwrap().out.push(missed(event, path)),
                    None => self.watch(true, conn, path, kind),
                }
            }
        }
    }
}
