//! A leader's outputs, packet by packet.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{LearnerInfo, PacketType, write_packet};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::*;
use crate::zab::HistoryPiece;
use crate::zab::testing::{quorum_packet, record, state, take, z};

mod hostile;
mod limits;
mod relay;
mod synchronization;
mod syncs;

/// A leader of three voters, server 3, with two records of epoch 1.
struct World {
    state: State,
    leader: Leader,
    actions: Vec<Action>,
    now_ms: i64,
}

impl World {
    fn new(committed: Zxid, log: &[Zxid]) -> Self {
        let mut state = state(3, committed, log);
        let mut leader = Leader::new(&state, 0);
        let mut actions = Vec::new();
        leader.begin(&mut state, 0, &mut actions);
        Self { state, leader, actions, now_ms: 0 }
    }

    /// The leader in epoch 2, with server 1 on link 1 synchronized and serving.
    fn serving() -> Self {
        let mut world = Self::new(z(1, 2), &[z(1, 1), z(1, 2)]);
        world.introduce(1, 1, true);
        world.persisted();
        world.ack_epoch(1, Some(1), z(1, 2));
        world.persisted();
        world.packet(1, PacketType::Ack, z(2, 0), None);
        world.established();
        world.packet(1, PacketType::Ack, z(2, 0), None);
        take(&mut world.actions);
        world
    }

    fn packet(&mut self, link: u64, packet_type: PacketType, zxid: Zxid, data: Option<&[u8]>) -> Vec<String> {
        let Self { state, leader, actions, now_ms } = self;
        let packet = quorum_packet(packet_type, zxid, data);
        let incoming = leader.on_packet(state, *now_ms, LearnerLink(link), packet, actions);
        leader.count_new_acks(state, actions);
        assert!(incoming.is_none() || matches!(packet_type, PacketType::Ping | PacketType::Request));
        take(actions)
    }

    /// A learner connects and says who it is.
    fn introduce(&mut self, link: u64, server: i64, follows: bool) -> Vec<String> {
        self.introduce_as(link, follows, z(1, 0), Some(LearnerInfo::new(ServerId(server), 0)))
    }

    fn introduce_as(&mut self, link: u64, follows: bool, zxid: Zxid, info: Option<LearnerInfo>) -> Vec<String> {
        self.leader.on_connected(&self.state, self.now_ms, LearnerLink(link), &mut self.actions);
        let packet_type = if follows { PacketType::FollowerInfo } else { PacketType::ObserverInfo };
        let data = info.map(|info| {
            [&info.server.0.to_be_bytes()[..], &info.protocol_version.to_be_bytes(), &info.config_version.to_be_bytes()]
                .concat()
        });
        self.packet(link, packet_type, zxid, data.as_deref())
    }

    fn ack_epoch(&mut self, link: u64, current: Option<i32>, last: Zxid) -> Vec<String> {
        self.packet(link, PacketType::AckEpoch, last, Some(&current.unwrap_or(-1).to_be_bytes()))
    }

    /// The epochs that were last asked for are on disk.
    fn persisted(&mut self) -> Vec<String> {
        let epochs = self.state.epochs;
        self.leader.on_epochs_persisted(&mut self.state, self.now_ms, epochs, &mut self.actions);
        take(&mut self.actions)
    }

    fn established(&mut self) -> Vec<String> {
        self.leader.established(&mut self.state, self.now_ms, &mut self.actions);
        take(&mut self.actions)
    }

    fn propose(&mut self, zxids: &[Zxid]) -> Vec<String> {
        let mut frame = BytesMut::new();
        let records: Vec<_> = zxids.iter().map(|zxid| record(*zxid)).collect();
        for record in &records {
            write_packet(&mut frame, PacketType::Proposal, record.zxid, Some(&record.payload));
        }
        self.leader.propose(&mut self.state, self.now_ms, records, &frame.freeze(), &mut self.actions);
        take(&mut self.actions)
    }

    fn flushed(&mut self, zxid: Zxid) -> Vec<String> {
        self.state.history.flushed(zxid);
        self.leader.on_flushed(&mut self.state, &mut self.actions);
        take(&mut self.actions)
    }

