//! Sessions of an ensemble: they move, they expire, and `sync` sees what was committed.

use super::cluster::Cluster;
use rookeeper_protocol::types::OpCode;

use crate::wire::{Request, Sent, bare, by_path, ephemeral, persistent, read};

fn sync(path: &str) -> Request {
    by_path(OpCode::Sync, path)
}

#[test]
fn a_session_moves_between_servers_and_its_old_connection_writes_no_more() {
    let mut cluster = Cluster::new(11, 0);
    let leader = cluster.settle();
    let followers: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let (here, there) = (followers[0], followers[1]);
    let (old, session) = cluster.connect(here, 10_000);
    assert_eq!(cluster.call(here, old, 1, &ephemeral("/e")), Some(0));
    let new = cluster.reconnect(there, session, 10_000).unwrap();
    // Its connection ends without a word, since its client is elsewhere.
    assert_eq!(cluster.call(here, old, 2, &persistent("/stale")), None);
    assert_eq!(cluster.call(there, new, 3, &persistent("/fresh")), Some(0));
    // To the leader, and back.
    let led = cluster.reconnect(leader, session, 10_000).unwrap();
    assert_eq!(cluster.call(there, new, 4, &persistent("/stale")), None);
    assert_eq!(cluster.call(leader, led, 5, &persistent("/led")), Some(0));
    let back = cluster.reconnect(here, session, 10_000).unwrap();
    // The leader does not end its own connection sooner than a follower does (`Leader#revalidateSession`): a second client of
    // the session would come back at once, and take it from the first.
    assert_eq!(cluster.call(leader, led, 6, &bare(OpCode::WhoAmI)), Some(0));
    assert_eq!(cluster.call(here, back, 7, &persistent("/back")), Some(0));
    assert_eq!(cluster.call(leader, led, 8, &persistent("/stale")), None);
    assert!(cluster.has(here, "/e") && cluster.has(here, "/fresh") && !cluster.has(here, "/stale"));
    cluster.assert_equal();
}

/// A session that is closed where its client is now is over on all servers, wherever it was before.
#[test]
fn the_end_of_a_session_ends_its_old_connections() {
    let mut cluster = Cluster::new(18, 0);
    let leader = cluster.settle();
    for from in [1, 2, 3] {
        for to in [1, 2, 3] {
            let (old, session) = cluster.connect(from, 10_000);
            let path = format!("/e{from}{to}");
            assert_eq!(cluster.call(from, old, 1, &ephemeral(&path)), Some(0));
            let new = cluster.reconnect(to, session, 10_000).unwrap();
            assert_eq!(cluster.call(to, new, 2, &bare(OpCode::CloseSession)), Some(0));
            assert_eq!(cluster.wait(from, old), []);
            assert!(!cluster.has(leader, &path), "{from} {to}");
            assert_eq!(cluster.reconnect(from, session, 10_000), None);
        }
    }
    cluster.assert_equal();
}

#[test]
fn a_session_survives_the_leader_and_keeps_its_ephemerals() {
    let mut cluster = Cluster::new(12, 0);
    let leader = cluster.settle();
    let (conn, session) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &ephemeral("/e")), Some(0));
    cluster.crash(leader);
    let next = cluster.settle();
    let conn = cluster.reconnect(next, session, 10_000).unwrap();
    assert!(cluster.has(next, "/e"));
    assert_eq!(cluster.call(next, conn, 2, &persistent("/a")), Some(0));
}

#[test]
fn a_session_lives_as_long_as_any_server_hears_of_its_client() {
    let mut cluster = Cluster::new(13, 1);
    let leader = cluster.settle();
    for server in [1, 2, 3, 4] {
        let (conn, session) = cluster.connect(server, 1000);
        let path = format!("/e{server}");
        assert_eq!(cluster.call(server, conn, 1, &ephemeral(&path)), Some(0));
        for xid in 2..12 {
            cluster.run(500);
            assert_eq!(cluster.call(server, conn, xid, &bare(OpCode::WhoAmI)), Some(0));
        }
        assert!(cluster.has(leader, &path), "{server}");
        // Then it is silent.
        cluster.run(2500);
        assert!(!cluster.has(leader, &path), "{server}");
        assert_eq!(cluster.reconnect(leader, session, 1000), None);
    }
    cluster.assert_equal();
}

#[test]
fn a_session_whose_connection_is_gone_is_heard_of_once_more() {
    let mut cluster = Cluster::new(14, 0);
    let leader = cluster.settle();
    let follower = if leader == 1 { 2 } else { 1 };
    let (conn, session) = cluster.connect(follower, 1000);
    assert_eq!(cluster.call(follower, conn, 1, &ephemeral("/e")), Some(0));
    cluster.hang_up(follower, conn);
    cluster.run(700);
    assert!(cluster.has(leader, "/e"));
    assert!(cluster.reconnect(leader, session, 1000).is_some());
    cluster.run(3000);
    assert!(!cluster.has(leader, "/e"));
}

#[test]
fn a_sync_shows_what_was_committed_before_it() {
    let mut cluster = Cluster::new(15, 0);
    let leader = cluster.settle();
    for server in [1, 2, 3] {
        let (writer, _) = cluster.connect(leader, 10_000);
        let (reader, _) = cluster.connect(server, 10_000);
        let path = format!("/s{server}");
        assert_eq!(cluster.call(leader, writer, 1, &persistent(&path)), Some(0));
        cluster.send(server, reader, 1, &sync("/"));
        cluster.send(server, reader, 2, &read(OpCode::Exists, &path, false));
        // The read waits behind the sync.
        let mut sent = cluster.wait(server, reader);
        while sent.len() < 2 {
            sent.extend(cluster.wait(server, reader));
        }
        let errors: Vec<_> = sent.iter().map(|sent| matches!(sent, Sent::Reply { error: 0, .. })).collect();
        assert_eq!(errors, [true, true], "{sent:?}");
    }
}

/// What was written before and behind a sync, all at once.
#[test]
fn syncs_stand_in_the_order_of_the_writes() {
    let mut cluster = Cluster::new(16, 0);
    cluster.settle();
    for server in [1, 2, 3] {
        let (conn, _) = cluster.connect(server, 10_000);
        for xid in 1..=12 {
            match xid % 3 {
                0 => cluster.send(server, conn, xid, &sync("/")),
                _ => cluster.send(server, conn, xid, &persistent(&format!("/o{server}-{xid}"))),
            }
        }
        let mut xids = Vec::new();
        while xids.len() < 12 {
            let sent = cluster.wait(server, conn);
            assert!(!sent.is_empty(), "the connection ended behind {xids:?}");
            for sent in sent {
                let Sent::Reply { xid, error, .. } = sent else { panic!("{sent:?}") };
                assert_eq!(error, 0);
                xids.push(xid);
            }
        }
        assert!(xids.iter().copied().eq(1..=12), "{xids:?}");
    }
}

/// `sync` on a leader that was replaced without noticing must not claim that it has seen everything.
#[test]
fn a_leader_that_was_replaced_answers_no_sync() {
    let mut cluster = Cluster::new(17, 0);
    let leader = cluster.settle();
    let (conn, _) = cluster.connect(leader, 10_000);
    cluster.isolate(leader);
    cluster.send(leader, conn, 1, &sync("/"));
    assert_eq!(cluster.wait(leader, conn), []);
}
