//! What servers that have decided say, and how one that looks joins them.

use PeerState::{Following, Leading, Looking};
use Said::{Decided, To, VoterLooks};
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::{ServerId, Zxid};

use super::fixture::{RULES, Said, Server, THREE, words};
use crate::ensemble::EnsembleConfig;

/// `WorkerReceiver.run`: who does not look answers who does, and nobody else.
#[test]
fn answers_while_it_follows_or_leads() {
    let mut follower = Server::decided(2);
    assert_eq!(follower.hear(1, Looking, (1, 9, 9, 7)), [To(1, Following, (3, 0, 5, 1))]);
    assert_eq!(follower.hear(1, Following, (3, 0, 5, 1)), []);
    assert_eq!(follower.hear(3, Leading, (3, 0, 5, 1)), []);
    assert_eq!(follower.election.next_deadline_ms(), None);

    let mut leader = Server::decided(3);
    let told = leader.hear(1, Looking, (1, 0, 5, 7));
    assert_eq!(told, [VoterLooks(1), To(1, Leading, (3, 0, 5, 1))], "reportLookingSid");
    assert_eq!(leader.unreachable(1), []);
}

/// `updateElectionVote`: after synchronization the vote has the leader's epoch.
#[test]
fn tells_the_epoch_of_its_leader() {
    let mut follower = Server::decided(2);
    follower.election.on_epoch(4);
    assert_eq!(follower.hear(1, Looking, (1, 0, 5, 1)), [To(1, Following, (3, 4, 5, 1))]);
}

/// `receivedFollowingNotification`, outofelection: a quorum that follows, and the leader's own word.
#[test]
fn joins_a_running_ensemble() {
    let mut server = Server::new(1, THREE);
    server.look(2, 8);
    server.look(2, 8);
    // Members may tell different zxids and rounds (ZOOKEEPER-1805).
    assert_eq!(server.hear(2, Following, (3, 4, 5, 7)), []);
    assert_eq!(server.hear(3, Leading, (3, 4, 6, 9)), [Decided(Following, (3, 4, 6, 9))]);
    assert_eq!(server.election.round(), 9);

    let mut server = Server::looking(1);
    server.hear(3, Leading, (3, 4, 5, 9));
    assert_eq!(server.hear(2, Following, (3, 5, 5, 8)), [], "one of them has another epoch (ZOOKEEPER-1732)");
    assert_eq!(server.hear(2, Following, (3, 4, 5, 8)), [Decided(Following, (3, 4, 5, 8))]);

    // Of the same election, but one has taken over the new epoch already.
    let mut server = Server::looking(1);
    server.hear(3, Leading, (3, 5, 5, 9));
    assert_eq!(server.hear(2, Following, (3, 4, 5, 9)), [Decided(Following, (3, 4, 5, 9))]);
}

/// A list of members that was logged here and nowhere else came to nothing. Java's server waits for a quorum of it, which it
/// would be needed for itself.
#[test]
fn joins_those_who_know_nothing_of_a_newer_list() {
    let mut server = Server::new(1, THREE);
    let next = "server.1=a:1:2\nserver.3=c:1:2\nversion=20";
    assert!(server.membership.see(EnsembleConfig::parse(next, RULES).unwrap()));
    server.look(2, 8);
    assert_eq!(server.hear(2, Following, (3, 4, 5, 7)), []);
    assert_eq!(server.hear(3, Leading, (3, 4, 5, 7)), [Decided(Following, (3, 4, 5, 7))]);
}

/// `checkLeader`: what others believe of a leader is not enough, it may have crashed.
#[test]
fn does_not_join_a_leader_that_is_silent() {
    let five = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=10";
    let mut server = Server::new(1, five);
    server.look(0, 5);
    for from in [2, 3, 4] {
        assert_eq!(server.hear(from, Following, (5, 4, 5, 9)), [], "{from}");
    }
    assert_eq!(server.hear(5, Looking, (5, 4, 5, 1)).len(), 4, "it looks itself");
    assert_eq!(server.election.state(), Looking);
    assert_eq!(server.hear(5, Leading, (5, 4, 5, 9)), [Decided(Following, (5, 4, 5, 9))]);
}

