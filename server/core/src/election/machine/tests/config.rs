//! Newer lists of members that come with a notification (`WorkerReceiver.run`, `QuorumPeer.processReconfig`).

use PeerState::{Following, Leading, Looking};
use Said::{Activated, Decided, To};
use rookeeper_protocol::peer::PeerState;

use super::fixture::{RULES, Said, Server, THREE};
use crate::ensemble::{EnsembleConfig, Membership, Role};
use rookeeper_protocol::types::ServerId;

const FIVE: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=20";

/// The election begins anew among the new members; the vote that came along does not count.
#[test]
fn another_ensemble() {
    let mut server = Server::looking(1);
    let told = server.hear_config(3, Looking, (3, 0, 5, 1), FIVE);
    assert_eq!(told[0], Activated { members_changed: true });
    assert_eq!(told[1..], [2, 3, 4, 5].map(|to| To(to, Looking, (1, 0, 5, 2))));
    assert_eq!(server.membership.active().version, 0x20);
    assert_eq!(server.hear_config(2, Looking, (3, 0, 5, 2), FIVE).len(), 4, "known now, so it counts");
}

/// The same members under another version: the list is taken over and the vote counts.
#[test]
fn another_version() {
    let mut server = Server::looking(1);
    let newer = THREE.replace("version=10", "version=11");
    let told = server.hear_config(3, Looking, (3, 0, 5, 1), &newer);
    assert_eq!(told[0], Activated { members_changed: false });
    assert_eq!(told[1..], [2, 3].map(|to| To(to, Looking, (3, 0, 5, 1))));
    assert_eq!(server.election.round(), 1);
}

/// Lists that are old, unreadable or no list at all do not make a vote wrong.
#[test]
fn lists_that_are_passed_over() {
    for text in [&FIVE.replace("version=20", "version=f"), "version=x", "server.1=\\u1", "", "dataDir=/x\nversion=99"] {
        let mut server = Server::looking(1);
        assert_eq!(server.hear_config(3, Looking, (3, 0, 5, 1), text).len(), 2, "{text:?}");
        assert_eq!(server.membership.active_text(), server.membership.active().to_string());
        assert_eq!(server.membership.active().version, 0x10);
    }
}

/// Only who looks takes a list over; the others hear of it from their leader.
#[test]
fn not_while_it_follows() {
    let mut server = Server::decided(1);
    assert_eq!(server.hear_config(2, Looking, (2, 0, 5, 1), FIVE), [To(2, Following, (3, 0, 5, 1))]);
    assert_eq!(server.membership.active().version, 0x10);
}

/// With `reconfigEnabled=false` Java would begin the election anew with each message, for ever.
#[test]
fn not_where_lists_are_fixed() {
    let mut server = Server::new(1, THREE);
    let config = EnsembleConfig::parse(THREE, RULES).unwrap();
    server.membership = Membership::new(ServerId(1), config, None, RULES, false);
    server.look(0, 5);
    assert_eq!(server.hear_config(3, Looking, (3, 0, 5, 1), FIVE).len(), 2);
    assert_eq!(server.hear_config(2, Looking, (3, 0, 5, 1), FIVE), [Decided(Following, (3, 0, 5, 1))]);
}

/// A list is taken from whoever has one, voter or not: a joiner's first message may bring it.
#[test]
fn from_one_without_a_vote() {
    let mut server = Server::looking(1);
    let told = server.hear_config(4, Looking, (i64::MIN, 0, 5, 1), FIVE);
    assert_eq!(told[0], Activated { members_changed: true });
    assert_eq!(told.len(), 5);
}

/// The new list may give this server another role, and then another first vote.
#[test]
fn becomes_an_observer() {
    let mut server = Server::looking(1);
    let text = "server.1=a:1:2:observer\nserver.2=b:1:2\nserver.3=c:1:2\nversion=20";
    let told = server.hear_config(3, Looking, (3, 0, 5, 1), text);
    assert_eq!(told[1..], [2, 3].map(|to| To(to, Looking, (i64::MIN, i64::MIN, i64::MIN, 2))));
    assert_eq!(server.membership.role(), Role::Observer);
    server.hear_config(2, Following, (3, 1, 5, 1), text);
    let told = server.hear_config(3, Leading, (3, 1, 5, 1), text);
    assert_eq!(told, [Decided(PeerState::Observing, (3, 1, 5, 1))]);
}

/// What is sent holds the active list to the last byte.
#[test]
fn sends_its_own_list() {
    use crate::election::ElectionOutput;
    use rookeeper_protocol::peer::Notification;
    let mut server = Server::looking(1);
    let mut out = Vec::new();
    server.now_ms = 200;
    server.election.on_timeout(server.now_ms, &server.membership, &mut out);
    let ElectionOutput::Send { to: ServerId(2), message } = &out[0] else { panic!("{out:?}") };
    let text = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=10";
    assert_eq!(Notification::read(message).unwrap().config.as_deref(), Some(text));
    assert_eq!(message.len(), 44 + text.len());
}
