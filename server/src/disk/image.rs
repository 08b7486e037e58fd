//! The thread that brings the image forward behind the log.
//!
//! It takes the changes of a few thousand znodes at a time, so that nobody waits long for the copy, and makes
//! the image durable after `snapCount` transactions, so that a start has no more than that to replay.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use parking_lot::RwLock;
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::kv::rocks::RocksKv;
use rookeeper_storage::tree::{Delta, Image};
use rookeeper_storage::{Result, StorageError};

use super::log::ImageProgress;
use super::znode_record;
use crate::runtime::Shared;

/// How long changes may lie before the image has them, when they are too few to be fetched at once.
const IDLE_STEP: Duration = Duration::from_secs(5);

/// How long a durable image may lack what the log has, when `snapCount` is not reached.
const IDLE_FLUSH: Duration = Duration::from_secs(60);

/// The thread's state.
pub(crate) struct ImageThread {
    shared: Arc<Shared>,
    image: Arc<RwLock<Image<RocksKv>>>,
    progress: Arc<ImageProgress>,
    delta: Delta,
    record: BytesMut,
    /// The zxid of the last durable image, and when it was made so.
    flushed: Zxid,
    flushed_at: Instant,
    /// Bytes that the log had been given then.
    log_written: u64,
    /// Transactions that may pass between two durable images.
    flush_every: i64,
}

impl ImageThread {
    pub(crate) fn new(shared: Arc<Shared>, image: Arc<RwLock<Image<RocksKv>>>, progress: Arc<ImageProgress>) -> Self {
        let flushed = Zxid(image.read().zxid());
        let flush_every = i64::from(shared.config.snap_count.max(1));
        Self {
            shared,
            image,
            progress,
            delta: Delta::new(flushed.0),
            record: BytesMut::new(),
            flushed,
            flushed_at: Instant::now(),
            log_written: 0,
            flush_every,
        }
    }

    /// Runs until the server stops. A failure stops the server: without an image the log would grow for ever.
    pub(crate) fn run(mut self) {
        let _critical = self.shared.critical_thread();
        if let Err(error) = self.work() {
            self.shared.fail(&error.to_string());
        }
        let mut state = self.progress.state.lock();
        state.ended = true;
        self.progress.changed.notify_all();
    }

    fn work(&mut self) -> Result<()> {
        loop {
            let (retired, timed_out) = {
                let mut state = self.progress.state.lock();
                let mut timed_out = false;
                if !state.wanted && state.retired.is_none() && !state.ended {
                    timed_out = self.progress.changed.wait_for(&mut state, IDLE_STEP).timed_out();
                }
                if state.ended {
                    return Ok(());
                }
                (state.retired.take(), timed_out)
            };
            if let Some(retired) = retired {
                let removed = retired.remove()?;
                tracing::debug!("removed {removed} segments of the log");
            }
            if !timed_out && !self.progress.state.lock().wanted {
                continue;
            }
            self.step()?;
            {
                let mut state = self.progress.state.lock();
                state.wanted = false;
                self.progress.changed.notify_all();
            }
            if self.flush_is_due() {
                self.flush()?;
            }
        }
    }

    /// `snapCount` and `snapSizeLimitInKb`: how much a start may have to replay.
    fn flush_is_due(&self) -> bool {
        let behind = self.image.read().zxid() - self.flushed.0;
        let written = self.shared.log_written.load(Ordering::Relaxed) - self.log_written;
        let too_long = self.shared.config.snap_size_limit_kb.is_some_and(|limit_kb| written / 1024 >= limit_kb);
        behind >= self.flush_every || (behind > 0 && (too_long || self.flushed_at.elapsed() >= IDLE_FLUSH))
    }

    /// Brings the image forward to the present tree.
    fn step(&mut self) -> Result<()> {
        let mut failure: Option<StorageError> = None;
        // Held from the copy on: a member's image may be replaced by another, which must not get changes of the old one.
        let image = self.image.read();
        let set = {
            let mut machine = self.shared.machine.lock();
            let tree = self.shared.tree.read();
            let committed = match machine.member() {
                None => i64::MAX,
                Some(peer) if peer.image_may_follow(&tree) => tree.last_zxid().0,
                Some(_) => return Ok(()),
            };
            image.set_committed(committed);
            let pipeline = machine.pipeline_mut();
            if pipeline.changes.is_empty() {
                return Ok(());
            }
            self.delta.set_zxid(tree.last_zxid().0);
            // What is gone goes first: a znode that was deleted and made again is among the changed ones.
            for path in pipeline.changes.deleted_paths() {
                keep_first(&mut failure, self.delta.delete_znode(path));
            }
            pipeline.changes.take(&tree, |znode| {
                znode_record::encode(&znode, &mut self.record);
                let path = if znode.path.is_empty() { "/" } else { znode.path };
                keep_first(&mut failure, self.delta.put_znode(path, &self.record));
            })
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        for (session, timeout_ms) in set.sessions {
            match timeout_ms {
                Some(timeout_ms) => self.delta.put_session(session.0, timeout_ms),
                None => self.delta.delete_session(session.0),
            }
        }
        image.apply(&mut self.delta)?;
        // The next step may be far away, and a smaller one.
        self.delta.restart(self.delta.zxid());
        Ok(())
    }

    /// Makes the image durable, and lets the log forget what it has.
    fn flush(&mut self) -> Result<()> {
        if !self.log_is_durable() {
            return Ok(());
        }
        let started = Instant::now();
        let image = self.image.read();
        let durable = Zxid(image.flush()?);
        tracing::debug!("the image is durable up to {durable}, in {} ms", started.elapsed().as_millis());
        self.shared.stats.image_time.add_time(started.elapsed());
        self.flushed = durable;
        self.log_written = self.shared.log_written.load(Ordering::Relaxed);
        self.flushed_at = Instant::now();
        let usage = image.usage();
        self.shared.image_bytes.store(usage.disk_bytes as i64, Ordering::Relaxed);
        let mut state = self.progress.state.lock();
        state.durable = Some(durable);
        Ok(())
    }

    /// Sees to it that the log has on disk what the image is about to have, with `forceSync=no` too.
    fn log_is_durable(&self) -> bool {
        let wanted = self.image.read().zxid();
        if self.progress.log_durable() >= wanted {
            return true;
        }
        let mut state = self.progress.state.lock();
        state.wants_log_through = Some(Zxid(wanted));
        self.progress.changed.notify_all();
        drop(state);
        self.shared.inbox.wake();
        let mut state = self.progress.state.lock();
        while state.wants_log_through.is_some() && !state.ended && self.shared.is_running() {
            self.progress.changed.wait_for(&mut state, IDLE_STEP);
        }
        self.progress.log_durable() >= wanted
    }
}

fn keep_first(failure: &mut Option<StorageError>, result: Result<()>) {
    if let Err(error) = result {
        failure.get_or_insert(error);
    }
}
