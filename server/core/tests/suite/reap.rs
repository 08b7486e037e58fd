//! Containers and TTL znodes that nobody needs any more.

use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::tree::{ReapRules, reapable};
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::txn::Txn;
use rookeeper_protocol::types::{CreateMode, OpCode, SessionId};

use super::wire::*;
use super::world::{T0, World};

const NEVER: ReapRules = ReapRules { never_used_ms_max: 0 };

fn container(path: &str) -> Request {
    create_as(OpCode::CreateContainer, path, None, &open(), 4)
}

fn candidates(world: &World, rules: &ReapRules, after_ms: i64) -> Vec<String> {
    let mut paths = reapable(&world.tree, rules, T0 + after_ms);
    paths.sort();
    paths
}

fn world() -> (World, ConnId) {
    let mut world = World::new();
    let conn = world.connect();
    (world, conn)
}

#[test]
fn a_container_goes_once_it_had_children_and_has_none() {
    let (mut world, conn) = world();
    for path in ["/new", "/used", "/busy"] {
        world.ok(conn, &container(path));
    }
    world.ok(conn, &persistent("/used/x"));
    world.ok(conn, &persistent("/busy/x"));
    assert_eq!(candidates(&world, &NEVER, i64::MAX / 2), [""; 0]);
    world.ok(conn, &delete("/used/x", -1));
    assert_eq!(candidates(&world, &NEVER, 0), ["/used"]);
    // One that never had a child may stay as long as the rules say.
    let rules = ReapRules { never_used_ms_max: 100 };
    assert_eq!(candidates(&world, &rules, 100), ["/used"]);
    assert_eq!(candidates(&world, &rules, 101), ["/new", "/used"]);
}

#[test]
fn a_ttl_counts_from_the_last_change_of_the_data() {
    let (mut world, conn) = world();
    for path in ["/t", "/t2", "/parent"] {
        world.ok(conn, &create_ttl(path, CreateMode::PersistentWithTtl, 50));
    }
    world.pass(30);
    world.ok(conn, &set_data("/t2", b"", -1));
    world.ok(conn, &persistent("/parent/x"));
    world.ok(conn, &set_acl("/t", &open(), -1));
    assert_eq!(candidates(&world, &NEVER, 50), [""; 0]);
    assert_eq!(candidates(&world, &NEVER, 51), ["/t"]);
    assert_eq!(candidates(&world, &NEVER, 81), ["/t", "/t2"]);
    world.ok(conn, &delete("/parent/x", -1));
    assert_eq!(candidates(&world, &NEVER, 81), ["/parent", "/t", "/t2"]);
}

#[test]
fn what_clients_deleted_is_no_candidate_nor_what_takes_its_place() {
    let (mut world, conn) = world();
    for request in [container("/c"), create_ttl("/t", CreateMode::PersistentWithTtl, 5), persistent("/c/x")] {
        world.ok(conn, &request);
    }
    for path in ["/c/x", "/c", "/t"] {
        world.ok(conn, &delete(path, -1));
    }
    assert_eq!(candidates(&world, &NEVER, 1000), [""; 0]);
    for path in ["/c", "/t", "/c/x", "/t/x"] {
        world.ok(conn, &persistent(path));
    }
    for path in ["/c/x", "/t/x"] {
        world.ok(conn, &delete(path, -1));
    }
    assert_eq!(candidates(&world, &ReapRules { never_used_ms_max: 1 }, 1000), [""; 0]);
    // Those of an image are found again.
    world.ok(conn, &create_ttl("/t2", CreateMode::PersistentWithTtl, 5));
    world.tree = super::replay::reload(&world.tree, 8);
    assert_eq!(candidates(&world, &NEVER, 1000), ["/t2"]);
}

#[test]
fn the_removal_is_a_transaction_of_nobody() {
    let (mut world, conn) = world();
    world.ok(conn, &container("/c"));
    world.ok(conn, &set_acl("/", &[user_acl(31, "a:b")], -1));
    world.send(conn, 1, &read(OpCode::Exists, "/c", true));
    world.take(conn);
    world.take_log();
    world.reap("/c");
    let [entry] = world.take_log().try_into().unwrap();
    assert_eq!(entry.txn, Txn::Delete { op: OpCode::DeleteContainer, path: "/c".into() });
    assert_eq!((entry.header.client_id, entry.header.cxid), (SessionId::NONE, 0));
    assert_eq!(world.take(conn), [event(4, DELETED, "/c")]);
    assert!(!world.has("/c"));
}

/// Reaps `path`, which must fail with `code`.
fn spared(world: &mut World, path: &str, code: i32) {
    world.take_log();
    world.reap(path);
    assert_eq!(world.take_log()[0].txn, Txn::Error { code }, "{path}");
}

#[test]
fn the_removal_looks_again() {
    let (mut world, conn) = world();
    world.ok(conn, &container("/c"));
    world.ok(conn, &ephemeral("/e"));
    spared(&mut world, "/none", -101);
    spared(&mut world, "/zookeeper/quota", -8);
    spared(&mut world, "/e", -103);
    world.flushes_at_once = false;
    // Somebody creates a child in the same moment.
    world.send(conn, 1, &persistent("/c/x"));
    spared(&mut world, "/c", -111);
    world.send(conn, 2, &multi(&[delete("/c/x", -1), delete("/c", -1)]));
    spared(&mut world, "/c", -101);
    world.flush();
    assert!(!world.has("/c"));
}

#[test]
fn a_znode_that_took_the_place_meanwhile_stays() {
    // Java deletes it.
    let (mut world, conn) = world();
    world.ok(conn, &container("/c"));
    world.ok(conn, &delete("/c", -1));
    world.ok(conn, &persistent("/c"));
    spared(&mut world, "/c", -103);
    assert!(world.has("/c"));
}

/// A learner of Java's forwards deleteContainer for any client. It waits for a transaction, which must not delete anything.
#[test]
fn a_learners_client_reaps_nothing() {
    let (mut world, conn) = world();
    world.ok(conn, &container("/c"));
    let mut request = WriteRequest::reap("/c", 0);
    (request.origin.learner, request.origin.session) = (Some(1), world.session(conn));
    world.submit(request);
    world.flush();
    assert!(world.tree.get("/c").is_some());
    assert_eq!(world.log.last().unwrap().txn, Txn::Error { code: -6 });
}
