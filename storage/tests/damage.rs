//! Bytes that change on disk: refused, or cut where nothing acknowledged can have stood; never wrong data.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::{Machine, payload};
use rookeeper_storage::StorageError;
use rookeeper_storage::fs::Fs;
use rookeeper_storage::tree::Delta;

/// Records of the last group, which the last flush made durable.
const LAST_GROUP: i64 = 3;
const LAST: i64 = 33;

/// A log of several segments, ended by a kill or in order.
fn filled(ended_in_order: bool) -> (Machine, Vec<(PathBuf, Vec<u8>)>) {
    let machine = Machine::new(4096);
    let (store, ..) = machine.open().unwrap();
    fill(machine, store, 0, ended_in_order)
}

/// The same, in files that were used before: behind the records stand those of older segments.
fn filled_again(ended_in_order: bool) -> (Machine, Vec<(PathBuf, Vec<u8>)>, i64) {
    let machine = Machine::new(4096);
    let (mut store, ..) = machine.open().unwrap();
    let mut base = 0;
    // Each round leaves a spare, until the last segment is one whose file was used before and is not full.
    while base < 60 {
        base += 1;
        store.log.append(base, &payload(base)).unwrap();
        store.log.flush().unwrap();
        store.image.apply(&mut Delta::new(base)).unwrap();
        let safe = store.image.flush().unwrap();
        store.log.retire(safe).remove().unwrap();
    }
    let (machine, contents) = fill(machine, store, base, ended_in_order);
    // Flag bit 1 of the header.
    assert!(contents.iter().any(|(_, bytes)| bytes[12] & 2 != 0), "no file was used again");
    (machine, contents, base)
}

fn fill(
    machine: Machine,
    mut store: common::ModelStore,
    base: i64,
    ended_in_order: bool,
) -> (Machine, Vec<(PathBuf, Vec<u8>)>) {
    for zxid in base + 1..=base + LAST {
        store.log.append(zxid, &payload(zxid)).unwrap();
        if (zxid - base) % LAST_GROUP == 0 {
            store.log.flush().unwrap();
        }
    }
    if ended_in_order {
        store.log.close().unwrap();
    }
    machine.fs.kill();
    let contents = machine.segments().into_iter().map(|path| (path.clone(), machine.fs.contents(&path).unwrap()));
    let contents: Vec<_> = contents.collect();
    assert!(contents.len() >= 3);
    (machine, contents)
}

/// Starts with one segment's bytes replaced; tells how many records came, or that the start was refused.
fn start_with(machine: &Machine, contents: &[(PathBuf, Vec<u8>)], index: usize, bytes: Vec<u8>) -> Option<usize> {
    for (path, bytes) in contents {
        // A start removes a last segment that has no header.
        if !machine.fs.exists(path).unwrap() {
            machine.fs.create(path).unwrap();
        }
        machine.fs.replace(path, bytes.clone()).unwrap();
    }
    machine.fs.replace(&contents[index].0, bytes.clone()).unwrap();
    let outcome = machine.open();
    machine.fs.kill();
    match outcome {
        Ok((_, recovered, seen)) => {
            for (n, (zxid, record)) in seen.records.iter().enumerate() {
                assert_eq!((*zxid, record), (recovered.image_zxid + n as i64 + 1, &payload(*zxid)), "wrong data");
            }
            // What is missing was told, except where a whole piece of the file is gone.
            // In a file that was used before, a single torn record may look like the older bytes behind it.
            let used_before = bytes.get(12).is_some_and(|flags| flags & 2 != 0);
            let told = recovered.torn.is_some() || bytes.len() < contents[index].1.len() || used_before;
            assert!(told || seen.records.len() == LAST as usize, "cut without a word");
            Some(seen.records.len())
        }
        Err(error) => {
            let told = error.is_damage() || matches!(error, StorageError::UnknownFormat { .. });
            assert!(told, "{error}");
            assert!(error.to_string().contains(".log") || error.to_string().contains("/log"), "{error}");
            None
        }
    }
}

/// Where the records of a segment end.
fn end_of(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&b| b != 0).unwrap() + 1
}

#[test]
fn every_flipped_byte_is_refused_or_in_the_last_group() {
    let (machine, contents) = filled(false);
    let mut cut = 0;
    for (index, (_, bytes)) in contents.iter().enumerate() {
        let is_last = index + 1 == contents.len();
        for at in 0..end_of(bytes) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            let Some(records) = start_with(&machine, &contents, index, damaged) else { continue };
            assert!(is_last, "segment {index} offset {at}: {records} records");
            assert!(records >= (LAST - LAST_GROUP) as usize, "offset {at}: {records} records");
            cut += usize::from(records < LAST as usize);
        }
    }
    assert!(cut > 100, "the last group was to be cut");
}

#[test]
fn after_an_end_in_order_every_record_is_protected() {
    let (machine, contents) = filled(true);
    for (index, (_, bytes)) in contents.iter().enumerate() {
        let is_last = index + 1 == contents.len();
        for at in 0..end_of(bytes) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            let came = start_with(&machine, &contents, index, damaged);
            // Only the mark itself can go: 32 bytes at the end.
            let in_mark = is_last && at >= end_of(bytes) - 32;
            assert!(came.is_none() || in_mark && came == Some(LAST as usize), "segment {index} offset {at}: {came:?}");
        }
    }
}

