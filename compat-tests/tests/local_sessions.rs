//! Sessions that only one member knows (`localSessionsEnabled`), and what becomes of them: with members of either kind,
//! whoever leads.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use std::time::Instant;

use rookeeper_compat_tests::body::Body;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::raw_client::{RawClient, Received};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::server::{Config, Kind, PATIENCE, POLL};
use rookeeper_compat_tests::view::password;
use rookeeper_protocol::types::ErrorCode;

/// Longer than a test takes.
const LONG_MS: i32 = 100_000;

/// Two ticks, the shortest that servers of these tests allow.
const SHORT_MS: i32 = 1000;

/// Flags of an ephemeral znode.
const EPHEMERAL: i32 = 1;

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn config() -> Config {
    usual().key("localSessionsEnabled", "true")
}

/// Two followers, a leader, an observer.
fn start(kinds: [Kind; 4], config: &Config) -> Ensemble {
    let roles = [Role::Participant, Role::Participant, Role::Participant, Role::Observer];
    let members: Vec<_> = kinds.into_iter().zip(roles).collect();
    let mut ensemble = ok(Ensemble::prepare_with(&members, config, None));
    for ids in [&[2, 3][..], &[1, 4]] {
        for id in ids {
            ok(ensemble.launch(*id));
        }
        let known: &[u8] = if ids[0] == 2 { ids } else { &[1, 2, 3, 4] };
        assert_eq!(ok(ensemble.settle_among(known)), 3);
    }
    // The first transaction of the epoch: before it, servers tell different zxids.
    let mut client = ok(Client::open(&[ensemble.address(3)], LONG_MS));
    assert_eq!(ok(client.insist(&make("/first", ""))).error, 0);
    ok(client.close());
    ensemble
}

/// The newest zxid that a member has applied, by a client that is there already.
fn zxid(client: &mut Client) -> i64 {
    assert_eq!(ok(client.insist(&sync("/"))).error, 0);
    ok(client.insist(&exists("/", false))).zxid
}

/// The owner of a znode as a member tells it; 0 where it is not there.
fn owner(client: &mut Client, path: &str) -> i64 {
    ok(client.insist(&sync("/")));
    let reply = ok(client.insist(&get(path, false)));
    if reply.error == 0 { ok(reply.data()).1.ephemeral_owner } else { 0 }
}

fn gone_everywhere(clients: &mut [Client], path: &str) {
    let end = Instant::now() + PATIENCE;
    while clients.iter_mut().any(|client| owner(client, path) != 0) {
        assert!(Instant::now() < end, "{path} outlives its session");
        std::thread::sleep(POLL);
    }
}

/// Whether a member takes a client with this session in. One that does not says so, and does nothing to the session.
fn takes(ensemble: &Ensemble, id: u8, session: i64) -> bool {
    let mut client = RawClient::connect(ensemble.address(id)).expect("a connection");
    let hello = Body::new().int(0).long(0).int(LONG_MS).long(session).buffer(Some(&password(session))).boolean(false);
    client.send_frame(&hello.bytes(0)).expect("a connect request");
    match client.receive(PATIENCE) {
        Received::Frame(frame) => {
            let taken = frame.get(8..16) == Some(&session.to_be_bytes()[..]);
            assert!(taken || frame.get(8..16) == Some(&[0; 8]), "member {id}: {frame:?}");
            taken
        }
        other => panic!("member {id}: {other:?}"),
    }
}

