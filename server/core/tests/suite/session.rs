//! Sessions end: by request or by silence, with all that they own.

use rookeeper_core::client::Phase;
use rookeeper_core::session::password;
use rookeeper_protocol::txn::Txn;
use rookeeper_protocol::types::{CreateMode, OpCode, SessionId, Zxid};

use super::wire::*;
use super::world::{Options, World};

fn paths(list: &[&str]) -> Txn {
    Txn::CloseSession { paths: Some(list.iter().map(|path| (*path).into()).collect()) }
}

#[test]
fn all_ephemerals_go_in_one_transaction_in_the_order_of_their_names() {
    let mut world = World::new();
    let (owner, watcher) = (world.connect(), world.connect());
    world.ok(owner, &persistent("/p"));
    for path in ["/p/b", "/p/a", "/c"] {
        world.ok(owner, &ephemeral(path));
    }
    world.ok(owner, &create("/kept", CreateMode::Persistent));
    world.ok(watcher, &ephemeral("/other"));
    world.send(watcher, 1, &by_number(OpCode::AddWatch, "/", 1));
    world.send(watcher, 2, &by_number(OpCode::AddWatch, "/p", 0));
    world.take(watcher);
    world.take_log();
    assert_eq!(world.call(owner, 7, &bare(OpCode::CloseSession)), reply(7, 9, 0));
    assert_eq!(world.take_log(), [world.entry(owner, 7, 9, paths(&["/c", "/p/a", "/p/b"]))]);
    let expected = [
        event(9, DELETED, "/c"),
        event(9, DELETED, "/p/a"),
        event(9, CHILDREN, "/p"),
        event(9, DELETED, "/p/b"),
        event(9, CHILDREN, "/p"),
    ];
    assert_eq!(world.take(watcher), expected);
    assert!(world.has("/kept") && world.has("/other") && !world.has("/c"));
    let parent = world.tree.get("/p").unwrap();
    assert_eq!((parent.stat.pzxid, parent.client_stat().cversion), (Zxid(9), 4));
}

#[test]
fn closing_counts_what_is_on_its_way() {
    let mut world = World::new();
    let conn = world.connect();
    for path in ["/stays", "/goes"] {
        world.ok(conn, &ephemeral(path));
    }
    world.flushes_at_once = false;
    world.send(conn, 1, &delete("/goes", -1));
    world.send(conn, 2, &ephemeral("/comes"));
    world.send(conn, 3, &ephemeral("/comes-and-goes"));
    world.send(conn, 4, &delete("/comes-and-goes", -1));
    world.send(conn, 5, &persistent("/goes"));
    world.send(conn, 6, &multi(&[ephemeral("/in-multi"), ephemeral("/comes")]));
    world.send(conn, 7, &multi(&[ephemeral("/done")]));
    world.send(conn, 8, &bare(OpCode::CloseSession));
    let close = world.log.last().unwrap().txn.clone();
    assert_eq!(close, paths(&["/comes", "/done", "/stays"]));
    world.flush();
    assert!(world.has("/goes"));
    assert_eq!(world.tree.ephemeral_count(), 0);
}

#[test]
fn the_parent_may_go_behind_the_session_that_empties_it() {
    let mut world = World::new();
    let (owner, other) = (world.connect(), world.connect());
    world.ok(other, &persistent("/p"));
    world.ok(owner, &ephemeral("/p/e"));
    world.flushes_at_once = false;
    world.send(owner, 1, &bare(OpCode::CloseSession));
    world.send(other, 2, &delete("/p", -1));
    world.flush();
    assert_eq!(world.take(other), [reply(2, 6, 0)]);
}

#[test]
fn a_log_without_lists_takes_all_that_the_session_owns() {
    let mut options = Options::default();
    options.pipeline.close_session_txn = false;
    let mut world = World::with(options);
    let conn = world.connect();
    world.ok(conn, &ephemeral("/e"));
    world.take_log();
    assert_eq!(world.call(conn, 2, &bare(OpCode::CloseSession)), reply(2, 3, 0));
    let txn = Txn::CloseSession { paths: None };
    assert_eq!(world.take_log(), [world.entry(conn, 2, 3, txn)]);
    assert!(!world.has("/e"));
}

