//! The log read while it is written, purged, truncated and replaced.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Machine, ModelStore, payload, write};
use rookeeper_storage::StorageError;
use rookeeper_storage::fs::ModelFs;
use rookeeper_storage::log::{HistoryReader, INDEX_STEP_BYTES};
use rookeeper_storage::tree::Delta;

/// Everything that a reader gives at present, in pieces of a few records.
fn read(reader: &mut HistoryReader<ModelFs>) -> Vec<i64> {
    let mut zxids = Vec::new();
    while let Some(piece) = reader.next_piece(i64::MAX, 1000).unwrap() {
        assert_eq!(piece.len(), piece.iter().count());
        for (zxid, record) in piece.iter() {
            assert_eq!(record, payload(zxid));
            zxids.push(zxid);
        }
        assert_eq!(piece.last_zxid(), zxids.last().copied());
    }
    zxids
}

fn zxids(range: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    range.collect()
}

/// Makes the image durable at `zxid`, and the log forget what is before.
fn purge(store: &mut ModelStore, zxid: i64) -> usize {
    store.image.apply(&mut Delta::new(zxid)).unwrap();
    let safe = store.image.flush().unwrap();
    store.log.retire(safe).remove().unwrap()
}

#[test]
fn only_what_is_flushed_is_read_and_later_the_rest() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=30);
    let history = store.log.history();
    let mut reader = history.read_after(17).unwrap();
    store.log.append(31, &payload(31)).unwrap();
    assert_eq!(history.last_zxid(), 30);
    assert_eq!(read(&mut reader), zxids(18..=30));
    assert_eq!(read(&mut reader), []);
    store.log.flush().unwrap();
    assert_eq!((history.last_zxid(), read(&mut reader)), (31, vec![31]));
    // Over the ends of segments.
    write(&mut store, 32..=90);
    assert!(machine.segments().len() > 5);
    assert_eq!(read(&mut reader), zxids(32..=90));
    for after in 0..=90 {
        assert_eq!(read(&mut history.read_after(after).unwrap()), zxids(after + 1..=90));
    }
    // A start knows the same.
    drop(reader);
    drop(store);
    let (store, ..) = machine.open().unwrap();
    for after in 0..=90 {
        assert_eq!(read(&mut store.log.history().read_after(after).unwrap()), zxids(after + 1..=90));
    }
}

#[test]
fn pieces_are_bounded_and_end_where_they_are_told() {
    let machine = Machine::new(64 << 10);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=100);
    let mut reader = store.log.history().read_after(0).unwrap();
    let (mut count, mut last) = (0, 0);
    while let Some(piece) = reader.next_piece(70, 2000).unwrap() {
        // One record more than fits, the longest of which has 740 bytes.
        let bytes: usize = piece.iter().map(|(_, record)| record.len()).sum();
        assert!(bytes < 2000 + 740 && piece.log_bytes() == (bytes + 32 * piece.len()) as u64);
        count += 1;
        last = piece.last_zxid().unwrap();
    }
    assert!(last == 70 && count > 10, "{count} pieces up to {last}");
    // A single record is never too long.
    assert_eq!(reader.next_piece(80, 0).unwrap().unwrap().len(), 1);
    assert_eq!(reader.next_piece(80, usize::MAX).unwrap().unwrap().last_zxid(), Some(80));
    assert_eq!(reader.next_piece(80, usize::MAX).unwrap(), None);
    assert_eq!(reader.last_zxid(), 80);
}

#[test]
fn a_reader_tells_where_a_learner_left_the_history() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    for zxid in (10..=900).step_by(10) {
        store.log.append(zxid, &payload(zxid)).unwrap();
        store.log.flush().unwrap();
    }
    let history = store.log.history();
    for asked in 0..=905 {
        let reader = history.read_after(asked).unwrap();
        assert_eq!(reader.last_zxid(), asked / 10 * 10, "asked for {asked}");
    }
}

