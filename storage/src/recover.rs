//! Start-up: one call that opens a data folder, hands over everything in it, and returns what to go on with.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{CallerError, Result, StorageError};
use crate::fs::Fs;
use crate::kv::Kv;
use crate::log::{LogOptions, LogReport, LogWriter, Survey, TornTail};
use crate::meta::{Layout, StoreId, StoreLock, read_format, write_format};
use crate::tree::{Image, ImageCounts, ImageEntry};

/// Which folders, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Java's `dataDir`: image, format, lock.
    pub data_dir: PathBuf,
    /// Java's `dataLogDir`: the log. The same as `data_dir` where it is not set.
    pub data_log_dir: PathBuf,
    /// How the log is written.
    pub log: LogOptions,
}

/// Receives what a store holds: first the whole image, then the log's records after it.
///
/// An error ends the start with [`StorageError::Replay`].
pub trait Replay {
    /// An entry of the image: blobs, sessions, then znodes depth first, parents before children.
    fn entry(&mut self, entry: ImageEntry<'_>) -> std::result::Result<(), CallerError>;

    /// All entries were given; the image is the tree at this zxid (0 for an empty one).
    fn image_end(&mut self, zxid: i64) -> std::result::Result<(), CallerError>;

    /// A record of the log, in rising zxid order, each after the image's zxid.
    fn record(&mut self, zxid: i64, payload: &[u8]) -> std::result::Result<(), CallerError>;
}

/// An open data folder. Its parts are used by different threads; the lock is to outlive them.
#[derive(Debug)]
pub struct Store<F: Fs, K: Kv> {
    /// The end of the log.
    pub log: LogWriter<F>,
    /// The image. Only transactions that the log has flushed may be applied to it.
    pub image: Image<K>,
    /// Keeps other processes out.
    pub lock: StoreLock<F>,
}

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Identity of the store.
    pub store: StoreId,
    /// Whether the store was made by this start.
    pub created: bool,
    /// zxid of the last transaction in image and log, 0 if there is none.
    pub last_zxid: i64,
    /// zxid of the image.
    pub image_zxid: i64,
    /// What was in the image.
    pub image: ImageCounts,
    /// Records of the log that were handed over.
    pub replayed: u64,
    /// What is in the log.
    pub log: LogReport,
    /// The part of a write that a crash interrupted, if it was cut.
    pub torn: Option<TornTail>,
    /// Time for the image.
    pub image_time: Duration,
    /// Time for the log.
    pub log_time: Duration,
}

const FORMAT_IS_MISSING: &str = "restore the file FORMAT of this folder from a backup, or use an empty dataDir";
const LOG_IS_MISSING: &str = "check that dataLogDir is the one this server had before, or restore the log; without it acknowledged writes are lost";
const LOG_ENDS_EARLY: &str = "check that dataLogDir is the one this server had before; if the machine crashed while forceSync was no, start once with forceSync=no";
const IMAGE_IS_MISSING: &str =
    "restore the image from a backup, or start with an empty folder if other servers have the data";

impl<F: Fs, K: Kv> Store<F, K> {
    /// Opens the store in the folders of `options`, or makes one where there is none, and hands everything in it to
    /// `replay`. `open_kv` opens the key-value store in the folder it is given.
    ///
    /// Refuses whatever cannot be the work of a crash: damage, gaps, parts of different stores, unknown formats,
    /// a folder in use, Apache ZooKeeper's files.
    pub fn open(
        fs: &F,
        options: &StoreOptions,
        open_kv: impl FnOnce(&Path) -> Result<K>,
        replay: &mut dyn Replay,
    ) -> Result<(Self, Recovered)> {
        let layout = Layout::new(&options.data_dir, &options.data_log_dir);
        let store = match read_format(fs, &layout)? {
            Some(store) => Some(store),
            None => {
                refuse_foreign(fs, &options.data_dir)?;
                refuse_foreign(fs, &options.data_log_dir)?;
                None
            }
        };
        let lock = StoreLock::take(fs, &layout)?;
        match store {
            Some(store) => open_existing(fs, options, &layout, lock, store, open_kv, replay),
            None => create(fs, options, &layout, lock, open_kv, replay),
        }
    }
}

fn create<F: Fs, K: Kv>(
    fs: &F,
    options: &StoreOptions,
    layout: &Layout,
    lock: StoreLock<F>,
    open_kv: impl FnOnce(&Path) -> Result<K>,
    replay: &mut dyn Replay,
) -> Result<(Store<F, K>, Recovered)> {
    let started = Instant::now();
    let store = StoreId(fs.unique());
    let refuse = |path: &Path, what| Err(StorageError::mismatch(path, what, FORMAT_IS_MISSING));
    let mut records = 0;
    let survey = Survey::headers(fs, &layout.log, None)?.walk(fs, 0, &mut |_, _| {
        records += 1;
        Ok(())
    })?;
    if records > 0 {
        return refuse(&layout.log, "it holds records, but the data folder does not tell its format");
    }
    survey.remove_all(fs)?;
    let log = LogWriter::create(fs.clone(), &layout.log, store, 0, options.log)?;
    fs.create_dir(&layout.image).map_err(StorageError::io("create", &layout.image))?;
    let kv = match Image::open(open_kv(&layout.image)?, &layout.image)? {
        Ok(left_over) if left_over.zxid() == 0 => left_over.into_kv(),
        Ok(_) => return refuse(&layout.image, "it holds an image, but the data folder does not tell its format"),
        Err(kv) => kv,
    };
    let image = Image::create(kv, &layout.image, store)?;
    write_format(fs, layout, store)?;
    replay.image_end(0).map_err(|e| StorageError::replay(&layout.root, e))?;
    let log_report = LogReport { segments: 1, bytes: 0, records: 0, begins_after: 0, last_zxid: 0, torn: None };
    let recovered = Recovered {
        store,
        created: true,
        last_zxid: 0,
        image_zxid: 0,
        image: ImageCounts::default(),
        replayed: 0,
        log: log_report,
        torn: None,
        image_time: started.elapsed(),
        log_time: Duration::ZERO,
    };
    Ok((Store { log, image, lock }, recovered))
}

