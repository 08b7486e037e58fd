//! Hands out a snapshot for a learner in pieces, while the image moves on and the log keeps what comes after it.

use std::sync::atomic::Ordering;

use crate::error::{Result, StorageError};
use crate::fs::Fs;
use crate::kv::Kv;
use crate::log::{History, Hold};
use crate::tree::{Cursor, Image, ImageCounts, ImageSnapshot, VisitImage};

/// The image as it was when this was made, and the log from there on.
///
/// While it lives the store keeps what is replaced in the image, and the log grows: how long a learner may take is for
/// the caller to limit.
pub struct Transfer<'a, F: Fs, K: Kv> {
    snapshot: ImageSnapshot<'a, K>,
    cursor: Cursor,
    /// Held until the log can be read on from the snapshot's zxid.
    hold: Hold<F>,
    _slot: Slot<'a, K>,
}

/// One of the transfers that may run at once.
struct Slot<'a, K>(&'a Image<K>);

impl<K> Drop for Slot<'_, K> {
    fn drop(&mut self) {
        self.0.transfers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<K: Kv> Image<K> {
    /// Begins to hand out this image, unless `at_most` others are being handed out. `history` is of the log that this
    /// image follows.
    pub fn transfer<F: Fs>(&self, history: &History<F>, at_most: usize) -> Result<Transfer<'_, F, K>> {
        let taken = self
            .transfers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| (running < at_most).then_some(running + 1));
        taken.map_err(|_| StorageError::TooManyTransfers { limit: at_most })?;
        let slot = Slot(self);
        // All of the log until the snapshot's zxid is known: the image may be flushed and the log purged in between.
        let mut hold = history.hold_all();
        let snapshot = self.snapshot();
        hold.advance(snapshot.zxid())?;
        Ok(Transfer { snapshot, cursor: Cursor::default(), hold, _slot: slot })
    }
}

impl<F: Fs, K: Kv> Transfer<'_, F, K> {
    /// The zxid whose tree this is.
    pub fn zxid(&self) -> i64 {
        self.snapshot.zxid()
    }

    /// Hands over everything at once, whatever pieces were handed over before: for what must be known before the first
    /// piece goes out, such as Java's table of ACLs and its count of sessions.
    pub fn survey(&self, visit: VisitImage<'_>) -> Result<ImageCounts> {
        self.snapshot.visit(visit)
    }

    /// Hands over what comes next, in the order of [`Image::load`], until at least `bytes_max` bytes were handed over;
    /// tells whether there may be more.
    pub fn next_piece(&mut self, bytes_max: usize, visit: VisitImage<'_>) -> Result<bool> {
        self.snapshot.visit_piece(&mut self.cursor, bytes_max, visit)
    }

    /// What was handed over in pieces.
    pub fn counts(&self) -> ImageCounts {
        self.cursor.counts()
    }

    /// The image is let go; the log after it is still held, to be read next.
    pub fn finish(self) -> Hold<F> {
        self.hold
    }
}
