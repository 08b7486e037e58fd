//! Members that come, go and change by `reconfig`: the same answers, events and files from Apache ZooKeeper's ensembles and
//! from ours, and ensembles of both kinds that grow and shrink under load.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::body::{Body, Text};
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Mode, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::raw_client::{RawClient, Received};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Config, Kind, PATIENCE, SUPER_AUTH};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::Stat;

/// Where the list in force stands.
const CONFIG: &str = "/zookeeper/config";

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Whatever the present list is.
const ANY: i64 = -1;

/// Length of a reply's header.
const HEADER: usize = 16;

/// Member 4 of lists, which never runs.
const ABSENT: &str = "server.4=127.0.0.1:34:35:observer;127.0.0.1:36";

fn config() -> Config {
    usual().key("reconfigEnabled", "true")
}

fn joining(line: &str) -> Request {
    reconfig(line, Text::Null, Text::Null, ANY)
}

fn leaving(ids: &str) -> Request {
    reconfig(Text::Null, ids, Text::Null, ANY)
}

fn whole(lines: &[&str]) -> Request {
    reconfig(Text::Null, Text::Null, lines.join(","), ANY)
}

/// An ensemble that a script is played on, and what came of it, in words that are the same for two ensembles.
struct Play {
    ensemble: Ensemble,
    /// Versions of lists, in the order in which they were told.
    versions: Vec<i64>,
    transcript: Vec<String>,
}

impl Play {
    /// Three participants, of which the last leads.
    fn start(kinds: [Kind; 3]) -> Result<Self, String> {
        let mut ensemble = Ensemble::prepare_dynamic(&kinds.map(|kind| (kind, Role::Participant)), &config())?;
        ensemble.launch(2)?;
        ensemble.launch(3)?;
        ensemble.settle_among(&[2, 3])?;
        ensemble.launch(1)?;
        ensemble.settle()?;
        Ok(Self { ensemble, versions: Vec::new(), transcript: Vec::new() })
    }

    fn say(&mut self, what: &str, outcome: impl std::fmt::Display) {
        self.transcript.push(format!("{what}: {outcome}"));
    }

    /// A text with names instead of ports, folders and versions.
    fn named(&self, text: &str) -> String {
        let mut text = self.ensemble.named(text);
        for (number, version) in self.versions.iter().enumerate() {
            text = text.replace(&format!("{version:x}"), &format!("v{number}"));
        }
        text
    }

    fn zxid(&self, zxid: i64) -> String {
        match self.versions.iter().position(|version| *version == zxid) {
            Some(number) => format!("v{number}"),
            None if zxid <= 0 => zxid.to_string(),
            None => "none of the versions".to_owned(),
        }
    }

    /// The reply to getData or reconfig.
    fn reply(&mut self, (error, frame): (i32, bytes::Bytes)) -> Result<String, String> {
        if error != 0 {
            return Ok(format!("error {error}, {} bytes", frame.len()));
        }
        let mut reader = Reader::new(&frame[HEADER..]);
        let data = reader.buffer().map_err(|error| error.to_string())?.unwrap_or_default();
        let stat = Stat::read(&mut reader).map_err(|error| error.to_string())?;
        let list = String::from_utf8_lossy(data).into_owned();
        let version = list.lines().find_map(|line| line.strip_prefix("version=")).ok_or("a list without a version")?;
        let version = i64::from_str_radix(version, 16).map_err(|error| error.to_string())?;
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
        let zxids = [stat.czxid, stat.mzxid, stat.pzxid].map(|zxid| self.zxid(zxid.0));
        let versions = [stat.version, stat.cversion, stat.aversion];
        let counts = (stat.data_length, stat.num_children, stat.ephemeral_owner);
        Ok(format!("{:?} {zxids:?} {versions:?} {counts:?}, {} left", self.named(&list), reader.remaining()))
    }

    /// Sends a request as the super user through a member, and says what comes back.
    fn call(&mut self, through: u8, request: &Request) -> Result<(), String> {
        let mut control = ControlClient::connect(self.ensemble.address(through))?;
        let what = format!("{} through {through}", self.named(&request.label));
        let reply = control.call(request).map_err(|error| format!("{what}: {error}"))?;
        let reply = self.reply(reply)?;
        self.say(&what, reply);
        control.close()
    }

