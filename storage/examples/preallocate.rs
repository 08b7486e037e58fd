//! Which preallocation makes a flush fastest, and what it costs: the figures in DESIGN.md.
//!
//! `cargo run --release -p rookeeper-storage --example preallocate -- FOLDER`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{Times, cpu_us, disk_written_bytes};
use rustix::fs::{FallocateFlags, fallocate};

const SEGMENT: u64 = 64 << 20;
const STEP: u64 = 128 << 10;
const FLUSHES: u64 = 1000;

#[derive(Clone, Copy, Debug)]
enum How {
    /// The file grows with each write.
    Append,
    /// Blocks are reserved: the first write to each changes its state in the file system's tables.
    Fallocate,
    /// The whole segment is filled with zeros first.
    ZeroAll,
    /// An old segment's file is written over.
    Recycle,
    /// Each write that passes the filled part fills the next 128 KiB.
    ZeroStep,
}

fn prepare(path: &Path, how: How) -> File {
    if !matches!(how, How::Recycle) {
        let _ = std::fs::remove_file(path);
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    match how {
        How::Append | How::ZeroStep => {}
        How::Fallocate => fallocate(&file, FallocateFlags::empty(), 0, SEGMENT).unwrap(),
        How::ZeroAll | How::Recycle => {
            let zeros = vec![0; 1 << 20];
            for at in (0..SEGMENT).step_by(zeros.len()) {
                file.write_all_at(&zeros, at).unwrap();
            }
        }
    }
    file.sync_all().unwrap();
    file
}

fn measure(folder: &Path, how: How, group: usize) {
    let path = folder.join("preallocate.tmp");
    let file = prepare(&path, how);
    let mut bytes: Vec<u8> = (0..group).map(|n| (n * 31) as u8 | 1).collect();
    let (mut times, mut at, mut filled) = (Times::default(), 0, 0);
    let (cpu, disk) = (cpu_us(), disk_written_bytes());
    for _ in 0..FLUSHES {
        times.time(|| {
            let end = at + group as u64;
            if matches!(how, How::ZeroStep) && end > filled {
                filled = end.next_multiple_of(STEP);
                bytes.resize(group + (filled - end) as usize, 0);
            }
            file.write_all_at(&bytes, at).unwrap();
            bytes.truncate(group);
            file.sync_data().unwrap();
            at = end;
        });
    }
    let (cpu, disk) = (cpu_us() - cpu, disk_written_bytes() - disk);
    println!(
        "{:10} {group:7} {:6} {:6} {:6} {:8.1} {:9}",
        format!("{how:?}"),
        times.percentile_us(0.5),
        times.percentile_us(0.99),
        times.percentile_us(0.999),
        cpu / FLUSHES as f64,
        disk / FLUSHES
    );
    drop(file);
    if !matches!(how, How::ZeroAll) {
        std::fs::remove_file(path).unwrap();
    }
}

fn main() {
    let folder = std::env::args().nth(1).expect("give a folder on the disk to measure");
    println!("how          group    p50    p99  p99.9   CPU us  disk B   (us per flush)");
    for group in [250, 5_000, 50_000] {
        for how in [How::Append, How::Fallocate, How::ZeroAll, How::Recycle, How::ZeroStep] {
            measure(Path::new(&folder), how, group);
        }
    }
}
