//! Reads the log while it goes on being written: what a learner lacks.
//!
//! Only flushed records are ever handed out. Whoever reads holds the segments from there on, so that a purge passes them
//! by; records that are taken back ([`LogWriter::truncate`](super::LogWriter::truncate), a snapshot that takes the
//! place of everything) end all reading with [`StorageError::LogReplaced`].

use std::path::Path;
use std::sync::Arc;

use super::map::{LiveSegment, LogMap, Shared};
use super::record::RECORD_HEADER_BYTES;
use super::scan::{Scan, Step};
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs};

/// The flushed part of a log, for others than its writer. Clones tell of the same log.
#[derive(Debug, Clone)]
pub struct History<F: Fs> {
    shared: Arc<Shared<F>>,
}

/// Keeps the records after a zxid from being purged, until it is dropped.
///
/// The log grows while somebody holds it: how long that may last is for the holder to limit.
#[derive(Debug)]
#[must_use = "records are held only as long as this lives"]
pub struct Hold<F: Fs> {
    shared: Arc<Shared<F>>,
    /// Of the oldest segment that is held.
    number: u64,
    generation: u64,
}

/// Reads records in order, as far as they are flushed. Holds what it has not read yet.
#[derive(Debug)]
pub struct HistoryReader<F: Fs> {
    hold: Hold<F>,
    scan: Scan<F::File>,
}

/// Some records, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    bytes: Vec<u8>,
    /// zxid of each record, and where in `bytes` it ends.
    ends: Vec<(i64, usize)>,
}

impl<F: Fs> History<F> {
    pub(super) fn new(shared: Arc<Shared<F>>) -> Self {
        Self { shared }
    }

    /// Folder of the log, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.shared.dir
    }

    /// The log holds every record after this zxid.
    pub fn begins_after(&self) -> i64 {
        self.shared.map().begins_after()
    }

    /// zxid of the last flushed record, or the one that the log begins after.
    pub fn last_zxid(&self) -> i64 {
        self.shared.map().last().end.last_zxid
    }

    /// Bytes of the records after `zxid`, as they stand in the log: up to [`INDEX_STEP_BYTES`](super::INDEX_STEP_BYTES)
    /// and one flush more than there are, never less. Reads nothing.
    pub fn bytes_after(&self, zxid: i64) -> u64 {
        let map = self.shared.map();
        map.segments()
            .filter(|live| live.end.last_zxid > zxid)
            .map(|live| live.end.offset - live.place_after(zxid).offset)
            .sum()
    }

    /// Holds the records after `zxid`.
    ///
    /// # Errors
    /// [`StorageError::NotInLog`] if the log begins later.
    pub fn hold_after(&self, zxid: i64) -> Result<Hold<F>> {
        let mut map = self.shared.map();
        let number = map.holding(zxid)?.segment.number;
        Ok(self.hold(&mut map, number))
    }

    /// Holds everything that there is.
    pub(crate) fn hold_all(&self) -> Hold<F> {
        let mut map = self.shared.map();
        let number = map.first_number();
        self.hold(&mut map, number)
    }

    /// A reader of the records after `zxid`.
    ///
    /// # Errors
    /// [`StorageError::NotInLog`] if the log begins later, and what reading the first of them may bring.
    pub fn read_after(&self, zxid: i64) -> Result<HistoryReader<F>> {
        self.hold_after(zxid)?.read_after(zxid)
    }

    fn hold(&self, map: &mut LogMap, number: u64) -> Hold<F> {
        map.hold(number);
        Hold { shared: Arc::clone(&self.shared), number, generation: map.generation }
    }
}

impl<F: Fs> Hold<F> {
    /// Lets go of what is not after `zxid`.
    pub fn advance(&mut self, zxid: i64) -> Result<()> {
        let number = self.with_map(|map| map.holding(zxid).map(|live| live.segment.number))?;
        self.move_to(number);
        Ok(())
    }

    /// A reader of the records after `zxid`.
    ///
    /// # Errors
    /// [`StorageError::NotInLog`] if not all of these are held, and what reading the first of them may bring.
    pub fn read_after(mut self, zxid: i64) -> Result<HistoryReader<F>> {
        let live = self.with_map(|map| {
            let held = map.at_or_after(self.number).map_or(i64::MAX, |live| live.segment.base_zxid);
            if zxid < held {
                Err(StorageError::NotInLog { asked: zxid, begins_after: held })
            } else {
                map.holding(zxid).cloned()
            }
        })?;
        self.move_to(live.segment.number);
        let scan = self.prefer_replaced(self.open(&live, zxid))?;
        let mut reader = HistoryReader { hold: self, scan };
        let found = reader.skip_until(zxid);
        reader.hold.prefer_replaced(found)?;
        Ok(reader)
    }

