//! delete, setData, setACL, reconfig: transactions, stats, and the order of the errors.

use bytes::Bytes;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::txn::Txn;
use rookeeper_protocol::types::{Acl, AclList, OpCode, Perms, Stat, Zxid};

use super::wire::*;
use super::world::{Options, T0, World};

/// A world with `/a`, its child `/a/b`, and `/locked`, on which nobody may do anything but read.
fn world() -> (World, ConnId) {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/a"));
    world.ok(conn, &persistent("/a/b"));
    world.ok(conn, &persistent("/locked"));
    world.ok(conn, &persistent("/locked/in"));
    world.ok(conn, &set_acl("/locked", &[Acl::read_only()], -1));
    world.take_log();
    (world, conn)
}

fn stat(world: &World, path: &str) -> Stat {
    world.tree.get(path).unwrap().client_stat()
}

/// The request fails with `code`, is logged as that error, and leaves nothing behind.
fn refuse(world: &mut World, conn: ConnId, request: &Request, code: i32) {
    let (digest, zxid) = (world.tree.digest(), world.tree.last_zxid().0 + 1);
    assert_eq!(world.call(conn, 9, request), reply(9, zxid, code), "{request:?}");
    let entry = world.entry(conn, 9, zxid, Txn::Error { code });
    assert_eq!(world.take_log(), [entry]);
    assert_eq!(world.tree.digest(), digest);
}

#[test]
fn a_delete_counts_at_the_parent() {
    let (mut world, conn) = world();
    world.pass(7);
    assert_eq!(world.call(conn, 1, &delete("/a/b", 0)), reply(1, 7, 0));
    let txn = Txn::Delete { op: OpCode::Delete, path: "/a/b".into() };
    assert_eq!(world.take_log(), [world.entry(conn, 1, 7, txn)]);
    let parent = stat(&world, "/a");
    // Created and deleted children both count in what clients see; mzxid and mtime stay.
    assert_eq!((parent.cversion, parent.num_children, parent.pzxid), (2, 0, Zxid(7)));
    assert_eq!((parent.mzxid, parent.mtime), (Zxid(2), T0));
    assert!(!world.has("/a/b"));
}

#[test]
fn a_delete_fails_in_javas_order() {
    let (mut world, conn) = world();
    for path in ["", "none", "/no\0ne", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        refuse(&mut world, conn, &delete(path, 5), -8);
    }
    refuse(&mut world, conn, &delete("/none/x", 5), -101);
    refuse(&mut world, conn, &delete("/locked/none", 5), -102);
    refuse(&mut world, conn, &delete("/locked/in", -1), -102);
    refuse(&mut world, conn, &delete("/none", 5), -101);
    refuse(&mut world, conn, &delete("/a/", 5), -101);
    refuse(&mut world, conn, &delete("/a", 5), -103);
    refuse(&mut world, conn, &delete("/a", 0), -111);
    let null = Request::new(OpCode::Delete, |out| {
        out.null();
        out.int(-1);
    });
    refuse(&mut world, conn, &null, -5);
}

#[test]
fn set_data_changes_only_its_znode() {
    let (mut world, conn) = world();
    world.pass(7);
    let expected = Stat {
        mzxid: Zxid(7),
        mtime: T0 + 7,
        version: 1,
        cversion: 1,
        num_children: 1,
        pzxid: Zxid(3),
        data_length: 3,
        ..fresh_stat(2, T0, 0)
    };
    assert_eq!(world.call(conn, 1, &set_data("/a", b"new", 0)), answer(1, 7, stat_bytes(&expected)));
    let data = Some(Bytes::from_static(b"new"));
    let txn = Txn::SetData { op: OpCode::SetData, path: "/a".into(), data, version: 1 };
    assert_eq!(world.take_log(), [world.entry(conn, 1, 7, txn)]);
    assert_eq!(world.data("/a"), "new");
    // Equal data count as well, and the root can be set.
    world.ok(conn, &set_data("/a", b"new", 1));
    world.ok(conn, &set_data("/", b"root", 0));
    assert_eq!((stat(&world, "/a").version, stat(&world, "/").version), (2, 1));
    assert_eq!(stat(&world, "/").pzxid, Zxid(4));
}

#[test]
fn set_data_fails_in_javas_order() {
    let (mut world, conn) = world();
    for path in ["", "none", "/none/", "/./x", "/\u{1}"] {
        refuse(&mut world, conn, &set_data(path, b"", 5), -8);
    }
    refuse(&mut world, conn, &set_data("/none", b"", 5), -101);
    refuse(&mut world, conn, &set_data("/locked", b"", 5), -102);
    refuse(&mut world, conn, &set_data("/a", b"", 5), -103);
    let null = Request::new(OpCode::SetData, |out| {
        out.null();
        out.null();
        out.int(-1);
    });
    refuse(&mut world, conn, &null, -8);
}

