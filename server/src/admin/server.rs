//! The server as a whole: `srvr`, `srst`, `conf`, `dirs`, `hash`.

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use rookeeper_core::zab::leader::ProposalSizes;
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::DATA_FOLDER;

use super::{java_text, monitor, version};
use crate::config::{ConfEnsemble, ConfFacts};
use crate::runtime::Shared;

/// What `srvr` and `stat` begin with.
pub(super) fn heading(shared: &Shared) -> String {
    let read_only = match shared.machine.lock().is_read_only() {
        true => "READ-ONLY mode; serving only read-only clients\n",
        false => "",
    };
    format!("Zookeeper version: {}\n{read_only}", version::full())
}

/// What else `srvr` tells, and `stat` behind the clients (`ServerStats#toString`, `StatCommand`).
pub(super) fn numbers(shared: &Shared) -> String {
    let stats = &shared.stats;
    let (mode, leader, begin) = {
        let machine = shared.machine.lock();
        let peer = machine.member();
        let leader = peer.and_then(|peer| peer.leader_figures(shared.clock.now()));
        (machine.mode(), leader, leader.and(peer).map(|peer| peer.epochs().current.start()))
    };
    let (zxid, znodes) = {
        let tree = shared.tree.read();
        // A leader's epoch has begun before its first transaction.
        (tree.last_zxid().max(begin.unwrap_or(Zxid::ZERO)), tree.node_count())
    };
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    let mean = java_text::fraction(stats.mean_latency_ms());
    let latency = format!("{}/{mean}/{}", stats.min_latency_ms(), stats.max_latency_ms.load(Relaxed));
    line("Latency min/avg/max", &latency);
    line("Received", &stats.received.load(Relaxed));
    line("Sent", &stats.sent.load(Relaxed));
    line("Connections", &shared.connections.len());
    line("Outstanding", &shared.in_flight.load(Relaxed));
    line("Zxid", &format_args!("{:#x}", zxid.0));
    line("Mode", &mode);
    line("Node count", &znodes);
    if let Some(leader) = leader {
        line("Proposal sizes last/min/max", &proposal_sizes(leader.proposal_sizes));
    }
    text
}

/// `BufferStats#toString`.
fn proposal_sizes(sizes: Option<ProposalSizes>) -> String {
    match sizes {
        Some(ProposalSizes { last, min, max }) => format!("{last}/{min}/{max}"),
        None => "-1/-1/-1".to_owned(),
    }
}

/// `srst`: begins to count anew.
pub(super) fn srst(shared: &Shared) -> String {
    let core = monitor::core_counts(shared);
    shared.stats.reset(core);
    "Server stats reset.\n".to_owned()
}

/// `conf`: what zoo.cfg came to.
pub(super) fn conf(shared: &Shared) -> String {
    let (data_dir_size, data_log_size) = sizes(shared);
    let facts = ConfFacts { client_port: shared.client_port.load(Relaxed), data_dir_size, data_log_size };
    let machine = shared.machine.lock();
    let ensemble = machine.member().map(|peer| {
        let membership = &peer.zab().membership;
        // A read-only server of Java's names no members.
        ConfEnsemble { membership, with_members: !peer.is_read_only() }
    });
    shared.config.conf_text(facts, ensemble)
}

/// `dirs`: bytes of image and log.
pub(super) fn dirs(shared: &Shared) -> String {
    let (image, log) = sizes(shared);
    format!("datadir_size: {image}\nlogdir_size: {log}\n")
}

/// `hash`: digests of the past, the oldest first.
pub(super) fn hash(shared: &Shared) -> String {
    let mut text = String::new();
    for past in shared.tree.read().digest_log() {
        let _ = writeln!(text, "{:x}: {}", past.zxid.0, past.digest);
    }
    text
}

/// Bytes of the files of the image, and of those of the log.
fn sizes(shared: &Shared) -> (u64, u64) {
    let log_dir = shared.config.data_log_dir.join(DATA_FOLDER).join("log");
    let image_dir = shared.config.data_dir.join(DATA_FOLDER);
    (size(&image_dir, &log_dir), size(&log_dir, Path::new("")))
}

/// Bytes of the files at and below `dir`, but not below `without`. Files come and go: what cannot be looked at
/// is gone (`ZooKeeperServer#getDirSize`).
fn size(dir: &Path, without: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().filter(|entry| entry.path() != without).map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path(), without),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn proposals_have_sizes_once_there_are_some() {
        assert_eq!(proposal_sizes(None), "-1/-1/-1");
        assert_eq!(proposal_sizes(Some(ProposalSizes { last: 50, min: 30, max: 90 })), "50/30/90");
    }

    #[test]
    fn sizes_are_those_of_all_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("log/old")).unwrap();
        std::fs::write(dir.path().join("a"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("log/old/b"), [0; 200]).unwrap();
        assert_eq!(size(dir.path(), Path::new("")), 210);
        assert_eq!(size(dir.path(), &dir.path().join("log")), 10);
        assert_eq!(size(&dir.path().join("missing"), Path::new("")), 0);
    }
}
