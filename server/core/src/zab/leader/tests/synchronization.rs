//! How a learner gets what the leader does not have in memory: pieces of the log, cuts, snapshots.

use super::*;

#[test]
fn what_is_not_in_memory_is_read_from_the_log_piece_by_piece() {
    let mut world = World::new(z(1, 9), &[z(1, 8), z(1, 9)]);
    world.introduce(1, 1, true);
    world.persisted();
    world.ack_epoch(1, Some(1), z(1, 3));
    assert_eq!(world.persisted(), ["read for 1 behind 0x100000003 up to 0x100000009, limit Some(330)"]);
    assert_eq!(world.leader.keep_log_after(), Some(z(1, 3)));
    assert_eq!(
        world.history(1, records(z(1, 3), &[z(1, 4), z(1, 5)])),
        [
            "to 1: DIFF 0x100000009",
            "to 1: PROPOSAL 0x100000004",
            "to 1: COMMIT 0x100000004",
            "to 1: PROPOSAL 0x100000005",
            "to 1: COMMIT 0x100000005",
            "read for 1 behind 0x100000005 up to 0x100000009, limit None",
        ]
    );
    assert_eq!(world.leader.keep_log_after(), Some(z(1, 5)));
    assert_eq!(
        world.history(1, records(z(1, 5), &[z(1, 6), z(1, 7)])),
        [
            "to 1: PROPOSAL 0x100000006",
            "to 1: COMMIT 0x100000006",
            "to 1: PROPOSAL 0x100000007",
            "to 1: COMMIT 0x100000007",
            "to 1: PROPOSAL 0x100000008",
            "to 1: COMMIT 0x100000008",
            "to 1: PROPOSAL 0x100000009",
            "to 1: COMMIT 0x100000009",
            "to 1: NEWLEADER 0x200000000 config",
        ]
    );
    assert_eq!(world.leader.keep_log_after(), None);
}

#[test]
fn a_learner_that_strayed_is_cut_where_the_log_says() {
    let mut world = World::new(z(2, 9), &[z(2, 8), z(2, 9)]);
    world.introduce(1, 1, true);
    world.persisted();
    world.ack_epoch(1, Some(1), z(1, 3));
    world.persisted();
    assert_eq!(
        world.history(1, records(z(1, 2), &[z(1, 7)]))[..2],
        ["to 1: TRUNC 0x100000002", "dismiss 1 server Some(1): HistoryGone"]
    );
}

/// ZOOKEEPER-4925: what has a hole is not passed on.
#[test]
fn a_hole_in_the_log_ends_the_connection() {
    for piece in [records(z(1, 3), &[z(1, 4), z(1, 6)]), records(z(1, 3), &[])] {
        let mut world = World::new(z(1, 9), &[z(1, 8), z(1, 9)]);
        world.introduce(1, 1, true);
        world.persisted();
        world.ack_epoch(1, Some(1), z(1, 3));
        world.persisted();
        assert_eq!(world.history(1, piece), ["to 1: DIFF 0x100000009", "dismiss 1 server Some(1): HistoryGone"]);
    }
}

#[test]
fn a_snapshot_is_followed_by_what_came_meanwhile() {
    let mut world = World::serving();
    world.introduce(2, 2, true);
    world.ack_epoch(2, Some(0), z(0, 5));
    assert_eq!(world.history(2, HistoryPiece::Unavailable), ["open snapshot for 2"]);
    assert_eq!(world.leader.keep_log_after(), Some(Zxid::ZERO));
    // Nothing is sent to a learner that gets a snapshot.
    assert_eq!(world.propose(&[z(2, 1)]), ["append 0x200000001", "to 1: PROPOSAL 0x200000001"]);
    world.flushed(z(2, 1));
    world.packet(1, PacketType::Ack, z(2, 1), None);
    world.leader.on_snapshot_opened(LearnerLink(2), z(2, 1), &mut world.actions);
    assert_eq!(take(&mut world.actions), ["to 2: SNAP 0x200000001", "to 2: the snapshot"]);
    world.propose(&[z(2, 2), z(2, 3)]);
    world.flushed(z(2, 2));
    world.packet(1, PacketType::Ack, z(2, 2), None);
    assert_eq!(world.leader.keep_log_after(), Some(z(2, 1)));
    world.leader.on_snapshot_sent(&world.state, 0, LearnerLink(2), &mut world.actions);
    assert_eq!(
        take(&mut world.actions),
        [
            "to 2: PROPOSAL 0x200000002",
            "to 2: COMMIT 0x200000002",
            "to 2: PROPOSAL 0x200000003",
            "to 2: NEWLEADER 0x200000000 config",
        ]
    );
    assert_eq!(world.propose(&[z(2, 4)])[1..], ["to 1: PROPOSAL 0x200000004", "to 2: PROPOSAL 0x200000004"]);
}

/// Whoever has all that is committed must not be sent away because the leader has proposed more than its window holds: it
/// may be the one that is missing for a quorum.
#[test]
fn a_follower_that_has_all_that_is_committed_is_served_from_a_window_of_proposals() {
    let mut world = World::serving();
    world.leader.on_gone(LearnerLink(1));
    let proposed: Vec<_> = (1..=501).map(|counter| z(2, counter)).collect();
    world.propose(&proposed);
    world.introduce(2, 2, true);
    let told = world.ack_epoch(2, Some(1), z(1, 2));
    assert_eq!(told[..2], ["to 2: DIFF 0x100000002", "to 2: PROPOSAL 0x200000001"]);
    assert_eq!(told[501..], ["to 2: PROPOSAL 0x2000001f5", "to 2: NEWLEADER 0x200000000 config"]);
}
