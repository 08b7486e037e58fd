//! A snapshot handed out by one store and taken in by another.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Machine, ModelStore, Seen, delta, payload, write};
use rookeeper_storage::fs::{CrashLuck, Fs, ModelFs};
use rookeeper_storage::kv::model::{ModelDisk, ModelKv};
use rookeeper_storage::tree::{Delta, ImageEntry};
use rookeeper_storage::verify::verify;
use rookeeper_storage::{Epochs, Received, StorageError, Transfer, replay};

/// Adds an entry to a part of a snapshot.
fn add(part: &mut Delta, entry: ImageEntry<'_>) {
    match entry {
        ImageEntry::Blob { name, bytes } => part.put_blob(name, bytes),
        ImageEntry::Session { id, timeout_ms } => part.put_session(id, timeout_ms),
        ImageEntry::Znode { path, record } => part.put_znode(path, record).unwrap(),
    }
}

/// Carries a snapshot over in pieces of about `bytes_max` bytes.
fn carry(
    transfer: &mut Transfer<'_, ModelFs, ModelKv>,
    learner: &ModelStore,
    bytes_max: usize,
) -> Received<ModelFs, ModelDisk> {
    let receiving = learner.installer.begin(&learner.log).unwrap();
    let mut part = Delta::default();
    loop {
        part.restart(0);
        let more = transfer
            .next_piece(bytes_max, &mut |entry| {
                add(&mut part, entry);
                Ok(())
            })
            .unwrap();
        // The last entry may pass the bound: a znode here has at most 740 bytes.
        assert!(part.size_bytes() < bytes_max + 800);
        receiving.add(&part).unwrap();
        if !more {
            return receiving.complete(transfer.zxid(), &learner.log).unwrap();
        }
    }
}

/// A store with znodes up to `image`, and records up to `last`.
fn filled(image: i64, last: i64) -> (Machine, ModelStore) {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=last);
    for zxid in 1..=image {
        store.image.apply(&mut delta(zxid)).unwrap();
    }
    (machine, store)
}

fn znodes(seen: &Seen) -> BTreeMap<&str, &[u8]> {
    seen.znodes.iter().map(|(path, record)| (path.as_str(), record.as_slice())).collect()
}