/// Sessions cost no transaction until they own something; then they are everybody's.
fn upgrades(kinds: [Kind; 4]) {
    let ensemble = start(kinds, &config().key("localSessionsUpgradingEnabled", "true"));
    let ids = ensemble.ids();
    let mut watchers: Vec<_> = ids.iter().map(|id| ok(Client::open(&[ensemble.address(*id)], LONG_MS))).collect();
    for id in &ids {
        let others: Vec<_> = ids.iter().copied().filter(|other| other != id).collect();
        let before = zxid(&mut watchers[0]);
        let mut client = ok(Client::open(&[ensemble.address(*id)], LONG_MS));
        assert_eq!(zxid(&mut client), before, "member {id}: a local session");
        // A server that never gave it out does not know it, and says so: that ends nothing where it is.
        let session = client.session();
        assert_eq!(ok(client.insist(&exists("/none", false))).error, ErrorCode::NoNode.number());
        for other in &others {
            assert!(!takes(&ensemble, *other, session), "member {other}: local session of {id}");
        }
        assert_eq!(zxid(&mut client), before, "member {id}: questions for sessions");

        let path = format!("/of{id}");
        assert_eq!(ok(client.insist(&make_as(&path, EPHEMERAL))).error, 0, "member {id}");
        assert_eq!(zxid(&mut client), before + 2, "member {id}: createSession and create");
        for (other, watcher) in ids.iter().zip(&mut watchers) {
            assert_eq!(owner(watcher, &path), session, "member {other}: the owner of {path}");
        }
        for other in &others {
            client.move_to(ensemble.address(*other));
            assert_eq!(owner(&mut client, &path), session, "member {other}: upgraded session of {id}");
        }
        ok(client.close());
        gone_everywhere(&mut watchers, &path);

        // A local session that is closed costs nothing either.
        let before = zxid(&mut watchers[0]);
        ok(ok(Client::open(&[ensemble.address(*id)], LONG_MS)).close());
        assert_eq!(zxid(&mut watchers[0]), before, "member {id}: a local session that was closed");

        // The client of an upgraded session is gone.
        let mut client = ok(Client::open(&[ensemble.address(*id)], SHORT_MS));
        assert_eq!(ok(client.insist(&make_as(&path, EPHEMERAL))).error, 0, "member {id}");
        drop(client);
        gone_everywhere(&mut watchers, &path);
    }
    // Local sessions end where they are, without a word to anybody.
    let before = zxid(&mut watchers[0]);
    let silent: Vec<_> = ids.iter().map(|id| ok(Client::open(&[ensemble.address(*id)], SHORT_MS)).session()).collect();
    let end = Instant::now() + std::time::Duration::from_millis(4 * SHORT_MS as u64);
    while Instant::now() < end {
        for watcher in &mut watchers {
            ok(watcher.insist(&exists("/", false)));
        }
        std::thread::sleep(POLL);
    }
    for (id, session) in ids.iter().zip(silent) {
        assert!(!takes(&ensemble, *id, session), "member {id}: a session of a silent client");
    }
    assert_eq!(zxid(&mut watchers[0]), before, "local sessions that end");
    drop(watchers);
    ok(ensemble.compare(&ids));
}

/// Without upgrading, nothing can be owned.
fn stays_local(kinds: [Kind; 4]) {
    let ensemble = start(kinds, &config());
    for id in ensemble.ids() {
        let mut client = ok(Client::open(&[ensemble.address(id)], LONG_MS));
        let before = zxid(&mut client);
        let refused = ErrorCode::EphemeralOnLocalSession.number();
        assert_eq!(ok(client.insist(&make_as("/mine", EPHEMERAL))).error, refused, "member {id}");
        assert_eq!(ok(client.insist(&make(format!("/of{id}"), ""))).error, 0, "member {id}");
        assert_eq!(ok(client.insist(&exists("/mine", false))).error, ErrorCode::NoNode.number());
        // The refused request may have been a transaction that failed.
        let spent = zxid(&mut client) - before;
        assert!((1..=2).contains(&spent), "member {id}: {spent} zxids");
        ok(client.close());
    }
    ok(ensemble.compare(&ensemble.ids()));
}

#[test]
fn sessions_of_java_become_global() {
    upgrades([Kind::Java; 4]);
}

#[test]
fn sessions_become_global_under_javas_leader() {
    let ours = subject_kind();
    upgrades([ours, Kind::Java, Kind::Java, ours]);
}

#[test]
fn sessions_become_global_under_our_leader() {
    let ours = subject_kind();
    upgrades([Kind::Java, ours, ours, Kind::Java]);
}

#[test]
fn local_sessions_own_nothing_under_javas_leader() {
    let ours = subject_kind();
    stays_local([ours, Kind::Java, Kind::Java, ours]);
}

#[test]
fn local_sessions_own_nothing_under_our_leader() {
    let ours = subject_kind();
    stays_local([Kind::Java, ours, ours, Kind::Java]);
}
