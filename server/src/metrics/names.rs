//! Every metric by Java's name (`ServerMetrics`, `ZooKeeperServer#registerMetrics`), in the order in which a
//! Java server tells those that it has in common with this one.
//!
//! Java tells many more, most of which count what TLS or its own threads do. What does not exist here is not told, and
//! what only members of an ensemble do not by a server alone: a zero that nobody counts would look like news.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use rookeeper_core::peer::{Counts, LeaderFigures};
use rookeeper_core::zab::leader::ProposalSizes;

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
    pub(crate) local_sessions: usize,
    pub(crate) open_files: u64,
    pub(crate) open_files_max: u64,
    /// Quotas by the top znode of their paths.
    pub(crate) quotas: Vec<(String, QuotaFacts)>,
    /// What a member of an ensemble is.
    pub(crate) member: Option<MemberFacts>,
}

/// What a member of an ensemble is at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemberFacts {
    /// How many servers vote, unless this one has nothing to do with them at the moment.
    pub(crate) quorum_size: Option<usize>,
    /// Observers that are served here, where some can be.
    pub(crate) synced_observers: Option<usize>,
    pub(crate) leader: Option<LeaderFigures>,
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

fn gauge(value: &AtomicI64) -> Option<Number> {
    whole(value.load(Relaxed))
}

fn count(value: &AtomicU64) -> Option<Number> {
    whole(value.load(Relaxed) as i64)
}

fn size(value: usize) -> Option<Number> {
    whole(value as i64)
}

fn whole(value: i64) -> Option<Number> {
    Some(Whole(value))
}

/// What a leader has.
fn leader(facts: &Facts<'_>, value: fn(&LeaderFigures) -> usize) -> Option<Number> {
    size(value(facts.member?.leader.as_ref()?))
}

/// A length of a leader's proposals, -1 while there is none.
fn proposal_size(facts: &Facts<'_>, value: fn(&ProposalSizes) -> usize) -> Option<Number> {
    let sizes = facts.member?.leader?.proposal_sizes;
    whole(sizes.as_ref().map_or(-1, |sizes| value(sizes) as i64))
}

/// What a member has counted.
fn member(facts: &Facts<'_>, value: fn(&Counts) -> u64) -> Option<Number> {
    facts.member.and_then(|_| whole(value(&facts.core.member) as i64))
}

/// Requests that were prepared here. A server alone prepares all that it answers.
fn prepared(facts: &Facts<'_>) -> Option<Number> {
    let alone = || whole(facts.stats.commits.load(Relaxed) as i64 + facts.outstanding as i64);
    member(facts, |counts| counts.prepared).or_else(alone)
}

fn commits(facts: &Facts<'_>) -> Option<Number> {
    member(facts, |counts| counts.commits).or_else(|| count(&facts.stats.commits))
}

fn expired(facts: &Facts<'_>) -> Option<Number> {
    member(facts, |counts| counts.sessions_expired).or_else(|| count(&facts.stats.sessions_expired))
}

/// A single metric: its name, and where its value comes from, if the server has such a thing.
type Single = (&'static str, fn(&Facts<'_>) -> Option<Number>);

