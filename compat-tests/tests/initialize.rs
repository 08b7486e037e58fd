//! Members whose data folder is empty and who were told not to trust that (`db.autocreate=false`): they vote for nobody until
//! a leader has filled them, or the file `initialize` says that nothing is missing.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::synchronized::Way;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::Kind;

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn prepare(kinds: &[Kind]) -> Ensemble {
    let members: Vec<_> = kinds.iter().map(|kind| (*kind, Role::Participant)).collect();
    ok(Ensemble::prepare_with(&members, &usual().key("db.autocreate", "false"), None))
}

/// Says that an empty member may vote, which holds for one start.
fn initialize(ensemble: &Ensemble, id: u8) {
    std::fs::write(ensemble.server(id).data_folder().join("initialize"), "").expect("a file");
}

fn is_told(ensemble: &Ensemble, id: u8) -> bool {
    ensemble.server(id).data_folder().join("initialize").exists()
}

/// Two members that know nothing find no leader in a time in which two others do.
fn nobody_leads(kinds: [Kind; 2]) {
    let mut ensemble = prepare(&kinds);
    ok(ensemble.launch_all());
    let others = ok(Ensemble::start(&kinds));
    assert_eq!([1, 2].map(|id| ensemble.mode(id)), [None, None]);
    drop(others);
    for (id, kind) in [(1, kinds[0]), (2, kinds[1])] {
        ensemble.kill(id);
        if kind == Kind::Java {
            // It has noted epoch -1, with which it does not start as anything else.
            ok(ensemble.wipe(id));
        }
        initialize(&ensemble, id);
        ok(ensemble.launch(id));
    }
    assert_eq!(ok(ensemble.settle()), 2);
    assert_eq!([1, 2].map(|id| is_told(&ensemble, id)), [false, false]);
    // From now on they are members as all others.
    for id in [1, 2] {
        ensemble.kill(id);
        ok(ensemble.launch(id));
    }
    ok(ensemble.settle());
}

/// The third member knows nothing, and joins the others; later two of them lose what they had.
fn data_are_kept(kinds: [Kind; 3]) {
    let mut ensemble = prepare(&kinds);
    for id in [1, 2] {
        initialize(&ensemble, id);
        ok(ensemble.launch(id));
    }
    assert_eq!(ok(ensemble.settle_among(&[1, 2])), 2);
    let mut client = ok(Client::open(&[ensemble.address(2), ensemble.address(1)], TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/a", "before"))).error, 0);
    let mark = ensemble.mark(2, 3);
    ok(ensemble.launch(3));
    assert_eq!(ok(ensemble.settle()), 2);
    assert!(matches!(ok(ensemble.way_since(mark)), None | Some(Way::Snap)));
    ok(ensemble.compare(&[1, 2, 3]));
    // It has a vote now, and what it needs to lead.
    ensemble.kill(2);
    assert_eq!(ok(ensemble.settle_among(&[1, 3])), 3);
    assert_eq!(ok(client.insist(&make("/b", "after"))).error, 0);
    ok(ensemble.launch(2));
    ok(ensemble.settle());

    (1..=3).for_each(|id| ensemble.kill(id));
    [1, 2].into_iter().for_each(|id| ok(ensemble.wipe(id)));
    // One of the two is to begin with nothing; what the third one has is what the ensemble has.
    initialize(&ensemble, 1);
    (1..=3).for_each(|id| ok(ensemble.launch(id)));
    assert_eq!(ok(ensemble.settle()), 3);
    client.move_to(ensemble.address(1));
    for path in ["/a", "/b"] {
        assert_eq!(ok(client.insist(&exists(path, false))).error, 0, "{path}");
    }
    ok(client.close());
    ok(ensemble.compare(&[1, 2, 3]));
}

#[test]
fn empty_members_elect_nobody() {
    nobody_leads([subject_kind(); 2]);
}

#[test]
fn empty_members_of_both_kinds_elect_nobody() {
    nobody_leads([Kind::Java, subject_kind()]);
}

#[test]
fn an_empty_member_takes_nothing_back() {
    data_are_kept([subject_kind(); 3]);
}

#[test]
fn an_empty_member_of_java_joins_our_leader() {
    data_are_kept([subject_kind(), subject_kind(), Kind::Java]);
}

#[test]
fn an_empty_member_joins_a_leader_of_java() {
    data_are_kept([Kind::Java, Kind::Java, subject_kind()]);
}
