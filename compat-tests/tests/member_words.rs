//! The four-letter words of members: what a leader, a follower and an observer say, what they say without a quorum, and
//! the alarm of a member whose tree is another one.

use std::time::Instant;

use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Mode, Role, usual};
use rookeeper_compat_tests::four_letter::{member_metrics, metric_names, normalise};
use rookeeper_compat_tests::request::{get, make, make_as, set, sync};
use rookeeper_compat_tests::server::{Kind, PATIENCE, POLL};
use rookeeper_compat_tests::view::View;
use rookeeper_protocol::client::FourLetterWord;

/// Flags of an ephemeral znode.
const EPHEMERAL: i32 = 1;

/// Flags of a sequential znode.
const SEQUENTIAL: i32 = 2;

/// The beginning of the first epoch.
const FIRST_EPOCH: i64 = 1 << 32;

/// What one member said to one word.
struct Said {
    /// Who, and to what.
    to: String,
    /// What can be compared, line by line.
    lines: Vec<String>,
    /// The names in front of the values of `mntr`, in order.
    metrics: Vec<String>,
}

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Asks a member everything.
fn ask(ensemble: &Ensemble, id: u8, role: &str, sessions: &[i64]) -> Vec<Said> {
    let ask = |word: &FourLetterWord| {
        let word = word.text();
        let end = Instant::now() + PATIENCE;
        let reply = loop {
            match ensemble.server(id).ask(word) {
                Some(reply) => break reply,
                None => assert!(Instant::now() < end, "{}", ensemble.server(id).broken("does not answer")),
            }
        };
        let mut named = reply.clone();
        for (index, session) in sessions.iter().enumerate() {
            named = named.replace(&format!("0x{session:x}"), &format!("session{index}"));
        }
        let mut metrics = Vec::new();
        let lines = match word {
            "mntr" => {
                metrics = metric_names(&named);
                member_metrics(&named)
            }
            "conf" => name_ports(normalise(word, &named, &View::new(FIRST_EPOCH))),
            _ => normalise(word, &named, &View::new(FIRST_EPOCH)),
        };
        Said { to: format!("{role}: {word}"), lines, metrics }
    };
    // What follows telnet's end has no answer, and a mask changes something.
    let words = FourLetterWord::ALL
        .iter()
        .filter(|word| !matches!(word, FourLetterWord::Stmk | FourLetterWord::TelnetClose | FourLetterWord::Srst));
    words.map(ask).collect()
}

/// Ports are five digits here, and get names in the order in which they come.
fn name_ports(mut lines: Vec<String>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for line in &mut lines {
        let parts: Vec<_> = line.split([':', '=']).map(str::to_owned).collect();
        for port in parts.into_iter().filter(|part| part.len() == 5 && part.bytes().all(|byte| byte.is_ascii_digit())) {
            if !known.contains(&port) {
                known.push(port.clone());
            }
            let name = known.iter().position(|known| *known == port).unwrap_or_default();
            *line = line.replace(&port, &format!("port{name}"));
        }
    }
    lines
}

/// Waits until a member says something.
fn wait_for(ensemble: &Ensemble, id: u8, word: &str, wanted: &str) {
    let end = Instant::now() + PATIENCE;
    while ensemble.server(id).ask(word).as_deref() != Some(wanted) {
        assert!(Instant::now() < end, "{}", ensemble.server(id).broken(&format!("does not say {wanted} to {word}")));
        std::thread::sleep(POLL);
    }
}

/// Lets the members of these clients apply all that was answered anywhere. A leader of Java's may answer the first `sync`
/// before it has applied what one of its learners has.
fn catch_up(clients: &mut [ControlClient]) {
    for _ in 0..2 {
        for client in clients.iter_mut() {
            assert_eq!(ok(client.call(&sync("/"))).0, 0);
        }
    }
}

