//! RocksDB behind the seam, and the only file that names it.
//!
//! **Why a crash leaves a batch boundary.** Batches are written without RocksDB's own log: ours is the truth. A batch
//! goes into one memtable, since memtables are only switched between writes; there is one column family, so memtables
//! are written out in the order in which they were filled, and a file counts from the moment when the manifest, flushed
//! after the file, names it. What is on disk is therefore always the batches up to some memtable's end. With a second
//! column family this would need `atomic_flush`.
//!
//! **Why these settings.** The image is written steadily and read whole at a start, never on the way of a request. So:
//! small memtables, no filters, next to no cache, large compressed blocks, one thread each for writing out and
//! compacting, at the lowest priority and limited in bytes per second, so that the log's flushes do not feel them.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRawIteratorWithThreadMode, Env, ErrorKind, FlushOptions,
    InfoLogger, LogLevel, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch, WriteOptions,
};
use rustix::fs::{Mode, OFlags};

use super::{Batch, Kv, KvEngine, KvSnapshot, KvUsage, VisitEntry};
use crate::error::{Result, StorageError};

/// Bytes that may collect in memory before they are written out; there are at most two such tables.
const MEMTABLE_BYTES: usize = 4 << 20;
/// Blocks are only read in whole scans, where large ones compress better and need a smaller index.
const BLOCK_BYTES: usize = 32 << 10;
/// RocksDB wants a cache; a scan passes it by.
const CACHE_BYTES: usize = 1 << 20;
/// Files of the first level before they are merged into the next. Nothing but a start reads the image, and a start
/// reads all of it: merging seldom costs it little, and saves most of the work of a time with many writes.
const LEVEL_0_FILES: i32 = 32;
/// Where RocksDB asks writes to wait for the merging, and where it takes none. Its own (20 and 36) would be reached before
/// or while the first level is merged. Whoever asks again and again instead of waiting gets smaller batches through at
/// first; large ones wait until there are fewer files, which the merging sees to.
const LEVEL_0_FILES_SLOW: i32 = 48;
const LEVEL_0_FILES_STOP: i32 = 64;
/// Read ahead of a scan and of a compaction. Several files are read at once, so that this counts several times.
const READAHEAD_BYTES: usize = 128 << 10;
/// Scans shorter than this leave it to RocksDB how far it reads ahead.
const READAHEAD_FROM_BYTES: usize = 32 << 20;
/// Size of a file on disk.
const FILE_BYTES: u64 = 32 << 20;
/// Bytes in the first sorted level, above which data moves to the next.
const LEVEL_BYTES: u64 = 128 << 20;
/// Open files; a tree of ten million znodes has some hundred.
const OPEN_FILES_MAX: i32 = 128;
/// Dirty pages are handed to the disk in pieces of this size, not all at once when a file is finished.
const WRITEBACK_BYTES: u64 = 512 << 10;
/// How long a write waits before it asks again whether memory has room.
const STALL_POLL: Duration = Duration::from_millis(2);
/// Default of [`RocksEngine::background_bytes_per_second`].
const BACKGROUND_BYTES_PER_SECOND: u64 = 128 << 20;
/// The limit while a store is filled: none that a disk would notice.
const FILLING_BYTES_PER_SECOND: u64 = 16 << 30;

/// RocksDB with what may differ between servers and uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RocksEngine {
    /// Limit of writing out and compacting together, in bytes per second.
    pub background_bytes_per_second: u64,
    /// For the offline check: nothing in the folder is changed.
    pub read_only: bool,
}

impl Default for RocksEngine {
    fn default() -> Self {
        Self { background_bytes_per_second: BACKGROUND_BYTES_PER_SECOND, read_only: false }
    }
}

impl RocksEngine {
    /// Starts RocksDB's own threads, which all images of the process share, if they do not run yet. Each has the priority of
    /// the thread that calls this, or a lower one. Nobody waits for them unless memory is full.
    pub fn start_threads() -> Result<()> {
        start_threads().map(drop).map_err(|e| error("start the threads of", Path::new("RocksDB"), &e))
    }

    fn open_as(&self, dir: &Path, writing: Writing) -> Result<RocksKv> {
        let trouble = Trouble::default();
        let options = options(*self, writing, Arc::clone(&trouble)).map_err(|e| error("open", dir, &e))?;
        let db = if self.read_only { DB::open_for_read_only(&options, dir, false) } else { DB::open(&options, dir) };
        let mut no_log = WriteOptions::default();
        no_log.disable_wal(true);
        no_log.set_no_slowdown(true);
        Ok(RocksKv {
            db: db.map_err(|e| error("open", dir, &e))?,
            path: dir.to_path_buf(),
            no_log,
            trouble,
            failure: Mutex::new(None),
        })
    }
}

