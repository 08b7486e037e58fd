//! Takes segments away that nobody needs any more.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::LogWriter;
use super::append::remove_durably;
use super::segment;
use crate::error::{Result, StorageError};
use crate::fs::Fs;

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
}

impl<F: Fs> LogWriter<F> {
    /// Takes those segments out of the log in which no record is newer than `upto`: the image is durable up to there.
    /// The segment that is written to always stays.
    pub fn retire(&mut self, upto: i64) -> Retired<F> {
        let before = self.segments.len();
        // Everything in a segment is as old as the zxid that the next one begins after, or older.
        while self.segments.len() > 1 && self.segments[1].base_zxid <= upto {
            self.segments.pop_front();
        }
        Retired {
            fs: self.fs.clone(),
            dir: self.dir.clone(),
            first_kept: self.segments[0].number,
            count: before - self.segments.len(),
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
            match remove_durably(&self.fs, &self.dir, &self.dir.join(segment::file_name(number))) {
                Ok(()) => removed += 1,
                // Another purge was quicker.
                Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(removed)
    }
}
