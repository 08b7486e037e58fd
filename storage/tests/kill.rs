//! A real process with real files and RocksDB, killed at random moments (kill -9) and started again.
//!
//! The writer is this program itself, called with a folder: it tells each flushed zxid on its standard output. What it
//! has told must be found, the image must be the tree at one zxid, and the offline check must find nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Rng, Seen, payload};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::{RocksKv, RocksTuning};
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::verify::verify;
use rookeeper_storage::{Recovered, Store, StoreOptions};

/// A transaction sets the znode of this number.
const ZNODES: i64 = 500;
const KILLS: u64 = 25;

fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        data_dir: dir.to_path_buf(),
        data_log_dir: dir.to_path_buf(),
        log: LogOptions { segment_bytes: 1 << 20, force_sync: true },
    }
}

fn open(dir: &Path, tuning: RocksTuning) -> (Store<RealFs, RocksKv>, Recovered, Seen) {
    let mut seen = Seen::default();
    let (store, recovered) =
        Store::open(&RealFs, &options(dir), |path| RocksKv::open(path, tuning), &mut seen).unwrap();
    (store, recovered, seen)
}

/// Writes until it is killed.
fn write(dir: &Path) {
    let (mut store, recovered, seen) = open(dir, RocksTuning::default());
    let mut rng = Rng(recovered.last_zxid as u64);
    let mut out = std::io::stdout();
    writeln!(out, "{}", recovered.last_zxid).unwrap();
    let mut delta = Delta::new(0);
    // What the log has and the image has not is brought to the image first, as a server does.
    let mut apply = |store: &Store<RealFs, RocksKv>, zxids: std::ops::RangeInclusive<i64>| {
        for zxid in zxids {
            delta.restart(zxid);
            delta.put_znode(&format!("/n{}", zxid % ZNODES), &payload(zxid)).unwrap();
            store.image.apply(&mut delta).unwrap();
        }
    };
    if let (Some(first), Some(last)) = (seen.records.first(), seen.records.last()) {
        apply(&store, first.0..=last.0);
    }
    let mut zxid = recovered.last_zxid;
    loop {
        let first = zxid + 1;
        for _ in 0..=rng.below(60) {
            zxid += 1;
            store.log.append(zxid, &payload(zxid)).unwrap();
        }
        store.log.flush().unwrap();
        writeln!(out, "{zxid}").unwrap();
        apply(&store, first..=zxid);
        if rng.one_in(40) {
            let safe = store.image.flush().unwrap();
            store.log.retire(safe).remove().unwrap();
        }
    }
}

/// Starts a writer, kills it after some acknowledged groups, and returns the last zxid that it told.
fn killed_writer(dir: &Path, groups: u64) -> i64 {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg("--write").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = -1;
    for _ in 0..=groups {
        told = lines.next().expect("the writer has ended").unwrap().parse().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it told before it died, and was not read yet. The last line may be half.
    let rest = lines.map_while(Result::ok).filter_map(|line| line.parse().ok()).filter(|zxid| *zxid > told);
    rest.last().unwrap_or(told)
}

fn check(dir: &Path, told: i64) -> i64 {
    let (store, recovered, seen) = open(dir, RocksTuning::default());
    assert!(recovered.last_zxid >= told, "0x{told:x} was acknowledged, 0x{:x} is there", recovered.last_zxid);
    for (n, (zxid, record)) in seen.records.iter().enumerate() {
        assert_eq!((*zxid, record), (recovered.image_zxid + 1 + n as i64, &payload(*zxid)));
    }
    for slot in 0..ZNODES {
        // The newest transaction up to the image's zxid that set this znode.
        let newest = recovered.image_zxid - (recovered.image_zxid - slot).rem_euclid(ZNODES);
        let expected = (newest > 0).then(|| payload(newest));
        assert_eq!(seen.znodes.get(&format!("/n{slot}")), expected.as_ref(), "image at {}", recovered.image_zxid);
    }
    drop(store);
    let read_only = RocksTuning { read_only: true, ..RocksTuning::default() };
    let found = verify(&RealFs, &options(dir), |path| RocksKv::open(path, read_only), &mut Seen::default()).unwrap();
    assert!(found.is_sound(), "{found}");
    recovered.last_zxid
}

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--write") {
        return write(Path::new(&args.next().expect("a folder")));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng(std::process::id().into());
    let mut last = 0;
    for _ in 0..KILLS {
        let told = killed_writer(dir.path(), rng.below(60));
        let found = check(dir.path(), told);
        assert!(found >= last, "the log went back from {last} to {found}");
        last = found;
    }
    println!("killed {KILLS} times, {last} transactions, none lost");
}
