//! Offline check of a data folder: everything is read, nothing is changed, and every problem is told.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Result, StorageError};
use crate::fs::Fs;
use crate::kv::{Kv, KvEngine};
use crate::log::{LogReport, Survey};
use crate::meta::{Epochs, Layout, StoreId, StoreLock, read_format};
use crate::recover::{Replay, StoreOptions, check_belongs, check_image_folder, check_server, ends_before};
use crate::tree::{Image, ImageCounts};

/// What a check found.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The data folder.
    pub path: PathBuf,
    /// Identity of the store.
    pub store: Option<StoreId>,
    /// The server whose folder it is, and its epochs, if it is a member of an ensemble.
    pub server: Option<i64>,
    /// See [`Self::server`].
    pub epochs: Option<Epochs>,
    /// zxid of the image, and what is in it, if all of it could be read.
    pub image: Option<(i64, ImageCounts)>,
    /// What is in the log, if all of it could be read.
    pub log: Option<LogReport>,
    /// What interrupted changes have left, to be removed by the next start. No problem.
    pub left_over: Vec<PathBuf>,
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
/// `engine` is to open the key-value store without changing it.
///
/// # Errors
/// Only if the check cannot begin: no data folder, an unknown format, a server running.
pub fn verify<F: Fs, E: KvEngine>(
    fs: &F,
    options: &StoreOptions,
    engine: &E,
    check: &mut dyn Replay,
) -> Result<Verified> {
    let layout = Layout::new(&options.data_dir, &options.data_log_dir);
    let Some(format) = read_format(fs, &layout)? else {
        let what = "there is no store in it";
        return Err(StorageError::mismatch(&layout.root, what, "give the dataDir that the server has"));
    };
    let store = format.store;
    let _lock = StoreLock::take(fs, &layout)?;
    let mut found = Verified {
        path: layout.root.clone(),
        store: Some(store),
        server: format.member.and_then(|member| member.server),
        epochs: format.member.map(|member| member.epochs),
        image: None,
        log: None,
        left_over: Vec::new(),
        problems: Vec::new(),
    };
    found.keep(check_server(&layout, &format, options));

    let survey = found.keep(Survey::headers(fs, &layout.log, Some(store)));
    let number = match &survey {
        Some(survey) => found.keep(check_image_folder(fs, &layout, survey)),
        // The log cannot tell. The newest image is the one in use, unless a snapshot was being received.
        None => layout.images(fs)?.last().copied(),
    };
    let image = number.and_then(|number| found.check_image(&layout.image(number), engine, check));
    if let Some(survey) = survey {
        found.check_log(fs, &layout, image.as_ref(), survey, check);
        let others = layout.images(fs)?.into_iter().filter(|&other| Some(other) != number);
        found.left_over.extend(others.map(|other| layout.image(other)));
    }
    let format_new = layout.format_new();
    if fs.exists(&format_new).map_err(StorageError::io("read", &format_new))? {
        found.left_over.push(format_new);
    }
    Ok(found)
}

impl Verified {
    fn check_image<E: KvEngine>(&mut self, dir: &Path, engine: &E, check: &mut dyn Replay) -> Option<Image<E::Kv>> {
        let Ok(image) = self.keep(engine.open(dir).and_then(|kv| Image::open(kv, dir)))? else {
            let what = "there is no image in it";
            self.problems.push(StorageError::mismatch(dir, what, "restore it from a backup"));
            return None;
        };
        let counts = self.keep(image.load(&mut |entry| check.entry(entry)));
        self.keep(check.image_end(image.zxid()).map_err(|e| StorageError::replay(dir, e)));
        self.image = counts.map(|counts| (image.zxid(), counts));
        Some(image)
    }

    fn check_log<F: Fs, K: Kv>(
        &mut self,
        fs: &F,
        layout: &Layout,
        image: Option<&Image<K>>,
        survey: Survey,
        check: &mut dyn Replay,
    ) {
        if let (Some(image), Some(store)) = (image, self.store) {
            self.keep(check_belongs(layout, store, image, &survey));
        }
        self.left_over.extend(survey.void.iter().cloned());
        let after = image.map_or(0, Image::zxid);
        let Some(survey) = self.keep(survey.walk(fs, after, &mut |zxid, payload| check.record(zxid, payload))) else {
            return;
        };
        if survey.report.segments > 0 && survey.report.last_zxid < after {
            let what = ends_before(&survey.report, after);
            let advice =
                "check dataLogDir; with forceSync=no a crash does this, and a start with forceSync=no mends it";
            self.problems.push(StorageError::mismatch(&layout.log, what, advice));
        }
        self.log = Some(survey.report);
    }

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
        if let Some(Epochs { accepted, current }) = self.epochs {
            let server = self.server.map_or("unknown".to_owned(), |server| server.to_string());
            writeln!(f, "member   server {server}, accepted epoch {accepted}, current epoch {current}")?;
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
        for path in &self.left_over {
            writeln!(f, "left     {}, removed by the next start", path.display())?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM  {problem}")?;
        }
        write!(f, "{}", if self.is_sound() { "sound" } else { "NOT SOUND" })
    }
}
