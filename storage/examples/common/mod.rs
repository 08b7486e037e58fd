//! What the measurements share: counters of the kernel, and percentiles.

#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use rookeeper_storage::Replay;
use rookeeper_storage::error::CallerError;
use rookeeper_storage::tree::ImageEntry;

/// Looks at nothing of what a store holds.
pub(crate) struct Nothing;

impl Replay for Nothing {
    fn entry(&mut self, _: ImageEntry<'_>) -> Result<(), CallerError> {
        Ok(())
    }

    fn image_end(&mut self, _: i64) -> Result<(), CallerError> {
        Ok(())
    }

    fn record(&mut self, _: i64, _: &[u8]) -> Result<(), CallerError> {
        Ok(())
    }
}

/// CPU time of all threads of this process that still live, in microseconds.
pub(crate) fn cpu_us() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1000.0
}

/// Bytes that this process has caused to be written, as the kernel counts them (pages, without the file system's journal).
pub(crate) fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap()
}

/// Bytes that any process has written to the disk, the file system's journal included: sum over whole disks.
pub(crate) fn disk_written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/diskstats").unwrap();
    let whole = |name: &str| Path::new("/sys/block").join(name).join("device").exists();
    let sectors = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        whole(fields[2]).then(|| fields[9].parse::<u64>().ok()).flatten()
    });
    sectors.sum::<u64>() * 512
}

/// Resident memory of this process in MiB.
pub(crate) fn rss_mib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Bytes of all files below a folder.
pub(crate) fn folder_bytes(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().filter_map(|entry| entry.ok());
    entries
        .map(
            |entry| {
                if entry.path().is_dir() {
                    folder_bytes(&entry.path())
                } else {
                    entry.metadata().map_or(0, |m| m.len())
                }
            },
        )
        .sum()
}

/// Times of many calls.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn time<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = run();
        self.0.push(start.elapsed());
        result
    }

    /// The time that `share` of the calls did not exceed, in microseconds.
    pub(crate) fn percentile_us(&mut self, share: f64) -> u128 {
        self.0.sort_unstable();
        self.0[((self.0.len() - 1) as f64 * share) as usize].as_micros()
    }
}
