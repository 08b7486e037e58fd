//! Observers that follow a follower (`observerMasterPort`), and leaders that serve no clients (`leaderServes=no`): with
//! members of either kind.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::body::Body;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::picture::metric;
use rookeeper_compat_tests::ensemble::{Ensemble, Mode, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::raw_client::{RawClient, Received};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Kind, PATIENCE, free_port};

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Flags of an ephemeral znode.
const EPHEMERAL: i32 = 1;

/// The members: followers, the leader, an observer.
const FOLLOWERS: [u8; 2] = [1, 2];
const LEADER: u8 = 3;
const OBSERVER: u8 = 4;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The follower that an observer is synchronized with, if there is one; it is never the leader.
fn master(ensemble: &Ensemble) -> Option<u8> {
    let has = |id: &u8| {
        let observers = metric(&ensemble.server(*id).ask("mntr").unwrap_or_default(), "zk_synced_observers");
        observers.is_some_and(|count| count > 0)
    };
    assert!(!has(&LEADER), "the leader has an observer");
    FOLLOWERS.into_iter().find(has)
}

/// The session of an observer's client is the ensemble's, whoever is between the two.
fn through_a_master(followers: Kind, leader: Kind, observer: Kind) {
    let kinds = [followers, followers, leader, observer];
    let roles = [Role::Participant, Role::Participant, Role::Participant, Role::Observer];
    let members: Vec<_> = kinds.into_iter().zip(roles).collect();
    let config = usual().key("observerMasterPort", &ok(free_port()).to_string());
    let mut ensemble = ok(Ensemble::prepare_with(&members, &config, None));
    for (starts, running) in [(&[2, LEADER][..], &[2, LEADER][..]), (&[1], &[1, 2, LEADER])] {
        for id in starts {
            ok(ensemble.launch(*id));
        }
        assert_eq!(ok(ensemble.settle_among(running)), LEADER);
    }
    let mut writer = ok(Client::open(&[ensemble.address(LEADER)], TIMEOUT_MS));
    for number in 0..20 {
        assert_eq!(ok(writer.insist(&make(format!("/before{number}"), "x"))).error, 0);
    }
    ok(ensemble.launch(OBSERVER));
    assert_eq!(ok(ensemble.settle()), LEADER);
    ok(until("a follower has the observer", || Ok(master(&ensemble).is_some())));

    let mut client = ok(Client::open(&[ensemble.address(OBSERVER)], TIMEOUT_MS));
    let session = client.session();
    assert_eq!(ok(client.insist(&make_as("/mine", EPHEMERAL))).error, 0);
    assert_eq!(ok(client.insist(&make("/a", "by the observer"))).error, 0);
    client.watch_data("/a").expect("an answer");
    assert_eq!(ok(writer.insist(&set("/a", Some(b"by the leader"), 0))).error, 0);
    let event = client.event(PATIENCE).expect("a session").expect("an event");
    assert_eq!((event.kind, &*event.path), (3, "/a"));
    // What the leader had committed is there behind a sync.
    for version in 1..20 {
        assert_eq!(ok(writer.insist(&set("/a", Some(b"again"), version))).error, 0);
        assert_eq!(ok(client.insist(&sync("/a"))).error, 0);
        assert_eq!(ok(ok(client.insist(&get("/a", false))).data()).1.version, version + 1);
    }
    // The session moves to another member and back, which the observer asks the leader for through its master.
    for id in [LEADER, OBSERVER, 1, OBSERVER, 2] {
        client.move_to(ensemble.address(id));
        assert_eq!(ok(client.insist(&exists("/mine", false))).error, 0);
        assert_eq!(client.session(), session, "the session at member {id}");
    }
    ok(ensemble.compare(&ensemble.ids()));

    // When its master goes, it finds the other one, and has what it missed.
    let before = master(&ensemble).expect("a master");
    ensemble.kill(before);
    assert_eq!(ok(writer.insist(&make("/meanwhile", ""))).error, 0);
    ok(until("another master", || Ok(master(&ensemble).is_some_and(|id| id != before))));
    ok(ensemble.launch(before));
    assert_eq!(ok(ensemble.settle()), LEADER);
    client.move_to(ensemble.address(OBSERVER));
    assert_eq!(ok(client.insist(&exists("/meanwhile", false))).error, 0);
    assert_eq!(client.session(), session);
    ok(client.close());
    ok(writer.close());
    ok(ensemble.compare(&ensemble.ids()));
}

/// How a client is received that wants a session.
fn received(ensemble: &Ensemble, id: u8) -> String {
    let mut client = RawClient::connect(ensemble.address(id)).expect("a connection");
    let hello = Body::new().int(0).long(0).int(TIMEOUT_MS).long(0).buffer(Some(&[0; 16])).boolean(false);
    client.send_frame(&hello.bytes(0)).expect("a connect request");
    match client.receive(PATIENCE) {
        Received::Frame(frame) => format!("{} bytes", frame.len()),
        other => format!("{other:?}"),
    }
}

/// A leader that has no time for clients; returns how it receives one, and what it tells operators.
fn serves_nobody(kinds: [Kind; 3]) -> (String, Option<String>) {
    let members = kinds.map(|kind| (kind, Role::Participant));
    let mut ensemble = ok(Ensemble::prepare_with(&members, &usual().key("leaderServes", "no"), None));
    for id in [2, LEADER] {
        ok(ensemble.launch(id));
    }
    let follows = |ensemble: &Ensemble, id| ok(until("a follower", || Ok(ensemble.mode(id) == Some(Mode::Follower))));
    follows(&ensemble, 2);
    ok(ensemble.launch(1));
    follows(&ensemble, 1);
    let mut client = ok(Client::open(&[ensemble.address(1)], TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/a", ""))).error, 0);
    let outcome = (received(&ensemble, LEADER), ensemble.server(LEADER).ask("srvr"));
    // Another one leads, and does not serve any more; who was with it goes elsewhere.
    ensemble.kill(LEADER);
    client.move_to(ensemble.address(2));
    client.move_to(ensemble.address(1));
    assert_eq!(ok(client.insist(&set("/a", Some(b"x"), 0))).error, 0);
    let modes = FOLLOWERS.map(|id| ensemble.mode(id));
    assert_eq!(modes.iter().flatten().count(), 1, "{modes:?}");
    ok(client.close());
    outcome
}

#[test]
fn observers_follow_a_follower_of_java() {
    through_a_master(Kind::Java, Kind::Java, subject_kind());
}

#[test]
fn observers_of_java_follow_our_follower() {
    through_a_master(subject_kind(), Kind::Java, Kind::Java);
}

#[test]
fn our_observers_follow_our_follower_of_our_leader() {
    through_a_master(subject_kind(), subject_kind(), subject_kind());
}

#[test]
fn observers_of_java_follow_a_follower_of_our_leader() {
    through_a_master(Kind::Java, subject_kind(), Kind::Java);
}

#[test]
fn a_leader_serves_nobody_as_with_java() {
    let reference = serves_nobody([Kind::Java; 3]);
    let subject = serves_nobody([Kind::Java, subject_kind(), subject_kind()]);
    assert_eq!(subject, reference);
}
