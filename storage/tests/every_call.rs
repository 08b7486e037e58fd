//! A crash at every single call that changes something on disk, while a member writes epochs, truncates its log or takes
//! in a snapshot: a start finds the old state or the new one, and whoever crashed can do it again.

#![allow(clippy::unwrap_used)]

mod common;

use std::ops::RangeInclusive;

use common::{Machine, ModelStore, Seen, delta, payload, write};
use rookeeper_storage::fs::{CrashLuck, Fault, Fs};
use rookeeper_storage::tree::Delta;
use rookeeper_storage::verify::verify;
use rookeeper_storage::{Epochs, Result, Store};

/// How a machine may come back; `None`: only the process died.
const LUCKS: [Option<CrashLuck>; 8] = [
    None,
    Some(CrashLuck::Forget),
    Some(CrashLuck::Keep),
    Some(CrashLuck::Seed(1)),
    Some(CrashLuck::Seed(2)),
    Some(CrashLuck::Seed(3)),
    Some(CrashLuck::Seed(4)),
    Some(CrashLuck::Seed(5)),
];

/// Which call fails.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Of the files, and every one after it.
    Files(u64),
    /// Of the image's store.
    Kv(u64),
    /// A flush of the files, only that one: what was to be flushed can be read and is never written.
    Flush(u64),
}

/// What is done, and what a start may find when it was interrupted.
struct Change {
    prepare: fn() -> (Machine, ModelStore),
    run: fn(&mut ModelStore) -> Result<()>,
    is_old: fn(&Found) -> bool,
    is_new: fn(&Found) -> bool,
    /// What is neither and yet allowed: a part of the way.
    is_between: fn(&Found) -> bool,
}

#[derive(Debug)]
struct Found {
    seen: Seen,
    epochs: Option<Epochs>,
}

/// Runs a change with a failing call; tells whether it failed, and whether the new state was found.
fn interrupted(change: &Change, at: At, luck: Option<CrashLuck>, kept: u64) -> (bool, bool) {
    let (machine, mut store) = (change.prepare)();
    match at {
        At::Files(call) => machine.fs.fail(Fault::Stop(call)),
        At::Flush(call) => machine.fs.fail(Fault::Flush(call)),
        At::Kv(call) => machine.disk.fail_after(call),
    }
    let done = (change.run)(&mut store);
    drop(store);
    match luck {
        Some(luck) => machine.fs.crash(luck),
        None => machine.fs.kill(),
    }
    machine.disk.crash(kept);

    let found = verify(&machine.fs, &machine.options(), &machine.disk, &mut Seen::default()).unwrap();
    assert!(found.is_sound(), "{found}");
    let mut found = open(&machine).1;
    let (is_old, is_new) = ((change.is_old)(&found), (change.is_new)(&found));
    assert!(is_old || is_new || (change.is_between)(&found), "neither the old nor the new: {found:?}");
    assert!(is_new || done.is_err(), "it was done, and is gone");
    // What a start has found stays, whatever happens.
    machine.crash(CrashLuck::Forget, 0);
    let (mut store, again) = open(&machine);
    assert_eq!((&again.seen, again.epochs), (&found.seen, found.epochs));
    if !is_new {
        (change.run)(&mut store).unwrap();
        drop(store);
        machine.crash(CrashLuck::Forget, 0);
        (store, found) = open(&machine);
        assert!((change.is_new)(&found), "not even the second time: {found:?}");
    }
    let found = machine.fs.list(std::path::Path::new("/data/rookeeper")).unwrap();
    assert_eq!(found.iter().filter(|name| name.starts_with("image")).count(), 1, "{found:?}");
    assert!(!found.contains(&"FORMAT.new".to_owned()));
    let files = machine.fs.list(std::path::Path::new("/log/rookeeper/log")).unwrap();
    assert!(files.iter().all(|name| !name.ends_with(".new")), "{files:?}");
    drop(store);
    (done.is_err(), is_new)
}

fn open(machine: &Machine) -> (ModelStore, Found) {
    let mut seen = Seen::default();
    let (store, recovered) = Store::open(&machine.fs, &machine.options(), &machine.disk, &mut seen).unwrap();
    (store, Found { seen, epochs: recovered.epochs })
}

/// Interrupts a change at every call, in every way; tells at how many calls.
fn interrupt_everywhere(change: &Change, kind: fn(u64) -> At) -> u64 {
    let (mut old, mut new) = (0, 0);
    for call in 0.. {
        let mut failed = 0;
        for luck in LUCKS {
            for kept in [0, 1, u64::MAX, 0x1234_5678_9abc_def1] {
                let (has_failed, is_new) = std::panic::catch_unwind(|| interrupted(change, kind(call), luck, kept))
                    .unwrap_or_else(|_| panic!("interrupted at {:?} with {luck:?}, kept {kept}", kind(call)));
                failed += u64::from(has_failed);
                new += u64::from(is_new);
                old += u64::from(!is_new);
            }
        }
        if failed == 0 {
            assert!(old > 0 && new > 0);
            return call;
        }
    }
    unreachable!("a change has an end");
}

fn records(found: &Found) -> Vec<i64> {
    assert!(found.seen.records.iter().all(|(zxid, bytes)| *bytes == payload(*zxid)));
    found.seen.records.iter().map(|(zxid, _)| *zxid).collect()
}

fn zxids(range: RangeInclusive<i64>) -> Vec<i64> {
    range.collect()
}

fn has_image(found: &Found, zxid: i64) -> bool {
    let nodes = &found.seen.znodes;
    let complete = (1..=zxid).all(|n| nodes.get(&format!("/n{n}")) == Some(&payload(n)));
    found.seen.image_zxid == Some(zxid) && complete && nodes.len() as i64 == zxid + 1
}

