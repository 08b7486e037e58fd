//! A disk that is really full: a small tmpfs, mounted in a namespace of the test's own.
//!
//! The program starts itself inside the namespace. Where no namespace may be made, it says so and proves nothing; the
//! double of the file system (`failing_disk.rs`) is full anywhere.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Rng, Seen, payload};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::kv::{Batch, Kv, KvEngine};
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::{Recovered, Result, Store, StoreOptions};

/// The disk, in MiB: more than an empty store, less than two memtables and a segment.
const SMALL: u32 = 30;
const TIME_MAX: Duration = Duration::from_secs(60);

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

fn open(dir: &Path) -> Result<(Store<RealFs, RocksEngine>, Recovered, Seen)> {
    let log = LogOptions { segment_bytes: 64 << 20, force_sync: true };
    let options = StoreOptions {
        data_dir: dir.to_path_buf(),
        data_log_dir: dir.to_path_buf(),
        log,
        server: None,
        trust_empty: true,
    };
    let mut seen = Seen::default();
    let (store, recovered) = Store::open(&RealFs, &options, &RocksEngine::default(), &mut seen)?;
    store.image.set_committed(i64::MAX);
    Ok((store, recovered, seen))
}

/// Log and image share the disk: whichever fails first, everything acknowledged is there once there is room.
fn store_on_a_full_disk(dir: &Path) {
    let (mut store, ..) = open(dir).unwrap();
    let mut acknowledged = 0;
    let mut delta = Delta::new(0);
    let error = loop {
        let zxid = acknowledged + 1;
        match store.log.append(zxid, &payload(zxid)).and_then(|()| store.log.flush()) {
            Ok(flushed) => acknowledged = flushed,
            Err(error) => break error,
        }
        delta.restart(zxid);
        delta.put_znode(&format!("/n{zxid}"), &payload(zxid)).unwrap();
        if let Err(error) = store.image.apply(&mut delta) {
            break error;
        }
    };
    println!("full after {acknowledged} transactions: {error}");
    assert!(error.is_disk_full(), "{error}");
    drop(store);
    // A start may fail for want of room, and says so.
    if let Err(error) = open(dir) {
        println!("start on the full disk: {error}");
        assert!(error.is_disk_full(), "{error}");
    }
    run("mount", &["-o", "remount,size=300m", dir.to_str().unwrap()]);
    let (mut store, recovered, seen) = open(dir).unwrap();
    assert!(recovered.last_zxid >= acknowledged, "{} of {acknowledged}", recovered.last_zxid);
    assert!((1..=recovered.image_zxid).all(|zxid| seen.znodes[&format!("/n{zxid}")] == payload(zxid)));
    assert!(seen.records.iter().all(|(zxid, bytes)| *bytes == payload(*zxid)));
    store.log.append(recovered.last_zxid + 1, b"there is room again").unwrap();
    store.log.flush().unwrap();
}

/// A snapshot that does not fit: everything is as it was, and goes on once the snapshot is given up.
fn snapshot_on_a_full_disk(dir: &Path) {
    let (mut store, ..) = open(dir).unwrap();
    for zxid in 1..=1000 {
        store.log.append(zxid, &payload(zxid)).unwrap();
    }
    store.log.flush().unwrap();
    let receiving = store.installer.begin(&store.log).unwrap();
    let mut rng = Rng(4);
    let mut part = Delta::default();
    let mut znodes = 0;
    let error = loop {
        part.restart(0);
        for _ in 0..100 {
            znodes += 1;
            let record: Vec<u8> = (0..64).flat_map(|_| rng.next().to_le_bytes()).collect();
            part.put_znode(&format!("/n{znodes}"), &record).unwrap();
        }
        if let Err(error) = receiving.add(&part) {
            break error;
        }
    };
    println!("full after {znodes} znodes of a snapshot: {error}");
    assert!(error.is_disk_full(), "{error}");
    receiving.discard().unwrap();
    store.log.append(1001, b"there is room again").unwrap();
    store.log.flush().unwrap();
    drop(store);
    let (_, recovered, seen) = open(dir).unwrap();
    assert_eq!((recovered.image_zxid, recovered.last_zxid, seen.records.len()), (0, 1001, 1001));
}

/// The image alone: RocksDB writes out in threads of its own and would rather wait than fail.
fn image_on_a_full_disk(dir: &Path, flush_each: bool) {
    let kv = RocksEngine::default().open(dir).unwrap();
    let mut rng = Rng(3);
    let mut n = 0_u64;
    let error = loop {
        let mut batch = Batch::default();
        for _ in 0..100 {
            n += 1;
            let value: Vec<u8> = (0..64).flat_map(|_| rng.next().to_le_bytes()).collect();
            batch.put(|key| key.extend_from_slice(&n.to_be_bytes()), &value);
        }
        let written =
            kv.write(&batch).and_then(|()| if flush_each && n.is_multiple_of(5000) { kv.flush() } else { Ok(()) });
        if let Err(error) = written {
            break error;
        }
    };
    println!("image full after {n} entries: {error}");
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(kv.write(&Batch::default()).unwrap_err().to_string(), error.to_string());
    assert_eq!(kv.flush().unwrap_err().to_string(), error.to_string());
}

fn on_a_small_disk(dir: &Path, test: impl FnOnce(&Path)) {
    let size = format!("size={SMALL}m");
    run("mount", &["-t", "tmpfs", "-o", &size, "none", dir.to_str().unwrap()]);
    test(dir);
    run("umount", &[dir.to_str().unwrap()]);
}

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--inside") {
        let dir = args.next().expect("a folder");
        let dir = Path::new(&dir);
        on_a_small_disk(dir, store_on_a_full_disk);
        on_a_small_disk(dir, snapshot_on_a_full_disk);
        on_a_small_disk(dir, |dir| image_on_a_full_disk(dir, false));
        on_a_small_disk(dir, |dir| image_on_a_full_disk(dir, true));
        return;
    }
    let unshare = ["--mount", "--map-root-user"];
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: no mount namespace may be made here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("unshare").args(unshare).arg(program).arg("--inside").arg(dir.path()).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > TIME_MAX {
            child.kill().unwrap();
            panic!("a full disk made it wait for {TIME_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
}
