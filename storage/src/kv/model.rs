//! The double of the key-value store: in memory, forgetting what was not flushed, failing on the n-th call.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Batch, Kv, KvEngine, KvSnapshot, KvUsage, VisitEntry};
use crate::error::{Result, StorageError};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What survives a crash: stores by their folders. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ModelDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    stores: BTreeMap<PathBuf, Contents>,
    /// What was removed and may be back after a crash.
    removed: BTreeMap<PathBuf, Map>,
    /// A store opened before the last crash is dead.
    boot: u64,
    fail_after: Option<u64>,
}

#[derive(Debug, Default)]
struct Contents {
    durable: Map,
    current: Arc<Map>,
    /// Batches in `current` and not in `durable`, in order.
    pending: Vec<Batch>,
}

/// The double.
#[derive(Debug)]
pub struct ModelKv {
    disk: Arc<Mutex<Disk>>,
    dir: PathBuf,
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

    /// The machine dies: of the batches that were not flushed in a store, the first few survive, as many as `kept` modulo
    /// their number and one says. What was removed may be back, or half of it.
    pub fn crash(&self, kept: u64) {
        let mut disk = lock(&self.disk);
        disk.boot += 1;
        disk.fail_after = None;
        let removed = std::mem::take(&mut disk.removed);
        for (index, (dir, map)) in removed.into_iter().enumerate() {
            let part = match kept.rotate_right(index as u32 + 7) % 3 {
                0 => continue,
                1 => map.len(),
                _ => map.len() / 2,
            };
            let durable: Map = map.into_iter().rev().take(part).collect();
            disk.stores.insert(dir, Contents { durable, ..Contents::default() });
        }
        for (index, contents) in disk.stores.values_mut().enumerate() {
            let pending = std::mem::take(&mut contents.pending);
            let kept = (kept.rotate_right(17 * index as u32) % (pending.len() as u64 + 1)) as usize;
            for batch in &pending[..kept] {
                apply(&mut contents.durable, batch);
            }
            contents.current = Arc::new(contents.durable.clone());
        }
    }

    /// Lets the call after `calls` more of them fail, once: a write, a flush, an opening or a removal.
    pub fn fail_after(&self, calls: u64) {
        lock(&self.disk).fail_after = Some(calls);
    }

    /// Changes a value durably in all stores, as damage does; `None` removes the key.
    pub fn damage(&self, key: &[u8], value: Option<&[u8]>) {
        for contents in lock(&self.disk).stores.values_mut() {
            match value {
                Some(value) => contents.durable.insert(key.to_vec(), value.to_vec()),
                None => contents.durable.remove(key),
            };
            contents.current = Arc::new(contents.durable.clone());
        }
    }

    /// Forgets everything, as removed folders do.
    pub fn wipe(&self) {
        lock(&self.disk).stores.clear();
    }

    /// Whether nothing was ever stored durably.
    pub fn is_empty(&self) -> bool {
        lock(&self.disk).stores.values().all(|contents| contents.durable.is_empty())
    }
}

impl KvEngine for ModelDisk {
    type Kv = ModelKv;

    fn open(&self, dir: &Path) -> Result<ModelKv> {
        let mut disk = lock(&self.disk);
        disk.count_call("open", dir)?;
        disk.removed.remove(dir);
        disk.stores.entry(dir.to_path_buf()).or_default();
        let boot = disk.boot;
        Ok(ModelKv { disk: Arc::clone(&self.disk), dir: dir.to_path_buf(), boot, failure: Mutex::new(None) })
    }

    fn remove(&self, dir: &Path) -> Result<()> {
        let mut disk = lock(&self.disk);
        disk.count_call("remove", dir)?;
        if let Some(contents) = disk.stores.remove(dir) {
            disk.removed.insert(dir.to_path_buf(), contents.durable);
        }
        Ok(())
    }
}

impl Disk {
    /// Fails if this is the call that shall.
    fn count_call(&mut self, action: &'static str, dir: &Path) -> Result<()> {
        let fails = self.fail_after == Some(0);
        self.fail_after = self.fail_after.and_then(|left| left.checked_sub(1));
        if fails { Err(told_to_fail(action, dir)) } else { Ok(()) }
    }
}

fn told_to_fail(action: &'static str, dir: &Path) -> StorageError {
    let message = "the double was told to fail".into();
    StorageError::Kv { action, path: dir.to_path_buf(), message, full: false }
}

impl ModelKv {
    /// Runs a change, or fails as the disk was told to; the first failure is answered for ever.
    fn change(&self, action: &'static str, run: impl FnOnce(&mut Contents)) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(failure) = &*failure {
            return Err(failure.clone());
        }
        let mut disk = lock(&self.disk);
        let is_dead = disk.boot != self.boot;
        let done = disk.count_call(action, &self.dir).and_then(|()| match disk.stores.get_mut(&self.dir) {
            Some(contents) if !is_dead => {
                run(contents);
                Ok(())
            }
            _ => Err(told_to_fail(action, &self.dir)),
        });
        *failure = done.clone().err();
        done
    }

    fn current(&self) -> Arc<Map> {
        lock(&self.disk).stores.get(&self.dir).map(|contents| Arc::clone(&contents.current)).unwrap_or_default()
    }
}

impl Kv for ModelKv {
    type Snapshot<'a> = ModelSnapshot;

    fn write(&self, batch: &Batch) -> Result<()> {
        self.change("write", |contents| {
            apply(Arc::make_mut(&mut contents.current), batch);
            contents.pending.push(batch.clone());
        })
    }

    fn flush(&self) -> Result<()> {
        self.change("flush", |contents| {
            for batch in std::mem::take(&mut contents.pending) {
                apply(&mut contents.durable, &batch);
            }
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.current().get(key).cloned())
    }

    fn snapshot(&self) -> ModelSnapshot {
        ModelSnapshot { map: self.current() }
    }

    fn usage(&self) -> KvUsage {
        let bytes = self.current().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        KvUsage { disk_bytes: bytes, memory_bytes: bytes }
    }
}

impl KvSnapshot for ModelSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&self, keys: Range<&[u8]>, _bytes_wanted: usize, visit: VisitEntry<'_>) -> Result<()> {
        for (key, value) in
            self.map.range::<[u8], _>((std::ops::Bound::Included(keys.start), std::ops::Bound::Excluded(keys.end)))
        {
            match visit(key, value).map_err(|e| StorageError::replay(Path::new("model"), e))? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(()) => break,
            }
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
