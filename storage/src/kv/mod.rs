//! The seam to the key-value store that holds the image: atomic batches, ordered scans, flush, snapshots.
//!
//! The rule that everything rests on: after a crash the store holds exactly the batches up to some point in their
//! order, at least those before the last [`Kv::flush`]. Never half a batch, never a later one without an earlier
//! one. [`model::ModelKv`] keeps that rule as badly as it allows; `rocks.rs` says why RocksDB keeps it.

pub mod keys;
pub mod model;
#[cfg(feature = "rocks")]
pub mod rocks;

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use crate::error::{CallerError, Result};

/// Bytes and changes that an empty [`Batch`] keeps room for.
const KEPT_BYTES: usize = 4 << 20;
const KEPT_OPERATIONS: usize = 8 << 10;

/// Changes that become visible and durable together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    key: Range<usize>,
    /// `None` for a delete.
    value: Option<Range<usize>>,
}

impl Batch {
    /// Sets a key. `key` writes the key's bytes at the end of the buffer it is given.
    pub fn put(&mut self, key: impl FnOnce(&mut Vec<u8>), value: &[u8]) {
        let key = self.key(key);
        self.bytes.extend_from_slice(value);
        self.operations.push(Operation { value: Some(key.end..self.bytes.len()), key });
    }

    /// Removes a key.
    pub fn delete(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        let key = self.key(key);
        self.operations.push(Operation { key, value: None });
    }

    /// The changes in order: key, and value or `None` for a delete. A later one of the same key wins.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.operations.iter().map(|op| (&self.bytes[op.key.clone()], op.value.clone().map(|value| &self.bytes[value])))
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes of keys and values.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Empties it, keeping the memory that most batches need.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.operations.clear();
        self.operations.shrink_to(KEPT_OPERATIONS);
    }

    fn key(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        write(&mut self.bytes);
        start..self.bytes.len()
    }
}

/// Receives a key and its value, and tells whether to go on.
pub type VisitEntry<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> std::result::Result<ControlFlow<()>, CallerError>;

/// What makes stores: each has a folder of its own, which is made and removed by whoever calls.
pub trait KvEngine: Clone + fmt::Debug + Send + Sync + 'static {
    /// The stores.
    type Kv: Kv;

    /// Opens the store in a folder, or makes an empty one there.
    fn open(&self, dir: &Path) -> Result<Self::Kv>;

    /// Like [`Self::open`], for a store that is filled before anybody is served: nothing needs to be spared for others.
    fn open_to_fill(&self, dir: &Path) -> Result<Self::Kv> {
        self.open(dir)
    }

    /// Empties the folder of a store that is not open, whole or what an earlier call left of it; one that is not there is
    /// fine. After a crash any part of it may be back.
    fn remove(&self, dir: &Path) -> Result<()>;
}

/// A store of ordered keys.
pub trait Kv: fmt::Debug + Send + Sync + 'static {
    /// The store as it was at one moment.
    type Snapshot<'a>: KvSnapshot
    where
        Self: 'a;

    /// Applies a batch: at once for readers, durably with the next [`Self::flush`] or earlier.
    fn write(&self, batch: &Batch) -> Result<()>;

    /// Makes every batch written before this call durable.
    fn flush(&self) -> Result<()>;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// A view that later writes do not change. It costs no copy, but the store keeps replaced values while it lives.
    fn snapshot(&self) -> Self::Snapshot<'_>;

    /// Bytes on disk and in memory, as far as the store can tell.
    fn usage(&self) -> KvUsage;
}

/// The store as it was at one moment.
pub trait KvSnapshot: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Hands the entries of a range of keys to `visit`, in order, as fast as the disk gives them. Ends where `visit` says
    /// so, and with the first error, of the store or of `visit`. Checksums are checked. `bytes_wanted` tells about how
    /// much will be looked at, so that reading ahead pays.
    fn scan(&self, keys: Range<&[u8]>, bytes_wanted: usize, visit: VisitEntry<'_>) -> Result<()>;
}

/// What a store uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KvUsage {
    /// Bytes in files.
    pub disk_bytes: u64,
    /// Bytes in memory: changes not yet in files, caches, indices.
    pub memory_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_batch_keeps_the_memory_of_usual_ones_only() {
        let mut batch = Batch::default();
        batch.put(|key| key.push(1), &[0; 100]);
        let room = batch.bytes.capacity();
        batch.clear();
        assert_eq!((batch.len(), batch.bytes.capacity()), (0, room));
        batch.put(|key| key.push(1), &vec![0; 2 * KEPT_BYTES]);
        (0..2 * KEPT_OPERATIONS).for_each(|_| batch.delete(|key| key.push(1)));
        batch.clear();
        assert!(batch.is_empty());
        assert!(batch.bytes.capacity() <= KEPT_BYTES && batch.operations.capacity() <= KEPT_OPERATIONS);
    }
}
