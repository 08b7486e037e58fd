//! Members with two addresses each (`multiAddress.enabled`), as on two networks: they elect and serve over the one that is
//! left, at a start and while they run, whichever that is, also where members of both kinds are one ensemble.
//!
//! Needs root, iproute2 and iptables (`provision/provision.sh network`). With `COMPAT_SUBJECT=java` all members are
//! Apache ZooKeeper.

use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::network::Network;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::request::{make, set};
use rookeeper_compat_tests::server::Kind;

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

fn ok<T>(what: &str, result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

struct Doubled {
    ensemble: Ensemble,
    clients: Vec<Client>,
}

impl Doubled {
    fn start(kinds: [Kind; 3]) -> Self {
        let network = ok("network", Network::make_with_two_addresses(3));
        let config = usual().property("zookeeper.multiAddress.enabled", "true");
        let members = kinds.map(|kind| (kind, Role::Participant));
        let mut ensemble = ok("start", Ensemble::prepare_with(&members, &config, Some(network)));
        ok("launch", ensemble.launch_all());
        ok("start", ensemble.settle());
        let addresses = ensemble.addresses();
        let clients = addresses.iter().map(|address| ok("a client", Client::open(&[*address], TIMEOUT_MS))).collect();
        Self { ensemble, clients }
    }

    fn network(&self) -> &Network {
        ok("network", self.ensemble.network())
    }

    /// Each member serves writes, which it cannot without the others, under one leader.
    fn serves(&mut self, what: &str) -> u8 {
        eprintln!("{what}");
        for client in &mut self.clients {
            assert_eq!(ok(what, client.insist(&set("/a", Some(what.as_bytes()), -1))).error, 0, "{what}");
        }
        ok(what, self.ensemble.settle())
    }
}

/// All stop, lose a network, and start: there is no other way from one to the other than the second address, then the first.
fn one_network_is_left(kinds: [Kind; 3]) {
    let mut doubled = Doubled::start(kinds);
    assert_eq!(ok("a znode", doubled.clients[0].insist(&make("/a", ""))).error, 0);
    doubled.serves("all is well");
    type Cut = fn(&Network, u8) -> Result<(), String>;
    let cuts: [(&str, Cut); 2] =
        [("the first network is lost", Network::cut_first_address), ("the second one is", Network::cut_second_address)];
    for (what, cut) in cuts {
        for id in doubled.ensemble.ids() {
            ok("the end", doubled.ensemble.terminate(id));
        }
        ok("heal", doubled.network().heal());
        for id in doubled.ensemble.ids() {
            ok("cut", cut(doubled.network(), id));
        }
        ok("launch", doubled.ensemble.launch_all());
        let leader = doubled.serves(what);
        // Nor is anything else needed for another election.
        ok("the end", doubled.ensemble.terminate(leader));
        ok("another leader", doubled.ensemble.settle());
        ok("launch", doubled.ensemble.launch(leader));
        doubled.serves(what);
    }
    ok("at the end", doubled.ensemble.compare(&doubled.ensemble.ids()));
}

fn one_address_is_lost(kinds: [Kind; 3]) {
    let mut doubled = Doubled::start(kinds);
    assert_eq!(ok("a znode", doubled.clients[0].insist(&make("/a", ""))).error, 0);
    let leader = doubled.serves("all is well");
    ok("cut", doubled.network().cut_first_address(leader));
    doubled.serves("the leader's first address is lost");
    ok("heal", doubled.network().heal());
    for id in doubled.ensemble.ids() {
        ok("cut", doubled.network().cut_second_address(id));
    }
    doubled.serves("the second network is lost");
    ok("heal", doubled.network().heal());

    // They find each other where there is nothing else from the start.
    for id in doubled.ensemble.ids() {
        ok("the end", doubled.ensemble.terminate(id));
        ok("cut", doubled.network().cut_first_address(id));
    }
    ok("launch", doubled.ensemble.launch_all());
    doubled.serves("a start without the first network");
    ok("at the end", doubled.ensemble.compare(&doubled.ensemble.ids()));
}

#[test]
fn ours_have_one_network_left() {
    one_network_is_left([subject_kind(); 3]);
}

#[test]
fn ours_lead_javas_over_one_network() {
    one_network_is_left([Kind::Java, subject_kind(), subject_kind()]);
}

#[test]
fn java_leads_ours_over_one_network() {
    one_network_is_left([subject_kind(), Kind::Java, Kind::Java]);
}

#[test]
fn ours_lose_an_address() {
    one_address_is_lost([subject_kind(); 3]);
}

#[test]
fn ours_lead_and_lose_an_address() {
    one_address_is_lost([Kind::Java, subject_kind(), subject_kind()]);
}

#[test]
fn java_leads_and_loses_an_address() {
    one_address_is_lost([subject_kind(), Kind::Java, Kind::Java]);
}
