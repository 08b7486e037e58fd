//! The recipes of OPERATIONS.md for the worst day, as they are written there: a majority that is lost with its disks comes
//! back from what remains, under the same list or one of its own, and members and ensembles come back from copies. All that
//! was acknowledged, and that the survivor or the copy had, is there.

use rookeeper_compat_tests::body::Text;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Config, Kind};
use rookeeper_protocol::types::ErrorCode;

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Whatever the present list is.
const ANY: i64 = -1;

/// Znodes that are made at a time.
const ZNODES: usize = 50;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Makes znodes with this name through a member, and sees them there.
fn write(ensemble: &Ensemble, through: u8, name: &str) {
    let mut client = ok(Client::open(&[ensemble.address(through)], TIMEOUT_MS));
    for number in 0..ZNODES {
        assert_eq!(ok(client.insist(&make(format!("/{name}{number}"), name))).error, 0, "{name}{number}");
    }
    ok(client.close());
}

/// Whether all of the znodes with this name are at a member, or none.
fn assert_there(ensemble: &Ensemble, at: u8, name: &str, there: bool) {
    let mut client = ok(Client::open(&[ensemble.address(at)], TIMEOUT_MS));
    for number in 0..ZNODES {
        let reply = ok(client.insist(&get(format!("/{name}{number}"), false)));
        let wanted = if there { 0 } else { ErrorCode::NoNode.number() };
        assert_eq!(reply.error, wanted, "{name}{number} at member {at}");
        if there {
            assert_eq!(ok(reply.data()).0, name.as_bytes());
        }
    }
    ok(client.close());
}

/// All have the same, all of these znodes among it, and a write through each of them works.
fn assert_whole(ensemble: &mut Ensemble, names: &[&str], after: &str) {
    let ids = ensemble.ids();
    ok(ensemble.settle());
    for id in &ids {
        names.iter().for_each(|name| assert_there(ensemble, *id, name, true));
        write(ensemble, *id, &format!("{after}-{id}-"));
    }
    ok(ensemble.compare(&ids));
}

fn voters(count: usize) -> Vec<(Kind, Role)> {
    vec![(Kind::Ours, Role::Participant); count]
}

/// Five members, of which the last three are lost with their disks: of the two survivors one has missed much.
#[test]
fn a_lost_majority_comes_back_under_the_same_list() {
    let mut ensemble = ok(Ensemble::prepare_with(&voters(5), &usual(), None));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    write(&ensemble, 2, "early");
    ensemble.kill(2);
    ok(ensemble.settle());
    write(&ensemble, 1, "late");
    for id in [3, 4, 5] {
        ensemble.kill(id);
        ok(ensemble.wipe(id));
    }
    // 1, 2: what is left stops, and the newest of it is looked for and copied.
    ok(ensemble.terminate(1));
    let found = [1, 2].map(|id| ok(ensemble.verify(id)));
    assert!(found[0] > found[1], "{found:?}");
    let copy = ok(ensemble.copy_data(1));
    // 3: the newest one, the other survivor, and as many empty ones as a majority needs.
    for id in [1, 2, 3] {
        ok(ensemble.launch(id));
    }
    assert_eq!(ok(ensemble.settle_among(&[1, 2, 3])), 1, "the newest survivor leads");
    for (id, running) in [(4, &[1, 2, 3, 4][..]), (5, &[1, 2, 3, 4, 5])] {
        ok(ensemble.launch(id));
        ok(ensemble.settle_among(running));
    }
    assert_whole(&mut ensemble, &["early", "late"], "after");
    drop(copy);
}

fn with_reconfig() -> Config {
    usual().key("reconfigEnabled", "true")
}

/// What step 4 says of the survivor's zoo.cfg.
fn list_of_its_own(ensemble: &Ensemble, id: u8) {
    let list = ensemble.beside_zoo_cfg(id, "own.list");
    ok(std::fs::write(&list, ensemble.line(id) + "\n").map_err(|error| error.to_string()));
    let keys = ["server.", "standaloneEnabled=", "reconfigEnabled=", "dynamicConfigFile="];
    let lines = ["standaloneEnabled=false".to_owned(), "reconfigEnabled=true".to_owned()];
    let file = format!("dynamicConfigFile={}", list.display());
    ok(ensemble.rewrite(id, &keys, &[&lines[..], &[file]].concat()));
    // It need not be there.
    let _ = std::fs::remove_file(ensemble.beside_zoo_cfg(id, "zoo.cfg.dynamic.next"));
}

/// The zoo.cfg of a server that joins: the present members, and itself without a vote.
fn list_of_a_newcomer(ensemble: &Ensemble, id: u8, present: &[u8]) {
    let others = present.iter().map(|id| ensemble.line(*id));
    let own = ensemble.line(id).replace(":participant;", ":observer;");
    let keys = ["server.", "peerType=", "standaloneEnabled=", "reconfigEnabled=", "dynamicConfigFile="];
    let switches = ["standaloneEnabled=false", "reconfigEnabled=true"].map(str::to_owned);
    let lines: Vec<_> = others.chain([own]).chain(switches).collect();
    ok(ensemble.rewrite(id, &keys, &lines));
}

