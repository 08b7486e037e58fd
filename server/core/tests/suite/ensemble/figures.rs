//! What members count and measure, and say of themselves.

use rookeeper_core::peer::{Measure, Peer, Sample};
use rookeeper_core::pipeline::Now;
use rookeeper_protocol::types::ServerId;

use super::cluster::Cluster;
use crate::wire::persistent;

fn peer(cluster: &mut Cluster, id: i64) -> &mut Peer {
    &mut cluster.server(id).running.as_mut().unwrap().peer
}

/// How often each of these was measured since the last time.
fn measured<const N: usize>(cluster: &mut Cluster, id: i64, measures: [Measure; N]) -> [u64; N] {
    let mut samples = Vec::new();
    peer(cluster, id).take_samples(&mut samples);
    let count =
        |measure| samples.iter().filter(|sample| sample.measure == measure).map(|Sample { count, .. }| count).sum();
    measures.map(count)
}

fn state(cluster: &mut Cluster, id: i64) -> String {
    peer(cluster, id).detailed_state().to_string()
}

#[test]
fn members_count_what_they_do_and_measure_each_transaction() {
    let mut cluster = Cluster::tuned(91, 1, |rules| rules.observer_masters = true);
    let leader = cluster.settle();
    let master = cluster.master_of(4).unwrap();
    let other = (1..=3).find(|id| *id != leader && *id != master).unwrap();
    let (conn, session) = cluster.connect(leader, 10_000);
    for number in 0..5 {
        assert_eq!(cluster.call(leader, conn, number + 1, &persistent(&format!("/{number}"))), Some(0));
    }
    cluster.assert_equal();
    cluster.hang_up(leader, conn);
    cluster.reconnect(other, session, 10_000).unwrap();

    let counts = peer(&mut cluster, leader).counts();
    assert_eq!((counts.looks, counts.prepared, counts.proposals, counts.commits), (1, 6, 6, 6));
    assert_eq!((counts.proposals_received, counts.commits_received, counts.revalidations), (0, 0, 1));
    assert_eq!(counts.syncs.diffs + counts.syncs.snapshots, 2);
    for follower in [master, other] {
        let counts = peer(&mut cluster, follower).counts();
        assert_eq!((counts.proposals, counts.proposals_received, counts.commits_received), (0, 6, 6));
    }
    let counts = peer(&mut cluster, master).counts();
    assert_eq!(counts.syncs.diffs + counts.syncs.snapshots, 1);
    let counts = peer(&mut cluster, 4).counts();
    assert_eq!((counts.proposals_received, counts.commits_received), (0, 6));

    use Measure::*;
    assert_eq!(measured(&mut cluster, leader, [Election, Unavailable, LeaderUnavailable]), [1; 3]);
    let learner =
        [Unavailable, LeaderUnavailable, FollowerSync, ObserverSync, Proposal, CommitPropagation, Propagation];
    for follower in [master, other] {
        assert_eq!(measured(&mut cluster, follower, learner), [1, 0, 1, 0, 6, 6, 6]);
    }
    assert_eq!(measured(&mut cluster, 4, learner), [1, 0, 0, 1, 0, 6, 6]);

    let (conn, _) = cluster.connect(leader, 10_000);
    assert_eq!(cluster.call(leader, conn, 1, &persistent("/last")), Some(0));
    assert_eq!(measured(&mut cluster, leader, [QuorumAck, Propagation, CommitPropagation]), [2, 2, 0]);
}

#[test]
fn members_say_what_they_are_and_whom_they_serve() {
    let mut cluster = Cluster::tuned(92, 1, |rules| rules.observer_masters = true);
    let leader = cluster.settle();
    let master = cluster.master_of(4).unwrap();
    let other = (1..=3).find(|id| *id != leader && *id != master).unwrap();
    assert_eq!(state(&mut cluster, leader), "leading - broadcast");
    assert_eq!(state(&mut cluster, master), "following - broadcast");
    assert_eq!(state(&mut cluster, 4), "observing - broadcast");
    let observers = [leader, master, other, 4].map(|id| peer(&mut cluster, id).synced_observers());
    assert_eq!(observers, [Some(0), Some(1), Some(0), None]);
    let masters = [leader, master, 4].map(|id| peer(&mut cluster, id).observer_master());
    assert_eq!(masters, [None, None, Some(ServerId(master))]);
    assert_eq!([leader, other, 4].map(|id| peer(&mut cluster, id).quorum_size()), [3; 3]);

    let now = Now { monotonic_ms: i64::MAX / 2, wall_ms: 0 };
    let figures = peer(&mut cluster, leader).leader_figures(now).unwrap();
    let learners = figures.learners;
    assert_eq!((learners.all, learners.followers, learners.non_voting, learners.observers), (2, 2, 0, 0));
    assert!(figures.proposal_sizes.is_none() && figures.pending_syncs == 0 && figures.uptime_ms > 0);
    assert!(peer(&mut cluster, other).leader_figures(now).is_none());
    let (conn, _) = cluster.connect(other, 10_000);
    assert_eq!(cluster.call(other, conn, 1, &persistent("/long-path-of-a-znode")), Some(0));
    let sizes = peer(&mut cluster, leader).leader_figures(now).unwrap().proposal_sizes.unwrap();
    assert!(sizes.last == sizes.max && sizes.min < sizes.max, "{sizes:?}");

    // Without the others there is nobody to lead.
    let (first, second) = (master.min(other), master.max(other));
    cluster.crash(first);
    cluster.crash(second);
    cluster.run(20_000);
    assert_eq!(state(&mut cluster, leader), "looking");
    assert!(peer(&mut cluster, leader).counts().looks > 1);
    assert!(peer(&mut cluster, leader).leader_figures(now).is_none());
}
