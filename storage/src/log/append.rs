//! Writes the log.

use std::path::Path;
use std::sync::Arc;

use super::history::History;
use super::map::{LiveSegment, Shared};
use super::open::{LogReport, Survey, Visit};
use super::segment::{self, HEADER_BYTES, Segment};
use super::tail::{Flush, LogStats, Tail, prepare_target};
use super::{LogOptions, PENDING_BYTES_MAX};
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs, FsFile};
use crate::meta::StoreId;

/// The end of the log, to which records are appended.
///
/// The first write or flush that fails is answered again by every later call: after a failed flush nobody knows what
/// the disk holds, so nothing more is acknowledged until the folder has been opened again.
#[derive(Debug)]
pub struct LogWriter<F: Fs> {
    pub(super) shared: Arc<Shared<F>>,
    pub(super) options: LogOptions,
    pub(super) tail: Tail<F::File>,
}

impl<F: Fs> LogWriter<F> {
    /// Begins a log in a folder that has none. `base_zxid` is the zxid before its first record.
    pub fn create(fs: F, dir: &Path, store: StoreId, base_zxid: i64, options: LogOptions) -> Result<Self> {
        let segment = Segment {
            store,
            number: 1,
            first_sequence: 1,
            base_zxid,
            begins_anew: false,
            is_recycled: false,
            image: 0,
        };
        fs.create_dir(dir).map_err(StorageError::io("create", dir))?;
        let path = segment.path(dir);
        let (file, prepared) = new_segment(&fs, &path, &segment, options)?;
        fs.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
        let tail = Tail::new(segment, file, path, prepared, options);
        let shared = Shared::new(fs, dir.to_path_buf(), [LiveSegment::new(segment)].into());
        Ok(Self { shared, options, tail })
    }

    /// Opens the log in `dir`: reads all of it, hands the records after zxid `after` to `visit`, cuts a torn tail,
    /// and makes what was read durable. `Ok(None)` if there is no segment at all.
    pub fn open(
        fs: F,
        dir: &Path,
        options: LogOptions,
        after: i64,
        visit: Visit<'_>,
    ) -> Result<Option<(Self, LogReport)>> {
        let survey = Survey::headers(&fs, dir, None)?.walk(&fs, after, visit)?;
        let report = survey.report.clone();
        Ok(Self::take_over(fs, options, survey)?.map(|writer| (writer, report)))
    }

    /// Goes on writing the log that was surveyed and walked over; `None` if there is no segment.
    pub(crate) fn take_over(fs: F, options: LogOptions, survey: Survey) -> Result<Option<Self>> {
        let Survey { report, dir, segments, void, unproven_offset } = survey;
        let Some(last) = segments.back() else {
            for path in void {
                remove_durably(&fs, &dir, &path)?;
            }
            return Ok(None);
        };
        let (segment, end) = (last.segment, last.end);
        if let Some(torn) = &report.torn {
            tracing::warn!(
                path = %torn.path.display(), offset = torn.offset, bytes = torn.bytes, last_zxid = %format_args!("0x{:x}", report.last_zxid),
                "the log ends with a write that a crash interrupted; cut at the last whole record, nothing acknowledged is lost"
            );
        }
        let path = segment.path(&dir);
        let file = fs.open(&path, Access::ReadWrite).map_err(StorageError::io("open", &path))?;
        // Before the first record is proven, neither is the header, nor the file's name.
        let from = if unproven_offset == HEADER_BYTES as u64 { 0 } else { unproven_offset };
        cut_and_settle(&file, &path, from, end.offset)?;
        fs.sync_dir(&dir).map_err(StorageError::io("flush", &dir))?;
        // Only now: what makes these void is on the disk for certain.
        for path in void {
            remove_durably(&fs, &dir, &path)?;
        }
        let tail = Tail::resume(segment, file, path, end, options);
        let mut writer = Self { shared: Shared::new(fs, dir, segments), options, tail };
        // The mark proves from now on that what was just read had been flushed; and a disk that takes no more writes
        // is found out here, where it can be told best.
        writer.mark()?;
        Ok(Some(writer))
    }

