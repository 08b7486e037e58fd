//! Long runs of random requests, compared with the model in every reply, stat and event.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rookeeper_core::acl::{DigestAlgorithm, digest_id};
use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::tree::{ChangeLog, Tree};
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::types::{OpCode, StatPersisted, Zxid};

use super::model::{AclChoice, Model, Op, Owner};
use super::replay::{Mirror, Stored, reload};
use super::wire::*;
use super::world::{Options, World};

/// What happens next. Clients are named by their place in a short list.
#[derive(Debug, Clone)]
enum Step {
    Send(usize, Op),
    Auth(usize, &'static str),
    Flush(i64),
    FlushAll,
    Expire(usize),
    Reap(String),
    /// The socket closes; another client comes.
    Replace(usize),
    Pass(i64),
    /// The image is brought forward.
    Image,
}

const CLIENTS: usize = 3;

fn path() -> impl Strategy<Value = String> {
    let good = prop::sample::select(vec!["/a", "/b", "/c", "/a/x", "/a/y", "/a/x/1", "/b/x"]);
    let odd = prop::sample::select(vec![
        "/",
        "/a/",
        "/zookeeper",
        "/zookeeper/quota",
        "/zookeeper/config",
        "/zookeeper/x",
        "/a//x",
        "/./a",
        "/\u{1}",
        "a",
        "",
    ]);
    prop_oneof![9 => good, 1 => odd].prop_map(str::to_owned)
}

fn acl() -> impl Strategy<Value = AclChoice> {
    use AclChoice::*;
    prop_oneof![8 => Just(Open), 1 => prop::sample::select(vec![ReadOnly, NoRead, Auth, Nobody, Empty])]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..4)
}

fn version() -> impl Strategy<Value = i32> {
    prop_oneof![6 => Just(-1), 1 => 0..3]
}

/// A create as it may stand alone or in a multi; what only a multi refuses is left out.
fn create_op(flags: impl Strategy<Value = i32>) -> impl Strategy<Value = Op> {
    let op = prop::sample::select(vec![OpCode::Create, OpCode::Create2, OpCode::CreateContainer]);
    let plain = (op, flags).prop_map(|(op, flags)| (op, flags, -1));
    let ttl = (5..7, 1i64..100).prop_map(|(flags, ttl_ms)| (OpCode::CreateTtl, flags, ttl_ms));
    let kind = prop_oneof![5 => plain, 1 => ttl];
    (kind, path(), prop::option::weighted(0.9, data()), acl())
        .prop_map(|((op, flags, ttl_ms), path, data, acl)| Op::Create { op, path, data, acl, flags, ttl_ms })
}

fn change(flags: impl Strategy<Value = i32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => create_op(flags),
        4 => (path(), version()).prop_map(|(path, version)| Op::Delete { path, version }),
        3 => (path(), data(), version()).prop_map(|(path, data, version)| Op::SetData { path, data, version }),
    ]
}

fn write() -> impl Strategy<Value = Op> {
    let check = (path(), version()).prop_map(|(path, version)| Op::Check { path, version });
    let part = prop_oneof![6 => change(0..5), 1 => check];
    prop_oneof![
        8 => change(prop_oneof![20 => 0..5, 1 => -1..8]),
        2 => (path(), acl(), version()).prop_map(|(path, acl, version)| Op::SetAcl { path, acl, version }),
        2 => prop::collection::vec(part, 0..4).prop_map(Op::Multi),
    ]
}

