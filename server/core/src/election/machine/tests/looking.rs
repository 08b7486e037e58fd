//! Rounds, votes and waits of a server that looks for a leader.

use PeerState::{Following, Leading, Looking, Observing};
use Said::{Decided, To};
use rookeeper_protocol::peer::PeerState;

use super::fixture::{RULES, Said, Server, THREE, vote, words};
use crate::election::{Election, FINALIZE_WAIT_MS, Standing, Timing};
use crate::ensemble::{EnsembleConfig, Membership, Role};
use rookeeper_protocol::types::{ServerId, Zxid};

/// `lookForLeader`: the round is one more than the last, the vote its own, and everybody hears it.
#[test]
fn begins_with_its_own_vote() {
    let mut server = Server::new(2, THREE);
    assert_eq!(server.look(1, 7), [To(1, Looking, (2, 1, 7, 1)), To(3, Looking, (2, 1, 7, 1))]);
    assert_eq!(server.look(1, 8), [To(1, Looking, (2, 1, 8, 2)), To(3, Looking, (2, 1, 8, 2))]);
    assert_eq!((server.election.state(), server.election.round()), (Looking, 2));
}

/// `fastleader.minNotificationInterval` and `fastleader.maxNotificationInterval`: each wait is twice the one before.
#[test]
fn repeats_its_vote_after_longer_and_longer_waits() {
    let waits = |interval_ms_min, interval_ms_max| {
        let mut server = Server::new(2, THREE);
        let standing = Standing { zxid: Zxid(0), epoch: 0 };
        let timing = Timing { interval_ms_min, interval_ms_max };
        server.election = Election::new(ServerId(2), standing, timing);
        server.look(0, 5);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let due_ms = server.election.next_deadline_ms().unwrap();
            waits.push(due_ms - server.now_ms);
            server.now_ms = due_ms;
            let mut out = Vec::new();
            server.election.on_timeout(due_ms, &server.membership, &mut out);
            assert_eq!(out.len(), 2, "both others are told");
        }
        waits
    };
    assert_eq!(waits(200, 60_000), [200, 400, 800, 1600, 3200]);
    assert_eq!(waits(5, 40), [5, 10, 20, 40, 40]);
    // As in Java the first wait is not bounded by the longest.
    assert_eq!(waits(100, 30), [100, 30, 30, 30, 30]);
}

/// A better vote is taken over and told to all; the same one is not answered.
#[test]
fn takes_over_a_better_vote() {
    let mut server = Server::looking(2);
    let told = server.hear(3, Looking, (3, 0, 5, 1));
    assert_eq!(told, [To(1, Looking, (3, 0, 5, 1)), To(3, Looking, (3, 0, 5, 1))]);
    assert_eq!(server.hear(3, Looking, (3, 0, 5, 1)), []);
}

/// A worse vote is answered with the better one; Java answers it at the next repetition only.
#[test]
fn answers_a_worse_vote() {
    let mut server = Server::looking(2);
    assert_eq!(server.hear(1, Looking, (1, 0, 5, 1)), [To(1, Looking, (2, 0, 5, 1))]);
    assert_eq!(server.hear(3, Looking, (3, 0, 4, 1)), [To(3, Looking, (2, 0, 5, 1))]);
}

/// `lookForLeader`: in a newer round all begins anew, with the better of its own vote and the one heard.
#[test]
fn a_newer_round() {
    let mut server = Server::looking(2);
    server.hear(3, Looking, (3, 0, 5, 1));
    let told = server.hear(1, Looking, (1, 0, 5, 9));
    assert_eq!(told, [To(1, Looking, (2, 0, 5, 9)), To(3, Looking, (2, 0, 5, 9))], "3 has not voted in this round");
    let told = server.hear(1, Looking, (3, 1, 1, 12));
    assert_eq!(told, [To(1, Looking, (3, 1, 1, 12)), To(3, Looking, (3, 1, 1, 12))]);
}

