//! create, create2, createContainer, createTTL: modes, numbers, stats, and the order of the errors.

use bytes::Bytes;
use rookeeper_protocol::txn::{CreateTxn, LogEntry, Txn};
use rookeeper_protocol::types::{Acl, CreateMode, OpCode, Perms, SessionId, Stat, Zxid};

use super::wire::*;
use super::world::{Options, T0, World};

fn txn_head(path: &str, parent_cversion: i32) -> CreateTxn {
    CreateTxn { path: path.into(), data: Some(Bytes::from_static(b"data")), acl: [Acl::open()].into(), parent_cversion }
}

fn stat_of(world: &World, path: &str) -> Stat {
    world.tree.get(path).unwrap().client_stat()
}

#[test]
fn every_mode_becomes_its_transaction_and_its_reply() {
    use CreateMode::*;
    let owned_by_session = |mode: CreateMode| mode.is_ephemeral();
    for (op, mode, ttl_ms) in [
        (OpCode::Create, Persistent, -1),
        (OpCode::Create, Ephemeral, -1),
        (OpCode::Create, PersistentSequential, -1),
        (OpCode::Create, EphemeralSequential, -1),
        // Under the plain code the container's flag makes an ordinary znode.
        (OpCode::Create, Container, -1),
        (OpCode::Create2, Persistent, -1),
        (OpCode::Create2, Ephemeral, -1),
        (OpCode::Create2, PersistentSequential, -1),
        (OpCode::Create2, EphemeralSequential, -1),
        (OpCode::CreateContainer, Container, -1),
        (OpCode::CreateContainer, Persistent, -1),
        (OpCode::CreateTtl, PersistentWithTtl, 5000),
        (OpCode::CreateTtl, PersistentSequentialWithTtl, 1),
        (OpCode::CreateTtl, PersistentWithTtl, 0xFF_FFFF_FFFF),
    ] {
        let mut world = World::new();
        let conn = world.connect();
        world.pass(5);
        let request = match op {
            OpCode::CreateTtl => create_ttl("/n", mode, ttl_ms),
            _ => create_as(op, "/n", Some(b"data"), &open(), mode.flags()),
        };
        // The root's first three children took 0 to 2 in Java as well; only created ones are counted.
        let path = if mode.is_sequential() { "/n0000000000" } else { "/n" };
        let sent = world.call(conn, 7, &request);

        let owner = if owned_by_session(mode) && op != OpCode::CreateContainer { world.session(conn).0 } else { 0 };
        let stat = Stat { ephemeral_owner: owner, ..fresh_stat(2, T0 + 5, 4) };
        let body = if op == OpCode::Create { text(path) } else { path_and_stat(path, &stat) };
        assert_eq!(sent, answer(7, 2, body), "{op:?} {mode:?}");
        assert_eq!(stat_of(&world, path), stat);

        let create = txn_head(path, 1);
        let txn = match op {
            OpCode::CreateContainer => Txn::CreateContainer(create),
            OpCode::CreateTtl => Txn::CreateTtl { create, ttl_ms },
            op => Txn::Create { op, create, ephemeral: mode.is_ephemeral() },
        };
        assert_eq!(world.take_log(), [world.entry(conn, 7, 2, txn)]);
        let root = stat_of(&world, "/");
        assert_eq!((root.cversion, root.num_children, root.pzxid), (0, 2, Zxid(2)));
        let stored = world.tree.get(path).unwrap().stat.ephemeral_owner;
        let expected = match op {
            OpCode::CreateContainer => i64::MIN,
            OpCode::CreateTtl => (0xFF00_0000_0000_0000_u64 as i64) | ttl_ms,
            _ => owner,
        };
        assert_eq!(stored, expected);
    }
}

