//! The server: drivers around the pure core. Sockets, threads, disks, clocks and the command line are here;
//! what they carry out is decided in `rookeeper-core`.

mod admin;
pub mod cli;
mod client;
pub mod config;
mod disk;
mod member;
mod metrics;
mod peers;
pub mod runtime;
