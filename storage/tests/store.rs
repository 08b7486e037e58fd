//! Opening, filling, closing and opening again: what a store keeps and what it refuses.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Machine, Seen, delta, payload, write};
use rookeeper_storage::fs::{CrashLuck, Fs, FsFile};
use rookeeper_storage::kv::model::ModelDisk;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::verify::verify;
use rookeeper_storage::{FORMAT_FILE, StorageError};

#[test]
fn a_start_gets_the_image_and_then_the_records_after_it() {
    let machine = Machine::new(4096);
    let (mut store, recovered, seen) = machine.open().unwrap();
    assert!(recovered.created);
    assert_eq!(seen, Seen { image_zxid: Some(0), ..Seen::default() });
    write(&mut store, 1..=20);
    for zxid in 1..=12 {
        store.image.apply(&mut delta(zxid)).unwrap();
    }
    assert_eq!(store.image.flush().unwrap(), 12);
    drop(store);

    let (store, recovered, seen) = machine.open().unwrap();
    assert!(!recovered.created);
    assert_eq!((recovered.image_zxid, recovered.last_zxid, recovered.replayed), (12, 20, 8));
    assert_eq!((recovered.image.znodes, recovered.image.sessions), (13, 12));
    assert_eq!(seen.image_zxid, Some(12));
    assert_eq!(seen.blobs["digest"], 12_i64.to_le_bytes());
    assert_eq!(seen.znodes["/n7"], payload(7));
    assert_eq!(seen.order[0], "/");
    assert_eq!(seen.records, (13..=20).map(|zxid| (zxid, payload(zxid))).collect::<Vec<_>>());
    assert_eq!(store.log.last_zxid(), 20);
}

#[test]
fn purged_segments_are_gone_and_not_missed() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=60);
    let before = machine.segments().len();
    assert!(before > 4);
    store.image.apply(&mut delta(50)).unwrap();
    assert_eq!(store.log.retire(0).remove().unwrap(), 0);
    let safe = store.image.flush().unwrap();
    // One purge is given up: the next one takes its segments too.
    drop(store.log.retire(safe - 25));
    let gone = store.log.retire(safe).remove().unwrap();
    assert!(gone >= 3 && machine.segments().len() == before - gone);
    assert!(store.log.begins_after() <= 50);
    assert!(matches!(store.log.history().read_after(0), Err(StorageError::NotInLog { asked: 0, .. })));
    machine.fs.crash(CrashLuck::Forget);
    machine.disk.crash(0);
    let (_, recovered, seen) = machine.open().unwrap();
    assert_eq!(recovered.last_zxid, 60);
    assert_eq!(seen.records.first().unwrap().0, 51);
}

#[test]
fn a_purged_segment_is_used_again_and_the_disk_does_not_fill() {
    let machine = Machine::new(16 << 10);
    let (mut store, ..) = machine.open().unwrap();
    let mut used = 0;
    for zxid in 1..=2000 {
        write(&mut store, zxid..=zxid);
        if zxid % 50 == 0 {
            store.image.apply(&mut delta(zxid)).unwrap();
            let safe = store.image.flush().unwrap();
            store.log.retire(safe).remove().unwrap();
            used = used.max(machine.fs.used_bytes());
        }
    }
    let stats = store.log.stats();
    assert!(stats.recycled > 20 && stats.recycled * 2 > stats.segments, "{stats:?}");
    assert!(used < 6 * (16 << 10), "{used} bytes");
    assert!(store.log.disk_bytes().unwrap() <= used);
    drop(store);
    assert_eq!(machine.open().unwrap().1.last_zxid, 2000);
}

