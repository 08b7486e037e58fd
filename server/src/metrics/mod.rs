//! What a running server counts, and under which names it is told (`ServerMetrics`, `ServerStats`).
//!
//! Counting costs a relaxed atomic or two for a batch or a write, and nothing for a single read.

mod digest_alarm;
mod member;
mod names;
mod percentiles;
mod stats;
mod summary;

pub(crate) use names::{Facts, MemberFacts, Number, QuotaFacts, for_each};
pub(crate) use stats::{CoreCounts, ServerStats};
