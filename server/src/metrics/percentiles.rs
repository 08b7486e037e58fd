//! Values whose distribution is told (`AvgMinMaxPercentileCounter`).
//!
//! Java draws a sample of 4096 values. Here each value is counted in a bucket: exactly below 64, above that
//! with an error of a thirty-second at most. Adding is one atomic addition.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::summary::Summary;

/// Below it each value has a bucket of its own.
const EXACT: u64 = 64;

/// Buckets into which each doubling above that is divided.
const PARTS: u64 = 16;

/// Values from 2^32 on (49 days, as milliseconds) share the last bucket.
const BITS_MAX: u32 = 32;

const BUCKETS: usize = (EXACT + PARTS * (BITS_MAX - EXACT.ilog2()) as u64) as usize;

/// A summary with percentiles.
#[derive(Debug)]
pub(crate) struct Percentiles {
    summary: Summary,
    buckets: Box<[AtomicU64]>,
}

impl Default for Percentiles {
    fn default() -> Self {
        Self { summary: Summary::default(), buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

fn bucket_of(value: i64) -> usize {
    let value = u64::try_from(value).unwrap_or(0).min((1 << BITS_MAX) - 1);
    if value < EXACT {
        return value as usize;
    }
    let doubling = value.ilog2();
    let part = (value >> (doubling - PARTS.ilog2())) & (PARTS - 1);
    (EXACT + u64::from(doubling - EXACT.ilog2()) * PARTS + part) as usize
}

/// The value in the middle of a bucket.
fn value_of(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    let Some(above) = bucket.checked_sub(EXACT) else { return bucket as f64 };
    let doubling = (1u64 << (above / PARTS)) * EXACT;
    let width = doubling / PARTS;
    (doubling + width * (above % PARTS)) as f64 + (width - 1) as f64 / 2.0
}

impl Percentiles {
    /// Adds a value.
    pub(crate) fn add(&self, value: i64) {
        self.add_many(value, 1);
    }

    /// Adds a value that came so many times.
    pub(crate) fn add_many(&self, value: i64, times: u64) {
        if times != 0 {
            self.buckets[bucket_of(value)].fetch_add(times, Relaxed);
            self.summary.note(value, times);
        }
    }

    /// Begins anew.
    pub(crate) fn reset(&self) {
        self.summary.reset();
        for bucket in &self.buckets {
            bucket.store(0, Relaxed);
        }
    }

    /// Sum, least and greatest; the number of values is [`Percentiles::count`]'s.
    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Number of values.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// The values below which these shares of all lie, rounded; 0 of no values. As in Java (`UniformSnapshot`)
    /// what lies between two values is interpolated.
    pub(crate) fn values_at<const N: usize>(&self, shares: [f64; N]) -> [i64; N] {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        if count == 0 {
            return [0; N];
        }
        // The value in a place, the first being 1.
        let at = |place: u64| {
            let mut seen = 0;
            let bucket = counts.iter().position(|count| {
                seen += count;
                seen >= place
            });
            value_of(bucket.unwrap_or_default()).max(self.summary.min() as f64).min(self.summary.max() as f64)
        };
        shares.map(|share| {
            let place = share * (count + 1) as f64;
            let below = at((place as u64).clamp(1, count));
            let above = at((place as u64 + 1).clamp(1, count));
            (below + place.fract() * (above - below)).round() as i64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_the_value_it_stands_for() {
        let mut values: Vec<i64> = (0..2000).collect();
        values.extend((11..33).flat_map(|bits| [(1i64 << bits) - 1, 1 << bits, (1 << bits) + (1 << (bits - 1))]));
        let mut last = 0;
        for value in values {
            let bucket = bucket_of(value);
            assert!(bucket >= last && bucket < BUCKETS, "{value}");
            last = bucket.max(last);
            let told = value_of(bucket);
            if value < 1 << 32 {
                assert!((told - value as f64).abs() <= value as f64 / 32.0, "{value} is told as {told}");
            }
        }
        assert_eq!((bucket_of(-5), bucket_of(i64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn percentiles_are_javas() {
        let values = Percentiles::default();
        assert_eq!(values.values_at([0.5, 0.999]), [0, 0]);
        values.add_many(0, 0);
        assert_eq!(values.count(), 0);
        for value in 1..=9 {
            values.add(value);
        }
        // UniformSnapshot: place q * 10 of the values 1 to 9.
        assert_eq!(values.values_at([0.5, 0.75, 0.95, 0.99]), [5, 8, 9, 9]);
        values.add_many(60, 991);
        assert_eq!((values.count(), values.summary().total()), (1000, 45 + 60 * 991));
        assert_eq!(values.values_at([0.0, 0.005, 0.5, 0.999]), [1, 5, 60, 60]);
        values.add(1000);
        assert_eq!(values.values_at([0.9999]), [1000]);
        values.reset();
        assert_eq!((values.count(), values.values_at([0.5])), (0, [0]));
    }
}