#[test]
fn set_acl_counts_only_its_own_version() {
    let (mut world, conn) = world();
    world.pass(7);
    let list = [Acl::read_only(), Acl::open(), Acl::read_only()];
    let before = stat(&world, "/a");
    let expected = Stat { aversion: 1, ..before };
    assert_eq!(world.call(conn, 1, &set_acl("/a", &list, 0)), answer(1, 7, stat_bytes(&expected)));
    let acl: AclList = [Acl::read_only(), Acl::open()].into();
    let txn = Txn::SetAcl { path: "/a".into(), acl: acl.clone(), version: 1 };
    assert_eq!(world.take_log(), [world.entry(conn, 1, 7, txn)]);
    assert_eq!(world.tree.acls().list(world.tree.get("/a").unwrap().acl), acl);
}

#[test]
fn set_acl_fails_in_javas_order() {
    let (mut world, conn) = world();
    refuse(&mut world, conn, &set_acl("none", &[], 5), -8);
    refuse(&mut world, conn, &set_acl("/none", &[], 5), -114);
    refuse(&mut world, conn, &set_acl("/none", &open(), 5), -101);
    refuse(&mut world, conn, &set_acl("/locked", &open(), 5), -102);
    refuse(&mut world, conn, &set_acl("/a", &open(), 5), -103);
    refuse(
        &mut world,
        conn,
        &set_acl("/a", &[Acl { perms: 31, id: rookeeper_protocol::types::Id::new("world", "x") }], 0),
        -114,
    );
    // aversion begins at -1 for the configuration, and -1 matches any.
    refuse(&mut world, conn, &set_acl("/zookeeper/config", &open(), -1), -102);
}

#[test]
fn writes_are_judged_by_what_is_on_its_way() {
    let (mut world, conn) = world();
    world.flushes_at_once = false;
    world.send(conn, 1, &set_data("/a/b", b"1", 0));
    world.send(conn, 2, &set_data("/a/b", b"2", 0));
    world.send(conn, 3, &set_data("/a/b", b"2", 1));
    world.send(conn, 4, &delete("/a", -1));
    world.send(conn, 5, &delete("/a/b", 2));
    world.send(conn, 6, &delete("/a", -1));
    world.send(conn, 7, &persistent("/a/b"));
    world.send(conn, 8, &persistent("/a"));
    world.send(conn, 9, &set_acl("/a", &[Acl { perms: Perms::ALL - Perms::WRITE, id: Acl::open().id }], 0));
    world.send(conn, 10, &set_data("/a", b"", -1));
    world.flush();
    let codes: Vec<i32> = world
        .take(conn)
        .into_iter()
        .map(|sent| match sent {
            Sent::Reply { error, .. } => error,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [0, -103, 0, -111, 0, 0, -101, 0, 0, -102]);
    // The new /a begins anew.
    assert_eq!((stat(&world, "/a").czxid, stat(&world, "/a").aversion), (Zxid(14), 1));
}

#[test]
fn versions_run_over_as_javas_do() {
    let mut options = Options::default();
    options.tree.digest = false;
    let mut loader = rookeeper_core::tree::Tree::loader(options.tree, 1);
    let root: AclList = [Acl::open()].into();
    let plain = rookeeper_protocol::types::StatPersisted::default();
    loader.add("", Some(b""), &root, plain).unwrap();
    let worn = rookeeper_protocol::types::StatPersisted { version: i32::MAX, cversion: i32::MAX, ..plain };
    loader.add("/worn", None, &root, worn).unwrap();
    let mut world = World::around(options, loader.finish(Zxid(5)), []);
    let conn = world.connect();
    world.ok(conn, &set_data("/worn", b"", i32::MAX));
    assert_eq!(stat(&world, "/worn").version, i32::MIN);
    let number = rookeeper_protocol::types::CreateMode::PersistentSequential;
    assert_eq!(world.ok(conn, &create("/worn/n", number)), text("/worn/n2147483647"));
}

#[test]
fn reconfig_is_refused_by_a_server_that_stands_alone() {
    let request = Request::new(OpCode::Reconfig, |out| {
        out.null();
        out.null();
        out.text("server.1=a:1:2;3");
        out.long(-1);
    });
    let (mut world, conn) = world();
    refuse(&mut world, conn, &request, -123);
    let mut options = Options::default();
    options.pipeline.reconfig_enabled = true;
    let mut world = World::with(options);
    let conn = world.connect();
    refuse(&mut world, conn, &request, -6);
}
