//! The server's counts (`ServerStats`), added to by all connections.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use rookeeper_core::client::Tally;

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
    pub(crate) auth_failed: AtomicU64,
    pub(crate) large_requests_rejected: AtomicU64,
}

impl ServerStats {
    pub(crate) fn new() -> Self {
        let stats = Self::default();
        stats.reset();
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

    /// Begins latencies and packets anew (`srst`).
    pub(crate) fn reset(&self) {
        for counter in [&self.received, &self.sent, &self.count, &self.total_latency_ms, &self.slow_flushes] {
            counter.store(0, Relaxed);
        }
        self.max_latency_ms.store(0, Relaxed);
        self.min_latency_ms.store(i64::MAX, Relaxed);
        self.reset_response_lens();
    }

    /// Begins the lengths of replies anew.
    fn reset_response_lens(&self) {
        for length in [&self.last_response_len, &self.max_response_len, &self.min_response_len] {
            length.store(-1, Relaxed);
        }
    }
}
