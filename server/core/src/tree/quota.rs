//! Quotas: their text, where they apply, what they have counted (`Quotas`, `StatsTrack`, `PathTrie`).

use std::collections::BTreeMap;

use nom::Parser;
use nom::bytes::complete::{is_a, is_not};
use nom::character::complete::i64 as number;
use nom::combinator::{all_consuming, opt};
use nom::multi::separated_list0;
use nom::sequence::separated_pair;

use super::{ChangeLog, QUOTA, Tree, Znode, ZnodeId};

/// Name of the znode that holds a quota's limits.
pub const LIMIT_NODE: &str = "zookeeper_limits";
/// Name of the znode that holds what was counted.
pub const STAT_NODE: &str = "zookeeper_stats";

const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";

/// Path of the limits of a quota on `path`.
pub fn limit_path(path: &str) -> String {
    format!("{QUOTA}{path}/{LIMIT_NODE}")
}

/// Path of the counts of a quota on `path`.
pub fn stat_path(path: &str) -> String {
    format!("{QUOTA}{path}/{STAT_NODE}")
}

/// Limits or counts: numbers by name, -1 for what is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaStats {
    values: BTreeMap<String, i64>,
}

impl QuotaStats {
    /// Reads the text form: `count=1,bytes=2=;byteHardLimit=3;countHardLimit=4`. `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        // The separators may be repeated, and a value may be followed by a stray `=`.
        let mut pair =
            (separated_pair(is_not::<_, _, nom::error::Error<&str>>("=,;"), is_a("="), opt(number)), opt(is_a("=")));
        let pairs = separated_list0(is_a(",;"), |input| pair.parse(input));
        let (_, pairs) = all_consuming((pairs, opt(is_a(",;")))).map(|(pairs, _)| pairs).parse(text).ok()?;
        let value = |((name, value), _): ((&str, Option<i64>), _)| (name.to_owned(), value.unwrap_or(-1));
        Some(Self { values: pairs.into_iter().map(value).collect() })
    }

    fn get(&self, name: &str) -> i64 {
        self.values.get(name).copied().unwrap_or(-1)
    }

    /// Number of znodes.
    pub fn count(&self) -> i64 {
        self.get(COUNT)
    }

    /// Bytes of data.
    pub fn bytes(&self) -> i64 {
        self.get(BYTES)
    }

    /// Hard limit on the number of znodes.
    pub fn count_hard_limit(&self) -> i64 {
        self.get(COUNT_HARD)
    }

    /// Hard limit on the bytes of data.
    pub fn bytes_hard_limit(&self) -> i64 {
        self.get(BYTES_HARD)
    }

    /// These counts.
    pub fn counted(count: i64, bytes: i64) -> Self {
        Self { values: BTreeMap::from([(COUNT.to_owned(), count), (BYTES.to_owned(), bytes)]) }
    }

    fn add(&mut self, count: i64, bytes: i64) {
        let (new_count, new_bytes) = (self.count().wrapping_add(count), self.bytes().wrapping_add(bytes));
        self.values.insert(COUNT.to_owned(), new_count);
        self.values.insert(BYTES.to_owned(), new_bytes);
    }
}

/// Prints as Java does, with the odd `=` before further names.
impl std::fmt::Display for QuotaStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.count(), self.bytes())?;
        let others = self.values.iter().filter(|(name, _)| *name != COUNT && *name != BYTES);
        for (index, (name, value)) in others.enumerate() {
            write!(f, "{};{name}={value}", if index == 0 { "=" } else { "" })?;
        }
        Ok(())
    }
}

/// The paths that have a quota.
#[derive(Debug, Default)]
pub(super) struct QuotaTrie {
    paths: std::collections::BTreeSet<String>,
}

impl QuotaTrie {
    /// A quota on `path` begins.
    fn add(&mut self, path: &str) {
        self.paths.insert(path.to_owned());
    }

    /// A quota on `path` ends.
    pub(super) fn remove(&mut self, path: &str) {
        self.paths.remove(path);
    }

