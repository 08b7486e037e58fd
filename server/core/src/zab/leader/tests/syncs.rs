//! `sync`: what it waits for, and who may ask how often.

use super::*;

#[test]
fn a_sync_waits_for_what_is_proposed_and_for_a_quorum_that_still_follows() {
    let mut world = World::serving();
    assert_eq!(world.sync(Syncer::Learner(LearnerLink(1))), ["to 1: PING 0x200000000"]);
    // The next one waits for another round, since it came later.
    assert_eq!(world.sync(Syncer::Here), [""; 0]);
    assert_eq!(world.packet(1, PacketType::Ping, z(2, 0), None), ["to 1: PING 0x200000000", "to 1: SYNC 0x0"]);
    assert_eq!(world.packet(1, PacketType::Ping, z(2, 0), None), ["synced"]);

    world.propose(&[z(2, 1)]);
    world.sync(Syncer::Learner(LearnerLink(1)));
    assert_eq!(world.packet(1, PacketType::Ping, z(2, 1), None), [""; 0]);
    world.packet(1, PacketType::Ack, z(2, 1), None);
    // Behind the commit, so that the learner has applied it by then.
    let commit = ["to 1: COMMIT 0x200000001", "commit 0x200000001", "to 1: SYNC 0x0"];
    assert_eq!(world.flushed(z(2, 1)), commit);
}

/// Java's followers take their requests' answers in order: SYNC must not come behind a COMMIT of something later.
#[test]
fn a_sync_is_answered_in_front_of_what_was_proposed_later() {
    let mut world = World::serving();
    world.propose(&[z(2, 1)]);
    world.sync(Syncer::Learner(LearnerLink(1)));
    world.sync(Syncer::Here);
    world.propose(&[z(2, 2)]);
    world.flushed(z(2, 2));
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 1), None), ["to 1: COMMIT 0x200000001", "commit 0x200000001"]);
    // No ping was answered, but who acknowledges what came behind the sync follows still.
    assert_eq!(
        world.packet(1, PacketType::Ack, z(2, 2), None),
        ["to 1: SYNC 0x0", "synced", "to 1: COMMIT 0x200000002", "commit 0x200000002",]
    );
}

#[test]
fn a_leader_that_nobody_follows_any_more_answers_no_sync() {
    let mut world = World::serving();
    world.leader.on_gone(LearnerLink(1));
    assert_eq!(world.sync(Syncer::Here), [""; 0]);
    assert_eq!(world.time(500), [""; 0]);
}

/// What an observer answers says nothing of whom it would vote for.
#[test]
fn a_voter_that_came_as_an_observer_makes_no_sync_true() {
    let mut world = World::serving();
    world.introduce(2, 2, false);
    world.ack_epoch(2, Some(1), z(1, 2));
    world.packet(2, PacketType::Ack, z(2, 0), None);
    world.leader.on_gone(LearnerLink(1));
    assert_eq!(world.sync(Syncer::Here), ["to 2: PING 0x200000000"]);
    assert_eq!(world.packet(2, PacketType::Ping, z(2, 0), None), [""; 0]);
}

#[test]
fn a_learner_that_goes_takes_its_syncs_along() {
    let mut world = World::serving();
    world.sync(Syncer::Learner(LearnerLink(1)));
    world.leader.on_gone(LearnerLink(1));
    assert!(world.leader.syncs.is_empty());
}

#[test]
fn syncs_are_bounded() {
    let mut world = World::serving();
    for _ in 0..broadcast::SYNCS_MAX {
        world.leader.sync(&world.state, Syncer::Learner(LearnerLink(1)), &mut world.actions);
    }
    take(&mut world.actions);
    let refused = ["dismiss 1 server Some(1): TooManyRequests"];
    assert_eq!(world.sync(Syncer::Learner(LearnerLink(1))), refused);
    // With it goes what it asked for.
    assert!(world.leader.syncs.is_empty());
}
