//! What happens to an ensemble, told one by one.

use rookeeper_protocol::peer::{PacketType, PeerState};

use super::cluster::Cluster;
use crate::wire::{delete, persistent, set_data};

/// Writes so many znodes through one server.
fn write(cluster: &mut Cluster, server: i64, prefix: &str, count: i32) {
    let (conn, _) = cluster.connect(server, 10_000);
    for number in 0..count {
        assert_eq!(cluster.call(server, conn, number + 1, &persistent(&format!("/{prefix}{number}"))), Some(0));
    }
}

#[test]
fn three_servers_elect_a_leader_and_agree_on_what_any_of_them_is_asked() {
    let mut cluster = Cluster::new(1, 0);
    // All are equal but for their numbers.
    assert_eq!(cluster.settle(), 3);
    assert_eq!([1, 2, 3].map(|id| cluster.state(id)), [PeerState::Following, PeerState::Following, PeerState::Leading]);
    for server in [1, 2, 3] {
        write(&mut cluster, server, &format!("of{server}-"), 20);
    }
    cluster.assert_equal();
    let applied = cluster.servers[&1].running.as_ref().unwrap().tree.last_zxid();
    assert_eq!((applied.epoch(), applied.counter()), (1, 63));
}

#[test]
fn an_observer_sees_everything_and_writes_through_the_leader() {
    let mut cluster = Cluster::new(2, 1);
    cluster.settle();
    assert_eq!(cluster.state(4), PeerState::Observing);
    write(&mut cluster, 1, "a", 5);
    write(&mut cluster, 4, "b", 5);
    cluster.assert_equal();
    // Its disk is behind nobody's.
    cluster.run(1000);
    assert_eq!(cluster.servers[&4].disk.last_zxid(), cluster.servers[&3].disk.last_zxid());
}

#[test]
fn what_was_acknowledged_survives_the_leader() {
    let mut cluster = Cluster::new(3, 0);
    let leader = cluster.settle();
    write(&mut cluster, leader, "a", 10);
    cluster.crash(leader);
    let died_ms = cluster.now_ms;
    let next = cluster.settle();
    assert_ne!(next, leader);
    // Nobody waits for a timer: the dead one's connections end, and nobody answers at its election port.
    assert!(cluster.now_ms - died_ms < 100, "{} ms", cluster.now_ms - died_ms);
    assert!((0..10).all(|number| cluster.has(next, &format!("/a{number}"))));
    write(&mut cluster, next, "b", 10);
    cluster.plans.clear();
    cluster.start(leader);
    cluster.settle();
    // The window has no more than five records; the rest comes from the log.
    assert_eq!(cluster.plans, [PacketType::Diff]);
    cluster.assert_equal();
}

/// A leader that was cut off and then proposed one more transaction, to nobody.
fn stranded(seed: u64) -> (Cluster, i64) {
    let mut cluster = Cluster::new(seed, 0);
    let leader = cluster.settle();
    write(&mut cluster, leader, "a", 3);
    let (conn, _) = cluster.connect(leader, 10_000);
    cluster.isolate(leader);
    cluster.send(leader, conn, 1, &persistent("/lost"));
    cluster.run(20);
    (cluster, leader)
}

/// It is reached again, and brought to what the others have agreed on in this way.
fn comes_back(cluster: &mut Cluster, leader: i64, plan: PacketType) {
    cluster.plans.clear();
    cluster.heal();
    cluster.settle();
    assert_eq!(cluster.plans, [plan]);
    assert!(!cluster.has(leader, "/lost"));
    cluster.assert_equal();
}

#[test]
fn what_a_leader_proposed_to_nobody_goes() {
    let (mut cluster, leader) = stranded(4);
    let proposed = cluster.servers[&leader].disk.last_zxid();
    assert_ne!(cluster.settle(), leader);
    // A tick later it has noticed that nobody follows any more.
    cluster.run(200);
    assert_eq!(cluster.state(leader), PeerState::Looking);
    comes_back(&mut cluster, leader, PacketType::Trunc);
    assert!(cluster.servers[&leader].disk.log.iter().all(|record| record.zxid != proposed));
}