/// Two voters and an observer do some work; then the leader goes, and the others are read-only.
fn members(kind: Kind) -> Vec<Said> {
    let members = [(kind, Role::Participant), (kind, Role::Participant), (kind, Role::Observer)];
    let config = usual().property("readonlymode.enabled", "true");
    let mut ensemble = ok(Ensemble::prepare_with(&members, &config, None));
    ok(ensemble.launch_all());
    let leader = ok(ensemble.settle());
    let ids = ensemble.ids();
    let with_mode = |mode| ids.iter().copied().find(|id| ensemble.mode(*id) == Some(mode));
    let (Some(follower), Some(observer)) = (with_mode(Mode::Follower), with_mode(Mode::Observer)) else {
        panic!("{}", ensemble.server(leader).broken("has not both learners"))
    };
    let roles = [(leader, "leader"), (follower, "follower"), (observer, "observer")];

    let mut said = Vec::new();
    // Before anything was proposed.
    said.extend(ask(&ensemble, leader, "fresh leader", &[]));
    let mut clients: Vec<_> = roles.iter().map(|(id, _)| ok(ControlClient::connect(ensemble.address(*id)))).collect();
    let sessions: Vec<_> = clients.iter().map(ControlClient::session).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let path = format!("/of{index}");
        assert_eq!(ok(client.call(&make_as(&path, EPHEMERAL))).0, 0);
        assert_eq!(ok(client.call(&make(format!("/data{index}"), "some data"))).0, 0);
        assert_eq!(ok(client.call(&set(format!("/data{index}"), Some(b"more"), -1))).0, 0);
        assert_eq!(ok(client.call(&get(path, true))).0, 0);
    }
    // A session moves from one learner to the other: the leader is asked for it.
    ok(clients[1].reconnect(ensemble.address(observer)));
    // The member that it left gets another client.
    let other = ok(ControlClient::connect(ensemble.address(follower)));
    let sessions: Vec<_> = sessions.into_iter().chain([other.session()]).collect();
    clients.push(other);
    catch_up(&mut clients);
    for (id, role) in roles {
        said.extend(ask(&ensemble, id, role, &sessions));
    }

    ensemble.kill(leader);
    for (id, role) in &roles[1..] {
        wait_for(&ensemble, *id, "isro", "ro");
        said.extend(ask(&ensemble, *id, &format!("read-only {role}"), &sessions));
    }
    said
}

/// Sessions of both kinds on both kinds of servers: a session that makes an ephemeral znode becomes the ensemble's.
fn local_sessions(kind: Kind) -> Vec<Said> {
    let config = usual().key("localSessionsEnabled", "true").key("localSessionsUpgradingEnabled", "true");
    let mut ensemble = ok(Ensemble::prepare_with(&[(kind, Role::Participant); 2], &config, None));
    ok(ensemble.launch_all());
    let leader = ok(ensemble.settle());
    let roles = [(leader, "leader"), (3 - leader, "follower")];
    let mut clients = Vec::new();
    for (index, (id, _)) in [0, 1].into_iter().flat_map(|_| roles).enumerate() {
        let mut client = ok(ControlClient::connect(ensemble.address(id)));
        let flags = if index < 2 { EPHEMERAL } else { 0 };
        assert_eq!(ok(client.call(&make_as(format!("/of{index}"), flags))).0, 0);
        clients.push(client);
    }
    catch_up(&mut clients);
    let sessions: Vec<_> = clients.iter().map(ControlClient::session).collect();
    roles.iter().flat_map(|(id, role)| ask(&ensemble, *id, role, &sessions)).collect()
}

