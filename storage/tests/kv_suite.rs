//! One suite over every key-value store behind the seam: the double, and RocksDB.

#![allow(clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::Rng;
use rookeeper_storage::kv::model::{ModelDisk, ModelKv};
use rookeeper_storage::kv::{Batch, Kv, KvEngine, KvSnapshot};

/// A disk on which a store lies, and which can crash.
trait Place {
    type Kv: Kv;
    fn open(&self) -> Self::Kv;
    /// The process that has `kv` open dies without another word.
    fn crash(&mut self, kv: Self::Kv);
}

struct Model(ModelDisk, Rng);

impl Place for Model {
    type Kv = ModelKv;

    fn open(&self) -> ModelKv {
        self.0.open(Path::new("/image")).unwrap()
    }

    fn crash(&mut self, _kv: ModelKv) {
        let kept = self.1.next();
        self.0.crash(kept);
    }
}

fn put(batch: &mut Batch, key: &str, value: &[u8]) {
    batch.put(|out| out.extend_from_slice(key.as_bytes()), value);
}

fn delete(batch: &mut Batch, key: &str) {
    batch.delete(|out| out.extend_from_slice(key.as_bytes()));
}

fn all(view: &impl KvSnapshot, from: &str, to: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    view.scan(from.as_bytes()..to.as_bytes(), 1 << 30, &mut |key, value| {
        found.push((String::from_utf8(key.to_vec())?, value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

fn batches_apply_in_order_and_scans_keep_to_their_range<P: Place>(place: &mut P) {
    let kv = place.open();
    let mut batch = Batch::default();
    for key in ["b", "a", "d", "c", "aa"] {
        put(&mut batch, key, key.as_bytes());
    }
    put(&mut batch, "gone", b"x");
    delete(&mut batch, "gone");
    delete(&mut batch, "back");
    put(&mut batch, "back", b"y");
    put(&mut batch, "empty", b"");
    kv.write(&batch).unwrap();
    assert_eq!(kv.get(b"gone").unwrap(), None);
    assert_eq!(kv.get(b"back").unwrap(), Some(b"y".to_vec()));
    assert_eq!(kv.get(b"empty").unwrap(), Some(vec![]));
    for flushed in [false, true] {
        let keys: Vec<_> = all(&kv.snapshot(), "a", "c").into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "aa", "b", "back"], "flushed: {flushed}");
        kv.flush().unwrap();
    }
    assert!(kv.usage().disk_bytes > 0);
    // The visitor's error ends the scan and comes back.
    let mut seen = 0;
    let error = kv.snapshot().scan(b"a".as_slice()..b"z".as_slice(), 0, &mut |_, _| {
        seen += 1;
        Err("enough".into())
    });
    assert!(error.unwrap_err().to_string().contains("enough"));
    assert_eq!(seen, 1);
    let mut batch = Batch::default();
    for (key, _) in all(&kv.snapshot(), "a", "z") {
        delete(&mut batch, &key);
    }
    kv.write(&batch).unwrap();
    assert_eq!(all(&kv.snapshot(), "", "z"), []);
}

fn snapshots_stay<P: Place>(place: &mut P) {
    let kv = place.open();
    let write = |key, value: &[u8]| {
        let mut batch = Batch::default();
        put(&mut batch, key, value);
        kv.write(&batch).unwrap();
    };
    write("s1", b"old");
    let snapshot = kv.snapshot();
    write("s1", b"new");
    write("s2", b"new");
    kv.flush().unwrap();
    assert_eq!(all(&snapshot, "s", "t"), [("s1".to_owned(), b"old".to_vec())]);
    assert_eq!(snapshot.get(b"s2").unwrap(), None);
    assert_eq!(all(&kv.snapshot(), "s", "t").len(), 2);
}

/// What was removed is gone, whole or half or never there, and the folder can be used again.
fn removed_stores_are_gone<E: KvEngine>(engine: &E, dir: &Path, make_dir: impl Fn(&Path)) {
    engine.remove(dir).unwrap();
    for _ in 0..2 {
        make_dir(dir);
        let kv = engine.open(dir).unwrap();
        assert_eq!(kv.get(b"a").unwrap(), None);
        let mut batch = Batch::default();
        put(&mut batch, "a", b"1");
        kv.write(&batch).unwrap();
        kv.flush().unwrap();
        drop(kv);
        engine.remove(dir).unwrap();
        engine.remove(dir).unwrap();
    }
}

/// Every batch sets all keys to its number: after a crash they must agree on one.
fn a_crash_leaves_a_batch_boundary<P: Place>(place: &mut P, rounds: u64, batches: u64, value_bytes: usize) {
    const KEYS: u64 = 16;
    let mut rng = Rng(11);
    let mut number = 0_u64;
    let mut beyond_flush = 0;
    for round in 0..rounds {
        let kv = place.open();
        let mut flushed = number;
        let until = number + 1 + rng.below(batches);
        while number < until {
            number += 1;
            let mut batch = Batch::default();
            for key in 0..KEYS {
                let mut value = number.to_le_bytes().to_vec();
                // Not to be compressed, so that memory fills and RocksDB writes out by itself.
                value.extend((0..value_bytes / 8).flat_map(|_| rng.next().to_le_bytes()));
                put(&mut batch, &format!("k{key}"), &value);
                put(&mut batch, &format!("n{}", number * KEYS + key), &value);
            }
            kv.write(&batch).unwrap();
            if rng.one_in(batches) {
                kv.flush().unwrap();
                flushed = number;
            }
        }
        place.crash(kv);
        let kv = place.open();
        let numbers: Vec<u64> = (0..KEYS)
            .map(|key| kv.get(format!("k{key}").as_bytes()).unwrap())
            .map(|value| value.map_or(0, |value| u64::from_le_bytes(value[..8].try_into().unwrap())))
            .collect();
        assert!(numbers.iter().all(|n| *n == numbers[0]), "round {round}: half a batch: {numbers:?}");
        assert!((flushed..=number).contains(&numbers[0]), "round {round}: {} of {flushed}..={number}", numbers[0]);
        let next = format!("n{}", (numbers[0] + 1) * KEYS);
        assert_eq!(kv.get(next.as_bytes()).unwrap(), None, "round {round}: a later batch without an earlier one");
        beyond_flush += u64::from(numbers[0] > flushed);
        number = numbers[0];
        place.crash(kv);
    }
    assert!(beyond_flush > 0, "no batch survived without a flush: the test proves nothing");
}

#[test]
fn the_double_keeps_the_rules() {
    let mut place = Model(ModelDisk::new(), Rng(5));
    batches_apply_in_order_and_scans_keep_to_their_range(&mut place);
    snapshots_stay(&mut place);
    removed_stores_are_gone(&place.0, Path::new("/other"), |_| {});
    a_crash_leaves_a_batch_boundary(&mut place, 200, 40, 16);
}

#[cfg(feature = "rocks")]
mod rocks {
    use std::path::PathBuf;

    use rookeeper_storage::kv::rocks::{RocksEngine, RocksKv};

    use super::*;

    struct Rocks {
        dir: tempfile::TempDir,
        lives: u32,
    }

    impl Rocks {
        fn path(&self) -> PathBuf {
            self.dir.path().join(self.lives.to_string())
        }
    }

    impl Place for Rocks {
        type Kv = RocksKv;

        fn open(&self) -> RocksKv {
            RocksEngine::default().open(&self.path()).unwrap()
        }

        /// What a kill leaves is what the files hold at one moment: they are copied away under the open database.
        /// A file that RocksDB removes on the way means that the moment was missed, and the next one is taken.
        fn crash(&mut self, kv: RocksKv) {
            let from = self.path();
            self.lives += 1;
            let copy = |to: PathBuf| -> std::io::Result<()> {
                std::fs::create_dir_all(&to)?;
                // The manifest first: it may only name files that are there when they are copied after it.
                let mut names: Vec<_> =
                    std::fs::read_dir(&from)?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?;
                names.sort_by_key(|name| !(name == "CURRENT" || name.to_string_lossy().starts_with("MANIFEST")));
                for name in names {
                    std::fs::copy(from.join(&name), to.join(&name))?;
                }
                Ok(())
            };
            while copy(self.path()).is_err() {
                std::fs::remove_dir_all(self.path()).unwrap();
            }
            drop(kv);
            std::fs::remove_dir_all(from).unwrap();
        }
    }

    fn place() -> Rocks {
        Rocks { dir: tempfile::tempdir().unwrap(), lives: 0 }
    }

    #[test]
    fn rocksdb_keeps_the_rules() {
        let mut place = place();
        batches_apply_in_order_and_scans_keep_to_their_range(&mut place);
        snapshots_stay(&mut place);
    }

    #[test]
    fn rocksdb_removes_what_is_left() {
        let place = place();
        let dir = place.path();
        removed_stores_are_gone(&RocksEngine::default(), &dir, |dir| std::fs::create_dir_all(dir).unwrap());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        // What an interrupted removal leaves is no database any more.
        drop(place.open());
        std::fs::remove_file(dir.join("CURRENT")).unwrap();
        RocksEngine::default().remove(&dir).unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn rocksdb_leaves_a_batch_boundary() {
        a_crash_leaves_a_batch_boundary(&mut place(), 6, 1500, 600);
    }

    /// On a disk, and in memory, where no file may be written past the kernel's.
    #[test]
    fn rocksdb_is_filled_whatever_it_lies_on() {
        let places = [tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()];
        for dir in places.each_ref().map(|place| place.path().join("image-1")) {
            std::fs::create_dir(&dir).unwrap();
            let kv = RocksEngine::default().open_to_fill(&dir).unwrap();
            let mut batch = Batch::default();
            // More than memory is written out at once.
            (0..20_000).for_each(|number| put(&mut batch, &format!("{number:05}"), &[7; 500]));
            kv.write(&batch).unwrap();
            kv.flush().unwrap();
            drop(kv);
            let kv = RocksEngine::default().open(&dir).unwrap();
            assert_eq!(all(&kv.snapshot(), "0", "9").len(), 20_000);
        }
    }

    #[test]
    fn rocksdb_read_only_changes_nothing_and_creates_nothing() {
        let place = place();
        let read_only = RocksEngine { read_only: true, ..RocksEngine::default() };
        assert!(read_only.open(&place.path()).is_err());
        let kv = place.open();
        let mut batch = Batch::default();
        put(&mut batch, "a", b"1");
        kv.write(&batch).unwrap();
        kv.flush().unwrap();
        drop(kv);
        let kv = read_only.open(&place.path()).unwrap();
        assert_eq!(kv.get(b"a").unwrap(), Some(b"1".to_vec()));
        assert!(kv.write(&batch).is_err());
        // The failure is answered for ever.
        assert!(kv.flush().is_err());
    }
}
