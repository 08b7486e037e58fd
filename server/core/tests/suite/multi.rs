//! multi: all parts or none, under one zxid.

use bytes::Bytes;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::txn::{CreateTxn, Txn};
use rookeeper_protocol::types::{Acl, CreateMode, OpCode, Stat, Zxid};

use super::wire::*;
use super::world::{Options, T0, World};

fn none() -> bytes::BytesMut {
    bytes(|_| {})
}

fn created(path: &str, parent_cversion: i32) -> CreateTxn {
    CreateTxn { path: path.into(), data: Some(Bytes::from_static(b"data")), acl: [Acl::open()].into(), parent_cversion }
}

#[test]
fn each_part_has_its_transaction_and_its_result() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/old"));
    world.take_log();
    world.pass(3);
    let request = multi(&[
        persistent("/a"),
        create_as(OpCode::Create2, "/a/n", Some(b"data"), &open(), CreateMode::EphemeralSequential.flags()),
        create_as(OpCode::CreateContainer, "/a/c", Some(b"data"), &open(), 4),
        create_ttl("/a/t", CreateMode::PersistentWithTtl, 9),
        set_data("/a", b"xy", 0),
        check("/a", 1),
        delete("/old", 0),
        // A container's flag under the plain code counts in a multi.
        create("/k", CreateMode::Container),
        // A TTL that the mode does not ask for is forgotten.
        create_ttl("/p", CreateMode::Persistent, -1),
    ]);
    let time = T0 + 3;
    let fresh = fresh_stat(3, time, 4);
    let owner = world.session(conn).0;
    let stat = Stat { version: 1, cversion: 3, num_children: 3, data_length: 2, ..fresh };
    let expected = results(&[
        (1, 0, text("/a")),
        (15, 0, path_and_stat("/a/n0000000000", &Stat { ephemeral_owner: owner, ..fresh })),
        (15, 0, path_and_stat("/a/c", &fresh)),
        (15, 0, path_and_stat("/a/t", &fresh)),
        (5, 0, stat_bytes(&stat)),
        (13, 0, none()),
        (2, 0, none()),
        (15, 0, path_and_stat("/k", &fresh)),
        (1, 0, text("/p")),
    ]);
    assert_eq!(world.call(conn, 1, &request), answer(1, 3, expected));
    let txn = Txn::Multi(vec![
        Txn::Create { op: OpCode::Create, create: created("/a", 2), ephemeral: false },
        Txn::Create { op: OpCode::Create2, create: created("/a/n0000000000", 1), ephemeral: true },
        Txn::CreateContainer(created("/a/c", 2)),
        Txn::CreateTtl { create: created("/a/t", 3), ttl_ms: 9 },
        Txn::SetData { op: OpCode::SetData, path: "/a".into(), data: Some(Bytes::from_static(b"xy")), version: 1 },
        Txn::Check { path: "/a".into(), version: 2 },
        Txn::Delete { op: OpCode::Delete, path: "/old".into() },
        Txn::CreateContainer(created("/k", 3)),
        Txn::Create { op: OpCode::Create, create: created("/p", 4), ephemeral: false },
    ]);
    assert_eq!(world.take_log(), [world.entry(conn, 1, 3, txn)]);
    assert!(!world.has("/old") && world.has("/p"));
}

#[test]
fn one_failure_undoes_all() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/q"));
    world.take_log();
    let (digest, mirror) = (world.tree.digest(), world.tree.node_count());
    let request = multi(&[
        create("/q/n", CreateMode::PersistentSequential),
        set_data("/q", b"1", -1),
        delete("/q/none", -1),
        delete("none", -1),
        persistent("/late"),
    ]);
    let expected = results(&[failed(0), failed(0), failed(-101), failed(-2), failed(-2)]);
    assert_eq!(world.call(conn, 1, &request), answer(1, 3, expected));
    let data = Some(Bytes::from_static(b"1"));
    let txn = Txn::Multi(vec![
        Txn::Create { op: OpCode::Create, create: created("/q/n0000000000", 1), ephemeral: false },
        Txn::SetData { op: OpCode::SetData, path: "/q".into(), data, version: 1 },
        Txn::Error { code: -101 },
        Txn::Error { code: -2 },
        Txn::Error { code: -2 },
    ]);
    // A failed multi changes nothing, but is no error entry: it carries the digest.
    assert_eq!(world.take_log(), [world.entry(conn, 1, 3, txn)]);
    assert_eq!((world.tree.digest(), world.tree.node_count()), (digest, mirror));
    // The number it would have taken is given to the next.
    let body = world.ok(conn, &create("/q/n", CreateMode::PersistentSequential));
    assert_eq!(body, text("/q/n0000000000"));
}

