//! Learners that lack more than their leader has in memory: the log on its disk is sent, where that is shorter than the tree
//! by `snapshotSizeFactor`, whichever of the two is of which kind.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::picture::metric;
use rookeeper_compat_tests::ensemble::synchronized::Way;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::request::{make, set};
use rookeeper_compat_tests::server::Kind;

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// What a leader keeps in memory: the least that `commitLogCount` can say.
const IN_MEMORY: usize = 500;

/// Writes on either side of a change of epochs, each fewer than memory holds, and more together.
const WRITES: usize = 350;

/// Writes that all get.
const FEW: usize = 10;

/// The members: a follower that stays, the leader, and those that are away for a while.
const STAYS: u8 = 2;
const LEADER: u8 = 3;
const FOLLOWER: u8 = 1;
const OBSERVER: u8 = 4;

/// Znodes that make a snapshot ten times as long as the log behind them.
const LARGE_ZNODES: usize = 4;
const LARGE_BYTES: usize = 900_000;

/// The log is that much shorter than the snapshot.
const LOG: &str = "0.9";

/// And not that much.
const SNAPSHOT: &str = "0.0001";

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn write(ensemble: &Ensemble, times: usize) {
    let mut client = ok(Client::open(&[ensemble.address(LEADER)], TIMEOUT_MS));
    for number in 0..times {
        let data = vec![b'a' + (number % 26) as u8; 100];
        assert_eq!(ok(client.insist(&set("/a", Some(&data), -1))).error, 0);
    }
    ok(client.close());
}

/// Starts all, so that the same one leads every time.
fn launch(ensemble: &mut Ensemble) {
    for (starts, running) in [([STAYS, LEADER], &[STAYS, LEADER][..]), ([FOLLOWER, OBSERVER], &[1, 2, 3, 4])] {
        for id in starts {
            ok(ensemble.launch(id));
        }
        assert_eq!(ok(ensemble.settle_among(running)), LEADER);
    }
}

/// How many learners a leader has sent the log, and how many its tree.
fn counted(ensemble: &Ensemble) -> (i64, i64) {
    let reply = ensemble.server(LEADER).ask("mntr").unwrap_or_default();
    let count = |name| metric(&reply, name).unwrap_or_default();
    (count("zk_diff_count"), count("zk_snap_count"))
}

fn play(leader: Kind, learners: Kind, factor: &str, way: Way) {
    const { assert!(WRITES < IN_MEMORY && 2 * WRITES > IN_MEMORY) };
    let members = [
        (learners, Role::Participant),
        (leader, Role::Participant),
        (leader, Role::Participant),
        (learners, Role::Observer),
    ];
    let config = usual().key("snapshotSizeFactor", factor).key("commitLogCount", &IN_MEMORY.to_string());
    // Of Java's files all that they were given counts, written or not. Ours keeps the file that it writes to, whatever the
    // image has: all of it has to fit in.
    let config = config.key("preAllocSize", if leader == Kind::Ours { "16384" } else { "64" });
    let mut ensemble = ok(Ensemble::prepare_with(&members, &config, None));
    launch(&mut ensemble);
    let mut client = ok(Client::open(&[ensemble.address(LEADER)], TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/a", ""))).error, 0);
    for number in 0..LARGE_ZNODES {
        let large = make(format!("/large{number}"), &"x".repeat(LARGE_BYTES));
        assert_eq!(ok(client.insist(&large)).error, 0);
    }
    ok(client.close());
    // Behind a start they are in a snapshot, and not in the log that follows.
    for id in ensemble.ids() {
        ok(ensemble.terminate(id));
    }
    launch(&mut ensemble);
    write(&ensemble, FEW);
    ok(ensemble.compare(&ensemble.ids()));
    for id in [FOLLOWER, OBSERVER] {
        ok(ensemble.terminate(id));
    }
    write(&ensemble, WRITES);
    ok(ensemble.terminate(LEADER));
    ok(ensemble.launch(LEADER));
    assert_eq!(ok(ensemble.settle_among(&[STAYS, LEADER])), LEADER);
    write(&ensemble, WRITES);

    for id in [FOLLOWER, OBSERVER] {
        let (before, mark) = (counted(&ensemble), ensemble.mark(LEADER, id));
        ok(ensemble.launch(id));
        assert_eq!(ok(ensemble.settle_among(&[LEADER, id])), LEADER);
        let after = counted(&ensemble);
        let grown = if way == Way::Snap { (0, 1) } else { (1, 0) };
        assert_eq!((after.0 - before.0, after.1 - before.1), grown, "{way:?} of member {id} as its leader counts");
        if let Some(taken) = ok(ensemble.way_since(mark)) {
            assert_eq!(taken, way, "how member {id} came to have what its leader has");
        }
    }
    if leader != Kind::Ours && way == Way::Diff {
        assert!(ensemble.server(LEADER).log_text().contains("Use txnlog and committedLog"), "the log was not read");
    }
    assert_eq!(ok(ensemble.settle()), LEADER);
    ok(ensemble.compare(&ensemble.ids()));
}

#[test]
fn javas_learners_get_our_leaders_log() {
    play(subject_kind(), Kind::Java, LOG, Way::Diff);
}

#[test]
fn our_learners_get_the_log_of_javas_leader() {
    play(Kind::Java, subject_kind(), LOG, Way::Diff);
}

#[test]
fn our_learners_get_our_leaders_log() {
    play(subject_kind(), subject_kind(), LOG, Way::Diff);
}

#[test]
fn a_log_that_is_too_long_is_not_sent() {
    play(subject_kind(), subject_kind(), SNAPSHOT, Way::Snap);
}
