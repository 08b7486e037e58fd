//! One server: the machine with its tree, its clients' connections and its disk.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::BytesMut;
use rookeeper_core::acl::{AclPolicy, AuthRules};
use rookeeper_core::client::{Connection, ConnectionRules, ReadView};
use rookeeper_core::election::Timing;
use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig, Membership};
use rookeeper_core::peer::{Clients, Input, Lent, Loaded, Output, Peer, PeerRules, Start, WriteId};
use rookeeper_core::pipeline::{Connections, Finished, Now, PipelineRules, WriteRequest};
use rookeeper_core::session::LocalSessions;
use rookeeper_core::tree::{Tree, TreeRules};
use rookeeper_core::watch::{ConnId, WatchTable};
use rookeeper_core::zab::{DialId, LogRecord, SyncRules, ZabRules};
use rookeeper_protocol::client::EventType;
use rookeeper_protocol::types::{AclList, ExtendedTypes, ServerId, SessionId, Zxid};

use super::disk::{Disk, Dump};
use crate::wire::{Request, Sent, read_sent};

pub(crate) const TREE_RULES: TreeRules =
    TreeRules { extended_types: ExtendedTypes { enabled: true, emulate_353: false }, digest: true };

/// The wall clock at the start, in milliseconds since 1970.
const T0: i64 = 1_700_000_000_000;

/// A session's connection, and when its client was heard.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    heard_ms: i64,
    fresh: bool,
}

/// The clients of a server.
pub(crate) struct Table {
    pub(crate) clients: BTreeMap<ConnId, Client>,
    rules: ConnectionRules,
    now_ms: i64,
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
        }
    }

    fn fired(&mut self, _: EventType, _: usize) {}

    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, mut watches: &mut WatchTable) {
        if let Some(client) = self.clients.get_mut(&conn) {
            let mut view = ReadView { tree, watches: &mut watches, rules: &self.rules, now_ms: self.now_ms };
            client.connection.finished(finished, &mut view);
        }
    }

    fn session_over(&mut self, session: SessionId, conn: ConnId) {
        if let Some(client) = self.clients.get_mut(&conn)
            && client.connection.session() == session
        {
            client.connection.end();
        }
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    pub(crate) tree: Tree,
    watches: WatchTable,
    pub(crate) table: Table,
    pub(crate) serves: bool,
    /// It serves those who only want to read.
    pub(crate) reads: bool,
    next_conn: u32,
}

/// A server, running or not.
pub(crate) struct Server {
    pub(crate) id: i64,
    pub(crate) running: Option<Running>,
    pub(crate) disk: Disk,
    /// Writes that are not flushed.
    pub(crate) writes: VecDeque<Output>,
    /// The snapshot that came over the connection to the leader, and what was appended behind it.
    pub(crate) received: Option<(DialId, Rc<Dump>)>,
    behind_snapshot: Option<Vec<LogRecord>>,
    /// `reconfigEnabled`.
    pub(crate) reconfigures: bool,
    pub(crate) skip_acl: bool,
    /// Changes its rules, from the next start on.
    pub(crate) tune: fn(&mut PeerRules),
    /// It has said that its process may end.
    pub(crate) stopped: bool,
}

fn policy(skip: bool) -> AclPolicy {
    AclPolicy { skip, auth: AuthRules::default() }
}

fn rules(id: i64, reconfig_enabled: bool, skip_acl: bool) -> PeerRules {
    PeerRules {
        zab: ZabRules {
            tick_ms: 200,
            init_limit: 10,
            sync_limit: 5,
            connect_limit: 0,
            epoch_wait_ms_max: None,
            observer_sync: true,
            sync: SyncRules::DEFAULT,
            first_counter: 0,
        },
        pipeline: PipelineRules {
            server_id: id as u8,
            tick_ms: 200,
            session_timeout_ms_min: 400,
            session_timeout_ms_max: 60_000,
            acl: policy(skip_acl),
            enforce_quota: false,
            reconfig_enabled,
            close_session_txn: true,
            inner_length_max: 1 << 20,
        },
        election: Timing::default(),
        commit_log_count: 5,
        leader_serves: true,
        observer_delay_ms: 200,
        observer_reconnect_delay_ms: 0,
        observer_masters: false,
        local_sessions: LocalSessions::Disabled,
        read_only_mode: false,
        seed: id as u64,
    }
}

