//! Observers: of followers, and such that write nothing.

use std::rc::Rc;

use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::peer::{PacketType, PeerState};
use rookeeper_protocol::types::OpCode;

use super::cluster::Cluster;
use super::server::member;
use crate::wire::{Request, Sent, bare, by_path, ephemeral, persistent, read};

/// Three voters and so many observers, which learn from followers.
fn relayed(seed: u64, observers: i64) -> (Cluster, i64) {
    let mut cluster = Cluster::tuned(seed, observers, |rules| rules.observer_masters = true);
    let leader = cluster.settle();
    (cluster, leader)
}

/// Three voters that may be removed, and one observer, which learns from a follower.
fn relayed_and_reconfigured(seed: u64) -> (Cluster, i64) {
    let mut cluster = Cluster::stopped(seed, 1);
    for id in 1..=4 {
        cluster.server(id).tune = |rules| rules.observer_masters = true;
        cluster.server(id).reconfigures = true;
        cluster.server(id).skip_acl = true;
        cluster.start(id);
    }
    let leader = cluster.settle();
    (cluster, leader)
}

/// Members leave.
fn leaving(members: &[i64]) -> Request {
    Request::new(OpCode::Reconfig, |out| {
        out.null();
        out.text(&members.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
        out.null();
        out.long(-1);
    })
}

fn write(cluster: &mut Cluster, server: i64, prefix: &str, count: i32) {
    let (conn, _) = cluster.connect(server, 10_000);
    for number in 0..count {
        assert_eq!(cluster.call(server, conn, number + 1, &persistent(&format!("/{prefix}{number}"))), Some(0));
    }
}

#[test]
fn observers_learn_from_followers_and_write_through_them() {
    let (mut cluster, leader) = relayed(61, 3);
    for observer in [4, 5, 6] {
        let master = cluster.master_of(observer).unwrap();
        assert!(master != leader && master <= 3, "{observer} learns from {master}");
        assert_eq!(cluster.state(observer), PeerState::Observing);
        write(&mut cluster, observer, &format!("of{observer}-"), 5);
    }
    write(&mut cluster, leader, "led", 5);
    cluster.assert_equal();
    // The order of writes and syncs holds over two servers as over one.
    for observer in [4, 5, 6] {
        let (conn, _) = cluster.connect(observer, 10_000);
        for xid in 1..=12 {
            match xid % 3 {
                0 => cluster.send(observer, conn, xid, &by_path(OpCode::Sync, "/")),
                1 => cluster.send(observer, conn, xid, &persistent(&format!("/o{observer}-{xid}"))),
                _ => cluster.send(
                    observer,
                    conn,
                    xid,
                    &read(OpCode::Exists, &format!("/o{observer}-{}", xid - 1), false),
                ),
            }
        }
        let mut xids = Vec::new();
        while xids.len() < 12 {
            let sent = cluster.wait(observer, conn);
            assert!(!sent.is_empty(), "the connection ended behind {xids:?}");
            for sent in sent {
                let Sent::Reply { xid, error: 0, .. } = sent else { panic!("{sent:?}") };
                xids.push(xid);
            }
        }
        assert!(xids.iter().copied().eq(1..=12), "{xids:?}");
    }
}

/// A `sync` asked of an observer shows what was committed before, over a follower that asks for others at the same time.
#[test]
fn a_sync_of_an_observer_shows_what_was_committed_before_it() {
    let (mut cluster, leader) = relayed(62, 2);
    let (writer, _) = cluster.connect(leader, 10_000);
    for round in 0..10 {
        let path = format!("/s{round}");
        assert_eq!(cluster.call(leader, writer, round + 1, &persistent(&path)), Some(0));
        let readers: Vec<_> = [1, 2, 3, 4, 5].map(|server| (server, cluster.connect(server, 10_000).0)).into();
        for (server, conn) in &readers {
            cluster.send(*server, *conn, 1, &by_path(OpCode::Sync, "/"));
            cluster.send(*server, *conn, 2, &read(OpCode::Exists, &path, false));
        }
        for (server, conn) in readers {
            let mut sent = cluster.wait(server, conn);
            while sent.len() < 2 {
                let more = cluster.wait(server, conn);
                assert!(!more.is_empty(), "the connection of {server} ended");
                sent.extend(more);
            }
            assert!(sent.iter().all(|sent| matches!(sent, Sent::Reply { error: 0, .. })), "{server}: {sent:?}");
        }
    }
}

#[test]
fn sessions_of_observers_live_and_move_through_their_masters() {
    let (mut cluster, leader) = relayed(63, 2);
    for observer in [4, 5] {
        let (conn, session) = cluster.connect(observer, 1000);
        assert_eq!(cluster.call(observer, conn, 1, &ephemeral("/e")), Some(0));
        for xid in 2..10 {
            cluster.run(500);
            assert_eq!(cluster.call(observer, conn, xid, &bare(OpCode::WhoAmI)), Some(0));
        }
        assert!(cluster.has(leader, "/e"));
        // Everywhere, and back to where an old connection still stands.
        let mut xid = 10;
        for server in [1, 2, 3, 9 - observer, observer] {
            let conn = cluster.reconnect(server, session, 1000).unwrap();
            xid += 1;
            assert_eq!(cluster.call(server, conn, xid, &persistent(&format!("/m{observer}-{server}"))), Some(0));
        }
        cluster.run(3000);
        assert!(!cluster.has(leader, "/e"));
        assert_eq!(cluster.reconnect(observer, session, 1000), None);
    }
    cluster.assert_equal();
}

#[test]
fn an_observer_whose_master_dies_finds_another_one() {
    let (mut cluster, leader) = relayed(64, 1);
    let master = cluster.master_of(4).unwrap();
    let (_, session) = cluster.connect(4, 10_000);
    write(&mut cluster, 4, "a", 20);
    cluster.crash(master);
    cluster.run_until("end of service", |cluster| !cluster.serves(4));
    cluster.settle();
    let other = 6 - leader - master;
    assert_eq!(cluster.master_of(4), Some(other));
    let conn = cluster.reconnect(4, session, 10_000).unwrap();
    assert_eq!(cluster.call(4, conn, 1, &persistent("/b")), Some(0));
    // The leader as well: everybody learns from somebody else.
    cluster.start(master);
    cluster.settle();
    cluster.crash(leader);
    cluster.settle();
    write(&mut cluster, 4, "c", 5);
    cluster.assert_equal();
}

/// With one follower left, the only master that an observer may try in vain is the leader.
#[test]
fn a_wiped_observer_gets_a_snapshot_from_a_follower_while_writes_go_on() {
    let (mut cluster, leader) = relayed(65, 1);
    for server in cluster.servers.values_mut() {
        server.disk.log_max = 8;
    }
    write(&mut cluster, leader, "a", 20);
    cluster.crash(4);
    let (members, log_max) = (cluster.servers[&4].disk.members.clone(), 8);
    cluster.server(4).disk = super::disk::Disk { members, log_max, ..super::disk::Disk::default() };
    cluster.plans.clear();
    let (conn, _) = cluster.connect(leader, 10_000);
    cluster.start(4);
    let mut number = 0;
    while !cluster.serves(4) {
        number += 1;
        assert_eq!(cluster.call(leader, conn, number, &persistent(&format!("/b{number}"))), Some(0));
    }
    assert_eq!(cluster.plans, [PacketType::Snap]);
    assert_ne!(cluster.master_of(4), Some(leader));
    cluster.assert_equal();
}

/// `Follower#processPacket` with COMMITANDACTIVATE: the observers hear of it, and stay where they are.
#[test]
fn a_reconfiguration_reaches_observers_of_followers() {
    let (mut cluster, leader) = relayed_and_reconfigured(66);
    let master = cluster.master_of(4).unwrap();
    let leaves = 6 - leader - master;
    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &leaving(&[leaves])), Some(0));
    cluster.run(20);
    assert_eq!((cluster.serves(4), cluster.master_of(4)), (true, Some(master)));
    let members = &cluster.servers[&4].disk.members;
    assert!(!members.contains(&member(leaves)) && members.contains(&member(leader)), "{members}");
    cluster.crash(leaves);
    write(&mut cluster, 4, "a", 3);
    cluster.assert_equal();
}

