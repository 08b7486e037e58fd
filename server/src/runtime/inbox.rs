//! Requests on their way to the pipeline.
//!
//! Connections leave their writes here and go on; the one thread that prepares, flushes and applies takes all of
//! them at once. So nobody who reads a socket ever waits for the pipeline.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rookeeper_core::pipeline::WriteRequest;

/// What has arrived, in order. Its length is bounded by what each connection may have under way
/// (`client/limits.rs`).
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    requests: Mutex<Vec<WriteRequest>>,
    changed: Condvar,
}

impl Inbox {
    /// Puts requests behind the others.
    pub(crate) fn push(&self, requests: &mut Vec<WriteRequest>) {
        self.requests.lock().append(requests);
        self.changed.notify_one();
    }

    /// Lets whoever waits look again: there is something else to do.
    pub(crate) fn wake(&self) {
        // Whoever is about to wait holds this lock, and cannot miss the signal.
        let _requests = self.requests.lock();
        self.changed.notify_all();
    }

    /// The requests; more arrive only once they are let go, or in [`Inbox::wait`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<WriteRequest>> {
        self.requests.lock()
    }

    /// Waits until something arrives or somebody calls [`Inbox::wake`].
    pub(crate) fn wait(&self, requests: &mut MutexGuard<'_, Vec<WriteRequest>>) {
        self.changed.wait(requests);
    }

    /// The same, at most for so long.
    pub(crate) fn wait_for(&self, requests: &mut MutexGuard<'_, Vec<WriteRequest>>, timeout: Duration) {
        self.changed.wait_for(requests, timeout);
    }
}