#[test]
fn null_and_empty_data_stay_different() {
    let mut world = World::new();
    let conn = world.connect();
    for (path, data) in [("/null", None), ("/empty", Some(&b""[..]))] {
        world.ok(conn, &create_as(OpCode::Create, path, data, &open(), 0));
        assert_eq!(world.tree.get(path).unwrap().data, data);
        let stat = stat_of(&world, path);
        let expected = bytes(|out| {
            use rookeeper_protocol::jute::Writer;
            out.buffer(data);
            stat.write(out);
        });
        assert_eq!(world.ok(conn, &read(OpCode::GetData, path, false)), expected);
    }
}

#[test]
fn numbers_count_all_children_ever_created() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/q"));
    let next = |world: &mut World, prefix: &str| {
        let body = world.ok(conn, &create(prefix, CreateMode::PersistentSequential));
        String::from_utf8(body[4..].to_vec()).unwrap()
    };
    assert_eq!(next(&mut world, "/q/a-"), "/q/a-0000000000");
    assert_eq!(next(&mut world, "/q/b-"), "/q/b-0000000001");
    world.ok(conn, &persistent("/q/plain"));
    world.ok(conn, &delete("/q/a-0000000000", -1));
    // Deletions do not count, and a name may consist of the number alone.
    assert_eq!(next(&mut world, "/q/"), "/q/0000000003");
    // What fails counts nothing.
    assert_eq!(world.error(conn, &persistent("/q/plain")), -110);
    assert_eq!(next(&mut world, "/q/c"), "/q/c0000000004");
}

#[test]
fn numbers_go_on_while_creates_are_on_their_way() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    world.send(conn, 1, &persistent("/q"));
    for xid in 2..5 {
        world.send(conn, xid, &create("/q/n", CreateMode::EphemeralSequential));
    }
    assert_eq!(world.take(conn), []);
    world.flush();
    let expected = [
        answer(1, 2, text("/q")),
        answer(2, 3, text("/q/n0000000000")),
        answer(3, 4, text("/q/n0000000001")),
        answer(4, 5, text("/q/n0000000002")),
    ];
    assert_eq!(world.take(conn), expected);
}

/// Sends `request`, which must fail with `code`, and checks that nothing is left of it but a logged error.
fn refuse(world: &mut World, request: &Request, code: i32) {
    let conn = *world.clients.connections.keys().next().unwrap();
    let before = world.tree.digest();
    let zxid = world.tree.last_zxid().0 + 1;
    world.take_log();
    assert_eq!(world.call(conn, 3, request), reply(3, zxid, code), "{request:?}");
    let entry = world.entry(conn, 3, zxid, Txn::Error { code });
    assert_eq!(world.take_log(), [entry]);
    assert_eq!((world.tree.digest(), world.pipeline.in_flight()), (before, 0));
}

#[test]
fn errors_come_in_javas_order() {
    let mut world = World::new();
    let conn = world.connect();
    let rest = |path: &str, acl: &[Acl], flags: i32| create_as(OpCode::Create, path, None, acl, flags);
    let locked = [Acl { perms: Perms::ALL - Perms::CREATE, id: Acl::open().id }];
    world.ok(conn, &rest("/locked", &locked, 0));
    world.ok(conn, &ephemeral("/e"));
    world.ok(conn, &persistent("/there"));
    // Each request has everything wrong that stands behind its own error.
    refuse(&mut world, &rest("none", &[], 7), -8);
    refuse(&mut world, &rest("none", &[], -1), -8);
    refuse(&mut world, &rest("none", &[], 5), -8);
    refuse(&mut world, &create_ttl("none", CreateMode::PersistentWithTtl, 0), -8);
    refuse(&mut world, &create_ttl("none", CreateMode::PersistentWithTtl, -1), -8);
    refuse(&mut world, &create_ttl("/x", CreateMode::PersistentWithTtl, 0x100_0000_0000), -8);
    refuse(&mut world, &create_ttl("/x", CreateMode::Persistent, 5), -8);
    // Java logs this one and dies of it.
    refuse(&mut world, &create_ttl("/x", CreateMode::Persistent, -1), -8);
    refuse(&mut world, &rest("none", &[], 0), -8);
    refuse(&mut world, &rest("", &[], 0), -8);
    refuse(&mut world, &rest("/no\0ne", &[], 0), -8);
    refuse(&mut world, &rest("/none/./x", &[], 0), -114);
    refuse(&mut world, &rest("/none/./x", &auth_acl(), 0), -114);
    refuse(&mut world, &rest("/none/./x", &[user_acl(31, "no colon")], 0), -114);
    refuse(&mut world, &rest("/none/.", &open(), 0), -101);
    refuse(&mut world, &rest("/locked/.", &open(), 0), -102);
    refuse(&mut world, &rest("/there/.", &open(), 0), -8);
    refuse(&mut world, &rest("/there/", &open(), 0), -8);
    refuse(&mut world, &rest("/\u{1}", &open(), 0), -8);
    refuse(&mut world, &rest("/there", &open(), 0), -110);
    refuse(&mut world, &rest("/", &open(), 0), -110);
    refuse(&mut world, &rest("/e/child", &open(), 0), -108);
    // A quota on no path kills a Java server.
    refuse(&mut world, &rest("/zookeeper/quota/zookeeper_limits", &open(), 0), -8);
    refuse(&mut world, &rest("/zookeeper/config/x", &open(), 0), -102);
}

