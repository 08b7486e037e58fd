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
}

impl Addresses {
    pub(crate) fn new(my_id: ServerId, active: EnsembleConfig, next: Option<EnsembleConfig>) -> Self {
        Self { my_id, lists: RwLock::new(Lists { active, next }) }
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
        lists.active = active;
    }

    /// Where a server's learner port is, by the list in force first.
    pub(crate) fn learner_port(&self, server: ServerId) -> Vec<HostPort> {
        self.of(server, |address| address.quorum())
    }

    /// Where this server serves learners by the list in force.
    pub(crate) fn own_learner_port(&self) -> Vec<HostPort> {
        self.own(PeerAddress::quorum)
    }

    /// Where this server takes part in elections by the list in force.
    pub(crate) fn own_election_port(&self) -> Vec<HostPort> {
        self.own(PeerAddress::election)
    }

    fn own(&self, port: impl Fn(&PeerAddress) -> HostPort) -> Vec<HostPort> {
        let lists = self.lists.read();
        let own = lists.active.members.get(&self.my_id);
        own.into_iter().flat_map(|member| &member.addresses).map(port).collect()
    }

    /// Where a server's election port is.
    pub(crate) fn election_port(&self, server: ServerId) -> Vec<HostPort> {
        self.of(server, |address| address.election())
    }

    fn of(&self, server: ServerId, port: impl Fn(&PeerAddress) -> HostPort) -> Vec<HostPort> {
        let lists = self.lists.read();
        let mut found = Vec::new();
        for list in std::iter::once(&lists.active).chain(&lists.next) {
            for address in list.members.get(&server).into_iter().flat_map(|member| &member.addresses) {
                let address = port(address);
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
        found
    }
}

/// Looks up where this is; names may have several addresses.
pub(super) async fn resolve(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    match address.host.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![SocketAddr::new(ip, address.port)]),
        Err(_) => Ok(tokio::net::lookup_host((address.host.as_str(), address.port)).await?.collect()),
    }
}