    /// The same for a reconfiguration that has to work, and for the files that each of these members has afterwards.
    fn change(&mut self, through: u8, request: &Request, ids: &[u8]) -> Result<(), String> {
        let known = self.versions.len();
        self.call(through, request)?;
        if self.versions.len() == known {
            return Err(format!("refused: {:?}", self.transcript.last()));
        }
        self.files(ids)
    }

    /// What the files of members hold, once all have the last list.
    fn files(&mut self, ids: &[u8]) -> Result<(), String> {
        let last = format!("zoo.cfg.dynamic.{:x}", self.versions.last().copied().unwrap_or_default());
        for id in ids {
            let ensemble = &self.ensemble;
            let mut files = ensemble.files(*id)?;
            until(&format!("member {id} has no {last}, or has a list to come: {files:?}"), || {
                files = ensemble.files(*id)?;
                let there = files.get("zoo.cfg").is_some_and(|text| text.contains(&last)) && files.contains_key(&last);
                Ok(there && !files.contains_key("zoo.cfg.dynamic.next"))
            })?;
            for (name, text) in files {
                let (name, text) = (self.named(&name), self.named(&text));
                self.say(&format!("files of {id}"), format!("{name}\n{text}"));
            }
        }
        Ok(())
    }

    /// What each of these members shows.
    fn shown(&mut self, ids: &[u8]) -> Result<(), String> {
        ids.iter().try_for_each(|id| self.call(*id, &get(CONFIG, false)))
    }

    /// Waits until a member has a role.
    fn becomes(&mut self, id: u8, mode: Mode) -> Result<(), String> {
        let ensemble = &self.ensemble;
        until(&format!("member {id} becomes {mode:?}"), || Ok(ensemble.mode(id) == Some(mode)))
    }
}

/// What is refused, with each reason that there is.
fn refusals(play: &mut Play) -> Result<(), String> {
    let mut client = Client::open(&[play.ensemble.address(1)], TIMEOUT_MS)?;
    let denied = client.insist(&joining(ABSENT))?;
    play.say("without permission", denied.error);
    client.close()?;
    let lines: Vec<_> = [1, 2, 3].map(|id| play.ensemble.line(id)).into();
    let absent = ["server.7=127.0.0.1:41:42;43", "server.8=127.0.0.1:44:45;46"];
    let requests = [
        reconfig(ABSENT, Text::Null, Text::Null, 0x1234),
        reconfig(Text::Null, Text::Null, lines.join(","), 0),
        joining("server.4=127.0.0.1:34:35"),
        joining("server.4=127.0.0.1:34;36"),
        joining("server.4=127.0.0.1:34:35:somebody;36"),
        joining("server.x=127.0.0.1:34:35;36"),
        joining("server.4=127.0.0.1:34:99999;36"),
        joining("server.4"),
        leaving("nonsense"),
        leaving("2,3"),
        whole(&[&lines[0]]),
        whole(&[]),
        whole(&["nonsense"]),
        whole(&[&lines[0], "nonsense=1"]),
        whole(&["server.1=127.0.0.1:34:35:observer;36", "server.2=127.0.0.1:37:38:observer;39"]),
        whole(&[&lines[0], absent[0], absent[1]]),
    ];
    for (number, request) in requests.iter().enumerate() {
        play.call([1, 3][number % 2], request)?;
    }
    // Nothing of it has left a trace.
    play.shown(&[1, 2, 3])
}

