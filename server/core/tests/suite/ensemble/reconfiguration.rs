//! Ensembles whose members change while they are at work.

use rookeeper_core::tree::CONFIG;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::OpCode;

use super::cluster::Cluster;
use super::server::member;
use crate::wire::{Request, persistent};

fn reconfig(joining: Option<&str>, leaving: Option<&str>) -> Request {
    Request::new(OpCode::Reconfig, |out| {
        for text in [joining, leaving, None] {
            match text {
                Some(text) => out.text(text),
                None => out.null(),
            }
        }
        out.long(-1);
    })
}

/// Anybody may reconfigure here: Java asks for the permission to write the znode.
fn cluster(seed: u64) -> Cluster {
    let mut cluster = Cluster::stopped(seed, 1);
    for id in 1..=4 {
        cluster.server(id).reconfigures = true;
        cluster.server(id).skip_acl = true;
        cluster.start(id);
    }
    cluster.settle();
    cluster
}

fn shown(cluster: &Cluster, server: i64) -> String {
    let running = cluster.servers[&server].running.as_ref().unwrap();
    String::from_utf8(running.tree.get(CONFIG).unwrap().data.unwrap().to_vec()).unwrap()
}

#[test]
fn the_first_list_of_an_ensemble_gets_a_version_that_all_know() {
    let cluster = cluster(31);
    let list = format!("{}\n{}\n{}\n{}\nversion=100000000", member(1), member(2), member(3), member(4));
    for id in 1..=4 {
        assert_eq!(shown(&cluster, id), list);
        assert_eq!((&cluster.servers[&id].disk.members, &cluster.servers[&id].disk.next_members), (&list, &None));
    }
}

#[test]
fn members_leave_and_come_back() {
    let mut cluster = cluster(32);
    let leader = cluster.leader().unwrap();
    let (leaves, stays) = if leader == 1 {
        (2, 3)
    } else if leader == 2 {
        (1, 3)
    } else {
        (1, 2)
    };
    let (conn, _) = cluster.connect(stays, 10_000);
    assert_eq!(cluster.call(stays, conn, 1, &reconfig(None, Some(&leaves.to_string()))), Some(0));
    assert_eq!(cluster.leader(), Some(leader));
    // Who is out follows without a vote; so that of two voters both are needed.
    cluster.crash(stays);
    cluster.run(3000);
    assert_eq!(cluster.leader(), None);
    cluster.start(stays);
    cluster.run_until("a leader", |cluster| cluster.leader().is_some());
    cluster.settle();
    let leader = cluster.leader().unwrap();
    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &reconfig(Some(&member(leaves)), None)), Some(0));
    assert_eq!(cluster.call(leader, conn, 2, &persistent("/a")), Some(0));
    cluster.run(1000);
    cluster.settle();
    assert!(shown(&cluster, leaves).contains(&member(leaves)));
    cluster.assert_equal();
}

/// ZOOKEEPER-107: the leader that is removed commits its own removal, and hands over without an election.
#[test]
fn a_leader_that_is_removed_hands_over() {
    let mut cluster = cluster(33);
    let leader = cluster.leader().unwrap();
    let others: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
    let (conn, _) = cluster.connect(others[0], 10_000);
    let before_ms = cluster.now_ms;
    cluster.send(others[0], conn, 1, &reconfig(None, Some(&leader.to_string())));
    cluster.run_until("another leader", |cluster| cluster.leader().is_some_and(|now| now != leader));
    assert!(cluster.now_ms - before_ms < 200, "{} ms", cluster.now_ms - before_ms);
    let next = cluster.leader().unwrap();
    assert!(others.contains(&next));
    assert!(!shown(&cluster, next).contains(&member(leader)));
    cluster.settle();
    assert_eq!(cluster.state(leader), PeerState::Following);
    let (conn, _) = cluster.connect(next, 10_000);
    assert_eq!(cluster.call(next, conn, 1, &persistent("/a")), Some(0));
    cluster.assert_equal();
}

/// Java's leader stays until the next look at its followers, and so does its client.
#[test]
fn whoever_removes_its_own_server_is_answered() {
    for (seed, leads) in [(37, true), (38, false)] {
        let mut cluster = cluster(seed);
        let leader = cluster.leader().unwrap();
        let removed = if leads { leader } else { 1 + leader % 3 };
        let (conn, _) = cluster.connect(removed, 10_000);
        assert_eq!(cluster.call(removed, conn, 1, &reconfig(None, Some(&removed.to_string()))), Some(0), "{leads}");
        cluster.settle();
        assert!(!shown(&cluster, cluster.leader().unwrap()).contains(&member(removed)));
        cluster.assert_equal();
    }
}

#[test]
fn an_observer_becomes_a_voter() {
    let mut cluster = cluster(34);
    let leader = cluster.leader().unwrap();
    let (conn, _) = cluster.connect(leader, 10_000);
    let voter = member(4).replace("observer", "participant");
    // It is in sync, but as an observer it has acknowledged nothing; Java refuses no more than this.
    assert_eq!(cluster.call(leader, conn, 1, &reconfig(Some(&voter), None)), Some(0));
    cluster.run_until("a vote", |cluster| cluster.state(4) == PeerState::Following);
    cluster.settle();
    cluster.crash(leader);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_reconfiguration_without_permission_or_sense_is_refused() {
    let mut cluster = cluster(35);
    let leader = cluster.leader().unwrap();
    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &reconfig(Some("nonsense"), None)), Some(-8));
    // Nobody of the new members is there.
    assert_eq!(
        cluster.call(
            leader,
            conn,
            2,
            &reconfig(Some("server.7=h7:1:2;7,server.8=h8:1:2;8,server.9=h9:1:2;9,server.10=h0:1:2;1"), None)
        ),
        Some(-13)
    );
    let list = shown(&cluster, leader);
    assert!(list.ends_with("version=100000000"), "{list}");
    let mut cluster = Cluster::new(36, 0);
    let leader = cluster.settle();
    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &reconfig(None, Some("1"))), Some(-123));
}
