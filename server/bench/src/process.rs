//! What processes use: processor time, memory, bytes written. Read from /proc.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::error::BenchError;

/// Processor time that this process has used so far.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

/// What the servers have used up to a moment, summed over them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time; in steps of a clock tick, 10 ms as a rule.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) rss: u64,
    /// Bytes that were sent to the disk (`write_bytes`); 0 where the kernel does not tell.
    pub(crate) written: u64,
}

/// The usage of a server during a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ServerUsage {
    /// Processor time per operation in microseconds.
    pub(crate) cpu_us_per_op: f64,
    /// Processor time of the whole run in seconds.
    pub(crate) cpu_s: f64,
    /// Resident memory at the end in bytes.
    pub(crate) rss: u64,
    /// Bytes sent to the disk during the run.
    pub(crate) written: u64,
}

impl Usage {
    /// The usage of these processes so far.
    pub(crate) fn of(pids: &[u32]) -> Result<Self, BenchError> {
        let mut sum = Self::default();
        for pid in pids {
            let one = Self::of_one(*pid)?;
            sum.cpu += one.cpu;
            sum.rss += one.rss;
            sum.written += one.written;
        }
        Ok(sum)
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self, ops: u64) -> ServerUsage {
        let cpu = self.cpu.saturating_sub(before.cpu);
        ServerUsage {
            cpu_us_per_op: cpu.as_secs_f64() * 1e6 / ops.max(1) as f64,
            cpu_s: cpu.as_secs_f64(),
            rss: self.rss,
            written: self.written.saturating_sub(before.written),
        }
    }

    fn of_one(pid: u32) -> Result<Self, BenchError> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).map_err(BenchError::io(format!("--server-pid {pid}: cannot read {path}")))
        };
        let stat = read("stat")?;
        let ticks = cpu_ticks(&stat)
            .ok_or_else(|| BenchError::Usage(format!("--server-pid {pid}: /proc/{pid}/stat is not understood")))?;
        Ok(Self {
            cpu: Duration::from_nanos(ticks * (1_000_000_000 / clock_ticks_per_second().max(1))),
            rss: field(&read("status")?, "VmRSS:").unwrap_or(0) * 1024,
            // Only the owner of a process may read it; the figure is an extra.
            written: read("io").ok().and_then(|io| field(&io, "write_bytes:")).unwrap_or(0),
        })
    }
}

/// utime + stime of a stat line. The command's name may hold blanks and brackets: fields count from the last bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// The number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_command_name_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 1 0";
        assert_eq!(cpu_ticks(stat), Some(150));
        assert_eq!(cpu_ticks("7 (a"), None);
        assert_eq!(field("Name: x\nVmRSS:\t  128 kB\n", "VmRSS:"), Some(128));
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::of(&[std::process::id()]).unwrap();
        assert!(usage.rss > 100_000);
        assert!(Usage::of(&[u32::MAX]).is_err());
    }
}
