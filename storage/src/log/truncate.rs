//! Takes the newest records back: what a leader never committed (ZAB's TRUNC).

use super::LogWriter;
use super::append::{cut_and_settle, remove_durably};
use super::open::open_scan;
use super::scan::Step;
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs};

impl<F: Fs> LogWriter<F> {
    /// Removes every record after zxid `keep`, durably. The image must not be past it.
    ///
    /// A crash on the way leaves a log that ends somewhere between the old end and the new one, never one with a hole:
    /// segments go newest first, then the last one is cut. A failure ends the writer, a full disk too (Java went on
    /// with the records still there, ZOOKEEPER-3701).
    pub fn truncate(&mut self, keep: i64) -> Result<()> {
        self.check()?;
        if keep < self.begins_after() {
            return Err(StorageError::NotInLog { asked: keep, begins_after: self.begins_after() });
        }
        if keep >= self.last_zxid() {
            return Ok(());
        }
        let done = self.cut_after(keep);
        self.keep_failure(done)
    }

    fn cut_after(&mut self, keep: i64) -> Result<()> {
        self.flush_through()?;
        while self.segments.len() > 1 && self.segments[self.segments.len() - 1].base_zxid >= keep {
            let newest = self.segments[self.segments.len() - 1].path(&self.dir);
            remove_durably(&self.fs, &self.dir, &newest)?;
            self.segments.pop_back();
        }
        let last = self.segments[self.segments.len() - 1];
        let mut scan = open_scan(&self.fs, &self.dir, &last)?;
        let mut end = (scan.offset(), scan.next_sequence(), scan.last_zxid());
        loop {
            match scan.step()? {
                Step::Record { zxid, .. } if zxid > keep => break,
                Step::Record { .. } | Step::Mark => end = (scan.offset(), scan.next_sequence(), scan.last_zxid()),
                Step::End => break,
            }
        }
        let (offset, next_sequence, last_zxid) = end;
        let path = last.path(&self.dir);
        drop(scan);
        let mut file = self.fs.open(&path, Access::ReadWrite).map_err(StorageError::io("open", &path))?;
        cut_and_settle(&mut file, &path, offset, offset)?;
        self.resume_at(file, offset, next_sequence, last_zxid);
        Ok(())
    }
}