/// The list changes, members become observers and voters again, and clients find one of them elsewhere.
fn changes(play: &mut Play) -> Result<(), String> {
    let all = [1, 2, 3];
    let mut watcher = Client::open(&[play.ensemble.address(2)], TIMEOUT_MS)?;
    let nothing = reconfig(Text::Null, Text::Null, Text::Null, ANY);
    let version = play.versions.last().copied().unwrap_or_default();
    let as_voter = ABSENT.replace("observer;127.0.0.1:", "participant;");
    let requests = [
        reconfig(ABSENT, Text::Null, Text::Null, version),
        joining(&as_voter),
        reconfig(ABSENT, "4,9", Text::Null, ANY),
        leaving("4"),
        nothing,
    ];
    for (number, request) in requests.iter().enumerate() {
        watcher.watch_data(CONFIG).map_err(|failure| format!("{failure:?}"))?;
        play.change([3, 1][number % 2], request, &all)?;
        let event = watcher.event(PATIENCE).map_err(|failure| format!("{failure:?}"))?;
        play.say("event", format!("{event:?}"));
    }
    watcher.close()?;

    // A voter of the whole list, then not, then by itself again.
    play.ensemble.becomes(1, Role::Observer);
    let lines = all.map(|id| play.ensemble.line(id));
    play.change(2, &whole(&[&lines[0], &lines[1], &lines[2]]), &all)?;
    play.becomes(1, Mode::Observer)?;
    play.ensemble.settle()?;
    play.shown(&all)?;
    play.ensemble.becomes(1, Role::Participant);
    let line = play.ensemble.line(1);
    play.change(2, &joining(&line), &all)?;
    play.becomes(1, Mode::Follower)?;
    play.ensemble.settle()?;

    // Clients that are connected stay, others find the server at the new place only.
    let before = play.ensemble.address(1);
    let mut stays = Client::open(&[before], TIMEOUT_MS)?;
    play.ensemble.moves_clients(1)?;
    let line = play.ensemble.line(1);
    play.change(2, &joining(&line), &all)?;
    play.ensemble.settle()?;
    until("the old place is closed", || Ok(RawClient::connect(before).is_err()))?;
    let reply = stays.insist(&exists("/", false))?;
    play.say("a client that was there", format!("{} after {} connections", reply.error, stays.moves()));
    stays.move_to(play.ensemble.address(1));
    stays.close()?;
    play.shown(&all)
}

/// Two reconfigurations at once: the second one is refused while the first one waits for a quorum.
fn under_way(play: &mut Play) -> Result<(), String> {
    let mut client = RawClient::connect(play.ensemble.address(3)).map_err(|error| error.to_string())?;
    let hello = Body::new().int(0).long(0).int(TIMEOUT_MS).long(0).buffer(Some(&[0; 16])).boolean(false);
    let request = |number: i32, request: Request| Body::new().int(number).int(request.op).body(request.body).bytes(0);
    for contents in [hello.bytes(0), request(-4, auth("digest", Some(SUPER_AUTH)))] {
        client.send_frame(&contents).map_err(|error| error.to_string())?;
        let Received::Frame(_) = client.receive(PATIENCE) else { return Err("no answer".to_owned()) };
    }
    play.ensemble.pause(1)?;
    play.ensemble.pause(2)?;
    for contents in [request(1, joining(ABSENT)), request(2, leaving("4"))] {
        client.send_frame(&contents).map_err(|error| error.to_string())?;
    }
    // The proposal is on the leader's disk, so that the second request comes when the first one is under way.
    let ensemble = &play.ensemble;
    until("a list to come", || Ok(ensemble.files(3)?.contains_key("zoo.cfg.dynamic.next")))?;
    let next = ensemble.files(3)?.remove("zoo.cfg.dynamic.next").unwrap_or_default();
    let version = next.lines().find_map(|line| line.strip_prefix("version=")).ok_or("no version to come")?;
    let version = i64::from_str_radix(version, 16).map_err(|error| error.to_string())?;
    play.versions.push(version);
    let next = play.named(&next);
    play.say("the list to come", next);
    play.ensemble.resume(1)?;
    play.ensemble.resume(2)?;
    for _ in 0..2 {
        let Received::Frame(frame) = client.receive(PATIENCE) else { return Err("no answer".to_owned()) };
        let error = frame.get(12..HEADER).and_then(|error| error.try_into().ok()).map_or(0, i32::from_be_bytes);
        let reply = play.reply((error, frame))?;
        play.say("two at once", reply);
    }
    let closing = request(3, bare(rookeeper_protocol::types::OpCode::CloseSession));
    client.send_frame(&closing).map_err(|error| error.to_string())?;
    play.ensemble.settle()?;
    play.change(3, &leaving("4"), &[1, 2, 3])
}

