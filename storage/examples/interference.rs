//! What the image costs the log: flush times at a steady rate, without the image and while it is written as fast as it
//! can be. The figures in DESIGN.md.
//!
//! `cargo run --release -p rookeeper-storage --example interference -- FOLDER [SECONDS]`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Nothing, Times};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::{RocksEngine, RocksKv};
use rookeeper_storage::log::{LogOptions, LogWriter};
use rookeeper_storage::tree::{Delta, Image};
use rookeeper_storage::{Store, StoreOptions};

/// Two records each millisecond: 2,000 a second.
fn steady(log: &mut LogWriter<RealFs>, what: &str, time: Duration) {
    let mut times = Times::default();
    let start = Instant::now();
    let mut due = start;
    while start.elapsed() < time {
        times.time(|| {
            for _ in 0..2 {
                let zxid = log.last_zxid() + 1;
                log.append(zxid, &[7; 200]).unwrap();
            }
            log.flush().unwrap();
        });
        due += Duration::from_millis(1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    println!(
        "{what:20} p50 {} us, p99 {} us, p99.9 {} us",
        times.percentile_us(0.5),
        times.percentile_us(0.99),
        times.percentile_us(0.999)
    );
}

/// Changes znodes of a tree of 300,000 at random, at most 50,000 a second.
fn churn(image: &Image<RocksKv>, stop: &AtomicBool) -> i64 {
    let mut delta = Delta::new(0);
    let mut n = 0_i64;
    let start = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        delta.restart(0);
        for _ in 0..1000 {
            n += 1;
            let mut record = [0_u8; 168];
            for (at, byte) in record.iter_mut().enumerate() {
                *byte = (n as u64).wrapping_mul(at as u64 * 0x9e37_79b9 + 1).to_le_bytes()[3];
            }
            delta.put_znode(&format!("/churn/znode-{:08}", n * 7_919 % 300_000), &record).unwrap();
        }
        image.apply(&mut delta).unwrap();
        let due = Duration::from_micros(n as u64 * 20);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    n
}

fn main() {
    let folder =
        PathBuf::from(std::env::args().nth(1).expect("give a folder on the disk to measure")).join("interference.tmp");
    let seconds = std::env::args().nth(2).map_or(10, |n| n.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let log = LogOptions::default();
    let options =
        StoreOptions { data_dir: folder.clone(), data_log_dir: folder.clone(), log, server: None, trust_empty: true };
    let (store, _) = Store::open(&RealFs, &options, &RocksEngine::default(), &mut Nothing).unwrap();
    let Store { mut log, image, lock, .. } = store;
    let image = Arc::new(image);
    for round in 1..=2 {
        steady(&mut log, &format!("{round}: alone"), time);
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (image, stop) = (Arc::clone(&image), Arc::clone(&stop));
            move || churn(&image, &stop)
        });
        steady(&mut log, &format!("{round}: image written"), time);
        stop.store(true, Ordering::Relaxed);
        let changes = writer.join().unwrap();
        println!("   {} changes of the image a second", changes / seconds as i64);
        image.flush().unwrap();
    }
    drop((log, image, lock));
    std::fs::remove_dir_all(folder).unwrap();
}
