//! Servers whose data folder is empty, and that were not told that this is all there is (`zookeeper.db.autocreate`).

use rookeeper_protocol::peer::{PacketType, PeerState};
use rookeeper_protocol::types::Zxid;

use super::cluster::Cluster;
use crate::wire::persistent;

/// Three voters; these know nothing of their data.
fn cluster(seed: u64, unknown: &[i64]) -> Cluster {
    let mut cluster = Cluster::stopped(seed, 0);
    unknown.iter().for_each(|id| cluster.server(*id).disk.is_unknown = true);
    cluster
}

#[test]
fn without_a_quorum_that_knows_its_data_nobody_leads() {
    let mut cluster = cluster(71, &[1, 2]);
    (1..=3).for_each(|id| cluster.start(id));
    cluster.run(30_000);
    assert_eq!([1, 2, 3].map(|id| cluster.state(id)), [PeerState::Looking; 3]);
}

#[test]
fn a_leader_makes_data_known_and_the_server_votes_from_then_on() {
    let mut cluster = cluster(72, &[3]);
    (1..=3).for_each(|id| cluster.start(id));
    // All are as empty, and 3 has the greatest number.
    assert_eq!(cluster.settle(), 2);
    assert!(!cluster.servers[&3].disk.is_unknown);
    assert_eq!(cluster.plans.iter().filter(|plan| **plan == PacketType::Snap).count(), 1, "{:?}", cluster.plans);
    let (conn, _) = cluster.connect(3, 10_000);
    assert_eq!(cluster.call(3, conn, 1, &persistent("/a")), Some(0));
    cluster.assert_equal();
    cluster.crash(2);
    assert_eq!(cluster.settle(), 3);
}

/// Two of three folders are lost, with all that was acknowledged: the third one's history is the one that counts.
#[test]
fn a_majority_of_empty_servers_takes_nothing_back() {
    let mut cluster = cluster(73, &[]);
    (1..=3).for_each(|id| cluster.start(id));
    let leader = cluster.settle();
    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &persistent("/a")), Some(0));
    cluster.assert_equal();
    (1..=3).for_each(|id| cluster.crash(id));
    for id in [1, 2] {
        cluster.server(id).wipe();
    }
    (1..=3).for_each(|id| cluster.start(id));
    cluster.run(30_000);
    assert_eq!(cluster.leader(), None);
    // One of the two is told that it may begin with nothing.
    cluster.crash(1);
    cluster.server(1).disk.is_unknown = false;
    cluster.start(1);
    assert_eq!(cluster.settle(), 3);
    assert!([1, 2, 3].into_iter().all(|id| cluster.has(id, "/a")));
    assert!(cluster.servers[&2].disk.last_zxid() > Zxid::ZERO);
}
