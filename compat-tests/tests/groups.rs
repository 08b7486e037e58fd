//! Quorums by groups and weights (`group.N`, `weight.N`): who is lost decides, not how many; and how such lists change.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::body::Text;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Config, Kind};

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Whatever the present list is.
const ANY: i64 = -1;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn start(kinds: &[Kind], config: &Config) -> Ensemble {
    let members: Vec<_> = kinds.iter().map(|kind| (*kind, Role::Participant)).collect();
    let mut ensemble = ok(Ensemble::prepare_with(&members, config, None));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    ensemble
}

/// A write that is answered is agreed on.
fn writes(client: &mut Client, ensemble: &Ensemble, through: u8) {
    client.move_to(ensemble.address(through));
    assert_eq!(ok(client.insist(&set("/a", Some(b"x"), -1))).error, 0);
}

/// Three groups, one of three members and two of one.
fn by_groups(kinds: [Kind; 5]) {
    let config = usual().key("group.1", "1:2:3").key("group.2", "4").key("group.3", "5");
    let mut ensemble = start(&kinds, &config);
    let mut client = ok(Client::open(&[ensemble.address(1)], TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/a", ""))).error, 0);
    // A group less, then two: three of five members are one group of three.
    ensemble.kill(5);
    ok(ensemble.settle_among(&[1, 2, 3, 4]));
    writes(&mut client, &ensemble, 1);
    ensemble.kill(4);
    ok(ensemble.wait_until_nobody_serves());
    // Two of five members are two groups of three.
    for id in [4, 5] {
        ok(ensemble.launch(id));
    }
    ok(ensemble.settle());
    for id in [1, 2, 3] {
        ensemble.kill(id);
    }
    ok(ensemble.settle_among(&[4, 5]));
    writes(&mut client, &ensemble, 4);
    for id in [1, 2, 3] {
        ok(ensemble.launch(id));
    }
    ok(ensemble.settle());
    ok(client.close());
    ok(ensemble.compare(&[1, 2, 3, 4, 5]));
}

/// One group, in which one member weighs as much as two others, and one nothing.
fn by_weights(kinds: [Kind; 4]) {
    let weights = [("weight.1", "3"), ("weight.2", "1"), ("weight.3", "1"), ("weight.4", "0")];
    let config = weights.iter().fold(usual().key("group.1", "1:2:3:4"), |config, (key, value)| config.key(key, value));
    let mut ensemble = start(&kinds, &config);
    let mut client = ok(Client::open(&[ensemble.address(2)], TIMEOUT_MS));
    assert_eq!(ok(client.insist(&make("/a", ""))).error, 0);
    // Whoever weighs nothing is never elected; with it the heavy one goes on.
    for id in [2, 3] {
        ensemble.kill(id);
    }
    assert_eq!(ok(ensemble.settle_among(&[1, 4])), 1);
    writes(&mut client, &ensemble, 4);
    for id in [2, 3] {
        ok(ensemble.launch(id));
    }
    assert_eq!(ok(ensemble.settle()), 1);
    ensemble.kill(1);
    ok(ensemble.wait_until_nobody_serves());
    ok(ensemble.launch(1));
    ok(ensemble.settle());
    writes(&mut client, &ensemble, 3);
    ok(client.close());
    ok(ensemble.compare(&[1, 2, 3, 4]));
}

/// Errors of reconfigurations of such an ensemble, then what they leave in force.
fn reconfigurations(kinds: [Kind; 3]) -> Vec<String> {
    let members = kinds.map(|kind| (kind, Role::Participant));
    let config = usual().key("reconfigEnabled", "true").key("group.1", "1").key("group.2", "2").key("group.3", "3");
    let mut ensemble = ok(Ensemble::prepare_dynamic(&members, &config));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    let lines = [1, 2, 3].map(|id| ensemble.line(id)).join(",");
    let list = |groups: &str| reconfig(Text::Null, Text::Null, format!("{lines}{groups}"), ANY);
    let requests = [
        // By members coming and going such a list cannot change.
        reconfig("server.4=127.0.0.1:34:35:observer;127.0.0.1:36", Text::Null, Text::Null, ANY),
        reconfig(Text::Null, "3", Text::Null, ANY),
        // As a whole it can, where it is one.
        list(",group.1=1:2"),
        list(",group.1=1:2:3,group.2=3"),
        list(",group.1=1:2:3,weight.1=x"),
        list(",group.1=1:2:3,weight.1=5,weight.2=1,weight.3=1"),
    ];
    let mut said = Vec::new();
    let mut control = ok(ControlClient::connect(ensemble.address(1)));
    for request in &requests {
        let (error, _) = ok(control.call(request));
        let label = ensemble.named(&request.label);
        said.push(format!("{label}: {error}"));
    }
    let (_, frame) = ok(control.call(&get("/zookeeper/config", false)));
    let text = ensemble.named(&String::from_utf8_lossy(&frame[20..]));
    said.extend(text.lines().filter(|line| line.starts_with("group") || line.starts_with("weight")).map(str::to_owned));
    ok(control.close());
    // The new list holds: without the heavy one nobody serves, with it alone somebody does.
    for id in [2, 3] {
        ensemble.kill(id);
    }
    said.push(format!("alone: {}", ok(ensemble.settle_among(&[1]))));
    ensemble.kill(1);
    for id in [2, 3] {
        ok(ensemble.launch(id));
    }
    ok(ensemble.launch(1));
    said.push(format!("all: {}", ok(ensemble.settle())));
    said
}

#[test]
fn a_majority_of_groups_decides() {
    by_groups([subject_kind(); 5]);
}

#[test]
fn a_majority_of_groups_of_both_kinds_decides() {
    by_groups([Kind::Java, subject_kind(), subject_kind(), subject_kind(), Kind::Java]);
}

#[test]
fn weights_decide() {
    by_weights([subject_kind(); 4]);
}

#[test]
fn weights_decide_among_both_kinds() {
    by_weights([subject_kind(), Kind::Java, subject_kind(), Kind::Java]);
}

#[test]
fn lists_with_groups_change_as_with_java() {
    let reference = reconfigurations([Kind::Java; 3]);
    assert_eq!(reconfigurations([subject_kind(); 3]), reference);
}
