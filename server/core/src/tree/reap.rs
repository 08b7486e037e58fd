//! Which container and TTL znodes may go now (`ContainerManager#getCandidates`).

use rookeeper_protocol::types::EphemeralOwner;

use super::Tree;

/// When znodes that nobody needs any more are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReapRules {
    /// How long a container may stay without ever having had a child, in milliseconds; 0 is for ever.
    pub never_used_ms_max: i64,
}

/// Paths of znodes that may be removed at this wall-clock time (milliseconds since 1970). The removal itself
/// is a request like others, and looks again.
pub fn reapable(tree: &Tree, rules: &ReapRules, now_ms: i64) -> Vec<String> {
    let containers = tree.containers.iter().filter(|id| {
        let znode = tree.znode(**id);
        let never_used = rules.never_used_ms_max != 0 && now_ms - znode.stat.mtime > rules.never_used_ms_max;
        znode.num_children == 0 && (znode.stat.cversion > 0 || never_used)
    });
    let expired = tree.ttls.iter().filter(|id| {
        let znode = tree.znode(**id);
        let EphemeralOwner::Ttl(ttl_ms) = znode.owner() else { return false };
        znode.num_children == 0 && ttl_ms != 0 && now_ms - znode.stat.mtime > ttl_ms
    });
    containers.chain(expired).map(|id| tree.path(*id)).collect()
}