/// An older round is answered with the vote of this one, and does not count (`WorkerReceiver.run`).
#[test]
fn an_older_round() {
    let mut server = Server::looking(2);
    server.look(0, 5);
    assert_eq!(server.hear(3, Looking, (3, 9, 9, 1)), [To(3, Looking, (2, 0, 5, 2))]);
    assert_eq!(server.hear(1, Looking, (2, 0, 5, 1)), [To(1, Looking, (2, 0, 5, 2))], "no quorum from two rounds");
    assert_eq!(server.election.state(), Looking);
}

/// With all voters heard the best vote is known, although one of them has not changed over yet.
#[test]
fn decides_at_once_when_all_were_heard() {
    let mut server = Server::looking(3);
    server.hear(1, Looking, (1, 0, 5, 1));
    assert_eq!(server.hear(2, Looking, (3, 0, 5, 1)), [Decided(Leading, (3, 0, 5, 1))]);
    assert_eq!(server.election.next_deadline_ms(), None);
    assert_eq!(words(server.election.current_vote()), (3, 0, 5, 1));

    let mut server = Server::looking(1);
    server.hear(3, Looking, (3, 0, 5, 1));
    assert_eq!(server.hear(2, Looking, (3, 0, 5, 1)), [Decided(Following, (3, 0, 5, 1))]);
}

/// `finalizeWait`: a quorum waits for those who were not heard.
#[test]
fn waits_for_the_unheard() {
    let mut server = Server::looking(1);
    server.now_ms = 30;
    assert_eq!(server.hear(2, Looking, (2, 0, 5, 1)).len(), 2);
    assert_eq!(server.election.next_deadline_ms(), Some(30 + FINALIZE_WAIT_MS));
    server.now_ms = 229;
    assert_eq!(server.timeout_now(), []);
    assert_eq!(server.timeout(), [Decided(Following, (2, 0, 5, 1))]);
    assert_eq!(server.timeout_now(), [], "it is over");
}

/// A better vote during the wait ends it, a worse or a repeated one does not prolong it.
#[test]
fn the_wait_ends_with_a_better_vote() {
    let mut server = Server::looking(1);
    server.hear(2, Looking, (2, 0, 5, 1));
    server.now_ms = 100;
    assert_eq!(server.hear(2, Looking, (2, 0, 5, 1)), []);
    assert_eq!(server.election.next_deadline_ms(), Some(FINALIZE_WAIT_MS));
    let told = server.hear(3, Looking, (3, 0, 5, 1));
    assert_eq!(told[..2], [To(2, Looking, (3, 0, 5, 1)), To(3, Looking, (3, 0, 5, 1))]);
    assert_eq!(told[2..], [Decided(Following, (3, 0, 5, 1))], "2 and 3 were heard, and 1 and 3 agree");

    let five = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=10";
    let mut server = Server::new(1, five);
    server.look(0, 5);
    server.hear(2, Looking, (2, 0, 5, 1));
    server.hear(3, Looking, (2, 0, 5, 1));
    assert_eq!(server.election.next_deadline_ms(), Some(FINALIZE_WAIT_MS));
    server.now_ms = 50;
    assert_eq!(server.hear(4, Looking, (4, 0, 5, 1)).len(), 4);
    assert_eq!(server.election.next_deadline_ms(), Some(250), "no quorum any more; the vote is repeated then");
}

/// Nobody waits for a voter that cannot be reached.
#[test]
fn does_not_wait_for_the_unreachable() {
    let mut server = Server::looking(1);
    server.hear(2, Looking, (2, 0, 5, 1));
    assert_eq!(server.unreachable(3), [Decided(Following, (2, 0, 5, 1))]);

    let mut server = Server::looking(2);
    assert_eq!(server.unreachable(3), [], "no quorum yet");
    assert_eq!(server.unreachable(77), [], "nobody knows 77");
    assert_eq!(server.hear(1, Looking, (2, 0, 5, 1)), [Decided(Leading, (2, 0, 5, 1))]);

    let mut server = Server::looking(2);
    server.unreachable(3);
    server.election.on_connected(ServerId(3));
    assert_eq!(server.hear(1, Looking, (2, 0, 5, 1)), [], "it is back");
    assert_eq!(server.look(0, 5).len(), 2);
    server.unreachable(3);
    server.look(0, 5);
    assert_eq!(server.hear(1, Looking, (2, 0, 5, 3)), [], "it may be back in another election");
}

