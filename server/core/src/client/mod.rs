//! One client's connection as a pure machine: its identities, its place in the order, what goes out to it.

mod admission;
mod connection;
mod read;
mod stats;

pub use admission::{Admission, Refusal, refusal};
pub use connection::{Connection, ConnectionRules, Disposition, Phase, ReadRequest, ReadView, Taken, WatchAccess};
pub use stats::{ConnectionStats, Tally};
