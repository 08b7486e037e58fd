//! The image with a million znodes: filling, changing, loading, memory and disk. The figures in DESIGN.md.
//!
//! `cargo run --release -p rookeeper-storage --example image -- FOLDER [ZNODES]`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{Times, cpu_us, disk_written_bytes, folder_bytes, rss_mib};
use rookeeper_storage::error::CallerError;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::{Delta, ImageEntry};
use rookeeper_storage::{Replay, Store, StoreOptions};

/// Changes in one delta: about what a server under load collects.
const DELTA: i64 = 1000;

#[derive(Default)]
struct Count(u64);

impl Replay for Count {
    fn entry(&mut self, entry: ImageEntry<'_>) -> Result<(), CallerError> {
        if let ImageEntry::Znode { record, .. } = entry {
            self.0 += record.len() as u64;
        }
        Ok(())
    }

    fn image_end(&mut self, _: i64) -> Result<(), CallerError> {
        Ok(())
    }

    fn record(&mut self, _: i64, _: &[u8]) -> Result<(), CallerError> {
        Ok(())
    }
}

fn open(folder: &Path) -> Store<RealFs, RocksEngine> {
    let options = StoreOptions {
        data_dir: folder.to_path_buf(),
        data_log_dir: folder.to_path_buf(),
        log: LogOptions { force_sync: false, ..LogOptions::default() },
        server: None,
        trust_empty: true,
    };
    let rss = rss_mib();
    let start = Instant::now();
    let mut count = Count::default();
    let (store, recovered) = Store::open(&RealFs, &options, &RocksEngine::default(), &mut count).unwrap();
    store.image.set_committed(i64::MAX);
    println!(
        "open: {} znodes, {} record bytes in {:?} (image {:?}), memory {} -> {} MiB",
        recovered.image.znodes,
        count.0,
        start.elapsed(),
        recovered.image_time,
        rss,
        rss_mib()
    );
    store
}

/// Writes `count` znodes, each in its folder of a thousand, `order` giving the one to write.
fn write(store: &Store<RealFs, RocksEngine>, what: &str, count: i64, order: impl Fn(i64) -> i64) {
    let (start, cpu, disk) = (Instant::now(), cpu_us(), disk_written_bytes());
    let mut zxid = store.image.zxid();
    let mut delta = Delta::new(zxid);
    let mut times = Times::default();
    let mut record = [0_u8; 168];
    let mut n = 0;
    while n < count {
        zxid += DELTA;
        delta.restart(zxid);
        for _ in 0..DELTA {
            let znode = order(n);
            // Half of a record is as hard to compress as text, the other half are counters and times.
            let mut state = znode as u64 ^ zxid as u64;
            for byte in &mut record[..84] {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *byte = b'a' + (state >> 60) as u8;
            }
            delta.put_znode(&format!("/bench/f{:04}/znode-{znode:08}", znode / 1000), &record).unwrap();
            n += 1;
        }
        times.time(|| store.image.apply(&mut delta).unwrap());
    }
    let elapsed = start.elapsed();
    let flush = Instant::now();
    store.image.flush().unwrap();
    println!(
        "{what}: {count} znodes in {elapsed:?} and a flush of {:?}, CPU {:.2} us and disk {} bytes per znode, \
         delta p50 {} us p99 {} us, memory {} MiB",
        flush.elapsed(),
        (cpu_us() - cpu) / count as f64,
        (disk_written_bytes() - disk) / count as u64,
        times.percentile_us(0.5),
        times.percentile_us(0.99),
        rss_mib()
    );
}

fn main() {
    let folder =
        PathBuf::from(std::env::args().nth(1).expect("give a folder on the disk to measure")).join("image.tmp");
    let znodes = std::env::args().nth(2).map_or(1_000_000, |n| n.parse().unwrap());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let store = open(&folder);
    write(&store, "fill in order", znodes, |n| n);
    println!("on disk: {} MiB", folder_bytes(&folder) >> 20);
    drop(store);
    let store = open(&folder);
    write(&store, "change at random", znodes, |n| (n * 7_919_339) % znodes);
    println!("on disk: {} MiB, {:?}", folder_bytes(&folder) >> 20, store.image.usage());
    drop(store);
    drop(open(&folder));
    std::fs::remove_dir_all(folder).unwrap();
}
