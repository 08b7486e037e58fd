//! The read-only mode.

use rookeeper_core::client::{Refusal, refusal};
use rookeeper_core::session::LocalSessions;
use rookeeper_protocol::client::ConnectRequest;
use rookeeper_protocol::types::{ErrorCode, OpCode, SessionId, Zxid};

use super::cluster::Cluster;
use crate::wire::{Sent, bare, by_path, delete, ephemeral, multi, persistent, read, set_data};

const NOT_READ_ONLY: i32 = ErrorCode::NotReadOnly as i32;

/// One of three servers that has lost the others and shows what it has, which is `/a`.
fn alone(seed: u64) -> (Cluster, i64, SessionId) {
    let mut cluster = Cluster::tuned(seed, 0, |rules| rules.read_only_mode = true);
    let leader = cluster.settle();
    let server = if leader == 1 { 2 } else { 1 };
    let (conn, session) = cluster.connect(server, 60_000);
    assert_eq!(cluster.call(server, conn, 1, &persistent("/a")), Some(0));
    cluster.run(100);
    for id in [1, 2, 3].into_iter().filter(|id| *id != server) {
        cluster.crash(id);
    }
    (cluster, server, session)
}

fn reads(cluster: &Cluster, server: i64) -> bool {
    let running = cluster.servers[&server].running.as_ref().unwrap();
    assert_eq!(running.reads, running.peer.is_read_only());
    running.reads
}

#[test]
fn a_server_without_a_quorum_shows_its_tree_after_two_seconds() {
    let (mut cluster, server, _) = alone(51);
    cluster.run(1900);
    assert!(!reads(&cluster, server) && !cluster.serves(server));
    cluster.run(200);
    assert!(reads(&cluster, server) && !cluster.serves(server));
    let running = cluster.servers[&server].running.as_ref().unwrap();
    let (last_zxid, logged) = (running.tree.last_zxid(), cluster.servers[&server].disk.last_zxid());
    let now_ms = cluster.now_ms;
    let conn = cluster.server(server).connect(now_ms, None, 10_000).unwrap();
    let [Sent::Connect(response)] = &cluster.wait(server, conn)[..] else { panic!("no session") };
    assert_eq!((response.read_only, response.timeout_ms), (Some(true), 10_000));
    // All at once: answers come in the order of the requests.
    let requests = [
        (read(OpCode::GetData, "/a", true), 0),
        (persistent("/b"), NOT_READ_ONLY),
        (ephemeral("/b"), NOT_READ_ONLY),
        (set_data("/a", b"x", -1), NOT_READ_ONLY),
        (delete("/a", -1), NOT_READ_ONLY),
        (multi(&[persistent("/b")]), NOT_READ_ONLY),
        (by_path(OpCode::Sync, "/"), NOT_READ_ONLY),
        (read(OpCode::Exists, "/b", false), ErrorCode::NoNode.number()),
        (bare(OpCode::CloseSession), 0),
    ];
    for (xid, (request, _)) in (1..).zip(&requests) {
        cluster.send(server, conn, xid, request);
    }
    let sent = cluster.wait(server, conn);
    let told: Vec<_> = sent.iter().map(|sent| matches!(sent, Sent::Reply { .. }).then_some(())).collect();
    assert_eq!(told.len(), requests.len(), "{sent:?}");
    for (xid, (sent, (_, expected))) in (1..).zip(sent.iter().zip(&requests)) {
        let Sent::Reply { xid: answered, zxid, error, .. } = sent else { panic!("{sent:?}") };
        assert_eq!((*answered, *error, Zxid(*zxid)), (xid, *expected, last_zxid));
    }
    // ZOOKEEPER-1754, 3526: no znode, and no zxid, came of all that.
    assert!(!cluster.has(server, "/b"));
    cluster.run(1000);
    assert_eq!(cluster.servers[&server].disk.last_zxid(), logged);
}