    fn time(&mut self, now_ms: i64) -> Vec<String> {
        self.now_ms = now_ms;
        self.leader.on_timeout(&mut self.state, now_ms, &mut self.actions);
        take(&mut self.actions)
    }

    fn sync(&mut self, who: Syncer) -> Vec<String> {
        self.leader.sync(&self.state, who, &mut self.actions);
        take(&mut self.actions)
    }

    fn history(&mut self, link: u64, piece: HistoryPiece) -> Vec<String> {
        self.leader.on_history(&self.state, self.now_ms, LearnerLink(link), piece, &mut self.actions);
        take(&mut self.actions)
    }
}

fn records(at_or_before: Zxid, zxids: &[Zxid]) -> HistoryPiece {
    HistoryPiece::Records { at_or_before, records: zxids.iter().map(|zxid| record(*zxid)).collect() }
}

/// The first list of members gets the epoch's beginning as its version (ZOOKEEPER-1783).
#[test]
fn the_first_list_of_members_gets_a_version() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    let active = world.state.membership.active().clone();
    let rules = world.state.membership.rules();
    world.state.membership = crate::ensemble::Membership::new(ServerId(3), active, None, rules, true);
    world.introduce(1, 1, true);
    let told = world.persisted();
    assert_eq!(told, ["see first config 0x200000000", "to 1: LEADERINFO 0x200000000 [00010000]"]);
}

/// `Leader#commitAndActivate`: with the commit goes who leads from now on.
#[test]
fn a_reconfiguration_is_committed_by_both_lists_and_names_the_leader() {
    for (text, leader) in
        [("server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2", 3), ("server.1=h1:1:2\nserver.2=h2:1:2", 1)]
    {
        let mut world = World::serving();
        let (active, rules) = (world.state.membership.active().clone(), world.state.membership.rules());
        let next = crate::ensemble::EnsembleConfig::parse(&format!("{text}\nversion=200000002"), rules).unwrap();
        world.state.membership = crate::ensemble::Membership::new(ServerId(3), active, Some(next), rules, true);
        world.introduce(2, 2, true);
        world.ack_epoch(2, Some(1), z(1, 2));
        world.packet(2, PacketType::Ack, z(2, 0), None);
        world.introduce(4, 4, false);
        world.ack_epoch(4, Some(1), z(1, 2));
        world.propose(&[z(2, 1), z(2, 2)]);
        world.leader.reconfigures();
        world.propose(&[z(2, 3)]);
        assert_eq!(world.flushed(z(2, 3)), [""; 0]);
        let first = world.packet(1, PacketType::Ack, z(2, 3), None);
        // Without server 3 the new list needs both others.
        assert_eq!(first.is_empty(), leader == 1);
        let told = if leader == 1 { world.packet(2, PacketType::Ack, z(2, 3), None) } else { first };
        let data = format!("{leader:016x}");
        let mut expected = vec![
            "to 1: COMMIT 0x200000001".to_owned(),
            "to 2: COMMIT 0x200000001".to_owned(),
            "to 4: INFORM 0x200000001".to_owned(),
            "commit 0x200000001".to_owned(),
            format!("to 1: COMMITANDACTIVATE 0x200000002 [{data}]"),
            format!("to 2: COMMITANDACTIVATE 0x200000002 [{data}]"),
        ];
        assert_eq!(told[..6], expected[..]);
        assert!(told[6].starts_with(&format!("to 4: INFORMANDACTIVATE 0x200000002 [{data}")));
        expected = vec!["commit 0x200000002".to_owned(), format!("activate 0x200000002 with leader {leader}")];
        assert_eq!(told[7..9], expected[..]);
        // A leader that is none any more commits nothing.
        assert_eq!(told.last().unwrap().starts_with("commit 0x200000003"), leader == 3, "{told:?}");
    }
}

#[test]
fn a_reconfiguration_may_be_the_first_transaction_of_an_epoch() {
    let mut world = World::serving();
    world.propose(&[z(2, 1)]);
    world.leader.reconfigures();
    world.flushed(z(2, 1));
    let told = world.packet(1, PacketType::Ack, z(2, 1), None);
    let expected = ["to 1: COMMITANDACTIVATE 0x200000001 [0000000000000003]", "commit 0x200000001"];
    assert_eq!(told[..2], expected);
}