/// Once somebody leads, the others are asked again soon: what they said may be from before.
#[test]
fn asks_again_when_there_is_a_leader() {
    let mut server = Server::looking(1);
    (0..5).for_each(|_| drop(server.timeout()));
    let next_ms = server.now_ms + 6_400;
    assert_eq!(server.election.next_deadline_ms(), Some(next_ms));
    server.hear(2, Following, (3, 0, 5, 7));
    assert_eq!(server.election.next_deadline_ms(), Some(next_ms));
    server.hear(3, Leading, (3, 4, 5, 8));
    assert_eq!(server.election.next_deadline_ms(), Some(server.now_ms + 200));
    assert_eq!(server.timeout().len(), 2);
    server.hear(3, Leading, (3, 4, 5, 8));
    assert_eq!(server.election.next_deadline_ms(), Some(server.now_ms + 400), "which is no news any more");
    assert_eq!(server.hear(2, Following, (3, 4, 5, 8)), [Decided(Following, (3, 4, 5, 8))]);
}

/// Votes of those who look and of those who have decided count together in one round.
#[test]
fn late_in_a_round() {
    let mut server = Server::looking(1);
    server.hear(3, Looking, (3, 0, 5, 1));
    assert_eq!(server.hear(2, Following, (3, 0, 5, 1)), [Decided(Following, (3, 0, 5, 1))], "all were heard");

    let mut server = Server::looking(1);
    assert_eq!(server.hear(2, Following, (3, 0, 5, 1)), [], "3 does not lead yet");
    assert_eq!(server.hear(3, Leading, (3, 0, 5, 1)), [Decided(Following, (3, 0, 5, 1))]);
}

/// `checkLeader`: if a quorum follows this server in its own round, it leads.
#[test]
fn is_the_leader_itself() {
    let mut server = Server::looking(3);
    assert_eq!(server.hear(1, Following, (3, 0, 5, 1)), [Decided(Leading, (3, 0, 5, 1))], "with its own vote");
    let mut server = Server::looking(3);
    server.look(0, 5);
    assert_eq!(server.hear(1, Following, (3, 0, 5, 1)), [], "in an earlier round");
    assert_eq!(server.hear(2, Following, (3, 0, 5, 1)), []);
}

/// A leader that is back at once is not made leader by those who have not noticed that it was gone: their votes
/// are for what it had before.
#[test]
fn a_leader_that_was_killed_is_no_leader() {
    let mut server = Server::new(3, THREE);
    server.look(1, 0x1_0000_0007);
    assert_eq!(server.hear(1, Following, (3, 1, 5, 1)), []);
    assert_eq!(server.hear(2, Following, (3, 1, 5, 1)), []);
    assert_eq!(server.election.state(), Looking);
    server.hear(1, Looking, (3, 1, 0x1_0000_0007, 2));
    let told = server.hear(2, Looking, (3, 1, 0x1_0000_0007, 2));
    assert_eq!(told, [Decided(Leading, (3, 1, 0x1_0000_0007, 2))], "once they have, it is");
}

/// Old forms have no epoch of their own, or one that cannot be compared (`Vote.equals`).
#[test]
fn old_forms() {
    let oldest = |state: i32, zxid: i64| {
        let mut message = Vec::from(state.to_be_bytes());
        for number in [3, zxid, 1] {
            message.extend(i64::to_be_bytes(number));
        }
        message
    };
    let mut server = Server::looking(1);
    assert_eq!(server.hear_bytes(2, &oldest(1, 0x4_0000_0001)), Some(vec![]));
    let told = server.hear(3, Leading, (3, 5, 5, 9));
    assert_eq!(told, [Decided(Following, (3, 5, 5, 9))], "epochs 4 and 5 count together");

    let mut server = Server::looking(1);
    let told = server.hear_bytes(3, &oldest(0, 0x4_0000_0001)).unwrap();
    assert_eq!(told[0], To(2, Looking, (3, 4, 0x4_0000_0001, 1)));
}

/// `QuorumPeer.updateVote` and `updateServerState`.
#[test]
fn a_designated_leader() {
    let mut follower = Server::decided(2);
    assert!(!follower.election.on_designated(ServerId(3), Zxid(9)));
    assert!(follower.election.on_designated(ServerId(2), Zxid(9)));
    assert_eq!(words(follower.election.current_vote()), (2, -1, 9, -1));
    assert_eq!(follower.election.resume(&follower.membership), Leading);
    let told = follower.hear(1, Looking, (1, 0, 5, 1));
    assert_eq!(told, [VoterLooks(1), To(1, Leading, (2, -1, 9, -1))]);

    let mut leader = Server::decided(3);
    leader.election.on_designated(ServerId(2), Zxid(9));
    assert_eq!(leader.election.resume(&leader.membership), Following);
    assert_eq!(leader.look(0, 9)[0], To(1, Looking, (3, 0, 9, 2)));
}