fn open_existing<F: Fs, K: Kv>(
    fs: &F,
    options: &StoreOptions,
    layout: &Layout,
    lock: StoreLock<F>,
    store: StoreId,
    open_kv: impl FnOnce(&Path) -> Result<K>,
    replay: &mut dyn Replay,
) -> Result<(Store<F, K>, Recovered)> {
    let started = Instant::now();
    // The name of the format file may have been seen and yet not be durable, if the flush after it failed.
    fs.sync_dir(&layout.root).map_err(StorageError::io("flush", &layout.root))?;
    let survey = Survey::headers(fs, &layout.log, Some(store))?;
    let image = match Image::open(open_kv(&layout.image)?, &layout.image)? {
        Ok(image) => image,
        // A log that reaches back to the beginning has everything that an image could have.
        Err(kv) if survey.begins_after() == Some(0) => {
            tracing::warn!(path = %layout.image.display(), "the image is missing; it is built again from the log");
            Image::create(kv, &layout.image, store)?
        }
        Err(_) => return Err(StorageError::mismatch(&layout.image, "there is no image in it", IMAGE_IS_MISSING)),
    };
    let image_zxid = image.zxid();
    check_belongs(layout, store, &image, &survey)?;
    let counts = image.load(&mut |entry| replay.entry(entry))?;
    replay.image_end(image_zxid).map_err(|e| StorageError::replay(&layout.image, e))?;
    let image_time = started.elapsed();

    let started = Instant::now();
    let mut replayed = 0;
    let survey = survey.walk(fs, image_zxid, &mut |zxid, payload| {
        replayed += 1;
        replay.record(zxid, payload)
    })?;
    let ends_early = survey.report.last_zxid < image_zxid;
    if ends_early && options.log.force_sync {
        return Err(StorageError::mismatch(&layout.log, ends_before(&survey.report, image_zxid), LOG_ENDS_EARLY));
    }
    let report = survey.report.clone();
    let mut log = LogWriter::take_over(fs.clone(), options.log, survey)?
        .ok_or_else(|| StorageError::mismatch(&layout.log, "there is no log in it", LOG_IS_MISSING))?;
    if ends_early {
        tracing::warn!(
            path = %layout.log.display(),
            "{}; with forceSync=no a crash does that. The log begins anew", ends_before(&report, image_zxid)
        );
        log.begin_anew(image_zxid)?;
    }
    let recovered = Recovered {
        store,
        created: false,
        last_zxid: log.last_zxid(),
        image_zxid,
        image: counts,
        replayed,
        torn: report.torn.clone(),
        log: report,
        image_time,
        log_time: started.elapsed(),
    };
    Ok((Store { log, image, lock }, recovered))
}

/// Whether image and log are of this store and leave no gap between them.
pub(crate) fn check_belongs<K: Kv>(layout: &Layout, store: StoreId, image: &Image<K>, survey: &Survey) -> Result<()> {
    if image.store() != store {
        let what = format!("the image is of store {}, the folder of store {store}", image.store());
        return Err(StorageError::mismatch(&layout.image, what, IMAGE_IS_MISSING));
    }
    let Some(begins_after) = survey.begins_after() else {
        return Err(StorageError::mismatch(&layout.log, "there is no log in it", LOG_IS_MISSING));
    };
    if begins_after > image.zxid() {
        let what = format!(
            "the log begins after zxid 0x{begins_after:x}, the image is at 0x{:x}: what is between is missing",
            image.zxid()
        );
        return Err(StorageError::mismatch(&layout.log, what, LOG_IS_MISSING));
    }
    Ok(())
}

pub(crate) fn ends_before(log: &LogReport, image_zxid: i64) -> String {
    format!("the log ends with zxid 0x{:x}, before the image's 0x{image_zxid:x}", log.last_zxid)
}

/// Refuses a folder in which Apache ZooKeeper has its files: starting empty beside them would look like data loss.
fn refuse_foreign<F: Fs>(fs: &F, dir: &Path) -> Result<()> {
    let theirs = dir.join("version-2");
    let names = fs.list(&theirs).map_err(StorageError::io("list", &theirs))?;
    if names.iter().any(|name| name.starts_with("log.") || name.starts_with("snapshot.")) {
        return Err(StorageError::ForeignData { path: dir.to_path_buf() });
    }
    Ok(())
}
