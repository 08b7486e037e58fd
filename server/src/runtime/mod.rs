//! The drivers' common ground: what threads and tasks share, and how a server starts and stops.
//!
//! Locks are taken in this order, never against it: `machine`, `tree`, `connections`, `watches`, one connection.
//! A reader holds the tree shared for a batch of requests; whoever applies holds it alone for a batch of
//! transactions.

mod clock;
pub(crate) mod delivery;
mod inbox;
mod lone;
mod machine;
mod priority;
mod reader;
mod shared;
mod start;
#[cfg(test)]
pub(crate) mod testing;
mod tick;

pub use clock::Clock;
pub(crate) use inbox::{Arrival, Arrived};
pub(crate) use lone::LoneClient;
pub(crate) use machine::Machine;
pub(crate) use priority::{Courtesy, step_back};
pub(crate) use reader::{Next, Reader};
pub(crate) use shared::Shared;
pub(crate) use start::tree_rules;
pub use start::{ServerError, Started, start};