#[test]
fn a_snapshot_stays_at_its_zxid() {
    let machine = Machine::new(4096);
    let (store, ..) = machine.open().unwrap();
    store.image.apply(&mut delta(1)).unwrap();
    let snapshot = store.image.snapshot();
    store.image.apply(&mut delta(2)).unwrap();
    let mut znodes = 0;
    snapshot
        .visit(&mut |_| {
            znodes += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((snapshot.zxid(), znodes), (1, 4));
    assert_eq!(store.image.zxid(), 2);
}

#[test]
fn refuses_to_go_back_in_time() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=5);
    for zxid in [5, 4, 0, -1] {
        assert!(matches!(store.log.append(zxid, b"x"), Err(StorageError::NotRising { last: 5, .. })));
    }
    assert!(matches!(store.log.append(6, b""), Err(StorageError::RecordSize { len: 0, .. })));
    store.image.apply(&mut delta(3)).unwrap();
    assert!(matches!(store.image.apply(&mut delta(2)), Err(StorageError::NotRising { last: 3, .. })));
    assert!(matches!(Delta::new(4).put_znode("no slash", b""), Err(StorageError::BadPath { .. })));
    // A refusal costs nothing.
    write(&mut store, 6..=6);
}

#[test]
fn a_second_process_is_kept_out() {
    let machine = Machine::new(4096);
    let (store, ..) = machine.open().unwrap();
    assert!(matches!(machine.open(), Err(StorageError::Locked { .. })));
    drop(store);
    machine.open().unwrap();
}

#[test]
fn a_store_of_apache_zookeeper_is_not_shadowed() {
    let machine = Machine::new(4096);
    let theirs = Path::new("/log/version-2");
    machine.fs.create_dir(theirs).unwrap();
    machine.fs.create(&theirs.join("log.100000001")).unwrap();
    let error = machine.open().unwrap_err();
    assert!(matches!(error, StorageError::ForeignData { .. }));
    assert!(error.to_string().contains("importing it is not supported"));
    assert!(!machine.fs.exists(Path::new("/data/rookeeper")).unwrap());
}

#[test]
fn an_unknown_format_is_refused() {
    let machine = Machine::new(4096);
    drop(machine.open().unwrap());
    let path = Path::new("/data/rookeeper").join(FORMAT_FILE);
    let text = String::from_utf8(machine.fs.contents(&path).unwrap()).unwrap();
    machine.fs.replace(&path, text.replace("format 1", "format 2").into_bytes()).unwrap();
    assert!(matches!(machine.open(), Err(StorageError::UnknownFormat { found: 2, known: 1, .. })));
    machine.fs.replace(&path, b"something".to_vec()).unwrap();
    assert!(machine.open().unwrap_err().is_damage());
    machine.fs.replace(&path, text.into_bytes()).unwrap();
    machine.open().unwrap();
}

#[test]
fn missing_parts_are_refused_unless_nothing_is_lost() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=40);
    store.image.apply(&mut delta(20)).unwrap();
    store.image.flush().unwrap();
    drop(store);

    // The image is lost, the log has everything since the beginning: nothing is lost.
    machine.disk.wipe();
    let (mut store, recovered, seen) = machine.open().unwrap();
    assert_eq!((recovered.image_zxid, seen.records.len()), (0, 40));
    store.image.apply(&mut delta(40)).unwrap();
    let safe = store.image.flush().unwrap();
    assert!(store.log.retire(safe).remove().unwrap() > 0);
    drop(store);

    // Now the log begins later.
    let image = ModelDisk::new();
    let without_image = Machine { disk: image, ..machine.clone() };
    assert!(matches!(without_image.open(), Err(StorageError::Mismatch { .. })));

    // The log is lost.
    for segment in machine.segments() {
        machine.fs.remove(&segment).unwrap();
    }
    let error = machine.open().unwrap_err();
    assert!(error.to_string().contains("dataLogDir"), "{error}");
}

