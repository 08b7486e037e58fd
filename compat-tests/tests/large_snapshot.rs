//! A follower that has lost all gets a large tree while clients write: neither it nor its leader needs much more memory than
//! the tree itself, and nobody waits long for a write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::ensemble::picture::metric;
use rookeeper_compat_tests::ensemble::{Ensemble, Mode, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::process::resident_megabytes;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::Kind;

/// Znodes of the tree, and the data of each.
const PARENTS: usize = 300;
const CHILDREN: usize = 1000;
const BYTES: usize = 100;

/// Clients that make it.
const FILLERS: usize = 3;

/// By how much the leader may grow while it sends the tree: pieces of it, and what is written meanwhile. The tree takes more.
const LEADER_GROWTH_MAX_MEGABYTES: u64 = 48;

/// By how much the learner may be larger at any time than the other follower, who has the same tree.
const LEARNER_EXCESS_MAX_MEGABYTES: u64 = 96;

/// How long a write may take meanwhile: the members share the processors with the tests.
const WRITE_MAX: Duration = Duration::from_secs(3);

/// Writes behind the last one that has to be waited for.
const WRITES: u64 = 20;

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Makes the tree, several clients at a time.
fn fill(ensemble: &Ensemble, leader: u8) {
    let address = ensemble.address(leader);
    let data = "x".repeat(BYTES);
    let part = &|first: usize| {
        let mut client = ok(Client::open(&[address], TIMEOUT_MS));
        for parent in (first..PARENTS).step_by(FILLERS) {
            let children = (0..CHILDREN).map(|child| make(format!("/tree{parent}/znode{child}"), &data));
            let requests: Vec<_> = [make(format!("/tree{parent}"), "")].into_iter().chain(children).collect();
            assert_eq!(ok(client.insist(&multi(&requests))).error, 0);
        }
        ok(client.close());
    };
    std::thread::scope(|scope| (0..FILLERS).for_each(|first| drop(scope.spawn(move || part(first)))));
    let mut client = ok(Client::open(&[address], TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/written", ""))).error, 0);
    ok(client.close());
}

fn resident(ensemble: &Ensemble, id: u8) -> u64 {
    ok(resident_megabytes(ensemble.server(id).process_id().expect("a process")))
}

/// Writes until it is told to stop; returns how often, and how long the slowest one took.
fn writes(mut client: Client, stop: &AtomicBool) -> (u64, Duration) {
    let (mut count, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) || count < WRITES {
        let began = Instant::now();
        assert_eq!(ok(client.insist(&set("/written", Some(&[b'x'; BYTES]), -1))).error, 0);
        slowest = slowest.max(began.elapsed());
        count += 1;
    }
    ok(client.close());
    (count, slowest)
}

/// The largest that leader and learner are until the learner follows.
fn largest(ensemble: &Ensemble, leader: u8, learner: u8) -> (u64, u64) {
    let mut largest = (0, 0);
    let followed = until("the learner follows", || {
        let follows = ensemble.mode(learner) == Some(Mode::Follower);
        largest.0 = largest.0.max(resident(ensemble, leader));
        largest.1 = largest.1.max(resident(ensemble, learner));
        Ok(follows)
    });
    ok(followed.map_err(|late| format!("{late}; {}", ensemble.server(learner).broken("does not follow"))));
    largest
}

#[test]
fn a_large_tree_is_sent_to_an_empty_follower_under_load() {
    let members = [(Kind::Ours, Role::Participant); 3];
    let mut ensemble = ok(Ensemble::prepare_with(&members, &usual(), None));
    ok(ensemble.launch_all());
    let leader = ok(ensemble.settle());
    let followers: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
    let (learner, other) = (followers[0], followers[1]);
    fill(&ensemble, leader);
    ok(ensemble.settle());
    ok(ensemble.terminate(learner));
    ok(ensemble.wipe(learner));

    let stop = AtomicBool::new(false);
    let (before, tree) = (resident(&ensemble, leader), resident(&ensemble, other));
    let client = ok(Client::open(&[ensemble.address(leader)], TIMEOUT_MS));
    ok(ensemble.launch(learner));
    let began = Instant::now();
    let ((in_leader, in_learner), (count, slowest)) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| writes(client, &stop));
        let sizes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| largest(&ensemble, leader, learner)));
        // The writer ends whatever has come of it.
        stop.store(true, Ordering::Relaxed);
        (sizes.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), writer.join().expect("a writer"))
    });
    eprintln!(
        "{count} writes, the slowest took {slowest:?}; in {:?} the leader grew from {before} MB to {in_leader} MB, \
         the learner to {in_learner} MB, with a tree of which the other follower needs {tree} MB",
        began.elapsed()
    );
    let installed = format!("installed a snapshot of {}", PARENTS * CHILDREN / 1000);
    assert!(ensemble.server(learner).log_text().contains(&installed), "no snapshot was sent");
    assert!(in_leader <= before + LEADER_GROWTH_MAX_MEGABYTES, "the leader: {in_leader} MB behind {before} MB");
    assert!(in_learner <= tree + LEARNER_EXCESS_MAX_MEGABYTES, "the learner: {in_learner} MB, the tree: {tree} MB");
    assert!(slowest <= WRITE_MAX, "a write took {slowest:?}");
    ok(ensemble.compare_digests(&ensemble.ids()));
    let counts: Vec<_> = ensemble
        .ids()
        .into_iter()
        .map(|id| metric(&ensemble.server(id).ask("mntr").unwrap_or_default(), "zk_znode_count"))
        .collect();
    assert!(counts.iter().all(|count| *count == counts[0] && count.is_some()), "{counts:?}");
}
