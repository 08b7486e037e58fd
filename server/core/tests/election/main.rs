//! Elections among a few servers over a network that delays, breaks and splits, all from one seed.
//!
//! [`network`] is the network and the clock, [`server`] a server with as much of what comes after an election as
//! it takes to elect again, [`faults`] what goes wrong. [`random`] has the properties of long runs, [`stories`] what
//! must happen in a given case, [`recorded`] what Apache ZooKeeper said.
#![allow(clippy::unwrap_used)]

mod faults;
mod network;
mod random;
mod recorded;
mod server;
mod stories;
