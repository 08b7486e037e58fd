//! Takes the newest records back: what a leader never committed (ZAB's TRUNC).

use super::LogWriter;
use super::append::{cut_and_settle, remove_durably};
use super::map::LiveSegment;
use super::scan::{Scan, Step};
use super::segment::Place;
use super::tail::Tail;
use crate::error::{Result, StorageError};
use crate::fs::{Access, Fs};
use crate::kv::Kv;
use crate::tree::Image;

impl<F: Fs> LogWriter<F> {
    /// Removes every record after zxid `keep`, durably. Refused, with nothing changed, where the log begins later, and
    /// where the image is past it: the image cannot go back, only be replaced ([`Installer`](crate::Installer)).
    ///
    /// A crash on the way leaves a log that ends somewhere between the old end and the new one, never one with a hole:
    /// segments go newest first, then the last one is cut. Whoever was told to truncate may have any of these. A
    /// failure ends the writer, a full disk too (Java went on with the records still there, ZOOKEEPER-3701). Whoever
    /// reads the log meanwhile gets [`StorageError::LogReplaced`].
    pub fn truncate<K: Kv>(&mut self, keep: i64, image: &Image<K>) -> Result<()> {
        self.tail.check()?;
        let begins_after = self.begins_after();
        if keep < begins_after {
            return Err(StorageError::NotInLog { asked: keep, begins_after });
        }
        let image = image.zxid();
        if keep < image {
            return Err(StorageError::ImageAhead { keep, image });
        }
        if keep >= self.last_zxid() {
            return Ok(());
        }
        let done = self.cut_after(keep);
        self.tail.keep_failure(done)
    }

    fn cut_after(&mut self, keep: i64) -> Result<()> {
        // What is collected and not written goes this way too: the walk below finds the end in the file.
        self.flush_through()?;
        let last = self.first_to_cut(keep)?;
        let end = self.find_end(&last, keep)?;
        // Nobody begins to read what is about to go.
        let gone = self.shared.map().cut(last.segment.number, end);
        let (fs, dir) = (&self.shared.fs, &self.shared.dir);
        for segment in gone {
            remove_durably(fs, dir, &segment.path(dir))?;
        }
        let path = last.segment.path(dir);
        let file = fs.open(&path, Access::ReadWrite).map_err(StorageError::io("open", &path))?;
        cut_and_settle(&file, &path, end.offset, end.offset)?;
        self.tail = Tail::resume(last.segment, file, path, end, self.options).succeed(&self.tail);
        Ok(())
    }

    /// The segment that will be the last one: the oldest that can hold the first record after `keep`.
    fn first_to_cut(&self, keep: i64) -> Result<LiveSegment> {
        let map = self.shared.map();
        let live = map.segments().rev().find(|live| live.segment.base_zxid < keep).or_else(|| map.segments().next());
        live.cloned().ok_or(StorageError::NotInLog { asked: keep, begins_after: map.begins_after() })
    }

    /// Where the records up to `keep` end.
    fn find_end(&self, live: &LiveSegment, keep: i64) -> Result<Place> {
        let (fs, path) = (&self.shared.fs, live.segment.path(&self.shared.dir));
        let file = fs.open(&path, Access::Read).map_err(StorageError::io("open", &path))?;
        let mut scan = Scan::from(file, path, &live.segment, live.place_after(keep), live.end.offset);
        while scan.peek()?.is_some_and(|zxid| zxid <= keep) {
            match scan.step()? {
                Step::Record { .. } | Step::Mark => {}
                Step::End => break,
            }
        }
        Ok(scan.place())
    }
}
