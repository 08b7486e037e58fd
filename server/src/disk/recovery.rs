//! From a data folder to a tree and its sessions.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rookeeper_core::peer::Loaded;
use rookeeper_core::tree::{ChangeLog, Loader, Tree, TreeRules};
use rookeeper_core::zab::{LogRecord, WINDOW_BYTES_MAX};
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{AclList, SessionId, StatPersisted, Zxid};
use rookeeper_storage::error::CallerError;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::ImageEntry;
use rookeeper_storage::verify::Verified;
use rookeeper_storage::{Recovered, Replay, StorageError, StoreOptions};

use super::znode_record::Decoder;
use crate::config::ServerConfig;
use crate::runtime::step_back;

/// The store on a real disk.
pub(crate) type Store = rookeeper_storage::Store<RealFs, RocksEngine>;

/// What a start found.
pub(crate) struct RecoveredState {
    pub(crate) tree: Tree,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// What the image lacks.
    pub(crate) changes: ChangeLog,
    pub(crate) report: Recovered,
    /// Ephemeral znodes without a session that were removed.
    pub(crate) orphans: usize,
}

/// A file in dataLogDir by which an operator vouches for an empty store: nothing is missing (`FileTxnSnapLog#restore`).
pub(crate) const INITIALIZE_FILE: &str = "initialize";

/// Removes that file, so that it stands for no other start.
pub(crate) fn remove_initialize_file(path: &Path) -> Result<(), StorageError> {
    match std::fs::remove_file(path) {
        Ok(()) => tracing::info!("found and removed {}: an empty store counts as all that there is", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(StorageError::Io { action: "remove", path: path.to_owned(), source: Arc::new(error) });
        }
    }
    Ok(())
}

/// How the store of this configuration is opened.
pub(crate) fn store_options(config: &ServerConfig) -> StoreOptions {
    StoreOptions {
        data_dir: config.data_dir.clone(),
        data_log_dir: config.data_log_dir.clone(),
        log: LogOptions { segment_bytes: config.pre_alloc_size_kb.saturating_mul(1024), force_sync: config.force_sync },
        server: config.ensemble.my_id.filter(|_| config.ensemble.distributed).map(|id| id.0),
        // Whoever stands alone cannot ask anybody what is missing.
        trust_empty: config.db_autocreate
            || !config.ensemble.distributed
            || config.data_log_dir.join(INITIALIZE_FILE).exists(),
    }
}

/// Reads everything that is there. An image and the log behind it become a tree.
pub(crate) struct Rebuild {
    loader: Option<Loader>,
    tree: Option<Tree>,
    decoder: Decoder,
    sessions: BTreeMap<SessionId, i32>,
    changes: ChangeLog,
    empty: bool,
    /// A tree that differs from the one that a transaction was made for is an error, not only counted.
    strict: bool,
    rules: TreeRules,
    seed: u64,
    recent: Recent,
}

/// The newest records of the log, as many as are kept in memory later: no more than so many, and no more bytes.
#[derive(Default)]
struct Recent {
    records: VecDeque<LogRecord>,
    bytes: usize,
    count_max: usize,
}

impl Recent {
    fn push(&mut self, zxid: Zxid, payload: &[u8]) {
        if self.count_max == 0 {
            return;
        }
        self.bytes += payload.len();
        self.records.push_back(LogRecord { zxid, payload: Bytes::copy_from_slice(payload) });
        while self.records.len() > self.count_max || self.bytes > WINDOW_BYTES_MAX {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.payload.len();
        }
    }
}

impl Rebuild {
    pub(crate) fn new(rules: TreeRules, seed: u64) -> Self {
        Self {
            loader: Some(Tree::loader(rules, seed)),
            tree: None,
            decoder: Decoder::default(),
            sessions: BTreeMap::new(),
            changes: ChangeLog::default(),
            empty: true,
            strict: false,
            rules,
            seed,
            recent: Recent::default(),
        }
    }

    /// Keeps the newest records of the log, for learners that lack little.
    pub(crate) fn keeping(self, count_max: usize) -> Self {
        Self { recent: Recent { count_max, ..Recent::default() }, ..self }
    }

    /// A session of the image.
    pub(super) fn session(&mut self, id: SessionId, timeout_ms: i32) {
        self.sessions.insert(id, timeout_ms);
    }

    /// A znode of the image, behind its parent.
    pub(super) fn znode(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: &AclList,
        stat: StatPersisted,
    ) -> Result<(), CallerError> {
        let loader = self.loader.as_mut().ok_or("an entry behind the image's end")?;
        let id = loader.add(if path == "/" { "" } else { path }, data, acl, stat)?;
        self.changes.loaded(id);
        self.empty = false;
        Ok(())
    }

    /// What a member of an ensemble goes on with whose image was received, and is at `zxid`.
    pub(crate) fn received(mut self, zxid: Zxid) -> Result<(Tree, Loaded), StorageError> {
        let ended = self.image_end(zxid.0);
        ended.map_err(|source| StorageError::Replay { path: "snapshot".into(), source: Arc::from(source) })?;
        Ok(self.finish(zxid, zxid))
    }

