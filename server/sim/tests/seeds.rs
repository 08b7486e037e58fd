//! A fixed set of seeds. Fresh ones are run by `compat-tests/run.sh sim`.
#![allow(clippy::unwrap_used)]

use rookeeper_sim::{Options, run};

fn options(seconds: i64) -> Options {
    Options { seconds, ..Options::default() }
}

#[test]
fn no_rule_is_broken() {
    let mut events = 0;
    for seed in 0..12 {
        let outcome = run(seed, &options(20));
        assert_eq!(outcome.failed, None, "rookeeper-sim replay {seed} --seconds 20");
        assert!(outcome.committed > 0 && outcome.answered > 0);
        events += outcome.counts.values().sum::<u64>();
    }
    assert!(events > 0, "nothing went wrong, so nothing was tested");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 3..6 {
        let (once, twice) = (run(seed, &options(15)), run(seed, &options(15)));
        assert_eq!((once.hash, once.events, once.plan), (twice.hash, twice.events, twice.plan));
        assert_ne!(once.hash, run(seed + 1, &options(15)).hash);
    }
}

/// A plan is drawn before anything happens: what is left out changes nothing of the rest.
#[test]
fn faults_can_be_left_out() {
    let all = run(8, &options(20));
    assert!(all.plan.len() > 2);
    let left_out = (1..all.plan.len()).collect();
    let one = run(8, &Options { left_out, ..options(20) });
    assert_eq!(one.plan, all.plan);
    assert_eq!(one.failed, None);
    assert_ne!(one.hash, all.hash);
}
