//! The line that tells each second how a run is going.

use std::io::{Write, stderr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Counters that engines add to and the printer reads. One addition per batch, so that they cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    replies: AtomicU64,
    bad: AtomicU64,
    latency_ns_max: AtomicU64,
    silent: AtomicBool,
}

impl Progress {
    /// Counters that are printed each second.
    pub(crate) fn printed() -> Self {
        Self::default()
    }

    /// Counters that nobody looks at.
    pub(crate) fn silent() -> Self {
        Self { silent: AtomicBool::new(true), ..Self::default() }
    }

    /// Counts replies of one latency.
    #[inline]
    pub(crate) fn count(&self, replies: u64, latency_ns: u64) {
        self.replies.fetch_add(replies, Relaxed);
        if latency_ns > self.latency_ns_max.load(Relaxed) {
            self.latency_ns_max.store(latency_ns, Relaxed);
        }
    }

    /// Counts a reply that is not good.
    pub(crate) fn count_bad(&self) {
        self.bad.fetch_add(1, Relaxed);
    }

    /// Prints a line each second until every sender of `over` is gone.
    pub(crate) fn print_until(&self, what: &str, over: &Receiver<()>) {
        let start = Instant::now();
        let (mut before, mut second) = (0, 1);
        loop {
            let left = (start + Duration::from_secs(second)).saturating_duration_since(Instant::now());
            match over.recv_timeout(left) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if self.silent.load(Relaxed) => second += 1,
                Err(RecvTimeoutError::Timeout) => {
                    let replies = self.replies.load(Relaxed);
                    let max_ms = self.latency_ns_max.swap(0, Relaxed) as f64 / 1e6;
                    let bad = self.bad.load(Relaxed);
                    let rate = replies - before;
                    // A closed standard error must not end the run.
                    let _ = writeln!(
                        stderr(),
                        "{what} {second} s: {rate} ops/s, {replies} in all, slowest {max_ms:.1} ms, {bad} bad"
                    );
                    (before, second) = (replies, second + 1);
                }
            }
        }
    }
}