/// Where only the leader votes there is nobody else to learn from; Java's observers wait then.
#[test]
fn an_observer_learns_from_the_leader_where_nobody_else_votes() {
    let (mut cluster, leader) = relayed_and_reconfigured(68);
    let (conn, _) = cluster.connect(leader, 10_000);
    let others: Vec<i64> = (1..=3).filter(|id| *id != leader).collect();
    assert_eq!(cluster.call(leader, conn, 1, &leaving(&others)), Some(0));
    others.iter().for_each(|id| cluster.crash(*id));
    cluster.run_until("learn from the leader", |cluster| cluster.master_of(4) == Some(leader) && cluster.serves(4));
    write(&mut cluster, 4, "a", 3);
    cluster.assert_equal();
}

/// `observer.syncEnabled=false`.
#[test]
fn an_observer_that_writes_nothing_has_everything_all_the_same() {
    let mut cluster = Cluster::tuned(67, 1, |rules| rules.zab.observer_sync = false);
    let leader = cluster.settle();
    write(&mut cluster, 4, "a", 10);
    cluster.run(500);
    assert!(cluster.servers[&4].disk.log.is_empty());
    let running = cluster.servers[&4].running.as_ref().unwrap();
    assert!(!running.peer.image_may_follow(&running.tree));
    // Another leader: what it has in memory it needs not be sent again.
    cluster.crash(leader);
    cluster.settle();
    write(&mut cluster, 4, "b", 3);
    assert!(!cluster.plans.contains(&PacketType::Snap), "{:?}", cluster.plans);
    cluster.start(leader);
    cluster.settle();
    cluster.crash(4);
    cluster.start(4);
    cluster.settle();
    write(&mut cluster, 4, "c", 3);
    cluster.assert_equal();
}