/// The pause between repetitions doubles (`notTimeout`).
#[test]
fn repeats_its_vote() {
    let mut server = Server::looking(2);
    let mut pauses = Vec::new();
    for _ in 0..11 {
        let before_ms = server.now_ms;
        assert_eq!(server.timeout(), [To(1, Looking, (2, 0, 5, 1)), To(3, Looking, (2, 0, 5, 1))]);
        pauses.push(server.now_ms - before_ms);
    }
    assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
    server.look(0, 5);
    assert_eq!(server.election.next_deadline_ms(), Some(server.now_ms + 200), "the first pause again");
}

/// `getInitLastLoggedZxid() == -1`, `n.zxid == -1`: incomplete data neither vote nor are voted for.
#[test]
fn unknown_data() {
    let mut server = Server::new(2, THREE);
    assert_eq!(server.look(0, -1).len(), 2);
    assert_eq!(server.hear(1, Looking, (2, 0, -1, 1)), []);
    assert_eq!(server.hear(3, Looking, (3, 0, 5, 1)), []);
    assert_eq!(server.hear(1, Looking, (3, 0, 5, 1)), []);
    assert_eq!(server.hear(1, Looking, (3, 0, 5, 0)), [To(1, Looking, (2, 0, -1, 1))], "older rounds are answered");
    assert_eq!(server.election.state(), Looking);

    let mut server = Server::looking(2);
    assert_eq!(server.hear(3, Looking, (3, 7, -1, 1)), []);
    assert_eq!(server.hear(3, Looking, (3, 7, -1, 4)), []);
    assert_eq!((server.election.state(), server.election.round()), (Looking, 1));
}

/// An ensemble of one (`standaloneEnabled=false`) needs nobody.
#[test]
fn one_alone() {
    let mut server = Server::new(4, "server.4=d:1:2\nversion=0");
    assert_eq!(server.look(2, 9), [Decided(Leading, (4, 2, 9, 1))]);
}

/// `totalOrderPredicate`: whose votes weigh nothing is not elected, and does not insist.
#[test]
fn without_weight() {
    let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\ngroup.1=1:2:3\nweight.3=0\nversion=10";
    let mut server = Server::new(1, text);
    server.look(0, 5);
    assert_eq!(server.hear(3, Looking, (3, 0, 9, 1)), [To(3, Looking, (1, 0, 5, 1))], "no better vote");
    assert_eq!(server.hear(2, Looking, (2, 0, 5, 1)).last(), Some(&Decided(Following, (2, 0, 5, 1))));
    let mut server = Server::new(3, text);
    server.look(0, 9);
    assert_eq!(server.hear(2, Looking, (2, 0, 5, 1)), [1, 2].map(|to| To(to, Looking, (2, 0, 5, 1))));
    assert_eq!(server.hear(1, Looking, (2, 0, 5, 1)), [Decided(Following, (2, 0, 5, 1))]);
}

/// `WorkerReceiver.run`: who has no vote is answered at once, with what was decided last.
#[test]
fn answers_those_without_a_vote() {
    let text = format!("{THREE}\nserver.4=d:1:2:observer");
    let mut server = Server::new(2, &text);
    server.look(1, 7);
    server.hear(3, Looking, (3, 1, 7, 1));
    let observer = (i64::MIN, i64::MIN, i64::MIN, 1);
    assert_eq!(server.hear(4, Looking, observer), [To(4, Looking, (2, 0, 0, 1))], "itself, as it started");
    assert_eq!(server.hear(99, Following, (1, 0, 0, 0)), [To(99, Looking, (2, 0, 0, 1))], "whatever it says");
    let told = server.hear(1, Looking, (3, 1, 7, 1));
    let end = (3, 1, 7, 1);
    assert_eq!(told, [Decided(Following, end), To(4, Following, end), To(99, Following, end)], "they were waiting");
    server.now_ms += 200;
    assert_eq!(server.hear(4, Looking, observer), [To(4, Following, (3, 1, 7, 1))]);
}