/// The leader is removed, and comes back; then all start from what they have written.
fn hand_over(play: &mut Play) -> Result<(), String> {
    // Whether the answer comes before the connection ends is open with either: roles change with the commit.
    let _may_be_lost = ControlClient::connect(play.ensemble.address(1))?.call(&leaving("3"));
    play.ensemble.settle_among(&[1, 2])?;
    // Who is not in the list follows without a vote.
    play.becomes(3, Mode::Follower)?;
    play.shown(&[1, 2, 3])?;
    play.files(&[1, 2, 3])?;
    let line = play.ensemble.line(3);
    play.change(1, &joining(&line), &[1, 2, 3])?;
    play.ensemble.settle()?;
    play.shown(&[1, 2, 3])?;
    for id in [1, 2, 3] {
        play.ensemble.terminate(id)?;
    }
    play.ensemble.launch_all()?;
    play.ensemble.settle()?;
    play.shown(&[1, 2, 3])?;
    play.files(&[1, 2, 3])?;
    play.ensemble.compare(&[1, 2, 3]).map(drop)
}

fn play(kinds: [Kind; 3]) -> Result<Vec<String>, String> {
    let mut play = Play::start(kinds)?;
    for (name, part) in [
        ("start", (|play| play.shown(&[1, 2, 3]).and_then(|()| play.files(&[1, 2, 3]))) as fn(&mut Play) -> _),
        ("refusals", refusals),
        ("changes", changes),
        ("under way", under_way),
        ("hand over", hand_over),
    ] {
        eprintln!("{kinds:?}: {name}");
        part(&mut play).map_err(|error| format!("{kinds:?}, {name}: {error}"))?;
    }
    Ok(play.transcript)
}

/// Plays the same on an ensemble of Apache ZooKeeper's and on others, and compares all that was said.
fn compare(others: &[[Kind; 3]]) {
    let (reference, others) = std::thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|kinds| (kinds, scope.spawn(|| play(*kinds)))).collect();
        let reference = play([Kind::Java; 3]).unwrap_or_else(|error| panic!("{error}"));
        let joined = others.into_iter().map(|(kinds, other)| (kinds, other.join().expect("a play")));
        (reference, joined.collect::<Vec<_>>())
    });
    for (kinds, transcript) in others {
        let transcript = transcript.unwrap_or_else(|error| panic!("{error}"));
        let differences: Vec<_> = reference.iter().zip(&transcript).filter(|(one, other)| one != other).collect();
        for (reference, other) in &differences {
            eprintln!("Apache ZooKeeper: {reference}\n{kinds:?}: {other}\n");
        }
        assert!(differences.is_empty(), "{kinds:?}: {} of {} outcomes differ", differences.len(), reference.len());
        assert_eq!(reference.len(), transcript.len(), "{kinds:?}");
    }
}

/// The last member leads at first, and is the one that is removed.
#[test]
fn reconfigurations_are_answered_as_by_java() {
    let ours = subject_kind();
    compare(&[[ours; 3], [ours, ours, Kind::Java], [Kind::Java, Kind::Java, ours]]);
}

/// Without `reconfigEnabled` nobody may, and no file is touched.
#[test]
fn members_are_fixed_as_with_java() {
    let outcome = |kind: Kind| -> Result<_, String> {
        let config = usual().key("standaloneEnabled", "false");
        let ensemble = Ensemble::prepare_dynamic(&[(kind, Role::Participant)], &config)?;
        let mut play = Play { ensemble, versions: Vec::new(), transcript: Vec::new() };
        play.ensemble.launch_all()?;
        play.ensemble.settle()?;
        play.shown(&[1])?;
        play.call(1, &joining(ABSENT))?;
        play.call(1, &leaving("1"))?;
        play.shown(&[1])?;
        Ok((play.transcript, play.ensemble.files(1)?))
    };
    let reference = outcome(Kind::Java).unwrap_or_else(|error| panic!("{error}"));
    let subject = outcome(subject_kind()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(subject, reference);
}
