//! The pure core: tree, sessions, watches, ACLs, quotas and the way of a request.
//!
//! Requests and the time go in, transactions, replies and events come out. There is no clock, thread, socket,
//! file or runtime here, and nothing that depends on the order of a hash table, so that whatever happens can
//! be replayed.

pub mod acl;
pub mod client;
pub mod election;
pub mod ensemble;
pub mod peer;
pub mod pipeline;
pub mod session;
pub mod tree;
pub mod watch;
pub mod zab;
