//! What a reconfiguration is answered, error by error.

use super::*;
use crate::ensemble::{ConfigRules, EnsembleConfig};

const RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: true };
const THREE: &str = "server.1=a:1:2;5\nserver.2=b:1:2;5\nserver.3=c:1:2;5\n";

fn config(text: &str) -> EnsembleConfig {
    EnsembleConfig::parse(text, RULES).unwrap()
}

fn membership(rest: &str, rules: ConfigRules) -> Membership {
    Membership::new(ServerId(1), config(&format!("{THREE}{rest}version=10")), None, rules, true)
}

fn request<'a>(joining: Option<&'a str>, leaving: Option<&'a str>, members: Option<&'a str>) -> ReconfigRequest<'a> {
    let [joining, leaving, new_members] = [joining, leaving, members].map(|text| text.map(Into::into));
    ReconfigRequest { joining, leaving, new_members, from_config: -1 }
}

fn asked(request: &ReconfigRequest<'_>, membership: &Membership) -> Result<String, ErrorCode> {
    let synced = |id: ServerId| [1, 2, 4].contains(&id.0);
    let next = reconfigured(request, membership, Zxid(0x20), synced).map_err(|error| error.code())?;
    Ok(next.to_string())
}

#[test]
fn members_come_and_go() {
    let three = membership("", RULES);
    let four = Ok("server.1=a:1:2:participant;0.0.0.0:5\nserver.2=b:1:2:participant;0.0.0.0:5\n\
                   server.4=d:1:2:participant;0.0.0.0:5\nversion=20"
        .to_owned());
    assert_eq!(asked(&request(Some("server.4=d:1:2;5"), Some("3"), None), &three), four);
    assert_eq!(asked(&request(Some(" 4 = d:1:2;5 ,"), Some(" ,3, 7 "), None), &three), four);
    assert_eq!(asked(&request(Some("what.ever.4=d:1:2;5"), Some("3"), None), &three), four);
    let all = "server.4=d:1:2;5,server.1=a:1:2;5\nserver.2=b:1:2;5";
    assert_eq!(asked(&request(None, Some("not looked at"), Some(all)), &three), four);
    let replaced = asked(&request(Some("server.2=b:1:2:observer;5"), None, None), &three);
    assert_eq!(replaced, Err(ErrorCode::NewConfigNoQuorum), "of 1 and 3 only 1 is in sync");
    let unchanged = asked(&request(None, None, None), &three).unwrap();
    assert!(unchanged.ends_with("server.3=c:1:2:participant;0.0.0.0:5\nversion=20"));
}

#[test]
fn groups_only_as_a_whole() {
    let grouped = membership("group.1=1:2:3\n", RULES);
    assert_eq!(asked(&request(None, Some("3"), None), &grouped), Err(ErrorCode::BadArguments));
    let members = "server.1=a:1:2;5,server.2=b:1:2;5";
    assert!(asked(&request(None, None, Some(members)), &grouped).is_ok());
    let regrouped = format!("{members},group.1=1:2");
    let three = membership("", RULES);
    assert!(asked(&request(None, None, Some(&regrouped)), &three).unwrap().contains("\nweight.2=1\n"));
}

/// The order of the questions is Java's: what is under way, the version, the arguments, who is in sync.
#[test]
fn refusals_before_the_arguments_are_looked_at() {
    let mut pending = membership("", RULES);
    pending.see(config("server.1=a:1:2\nserver.4=d:1:2\nversion=18"));
    let nonsense = ReconfigRequest { from_config: 7, ..request(Some("="), Some("x"), None) };
    assert_eq!(asked(&nonsense, &pending), Err(ErrorCode::ReconfigInProgress));
    let three = membership("", RULES);
    assert_eq!(asked(&nonsense, &three), Err(ErrorCode::BadVersion));
    assert_eq!(asked(&ReconfigRequest { from_config: 0x10, ..nonsense }, &three), Err(ErrorCode::MarshallingError));
}

