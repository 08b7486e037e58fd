//! A load generator for servers that speak ZooKeeper's client protocol: Rookeeper, Apache ZooKeeper.
//!
//! It is made to share a small machine with the server it measures: one thread, one epoll instance, requests copied
//! from ready frames and sent in batches, replies judged where they lie in the read buffer. Its own processor time is
//! part of every report, so that a result which it limits itself is not taken for the server's.
//!
//! - [`run`] is all that the `rookeeper` binary needs; the commands are in `load`, `fill`, `watch`, `sessions`,
//!   `start` and `gap`
//! - `engine` keeps connections busy with a `Work`; `connection`, `poller` and `opening` are its parts
//! - `template` writes requests, `reply` judges replies, `tally` counts, `report` prints

mod args;
mod client;
mod connection;
mod engine;
mod error;
mod fill;
mod gap;
mod load;
mod measure;
mod opening;
mod poller;
mod process;
mod progress;
mod reply;
mod report;
mod sessions;
mod start;
mod sweep;
mod tally;
mod targets;
mod template;
mod watch;

use clap::{Args, Subcommand, value_parser};

pub use error::BenchError;

use args::{Common, LoadArgs, OnZnodes, Running};
use fill::{FillArgs, Pass};
use gap::GapArgs;
use load::Kind;
use sessions::SessionsArgs;
use start::StartArgs;
use watch::WatchArgs;

/// Measures a ZooKeeper server: throughput, latency, and what the server spends on it.
///
/// Every reply is checked: data, versions, order. The exit code is 1 when a reply was wrong or an error that was not
/// allowed, and when the run could not be finished.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

/// What to measure.
#[derive(Debug, Clone, Subcommand)]
enum BenchCommand {
    /// getData of existing znodes.
    Get {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// setData of existing znodes.
    Set {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// exists of existing znodes.
    Exists {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// getChildren of znodes with ten children each.
    Children {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// getData and setData, mixed at random.
    Mix {
        /// How many of a hundred requests are gets.
        #[arg(long, default_value_t = 90, value_parser = value_parser!(u32).range(0..=100), value_name = "PERCENT")]
        gets: u32,
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// create and delete in turn.
    CreateDelete {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Creates many znodes and leaves them there.
    Fill {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        fill: FillArgs,
    },
    /// Reads back what fill (with the same options) has created, and compares every byte.
    Check {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        fill: FillArgs,
    },
    /// Deletes what fill (with the same options) has created.
    Remove {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        fill: FillArgs,
    },
    /// Registers watches and fires them: time to the last event, server memory per watch.
    Watch {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Opens many sessions at once: time until all are connected, number refused.
    Sessions {
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        sessions: SessionsArgs,
    },
    /// Starts a server: time until it answers a get.
    Start {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        start: StartArgs,
    },
    /// Writes through the loss of servers: longest time without an acknowledged write.
    Gap {
        #[command(flatten)]
        on: OnZnodes,
        #[command(flatten)]
        gap: GapArgs,
    },
}

/// Runs a benchmark to its end and prints its report. Needs no runtime: it makes its own threads.
///
/// # Errors
/// Whatever keeps the figures from counting: see [`BenchError`]. A report with bad replies is printed all the same.
pub fn run(args: BenchArgs) -> Result<(), BenchError> {
    match args.command {
        BenchCommand::Get { on, load } => load::run(Kind::Get, &on, &load),
        BenchCommand::Set { on, load } => load::run(Kind::Set, &on, &load),
        BenchCommand::Exists { on, load } => load::run(Kind::Exists, &on, &load),
        BenchCommand::Children { on, load } => load::run(Kind::Children, &on, &load),
        BenchCommand::Mix { gets, on, load } => load::run(Kind::Mix(gets), &on, &load),
        BenchCommand::CreateDelete { on, load } => load::run(Kind::CreateDelete, &on, &load),
        BenchCommand::Fill { on, fill } => fill::run(Pass::Fill, &on, &fill),
        BenchCommand::Check { on, fill } => fill::run(Pass::Check, &on, &fill),
        BenchCommand::Remove { on, fill } => fill::run(Pass::Remove, &on, &fill),
        BenchCommand::Watch { on, watch } => watch::run(&on, &watch),
        BenchCommand::Sessions { running, sessions } => sessions::run(&running, &sessions),
        BenchCommand::Start { common, start } => start::run(&common, &start),
        BenchCommand::Gap { on, gap } => gap::run(&on, &gap),
    }
}
