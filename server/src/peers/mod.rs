//! The sockets between this server and the others of its ensemble.
//!
//! ```text
//!  election port --- election.rs ---- notifications ------+
//!  learner port ---- learners.rs ---- learners' packets ---+--> inbox of the member's thread
//!  to the leader --- leader.rs ------ the leader's packets +
//!                    outgoing.rs <--- frames, snapshots and pieces of the log, in order
//! ```
//!
//! What is said is decided by the machine in `rookeeper-core`; here bytes become packets, and packets bytes. Whatever
//! another server sends costs it its connection at most.

mod addresses;
mod election;
mod leader;
mod learners;
mod limits;
mod listen;
mod outgoing;
mod packets;

pub(crate) use addresses::Addresses;
pub(crate) use election::{ElectionPort, ElectionSockets};
pub(crate) use leader::{Dial, LeaderLink};
pub(crate) use learners::{Guests, Job, LearnerPort};
pub(crate) use listen::bind_all;