#[test]
fn wrong_arguments() {
    let three = membership("", RULES);
    for (joining, leaving, code) in [
        (None, Some("x"), ErrorCode::MarshallingError),
        (None, Some("server.3"), ErrorCode::MarshallingError),
        (Some("server.x=d:1:2;5"), None, ErrorCode::MarshallingError),
        (Some("server.4"), None, ErrorCode::BadArguments),
        (Some("server.4=d:1:2;5=6"), None, ErrorCode::BadArguments),
        (Some("server.4=d:1:2"), None, ErrorCode::BadArguments),
        (Some("server.4=d:1;5"), None, ErrorCode::BadArguments),
        (Some("server.4=d:1:x;5"), None, ErrorCode::BadArguments),
        (Some("server.4=d:1:70000;5"), None, ErrorCode::MarshallingError),
        (Some("server.4=d:1:2;5;6"), None, ErrorCode::BadArguments),
        (Some("server.4=b:9:1;5"), None, ErrorCode::BadArguments),
        (Some("server.4=d:1:2;B:2"), None, ErrorCode::BadArguments),
        (None, Some("1,2"), ErrorCode::BadArguments),
        (None, Some("1,2,3"), ErrorCode::BadArguments),
    ] {
        let answer = asked(&request(joining, leaving, None), &three);
        assert_eq!(answer, Err(code), "{joining:?} {leaving:?}");
    }
    for (members, code) in [
        ("", ErrorCode::BadArguments),
        ("server.1=a:1:2;5", ErrorCode::BadArguments),
        ("dataDir=/x", ErrorCode::BadArguments),
        ("server.x=a:1:2;5", ErrorCode::MarshallingError),
        ("server.1=a:1:2:observer;5", ErrorCode::MarshallingError),
        ("server.1=a:1:2;5,server.2=b:1:2;5,group.1=1", ErrorCode::BadArguments),
        ("server.1=\\u00", ErrorCode::MarshallingError),
    ] {
        assert_eq!(asked(&request(None, None, Some(members)), &three), Err(code), "{members:?}");
    }
    let alone = membership("", ConfigRules { standalone_enabled: false, ..RULES });
    assert!(asked(&request(None, Some("2,3"), None), &alone).is_ok(), "one is enough without a standalone mode");
    assert_eq!(asked(&request(None, Some("1,2,3"), None), &alone), Err(ErrorCode::BadArguments));
}

/// `checkAddressDuplicate`: places that every machine has are no one's.
#[test]
fn wildcard_and_loopback_may_be_shared() {
    let list = config("server.1=127.0.0.1:1:2;5\nserver.2=localhost:1:2;5\nserver.3=[::1]:1:2;5\nversion=10");
    let membership = Membership::new(ServerId(1), list, None, RULES, true);
    for joining in ["server.4=localhost:1:2;5", "server.4=127.0.0.1:1:2;[::]:5", "server.4=[::1]:1:2;0.0.0.0:5"] {
        assert!(asked(&request(Some(joining), Some("3"), None), &membership).is_ok(), "{joining}");
    }
    let moved = "server.2=127.0.0.1:7:8;5";
    assert!(asked(&request(Some(moved), None, None), &membership).is_ok(), "a member does not clash with itself");
}

/// `Leader.getDesignatedLeader`.
#[test]
fn who_leads_afterwards() {
    let active = config(&format!("{THREE}version=10"));
    let designated = |next: &str, acked: &[(i64, i64)]| {
        let acked = |id: ServerId| acked.iter().find(|(of, _)| *of == id.0).map(|(_, zxid)| Zxid(*zxid));
        designated_leader(ServerId(1), &active, &config(next), Zxid(0x20), acked).0
    };
    let acked = [(1, 0x29), (2, 0x20), (3, 0x24), (4, 0x25), (5, 0x1f)];
    assert_eq!(designated("server.1=a:1:9;7\nserver.2=b:1:2", &acked), 1, "it has not moved for learners");
    assert_eq!(designated("server.2=b:1:2\nserver.3=c:1:2", &acked), 3, "the one that has most");
    assert_eq!(designated("server.1=a:7:2\nserver.2=b:1:2\nserver.5=e:1:2", &acked), 2);
    let observers = "server.1=a:1:2:observer\nserver.2=b:1:2\nserver.5=e:1:2\nserver.4=d:1:2:observer";
    assert_eq!(designated(observers, &acked), 2, "observers do not lead");
    assert_eq!(designated("server.2=b:1:2\nserver.4=d:1:2", &[(2, 0x20), (4, 0x20)]), 2, "the smaller id of equals");
    assert_eq!(designated("server.1=a:7:2", &acked), 1, "nobody else is left");
}
