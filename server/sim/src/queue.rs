//! What is to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rookeeper_core::peer::Input;

use crate::clock::Micros;
use crate::network::{Attempt, PipeId};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// What stands first in a pipe arrives at this end.
    Arrive { pipe: PipeId, side: usize },
    /// Somebody's attempt to connect comes to the other machine.
    Connect(Attempt),
    /// The disk has done what it was given.
    Flushed { member: i64, life: u64 },
    /// Something that a process has asked for is there.
    Own { member: i64, life: u64, input: Box<Input> },
    /// What is committed is applied.
    Apply { member: i64, life: u64 },
    /// The container manager of a process does what it does next.
    Reap { member: i64, life: u64 },
    /// Somebody looks whether a learner's connection goes on.
    Look { pipe: PipeId },
    /// A client looks what it wants to do.
    Client { index: usize },
    /// A fault begins or ends.
    Fault { index: usize, ends: bool },
    /// A process that ended is started again.
    Start { member: i64 },
}

struct Entry {
    at: Micros,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The events to come. Of two at the same time the one that was asked for first comes first.
#[derive(Default)]
pub(crate) struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    next: u64,
}

impl Queue {
    pub(crate) fn add(&mut self, at: Micros, event: Event) {
        self.entries.push(Reverse(Entry { at, number: self.next, event }));
        self.next += 1;
    }

    /// When the next one is due.
    pub(crate) fn next_at(&self) -> Option<Micros> {
        self.entries.peek().map(|entry| entry.0.at)
    }

    pub(crate) fn take(&mut self) -> Option<Event> {
        self.entries.pop().map(|entry| entry.0.event)
    }
}
