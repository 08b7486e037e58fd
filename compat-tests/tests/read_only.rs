//! Members without a quorum that show what they have (`readonlymode.enabled`): the same answers from Apache ZooKeeper and
//! from ours, and all is as before when the quorum is back.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::body::{Acls, Body};
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::raw_client::{RawClient, Received};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Kind, PATIENCE};
use rookeeper_compat_tests::view::{hex, password};
use rookeeper_protocol::types::OpCode;

/// Longer than the test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Flags of an ephemeral znode.
const EPHEMERAL: i32 = 1;

/// The member that is left alone.
const LONELY: u8 = 1;

/// Length of a reply's header.
const HEADER: usize = 16;

struct Play {
    ensemble: Ensemble,
    transcript: Vec<String>,
}

impl Play {
    fn say(&mut self, what: &str, outcome: impl std::fmt::Display) {
        self.transcript.push(format!("{what}: {outcome}"));
    }

    /// A client that can do with a read-only server, or not, with a session or none; says how it is received. A server that
    /// has no session for it closes.
    fn connect(&mut self, what: &str, session: i64, read_only: bool) -> Result<RawClient, String> {
        let mut client = RawClient::connect(self.ensemble.address(LONELY)).map_err(|error| error.to_string())?;
        let secret = if session == 0 { [0; 16] } else { password(session) };
        let hello = Body::new().int(0).long(0).int(TIMEOUT_MS).long(session).buffer(Some(&secret)).boolean(read_only);
        client.send_frame(&hello.bytes(0)).map_err(|error| error.to_string())?;
        let shown = match client.receive(PATIENCE) {
            Received::Frame(frame) => {
                let id = frame.get(8..16).and_then(|id| id.try_into().ok()).map_or(0, i64::from_be_bytes);
                let has = if id == 0 { "none" } else { "a session" };
                let right = frame.get(20..36) == Some(&password(id)[..]);
                let (head, tail) = (&frame[..8], frame.get(36..).unwrap_or_default());
                format!("{} {has}, its password {right}, {}", hex(head), hex(tail))
            }
            other => format!("{other:?}"),
        };
        self.say(what, shown);
        Ok(client)
    }

    /// Sends a request and says what comes back: the body, if it tells nothing of time and zxids.
    fn call(&mut self, client: &mut RawClient, number: i32, request: &Request, shows_body: bool) -> Result<(), String> {
        let contents = Body::new().int(number).int(request.op).body(request.body.clone()).bytes(0);
        client.send_frame(&contents).map_err(|error| error.to_string())?;
        let Received::Frame(frame) = client.receive(PATIENCE) else {
            return Err(format!("{} {}: no answer", request.op, request.label));
        };
        let error = hex(frame.get(12..HEADER).unwrap_or_default());
        let body = frame.get(HEADER..).unwrap_or_default();
        let body = if shows_body { hex(body) } else { format!("{} bytes", body.len()) };
        self.say(
            &format!("{} {}", request.op, request.label),
            format!("number {}, error {error}, {body}", hex(&frame[..4])),
        );
        Ok(())
    }

    /// What any client may ask.
    fn word(&mut self) {
        let reply = self.ensemble.server(LONELY).ask("isro");
        self.say("isro", format!("{reply:?}"));
    }

    /// What a read-only member says; with a quorum it depends on who leads.
    fn words(&mut self) {
        self.word();
        let reply = self.ensemble.server(LONELY).ask("srvr").unwrap_or_default();
        let mode = reply.lines().find(|line| line.starts_with("Mode: ") || line.starts_with("This "));
        self.say("srvr", format!("{mode:?}"));
        let reply = self.ensemble.server(LONELY).ask("mntr").unwrap_or_default();
        let state = reply.lines().find(|line| line.starts_with("zk_server_state"));
        self.say("mntr", format!("{state:?}"));
    }