/// Servers with empty folders join an ensemble, one after the other, and vote.
fn grow(ensemble: &mut Ensemble, mut present: Vec<u8>, newcomers: &[u8]) {
    for id in newcomers {
        list_of_a_newcomer(ensemble, *id, &present);
        ok(ensemble.launch(*id));
        let running = [&present[..], &[*id]].concat();
        // Nobody's list has it any more, and it follows.
        ok(ensemble.settle_among(&running));
        let mut control = ok(ControlClient::connect(ensemble.address(present[0])));
        let (error, _) = ok(control.call(&reconfig(ensemble.line(*id), Text::Null, Text::Null, ANY)));
        assert_eq!(error, 0, "{}", ensemble.line(*id));
        ok(control.close());
        ok(ensemble.settle_among(&running));
        present.push(*id);
    }
}

/// A member is what remains of an ensemble; the others come again with nothing.
fn under_a_list_of_its_own(mut ensemble: Ensemble, survivor: u8, again: &[u8]) {
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    // Through it, so that it has all that was acknowledged.
    write(&ensemble, survivor, "kept");
    for id in ensemble.ids() {
        ensemble.kill(id);
        if id != survivor {
            ok(ensemble.wipe(id));
        }
    }
    ok(ensemble.verify(survivor));
    ensemble.becomes(survivor, Role::Participant);
    list_of_its_own(&ensemble, survivor);
    ok(ensemble.launch(survivor));
    assert_eq!(ok(ensemble.settle_among(&[survivor])), survivor);
    assert_there(&ensemble, survivor, "kept", true);
    write(&ensemble, survivor, "alone");
    grow(&mut ensemble, vec![survivor], again);
    assert_whole(&mut ensemble, &["kept", "alone"], "grown");
    // The lists that they have written are the ones that they need.
    for id in ensemble.ids() {
        ok(ensemble.terminate(id));
    }
    ok(ensemble.launch_all());
    assert_whole(&mut ensemble, &["kept", "alone"], "again");
    // The old majority is a majority again.
    ensemble.kill(survivor);
    ok(ensemble.settle());
    write(&ensemble, again[0], "without");
}

#[test]
fn a_survivor_goes_on_under_a_list_of_its_own() {
    let ensemble = ok(Ensemble::prepare_with(&voters(3), &usual(), None));
    under_a_list_of_its_own(ensemble, 2, &[1, 3]);
}

/// Its list is in a file of its own, and zoo.cfg names that.
#[test]
fn a_survivor_of_reconfigurations_goes_on_under_a_list_of_its_own() {
    let ensemble = ok(Ensemble::prepare_dynamic(&voters(3), &with_reconfig()));
    under_a_list_of_its_own(ensemble, 1, &[2, 3]);
}

/// All voters are lost. The observer votes from now on; that zoo.cfg says `peerType=observer` counts less than its list.
#[test]
fn an_observers_folder_becomes_a_voters() {
    let members = [&voters(2)[..], &[(Kind::Ours, Role::Observer)]].concat();
    let ensemble = ok(Ensemble::prepare_with(&members, &usual(), None));
    under_a_list_of_its_own(ensemble, 3, &[1, 2]);
}

/// A backup of a follower's folder is what all begin with again, after somebody has removed too much.
#[test]
fn an_ensemble_is_restored_from_a_backup() {
    let mut ensemble = ok(Ensemble::prepare_with(&voters(3), &usual(), None));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    write(&ensemble, 1, "before");
    ok(ensemble.terminate(1));
    let backup = ok(ensemble.copy_data(1));
    ok(ensemble.launch(1));
    ok(ensemble.settle());
    write(&ensemble, 1, "behind");
    let mut client = ok(Client::open(&[ensemble.address(2)], TIMEOUT_MS));
    for number in 0..ZNODES {
        assert_eq!(ok(client.insist(&delete(format!("/before{number}"), -1))).error, 0);
    }
    ok(client.close());

    for id in ensemble.ids() {
        ok(ensemble.terminate(id));
        ok(ensemble.wipe(id));
    }
    ok(ensemble.restore_data(1, &backup));
    ok(ensemble.verify(1));
    ok(ensemble.launch(1));
    ok(ensemble.launch(2));
    assert_eq!(ok(ensemble.settle_among(&[1, 2])), 1, "the copy leads");
    ok(ensemble.launch(3));
    ok(ensemble.settle());
    assert_there(&ensemble, 3, "behind", false);
    assert_whole(&mut ensemble, &["before"], "restored");
}

/// One member comes back with an old copy of its folder, killed or in order, and has what the others have.
#[test]
fn a_member_is_restored_from_a_copy() {
    let mut ensemble = ok(Ensemble::prepare_with(&voters(3), &usual(), None));
    ok(ensemble.launch_all());
    for (id, before, behind) in [(1, "a", "b"), (3, "c", "d")] {
        ok(ensemble.settle());
        write(&ensemble, 2, before);
        ok(ensemble.terminate(id));
        let copy = ok(ensemble.copy_data(id));
        ok(ensemble.launch(id));
        ok(ensemble.settle());
        write(&ensemble, 2, behind);
        ensemble.kill(id);
        ok(ensemble.restore_data(id, &copy));
        ok(ensemble.launch(id));
    }
    assert_whole(&mut ensemble, &["a", "b", "c", "d"], "restored");
}
