//! The thread that prepares requests, has the log flushed (`flusher.rs`), and applies what is flushed.
//!
//! While one group is on its way to the disk, requests collect for the next: the disk's own pace makes the groups. One
//! thread for all but the waiting saves hand-overs on the way of every write, and what a request needs stays in one core's
//! caches.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use bytes::BytesMut;
use parking_lot::{Condvar, Mutex};
use rookeeper_core::pipeline::WriteRequest;
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::Result;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::log::{LogWriter, Retired};

use tokio::runtime::Handle;

use super::flusher::Flusher;
use crate::client::ConnectionHandle;
use crate::runtime::{Arrived, LoneClient, Next, Reader, Shared, delivery};

/// Requests prepared under one hold of the pipeline; handshakes get their turn in between.
const PREPARE_MAX: usize = 512;

/// Requests applied under one hold of the tree; readers get their turn in between.
const APPLY_MAX: usize = 512;

/// Room for requests that is kept from one group to the next.
const REQUESTS_KEPT: usize = 4096;

/// Room for log entries that is kept from one group to the next, in bytes.
const ENTRY_BYTES_KEPT: usize = 4 << 20;

/// Changes that the image lacks before it is brought forward: copying so many holds up writers for about a
/// millisecond.
pub(crate) const IMAGE_STEP_CHANGES: usize = 4096;

/// Changes that the image may lack before writers have to wait for it; bounds memory and the longest hold.
const IMAGE_LAG_CHANGES_MAX: usize = 8 * IMAGE_STEP_CHANGES;

/// What log and image tell each other.
#[derive(Debug, Default)]
pub(crate) struct ImageProgress {
    pub(super) state: Mutex<ImageState>,
    pub(super) changed: Condvar,
    /// The log is flushed up to here, whatever `forceSync` says.
    log_durable: AtomicI64,
}

#[derive(Debug, Default)]
pub(super) struct ImageState {
    /// The image should be brought forward.
    pub(super) wanted: bool,
    /// The image is durable up to here.
    pub(super) durable: Option<Zxid>,
    /// Segments that the image made needless.
    pub(super) retired: Option<Retired<RealFs>>,
    /// The image's thread wants to know that the log is durable up to here.
    pub(super) wants_log_through: Option<Zxid>,
    pub(super) ended: bool,
}

impl ImageProgress {
    /// Asks for the image to be brought forward to the present tree, and waits until it is.
    pub(crate) fn bring_forward(&self) {
        let mut state = self.state.lock();
        state.wanted = true;
        self.changed.notify_all();
        while state.wanted && !state.ended {
            self.changed.wait(&mut state);
        }
    }

    /// Asks for the image to be brought forward, since it lacks so many changes, and waits for it when it is too far
    /// behind.
    pub(crate) fn call(&self, behind: usize) {
        if behind < IMAGE_STEP_CHANGES {
            return;
        }
        let mut state = self.state.lock();
        state.wanted = true;
        self.changed.notify_all();
        if behind >= IMAGE_LAG_CHANGES_MAX {
            while state.wanted && !state.ended && state.wants_log_through.is_none() {
                self.changed.wait(&mut state);
            }
        }
    }

    /// The log is on disk up to here.
    pub(crate) fn log_reached(&self, zxid: i64) {
        self.log_durable.store(zxid, Ordering::Release);
    }

    /// How far the log is on disk.
    pub(super) fn log_durable(&self) -> i64 {
        self.log_durable.load(Ordering::Acquire)
    }

    /// Whether the image's thread waits for the log to be durable.
    pub(crate) fn wants_log(&self) -> bool {
        self.state.lock().wants_log_through.is_some()
    }

    /// Gives the image's thread what it asked for, and takes out segments that it made needless. What stands behind
    /// `keep_after` is still needed.
    pub(crate) fn attend(&self, shared: &Shared, log: &mut LogWriter<RealFs>, keep_after: Option<Zxid>) {
        let mut state = self.state.lock();
        if state.wants_log_through.is_some_and(|zxid| zxid.0 <= self.log_durable()) {
            state.wants_log_through = None;
            self.changed.notify_all();
        }
        if let Some(durable) = state.durable.take() {
            let retired = log.retire(keep_after.map_or(durable, |keep| keep.min(durable)).0);
            if !retired.is_empty() {
                state.retired = Some(retired);
                self.changed.notify_all();
            }
            if let Ok(bytes) = log.disk_bytes() {
                shared.log_bytes.store(bytes as i64, Ordering::Relaxed);
            }
        }
    }

    /// The server stops: nobody waits for the other any more.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}

/// The thread's state.
pub(crate) struct LogThread {
    shared: Arc<Shared>,
    log: LogWriter<RealFs>,
    progress: Arc<ImageProgress>,
    flusher: Flusher,
    /// More has come while the last group was under way.
    crowded: bool,
    lone: LoneClient,
    /// What the present group is made of.
    requests: Vec<WriteRequest>,
    /// The group's log entries, one behind the other.
    entries: BytesMut,
    /// Each entry's zxid, and where it ends in `entries`.
    ends: Vec<(Zxid, usize)>,
    touched: Vec<Arc<ConnectionHandle>>,
    /// Runs the tasks that write to many connections.
    runtime: Handle,
}

impl LogThread {
    pub(crate) fn new(
        shared: Arc<Shared>,
        log: LogWriter<RealFs>,
        progress: Arc<ImageProgress>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let flusher = Flusher::start(shared.clone(), progress.clone(), Zxid(log.last_zxid()))?;
        Ok(Self {
            shared,
            log,
            progress,
            flusher,
            crowded: false,
            lone: LoneClient::default(),
            requests: Vec::new(),
            entries: BytesMut::new(),
            ends: Vec::new(),
            touched: Vec::new(),
            runtime,
        })
    }