#[test]
fn a_learner_gets_the_snapshot_and_what_follows_it() {
    for bytes_max in [1, 300, 5000, 1 << 20] {
        let (_, mut leader) = filled(50, 60);
        let machine = Machine::new(4096);
        let (mut learner, ..) = machine.open().unwrap();
        // What the learner has is another history.
        for zxid in 1000..=1040 {
            learner.log.append(zxid, &payload(zxid)).unwrap();
        }
        learner.log.flush().unwrap();
        learner.image.apply(&mut delta(1010)).unwrap();
        learner.epochs.set(Epochs { accepted: 4, current: 3 }).unwrap();

        let mut transfer = leader.image.transfer(&leader.log.history(), 1).unwrap();
        assert_eq!(transfer.zxid(), 50);
        // The image moves on, and the log is purged as far as it may be.
        for zxid in 51..=60 {
            leader.image.apply(&mut delta(zxid)).unwrap();
        }
        let safe = leader.image.flush().unwrap();
        leader.log.retire(safe).remove().unwrap();
        let mut surveyed = 0;
        let counts = transfer
            .survey(&mut |_| {
                surveyed += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!((counts.znodes, counts.sessions, surveyed), (51, 50, 51 + 50 + 1));
        let mut received = carry(&mut transfer, &learner, bytes_max);
        assert_eq!(transfer.counts(), counts);
        let mut reader = transfer.finish().read_after(50).unwrap();
        assert_eq!(reader.last_zxid(), 50);
        while let Some(piece) = reader.next_piece(60, bytes_max).unwrap() {
            for (zxid, record) in piece.iter() {
                received.append(zxid, record).unwrap();
            }
        }
        assert_eq!(received.last_zxid(), 60);
        received.switch(&mut learner.log, &mut learner.image).unwrap();
        assert_eq!((learner.image.zxid(), learner.log.last_zxid(), learner.log.begins_after()), (50, 60, 50));
        assert_eq!(machine.segments().len(), 1);
        // What came after the snapshot is not known to be committed.
        let refused = learner.image.apply(&mut delta(51)).unwrap_err();
        assert!(matches!(refused, StorageError::NotCommitted { zxid: 51, committed: 50 }), "{refused}");
        learner.image.set_committed(55);
        learner.image.apply(&mut delta(55)).unwrap();
        write(&mut learner, 61..=70);

        let check = |seen: &Seen| {
            assert_eq!(znodes(seen).len(), 52);
            assert!((1..=50).chain([55]).all(|zxid| seen.znodes[&format!("/n{zxid}")] == payload(zxid)));
            assert_eq!(seen.sessions.len(), 51);
            let records: Vec<_> = (56..=70).map(|zxid| (zxid, payload(zxid))).collect();
            assert_eq!((seen.image_zxid, &seen.records), (Some(55), &records));
        };
        let mut seen = Seen::default();
        assert_eq!(replay(&learner.image, &learner.log.history(), &mut seen).unwrap(), 70);
        check(&seen);
        learner.image.flush().unwrap();
        drop(learner);
        machine.crash(CrashLuck::Forget, 0);
        let (learner, recovered, seen) = machine.open().unwrap();
        check(&seen);
        assert_eq!(recovered.epochs, Some(Epochs { accepted: 4, current: 3 }));
        // No folder is left of the image before.
        assert!(!machine.fs.exists(Path::new("/data/rookeeper/image")).unwrap());
        assert!(machine.fs.exists(Path::new("/data/rookeeper/image-1")).unwrap());
        drop(learner);
    }
}

#[test]
fn snapshots_follow_each_other() {
    let (_, leader) = filled(20, 20);
    let machine = Machine::new(4096);
    let (mut learner, ..) = machine.open().unwrap();
    for round in 1..=5 {
        let mut transfer = leader.image.transfer(&leader.log.history(), 1).unwrap();
        let received = carry(&mut transfer, &learner, 4000);
        received.switch(&mut learner.log, &mut learner.image).unwrap();
        let folders = machine.fs.list(Path::new("/data/rookeeper")).unwrap();
        let images: Vec<_> = folders.into_iter().filter(|name| name.starts_with("image")).collect();
        assert_eq!(images, [format!("image-{round}")]);
        write(&mut learner, 21..=30);
        drop(learner);
        let (again, recovered, seen) = machine.open().unwrap();
        assert_eq!((recovered.image_zxid, recovered.last_zxid, seen.records.len()), (20, 30, 10));
        learner = again;
    }
}

#[test]
fn a_snapshot_that_is_given_up_leaves_everything_as_it_was() {
    let (_, leader) = filled(20, 20);
    let (machine, mut learner) = filled(5, 8);
    let before = || (machine.fs.list(Path::new("/data/rookeeper")).unwrap(), machine.segments());
    let unchanged = before();
    let mut transfer = leader.image.transfer(&leader.log.history(), 9).unwrap();
    let mut received = carry(&mut transfer, &learner, 4000);
    received.append(21, b"after").unwrap();
    assert_ne!(before(), unchanged);
    received.discard().unwrap();
    assert_eq!(before(), unchanged);
    learner.installer.begin(&learner.log).unwrap().discard().unwrap();
    assert_eq!(before(), unchanged);

    // Not even given up: the next one begins afresh, and so does a start, and a check tells what is left.
    let mut transfer = leader.image.transfer(&leader.log.history(), 9).unwrap();
    drop(carry(&mut transfer, &learner, 4000));
    let mut transfer = leader.image.transfer(&leader.log.history(), 9).unwrap();
    drop(carry(&mut transfer, &learner, 4000));
    write(&mut learner, 9..=12);
    assert_eq!(learner.image.zxid(), 5);
    learner.image.flush().unwrap();
    drop(learner);
    machine.fs.create(Path::new("/data/rookeeper/FORMAT.new")).unwrap();
    let found = verify(&machine.fs, &machine.options(), &machine.disk, &mut Seen::default()).unwrap();
    assert!(found.is_sound(), "{found}");
    let left: Vec<_> = found.left_over.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(left, ["0000000000000002.new", "image-1", "FORMAT.new"]);
    assert!(found.to_string().contains("image-1, removed by the next start"), "{found}");
    let (store, recovered, _) = machine.open().unwrap();
    assert_eq!((recovered.image_zxid, recovered.last_zxid), (5, 12));
    drop(store);
    let found = verify(&machine.fs, &machine.options(), &machine.disk, &mut Seen::default()).unwrap();
    assert_eq!(found.left_over, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_log_that_went_on_is_not_replaced() {
    let (_, leader) = filled(20, 20);
    let (machine, mut learner) = filled(5, 8);
    let mut transfer = leader.image.transfer(&leader.log.history(), 1).unwrap();
    let received = carry(&mut transfer, &learner, 4000);
    write(&mut learner, 9..=9);
    let refused = received.switch(&mut learner.log, &mut learner.image).unwrap_err();
    assert!(matches!(refused, StorageError::LogMoved { last: 9 }), "{refused}");
    assert!(learner.log.failure().is_none());
    // The image is as usable as the log.
    learner.image.apply(&mut delta(9)).unwrap();
    learner.image.flush().unwrap();
    drop(learner);
    machine.crash(CrashLuck::Forget, 0);
    let (_, recovered, _) = machine.open().unwrap();
    assert_eq!((recovered.image_zxid, recovered.last_zxid), (9, 9));
}

#[test]
fn transfers_are_limited() {
    let (_, leader) = filled(20, 20);
    let history = leader.log.history();
    let transfers: Vec<_> = (0..3).map(|_| leader.image.transfer(&history, 3).unwrap()).collect();
    let refused = leader.image.transfer(&history, 3).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StorageError::TooManyTransfers { limit: 3 }), "{refused}");
    // One that must not wait is not counted against a limit, but counts.
    let urgent = leader.image.transfer(&history, usize::MAX).unwrap();
    drop(transfers);
    drop(leader.image.transfer(&history, 2).unwrap());
    assert!(leader.image.transfer(&history, 1).is_err());
    drop(urgent.finish());
    leader.image.transfer(&history, 1).unwrap();
}

#[test]
fn the_image_follows_only_what_is_committed_and_the_log_is_not_cut_before_it() {
    let (machine, mut store) = filled(0, 30);
    store.image.apply(&mut delta(20)).unwrap();
    store.image.flush().unwrap();
    let refused = store.log.truncate(19, &store.image).unwrap_err();
    assert!(matches!(refused, StorageError::ImageAhead { keep: 19, image: 20 }), "{refused}");
    drop(store);

    // As a member opens it: nothing behind the image is known to be committed.
    let mut seen = Seen::default();
    let (mut store, recovered) =
        rookeeper_storage::Store::open(&machine.fs, &machine.options(), &machine.disk, &mut seen).unwrap();
    assert_eq!((recovered.image_zxid, recovered.last_zxid, seen.records.len()), (20, 30, 10));
    let refused = store.image.apply(&mut delta(21)).unwrap_err();
    assert!(matches!(refused, StorageError::NotCommitted { zxid: 21, committed: 20 }), "{refused}");
    store.image.set_committed(25);
    store.image.set_committed(22);
    store.image.apply(&mut delta(25)).unwrap();
    assert!(store.image.apply(&mut delta(26)).is_err());
    // The rest was never committed.
    store.log.truncate(27, &store.image).unwrap();
    let mut seen = Seen::default();
    assert_eq!(replay(&store.image, &store.log.history(), &mut seen).unwrap(), 27);
    assert_eq!(seen.records.iter().map(|(zxid, _)| *zxid).collect::<Vec<_>>(), [26, 27]);
}

#[test]
fn epochs_are_kept_and_never_go_back() {
    let mut machine = Machine::new(4096);
    let (mut store, recovered, _) = machine.open().unwrap();
    assert_eq!((recovered.epochs, store.epochs.get()), (None, None));
    store.epochs.set(Epochs { accepted: 3, current: 2 }).unwrap();
    for (accepted, current) in [(2, 2), (3, 1), (3, 4), (0, 0)] {
        let refused = store.epochs.set(Epochs { accepted, current }).unwrap_err();
        assert!(matches!(refused, StorageError::BadEpochs { .. }), "{refused}");
    }
    // The same again costs no write.
    let flushes = machine.fs.flushes();
    store.epochs.set(Epochs { accepted: 3, current: 2 }).unwrap();
    assert_eq!(machine.fs.flushes(), flushes);
    drop(store);
    machine.crash(CrashLuck::Forget, 0);

    // No server was told until now: the next one owns the folder.
    machine.server = Some(7);
    let (mut store, recovered, _) = machine.open().unwrap();
    assert_eq!(recovered.epochs, Some(Epochs { accepted: 3, current: 2 }));
    store.epochs.set(Epochs { accepted: 3, current: 3 }).unwrap();
    drop(store);
    machine.server = Some(8);
    let refused = machine.open().unwrap_err();
    assert!(matches!(refused, StorageError::OtherServer { found: 7, asked: 8, .. }), "{refused}");
    assert!(refused.to_string().contains("myid"), "{refused}");
    let found = verify(&machine.fs, &machine.options(), &machine.disk, &mut Seen::default()).unwrap();
    assert!(found.problems.len() == 1 && found.to_string().contains("server 7, accepted epoch 3, current epoch 3"));

    // Whoever does not ask may read it, and the owner stays.
    machine.server = None;
    let (mut store, ..) = machine.open().unwrap();
    store.epochs.set(Epochs { accepted: 9, current: 3 }).unwrap();
    drop(store);
    machine.server = Some(8);
    assert!(machine.open().is_err());

    // A folder that a member made is its own from the beginning.
    let mut fresh = Machine { server: Some(1), ..Machine::new(4096) };
    assert_eq!(fresh.open().unwrap().1.epochs, Some(Epochs::default()));
    fresh.server = Some(2);
    assert!(matches!(fresh.open(), Err(StorageError::OtherServer { found: 1, asked: 2, .. })));
}

#[test]
fn an_image_that_the_log_does_not_name_is_not_taken_for_it() {
    let (_, leader) = filled(20, 20);
    let (machine, mut learner) = filled(5, 8);
    learner.image.flush().unwrap();
    let old_log: Vec<_> = machine.segments().into_iter().map(|p| (machine.fs.contents(&p).unwrap(), p)).collect();
    let mut transfer = leader.image.transfer(&leader.log.history(), 1).unwrap();
    let received = carry(&mut transfer, &learner, 4000);
    received.switch(&mut learner.log, &mut learner.image).unwrap();
    drop(learner);
    // The log's disk is restored from a backup made before the snapshot.
    for path in machine.segments() {
        machine.fs.remove(&path).unwrap();
    }
    for (bytes, path) in old_log {
        machine.fs.create(&path).unwrap();
        machine.fs.replace(&path, bytes).unwrap();
    }
    let refused = machine.open().unwrap_err();
    assert!(matches!(refused, StorageError::Mismatch { .. }), "{refused}");
    let found = verify(&machine.fs, &machine.options(), &machine.disk, &mut Seen::default()).unwrap();
    assert!(!found.is_sound());
    // It is still there.
    assert!(machine.fs.exists(Path::new("/data/rookeeper/image-1")).unwrap());
}

#[test]
fn data_are_unknown_until_a_leader_has_filled_them_or_somebody_vouches_for_them() {
    let mut machine = Machine { server: Some(1), distrusts_empty: true, ..Machine::new(4096) };
    for _ in 0..2 {
        let (mut store, recovered, _) = machine.open().unwrap();
        assert!(recovered.data_unknown && store.epochs.data_unknown());
        // A promise says nothing of the data.
        store.epochs.set(Epochs { accepted: 1, current: 0 }).unwrap();
        drop(store);
        machine.crash(CrashLuck::Forget, 0);
    }
    machine.distrusts_empty = false;
    assert!(!machine.open().unwrap().1.data_unknown);
    machine.crash(CrashLuck::Forget, 0);
    machine.distrusts_empty = true;
    let (_, recovered, _) = machine.open().unwrap();
    assert_eq!((recovered.data_unknown, recovered.epochs), (false, Some(Epochs { accepted: 1, current: 0 })));

    let filled = Machine { server: Some(1), distrusts_empty: true, ..Machine::new(4096) };
    let (mut store, ..) = filled.open().unwrap();
    store.epochs.set(Epochs { accepted: 1, current: 1 }).unwrap();
    drop(store);
    filled.crash(CrashLuck::Forget, 0);
    assert!(!filled.open().unwrap().1.data_unknown);
    // Who has no part in elections need not ask.
    let alone = Machine { distrusts_empty: true, ..Machine::new(4096) };
    assert!(!alone.open().unwrap().1.data_unknown);
}
