//! The load generator as a program of its own: what `rookeeper bench` does, without the server.

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use rookeeper_bench::{BenchArgs, run};

/// Measures a ZooKeeper server.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(flatten)]
    bench: BenchArgs,
}

fn main() -> ExitCode {
    match run(Arguments::parse().bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when standard error is closed.
            let _ = writeln!(stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}
