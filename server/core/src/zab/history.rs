//! What a server knows of the one order of all transactions: where its log ends, what of it is committed, and the
//! newest records in memory.
//!
//! ```text
//!   ... log on disk ... | window in memory: committed | outstanding |
//!                       ^ first                       ^ committed   ^ last_logged      durable: somewhere up to there
//! ```
//!
//! The window is what Java keeps twice, as the leader's `outstandingProposals` and as `ZKDatabase#committedLog`: a
//! learner that lacks little is served from it.

use std::collections::VecDeque;

use bytes::Bytes;
use rookeeper_protocol::types::Zxid;

/// Java's `zookeeper.commitLogCount`: so many committed records are kept in memory.
pub const COMMIT_LOG_COUNT_DEFAULT: usize = 500;

/// Committed records in memory are dropped, oldest first, when they pass this many bytes, however few they are: what
/// is dropped can still be read from the log.
pub const WINDOW_BYTES_MAX: usize = 64 << 20;

/// A transaction as it stands in the log: header, body and digest as Java serializes them. Nobody in the agreement
/// looks inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the order of all.
    pub zxid: Zxid,
    /// The bytes. They are also the data of PROPOSAL and INFORM.
    pub payload: Bytes,
}

/// What a reading of the log on disk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryPiece {
    /// The log begins behind the transaction asked for, or what was asked for is more than was allowed.
    Unavailable,
    /// Records in order.
    Records {
        /// The newest record at or before the one asked for.
        at_or_before: Zxid,
        /// What follows it, without a gap. Empty when the log ends there, or nothing more was asked for.
        records: Vec<LogRecord>,
    },
}

/// Whether a transaction may stand behind another in a history: it has the next number, or a later leader's
/// (`Learner#enforceContinuousProposal`; a later leader's first number is not known to a learner).
pub fn follows(before: Zxid, zxid: Zxid) -> bool {
    (zxid == before.next() && zxid.counter() != 0) || zxid.epoch() > before.epoch()
}

/// The history.
#[derive(Debug)]
pub struct History {
    window: VecDeque<LogRecord>,
    window_bytes: usize,
    /// Nothing lies between this and the window. It need not be a record's: that in front may be of an older epoch.
    begins_behind: Zxid,
    count_max: usize,
    last_logged: Zxid,
    durable: Zxid,
    committed: Zxid,
}

impl History {
    /// The history of a server that starts: its log ends at `last_logged`, all of it on disk, with the newest records
    /// at hand. Up to `committed` it is known to be committed; of the rest nobody knows yet.
    pub fn new(count_max: usize, last_logged: Zxid, committed: Zxid, recent: Vec<LogRecord>) -> Self {
        let mut history = Self {
            window: VecDeque::new(),
            window_bytes: 0,
            begins_behind: last_logged,
            count_max: count_max.max(1),
            last_logged,
            durable: last_logged,
            committed: committed.min(last_logged),
        };
        history.fill(recent);
        history
    }

    /// Takes the newest records into the window, as far as they end where the log does.
    fn fill(&mut self, recent: Vec<LogRecord>) {
        if recent.last().is_some_and(|record| record.zxid == self.last_logged) {
            for record in recent.into_iter().rev().take(self.count_max) {
                if self.window.front().is_some_and(|next| !follows(record.zxid, next.zxid)) {
                    break;
                }
                self.window_bytes += record.payload.len();
                self.begins_behind = Zxid(record.zxid.0 - 1);
                self.window.push_front(record);
            }
        }
    }

    /// The newest record that was given to the log.
    pub fn last_logged(&self) -> Zxid {
        self.last_logged
    }

    /// The newest record that is on disk.
    pub fn durable(&self) -> Zxid {
        self.durable
    }

    /// The newest transaction known to be committed.
    pub fn committed(&self) -> Zxid {
        self.committed
    }

    /// Whether something is proposed that is not known to be committed.
    pub fn has_outstanding(&self) -> bool {
        self.committed < self.last_logged
    }

