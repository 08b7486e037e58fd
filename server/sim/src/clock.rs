//! A machine's clocks beside the true time, which nobody in an ensemble knows.

use rookeeper_core::pipeline::Now;

/// The true time, in microseconds since the simulation began.
pub(crate) type Micros = i64;

/// The wall clock at the beginning, in milliseconds since 1970.
const WALL_MS: i64 = 1_700_000_000_000;

/// What a machine's monotonic clock shows at the beginning: machines were not switched on together.
const MONOTONIC_MS: i64 = 1_000_000;

/// The clocks of one machine.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// When the drift was last changed, in true time and by this clock, both in microseconds.
    since: Micros,
    shown: i64,
    /// Microseconds that the clock gains in a second.
    drift_ppm: i64,
    /// What the wall clock is ahead by, in milliseconds.
    wall_offset_ms: i64,
    /// The wall clock's time at the last start of a process.
    started_ms: Option<i64>,
}

impl Clock {
    /// Clocks that are right.
    pub(crate) fn new(id: i64) -> Self {
        Self { since: 0, shown: (MONOTONIC_MS + id * 12_345) * 1000, drift_ppm: 0, wall_offset_ms: 0, started_ms: None }
    }

    fn shows(&self, at: Micros) -> i64 {
        let passed = at - self.since;
        self.shown + passed + passed * self.drift_ppm / 1_000_000
    }

    /// What the machine reads at this time.
    pub(crate) fn now(&self, at: Micros) -> Now {
        let monotonic_ms = self.shows(at) / 1000;
        Now { monotonic_ms, wall_ms: WALL_MS + at / 1000 + self.wall_offset_ms }
    }

    /// The first time at which the monotonic clock shows this.
    pub(crate) fn when(&self, monotonic_ms: i64) -> Micros {
        let wanted = monotonic_ms.saturating_mul(1000) - self.shown;
        let rate = 1_000_000 + self.drift_ppm;
        let at = self.since + (i128::from(wanted) * 1_000_000).div_euclid(i128::from(rate)) as i64;
        // Division rounds; the clock may show it a microsecond earlier or later.
        (at - 1..).find(|at| self.shows(*at) / 1000 >= monotonic_ms).unwrap_or(at)
    }

    /// From now on the monotonic clock gains so many microseconds in a second.
    pub(crate) fn drift(&mut self, at: Micros, ppm: i64) {
        (self.shown, self.since, self.drift_ppm) = (self.shows(at), at, ppm);
    }

    /// A process starts. Between two starts the wall clock is set right as far as that it does not show a time for the second
    /// time: ids of sessions begin with it, here as in Java.
    pub(crate) fn begin_process(&mut self, at: Micros) {
        let behind_ms = self.started_ms.map_or(0, |started_ms| started_ms + 1 - self.now(at).wall_ms);
        self.wall_offset_ms += behind_ms.max(0);
        self.started_ms = Some(self.now(at).wall_ms);
    }

    /// The wall clock is set.
    pub(crate) fn jump(&mut self, ms: i64) {
        self.wall_offset_ms += ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_shown_then_and_not_before() {
        let mut clock = Clock::new(1);
        for (at, ppm) in [(0, 0), (5_000_000, 50_000), (9_000_001, -30_000)] {
            clock.drift(at, ppm);
            let shown = clock.now(at).monotonic_ms;
            for wait_ms in [1, 7, 1000, 12_345] {
                let when = clock.when(shown + wait_ms);
                assert_eq!(clock.now(when).monotonic_ms, shown + wait_ms);
                assert!(clock.now(when - 1).monotonic_ms < shown + wait_ms);
            }
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_leaves_the_other_one_alone() {
        let mut clock = Clock::new(1);
        let before = clock.now(1_000_000);
        clock.jump(-60_000);
        let after = clock.now(1_000_000);
        assert_eq!(after, Now { wall_ms: before.wall_ms - 60_000, ..before });
    }
}