/// The same, when it gets a vote: then its log must be whole.
#[test]
fn an_observer_that_wrote_nothing_gets_a_snapshot_before_it_votes() {
    let mut cluster = Cluster::stopped(68, 1);
    for id in 1..=4 {
        cluster.server(id).tune = |rules| rules.zab.observer_sync = false;
        cluster.server(id).reconfigures = true;
        cluster.server(id).skip_acl = true;
        cluster.start(id);
    }
    let leader = cluster.settle();
    write(&mut cluster, 4, "a", 10);
    let (conn, _) = cluster.connect(leader, 10_000);
    let request = Request::new(OpCode::Reconfig, |out| {
        use rookeeper_protocol::jute::Writer;
        out.text(&member(4).replace("observer", "participant"));
        out.null();
        out.null();
        out.long(-1);
    });
    cluster.plans.clear();
    assert_eq!(cluster.call(leader, conn, 1, &request), Some(0));
    cluster.run_until("vote", |cluster| cluster.state(4) == PeerState::Following && cluster.serves(4));
    assert_eq!(cluster.plans, [PacketType::Snap]);
    write(&mut cluster, 4, "b", 3);
    cluster.assert_equal();
    cluster.crash(4);
    cluster.start(4);
    cluster.settle();
    cluster.assert_equal();
    assert!(cluster.has(4, "/b2"));
}

/// `ZooKeeperServer#loadData` kills them at the leader alone; here all let go of them together.
#[test]
fn znodes_of_sessions_that_are_over_go_everywhere_with_the_next_leader() {
    let mut cluster = Cluster::new(69, 1);
    let leader = cluster.settle();
    let (conn, _) = cluster.connect(leader, 60_000);
    assert_eq!(cluster.call(leader, conn, 1, &ephemeral("/haunted")), Some(0));
    assert_eq!(cluster.call(leader, conn, 2, &persistent("/kept")), Some(0));
    cluster.assert_equal();
    for server in cluster.servers.values_mut() {
        let dump = server.dump().without_sessions();
        server.disk.replace(Rc::new(dump));
    }
    for id in 1..=4 {
        cluster.crash(id);
    }
    for id in 1..=4 {
        cluster.start(id);
    }
    let leader = cluster.settle();
    cluster.run(200);
    assert!(!cluster.has(leader, "/haunted") && cluster.has(leader, "/kept"));
    cluster.assert_equal();
    let last = cluster.servers[&leader].running.as_ref().unwrap().tree.last_zxid();
    assert_eq!((last.epoch(), last.counter()), (2, 1));
}
