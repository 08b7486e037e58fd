//! One request for each znode of a range, pipelined over all connections: filling, checking, removing.

use std::time::Duration;

use rookeeper_protocol::types::ErrorCode;

use crate::connection::Tag;
use crate::engine::{Engine, Limits, Work};
use crate::error::BenchError;
use crate::progress::Progress;
use crate::reply::{Expect, Reply, Verdict};
use crate::tally::Tally;
use crate::template::Template;

/// Requests under way per connection in a sweep that is not itself what is measured.
const DEPTH: usize = 100;

/// A sweep that takes longer than this per request has failed; far above what the slowest disk needs when many
/// requests share a flush.
const PER_REQUEST: Duration = Duration::from_millis(20);

/// One request for each of some numbers.
pub(crate) struct Sweep {
    request: Template,
    expect: Expect,
    /// An error that does not count as one.
    tolerated: Option<ErrorCode>,
    numbers: Box<dyn ExactSizeIterator<Item = u32> + Send>,
    /// How often the tolerated error has come.
    pub(crate) tolerated_count: u64,
}

impl Sweep {
    /// A sweep over the numbers below `end`.
    pub(crate) fn new(request: Template, expect: Expect, end: u32) -> Self {
        Self::over(request, expect, 0..end)
    }

    /// A sweep over these numbers.
    pub(crate) fn over(
        request: Template,
        expect: Expect,
        numbers: impl ExactSizeIterator<Item = u32> + Send + 'static,
    ) -> Self {
        Self { request, expect, tolerated: None, numbers: Box::new(numbers), tolerated_count: 0 }
    }

    /// A sweep of creates.
    pub(crate) fn create(request: Template, end: u32) -> Self {
        Self::new(request.clone(), Expect::Path(request), end)
    }

    /// The same, not minding this error.
    pub(crate) fn tolerating(mut self, code: ErrorCode) -> Self {
        self.tolerated = Some(code);
        self
    }

    /// Limits of a sweep: as deep as asked, as long as it may take.
    pub(crate) fn limits(count: usize, depth: usize) -> Limits {
        let deadline = Duration::from_secs(60) + PER_REQUEST * u32::try_from(count).unwrap_or(u32::MAX);
        Limits { depth, ops: u64::MAX, duration: None, interval_ns: None, deadline }
    }

    /// Runs the sweep as a preparation: every error ends the benchmark. Returns the sweep's count of tolerated ones.
    pub(crate) fn prepare(mut self, engine: &mut Engine, what: &str) -> Result<u64, BenchError> {
        let limits = Self::limits(self.numbers.len(), DEPTH);
        let tally = engine.run(&mut self, limits, &Progress::silent())?;
        no_bad(&tally, what)?;
        Ok(self.tolerated_count)
    }
}

/// Fails when a preparation had bad replies.
fn no_bad(tally: &Tally, what: &str) -> Result<(), BenchError> {
    let errors = tally.named_errors();
    let wrong = tally.wrong.keys().map(|what| (*what).to_owned());
    match errors.into_keys().chain(wrong).next() {
        None => Ok(()),
        Some(first) => Err(BenchError::Refused { what: what.to_owned(), code: first }),
    }
}

impl Work for Sweep {
    fn classes(&self) -> &'static [&'static str] {
        &["all"]
    }

    #[inline]
    fn request(&mut self, _: usize, xid: i32, out: &mut Vec<u8>) -> Option<Tag> {
        let number = self.numbers.next()?;
        self.request.put(xid, number, out);
        Some(Tag { kind: 0, number })
    }

    #[inline]
    fn reply(&mut self, tag: Tag, reply: &Reply<'_>) -> Verdict {
        if self.tolerated.is_some_and(|code| code.number() == reply.error) {
            self.tolerated_count += 1;
            return Verdict::Good;
        }
        self.expect.judge(tag.number, reply)
    }
}