/// `Leader#lead` from its beginning to the first commit, with one follower that had less and one that comes late.
#[test]
fn an_epoch_from_its_discovery_to_its_first_commit() {
    let mut world = World::new(z(1, 1), &[z(1, 1), z(1, 2)]);
    // A quorum told its accepted epoch: the next one is written down before anybody is told.
    assert_eq!(world.introduce(1, 1, true), ["persist accepted 2 current 1"]);
    assert_eq!(world.persisted(), ["to 1: LEADERINFO 0x200000000 [00010000]"]);
    assert_eq!(world.ack_epoch(1, Some(1), z(1, 1)), ["persist accepted 2 current 2"]);
    // All that the leader brought along is sent as committed, though the leader itself knows only of 0x100000001.
    let served = [
        "to 1: DIFF 0x100000002",
        "to 1: PROPOSAL 0x100000002",
        "to 1: COMMIT 0x100000002",
        "to 1: NEWLEADER 0x200000000 config",
    ];
    assert_eq!(world.persisted(), served);
    assert_eq!(world.state.history.committed(), z(1, 1));
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 0), None), ["activate config", "establish 0x100000002"]);
    assert_eq!(world.state.history.committed(), z(1, 2));
    assert_eq!(world.established(), ["to 1: UPTODATE 0xffffffffffffffff", "synchronized 1"]);
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 0), None), [""; 0]);

    let proposed = ["append 0x200000001", "to 1: PROPOSAL 0x200000001"];
    assert_eq!(world.propose(&[z(2, 1)]), proposed);
    // The follower's disk may be faster than the leader's own; one of the two is no quorum.
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 1), None), [""; 0]);
    assert_eq!(world.flushed(z(2, 1)), ["to 1: COMMIT 0x200000001", "commit 0x200000001"]);

    assert_eq!(world.introduce(2, 2, true), ["to 2: LEADERINFO 0x200000000 [00010000]"]);
    let served = [
        "to 2: DIFF 0x200000001",
        "to 2: PROPOSAL 0x200000001",
        "to 2: COMMIT 0x200000001",
        "to 2: NEWLEADER 0x200000000 config",
    ];
    assert_eq!(world.ack_epoch(2, Some(1), z(1, 2)), served);
    let up_to_date = ["to 2: UPTODATE 0xffffffffffffffff", "synchronized 2"];
    assert_eq!(world.packet(2, PacketType::Ack, z(2, 0), None), up_to_date);
}

#[test]
fn the_epoch_is_newer_than_any_that_was_told() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    assert_eq!(
        world.introduce_as(1, true, z(7, 0), Some(LearnerInfo::new(ServerId(1), 0))),
        ["persist accepted 8 current 1"]
    );
    assert_eq!(world.persisted(), ["to 1: LEADERINFO 0x800000000 [00010000]"]);
}

/// An epoch that is led twice would number two histories alike.
#[test]
fn behind_the_last_epoch_there_is_no_leader() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    world.state.epochs.accepted = Epoch::MAX;
    world.leader = Leader::new(&world.state, 0);
    assert_eq!(world.introduce(1, 1, true), [""; 0]);
    assert_eq!(world.time(10_000), ["leave: NoQuorum"]);
}

#[test]
fn observers_and_strangers_are_no_quorum() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    assert_eq!(world.introduce(4, 4, false), [""; 0]);
    assert_eq!(world.introduce(9, 9, true), [""; 0]);
    // Java counts a voter that comes as an observer.
    assert_eq!(world.introduce(2, 2, false), [""; 0]);
    assert_eq!(world.introduce(1, 1, true), ["persist accepted 2 current 1"]);
    assert_eq!(world.persisted().len(), 4);
    assert_eq!(world.ack_epoch(4, Some(1), z(1, 2)), [""; 0]);
    assert_eq!(world.ack_epoch(9, Some(1), z(1, 2)), [""; 0]);
    assert_eq!(world.ack_epoch(2, Some(1), z(1, 2)), [""; 0]);
    assert_eq!(world.ack_epoch(1, Some(1), z(1, 2)), ["persist accepted 2 current 2"]);
    assert_eq!(world.persisted().len(), 8);
    for link in [4, 9, 2] {
        assert_eq!(world.packet(link, PacketType::Ack, z(2, 0), None), [""; 0]);
    }
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 0), None), ["activate config", "establish 0x100000002"]);
}

