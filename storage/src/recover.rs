//! Start-up: one call that opens a data folder, hands over everything in it, and returns what to go on with.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::epochs::EpochFile;
use crate::error::{CallerError, Result, StorageError};
use crate::fs::Fs;
use crate::install::Installer;
use crate::kv::{Kv, KvEngine};
use crate::log::{History, LogOptions, LogReport, LogWriter, Survey, TornTail};
use crate::meta::{Epochs, Format, Layout, Member, StoreId, StoreLock, read_format, remove_format_new, write_format};
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
    /// Java's myid, of a member of an ensemble: the folder of another member is refused.
    pub server: Option<i64>,
    /// Whether an empty store counts as all that there is: one that this start makes, or one that was made without this
    /// and that no leader has filled since ([`Recovered::data_unknown`]). Concerns members only.
    pub trust_empty: bool,
}

/// Receives what a store holds: first the whole image, then the log's records after it.
///
/// What is in the image was committed. Of the records a member does not know: it offers them all, as Java does, until a
/// leader tells it to truncate or commits them, and meanwhile they must not get into the image
/// ([`Image::set_committed`]).
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
pub struct Store<F: Fs, E: KvEngine> {
    /// The end of the log.
    pub log: LogWriter<F>,
    /// The image. Only transactions that the log has flushed and that are committed may be applied to it.
    pub image: Image<E::Kv>,
    /// The epochs of a member of an ensemble.
    pub epochs: EpochFile<F>,
    /// Takes in the snapshots that a leader sends.
    pub installer: Installer<F, E>,
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
    /// The epochs that were found, if this store was ever a member's.
    pub epochs: Option<Epochs>,
    /// Whether nobody knows what this member lacks ([`EpochFile::data_unknown`]).
    pub data_unknown: bool,
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

/// Bytes of records that are read at once to hand them over again.
const REPLAY_PIECE_BYTES: usize = 1 << 20;

const FORMAT_IS_MISSING: &str = "restore the file FORMAT of this folder from a backup, or use an empty dataDir";
const LOG_IS_MISSING: &str = "check that dataLogDir is the one this server had before, or restore the log; without it acknowledged writes are lost";
const LOG_ENDS_EARLY: &str = "check that dataLogDir is the one this server had before; if the machine crashed while forceSync was no, start once with forceSync=no";
const IMAGE_IS_MISSING: &str =
    "restore the image from a backup, or start with an empty folder if other servers have the data";

impl<F: Fs, E: KvEngine> Store<F, E> {
    /// Opens the store in the folders of `options`, or makes one where there is none, and hands everything in it to
    /// `replay`. `engine` opens the key-value store of the image.
    ///
    /// Refuses whatever cannot be the work of a crash: damage, gaps, parts of different stores, unknown formats,
    /// a folder in use or of another member, Apache ZooKeeper's files.
    pub fn open(fs: &F, options: &StoreOptions, engine: &E, replay: &mut dyn Replay) -> Result<(Self, Recovered)> {
        let layout = Layout::new(&options.data_dir, &options.data_log_dir);
        let format = match read_format(fs, &layout)? {
            Some(format) => Some(format),
            None => {
                refuse_foreign(fs, &options.data_dir)?;
                refuse_foreign(fs, &options.data_log_dir)?;
                None
            }
        };
        let lock = StoreLock::take(fs, &layout)?;
        let opening = Opening { fs, engine, options, layout };
        match format {
            Some(format) => opening.existing(format, lock, replay),
            None => opening.create(lock, replay),
        }
    }
}

/// A start.
struct Opening<'a, F: Fs, E: KvEngine> {
    fs: &'a F,
    engine: &'a E,
    options: &'a StoreOptions,
    layout: Layout,
}

