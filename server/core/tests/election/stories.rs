//! How fast it goes where nothing stands in the way: nobody waits for a timer.

use rookeeper_protocol::peer::PeerState;

use super::network::{Shape, World};

const THREE: Shape = Shape { voters: 3, observers: 0, groups: false };
const FIVE: Shape = Shape { voters: 5, observers: 0, groups: false };

/// Longest time between a decision and the next look at leader and followers, in milliseconds.
const TICK_MS: i64 = 40;

fn running(shape: Shape) -> World {
    let mut world = World::new(7, shape);
    (0..world.machines.len()).for_each(|at| world.start(at));
    world.run_until(3_000);
    assert!(world.settled().is_some(), "{}", world.trace.join("\n"));
    world
}

/// How long until those who run follow a leader; at most a second.
fn time_to_decide(world: &mut World) -> i64 {
    let start_ms = world.now_ms;
    while world.now_ms < start_ms + 1_000 {
        world.run_until(world.now_ms + 1);
        let mut live = world.machines.iter().filter_map(|machine| machine.live.as_ref());
        if live.all(|live| live.state() != PeerState::Looking && live.established) {
            return world.now_ms - start_ms;
        }
    }
    panic!("{}", world.trace.join("\n"));
}

/// With all voters there nobody waits (in Java each waits 200 ms for a better vote).
#[test]
fn a_start_takes_a_few_messages() {
    let mut world = World::new(3, THREE);
    (0..3).for_each(|at| world.start(at));
    let took_ms = time_to_decide(&mut world);
    assert!(took_ms < 100 + 2 * TICK_MS, "{took_ms} ms\n{}", world.trace.join("\n"));
    assert_eq!(world.settled(), Some(2), "the largest number of equals");
}

/// The others know that a killed leader is gone, and do not wait for its vote.
#[test]
fn a_killed_leader_is_replaced_at_once() {
    for shape in [THREE, FIVE] {
        let mut world = running(shape);
        let leader = world.settled().unwrap();
        world.crash(leader);
        // Each notices at its next look.
        let took_ms = time_to_decide(&mut world);
        assert!(took_ms < 3 * TICK_MS + 50, "{took_ms} ms\n{}", world.trace.join("\n"));
    }
}

/// One behind a wall is no reason to hurry: it may have a better vote, so a quorum waits as long as Java does.
#[test]
fn a_silent_voter_is_waited_for() {
    let mut world = running(THREE);
    let leader = world.settled().unwrap();
    let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
    world.blocked = others.iter().flat_map(|at| [(*at, leader), (leader, *at)]).collect();
    let looked_ms = |world: &World| world.now_ms;
    let start_ms = looked_ms(&world);
    world.run_until(start_ms + 150);
    let states = |world: &World| -> Vec<_> {
        others.iter().map(|at| world.machines[*at].live.as_ref().unwrap().state()).collect()
    };
    assert_eq!(states(&world), [PeerState::Looking; 2], "{}", world.trace.join("\n"));
    world.run_until(start_ms + 400);
    assert!(!states(&world).contains(&PeerState::Looking), "{}", world.trace.join("\n"));
}

/// A server that was away finds the leader by one exchange of messages.
#[test]
fn a_joiner_finds_the_leader() {
    let mut world = running(FIVE);
    let leader = world.settled().unwrap();
    let late = (leader + 1) % 5;
    world.crash(late);
    world.run_until(world.now_ms + 2_000);
    world.start(late);
    let took_ms = time_to_decide(&mut world);
    assert!(took_ms < 100 + 2 * TICK_MS, "{took_ms} ms\n{}", world.trace.join("\n"));
    assert_eq!(world.settled(), Some(leader));
    assert_eq!(world.epochs.len(), 1);
}

/// After a wall of many minutes, when votes are repeated once a minute, connections are what finds the others.
#[test]
fn a_long_wall_is_not_followed_by_a_long_wait() {
    let mut world = running(THREE);
    world.blocked = (0..3).flat_map(|from| (0..3).map(move |to| (from, to))).filter(|(from, to)| from != to).collect();
    for _ in 0..60 {
        world.run_until(world.now_ms + 10_000);
        world.break_one();
    }
    assert_eq!(world.settled(), None);
    world.blocked.clear();
    let start_ms = world.now_ms;
    while world.settled().is_none() {
        world.run_until(world.now_ms + 10);
        assert!(world.now_ms < start_ms + 10_000, "{}", world.trace.join("\n"));
    }
}
