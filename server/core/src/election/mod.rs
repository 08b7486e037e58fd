//! Leader election: Java's `FastLeaderElection`, and the rules of its connections (`QuorumCnxManager`).
//!
//! [`Election`] decides whom to follow; it is told the time and each message, and says what to send.
//! [`Links`] decides over which connection a message goes. Neither knows what a leader does once it leads.

mod links;
mod machine;
mod tally;
mod vote;
mod voteless;

pub use links::{LINKS_MAX, LinkId, LinkOutput, Links};
pub use machine::{Decision, Election, ElectionOutput, FINALIZE_WAIT_MS, Standing, Timing};
pub use vote::Vote;
