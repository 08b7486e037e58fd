//! Takes segments away that nobody needs any more, and keeps the file of one to be used again.

use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::LogWriter;
use super::append::remove_durably;
use super::segment;
use super::{SEGMENT_BYTES_MIN, SPARES_MAX};
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs, FsFile};

/// Segments that are no longer part of the log, but still on disk.
///
/// Removing large files takes a file system's time; this can be given to another thread than the one that appends.
/// Dropped unused, or when a removal fails, the files stay, are found as part of the log by the next start, which does
/// no harm, and go with a later purge.
#[derive(Debug)]
#[must_use = "the files are still there"]
pub struct Retired<F: Fs> {
    fs: F,
    dir: PathBuf,
    /// Number of the oldest segment that stays.
    first_kept: u64,
    count: usize,
    /// Lengths of a file that is worth keeping as a spare.
    spare_bytes: RangeInclusive<u64>,
}

impl<F: Fs> LogWriter<F> {
    /// Takes those segments out of the log in which no record is newer than `upto`: the image is durable up to there.
    /// The segment that is written to always stays, and so does what a [`Hold`](super::Hold) keeps: a later call takes
    /// it.
    pub fn retire(&mut self, upto: i64) -> Retired<F> {
        let segment_bytes = self.options.segment_bytes.max(SEGMENT_BYTES_MIN);
        let mut map = self.shared.map();
        let count = map.retire(upto);
        Retired {
            fs: self.shared.fs.clone(),
            dir: self.shared.dir.clone(),
            first_kept: map.first_number(),
            count,
            spare_bytes: segment_bytes / 2..=segment_bytes,
        }
    }
}

impl<F: Fs> Retired<F> {
    /// How many segments these are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes them and what an earlier purge left over, the oldest first, so that no hole can appear; tells how many.
    pub fn remove(self) -> Result<usize> {
        let mut removed = 0;
        for number in segment::list(&self.fs, &self.dir)?.into_iter().filter(|&number| number < self.first_kept) {
            match self.take_away(number) {
                Ok(()) => removed += 1,
                // Another purge was quicker.
                Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(removed)
    }

    /// Removes a segment, or makes it the spare file. Either way its name is gone durably before the next one goes.
    fn take_away(&self, number: u64) -> Result<()> {
        let path = self.dir.join(segment::file_name(number));
        let length = |file: F::File| file.len();
        let bytes = self.fs.open(&path, Access::Read).and_then(length).map_err(StorageError::io("open", &path))?;
        let spares = segment::list_spares(&self.fs, &self.dir)?.len();
        if spares >= SPARES_MAX || !self.spare_bytes.contains(&bytes) {
            return remove_durably(&self.fs, &self.dir, &path);
        }
        let spare = self.dir.join(segment::spare_name(number));
        self.fs.rename(&path, &spare).map_err(StorageError::io("rename", &path))?;
        self.fs.sync_dir(&self.dir).map_err(StorageError::io("flush", &self.dir))
    }
}
