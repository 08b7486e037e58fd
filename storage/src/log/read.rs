//! Reads records back while the log goes on being written: what a learner lacks, what a check compares.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::LogWriter;
use super::scan::{Scan, Step};
use super::segment::Segment;
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs, FsFile};

/// Records after a given zxid, up to the end that the log had when the reader was made.
///
/// Independent of the writer and of its thread. It opens one segment after the other; one that has been removed in
/// the meantime is an error of kind "not found" when its turn comes.
#[derive(Debug)]
pub struct LogReader<F: Fs> {
    fs: F,
    dir: PathBuf,
    after: i64,
    segments: VecDeque<Segment>,
    /// Where records end in the last segment.
    end: u64,
    scan: Option<Scan<F::File>>,
}

impl<F: Fs> LogWriter<F> {
    /// A reader of the records after zxid `after`, those included that were appended and not yet flushed.
    pub fn read_after(&mut self, after: i64) -> Result<LogReader<F>> {
        if after < self.begins_after() {
            return Err(StorageError::NotInLog { asked: after, begins_after: self.begins_after() });
        }
        let end = self.written()?;
        let mut segments = self.segments.clone();
        while segments.len() > 1 && segments[1].base_zxid <= after {
            segments.pop_front();
        }
        Ok(LogReader { fs: self.fs.clone(), dir: self.dir.clone(), after, segments, end, scan: None })
    }
}

impl<F: Fs> LogReader<F> {
    /// The next record's zxid and payload, `None` at the end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(i64, &[u8])>> {
        loop {
            if self.scan.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(scan) = &mut self.scan else {
                return Ok(None);
            };
            match scan.step()? {
                Step::Record { zxid, .. } if zxid > self.after => break,
                Step::Record { .. } | Step::Mark => {}
                Step::End => self.check_end()?,
            }
        }
        Ok(self.scan.as_ref().and_then(Scan::last_record))
    }

    fn open_next(&mut self) -> Result<bool> {
        let Some(segment) = self.segments.pop_front() else {
            return Ok(false);
        };
        let path = segment.path(&self.dir);
        let file = self.fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
        let limit =
            if self.segments.is_empty() { self.end } else { file.len().map_err(StorageError::io("read", &path))? };
        self.scan = Some(Scan::new(file, path, &segment, limit));
        Ok(true)
    }

    /// The walk over one segment has ended: it must have come as far as the segment goes.
    fn check_end(&mut self) -> Result<()> {
        let Some(scan) = self.scan.take() else {
            return Ok(());
        };
        let complete = match self.segments.front() {
            Some(next) => scan.next_sequence() == next.first_sequence,
            None => scan.offset() == self.end,
        };
        if complete {
            return Ok(());
        }
        let what = format!("record {} is not whole", scan.next_sequence());
        Err(StorageError::damaged(scan.path(), scan.offset(), what, "stop the server and verify the folder"))
    }
}
