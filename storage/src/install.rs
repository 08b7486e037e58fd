//! Takes in a snapshot that a leader sent, in the place of image and log (ZAB's SNAP).
//!
//! The snapshot fills an image in a folder of its own, which nothing names. What the leader sends after it fills a log of
//! its own, which has no name as a log. Naming that log is the one step that makes both the store's: its header tells
//! the image. Before that step a crash leaves the old image and log, untouched; after it the new ones. What is left of
//! the others is removed by the next start.

use crate::error::{Result, StorageError};
use crate::fs::Fs;
use crate::kv::KvEngine;
use crate::log::{LogWriter, NewLog};
use crate::meta::{Layout, StoreId};
use crate::tree::{Delta, Image};

const TRY_AGAIN: &str = "see to it that nobody else changes the data folder";

/// Begins to take in snapshots.
#[derive(Debug, Clone)]
pub struct Installer<F: Fs, E: KvEngine> {
    fs: F,
    engine: E,
    layout: Layout,
    store: StoreId,
}

/// A snapshot that is being received.
///
/// Dropped, it leaves a folder behind that the next start removes, or the next snapshot; [`Self::discard`] is tidier.
#[derive(Debug)]
pub struct Receiving<F: Fs, E: KvEngine> {
    installer: Installer<F, E>,
    number: u32,
    image: Image<E::Kv>,
}

/// A snapshot that was received whole, and the log after it.
#[derive(Debug)]
pub struct Received<F: Fs, E: KvEngine> {
    receiving: Receiving<F, E>,
    log: NewLog<F>,
}

impl<F: Fs, E: KvEngine> Installer<F, E> {
    pub(crate) fn new(fs: F, engine: E, layout: Layout, store: StoreId) -> Self {
        Self { fs, engine, layout, store }
    }

    /// Makes an empty image beside the one that `log` continues.
    pub fn begin(&self, log: &LogWriter<F>) -> Result<Receiving<F, E>> {
        let number = log.image().wrapping_add(1);
        self.remove_image(number)?;
        let dir = self.layout.image(number);
        self.fs.create_dir(&dir).map_err(StorageError::io("create", &dir))?;
        let image = Image::create(self.engine.open_to_fill(&dir)?, &dir, self.store)?;
        Ok(Receiving { installer: self.clone(), number, image })
    }

    /// Removes the images that the log does not name: what was begun and not finished, and what was replaced.
    pub(crate) fn remove_others(&self, number: u32) -> Result<()> {
        for other in self.layout.images(&self.fs)?.into_iter().filter(|&other| other != number) {
            tracing::info!(path = %self.layout.image(other).display(), "removing an image that is not in use");
            self.remove_image(other)?;
        }
        Ok(())
    }

    fn remove_image(&self, number: u32) -> Result<()> {
        let (dir, root) = (self.layout.image(number), &self.layout.root);
        self.engine.remove(&dir)?;
        if !self.fs.exists(&dir).map_err(StorageError::io("read", &dir))? {
            return Ok(());
        }
        self.fs.remove_dir(&dir).map_err(StorageError::io("remove", &dir))?;
        self.fs.sync_dir(root).map_err(StorageError::io("flush", root))
    }
}

impl<F: Fs, E: KvEngine> Receiving<F, E> {
    /// Takes in a part of the snapshot: blobs, sessions, znodes in any order; of the same one twice, the later counts.
    /// The delta's zxid means nothing. A delta is held in memory twice: some hundred kB is a good size.
    pub fn add(&self, delta: &Delta) -> Result<()> {
        self.image.fill(delta)
    }

    /// The snapshot is complete, and the tree at `zxid`. Makes the image durable, and begins the log after it.
    ///
    /// `log` is the store's, to which nothing may be appended from here on.
    pub fn complete(self, zxid: i64, log: &LogWriter<F>) -> Result<Received<F, E>> {
        let Self { installer, number, image } = self;
        image.complete(zxid)?;
        // As it will be used from now on.
        drop(image);
        let dir = installer.layout.image(number);
        let reopened = Image::open(installer.engine.open(&dir)?, &dir)?;
        let image =
            reopened.map_err(|_| StorageError::mismatch(&dir, "the image that was just made is gone", TRY_AGAIN))?;
        let log = NewLog::begin(log, zxid, number)?;
        Ok(Received { receiving: Self { installer, number, image }, log })
    }

    /// Gives it up: image and log of the store are what they were.
    pub fn discard(self) -> Result<()> {
        let Self { installer, number, image } = self;
        drop(image);
        installer.remove_image(number)
    }
}

impl<F: Fs, E: KvEngine> Received<F, E> {
    /// Collects a record that the leader sent after the snapshot. It becomes durable with the switch, so that the switch
    /// cannot lose what the old log had of it.
    pub fn append(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        self.log.append(zxid, payload)
    }

    /// zxid of the last record, or of the snapshot if there is none.
    pub fn last_zxid(&self) -> i64 {
        self.log.last_zxid()
    }

    /// Makes everything that was received durable, and then the store's, in one step: `log` goes on behind it, `image` is
    /// the new one, the old one is closed and removed.
    ///
    /// # Errors
    /// Where `log` is still usable ([`LogWriter::failure`]) nothing has changed. Where it is not, the next start finds
    /// the old image and log, or the new ones.
    pub fn switch(self, log: &mut LogWriter<F>, image: &mut Image<E::Kv>) -> Result<()> {
        let Self { receiving: Receiving { installer, number, image: new_image }, log: new_log } = self;
        log.replace_by(new_log)?;
        *image = new_image;
        // The new image stands. A folder too much costs room until the next start, and no data.
        if let Err(error) = installer.remove_others(number) {
            tracing::warn!("cannot remove the image that a snapshot has replaced: {error}; the next start tries again");
        }
        Ok(())
    }

    /// Gives it up: image and log of the store are what they were.
    pub fn discard(self) -> Result<()> {
        self.log.discard()?;
        self.receiving.discard()
    }
}
