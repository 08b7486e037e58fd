//! What waits for the one reader that prepares, flushes and applies.
//!
//! Connections leave their writes here and go on; the reader takes all of them at once. So nobody who reads a socket ever
//! waits for the pipeline. A member of an ensemble finds here what other servers said, too.

use std::fmt;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rookeeper_core::peer::Input;
use rookeeper_core::pipeline::WriteRequest;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::reader::{Borrowed, Reader};

/// What has arrived, in order of each kind.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Requests of clients. Their number is bounded by what each connection may have under way (`client/limits.rs`).
    pub(crate) requests: Vec<WriteRequest>,
    /// What a member of an ensemble heard. What other servers say is bounded by [`Arrival::room`].
    pub(crate) arrivals: Vec<Arrival>,
    /// Where the reader is.
    pub(super) place: Place,
}

/// Where the reader is.
#[derive(Default)]
pub(super) enum Place {
    /// With its thread, which is to be rung for.
    #[default]
    AtHome,
    /// Here, to be borrowed.
    Idle(Idle),
    /// With whoever borrowed it, who looks into the inbox when it comes back; its thread waits for that if it is wanted.
    Lent { wanted: bool },
}

/// A reader that has nothing to do, and until when its thread waits.
pub(super) struct Idle {
    pub(super) reader: Box<dyn Reader>,
    pub(super) until: Option<Instant>,
}

/// An input on its way to the machine.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// What happened.
    pub(crate) input: Input,
    /// The room that it takes of what its connection may have here. That is read on once there is room again.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtHome => "AtHome",
            Self::Idle(_) => "Idle",
            Self::Lent { .. } => "Lent",
        })
    }
}

impl Arrived {
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.arrivals.is_empty()
    }

    /// The reader, to be borrowed, if it is idle.
    fn lend(&mut self) -> Option<Idle> {
        match std::mem::replace(&mut self.place, Place::Lent { wanted: false }) {
            Place::Idle(idle) => Some(idle),
            elsewhere => {
                self.place = elsewhere;
                None
            }
        }
    }

    /// The reader, for its thread. None while it is lent; then whoever has it rings.
    pub(super) fn call_home(&mut self) -> Option<Box<dyn Reader>> {
        match std::mem::take(&mut self.place) {
            Place::Idle(idle) => Some(idle.reader),
            Place::Lent { .. } | Place::AtHome => {
                self.place = Place::Lent { wanted: true };
                None
            }
        }
    }
}

/// What has arrived, and how its reader hears of it.
#[derive(Debug)]
pub(crate) struct Inbox {
    arrived: Mutex<Arrived>,
    pub(super) bell: Bell,
}

/// How the reader waits.
#[derive(Debug)]
pub(super) enum Bell {
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
        let mut arrived = self.arrived.lock();
        arrived.requests.append(requests);
        self.ring(&arrived);
    }

    /// Puts requests behind the others. The reader, if it was idle: whoever brought them takes its turn.
    pub(crate) fn push_and_borrow(&self, requests: &mut Vec<WriteRequest>) -> Option<Borrowed<'_>> {
        let mut arrived = self.arrived.lock();
        arrived.requests.append(requests);
        // What others said came first, and its thread was rung for.
        let idle = if arrived.arrivals.is_empty() { arrived.lend() } else { None };
        if idle.is_none() {
            self.ring(&arrived);
        }
        drop(arrived);
        idle.map(|idle| Borrowed::new(self, idle))
    }

    /// Puts something that happened behind the others.
    pub(crate) fn tell(&self, input: Input) {
        self.arrive(Arrival { input, room: None });
    }

    /// The same with the room that it takes.
    pub(crate) fn arrive(&self, arrival: Arrival) {
        let mut arrived = self.arrived.lock();
        arrived.arrivals.push(arrival);
        self.ring(&arrived);
    }

    /// Lets the reader look again: there is something else to do.
    pub(crate) fn wake(&self) {
        self.ring(&self.arrived.lock());
    }

    /// Wakes the reader's thread, under the lock that it holds when it is about to wait.
    pub(super) fn ring(&self, arrived: &Arrived) {
        if matches!(arrived.place, Place::Lent { .. }) {
            return;
        }
        match &self.bell {
            Bell::Thread(changed) => {
                changed.notify_one();
            }
            Bell::Task(changed) => changed.notify_one(),
        }
    }

    /// What has arrived; more arrives only once it is let go.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock()
    }
}