/// ZOOKEEPER-2845: the same, and the server was restarted meanwhile, so that its tree has what goes.
#[test]
fn what_was_never_agreed_on_goes_from_the_tree_too() {
    let (mut cluster, leader) = stranded(5);
    cluster.crash(leader);
    cluster.settle();
    cluster.start(leader);
    assert!(cluster.has(leader, "/lost"));
    comes_back(&mut cluster, leader, PacketType::Trunc);
}

/// A cut never crosses the border of an epoch: once the next leader has proposed something, only a snapshot helps.
#[test]
fn what_was_never_agreed_on_is_replaced_if_it_cannot_be_cut() {
    let (mut cluster, leader) = stranded(5);
    let next = cluster.settle();
    write(&mut cluster, next, "b", 3);
    cluster.run(200);
    comes_back(&mut cluster, leader, PacketType::Snap);
}

/// An ensemble whose logs hold no more than eight records of twenty, and a follower that has lost its disk and is started
/// again: who leads, and who that is.
fn wiped(newer_pictures: usize) -> (Cluster, i64, i64) {
    let mut cluster = Cluster::new(6, 0);
    cluster.newer_pictures = newer_pictures;
    let leader = cluster.settle();
    for server in cluster.servers.values_mut() {
        server.disk.log_max = 8;
    }
    write(&mut cluster, leader, "a", 20);
    let wiped = if leader == 1 { 2 } else { 1 };
    cluster.crash(wiped);
    let members = cluster.server(wiped).disk.members.clone();
    cluster.server(wiped).disk = super::disk::Disk { log_max: 8, members, ..Default::default() };
    cluster.plans.clear();
    cluster.start(wiped);
    (cluster, leader, wiped)
}

#[test]
fn a_server_that_was_wiped_gets_a_snapshot_while_writes_go_on() {
    let (mut cluster, leader, wiped) = wiped(0);
    let (conn, _) = cluster.connect(leader, 10_000);
    let mut number = 0;
    while !cluster.serves(wiped) {
        number += 1;
        assert_eq!(cluster.call(leader, conn, number, &persistent(&format!("/while{number}"))), Some(0));
    }
    assert!(number > 1, "nothing was written meanwhile");
    assert_eq!(cluster.plans, [PacketType::Snap]);
    assert!(cluster.servers[&wiped].disk.image.zxid.counter() > 20);
    cluster.assert_equal();
    // It is as good as any other now.
    cluster.crash(leader);
    cluster.settle();
    cluster.assert_equal();
}

/// Apache ZooKeeper goes on while it takes its snapshots: they have more than they say, and it follows once more.
#[test]
fn a_snapshot_that_is_newer_than_it_says_raises_no_alarm() {
    let (mut cluster, _, wiped) = wiped(4);
    // A digest that differs ends this test.
    cluster.settle();
    assert_eq!(cluster.plans, [PacketType::Snap]);
    write(&mut cluster, wiped, "b", 3);
    cluster.assert_equal();
}

/// A whole ensemble is switched off and on again: everything logged is history, whether it was committed or not.
#[test]
fn everything_survives_when_all_servers_die() {
    let mut cluster = Cluster::new(7, 0);
    let leader = cluster.settle();
    write(&mut cluster, leader, "a", 10);
    for id in [1, 2, 3] {
        cluster.crash(id);
    }
    for id in [1, 2, 3] {
        cluster.start(id);
    }
    let leader = cluster.settle();
    assert!((0..10).all(|number| cluster.has(leader, &format!("/a{number}"))));
    cluster.assert_equal();
    assert!(cluster.servers.values().all(|server| server.disk.epochs.current.0 == 2));
}

/// A leader that is told to stop answers what it has taken, and is replaced before anybody waits for a timer.
#[test]
fn a_leader_that_is_stopped_leaves_nothing_unanswered() {
    let mut cluster = Cluster::new(10, 0);
    let leader = cluster.settle();
    let (conn, _) = cluster.connect(leader, 10_000);
    for xid in 1..=20 {
        cluster.send(leader, conn, xid, &persistent(&format!("/a{xid}")));
    }
    let told_ms = cluster.now_ms;
    cluster.stop(leader);
    let next = cluster.settle();
    assert_ne!(next, leader);
    assert!(cluster.now_ms - told_ms < 100, "{} ms", cluster.now_ms - told_ms);
    assert!((1..=20).all(|xid| cluster.has(next, &format!("/a{xid}"))));
}

