//! start: the time from the start of a server's process until it answers a get.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use rookeeper_protocol::types::{OpCode, validate_path};
use rustix::process::{Pid, Signal, kill_process};

use crate::args::{Common, duration};
use crate::client::{Attempts, Client};
use crate::error::BenchError;
use crate::process::{Usage, own_cpu};
use crate::reply::code_name;
use crate::report::Report;
use crate::tally::{Latencies, Tally};
use crate::template::Template;

/// Pause between two attempts: the error of the measurement.
const POLL: Duration = Duration::from_micros(500);

/// What to start.
#[derive(Debug, Clone, Args)]
pub(crate) struct StartArgs {
    /// The znode that has to be read before the server counts as started.
    #[arg(long, default_value = "/", value_parser = path, value_name = "PATH")]
    get: String,
    /// How often to start and stop it.
    #[arg(short = 'n', long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// A start or stop that takes longer than this fails.
    #[arg(long, default_value = "120s", value_parser = duration, value_name = "TIME")]
    start_timeout: Duration,
    /// Where the server's output goes [default: nowhere].
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Kills the server with SIGKILL afterwards instead of ending it with SIGTERM.
    #[arg(long)]
    kill: bool,
    /// The command that runs the server in the foreground, behind `--`.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn path(text: &str) -> Result<String, String> {
    validate_path(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// A child that does not outlive this tool's interest in it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the server, measures, stops it, as often as asked; prints the report.
pub(crate) fn run(common: &Common, args: &StartArgs) -> Result<(), BenchError> {
    let server = common.servers.server(0);
    if Client::connect(server, common.session_timeout, Duration::from_secs(1)).is_ok() {
        let message = format!("a server answers at {} already; stop it, or name another address", server.name);
        return Err(BenchError::Usage(message));
    }
    let (mut starts, mut stops, mut rss) = (Latencies::new(), Latencies::new(), 0);
    let (own_before, begin) = (own_cpu(), Instant::now());
    for _ in 0..args.rounds {
        let output = || -> Result<Stdio, BenchError> {
            let Some(log) = &args.log else { return Ok(Stdio::null()) };
            let file = File::options().create(true).append(true).open(log);
            Ok(file.map_err(BenchError::io(format!("--log {}", log.display())))?.into())
        };
        let mut command = Command::new(&args.command[0]);
        command.args(&args.command[1..]).stdin(Stdio::null()).stdout(output()?).stderr(output()?);
        let start = Instant::now();
        let child = command.spawn().map_err(BenchError::io(format!("cannot run {}", args.command[0])))?;
        let mut child = Server(child);
        until_answered(common, args, &mut child.0, start)?;
        starts.record(start.elapsed().as_nanos() as u64, 1);
        rss = Usage::of(&[child.0.id()])?.rss;
        stops.record(stop(&mut child.0, args)?.as_nanos() as u64, 1);
    }
    let tally = Tally {
        replies: u64::from(args.rounds),
        latencies: vec![starts],
        elapsed_ns: begin.elapsed().as_nanos() as u64,
        ..Tally::new(0)
    };
    let own_cpu = own_cpu().saturating_sub(own_before);
    let mut report = Report::new("start", &tally, &["all"], own_cpu, &[])
        .setting("get", &args.get)
        .setting("rounds", args.rounds)
        .setting("command", args.command.join(" "));
    let ms = |latencies: &Latencies| latencies.summary().map_or(0.0, |summary| summary.p50 / 1e3);
    report.figure("start_p50_ms", ms(&tally.latencies[0]));
    report.figure("stop_p50_ms", ms(&stops));
    report.figure("server_rss_bytes", rss as f64);
    report.publish(common, 1)
}

/// Tries until the znode has been read.
fn until_answered(common: &Common, args: &StartArgs, child: &mut Child, start: Instant) -> Result<(), BenchError> {
    let server = common.servers.server(0);
    let get = Template::read(OpCode::GetData, &args.get, &[], false);
    let mut attempts = Attempts::new();
    loop {
        let left = args.start_timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            let what = format!("the start of {}", args.command[0]);
            return Err(BenchError::Deadline { what, seconds: args.start_timeout.as_secs_f64() });
        }
        if let Some(status) = child.try_wait().map_err(BenchError::io("cannot look after the server"))? {
            let log = args.log.as_ref().map_or("see --log".to_owned(), |log| format!("see {}", log.display()));
            return Err(BenchError::Connect(format!("the server ended while it started ({status}); {log}")));
        }
        if let Ok(client) = attempts.next(server, common.session_timeout)
            && let Ok(mut client) = client.patient(left)
            && let Ok((code, _)) = client.call(&get, 0)
        {
            if code == 0 {
                return Ok(());
            }
            let what = format!("get {}", args.get);
            return Err(BenchError::Refused { what, code: code_name(code) });
        }
        std::thread::sleep(POLL);
    }
}

/// Ends the server and returns how long that took.
fn stop(child: &mut Child, args: &StartArgs) -> Result<Duration, BenchError> {
    let signal = if args.kill { Signal::KILL } else { Signal::TERM };
    let start = Instant::now();
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // A process that is gone already is what is wanted; the loop below finds out.
    let _ = pid.map(|pid| kill_process(pid, signal));
    loop {
        if child.try_wait().map_err(BenchError::io("cannot look after the server"))?.is_some() {
            return Ok(start.elapsed());
        }
        if start.elapsed() >= args.start_timeout {
            let what = format!("the stop of {}", args.command[0]);
            return Err(BenchError::Deadline { what, seconds: args.start_timeout.as_secs_f64() });
        }
        std::thread::sleep(POLL);
    }
}
