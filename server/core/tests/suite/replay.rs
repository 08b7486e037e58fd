//! The log played again, and the image brought forward: both lead to the tree that there was.

use std::collections::BTreeMap;

use bytes::Bytes;
use rookeeper_core::tree::{Applied, ChangeLog, LoadError, Tree};
use rookeeper_protocol::txn::{CreateTxn, LogEntry, Txn, TxnHeader};
use rookeeper_protocol::types::{
    Acl, AclList, CreateMode, ErrorCode, OpCode, OwnerError, SessionId, StatPersisted, Zxid,
};

use super::wire::*;
use super::world::{Options, World};

/// Data, ACL and stat of a znode.
pub(crate) type Stored = (Option<Vec<u8>>, AclList, StatPersisted);

/// What an image holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mirror {
    pub(crate) znodes: BTreeMap<String, Stored>,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    pub(crate) zxid: Zxid,
}

impl Mirror {
    /// Brings the image forward.
    pub(crate) fn catch_up(&mut self, changes: &mut ChangeLog, tree: &Tree) {
        for path in changes.deleted_paths() {
            assert!(self.znodes.remove(&**path).is_some(), "{path} was deleted but never there");
        }
        let set = changes.take(tree, |change| {
            let stored = (change.data.map(<[u8]>::to_vec), change.acl, change.stat);
            self.znodes.insert(change.path.to_owned(), stored);
        });
        self.zxid = set.zxid;
        for (session, timeout_ms) in set.sessions {
            match timeout_ms {
                Some(timeout_ms) => self.sessions.insert(session, timeout_ms),
                None => self.sessions.remove(&session),
            };
        }
        assert!(changes.is_empty() && changes.deleted_paths().is_empty());
    }

    /// Everything that is in a tree.
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut changes = ChangeLog::default();
        changes.all_changed(tree);
        let mut mirror = Self::default();
        mirror.catch_up(&mut changes, tree);
        mirror
    }

    /// The tree that a server starts with from this image.
    pub(crate) fn load(&self, seed: u64) -> Tree {
        let mut loader = Tree::loader(Options::default().tree, seed);
        for (path, (data, acl, stat)) in &self.znodes {
            loader.add(path, data.as_deref(), acl, *stat).unwrap();
        }
        loader.finish(self.zxid)
    }
}

/// The tree after a restart.
pub(crate) fn reload(tree: &Tree, seed: u64) -> Tree {
    Mirror::of(tree).load(seed)
}

fn play(tree: &mut Tree, entries: &[LogEntry]) -> Vec<Applied> {
    let mut changes = ChangeLog::default();
    entries.iter().map(|entry| tree.apply(entry, &mut changes, &mut ())).collect()
}

/// A world in which much happened.
fn eventful() -> World {
    let mut world = World::new();
    let (one, two) = (world.connect(), world.connect());
    for request in [
        persistent("/a"),
        create("/a/s", CreateMode::PersistentSequential),
        create("/a/s", CreateMode::EphemeralSequential),
        create_ttl("/t", CreateMode::PersistentWithTtl, 9),
        create_as(OpCode::CreateContainer, "/c", None, &[Acl::read_only()], 4),
        set_data("/a", b"new", -1),
        set_acl("/a/s0000000000", &[Acl::read_only()], -1),
        multi(&[delete("/a/s0000000000", -1), persistent("/a/m"), set_data("/a/m", b"", 0)]),
        multi(&[delete("/a/m", -1), delete("/none", -1)]),
        delete("/none", -1),
        ephemeral("/e"),
        delete("/c", -1),
        persistent("/c"),
    ] {
        world.send(one, 1, &request);
        world.pass(1);
    }
    world.send(two, 1, &ephemeral("/a/two"));
    world.send(one, 2, &bare(OpCode::CloseSession));
    world
}

#[test]
fn the_log_played_into_a_fresh_tree_makes_the_same_tree() {
    let world = eventful();
    let mut tree = Tree::new(Options::default().tree, 99);
    play(&mut tree, &world.history);
    assert_eq!(Mirror::of(&tree), Mirror::of(&world.tree));
    assert_eq!((tree.digest(), tree.digest_mismatches()), (world.tree.digest(), 0));
    assert_eq!((tree.data_size(), tree.node_count()), (world.tree.data_size(), world.tree.node_count()));
    assert_eq!(tree.ephemeral_count(), 1);
}