const CONFIG_RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: false };

/// The line of a server in a list of members.
pub(crate) fn member(id: i64) -> String {
    let role = if id > 3 { "observer" } else { "participant" };
    format!("server.{id}=h{id}:1:2:{role};0.0.0.0:{id}")
}

impl Server {
    pub(crate) fn new(id: i64, log_max: usize, observers: i64) -> Self {
        let members = (1..=3 + observers).map(|id| format!("{}\n", member(id))).collect();
        let disk = Disk { log_max, members, ..Disk::default() };
        Self {
            id,
            running: None,
            disk,
            writes: VecDeque::new(),
            received: None,
            behind_snapshot: None,
            tune: |_| {},
            stopped: false,
            reconfigures: false,
            skip_acl: false,
        }
    }

    fn now(now_ms: i64) -> Now {
        Now { monotonic_ms: now_ms, wall_ms: T0 + now_ms }
    }

    /// The disk of a server that does not run is replaced by an empty one.
    pub(crate) fn wipe(&mut self) {
        assert!(self.running.is_none());
        let Disk { log_max, ref members, .. } = self.disk;
        self.disk = Disk { log_max, members: members.clone(), is_unknown: true, ..Disk::default() };
    }

    pub(crate) fn start(&mut self, now_ms: i64) {
        let (tree, loaded) = self.disk.load(TREE_RULES);
        let parse = |text: &String| EnsembleConfig::parse(text, CONFIG_RULES).unwrap();
        let (active, next) = (parse(&self.disk.members), self.disk.next_members.as_ref().map(parse));
        let membership = Membership::new(ServerId(self.id), active, next, CONFIG_RULES, self.reconfigures);
        let start = Start { membership, epochs: self.disk.epochs, loaded, is_unknown: self.disk.is_unknown };
        let mut rules = rules(self.id, self.reconfigures, self.skip_acl);
        (self.tune)(&mut rules);
        let peer = Peer::new(rules, start, &tree, Self::now(now_ms));
        let rules = ConnectionRules {
            acl: policy(self.skip_acl),
            inner_length_max: 1 << 20,
            sync_is_agreed: true,
            required_schemes: vec![],
        };
        let table = Table { clients: BTreeMap::new(), rules, now_ms };
        let watches = WatchTable::new(1);
        self.running = Some(Running { peer, tree, watches, table, serves: false, reads: false, next_conn: 1 });
    }

    /// The process is gone, and so is what was not flushed.
    pub(crate) fn crash(&mut self) {
        self.running = None;
        self.writes.clear();
        (self.received, self.behind_snapshot) = (None, None);
    }

    pub(crate) fn step(&mut self, now_ms: i64, input: Input) {
        let Some(Running { peer, tree, table, .. }) = &mut self.running else { return };
        peer.step(Self::now(now_ms), &Lent { tree, clients: table }, input);
        self.apply(now_ms);
    }