/// Lines that differ, as a report.
fn difference(java: &[Said], ours: &[Said]) -> String {
    let mut text = String::new();
    for (java, ours) in java.iter().zip(ours) {
        assert_eq!(java.to, ours.to);
        if java.lines != ours.lines {
            text.push_str(&format!("{}\n  java: {:#?}\n  ours: {:#?}\n", java.to, java.lines, ours.lines));
        }
        // What ours tells, Java tells too, and in this order. Where a server of Java's has been another one before, the
        // gauges of the two get mixed; this one may change its place at any time.
        let has_place = |name: &&String| *name != "zk_num_alive_connections";
        let mut known: Vec<_> =
            java.metrics.iter().filter(has_place).filter(|name| ours.metrics.contains(name)).collect();
        let mut told: Vec<_> = ours.metrics.iter().filter(has_place).collect();
        if java.to.starts_with("read-only") {
            known.sort();
            told.sort();
        }
        if known != told {
            text.push_str(&format!("{}\n  java's names: {known:?}\n  ours: {told:?}\n", java.to));
        }
    }
    text
}

fn compare(what: fn(Kind) -> Vec<Said>) {
    let (java, ours) = std::thread::scope(|scope| {
        let java = scope.spawn(|| what(Kind::Java));
        let ours = what(subject_kind());
        (java.join().unwrap_or_else(|_| panic!("nothing can be compared: Apache ZooKeeper did not come through")), ours)
    });
    assert_eq!(java.len(), ours.len());
    let difference = difference(&java, &ours);
    assert!(difference.is_empty(), "{difference}");
}

#[test]
fn members_say_what_javas_say() {
    compare(members);
}

#[test]
fn members_tell_local_sessions_from_others() {
    compare(local_sessions);
}

#[test]
fn a_member_without_a_quorum_says_what_javas_says() {
    compare(|kind| {
        let mut ensemble = ok(Ensemble::prepare(&[kind, kind, kind]));
        ok(ensemble.launch(1));
        wait_for(&ensemble, 1, "ruok", "imok");
        ask(&ensemble, 1, "looking", &[])
    });
}

/// A member whose data are another ensemble's: the same numbers, another history.
#[test]
fn a_member_with_another_tree_raises_an_alarm() {
    let kind = subject_kind();
    let mut ensemble = ok(Ensemble::prepare(&[kind, kind, kind]));
    // Two histories with the same zxids: 2 takes part in both, and forgets the first.
    for (member, data) in [(1, "one"), (3, "three")] {
        for id in [member, 2] {
            ok(ensemble.launch(id));
        }
        let leader = ok(ensemble.settle_among(&[member, 2]));
        let mut client = ok(ControlClient::connect(ensemble.address(leader)));
        assert_eq!(ok(client.call(&make("/history", data))).0, 0);
        ok(client.close());
        for id in [member, 2] {
            ok(ensemble.terminate(id));
        }
        ok(ensemble.wipe(2));
    }
    for id in [1, 3] {
        ok(ensemble.launch(id));
    }
    let leader = ok(ensemble.settle_among(&[1, 3]));
    let mismatches = |id| {
        let reply = ensemble.server(id).ask("mntr").unwrap_or_default();
        let line = reply.lines().find_map(|line| line.strip_prefix("zk_digest_mismatches_count\t"));
        line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no such line in {reply}"))
    };
    let other = if leader == 1 { 3 } else { 1 };
    let before = mismatches(other);
    let mut client = ok(ControlClient::connect(ensemble.address(other)));
    for _ in 0..3 {
        assert_eq!(ok(client.call(&make_as("/next-", SEQUENTIAL))).0, 0);
    }
    // Each of them and the beginning of the session.
    let counts: [u64; 2] = [mismatches(leader), mismatches(other)];
    assert_eq!(counts, [0, before + 4], "the counts of the leader and of the other one");
    if kind == Kind::Ours {
        let log = ensemble.server(other).log_text();
        let alarms: Vec<_> =
            log.lines().filter(|line| line.contains("ERROR") && line.contains("DIGEST MISMATCH")).collect();
        assert_eq!(alarms.len(), 1, "{alarms:#?}");
        assert!(!ensemble.server(leader).log_text().contains("DIGEST MISMATCH"));
    }
}
