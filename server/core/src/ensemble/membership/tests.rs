//! What a new list means to one server.

use super::*;

const RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: true };

fn config(text: &str) -> EnsembleConfig {
    EnsembleConfig::parse(text, RULES).unwrap()
}

const THREE: &str = "server.1=a:1:2;5\nserver.2=b:1:2;5\nserver.3=c:1:2;5\n";

fn server(id: i64) -> Membership {
    Membership::new(ServerId(id), config(&format!("{THREE}version=10")), None, RULES, true)
}

fn ids(voters: &BTreeSet<ServerId>) -> Vec<i64> {
    voters.iter().map(|id| id.0).collect()
}

/// What `processReconfig` returns and leaves behind, in short.
fn told(activation: Option<Activation>) -> Option<(bool, bool, bool, Option<u16>)> {
    activation.map(|told| {
        assert_eq!(told.is_major(), told.role_changed || told.leader_changed);
        (told.members_changed, told.role_changed, told.leader_changed, told.client_address.map(|place| place.port))
    })
}

/// `setLastSeenQuorumVerifier`: by version only, older ones too.
#[test]
fn proposed_lists() {
    let mut server = server(1);
    assert!(!server.see(config("server.9=z:1:2\nversion=10")), "a version names one list");
    assert!(server.see(config("server.1=a:1:2\nserver.4=d:1:2\nversion=20")));
    assert_eq!(ids(server.voters()), [1, 2, 3, 4]);
    assert!(!server.quorums().satisfied_by(|id| id.0 != 4));
    assert!(server.quorums().satisfied_by(|id| id.0 != 3));
    assert_eq!(server.active_text(), server.active().to_string());
    assert!(server.see(config(&format!("{THREE}version=8"))), "the newer one was never committed");
    assert_eq!(server.last_seen().version, 8);
    assert!(server.quorums().satisfied_by(|id| id.0 != 3));
}

/// With `reconfigEnabled=false` nothing ever changes.
#[test]
fn fixed_lists() {
    let next = config("server.4=d:1:2\nversion=20");
    let mut server =
        Membership::new(ServerId(1), config(&format!("{THREE}version=10")), Some(next.clone()), RULES, false);
    assert_eq!(server.last_seen(), server.active());
    assert!(!server.see(next.clone()));
    assert_eq!(server.activate(next, ServerId(1), None), None);
    assert_eq!(ids(server.voters()), [1, 2, 3]);
}

/// A proposal that was pending when the server stopped is pending still.
#[test]
fn pending_at_the_start() {
    let next = config("server.1=a:1:2\nserver.4=d:1:2\nversion=20");
    let mut server =
        Membership::new(ServerId(1), config(&format!("{THREE}version=10")), Some(next.clone()), RULES, true);
    assert_eq!(server.last_seen(), &next);
    let activation = server.activate(config(&format!("{THREE}version=15")), ServerId(2), None).unwrap();
    assert!(!activation.nothing_pending && !activation.members_changed);
    assert_eq!(server.last_seen(), &next);
    assert!(server.activate(next, ServerId(2), None).unwrap().nothing_pending);
    assert_eq!(ids(server.voters()), [1, 4]);
}

/// `processReconfig`.
#[test]
fn what_another_list_changes() {
    let after = |me: i64, text: &str, designated: Option<i64>| {
        told(server(me).activate(config(text), ServerId(3), designated.map(ServerId)))
    };
    let same = format!("{THREE}version=20");
    assert_eq!(after(1, &format!("{THREE}version=10"), None), None);
    assert_eq!(after(1, &format!("{THREE}version=f"), None), None);
    assert_eq!(after(1, &same, None), Some((false, false, false, None)));
    assert_eq!(after(1, &same, Some(2)), Some((false, false, false, None)));

    let grown = format!("{THREE}server.4=d:1:2;5\nversion=20");
    assert_eq!(after(1, &grown, None), Some((true, false, false, None)));
    assert_eq!(after(1, &grown, Some(3)), Some((true, false, false, None)));
    assert_eq!(after(1, &grown, Some(2)), Some((true, false, true, None)));

    let other_places = "server.1=a:1:2;6\nserver.2=b:1:2;5\nserver.3=c:7:2;5\nversion=20";
    assert_eq!(after(1, other_places, None), Some((true, false, true, Some(6))));
    assert_eq!(after(2, other_places, Some(3)), Some((true, false, false, None)));

    let other_roles =
        "server.1=a:1:2:observer;5\nserver.2=b:1:2;5\nserver.3=c:1:2:observer;5\nserver.5=e:1:2\nversion=20";
    assert_eq!(after(1, other_roles, Some(2)), Some((true, true, true, None)));
    assert_eq!(after(2, other_roles, None), Some((true, false, true, None)));

    let without_me = "server.2=b:1:2;5\nserver.3=c:1:2;5\nversion=20";
    assert_eq!(after(1, without_me, Some(3)), Some((true, false, false, None)), "it goes on without a vote");
}

/// `updateLearnerType`: an observer that no list names any more follows as a participant that nobody counts.
#[test]
fn an_observer_that_is_removed() {
    let list = config(&format!("{THREE}server.4=d:1:2:observer;5\nversion=10"));
    let mut server = Membership::new(ServerId(4), list, None, RULES, true);
    assert_eq!((server.role(), server.my_id()), (Role::Observer, ServerId(4)));
    let activation = server.activate(config(&format!("{THREE}version=20")), ServerId(3), Some(ServerId(3)));
    assert_eq!(told(activation), Some((true, true, false, None)));
    assert_eq!(server.role(), Role::Participant);
    assert!(!server.voters().contains(&ServerId(4)));
}
