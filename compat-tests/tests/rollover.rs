//! Epochs that end because no numbers are left for transactions (`testingonly.initialZxid`): another one begins, and clients
//! keep their sessions, locks, watches and all that was acknowledged.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use std::time::Instant;

use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::picture::{difference, metric, take};
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::load::Load;
use rookeeper_compat_tests::server::{Kind, PATIENCE};

/// So many transactions end an epoch.
const NUMBERS: u32 = 400;

/// How many epochs have to end.
const EPOCHS: i64 = 3;

/// Steps of the load between two looks at the epoch.
const STEPS: u64 = 50;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The epoch of the newest transaction that any member serves.
fn epoch(ensemble: &Ensemble) -> i64 {
    let zxid = |id| {
        let said = ensemble.server(id).ask("srvr")?;
        i64::from_str_radix(said.lines().find_map(|line| line.strip_prefix("Zxid: 0x"))?, 16).ok()
    };
    ensemble.ids().into_iter().filter_map(zxid).max().unwrap_or_default() >> 32
}

fn rolls_over(kinds: [Kind; 3]) {
    let members = kinds.map(|kind| (kind, Role::Participant));
    let config = usual().key("testingonly.initialZxid", &(u32::MAX - NUMBERS).to_string());
    let mut ensemble = ok(Ensemble::prepare_with(&members, &config, None));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    let load = ok(Load::start(&ensemble.addresses()));
    let (first, end) = (epoch(&ensemble), Instant::now() + PATIENCE);
    while epoch(&ensemble) < first + EPOCHS {
        assert!(Instant::now() < end, "epoch {} began with {first}", epoch(&ensemble));
        ok(load.progress(STEPS));
    }
    {
        let _rest = load.at_rest();
        ok(ensemble.settle());
        ok(load.check(ensemble.address(1)));
    }
    ok(load.end());
    ok(ensemble.settle());
    // Not by a digest at a round number: to come there might take another epoch.
    let trees: Vec<_> = ensemble.addresses().into_iter().map(|address| ok(take(address))).collect();
    for (id, tree) in (2..).zip(&trees[1..]) {
        assert_eq!(difference(&trees[0], tree), None, "members 1 and {id}");
    }
    for id in ensemble.ids() {
        let said = ensemble.server(id).ask("mntr").unwrap_or_default();
        assert_eq!(metric(&said, "zk_digest_mismatches_count"), Some(0), "member {id}");
    }
}

#[test]
fn an_epoch_without_numbers_is_followed_by_another() {
    rolls_over([subject_kind(); 3]);
}

#[test]
fn an_epoch_of_java_without_numbers_is_followed_by_another() {
    rolls_over([subject_kind(), subject_kind(), Kind::Java]);
}

#[test]
fn an_epoch_of_ours_without_numbers_is_followed_by_another_under_java() {
    rolls_over([Kind::Java, Kind::Java, subject_kind()]);
}
