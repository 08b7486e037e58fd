//! The only reader of clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rookeeper_core::pipeline::Now;

/// Tells the time to all drivers.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the clock was started.
    pub fn monotonic_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Milliseconds since 1970.
    pub fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Both.
    pub fn now(&self) -> Now {
        Now { monotonic_ms: self.monotonic_ms(), wall_ms: self.wall_ms() }
    }

    /// The instant at which the monotonic time is `monotonic_ms`.
    pub fn instant_at(&self, monotonic_ms: i64) -> Instant {
        self.start + std::time::Duration::from_millis(monotonic_ms.max(0) as u64)
    }
}