#[test]
fn a_tree_is_loaded_as_it_was() {
    let world = eventful();
    let again = reload(&world.tree, 7);
    assert_eq!(Mirror::of(&again), Mirror::of(&world.tree));
    assert_eq!((again.digest(), again.last_zxid()), (world.tree.digest(), world.tree.last_zxid()));
    assert_eq!((again.data_size(), again.node_count()), (world.tree.data_size(), world.tree.node_count()));
    assert_eq!(again.ephemeral_count(), 1);
    assert_eq!(again.acls().len(), world.tree.acls().len());
}

#[test]
fn an_image_brought_forward_at_any_time_is_the_tree() {
    let world = eventful();
    for step in 1..=world.history.len() {
        let mut tree = Tree::new(Options::default().tree, 5);
        let mut changes = ChangeLog::default();
        changes.all_changed(&tree);
        let mut mirror = Mirror::default();
        for group in world.history.chunks(step) {
            for entry in group {
                tree.apply(entry, &mut changes, &mut ());
            }
            mirror.catch_up(&mut changes, &tree);
            let mut expected = Mirror::of(&tree);
            expected.sessions = mirror.sessions.clone();
            assert_eq!(mirror, expected);
        }
        // Of the two sessions one was closed.
        assert_eq!(mirror.sessions.len(), 1);
        assert_eq!(mirror.load(1).digest(), world.tree.digest());
    }
}

#[test]
fn a_znode_that_comes_and_goes_between_two_images_costs_nothing() {
    let mut world = World::new();
    let conn = world.connect();
    let mut mirror = Mirror::default();
    world.pipeline.changes.all_changed(&world.tree);
    mirror.catch_up(&mut world.pipeline.changes, &world.tree);
    world.ok(conn, &persistent("/a"));
    world.ok(conn, &delete("/a", -1));
    assert_eq!(world.pipeline.changes.deleted_paths().len(), 0);
    // The slot of the znode is taken again; only the root and the new one are written.
    world.ok(conn, &persistent("/b"));
    let mut written = Vec::new();
    world.pipeline.changes.take(&world.tree, |change| written.push(change.path.to_owned()));
    written.sort();
    assert_eq!(written, ["", "/b"]);
}

#[test]
fn what_a_znode_leaves_behind_is_used_again_by_one_only() {
    let mut world = World::new();
    let conn = world.connect();
    for round in 0..3 {
        for path in ["/a", "/a/x", "/b", "/b/y", "/b/y/z"] {
            world.ok(conn, &create_as(OpCode::Create, path, None, &[Acl { perms: 31 - round, id: Acl::open().id }], 0));
        }
        let children = |path: &str| -> Vec<&str> { world.tree.children(world.tree.find(path).unwrap()).collect() };
        assert_eq!((children("/a"), children("/b"), children("/b/y")), (vec!["x"], vec!["y"], vec!["z"]));
        world.ok(conn, &set_acl("/a/x", &[Acl { perms: 2, id: Acl::open().id }], -1));
        for path in ["/a/x", "/b/y/z", "/b/y", "/a", "/b"] {
            world.ok(conn, &delete(path, -1));
        }
        // Lists that nobody uses any more go: there are the open one and the one of the configuration.
        assert_eq!((world.tree.node_count(), world.tree.acls().len()), (5, 2));
    }
}

#[test]
fn what_is_deleted_and_created_again_between_two_images_is_written_anew() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/a"));
    let mut mirror = Mirror::default();
    world.pipeline.changes.all_changed(&world.tree);
    mirror.catch_up(&mut world.pipeline.changes, &world.tree);
    world.ok(conn, &delete("/a", -1));
    world.ok(conn, &create_as(OpCode::Create, "/a", None, &[Acl::read_only()], 0));
    world.ok(conn, &persistent("/b"));
    mirror.catch_up(&mut world.pipeline.changes, &world.tree);
    let mut expected = Mirror::of(&world.tree);
    expected.sessions = mirror.sessions.clone();
    assert_eq!(mirror, expected);
}

fn entry(zxid: i64, txn: Txn) -> LogEntry {
    let kind = txn.kind().number();
    LogEntry {
        header: TxnHeader { client_id: SessionId(7), cxid: 0, zxid: Zxid(zxid), time: zxid, kind },
        txn,
        digest: None,
    }
}

fn created(path: &str, acl: Acl, parent_cversion: i32) -> Txn {
    let create =
        CreateTxn { path: path.into(), data: Some(Bytes::from_static(b"d")), acl: [acl].into(), parent_cversion };
    Txn::Create { op: OpCode::Create, create, ephemeral: false }
}

fn deleted(path: &str) -> Txn {
    Txn::Delete { op: OpCode::Delete, path: path.into() }
}