fn read_op() -> impl Strategy<Value = Op> {
    let by_watch =
        prop::sample::select(vec![OpCode::Exists, OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2]);
    let by_path =
        prop::sample::select(vec![OpCode::Sync, OpCode::GetAcl, OpCode::GetEphemerals, OpCode::GetAllChildrenNumber]);
    let by_number = prop::sample::select(vec![OpCode::AddWatch, OpCode::CheckWatches, OpCode::RemoveWatches]);
    let paths = || prop::collection::vec(path(), 0..3);
    prop_oneof![
        8 => (by_watch, path(), any::<bool>()).prop_map(|(op, path, watch)| Op::Read { op, path, watch }),
        2 => (by_path, path()).prop_map(|(op, path)| Op::ByPath { op, path }),
        3 => (path(), 0..2).prop_map(|(path, number)| Op::ByNumber { op: OpCode::AddWatch, path, number }),
        2 => (by_number, path(), 0..7).prop_map(|(op, path, number)| Op::ByNumber { op, path, number }),
        1 => paths().prop_map(Op::MultiRead),
        1 => (0i64..40, [paths(), paths(), paths(), paths(), paths()])
            .prop_map(|(since, lists)| Op::SetWatches { since, lists }),
        1 => Just(Op::Ping),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    prop_oneof![
        40 => (client(), write()).prop_map(|(client, op)| Step::Send(client, op)),
        16 => (client(), read_op()).prop_map(|(client, op)| Step::Send(client, op)),
        8 => (1i64..4).prop_map(Step::Flush),
        6 => Just(Step::FlushAll),
        1 => client().prop_map(|client| Step::Send(client, Op::Close)),
        1 => client().prop_map(Step::Expire),
        1 => client().prop_map(Step::Replace),
        1 => (client(), prop::sample::select(vec!["me:1", "you:2"]))
            .prop_map(|(client, user)| Step::Auth(client, user)),
        2 => prop::sample::select(vec!["/a", "/b", "/a/x", "/a/x/1"]).prop_map(|path| Step::Reap(path.to_owned())),
        2 => (0i64..50).prop_map(Step::Pass),
        2 => Just(Step::Image),
    ]
}

fn request(op: &Op) -> Request {
    match op {
        Op::Create { op: OpCode::CreateTtl, path, data, acl, flags, ttl_ms } => {
            let mut request = create_as(OpCode::CreateTtl, path, data.as_deref(), &acl.list(), *flags);
            request.body.long(*ttl_ms);
            request
        }
        Op::Create { op, path, data, acl, flags, .. } => create_as(*op, path, data.as_deref(), &acl.list(), *flags),
        Op::Delete { path, version } => delete(path, *version),
        Op::SetData { path, data, version } => set_data(path, data, *version),
        Op::SetAcl { path, acl, version } => set_acl(path, &acl.list(), *version),
        Op::Check { path, version } => check(path, *version),
        Op::Multi(ops) => multi(&ops.iter().map(request).collect::<Vec<_>>()),
        Op::Read { op, path, watch } => read(*op, path, *watch),
        Op::ByPath { op, path } => by_path(*op, path),
        Op::ByNumber { op, path, number } => by_number(*op, path, *number),
        Op::MultiRead(paths) => {
            let parts: Vec<Request> = paths.iter().map(|path| read(OpCode::GetData, path, true)).collect();
            many(OpCode::MultiRead, &parts)
        }
        Op::SetWatches { since, lists } => {
            let lists: Vec<Vec<&str>> = lists.iter().map(|list| list.iter().map(String::as_str).collect()).collect();
            set_watches(*since, &lists.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }
        Op::Ping => bare(OpCode::Ping),
        Op::Close => bare(OpCode::CloseSession),
    }
}

/// A world and what the test knows of its clients.
struct Run {
    world: World,
    mirror: Mirror,
    conns: Vec<ConnId>,
    closing: Vec<bool>,
    next_xid: i32,
    /// Requests whose replies list names in no particular order.
    unordered: BTreeSet<i32>,
    /// All that was sent, as it was.
    sent: Vec<(ConnId, Sent)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut world = World::with(Options { seed, ..Options::default() });
        world.flushes_at_once = false;
        world.pipeline.changes.all_changed(&world.tree);
        let conns: Vec<ConnId> = (0..CLIENTS).map(|_| world.connect()).collect();
        Self {
            world,
            mirror: Mirror::default(),
            conns,
            closing: vec![false; CLIENTS],
            next_xid: 1,
            unordered: BTreeSet::new(),
            sent: Vec::new(),
        }
    }

    fn session(&self, client: usize) -> i64 {
        self.world.session(self.conns[client]).0
    }

    /// Whether the client can still be asked to do something.
    fn is_open(&self, client: usize) -> bool {
        self.world.connection(self.conns[client]).phase() == rookeeper_core::client::Phase::Open
    }

    fn collect(&mut self) {
        for conn in self.conns.clone() {
            let sent = self.world.take(conn).into_iter().map(|sent| (conn, sent));
            self.sent.extend(sent);
        }
    }

    /// Takes one step; `model` takes it as well, if there is one.
    fn step(&mut self, step: &Step, mut model: Option<&mut Model>) {
        match step {
            Step::Send(client, op) => {
                if !self.is_open(*client) {
                    return;
                }
                let xid = self.next_xid;
                self.next_xid += 1;
                if matches!(
                    op,
                    Op::Read { op: OpCode::GetChildren | OpCode::GetChildren2, .. }
                        | Op::ByPath { op: OpCode::GetEphemerals, .. }
                ) {
                    self.unordered.insert(xid);
                }
                let conn = self.conns[*client];
                self.world.send(conn, xid, &request(op));
                if let Some(model) = &mut model {
                    model.send(conn.0, xid, op.clone());
                }
            }
            Step::Auth(client, credentials) => {
                if !self.is_open(*client) {
                    return;
                }
                let conn = self.conns[*client];
                self.world.send(conn, -4, &auth("digest", credentials.as_bytes()));
                if let Some(model) = &mut model {
                    let client = model.clients.get_mut(&conn.0).unwrap();
                    client.out.push(reply(-4, 0, 0));
                    let id = digest_id(credentials, DigestAlgorithm::Sha1);
                    if !client.ids.contains(&id) {
                        client.ids.push(id);
                    }
                }
            }
            Step::Flush(count) => {
                self.world.flush_some(*count);
                if let Some(model) = &mut model {
                    model.flush(*count as usize);
                }
            }
            Step::FlushAll => self.flush_all(model),
            Step::Expire(client) => {
                if self.closing[*client] || !self.is_open(*client) {
                    return;
                }
                self.closing[*client] = true;
                let conn = self.conns[*client];
                let session = self.world.session(conn);
                self.world.pipeline.sessions.set_closing(session);
                self.world.submit(WriteRequest::expire(session, 0));
                if let Some(model) = &mut model {
                    model.expire(conn.0);
                }
            }
            Step::Reap(path) => {
                self.world.reap(path);
                if let Some(model) = &mut model {
                    model.reap(path);
                }
            }
            Step::Replace(client) => {
                self.flush_all(model.as_deref_mut());
                self.collect();
                self.compare_sent(model.as_deref_mut());
                let old = self.conns[*client];
                self.world.hang_up(old);
                let new = self.world.connect();
                self.conns[*client] = new;
                self.closing[*client] = false;
                if let Some(model) = &mut model {
                    model.hang_up(old.0);
                    model.connect(new.0, self.session(*client));
                }
            }
            Step::Pass(ms) => {
                self.world.pass(*ms);
                if let Some(model) = &mut model {
                    model.now += ms;
                }
            }
            Step::Image => self.mirror.catch_up(&mut self.world.pipeline.changes, &self.world.tree),
        }
        self.collect();
    }

    fn flush_all(&mut self, model: Option<&mut Model>) {
        self.world.flush();
        if let Some(model) = model {
            model.flush(usize::MAX);
        }
    }

    /// What each client got since the last time is what the model sent it.
    fn compare_sent(&mut self, model: Option<&mut Model>) {
        let Some(model) = model else { return };
        let mut sent: BTreeMap<u32, Vec<Sent>> = BTreeMap::new();
        for (conn, frame) in std::mem::take(&mut self.sent) {
            let unordered = matches!(&frame, Sent::Reply { xid, error: 0, .. } if self.unordered.contains(xid));
            sent.entry(conn.0).or_default().push(if unordered { sorted(frame) } else { frame });
        }
        for (conn, client) in &mut model.clients {
            assert_eq!(sent.remove(conn).unwrap_or_default(), std::mem::take(&mut client.out), "connection {conn}");
        }
        assert!(sent.is_empty());
        assert_eq!(self.world.watch_count(), model.watch_count());
        assert_eq!(self.world.tree.last_zxid(), Zxid(model.zxid));
    }
}

/// The reply with its names sorted.
fn sorted(frame: Sent) -> Sent {
    let Sent::Reply { xid, zxid, error, body } = frame else { return frame };
    let mut reader = Reader::new(&body);
    let list = reader.text_vector().unwrap().unwrap();
    let mut list: Vec<&str> = list.iter().map(|name| name.as_deref().unwrap()).collect();
    list.sort_unstable();
    let mut ordered = bytes(|out| names(out, &list));
    ordered.extend_from_slice(reader.rest());
    Sent::Reply { xid, zxid, error, body: ordered.to_vec() }
}

/// The model's tree as an image would hold it.
fn znodes(model: &Model) -> BTreeMap<String, Stored> {
    let stored = |(path, node): (&String, &super::model::Node)| {
        let stat = StatPersisted {
            czxid: Zxid(node.czxid),
            mzxid: Zxid(node.mzxid),
            pzxid: Zxid(node.pzxid),
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: node.created,
            aversion: node.aversion,
            ephemeral_owner: match node.owner {
                Owner::Nobody => 0,
                Owner::Session(session) => session,
                Owner::Container => i64::MIN,
                Owner::Ttl(ttl_ms) => (0xFF << 56) | ttl_ms,
            },
        };
        let path = if path == "/" { String::new() } else { path.clone() };
        (path, (node.data.clone(), node.acl.clone().into(), stat))
    };
    model.nodes.iter().map(stored).collect()
}

fn compare(steps: &[Step]) {
    let mut run = Run::new(1);
    let mut model = Model::new();
    for client in 0..CLIENTS {
        model.connect(run.conns[client].0, run.session(client));
    }
    for step in steps {
        run.step(step, Some(&mut model));
        run.compare_sent(Some(&mut model));
    }
    run.step(&Step::FlushAll, Some(&mut model));
    run.compare_sent(Some(&mut model));
    run.step(&Step::Image, None);

    // The tree, the image, the log played again and the server after a restart all hold what the model holds.
    let expected = znodes(&model);
    let world = &run.world;
    assert_eq!(Mirror::of(&world.tree).znodes, expected);
    assert_eq!(run.mirror.znodes, expected);
    let mut again = Tree::new(Options::default().tree, 77);
    for entry in &world.history {
        again.apply(entry, &mut ChangeLog::default(), &mut ());
    }
    assert_eq!((Mirror::of(&again).znodes, again.digest_mismatches()), (expected.clone(), 0));
    let restarted = reload(&world.tree, 5);
    assert_eq!((Mirror::of(&restarted).znodes, restarted.digest()), (expected, world.tree.digest()));
    assert_eq!((restarted.data_size(), restarted.acls().len()), (world.tree.data_size(), world.tree.acls().len()));
    let sessions: BTreeMap<_, _> =
        world.pipeline.sessions.iter().map(|(id, session)| (id, session.timeout_ms)).collect();
    assert_eq!(run.mirror.sessions, sessions);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_model_does(steps in prop::collection::vec(step(), 1..200)) {
        compare(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_requests_have_the_same_answers_whatever_the_seed(steps in prop::collection::vec(step(), 1..200)) {
        let mut runs = [Run::new(1), Run::new(0x9E37_79B9_7F4A_7C15)];
        for run in &mut runs {
            steps.iter().for_each(|step| run.step(step, None));
            run.step(&Step::FlushAll, None);
        }
        let [one, two] = runs;
        prop_assert_eq!(one.sent, two.sent);
        prop_assert_eq!(one.world.history, two.world.history);
        prop_assert_eq!(one.world.clients.calls, two.world.clients.calls);
    }
}