#[test]
fn an_epoch_that_was_accepted_before_is_not_acknowledged_a_second_time() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    world.introduce(1, 1, true);
    world.persisted();
    assert_eq!(world.ack_epoch(1, None, z(1, 2)), [""; 0]);
    // Neither does a server without a history count.
    world.introduce(2, 2, true);
    assert_eq!(world.ack_epoch(2, Some(1), Zxid(-1)), [""; 0]);
}

/// It could never be brought along, and would be missing as long as this leader lives.
#[test]
fn a_voter_that_accepted_a_newer_epoch_ends_this_one() {
    let mut world = World::serving();
    let info = |server| Some(LearnerInfo::new(ServerId(server), 0));
    assert_eq!(world.introduce_as(4, false, z(9, 0), info(4)), ["to 4: LEADERINFO 0x200000000 [00010000]"]);
    assert_eq!(world.introduce_as(2, true, z(9, 0), info(2)), ["leave: NewerEpoch"]);
    // If this server is elected again, nobody has to tell it another time.
    let mut leader = Leader::new(&world.state, 0);
    assert_eq!(leader.epoch, Epoch(10));
    leader.begin(&mut world.state, 0, &mut world.actions);
    assert_eq!(take(&mut world.actions), [""; 0]);
}

#[test]
fn a_learner_with_a_newer_history_is_sent_away() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    world.introduce(1, 1, true);
    world.introduce(2, 2, true);
    world.persisted();
    assert_eq!(world.ack_epoch(1, Some(1), z(1, 3)), ["dismiss 1 server Some(1): NewerHistory"]);
    assert_eq!(world.ack_epoch(2, Some(2), z(1, 1)), ["dismiss 2 server Some(2): NewerHistory"]);
}

#[test]
fn a_learner_with_a_newer_configuration_is_sent_away() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    let told = world.introduce_as(1, true, z(1, 0), Some(LearnerInfo::new(ServerId(1), 1)));
    assert_eq!(told, ["dismiss 1 server None: NewerConfiguration"]);
}

/// Before ZooKeeper 3.4 there was neither LEADERINFO nor ACKEPOCH, and the zxid told was the last one of the log.
#[test]
fn learners_of_the_old_protocol_skip_the_epochs() {
    let mut world = World::new(z(1, 2), &[z(1, 1), z(1, 2)]);
    let old = LearnerInfo { server: ServerId(1), protocol_version: 1, config_version: 0 };
    assert_eq!(world.introduce_as(1, true, z(1, 1), Some(old)), ["persist accepted 2 current 1"]);
    assert_eq!(world.persisted(), ["persist accepted 2 current 2"]);
    let served = [
        "to 1: DIFF 0x100000002",
        "to 1: PROPOSAL 0x100000002",
        "to 1: COMMIT 0x100000002",
        "to 1: NEWLEADER 0x200000000",
    ];
    assert_eq!(world.persisted(), served);
    // Even older ones told no number.
    world.introduce_as(2, true, z(1, 2), None);
    assert_eq!(world.leader.learners()[&LearnerLink(2)].server, Some(ServerId(-1)));
}

#[test]
fn a_server_that_comes_again_gave_its_old_connection_up() {
    let mut world = World::serving();
    assert_eq!(
        world.introduce(5, 1, true),
        ["dismiss 1 server Some(1): Replaced", "to 5: LEADERINFO 0x200000000 [00010000]"]
    );
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 0), None), [""; 0]);
}

/// A quorum acknowledged all of a batch with its last proposal; one COMMIT for each, in order.
#[test]
fn proposals_are_committed_in_order_and_never_before_those_in_front() {
    let mut world = World::serving();
    world.propose(&[z(2, 1), z(2, 2), z(2, 3)]);
    assert_eq!(world.flushed(z(2, 3)), [""; 0]);
    let commits = |from, to| -> Vec<String> {
        let mut lines: Vec<_> = (from..=to).map(|counter| format!("to 1: COMMIT {}", z(2, counter))).collect();
        lines.push(format!("commit {}", z(2, to)));
        lines
    };
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 1), None), commits(1, 1));
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 2), None), commits(2, 2));
    // Told twice it says nothing new.
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 1), None), [""; 0]);
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 3), None), commits(3, 3));
}

