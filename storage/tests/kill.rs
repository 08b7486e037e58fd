//! A real process with real files and RocksDB, killed at random moments (kill -9) and started again.
//!
//! The writer is this program itself, called with a folder: it tells each flushed zxid and its accepted epoch on its
//! standard output. Between writes it does what a member does: it writes epochs, truncates records that it has not told,
//! takes in snapshots. What it has told must be found, the image must be the tree at one zxid, and the offline check must
//! find nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Rng, Seen, payload};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::verify::verify;
use rookeeper_storage::{Recovered, Store, StoreOptions};

/// A transaction sets the znode of this number.
const ZNODES: i64 = 500;
const KILLS: u64 = 40;

fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        data_dir: dir.to_path_buf(),
        data_log_dir: dir.to_path_buf(),
        log: LogOptions { segment_bytes: 1 << 20, force_sync: true },
        server: None,
        trust_empty: true,
    }
}

fn open(dir: &Path, engine: RocksEngine) -> (Store<RealFs, RocksEngine>, Recovered, Seen) {
    let mut seen = Seen::default();
    let (store, recovered) = Store::open(&RealFs, &options(dir), &engine, &mut seen).unwrap();
    store.image.set_committed(i64::MAX);
    (store, recovered, seen)
}

/// Writes until it is killed.
fn write(dir: &Path) {
    let (mut store, recovered, seen) = open(dir, RocksEngine::default());
    let mut rng = Rng(recovered.last_zxid as u64);
    let mut out = std::io::stdout();
    let mut epochs = recovered.epochs.unwrap_or_default();
    writeln!(out, "{} {}", recovered.last_zxid, epochs.accepted).unwrap();
    // What the log has and the image has not is brought to the image first, as a server does.
    if let (Some(first), Some(last)) = (seen.records.first(), seen.records.last()) {
        apply(&store, first.0..=last.0);
    }
    let mut zxid = recovered.last_zxid;
    loop {
        let first = zxid + 1;
        append(&mut store, zxid + rng.below(61) as i64 + 1);
        zxid = store.log.last_zxid();
        writeln!(out, "{zxid} {}", epochs.accepted).unwrap();
        apply(&store, first..=zxid);
        if rng.one_in(40) {
            let safe = store.image.flush().unwrap();
            store.log.retire(safe).remove().unwrap();
        }
        match rng.below(60) {
            0 => {
                epochs.accepted += 1;
                epochs.current = epochs.accepted - rng.below(2) as u32;
                store.epochs.set(epochs).unwrap();
            }
            1 => {
                // More than a segment, so that whole files go.
                append(&mut store, zxid + 5000);
                store.log.truncate(zxid, &store.image).unwrap();
            }
            2 => {
                install(&mut store, zxid);
                zxid = store.log.last_zxid();
            }
            _ => {}
        }
    }
}

/// Appends up to `last`, with one flush.
fn append(store: &mut Store<RealFs, RocksEngine>, last: i64) {
    for zxid in store.log.last_zxid() + 1..=last {
        store.log.append(zxid, &payload(zxid)).unwrap();
    }
    store.log.flush().unwrap();
}

/// Brings the image forward, a transaction in each delta.
fn apply(store: &Store<RealFs, RocksEngine>, zxids: std::ops::RangeInclusive<i64>) {
    for zxid in zxids {
        let mut delta = Delta::new(zxid);
        delta.put_znode(&format!("/n{}", zxid % ZNODES), &payload(zxid)).unwrap();
        store.image.apply(&mut delta).unwrap();
    }
}

/// The newest transaction up to `zxid` that set this znode, if there was one.
fn newest(slot: i64, zxid: i64) -> Option<i64> {
    Some(zxid - (zxid - slot).rem_euclid(ZNODES)).filter(|&newest| newest > 0)
}

/// Takes in the tree at `zxid`, and some records after it.
fn install(store: &mut Store<RealFs, RocksEngine>, zxid: i64) {
    let receiving = store.installer.begin(&store.log).unwrap();
    let mut part = Delta::default();
    for (slot, newest) in (0..ZNODES).filter_map(|slot| Some((slot, newest(slot, zxid)?))) {
        part.put_znode(&format!("/n{slot}"), &payload(newest)).unwrap();
    }
    receiving.add(&part).unwrap();
    let mut received = receiving.complete(zxid, &store.log).unwrap();
    for zxid in zxid + 1..=zxid + 10 {
        received.append(zxid, &payload(zxid)).unwrap();
    }
    received.switch(&mut store.log, &mut store.image).unwrap();
    store.image.set_committed(i64::MAX);
    apply(store, zxid + 1..=zxid + 10);
}

/// Starts a writer, kills it after some acknowledged groups, and returns the last zxid and epoch that it told.
fn killed_writer(dir: &Path, groups: u64) -> (i64, u32) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg("--write").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let parse = |line: String| {
        let (zxid, epoch) = line.split_once(' ')?;
        Some((zxid.parse::<i64>().ok()?, epoch.parse::<u32>().ok()?))
    };
    let mut told = (-1, 0);
    for _ in 0..=groups {
        told = parse(lines.next().expect("the writer has ended").unwrap()).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it told before it died, and was not read yet. The last line may be half.
    let rest = lines.map_while(Result::ok).filter_map(parse).filter(|(zxid, _)| *zxid > told.0);
    rest.last().unwrap_or(told)
}

fn check(dir: &Path, (told, epoch): (i64, u32)) -> i64 {
    let (store, recovered, seen) = open(dir, RocksEngine::default());
    let epochs = recovered.epochs.unwrap_or_default();
    // The next one may have been written and not told.
    assert!((epoch..=epoch + 1).contains(&epochs.accepted) && epochs.current <= epochs.accepted, "{epochs:?} {epoch}");
    assert!(recovered.last_zxid >= told, "0x{told:x} was acknowledged, 0x{:x} is there", recovered.last_zxid);
    for (n, (zxid, record)) in seen.records.iter().enumerate() {
        assert_eq!((*zxid, record), (recovered.image_zxid + 1 + n as i64, &payload(*zxid)));
    }
    for slot in 0..ZNODES {
        let expected = newest(slot, recovered.image_zxid).map(payload);
        assert_eq!(seen.znodes.get(&format!("/n{slot}")), expected.as_ref(), "image at {}", recovered.image_zxid);
    }
    drop(store);
    let read_only = RocksEngine { read_only: true, ..RocksEngine::default() };
    let found = verify(&RealFs, &options(dir), &read_only, &mut Seen::default()).unwrap();
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
    let images = std::fs::read_dir(dir.path().join("rookeeper")).unwrap();
    let images = images.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let snapshots = images.filter_map(|name| name.strip_prefix("image-")?.parse::<u32>().ok()).max();
    println!("killed {KILLS} times, {last} transactions, {} snapshots, none lost", snapshots.unwrap_or(0));
}
