//! Offline check of a data folder: everything is read, nothing is changed, and every problem is told.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Result, StorageError};
use crate::fs::Fs;
use crate::kv::Kv;
use crate::log::{LogReport, Survey};
use crate::meta::{Layout, StoreId, StoreLock, read_format};
use crate::recover::{Replay, StoreOptions, check_belongs, ends_before};
use crate::tree::{Image, ImageCounts};

/// What a check found.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The data folder.
    pub path: PathBuf,
    /// Identity of the store.
    pub store: Option<StoreId>,
    /// zxid of the image, and what is in it, if all of it could be read.
    pub image: Option<(i64, ImageCounts)>,
    /// What is in the log, if all of it could be read.
    pub log: Option<LogReport>,
    /// What is wrong. A torn tail is not: the next start cuts it.
    pub problems: Vec<StorageError>,
}

impl Verified {
    /// Whether a server would start with this folder and serve everything that was acknowledged.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks the store in the folders of `options`. No server may be running there.
///
/// Everything is also handed to `check`, which can look into records that are opaque here; its errors become problems.
/// `open_kv` is to open the key-value store without changing it.
///
/// # Errors
/// Only if the check cannot begin: no data folder, an unknown format, a server running.
pub fn verify<F: Fs, K: Kv>(
    fs: &F,
    options: &StoreOptions,
    open_kv: impl FnOnce(&Path) -> Result<K>,
    check: &mut dyn Replay,
) -> Result<Verified> {
    let layout = Layout::new(&options.data_dir, &options.data_log_dir);
    let Some(store) = read_format(fs, &layout)? else {
        let what = "there is no store in it";
        return Err(StorageError::mismatch(&layout.root, what, "give the dataDir that the server has"));
    };
    let _lock = StoreLock::take(fs, &layout)?;
    let mut found =
        Verified { path: layout.root.clone(), store: Some(store), image: None, log: None, problems: Vec::new() };

    let image = found.keep(open_kv(&layout.image).and_then(|kv| Image::open(kv, &layout.image)));
    let image = match image {
        Some(Err(_)) => {
            let what = "there is no image in it";
            found.problems.push(StorageError::mismatch(&layout.image, what, "restore it from a backup"));
            None
        }
        Some(Ok(image)) => Some(image),
        None => None,
    };
    if let Some(image) = &image {
        let counts = found.keep(image.load(&mut |entry| check.entry(entry)));
        let end = check.image_end(image.zxid()).map_err(|e| StorageError::replay(&layout.image, e));
        found.keep(end);
        found.image = counts.map(|counts| (image.zxid(), counts));
    }

    let after = image.as_ref().map_or(0, Image::zxid);
    let Some(survey) = found.keep(Survey::headers(fs, &layout.log, Some(store))) else {
        return Ok(found);
    };
    if let Some(image) = &image {
        found.keep(check_belongs(&layout, store, image, &survey));
    }
    if let Some(survey) = found.keep(survey.walk(fs, after, &mut |zxid, payload| check.record(zxid, payload))) {
        if survey.report.segments > 0 && survey.report.last_zxid < after {
            let what = ends_before(&survey.report, after);
            let advice =
                "check dataLogDir; with forceSync=no a crash does this, and a start with forceSync=no mends it";
            found.problems.push(StorageError::mismatch(&layout.log, what, advice));
        }
        found.log = Some(survey.report);
    }
    Ok(found)
}

impl Verified {
    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "folder   {}", self.path.display())?;
        if let Some(store) = self.store {
            writeln!(f, "store    {store}")?;
        }
        if let Some((zxid, counts)) = &self.image {
            writeln!(f, "image    zxid 0x{zxid:x}, {} znodes, {} sessions", counts.znodes, counts.sessions)?;
        }
        if let Some(log) = &self.log {
            writeln!(
                f,
                "log      {} segments, {} records, {} bytes, zxid 0x{:x} to 0x{:x}",
                log.segments, log.records, log.bytes, log.begins_after, log.last_zxid
            )?;
            if let Some(torn) = &log.torn {
                let (path, offset) = (torn.path.display(), torn.offset);
                writeln!(
                    f,
                    "torn     {path} at {offset}: {} bytes of an interrupted write, cut by the next start",
                    torn.bytes
                )?;
            }
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM  {problem}")?;
        }
        write!(f, "{}", if self.is_sound() { "sound" } else { "NOT SOUND" })
    }
}
