//! A learner's outputs, packet by packet.

#![allow(clippy::unwrap_used)]

use rookeeper_protocol::types::ServerId;

use super::*;
use crate::zab::testing::{quorum_packet, record, state, take, z};

/// The leader is server 3.
fn target(follows: bool, dial: DialId) -> Target {
    Target { leader: ServerId(3), master: None, follows, dial, delay_ms: 0 }
}

/// Server 1 with two records of epoch 1, which follows (or observes) server 3.
struct World {
    state: State,
    learner: Learner,
    actions: Vec<Action>,
    now_ms: i64,
}

impl World {
    fn new(follows: bool, committed: Zxid) -> Self {
        let state = state(1, committed, &[z(1, 1), z(1, 2)]);
        let mut actions = Vec::new();
        let learner = Learner::new(&state, 0, target(follows, DialId(7)), &mut actions);
        Self { state, learner, actions, now_ms: 0 }
    }

    /// A learner that has told its last zxid in epoch 2.
    fn awaiting(follows: bool) -> Self {
        let mut world = Self::new(follows, z(1, 1));
        world.learner.on_connected(&world.state, 0, &mut world.actions);
        world.packet(PacketType::LeaderInfo, z(2, 0), Some(&[0, 1, 0, 0]));
        world.persisted();
        world
    }

    /// A learner that serves in epoch 2, with the log it began with.
    fn serving(follows: bool) -> Self {
        let mut world = Self::awaiting(follows);
        world.packet(PacketType::Diff, z(1, 2), None);
        world.packet(PacketType::NewLeader, z(2, 0), Some(b"list"));
        world.persisted();
        world.packet(PacketType::UpToDate, Zxid(-1), None);
        world
    }

    fn packet(&mut self, packet_type: PacketType, zxid: Zxid, data: Option<&[u8]>) -> Vec<String> {
        let Self { state, learner, actions, now_ms } = self;
        learner.on_packet(state, *now_ms, quorum_packet(packet_type, zxid, data), actions);
        take(actions)
    }

    fn proposal(&mut self, zxid: Zxid) -> Vec<String> {
        self.packet(PacketType::Proposal, zxid, Some(&record(zxid).payload))
    }

    fn inform(&mut self, zxid: Zxid) -> Vec<String> {
        self.packet(PacketType::Inform, zxid, Some(&record(zxid).payload))
    }

    fn commit(&mut self, zxid: Zxid) -> Vec<String> {
        self.packet(PacketType::Commit, zxid, None)
    }

    fn persisted(&mut self) -> Vec<String> {
        // Epochs are written behind the log.
        self.state.history.flushed(self.state.last_logged());
        let epochs = self.state.epochs;
        self.learner.on_epochs_persisted(&mut self.state, self.now_ms, epochs, &mut self.actions);
        take(&mut self.actions)
    }

    fn flushed(&mut self, zxid: Zxid) -> Vec<String> {
        self.state.history.flushed(zxid);
        self.learner.on_flushed(&self.state, zxid, &mut self.actions);
        take(&mut self.actions)
    }

    fn time(&mut self, now_ms: i64) -> Vec<String> {
        self.now_ms = now_ms;
        self.learner.on_timeout(&mut self.state, now_ms, &mut self.actions);
        take(&mut self.actions)
    }

    fn truncated(&mut self, zxid: Zxid) -> Vec<String> {
        self.learner.on_truncated(&mut self.state, self.now_ms, zxid, &mut self.actions);
        take(&mut self.actions)
    }
}

mod hostile;
mod observers;

