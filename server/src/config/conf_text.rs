//! What the four-letter word `conf` answers (`ZooKeeperServer.dumpConf`).

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::server_config::ServerConfig;

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

impl ServerConfig {
    /// The answer to `conf`: a line per value, each with its end. Java keeps its files in a
    /// folder `version-2` and names that; so do we, for who parses it cuts it off.
    pub fn conf_text(&self, facts: ConfFacts) -> String {
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
        text
    }
}

/// `File.getAbsolutePath`: put behind the working directory, with its dots left in.
fn java_dir(dir: &Path) -> PathBuf {
    let dir = dir.join("version-2");
    match std::env::current_dir() {
        Ok(base) => base.join(dir),
        Err(_) => dir,
    }
}
