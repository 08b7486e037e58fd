//! Makes the log durable: at once, or by a thread that waits for the disk while others go on.
//!
//! A thread that has nothing else to do waits best by itself: handing over costs a lone client more than the flush.
//! Where more comes while the disk works, it is prepared meanwhile, and so is what others say and what time asks for.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::Result;
use rookeeper_storage::fs::{RealFile, RealFs};
use rookeeper_storage::log::{Flush, LogWriter};

use super::log::ImageProgress;
use crate::runtime::Shared;

/// From so long a flush on, the disk is one to wait for elsewhere, whether anybody was seen to come meanwhile or not.
const SLOW_FLUSH: Duration = Duration::from_millis(1);

/// A flush that was run.
#[derive(Debug)]
struct Ended {
    flush: Flush<RealFile>,
    outcome: Result<()>,
    took: Duration,
}

#[derive(Debug, Default)]
struct Desk {
    /// To be run.
    job: Option<Flush<RealFile>>,
    ended: Option<Ended>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Slot {
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// What makes a log durable.
#[derive(Debug)]
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    progress: Arc<ImageProgress>,
    slot: Arc<Slot>,
    thread: Option<JoinHandle<()>>,
    /// Transactions that were appended since the last flush was begun, and those that the one under way is about.
    appended: usize,
    covered: Option<usize>,
    /// When the first and the last of these were appended; kept with `flushDelay` only.
    first_at: Option<Instant>,
    last_at: Option<Instant>,
    /// The next flush is left to the thread.
    steps_aside: bool,
    /// The log was flushed up to here, with `forceSync=no` as far as it is written. A member, whose log may be cut, goes by its
    /// writes instead.
    durable: Zxid,
}

impl Flusher {
    /// Starts the thread. Whoever reads the inbox is woken when a flush has ended.
    pub(crate) fn start(shared: Arc<Shared>, progress: Arc<ImageProgress>, durable: Zxid) -> io::Result<Self> {
        progress.log_reached(durable.0);
        let slot = Arc::new(Slot::default());
        let (work, of) = (slot.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("flush".to_owned()).spawn(move || run(&of, &work))?;
        Ok(Self {
            shared,
            progress,
            slot,
            thread: Some(thread),
            appended: 0,
            covered: None,
            first_at: None,
            last_at: None,
            steps_aside: false,
            durable,
        })
    }

    /// Appends a transaction, behind a flush if the group is as large as it may be (`maxBatchSize`).
    pub(crate) fn append(&mut self, log: &mut LogWriter<RealFs>, zxid: Zxid, payload: &[u8]) -> Result<()> {
        let rules = &self.shared.config.group_commit;
        let delays = rules.flush_delay_ms > 0;
        if rules.max_batch_size.is_some_and(|max| self.appended >= max as usize) {
            self.wait(log)?;
            self.flush_here(log, false)?;
        }
        log.append(zxid.0, payload)?;
        self.appended += 1;
        if delays {
            self.last_at = Some(Instant::now());
            self.first_at = self.first_at.or(self.last_at);
        }
        Ok(())
    }

    /// How long what was appended still waits for company (`flushDelay`, `maxWriteQueuePollTime`).
    pub(crate) fn waits_for_company(&self) -> Option<Duration> {
        let rules = &self.shared.config.group_commit;
        let due = (self.first_at? + Duration::from_millis(rules.flush_delay_ms))
            .min(self.last_at? + Duration::from_millis(rules.max_write_queue_poll_time_ms));
        let wait = due.saturating_duration_since(Instant::now());
        (!wait.is_zero() && !self.shared.is_stopping()).then_some(wait)
    }

    /// Whether something was appended that nothing is under way for, and that waits for nobody.
    pub(crate) fn is_due(&self) -> bool {
        self.appended > 0 && !self.is_busy() && self.waits_for_company().is_none()
    }

    /// What may be acknowledged: the log is flushed up to here, with `forceSync=no` written.
    pub(crate) fn durable(&self) -> Zxid {
        self.durable
    }

    /// Whether a flush is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.covered.is_some()
    }

    /// Whether the next flush does not take long, as far as can be told, and would be waited for at once.
    pub(crate) fn is_quick(&self) -> bool {
        !self.is_busy() && !self.steps_aside && self.appended == 0
    }

