//! A snapshot of a million znodes handed out by one store and taken in by another, and a million records of a log read
//! back while they are there. The figures in DESIGN.md.
//!
//! `cargo run --release -p rookeeper-storage --example install -- FOLDER [COUNT]`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{Nothing, Times, cpu_us, disk_written_bytes, folder_bytes, rss_mib};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::{Store, StoreOptions};

type RocksStore = Store<RealFs, RocksEngine>;

/// Of a znode with 100 bytes of data: data, stat and ACL.
const RECORD: usize = 168;
/// Of a transaction that sets such a znode.
const PAYLOAD: usize = 200;
/// Bytes that are handed over at once.
const PIECE: usize = 1 << 20;

fn open(folder: &Path) -> RocksStore {
    std::fs::create_dir_all(folder).unwrap();
    let log = LogOptions::default();
    let (data_dir, data_log_dir) = (folder.to_path_buf(), folder.to_path_buf());
    let options = StoreOptions { data_dir, data_log_dir, log, server: None, trust_empty: true };
    let (store, _) = Store::open(&RealFs, &options, &RocksEngine::default(), &mut Nothing).unwrap();
    store.image.set_committed(i64::MAX);
    store
}

fn path(znode: i64) -> String {
    format!("/bench/f{:04}/znode-{znode:08}", znode / 1000)
}

/// Half of it is as hard to compress as text, the other half are counters and times.
fn record(znode: i64) -> [u8; RECORD] {
    let mut record = [0_u8; RECORD];
    let mut state = znode as u64;
    for byte in &mut record[..RECORD / 2] {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *byte = b'a' + (state >> 60) as u8;
    }
    record
}

/// Fills an image with `count` znodes.
fn fill(store: &RocksStore, count: i64) {
    let mut delta = Delta::new(0);
    for first in (0..count).step_by(1000) {
        delta.restart(0);
        for znode in first..(first + 1000).min(count) {
            delta.put_znode(&path(znode), &record(znode)).unwrap();
        }
        store.image.apply(&mut delta).unwrap();
    }
    store.image.flush().unwrap();
}

/// Hands the image out, and does nothing with it.
fn hand_out(store: &RocksStore) {
    let (start, cpu) = (Instant::now(), cpu_us());
    let mut transfer = store.image.transfer(&store.log.history(), 1).unwrap();
    let mut times = Times::default();
    while times.time(|| transfer.next_piece(PIECE, &mut |_| Ok(())).unwrap()) {}
    let counts = transfer.counts();
    println!(
        "hand out: {} znodes, {} MiB in {:?}, CPU {:.2} us per znode, piece p50 {} us p99 {} us, memory {} MiB",
        counts.znodes,
        counts.bytes >> 20,
        start.elapsed(),
        (cpu_us() - cpu) / counts.znodes as f64,
        times.percentile_us(0.5),
        times.percentile_us(0.99),
        rss_mib()
    );
}

/// Takes a snapshot in, its znodes in the order that `order` gives.
fn take_in(folder: &Path, what: &str, count: i64, order: impl Fn(i64) -> i64) {
    let mut store = open(folder);
    let (start, cpu, disk, rss) = (Instant::now(), cpu_us(), disk_written_bytes(), rss_mib());
    let receiving = store.installer.begin(&store.log).unwrap();
    let mut times = Times::default();
    let mut part = Delta::default();
    let (mut n, mut memory) = (0, 0);
    while n < count {
        part.restart(0);
        while n < count && part.size_bytes() < PIECE {
            let znode = order(n);
            part.put_znode(&path(znode), &record(znode)).unwrap();
            n += 1;
        }
        times.time(|| receiving.add(&part).unwrap());
        memory = memory.max(rss_mib());
    }
    let filled = start.elapsed();
    let received = receiving.complete(1, &store.log).unwrap();
    let completed = start.elapsed();
    received.switch(&mut store.log, &mut store.image).unwrap();
    println!(
        "take in, {what}: {count} znodes in {:?} (filled {filled:?}, durable {:?}, switched {:?}), CPU {:.2} us and disk {} \
         bytes per znode, piece p50 {} us p99 {} us, memory {rss} -> {memory} MiB, on disk {} MiB",
        start.elapsed(),
        completed - filled,
        start.elapsed() - completed,
        (cpu_us() - cpu) / count as f64,
        (disk_written_bytes() - disk) / count as u64,
        times.percentile_us(0.5),
        times.percentile_us(0.99),
        folder_bytes(folder) >> 20
    );
    drop(store);
    let start = Instant::now();
    let store = open(folder);
    println!("    opened again in {:?}", start.elapsed());
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Reads a log of `count` records.
fn history(store: &mut RocksStore, count: i64) {
    for zxid in 1..=count {
        store.log.append(zxid, &[zxid as u8; PAYLOAD]).unwrap();
        if zxid % 100 == 0 {
            store.log.flush().unwrap();
        }
    }
    store.log.flush().unwrap();
    let history = store.log.history();
    let (start, cpu) = (Instant::now(), cpu_us());
    let mut reader = history.read_after(0).unwrap();
    let (mut records, mut bytes) = (0, 0);
    while let Some(piece) = reader.next_piece(i64::MAX, PIECE).unwrap() {
        records += piece.len();
        bytes += piece.log_bytes();
    }
    println!(
        "read the log: {records} records, {} MiB in {:?}, CPU {:.2} us per record, memory {} MiB",
        bytes >> 20,
        start.elapsed(),
        (cpu_us() - cpu) / records as f64,
        rss_mib()
    );
    let (mut first, mut size) = (Times::default(), Times::default());
    for n in 0..1000 {
        let after = n * 7_919_339 % count;
        size.time(|| assert!(history.bytes_after(after) > 0));
        first.time(|| history.read_after(after).unwrap().next_piece(i64::MAX, 1).unwrap().unwrap());
    }
    println!(
        "    anywhere: first record p50 {} us p99 {} us, its length p99 {} us",
        first.percentile_us(0.5),
        first.percentile_us(0.99),
        size.percentile_us(0.99)
    );
}

fn main() {
    let folder =
        PathBuf::from(std::env::args().nth(1).expect("give a folder on the disk to measure")).join("install.tmp");
    let count = std::env::args().nth(2).map_or(1_000_000, |n| n.parse().unwrap());
    let _ = std::fs::remove_dir_all(&folder);
    take_in(&folder.join("learner"), "in order", count, |n| n);
    take_in(&folder.join("learner"), "in random order", count, |n| (n * 7_919_339) % count);
    let mut store = open(&folder.join("leader"));
    fill(&store, count);
    hand_out(&store);
    history(&mut store, count);
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}
