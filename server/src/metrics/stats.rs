//! The server's counts (`ServerStats`), added to by all connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use rookeeper_core::client::Tally;
use rookeeper_core::peer::Counts;
use rookeeper_core::tree::DigestMismatch;
use rookeeper_protocol::client::EventType;
use rookeeper_storage::Recovered;

use super::digest_alarm::DigestAlarm;
use super::member::MemberTimes;
use super::percentiles::Percentiles;
use super::summary::{Summary, mean};

/// Names of top znodes for which refused writes are counted. Quotas are the operator's; more are counted as none.
const NAMESPACES_MAX: usize = 1024;

/// What the core counts for itself since its start. `srst` remembers it, to be subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CoreCounts {
    /// Changes of znodes that were proposed.
    pub(crate) changes_queued: u64,
    /// Those that were applied.
    pub(crate) changes_removed: u64,
    /// What a member of an ensemble has done.
    pub(crate) member: Counts,
}

impl CoreCounts {
    fn since(self, earlier: Self) -> Self {
        Self {
            changes_queued: self.changes_queued.saturating_sub(earlier.changes_queued),
            changes_removed: self.changes_removed.saturating_sub(earlier.changes_removed),
            member: self.member.since(earlier.member),
        }
    }
}

/// Counts since the start, or since `srst`.
#[derive(Debug, Default)]
pub(crate) struct ServerStats {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) count: AtomicU64,
    pub(crate) total_latency_ms: AtomicU64,
    pub(crate) max_latency_ms: AtomicI64,
    min_latency_ms: AtomicI64,
    pub(crate) last_response_len: AtomicI64,
    pub(crate) max_response_len: AtomicI64,
    pub(crate) min_response_len: AtomicI64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) response_bytes: AtomicU64,
    pub(crate) watch_bytes: AtomicU64,
    pub(crate) connections_rejected: AtomicU64,
    pub(crate) connections_dropped: AtomicU64,
    pub(crate) connection_requests: AtomicU64,
    pub(crate) connection_revalidations: AtomicU64,
    pub(crate) sessions_expired: AtomicU64,
    pub(crate) sessionless_expired: AtomicU64,
    pub(crate) slow_flushes: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) throttle_waits: AtomicU64,
    pub(crate) large_requests_rejected: AtomicU64,
    /// Transactions whose digest was not the tree's.
    pub(crate) digest_mismatches: AtomicU64,
    /// Transactions that were given to the log.
    pub(crate) logged: AtomicU64,
    /// The chance of a new session being dropped, as the bits of a fraction.
    drop_chance: AtomicU64,
    pub(crate) flush_time: Summary,
    pub(crate) flush_batch: Summary,
    pub(crate) image_time: Summary,
    pub(crate) load_time: Summary,
    pub(crate) load_image_time: Summary,
    pub(crate) load_log_time: Summary,
    pub(crate) loaded_transactions: Summary,
    pub(crate) token_deficit: Summary,
    pub(crate) watches_created: Summary,
    pub(crate) watches_deleted: Summary,
    pub(crate) watches_changed: Summary,
    pub(crate) watches_children: Summary,
    pub(crate) read_latency: Percentiles,
    pub(crate) update_latency: Percentiles,
    pub(crate) member: MemberTimes,
    digest_alarm: DigestAlarm,
    quota_exceeded: Mutex<BTreeMap<String, u64>>,
    core_before: Mutex<CoreCounts>,
}

impl ServerStats {
    pub(crate) fn new() -> Self {
        let stats = Self::default();
        stats.reset(CoreCounts::default());
        stats
    }

