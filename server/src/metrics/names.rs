//! Every metric by Java's name (`ServerMetrics`, `ZooKeeperServer#registerMetrics`), in the order in which a
//! Java server tells those that it has in common with this one.
//!
//! Java tells many more, most of which count what only an ensemble, TLS or its own threads do. What does not
//! exist here is not told: a zero that nobody counts would look like news.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::percentiles::Percentiles;
use super::stats::{CoreCounts, ServerStats};
use super::summary::{Summary, mean};

/// What is known of a running server at one moment.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) stats: &'a ServerStats,
    pub(crate) core: CoreCounts,
    pub(crate) uptime_ms: i64,
    pub(crate) connections: usize,
    pub(crate) outstanding: usize,
    pub(crate) znodes: usize,
    pub(crate) ephemerals: usize,
    pub(crate) data_size: i64,
    pub(crate) watches: usize,
    pub(crate) sessions: usize,
    pub(crate) open_files: u64,
    pub(crate) open_files_max: u64,
    /// Quotas by the top znode of their paths.
    pub(crate) quotas: Vec<(String, QuotaFacts)>,
}

/// The sums of all quotas below one top znode (`QuotaMetricsUtils`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct QuotaFacts {
    pub(crate) bytes_limit: Option<i64>,
    pub(crate) count_used: Option<i64>,
    pub(crate) count_limit: Option<i64>,
    pub(crate) bytes_used: Option<i64>,
}

/// The value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Fraction(f64),
}

use Number::{Fraction, Whole};

fn gauge(value: &AtomicI64) -> Number {
    Whole(value.load(Relaxed))
}

fn count(value: &AtomicU64) -> Number {
    Whole(value.load(Relaxed) as i64)
}

fn size(value: usize) -> Number {
    Whole(value as i64)
}

/// A single metric: its name, and where its value comes from.
type Single = (&'static str, fn(&Facts<'_>) -> Number);

const GAUGES: [Single; 24] = [
    ("ephemerals_count", |facts| size(facts.ephemerals)),
    ("num_alive_connections", |facts| size(facts.connections)),
    ("avg_latency", |facts| Fraction(facts.stats.mean_latency_ms())),
    ("outstanding_requests", |facts| size(facts.outstanding)),
    ("znode_count", |facts| size(facts.znodes)),
    ("global_sessions", |facts| size(facts.sessions)),
    // These two, the handshakes and the failures below are of TLS, which there is none of.
    ("non_mtls_remote_conn_count", |_| Whole(0)),
    ("last_client_response_size", |facts| gauge(&facts.stats.last_response_len)),
    ("packets_sent", |facts| count(&facts.stats.sent)),
    ("packets_received", |facts| count(&facts.stats.received)),
    ("max_client_response_size", |facts| gauge(&facts.stats.max_response_len)),
    ("connection_drop_probability", |facts| Fraction(facts.stats.drop_chance())),
    ("watch_count", |facts| size(facts.watches)),
    ("auth_failed_count", |_| Whole(0)),
    ("min_latency", |facts| Whole(facts.stats.min_latency_ms())),
    ("max_file_descriptor_count", |facts| Whole(i64::try_from(facts.open_files_max).unwrap_or(i64::MAX))),
    ("approximate_data_size", |facts| Whole(facts.data_size)),
    ("open_file_descriptor_count", |facts| Whole(facts.open_files as i64)),
    // A server alone makes no difference between sessions.
    ("local_sessions", |_| Whole(0)),
    ("uptime", |facts| Whole(facts.uptime_ms)),
    ("max_latency", |facts| gauge(&facts.stats.max_latency_ms)),
    ("outstanding_tls_handshake", |_| Whole(0)),
    ("min_client_response_size", |facts| gauge(&facts.stats.min_response_len)),
    ("non_mtls_local_conn_count", |_| Whole(0)),
];