#[test]
fn who_acknowledges_what_it_was_not_sent_or_leaves_something_out_is_sent_away() {
    for counter in [4, 2] {
        let mut world = World::serving();
        world.propose(&[z(2, 1), z(2, 2), z(2, 3)]);
        if counter == 2 {
            // The first one may be any, then they are without a gap.
            assert_eq!(world.packet(1, PacketType::Ack, z(2, 1), None), [""; 0]);
            world.propose(&[z(2, 4)]);
            assert_eq!(
                world.packet(1, PacketType::Ack, z(2, 3), None),
                ["dismiss 1 server Some(1): BadAcknowledgement"]
            );
        } else {
            assert_eq!(
                world.packet(1, PacketType::Ack, z(2, 4), None),
                ["dismiss 1 server Some(1): BadAcknowledgement"]
            );
        }
        assert_eq!(world.flushed(z(2, 3)), [""; 0]);
    }
}

/// Java before 3.9.3 acknowledges what it was brought, and proposals, before NEWLEADER (ZOOKEEPER-4685).
#[test]
fn acknowledgements_before_that_of_newleader_count_only_behind_it() {
    let mut world = World::serving();
    world.propose(&[z(2, 1)]);
    world.flushed(z(2, 1));
    world.introduce(2, 2, true);
    assert_eq!(
        world.ack_epoch(2, Some(1), z(1, 1)),
        [
            "to 2: DIFF 0x100000002",
            "to 2: PROPOSAL 0x100000002",
            "to 2: COMMIT 0x100000002",
            // It is proposed, not committed.
            "to 2: PROPOSAL 0x200000001",
            "to 2: NEWLEADER 0x200000000 config",
        ]
    );
    assert_eq!(world.packet(2, PacketType::Ack, z(1, 2), None), [""; 0]);
    assert_eq!(world.packet(2, PacketType::Ack, z(2, 1), None), [""; 0]);
    assert_eq!(
        world.packet(2, PacketType::Ack, z(2, 0), None),
        [
            "to 2: UPTODATE 0xffffffffffffffff",
            "synchronized 2",
            "to 1: COMMIT 0x200000001",
            "to 2: COMMIT 0x200000001",
            "commit 0x200000001",
        ]
    );
}

#[test]
fn observers_are_told_what_is_committed() {
    let mut world = World::serving();
    world.propose(&[z(2, 1)]);
    world.introduce(4, 4, false);
    assert_eq!(world.ack_epoch(4, Some(1), z(1, 2)), ["to 4: DIFF 0x100000002", "to 4: NEWLEADER 0x200000000 config"]);
    world.packet(4, PacketType::Ack, z(2, 0), None);
    assert_eq!(world.propose(&[z(2, 2)]), ["append 0x200000002", "to 1: PROPOSAL 0x200000002"]);
    // An observer's word does not count (ZOOKEEPER-1282).
    assert_eq!(world.packet(4, PacketType::Ack, z(2, 2), None), [""; 0]);
    world.flushed(z(2, 2));
    assert_eq!(
        world.packet(1, PacketType::Ack, z(2, 2), None),
        [
            "to 1: COMMIT 0x200000001",
            "to 1: COMMIT 0x200000002",
            "to 4: INFORM 0x200000001",
            "to 4: INFORM 0x200000002",
            "commit 0x200000002",
        ]
    );
}

#[test]
fn twice_in_a_tick_learners_are_pinged_and_once_the_quorum_is_counted() {
    let mut world = World::serving();
    assert_eq!(world.leader.next_deadline_ms(&world.state), 500);
    assert_eq!(world.time(500), ["to 1: PING 0x200000000"]);
    assert_eq!(world.time(999), [""; 0]);
    assert_eq!(world.time(1000), ["to 1: PING 0x200000000"]);
    // It does not answer.
    for now_ms in (1500..5000).step_by(500) {
        assert_eq!(world.time(now_ms), ["to 1: PING 0x200000000"]);
    }
    assert_eq!(world.time(5000), ["dismiss 1 server Some(1): Silent", "leave: NoQuorum"]);
}