    /// Adds what a connection counted.
    pub(crate) fn add(&self, tally: &Tally) {
        let add = |counter: &AtomicU64, value: u64| {
            if value != 0 {
                counter.fetch_add(value, Relaxed);
            }
        };
        add(&self.received, tally.received);
        add(&self.sent, tally.sent);
        add(&self.bytes_received, tally.bytes_received);
        add(&self.response_bytes, tally.response_bytes);
        add(&self.watch_bytes, tally.watch_bytes);
        if tally.count != 0 {
            add(&self.count, tally.count);
            add(&self.total_latency_ms, tally.total_latency_ms);
            self.max_latency_ms.fetch_max(tally.max_latency_ms, Relaxed);
            self.min_latency_ms.fetch_min(tally.min_latency_ms, Relaxed);
        }
        self.read_latency.add_many(0, tally.reads_at_once);
        for (latency_ms, count) in &tally.read_waits {
            self.read_latency.add_many(*latency_ms, *count);
        }
        if tally.sent != 0 && tally.max_response_len != 0 {
            self.last_response_len.store(tally.last_response_len as i64, Relaxed);
            self.max_response_len.fetch_max(tally.max_response_len as i64, Relaxed);
            if self.min_response_len.load(Relaxed) == -1 {
                self.min_response_len.store(tally.min_response_len as i64, Relaxed);
            }
            self.min_response_len.fetch_min(tally.min_response_len as i64, Relaxed);
        }
    }

    /// Shortest latency in milliseconds, 0 before the first reply.
    pub(crate) fn min_latency_ms(&self) -> i64 {
        match self.min_latency_ms.load(Relaxed) {
            i64::MAX => 0,
            min => min,
        }
    }

    /// Mean latency in milliseconds.
    pub(crate) fn mean_latency_ms(&self) -> f64 {
        mean(i64::try_from(self.total_latency_ms.load(Relaxed)).unwrap_or(i64::MAX), self.count.load(Relaxed))
    }

    /// Watches of so many connections fired at once (`WatchManager#triggerWatch`).
    pub(crate) fn fired(&self, event: EventType, count: usize) {
        let summary = match event {
            EventType::NodeCreated => &self.watches_created,
            EventType::NodeDeleted => &self.watches_deleted,
            EventType::NodeDataChanged => &self.watches_changed,
            EventType::NodeChildrenChanged => &self.watches_children,
        };
        summary.add(count as i64);
    }

    /// The log was flushed with so many transactions since the last time.
    pub(crate) fn flushed(&self, transactions: usize, took: Duration) {
        // The image asks for flushes too, of what forceSync=no has left in memory.
        if transactions != 0 {
            self.logged.fetch_add(transactions as u64, Relaxed);
            self.flush_batch.add(transactions as i64);
        }
        self.flush_time.add_time(took);
    }

    /// Transactions left another tree here than where they were made.
    pub(crate) fn mismatched(&self, mismatch: &DigestMismatch, now_ms: i64) {
        self.digest_mismatches.fetch_add(mismatch.count, Relaxed);
        if let Some(alarm) = self.digest_alarm.raised(mismatch, now_ms) {
            tracing::error!("{alarm}");
        }
    }

    /// The data folder was read.
    pub(crate) fn recovered(&self, report: &Recovered, took: Duration) {
        self.load_time.add_time(took);
        self.load_image_time.add_time(report.image_time);
        if !report.created {
            self.load_log_time.add_time(report.log_time);
            self.loaded_transactions.add(report.replayed as i64);
        }
    }

    /// The throttle of new sessions was asked. What it lacks counts for those that it lets through.
    pub(crate) fn throttle_asked(&self, deficit: Option<i32>, drop_chance: f64) {
        if let Some(deficit) = deficit {
            self.token_deficit.add(i64::from(deficit));
        }
        self.drop_chance.store(drop_chance.to_bits(), Relaxed);
    }

    /// The chance of a new session being dropped.
    pub(crate) fn drop_chance(&self) -> f64 {
        f64::from_bits(self.drop_chance.load(Relaxed))
    }

    /// A write at `path` was refused for its quota.
    pub(crate) fn quota_exceeded(&self, path: &str) {
        let namespace = path.split('/').nth(1).unwrap_or_default();
        let mut counts = self.quota_exceeded.lock();
        if let Some(count) = counts.get_mut(namespace) {
            *count += 1;
        } else if counts.len() < NAMESPACES_MAX {
            counts.insert(namespace.to_owned(), 1);
        }
    }