#[test]
fn what_was_on_its_way_before_a_failed_multi_stays() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    let number = CreateMode::EphemeralSequential;
    world.send(conn, 1, &persistent("/q"));
    world.send(conn, 2, &create("/q/n", number));
    world.send(conn, 3, &set_data("/q", b"kept", 0));
    world.send(
        conn,
        4,
        &multi(&[delete("/q/n0000000000", 0), create("/q/n", number), set_data("/q", b"lost", 1), check("/q", 7)]),
    );
    world.send(conn, 5, &create("/q/n", number));
    world.send(conn, 6, &set_data("/q", b"last", 1));
    world.send(conn, 7, &bare(OpCode::CloseSession));
    world.flush();
    let stat =
        Stat { version: 1, cversion: 1, num_children: 1, pzxid: Zxid(3), mzxid: Zxid(4), ..fresh_stat(2, T0, 4) };
    let last = Stat { version: 2, cversion: 2, num_children: 2, pzxid: Zxid(6), mzxid: Zxid(7), ..stat };
    let expected = [
        answer(1, 2, text("/q")),
        answer(2, 3, text("/q/n0000000000")),
        answer(3, 4, stat_bytes(&stat)),
        answer(4, 5, results(&[failed(0), failed(0), failed(0), failed(-103)])),
        answer(5, 6, text("/q/n0000000001")),
        answer(6, 7, stat_bytes(&last)),
        reply(7, 8, 0),
    ];
    assert_eq!(world.take(conn), expected);
    // Both znodes went with the session, the one that the multi had wished to delete as well.
    let paths = ["/q/n0000000000", "/q/n0000000001"].map(|path| path.into()).to_vec();
    assert_eq!(world.take_log().pop().unwrap().txn, Txn::CloseSession { paths: Some(paths) });
    assert_eq!(world.tree.get("/q").unwrap().num_children, 0);
}

#[test]
fn an_empty_multi_is_a_transaction() {
    let mut world = World::new();
    let conn = world.connect();
    assert_eq!(world.call(conn, 1, &multi(&[])), answer(1, 2, results(&[])));
    assert_eq!(world.take_log(), [world.entry(conn, 1, 2, Txn::Multi(Vec::new()))]);
}

#[test]
fn errors_of_parts_come_in_javas_order() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &create_as(OpCode::Create, "/shut", None, &[user_acl(31, "a:b")], 0));
    for (request, code) in [
        (check("none", 5), -8),
        (check("/none", 5), -101),
        (check("/shut", 5), -102),
        (check("/", 5), -103),
        (persistent("/none/x"), -101),
        (set_data("/shut", b"", -1), -102),
        (delete("/zookeeper", -1), -8),
    ] {
        let zxid = world.tree.last_zxid().0 + 1;
        assert_eq!(world.call(conn, 1, &multi(&[request])), answer(1, zxid, results(&[failed(code)])));
    }
}

#[test]
fn what_java_stumbles_over_fails_the_request_and_spends_a_zxid() {
    let mut world = World::new();
    let conn = world.connect();
    let null_path = Request::new(OpCode::Delete, |out| {
        out.null();
        out.int(-1);
    });
    let null_acl = Request::new(OpCode::Create, |out| {
        out.text("/a");
        out.null();
        out.null();
        out.int(0);
    });
    let reading = read(OpCode::GetData, "/", false);
    for parts in [
        vec![persistent("/a"), null_path],
        vec![persistent("/a"), null_acl],
        vec![persistent("/a"), set_acl("/", &open(), -1)],
        vec![persistent("/a"), reading.clone()],
        vec![reading],
        vec![create("/a", CreateMode::PersistentWithTtl)],
        vec![create_as(OpCode::Create, "/a", None, &open(), 9)],
    ] {
        let zxid = world.tree.last_zxid().0 + 1;
        assert_eq!(world.call(conn, 1, &multi(&parts)), reply(1, zxid, -5), "{parts:?}");
        let entry = world.entry(conn, 1, zxid, Txn::Error { code: -5 });
        assert_eq!(world.log.pop().unwrap(), entry);
    }
    // A list that does not end.
    let endless = Request::new(OpCode::Multi, |out| multi_header(out, 1, false, -1));
    let zxid = world.tree.last_zxid().0 + 1;
    assert_eq!(world.call(conn, 1, &endless), reply(1, zxid, -5));
    // Nothing of it is left.
    assert_eq!(world.ok(conn, &create("/s", CreateMode::PersistentSequential)), text("/s0000000000"));
}

#[test]
fn an_id_that_is_null_in_a_part_leaves_nothing_on_its_way() {
    let mut options = Options::default();
    options.pipeline.enforce_quota = true;
    let mut world = World::with(options);
    let conn = world.connect();
    let null_id = Request::new(OpCode::Create, |out| {
        out.text("/b");
        out.null();
        out.count(1);
        out.int(31);
        out.text("world");
        out.null();
        out.int(0);
    });
    assert_eq!(world.call(conn, 1, &multi(&[persistent("/a"), null_id])), reply(1, 2, -5));
    assert_eq!(world.error(conn, &persistent("/a")), 0);
}
