//! Election connections.

use bytes::BytesMut;
use rookeeper_protocol::peer::{HandshakeVersion, InitialMessage, Notification, PeerState, election_frames};
use rookeeper_protocol::types::{ServerId, Zxid};

use crate::stream::recording;

/// The messages of a stream as state, vote, its last zxid, and its epoch; each is written again as it was.
fn notifications(mut stream: BytesMut) -> Vec<(PeerState, ServerId, Zxid, i64)> {
    let mut votes = Vec::new();
    while let Some(message) = election_frames().next_frame(&mut stream).unwrap() {
        let read = Notification::read(&message).unwrap();
        let mut again = BytesMut::new();
        read.write(&mut again);
        assert_eq!(again, message);
        assert_eq!((read.version, read.election_epoch), (2, 1));
        assert!(read.config.unwrap().starts_with("server.1="));
        votes.push((PeerState::from_number(read.state).unwrap(), read.leader, read.zxid, read.peer_epoch));
    }
    assert!(stream.is_empty());
    votes
}

fn acceptor(connection: &str) -> Vec<(PeerState, ServerId, Zxid, i64)> {
    notifications(recording(&format!("{connection}.acceptor"))[..].into())
}

/// The first message, written again as it was, and the others.
fn dialler(connection: &str, version: HandshakeVersion) -> (InitialMessage, Vec<(PeerState, ServerId, Zxid, i64)>) {
    let whole = recording(&format!("{connection}.dialler"));
    let mut stream = BytesMut::from(&whole[..]);
    let first = InitialMessage::next(&mut stream).unwrap().unwrap();
    let mut again = BytesMut::new();
    first.write(version, &mut again);
    assert_eq!(again, whole[..whole.len() - stream.len()]);
    (first, notifications(stream))
}

fn addresses(message: &InitialMessage) -> Vec<String> {
    message.addresses.iter().map(ToString::to_string).collect()
}

const LOOKING: PeerState = PeerState::Looking;

#[test]
fn voters_agree() {
    let (first, votes) = dialler("larger-dials", HandshakeVersion::One);
    assert_eq!((first.server, addresses(&first)), (ServerId(2), vec!["127.0.0.1:3802".to_owned()]));
    let (two, three) = (ServerId(2), ServerId(3));
    assert_eq!(votes, [(LOOKING, two, Zxid(0), 0), (LOOKING, three, Zxid(0), 0)]);
    assert_eq!(acceptor("larger-dials"), [(LOOKING, three, Zxid(0), 0)]);
}

#[test]
fn the_smaller_number_says_who_it_is_and_goes() {
    let (first, votes) = dialler("smaller-dials", HandshakeVersion::One);
    assert_eq!((first.server, votes), (ServerId(1), vec![]));
}

#[test]
fn an_observer_votes_for_nobody() {
    let (first, votes) = dialler("observer-dials", HandshakeVersion::One);
    assert_eq!(first.server, ServerId(4));
    assert_eq!(votes[0], (LOOKING, ServerId(i64::MIN), Zxid(i64::MIN), i64::MIN));
    assert_eq!(acceptor("observer-dials").pop(), Some((PeerState::Leading, ServerId(3), Zxid(0), 1)));
}

#[test]
fn who_comes_late_learns_of_the_leader() {
    let (first, votes) = dialler("late-joiner", HandshakeVersion::One);
    assert_eq!((first.server, votes), (ServerId(3), vec![(LOOKING, ServerId(3), Zxid::new(1, 0x3c), 1)]));
    let answer = (PeerState::Following, ServerId(2), Zxid::new(1, 0x3b), 2);
    assert_eq!(acceptor("late-joiner"), [(LOOKING, ServerId(2), Zxid::new(1, 0x3b), 1), answer]);
}

#[test]
fn a_server_may_have_several_addresses() {
    let (first, votes) = dialler("several-addresses", HandshakeVersion::Many);
    assert_eq!((first.server, votes.len()), (ServerId(2), 1));
    assert_eq!(addresses(&first), ["[0:0:0:0:0:0:0:1]:3812", "127.0.0.1:3802"]);
    assert_eq!(acceptor("several-addresses").len(), 2);
}