#[test]
fn files_that_were_used_before_are_as_safe() {
    for ended_in_order in [false, true] {
        let (machine, contents, base) = filled_again(ended_in_order);
        let (_, _, seen) = machine.open().unwrap();
        assert_eq!(seen.records.len() as i64, LAST);
        drop(seen);
        machine.fs.kill();
        for (index, (_, bytes)) in contents.iter().enumerate() {
            let is_last = index + 1 == contents.len();
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x41;
                let came = start_with(&machine, &contents, index, damaged);
                let enough = if ended_in_order { LAST } else { LAST - LAST_GROUP };
                let Some(came) = came else { continue };
                assert!(came as i64 >= if is_last { enough } else { LAST }, "segment {index} offset {at} of {base}");
            }
        }
    }
}

#[test]
fn zeroed_sectors_and_shortened_files_are_refused_or_in_the_last_group() {
    let (machine, contents) = filled(false);
    for (index, (_, bytes)) in contents.iter().enumerate() {
        let is_last = index + 1 == contents.len();
        let check = |damaged: Vec<u8>, what: &str| {
            // A last segment that was cut short at a group's end is a whole log again, unless a later one is there.
            if let Some(records) = start_with(&machine, &contents, index, damaged) {
                assert!(is_last, "segment {index} {what}: {records} records");
                assert!(records >= (LAST - LAST_GROUP) as usize || what.starts_with("cut"), "{what}: {records}");
            }
        };
        for sector in 0..bytes.len().div_ceil(512) {
            let mut damaged = bytes.clone();
            let end = damaged.len().min((sector + 1) * 512);
            if damaged[sector * 512..end].iter().all(|&b| b == 0) {
                continue;
            }
            damaged[sector * 512..end].fill(0);
            check(damaged, &format!("zeroed sector {sector}"));
        }
        for len in (0..end_of(bytes)).step_by(7) {
            check(bytes[..len].to_vec(), &format!("cut to {len}"));
        }
    }
}

#[test]
fn junk_behind_a_closed_segment_and_missing_segments_are_refused() {
    let (machine, contents) = filled(false);
    let mut longer = contents[0].1.clone();
    longer.extend_from_slice(b"junk");
    assert_eq!(start_with(&machine, &contents, 0, longer), None);
    let mut zeros = contents[0].1.clone();
    zeros.resize(zeros.len() + 5000, 0);
    assert_eq!(start_with(&machine, &contents, 0, zeros), Some(LAST as usize));

    // A segment in the place of another one.
    assert_eq!(start_with(&machine, &contents, 1, contents[0].1.clone()), None);

    machine.fs.remove(&contents[1].0).unwrap();
    let error = machine.open().unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn stale_records_of_the_same_segment_are_never_read_again() {
    // A group is torn so that its first record is lost and the others stay; then a shorter group is written at the same
    // place, and the machine crashes again. What stayed of the first group must not follow the second.
    for lost in 0..4 {
        let machine = Machine::new(1 << 20);
        let (mut store, ..) = machine.open().unwrap();
        for zxid in 1..=10 {
            store.log.append(zxid, &[1; 600]).unwrap();
        }
        store.log.flush().unwrap();
        let before = machine.fs.contents(&machine.segments()[0]).unwrap();
        for zxid in 11..=20 {
            store.log.append(zxid, &[2; 600]).unwrap();
        }
        store.log.flush().unwrap();
        machine.fs.kill();
        let mut torn = machine.fs.contents(&machine.segments()[0]).unwrap();
        let start = end_of(&before) + lost * 632;
        torn[start..start + 512].fill(0);
        machine.fs.replace(&machine.segments()[0], torn).unwrap();

        let (mut store, recovered, seen) = machine.open().unwrap();
        assert_eq!(seen.records.len(), 10 + lost);
        assert!(recovered.torn.is_some());
        let next = store.log.last_zxid() + 1;
        store.log.append(next, &[3; 600]).unwrap();
        store.log.flush().unwrap();
        machine.fs.kill();
        let (_, _, seen) = machine.open().unwrap();
        assert_eq!(seen.records.len(), 11 + lost);
        assert_eq!(seen.records[10 + lost].1, [3; 600]);
    }
}

#[test]
fn damage_in_the_image_is_refused() {
    let machine = Machine::new(4096);
    drop(machine.open().unwrap());
    let keys: [(&[u8], Option<&[u8]>); 7] = [
        (b"\x00format", Some(&[2, 0, 0, 0])),
        (b"\x00format", Some(b"x")),
        (b"\x00zxid", None),
        (b"\x00store", Some(&[0; 8])),
        (b"\x02id", Some(&[0; 4])),
        (b"\x02\0\0\0\0\0\0\0\x01", Some(&[0; 3])),
        (b"\x03no slash", Some(b"x")),
    ];
    for (key, value) in keys {
        let good = machine.disk.clone();
        let fresh = Machine::new(4096);
        drop(fresh.open().unwrap());
        drop(good);
        fresh.disk.damage(key, value);
        let error = fresh.open().unwrap_err();
        assert!(!matches!(error, StorageError::Io { .. } | StorageError::Kv { .. }), "{error}");
    }
}