/// Two servers of which neither takes the other for a voter would answer each other's answers for ever.
#[test]
fn those_without_a_vote_hear_no_more_than_they_would_ask() {
    let own = |id: i64| format!("server.{id}=a:1:2\nserver.3=c:1:2\nversion=10");
    let mut pair = [1, 2].map(|id| Server::new(id, &own(id)));
    pair.iter_mut().for_each(|server| assert_eq!(server.look(0, 5).len(), 1, "only voters are asked"));
    for asked in 1..=3 {
        let mut said = pair[0].hear(2, Looking, (2, 0, 5, 1));
        let mut answers = 0;
        while let [To(to, Looking, vote)] = said[..] {
            answers += 1;
            assert!(answers < 10, "they go on answering each other");
            said = pair[to as usize - 1].hear(3 - to, Looking, vote);
        }
        assert_eq!((said, answers), (vec![], 2), "time {asked}");
        pair.iter_mut().for_each(|server| server.now_ms += 200);
    }
}

/// One that was answered just before an election begins hears how it ends, all the same.
#[test]
fn whoever_asks_twice_hears_the_decision() {
    let mut server = Server::decided(2);
    assert_eq!(server.hear(4, Looking, (4, 0, 0, 1)).len(), 1);
    server.look(0, 5);
    assert_eq!(server.hear(4, Looking, (4, 0, 0, 1)), [], "not so soon");
    server.hear(3, Looking, (3, 0, 5, 2));
    let end = (3, 0, 5, 2);
    assert_eq!(server.hear(1, Looking, end), [Decided(Following, end), To(4, Following, end)]);
}

/// Nobody can make a server remember everybody.
#[test]
fn not_more_without_a_vote_than_there_is_room_for() {
    let mut server = Server::looking(1);
    let answered = |server: &mut Server, from: i64| server.hear(from, Looking, (from, 0, 5, 1)).len();
    assert_eq!((1000..1300).map(|from| answered(&mut server, from)).sum::<usize>(), 256);
    let told = server.hear(3, Following, (3, 0, 5, 1)).len() + server.hear(3, Leading, (3, 0, 5, 1)).len();
    assert_eq!(told, 0);
    let told = server.hear(2, Following, (3, 0, 5, 1));
    assert_eq!(told.len(), 1 + 256, "{told:?}");
    assert_eq!(answered(&mut server, 1299), 0, "the others were asked for just now");
    server.now_ms += 200;
    assert_eq!(answered(&mut server, 1299), 1);
}

/// An observer elects with the others, but its own vote is less than any.
#[test]
fn an_observer() {
    let mut server = Server::new(4, &format!("{THREE}\nserver.4=d:1:2:observer"));
    let nobody = (i64::MIN, i64::MIN, i64::MIN, 1);
    assert_eq!(server.look(3, 9), [1, 2, 3].map(|to| To(to, Looking, nobody)));
    assert_eq!(server.hear(1, Looking, (2, 0, 5, 1)), [1, 2, 3].map(|to| To(to, Looking, (2, 0, 5, 1))));
    assert_eq!(server.hear(4, Looking, nobody), [], "not even from itself");
    assert_eq!(server.hear(3, Observing, (2, 0, 5, 1)), [], "an observer's decision is no vote");
    assert_eq!(server.hear(2, Looking, (2, 0, 5, 1)), []);
    assert_eq!(server.timeout(), [Decided(Observing, (2, 0, 5, 1))]);
}

