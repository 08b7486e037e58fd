//! Writes the log.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::open::{LogReport, Survey, Visit};
use super::record::{RECORD_HEADER_BYTES, RecordHeader, encode};
use super::segment::{self, HEADER_BYTES, Segment};
use super::{LogOptions, PENDING_BYTES_MAX, PREPARE_BYTES, PREPARE_GROUP_MAX, RECORD_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs, FsFile};
use crate::meta::StoreId;

/// The end of the log, to which records are appended.
///
/// The first write or flush that fails is answered again by every later call: after a failed flush nobody knows what
/// the disk holds, so nothing more is acknowledged until the folder has been opened again.
#[derive(Debug)]
pub struct LogWriter<F: Fs> {
    pub(super) fs: F,
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    pub(super) segments: VecDeque<Segment>,
    file: F::File,
    path: PathBuf,
    /// Records that were appended and not yet written.
    pending: Vec<u8>,
    /// Where in the file they go.
    offset: u64,
    /// The file has bytes up to here.
    prepared: u64,
    next_sequence: u64,
    /// Every record with a lower sequence number was flushed.
    flushed_below: u64,
    last_zxid: i64,
    failure: Option<StorageError>,
    stats: LogStats,
}

/// What a writer has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records appended.
    pub records: u64,
    /// Bytes handed to the file system, zeros included.
    pub written_bytes: u64,
    /// Flushes of a segment.
    pub flushes: u64,
    /// Segments begun.
    pub segments: u64,
    /// Those among them whose file was used before.
    pub recycled: u64,
}

impl<F: Fs> LogWriter<F> {
    /// Begins a log in a folder that has none. `base_zxid` is the zxid before its first record.
    pub fn create(fs: F, dir: &Path, store: StoreId, base_zxid: i64, options: LogOptions) -> Result<Self> {
        let segment =
            Segment { store, number: 1, first_sequence: 1, base_zxid, begins_anew: false, is_recycled: false };
        fs.create_dir(dir).map_err(StorageError::io("create", dir))?;
        let (file, prepared) = new_segment(&fs, dir, &segment, options)?;
        Ok(Self::new(fs, dir, options, [segment].into(), file, prepared))
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
        let Survey { report, dir, segments, void, end } = survey;
        let dir = &*dir;
        for path in void {
            remove_durably(&fs, dir, &path)?;
        }
        let (Some(last), Some(end)) = (segments.last().copied(), end) else {
            return Ok(None);
        };
        if let Some(torn) = &report.torn {
            tracing::warn!(
                path = %torn.path.display(), offset = torn.offset, bytes = torn.bytes, last_zxid = %format_args!("0x{:x}", report.last_zxid),
                "the log ends with a write that a crash interrupted; cut at the last whole record, nothing acknowledged is lost"
            );
        }
        let path = last.path(dir);
        let mut file = fs.open(&path, Access::ReadWrite).map_err(StorageError::io("open", &path))?;
        // Before the first record is proven, neither is the header, nor the file's name.
        let from = if end.unproven_offset == HEADER_BYTES as u64 { 0 } else { end.unproven_offset };
        cut_and_settle(&mut file, &path, from, end.offset)?;
        fs.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
        let mut writer = Self::new(fs, dir, options, segments.into(), file, end.offset);
        writer.offset = end.offset;
        writer.next_sequence = end.next_sequence;
        writer.flushed_below = end.next_sequence;
        writer.last_zxid = report.last_zxid;
        // The mark proves from now on that what was just read had been flushed; and a disk that takes no more writes
        // is found out here, where it can be told best.
        writer.mark()?;
        Ok(Some(writer))
    }

    fn new(fs: F, dir: &Path, options: LogOptions, segments: VecDeque<Segment>, file: F::File, prepared: u64) -> Self {
        let last = segments[segments.len() - 1];
        Self {
            fs,
            dir: dir.to_path_buf(),
            options,
            path: last.path(dir),
            segments,
            file,
            pending: Vec::new(),
            offset: HEADER_BYTES as u64,
            prepared,
            next_sequence: last.first_sequence,
            flushed_below: last.first_sequence,
            last_zxid: last.base_zxid,
            failure: None,
            stats: LogStats::default(),
        }
    }

    /// Collects a record. It is durable after the next [`Self::flush`].
    ///
    /// A record that is refused (size, zxid that does not rise) leaves the log as it was and usable. A failed write
    /// ends it.
    pub fn append(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        self.check()?;
        if payload.is_empty() || payload.len() > RECORD_BYTES_MAX {
            return Err(StorageError::RecordSize { len: payload.len(), max: RECORD_BYTES_MAX });
        }
        if zxid <= self.last_zxid {
            return Err(StorageError::NotRising { zxid, last: self.last_zxid });
        }
        self.put(zxid, payload)?;
        self.last_zxid = zxid;
        self.stats.records += 1;
        Ok(())
    }

