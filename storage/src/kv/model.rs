//! The double of the key-value store: in memory, forgetting what was not flushed, failing on the n-th call.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Batch, Kv, KvSnapshot, KvUsage, VisitEntry};
use crate::error::{Result, StorageError};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What survives a crash. Clones share it; [`ModelKv::open`] makes a store over it.
#[derive(Debug, Clone, Default)]
pub struct ModelDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    durable: Map,
    current: Arc<Map>,
    /// Batches in `current` and not in `durable`, in order.
    pending: Vec<Batch>,
    /// A store opened before the last crash is dead.
    boot: u64,
    fail_after: Option<u64>,
}

/// The double.
#[derive(Debug)]
pub struct ModelKv {
    disk: Arc<Mutex<Disk>>,
    boot: u64,
    failure: Mutex<Option<StorageError>>,
}

/// The double as it was at one moment.
#[derive(Debug)]
pub struct ModelSnapshot {
    map: Arc<Map>,
}

impl ModelDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine dies: of the batches that were not flushed, the first few survive, as many as `kept` modulo their
    /// number and one says.
    pub fn crash(&self, kept: u64) {
        let mut disk = lock(&self.disk);
        disk.boot += 1;
        disk.fail_after = None;
        let pending = std::mem::take(&mut disk.pending);
        let kept = (kept % (pending.len() as u64 + 1)) as usize;
        for batch in &pending[..kept] {
            apply(&mut disk.durable, batch);
        }
        disk.current = Arc::new(disk.durable.clone());
    }

    /// Lets the write or flush after `calls` more of them fail, once.
    pub fn fail_after(&self, calls: u64) {
        lock(&self.disk).fail_after = Some(calls);
    }

    /// Changes a stored value durably, as damage does; `None` removes the key.
    pub fn damage(&self, key: &[u8], value: Option<&[u8]>) {
        let mut disk = lock(&self.disk);
        match value {
            Some(value) => disk.durable.insert(key.to_vec(), value.to_vec()),
            None => disk.durable.remove(key),
        };
        disk.current = Arc::new(disk.durable.clone());
    }

    /// Forgets everything, as a removed folder does.
    pub fn wipe(&self) {
        let mut disk = lock(&self.disk);
        disk.durable.clear();
        disk.pending.clear();
        disk.current = Arc::default();
    }

    /// Whether nothing was ever stored durably.
    pub fn is_empty(&self) -> bool {
        lock(&self.disk).durable.is_empty()
    }
}

impl ModelKv {
    /// Opens what is on a disk.
    pub fn open(disk: &ModelDisk) -> Self {
        let boot = lock(&disk.disk).boot;
        Self { disk: Arc::clone(&disk.disk), boot, failure: Mutex::new(None) }
    }

    /// Runs a change, or fails as the disk was told to; the first failure is answered for ever.
    fn change(&self, action: &'static str, run: impl FnOnce(&mut Disk)) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(failure) = &*failure {
            return Err(failure.clone());
        }
        let mut disk = lock(&self.disk);
        let fails = disk.boot != self.boot || disk.fail_after == Some(0);
        disk.fail_after = disk.fail_after.and_then(|left| left.checked_sub(1));
        if !fails {
            run(&mut disk);
            return Ok(());
        }
        let path = Path::new("model").to_path_buf();
        let error = StorageError::Kv { action, path, message: "the double was told to fail".into(), full: false };
        *failure = Some(error.clone());
        Err(error)
    }
}

impl Kv for ModelKv {
    type Snapshot<'a> = ModelSnapshot;

    fn write(&self, batch: &Batch) -> Result<()> {
        self.change("write", |disk| {
            apply(Arc::make_mut(&mut disk.current), batch);
            disk.pending.push(batch.clone());
        })
    }

    fn flush(&self) -> Result<()> {
        self.change("flush", |disk| {
            for batch in std::mem::take(&mut disk.pending) {
                apply(&mut disk.durable, &batch);
            }
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(lock(&self.disk).current.get(key).cloned())
    }

    fn snapshot(&self) -> ModelSnapshot {
        ModelSnapshot { map: Arc::clone(&lock(&self.disk).current) }
    }

    fn usage(&self) -> KvUsage {
        let disk = lock(&self.disk);
        let bytes = |map: &Map| map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        KvUsage { disk_bytes: bytes(&disk.durable), memory_bytes: bytes(&disk.current) }
    }
}

impl KvSnapshot for ModelSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&self, keys: Range<&[u8]>, visit: VisitEntry<'_>) -> Result<()> {
        for (key, value) in
            self.map.range::<[u8], _>((std::ops::Bound::Included(keys.start), std::ops::Bound::Excluded(keys.end)))
        {
            visit(key, value).map_err(|e| StorageError::replay(Path::new("model"), e))?;
        }
        Ok(())
    }
}

fn apply(map: &mut Map, batch: &Batch) {
    for (key, value) in batch.iter() {
        match value {
            Some(value) => map.insert(key.to_vec(), value.to_vec()),
            None => map.remove(key),
        };
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
