//! One client's connection as a pure machine: its identities, its place in the order, what goes out to it.

mod connection;
mod read;
mod stats;

pub use connection::{Admission, Connection, ConnectionRules, Disposition, Phase, ReadView, WatchAccess};
pub use stats::{ConnectionStats, Tally};
