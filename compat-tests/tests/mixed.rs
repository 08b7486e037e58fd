//! Apache ZooKeeper and Rookeeper in one ensemble: whoever leads, whoever follows or observes, and however a member is
//! synchronized, all have the same tree with the same Stats and digests after each step.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::body::Body;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::synchronized::Way;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::raw_client::RawClient;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Kind, PATIENCE, POLL};

/// The members, by number: it is the highest number that leads, as long as all have the same history.
const FOLLOWERS: [u8; 2] = [1, 2];
const LEADER: u8 = 3;
const OBSERVER: u8 = 4;

/// Fewer than a leader keeps in memory.
const FEW: usize = 20;

/// More than the 500 transactions that a leader keeps in memory.
const MORE_THAN_MEMORY_HOLDS: usize = 700;

/// Data that no other znode has: proposed by a leader that nobody hears.
const NEVER_COMMITTED: &str = "proposed-and-never-committed";

struct Scenario {
    ensemble: Ensemble,
    step: String,
}

impl Scenario {
    /// A leader, two followers, of which the second will lead later, and an observer; each gets the same tree.
    fn start(leader: Kind, followers: [Kind; 2], observer: Kind) -> Self {
        let kinds = [
            (followers[0], Role::Participant),
            (followers[1], Role::Participant),
            (leader, Role::Participant),
            (observer, Role::Observer),
        ];
        // What memory does not hold is not read from the log: the tree is sent.
        let config = usual().key("snapshotSizeFactor", "-1");
        let ensemble = Ensemble::prepare_with(&kinds, &config, None).unwrap_or_else(|error| panic!("{error}"));
        let mut scenario = Self { ensemble, step: String::new() };
        scenario.step("start");
        scenario.launch(&[2, LEADER]);
        // Two voters are a quorum, and the higher number wins.
        scenario.settle_under(LEADER, &[2, LEADER]);
        scenario.launch(&[1, OBSERVER]);
        scenario.settle_under(LEADER, &[1, 2, LEADER, OBSERVER]);
        let mut client = scenario.client(LEADER);
        for path in ["/a", "/a/b", "/a/b/c", "/d"] {
            client.insist(&make(path, path)).expect("a znode");
        }
        client
            .insist(&set_acl("/d", &rookeeper_compat_tests::body::Acls::one(1, "world", "anyone"), -1))
            .expect("an ACL");
        scenario.ok(client.close());
        scenario.write(2, FEW, 10);
        scenario.compare();
        scenario
    }

    fn step(&mut self, step: &str) {
        eprintln!("step: {step}");
        self.step = step.to_owned();
    }

    fn ok<T>(&self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|error| panic!("{}: {error}", self.step))
    }

    fn launch(&mut self, ids: &[u8]) {
        for id in ids {
            let launched = self.ensemble.launch(*id);
            self.ok(launched);
        }
    }

    fn settle_under(&mut self, leader: u8, ids: &[u8]) {
        let settled = self.ensemble.settle_among(ids);
        assert_eq!(self.ok(settled), leader, "{}: the leader", self.step);
    }

    fn client(&self, id: u8) -> Client {
        self.ok(Client::open(&[self.ensemble.address(id)], 30_000))
    }

    /// Writes through a member.
    fn write(&self, through: u8, times: usize, bytes: usize) {
        let mut client = self.client(through);
        for number in 0..times {
            let data = vec![b'a' + (number % 26) as u8; bytes];
            assert_eq!(self.ok(client.insist(&set("/a", Some(&data), -1))).error, 0, "{}: a write", self.step);
        }
        self.ok(client.close());
    }

    fn compare(&self) {
        let compared = self.ensemble.compare(&self.ensemble.ids());
        self.ok(compared);
    }

    /// Ends members, writes, starts them one by one; each has to come back in this way.
    fn rejoin(&mut self, leader: u8, ids: &[u8], writes: usize, bytes: usize, way: Way) {
        for id in ids {
            let ended = self.ensemble.terminate(*id);
            self.ok(ended);
        }
        self.write(leader, writes, bytes);
        for id in ids {
            self.launch_and_expect(leader, *id, way);
        }
        self.settle_under(leader, &self.ensemble.ids());
        self.compare();
    }

    fn launch_and_expect(&mut self, leader: u8, id: u8, way: Way) {
        let mark = self.ensemble.mark(leader, id);
        self.launch(&[id]);
        self.settle_under(leader, &[leader, id]);
        // Two of ours speak of it in no known words; what counts there is the comparison behind it.
        if let Some(taken) = self.ok(self.ensemble.way_since(mark)) {
            assert_eq!(taken, way, "{}: how member {id} came to have what {leader} has", self.step);
        }
    }

    /// Lets the leader log what no one else gets, and replaces it by member 2 with the help of member 1.
    fn leave_a_tail(&mut self) {
        let session = self.client(LEADER);
        let others = [1, 2, OBSERVER];
        for id in others {
            let paused = self.ensemble.pause(id);
            self.ok(paused);
        }
        let mut client = RawClient::connect(self.ensemble.address(LEADER)).expect("a connection");
        let id = session.session();
        let secret = rookeeper_compat_tests::view::password(id);
        let hello = Body::new().int(0).long(0).int(30_000).long(id).buffer(Some(&secret)).boolean(false);
        client.send_frame(&hello.bytes(0)).expect("a connect request");
        for number in 1..=3 {
            let request = set("/a", Some(NEVER_COMMITTED.as_bytes()), -1);
            let contents = Body::new().int(number).int(request.op).body(request.body).bytes(0);
            client.send_frame(&contents).expect("a request");
        }
        let folder = self.ensemble.server(LEADER).data_folder();
        let end = std::time::Instant::now() + PATIENCE;
        while !holds(&folder, NEVER_COMMITTED.as_bytes()) {
            assert!(std::time::Instant::now() < end, "{}: the leader logs nothing", self.step);
            std::thread::sleep(POLL);
        }
        // All at once: what was sent to the paused ones goes with them.
        for id in self.ensemble.ids() {
            self.ensemble.kill(id);
        }
        self.launch(&FOLLOWERS);
        self.settle_under(2, &FOLLOWERS);
    }

    fn assert_tail_is_gone(&self) {
        for id in self.ensemble.ids() {
            let mut client = self.client(id);
            let (data, _) = self.ok(self.ok(client.insist(&get("/a", false))).data());
            assert_ne!(data, NEVER_COMMITTED.as_bytes(), "{}: member {id} has what was never committed", self.step);
            self.ok(client.close());
        }
    }
}