/// `connectToLearnerMasterLimit` counts in the place of `initLimit`; an observer's pause comes before both.
#[test]
fn the_time_to_connect_has_a_limit_of_its_own() {
    let mut state = state(1, z(1, 1), &[z(1, 1)]);
    state.rules.connect_limit = 3;
    let limit_ms = 3 * state.rules.tick_ms;
    let mut actions = Vec::new();
    let mut learner = Learner::new(&state, 0, target(true, DialId(7)), &mut actions);
    assert_eq!(take(&mut actions), [format!("dial 7 server 3 for {limit_ms}")]);
    assert_eq!(learner.next_deadline_ms(&state), limit_ms);
    learner.on_timeout(&mut state, limit_ms, &mut actions);
    assert_eq!(actions, [Action::Leave(Reason::Unreachable)]);

    actions.clear();
    let delayed = Target { delay_ms: 40, ..target(false, DialId(7)) };
    let mut learner = Learner::new(&state, 0, delayed, &mut actions);
    assert_eq!((actions.len(), learner.next_deadline_ms(&state)), (0, 40));
    learner.on_timeout(&mut state, 40, &mut actions);
    assert_eq!(take(&mut actions), [format!("dial 8 server 3 for {limit_ms}")]);
}

/// `Follower#followLeader` from its beginning to the first commit.
#[test]
fn a_follower_from_its_connection_to_its_first_commit() {
    let mut world = World::new(true, z(1, 1));
    assert_eq!(take(&mut world.actions), ["dial 7 server 3 for 10000"]);
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    let info = "to leader: FOLLOWERINFO 0x100000000 [0000000000000001000100000000000000000000]";
    assert_eq!(take(&mut world.actions), [info]);
    // The promise is written down before it is told.
    let told = world.packet(PacketType::LeaderInfo, z(2, 0), Some(&[0, 1, 0, 0]));
    assert_eq!(told, ["persist accepted 2 current 1"]);
    assert_eq!(world.persisted(), ["to leader: ACKEPOCH 0x100000002 [00000001]"]);
    assert_eq!(world.packet(PacketType::Diff, z(1, 3), None), [""; 0]);
    assert_eq!(world.proposal(z(1, 3)), ["append 0x100000003"]);
    assert_eq!(world.commit(z(1, 3)), [""; 0]);
    // This one is proposed while the learner is synchronized.
    assert_eq!(world.proposal(z(2, 1)), ["append 0x200000001"]);
    // History, current epoch, acknowledgement, in this order.
    assert_eq!(world.flushed(z(1, 3)), [""; 0]);
    let told = world.packet(PacketType::NewLeader, z(2, 0), Some(b"list"));
    assert_eq!(told, ["see config", "persist accepted 2 current 2"]);
    assert_eq!(world.flushed(z(2, 1)), [""; 0]);
    // The proposals behind what was committed are acknowledged only now (ZOOKEEPER-4685).
    assert_eq!(world.persisted(), ["to leader: ACK 0x200000000", "to leader: ACK 0x200000001"]);
    // Nobody knows yet whether a quorum stands behind this leader.
    assert_eq!(world.state.history.committed(), z(1, 1));
    // ZOOKEEPER-4394: a COMMIT between NEWLEADER and UPTODATE.
    assert_eq!(world.commit(z(2, 1)), [""; 0]);
    let told = world.packet(PacketType::UpToDate, Zxid(-1), None);
    assert_eq!(told, ["activate config", "to leader: ACK 0x200000000", "establish 0x200000001"]);
    assert_eq!(world.state.history.committed(), z(2, 1));

    assert_eq!(world.proposal(z(2, 2)), ["append 0x200000002"]);
    assert_eq!(world.proposal(z(2, 3)), ["append 0x200000003"]);
    assert_eq!(world.flushed(z(2, 3)), ["to leader: ACK 0x200000002", "to leader: ACK 0x200000003"]);
    assert_eq!(world.commit(z(2, 2)), ["commit 0x200000002"]);
    // A leader may have a quorum without this follower.
    assert_eq!(world.proposal(z(2, 4)), ["append 0x200000004"]);
    assert_eq!(world.commit(z(2, 3)), ["commit 0x200000003"]);
    assert_eq!(world.commit(z(2, 4)), ["commit 0x200000004"]);
    assert_eq!(world.flushed(z(2, 4)), ["to leader: ACK 0x200000004"]);
}