#[test]
fn ttls_are_unknown_unless_switched_on() {
    let mut options = Options::default();
    options.tree.extended_types.enabled = false;
    let mut world = World::with(options);
    world.connect();
    refuse(&mut world, &create_ttl("none", CreateMode::PersistentWithTtl, 5), -6);
    refuse(&mut world, &create_ttl("none", CreateMode::PersistentSequentialWithTtl, 0), -6);
    refuse(&mut world, &create_as(OpCode::Create, "none", None, &[], 5), -6);
    refuse(&mut world, &create_ttl("none", CreateMode::Persistent, 5), -8);
}

#[test]
fn null_fields_answer_as_java_stumbles_over_them() {
    use rookeeper_protocol::jute::Writer;
    let mut world = World::new();
    world.connect();
    let null_path = Request::new(OpCode::Create, |out| {
        out.null();
        out.buffer(None);
        out.null();
        out.int(0);
    });
    refuse(&mut world, &null_path, -5);
    let null_acl = Request::new(OpCode::Create, |out| {
        out.text("/a");
        out.buffer(None);
        out.null();
        out.int(0);
    });
    refuse(&mut world, &null_acl, -114);
}

#[test]
fn what_cannot_be_decoded_spends_no_zxid() {
    let mut world = World::new();
    let conn = world.connect();
    let short = Request::new(OpCode::Create, |out| out.extend_from_slice(&[0, 0, 0, 2, b'/']));
    assert_eq!(world.call(conn, 4, &short), reply(4, 1, -5));
    assert_eq!(world.take_log(), []);
    assert_eq!(world.ok(conn, &persistent("/a")), text("/a"));
    assert_eq!(world.tree.last_zxid(), Zxid(2));
}

#[test]
fn a_session_that_is_over_creates_nothing() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    // The expiry is on its way, the client does not know.
    world.pass(12_000);
    assert_eq!(world.expire(0).len(), 1);
    world.send(conn, 1, &persistent("none"));
    world.send(conn, 2, &ephemeral("/e"));
    let [_, first, second]: [LogEntry; 3] = world.take_log().try_into().unwrap();
    assert_eq!((first.txn, second.txn), (Txn::Error { code: -112 }, Txn::Error { code: -112 }));
    world.flush_some(1);
    world.flush();

    // One that was never there: Java tells the two apart only for ephemeral znodes.
    let mut world = World::new();
    let conn = world.dial();
    let connection = world.clients.connections.get_mut(&conn).unwrap();
    connection.establish(SessionId(99), 4000, None);
    connection.resumed(true);
    world.take(conn);
    assert_eq!(world.call(conn, 1, &persistent("none")), reply(1, 1, -12));
    assert_eq!(world.call(conn, 2, &ephemeral("none")), reply(2, 2, -112));
}