#[test]
fn what_is_held_is_not_purged() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=100);
    let history = store.log.history();
    let (early, late) = (history.hold_after(20).unwrap(), history.hold_after(60).unwrap());
    let all = machine.segments().len();
    let first = purge(&mut store, 100);
    assert!(first > 0 && history.begins_after() <= 20, "{first} of {all}");
    assert_eq!(purge(&mut store, 100), 0);

    // A reader lets go of what it has read.
    let mut reader = early.read_after(25).unwrap();
    assert_eq!(reader.next_piece(40, usize::MAX).unwrap().unwrap().last_zxid(), Some(40));
    let second = purge(&mut store, 100);
    assert!(second > 0 && (21..=40).contains(&history.begins_after()), "{}", history.begins_after());
    assert_eq!(read(&mut reader), zxids(41..=100));
    purge(&mut store, 100);
    assert!((41..=60).contains(&history.begins_after()), "{}", history.begins_after());
    let asked_too_late = late.read_after(history.begins_after() - 1).unwrap_err();
    assert!(matches!(asked_too_late, StorageError::NotInLog { .. }), "{asked_too_late}");
    // That hold is gone with the refusal, the reader stands at the end.
    purge(&mut store, 100);
    assert!(machine.segments().len() == 1 && history.begins_after() > 60);
    assert!(matches!(history.hold_after(60), Err(StorageError::NotInLog { asked: 60, .. })));
    assert!(matches!(history.read_after(60), Err(StorageError::NotInLog { asked: 60, .. })));
    write(&mut store, 101..=140);
    assert_eq!(read(&mut reader), zxids(101..=140));
}

#[test]
fn a_hold_that_advances_lets_go() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=100);
    let history = store.log.history();
    let mut hold = history.hold_after(0).unwrap();
    assert_eq!(purge(&mut store, 100), 0);
    hold.advance(50).unwrap();
    // Never back.
    hold.advance(10).unwrap();
    purge(&mut store, 100);
    assert!((41..=50).contains(&history.begins_after()), "{}", history.begins_after());
    assert!(matches!(hold.advance(10), Err(StorageError::NotInLog { asked: 10, .. })));
    drop(hold);
    purge(&mut store, 100);
    assert!(history.begins_after() > 50);
}

#[test]
fn records_that_are_taken_back_end_all_reading() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=60);
    let history = store.log.history();
    let mut reader = history.read_after(10).unwrap();
    assert_eq!(reader.next_piece(i64::MAX, 1).unwrap().unwrap().last_zxid(), Some(11));
    let (hold, mut other) = (history.hold_after(10).unwrap(), history.hold_after(10).unwrap());
    store.log.truncate(40, &store.image).unwrap();
    let replaced = |error: StorageError| assert!(matches!(error, StorageError::LogReplaced { .. }), "{error}");
    replaced(reader.next_piece(i64::MAX, 1).unwrap_err());
    replaced(hold.read_after(10).unwrap_err());
    replaced(other.advance(20).unwrap_err());
    // Dropped, these do not let go of what others hold since.
    let kept = history.hold_after(0).unwrap();
    drop((reader, other));
    assert_eq!(purge(&mut store, 40), 0);
    drop(kept);

    // Other records stand where the old ones were, and only those are read.
    for zxid in 100..=130 {
        store.log.append(zxid, &payload(zxid)).unwrap();
    }
    store.log.flush().unwrap();
    assert_eq!(history.last_zxid(), 130);
    let expected: Vec<_> = (31..=40).chain(100..=130).collect();
    assert_eq!(read(&mut history.read_after(30).unwrap()), expected);
    assert_eq!(history.read_after(50).unwrap().last_zxid(), 40);
}

#[test]
fn bytes_are_told_without_reading() {
    let machine = Machine::new(8 << 20);
    let (mut store, ..) = machine.open().unwrap();
    const COUNT: i64 = 40_000;
    for zxid in 1..=COUNT {
        store.log.append(zxid, &payload(zxid)).unwrap();
        if zxid % 10 == 0 {
            store.log.flush().unwrap();
        }
    }
    let check = |store: &ModelStore| {
        let history = store.log.history();
        for after in (0..=COUNT).step_by(797) {
            let records: u64 = (after + 1..=COUNT).map(|zxid| 32 + payload(zxid).len() as u64).sum();
            let told = history.bytes_after(after);
            // Ten records are flushed at once; marks of earlier starts may count too.
            let most = records + INDEX_STEP_BYTES + 10 * 772 + 64;
            assert!((records..=most).contains(&told), "after {after}: {told} of {records}");
        }
        assert_eq!(history.bytes_after(COUNT), 0);
    };
    check(&store);
    drop(store);
    assert!(machine.segments().len() > 1);
    check(&machine.open().unwrap().0);
}