    /// How often that happened, by the top znode of the path.
    pub(crate) fn quotas_exceeded(&self) -> BTreeMap<String, u64> {
        self.quota_exceeded.lock().clone()
    }

    /// What the core has counted since the last reset.
    pub(crate) fn core_since_reset(&self, now: CoreCounts) -> CoreCounts {
        now.since(*self.core_before.lock())
    }

    /// Begins everything anew that is no gauge (`ServerStats#reset`).
    pub(crate) fn reset(&self, core: CoreCounts) {
        let counters = [
            &self.received,
            &self.sent,
            &self.count,
            &self.total_latency_ms,
            &self.bytes_received,
            &self.response_bytes,
            &self.watch_bytes,
            &self.connections_rejected,
            &self.connections_dropped,
            &self.connection_requests,
            &self.connection_revalidations,
            &self.sessions_expired,
            &self.sessionless_expired,
            &self.commits,
            &self.throttle_waits,
            &self.large_requests_rejected,
            &self.digest_mismatches,
            &self.logged,
        ];
        for counter in counters {
            counter.store(0, Relaxed);
        }
        let summaries = [
            &self.flush_time,
            &self.flush_batch,
            &self.image_time,
            &self.load_time,
            &self.load_image_time,
            &self.load_log_time,
            &self.loaded_transactions,
            &self.token_deficit,
            &self.watches_created,
            &self.watches_deleted,
            &self.watches_changed,
            &self.watches_children,
        ];
        for summary in summaries {
            summary.reset();
        }
        self.member.reset();
        self.read_latency.reset();
        self.update_latency.reset();
        self.max_latency_ms.store(0, Relaxed);
        self.min_latency_ms.store(i64::MAX, Relaxed);
        for length in [&self.last_response_len, &self.max_response_len, &self.min_response_len] {
            length.store(-1, Relaxed);
        }
        for count in self.quota_exceeded.lock().values_mut() {
            *count = 0;
        }
        *self.core_before.lock() = core;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookeeper_protocol::types::Zxid;

    #[test]
    fn tallies_add_up_until_a_reset() {
        let stats = ServerStats::new();
        let tally = Tally {
            received: 3,
            sent: 2,
            count: 2,
            total_latency_ms: 9,
            max_latency_ms: 9,
            reads_at_once: 1,
            read_waits: vec![(9, 1)],
            max_response_len: 20,
            min_response_len: 16,
            last_response_len: 20,
            ..Tally::default()
        };
        stats.add(&tally);
        assert_eq!((stats.min_latency_ms(), stats.mean_latency_ms()), (0, 4.5));
        assert_eq!(stats.read_latency.count(), 2);
        assert_eq!((stats.read_latency.summary().max(), stats.min_response_len.load(Relaxed)), (9, 16));
        stats.quota_exceeded("/a/b");
        stats.quota_exceeded("/a");
        assert_eq!(stats.quotas_exceeded(), BTreeMap::from([("a".to_owned(), 2)]));

        stats.mismatched(&DigestMismatch { zxid: Zxid(1), expected: 1, found: 2, count: 3 }, 0);
        assert_eq!(stats.digest_mismatches.load(Relaxed), 3);

        let member = Counts { looks: 2, ..Counts::default() };
        let core = CoreCounts { changes_queued: 5, changes_removed: 4, member };
        stats.reset(core);
        assert_eq!(stats.digest_mismatches.load(Relaxed), 0);
        let later = Counts { looks: 3, ..member };
        assert_eq!(stats.core_since_reset(CoreCounts { member: later, ..core }).member.looks, 1);
        assert_eq!((stats.received.load(Relaxed), stats.mean_latency_ms(), stats.read_latency.count()), (0, 0.0, 0));
        assert_eq!(stats.min_response_len.load(Relaxed), -1);
        assert_eq!(stats.core_since_reset(core), CoreCounts::default());
        // Java keeps the names of its sets.
        assert_eq!(stats.quotas_exceeded(), BTreeMap::from([("a".to_owned(), 0)]));
    }
}