#[test]
fn sessions_of_a_read_only_server_are_its_own_and_end_with_the_mode() {
    let (mut cluster, server, global) = alone(52);
    cluster.run(2100);
    // A session of the ensemble is not over: its client must look for another server, and is told nothing.
    assert_eq!(cluster.come_back(server, global, 60_000).1, []);
    // Nobody knows this one.
    assert_eq!(cluster.reconnect(server, SessionId(77), 1000), None);
    let (old, session) = cluster.connect(server, 1000);
    let new = cluster.reconnect(server, session, 1000).unwrap();
    assert_eq!(cluster.wait(server, old), []);
    for xid in 1..6 {
        cluster.run(500);
        assert_eq!(cluster.call(server, new, xid, &bare(OpCode::WhoAmI)), Some(0));
    }
    let (silent, over) = cluster.connect(server, 1000);
    cluster.run(3000);
    assert_eq!(cluster.wait(server, silent), []);
    assert_eq!(cluster.reconnect(server, over, 1000), None);

    let (conn, session) = cluster.connect(server, 60_000);
    for id in [1, 2, 3].into_iter().filter(|id| *id != server) {
        cluster.start(id);
    }
    cluster.settle();
    assert!(!reads(&cluster, server));
    assert_eq!(cluster.wait(server, conn), []);
    assert_eq!(cluster.reconnect(server, session, 60_000), None);
    // ZOOKEEPER-3526: nothing had to be cut, and nothing was lost.
    assert!(
        cluster.plans.iter().all(|plan| *plan == rookeeper_protocol::peer::PacketType::Diff),
        "{:?}",
        cluster.plans
    );
    let conn = cluster.reconnect(server, global, 60_000).unwrap();
    assert_eq!(cluster.call(server, conn, 2, &persistent("/b")), Some(0));
    cluster.assert_equal();
}

#[test]
fn nobody_reads_while_there_is_a_quorum_or_where_the_mode_is_off() {
    let mut cluster = Cluster::tuned(53, 0, |rules| {
        rules.read_only_mode = true;
        rules.local_sessions = LocalSessions::Upgradable;
    });
    let leader = cluster.settle();
    cluster.run(5000);
    assert!([1, 2, 3].iter().all(|id| !reads(&cluster, *id)));
    // An election in between is none of a server that is cut off.
    cluster.crash(leader);
    cluster.settle();
    assert!([1, 2, 3].iter().filter(|id| **id != leader).all(|id| !reads(&cluster, *id)));

    let mut cluster = Cluster::new(54, 0);
    let leader = cluster.settle();
    for id in [1, 2, 3].into_iter().filter(|id| *id != leader) {
        cluster.crash(id);
    }
    cluster.run(10_000);
    assert!(!reads(&cluster, leader));
}

#[test]
fn a_read_only_server_can_be_stopped() {
    let (mut cluster, server, _) = alone(55);
    cluster.run(2100);
    let (conn, _) = cluster.connect(server, 10_000);
    cluster.stop(server);
    assert_eq!(cluster.wait(server, conn), []);
    assert!(cluster.servers[&server].running.is_none());
}

#[test]
fn clients_are_admitted_by_what_they_can_do_with_and_what_they_have_seen() {
    let request = |read_only, last_zxid_seen| ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(last_zxid_seen),
        timeout_ms: 1000,
        session_id: SessionId::NONE,
        password: None,
        read_only,
    };
    assert_eq!(refusal(&request(Some(true), 5), true, Zxid(5)), None);
    assert_eq!(refusal(&request(Some(false), 5), false, Zxid(5)), None);
    assert_eq!(refusal(&request(None, 5), false, Zxid(5)), None);
    assert_eq!(refusal(&request(Some(false), 6), true, Zxid(5)), Some(Refusal::ReadOnly));
    assert_eq!(refusal(&request(None, 5), true, Zxid(5)), Some(Refusal::ReadOnly));
    assert_eq!(refusal(&request(Some(true), 6), true, Zxid(5)), Some(Refusal::Behind));
}

/// As in Java: who was started anew does not know what of its log is committed.
#[test]
fn after_a_start_the_whole_log_is_shown_and_what_was_never_agreed_on_goes_again() {
    let mut cluster = Cluster::tuned(56, 0, |rules| rules.read_only_mode = true);
    let server = cluster.settle();
    let (conn, _) = cluster.connect(server, 10_000);
    cluster.isolate(server);
    cluster.send(server, conn, 1, &persistent("/lost"));
    cluster.run(20);
    let proposed = cluster.servers[&server].disk.last_zxid();
    assert_ne!(cluster.settle(), server);
    for id in [1, 2, 3].into_iter().filter(|id| *id != server) {
        cluster.crash(id);
    }
    cluster.run(5000);
    assert!(reads(&cluster, server) && !cluster.has(server, "/lost"));

    cluster.crash(server);
    cluster.start(server);
    cluster.run(2100);
    assert!(reads(&cluster, server) && cluster.has(server, "/lost"));
    assert!(cluster.servers[&server].disk.image.zxid < proposed);

    cluster.heal();
    for id in [1, 2, 3].into_iter().filter(|id| *id != server) {
        cluster.start(id);
    }
    cluster.settle();
    assert!(!cluster.has(server, "/lost"));
    cluster.assert_equal();
}