/// Several segments of records, a spare file, and an image that has a part of them.
fn prepare() -> (Machine, ModelStore) {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=20);
    for zxid in 1..=15 {
        store.image.apply(&mut delta(zxid)).unwrap();
    }
    let safe = store.image.flush().unwrap();
    store.log.retire(safe).remove().unwrap();
    write(&mut store, 21..=60);
    store.epochs.set(Epochs { accepted: 2, current: 1 }).unwrap();
    // Collected, and not flushed.
    store.log.append(61, &payload(61)).unwrap();
    assert!(machine.segments().len() > 4);
    (machine, store)
}

const EPOCHS: Change = Change {
    prepare,
    run: |store| store.epochs.set(Epochs { accepted: 3, current: 3 }),
    is_old: |found| found.epochs == Some(Epochs { accepted: 2, current: 1 }),
    is_new: |found| found.epochs == Some(Epochs { accepted: 3, current: 3 }),
    is_between: |_| false,
};

#[test]
fn epochs_are_the_old_ones_or_the_new_ones() {
    // Create, write, flush, rename, flush of the folder.
    assert_eq!(interrupt_everywhere(&EPOCHS, At::Files), 5);
    assert_eq!(interrupt_everywhere(&EPOCHS, At::Flush), 2);
}

const TRUNCATE: Change = Change {
    prepare,
    run: |store| store.log.truncate(27, &store.image),
    is_old: |found| has_image(found, 15) && (records(found) == zxids(16..=60) || records(found) == zxids(16..=61)),
    is_new: |found| has_image(found, 15) && records(found) == zxids(16..=27),
    // A part of what was to go is gone, the newest first.
    is_between: |found| {
        let last = records(found).last().copied().unwrap_or(0);
        has_image(found, 15) && last >= 27 && records(found) == zxids(16..=last)
    },
};

#[test]
fn a_truncated_log_has_what_was_to_stay_and_no_hole() {
    assert!(interrupt_everywhere(&TRUNCATE, At::Files) > 8);
    assert!(interrupt_everywhere(&TRUNCATE, At::Flush) > 4);
}

/// A snapshot of 30 znodes at `zxid`, and three records behind it.
fn install(store: &mut ModelStore, zxid: i64) -> Result<()> {
    let receiving = store.installer.begin(&store.log)?;
    let mut part = Delta::default();
    for n in 1..=30 {
        part.restart(0);
        part.put_znode(&format!("/n{n}"), &payload(n))?;
        if n == 1 {
            part.put_znode("/", b"root")?;
        }
        receiving.add(&part)?;
    }
    let mut received = receiving.complete(zxid, &store.log)?;
    for zxid in zxid + 1..=zxid + 3 {
        received.append(zxid, &payload(zxid))?;
    }
    received.switch(&mut store.log, &mut store.image)
}

fn has_installed(found: &Found, zxid: i64) -> bool {
    let nodes = &found.seen.znodes;
    found.seen.image_zxid == Some(zxid)
        && nodes.len() == 31
        && (1..=30).all(|n| nodes[&format!("/n{n}")] == payload(n))
        && records(found) == zxids(zxid + 1..=zxid + 3)
        && found.seen.sessions.is_empty()
}

/// To a zxid far ahead.
const INSTALL: Change = Change {
    prepare,
    run: |store| install(store, 1000),
    is_old: TRUNCATE.is_old,
    is_new: |found| has_installed(found, 1000),
    is_between: |_| false,
};

/// To one before what is logged, over what an earlier attempt has left.
const INSTALL_AGAIN: Change = Change {
    prepare: || {
        let (machine, mut store) = prepare();
        install(&mut store, 2000).unwrap();
        let receiving = store.installer.begin(&store.log).unwrap();
        receiving.add(&delta(1)).unwrap();
        drop(receiving.complete(3000, &store.log).unwrap());
        (machine, store)
    },
    run: |store| install(store, 18),
    is_old: |found| has_installed(found, 2000),
    is_new: |found| has_installed(found, 18),
    is_between: |_| false,
};

#[test]
fn a_snapshot_is_there_whole_or_not_at_all() {
    for change in [&INSTALL, &INSTALL_AGAIN] {
        assert!(interrupt_everywhere(change, At::Files) > 10);
        assert!(interrupt_everywhere(change, At::Flush) > 4);
        assert!(interrupt_everywhere(change, At::Kv) > 30);
    }
}

#[test]
fn a_full_disk_ends_each_of_them_and_leaves_the_old_state() {
    for change in [&EPOCHS, &TRUNCATE, &INSTALL, &INSTALL_AGAIN] {
        for room in [0, 1, 100, 1000, 4000, 4200, 5000] {
            let (machine, mut store) = (change.prepare)();
            machine.fs.set_capacity(Some(machine.fs.used_bytes() + room));
            let done = (change.run)(&mut store);
            let usable = store.log.failure().is_none();
            if let Err(error) = &done {
                assert!(error.is_disk_full() && error.to_string().contains("make room"), "{error}");
                // Nothing more is acknowledged, except where nothing has touched the log.
                let next = store.log.last_zxid() + 1;
                assert_eq!(store.log.append(next, b"x").is_ok(), usable);
            }
            drop(store);
            machine.fs.set_capacity(None);
            machine.crash(CrashLuck::Forget, 0);
            let found = open(&machine).1;
            assert!(if done.is_ok() { (change.is_new)(&found) } else { (change.is_old)(&found) }, "{room}: {found:?}");
        }
    }
}
