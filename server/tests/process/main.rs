//! The server as a process: started, killed, starved, attacked and stopped from outside, over its port, its
//! signals, its exit code and what it logs.
//!
//! `ROOKEEPER_CRASH_CYCLES` asks for more kills than an ordinary run has, `ROOKEEPER_SEED` repeats a run's random
//! choices (each test that makes any prints its seed). What a machine does not allow (mounting a file system, IPv6)
//! is told on standard error as NOT RUN; with `ROOKEEPER_RUN_ALL` set it fails instead.

#![allow(clippy::unwrap_used)]

mod addresses;
mod burst;
mod crash;
mod damage;
mod disk_failure;
mod floods;
mod garbage;
mod limits;
mod member;
mod slow_readers;
mod start;
mod stop;
mod support;
mod turnover;
