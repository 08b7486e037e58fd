//! What servers of Apache ZooKeeper said to each other (`tests/data/README.md`), decoded and written again.
#![allow(clippy::unwrap_used)]

mod election;
mod packets;
mod snapshot;
mod stream;
mod transactions;