#[test]
fn a_log_that_begins_before_the_image_does_no_harm() {
    let world = eventful();
    // From every place on, over the final image: all that is there is found again, in particular the digest.
    for from in 0..world.history.len() {
        let mut tree = reload(&world.tree, 3);
        play(&mut tree, &world.history[from..]);
        assert_eq!(tree.compute_digest(), tree.digest());
        assert_eq!(Mirror::of(&tree), Mirror::of(&world.tree), "from {from}");
        assert_eq!(tree.last_zxid(), world.tree.last_zxid());
    }
}

#[test]
fn entries_that_meet_a_newer_state_follow_javas_rules() {
    let mut tree = Tree::new(Options::default().tree, 1);
    let codes = |tree: &mut Tree, entries: &[LogEntry]| -> Vec<i32> {
        play(tree, entries).iter().map(|applied| applied.result.error).collect()
    };
    assert_eq!(codes(&mut tree, &[entry(10, created("/a", Acl::open(), 5))]), [0]);
    let root = |tree: &Tree| (tree.get("/").unwrap().stat.cversion, tree.get("/").unwrap().stat.pzxid);
    assert_eq!(root(&tree), (5, Zxid(10)));
    // A create of what is there replaces the list alone; the parent's counters only rise.
    let exists = ErrorCode::NodeExists.number();
    assert_eq!(codes(&mut tree, &[entry(8, created("/a", Acl::read_only(), 3))]), [exists]);
    let a = tree.get("/a").unwrap();
    assert_eq!((a.stat.czxid, tree.acls().list(a.acl)), (Zxid(10), AclList::from([Acl::read_only()])));
    assert_eq!(root(&tree), (5, Zxid(10)));
    assert_eq!(codes(&mut tree, &[entry(12, created("/a", Acl::read_only(), 6))]), [exists]);
    assert_eq!(root(&tree), (6, Zxid(12)));
    // Logs of old servers do not say the parent's counter.
    assert_eq!(codes(&mut tree, &[entry(13, created("/b", Acl::open(), -1))]), [0]);
    assert_eq!(root(&tree), (7, Zxid(13)));
    // A delete of what is gone still tells the parent when; never a time that is past.
    let none = ErrorCode::NoNode.number();
    assert_eq!(codes(&mut tree, &[entry(11, deleted("/none")), entry(14, deleted("/none"))]), [none, none]);
    assert_eq!(root(&tree), (7, Zxid(14)));
    assert_eq!(
        codes(&mut tree, &[entry(15, deleted("/x/y")), entry(15, created("/x/y", Acl::open(), 1))]),
        [none, none]
    );
    let set = |path: &str| Txn::SetData { op: OpCode::SetData, path: path.into(), data: None, version: 9 };
    let set_acl = |path: &str| Txn::SetAcl { path: path.into(), acl: [Acl::open()].into(), version: 9 };
    assert_eq!(codes(&mut tree, &[entry(16, set("/x")), entry(16, set_acl("/x"))]), [none, none]);
    // A closed session's znodes may be gone already.
    let close = Txn::CloseSession { paths: Some(vec!["/gone".into(), "/b".into()]) };
    assert_eq!(codes(&mut tree, &[entry(17, close)]), [0]);
    assert!(tree.find("/b").is_none());
    assert_eq!(tree.compute_digest(), tree.digest());
    assert_eq!(tree.last_zxid(), Zxid(17));
}

#[test]
fn orphans_of_sessions_that_are_gone_are_removed() {
    let mut world = World::new();
    let (one, two) = (world.connect(), world.connect());
    world.ok(one, &ephemeral("/one"));
    world.ok(two, &ephemeral("/two"));
    let kept = world.session(two);
    let mut tree = reload(&world.tree, 1);
    assert_eq!(tree.kill_orphans(|session| session == kept, &mut ChangeLog::default()), 1);
    assert!(tree.find("/one").is_none() && tree.find("/two").is_some());
    assert_eq!(tree.compute_digest(), tree.digest());
}

#[test]
fn an_image_that_cannot_be_is_refused() {
    let open: AclList = [Acl::open()].into();
    let stat = StatPersisted::default();
    let loader = || Tree::loader(Options::default().tree, 1);
    let orphan = loader().add("/a/b", None, &open, stat);
    assert_eq!(orphan, Err(LoadError::Orphan("/a/b".into())));
    let mut twice = loader();
    twice.add("/a", None, &open, stat).unwrap();
    assert_eq!(twice.add("/a", None, &open, stat), Err(LoadError::Twice("/a".into())));
    let owner = (0xFF01_u64 << 48) as i64;
    let unknown = loader().add("/a", None, &open, StatPersisted { ephemeral_owner: owner, ..stat });
    assert_eq!(unknown, Err(LoadError::Owner { path: "/a".into(), error: OwnerError(owner) }));
}