const GAUGES: [Single; 34] = [
    ("ephemerals_count", |facts| size(facts.ephemerals)),
    ("num_alive_connections", |facts| size(facts.connections)),
    ("avg_latency", |facts| Some(Fraction(facts.stats.mean_latency_ms()))),
    ("min_proposal_size", |facts| proposal_size(facts, |sizes| sizes.min)),
    ("outstanding_requests", |facts| size(facts.outstanding)),
    ("znode_count", |facts| size(facts.znodes)),
    ("global_sessions", |facts| size(facts.sessions)),
    // These two, the handshakes and the failures below are of TLS, which there is none of.
    ("non_mtls_remote_conn_count", |_| whole(0)),
    ("last_client_response_size", |facts| gauge(&facts.stats.last_response_len)),
    ("packets_sent", |facts| count(&facts.stats.sent)),
    ("packets_received", |facts| count(&facts.stats.received)),
    ("max_proposal_size", |facts| proposal_size(facts, |sizes| sizes.max)),
    ("max_client_response_size", |facts| gauge(&facts.stats.max_response_len)),
    ("synced_followers", |facts| leader(facts, |leader| leader.learners.followers)),
    ("connection_drop_probability", |facts| Some(Fraction(facts.stats.drop_chance()))),
    ("watch_count", |facts| size(facts.watches)),
    ("synced_non_voting_followers", |facts| leader(facts, |leader| leader.learners.non_voting)),
    ("synced_observers", |facts| size(facts.member?.synced_observers?)),
    ("auth_failed_count", |_| whole(0)),
    ("min_latency", |facts| whole(facts.stats.min_latency_ms())),
    ("max_file_descriptor_count", |facts| whole(i64::try_from(facts.open_files_max).unwrap_or(i64::MAX))),
    ("approximate_data_size", |facts| whole(facts.data_size)),
    ("open_file_descriptor_count", |facts| whole(facts.open_files as i64)),
    ("last_proposal_size", |facts| proposal_size(facts, |sizes| sizes.last)),
    ("pending_syncs", |facts| leader(facts, |leader| leader.pending_syncs)),
    ("leader_uptime", |facts| whole(facts.member?.leader?.uptime_ms)),
    ("local_sessions", |facts| size(facts.local_sessions)),
    ("uptime", |facts| whole(facts.uptime_ms)),
    ("max_latency", |facts| gauge(&facts.stats.max_latency_ms)),
    ("outstanding_tls_handshake", |_| whole(0)),
    ("learners", |facts| leader(facts, |leader| leader.learners.all)),
    ("min_client_response_size", |facts| gauge(&facts.stats.min_response_len)),
    ("non_mtls_local_conn_count", |_| whole(0)),
    ("quorum_size", |facts| size(facts.member?.quorum_size?)),
];

/// A gauge for each top znode with a quota.
type PerQuota = (&'static str, fn(&QuotaFacts) -> Option<i64>);

const QUOTA_GAUGES: [PerQuota; 4] = [
    ("quota_bytes_limit_per_namespace", |quota| quota.bytes_limit),
    ("quota_count_usage_per_namespace", |quota| quota.count_used),
    ("quota_count_limit_per_namespace", |quota| quota.count_limit),
    ("quota_bytes_usage_per_namespace", |quota| quota.bytes_used),
];

const COUNTERS: [Single; 26] = [
    ("watch_bytes", |facts| count(&facts.stats.watch_bytes)),
    // No request is ever given up for having waited (`throttled_op_wait_time` is warned about).
    ("throttled_ops", |_| whole(0)),
    ("connection_rejected", |facts| count(&facts.stats.connections_rejected)),
    ("sessionless_connections_expired", |facts| count(&facts.stats.sessionless_expired)),
    ("connection_drop_count", |facts| count(&facts.stats.connections_dropped)),
    ("bytes_received_count", |facts| count(&facts.stats.bytes_received)),
    ("request_throttle_wait_count", |facts| count(&facts.stats.throttle_waits)),
    ("prep_processor_request_queued", prepared),
    ("response_bytes", |facts| count(&facts.stats.response_bytes)),
    ("diff_count", |facts| member(facts, |counts| counts.syncs.diffs)),
    ("connection_revalidate_count", |facts| count(&facts.stats.connection_revalidations)),
    ("quit_leading_due_to_disloyal_voter", |facts| member(facts, |counts| counts.disloyal_voters)),
    ("commit_count", commits),
    ("outstanding_changes_queued", |facts| whole(facts.core.changes_queued as i64)),
    ("proposal_count", |facts| member(facts, |counts| counts.proposals)),
    ("large_requests_rejected", |facts| count(&facts.stats.large_requests_rejected)),
    ("outstanding_changes_removed", |facts| whole(facts.core.changes_removed as i64)),
    ("looking_count", |facts| member(facts, |counts| counts.looks)),
    ("learner_proposal_received_count", |facts| member(facts, |counts| counts.proposals_received)),
    ("digest_mismatches_count", |facts| count(&facts.stats.digest_mismatches)),
    ("learner_commit_received_count", |facts| member(facts, |counts| counts.commits_received)),
    ("connection_request_count", |facts| count(&facts.stats.connection_requests)),
    ("snap_count", |facts| member(facts, |counts| counts.syncs.snapshots)),
    ("stale_sessions_expired", expired),
    ("sync_processor_request_queued", |facts| count(&facts.stats.logged)),
    ("revalidate_count", |facts| member(facts, |counts| counts.revalidations)),
];

const QUOTA_EXCEEDED: &str = "quota_exceeded_error_per_namespace";

/// Whether only members of an ensemble tell a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    All,
    Members,
}

