//! What others than the writer may know of the log: which segments there are, how far they are flushed, who still reads.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::INDEX_STEP_BYTES;
use super::segment::{Place, Segment};
use crate::error::{Result, StorageError};

/// A segment of the log, and places in it from which a walk can begin.
#[derive(Debug, Clone)]
pub(super) struct LiveSegment {
    pub(super) segment: Segment,
    /// Rising, the segment's beginning first, about [`INDEX_STEP_BYTES`] apart.
    places: Vec<Place>,
    /// Where the flushed records end.
    pub(super) end: Place,
}

impl LiveSegment {
    pub(super) fn new(segment: Segment) -> Self {
        Self { segment, places: vec![segment.begin()], end: segment.begin() }
    }

    /// The records reach up to `place`, unless it is known that they reach further.
    pub(super) fn reach(&mut self, place: Place) {
        if place.offset < self.end.offset {
            return;
        }
        self.end = place;
        if self.places.last().is_none_or(|last| place.offset >= last.offset + INDEX_STEP_BYTES) {
            self.places.push(place);
        }
    }

    /// The last known place that no record after `zxid` lies before.
    pub(super) fn place_after(&self, zxid: i64) -> Place {
        let at = self.places.partition_point(|place| place.last_zxid <= zxid);
        self.places[at.max(1) - 1]
    }

    fn cut(&mut self, end: Place) {
        self.places.retain(|place| place.offset <= end.offset);
        self.end = end;
    }
}

/// The segments as they are now.
#[derive(Debug)]
pub(super) struct LogMap {
    /// Never empty.
    segments: VecDeque<LiveSegment>,
    /// How many hold a segment, and with it all later ones, by its number.
    holds: BTreeMap<u64, usize>,
    /// Counts how often records were taken back: what was read before must not be continued.
    pub(super) generation: u64,
}

/// What a log's writer, its readers and its holds share.
#[derive(Debug)]
pub(super) struct Shared<F> {
    pub(super) fs: F,
    pub(super) dir: PathBuf,
    map: Mutex<LogMap>,
}

impl<F> Shared<F> {
    /// `segments` must not be empty.
    pub(super) fn new(fs: F, dir: PathBuf, segments: VecDeque<LiveSegment>) -> Arc<Self> {
        let map = LogMap { segments, holds: BTreeMap::new(), generation: 0 };
        Arc::new(Self { fs, dir, map: Mutex::new(map) })
    }

    pub(super) fn map(&self) -> MutexGuard<'_, LogMap> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogMap {
    /// The log holds every record after this zxid.
    pub(super) fn begins_after(&self) -> i64 {
        self.segments[0].segment.base_zxid
    }

    /// Number of the oldest segment.
    pub(super) fn first_number(&self) -> u64 {
        self.segments[0].segment.number
    }

    /// The segment that is written to.
    pub(super) fn last(&self) -> &LiveSegment {
        &self.segments[self.segments.len() - 1]
    }

    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = &LiveSegment> {
        self.segments.iter()
    }

    /// The segment with this number, or the next one that there is.
    pub(super) fn at_or_after(&self, number: u64) -> Option<&LiveSegment> {
        self.segments.iter().find(|live| live.segment.number >= number)
    }

    /// The segment in which the first record after `zxid` is or will be.
    pub(super) fn holding(&self, zxid: i64) -> Result<&LiveSegment> {
        self.segments
            .iter()
            .rev()
            .find(|live| live.segment.base_zxid <= zxid)
            .ok_or(StorageError::NotInLog { asked: zxid, begins_after: self.begins_after() })
    }

    /// Records up to `place` of the last segment are flushed.
    pub(super) fn reach(&mut self, place: Place) {
        let last = self.segments.len() - 1;
        self.segments[last].reach(place);
    }

    /// The next segment has begun.
    pub(super) fn push(&mut self, segment: Segment) {
        self.segments.push_back(LiveSegment::new(segment));
    }

    /// Takes out the segments that nobody holds and in which nothing is newer than `upto`; tells how many these are.
    pub(super) fn retire(&mut self, upto: i64) -> usize {
        let before = self.segments.len();
        let first_held = self.holds.first_key_value().map_or(u64::MAX, |(&number, _)| number);
        // Everything in a segment is as old as the zxid that the next one begins after, or older.
        while self.segments.len() > 1
            && self.segments[1].segment.base_zxid <= upto
            && self.segments[0].segment.number < first_held
        {
            self.segments.pop_front();
        }
        before - self.segments.len()
    }

    /// Takes back everything behind `end` of segment `number`; gives the segments after it, the newest first.
    pub(super) fn cut(&mut self, number: u64, end: Place) -> Vec<Segment> {
        self.take_back();
        let mut gone = Vec::new();
        while self.segments.len() > 1 && self.last().segment.number > number {
            gone.extend(self.segments.pop_back().map(|live| live.segment));
        }
        let last = self.segments.len() - 1;
        self.segments[last].cut(end);
        gone
    }

    /// The log is now this one segment; gives those that it was, the oldest first.
    pub(super) fn replace(&mut self, by: LiveSegment) -> VecDeque<LiveSegment> {
        self.take_back();
        std::mem::replace(&mut self.segments, [by].into())
    }

    fn take_back(&mut self) {
        self.generation += 1;
        self.holds.clear();
    }

    pub(super) fn hold(&mut self, number: u64) {
        *self.holds.entry(number).or_default() += 1;
    }

    /// Gives a hold back, unless everything that was held has been taken back since.
    pub(super) fn release(&mut self, number: u64, generation: u64) {
        if generation != self.generation {
            return;
        }
        if let Some(count) = self.holds.get_mut(&number) {
            *count -= 1;
            if *count == 0 {
                self.holds.remove(&number);
            }
        }
    }
}
