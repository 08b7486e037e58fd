//! Where the servers of the ensemble are, by the newest list of members.

use std::io;
use std::net::{IpAddr, SocketAddr};

use parking_lot::RwLock;
use rookeeper_core::ensemble::{EnsembleConfig, PeerAddress};
use rookeeper_protocol::types::{HostPort, ServerId};

/// The lists of members, as far as they tell where somebody is.
#[derive(Debug)]
pub(crate) struct Addresses {
    my_id: ServerId,
    lists: RwLock<Lists>,
}

#[derive(Debug)]
struct Lists {
    active: EnsembleConfig,
    /// One that was proposed and is not in force.
    next: Option<EnsembleConfig>,
    /// Where this server is by the last list in force that names it: one that is to join takes over lists without it, and
    /// one that was removed stays where it is (`QuorumPeer#setAddrs`).
    own: Vec<PeerAddress>,
}

impl Addresses {
    pub(crate) fn new(my_id: ServerId, active: EnsembleConfig, next: Option<EnsembleConfig>) -> Self {
        let own = addresses_of(my_id, &active).to_vec();
        Self { my_id, lists: RwLock::new(Lists { active, next, own }) }
    }

    pub(crate) fn my_id(&self) -> ServerId {
        self.my_id
    }

    /// A list was proposed.
    pub(crate) fn see(&self, next: EnsembleConfig) {
        self.lists.write().next = Some(next);
    }

    /// A list is in force.
    pub(crate) fn activate(&self, active: EnsembleConfig) {
        let mut lists = self.lists.write();
        if lists.next.as_ref().is_some_and(|next| next.version <= active.version) {
            lists.next = None;
        }
        let own = addresses_of(self.my_id, &active);
        if !own.is_empty() {
            lists.own = own.to_vec();
        }
        lists.active = active;
    }

    /// Where a server's learner port is, by the list in force first.
    pub(crate) fn learner_port(&self, server: ServerId) -> Vec<HostPort> {
        self.of(server, |address| address.quorum())
    }

    /// Where this server serves learners.
    pub(crate) fn own_learner_port(&self) -> Vec<HostPort> {
        self.own(PeerAddress::quorum)
    }

    /// Where this server takes part in elections.
    pub(crate) fn own_election_port(&self) -> Vec<HostPort> {
        self.own(PeerAddress::election)
    }

    fn own(&self, port: impl Fn(&PeerAddress) -> HostPort) -> Vec<HostPort> {
        self.lists.read().own.iter().map(port).collect()
    }

    /// Where a server's election port is.
    pub(crate) fn election_port(&self, server: ServerId) -> Vec<HostPort> {
        self.of(server, |address| address.election())
    }

    fn of(&self, server: ServerId, port: impl Fn(&PeerAddress) -> HostPort) -> Vec<HostPort> {
        let lists = self.lists.read();
        let mut found = Vec::new();
        for list in std::iter::once(&lists.active).chain(&lists.next) {
            for address in addresses_of(server, list) {
                let address = port(address);
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
        found
    }
}

fn addresses_of(server: ServerId, list: &EnsembleConfig) -> &[PeerAddress] {
    list.members.get(&server).map_or(&[], |member| &member.addresses)
}

/// Looks up where this is; names may have several addresses.
pub(super) async fn resolve(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    match address.host.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![SocketAddr::new(ip, address.port)]),
        Err(_) => Ok(tokio::net::lookup_host((address.host.as_str(), address.port)).await?.collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rookeeper_core::ensemble::ConfigRules;

    use super::*;

    fn list(text: &str) -> EnsembleConfig {
        EnsembleConfig::parse(text, ConfigRules { multi_address: false, standalone_enabled: false }).unwrap()
    }

    /// It says to others where it is, before any list of theirs does and when none does any more.
    #[test]
    fn a_server_that_no_list_names_knows_where_it_is() {
        let addresses = Addresses::new(ServerId(4), list("server.1=a:1:2\nserver.4=d:3:4\nversion=0"), None);
        let own = || [addresses.own_learner_port(), addresses.own_election_port()].map(|ports| ports[0].to_string());
        assert_eq!(own(), ["d:3", "d:4"]);
        addresses.activate(list("server.1=a:1:2\nserver.2=b:1:2\nversion=10"));
        assert_eq!(own(), ["d:3", "d:4"]);
        assert!(addresses.election_port(ServerId(4)).is_empty());
        addresses.activate(list("server.2=b:1:2\nserver.4=e:5:6\nversion=11"));
        assert_eq!(own(), ["e:5", "e:6"]);
    }
}