/// Others write on, so that something is always under way.
#[test]
fn a_server_stops_though_others_never_do() {
    for seed in 0..6 {
        let mut cluster = Cluster::new(100 + seed, 0);
        let leader = cluster.settle();
        let follower = if leader == 1 { 2 } else { 1 };
        let (stops, other) = if seed % 2 == 0 { (leader, follower) } else { (follower, leader) };
        let (conn, _) = cluster.connect(other, 10_000);
        let mut xid = 0;
        let mut write = |cluster: &mut Cluster| {
            xid += 1;
            cluster.send(other, conn, xid, &persistent(&format!("/a{xid}")));
            cluster.run(1);
        };
        (0..50).for_each(|_| write(&mut cluster));
        cluster.tell_to_stop(stops);
        for _ in 0..50 {
            write(&mut cluster);
        }
        assert!(cluster.servers[&stops].stopped, "seed {seed}: server {stops} of leader {leader}");
    }
}

/// ZOOKEEPER-1277: the numbers of an epoch run out.
#[test]
fn a_new_epoch_begins_when_the_old_one_is_full_and_sessions_live_on() {
    let mut cluster = Cluster::stopped(18, 0);
    for id in [1, 2, 3] {
        cluster.server(id).tune = |rules| rules.zab.first_counter = u32::MAX - 6;
        cluster.start(id);
    }
    let first = cluster.settle();
    let (_, session) = cluster.connect(first, 10_000);
    let mut written = 0;
    while written < 10 {
        let leader = cluster.settle();
        let Some(conn) = cluster.reconnect(leader, session, 10_000) else { panic!("the session is gone") };
        while cluster.call(leader, conn, 1, &persistent(&format!("/a{written}"))) == Some(0) {
            written += 1;
        }
        cluster.run(1);
    }
    cluster.settle();
    cluster.assert_equal();
    let last = cluster.servers[&first].running.as_ref().unwrap().tree.last_zxid();
    assert!(last.epoch() > 1, "{last}");
    let records = &cluster.servers[&first].disk.log;
    assert!(records.iter().all(|record| record.zxid.counter() > u32::MAX - 7 && record.zxid.counter() < u32::MAX));
}

#[test]
fn without_a_majority_nobody_is_served() {
    let mut cluster = Cluster::new(8, 0);
    let leader = cluster.settle();
    let others: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let (conn, _) = cluster.connect(leader, 10_000);
    others.iter().for_each(|id| cluster.crash(*id));
    cluster.run(2000);
    assert!(!cluster.serves(leader));
    assert_eq!(cluster.call(leader, conn, 1, &persistent("/a")), None);
    cluster.start(others[0]);
    cluster.settle();
    write(&mut cluster, others[0], "b", 1);
    assert!(!cluster.has(leader, "/a"));
}

#[test]
fn errors_are_agreed_on_like_everything_else() {
    let mut cluster = Cluster::new(9, 0);
    let leader = cluster.settle();
    let follower = if leader == 1 { 2 } else { 1 };
    let (conn, _) = cluster.connect(follower, 10_000);
    assert_eq!(cluster.call(follower, conn, 1, &delete("/none", -1)), Some(-101));
    assert_eq!(cluster.call(follower, conn, 2, &persistent("/a")), Some(0));
    assert_eq!(cluster.call(follower, conn, 3, &persistent("/a")), Some(-110));
    assert_eq!(cluster.call(follower, conn, 4, &set_data("/a", b"x", 7)), Some(-103));
    // What nobody can read is answered where it came in: a leader of Java's would say nothing for ever.
    let unreadable = crate::wire::Request { op: 5, body: bytes::BytesMut::from(&b"\0\0"[..]) };
    assert_eq!(cluster.call(follower, conn, 5, &unreadable), Some(-5));
    assert_eq!(cluster.call(follower, conn, 6, &set_data("/a", b"y", 0)), Some(0));
    cluster.assert_equal();
}
