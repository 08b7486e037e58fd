//! The log in segments of its own against the log in RocksDB (one batch per group, its log flushed): the figures in
//! DESIGN.md.
//!
//! `cargo run --release -p rookeeper-storage --example log_compare -- FOLDER`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{Times, cpu_us, disk_written_bytes, folder_bytes};
use rocksdb::{DB, DBCompressionType, IteratorMode, Options, WriteBatch, WriteOptions};
use rookeeper_storage::StoreId;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::log::{LogOptions, LogWriter};

const RECORD: usize = 200;

/// A log that is measured.
trait Log {
    fn open(folder: &Path) -> (Self, u64)
    where
        Self: Sized;
    fn write(&mut self, zxids: std::ops::Range<i64>, payload: &[u8]);
}

struct Segments(LogWriter<RealFs>);

impl Log for Segments {
    fn open(folder: &Path) -> (Self, u64) {
        let mut records = 0;
        let mut visit = |_: i64, _: &[u8]| {
            records += 1;
            Ok(())
        };
        let opened = LogWriter::open(RealFs, folder, LogOptions::default(), 0, &mut visit).unwrap();
        let writer = opened.map(|(writer, _)| writer);
        let create = || LogWriter::create(RealFs, folder, StoreId(1), 0, LogOptions::default()).unwrap();
        (Self(writer.unwrap_or_else(create)), records)
    }

    fn write(&mut self, zxids: std::ops::Range<i64>, payload: &[u8]) {
        for zxid in zxids {
            self.0.append(zxid, payload).unwrap();
        }
        self.0.flush().unwrap();
    }
}

struct Rocks(DB);

impl Log for Rocks {
    fn open(folder: &Path) -> (Self, u64) {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(8 << 20);
        options.set_max_background_jobs(2);
        // What RocksDB has to make a flush cheap: its old log files are used again.
        options.set_recycle_log_file_num(4);
        let db = DB::open(&options, folder).unwrap();
        let records = db.iterator(IteratorMode::Start).map(Result::unwrap).count() as u64;
        (Self(db), records)
    }

    fn write(&mut self, zxids: std::ops::Range<i64>, payload: &[u8]) {
        let mut batch = WriteBatch::default();
        for zxid in zxids {
            batch.put(zxid.to_be_bytes(), payload);
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.0.write_opt(batch, &options).unwrap();
    }
}

fn measure<L: Log>(name: &str, folder: PathBuf, group: i64, groups: i64) {
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (mut log, _) = L::open(&folder);
    let payload: Vec<u8> = (0..RECORD).map(|n| (n * n % 251) as u8).collect();
    let mut times = Times::default();
    let (cpu, disk) = (cpu_us(), disk_written_bytes());
    let mut zxid = 1;
    for _ in 0..groups {
        times.time(|| log.write(zxid..zxid + group, &payload));
        zxid += group;
    }
    let records = (group * groups) as f64;
    let (cpu, disk) = ((cpu_us() - cpu) / records, (disk_written_bytes() - disk) as f64 / records);
    drop(log);
    let on_disk = folder_bytes(&folder) as f64 / records;
    let start = Instant::now();
    let (log, found) = L::open(&folder);
    let restart = start.elapsed();
    assert_eq!(found, (group * groups) as u64);
    drop(log);
    println!(
        "{name:9} {group:5} {:7} {:7} {cpu:10.2} {disk:9.0} {on_disk:9.0} {:9.0}",
        times.percentile_us(0.5),
        times.percentile_us(0.99),
        restart.as_micros() as f64 / (records / 1e6) / 1000.0,
    );
    std::fs::remove_dir_all(folder).unwrap();
}

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("give a folder on the disk to measure"));
    println!("log       group  p50 us  p99 us  CPU us/rec  disk B/rec  kept B/rec  restart ms per million records");
    for round in 1..=2 {
        println!("round {round}");
        for (group, groups) in [(1, 5000), (20, 3000), (1000, 500)] {
            measure::<Segments>("segments", folder.join("segments.tmp"), group, groups);
            measure::<Rocks>("RocksDB", folder.join("rocks.tmp"), group, groups);
        }
    }
}
