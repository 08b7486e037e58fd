//! An operator's switch: three members of Apache ZooKeeper become three of ours, one at a time, under constant load, and
//! back again. Each new member has number and ports of the old one and an empty data folder.
//!
//! At every step: no acknowledged write is lost, no session has expired, no watch was missed, all trees are equal.
//! With `COMPAT_SUBJECT=java` the new members are Apache ZooKeeper, too.

use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::Ensemble;
use rookeeper_compat_tests::load::Load;
use rookeeper_compat_tests::server::Kind;

/// Steps of the load between two changes: each worker gets to do several.
const STEPS: u64 = 300;

enum Order {
    LeaderFirst,
    LeaderLast,
}

fn ok<T>(what: &str, result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn check(what: &str, ensemble: &Ensemble, load: &Load) {
    ok(what, load.progress(STEPS));
    let rest = load.at_rest();
    ok(what, ensemble.compare_after_load(&ensemble.ids()));
    for address in ensemble.addresses() {
        ok(what, load.check(address));
    }
    drop(rest);
}

fn switch(order: &Order) {
    let mut ensemble = ok("start", Ensemble::start(&[Kind::Java; 3]));
    let load = ok("load", Load::start(&ensemble.addresses()));
    check("at first", &ensemble, &load);
    for kind in [subject_kind(), Kind::Java] {
        let leader = ok("leader", ensemble.settle());
        let mut ids = ensemble.ids();
        ids.sort_by_key(|id| match order {
            Order::LeaderFirst => *id != leader,
            Order::LeaderLast => *id == leader,
        });
        for id in ids {
            let what = format!("member {id} becomes {kind:?}, the leader was {leader}");
            eprintln!("{what}");
            ok(&what, ensemble.replace(id, kind));
            // The load goes on while the newcomer is synchronized.
            ok(&what, ensemble.settle());
            check(&what, &ensemble, &load);
        }
    }
    ok("the load", load.end());
}

#[test]
fn there_and_back_with_the_leader_first() {
    switch(&Order::LeaderFirst);
}

#[test]
fn there_and_back_with_the_leader_last() {
    switch(&Order::LeaderLast);
}