    fn apply(&mut self, now_ms: i64) {
        let Some(Running { peer, tree, watches, table, .. }) = &mut self.running else { return };
        table.now_ms = now_ms;
        while peer.has_committed() {
            peer.apply(Self::now(now_ms), tree, watches, table, 2);
            assert_eq!(tree.digest_mismatches(), 0, "server {} at {}", self.id, tree.last_zxid());
        }
        peer.validate(tree).unwrap_or_else(|violation| panic!("server {}: {violation}", self.id));
    }

    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(running) = &mut self.running {
            running.peer.take_outputs(&mut outputs);
        }
        outputs
    }

    /// Does what concerns only this server; the rest is returned.
    pub(crate) fn carry_out(&mut self, output: Output) -> Option<Output> {
        let Some(running) = &mut self.running else { return Some(output) };
        match output {
            Output::Append { .. }
            | Output::PersistEpochs { .. }
            | Output::Truncate { .. }
            | Output::ReceiveSnapshot { .. }
            | Output::InstallSnapshot { .. }
            | Output::DropSnapshot { .. } => self.writes.push_back(output),
            Output::Serve => running.serves = true,
            Output::ServeReadOnly => running.reads = true,
            Output::StopServing => {
                (running.serves, running.reads) = (false, false);
                running.table.clients.values_mut().for_each(|client| client.connection.end());
            }
            Output::SessionRenewed { conn, valid, .. } => {
                if let Some(client) = running.table.clients.get_mut(&conn) {
                    client.connection.resumed(valid);
                }
            }
            Output::CloseConnection { conn, .. } => {
                if let Some(client) = running.table.clients.get_mut(&conn) {
                    client.connection.end();
                }
            }
            Output::MembersSeen { text } => self.disk.next_members = Some(text),
            Output::MembersActivated { text, activation } => {
                self.disk.members = text;
                if activation.nothing_pending {
                    self.disk.next_members = None;
                }
            }
            Output::Stopped => self.stopped = true,
            Output::StateChanged(_) | Output::Tell(_) => {}
            output => return Some(output),
        }
        None
    }

    /// Flushes what was written, and reports it.
    pub(crate) fn flush(&mut self, now_ms: i64) {
        let mut durable = WriteId::default();
        while let Some(write) = self.writes.pop_front() {
            match write {
                Output::Append { write, records } => {
                    match &mut self.behind_snapshot {
                        Some(behind) => behind.extend(records),
                        None => self.disk.append(records),
                    }
                    durable = write;
                }
                Output::PersistEpochs { write, epochs } => {
                    assert!(epochs.accepted >= self.disk.epochs.accepted && epochs.current >= self.disk.epochs.current);
                    self.disk.is_unknown &= epochs.current == self.disk.epochs.current;
                    self.disk.epochs = epochs;
                    durable = write;
                }
                Output::Truncate { write, keep } => {
                    self.step(now_ms, Input::Durable { through: durable });
                    self.disk.truncate(keep);
                    let behind = self.running.as_ref().is_some_and(|running| running.tree.last_zxid() > keep);
                    let reloaded = behind.then(|| self.reload());
                    let last_zxid = self.disk.last_zxid();
                    self.step(now_ms, Input::Truncated { write, last_zxid, reloaded });
                }
                Output::ReceiveSnapshot { .. } => self.behind_snapshot = Some(Vec::new()),
                Output::DropSnapshot { write } => {
                    (self.behind_snapshot, self.received) = (None, None);
                    durable = write;
                }
                Output::InstallSnapshot { write } => {
                    self.step(now_ms, Input::Durable { through: durable });
                    let (_, dump) = self.received.take().unwrap();
                    let zxid = dump.zxid;
                    self.disk.replace(dump);
                    let (tree, mut loaded) = self.disk.load(TREE_RULES);
                    loaded.recent.clear();
                    if let Some(running) = &mut self.running {
                        running.tree = tree;
                    }
                    self.disk.append(self.behind_snapshot.take().unwrap());
                    assert_eq!(loaded.last_zxid, zxid);
                    self.step(now_ms, Input::SnapshotInstalled { write, loaded });
                }
                other => panic!("{other:?} is no write"),
            }
        }
        self.step(now_ms, Input::Durable { through: durable });
    }

    fn reload(&mut self) -> Loaded {
        let (tree, loaded) = self.disk.load(TREE_RULES);
        if let Some(running) = &mut self.running {
            running.tree = tree;
        }
        loaded
    }

    pub(crate) fn dump(&self) -> Dump {
        let running = self.running.as_ref().unwrap();
        Dump::of(&running.tree, running.peer.pipeline().sessions.committed())
    }

    /// What a learner is sent, which has `newer` transactions more than it says.
    pub(crate) fn picture(&self, newer: usize) -> Dump {
        let mut dump = self.dump();
        let zxids = self.disk.log.iter().rev().map(|record| record.zxid);
        dump.zxid = zxids.filter(|zxid| *zxid <= dump.zxid).nth(newer).unwrap_or(dump.zxid);
        dump
    }

    /// A client connects, and asks for a session or comes back with one. `None` if nobody is served.
    pub(crate) fn connect(&mut self, now_ms: i64, session: Option<SessionId>, timeout_ms: i32) -> Option<ConnId> {
        let running = self.running.as_mut().filter(|running| running.serves || running.reads)?;
        let conn = ConnId(running.next_conn);
        running.next_conn += 1;
        let mut connection = Connection::new(conn, "10.0.0.1");
        if running.reads {
            connection.serve_read_only();
        }
        match session {
            None => {
                let session = running.peer.begin_session(Self::now(now_ms), timeout_ms, conn);
                connection.establish(session, timeout_ms, Some(true));
                let request = connection.create_session_request(now_ms);
                running.table.clients.insert(conn, Client { connection, heard_ms: now_ms, fresh: true });
                running.peer.submit(Self::now(now_ms), &running.tree, [request]);
                self.apply(now_ms);
            }
            Some(session) => {
                connection.establish(session, timeout_ms, Some(true));
                running.table.clients.insert(conn, Client { connection, heard_ms: now_ms, fresh: true });
                self.step(now_ms, Input::RenewSession { conn, session, timeout_ms });
            }
        }
        Some(conn)
    }

    /// A client sends a request.
    pub(crate) fn send(&mut self, now_ms: i64, conn: ConnId, xid: i32, request: &Request) {
        let Some(Running { peer, tree, watches, table, .. }) = &mut self.running else { return };
        let Table { clients, rules, .. } = table;
        let Some(client) = clients.get_mut(&conn) else { return };
        client.heard_ms = now_ms;
        let (mut writes, mut watches) = (Vec::new(), watches);
        let mut view = ReadView { tree, watches: &mut watches, rules, now_ms };
        client.connection.request(request.frame(xid), &mut view, &mut writes);
        peer.submit(Self::now(now_ms), tree, writes);
        self.apply(now_ms);
    }

    pub(crate) fn submit(&mut self, now_ms: i64, request: WriteRequest) {
        let Some(Running { peer, tree, .. }) = &mut self.running else { return };
        peer.submit(Self::now(now_ms), tree, [request]);
        self.apply(now_ms);
    }

    /// The socket is closed.
    pub(crate) fn hang_up(&mut self, now_ms: i64, conn: ConnId) {
        let Some(running) = &mut self.running else { return };
        let Some(client) = running.table.clients.remove(&conn) else { return };
        running.watches.remove_connection(conn);
        let (session, timeout_ms) = (client.connection.session(), client.connection.timeout_ms());
        let heard_ms = client.heard_ms;
        self.step(now_ms, Input::Disconnected { conn, session, timeout_ms, heard_ms });
    }

    /// What a client got, and whether its connection is still there.
    pub(crate) fn take(&mut self, conn: ConnId) -> (Vec<Sent>, bool) {
        let client = self.running.as_mut().and_then(|running| running.table.clients.get_mut(&conn));
        let Some(client) = client else { return (Vec::new(), false) };
        let out: &mut BytesMut = &mut client.connection.out;
        let sent = if out.is_empty() { Vec::new() } else { read_sent(out, std::mem::take(&mut client.fresh)) };
        (sent, client.connection.phase() != rookeeper_core::client::Phase::Ending)
    }
}
