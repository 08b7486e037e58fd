//! Options that several commands share, and how their values are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use rookeeper_protocol::types::validate_path;

use crate::client::{CALL_PATIENCE, Client};
use crate::error::BenchError;
use crate::opening::Opening;
use crate::process::Usage;
use crate::targets::Targets;
use crate::template::{PLACEHOLDER, Template};

/// More connections than one benchmark process can hold.
pub(crate) const CONNECTIONS_MAX: u32 = 250_000;

/// No benchmark takes longer than a day.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// Options of every command: where to, and what to do with the result.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Servers as in a client's connect string, HOST[:PORT][,HOST[:PORT]…][/CHROOT]; connections take turns.
    #[arg(short, long, default_value = "127.0.0.1:2181", value_name = "SERVERS")]
    pub(crate) servers: Targets,
    /// Session timeout to ask for.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub(crate) session_timeout: Duration,
    /// Writes the result as JSON to this file, or to standard output with `-` (the text goes to standard error then).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of the commands that speak to servers which run already.
#[derive(Debug, Clone, Args)]
pub(crate) struct Running {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How long to wait for a server that is not there yet.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) wait: Duration,
}

/// The option of the commands that tell what the servers use.
#[derive(Debug, Clone, Args)]
pub(crate) struct Observed {
    /// Processes of the servers on this machine: their CPU time per operation and memory are reported.
    #[arg(long, value_delimiter = ',', value_name = "PID[,PID…]")]
    pub(crate) server_pid: Vec<u32>,
}

impl Observed {
    /// What the servers have used so far; `None` when their processes are not known.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, BenchError> {
        if self.server_pid.is_empty() { Ok(None) } else { Usage::of(&self.server_pid).map(Some) }
    }
}

/// Options of the commands that work on znodes.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnZnodes {
    #[command(flatten)]
    pub(crate) running: Running,
    /// Prints no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The znode below which everything is done. It is created if it does not exist.
    #[arg(long, default_value = "/rookeeper-bench", value_parser = root, value_name = "PATH")]
    pub(crate) root: String,
    /// Error codes that do not make the run a failure, by number (for example -127 for ThrottledOp).
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "CODE[,CODE…]")]
    pub(crate) allow_errors: Vec<i32>,
}

impl OnZnodes {
    /// The options of every command.
    pub(crate) fn common(&self) -> &Common {
        &self.running.common
    }

    /// Waits for a server, creates the root, and returns it with the chroot in front of it.
    pub(crate) fn make_root(&self) -> Result<String, BenchError> {
        let root = format!("{}{}", self.common().servers.chroot, self.root);
        let mut client = self.running.connect()?;
        client.make_path(&root)?;
        client.close();
        self.catch_up()?;
        Ok(root)
    }

    /// Waits until every server that answers knows what has been written so far: what one connection has made, the
    /// others find, whichever members of an ensemble they are with.
    pub(crate) fn catch_up(&self) -> Result<(), BenchError> {
        let servers = &self.common().servers.servers;
        // One server alone knows.
        for server in servers.iter().filter(|_| servers.len() > 1) {
            // A server that is down has nothing to catch up with.
            let Ok(client) = Client::connect(server, self.common().session_timeout, CALL_PATIENCE) else { continue };
            let mut client = client.patient(CALL_PATIENCE)?;
            client.expect(&Template::sync("/"), "sync /", &[])?;
            client.close();
        }
        Ok(())
    }

    /// What to call the lines of progress, unless they are not wanted.
    pub(crate) fn progress<'a>(&self, what: &'a str) -> Option<&'a str> {
        (!self.quiet).then_some(what)
    }
}

impl Running {
    /// Waits for a server and opens a session.
    pub(crate) fn connect(&self) -> Result<Client, BenchError> {
        Client::wait(&self.common.servers, self.common.session_timeout, self.wait)
    }
}

impl Common {
    /// How to open `count` sessions that serve as tools: few at a time, since their opening is not what is measured.
    pub(crate) fn opening(&self, count: usize) -> Opening {
        Opening {
            targets: self.servers.clone(),
            count,
            // Below the listen backlog of 50 that Apache ZooKeeper has when nothing is configured.
            at_once: 32,
            session_timeout: self.session_timeout,
            deadline: Duration::from_secs(30) + Duration::from_millis(5) * u32::try_from(count).unwrap_or(u32::MAX),
        }
    }
}

/// How much load.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// Connections, each with a session of its own.
    #[arg(short, long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub(crate) connections: u32,
    /// Requests under way per connection [default: 20; with --rate 1000, as a bound only].
    #[arg(short, long, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) depth: Option<u32>,
    /// Requests per second in all (open loop): latency counts from the time at which a request was due.
    #[arg(short, long, value_parser = value_parser!(u32).range(1..=10_000_000), value_name = "PER_SECOND")]
    pub(crate) rate: Option<u32>,
    /// How long to measure.
    #[arg(short = 't', long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// How many requests to measure instead.
    #[arg(short = 'n', long, conflicts_with = "duration", value_parser = value_parser!(u64).range(1..))]
    pub(crate) ops: Option<u64>,
    /// The same load before that, not measured.
    #[arg(long, default_value = "1s", value_parser = duration_or_zero, value_name = "TIME")]
    pub(crate) warmup: Duration,
    /// Threads of this tool. One is enough until its own CPU time, which is reported, is near 100 %.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,
    /// Bytes of data per znode.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=1_000_000), value_name = "BYTES")]
    pub(crate) value_size: u32,
    /// Znodes that the requests spread over, evenly and at random.
    #[arg(short, long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) keys: u32,
    /// Leaves the znodes when it is done.
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) observed: Observed,
}

/// `5s`, `500ms`, `2m`, `1h`, or a number of seconds; above zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err("must be above zero".to_owned()),
        duration => Ok(duration),
    }
}

/// As [`duration`], or zero.
pub(crate) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[split..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("unknown unit {unit:?}; allowed are ms, s, m, h (for example 500ms)")),
    };
    let number: f64 = text[..split].parse().map_err(|_| format!("{:?} is not a number", &text[..split]))?;
    let duration = Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())?;
    if duration > DURATION_MAX {
        return Err("more than 24h".to_owned());
    }
    Ok(duration)
}

fn root(text: &str) -> Result<String, String> {
    validate_path(text).map_err(|error| error.to_string())?;
    if text == "/" || text.starts_with("/zookeeper") {
        return Err("must be a znode of its own, neither / nor below /zookeeper".to_owned());
    }
    if text.contains(PLACEHOLDER) {
        return Err(format!("{PLACEHOLDER} stands for numbers in this tool's own paths"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration_or_zero("0"), Ok(Duration::ZERO));
        for nonsense in ["", "s", "0", "-1s", "5 s", "1d", "25h", "1.2.3s"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn roots_that_would_hurt_are_refused() {
        assert!(root("/a/b").is_ok());
        for nonsense in ["/", "a", "/zookeeper/quota", "/a//b", "/########"] {
            assert!(root(nonsense).is_err(), "{nonsense}");
        }
    }
}
