//! Members whose ports for other members change by `reconfig` while they run: elections and learners find them there, and
//! nobody at the old places.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use std::net::{SocketAddr, TcpStream};

use rookeeper_compat_tests::body::Text;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::Kind;

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Whatever the present list is.
const ANY: i64 = -1;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// The list in force gets a member's present line.
fn tell(ensemble: &Ensemble, through: u8, id: u8) {
    let mut control = ok(ControlClient::connect(ensemble.address(through)));
    let (error, _) = ok(control.call(&reconfig(ensemble.line(id), Text::Null, Text::Null, ANY)));
    assert_eq!(error, 0, "{}", ensemble.line(id));
    ok(control.close());
}

/// Member 3 leads. Member 1 moves its election port, member 2 both, one after the other.
fn moves(kinds: [Kind; 3]) {
    let members = kinds.map(|kind| (kind, Role::Participant));
    let mut ensemble = ok(Ensemble::prepare_dynamic(&members, &usual().key("reconfigEnabled", "true")));
    for id in [2, 3, 1] {
        ok(ensemble.launch(id));
        if id == 3 {
            ok(ensemble.settle_among(&[2, 3]));
        }
    }
    assert_eq!(ok(ensemble.settle()), 3);
    let mut client = ok(Client::open(&ensemble.addresses(), TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/a", ""))).error, 0);
    for id in [1, 2] {
        let left = ensemble.election_address(id);
        ok(ensemble.moves_elections(id));
        tell(&ensemble, 3, id);
        ok(ensemble.settle());
        ok(until("the new election port is open", || Ok(is_open(ensemble.election_address(id)))));
        ok(until("the old election port is closed", || Ok(!is_open(left))));
    }
    let left = ensemble.learner_address(2);
    ok(ensemble.moves_learners(2));
    tell(&ensemble, 1, 2);
    assert_eq!(ok(ensemble.settle()), 3);

    // The two find each other at the new places, where alone they are.
    ensemble.kill(3);
    assert_eq!(ok(ensemble.settle_among(&[1, 2])), 2);
    assert!(is_open(ensemble.learner_address(2)) && !is_open(left), "the learner port");
    assert_eq!(ok(client.insist(&set("/a", Some(b"x"), -1))).error, 0);
    // Whoever missed nothing of it finds them too, and so do they after a start.
    ok(ensemble.launch(3));
    ok(ensemble.settle());
    for id in [1, 2] {
        ok(ensemble.terminate(id));
        ok(ensemble.launch(id));
        ok(ensemble.settle());
    }
    assert_eq!(ok(client.insist(&set("/a", Some(b"y"), -1))).error, 0);
    ok(client.close());
    ok(ensemble.compare(&[1, 2, 3]));
}

#[test]
fn members_move_their_ports() {
    moves([subject_kind(); 3]);
}

#[test]
fn members_move_their_ports_under_a_leader_of_java() {
    moves([subject_kind(), subject_kind(), Kind::Java]);
}

#[test]
fn a_member_of_java_moves_its_ports_under_our_leader() {
    moves([subject_kind(), Kind::Java, subject_kind()]);
}
