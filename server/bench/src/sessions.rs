//! sessions: many sessions at once.

use std::time::Duration;

use clap::{Args, value_parser};

use crate::args::{CONNECTIONS_MAX, Observed, Running, duration};
use crate::engine::Engine;
use crate::error::BenchError;
use crate::opening::{Opened, Opening, refused_count};
use crate::process::own_cpu;
use crate::report::Report;
use crate::tally::Tally;

/// How many sessions.
#[derive(Debug, Clone, Args)]
pub(crate) struct SessionsArgs {
    /// Sessions.
    #[arg(short = 'n', long, default_value_t = 4000, value_parser = value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    count: u32,
    /// Sessions under way at a time [default: all].
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// Sessions that have no answer then count as refused.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    answer_timeout: Duration,
    #[command(flatten)]
    observed: Observed,
}

/// Opens the sessions, prints the report, closes them.
pub(crate) fn run(running: &Running, args: &SessionsArgs) -> Result<(), BenchError> {
    let common = &running.common;
    running.connect()?.close();
    let opening = Opening {
        at_once: args.at_once.unwrap_or(args.count) as usize,
        deadline: args.answer_timeout,
        ..common.opening(args.count as usize)
    };
    let (before, own_before) = (args.observed.usage()?, own_cpu());
    let Opened { engine, latencies, refused, elapsed } = opening.open()?;
    let (after, own_cpu) = (args.observed.usage()?, own_cpu().saturating_sub(own_before));
    let opened = engine.connections.len();
    Engine::close(engine)?;

    let tally = Tally {
        replies: opened as u64,
        latencies: vec![latencies],
        elapsed_ns: elapsed.as_nanos() as u64,
        ..Tally::new(0)
    };
    let server = before.zip(after).map(|(before, after)| after.since(&before, tally.replies));
    let mut report = Report::new("sessions", &tally, &["all"], own_cpu, &[])
        .server(server)
        .setting("sessions", args.count)
        .setting("at once", opening.at_once);
    report.figure("all_connected_ms", elapsed.as_secs_f64() * 1e3);
    report.figure("refused", refused_count(&refused) as f64);
    for (reason, count) in &refused {
        report.refused(reason, *count);
    }
    report.publish(common, 1)
}
