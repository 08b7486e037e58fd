//! What the tests of this package share: an image and a log kept in plain maps.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use rookeeper_storage::error::CallerError;
use rookeeper_storage::fs::{CrashLuck, Fs, ModelFs};
use rookeeper_storage::kv::model::ModelDisk;
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::{Delta, ImageEntry};
use rookeeper_storage::{Recovered, Replay, Result, Store, StoreOptions};

/// Everything that a start handed over.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) znodes: BTreeMap<String, Vec<u8>>,
    /// Paths in the order in which they came.
    pub(crate) order: Vec<String>,
    pub(crate) sessions: BTreeMap<i64, i32>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) image_zxid: Option<i64>,
    pub(crate) records: Vec<(i64, Vec<u8>)>,
}

impl Replay for Seen {
    fn entry(&mut self, entry: ImageEntry<'_>) -> std::result::Result<(), CallerError> {
        match entry {
            ImageEntry::Blob { name, bytes } => drop(self.blobs.insert(name.into(), bytes.into())),
            ImageEntry::Session { id, timeout_ms } => drop(self.sessions.insert(id, timeout_ms)),
            ImageEntry::Znode { path, record } => {
                self.order.push(path.into());
                self.znodes.insert(path.into(), record.into());
            }
        }
        Ok(())
    }

    fn image_end(&mut self, zxid: i64) -> std::result::Result<(), CallerError> {
        self.image_zxid = Some(zxid);
        Ok(())
    }

    fn record(&mut self, zxid: i64, payload: &[u8]) -> std::result::Result<(), CallerError> {
        self.records.push((zxid, payload.into()));
        Ok(())
    }
}

/// A machine with both doubles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    pub(crate) fs: ModelFs,
    pub(crate) disk: ModelDisk,
    pub(crate) force_sync: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) server: Option<i64>,
    /// An empty store does not count as all that there is.
    pub(crate) distrusts_empty: bool,
}

pub(crate) type ModelStore = Store<ModelFs, ModelDisk>;

impl Machine {
    pub(crate) fn new(segment_bytes: u64) -> Self {
        Self { force_sync: true, segment_bytes, ..Self::default() }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            data_dir: PathBuf::from("/data"),
            data_log_dir: PathBuf::from("/log"),
            log: LogOptions { segment_bytes: self.segment_bytes, force_sync: self.force_sync },
            server: self.server,
            trust_empty: !self.distrusts_empty,
        }
    }

    pub(crate) fn open(&self) -> Result<(ModelStore, Recovered, Seen)> {
        let mut seen = Seen::default();
        let (store, recovered) = Store::open(&self.fs, &self.options(), &self.disk, &mut seen)?;
        store.image.set_committed(i64::MAX);
        Ok((store, recovered, seen))
    }

    /// The machine dies and comes back; `kept` says how much of the image's unflushed changes survives.
    pub(crate) fn crash(&self, luck: CrashLuck, kept: u64) {
        self.fs.crash(luck);
        self.disk.crash(kept);
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let dir = PathBuf::from("/log/rookeeper/log");
        self.fs.list(&dir).unwrap().iter().filter(|name| name.ends_with(".log")).map(|name| dir.join(name)).collect()
    }
}

/// Appends records and flushes each.
pub(crate) fn write(store: &mut ModelStore, zxids: RangeInclusive<i64>) {
    for zxid in zxids {
        store.log.append(zxid, &payload(zxid)).unwrap();
        store.log.flush().unwrap();
    }
}

/// A change that tells its zxid, of a znode of its own and of some that others change too.
pub(crate) fn delta(zxid: i64) -> Delta {
    let mut delta = Delta::new(zxid);
    delta.put_znode("/", b"root").unwrap();
    delta.put_znode(&format!("/n{zxid}"), &payload(zxid)).unwrap();
    delta.put_session(zxid, 4000);
    delta.put_blob("digest", &zxid.to_le_bytes());
    delta
}

/// A payload that tells its zxid.
pub(crate) fn payload(zxid: i64) -> Vec<u8> {
    let len = 40 + (zxid as usize * 7919) % 700;
    let mut bytes = zxid.to_le_bytes().to_vec();
    bytes.resize(len, zxid as u8);
    bytes
}

/// SplitMix64, seeded.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