#[test]
fn a_follower_that_comes_back_within_the_tick_is_still_there() {
    let mut world = World::serving();
    world.time(500);
    world.leader.on_gone(LearnerLink(1));
    world.introduce(5, 1, true);
    assert_eq!(world.time(1000), [""; 0]);
}

#[test]
fn a_follower_that_does_not_acknowledge_is_sent_away() {
    let mut world = World::serving();
    world.propose(&[z(2, 1)]);
    for now_ms in (500..5000).step_by(500) {
        assert_eq!(world.time(now_ms), ["to 1: PING 0x200000001"]);
        world.packet(1, PacketType::Ping, z(2, 1), None);
    }
    assert_eq!(world.time(5000), ["dismiss 1 server Some(1): Unacknowledged"]);
}

#[test]
fn an_answer_to_no_ping_ends_the_connection() {
    let mut world = World::serving();
    assert_eq!(world.packet(1, PacketType::Ping, z(2, 0), None), ["dismiss 1 server Some(1): BadPacket"]);
}

#[test]
fn without_a_quorum_in_time_the_leader_gives_up() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    assert_eq!(world.leader.next_deadline_ms(&world.state), 10_000);
    assert_eq!(world.time(9999), [""; 0]);
    assert_eq!(world.time(10_000), ["leave: NoQuorum"]);
    // Each stage has its own time.
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    world.now_ms = 9000;
    world.introduce(1, 1, true);
    world.persisted();
    assert_eq!(world.time(18_999), [""; 0]);
    assert_eq!(world.time(19_000), ["dismiss 1 server Some(1): TooSlow", "leave: NoQuorum"]);
}

#[test]
fn pings_have_a_pause_however_short_a_tick_is() {
    let mut world = World::serving();
    world.state.rules.tick_ms = 1;
    world.time(500);
    assert_eq!(world.leader.next_deadline_ms(&world.state), 501);
}

#[test]
fn packets_that_are_not_allowed_end_the_connection() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    world.leader.on_connected(&world.state, 0, LearnerLink(1), &mut world.actions);
    assert_eq!(world.packet(1, PacketType::Ack, z(2, 0), None), ["dismiss 1 server None: BadPacket"]);
    // Epochs that nobody can have.
    for (link, zxid) in [(2, Zxid(-1)), (3, Zxid(i64::MAX))] {
        let told = world.introduce_as(link, true, zxid, Some(LearnerInfo::new(ServerId(1), 0)));
        assert_eq!(told, [format!("dismiss {link} server None: BadPacket")]);
    }
    world.introduce(4, 1, true);
    world.persisted();
    assert_eq!(world.packet(4, PacketType::AckEpoch, z(1, 1), Some(&[0])), ["dismiss 4 server Some(1): BadPacket"]);
}

#[test]
fn connections_are_bounded() {
    let mut world = World::new(z(1, 2), &[z(1, 2)]);
    for link in 0..=LEARNERS_MAX as u64 {
        world.leader.on_connected(&world.state, 0, LearnerLink(link), &mut world.actions);
    }
    assert_eq!(take(&mut world.actions), ["dismiss 1024 server None: TooMany"]);
}

#[test]
fn requests_and_questions_are_handed_on_once_the_learner_serves() {
    let mut world = World::serving();
    let packet = quorum_packet(PacketType::Request, Zxid(-1), Some(b"x"));
    let incoming = world.leader.on_packet(&mut world.state, 0, LearnerLink(1), packet.clone(), &mut world.actions);
    assert_eq!(incoming, Some(Incoming::Request(packet)));
    let packet = quorum_packet(PacketType::Revalidate, Zxid(-1), Some(b"x"));
    let incoming = world.leader.on_packet(&mut world.state, 0, LearnerLink(1), packet, &mut world.actions);
    assert_eq!(incoming, Some(Incoming::Revalidate(Bytes::from_static(b"x"))));
    world.time(500);
    let packet = quorum_packet(PacketType::Ping, z(2, 0), Some(b"x"));
    let incoming = world.leader.on_packet(&mut world.state, 0, LearnerLink(1), packet, &mut world.actions);
    assert_eq!(incoming, Some(Incoming::Touches(Bytes::from_static(b"x"))));
}
