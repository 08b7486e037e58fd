//! Local sessions: begun, ended and upgraded.

use std::sync::Arc;

use rookeeper_core::pipeline::{Origin, WriteRequest};
use rookeeper_core::session::LocalSessions;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::types::{CreateMode, ErrorCode, OpCode, SessionId, Zxid};

use super::cluster::Cluster;
use crate::wire::{Sent, bare, create, create_as, ephemeral, multi, open, persistent, read};

const EXPIRED: i32 = ErrorCode::SessionExpired as i32;
const REFUSED: i32 = ErrorCode::EphemeralOnLocalSession as i32;

/// Three voters and an observer, all of which serve, and one that leads.
fn upgradable(seed: u64) -> (Cluster, i64) {
    let mut cluster = Cluster::tuned(seed, 1, |rules| rules.local_sessions = LocalSessions::Upgradable);
    let leader = cluster.settle();
    (cluster, leader)
}

fn is_local(cluster: &Cluster, server: i64, session: SessionId) -> bool {
    let pipeline = cluster.servers[&server].running.as_ref().unwrap().peer.pipeline();
    pipeline.local_sessions.get(session).is_some()
}

fn is_known(cluster: &Cluster, server: i64, session: SessionId) -> bool {
    let pipeline = cluster.servers[&server].running.as_ref().unwrap().peer.pipeline();
    pipeline.sessions.committed().any(|(id, _)| id == session)
}

fn last_zxid(cluster: &Cluster, server: i64) -> Zxid {
    cluster.servers[&server].running.as_ref().unwrap().tree.last_zxid()
}

/// All errors that the connection is told, until there are so many.
fn errors(cluster: &mut Cluster, server: i64, conn: ConnId, count: usize) -> Vec<(i32, i32)> {
    let mut errors = Vec::new();
    while errors.len() < count {
        let sent = cluster.wait(server, conn);
        assert!(!sent.is_empty(), "the connection ended behind {errors:?}");
        errors.extend(sent.into_iter().map(|sent| match sent {
            Sent::Reply { xid, error, .. } => (xid, error),
            other => panic!("{other:?}"),
        }));
    }
    errors
}

#[test]
fn a_local_session_begins_writes_and_ends_without_the_others() {
    let (mut cluster, leader) = upgradable(41);
    for server in [1, 2, 3, 4] {
        let before = last_zxid(&cluster, server);
        let (conn, session) = cluster.connect(server, 10_000);
        assert!(is_local(&cluster, server, session));
        assert_eq!(last_zxid(&cluster, server), before);
        // What it does to the tree is agreed on like everything else.
        let path = format!("/of{server}");
        assert_eq!(cluster.call(server, conn, 1, &persistent(&path)), Some(0));
        assert!(!is_known(&cluster, leader, session) && is_local(&cluster, server, session));
        // Its end stands behind its writes.
        cluster.send(server, conn, 2, &persistent(&format!("/more{server}")));
        cluster.send(server, conn, 3, &bare(OpCode::CloseSession));
        assert_eq!(errors(&mut cluster, server, conn, 2), [(2, 0), (3, 0)]);
        assert!(!is_local(&cluster, server, session));
        assert_eq!(cluster.reconnect(server, session, 10_000), None);
    }
    cluster.assert_equal();
    let epoch_and_counter = (last_zxid(&cluster, leader).epoch(), last_zxid(&cluster, leader).counter());
    assert_eq!(epoch_and_counter, (1, 8), "two znodes through each server, and nothing else");
}

