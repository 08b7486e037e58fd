//! Which sets decide, as `QuorumMajorityTest` and `QuorumHierarchicalTest` of Java ask it, and then some.

use super::*;
use crate::ensemble::ConfigRules;

const RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: false };

fn config(voters: &[i64], observers: &[i64], rest: &str) -> EnsembleConfig {
    let voters = voters.iter().map(|id| format!("server.{id}=h{id}:1:2\n"));
    let observers = observers.iter().map(|id| format!("server.{id}=h{id}:1:2:observer\n"));
    let text = voters.chain(observers).collect::<String>() + rest;
    EnsembleConfig::parse(&text, RULES).unwrap()
}

fn satisfied(quorum: &Quorum, ids: &[i64]) -> bool {
    quorum.satisfied_by(|id| ids.contains(&id.0))
}

/// `QuorumMaj.containsQuorum`; observers are no voters, whatever they acknowledge (ZOOKEEPER-1282).
#[test]
fn more_than_half_of_the_voters() {
    let three = config(&[1, 2, 3], &[4, 5], "").quorum();
    for (ids, want) in [(&[][..], false), (&[1], false), (&[1, 3], true), (&[1, 4, 5], false), (&[1, 2, 3], true)] {
        assert_eq!(satisfied(&three, ids), want, "{ids:?}");
    }
    let four = config(&[1, 2, 3, 4], &[], "").quorum();
    assert!(!satisfied(&four, &[1, 2]) && satisfied(&four, &[1, 2, 4]));
    let one = config(&[9], &[], "").quorum();
    assert!(!satisfied(&one, &[]) && satisfied(&one, &[9]));
    let nobody = EnsembleConfig::default().quorum();
    assert!(!satisfied(&nobody, &[1]));
    assert_eq!(three.weight(ServerId(99)), 1);
}

const GROUPS: &str = "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n";

/// `QuorumHierarchical.containsQuorum`.
#[test]
fn more_than_half_of_the_groups() {
    let quorum = config(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], GROUPS).quorum();
    for (ids, want) in [
        (&[1, 2, 4, 5][..], true),
        (&[1, 2, 4], false),
        (&[1, 4, 7], false),
        (&[1, 2, 3, 4, 7], false),
        (&[8, 9, 1, 3], true),
        (&[], false),
    ] {
        assert_eq!(satisfied(&quorum, ids), want, "{ids:?}");
    }
}

/// A vote of weight 0 adds nothing, and a group of such votes is not there at all (`computeGroupWeight`).
#[test]
fn weights() {
    let weights = "weight.1=3\nweight.7=0\nweight.8=0\nweight.9=0\n";
    let quorum = config(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], &format!("{GROUPS}{weights}")).quorum();
    for (ids, want) in [
        (&[1, 4, 5][..], true),
        (&[2, 3, 4, 5], false),
        (&[1, 2, 3, 7, 8, 9], false),
        (&[4, 5, 6, 7, 8, 9], false),
        (&[1, 4, 5, 7, 8, 9], true),
    ] {
        assert_eq!(satisfied(&quorum, ids), want, "{ids:?}");
    }
    let weights = [1, 2, 7, 10].map(|id| quorum.weight(ServerId(id)));
    assert_eq!(weights, [3, 1, 0, 0]);
}

/// The weight of an observer in a group counts in the sum, its acknowledgement does not.
#[test]
fn weight_of_an_observer() {
    let quorum = config(&[1, 2], &[3], "group.1=1:2:3\nweight.3=2\n").quorum();
    assert!(!satisfied(&quorum, &[1, 2, 3]));
    let heavy = format!("group.1=1:2\nweight.1={0}\nweight.2={0}\n", i64::MAX);
    let quorum = config(&[1, 2], &[], &heavy).quorum();
    assert!(!satisfied(&quorum, &[1]) && satisfied(&quorum, &[1, 2]));
}

/// `SyncedLearnerTracker.hasAllQuorums`, `hasSid`.
#[test]
fn two_lists_at_once() {
    let active = config(&[1, 2, 3], &[4], "version=1");
    let next = config(&[3, 4, 5], &[], "version=2");
    let quorums = Quorums::new(&active, &next);
    for (ids, want) in
        [(&[1, 2][..], false), (&[3, 4], false), (&[1, 3, 4], true), (&[1, 2, 4, 5], true), (&[3, 4, 5], false)]
    {
        assert_eq!(quorums.satisfied_by(|id| ids.contains(&id.0)), want, "{ids:?}");
    }
    assert_eq!(quorums.voters(), [1, 2, 3, 4, 5].map(ServerId).into());
    assert_eq!([1, 3, 5].map(|id| quorums.counts_everywhere(ServerId(id))), [false, true, false]);
    let same = Quorums::new(&active, &active);
    assert!(same.satisfied_by(|id| [1, 2].contains(&id.0)) && same.counts_everywhere(ServerId(1)));
    let older = Quorums::new(&next, &active);
    assert!(older.satisfied_by(|id| [4, 5].contains(&id.0)), "an older list has no say");
}

/// The zxid up to which all is committed.
#[test]
fn highest_that_a_quorum_has_reached() {
    let active = config(&[1, 2, 3], &[4], "version=1");
    let next = config(&[3, 4, 5], &[], "version=2");
    let alone = Quorums::new(&active, &active);
    let both = Quorums::new(&active, &next);
    let highest = |quorums: &Quorums, acked: &[(i64, u64)]| {
        quorums.highest(|id| acked.iter().find(|(of, _)| *of == id.0).map(|(_, zxid)| *zxid))
    };
    assert_eq!(highest(&alone, &[]), None);
    assert_eq!(highest(&alone, &[(1, 7), (4, 9)]), None);
    assert_eq!(highest(&alone, &[(1, 7), (2, 5)]), Some(5));
    assert_eq!(highest(&alone, &[(1, 7), (2, 5), (3, 6)]), Some(6));
    assert_eq!(highest(&both, &[(1, 7), (2, 5), (3, 6)]), None);
    assert_eq!(highest(&both, &[(1, 7), (2, 5), (3, 6), (4, 4)]), Some(4));
    assert_eq!(highest(&both, &[(1, 7), (2, 9), (4, 8), (5, 9)]), Some(7));
}
