//! Quotas: counting, soft and hard limits, and what is on its way.

use rookeeper_core::pipeline::Notice;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::types::OpCode;

use super::wire::*;
use super::world::{Options, World};

fn plain(path: &str, data: &[u8]) -> Request {
    create_as(OpCode::Create, path, Some(data), &open(), 0)
}

/// A world with `/q` (one byte) under these limits.
fn world(limits: &str, enforced: bool) -> (World, ConnId) {
    let mut options = Options::default();
    options.pipeline.enforce_quota = enforced;
    let mut world = World::with(options);
    let conn = world.connect();
    world.ok(conn, &plain("/q", b"1"));
    set_quota(&mut world, conn, "/q", limits);
    (world, conn)
}

fn set_quota(world: &mut World, conn: ConnId, path: &str, limits: &str) {
    let mut at = "/zookeeper/quota".to_owned();
    for name in path[1..].split('/') {
        at = format!("{at}/{name}");
        if !world.has(&at) {
            world.ok(conn, &plain(&at, b""));
        }
    }
    world.ok(conn, &plain(&format!("{at}/zookeeper_limits"), limits.as_bytes()));
    world.ok(conn, &plain(&format!("{at}/zookeeper_stats"), b"whatever"));
}

fn counted(world: &World, path: &str) -> String {
    world.data(&format!("/zookeeper/quota{path}/zookeeper_stats"))
}

#[test]
fn znodes_and_bytes_are_counted_in_place() {
    let (mut world, conn) = world("count=-1,bytes=-1", false);
    assert_eq!(counted(&world, "/q"), "count=1,bytes=1");
    let stat = world.tree.get("/zookeeper/quota/q/zookeeper_stats").unwrap().stat;
    world.send(conn, 1, &read(OpCode::GetData, "/zookeeper/quota/q/zookeeper_stats", true));
    world.take(conn);
    for (request, expected) in [
        (plain("/q/a", b"123"), "count=2,bytes=4"),
        (plain("/q/a/b", b""), "count=3,bytes=4"),
        (create_as(OpCode::Create, "/q/a/c", None, &open(), 1), "count=4,bytes=4"),
        (set_data("/q/a", b"12345", -1), "count=4,bytes=6"),
        (set_data("/q", b"", -1), "count=4,bytes=5"),
        (plain("/qq", b"12"), "count=4,bytes=5"),
        (multi(&[plain("/q/m", b"1"), delete("/q/a/b", -1)]), "count=4,bytes=6"),
        (multi(&[plain("/q/n", b"1"), delete("/none", -1)]), "count=4,bytes=6"),
        (delete("/q/m", -1), "count=3,bytes=5"),
        (set_data("/zookeeper/quota/q/zookeeper_stats", b"count=x", -1), "count=x"),
        // What cannot be read counts from nothing, and nothing is -1.
        (plain("/q/z", b"1"), "count=0,bytes=0"),
    ] {
        world.send(conn, 1, &request);
        world.take(conn);
        assert_eq!(counted(&world, "/q"), expected, "{request:?}");
    }
    // Counting is no change that a client could see in the stat or by a watch: only its own one was.
    let now = world.tree.get("/zookeeper/quota/q/zookeeper_stats").unwrap().stat;
    assert_eq!((now.version, now.czxid, now.pzxid), (stat.version + 1, stat.czxid, stat.pzxid));
    assert_eq!(world.clients.fired, 1);
    world.ok(conn, &bare(OpCode::CloseSession));
    assert_eq!(counted(&world, "/q"), "count=-1,bytes=0");
}

#[test]
fn only_the_deepest_quota_counts() {
    let (mut world, conn) = world("count=9,bytes=9", false);
    world.ok(conn, &plain("/q/in", b""));
    set_quota(&mut world, conn, "/q/in", "count=5,bytes=5");
    world.ok(conn, &plain("/q/in/x", b"12"));
    assert_eq!(
        (counted(&world, "/q").as_str(), counted(&world, "/q/in").as_str()),
        ("count=2,bytes=1", "count=2,bytes=2")
    );
    world.ok(conn, &delete("/zookeeper/quota/q/in/zookeeper_limits", -1));
    world.ok(conn, &plain("/q/in/y", b"12"));
    assert_eq!(
        (counted(&world, "/q").as_str(), counted(&world, "/q/in").as_str()),
        ("count=3,bytes=3", "count=2,bytes=2")
    );
}

#[test]
fn quotas_are_found_again_after_a_restart() {
    let (mut world, conn) = world("count=9,bytes=9", false);
    world.ok(conn, &plain("/q/a", b"12"));
    world.ok(conn, &set_data("/zookeeper/quota/q/zookeeper_stats", b"nonsense", -1));
    let tree = super::replay::reload(&world.tree, 3);
    let mut again = World::around(Options::default(), tree, []);
    assert_eq!(counted(&again, "/q"), "count=2,bytes=3");
    let conn = again.connect();
    again.ok(conn, &plain("/q/b", b"1"));
    assert_eq!(counted(&again, "/q"), "count=3,bytes=4");
}

fn exceeded(text: &str, refused: bool) -> Vec<Notice> {
    vec![Notice::QuotaExceeded { path: "/q".into(), text: text.into(), refused }]
}

