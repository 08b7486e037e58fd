//! Where this server listens for the others: it goes where the list of members in force says
//! (`QuorumPeer#restartLeaderElection`).

use std::io;
use std::sync::Arc;

use rookeeper_protocol::types::HostPort;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::thread::Sockets;
use crate::config::EnsembleLimits;
use crate::peers::{Addresses, ElectionPort, Guests, LearnerPort, bind_all};

/// Moves the ports, one list of members after the other.
pub(super) struct Mover {
    addresses: Arc<Addresses>,
    election: ElectionPort,
    learners: Arc<LearnerPort>,
    limits: EnsembleLimits,
    listens: Mutex<Places>,
}

/// Where the ports are.
#[derive(Debug, PartialEq, Eq)]
struct Places {
    elections: Vec<HostPort>,
    learners: Vec<HostPort>,
}

impl Mover {
    /// A server that listens at all addresses that the lists of its start have.
    pub(super) fn new(sockets: &Sockets, limits: EnsembleLimits) -> Arc<Self> {
        let Sockets { addresses, election, learners } = sockets;
        let my_id = addresses.my_id();
        let listens = Places { elections: addresses.election_port(my_id), learners: addresses.learner_port(my_id) };
        Arc::new(Self {
            addresses: addresses.clone(),
            election: election.clone(),
            learners: learners.clone(),
            limits,
            listens: Mutex::new(listens),
        })
    }

    /// Another list is in force: goes where it says, on a task of its own.
    pub(super) fn follow(self: &Arc<Self>) {
        let mover = self.clone();
        tokio::spawn(async move {
            if let Err(error) = mover.go().await {
                tracing::error!("cannot listen for other servers where the list of members says: {error}");
            }
        });
    }

    /// A port that stays where it is is not touched. Those that move are closed before: the new address may be the old one
    /// under another name, or another port's, and nobody looks for this server at the old one any more.
    async fn go(&self) -> io::Result<()> {
        // Of two lists that follow each other quickly the later one counts, and nothing is moved twice at a time.
        let mut listens = self.listens.lock().await;
        let (elections, learners) = (self.addresses.own_election_port(), self.addresses.own_learner_port());
        let elections_move = !elections.is_empty() && listens.elections != elections;
        let learners_move = !learners.is_empty() && listens.learners != learners;
        if elections_move {
            listens.elections.clear();
            self.election.listen(Vec::new()).await?;
        }
        if learners_move {
            listens.learners.clear();
            self.learners.stop_listening(Guests::Learners).await;
            self.learners.stop_listening(Guests::Observers).await;
        }
        if elections_move {
            self.election.listen(self.bind(&elections).await?).await?;
            tracing::info!("taking part in elections at {}", text(&elections));
            listens.elections = elections;
        }
        if learners_move {
            self.serve(Guests::Learners, &learners).await?;
            if let Some(port) = self.limits.observer_master_port {
                let at: Vec<_> = learners.iter().map(|address| HostPort { port, ..address.clone() }).collect();
                self.serve(Guests::Observers, &at).await?;
            }
            tracing::info!("listening for learners at {}", text(&learners));
            listens.learners = learners;
        }
        Ok(())
    }

    async fn serve(&self, guests: Guests, at: &[HostPort]) -> io::Result<()> {
        for listener in self.bind(at).await? {
            self.learners.listen(listener, guests, &Handle::current())?;
        }
        Ok(())
    }

    async fn bind(&self, at: &[HostPort]) -> io::Result<Vec<std::net::TcpListener>> {
        let bound = bind_all(at, self.limits.listen_on, self.limits.bind_tries).await;
        bound.map_err(|(address, error)| io::Error::new(error.kind(), format!("{address}: {error}")))
    }
}

fn text(places: &[HostPort]) -> String {
    let places: Vec<_> = places.iter().map(HostPort::to_string).collect();
    places.join("|")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig};
    use rookeeper_protocol::types::ServerId;
    use tokio::net::TcpStream;

    use super::*;
    use crate::member::election_sockets;
    use crate::runtime::testing::idle_server;

    fn list(elections: u16, learners: u16, version: u32) -> EnsembleConfig {
        let text = format!("server.1=127.0.0.1:{learners}:{elections}\nversion={version}");
        EnsembleConfig::parse(&text, ConfigRules { multi_address: false, standalone_enabled: false }).unwrap()
    }

    async fn answers(port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    }

    /// Each port moves alone, to a new place and back again.
    #[tokio::test]
    async fn a_port_that_stays_does_not_keep_the_other_one_from_moving() {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let held = [free(), free(), free()];
        let [election, learner, other] = [0, 1, 2].map(|at: usize| held[at].local_addr().unwrap().port());
        drop(held);
        let shared = idle_server();
        let limits = EnsembleLimits { bind_tries: 1, ..shared.config.ensemble.limits.clone() };
        let addresses = Arc::new(Addresses::new(ServerId(1), list(election, learner, 0), None));
        let at = |port| [HostPort { host: "127.0.0.1".to_owned(), port }];
        let learners = LearnerPort::new(shared.clone(), Duration::from_secs(1));
        let here = Handle::current();
        for listener in bind_all(&at(learner), None, 1).await.unwrap() {
            learners.listen(listener, Guests::Learners, &here).unwrap();
        }
        let bound = bind_all(&at(election), None, 1).await.unwrap();
        let sockets = election_sockets(&shared.config);
        let election_port = ElectionPort::open(shared, addresses.clone(), sockets, bound, &here).unwrap();
        let sockets = Sockets { addresses: addresses.clone(), election: election_port, learners };
        let mover = Mover::new(&sockets, limits);

        let moves = [(election, other), (election, learner), (other, learner), (learner, other)];
        for (version, (elections, learners)) in (1..).zip(moves) {
            addresses.activate(list(elections, learners, version));
            mover.go().await.unwrap();
            for port in [election, learner, other] {
                assert_eq!(answers(port).await, port == elections || port == learners, "{version}: {port}");
            }
        }
    }
}