    /// Runs until the server stops and everything is answered, or until a write fails.
    pub(crate) fn run(self) {
        let shared = self.shared.clone();
        let _critical = shared.critical_thread();
        shared.inbox.read_as_thread(Box::new(self)).end();
    }

    fn carry_out(&mut self) -> Result<()> {
        self.flusher.collect(&mut self.log)?;
        self.prepare();
        self.append()?;
        // Before what is durable already is applied: the disk works meanwhile.
        self.flusher.flush(&mut self.log, self.crowded)?;
        // Who is answered now and asks again at once has not waited for the disk.
        self.crowded = !self.shared.inbox.lock().is_empty();
        self.apply();
        self.progress.attend(&self.shared, &mut self.log, None);
        Ok(())
    }

    /// Turns the group's requests into transactions or errors.
    fn prepare(&mut self) {
        let now = self.shared.clock.now();
        let mut requests = self.requests.drain(..);
        while requests.len() > 0 {
            let notices = {
                let mut machine = self.shared.machine.lock();
                let pipeline = machine.pipeline_mut();
                let tree = self.shared.tree.read();
                for request in requests.by_ref().take(PREPARE_MAX) {
                    if let Some(zxid) = pipeline.submit(now, &tree, request, &mut self.entries) {
                        self.ends.push((zxid, self.entries.len()));
                    }
                }
                pipeline.take_notices()
            };
            notices.iter().for_each(|notice| self.shared.tell(notice));
        }
        drop(requests);
        self.requests.shrink_to(REQUESTS_KEPT);
    }

    /// Hands the group's log entries to the log.
    fn append(&mut self) -> Result<()> {
        let mut start = 0;
        for (zxid, end) in self.ends.drain(..) {
            self.flusher.append(&mut self.log, zxid, &self.entries[start..end])?;
            start = end;
        }
        self.shared.log_written.fetch_add(start as u64, Ordering::Relaxed);
        self.entries.clear();
        if self.entries.capacity() > ENTRY_BYTES_KEPT {
            self.entries = BytesMut::new();
        }
        Ok(())
    }

    /// Applies what is durable and answers.
    fn apply(&mut self) {
        let shared = self.shared.clone();
        let durable = self.flusher.durable();
        loop {
            let (more, behind) = {
                let mut machine = shared.machine.lock();
                let pipeline = machine.pipeline_mut();
                if !pipeline.has_due(durable) {
                    return;
                }
                let before = (pipeline.in_flight(), pipeline.in_flight_bytes());
                let more = {
                    let mut tree = shared.tree.write();
                    let connections = shared.connections.read();
                    let mut watches = shared.watches.lock();
                    let touched = std::mem::take(&mut self.touched);
                    let mut delivery = delivery::Delivery::new(&shared, &connections, touched);
                    let more = pipeline.commit(&mut tree, &mut watches, &mut delivery, durable, APPLY_MAX);
                    self.touched = delivery.into_touched();
                    if let Some(mismatch) = tree.take_digest_mismatch() {
                        shared.stats.mismatched(&mismatch, shared.clock.monotonic_ms());
                    }
                    more
                };
                let finished = before.0 - pipeline.in_flight();
                shared.in_flight.fetch_sub(finished, Ordering::Relaxed);
                shared.in_flight_bytes.fetch_sub(before.1 - pipeline.in_flight_bytes(), Ordering::Relaxed);
                shared.stats.commits.fetch_add(finished as u64, Ordering::Relaxed);
                (more, pipeline.changes.len())
            };
            delivery::wake(&shared, &self.runtime, &mut self.touched);
            self.progress.call(behind);
            if !more {
                return;
            }
        }
    }
}

impl Reader for LogThread {
    fn next(&mut self, arrived: &Arrived) -> Next {
        if self.shared.has_failed() {
            return Next::End;
        }
        if !arrived.is_empty() || self.flusher.has_news() || self.progress.wants_log() {
            return Next::Turn;
        }
        if self.shared.is_stopping() && !self.flusher.is_busy() {
            return Next::End;
        }
        let until = self.flusher.waits_for_company().map(|wait| Instant::now() + wait);
        Next::Wait { until, lends: self.lone.is_alone() && !self.crowded && self.flusher.is_quick() }
    }

    fn turn(&mut self) {
        std::mem::swap(&mut self.shared.inbox.lock().requests, &mut self.requests);
        self.lone.note(&self.requests, self.shared.stats.received.load(Ordering::Relaxed));
        if let Err(error) = self.carry_out() {
            self.shared.fail(&error.to_string());
        }
    }

    fn end(self: Box<Self>) {
        let Self { shared, mut log, mut flusher, .. } = *self;
        if shared.has_failed() {
            return;
        }
        if let Err(error) = flusher.settle(&mut log).and_then(|()| log.close().map(|_| ())) {
            shared.fail(&error.to_string());
        }
    }
}