#[test]
fn a_soft_limit_only_warns() {
    let (mut world, conn) = world("count=2,bytes=3", true);
    world.ok(conn, &plain("/q/a", b""));
    assert_eq!(world.pipeline.take_notices(), []);
    world.ok(conn, &plain("/q/b", b""));
    assert_eq!(world.pipeline.take_notices(), exceeded("3 count, the soft limit is 2", false));
    world.ok(conn, &set_data("/q/b", b"123", -1));
    assert_eq!(world.pipeline.take_notices(), exceeded("4 bytes, the soft limit is 3", false));
    // What adds nothing is not told of.
    world.ok(conn, &set_data("/q/b", b"321", -1));
    assert_eq!(world.pipeline.take_notices(), []);
}

#[test]
fn a_hard_limit_refuses() {
    let (mut world, conn) = world("count=1,bytes=1=;byteHardLimit=3;countHardLimit=2", true);
    assert_eq!(world.error(conn, &plain("/q/a", b"123")), -125);
    assert_eq!(world.pipeline.take_notices(), exceeded("4 bytes, the hard limit is 3", true));
    // The count is looked at first.
    world.ok(conn, &plain("/q/a", b"12"));
    assert_eq!(world.error(conn, &plain("/q/b", b"1")), -125);
    assert_eq!(world.pipeline.take_notices(), exceeded("3 count, the hard limit is 2", true));
    assert_eq!(world.error(conn, &set_data("/q/a", b"123", -1)), -125);
    // In setData the quota comes before the version.
    assert_eq!(world.error(conn, &set_data("/q/a", b"123", 55)), -125);
    assert_eq!(world.error(conn, &set_data("/q/a", b"1", 55)), -103);
    world.ok(conn, &set_data("/q/a", b"1", -1));
    world.ok(conn, &set_data("/q", b"12", -1));
    assert_eq!(counted(&world, "/q"), "count=2,bytes=3");
    // Deleting makes room at once.
    world.ok(conn, &delete("/q/a", -1));
    world.ok(conn, &plain("/q/b", b"1"));
}

#[test]
fn limits_are_enforced_only_when_asked_for() {
    let (mut world, conn) = world("count=1,bytes=1=;byteHardLimit=1;countHardLimit=1", false);
    world.ok(conn, &plain("/q/a", b"123"));
    assert_eq!((world.pipeline.take_notices(), counted(&world, "/q").as_str()), (vec![], "count=2,bytes=4"));
}

#[test]
fn a_multi_cannot_overrun_a_hard_limit() {
    // Java compares with what is applied, and lets all three in.
    let (mut world, conn) = world("count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2", true);
    let parts = [plain("/q/a", b""), plain("/q/b", b""), plain("/q/c", b"")];
    let zxid = world.tree.last_zxid().0 + 1;
    let expected = results(&[failed(0), failed(-125), failed(-2)]);
    assert_eq!(world.call(conn, 1, &multi(&parts)), answer(1, zxid, expected));
    assert_eq!(counted(&world, "/q"), "count=1,bytes=1");
    // What the failed multi would have taken is free again, and one may make its own room.
    let moved = multi(&[plain("/q/a", b""), delete("/q/a", -1), plain("/q/b", b"")]);
    world.ok(conn, &moved);
    assert!(world.has("/q/b"));
}

#[test]
fn a_pipeline_cannot_overrun_a_hard_limit() {
    let (mut world, conn) = world("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3", true);
    world.flushes_at_once = false;
    world.send(conn, 1, &plain("/q/a", b"12345"));
    world.send(conn, 2, &plain("/q/b", b"12345"));
    world.send(conn, 3, &plain("/q/b", b"1234"));
    world.send(conn, 4, &plain("/q/c", b""));
    world.send(conn, 5, &delete("/q/a", -1));
    world.send(conn, 6, &plain("/q/c", b"12345"));
    world.flush();
    let zxids = 6..;
    let codes = [0, -125, 0, -125, 0, 0];
    let paths = [Some("/q/a"), None, Some("/q/b"), None, None, Some("/q/c")];
    let expected: Vec<Sent> = codes
        .iter()
        .zip(paths)
        .zip(zxids)
        .enumerate()
        .map(|(index, ((code, path), zxid))| match path {
            Some(path) => answer(index as i32 + 1, zxid, text(path)),
            None => reply(index as i32 + 1, zxid, *code),
        })
        .collect();
    assert_eq!(world.take(conn), expected);
    assert_eq!(counted(&world, "/q"), "count=3,bytes=10");
}

#[test]
fn a_refused_write_takes_no_room_while_it_is_on_its_way() {
    let (mut world, conn) = world("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1", true);
    world.ok(conn, &plain("/q/a", b""));
    world.flushes_at_once = false;
    world.send(conn, 1, &set_data("/q/a", b"123456789", 55));
    world.send(conn, 2, &set_data("/q/a", b"123456789", 0));
    world.flush();
    let zxid = world.tree.last_zxid().0;
    let sent = world.take(conn);
    assert_eq!(sent[0], reply(1, zxid - 1, -103));
    assert!(matches!(sent[1], Sent::Reply { error: 0, .. }), "{sent:?}");
    assert_eq!(counted(&world, "/q"), "count=2,bytes=10");
}
