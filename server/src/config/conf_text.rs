//! What the four-letter word `conf` answers (`ZooKeeperServer.dumpConf`).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use rookeeper_core::ensemble::{Member, Membership, PeerAddress, Role};

use super::server_config::ServerConfig;

/// The only algorithm of elections that is left, in Java too.
const ELECTION_ALGORITHM: u8 = 3;

/// What only a running server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfFacts {
    /// The port that the server listens on, which `clientPort=0` leaves to the system.
    pub client_port: u16,
    /// Bytes of all files that hold the tree.
    pub data_dir_size: u64,
    /// Bytes of all files that hold the log.
    pub data_log_size: u64,
}

/// What only a member of an ensemble knows, since its list of members may change.
#[derive(Debug, Clone, Copy)]
pub struct ConfEnsemble<'a> {
    /// The lists of members.
    pub membership: &'a Membership,
    /// Whether the one in force is told.
    pub with_members: bool,
}

impl ServerConfig {
    /// The answer to `conf`: a line per value, each with its end, but for the last line of a list of members. Java keeps
    /// its files in a folder `version-2` and names that; so do we, for who parses it cuts it off.
    pub fn conf_text(&self, facts: ConfFacts, ensemble: Option<ConfEnsemble<'_>>) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        line("clientPort", &facts.client_port);
        line("secureClientPort", &-1);
        line("dataDir", &java_dir(&self.data_dir).display());
        line("dataDirSize", &facts.data_dir_size);
        line("dataLogDir", &java_dir(&self.data_log_dir).display());
        line("dataLogSize", &facts.data_log_size);
        line("tickTime", &self.tick_time_ms);
        line("maxClientCnxns", &self.max_client_cnxns);
        line("minSessionTimeout", &self.min_session_timeout_ms);
        line("maxSessionTimeout", &self.max_session_timeout_ms);
        line("clientPortListenBacklog", &self.client_port_listen_backlog);
        line("serverId", &self.ensemble.shown_server_id());
        // `QuorumZooKeeperServer#dumpConf`.
        let Some(ConfEnsemble { membership, with_members }) = ensemble else { return text };
        let own = membership.active().members.get(&membership.my_id());
        line("initLimit", &self.ensemble.limits.init_limit);
        line("syncLimit", &self.ensemble.limits.sync_limit);
        line("electionAlg", &ELECTION_ALGORITHM);
        line("electionPort", &ports(own, |address| address.election_port));
        line("quorumPort", &ports(own, |address| address.quorum_port));
        line("peerType", &u8::from(membership.role() == Role::Observer));
        if with_members {
            let _ = write!(text, "membership: \n{}", membership.active_text());
        }
        text
    }
}

/// The ports of a server's addresses, each once (`MultipleAddresses#getAllPorts`).
fn ports(member: Option<&Member>, port: fn(&PeerAddress) -> u16) -> String {
    let mut ports: Vec<_> = member.into_iter().flat_map(|member| &member.addresses).map(port).collect();
    let mut told = BTreeSet::new();
    ports.retain(|port| told.insert(*port));
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")
}

/// `File.getAbsolutePath`: put behind the working directory, with its dots left in.
fn java_dir(dir: &Path) -> PathBuf {
    let dir = dir.join("version-2");
    match std::env::current_dir() {
        Ok(base) => base.join(dir),
        Err(_) => dir,
    }
}
