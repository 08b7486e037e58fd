//! A log that takes the place of the store's in one step: what follows a snapshot that a leader sent.
//!
//! Its one segment is filled in a file whose name means nothing. That file's change of name is the step: its header says
//! that the log begins anew there, and which image it continues, so that log and image change together.

use std::path::PathBuf;

use super::LogWriter;
use super::append::{new_segment, remove_durably};
use super::map::LiveSegment;
use super::segment::{Segment, candidate_name};
use super::tail::Tail;
use crate::error::{Result, StorageError};
use crate::fs::Fs;

/// A log that is not the store's yet. Dropped, its file stays until the next start or the next such log.
#[derive(Debug)]
pub(crate) struct NewLog<F: Fs> {
    fs: F,
    dir: PathBuf,
    tail: Tail<F::File>,
    live: LiveSegment,
}

impl<F: Fs> NewLog<F> {
    /// Begins a log that continues image number `image` after zxid `base_zxid` and can take the place of `log`.
    /// What fails here fails `log` not.
    pub(crate) fn begin(log: &LogWriter<F>, base_zxid: i64, image: u32) -> Result<Self> {
        log.tail.check()?;
        let (fs, dir) = (log.shared.fs.clone(), log.shared.dir.clone());
        let segment = Segment {
            number: log.tail.segment.number + 1,
            first_sequence: log.tail.next_sequence(),
            base_zxid,
            begins_anew: true,
            is_recycled: false,
            image,
            ..log.tail.segment
        };
        let path = dir.join(candidate_name(segment.number));
        if fs.exists(&path).map_err(StorageError::io("read", &path))? {
            remove_durably(&fs, &dir, &path)?;
        }
        let (file, prepared) = new_segment(&fs, &path, &segment, log.options)?;
        let tail = Tail::new(segment, file, path, prepared, log.options);
        Ok(Self { fs, dir, tail, live: LiveSegment::new(segment) })
    }

    /// Collects a record. All of them go into one segment, however long it gets.
    pub(crate) fn append(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        self.tail.admit(zxid, payload)?;
        self.tail.append(zxid, payload)
    }

    /// Makes what was collected durable.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.tail.flush(true)?;
        self.live.reach(self.tail.end());
        Ok(())
    }

    /// zxid of the last record, or the one that the log begins after.
    pub(crate) fn last_zxid(&self) -> i64 {
        self.tail.last_zxid()
    }

    /// Takes the file away again.
    pub(crate) fn discard(self) -> Result<()> {
        remove_durably(&self.fs, &self.dir, &self.tail.path)
    }
}

impl<F: Fs> LogWriter<F> {
    /// Becomes `new`, with everything that was appended there durable; what this log held is gone. A crash leaves the
    /// one or the other.
    ///
    /// Refused, with nothing changed, if records were appended here since `new` was begun. A failure before the step
    /// leaves this log as it was; one in it or after it ends the writer, and the next start finds the one or the other.
    pub(crate) fn replace_by(&mut self, mut new: NewLog<F>) -> Result<()> {
        self.tail.check()?;
        let segment = new.tail.segment;
        if (self.tail.segment.number + 1, self.tail.next_sequence()) != (segment.number, segment.first_sequence) {
            return Err(StorageError::LogMoved { last: self.last_zxid() });
        }
        new.flush()?;
        let (fs, dir) = (&self.shared.fs, &self.shared.dir);
        let path = segment.path(dir);
        let named = fs
            .rename(&new.tail.path, &path)
            .map_err(StorageError::io("rename", &new.tail.path))
            .and_then(|()| fs.sync_dir(dir).map_err(StorageError::io("flush", dir)));
        self.tail.keep_failure(named)?;
        new.tail.path = path;
        new.tail.stats.segments += 1;
        self.tail = new.tail.succeed(&self.tail);
        let old = self.shared.map().replace(new.live);
        for live in old {
            let removed = remove_durably(&self.shared.fs, &self.shared.dir, &live.segment.path(&self.shared.dir));
            self.tail.keep_failure(removed)?;
        }
        Ok(())
    }

    /// Throws the whole log away and begins a new one after `base_zxid`, of the same image.
    pub(crate) fn begin_anew(&mut self, base_zxid: i64) -> Result<()> {
        let new = NewLog::begin(self, base_zxid, self.image())?;
        self.replace_by(new)
    }
}