impl<F: Fs, E: KvEngine> Opening<'_, F, E> {
    fn create(self, lock: StoreLock<F>, replay: &mut dyn Replay) -> Result<(Store<F, E>, Recovered)> {
        let Self { fs, options, ref layout, .. } = self;
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
        if layout.images(fs)?.iter().any(|&number| number != 0) {
            return refuse(&layout.root, "it holds images, but does not tell its format");
        }
        survey.remove_all(fs)?;
        let log = LogWriter::create(fs.clone(), &layout.log, store, 0, options.log)?;
        let dir = layout.image(0);
        fs.create_dir(&dir).map_err(StorageError::io("create", &dir))?;
        let kv = match Image::open(self.engine.open(&dir)?, &dir)? {
            Ok(left_over) if left_over.zxid() == 0 => left_over.into_kv(),
            Ok(_) => return refuse(&dir, "it holds an image, but the data folder does not tell its format"),
            Err(kv) => kv,
        };
        let image = Image::create(kv, &dir, store)?;
        // A member's folder is its own from the beginning.
        let member = options.server.map(|server| Member {
            server: Some(server),
            epochs: Epochs::default(),
            is_unknown: !options.trust_empty,
        });
        let format = Format { store, member };
        write_format(fs, layout, &format)?;
        replay.image_end(0).map_err(|e| StorageError::replay(&layout.root, e))?;
        let log_report = LogReport { segments: 1, bytes: 0, records: 0, begins_after: 0, last_zxid: 0, torn: None };
        let recovered = Recovered {
            store,
            created: true,
            epochs: member.map(|member| member.epochs),
            data_unknown: member.is_some_and(|member| member.is_unknown),
            last_zxid: 0,
            image_zxid: 0,
            image: ImageCounts::default(),
            replayed: 0,
            log: log_report,
            torn: None,
            image_time: started.elapsed(),
            log_time: Duration::ZERO,
        };
        Ok((self.store(format, log, image, lock), recovered))
    }

    fn existing(self, found: Format, lock: StoreLock<F>, replay: &mut dyn Replay) -> Result<(Store<F, E>, Recovered)> {
        let Self { fs, options, ref layout, .. } = self;
        let format = if options.trust_empty { found.trusted() } else { found };
        let store = format.store;
        let started = Instant::now();
        check_server(layout, &format, options)?;
        // The name of the format file may have been seen and yet not be durable, if the flush after it failed.
        fs.sync_dir(&layout.root).map_err(StorageError::io("flush", &layout.root))?;
        let survey = Survey::headers(fs, &layout.log, Some(store))?;
        let number = check_image_folder(fs, layout, &survey)?;
        let dir = layout.image(number);
        fs.create_dir(&dir).map_err(StorageError::io("create", &dir))?;
        let image = match Image::open(self.engine.open(&dir)?, &dir)? {
            Ok(image) => image,
            // A log that reaches back to the beginning has everything that an image could have.
            Err(kv) if survey.begins_after() == Some(0) => {
                tracing::warn!(path = %dir.display(), "the image is missing; it is built again from the log");
                Image::create(kv, &dir, store)?
            }
            Err(_) => return Err(StorageError::mismatch(&dir, "there is no image in it", IMAGE_IS_MISSING)),
        };
        let image_zxid = image.zxid();
        check_belongs(layout, store, &image, &survey)?;
        let counts = image.load(&mut |entry| replay.entry(entry))?;
        replay.image_end(image_zxid).map_err(|e| StorageError::replay(&dir, e))?;
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
            epochs: format.member.map(|member| member.epochs),
            data_unknown: format.member.is_some_and(|member| member.is_unknown),
            last_zxid: log.last_zxid(),
            image_zxid,
            image: counts,
            replayed,
            torn: report.torn.clone(),
            log: report,
            image_time,
            log_time: started.elapsed(),
        };
        // Everything is whole: what interrupted changes have left is not needed for anything.
        remove_format_new(fs, layout)?;
        if format != found {
            write_format(fs, layout, &format)?;
        }
        let store = self.store(format, log, image, lock);
        store.installer.remove_others(number)?;
        Ok((store, recovered))
    }

    fn store(&self, format: Format, log: LogWriter<F>, image: Image<E::Kv>, lock: StoreLock<F>) -> Store<F, E> {
        let (fs, layout) = (self.fs.clone(), self.layout.clone());
        let epochs = EpochFile::new(fs.clone(), layout.clone(), format, self.options.server);
        let installer = Installer::new(fs, self.engine.clone(), layout, format.store);
        Store { log, image, epochs, installer, lock }
    }
}

/// Hands over again what a start hands over: the image, and the flushed records after it. For a member that has truncated
/// its log, or whose tree holds what was never committed. Tells the last zxid.
pub fn replay<F: Fs, K: Kv>(image: &Image<K>, history: &History<F>, replay: &mut dyn Replay) -> Result<i64> {
    // Held first: nothing after this image may be purged while it is read.
    let hold = history.hold_all();
    let snapshot = image.snapshot();
    snapshot.visit(&mut |entry| replay.entry(entry))?;
    let path = history.path();
    replay.image_end(snapshot.zxid()).map_err(|e| StorageError::replay(path, e))?;
    let mut reader = hold.read_after(snapshot.zxid())?;
    while let Some(piece) = reader.next_piece(i64::MAX, REPLAY_PIECE_BYTES)? {
        for (zxid, payload) in piece.iter() {
            replay.record(zxid, payload).map_err(|e| StorageError::replay(path, e))?;
        }
    }
    Ok(reader.last_zxid())
}

/// Refuses the folder of another member of the ensemble.
pub(crate) fn check_server(layout: &Layout, format: &Format, options: &StoreOptions) -> Result<()> {
    match (format.member.and_then(|member| member.server), options.server) {
        (Some(found), Some(asked)) if found != asked => {
            Err(StorageError::OtherServer { path: layout.format_file(), found, asked })
        }
        _ => Ok(()),
    }
}

/// The image that the log names. Where its folder is missing and there is another, the two do not belong together.
pub(crate) fn check_image_folder<F: Fs>(fs: &F, layout: &Layout, survey: &Survey) -> Result<u32> {
    let (number, there) = (survey.image().unwrap_or(0), layout.images(fs)?);
    if there.is_empty() || there.contains(&number) {
        return Ok(number);
    }
    let what = "the log does not continue the image that is there, but another";
    Err(StorageError::mismatch(&layout.image(number), what, IMAGE_IS_MISSING))
}

/// Whether image and log are of this store and leave no gap between them.
pub(crate) fn check_belongs<K: Kv>(layout: &Layout, store: StoreId, image: &Image<K>, survey: &Survey) -> Result<()> {
    if image.store() != store {
        let what = format!("the image is of store {}, the folder of store {store}", image.store());
        return Err(StorageError::mismatch(image.path(), what, IMAGE_IS_MISSING));
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
