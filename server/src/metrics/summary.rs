//! Values in brief (`AvgMinMaxCounter`).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many values there were, their sum, the least and the greatest.
#[derive(Debug)]
pub(crate) struct Summary {
    count: AtomicU64,
    total: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            total: AtomicI64::new(0),
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
        }
    }
}

impl Summary {
    /// Adds a value.
    pub(crate) fn add(&self, value: i64) {
        self.add_many(value, 1);
    }

    /// Adds a value that came so many times.
    pub(crate) fn add_many(&self, value: i64, times: u64) {
        if times != 0 {
            self.count.fetch_add(times, Relaxed);
            self.note(value, times);
        }
    }

    /// Adds a time in milliseconds.
    pub(crate) fn add_time(&self, time: Duration) {
        self.add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    }

    /// Takes a value that came so many times into sum, least and greatest, and leaves the number of values.
    /// Memory is written to only where something changes: many threads add the same small values.
    pub(super) fn note(&self, value: i64, times: u64) {
        if value != 0 {
            let sum = value.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX));
            self.total.fetch_add(sum, Relaxed);
        }
        if value < self.min.load(Relaxed) {
            self.min.fetch_min(value, Relaxed);
        }
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }

    /// Begins anew.
    pub(crate) fn reset(&self) {
        self.count.store(0, Relaxed);
        self.total.store(0, Relaxed);
        self.min.store(i64::MAX, Relaxed);
        self.max.store(i64::MIN, Relaxed);
    }

    /// Number of values.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Sum of the values.
    pub(crate) fn total(&self) -> i64 {
        self.total.load(Relaxed)
    }

    /// The least value, 0 if there is none.
    pub(crate) fn min(&self) -> i64 {
        Some(self.min.load(Relaxed)).filter(|min| *min != i64::MAX).unwrap_or(0)
    }

    /// The greatest value, 0 if there is none.
    pub(crate) fn max(&self) -> i64 {
        Some(self.max.load(Relaxed)).filter(|max| *max != i64::MIN).unwrap_or(0)
    }
}

/// A mean with the four places that Java leaves it (`AvgMinMaxCounter#getAvg`); 0 of no values.
pub(crate) fn mean(total: i64, count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    (total as f64 / count as f64 * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_summed_up() {
        let summary = Summary::default();
        assert_eq!((summary.count(), summary.total(), summary.min(), summary.max()), (0, 0, 0, 0));
        for value in [5, 0, 7] {
            summary.add(value);
        }
        assert_eq!((summary.count(), summary.total(), summary.min(), summary.max()), (3, 12, 0, 7));
        summary.reset();
        summary.add_time(Duration::from_micros(3_900));
        assert_eq!((summary.count(), summary.total(), summary.min(), summary.max()), (1, 3, 3, 3));
    }

    #[test]
    fn means_have_four_places() {
        assert_eq!(mean(0, 0), 0.0);
        assert_eq!(mean(1, 3), 0.3333);
        assert_eq!(mean(2, 3), 0.6667);
        assert_eq!(mean(1, 80_000), 0.0);
    }
}
