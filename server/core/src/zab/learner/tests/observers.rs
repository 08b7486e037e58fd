//! Observers that write nothing, observers of followers, and followers that serve them.

use super::*;
use crate::zab::LearnerLink;

/// The epochs are on disk; nothing was logged before them.
fn epochs_persisted(world: &mut World) -> Vec<String> {
    let epochs = world.state.epochs;
    world.learner.on_epochs_persisted(&mut world.state, world.now_ms, epochs, &mut world.actions);
    take(&mut world.actions)
}

/// `ObserverZooKeeperServer` without its `SyncRequestProcessor`.
#[test]
fn an_observer_that_is_not_to_write_logs_nothing_but_what_belongs_to_a_snapshot() {
    let mut world = World::awaiting(false);
    world.state.rules.observer_sync = false;
    world.packet(PacketType::Diff, z(1, 3), None);
    assert_eq!(world.proposal(z(1, 3)), [""; 0]);
    world.commit(z(1, 3));
    // The epoch stands for a history, which is not on disk.
    assert_eq!(
        world.packet(PacketType::NewLeader, z(2, 0), Some(b"list")),
        ["see config", "to leader: ACK 0x200000000"]
    );
    assert_eq!(world.state.epochs, Epochs { accepted: Epoch(2), current: Epoch(1) });
    world.packet(PacketType::UpToDate, Zxid(-1), None);
    assert_eq!(world.inform(z(2, 1)), ["commit 0x200000001"]);
    assert!(world.state.is_ahead_of_log);
    world.learner.validate(&world.state).unwrap();
    // It is elected for what it has on disk, and can tell an observer's leader what it has in memory.
    assert_eq!((world.state.standing_zxid(), world.state.last_logged()), (z(1, 2), z(2, 1)));

    let again = |world: &mut World, follows: bool| {
        world.learner = Learner::new(&world.state, 0, target(follows, DialId(8)), &mut world.actions);
        world.learner.on_connected(&world.state, 0, &mut world.actions);
        take(&mut world.actions);
        world.packet(PacketType::LeaderInfo, z(3, 0), Some(&[0, 1, 0, 0]));
        epochs_persisted(world)
    };
    assert_eq!(again(&mut world, false), ["to leader: ACKEPOCH 0x200000001 [00000001]"]);
    // A cut would be one of a log that has none of this.
    assert_eq!(world.packet(PacketType::Trunc, z(2, 1), None), ["leave: CommittedCut"]);
    // A follower's log must be whole: no log reaches back to the zxid that it tells.
    world.state.wants_snapshot = false;
    world.state.epochs = Epochs { accepted: Epoch(2), current: Epoch(2) };
    assert_eq!(again(&mut world, true), ["to leader: ACKEPOCH 0xfffffffffffffffe [00000002]"]);
    world.learner.follows = false;
    assert_eq!(world.packet(PacketType::Snap, z(2, 1), None), ["receive snapshot 0x200000001"]);
    world.learner.on_snapshot_received(&mut world.state, 0, z(2, 1));
    assert_eq!(world.proposal(z(2, 2)), ["append 0x200000002"]);
    world.commit(z(2, 2));
    let told = world.packet(PacketType::NewLeader, z(3, 0), None);
    assert_eq!(told, ["install snapshot", "persist accepted 3 current 3"]);
    assert!(!world.state.is_ahead_of_log);
}

#[test]
fn an_observer_connects_to_the_master_that_was_chosen() {
    let mut world = World::new(false, z(1, 1));
    take(&mut world.actions);
    let target = Target { master: Some(ServerId(2)), delay_ms: 30, ..target(false, DialId(9)) };
    world.learner = Learner::new(&world.state, 100, target, &mut world.actions);
    // All were tried before: there is a pause first.
    assert_eq!((take(&mut world.actions), world.learner.next_deadline_ms(&world.state)), (vec![], 130));
    assert_eq!(world.time(130), ["dial 10 observer master 2 for 10000"]);
    world.learner.on_gone(131, &mut world.actions);
    assert_eq!(world.time(141), ["dial 11 observer master 2 for 9989"]);
    assert_eq!(world.learner.leader(), ServerId(3));
}

/// `Follower#followLeader`: the port for observers opens when the follower serves, and closes with its role.
#[test]
fn only_a_follower_that_serves_has_observers() {
    let connect = |world: &mut World, link: u64| {
        world.learner.on_observer_connected(&world.state, world.now_ms, LearnerLink(link), &mut world.actions);
        take(&mut world.actions)
    };
    let refused = ["dismiss 5 server None: NotLeading"];
    assert_eq!(connect(&mut World::awaiting(true), 5), refused);
    assert_eq!(connect(&mut World::serving(false), 5), refused);
    let mut world = World::serving(true);
    assert_eq!(connect(&mut world, 5), [""; 0]);
    // A connection that says nothing is not waited for longer than any other.
    assert_eq!(world.learner.next_deadline_ms(&world.state), 500);
    world.learner.end(&mut world.state, &mut world.actions);
    assert_eq!(take(&mut world.actions), refused);
}

/// Commits leave the window of a follower that logs faster than its leader commits: they must be passed on before.
#[test]
fn what_is_committed_is_passed_on_however_much_is_logged_behind_it() {
    let mut world = World::serving(true);
    world.learner.on_observer_connected(&world.state, 0, LearnerLink(5), &mut world.actions);
    let observers = world.learner.observer_master_mut().unwrap();
    let info = [&4_i64.to_be_bytes()[..], &0x1_0000_i32.to_be_bytes(), &0_i64.to_be_bytes()].concat();
    let mut say = |packet_type, zxid, data: Option<&[u8]>| {
        let packet = quorum_packet(packet_type, zxid, data);
        observers.on_packet(&mut world.state, 0, LearnerLink(5), packet, &mut world.actions);
    };
    say(PacketType::ObserverInfo, z(1, 0), Some(&info));
    say(PacketType::AckEpoch, z(1, 2), Some(&1_i32.to_be_bytes()));
    say(PacketType::Ack, z(2, 0), None);
    take(&mut world.actions);
    for counter in 1..=600 {
        world.proposal(z(2, counter));
    }
    assert_eq!(world.commit(z(2, 1)), ["to 5: INFORM 0x200000001", "commit 0x200000001"]);
    assert_eq!(world.commit(z(2, 2)), ["to 5: INFORM 0x200000002", "commit 0x200000002"]);
    assert_eq!(world.state.history.first_in_window(), Some(z(2, 3)));
}
