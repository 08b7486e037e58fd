//! Taking a snapshot's stream apart while it arrives.

use bytes::{Buf, BytesMut};

use super::item::{SnapshotItem, ZNODE_OVERHEAD_LEN, read_acl, read_count, read_session, read_znode_or_end};
use super::stage::Stage;
use crate::jute::{DecodeError, DecodeErrorKind, Reader};

/// Cuts items off the front of a stream. It needs no more memory than what is read at once and the largest item that is
/// allowed, however large the snapshot is.
#[derive(Debug)]
pub struct SnapshotParser {
    inner_length_max: i32,
    item_len_max: usize,
    stage: Stage,
    buffer: BytesMut,
    /// Bytes at the front of the buffer that belong to the item handed out last.
    taken: usize,
}

impl SnapshotParser {
    /// Begins a stream with what was read behind the SNAP packet. Refuses data and strings of more than
    /// `inner_length_max` bytes: `jute.maxbuffer` and its extra size. A path and data of that length bound an access
    /// control list too.
    pub fn new(buffer: BytesMut, inner_length_max: i32) -> Self {
        let item_len_max = ZNODE_OVERHEAD_LEN + 2 * inner_length_max.max(0) as usize;
        Self { inner_length_max, item_len_max, stage: Stage::Sessions, buffer, taken: 0 }
    }

    /// Where to append what comes next, once [`next_item`](Self::next_item) has no more.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.advance(std::mem::take(&mut self.taken));
        &mut self.buffer
    }

    /// Takes the next item, if all of it is there. Behind [`SnapshotItem::End`] there are none.
    pub fn next_item(&mut self) -> Result<Option<SnapshotItem<'_>>, DecodeError> {
        self.buffer();
        let Self { inner_length_max, item_len_max, stage, buffer, taken } = self;
        let mut reader = Reader::with_limit(buffer, *inner_length_max);
        let read = match stage {
            Stage::Sessions => read_count(&mut reader).map(SnapshotItem::Sessions),
            Stage::SessionsLeft(_) => read_session(&mut reader),
            Stage::Acls => read_count(&mut reader).map(SnapshotItem::Acls),
            Stage::AclsLeft(_) => read_acl(&mut reader),
            Stage::Znodes => read_znode_or_end(&mut reader),
            Stage::Ended => return Ok(None),
        };
        let item = match read {
            Ok(item) => Some(item),
            Err(DecodeError { kind: DecodeErrorKind::UnexpectedEnd, .. }) => None,
            Err(error) => return Err(error),
        };
        let seen = if item.is_some() { reader.position() } else { buffer.len() };
        if seen > *item_len_max {
            return Err(DecodeError { kind: DecodeErrorKind::RecordTooLong(*item_len_max), offset: seen });
        }
        if let Some(item) = &item {
            *taken = seen;
            // What was read because of the stage is in order.
            *stage = stage.after(item).unwrap_or(Stage::Ended);
        }
        Ok(item)
    }

    /// What was read beyond the stream: packets again.
    pub fn into_rest(mut self) -> BytesMut {
        self.buffer();
        self.buffer
    }
}
