//! What a leader bounds: the wait for a quorum, and how many learners it brings along at a time.

use super::*;

/// `Leader#reportLookingSid`.
#[test]
fn a_leader_without_a_quorum_may_give_up_when_a_voter_looks_again() {
    let looks = |world: &mut World, voter: i64, now_ms: i64| {
        world.leader.on_voter_looks(&world.state, now_ms, ServerId(voter), &mut world.actions);
        take(&mut world.actions)
    };
    let mut patient = World::new(z(1, 2), &[z(1, 2)]);
    assert_eq!(looks(&mut patient, 1, 9999), [""; 0]);
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    world.state.rules.epoch_wait_ms_max = Some(300);
    assert_eq!(looks(&mut world, 1, 300), [""; 0]);
    // An observer's troubles tell nothing.
    assert_eq!(looks(&mut world, 4, 301), [""; 0]);
    assert_eq!(looks(&mut world, 1, 301), ["leave: DisloyalVoter"]);
    // A quorum has come: the others may look as long as they like.
    world.introduce(1, 1, true);
    assert_eq!(looks(&mut world, 2, 9999), [""; 0]);
}

/// An observer on link `server` asks for what is behind `last`.
fn observe(world: &mut World, server: i64, last: Zxid) -> Vec<String> {
    world.introduce(server as u64, server, false);
    world.ack_epoch(server as u64, Some(1), last)
}

/// `LearnerSyncThrottler`.
#[test]
fn observers_are_refused_while_too_many_learners_are_sent_what_they_lack() {
    let mut world = World::serving();
    world.state.rules.sync.diff_syncs_max = 2;
    // A follower is never refused, but it counts.
    world.introduce(2, 2, true);
    assert_eq!(world.ack_epoch(2, Some(1), z(1, 1)).len(), 4);
    assert_eq!(observe(&mut world, 4, z(1, 1))[0], "to 4: DIFF 0x100000002");
    let refused = |server: i64| [format!("dismiss {server} server Some({server}): TooManySyncs")];
    assert_eq!(observe(&mut world, 5, z(1, 2)), refused(5));
    // What the log decides counts like everything else.
    assert_eq!(observe(&mut world, 6, z(0, 1)), ["read for 6 behind 0x1 up to 0x100000002, limit Some(330)"]);
    assert_eq!(world.history(6, records(z(0, 1), &[z(1, 1), z(1, 2)])), refused(6));
    // Snapshots have a limit of their own.
    world.state.rules.sync.snap_syncs_max = 1;
    observe(&mut world, 7, z(0, 1));
    assert_eq!(world.history(7, HistoryPiece::Unavailable), ["open snapshot for 7"]);
    observe(&mut world, 8, z(0, 1));
    assert_eq!(world.history(8, HistoryPiece::Unavailable), refused(8));
    // Whoever has acknowledged NEWLEADER is brought along, and so is whoever has gone.
    world.packet(4, PacketType::Ack, z(2, 0), None);
    assert_eq!(observe(&mut world, 5, z(1, 2))[0], "to 5: DIFF 0x100000002");
    world.leader.on_gone(LearnerLink(7));
    observe(&mut world, 8, z(0, 1));
    assert_eq!(world.history(8, HistoryPiece::Unavailable), ["open snapshot for 8"]);
}
