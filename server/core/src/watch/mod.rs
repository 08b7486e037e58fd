//! Watches: who waits for what, and what becomes an event (`WatchManager`, `DataTree`).

mod report;
mod table;

pub use report::{WatchesByConnection, WatchesByPath};
pub use table::{ConnId, WatchModes, WatchTable};
