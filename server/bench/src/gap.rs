//! gap: how long writes stand still when servers are lost.
//!
//! One writer per server of the connect string, each with one set under way. A writer whose server is lost, or refuses
//! it, goes on to the next one at once, as a client without back-off would.

use std::io::{Write, stderr};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use rookeeper_protocol::types::ErrorCode;

use crate::args::{OnZnodes, duration};
use crate::client::{Attempts, Client};
use crate::error::BenchError;
use crate::process::own_cpu;
use crate::report::Report;
use crate::tally::{Latencies, Tally};
use crate::template::{Template, Value};

/// Pause behind an attempt that failed: the error of the measurement.
const RETRY: Duration = Duration::from_millis(1);

/// No answer for so long means that the server is lost although its connection stands.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to look.
#[derive(Debug, Clone, Args)]
pub(crate) struct GapArgs {
    /// How long to write.
    #[arg(short = 't', long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    duration: Duration,
    /// Bytes of data per set.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=1_000_000), value_name = "BYTES")]
    value_size: u32,
    /// The run fails when writes stand still for longer than this.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    at_most: Option<Duration>,
}

/// What the writers tell each other.
struct Shared {
    last: Instant,
    longest: Duration,
    latencies: Latencies,
    lost: u64,
}

/// Writes for the given time and prints the longest time without an acknowledged write.
pub(crate) fn run(on: &OnZnodes, args: &GapArgs) -> Result<(), BenchError> {
    let (common, path) = (on.common(), format!("{}/gap", on.make_root()?));
    let mut client = on.running.connect()?;
    client.make_path(&path)?;
    client.close();
    let (start, own_before) = (Instant::now(), own_cpu());
    let shared = Mutex::new(Shared { last: start, longest: Duration::ZERO, latencies: Latencies::new(), lost: 0 });
    let set = Template::set(&path, &[], Value::new(args.value_size as usize).bytes());
    let write = |first| write_until(on, &set, first, start + args.duration, &shared);
    let errors = thread::scope(|scope| {
        let begin = |first| {
            scope.spawn({
                let write = &write;
                move || write(first)
            })
        };
        let writers: Vec<_> = (0..common.servers.servers.len()).map(begin).collect();
        let join = |writer: thread::ScopedJoinHandle<'_, Tally>| {
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        writers.into_iter().map(join).collect::<Vec<_>>()
    });
    let mut shared = shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.longest = shared.longest.max(shared.last.max(start + args.duration) - shared.last);

    let mut tally = Tally { latencies: vec![shared.latencies.clone()], ..Tally::new(0) };
    tally.replies = shared.latencies.summary().map_or(0, |summary| summary.count);
    tally.elapsed_ns = start.elapsed().as_nanos() as u64;
    errors.iter().for_each(|errors| tally.add_bad(errors));
    let mut report = Report::new("gap", &tally, &["set"], own_cpu().saturating_sub(own_before), &on.allow_errors)
        .setting("writers", common.servers.servers.len())
        .setting("value bytes", args.value_size);
    report.figure("longest_gap_ms", shared.longest.as_secs_f64() * 1e3);
    report.figure("connections_lost", shared.lost as f64);
    report.publish(common, 1)?;
    match args.at_most {
        Some(at_most) if shared.longest > at_most => Err(BenchError::Deadline {
            what: "a write behind the one before it".to_owned(),
            seconds: at_most.as_secs_f64(),
        }),
        _ => Ok(()),
    }
}

/// One writer, which begins with server number `first`. Returns its error replies.
fn write_until(on: &OnZnodes, set: &Template, first: usize, end: Instant, shared: &Mutex<Shared>) -> Tally {
    let (mut tally, mut index, mut client) = (Tally::new(0), first, None::<Client>);
    let (common, mut attempts) = (on.common(), Attempts::new());
    while Instant::now() < end {
        let Some(connected) = client.as_mut() else {
            let server = common.servers.server(index);
            let connected = attempts.next(server, common.session_timeout).ok();
            match connected.and_then(|client| client.patient(PATIENCE).ok()) {
                Some(connected) => (client, attempts) = (Some(connected), Attempts::new()),
                None => {
                    index += 1;
                    thread::sleep(RETRY);
                }
            }
            continue;
        };
        let sent = Instant::now();
        match connected.call(set, 0) {
            Ok((0, _)) => acknowledged(on, sent, shared),
            // A server that has lost its leader may say so instead of closing the connection.
            Ok((code, _)) => {
                if code != ErrorCode::ConnectionLoss.number() && code != ErrorCode::SessionExpired.number() {
                    tally.count_bad(crate::reply::Verdict::Error(code));
                }
                client = None;
            }
            Err(_) => {
                shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).lost += 1;
                client = None;
                index += 1;
            }
        }
    }
    if let Some(client) = client {
        client.close();
    }
    tally
}

/// Counts an acknowledged write, and tells of a gap that is worth a line.
fn acknowledged(on: &OnZnodes, sent: Instant, shared: &Mutex<Shared>) {
    /// Shorter gaps are what a busy disk makes; they count, but are not worth a line.
    const WORTH_A_LINE: Duration = Duration::from_millis(50);
    let now = Instant::now();
    let mut shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let gap = now.saturating_duration_since(shared.last);
    shared.longest = shared.longest.max(gap);
    shared.last = shared.last.max(now);
    shared.latencies.record((now - sent).as_nanos() as u64, 1);
    drop(shared);
    if gap > WORTH_A_LINE && !on.quiet {
        // A closed standard error must not end the run.
        let _ = writeln!(stderr(), "gap: no write for {:.1} ms", gap.as_secs_f64() * 1e3);
    }
}