#[test]
fn places_that_were_cut_are_forgotten() {
    let machine = Machine::new(64 << 20);
    let (mut store, ..) = machine.open().unwrap();
    // Some MiB in one segment, then shorter records over the most of them.
    for zxid in 1..=12_000 {
        store.log.append(zxid, &payload(zxid)).unwrap();
        if zxid % 10 == 0 {
            store.log.flush().unwrap();
        }
    }
    store.log.truncate(2005, &store.image).unwrap();
    for zxid in (20_000..40_000).step_by(7) {
        store.log.append(zxid, &payload(zxid)).unwrap();
        store.log.flush().unwrap();
    }
    let history = store.log.history();
    for after in [1000, 2005, 9000, 20_000, 25_003, 39_000] {
        let expected: Vec<i64> = (after + 1..=2005).chain((20_000..40_000).step_by(7)).filter(|z| *z > after).collect();
        assert_eq!(read(&mut history.read_after(after).unwrap()), expected, "after {after}");
    }
}

#[test]
fn readers_of_other_threads_see_every_record_once() {
    const LAST: i64 = 3000;
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=1);
    let history = store.log.history();
    std::thread::scope(|scope| {
        for pieces in [1, 500, 100_000] {
            // Held before the writer goes on: nothing after it can be purged.
            let mut reader = history.read_after(1).unwrap();
            scope.spawn(move || {
                let mut expected = 2;
                while expected <= LAST {
                    let Some(piece) = reader.next_piece(i64::MAX, pieces).unwrap() else {
                        std::thread::yield_now();
                        continue;
                    };
                    for (zxid, record) in piece.iter() {
                        assert_eq!((zxid, record), (expected, &*payload(expected)));
                        expected += 1;
                    }
                }
            });
        }
        for zxid in 2..=LAST {
            write(&mut store, zxid..=zxid);
            if zxid % 100 == 0 {
                purge(&mut store, zxid);
            }
        }
    });
    purge(&mut store, LAST);
    assert_eq!(machine.segments().len(), 1);
}

#[test]
fn no_reader_mixes_what_was_taken_back_with_what_took_its_place() {
    const ROUNDS: i64 = 300;
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=10);
    let history = store.log.history();
    let ended = std::sync::atomic::AtomicBool::new(false);
    let (whole, broken) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut whole, mut broken) = (0, 0);
            while !ended.load(std::sync::atomic::Ordering::Acquire) || whole == 0 || broken == 0 {
                let mut rounds = std::collections::BTreeSet::new();
                let read = (|| {
                    let mut reader = history.read_after(10)?;
                    while let Some(piece) = reader.next_piece(i64::MAX, 700)? {
                        rounds.extend(piece.iter().map(|(_, record)| record[..8].to_vec()));
                    }
                    Ok(())
                })();
                match read {
                    Ok(()) => whole += 1,
                    Err(StorageError::LogReplaced { .. }) => broken += 1,
                    Err(other) => panic!("{other}"),
                }
                assert!(rounds.len() <= 1, "records of several rounds: {rounds:?}");
            }
            (whole, broken)
        });
        let mut round = 0;
        // Until the reader has seen both, however the threads are scheduled.
        while round < ROUNDS || !reader.is_finished() {
            round += 1;
            for zxid in 11..=40 {
                let mut record = payload(zxid);
                record[..8].copy_from_slice(&round.to_le_bytes());
                store.log.append(zxid, &record).unwrap();
                store.log.flush().unwrap();
            }
            ended.store(round >= ROUNDS, std::sync::atomic::Ordering::Release);
            store.log.truncate(10, &store.image).unwrap();
        }
        reader.join().unwrap()
    });
    assert!(whole > 0 && broken > 0);
}

#[test]
fn damage_is_told_where_it_is_read() {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    write(&mut store, 1..=30);
    let history = store.log.history();
    let path = &machine.segments()[1];
    let mut bytes = machine.fs.contents(path).unwrap();
    bytes[400] ^= 1;
    machine.fs.replace(path, bytes).unwrap();
    let mut reader = history.read_after(0).unwrap();
    let error = loop {
        match reader.next_piece(i64::MAX, 1) {
            Ok(piece) => assert!(piece.is_some(), "the damage was passed over"),
            Err(error) => break error,
        }
    };
    assert!(error.is_damage() && error.to_string().contains("0000000000000002.log"), "{error}");
}