/// A gauge for each top znode with a quota.
type PerQuota = (&'static str, fn(&QuotaFacts) -> Option<i64>);

const QUOTA_GAUGES: [PerQuota; 4] = [
    ("quota_bytes_limit_per_namespace", |quota| quota.bytes_limit),
    ("quota_count_usage_per_namespace", |quota| quota.count_used),
    ("quota_count_limit_per_namespace", |quota| quota.count_limit),
    ("quota_bytes_usage_per_namespace", |quota| quota.bytes_used),
];

const COUNTERS: [Single; 18] = [
    ("watch_bytes", |facts| count(&facts.stats.watch_bytes)),
    // No request is ever given up for having waited (`throttled_op_wait_time` is warned about).
    ("throttled_ops", |_| Whole(0)),
    ("connection_rejected", |facts| count(&facts.stats.connections_rejected)),
    ("sessionless_connections_expired", |facts| count(&facts.stats.sessionless_expired)),
    ("connection_drop_count", |facts| count(&facts.stats.connections_dropped)),
    ("bytes_received_count", |facts| count(&facts.stats.bytes_received)),
    ("request_throttle_wait_count", |facts| count(&facts.stats.throttle_waits)),
    ("prep_processor_request_queued", |facts| {
        Whole(facts.stats.commits.load(Relaxed) as i64 + facts.outstanding as i64)
    }),
    ("response_bytes", |facts| count(&facts.stats.response_bytes)),
    ("connection_revalidate_count", |facts| count(&facts.stats.connection_revalidations)),
    ("commit_count", |facts| count(&facts.stats.commits)),
    ("outstanding_changes_queued", |facts| Whole(facts.core.changes_queued as i64)),
    ("large_requests_rejected", |facts| count(&facts.stats.large_requests_rejected)),
    ("outstanding_changes_removed", |facts| Whole(facts.core.changes_removed as i64)),
    ("digest_mismatches_count", |facts| Whole(facts.core.digest_mismatches as i64)),
    ("connection_request_count", |facts| count(&facts.stats.connection_requests)),
    ("stale_sessions_expired", |facts| count(&facts.stats.sessions_expired)),
    ("sync_processor_request_queued", |facts| count(&facts.stats.logged)),
];

const QUOTA_EXCEEDED: &str = "quota_exceeded_error_per_namespace";

/// Several values that are told in brief.
type Brief = (&'static str, fn(&ServerStats) -> &Summary);

const SUMMARIES: [Brief; 12] = [
    ("node_created_watch_count", |stats| &stats.watches_created),
    ("connection_token_deficit", |stats| &stats.token_deficit),
    ("node_deleted_watch_count", |stats| &stats.watches_deleted),
    ("startup_txns_load_time", |stats| &stats.load_log_time),
    ("fsynctime", |stats| &stats.flush_time),
    // The time in which the image became durable up to some zxid: what a snapshot is for.
    ("snapshottime", |stats| &stats.image_time),
    ("startup_txns_loaded", |stats| &stats.loaded_transactions),
    ("dbinittime", |stats| &stats.load_time),
    ("sync_processor_batch_size", |stats| &stats.flush_batch),
    ("node_children_watch_count", |stats| &stats.watches_children),
    ("node_changed_watch_count", |stats| &stats.watches_changed),
    ("startup_snap_load_time", |stats| &stats.load_image_time),
];

/// Several values whose distribution is told.
type Distribution = (&'static str, fn(&ServerStats) -> &Percentiles);

const DISTRIBUTIONS: [Distribution; 2] =
    [("updatelatency", |stats| &stats.update_latency), ("readlatency", |stats| &stats.read_latency)];

/// Tells every metric (`DefaultMetricsProvider#dump`).
pub(crate) fn for_each(facts: &Facts<'_>, mut tell: impl FnMut(&str, Number)) {
    for (name, value) in GAUGES {
        tell(name, value(facts));
    }
    for (name, value) in QUOTA_GAUGES {
        for (namespace, quota) in &facts.quotas {
            if let Some(value) = value(quota) {
                tell(&format!("{namespace}_{name}"), Whole(value));
            }
        }
    }
    for (name, value) in COUNTERS {
        tell(name, value(facts));
    }
    for (namespace, count) in facts.stats.quotas_exceeded() {
        tell(&format!("{namespace}_{QUOTA_EXCEEDED}"), Whole(count as i64));
    }
    for (name, summary) in SUMMARIES {
        let summary = summary(facts.stats);
        tell_summary(name, summary, summary.count(), &mut tell);
    }
    for (name, values) in DISTRIBUTIONS {
        let values = values(facts.stats);
        tell_summary(name, values.summary(), values.count(), &mut tell);
        let shares = ["p50", "p95", "p99", "p999"];
        for (share, value) in shares.iter().zip(values.values_at([0.5, 0.95, 0.99, 0.999])) {
            tell(&format!("{share}_{name}"), Whole(value));
        }
    }
}

fn tell_summary(name: &str, summary: &Summary, count: u64, tell: &mut impl FnMut(&str, Number)) {
    tell(&format!("avg_{name}"), Fraction(mean(summary.total(), count)));
    tell(&format!("min_{name}"), Whole(summary.min()));
    tell(&format!("max_{name}"), Whole(summary.max()));
    tell(&format!("cnt_{name}"), Whole(count as i64));
    tell(&format!("sum_{name}"), Whole(summary.total()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_told_once_with_its_value() {
        let stats = ServerStats::new();
        stats.quota_exceeded("/b/c");
        stats.flushed(3, std::time::Duration::from_millis(2));
        stats.flushed(4, std::time::Duration::from_millis(3));
        stats.read_latency.add_many(0, 99);
        stats.read_latency.add(60);
        let facts = Facts {
            stats: &stats,
            core: CoreCounts { changes_queued: 5, changes_removed: 4, digest_mismatches: 1 },
            uptime_ms: 100,
            connections: 2,
            outstanding: 3,
            znodes: 5,
            ephemerals: 1,
            data_size: 44,
            watches: 6,
            sessions: 7,
            open_files: 20,
            open_files_max: 1024,
            quotas: vec![("a".to_owned(), QuotaFacts { count_limit: Some(8), ..QuotaFacts::default() })],
        };
        let mut told = Vec::new();
        for_each(&facts, |name, value| told.push((name.to_owned(), value)));
        let mut names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (count, 24 + 1 + 18 + 1 + 12 * 5 + 2 * 9));
        let expected = [
            ("approximate_data_size", Whole(44)),
            ("a_quota_count_limit_per_namespace", Whole(8)),
            ("b_quota_exceeded_error_per_namespace", Whole(1)),
            ("digest_mismatches_count", Whole(1)),
            ("sync_processor_request_queued", Whole(7)),
            ("avg_fsynctime", Fraction(2.5)),
            ("min_fsynctime", Whole(2)),
            ("max_fsynctime", Whole(3)),
            ("cnt_fsynctime", Whole(2)),
            ("sum_fsynctime", Whole(5)),
            ("avg_readlatency", Fraction(0.6)),
            ("p99_readlatency", Whole(59)),
            ("p999_readlatency", Whole(60)),
            ("p50_updatelatency", Whole(0)),
        ];
        for (name, value) in expected {
            assert!(told.contains(&(name.to_owned(), value)), "{name} is not {value:?} in {told:?}");
        }
    }
}
