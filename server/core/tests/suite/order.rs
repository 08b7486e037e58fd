//! The order of replies, reads behind writes, groups that are applied at once.

use rookeeper_protocol::types::{CreateMode, OpCode};

use super::wire::*;
use super::world::World;

fn xids(sent: &[Sent]) -> Vec<i32> {
    let xid = |sent: &Sent| match sent {
        Sent::Reply { xid, .. } => *xid,
        other => panic!("{other:?}"),
    };
    sent.iter().map(xid).collect()
}

#[test]
fn a_read_waits_for_the_writes_before_it_and_not_for_those_behind() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/a"));
    world.flushes_at_once = false;
    world.send(conn, 1, &set_data("/a", b"one", -1));
    world.send(conn, 2, &read(OpCode::GetData, "/a", false));
    world.send(conn, 3, &bare(OpCode::Ping));
    world.send(conn, 4, &set_data("/a", b"two", -1));
    world.send(conn, 5, &read(OpCode::GetData, "/a", false));
    assert_eq!((world.take(conn), world.connection(conn).outstanding()), (vec![], 5));

    let data = |sent: &Sent| match sent {
        Sent::Reply { zxid, body, .. } => (*zxid, String::from_utf8(body[4..7].to_vec()).unwrap()),
        other => panic!("{other:?}"),
    };
    world.flush_some(1);
    let sent = world.take(conn);
    // A ping stands in the row like any request, and is answered under its own number.
    assert_eq!(xids(&sent), [1, 2, -2]);
    assert_eq!(data(&sent[1]), (3, "one".into()));
    assert_eq!(world.connection(conn).outstanding(), 2);
    world.flush_some(1);
    let sent = world.take(conn);
    assert_eq!((xids(&sent), data(&sent[1])), (vec![4, 5], (4, "two".into())));
    assert_eq!((world.connection(conn).outstanding(), world.connection(conn).waiting_bytes()), (0, 0));
}

#[test]
fn a_group_applied_at_once_shows_each_read_its_own_moment() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &persistent("/a"));
    world.flushes_at_once = false;
    for xid in 0..10 {
        world.send(conn, 2 * xid, &set_data("/a", &[xid as u8], -1));
        world.send(conn, 2 * xid + 1, &read(OpCode::GetData, "/a", false));
    }
    world.flush();
    let sent = world.take(conn);
    assert_eq!(xids(&sent), (0..20).collect::<Vec<_>>());
    for (xid, sent) in sent.iter().enumerate().filter(|(xid, _)| xid % 2 == 1) {
        let Sent::Reply { body, .. } = sent else { panic!() };
        assert_eq!(body[4], xid as u8 / 2);
    }
}

#[test]
fn other_connections_read_what_is_applied() {
    let mut world = World::new();
    let (writer, reader) = (world.connect(), world.connect());
    world.flushes_at_once = false;
    world.send(writer, 1, &persistent("/a"));
    assert_eq!(world.call(reader, 1, &read(OpCode::Exists, "/a", false)), reply(1, 2, -101));
    assert_eq!(world.call(reader, 2, &by_path(OpCode::Sync, "/a")), answer(2, 2, text("/a")));
    world.flush();
    assert!(matches!(world.call(reader, 3, &read(OpCode::Exists, "/a", false)), Sent::Reply { error: 0, zxid: 3, .. }));
}

#[test]
fn what_logs_nothing_waits_for_what_stands_before_it() {
    let mut world = World::new();
    let (first, second) = (world.connect(), world.connect());
    world.flushes_at_once = false;
    let broken = Request::new(OpCode::Delete, |_| {});
    world.send(first, 1, &persistent("/a"));
    world.send(second, 1, &broken);
    assert_eq!((world.take(first), world.take(second)), (vec![], vec![]));
    world.flush_some(1);
    assert_eq!(world.take(second), [reply(1, 3, -5)]);
    // With nothing before it, it is answered at once.
    world.send(second, 2, &broken);
    assert_eq!(world.take(second), [reply(2, 3, -5)]);
}

#[test]
fn results_come_in_the_order_of_the_transactions_across_connections() {
    let mut world = World::new();
    let (first, second) = (world.connect(), world.connect());
    world.flushes_at_once = false;
    for xid in 1..4 {
        world.send(first, xid, &create("/n", CreateMode::PersistentSequential));
        world.send(second, xid, &create("/n", CreateMode::PersistentSequential));
    }
    world.clients.calls.clear();
    world.flush();
    let order: Vec<_> = world.clients.calls.iter().map(|(conn, _)| *conn).collect();
    assert_eq!(order, [first, second, first, second, first, second]);
    let last = |sent: Vec<Sent>| sent.last().unwrap().clone();
    assert_eq!(last(world.take(first)), answer(3, 7, text("/n0000000004")));
    assert_eq!(last(world.take(second)), answer(3, 8, text("/n0000000005")));
}

#[test]
fn a_batch_may_be_cut_anywhere() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    for xid in 1..=3 {
        world.send(conn, xid, &create("/n", CreateMode::PersistentSequential));
    }
    let durable = world.pipeline.last_proposed();
    let World { pipeline, tree, watches, clients, .. } = &mut world;
    assert_eq!(pipeline.in_flight(), 3);
    assert!(pipeline.in_flight_bytes() > 0);
    assert!(pipeline.commit(tree, watches, clients, durable, 2));
    assert_eq!(pipeline.in_flight(), 1);
    assert!(!pipeline.commit(tree, watches, clients, durable, 1));
    assert_eq!((pipeline.in_flight(), pipeline.in_flight_bytes()), (0, 0));
    assert_eq!(xids(&world.take(conn)), [1, 2, 3]);
}

#[test]
fn requests_of_a_connection_that_is_gone_are_applied_and_answered_to_nobody() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    world.send(conn, 1, &persistent("/a"));
    world.send(conn, 2, &read(OpCode::GetData, "/a", true));
    world.hang_up(conn);
    world.flush();
    assert!(world.has("/a"));
    assert_eq!(world.watch_count(), 0);
}