    /// The oldest record in memory.
    pub fn first_in_window(&self) -> Option<Zxid> {
        self.window.front().map(|record| record.zxid)
    }

    /// The records in memory behind `after`, oldest first.
    pub fn window_after(&self, after: Zxid) -> impl Iterator<Item = &LogRecord> {
        let start = self.window.partition_point(|record| record.zxid <= after);
        self.window.range(start..)
    }

    /// Whether everything behind `after` is in memory. Whoever asks has a history that agrees with this one up to
    /// `after`.
    pub fn window_reaches(&self, after: Zxid) -> bool {
        after >= self.begins_behind
    }

    /// The newest record in memory at or before `zxid`.
    pub fn at_or_before(&self, zxid: Zxid) -> Option<Zxid> {
        let behind = self.window.partition_point(|record| record.zxid <= zxid);
        behind.checked_sub(1).and_then(|index| self.window.get(index)).map(|record| record.zxid)
    }

    /// The log got another record. The caller has seen to it that it follows the last one.
    pub fn append(&mut self, record: LogRecord) {
        debug_assert!(record.zxid > self.last_logged, "the log only grows");
        self.last_logged = record.zxid;
        self.window_bytes += record.payload.len();
        self.window.push_back(record);
        self.trim();
    }

    /// Everything up to `zxid` is on disk.
    pub fn flushed(&mut self, zxid: Zxid) {
        self.durable = self.durable.max(zxid.min(self.last_logged));
    }

    /// Everything up to `zxid` is committed.
    pub fn commit(&mut self, zxid: Zxid) {
        debug_assert!(zxid <= self.last_logged, "nothing is committed that was not logged");
        self.committed = self.committed.max(zxid.min(self.last_logged));
        self.trim();
    }

    /// Everything behind `keep` was never agreed on and goes. The caller has seen to it that nothing committed does.
    pub fn truncate(&mut self, keep: Zxid) {
        while self.window.back().is_some_and(|record| record.zxid > keep) {
            self.window_bytes -= self.window.pop_back().map_or(0, |record| record.payload.len());
        }
        self.last_logged = self.last_logged.min(keep);
        self.begins_behind = self.begins_behind.min(keep);
        self.durable = self.durable.min(keep);
        self.committed = self.committed.min(keep);
    }

    /// The history that a snapshot of everything up to `zxid` begins.
    pub fn behind_snapshot(&self, zxid: Zxid) -> Self {
        Self::new(self.count_max, zxid, zxid, Vec::new())
    }