    /// Writes what was collected and waits until it is durable (with `forceSync`); tells the last zxid that is.
    pub fn flush(&mut self) -> Result<i64> {
        self.check()?;
        if self.flushed_below < self.next_sequence {
            self.write_pending()?;
            if self.options.force_sync {
                self.flush_file()?;
            }
        }
        Ok(self.last_zxid)
    }

    /// Like [`Self::flush`], but waits for the disk whatever `forceSync` says: before an image is made durable that
    /// must not be ahead of the log.
    pub fn flush_through(&mut self) -> Result<i64> {
        self.check()?;
        if self.flushed_below < self.next_sequence {
            self.write_pending()?;
            self.flush_file()?;
        }
        Ok(self.last_zxid)
    }

    /// Ends the log in order: flushes, and leaves a mark that lets the next start tell damage from a torn end.
    pub fn close(mut self) -> Result<i64> {
        self.flush_through()?;
        self.mark()?;
        Ok(self.last_zxid)
    }

    /// Closes the segment and begins the next one.
    pub fn roll(&mut self) -> Result<()> {
        self.flush_through()?;
        let last = self.segments[self.segments.len() - 1];
        // Not flushed: zeros behind the last record mean nothing, should they come back after a crash.
        let cut = self.file.set_len(self.offset).map_err(StorageError::io("cut", &self.path));
        self.keep_failure(cut)?;
        self.begin(Segment {
            number: last.number + 1,
            first_sequence: self.next_sequence,
            base_zxid: self.last_zxid,
            begins_anew: false,
            ..last
        })
    }