    /// The deepest quota above or at `path`. Quotas on the root count for nothing.
    pub(super) fn deepest(&self, path: &str) -> Option<String> {
        if self.paths.is_empty() {
            return None;
        }
        let mut prefix = path;
        while !prefix.is_empty() {
            if self.paths.contains(prefix) {
                return Some(prefix.to_owned());
            }
            prefix = &prefix[..prefix.rfind('/').unwrap_or(0)];
        }
        None
    }
}

impl Tree {
    /// Quota znodes take effect as they are created.
    pub(super) fn quota_node_created(&mut self, parent_path: &str, name: &str, changes: &mut ChangeLog) {
        let Some(path) = parent_path.strip_prefix(QUOTA) else { return };
        match name {
            // `/zookeeper/quota/zookeeper_limits` would be a quota on no path; it kills a Java server.
            LIMIT_NODE if !path.is_empty() => self.quotas.add(path),
            STAT_NODE => self.recount(path, changes),
            _ => {}
        }
    }

    /// Finds the quotas of a tree that was loaded.
    pub(super) fn load_quotas(&mut self) {
        let Some(quota) = self.find(QUOTA) else { return };
        let mut found = Vec::new();
        self.walk(quota, &mut |id| {
            let path = self.path(id);
            if let Some(path) = path.strip_suffix(LIMIT_NODE)
                && let Some(path) = path.strip_prefix(QUOTA)
                && let Some(path) = path.strip_suffix('/')
                && !path.is_empty()
            {
                found.push(path.to_owned());
            }
        });
        for path in found {
            self.quotas.add(&path);
            // Not a change for the image: the next start counts again.
            self.recount(&path, &mut ChangeLog::default());
        }
    }

    /// Counts what lies at and below `path`, and writes it into the quota's stat znode.
    fn recount(&mut self, path: &str, changes: &mut ChangeLog) {
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.find(path) {
            self.walk(top, &mut |id| {
                count += 1;
                bytes += self.znode(id).data.map_or(0, <[u8]>::len) as i64;
            });
        }
        if let Some(stat) = self.find(&stat_path(path)) {
            self.write_counts(stat, &QuotaStats::counted(count, bytes), changes);
        }
    }

    /// Adds to the counts of the quota that `path` falls under. Neither versions, times nor watches see it.
    pub(super) fn account(&mut self, path: &str, bytes: i64, count: i64, changes: &mut ChangeLog) {
        let Some(prefix) = self.quota_of(path) else { return };
        let Some(id) = self.find(&stat_path(&prefix)) else { return };
        let text = rookeeper_protocol::jute::decode_text(self.znode(id).data.unwrap_or_default()).into_owned();
        // Clients may write anything here; what cannot be read counts from nothing.
        let mut stats = QuotaStats::parse(&text).unwrap_or_default();
        stats.add(count, bytes);
        self.write_counts(id, &stats, changes);
    }

    fn write_counts(&mut self, id: ZnodeId, stats: &QuotaStats, changes: &mut ChangeLog) {
        let Znode { acl, stat, digest, .. } = self.znode(id);
        self.rewrite(id, digest, Some(stats.to_string().as_bytes()), acl, stat);
        changes.changed(id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_text_form_is_javas() {
        for text in ["count=1,bytes=2", "count=-1,bytes=5=;byteHardLimit=6;countHardLimit=7"] {
            assert_eq!(QuotaStats::parse(text).unwrap().to_string(), text);
        }
        let stats = QuotaStats::parse("bytes=3,,;count=4").unwrap();
        assert_eq!((stats.count(), stats.bytes(), stats.count_hard_limit()), (4, 3, -1));
        assert_eq!(QuotaStats::parse("").unwrap(), QuotaStats::default());
        assert_eq!(QuotaStats::parse("count=x"), None);
        assert_eq!(QuotaStats::parse("count"), None);
    }

    #[test]
    fn the_deepest_quota_counts() {
        let mut trie = QuotaTrie::default();
        trie.add("/a");
        trie.add("/a/b/c");
        assert_eq!(trie.deepest("/a/b"), Some("/a".into()));
        assert_eq!(trie.deepest("/a/b/c/d"), Some("/a/b/c".into()));
        assert_eq!(trie.deepest("/ab"), None);
        trie.remove("/a");
        assert_eq!(trie.deepest("/a/b"), None);
    }
}