#[test]
fn an_observer_is_told_what_is_committed_and_acknowledges_nothing_else() {
    let mut world = World::new(false, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    assert!(take(&mut world.actions)[1].starts_with("to leader: OBSERVERINFO 0x100000000"));
    world.packet(PacketType::LeaderInfo, z(2, 0), Some(&[0, 1, 0, 0]));
    world.persisted();
    world.packet(PacketType::Diff, z(1, 3), None);
    world.proposal(z(1, 3));
    world.commit(z(1, 3));
    // ZOOKEEPER-1551: what is told before UPTODATE counts too.
    assert_eq!(world.inform(z(2, 1)), ["append 0x200000001"]);
    world.packet(PacketType::NewLeader, z(2, 0), None);
    assert_eq!(world.persisted(), ["to leader: ACK 0x200000000"]);
    let told = world.packet(PacketType::UpToDate, Zxid(-1), None);
    assert_eq!(told, ["activate config", "to leader: ACK 0x200000000", "establish 0x200000001"]);
    assert_eq!(world.inform(z(2, 2)), ["append 0x200000002", "commit 0x200000002"]);
    assert_eq!(world.flushed(z(2, 2)), [""; 0]);
    // What is for followers has no meaning here.
    assert_eq!(world.proposal(z(2, 3)), [""; 0]);
    assert_eq!(world.commit(z(2, 3)), [""; 0]);
    assert_eq!(world.inform(z(2, 2)), [""; 0]);
    assert_eq!(world.inform(z(2, 4)), ["leave: BadProposal"]);
}

#[test]
fn epochs_that_were_accepted_are_not_accepted_again_and_older_ones_never() {
    let mut world = World::new(true, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    take(&mut world.actions);
    let told = world.packet(PacketType::LeaderInfo, z(1, 0), Some(&[0, 1, 0, 0]));
    assert_eq!(told, ["to leader: ACKEPOCH 0x100000002 [ffffffff]"]);
    let mut world = World::new(true, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    take(&mut world.actions);
    assert_eq!(world.packet(PacketType::LeaderInfo, z(0, 0), Some(&[0, 1, 0, 0])), ["leave: OldEpoch"]);
    // What an observer accepted was counted by nobody.
    let mut world = World::new(false, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    take(&mut world.actions);
    world.state.epochs.accepted = Epoch(3);
    let told = world.packet(PacketType::LeaderInfo, z(2, 0), Some(&[0, 1, 0, 0]));
    assert_eq!(told, ["to leader: ACKEPOCH 0x100000002 [ffffffff]"]);
    // The epoch that it has joined had a quorum; an older leader has none.
    let mut world = World::new(false, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    take(&mut world.actions);
    assert_eq!(world.packet(PacketType::LeaderInfo, z(0, 0), Some(&[0, 1, 0, 0])), ["leave: OldEpoch"]);
}

#[test]
fn the_log_is_cut_before_anything_follows() {
    let mut world = World::awaiting(true);
    assert_eq!(world.packet(PacketType::Trunc, z(1, 1), None), ["truncate 0x100000001"]);
    assert_eq!(world.learner.stage(), Stage::Cutting);
    assert_eq!(world.truncated(z(1, 1)), [""; 0]);
    assert_eq!(world.proposal(z(2, 1)), ["append 0x200000001"]);
}

/// The log had no record with this number: what comes next would leave a hole.
#[test]
fn a_cut_that_ends_before_its_mark_begins_anew() {
    let mut world = World::awaiting(true);
    world.state.history.append(record(z(1, 3)));
    world.packet(PacketType::Trunc, z(1, 2), None);
    assert_eq!(world.truncated(z(1, 1)), ["leave: CutTooShort"]);
    assert_eq!(world.state.last_logged(), z(1, 1));
}

/// A snapshot of a leader that never had a quorum cannot be cut: another one takes its place.
#[test]
fn what_is_committed_is_never_cut() {
    let mut world = World::awaiting(true);
    assert_eq!(world.packet(PacketType::Trunc, z(1, 0), None), ["leave: CommittedCut"]);
    assert_eq!(world.state.last_logged(), z(1, 2));
    let (state, mut actions) = (world.state, Vec::new());
    let learner = Learner::new(&state, 0, target(true, DialId(8)), &mut actions);
    let mut world = World { state, learner, actions, now_ms: 0 };
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    take(&mut world.actions);
    let told = world.packet(PacketType::LeaderInfo, z(2, 0), Some(&[0, 1, 0, 0]));
    assert_eq!(told, ["to leader: ACKEPOCH 0xfffffffffffffffe [ffffffff]"]);
    assert_eq!(world.packet(PacketType::Snap, z(1, 1), None), ["receive snapshot 0x100000001"]);
    world.learner.on_snapshot_received(&mut world.state, 0, z(1, 1));
    let told = world.packet(PacketType::NewLeader, z(2, 0), None);
    assert_eq!(told, ["install snapshot", "persist accepted 2 current 2"]);
    assert!(!world.state.wants_snapshot && world.state.last_logged() == z(1, 1));
}

/// ZOOKEEPER-3642: a synchronization that was cut short leaves everything as it was.
#[test]
fn a_snapshot_counts_only_with_all_that_follows_it() {
    let mut world = World::awaiting(true);
    world.packet(PacketType::Snap, z(1, 1), None);
    world.learner.end(&mut world.state, &mut world.actions);
    assert_eq!(take(&mut world.actions), ["drop snapshot"]);
    let mut world = World::awaiting(true);
    world.packet(PacketType::Snap, z(1, 1), None);
    world.learner.on_snapshot_received(&mut world.state, 0, z(1, 1));
    // What this server has logged is not forgotten, though the snapshot is older.
    world.proposal(z(1, 2));
    world.learner.end(&mut world.state, &mut world.actions);
    assert_eq!(take(&mut world.actions), ["drop snapshot"]);
    assert_eq!((world.state.last_logged(), world.state.history.committed()), (z(1, 2), z(1, 1)));
    // Once it was asked for, only the disk knows.
    let mut world = World::awaiting(true);
    world.packet(PacketType::Snap, z(1, 1), None);
    world.learner.on_snapshot_received(&mut world.state, 0, z(1, 1));
    world.packet(PacketType::NewLeader, z(2, 0), None);
    world.learner.end(&mut world.state, &mut world.actions);
    assert_eq!((take(&mut world.actions), world.state.last_logged()), (vec![], z(1, 1)));
}

/// A server whose log seems not to be on disk would never be established as leader.
#[test]
fn what_was_flushed_while_a_snapshot_came_is_known_when_it_is_dropped() {
    let mut world = World::awaiting(true);
    world.state.history.append(record(z(1, 3)));
    world.packet(PacketType::Snap, z(1, 1), None);
    world.learner.on_snapshot_received(&mut world.state, 0, z(1, 1));
    world.flushed(z(1, 3));
    world.learner.end(&mut world.state, &mut world.actions);
    assert_eq!((world.state.last_logged(), world.state.history.durable()), (z(1, 3), z(1, 3)));
}

/// Java's snapshots are newer than they say, and proposals that are in them follow.
#[test]
fn what_a_snapshot_has_is_not_logged_again() {
    let mut world = World::awaiting(true);
    assert_eq!(world.packet(PacketType::Snap, z(2, 2), None), ["receive snapshot 0x200000002"]);
    world.learner.on_snapshot_received(&mut world.state, 0, z(2, 2));
    assert_eq!(world.proposal(z(2, 2)), [""; 0]);
    assert_eq!(world.commit(z(2, 2)), [""; 0]);
    assert_eq!(world.proposal(z(2, 3)), ["append 0x200000003"]);
    assert_eq!(world.commit(z(2, 3)), [""; 0]);
    world.packet(PacketType::NewLeader, z(2, 0), None);
    assert_eq!(world.persisted(), ["to leader: ACK 0x200000000"]);
    let told = world.packet(PacketType::UpToDate, Zxid(-1), None);
    assert_eq!(told, ["activate config", "to leader: ACK 0x200000000", "establish 0x200000003"]);
}

#[test]
fn proposals_and_commits_out_of_order_end_the_connection() {
    let mut world = World::serving(true);
    assert_eq!(world.proposal(z(2, 1)), ["append 0x200000001"]);
    assert_eq!(world.proposal(z(2, 3)), ["leave: BadProposal"]);
    assert!(!world.state.wants_snapshot);
    let mut world = World::serving(true);
    world.proposal(z(2, 1));
    world.proposal(z(2, 2));
    assert_eq!(world.commit(z(2, 2)), ["leave: BadCommit"]);
    assert_eq!(world.commit(z(2, 9)), ["leave: BadCommit"]);
    // Twice the same is nothing new.
    assert_eq!(world.commit(z(2, 1)), ["commit 0x200000001"]);
    assert_eq!(world.commit(z(2, 1)), [""; 0]);
    assert_eq!(world.packet(PacketType::Proposal, z(2, 3), None), ["leave: BadProposal"]);
    // Before it serves too: the beginning must join the history (ZOOKEEPER-4785).
    let mut world = World::awaiting(true);
    world.packet(PacketType::Diff, z(1, 4), None);
    assert_eq!(world.proposal(z(1, 4)), ["leave: BadProposal"]);
    // The same leader would say the same again (ZOOKEEPER-4925).
    assert!(world.state.wants_snapshot);
}

/// What is logged counts in elections.
#[test]
fn no_leader_has_anything_of_a_later_epoch_than_its_own() {
    let mut world = World::serving(true);
    assert_eq!(world.proposal(z(3, 1)), ["leave: BadProposal"]);
    let mut world = World::awaiting(true);
    assert_eq!(world.packet(PacketType::Snap, z(3, 0), None), ["leave: BadPacket"]);
}

#[test]
fn newleader_is_of_the_leaders_epoch() {
    let mut world = World::awaiting(true);
    world.packet(PacketType::Diff, z(1, 2), None);
    assert_eq!(world.packet(PacketType::NewLeader, z(3, 0), None), ["leave: BadPacket"]);
}

#[test]
fn who_may_not_serve_yet_ignores_pings_and_nobody_serves_without_newleader() {
    let mut world = World::awaiting(true);
    world.packet(PacketType::Diff, z(1, 2), None);
    assert_eq!(world.packet(PacketType::Ping, z(2, 0), None), [""; 0]);
    assert_eq!(world.packet(PacketType::UpToDate, Zxid(-1), None), ["leave: BadPacket"]);
    let mut world = World::serving(true);
    let ping = quorum_packet(PacketType::Ping, z(2, 0), None);
    let incoming = world.learner.on_packet(&mut world.state, 0, ping, &mut world.actions);
    assert_eq!(incoming, Some(Incoming::Ping(z(2, 0))));
    let sync = quorum_packet(PacketType::Sync, Zxid::ZERO, None);
    let incoming = world.learner.on_packet(&mut world.state, 0, sync, &mut world.actions);
    assert_eq!(incoming, Some(Incoming::Synced));
}

/// Before ZooKeeper 3.4 NEWLEADER was the first packet, and UPTODATE the end of the synchronization.
#[test]
fn a_leader_of_the_old_protocol_is_followed_too() {
    let mut world = World::new(true, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    take(&mut world.actions);
    assert_eq!(world.packet(PacketType::NewLeader, z(2, 0), None), ["persist accepted 2 current 1"]);
    assert_eq!(world.persisted(), [""; 0]);
    world.packet(PacketType::Diff, z(1, 3), None);
    world.proposal(z(1, 3));
    world.commit(z(1, 3));
    assert_eq!(world.packet(PacketType::UpToDate, Zxid(-1), None), ["persist accepted 2 current 2"]);
    assert_eq!(world.persisted(), ["activate config", "to leader: ACK 0x200000000", "establish 0x100000003"]);
}

#[test]
fn a_leader_that_is_not_there_yet_is_tried_again_for_a_while() {
    let mut world = World::new(true, z(1, 1));
    take(&mut world.actions);
    let mut dials = Vec::new();
    loop {
        world.learner.on_gone(world.now_ms, &mut world.actions);
        if !world.actions.is_empty() {
            break;
        }
        let now_ms = world.learner.next_deadline_ms(&world.state);
        dials.push((now_ms, world.time(now_ms)));
    }
    assert_eq!(take(&mut world.actions), ["leave: Unreachable"]);
    let at: Vec<_> = dials.iter().map(|(now_ms, _)| *now_ms).collect();
    assert_eq!(at, [10, 30, 70, 150, 250, 350, 450]);
    assert_eq!(dials[6].1, ["dial 14 server 3 for 9550"]);
    // A timer that comes late.
    let mut world = World::new(true, z(1, 1));
    world.learner.on_gone(0, &mut world.actions);
    take(&mut world.actions);
    assert_eq!(world.time(20_000), ["leave: Unreachable"]);
    // An attempt that is never answered.
    let mut world = World::new(true, z(1, 1));
    take(&mut world.actions);
    assert_eq!(world.time(9999), [""; 0]);
    assert_eq!(world.time(10_000), ["leave: Unreachable"]);
}

#[test]
fn a_silent_leader_is_left() {
    let mut world = World::awaiting(true);
    assert_eq!(world.time(9999), [""; 0]);
    assert_eq!(world.time(10_000), ["leave: TooSlow"]);
    let mut world = World::serving(true);
    assert_eq!(world.time(4999), [""; 0]);
    assert_eq!(world.time(5000), ["leave: Silent"]);
    let mut world = World::serving(true);
    world.learner.on_gone(0, &mut world.actions);
    assert_eq!(take(&mut world.actions), ["leave: Disconnected"]);
}

/// The leader waits for the disk too, and says nothing before it has heard of it.
#[test]
fn a_slow_disk_is_no_silence_of_the_leader() {
    let mut world = World::new(true, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    world.packet(PacketType::LeaderInfo, z(2, 0), Some(&[0, 1, 0, 0]));
    world.now_ms = 50_000;
    world.persisted();
    assert_eq!(world.learner.next_deadline_ms(&world.state), 60_000);
    world.packet(PacketType::Diff, z(1, 2), None);
    world.packet(PacketType::NewLeader, z(2, 0), None);
    world.now_ms = 100_000;
    assert_eq!(world.persisted(), ["to leader: ACK 0x200000000"]);
    assert_eq!(world.learner.next_deadline_ms(&world.state), 105_000);
}

#[test]
fn a_committed_reconfiguration_names_the_next_leader() {
    let mut world = World::serving(true);
    world.proposal(z(2, 1));
    let leader = 2i64.to_be_bytes();
    let told = world.packet(PacketType::CommitAndActivate, z(2, 1), Some(&leader));
    assert_eq!(told, ["commit 0x200000001", "activate 0x200000001 with leader 2"]);
    assert_eq!(world.packet(PacketType::CommitAndActivate, z(2, 2), Some(&[0])), ["leave: BadPacket"]);
    let mut world = World::serving(false);
    let data = [&leader[..], &record(z(2, 1)).payload].concat();
    let told = world.packet(PacketType::InformAndActivate, z(2, 1), Some(&data));
    assert_eq!(told, ["append 0x200000001", "commit 0x200000001", "activate 0x200000001 with leader 2"]);
}
