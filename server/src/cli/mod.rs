//! The command line.

mod server;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A ZooKeeper server in Rust.
#[derive(Debug, Parser)]
#[command(name = "rookeeper", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one server in the foreground and logs to standard error.
    ///
    /// Without a word it listens on port 2181 and keeps its data in ./rookeeper-data.
    Server {
        /// A zoo.cfg, or: port dataDir [tickTime] [maxClientCnxns]
        #[arg(value_name = "ZOO_CFG")]
        words: Vec<String>,
    },
    /// Checks a data folder offline: every record, the image, and that they fit together.
    Verify(verify::VerifyArgs),
    /// Puts load on a server and tells how it coped.
    Bench(Box<rookeeper_bench::BenchArgs>),
}

/// Runs the process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Server { words } => server::run(&words),
        Command::Verify(args) => verify::run(&args),
        Command::Bench(args) => match rookeeper_bench::run(*args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("rookeeper bench: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