use Who::{All, Members};

/// Several values that are told in brief.
type Brief = (&'static str, Who, fn(&ServerStats) -> &Summary);

const SUMMARIES: [Brief; 17] = [
    ("leader_unavailable_time", Members, |stats| &stats.member.leader_unavailable),
    ("node_created_watch_count", All, |stats| &stats.watches_created),
    ("connection_token_deficit", All, |stats| &stats.token_deficit),
    ("node_deleted_watch_count", All, |stats| &stats.watches_deleted),
    ("startup_txns_load_time", All, |stats| &stats.load_log_time),
    ("follower_sync_time", Members, |stats| &stats.member.follower_sync),
    ("fsynctime", All, |stats| &stats.flush_time),
    // The time in which the image became durable up to some zxid: what a snapshot is for.
    ("snapshottime", All, |stats| &stats.image_time),
    ("unavailable_time", Members, |stats| &stats.member.unavailable),
    ("startup_txns_loaded", All, |stats| &stats.loaded_transactions),
    ("dbinittime", All, |stats| &stats.load_time),
    ("election_time", Members, |stats| &stats.member.election),
    ("sync_processor_batch_size", All, |stats| &stats.flush_batch),
    ("node_children_watch_count", All, |stats| &stats.watches_children),
    ("observer_sync_time", Members, |stats| &stats.member.observer_sync),
    ("node_changed_watch_count", All, |stats| &stats.watches_changed),
    ("startup_snap_load_time", All, |stats| &stats.load_image_time),
];

/// Several values whose distribution is told.
type Distribution = (&'static str, Who, fn(&ServerStats) -> &Percentiles);

const DISTRIBUTIONS: [Distribution; 6] = [
    ("updatelatency", All, |stats| &stats.update_latency),
    ("readlatency", All, |stats| &stats.read_latency),
    ("quorum_ack_latency", Members, |stats| &stats.member.quorum_ack),
    ("commit_propagation_latency", Members, |stats| &stats.member.commit_propagation),
    ("proposal_latency", Members, |stats| &stats.member.proposal),
    ("propagation_latency", Members, |stats| &stats.member.propagation),
];

/// Tells every metric (`DefaultMetricsProvider#dump`).
pub(crate) fn for_each(facts: &Facts<'_>, mut tell: impl FnMut(&str, Number)) {
    let single = |(name, value): Single, tell: &mut dyn FnMut(&str, Number)| {
        if let Some(value) = value(facts) {
            tell(name, value);
        }
    };
    GAUGES.into_iter().for_each(|gauge| single(gauge, &mut tell));
    for (name, value) in QUOTA_GAUGES {
        for (namespace, quota) in &facts.quotas {
            if let Some(value) = value(quota) {
                tell(&format!("{namespace}_{name}"), Whole(value));
            }
        }
    }
    COUNTERS.into_iter().for_each(|counter| single(counter, &mut tell));
    for (namespace, count) in facts.stats.quotas_exceeded() {
        tell(&format!("{namespace}_{QUOTA_EXCEEDED}"), Whole(count as i64));
    }
    let is_told = |who: Who| who == All || facts.member.is_some();
    for (name, _, summary) in SUMMARIES.into_iter().filter(|(_, who, _)| is_told(*who)) {
        let summary = summary(facts.stats);
        tell_summary(name, summary, summary.count(), &mut tell);
    }
    for (name, _, values) in DISTRIBUTIONS.into_iter().filter(|(_, who, _)| is_told(*who)) {
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
    use rookeeper_core::peer::{Measure, Sample};
    use rookeeper_core::zab::leader::LearnerCounts;

    fn facts(stats: &ServerStats, member: Option<MemberFacts>) -> Facts<'_> {
        let counts = Counts { proposals: 11, commits: 9, prepared: 12, sessions_expired: 2, ..Counts::default() };
        Facts {
            stats,
            core: CoreCounts { changes_queued: 5, changes_removed: 4, member: counts },
            uptime_ms: 100,
            connections: 2,
            outstanding: 3,
            znodes: 5,
            ephemerals: 1,
            data_size: 44,
            watches: 6,
            sessions: 7,
            local_sessions: 8,
            open_files: 20,
            open_files_max: 1024,
            quotas: vec![("a".to_owned(), QuotaFacts { count_limit: Some(8), ..QuotaFacts::default() })],
            member,
        }
    }

    fn told(facts: &Facts<'_>) -> Vec<(String, Number)> {
        let mut told = Vec::new();
        for_each(facts, |name, value| told.push((name.to_owned(), value)));
        let mut names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), told.len(), "a name is told twice");
        told
    }

    fn has(told: &[(String, Number)], expected: &[(&str, Number)]) {
        for (name, value) in expected {
            assert!(told.contains(&((*name).to_owned(), *value)), "{name} is not {value:?} in {told:?}");
        }
    }

    #[test]
    fn every_name_is_told_once_with_its_value() {
        let stats = ServerStats::new();
        stats.quota_exceeded("/b/c");
        stats.flushed(3, std::time::Duration::from_millis(2));
        stats.flushed(4, std::time::Duration::from_millis(3));
        stats.read_latency.add_many(0, 99);
        stats.read_latency.add(60);
        let told = told(&facts(&stats, None));
        assert_eq!(told.len(), 24 + 1 + 18 + 1 + 12 * 5 + 2 * 9);
        let expected = [
            ("approximate_data_size", Whole(44)),
            ("local_sessions", Whole(8)),
            ("a_quota_count_limit_per_namespace", Whole(8)),
            ("b_quota_exceeded_error_per_namespace", Whole(1)),
            ("prep_processor_request_queued", Whole(3)),
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
        has(&told, &expected);
    }

    #[test]
    fn members_tell_more_and_leaders_most() {
        let stats = ServerStats::new();
        stats.member.add(&Sample { measure: Measure::Election, ms: 30, count: 1 });
        let member = MemberFacts { quorum_size: Some(3), synced_observers: None, leader: None };
        let follower = told(&facts(&stats, Some(member)));
        assert_eq!(follower.len(), 25 + 26 + 1 + 17 * 5 + 6 * 9);
        let expected = [
            ("quorum_size", Whole(3)),
            ("commit_count", Whole(9)),
            ("prep_processor_request_queued", Whole(12)),
            ("stale_sessions_expired", Whole(2)),
            ("max_election_time", Whole(30)),
        ];
        has(&follower, &expected);

        let learners = LearnerCounts { all: 4, followers: 2, non_voting: 0, observers: 1 };
        let mut figures = LeaderFigures { learners, pending_syncs: 5, uptime_ms: 90, proposal_sizes: None };
        let leader = MemberFacts { synced_observers: Some(1), leader: Some(figures), ..member };
        let fresh = told(&facts(&stats, Some(leader)));
        assert_eq!(fresh.len(), follower.len() + 9);
        has(&fresh, &[("min_proposal_size", Whole(-1)), ("learners", Whole(4)), ("leader_uptime", Whole(90))]);
        figures.proposal_sizes = Some(ProposalSizes { last: 2, min: 1, max: 3 });
        let sized = told(&facts(&stats, Some(MemberFacts { leader: Some(figures), ..leader })));
        let sizes =
            [("last_proposal_size", Whole(2)), ("min_proposal_size", Whole(1)), ("max_proposal_size", Whole(3))];
        has(&sized, &sizes);
    }
}