    /// Asks the map, unless it is another log's by now.
    fn with_map<T>(&self, ask: impl FnOnce(&LogMap) -> Result<T>) -> Result<T> {
        let map = self.shared.map();
        if map.generation == self.generation { ask(&map) } else { Err(self.replaced()) }
    }

    /// What went wrong, or went well, over records that were taken back meanwhile counts for nothing.
    fn prefer_replaced<T>(&self, result: Result<T>) -> Result<T> {
        self.with_map(|_| Ok(()))?;
        result
    }

    fn replaced(&self) -> StorageError {
        StorageError::LogReplaced { path: self.shared.dir.clone() }
    }

    /// Never to an older segment: that may be gone.
    fn move_to(&mut self, number: u64) {
        let mut map = self.shared.map();
        if number > self.number && map.generation == self.generation {
            map.hold(number);
            map.release(self.number, self.generation);
            self.number = number;
        }
    }

    fn open(&self, live: &LiveSegment, after: i64) -> Result<Scan<F::File>> {
        let path = live.segment.path(&self.shared.dir);
        let file = self.shared.fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
        Ok(Scan::from(file, path, &live.segment, live.place_after(after), live.end.offset))
    }
}

impl<F: Fs> Drop for Hold<F> {
    fn drop(&mut self) {
        self.shared.map().release(self.number, self.generation);
    }
}

impl<F: Fs> HistoryReader<F> {
    /// zxid of the record before the next one. Of a new reader this is the zxid that was asked for if the log has it,
    /// or the one before where it has not: to there a learner is to truncate.
    pub fn last_zxid(&self) -> i64 {
        self.scan.place().last_zxid
    }

    /// The next records, up to zxid `through` and about `bytes_max` bytes of payload, but at least one; `None` where
    /// there is none (yet: what is flushed later can be read later).
    ///
    /// # Errors
    /// [`StorageError::LogReplaced`] if records were taken back: what was read so far need not be in the log any more.
    pub fn next_piece(&mut self, through: i64, bytes_max: usize) -> Result<Option<Piece>> {
        let mut piece = Piece::default();
        let read = self.fill(&mut piece, through, bytes_max);
        self.hold.prefer_replaced(read)?;
        Ok((!piece.ends.is_empty()).then_some(piece))
    }

    fn fill(&mut self, piece: &mut Piece, through: i64, bytes_max: usize) -> Result<()> {
        while piece.ends.is_empty() || piece.bytes.len() < bytes_max {
            match self.peek()? {
                Some(zxid) if zxid <= through => {}
                _ => break,
            }
            if let Step::Record { zxid, payload } = self.scan.step()? {
                piece.bytes.extend_from_slice(payload);
                piece.ends.push((zxid, piece.bytes.len()));
            }
        }
        Ok(())
    }

    fn skip_until(&mut self, zxid: i64) -> Result<()> {
        while self.peek()?.is_some_and(|next| next <= zxid) {
            self.scan.step()?;
        }
        Ok(())
    }

    /// zxid of the next record or mark, if it is flushed.
    fn peek(&mut self) -> Result<Option<i64>> {
        loop {
            if let Some(zxid) = self.scan.peek()? {
                return Ok(Some(zxid));
            }
            if !self.go_on()? {
                return Ok(None);
            }
        }
    }

    /// The walk has come to where it was allowed to go: further in this segment, or into the next.
    fn go_on(&mut self) -> Result<bool> {
        let number = self.hold.number;
        let (here, next) = self.hold.with_map(|map| {
            let end = map.at_or_after(number).map(|live| live.end);
            Ok((end, map.at_or_after(number + 1).cloned()))
        })?;
        let at = self.scan.place();
        match (here, next) {
            (Some(end), _) if end.offset > self.scan.limit() => self.scan.extend(end.offset),
            (Some(end), _) if end != at => {
                let what = format!("record {} is not whole", at.next_sequence);
                let advice = "stop the server and verify the folder";
                return Err(StorageError::damaged(self.scan.path(), at.offset, what, advice));
            }
            (_, Some(next)) => {
                self.hold.move_to(next.segment.number);
                self.scan = self.hold.open(&next, at.last_zxid)?;
            }
            (_, None) => return Ok(false),
        }
        Ok(true)
    }
}

impl Piece {
    /// The records: zxid and payload.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|&(_, end)| end));
        starts.zip(&self.ends).map(|(start, &(zxid, end))| (zxid, &self.bytes[start..end]))
    }

    /// How many records these are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// zxid of the last one.
    pub fn last_zxid(&self) -> Option<i64> {
        self.ends.last().map(|&(zxid, _)| zxid)
    }

    /// Bytes that the records had in the log.
    pub fn log_bytes(&self) -> u64 {
        (self.bytes.len() + self.ends.len() * RECORD_HEADER_BYTES) as u64
    }
}