#[test]
fn silence_ends_a_session() {
    let mut world = World::new();
    let (silent, watcher) = (world.connect(), world.connect());
    let session = world.session(silent);
    world.ok(silent, &ephemeral("/e"));
    world.send(watcher, 1, &read(OpCode::Exists, "/e", true));
    world.take(watcher);
    // Heard of at 0 with ten seconds: the bucket behind is due at eleven.
    world.pass(10_999);
    assert_eq!(world.expire(0), []);
    // Both are due; only one is heard of in time.
    world.hang_up(silent);
    world.pipeline.sessions.touch(session, 2000, 0);
    world.take_log();
    assert_eq!(world.expire(10_000), [session]);
    let entry = &world.take_log()[0];
    assert_eq!((entry.header.client_id, entry.header.cxid, &entry.txn), (session, 0, &paths(&["/e"])));
    assert_eq!(world.take(watcher), [event(4, DELETED, "/e")]);
    assert!(!world.pipeline.sessions.is_open(session));
    let late = world.resume(session, 5000, &password(session));
    assert_eq!(world.connection(late).phase(), Phase::Ending);
}

#[test]
fn a_session_that_is_heard_of_waits_in_a_later_bucket() {
    let mut world = World::new();
    let conn = world.connect();
    let session = world.session(conn);
    world.hang_up(conn);
    world.pass(5000);
    assert!(world.pipeline.sessions.touch(session, 10_000, 5000));
    assert_eq!(world.pipeline.sessions.next_deadline_ms(), Some(16_000));
    world.pass(10_999);
    assert_eq!(world.expire(0), []);
    world.pass(1);
    assert_eq!(world.expire(0), [session]);
}

#[test]
fn a_connection_closes_without_a_word_when_its_session_expires() {
    let mut world = World::new();
    let conn = world.connect();
    world.pass(11_000);
    assert_eq!(world.expire(0).len(), 1);
    assert_eq!((world.connection(conn).phase(), world.take(conn)), (Phase::Ending, vec![]));
    assert_eq!(world.clients.calls.last(), Some(&(conn, "session over")));
}

#[test]
fn a_session_that_is_closing_expires_no_second_time() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    world.send(conn, 1, &bare(OpCode::CloseSession));
    world.pass(60_000);
    assert_eq!(world.expire(0), []);
    world.flush();
    assert!(world.pipeline.sessions.is_empty());
    assert_eq!(world.pipeline.sessions.next_deadline_ms(), None);
}

#[test]
fn a_session_that_moved_is_not_closed_with_its_old_connection() {
    let mut world = World::new();
    let old = world.connect();
    let session = world.session(old);
    world.ok(old, &ephemeral("/e"));
    let new = world.resume(session, 10_000, &password(session));
    world.take(new);
    world.hang_up(old);
    assert_eq!(world.pipeline.sessions.get(session).unwrap().conn, Some(new));
    world.pass(10_000);
    assert_eq!(world.expire(9000), []);
    let list = bytes(|out| names(out, &["/e"]));
    assert_eq!(world.ok(new, &by_path(OpCode::GetEphemerals, "")), list);
}

#[test]
fn a_close_behind_an_expiry_is_answered_all_the_same() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &ephemeral("/e"));
    world.flushes_at_once = false;
    world.pass(11_000);
    world.expire(0);
    world.send(conn, 1, &bare(OpCode::CloseSession));
    world.take_log();
    world.flush();
    assert_eq!((world.connection(conn).phase(), world.take(conn)), (Phase::Ending, vec![]));
    assert!(world.pipeline.sessions.is_empty() && !world.has("/e"));
}

#[test]
fn sessions_survive_a_restart_and_keep_their_ids_apart() {
    let mut world = World::new();
    let conn = world.connect();
    let session = world.session(conn);
    world.ok(conn, &ephemeral("/e"));
    let sessions: Vec<_> = world.pipeline.sessions.iter().map(|(id, session)| (id, session.timeout_ms)).collect();
    assert_eq!(sessions, [(session, 10_000)]);
    let mut again = World::around(Options::default(), world.tree, sessions);
    let fresh = again.connect();
    // The clock began anew; the id did not.
    assert_eq!(again.session(fresh), SessionId(session.0 + 1));
    let back = again.resume(session, 10_000, &password(session));
    assert!(matches!(again.take(back)[..], [Sent::Connect(_)]));
    assert_eq!(again.call(back, 1, &bare(OpCode::CloseSession)), reply(1, 4, 0));
    assert!(!again.has("/e"));
}