    /// What may be read and what not, of every operation.
    fn operations(&mut self, client: &mut RawClient) -> Result<(), String> {
        let open = Acls::open();
        let by_path = [OpCode::GetAllChildrenNumber, OpCode::GetEphemerals].map(|op| path_only(op, "/a"));
        let reads = [
            (get("/a", true), false),
            (get("/none", false), true),
            (exists("/a", true), false),
            (children("/a", true), true),
            (children2("/a", false), false),
            (get_acl("/a"), false),
            (by_path[0].clone(), true),
            (by_path[1].clone(), true),
            (multi_read(&[children("/a", false)]), true),
            (add_watch("/a", 1), true),
        ];
        let writes = [
            sync("/a"),
            make("/b", ""),
            make_as("/b", EPHEMERAL),
            create2("/b", None, &open, 0),
            create_op(OpCode::CreateContainer, "/b", None, &open, 4),
            delete("/a", -1),
            delete("/none", -1),
            set("/a", Some(b"b"), -1),
            set_acl("/a", &open, -1),
            multi(&[make("/b", ""), delete("/a", 77)]),
            reconfig("server.4=127.0.0.1:1:2;3", "", "", -1),
        ];
        for (number, (request, shows_body)) in (1..).zip(&reads) {
            self.call(client, number, request, *shows_body)?;
        }
        for (number, request) in (100..).zip(&writes) {
            self.call(client, number, request, true)?;
        }
        self.call(client, -2, &bare(OpCode::Ping), true)?;
        self.call(client, 200, &children("/", false), true)
    }
}

fn play(kind: Kind) -> Result<Vec<String>, String> {
    let config = usual()
        .property("readonlymode.enabled", "true")
        .key("localSessionsEnabled", "true")
        .key("localSessionsUpgradingEnabled", "true");
    let ensemble = Ensemble::prepare_with(&[(kind, Role::Participant); 3], &config, None)?;
    let mut play = Play { ensemble, transcript: Vec::new() };
    play.ensemble.launch_all()?;
    play.ensemble.settle()?;
    play.word();
    let mut owner = Client::open(&[play.ensemble.address(LONELY)], TIMEOUT_MS)?;
    for request in [make("/a", "data"), make("/a/b", ""), make_as("/mine", EPHEMERAL)] {
        let reply = owner.insist(&request)?;
        play.say(&request.label, reply.error);
    }
    drop(play.connect("with a quorum", 0, true)?);

    play.ensemble.kill(2);
    play.ensemble.kill(3);
    until("read-only", || Ok(play.ensemble.server(LONELY).ask("isro").as_deref() == Some("ro")))?;
    play.words();
    drop(play.connect("who wants to write", 0, false)?);
    drop(play.connect("who wants to write, with a session", owner.session(), false)?);
    drop(play.connect("with a session of the ensemble", owner.session(), true)?);
    drop(play.connect("with a session of nobody", 0x1234_5678, true)?);
    let mut reader = play.connect("who reads", 0, true)?;
    play.operations(&mut reader)?;
    let mut closes = play.connect("who closes", 0, true)?;
    play.call(&mut closes, 1, &bare(OpCode::CloseSession), true)?;
    let end = closes.receive(PATIENCE);
    play.say("the end", format!("{end:?}"));

    play.ensemble.launch(2)?;
    play.ensemble.settle_among(&[LONELY, 2])?;
    let end = reader.receive(PATIENCE);
    play.say("the reader", format!("{end:?}"));
    play.word();
    drop(play.connect("with a quorum again", 0, true)?);
    play.ensemble.launch(3)?;
    play.ensemble.settle()?;
    let reply = owner.insist(&get("/mine", false))?;
    let is_owner = reply.data()?.1.ephemeral_owner == owner.session();
    play.say("the owner's znode", is_owner);
    let reply = owner.insist(&set("/a", Some(b"new"), 0))?;
    play.say("a write", reply.error);
    owner.close()?;
    play.ensemble.compare(&[1, 2, 3])?;
    Ok(play.transcript)
}

#[test]
fn a_member_without_a_quorum_is_read() {
    let (reference, subject) = std::thread::scope(|scope| {
        let reference = scope.spawn(|| play(Kind::Java));
        let subject = play(subject_kind());
        (reference.join().expect("the reference"), subject)
    });
    let (reference, subject) = (reference.unwrap_or_else(|e| panic!("{e}")), subject.unwrap_or_else(|e| panic!("{e}")));
    let differences: Vec<_> = reference.iter().zip(&subject).filter(|(one, other)| one != other).collect();
    for (reference, subject) in &differences {
        eprintln!("Apache ZooKeeper: {reference}\nhere:             {subject}\n");
    }
    assert!(differences.is_empty(), "{} of {} outcomes differ", differences.len(), reference.len());
    assert_eq!(reference.len(), subject.len());
}
