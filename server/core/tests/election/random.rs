//! Long runs of random faults. What must never happen is asserted on the way; what must happen comes here.

use bytes::BytesMut;
use proptest::prelude::*;
use rookeeper_core::election::{ElectionOutput, Standing};
use rookeeper_protocol::peer::{Notification, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

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

/// A number that is near to something that matters.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -2..8i64, 1 => prop::sample::select(vec![i64::MIN, i64::MAX, i64::MAX - 1]), 1 => any::<i64>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is heard, from whomever, a server goes on, never follows one that is no voter, and remembers no more
    /// than it has to.
    #[test]
    fn any_message_is_survived(
        my_id in 1..6i64,
        heard in prop::collection::vec((-1..7i64, -1..5i32, number(), number(), number(), number()), 1..80),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let world = World::new(1, Shape { voters: 3, observers: 1, groups: false });
        let (mut election, mut membership) = world.election(ServerId(my_id));
        let mut out = Vec::new();
        for (at, (from, state, leader, zxid, election_epoch, peer_epoch)) in heard.into_iter().enumerate() {
            let now_ms = at as i64 * 90;
            let (leader, zxid, config) = (ServerId(leader), Zxid(zxid), None);
            let mut message = BytesMut::new();
            Notification { state, leader, zxid, election_epoch, peer_epoch, version: 2, config }.write(&mut message);
            prop_assert!(election.on_message(now_ms, ServerId(from), &message, &mut membership, &mut out).is_ok());
            let is_message = Notification::read(&noise).is_ok();
            let taken = election.on_message(now_ms, ServerId(from), &noise, &mut membership, &mut out).is_ok();
            prop_assert_eq!(taken, is_message);
            election.on_timeout(now_ms, &membership, &mut out);
            for output in out.drain(..) {
                match output {
                    ElectionOutput::Decided(decision) => prop_assert!(world.config.is_voter(decision.vote.leader)),
                    ElectionOutput::Send { to, .. } => prop_assert_ne!(to, ServerId(my_id)),
                    ElectionOutput::VoterLooks(id) => prop_assert!(world.config.is_voter(id)),
                    ElectionOutput::Activated(_) => prop_assert!(false, "no list came"),
                }
            }
            if election.state() != PeerState::Looking && at % 4 == 0 {
                election.look(now_ms, Standing { zxid: Zxid(3), epoch: 1 }, &membership, &mut out);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    /// To the end, since three servers may have been up one at a time before that, and then nobody has heard anything.
    #[test]
    fn the_same_seed_has_the_same_trace(seed: u64, shape in shape()) {
        let [one, two] = [seed, seed].map(|seed| {
            let mut world = World::new(seed, shape);
            world.suffer();
            world.heal();
            settle(&mut world);
            world
        });
        prop_assert_eq!(one.trace, two.trace);
        prop_assert_eq!(one.fingerprint, two.fingerprint);
        prop_assert!(one.fingerprint != 0);
    }
}
