//! What the pure core does, to the last byte: requests in, log entries, replies and events out.
//!
//! [`world`] is a whole server without disk, sockets and clock. Each other module is about one subject;
//! [`random`] compares long runs of random requests with the tiny server in [`model`], and [`ensemble`] lets servers
//! agree over a network that is not there.
#![allow(clippy::unwrap_used)]

mod acl;
mod connection;
mod create;
mod digest;
mod ensemble;
mod hostile;
mod model;
mod multi;
mod order;
mod quota;
mod random;
mod read;
mod reap;
mod replay;
mod session;
mod watch;
mod wire;
mod world;
mod write;