/// ZOOKEEPER-2725: the same for a multi, whatever stands in front of the part that needs it.
#[test]
fn a_local_session_becomes_the_ensembles_before_it_owns_a_znode() {
    let (mut cluster, leader) = upgradable(42);
    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &persistent("/first")), Some(0));
    for server in [1, 2, 3, 4] {
        let plain = ephemeral(&format!("/plain{server}"));
        let with_stat = create_as(
            OpCode::Create2,
            &format!("/stat{server}"),
            None,
            &open(),
            CreateMode::EphemeralSequential.flags(),
        );
        let parts = multi(&[persistent(&format!("/kept{server}")), ephemeral(&format!("/part{server}"))]);
        for request in [plain, with_stat, parts] {
            let (conn, session) = cluster.connect(server, 10_000);
            let before = last_zxid(&cluster, leader);
            // What comes behind waits for it, and a second one upgrades nothing.
            cluster.send(server, conn, 1, &request);
            cluster.send(server, conn, 2, &read(OpCode::Exists, "/", false));
            cluster.send(server, conn, 3, &ephemeral(&format!("/again{server}")));
            assert_eq!(errors(&mut cluster, server, conn, 3), [(1, 0), (2, 0), (3, 0)]);
            assert!(!is_local(&cluster, server, session));
            cluster.assert_equal();
            assert!([1, 2, 3, 4].iter().all(|id| is_known(&cluster, *id, session)), "{server}");
            assert_eq!(last_zxid(&cluster, leader).0 - before.0, 3, "its session, and two requests");
            // The same session elsewhere, and its end goes with all that it owned.
            let elsewhere = server % 4 + 1;
            let conn = cluster.reconnect(elsewhere, session, 10_000).unwrap();
            assert!(cluster.has(elsewhere, &format!("/again{server}")));
            assert_eq!(cluster.call(elsewhere, conn, 4, &bare(OpCode::CloseSession)), Some(0));
            cluster.assert_equal();
            assert_eq!(cluster.servers[&leader].running.as_ref().unwrap().tree.ephemeral_count(), 0);
        }
    }
}

/// ZOOKEEPER-3471: an end that is asked for behind an upgrade must not be the end of a local session.
#[test]
fn the_end_of_a_session_that_is_being_upgraded_takes_its_ephemerals_along() {
    let (mut cluster, leader) = upgradable(43);
    for server in [1, 2, 3, 4] {
        let (conn, session) = cluster.connect(server, 10_000);
        cluster.send(server, conn, 1, &ephemeral("/lock"));
        cluster.send(server, conn, 2, &bare(OpCode::CloseSession));
        assert_eq!(errors(&mut cluster, server, conn, 2), [(1, 0), (2, 0)]);
        cluster.assert_equal();
        assert!(!cluster.has(leader, "/lock") && !is_known(&cluster, leader, session));
    }
}

/// ZOOKEEPER-3471 as well: the client goes elsewhere while its session is being upgraded, and is told that it is over.
#[test]
fn a_client_that_leaves_before_the_upgrade_leaves_no_znode_for_ever() {
    let (mut cluster, leader) = upgradable(44);
    let server = if leader == 1 { 2 } else { 1 };
    let (conn, session) = cluster.connect(server, 1000);
    cluster.send(server, conn, 1, &ephemeral("/lock"));
    cluster.hang_up(server, conn);
    // Nobody but that server has heard of the session, or all have: never only some.
    let elsewhere = cluster.reconnect(leader, session, 1000);
    cluster.run(20);
    assert!(cluster.has(leader, "/lock"));
    assert_eq!(elsewhere, None);
    cluster.run(3000);
    assert!(!cluster.has(leader, "/lock"));
    cluster.assert_equal();
}

#[test]
fn an_upgraded_session_lives_as_long_as_its_client_is_heard() {
    let (mut cluster, leader) = upgradable(45);
    for server in [1, 2, 3, 4] {
        let (conn, _) = cluster.connect(server, 1000);
        assert_eq!(cluster.call(server, conn, 1, &ephemeral("/e")), Some(0));
        for xid in 2..10 {
            cluster.run(500);
            assert_eq!(cluster.call(server, conn, xid, &bare(OpCode::WhoAmI)), Some(0));
        }
        assert!(cluster.has(leader, "/e"));
        cluster.run(3000);
        assert!(!cluster.has(leader, "/e"));
    }
}

