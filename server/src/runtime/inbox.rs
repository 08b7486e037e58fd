//! What waits for the one thread that prepares, flushes and applies.
//!
//! Connections leave their writes here and go on; the thread takes all of them at once. So nobody who reads a socket
//! ever waits for the pipeline. A member of an ensemble finds here what other servers said, too.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rookeeper_core::peer::Input;
use rookeeper_core::pipeline::WriteRequest;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// What has arrived, in order of each kind.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Requests of clients. Their number is bounded by what each connection may have under way (`client/limits.rs`).
    pub(crate) requests: Vec<WriteRequest>,
    /// What a member of an ensemble heard. What other servers say is bounded by [`Arrival::room`].
    pub(crate) arrivals: Vec<Arrival>,
}

/// Inputs that arrived together.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// In their order.
    pub(crate) inputs: Vec<Input>,
    /// The room that they take of what their connection may have here. It is read on once they are let go.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Arrived {
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.arrivals.is_empty()
    }
}

/// What has arrived, and how its reader hears of it.
#[derive(Debug)]
pub(crate) struct Inbox {
    arrived: Mutex<Arrived>,
    bell: Bell,
}

/// How the reader waits.
#[derive(Debug)]
enum Bell {
    /// It is a thread.
    Thread(Condvar),
    /// It is a task, which waits for sockets too.
    Task(Notify),
}

impl Inbox {
    /// An inbox that a thread reads.
    pub(crate) fn for_thread() -> Self {
        Self { arrived: Mutex::default(), bell: Bell::Thread(Condvar::new()) }
    }

    /// An inbox that a task reads.
    pub(crate) fn for_task() -> Self {
        Self { arrived: Mutex::default(), bell: Bell::Task(Notify::new()) }
    }

    /// Puts requests behind the others.
    pub(crate) fn push(&self, requests: &mut Vec<WriteRequest>) {
        self.arrived.lock().requests.append(requests);
        self.ring();
    }

    /// Puts something that happened behind the others.
    pub(crate) fn tell(&self, input: Input) {
        self.arrive(Arrival { inputs: vec![input], room: None });
    }

    /// Puts things that happened behind the others.
    pub(crate) fn arrive(&self, arrival: Arrival) {
        self.arrived.lock().arrivals.push(arrival);
        self.ring();
    }

    /// Lets whoever waits look again: there is something else to do.
    pub(crate) fn wake(&self) {
        // Whoever is about to wait holds this lock, and cannot miss the signal.
        let _arrived = self.arrived.lock();
        self.ring();
    }

    fn ring(&self) {
        match &self.bell {
            Bell::Thread(changed) => {
                changed.notify_one();
            }
            Bell::Task(changed) => changed.notify_one(),
        }
    }

    /// What has arrived; more arrives only once it is let go, or in [`Inbox::wait`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock()
    }

    /// Waits as a thread until something arrives or somebody calls [`Inbox::wake`].
    pub(crate) fn wait(&self, arrived: &mut MutexGuard<'_, Arrived>) {
        if let Bell::Thread(changed) = &self.bell {
            changed.wait(arrived);
        }
    }

    /// The same, at most for so long.
    pub(crate) fn wait_for(&self, arrived: &mut MutexGuard<'_, Arrived>, timeout: Duration) {
        if let Bell::Thread(changed) = &self.bell {
            changed.wait_for(arrived, timeout);
        }
    }

    /// Waits as a task. What arrived since it last waited counts.
    pub(crate) async fn rung(&self) {
        match &self.bell {
            Bell::Thread(_) => {}
            Bell::Task(changed) => changed.notified().await,
        }
    }
}
