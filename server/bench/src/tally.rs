//! Counting replies, and the distribution of their latencies.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::reply::{Verdict, code_name};

/// Latencies below this many nanoseconds are not told apart; no reply over a socket is faster.
const LATENCY_NS_MIN: u64 = 200;

/// Latencies above this are recorded as this: ten minutes, longer than any bound of a run.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// Latencies in nanoseconds, to three digits.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty distribution.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, 3);
        // The bounds are constants of which hdrhistogram's own documentation says that they are accepted.
        Self(histogram.unwrap_or_else(|_| unreachable!("constant bounds are valid")))
    }

    /// Counts `count` replies of this latency.
    #[inline]
    pub(crate) fn record(&mut self, latency_ns: u64, count: u64) {
        self.0.saturating_record_n(latency_ns.max(1), count);
    }

    /// Adds those of another thread.
    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds, the only thing that could differ.
        let _ = self.0.add(&other.0);
    }

    /// The percentiles; `None` when nothing was recorded.
    pub(crate) fn summary(&self) -> Option<LatencySummary> {
        let us = |ns: u64| (ns as f64 / 100.0).round() / 10.0;
        let at = |quantile: f64| us(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| LatencySummary {
            count: self.0.len(),
            mean: (self.0.mean() / 100.0).round() / 10.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: us(self.0.max()),
        })
    }
}

/// A distribution of latencies in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LatencySummary {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    #[serde(rename = "p99.9")]
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// What one engine has counted in one run.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Replies with a verdict, good or not.
    pub(crate) replies: u64,
    /// Latencies by the class that the work gives its requests.
    pub(crate) latencies: Vec<Latencies>,
    /// Unexpected error codes.
    pub(crate) errors: BTreeMap<i32, u64>,
    /// Wrong contents.
    pub(crate) wrong: BTreeMap<&'static str, u64>,
    /// From the first request to the last reply, in nanoseconds.
    pub(crate) elapsed_ns: u64,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            replies: 0,
            latencies: vec![Latencies::new(); classes],
            errors: BTreeMap::new(),
            wrong: BTreeMap::new(),
            elapsed_ns: 0,
        }
    }

    /// Counts what is not good; apart from the path of a good reply.
    #[cold]
    pub(crate) fn count_bad(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Good => {}
            Verdict::Error(code) => *self.errors.entry(code).or_default() += 1,
            Verdict::Wrong(what) => *self.wrong.entry(what).or_default() += 1,
        }
    }

    /// Adds what another engine counted at the same time.
    pub(crate) fn add(&mut self, other: &Self) {
        self.replies += other.replies;
        for (mine, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            mine.add(theirs);
        }
        self.add_bad(other);
        self.elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
    }

    /// Adds only the errors and wrong contents of another run.
    pub(crate) fn add_bad(&mut self, other: &Self) {
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
        for (what, count) in &other.wrong {
            *self.wrong.entry(what).or_default() += count;
        }
    }

    /// Errors by name.
    pub(crate) fn named_errors(&self) -> BTreeMap<String, u64> {
        self.errors.iter().map(|(code, count)| (code_name(*code), *count)).collect()
    }

    /// Number of replies with an unexpected error code, and of those with wrong contents.
    pub(crate) fn bad(&self) -> (u64, u64) {
        (self.errors.values().sum(), self.wrong.values().sum())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut latencies = Latencies::new();
        assert!(latencies.summary().is_none());
        latencies.record(10_000, 99);
        latencies.record(1_000_000, 1);
        latencies.record(u64::MAX, 0);
        let summary = latencies.summary().unwrap();
        assert_eq!(summary.count, 100);
        assert!((summary.p50 - 10.0).abs() < 0.1, "{summary:?}");
        assert!((summary.p999 - 1000.0).abs() < 2.0, "{summary:?}");
    }

    #[test]
    fn bad_replies_are_summed_by_reason() {
        let (mut one, mut other) = (Tally::new(1), Tally::new(1));
        one.count_bad(Verdict::Error(-101));
        other.count_bad(Verdict::Error(-101));
        other.count_bad(Verdict::Wrong("x"));
        one.add(&other);
        assert_eq!(one.bad(), (2, 1));
        assert_eq!(one.named_errors().get("-101 NoNode"), Some(&2));
    }
}