/// How RocksDB's files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Through the kernel's memory, from which a start may read them soon.
    Cached,
    /// Past it. A store that is filled comes faster than the disk takes it: the kernel would collect, and let the flushes of
    /// all others wait while it catches up.
    Direct,
}

/// Whether files in this folder can be written past the kernel's memory.
fn takes_direct_writes(dir: &Path) -> bool {
    // A file without a name: nothing is left of it.
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR).is_ok()
}

/// What RocksDB's own threads have complained of last. Its errors reach a caller late or never.
type Trouble = Arc<Mutex<Option<String>>>;

/// A folder with a RocksDB database.
pub struct RocksKv {
    db: DB,
    path: PathBuf,
    no_log: WriteOptions,
    trouble: Trouble,
    /// The first failed write or flush, answered for ever: RocksDB itself goes on once there is room again.
    failure: Mutex<Option<StorageError>>,
}

impl std::fmt::Debug for RocksKv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksKv").field("path", &self.path).finish_non_exhaustive()
    }
}

impl KvEngine for RocksEngine {
    type Kv = RocksKv;

    fn open(&self, dir: &Path) -> Result<RocksKv> {
        self.open_as(dir, Writing::Cached)
    }

    fn open_to_fill(&self, dir: &Path) -> Result<RocksKv> {
        let engine = Self { background_bytes_per_second: FILLING_BYTES_PER_SECOND, ..*self };
        engine.open_as(dir, if takes_direct_writes(dir) { Writing::Direct } else { Writing::Cached })
    }

    fn remove(&self, dir: &Path) -> Result<()> {
        // All its files, whatever they are called: RocksDB's own way of removing needs a database that is whole.
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(StorageError::io("list", dir)(e)),
        };
        for entry in entries {
            let path = entry.map_err(StorageError::io("list", dir))?.path();
            std::fs::remove_file(&path).map_err(StorageError::io("remove", &path))?;
        }
        Ok(())
    }
}

impl RocksKv {
    /// Runs a change unless one has failed before.
    fn change(&self, run: impl FnOnce() -> Result<()>) -> Result<()> {
        // Not held while RocksDB works: a flush must not keep writes waiting.
        let failed = |error: Option<StorageError>| {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            if failure.is_none() {
                *failure = error;
            }
            failure.clone().map_or(Ok(()), Err)
        };
        failed(None)?;
        run().or_else(|e| failed(Some(e)))
    }

    /// The failure of a thread of RocksDB's, which it may go on to retry: here it is final.
    fn background_failure(&self) -> Option<StorageError> {
        if self.property("rocksdb.background-errors") == 0 {
            return None;
        }
        let told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let message = told.unwrap_or_else(|| "writing out in the background failed".into());
        Some(failure("write out", &self.path, message))
    }

    fn property(&self, name: &str) -> u64 {
        self.db.property_int_value(name).ok().flatten().unwrap_or(0)
    }
}

impl Kv for RocksKv {
    type Snapshot<'a> = RocksSnapshot<'a>;

    fn write(&self, batch: &Batch) -> Result<()> {
        self.change(|| {
            loop {
                match self.db.write_opt(raw(batch), &self.no_log) {
                    // RocksDB asks to wait until memory was written out. Waiting inside it could last for ever: a
                    // failure to write out without a log only makes it wait.
                    Err(e) if e.kind() == ErrorKind::Incomplete => {
                        if let Some(trouble) = self.background_failure() {
                            return Err(trouble);
                        }
                        std::thread::sleep(STALL_POLL);
                    }
                    other => return other.map_err(|e| error("write", &self.path, &e)),
                }
            }
        })
    }

    fn flush(&self) -> Result<()> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.change(|| {
            self.db.flush_opt(&options).map_err(|e| error("flush", &self.path, &e))?;
            self.background_failure().map_or(Ok(()), Err)
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.db.get(key).map_err(|e| error("read", &self.path, &e))
    }

    fn snapshot(&self) -> RocksSnapshot<'_> {
        RocksSnapshot { snapshot: self.db.snapshot(), path: &self.path }
    }

    fn usage(&self) -> KvUsage {
        KvUsage {
            disk_bytes: self.property("rocksdb.total-sst-files-size"),
            memory_bytes: self.property("rocksdb.size-all-mem-tables")
                + self.property("rocksdb.estimate-table-readers-mem")
                + self.property("rocksdb.block-cache-usage"),
        }
    }
}