#[test]
fn parts_of_two_stores_are_not_mixed() {
    let (one, two) = (Machine::new(4096), Machine::new(4096));
    two.fs.unique();
    for machine in [&one, &two] {
        write(&mut machine.open().unwrap().0, 1..=3);
    }
    let mixed = Machine { disk: two.disk.clone(), ..one.clone() };
    assert!(matches!(mixed.open(), Err(StorageError::Mismatch { .. })));
    let segment = &one.segments()[0];
    one.fs.replace(segment, two.fs.contents(segment).unwrap()).unwrap();
    assert!(matches!(one.open(), Err(StorageError::Mismatch { .. })));
}

#[test]
fn an_image_ahead_of_the_log_needs_force_sync_off() {
    let mut machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=10);
    store.image.apply(&mut delta(15)).unwrap();
    store.image.flush().unwrap();
    drop(store);
    assert!(machine.open().unwrap_err().to_string().contains("forceSync"));
    machine.force_sync = false;
    let (mut store, recovered, _) = machine.open().unwrap();
    assert_eq!((recovered.last_zxid, recovered.replayed), (15, 0));
    write(&mut store, 16..=18);
    drop(store);
    machine.force_sync = true;
    let (_, recovered, seen) = machine.open().unwrap();
    assert_eq!((recovered.last_zxid, seen.records.len()), (18, 3));
}

#[test]
fn truncate_takes_the_newest_back() {
    for keep in [0, 1, 7, 23, 39, 40, 99] {
        let machine = Machine::new(4096);
        let (mut store, ..) = machine.open().unwrap();
        write(&mut store, 1..=40);
        store.log.truncate(keep, &store.image).unwrap();
        let kept = keep.min(40);
        assert_eq!(store.log.last_zxid(), kept);
        // Other records follow, as a new leader would send them.
        for zxid in 100..=110 {
            store.log.append(zxid, &payload(zxid)).unwrap();
        }
        store.log.flush().unwrap();
        machine.fs.crash(CrashLuck::Forget);
        machine.disk.crash(0);
        let zxids: Vec<i64> = machine.open().unwrap().2.records.iter().map(|(zxid, _)| *zxid).collect();
        assert_eq!(zxids, (1..=kept).chain(100..=110).collect::<Vec<_>>(), "keep {keep}");
    }
}

#[test]
fn verify_reads_everything_and_changes_nothing() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=40);
    store.image.apply(&mut delta(20)).unwrap();
    store.image.flush().unwrap();
    let check = |machine: &Machine| verify(&machine.fs, &machine.options(), &machine.disk, &mut Seen::default());
    assert!(matches!(check(&machine), Err(StorageError::Locked { .. })));
    drop(store);
    let contents = |machine: &Machine| -> Vec<Vec<u8>> {
        machine.segments().iter().map(|path| machine.fs.contents(path).unwrap()).collect()
    };
    let before = contents(&machine);
    let found = check(&machine).unwrap();
    assert!(found.is_sound(), "{found}");
    assert_eq!(found.image.unwrap().0, 20);
    assert_eq!(found.log.as_ref().unwrap().records, 40);
    assert_eq!(contents(&machine), before);

    // A torn tail is told, and no problem.
    let last = machine.segments().pop().unwrap();
    let file = machine.fs.open(&last, rookeeper_storage::fs::Access::ReadWrite).unwrap();
    let mut bytes = machine.fs.contents(&last).unwrap();
    let end = bytes.iter().rposition(|&b| b != 0).unwrap() + 1;
    file.write_at(b"half a record", end as u64).unwrap();
    let found = check(&machine).unwrap();
    assert!(found.is_sound() && found.to_string().contains("interrupted write"), "{found}");

    // Damage in the middle is a problem, and the image is checked all the same.
    bytes[100] ^= 1;
    machine.fs.replace(&last, bytes).unwrap();
    machine.disk.damage(b"\x02short", Some(b""));
    let found = check(&machine).unwrap();
    assert_eq!(found.problems.len(), 2, "{found}");
    assert!(found.to_string().contains("NOT SOUND"));
}