    /// Collects a record. It is durable after the next [`Self::flush`].
    ///
    /// A record that is refused (size, zxid that does not rise) leaves the log as it was and usable. A failed write
    /// ends it.
    pub fn append(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        self.tail.admit(zxid, payload)?;
        if !self.tail.has_room(payload.len()) {
            self.roll()?;
        }
        self.tail.append(zxid, payload)
    }

    /// Writes what was collected and waits until it is durable (with `forceSync`); tells the last zxid that is.
    pub fn flush(&mut self) -> Result<i64> {
        self.flush_tail(self.options.force_sync)
    }

    /// Like [`Self::flush`], but waits for the disk whatever `forceSync` says: before an image is made durable that
    /// must not be ahead of the log.
    pub fn flush_through(&mut self) -> Result<i64> {
        self.flush_tail(true)
    }

    /// Writes what was collected, and gives out the flush that makes it durable, for somebody else to run while records
    /// are appended here. `None` if nothing waits for the disk: all of it was flushed, or `forceSync` is off. One flush
    /// may be under way at a time; its outcome belongs into [`Self::end_flush`].
    pub fn begin_flush(&mut self) -> Result<Option<Flush<F::File>>> {
        if !self.options.force_sync {
            return self.flush().map(|_| None);
        }
        let generation = self.shared.map().generation;
        self.tail.begin_flush(generation)
    }

    /// A flush was run, with this outcome. Tells the last zxid that is durable. A failure ends the writer.
    pub fn end_flush(&mut self, flush: Flush<F::File>, outcome: Result<()>) -> Result<i64> {
        self.tail.check()?;
        self.tail.keep_failure(outcome)?;
        let mut map = self.shared.map();
        if flush.generation == map.generation {
            self.tail.end_flush(&flush);
            if flush.segment == self.tail.segment.number {
                map.reach(flush.end);
            }
        }
        Ok(map.last().end.last_zxid)
    }

    /// Ends the log in order: flushes, and leaves a mark that lets the next start tell damage from a torn end.
    pub fn close(mut self) -> Result<i64> {
        self.flush_through()?;
        self.mark()?;
        Ok(self.last_zxid())
    }

    /// Closes the segment and begins the next one.
    pub fn roll(&mut self) -> Result<()> {
        self.flush_through()?;
        self.tail.seal()?;
        let mut segment = Segment {
            number: self.tail.segment.number + 1,
            first_sequence: self.tail.next_sequence(),
            base_zxid: self.tail.last_zxid(),
            begins_anew: false,
            ..self.tail.segment
        };
        let begun = self.begin_file(&mut segment);
        let (file, prepared) = self.tail.keep_failure(begun)?;
        let path = segment.path(&self.shared.dir);
        let mut tail = Tail::new(segment, file, path, prepared, self.options);
        tail.stats.segments += 1;
        tail.stats.recycled += u64::from(segment.is_recycled);
        self.tail = tail.succeed(&self.tail);
        self.shared.map().push(segment);
        Ok(())
    }

    /// What others may read of this log while it is written.
    pub fn history(&self) -> History<F> {
        History::new(Arc::clone(&self.shared))
    }

    /// zxid of the last record appended, or the one that the log begins after.
    pub fn last_zxid(&self) -> i64 {
        self.tail.last_zxid()
    }

    /// The log holds every record after this zxid.
    pub fn begins_after(&self) -> i64 {
        self.shared.map().begins_after()
    }

    /// The failure that ended this writer, if there was one.
    pub fn failure(&self) -> Option<&StorageError> {
        self.tail.failure()
    }

    /// What this writer has done.
    pub fn stats(&self) -> LogStats {
        self.tail.stats
    }

    /// Number of the image that this log continues.
    pub(crate) fn image(&self) -> u32 {
        self.tail.segment.image
    }

