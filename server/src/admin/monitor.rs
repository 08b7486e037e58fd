//! `mntr`: every metric by its name (`MonitorCommand`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use rookeeper_core::peer::Peer;
use rookeeper_core::pipeline::Now;
use rookeeper_core::tree::{LIMIT_NODE, QUOTA, QuotaStats, STAT_NODE, Tree};
use rookeeper_protocol::jute::decode_text;
use rustix::process::{Resource, getrlimit};

use super::{java_text, version};
use crate::metrics::{CoreCounts, Facts, MemberFacts, Number, QuotaFacts, for_each};
use crate::runtime::{Machine, Shared};

/// Znodes below `/zookeeper/quota` that are looked at: a few for each quota, and quotas are made by hand. The
/// tree is held meanwhile, for about a millisecond.
const QUOTA_ZNODES_MAX: usize = 4096;

/// The answer to `mntr`.
pub(super) fn mntr(shared: &Shared) -> String {
    let mut text = format!("zk_version\t{}\n", version::full());
    text.push_str(&states(&shared.machine.lock()));
    for_each(&facts(shared), |name, value| {
        // Writing to a string cannot fail.
        let _ = match value {
            Number::Whole(value) => writeln!(text, "zk_{name}\t{value}"),
            Number::Fraction(value) => writeln!(text, "zk_{name}\t{}", java_text::fraction(value)),
        };
    });
    text
}

/// What is no number (`ZooKeeperServer#dumpMonitorValues` and those that override it).
fn states(machine: &Machine) -> String {
    let mut text = format!("zk_server_state\t{}\n", machine.mode());
    if let Some(peer) = machine.member().filter(|peer| !peer.is_read_only()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "zk_peer_state\t{}", peer.detailed_state());
        if let Some(master) = peer.observer_master() {
            let _ = writeln!(text, "zk_observer_master_id\t{}", master.0);
        }
    }
    text
}

/// What the core has counted since the start.
pub(super) fn core_counts(shared: &Shared) -> CoreCounts {
    let machine = shared.machine.lock();
    let (changes_queued, changes_removed) = machine.pipeline().change_counts();
    let member = machine.member().map(Peer::counts).unwrap_or_default();
    CoreCounts { changes_queued, changes_removed, member }
}

/// What a member is at the moment. A read-only server is a member of nothing to Java.
fn member(peer: &Peer, now: Now) -> MemberFacts {
    MemberFacts {
        quorum_size: (!peer.is_read_only()).then(|| peer.quorum_size()),
        synced_observers: peer.synced_observers(),
        leader: peer.leader_figures(now),
    }
}

fn facts(shared: &Shared) -> Facts<'_> {
    let now = shared.clock.now();
    let (sessions, local_sessions, member) = {
        let machine = shared.machine.lock();
        let pipeline = machine.pipeline();
        let member = machine.member().map(|peer| member(peer, now));
        (pipeline.sessions.len(), pipeline.local_sessions.len(), member)
    };
    let core = shared.stats.core_since_reset(core_counts(shared));
    let (open_files, open_files_max) = open_files();
    let tree = shared.tree.read();
    Facts {
        stats: &shared.stats,
        core,
        uptime_ms: now.monotonic_ms,
        connections: shared.connections.len(),
        outstanding: shared.in_flight.load(Relaxed),
        znodes: tree.node_count(),
        ephemerals: tree.ephemeral_count(),
        data_size: tree.data_size(),
        watches: shared.watches.lock().len(),
        sessions,
        local_sessions,
        open_files,
        open_files_max,
        quotas: quotas(&tree).into_iter().collect(),
        member,
    }
}

/// File descriptors of this process, and how many it may have.
fn open_files() -> (u64, u64) {
    // One is the listing's own.
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1));
    (open as u64, getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Limits and use of quotas, added up by the top znode of their paths (`QuotaMetricsUtils`).
fn quotas(tree: &Tree) -> BTreeMap<String, QuotaFacts> {
    let mut quotas = BTreeMap::<String, QuotaFacts>::new();
    let mut pending: Vec<(String, _)> = tree.find(QUOTA).map(|id| (String::new(), id)).into_iter().collect();
    let mut seen = 0;
    while let Some((path, id)) = pending.pop() {
        seen += 1;
        if seen > QUOTA_ZNODES_MAX {
            break;
        }
        let room = QUOTA_ZNODES_MAX.saturating_sub(seen + pending.len());
        let children = tree.children(id).take(room).map(|name| format!("{path}/{name}"));
        pending.extend(children.filter_map(|path| tree.find(&format!("{QUOTA}{path}")).map(|id| (path, id))));

        let Some((parent, name)) = path.rsplit_once('/') else { continue };
        let Some(namespace) = parent.split('/').nth(1) else { continue };
        let znode = tree.znode(id);
        if !matches!(name, LIMIT_NODE | STAT_NODE) || znode.num_children > 0 {
            continue;
        }
        // Clients may write anything there; what is not a quota's text counts for nothing.
        let Some(stats) = znode.data.and_then(|data| QuotaStats::parse(&decode_text(data))) else { continue };
        let quota = quotas.entry(namespace.to_owned()).or_default();
        let add = |sum: &mut Option<i64>, value: i64| *sum = Some(sum.unwrap_or(0).wrapping_add(value));
        // A hard limit counts before a soft one.
        let limit = |hard: i64, soft: i64| if hard > -1 { hard } else { soft };
        if name == LIMIT_NODE {
            add(&mut quota.count_limit, limit(stats.count_hard_limit(), stats.count()));
            add(&mut quota.bytes_limit, limit(stats.bytes_hard_limit(), stats.bytes()));
        } else {
            add(&mut quota.count_used, stats.count());
            add(&mut quota.bytes_used, stats.bytes());
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use rookeeper_core::tree::TreeRules;
    use rookeeper_protocol::types::{Acl, ExtendedTypes, StatPersisted, Zxid};

    #[test]
    fn quotas_are_added_up_by_their_top_znode() {
        let extended_types = ExtendedTypes { enabled: false, emulate_353: false };
        let mut loader = Tree::loader(TreeRules { extended_types, digest: true }, 1);
        let znodes = [
            ("/zookeeper", ""),
            ("/zookeeper/quota", ""),
            ("/zookeeper/quota/a", ""),
            ("/zookeeper/quota/a/zookeeper_limits", "count=5,bytes=-1=;byteHardLimit=70;countHardLimit=-1"),
            ("/zookeeper/quota/a/zookeeper_stats", "count=2,bytes=20"),
            ("/zookeeper/quota/a/b", ""),
            ("/zookeeper/quota/a/b/zookeeper_limits", "count=1,bytes=3=;countHardLimit=9"),
            ("/zookeeper/quota/c", ""),
            ("/zookeeper/quota/c/zookeeper_limits", "no quota"),
            ("/zookeeper/quota/zookeeper_stats", "count=9,bytes=9"),
        ];
        for (path, data) in znodes {
            loader.add(path, Some(data.as_bytes()), &[Acl::open()].into(), StatPersisted::default()).unwrap();
        }
        // Loading counts again what lies at /a, which is nothing.
        let quotas = quotas(&loader.finish(Zxid(1)));
        let expected =
            QuotaFacts { bytes_limit: Some(73), count_used: Some(0), count_limit: Some(14), bytes_used: Some(0) };
        assert_eq!(quotas, BTreeMap::from([("a".to_owned(), expected)]));
    }

    #[test]
    fn open_files_are_counted() {
        let (before, max) = open_files();
        let _file = tempfile::tempfile().unwrap();
        assert!(open_files().0 > 0 && before < max);
    }
}