/// Whether a file below the folder holds these bytes.
fn holds(folder: &std::path::Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        // A file may go while it is looked for.
        std::fs::read(&path).is_ok_and(|text| text.windows(bytes.len()).any(|window| window == bytes))
    })
}

fn play(leader: Kind, followers: [Kind; 2], observer: Kind) {
    let mut s = Scenario::start(leader, followers, observer);
    s.step("a follower and the observer missed little");
    s.rejoin(LEADER, &[1, OBSERVER], FEW, 10, Way::Diff);
    s.step("the other follower missed little");
    s.rejoin(LEADER, &[2], FEW, 10, Way::Diff);
    s.step("a follower and the observer missed more than memory holds");
    s.rejoin(LEADER, &[1, OBSERVER], MORE_THAN_MEMORY_HOLDS, 100, Way::Snap);

    s.step("the leader is lost with what nobody else has");
    s.leave_a_tail();
    s.launch_and_expect(2, LEADER, Way::Trunc);
    s.launch(&[OBSERVER]);
    s.settle_under(2, &s.ensemble.ids());
    s.assert_tail_is_gone();
    s.compare();

    s.step("the old leader missed little");
    s.rejoin(2, &[LEADER], FEW, 10, Way::Diff);
    s.step("the old leader missed more than memory holds");
    s.rejoin(2, &[LEADER], MORE_THAN_MEMORY_HOLDS, 100, Way::Snap);

    s.step("all stop and start again");
    for id in s.ensemble.ids() {
        let ended = s.ensemble.terminate(id);
        s.ok(ended);
    }
    s.launch(&[1, 2, LEADER, OBSERVER]);
    let settled = s.ensemble.settle();
    s.ok(settled);
    s.compare();
}

#[test]
fn javas_leader_with_our_followers_and_observer() {
    let ours = subject_kind();
    play(Kind::Java, [ours, ours], ours);
}

#[test]
fn our_leader_with_javas_followers_and_observer() {
    play(subject_kind(), [Kind::Java, Kind::Java], Kind::Java);
}

#[test]
fn javas_leader_with_a_follower_of_each_kind() {
    play(Kind::Java, [subject_kind(), Kind::Java], subject_kind());
}

#[test]
fn our_leader_with_a_follower_of_each_kind() {
    play(subject_kind(), [Kind::Java, subject_kind()], Kind::Java);
}

#[test]
fn all_ours() {
    let ours = subject_kind();
    play(ours, [ours, ours], ours);
}

#[test]
fn our_leader_with_members_of_the_line_before() {
    play(subject_kind(), [subject_kind(), Kind::OlderJava], Kind::OlderJava);
}

#[test]
fn a_leader_of_the_line_before_with_our_members() {
    play(Kind::OlderJava, [Kind::OlderJava, subject_kind()], subject_kind());
}
