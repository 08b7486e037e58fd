//! Long runs of random faults. What must never happen is asserted on the way; what must happen comes here.

use proptest::prelude::*;

use super::network::{Shape, World};

/// How long everybody may take to agree once all is well, in milliseconds.
const SETTLE_MS_MAX: i64 = 10_000;

/// How long one may take to find a leader that is there, in milliseconds.
const JOIN_MS_MAX: i64 = 500;

fn shape() -> impl Strategy<Value = Shape> {
    let counted = (prop::sample::select(vec![3, 5, 7]), 0..2i64);
    prop_oneof![
        4 => counted.prop_map(|(voters, observers)| Shape { voters, observers, groups: false }),
        1 => Just(Shape { voters: 7, observers: 1, groups: true }),
    ]
}

/// Runs until everybody follows one leader; how long that took.
fn settle(world: &mut World) -> Option<i64> {
    let start_ms = world.now_ms;
    while world.now_ms - start_ms < SETTLE_MS_MAX {
        world.run_until(world.now_ms + 10);
        if world.settled().is_some() {
            return Some(world.now_ms - start_ms);
        }
    }
    None
}

fn told(world: &World) -> String {
    let lines = world.trace.len().saturating_sub(60);
    world.trace[lines..].join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never two leaders of an epoch, none without what was committed, none whose history is not the newest of a
    /// quorum. In the end one that all follow; and who comes late finds it.
    #[test]
    fn one_leader_with_the_newest_history(seed: u64, shape in shape()) {
        let mut world = World::new(seed, shape);
        world.suffer();
        world.heal();
        prop_assert!(settle(&mut world).is_some(), "{}", told(&world));
        let leader = world.settled().unwrap();
        let late = (leader + 1 + world.random.below(shape.voters as u64 - 1) as usize) % shape.voters as usize;
        world.crash(late);
        world.run_until(world.now_ms + 1_000);
        world.start(late);
        world.run_until(world.now_ms + JOIN_MS_MAX);
        prop_assert_eq!(world.settled(), Some(leader), "{}", told(&world));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_has_the_same_trace(seed: u64, shape in shape()) {
        let [one, two] = [seed, seed].map(|seed| {
            let mut world = World::new(seed, shape);
            world.suffer();
            world
        });
        prop_assert_eq!(one.trace, two.trace);
        prop_assert_eq!(one.fingerprint, two.fingerprint);
        prop_assert!(one.fingerprint != 0);
    }
}
