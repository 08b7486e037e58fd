//! The result of a benchmark, as text and as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::time::Duration;

use serde::Serialize;

use crate::args::Common;
use crate::error::BenchError;
use crate::process::ServerUsage;
use crate::tally::{LatencySummary, Tally};

/// Share of its threads' time from which the tool itself may be what limits the result.
const BUSY_SHARE: f64 = 0.9;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// The command.
    command: String,
    /// What was asked for, as far as it tells the figures apart.
    settings: BTreeMap<&'static str, String>,
    /// Replies counted.
    ops: u64,
    /// How long it took.
    elapsed_s: f64,
    /// Replies per second.
    ops_per_s: f64,
    /// All latencies, in microseconds.
    latency_us: Option<LatencySummary>,
    /// Latencies by kind of request, where there is more than one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    latency_us_by_kind: BTreeMap<&'static str, LatencySummary>,
    /// This tool's own processor time per operation in microseconds.
    client_cpu_us_per_op: f64,
    /// This tool's own processor time as a share of the elapsed time; 1 is one whole core.
    client_cpu_share: f64,
    /// What the servers used, with `--server-pid`.
    server: Option<ServerUsage>,
    /// Figures of one command only, by name with their unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    figures: BTreeMap<&'static str, f64>,
    /// Error replies that were not allowed.
    errors: BTreeMap<String, u64>,
    /// Error replies that were allowed.
    allowed_errors: BTreeMap<String, u64>,
    /// Wrong replies by what was wrong.
    wrong: BTreeMap<&'static str, u64>,
}

impl Report {
    /// A report of a run that took `elapsed` and `own_cpu`.
    pub(crate) fn new(
        command: &str,
        tally: &Tally,
        classes: &[&'static str],
        own_cpu: Duration,
        allowed_codes: &[i32],
    ) -> Self {
        let elapsed_s = Duration::from_nanos(tally.elapsed_ns).as_secs_f64();
        let mut all = crate::tally::Latencies::new();
        tally.latencies.iter().for_each(|one| all.add(one));
        let by_kind = classes.iter().zip(&tally.latencies).filter(|_| classes.len() > 1);
        let (mut allowed, mut refused) = (tally.clone(), tally.clone());
        allowed.errors.retain(|code, _| allowed_codes.contains(code));
        refused.errors.retain(|code, _| !allowed_codes.contains(code));
        Self {
            command: command.to_owned(),
            settings: BTreeMap::new(),
            ops: tally.replies,
            elapsed_s,
            ops_per_s: tally.replies as f64 / elapsed_s.max(1e-9),
            latency_us: all.summary(),
            latency_us_by_kind: by_kind.filter_map(|(name, one)| Some((*name, one.summary()?))).collect(),
            client_cpu_us_per_op: own_cpu.as_secs_f64() * 1e6 / tally.replies.max(1) as f64,
            client_cpu_share: own_cpu.as_secs_f64() / elapsed_s.max(1e-9),
            server: None,
            figures: BTreeMap::new(),
            errors: refused.named_errors(),
            allowed_errors: allowed.named_errors(),
            wrong: tally.wrong.clone(),
        }
    }

    /// Adds what the servers used.
    pub(crate) fn server(mut self, usage: Option<ServerUsage>) -> Self {
        self.server = usage;
        self
    }

    /// Adds a setting.
    pub(crate) fn setting(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.insert(name, value.to_string());
        self
    }

    /// Adds a figure; the name ends with the unit.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64) {
        self.figures.insert(name, value);
    }

    /// Adds refused sessions; they count as errors.
    pub(crate) fn refused(&mut self, reason: &str, count: usize) {
        self.errors.insert(format!("refused: {reason}"), count as u64);
    }

    /// Prints the report where it was asked for. Fails when there were bad replies.
    pub(crate) fn publish(&self, common: &Common, threads: u32) -> Result<(), BenchError> {
        let text = self.text(threads);
        let json =
            serde_json::to_string_pretty(self).map_err(|error| BenchError::io("cannot write JSON")(error.into()))?;
        let print = |to: &mut dyn Write, text: &str| {
            to.write_all(text.as_bytes()).map_err(BenchError::io("cannot print the result"))
        };
        match &common.json {
            Some(file) if file.as_os_str() == "-" => {
                print(&mut stderr(), &text)?;
                print(&mut stdout(), &(json + "\n"))?;
            }
            Some(file) => {
                print(&mut stdout(), &text)?;
                fs::write(file, json + "\n").map_err(BenchError::io(format!("--json {}", file.display())))?;
            }
            None => print(&mut stdout(), &text)?,
        }
        match (self.errors.values().sum(), self.wrong.values().sum()) {
            (0, 0) => Ok(()),
            (errors, wrong) => Err(BenchError::Replies { errors, wrong }),
        }
    }

    fn text(&self, threads: u32) -> String {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let mut lines = vec![format!("{}: {}", self.command, settings.join(", "))];
        if self.ops > 0 {
            lines.push(format!("  {} ops in {:.3} s: {:.0} ops/s", self.ops, self.elapsed_s, self.ops_per_s));
        }
        lines.extend(self.latency_us.map(|latency| format!("  latency us   {}", latency_line(&latency))));
        for (name, latency) in &self.latency_us_by_kind {
            lines.push(format!("  {name:<12} {}", latency_line(latency)));
        }
        if let Some(server) = &self.server {
            lines.push(format!(
                "  server       CPU {:.2} us/op ({:.2} s), RSS {:.1} MB, {:.1} MB written",
                server.cpu_us_per_op,
                server.cpu_s,
                server.rss as f64 / 1e6,
                server.written as f64 / 1e6
            ));
        }
        lines.push(format!(
            "  this tool    CPU {:.2} us/op, {:.0} % of a core",
            self.client_cpu_us_per_op,
            self.client_cpu_share * 100.0
        ));
        if self.client_cpu_share > BUSY_SHARE * f64::from(threads) {
            lines.push("  this tool was busy all the time and may be the limit: see --threads".to_owned());
        }
        lines.extend(self.figures.iter().map(|(name, value)| format!("  {name} {}", rounded(*value))));
        for (name, count) in &self.allowed_errors {
            lines.push(format!("  allowed errors: {name}: {count}"));
        }
        for (name, count) in &self.errors {
            lines.push(format!("  ERRORS {name}: {count}"));
        }
        for (what, count) in &self.wrong {
            lines.push(format!("  WRONG {what}: {count}"));
        }
        lines.join("\n") + "\n"
    }
}

fn latency_line(latency: &LatencySummary) -> String {
    let LatencySummary { mean, p50, p90, p99, p999, max, .. } = latency;
    format!("mean {mean:.1}  p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p999:.1}  max {max:.1}")
}

/// Whole numbers without a point, others to three digits behind it.
fn rounded(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
