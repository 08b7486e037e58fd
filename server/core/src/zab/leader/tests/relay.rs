//! A follower that serves observers.

use super::*;

/// A follower in epoch 2 that has logged two records of it, the first of which is committed.
fn relaying() -> World {
    let mut state = state(1, z(2, 1), &[z(1, 2), z(2, 1), z(2, 2)]);
    state.epochs = Epochs { accepted: Epoch(2), current: Epoch(2) };
    let leader = Leader::relay(&state, 0, Epoch(2));
    World { state, leader, actions: Vec::new(), now_ms: 0 }
}

impl World {
    /// The leader has told that this is committed.
    fn relay(&mut self, zxid: Zxid, designated: Option<i64>) -> Vec<String> {
        self.leader.relay_commit(&self.state, zxid, designated.map(ServerId), &mut self.actions);
        self.state.history.commit(zxid);
        self.leader.serve_those_ahead(&self.state, self.now_ms, &mut self.actions);
        self.leader.validate(&self.state).unwrap();
        take(&mut self.actions)
    }

    fn logged(&mut self, zxid: Zxid) {
        self.state.history.append(record(zxid));
    }
}

/// `LearnerHandler` with an `ObserverMaster`.
#[test]
fn an_observer_of_a_follower_is_brought_along_and_told_what_is_committed() {
    let mut world = relaying();
    // The epoch is long found, and nobody else is waited for.
    assert_eq!(world.introduce(4, 4, false), ["to 4: LEADERINFO 0x200000000 [00010000]"]);
    assert_eq!(
        world.ack_epoch(4, Some(1), z(1, 2)),
        [
            "to 4: DIFF 0x200000001",
            "to 4: PROPOSAL 0x200000001",
            "to 4: COMMIT 0x200000001",
            "to 4: NEWLEADER 0x200000000 config",
        ]
    );
    // What is committed meanwhile follows.
    assert_eq!(world.relay(z(2, 2), None), ["to 4: INFORM 0x200000002"]);
    let up_to_date = ["to 4: UPTODATE 0xffffffffffffffff", "synchronized 4"];
    assert_eq!(world.packet(4, PacketType::Ack, z(2, 0), None), up_to_date);
    assert_eq!(world.packet(4, PacketType::Ack, z(2, 0), None), [""; 0]);
    world.logged(z(2, 3));
    world.logged(z(2, 4));
    assert_eq!(world.relay(z(2, 3), None), ["to 4: INFORM 0x200000003"]);
    // Twice in a tick it is asked for a sign of life; nobody asks for a quorum.
    assert_eq!(world.time(500), ["to 4: PING 0x200000003"]);
    assert_eq!(world.packet(4, PacketType::Ping, z(2, 3), Some(b"")), [""; 0]);
    assert_eq!(world.time(1000), ["to 4: PING 0x200000003"]);
    let told = world.relay(z(2, 4), Some(3));
    assert!(told[0].starts_with("to 4: INFORMANDACTIVATE 0x200000004 [0000000000000003"), "{told:?}");
    assert_eq!(told.len(), 1);
    assert_eq!(world.time(6000), ["dismiss 4 server Some(4): Silent"]);
}

#[test]
fn followers_are_sent_away_from_a_follower() {
    let mut world = relaying();
    assert_eq!(world.introduce(2, 2, true), ["dismiss 2 server None: BadPacket"]);
}

/// What another server has told an observer of this epoch is committed: it must not be taken back.
#[test]
fn an_observer_that_is_ahead_waits_for_its_master() {
    let mut world = relaying();
    world.introduce(4, 4, false);
    assert_eq!(world.ack_epoch(4, Some(2), z(2, 3)), [""; 0]);
    assert_eq!(world.relay(z(2, 2), None), [""; 0]);
    world.logged(z(2, 3));
    world.logged(z(2, 4));
    assert_eq!(world.relay(z(2, 3), None), ["to 4: DIFF 0x200000003", "to 4: NEWLEADER 0x200000000 config"]);
    assert_eq!(world.relay(z(2, 4), None), ["to 4: INFORM 0x200000004"]);
    // Here the leader is an old one, and nobody has noticed yet.
    world.introduce(5, 5, false);
    assert_eq!(world.ack_epoch(5, Some(3), z(3, 1)), [""; 0]);
}

/// A snapshot of Java's leaders is named after the beginning of their epoch, in which nothing need ever happen.
#[test]
fn an_observer_that_stands_at_the_epochs_beginning_waits_for_nothing() {
    let mut world = relaying();
    world.state.history = crate::zab::History::new(500, z(1, 2), z(1, 2), vec![record(z(1, 2))]);
    world.introduce(4, 4, false);
    assert_eq!(world.ack_epoch(4, Some(2), z(2, 0)), ["open snapshot for 4"]);
}

/// What an observer has of an older epoch and nobody has here was never agreed on.
#[test]
fn an_observer_that_strayed_is_cut() {
    let mut world = relaying();
    world.introduce(4, 4, false);
    assert_eq!(
        world.ack_epoch(4, Some(1), z(1, 3))[..1],
        ["open snapshot for 4"],
        "a cut never crosses the border of an epoch"
    );
    let mut world = relaying();
    world.state.history = crate::zab::History::new(500, z(1, 2), z(1, 2), vec![record(z(1, 1)), record(z(1, 2))]);
    world.introduce(4, 4, false);
    assert_eq!(world.ack_epoch(4, Some(1), z(1, 3))[0], "to 4: TRUNC 0x100000002");
}
