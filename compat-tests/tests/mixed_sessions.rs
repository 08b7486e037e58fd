//! Sessions that move between members of both kinds, with their ephemeral znodes and watches.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use std::time::{Duration, Instant};

use rookeeper_compat_tests::client::{Client, Event};
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::Ensemble;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Kind, PATIENCE, POLL};

/// Longer than the test takes.
const LONG_MS: i32 = 60_000;

/// Two ticks, the shortest that servers of these tests allow.
const SHORT_MS: i32 = 1000;

/// Flags of an ephemeral znode.
const EPHEMERAL: i32 = 1;

/// How long an event may take.
const EVENT: Duration = Duration::from_secs(20);

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The owner of a znode as each member tells it, once it has caught up; 0 where it is not there.
fn owners(ensemble: &Ensemble, path: &str) -> Vec<i64> {
    let owner = |id| {
        let mut client = ok(Client::open(&[ensemble.address(id)], LONG_MS));
        ok(client.insist(&sync(path)));
        let reply = ok(client.insist(&get(path, false)));
        let owner = if reply.error == 0 { ok(reply.data()).1.ephemeral_owner } else { 0 };
        ok(client.close());
        owner
    };
    ensemble.ids().into_iter().map(owner).collect()
}

/// A session goes round all members; at each stop another member changes what it watches.
fn moves(kinds: [Kind; 3]) {
    let mut ensemble = ok(Ensemble::start(&kinds));
    let ids = ensemble.ids();
    let mut client = ok(Client::open(&[ensemble.address(1)], LONG_MS));
    let session = client.session();
    for path in ["/data", "/parent"] {
        ok(client.insist(&make(path, "")));
    }
    ok(client.insist(&make_as("/mine", EPHEMERAL)));
    for (round, id) in ids.iter().cycle().skip(1).take(4).enumerate() {
        let comes = format!("/comes{round}");
        client.watch_data("/data").expect("data");
        client.watch_children("/parent").expect("children");
        assert!(!client.watch_exists(&comes).expect("an answer"));
        // One change while the client is between two servers, the others when it is at the new one.
        let elsewhere = ids.iter().find(|other| *other != id).copied().unwrap_or(1);
        let mut other = ok(Client::open(&[ensemble.address(elsewhere)], LONG_MS));
        client.move_to(ensemble.address(*id));
        assert_eq!(ok(other.insist(&set("/data", Some(b"x"), -1))).error, 0);
        client.connect(PATIENCE).expect("the session moves");
        assert_eq!(client.session(), session, "the session did not move to member {id}");
        let event = client.event(EVENT).expect("a session");
        assert_eq!(event, Some(Event { kind: 3, path: "/data".to_owned() }), "at member {id}");
        assert_eq!(ok(other.insist(&make(format!("/parent/{round}"), ""))).error, 0);
        let event = client.event(EVENT).expect("a session");
        assert_eq!(event, Some(Event { kind: 4, path: "/parent".to_owned() }), "at member {id}");
        assert_eq!(ok(other.insist(&make(&comes, ""))).error, 0);
        let event = client.event(EVENT).expect("a session");
        assert_eq!(event, Some(Event { kind: 1, path: comes }), "at member {id}");
        ok(other.close());
        assert_eq!(owners(&ensemble, "/mine"), [session; 3], "the owner after the move to member {id}");
    }
    ok(ensemble.compare(&ids));

    // The session outlives the server that it was opened with, and the leader.
    for id in ids.iter().rev() {
        ensemble.kill(*id);
        ok(ensemble.settle());
        client.move_to(ensemble.address(ids.iter().copied().find(|other| other != id).unwrap_or(1)));
        client.connect(PATIENCE).expect("the session moves");
        assert_eq!(client.session(), session, "the session is lost with member {id}");
        ok(ensemble.launch(*id));
        ok(ensemble.settle());
        assert_eq!(owners(&ensemble, "/mine"), [session; 3], "the owner after the loss of member {id}");
    }
    ok(client.close());
    assert_eq!(owners(&ensemble, "/mine"), [0; 3], "the session is closed and its znode is there");
    ok(ensemble.compare(&ids));
}

/// A session whose client is gone ends, whichever member it was with, and everyone loses its znode.
fn expires(kinds: [Kind; 3]) {
    let ensemble = ok(Ensemble::start(&kinds));
    for id in ensemble.ids() {
        let path = format!("/of{id}");
        let mut client = ok(Client::open(&[ensemble.address(id)], SHORT_MS));
        assert_eq!(ok(client.insist(&make_as(&path, EPHEMERAL))).error, 0);
        drop(client);
        let end = Instant::now() + PATIENCE;
        while owners(&ensemble, &path) != [0; 3] {
            assert!(Instant::now() < end, "{path} outlives its session");
            std::thread::sleep(POLL);
        }
    }
    // A session with a client stays, whichever member it is with.
    let mut clients: Vec<_> =
        ensemble.addresses().iter().map(|address| ok(Client::open(&[*address], SHORT_MS))).collect();
    let end = Instant::now() + Duration::from_millis(4 * SHORT_MS as u64);
    while Instant::now() < end {
        for client in &mut clients {
            // Listens, and pings.
            assert_eq!(client.event(Duration::from_millis(100)), Ok(None));
        }
    }
    for client in &mut clients {
        assert_eq!(client.moves(), 1, "a connection was lost");
        assert_eq!(ok(client.insist(&make(format!("/by{:x}", client.session()), ""))).error, 0);
    }
    ok(ensemble.compare(&ensemble.ids()));
}

#[test]
fn sessions_move_under_javas_leader() {
    moves([subject_kind(), subject_kind(), Kind::Java]);
}

#[test]
fn sessions_move_under_our_leader() {
    moves([Kind::Java, Kind::Java, subject_kind()]);
}

#[test]
fn sessions_expire_under_javas_leader() {
    expires([subject_kind(), Kind::Java, Kind::Java]);
}

#[test]
fn sessions_expire_under_our_leader() {
    expires([Kind::Java, subject_kind(), subject_kind()]);
}