/// RocksDB as it was at one moment.
pub struct RocksSnapshot<'a> {
    snapshot: SnapshotWithThreadMode<'a, DB>,
    path: &'a Path,
}

impl KvSnapshot for RocksSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.snapshot.get(key).map_err(|e| error("read", self.path, &e))
    }

    fn scan(&self, keys: Range<&[u8]>, bytes_wanted: usize, visit: VisitEntry<'_>) -> Result<()> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_verify_checksums(true);
        // Each file of the image is read ahead of, however little of it is wanted.
        if bytes_wanted >= READAHEAD_FROM_BYTES {
            options.set_readahead_size(READAHEAD_BYTES);
        }
        options.set_iterate_range(keys.start..keys.end);
        let mut entries: DBRawIteratorWithThreadMode<'_, DB> = self.snapshot.raw_iterator_opt(options);
        entries.seek(keys.start);
        while let Some((key, value)) = entries.item() {
            match visit(key, value).map_err(|e| StorageError::replay(self.path, e))? {
                ControlFlow::Continue(()) => entries.next(),
                ControlFlow::Break(()) => return Ok(()),
            }
        }
        entries.status().map_err(|e| error("read", self.path, &e))
    }
}

fn start_threads() -> std::result::Result<Env, rocksdb::Error> {
    let mut env = Env::new()?;
    env.set_background_threads(1);
    env.set_high_priority_background_threads(1);
    env.lower_thread_pool_io_priority();
    env.lower_thread_pool_cpu_priority();
    Ok(env)
}

fn options(engine: RocksEngine, writing: Writing, trouble: Trouble) -> std::result::Result<Options, rocksdb::Error> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));

    let env = start_threads()?;

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_env(&env);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(2);
    // Batches come from one thread: the simpler path costs less.
    options.set_allow_concurrent_memtable_write(false);
    options.set_enable_write_thread_adaptive_yield(false);
    options.set_max_background_jobs(2);
    options.set_level_zero_file_num_compaction_trigger(LEVEL_0_FILES);
    options.set_level_zero_slowdown_writes_trigger(LEVEL_0_FILES_SLOW);
    options.set_level_zero_stop_writes_trigger(LEVEL_0_FILES_STOP);
    options.set_target_file_size_base(FILE_BYTES);
    options.set_max_bytes_for_level_base(LEVEL_BYTES);
    options.set_compaction_readahead_size(READAHEAD_BYTES);
    options.set_writable_file_max_buffer_size(WRITEBACK_BYTES);
    options.set_bytes_per_sync(WRITEBACK_BYTES);
    options.set_use_direct_io_for_flush_and_compaction(writing == Writing::Direct);
    // 100 ms is RocksDB's own period: within it the limit may be used up at once.
    options.set_ratelimiter(engine.background_bytes_per_second.min(i64::MAX as u64) as i64, 100_000, 10);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_file_opening_threads(1);
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, move |level, text| {
        let text = text.trim_end();
        match level {
            LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "rocksdb", "{text}"),
            LogLevel::Warn => tracing::warn!(target: "rocksdb", "{text}"),
            // Its settings come as headers, whatever level was asked for.
            _ => tracing::trace!(target: "rocksdb", "{text}"),
        }
        if text.contains("error") {
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        }
    }));
    Ok(options)
}

/// A batch in RocksDB's own form.
fn raw(batch: &Batch) -> WriteBatch {
    // RocksDB frames each change with some bytes more.
    let mut raw = WriteBatch::with_capacity_bytes(batch.size_bytes() + 16 * batch.len() + 16);
    for (key, value) in batch.iter() {
        match value {
            Some(value) => raw.put(key, value),
            None => raw.delete(key),
        }
    }
    raw
}

fn error(action: &'static str, path: &Path, error: &rocksdb::Error) -> StorageError {
    failure(action, path, error.to_string())
}

fn failure(action: &'static str, path: &Path, message: String) -> StorageError {
    // RocksDB passes on the system's text; its own kind for a full disk does not come through the binding.
    // What waits for room and does not get it is told by the last of them.
    let texts = ["No space left", "NoSpace", "quota exceeded", "Cannot clear hard error"];
    let full = texts.iter().any(|text| message.contains(text));
    StorageError::Kv { action, path: path.to_path_buf(), message: message.into(), full }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_file_can_be_made_none_is_written_directly() {
        for place in ["/proc/self", "/proc/self/none"] {
            assert!(!takes_direct_writes(Path::new(place)), "{place}");
        }
    }
}
