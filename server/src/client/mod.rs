//! The client port: accepting, the handshake, one task for each connection.

mod handle;
mod handshake;
mod limits;
mod listener;
mod table;
mod task;
mod throttle;

pub(crate) use handle::{ConnectionHandle, java_address};
pub(crate) use listener::{bind, serve};
pub(crate) use table::{ConnectionMap, ConnectionTable};
