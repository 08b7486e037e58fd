//! One step of the image.

use crate::error::{Result, StorageError};
use crate::kv::{Batch, keys};

/// Everything that changed up to one zxid since the delta before. Applied as a whole or not at all.
///
/// The order of changes counts: a later one of the same znode wins. Records and blobs are opaque here.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    zxid: i64,
    pub(super) batch: Batch,
}

impl Delta {
    /// An empty step to `zxid`.
    pub fn new(zxid: i64) -> Self {
        Self { zxid, batch: Batch::default() }
    }

    /// The zxid whose tree the image is after this step.
    pub fn zxid(&self) -> i64 {
        self.zxid
    }

    /// Moves the step's end; a delta is often begun before its end is known.
    pub fn set_zxid(&mut self, zxid: i64) {
        self.zxid = zxid;
    }

    /// Creates or replaces a znode.
    pub fn put_znode(&mut self, path: &str, record: &[u8]) -> Result<()> {
        check(path)?;
        self.batch.put(|key| keys::push_znode(key, path), record);
        Ok(())
    }

    /// Removes a znode; one that is not there is fine.
    pub fn delete_znode(&mut self, path: &str) -> Result<()> {
        check(path)?;
        self.batch.delete(|key| keys::push_znode(key, path));
        Ok(())
    }

    /// Creates or replaces a session with its timeout in milliseconds.
    pub fn put_session(&mut self, id: i64, timeout_ms: i32) {
        self.batch.put(|key| keys::push_session(key, id), &timeout_ms.to_le_bytes());
    }

    /// Removes a session; one that is not there is fine.
    pub fn delete_session(&mut self, id: i64) {
        self.batch.delete(|key| keys::push_session(key, id));
    }

    /// Sets a named value, such as the tree's digest.
    pub fn put_blob(&mut self, name: &str, bytes: &[u8]) {
        self.batch.put(|key| key.extend_from_slice(&keys::named(keys::BLOB, name)), bytes);
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Bytes of keys and records.
    pub fn size_bytes(&self) -> usize {
        self.batch.size_bytes()
    }

    /// Empties it for the next step, keeping the memory that most steps need.
    pub fn restart(&mut self, zxid: i64) {
        self.zxid = zxid;
        self.batch.clear();
    }
}

fn check(path: &str) -> Result<()> {
    if keys::is_path(path) { Ok(()) } else { Err(StorageError::BadPath { path: path.to_owned() }) }
}
