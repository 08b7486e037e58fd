//! One server of an ensemble as one machine: inputs and the time go in, outputs come out.
//!
//! Nothing here waits. What takes time (a flush, the reading of the log, a snapshot) is an [`Output`] that a later
//! [`Input`] answers.

mod input;
mod output;
mod role;

pub use input::{Clients, Input, Loaded};
pub use output::{Event, Failure, Output, WriteId};
pub use role::Role;