    /// Sum of the lengths of all files of the log in bytes; costs a look at each of them.
    pub fn disk_bytes(&self) -> Result<u64> {
        let Shared { fs, dir, .. } = &*self.shared;
        let spares = segment::list_spares(fs, dir)?;
        let spares = spares.into_iter().map(|number| dir.join(segment::spare_name(number)));
        let segments: Vec<_> = self.shared.map().segments().map(|live| live.segment.path(dir)).collect();
        segments.into_iter().chain(spares).try_fold(0, |sum, path| {
            let file = fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
            Ok(sum + file.len().map_err(StorageError::io("read", &path))?)
        })
    }

    fn flush_tail(&mut self, through: bool) -> Result<i64> {
        self.tail.flush(through)?;
        self.shared.map().reach(self.tail.end());
        Ok(self.last_zxid())
    }

    /// Appends a mark and makes it durable.
    fn mark(&mut self) -> Result<()> {
        if !self.tail.has_room(0) {
            self.roll()?;
        }
        self.tail.mark()?;
        self.flush_through().map(|_| ())
    }

    fn begin_file(&self, segment: &mut Segment) -> Result<(F::File, u64)> {
        let Shared { fs, dir, .. } = &*self.shared;
        let spare = segment::list_spares(fs, dir)?.first().copied();
        segment.is_recycled = spare.is_some();
        let begun = match spare {
            Some(spare) => recycle_segment(fs, dir, &dir.join(segment::spare_name(spare)), segment),
            None => new_segment(fs, &segment.path(dir), segment, self.options),
        }?;
        fs.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
        Ok(begun)
    }
}

/// Makes a file for a segment, header and zeros durable; its name is for the caller to flush before a record goes there.
pub(super) fn new_segment<F: Fs>(
    fs: &F,
    path: &Path,
    segment: &Segment,
    options: LogOptions,
) -> Result<(F::File, u64)> {
    let file = fs.create(path).map_err(StorageError::io("create", path))?;
    let mut bytes = segment.encode().to_vec();
    bytes.resize(prepare_target(HEADER_BYTES as u64, options) as usize, 0);
    file.write_at(&bytes, 0).map_err(StorageError::io("write", path))?;
    file.flush().map_err(StorageError::io("flush", path))?;
    Ok((file, bytes.len() as u64))
}

/// Makes a segment of a spare file. It gets its name only when its header is durable: a name never stands over another
/// segment's header. The name is for the caller to flush.
fn recycle_segment<F: Fs>(fs: &F, dir: &Path, spare: &Path, segment: &Segment) -> Result<(F::File, u64)> {
    let file = fs.open(spare, Access::ReadWrite).map_err(StorageError::io("open", spare))?;
    file.write_at(&segment.encode(), 0).map_err(StorageError::io("write", spare))?;
    file.flush().map_err(StorageError::io("flush", spare))?;
    fs.rename(spare, &segment.path(dir)).map_err(StorageError::io("rename", spare))?;
    let prepared = file.len().map_err(StorageError::io("read", spare))?;
    Ok((file, prepared))
}

/// Cuts a file at `end`, and writes again what lies between `from` and `end`.
///
/// What was read there may never have reached the disk: after a failed flush Linux shows pages that it does not
/// write. Writing the same bytes once more makes what is served the same as what is on disk.
pub(super) fn cut_and_settle<File: FsFile>(file: &File, path: &Path, from: u64, end: u64) -> Result<()> {
    let mut buf = vec![0; PENDING_BYTES_MAX];
    let mut at = from;
    while at < end {
        let want = buf.len().min((end - at) as usize);
        let len = file.read_at(&mut buf[..want], at).map_err(StorageError::io("read", path))?;
        if len == 0 {
            break;
        }
        file.write_at(&buf[..len], at).map_err(StorageError::io("write", path))?;
        at += len as u64;
    }
    file.set_len(end).map_err(StorageError::io("cut", path))?;
    file.flush().map_err(StorageError::io("flush", path))
}

/// Removes a file so that it does not come back. Each removal is flushed before the next: a crash must not leave a
/// hole between segments.
pub(super) fn remove_durably<F: Fs>(fs: &F, dir: &Path, path: &Path) -> Result<()> {
    fs.remove(path).map_err(StorageError::io("remove", path))?;
    fs.sync_dir(dir).map_err(StorageError::io("flush", dir))
}