    /// Whether there is something to do that nobody was told of.
    pub(crate) fn has_news(&self) -> bool {
        self.has_ended() || self.is_due()
    }

    /// Whether a flush has ended that nobody has taken note of.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_busy() && self.slot.desk.lock().ended.is_some()
    }

    /// Takes note of a flush that has ended. True if nothing is under way then.
    pub(crate) fn collect(&mut self, log: &mut LogWriter<RealFs>) -> Result<bool> {
        if !self.is_busy() {
            return Ok(true);
        }
        let ended = self.slot.desk.lock().ended.take();
        ended.map_or(Ok(false), |ended| self.note(log, ended).map(|()| true))
    }

    /// Makes durable what was appended, unless something is under way: then that comes first, and this is for another
    /// call. `crowded`: more has come while this thread was busy with the last group. True if all is durable now.
    pub(crate) fn flush(&mut self, log: &mut LogWriter<RealFs>, crowded: bool) -> Result<bool> {
        self.steps_aside |= crowded;
        if self.progress.wants_log() {
            return self.settle(log).map(|()| true);
        }
        if self.is_busy() {
            return Ok(false);
        }
        if self.appended == 0 {
            return Ok(true);
        }
        if self.waits_for_company().is_some() {
            return Ok(false);
        }
        if !self.steps_aside {
            return self.flush_here(log, false).map(|()| true);
        }
        let Some(flush) = log.begin_flush()? else {
            self.flush_here(log, false)?;
            return Ok(true);
        };
        self.covered = Some(self.begin_group());
        self.slot.desk.lock().job = Some(flush);
        self.slot.changed.notify_one();
        Ok(false)
    }

    /// Makes all of it durable before it returns, whatever `forceSync` says.
    pub(crate) fn settle(&mut self, log: &mut LogWriter<RealFs>) -> Result<()> {
        self.wait(log)?;
        if self.appended == 0 && self.shared.config.force_sync {
            return Ok(());
        }
        self.flush_here(log, true)
    }

    /// Waits for the flush that is under way.
    fn wait(&mut self, log: &mut LogWriter<RealFs>) -> Result<()> {
        if self.is_busy() {
            let ended = {
                let mut desk = self.slot.desk.lock();
                while desk.ended.is_none() {
                    self.slot.changed.wait(&mut desk);
                }
                desk.ended.take()
            };
            ended.map_or(Ok(()), |ended| self.note(log, ended))?;
        }
        Ok(())
    }

    fn note(&mut self, log: &mut LogWriter<RealFs>, ended: Ended) -> Result<()> {
        let durable = log.end_flush(ended.flush, ended.outcome)?;
        self.shared.flushed(self.covered.take().unwrap_or_default(), ended.took);
        self.progress.log_reached(durable);
        self.durable = Zxid(durable);
        // Nobody came meanwhile: the next one may be waited for by itself.
        self.steps_aside = self.appended != 0 || ended.took >= SLOW_FLUSH;
        Ok(())
    }

    fn flush_here(&mut self, log: &mut LogWriter<RealFs>, through: bool) -> Result<()> {
        let before = Instant::now();
        let flushed = if through { log.flush_through()? } else { log.flush()? };
        let took = before.elapsed();
        let transactions = self.begin_group();
        self.shared.flushed(transactions, took);
        self.durable = Zxid(flushed);
        if through || self.shared.config.force_sync {
            self.progress.log_reached(flushed);
        }
        self.steps_aside = took >= SLOW_FLUSH;
        Ok(())
    }

    /// What is appended next belongs to another group; how many transactions this one has.
    fn begin_group(&mut self) -> usize {
        (self.first_at, self.last_at) = (None, None);
        std::mem::take(&mut self.appended)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.slot.desk.lock().closed = true;
        self.slot.changed.notify_all();
        // One that panicked has ended the server.
        self.thread.take().map(JoinHandle::join);
    }
}

