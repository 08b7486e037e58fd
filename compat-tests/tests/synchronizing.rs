//! How much a leader does for its learners at a time, and what an observer keeps of it.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use bytes::BytesMut;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Config, Kind, PATIENCE};
use rookeeper_protocol::peer::{AckEpoch, LearnerInfo, PacketDecoder, PacketType};
use rookeeper_protocol::types::{ServerId, Zxid};

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// No member has this number.
const STRANGER: ServerId = ServerId(9);

/// The members: followers, the leader, an observer.
const LEADER: u8 = 3;
const OBSERVER: u8 = 4;

/// In the data of no other znode.
const MARK: &str = "data-that-an-observer-is-told";

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// An observer that is told how it will be synchronized, and then says nothing any more.
struct Silent(TcpStream);

impl Silent {
    fn next(&mut self, buffer: &mut BytesMut) -> PacketType {
        let decoder = PacketDecoder::new(1 << 20);
        loop {
            if let Some(packet) = decoder.next_packet(buffer).expect("a packet") {
                return packet.kind().expect("a packet of a known type");
            }
            let mut bytes = [0; 4096];
            let count = self.0.read(&mut bytes).expect("bytes");
            assert!(count > 0, "the leader has ended the connection");
            buffer.extend_from_slice(&bytes[..count]);
        }
    }

    fn begin(leader: SocketAddr, last: Zxid, wanted: PacketType) -> Self {
        let mut silent = Self(TcpStream::connect(leader).expect("a connection"));
        silent.0.set_read_timeout(Some(PATIENCE)).expect("a time");
        let (mut out, mut buffer) = (BytesMut::new(), BytesMut::new());
        LearnerInfo::new(STRANGER, 0).write_packet(&mut out, PacketType::ObserverInfo, Zxid::ZERO);
        silent.0.write_all(&out).expect("OBSERVERINFO");
        assert_eq!(silent.next(&mut buffer), PacketType::LeaderInfo);
        out.clear();
        AckEpoch { current_epoch: Some(0) }.write_packet(&mut out, last);
        silent.0.write_all(&out).expect("ACKEPOCH");
        assert_eq!(silent.next(&mut buffer), wanted);
        silent
    }
}

/// While one learner is synchronized, and that is as many as may be, observers are refused and followers are not.
fn one_at_a_time(leader: Kind, others: Kind, config: &Config, wanted: PacketType) {
    let roles = [Role::Participant, Role::Participant, Role::Participant, Role::Observer];
    let kinds = [others, leader, leader, others];
    let members: Vec<_> = kinds.into_iter().zip(roles).collect();
    let mut ensemble = ok(Ensemble::prepare_with(&members, config, None));
    for id in [2, LEADER] {
        ok(ensemble.launch(id));
    }
    assert_eq!(ok(ensemble.settle_among(&[2, LEADER])), LEADER);
    let mut control = ok(ControlClient::connect(ensemble.address(LEADER)));
    ok(control.create("/a"));
    ok(ensemble.launch(OBSERVER));
    ok(ensemble.settle_among(&[2, LEADER, OBSERVER]));
    ok(ensemble.terminate(OBSERVER));
    ok(control.create("/b"));
    let last = Zxid(ok(control.zxid()));
    ok(control.close());

    let silent = Silent::begin(ensemble.learner_address(LEADER), last, wanted);
    ok(ensemble.launch(OBSERVER));
    let refused = match leader {
        Kind::Ours => "too many learners are being synchronized",
        Kind::Java | Kind::OlderJava => "too many concurrent sync",
    };
    ok(until("the leader refuses the observer", || Ok(ensemble.server(LEADER).log_text().contains(refused))));
    ok(ensemble.launch(1));
    assert_eq!(ok(ensemble.settle_among(&[1, 2, LEADER])), LEADER);
    assert_eq!(ensemble.mode(OBSERVER), None);
    drop(silent);
    assert_eq!(ok(ensemble.settle()), LEADER);
    ok(ensemble.compare(&ensemble.ids()));
}

fn one_snapshot() -> Config {
    usual().key("forceSnapshotSync", "true").key("leader.maxConcurrentSnapSyncs", "1")
}

fn one_difference() -> Config {
    usual().key("leader.maxConcurrentDiffSyncs", "1")
}

/// Whether a file of a transaction log below a folder has the mark.
fn is_logged(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Ours has its image beside the log.
            return !name.starts_with("image") && is_logged(&path);
        }
        let is_log = name.ends_with(".log") || name.starts_with("log.");
        is_log && std::fs::read(&path).expect("a log").windows(MARK.len()).any(|part| part == MARK.as_bytes())
    })
}

/// An observer that writes nothing is told everything again after a start.
fn without_a_log(voters: Kind, observer: Kind) {
    let members = [(voters, Role::Participant), (voters, Role::Participant), (observer, Role::Observer)];
    let mut ensemble = ok(Ensemble::prepare_with(&members, &usual().key("syncEnabled", "false"), None));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    let mut client = ok(Client::open(&[ensemble.address(3)], TIMEOUT_MS));
    for number in 0..20 {
        assert_eq!(ok(client.insist(&make(format!("/a{number}"), MARK))).error, 0);
    }
    ok(ensemble.compare(&[1, 2, 3]));
    for id in [2, 3] {
        ok(ensemble.terminate(id));
    }
    let logged = [2, 3].map(|id| is_logged(&ensemble.server(id).data_folder()));
    assert_eq!(logged, [true, false], "of the follower and of the observer");
    for id in [2, 3] {
        ok(ensemble.launch(id));
    }
    ok(ensemble.settle());
    client.move_to(ensemble.address(3));
    assert_eq!(ok(ok(client.insist(&get("/a19", false))).data()).0, MARK.as_bytes());
    assert_eq!(ok(client.insist(&make("/b", MARK))).error, 0);
    ok(client.close());
    ok(ensemble.compare(&[1, 2, 3]));
}

#[test]
fn our_leader_sends_one_snapshot_at_a_time() {
    one_at_a_time(subject_kind(), subject_kind(), &one_snapshot(), PacketType::Snap);
}

#[test]
fn our_leader_brings_one_learner_up_to_date_at_a_time() {
    one_at_a_time(subject_kind(), subject_kind(), &one_difference(), PacketType::Diff);
}

#[test]
fn our_observer_comes_back_to_a_leader_of_java_that_had_no_time() {
    one_at_a_time(Kind::Java, subject_kind(), &one_snapshot(), PacketType::Snap);
}

#[test]
fn an_observer_of_java_comes_back_to_our_leader_that_had_no_time() {
    one_at_a_time(subject_kind(), Kind::Java, &one_difference(), PacketType::Diff);
}

#[test]
fn an_observer_keeps_no_log() {
    without_a_log(subject_kind(), subject_kind());
}

#[test]
fn an_observer_of_a_leader_of_java_keeps_no_log() {
    without_a_log(Kind::Java, subject_kind());
}

#[test]
fn an_observer_of_java_keeps_no_log_of_our_leader() {
    without_a_log(subject_kind(), Kind::Java);
}