    /// Forgets what is too much; never what may still have to be sent to learners as outstanding.
    fn trim(&mut self) {
        let committed = self.committed;
        while self.window.len() > self.count_max || self.window_bytes > WINDOW_BYTES_MAX {
            let Some(oldest) = self.window.pop_front_if(|record| record.zxid <= committed) else { return };
            self.window_bytes -= oldest.payload.len();
            self.begins_behind = oldest.zxid;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(zxid: i64) -> LogRecord {
        LogRecord { zxid: Zxid(zxid), payload: Bytes::from_static(b"txn") }
    }

    fn history(count_max: usize, committed: i64, zxids: &[i64]) -> History {
        let last = Zxid(zxids.last().copied().unwrap_or(committed));
        History::new(count_max, last, Zxid(committed), zxids.iter().map(|zxid| record(*zxid)).collect())
    }

    fn window(history: &History, after: i64) -> Vec<i64> {
        history.window_after(Zxid(after)).map(|record| record.zxid.0).collect()
    }

    #[test]
    fn transactions_follow_without_a_gap_except_at_a_new_epoch() {
        let follows = |before, zxid| super::follows(Zxid(before), Zxid(zxid));
        assert!(follows(5, 6) && !follows(5, 7) && !follows(5, 5) && !follows(5, 4));
        assert!(follows(5, 0x1_0000_0001) && follows(5, 0x1_0000_0009) && !follows(0x1_0000_0001, 6));
        // A full counter has no successor in its epoch; the next number would be the start of another.
        assert!(!follows(0xffff_ffff, 0xffff_ffff));
    }

    #[test]
    fn committed_records_beyond_the_count_are_forgotten_and_outstanding_ones_never() {
        let mut history = history(2, 3, &[1, 2, 3]);
        assert_eq!(window(&history, 0), [2, 3]);
        for zxid in 4..8 {
            history.append(record(zxid));
        }
        assert_eq!(window(&history, 0), [4, 5, 6, 7]);
        assert!(history.has_outstanding());
        history.commit(Zxid(7));
        assert_eq!((window(&history, 0), history.has_outstanding()), (vec![6, 7], false));
    }

    #[test]
    fn the_window_tells_what_it_has() {
        let history = history(10, 9, &[7, 8, 9]);
        assert_eq!(history.first_in_window(), Some(Zxid(7)));
        assert_eq!(
            [6, 7, 8, 99].map(|zxid| history.at_or_before(Zxid(zxid)).map(|zxid| zxid.0)),
            [None, Some(7), Some(8), Some(9)]
        );
        assert_eq!(window(&history, 7), [8, 9]);
        // Nothing lies between 6 and 7.
        assert_eq!([5, 6, 7, 9].map(|after| history.window_reaches(Zxid(after))), [false, true, true, true]);
        let history = self::history(10, 0x1_0000_0001, &[0x1_0000_0001]);
        assert!(history.window_reaches(Zxid(0x1_0000_0000)) && !history.window_reaches(Zxid(0xffff)));
    }

    /// A new leader has proposed more than the window holds, and nothing of it is committed.
    #[test]
    fn nothing_lies_between_the_last_committed_record_and_a_window_of_outstanding_ones() {
        let mut history = history(2, 9, &[8, 9]);
        for zxid in 0x1_0000_0001..=0x1_0000_0003 {
            history.append(record(zxid));
        }
        assert_eq!(history.first_in_window(), Some(Zxid(0x1_0000_0001)));
        assert!(history.window_reaches(Zxid(9)) && !history.window_reaches(Zxid(8)));
        // The same without any record at hand: behind a snapshot.
        let mut history = history.behind_snapshot(Zxid(9));
        history.append(record(0x1_0000_0001));
        assert!(history.window_reaches(Zxid(9)) && !history.window_reaches(Zxid(8)));
        history.truncate(Zxid(7));
        assert!(history.window_reaches(Zxid(7)) && !history.window_reaches(Zxid(6)));
    }

    #[test]
    fn a_cut_takes_everything_behind_it() {
        let mut history = history(10, 6, &[5, 6, 7]);
        history.append(record(8));
        history.flushed(Zxid(7));
        history.truncate(Zxid(6));
        assert_eq!((history.last_logged(), history.durable(), history.committed()), (Zxid(6), Zxid(6), Zxid(6)));
        assert_eq!((window(&history, 0), history.window_bytes), (vec![5, 6], 6));
    }

    #[test]
    fn a_snapshot_takes_the_place_of_everything() {
        let history = history(10, 6, &[5, 6, 7]).behind_snapshot(Zxid(0x2_0000_0000));
        assert_eq!(history.committed(), Zxid(0x2_0000_0000));
        assert_eq!((window(&history, 0), history.window_reaches(Zxid(0x2_0000_0000))), (vec![], true));
    }

    #[test]
    fn records_that_do_not_end_where_the_log_does_are_not_taken() {
        assert_eq!(History::new(10, Zxid(9), Zxid(9), vec![record(7), record(8)]).first_in_window(), None);
        assert_eq!(
            History::new(10, Zxid(9), Zxid(9), vec![record(6), record(8), record(9)]).first_in_window(),
            Some(Zxid(8))
        );
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut history = history(10, 0, &[]);
        let payload = Bytes::from(vec![0; WINDOW_BYTES_MAX / 2]);
        for zxid in 1..4 {
            history.append(LogRecord { zxid: Zxid(zxid), payload: payload.clone() });
            history.commit(Zxid(zxid));
        }
        assert_eq!(window(&history, 0), [2, 3]);
    }
}
