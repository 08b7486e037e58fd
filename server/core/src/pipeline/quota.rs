//! Whether a write keeps within its quota (`ZooKeeperServer#checkQuota`).
//!
//! Java compares with what is applied, so that a pipeline or a multi can overrun a hard limit. Here what is on
//! its way counts too.

use rookeeper_protocol::jute::decode_text;
use rookeeper_protocol::types::ErrorCode;

use super::{Notice, Pipeline};
use crate::tree::{QuotaStats, Tree, limit_path, stat_path};

/// What a write adds to the counts of a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QuotaDelta {
    /// The path that has the quota.
    pub(super) path: String,
    /// Znodes.
    pub(super) count: i64,
    /// Bytes of data.
    pub(super) bytes: i64,
}

impl QuotaDelta {
    pub(super) fn none(path: &str) -> Self {
        Self { path: path.to_owned(), count: 0, bytes: 0 }
    }
}

/// The numbers in a quota's znode. What is not there or cannot be read limits nothing.
fn stats(tree: &Tree, path: &str) -> Option<QuotaStats> {
    QuotaStats::parse(&decode_text(tree.get(path)?.data.unwrap_or_default()))
}

impl Pipeline {
    /// Judges a write that adds `count` znodes and `bytes` bytes at `path`. Beyond a soft limit it is told of,
    /// beyond a hard one refused. What it adds is remembered until it is applied.
    pub(super) fn check_quota(
        &mut self,
        tree: &Tree,
        path: &str,
        count: i64,
        bytes: i64,
        deltas: &mut Vec<QuotaDelta>,
    ) -> Result<(), ErrorCode> {
        if !self.rules.enforce_quota {
            return Ok(());
        }
        let Some(quota) = tree.quota_of(path) else { return Ok(()) };
        if let (Some(limits), Some(used)) = (stats(tree, &limit_path(&quota)), stats(tree, &stat_path(&quota))) {
            let (coming_count, coming_bytes) = self.outstanding.quota_gain(&quota);
            let new_count = used.count() + coming_count + count;
            let new_bytes = used.bytes() + coming_bytes + bytes;
            self.compare(&quota, "count", count, new_count, limits.count(), limits.count_hard_limit())?;
            self.compare(&quota, "bytes", bytes, new_bytes, limits.bytes(), limits.bytes_hard_limit())?;
        }
        let delta = QuotaDelta { path: quota, count, bytes };
        self.outstanding.add_quota(&delta);
        deltas.push(delta);
        Ok(())
    }

    /// A removal is never refused, but makes room.
    pub(super) fn free_quota(&mut self, tree: &Tree, path: &str, bytes: i64, deltas: &mut Vec<QuotaDelta>) {
        if self.rules.enforce_quota
            && let Some(quota) = tree.quota_of(path)
        {
            let delta = QuotaDelta { path: quota, count: -1, bytes: -bytes };
            self.outstanding.add_quota(&delta);
            deltas.push(delta);
        }
    }

    fn compare(
        &mut self,
        quota: &str,
        what: &str,
        added: i64,
        new: i64,
        soft: i64,
        hard: i64,
    ) -> Result<(), ErrorCode> {
        let (limit, kind) = if hard > -1 { (hard, "hard") } else { (soft, "soft") };
        if added == 0 || limit <= -1 || new <= limit {
            return Ok(());
        }
        let text = format!("{new} {what}, the {kind} limit is {limit}");
        let refused = kind == "hard";
        self.notices.push(Notice::QuotaExceeded { path: quota.to_owned(), text, refused });
        if refused { Err(ErrorCode::QuotaExceeded) } else { Ok(()) }
    }
}