/// A list under way may need the vote of one that is an observer still: it follows, so that its acknowledgements count.
#[test]
fn an_observer_that_is_to_vote_follows() {
    let text = format!("{THREE}\nserver.4=d:1:2:observer");
    let mut server = Server::new(4, &text);
    let next = "server.3=c:1:2\nserver.4=d:1:2\nversion=20";
    assert!(server.membership.see(EnsembleConfig::parse(next, RULES).unwrap()));
    server.look(0, 5);
    server.hear(2, Following, (3, 0, 5, 1));
    assert_eq!(server.hear(3, Leading, (3, 0, 5, 1)).last(), Some(&Decided(Following, (3, 0, 5, 1))));
    assert_eq!(server.membership.role(), Role::Observer);
}

/// Messages that are none, or that no state has, are passed over.
#[test]
fn nonsense() {
    let mut server = Server::looking(2);
    assert_eq!(server.hear_bytes(1, &[0; 27]), None);
    assert_eq!(server.hear_bytes(1, &[0; 39]), None);
    let mut message = [0; 28];
    message[3] = 4;
    assert_eq!(server.hear_bytes(1, &message), Some(vec![]));
    assert_eq!(server.hear(1, Looking, (99, 9, 9, 1)), [], "nobody knows 99");
    assert_eq!(server.hear(1, Looking, (99, 9, 9, 0)), [To(1, Looking, (2, 0, 5, 1))]);
    assert_eq!(server.hear(1, Looking, (3, i64::MAX, i64::MAX, i64::MAX)).len(), 2);
    assert_eq!(server.look(0, 5)[0], To(1, Looking, (2, 0, 5, i64::MIN)), "Java's round goes round as well");
    assert_eq!(vote((2, 0, 5, 1)).rank(), vote((2, 0, 5, 7)).rank());
}

/// While a new list is under way, its voters count and are heard as well, and a leader needs both quorums.
#[test]
fn two_lists_at_once() {
    let mut server = Server::new(1, THREE);
    let next = "server.1=a:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=20";
    assert!(server.membership.see(EnsembleConfig::parse(next, RULES).unwrap()));
    assert_eq!(server.look(0, 5), [2, 3, 4, 5].map(|to| To(to, Looking, (1, 0, 5, 1))));
    server.hear(2, Looking, (1, 0, 5, 1));
    assert_eq!(server.election.next_deadline_ms(), Some(200));
    server.unreachable(3);
    server.unreachable(5);
    assert_eq!(server.election.state(), Looking, "a quorum of the old list only");
    assert_eq!(server.hear(4, Looking, (1, 0, 5, 1)), [Decided(Leading, (1, 0, 5, 1))]);

    // One that only the new list has does not stand for election, but its vote counts there (`getInitId`).
    let mut server = Server::new(4, THREE);
    server.membership.see(EnsembleConfig::parse(next, RULES).unwrap());
    assert_eq!(server.look(0, 5)[0], To(1, Looking, (i64::MIN, 0, 5, 1)));
    assert_eq!(server.hear(1, Looking, (1, 0, 5, 1)).len(), 4);
    server.hear(2, Looking, (1, 0, 5, 1));
    server.unreachable(3);
    assert_eq!(server.unreachable(5), [Decided(Following, (1, 0, 5, 1))], "1 and 2, and 1 and 4");
}

/// A server that no list names follows whom the others elect, and nobody counts it.
#[test]
fn not_in_the_list() {
    let mut server = Server::new(9, THREE);
    assert_eq!(server.look(0, 5)[2], To(3, Looking, (i64::MIN, 0, 5, 1)));
    server.hear(2, Looking, (3, 0, 5, 1));
    server.hear(3, Looking, (3, 0, 5, 1));
    assert_eq!(server.hear(1, Looking, (3, 0, 5, 1)), [Decided(Following, (3, 0, 5, 1))]);
    let membership: &Membership = &server.membership;
    assert!(!membership.voters().contains(&ServerId(9)));
}
