//! A disk that is full or fails: nothing more is acknowledged, and with room again nothing acknowledged is missing.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Machine, payload};
use rookeeper_storage::fs::{CrashLuck, Fault};
use rookeeper_storage::kv::model::ModelDisk;
use rookeeper_storage::kv::{Batch, Kv, KvEngine};
use rookeeper_storage::tree::Delta;
use rookeeper_storage::{Epochs, StorageError};

#[test]
fn a_full_disk_ends_the_log_and_room_brings_it_back() {
    for room in [0, 1, 31, 500, 5_000, 40_000] {
        let machine = Machine::new(8192);
        let (mut store, ..) = machine.open().unwrap();
        machine.fs.set_capacity(Some(machine.fs.used_bytes() + room));
        let mut acknowledged = 0;
        let error = loop {
            let zxid = acknowledged + 1;
            match store.log.append(zxid, &payload(zxid)).and_then(|()| store.log.flush()) {
                Ok(flushed) => acknowledged = flushed,
                Err(error) => break error,
            }
        };
        assert!(error.is_disk_full(), "{error}");
        assert!(error.to_string().contains("make room"), "{error}");
        assert_eq!(store.log.append(acknowledged + 2, b"x").unwrap_err().to_string(), error.to_string());
        machine.fs.crash(CrashLuck::Keep);
        machine.disk.crash(0);

        machine.fs.set_capacity(None);
        let (mut store, recovered, seen) = machine.open().unwrap();
        assert!(recovered.last_zxid >= acknowledged, "room {room}");
        assert!(seen.records.iter().all(|(zxid, bytes)| *bytes == payload(*zxid)));
        store.log.append(recovered.last_zxid + 1, b"x").unwrap();
        store.log.flush().unwrap();
    }
}

#[test]
fn a_start_on_a_full_disk_says_so() {
    let machine = Machine::new(8192);
    machine.fs.set_capacity(Some(100));
    let error = machine.open().unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    machine.fs.set_capacity(None);
    machine.open().unwrap();
}

#[test]
fn an_interrupted_creation_is_begun_again() {
    for call in 0..12 {
        for fault in [Fault::Write(call), Fault::Flush(call)] {
            for crash in [None, Some(CrashLuck::Forget), Some(CrashLuck::Keep), Some(CrashLuck::Seed(call))] {
                let machine = Machine::new(8192);
                machine.fs.fail(fault);
                let first = machine.open();
                assert!(first.is_ok() || matches!(first, Err(StorageError::Io { .. })));
                drop(first);
                match crash {
                    Some(luck) => machine.fs.crash(luck),
                    None => machine.fs.kill(),
                }
                machine.fs.fail(Fault::Write(u64::MAX));
                let (mut store, ..) = machine.open().unwrap();
                store.log.append(1, &payload(1)).unwrap();
                store.log.flush().unwrap();
                machine.fs.crash(CrashLuck::Forget);
                machine.disk.crash(0);
                let (_, _, seen) = machine.open().unwrap();
                assert_eq!(seen.records.len(), 1, "{fault:?} {crash:?}");
            }
        }
    }
}

#[test]
fn a_failed_flush_is_not_taken_for_durable_by_the_next_start() {
    let machine = Machine::new(1 << 20);
    let (mut store, ..) = machine.open().unwrap();
    for zxid in 1..=20 {
        if zxid == 20 {
            machine.fs.fail(Fault::Flush(0));
        }
        store.log.append(zxid, &payload(zxid)).unwrap();
        assert_eq!(store.log.flush().is_err(), zxid == 20);
    }
    // Only the process ends: record 20 can be read, though it was never written to the disk.
    machine.fs.kill();
    let (store, recovered, _) = machine.open().unwrap();
    assert_eq!(recovered.last_zxid, 20);
    drop(store);
    // It has been served now. The machine loses everything that was not flushed.
    machine.fs.crash(CrashLuck::Forget);
    assert_eq!(machine.open().unwrap().1.last_zxid, 20);
}

#[test]
fn a_failed_image_answers_its_failure_for_ever() {
    for call in 0..3 {
        let machine = Machine::new(8192);
        let (store, ..) = machine.open().unwrap();
        machine.disk.fail_after(call);
        let mut failure = None;
        for zxid in 1..=4 {
            let result = store.image.apply(&mut Delta::new(zxid)).and_then(|()| store.image.flush());
            match (&failure, result) {
                (None, Ok(_)) => {}
                (None, Err(error)) => failure = Some(error.to_string()),
                (Some(first), result) => assert_eq!(&result.unwrap_err().to_string(), first),
            }
        }
        assert!(failure.is_some());
    }
}

#[test]
fn failed_epochs_answer_their_failure_for_ever() {
    for call in 0..5 {
        let machine = Machine::new(8192);
        let (mut store, ..) = machine.open().unwrap();
        machine.fs.fail(Fault::Stop(call));
        let failure = store.epochs.set(Epochs { accepted: 1, current: 0 }).unwrap_err().to_string();
        // The disk works again, but nobody knows what is on it.
        machine.fs.fail(Fault::Stop(u64::MAX));
        assert_eq!(store.epochs.get(), None);
        assert_eq!(store.epochs.set(Epochs { accepted: 1, current: 0 }).unwrap_err().to_string(), failure);
    }
}

#[test]
fn the_double_of_the_image_fails_on_the_call_it_was_told() {
    let disk = ModelDisk::new();
    let kv = disk.open(Path::new("/image")).unwrap();
    let mut batch = Batch::default();
    batch.put(|key| key.push(1), b"one");
    disk.fail_after(1);
    kv.write(&batch).unwrap();
    let error = kv.flush().unwrap_err();
    assert_eq!(kv.write(&batch).unwrap_err().to_string(), error.to_string());
    disk.crash(0);
    assert!(disk.is_empty());
}