    /// Throws the whole log away and begins a new one after `base_zxid`: the tree was replaced by a snapshot.
    /// A crash leaves the old log or the new one.
    pub fn begin_anew(&mut self, base_zxid: i64) -> Result<()> {
        self.check()?;
        self.pending.clear();
        let last = self.segments[self.segments.len() - 1];
        self.begin(Segment {
            number: last.number + 1,
            first_sequence: self.next_sequence,
            base_zxid,
            begins_anew: true,
            ..last
        })?;
        self.last_zxid = base_zxid;
        self.flushed_below = self.next_sequence;
        while self.segments.len() > 1 {
            let old = self.segments[0].path(&self.dir);
            let removed = remove_durably(&self.fs, &self.dir, &old);
            self.keep_failure(removed)?;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// zxid of the last record appended, or the one that the log begins after.
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// The log holds every record after this zxid.
    pub fn begins_after(&self) -> i64 {
        self.segments[0].base_zxid
    }

    /// The failure that ended this writer, if there was one.
    pub fn failure(&self) -> Option<&StorageError> {
        self.failure.as_ref()
    }

    /// What this writer has done.
    pub fn stats(&self) -> LogStats {
        self.stats
    }

    /// Sum of the lengths of all files of the log in bytes; costs a look at each of them.
    pub fn disk_bytes(&self) -> Result<u64> {
        let spares = segment::list_spares(&self.fs, &self.dir)?;
        let spares = spares.into_iter().map(|number| self.dir.join(segment::spare_name(number)));
        let segments = self.segments.iter().map(|segment| segment.path(&self.dir));
        segments.chain(spares).try_fold(0, |sum, path| {
            let file = self.fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
            Ok(sum + file.len().map_err(StorageError::io("read", &path))?)
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    pub(super) fn keep_failure<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(failure) = &result {
            self.failure.get_or_insert_with(|| failure.clone());
        }
        result
    }

    /// Where in the last segment the written records end. Everything appended has been written by then.
    pub(super) fn written(&mut self) -> Result<u64> {
        self.check()?;
        self.write_pending()?;
        Ok(self.offset)
    }

    /// Continues behind a cut: see `truncate.rs`.
    pub(super) fn resume_at(&mut self, file: F::File, offset: u64, next_sequence: u64, last_zxid: i64) {
        self.path = self.segments[self.segments.len() - 1].path(&self.dir);
        self.file = file;
        self.pending.clear();
        self.offset = offset;
        self.prepared = offset;
        self.next_sequence = next_sequence;
        self.flushed_below = next_sequence;
        self.last_zxid = last_zxid;
    }

    /// Appends a mark and makes it durable.
    pub(super) fn mark(&mut self) -> Result<()> {
        self.put(self.last_zxid, &[])?;
        self.flush_through().map(|_| ())
    }

    fn put(&mut self, zxid: i64, payload: &[u8]) -> Result<()> {
        let len = (RECORD_HEADER_BYTES + payload.len()) as u64;
        let end = self.offset + self.pending.len() as u64;
        let has_records = end > HEADER_BYTES as u64;
        if has_records && end + len > self.options.segment_bytes.max(SEGMENT_BYTES_MIN) {
            self.roll()?;
        }
        let header = RecordHeader {
            len: payload.len() as u32,
            sequence: self.next_sequence,
            flushed_below: self.flushed_below,
            zxid,
        };
        let seed = self.segments[self.segments.len() - 1].seed();
        encode(&mut self.pending, seed, &header, payload);
        self.next_sequence += 1;
        if self.pending.len() > PENDING_BYTES_MAX {
            self.write_pending()?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let len = self.pending.len();
        let end = self.offset + len as u64;
        if end > self.prepared && len <= PREPARE_GROUP_MAX {
            let target = prepare_target(end, self.options);
            self.pending.resize(len + (target - end) as usize, 0);
        }
        let written = self.file.write_at(&self.pending, self.offset).map_err(StorageError::io("write", &self.path));
        self.stats.written_bytes += self.pending.len() as u64;
        self.keep_failure(written)?;
        self.prepared = self.prepared.max(self.offset + self.pending.len() as u64);
        self.offset = end;
        self.pending.clear();
        // One huge record shall not hold its memory for ever.
        self.pending.shrink_to(2 * PENDING_BYTES_MAX);
        Ok(())
    }

    fn flush_file(&mut self) -> Result<()> {
        let flushed = self.file.flush().map_err(StorageError::io("flush", &self.path));
        self.keep_failure(flushed)?;
        self.flushed_below = self.next_sequence;
        self.stats.flushes += 1;
        Ok(())
    }

    fn begin(&mut self, mut segment: Segment) -> Result<()> {
        let begun = self.begin_file(&mut segment);
        let (file, prepared) = self.keep_failure(begun)?;
        self.path = segment.path(&self.dir);
        self.file = file;
        self.offset = HEADER_BYTES as u64;
        self.prepared = prepared;
        self.segments.push_back(segment);
        self.stats.segments += 1;
        self.stats.recycled += u64::from(segment.is_recycled);
        Ok(())
    }

    fn begin_file(&self, segment: &mut Segment) -> Result<(F::File, u64)> {
        let spare = segment::list_spares(&self.fs, &self.dir)?.first().copied();
        segment.is_recycled = spare.is_some();
        match spare {
            Some(spare) => recycle_segment(&self.fs, &self.dir, &self.dir.join(segment::spare_name(spare)), segment),
            None => new_segment(&self.fs, &self.dir, segment, self.options),
        }
    }
}

/// Where the zeros behind a write that ends at `end` shall reach: the next step, but not past the segment's size.
fn prepare_target(end: u64, options: LogOptions) -> u64 {
    let step = end.next_multiple_of(PREPARE_BYTES);
    step.min(options.segment_bytes.max(SEGMENT_BYTES_MIN)).max(end)
}

/// Makes a segment durable, header, zeros and name, before a record goes there.
fn new_segment<F: Fs>(fs: &F, dir: &Path, segment: &Segment, options: LogOptions) -> Result<(F::File, u64)> {
    let path = segment.path(dir);
    let mut file = fs.create(&path).map_err(StorageError::io("create", &path))?;
    let mut bytes = segment.encode().to_vec();
    bytes.resize(prepare_target(HEADER_BYTES as u64, options) as usize, 0);
    file.write_at(&bytes, 0).map_err(StorageError::io("write", &path))?;
    file.flush().map_err(StorageError::io("flush", &path))?;
    fs.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
    Ok((file, bytes.len() as u64))
}

/// Makes a segment of a spare file. It gets its name only when its header is durable: a name never stands over another
/// segment's header.
fn recycle_segment<F: Fs>(fs: &F, dir: &Path, spare: &Path, segment: &Segment) -> Result<(F::File, u64)> {
    let mut file = fs.open(spare, Access::ReadWrite).map_err(StorageError::io("open", spare))?;
    file.write_at(&segment.encode(), 0).map_err(StorageError::io("write", spare))?;
    file.flush().map_err(StorageError::io("flush", spare))?;
    fs.rename(spare, &segment.path(dir)).map_err(StorageError::io("rename", spare))?;
    fs.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
    let prepared = file.len().map_err(StorageError::io("read", spare))?;
    Ok((file, prepared))
}

/// Cuts a file at `end`, and writes again what lies between `from` and `end`.
///
/// What was read there may never have reached the disk: after a failed flush Linux shows pages that it does not
/// write. Writing the same bytes once more makes what is served the same as what is on disk.
pub(super) fn cut_and_settle<File: FsFile>(file: &mut File, path: &Path, from: u64, end: u64) -> Result<()> {
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