fn run(shared: &Arc<Shared>, slot: &Slot) {
    let _critical = shared.critical_thread();
    loop {
        let flush = {
            let mut desk = slot.desk.lock();
            loop {
                if desk.closed {
                    return;
                }
                match desk.job.take() {
                    Some(flush) => break flush,
                    None => slot.changed.wait(&mut desk),
                }
            }
        };
        let before = Instant::now();
        let outcome = flush.run();
        slot.desk.lock().ended = Some(Ended { flush, outcome, took: before.elapsed() });
        slot.changed.notify_all();
        shared.inbox.wake();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::GroupCommit;
    use crate::disk::testing::log_of;
    use crate::runtime::testing::idle_server_with;

    struct Bench {
        _dir: tempfile::TempDir,
        log: LogWriter<RealFs>,
        flusher: Flusher,
    }

    const NO_DELAY: GroupCommit =
        GroupCommit { flush_delay_ms: 0, max_write_queue_poll_time_ms: 0, max_batch_size: None };

    fn bench(rules: GroupCommit) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let log = log_of(dir.path(), 1);
        let shared = idle_server_with(|config| config.group_commit = rules);
        let flusher = Flusher::start(shared, Arc::default(), Zxid(1)).unwrap();
        Bench { _dir: dir, log, flusher }
    }

    impl Bench {
        fn append(&mut self, zxid: i64) {
            self.flusher.append(&mut self.log, Zxid(zxid), b"x").unwrap();
        }

        fn wait_for_news(&self) {
            while !self.flusher.has_ended() {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn what_comes_alone_is_flushed_at_once() {
        let mut bench = bench(NO_DELAY);
        bench.append(2);
        assert!(bench.flusher.flush(&mut bench.log, false).unwrap());
        assert_eq!((bench.flusher.durable(), bench.log.history().last_zxid()), (Zxid(2), 2));
    }

    #[test]
    fn more_is_appended_while_a_group_is_flushed() {
        let mut bench = bench(NO_DELAY);
        bench.append(2);
        assert!(!bench.flusher.flush(&mut bench.log, true).unwrap());
        bench.append(3);
        // Whether or not the disk is done: nothing is known before the flush is collected.
        assert_eq!((bench.flusher.durable(), bench.flusher.is_busy()), (Zxid(1), true));
        bench.wait_for_news();
        assert!(bench.flusher.collect(&mut bench.log).unwrap());
        assert_eq!((bench.flusher.durable(), bench.log.history().last_zxid()), (Zxid(2), 2));
        // It was crowded, so the thread has the next one, too.
        assert!(!bench.flusher.flush(&mut bench.log, false).unwrap());
        bench.wait_for_news();
        assert!(bench.flusher.collect(&mut bench.log).unwrap());
        assert_eq!(bench.flusher.durable(), Zxid(3));
    }

    #[test]
    fn what_must_be_settled_waits_for_what_is_under_way() {
        let mut bench = bench(NO_DELAY);
        bench.append(2);
        assert!(!bench.flusher.flush(&mut bench.log, true).unwrap());
        bench.append(3);
        bench.flusher.settle(&mut bench.log).unwrap();
        assert_eq!((bench.flusher.durable(), bench.flusher.is_busy()), (Zxid(3), false));
        assert_eq!(bench.log.history().last_zxid(), 3);
    }

    #[test]
    fn a_group_is_not_larger_than_it_may_be() {
        let mut bench = bench(GroupCommit { max_batch_size: Some(2), ..NO_DELAY });
        (2..=4).for_each(|zxid| bench.append(zxid));
        assert_eq!(bench.flusher.durable(), Zxid(3));
    }

    #[test]
    fn a_transaction_waits_for_others_as_long_as_it_is_told_to() {
        const LONG_MS: u64 = 3_600_000;
        let rules = GroupCommit { flush_delay_ms: LONG_MS, max_write_queue_poll_time_ms: LONG_MS, ..NO_DELAY };
        let mut patient = bench(rules);
        patient.append(2);
        assert!(!patient.flusher.flush(&mut patient.log, false).unwrap() && !patient.flusher.is_due());
        assert!(patient.flusher.waits_for_company().unwrap() > Duration::from_millis(LONG_MS / 2));
        assert_eq!(patient.flusher.durable(), Zxid(1));
        patient.flusher.settle(&mut patient.log).unwrap();
        assert_eq!((patient.flusher.durable(), patient.flusher.waits_for_company()), (Zxid(2), None));

        let mut hasty = bench(GroupCommit { max_write_queue_poll_time_ms: 1, ..rules });
        hasty.append(2);
        while !hasty.flusher.is_due() {
            std::thread::yield_now();
        }
        assert!(hasty.flusher.flush(&mut hasty.log, false).unwrap());
        assert_eq!(hasty.flusher.durable(), Zxid(2));
    }
}
