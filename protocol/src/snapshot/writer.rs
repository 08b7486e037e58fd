//! Putting a snapshot's stream together, in bounded pieces.

use bytes::BytesMut;
use thiserror::Error;

use super::item::SnapshotItem;
use super::stage::Stage;

/// An item that may not stand where it was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the items of a snapshot are not in order")]
pub struct OutOfOrder;

/// Writes a stream, and sees to its order: as many sessions and lists as were announced, then znodes, then the end.
/// Whether parents come before their children is for the caller to know.
#[derive(Debug)]
pub struct SnapshotWriter {
    stage: Stage,
}

impl Default for SnapshotWriter {
    fn default() -> Self {
        Self { stage: Stage::Sessions }
    }
}

impl SnapshotWriter {
    /// Writes items until `out` has `piece_len` bytes or the items come to an end; an item more than fits is written
    /// whole. The next piece may come from another iterator that goes on where this one was left.
    pub fn fill<'a>(
        &mut self,
        items: impl IntoIterator<Item = SnapshotItem<'a>>,
        piece_len: usize,
        out: &mut BytesMut,
    ) -> Result<(), OutOfOrder> {
        let mut items = items.into_iter();
        while out.len() < piece_len
            && let Some(item) = items.next()
        {
            self.stage = self.stage.after(&item).ok_or(OutOfOrder)?;
            item.write(out);
        }
        Ok(())
    }

    /// Whether the end was written.
    pub fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
    }
}
