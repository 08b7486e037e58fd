//! The pure core: tree, sessions, watches, ACLs, quotas and the way of a request.
//!
//! Requests and the time go in, transactions, replies and events come out. There is no clock, thread, socket,
//! file or runtime here, and nothing that depends on the order of a hash table, so that whatever happens can
//! be replayed.

/// Whether a mistake is made on purpose, for the simulator to find; never, where that is not compiled in.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($mistake:ident) => {
        $crate::planted::is_made($crate::planted::Mistake::$mistake)
    };
}

#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($mistake:ident) => {
        false
    };
}

pub mod acl;
pub mod client;
pub mod election;
pub mod ensemble;
pub mod peer;
pub mod pipeline;
#[cfg(feature = "planted")]
pub mod planted;
pub mod session;
pub mod tree;
pub mod watch;
pub mod zab;