    /// What a member of an ensemble goes on with. The tree is at `last_zxid`, the image at `image_zxid`.
    pub(crate) fn finish(self, last_zxid: Zxid, image_zxid: Zxid) -> (Tree, Loaded) {
        let tree = self.tree.unwrap_or_else(|| Tree::new(self.rules, self.seed));
        let loaded = Loaded {
            last_zxid,
            image_zxid,
            recent: self.recent.records.into(),
            sessions: self.sessions.into_iter().collect(),
            changes: self.changes,
        };
        (tree, loaded)
    }
}

impl Replay for Rebuild {
    fn entry(&mut self, entry: ImageEntry<'_>) -> Result<(), CallerError> {
        match entry {
            // None are written yet.
            ImageEntry::Blob { .. } => {}
            ImageEntry::Session { id, timeout_ms } => self.session(SessionId(id), timeout_ms),
            ImageEntry::Znode { path, record } => {
                let znode = self.decoder.decode(record).map_err(|error| format!("znode {path}: {error}"))?;
                self.znode(path, znode.data, &znode.acl, znode.stat)?;
            }
        }
        Ok(())
    }

    fn image_end(&mut self, zxid: i64) -> Result<(), CallerError> {
        let loader = self.loader.take().ok_or("the image ends twice")?;
        self.tree = Some(match self.empty {
            true => {
                let tree = Tree::new(self.rules, self.seed);
                self.changes.all_changed(&tree);
                tree
            }
            false => loader.finish(Zxid(zxid)),
        });
        Ok(())
    }

    fn record(&mut self, zxid: i64, payload: &[u8]) -> Result<(), CallerError> {
        let entry = LogEntry::read(payload).map_err(|error| format!("transaction {zxid:#x}: {error}"))?;
        let tree = self.tree.as_mut().ok_or("a record before the image's end")?;
        match entry.txn {
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(entry.header.client_id, timeout_ms);
            }
            Txn::CloseSession { .. } => {
                self.sessions.remove(&entry.header.client_id);
            }
            _ => {}
        }
        tree.apply(&entry, &mut self.changes, &mut ());
        self.recent.push(Zxid(zxid), payload);
        if self.strict && tree.digest_mismatches() > 0 {
            return Err(
                format!("transaction {zxid:#x} leaves another tree than it did at first: the digests differ").into()
            );
        }
        Ok(())
    }
}

/// Starts the threads that write out the image and merge its files, behind those that clients and other servers wait for.
pub(crate) fn start_image_threads() -> Result<(), StorageError> {
    let start = || {
        step_back();
        RocksEngine::start_threads()
    };
    // Threads have the priority of the one that starts them.
    std::thread::scope(|scope| scope.spawn(start).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Opens the data folder and rebuilds the state.
pub(crate) fn recover(
    options: &StoreOptions,
    rules: TreeRules,
    seed: u64,
) -> Result<(Store, RecoveredState), StorageError> {
    let mut rebuild = Rebuild::new(rules, seed);
    let (store, report) = Store::open(&RealFs, options, &RocksEngine::default(), &mut rebuild)?;
    // A server that stands alone commits what it logs.
    store.image.set_committed(i64::MAX);
    let Rebuild { tree, sessions, mut changes, .. } = rebuild;
    let mut tree = tree.unwrap_or_else(|| Tree::new(rules, seed));
    let orphans = tree.kill_orphans(|session| sessions.contains_key(&session), &mut changes);
    Ok((store, RecoveredState { tree, sessions, changes, report, orphans }))
}

/// The same for a member of an ensemble. What of the log is committed it does not know.
pub(crate) fn recover_member(
    options: &StoreOptions,
    rules: TreeRules,
    seed: u64,
    recent_max: usize,
) -> Result<(Store, Tree, Loaded, Recovered), StorageError> {
    let mut rebuild = Rebuild::new(rules, seed).keeping(recent_max);
    let (store, report) = Store::open(&RealFs, options, &RocksEngine::default(), &mut rebuild)?;
    let (tree, loaded) = rebuild.finish(Zxid(report.last_zxid), Zxid(report.image_zxid));
    Ok((store, tree, loaded, report))
}

/// Checks a data folder without changing it.
pub(crate) fn verify(options: &StoreOptions, rules: TreeRules) -> Result<Verified, StorageError> {
    let engine = RocksEngine { read_only: true, ..RocksEngine::default() };
    rookeeper_storage::verify::verify(
        &RealFs,
        options,
        &engine,
        &mut Rebuild { strict: true, ..Rebuild::new(rules, 0) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_keeps_in_memory_has_two_bounds() {
        let kept = |count_max, payload: &[u8]| {
            let mut recent = Recent { count_max, ..Recent::default() };
            (1..=5).for_each(|zxid| recent.push(Zxid(zxid), payload));
            recent.records.iter().map(|record| record.zxid.0).collect::<Vec<_>>()
        };
        assert_eq!(kept(3, b"txn"), [3, 4, 5]);
        assert!(kept(0, b"txn").is_empty());
        assert_eq!(kept(5, &vec![0; WINDOW_BYTES_MAX / 2]), [4, 5]);
    }
}