/// `FinalRequestProcessor`: the leader takes the session for one that expired; the client is told what it is. Of a multi
/// it is told what the leader said.
#[test]
fn a_local_session_that_may_not_be_upgraded_owns_nothing() {
    let mut cluster = Cluster::tuned(46, 1, |rules| rules.local_sessions = LocalSessions::Enabled);
    let leader = cluster.settle();
    for server in [1, 2, 3, 4] {
        let (conn, session) = cluster.connect(server, 10_000);
        assert_eq!(cluster.call(server, conn, 1, &ephemeral("/e")), Some(REFUSED), "{server}");
        assert_eq!(cluster.call(server, conn, 2, &persistent(&format!("/p{server}"))), Some(0));
        cluster.send(server, conn, 3, &multi(&[persistent("/m"), ephemeral("/e")]));
        let [Sent::Reply { error: 0, body, .. }] = &cluster.wait(server, conn)[..] else { panic!("no answer") };
        let told = if server == leader { REFUSED } else { EXPIRED };
        assert!(body.windows(4).any(|bytes| bytes == told.to_be_bytes()), "{server}: {body:?}");
        assert!(is_local(&cluster, server, session) && !cluster.has(leader, "/e") && !cluster.has(leader, "/m"));
        // Containers and the like belong to nobody.
        let container = create_as(OpCode::CreateContainer, &format!("/c{server}"), None, &open(), 4);
        assert_eq!(cluster.call(server, conn, 4, &container), Some(0));
        assert_eq!(cluster.call(server, conn, 5, &create("/bad", CreateMode::EphemeralSequential)), Some(REFUSED));
    }
    cluster.assert_equal();
}

#[test]
fn a_local_session_stays_where_it_is_and_expires_there() {
    let (mut cluster, leader) = upgradable(47);
    for server in [1, 2, 3, 4] {
        let (old, session) = cluster.connect(server, 1000);
        let elsewhere = server % 4 + 1;
        assert_eq!(cluster.reconnect(elsewhere, session, 1000), None);
        // On the same server it moves to another connection.
        let new = cluster.reconnect(server, session, 1000).unwrap();
        assert_eq!(cluster.wait(server, old), []);
        for xid in 1..8 {
            cluster.run(500);
            assert_eq!(cluster.call(server, new, xid, &bare(OpCode::WhoAmI)), Some(0));
        }
        let before = last_zxid(&cluster, leader);
        cluster.run(2000);
        assert!(!is_local(&cluster, server, session));
        assert_eq!(cluster.wait(server, new), []);
        assert_eq!(cluster.reconnect(server, session, 1000), None);
        assert_eq!(last_zxid(&cluster, leader), before);
    }
}

#[test]
fn local_sessions_end_with_the_role_of_their_server() {
    let (mut cluster, leader) = upgradable(48);
    let server = if leader == 1 { 2 } else { 1 };
    let (local, global) = (cluster.connect(server, 10_000), cluster.connect(server, 10_000));
    assert_eq!(cluster.call(server, global.0, 1, &ephemeral("/e")), Some(0));
    cluster.crash(leader);
    cluster.run_until("end of service", |cluster| !cluster.serves(server));
    cluster.settle();
    assert_eq!(cluster.wait(server, local.0), []);
    assert_eq!(cluster.reconnect(server, local.1, 10_000), None);
    assert!(cluster.reconnect(server, global.1, 10_000).is_some());
    assert!(cluster.has(server, "/e"));
}

/// What a client sent before its local session ended here must not count as a local session's of somewhere else.
#[test]
fn nothing_is_written_for_a_local_session_that_is_over() {
    let (mut cluster, leader) = upgradable(49);
    for server in [1, 2, 3, 4] {
        let (conn, session) = cluster.connect(server, 10_000);
        cluster.send(server, conn, 1, &bare(OpCode::CloseSession));
        assert_eq!(errors(&mut cluster, server, conn, 1), [(1, 0)]);
        let op = OpCode::Create;
        let origin = Origin { conn: Some(conn), learner: None, session, xid: 2, op, received_ms: 0 };
        let body = persistent("/late").body.freeze();
        cluster.submit(server, WriteRequest { origin, ids: Arc::from([]), body });
        cluster.run(100);
        assert!(!cluster.has(leader, "/late"), "{server}");
    }
}
