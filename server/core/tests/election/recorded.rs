//! What servers of Apache ZooKeeper 3.9.5 said in elections (`protocol/tests/data/`): servers of ours in their place say
//! the same, to the byte.

use bytes::BytesMut;
use rookeeper_core::election::{Election, ElectionOutput, Standing, Timing};
use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig, Membership};
use rookeeper_protocol::peer::{InitialMessage, Notification, PeerState, election_frames};
use rookeeper_protocol::types::{ServerId, Zxid};

macro_rules! recording {
    ($name:literal) => {
        &include_bytes!(concat!("../../../../protocol/tests/data/", $name, ".bin"))[..]
    };
}

const RULES: ConfigRules = ConfigRules { multi_address: true, standalone_enabled: true };

/// The messages of a connection's opener, behind the one that says who it is.
fn dialler(recording: &[u8]) -> Vec<Vec<u8>> {
    let mut stream = BytesMut::from(recording);
    InitialMessage::next(&mut stream).unwrap().unwrap();
    messages(&stream)
}

fn messages(recording: &[u8]) -> Vec<Vec<u8>> {
    let mut stream = BytesMut::from(recording);
    let mut messages = Vec::new();
    while let Some(message) = election_frames().next_frame(&mut stream).unwrap() {
        messages.push(message.to_vec());
    }
    assert!(stream.is_empty());
    messages
}

/// A server of ours that begins to look, with the list of members of this message; and what it sends.
fn looking(id: i64, standing: Standing, message: &[u8]) -> (Election, Membership, Vec<ElectionOutput>) {
    let text = Notification::read(message).unwrap().config.unwrap().into_owned();
    let membership = Membership::new(ServerId(id), EnsembleConfig::parse(&text, RULES).unwrap(), None, RULES, true);
    let mut election = Election::new(ServerId(id), standing, Timing::default());
    let mut out = Vec::new();
    election.look(0, standing, &membership, &mut out);
    (election, membership, out)
}

/// What was sent to one server.
fn sent(out: &[ElectionOutput], to: i64) -> Vec<Vec<u8>> {
    let message = |output: &ElectionOutput| match output {
        ElectionOutput::Send { to: id, message } if id.0 == to => Some(message.to_vec()),
        _ => None,
    };
    out.iter().filter_map(message).collect()
}

fn standing(zxid: Zxid, epoch: i64) -> Standing {
    Standing { zxid, epoch }
}

/// Each list is written as Java wrote it.
#[test]
fn lists_of_members() {
    let mut texts = 0;
    let openers = [
        recording!("larger-dials.dialler"),
        recording!("late-joiner.dialler"),
        recording!("observer-dials.dialler"),
        recording!("several-addresses.dialler"),
    ];
    let acceptors = [
        recording!("larger-dials.acceptor"),
        recording!("late-joiner.acceptor"),
        recording!("observer-dials.acceptor"),
        recording!("several-addresses.acceptor"),
    ];
    for message in openers.into_iter().flat_map(dialler).chain(acceptors.into_iter().flat_map(messages)) {
        let text = Notification::read(&message).unwrap().config.unwrap().into_owned();
        assert_eq!(EnsembleConfig::parse(&text, RULES).unwrap().to_string(), text);
        texts += 1;
    }
    assert!(texts > 10, "{texts}");
}

/// Server 2 of a new ensemble votes for itself, hears of server 3, and votes for that one.
#[test]
fn a_first_election() {
    let [first, second] = &dialler(recording!("larger-dials.dialler"))[..] else { panic!() };
    let (mut election, mut membership, mut out) = looking(2, standing(Zxid::ZERO, 0), first);
    let three = Notification { leader: ServerId(3), ..Notification::read(first).unwrap() };
    let mut message = BytesMut::new();
    three.write(&mut message);
    election.on_message(1, ServerId(3), &message, &mut membership, &mut out).unwrap();
    assert_eq!(sent(&out, 1)[..2], [&first[..], &second[..]]);
}

/// Server 3 was away. Server 1 votes with server 2 when it hears of it, and tells it later whom it follows.
#[test]
fn a_late_joiner() {
    let [joins] = &dialler(recording!("late-joiner.dialler"))[..] else { panic!() };
    let answers = messages(recording!("late-joiner.acceptor"));
    let [looks, follows] = &answers[..] else { panic!() };

    let (mut three, mut membership, mut out) = looking(3, standing(Zxid::new(1, 0x3c), 1), joins);
    assert_eq!(sent(&out, 1), [&joins[..]]);
    out.clear();
    // Its own data are newer, so it answers the vote; then it believes those who follow, and the leader.
    three.on_message(1, ServerId(1), looks, &mut membership, &mut out).unwrap();
    assert_eq!(sent(&out, 1), [&joins[..]]);
    three.on_message(2, ServerId(1), follows, &mut membership, &mut out).unwrap();
    assert_eq!(three.state(), PeerState::Looking);
    let mut leads = BytesMut::new();
    let state = PeerState::Leading.number();
    Notification { state, ..Notification::read(follows).unwrap() }.write(&mut leads);
    three.on_message(3, ServerId(2), &leads, &mut membership, &mut out).unwrap();
    assert_eq!((three.state(), three.current_vote().leader), (PeerState::Following, ServerId(2)));

    // Server 1 of ours in the place of the one that answered.
    let (mut one, mut membership, mut out) = looking(1, standing(Zxid::new(1, 0x3b), 1), looks);
    one.on_message(1, ServerId(2), looks, &mut membership, &mut out).unwrap();
    assert_eq!(sent(&out, 3).last(), Some(looks));
    one.on_unreachable(2, ServerId(3), &membership, &mut out);
    one.on_epoch(2);
    out.clear();
    one.on_message(4, ServerId(3), joins, &mut membership, &mut out).unwrap();
    assert_eq!(sent(&out, 3), [&follows[..]]);
}

/// Observer 4 votes for nobody, and is told what was decided last.
#[test]
fn an_observer() {
    let first = &dialler(recording!("observer-dials.dialler"))[0];
    let (mut four, mut membership, out) = looking(4, standing(Zxid::ZERO, 0), first);
    assert_eq!(sent(&out, 3), [&first[..]]);
    let last = messages(recording!("observer-dials.acceptor")).pop().unwrap();
    let mut out = Vec::new();
    four.on_message(1, ServerId(3), &last, &mut membership, &mut out).unwrap();
    let mut follows = BytesMut::new();
    let state = PeerState::Following.number();
    Notification { state, ..Notification::read(&last).unwrap() }.write(&mut follows);
    four.on_message(2, ServerId(1), &follows, &mut membership, &mut out).unwrap();
    assert_eq!((four.state(), four.current_vote().leader), (PeerState::Observing, ServerId(3)));
}
