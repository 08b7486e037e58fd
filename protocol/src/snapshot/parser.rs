//! Taking a snapshot's stream apart while it arrives.

use bytes::{Buf, BytesMut};

use super::item::{
    SnapshotItem, ZNODE_OVERHEAD_LEN, read_acl, read_acl_count, read_session, read_session_count, read_znode_or_end,
};
use super::stage::Stage;
use crate::jute::{DecodeError, Reader};

type ReadItem = for<'a> fn(&mut Reader<'a>) -> Result<SnapshotItem<'a>, DecodeError>;

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
        let read: ReadItem = match self.stage {
            Stage::Sessions => read_session_count,
            Stage::SessionsLeft(_) => read_session,
            Stage::Acls => read_acl_count,
            Stage::AclsLeft(_) => read_acl,
            Stage::Znodes => read_znode_or_end,
            Stage::Ended => return Ok(None),
        };
        let mut reader = Reader::with_limit(&self.buffer, self.inner_length_max);
        let item = reader.arriving(self.item_len_max, read)?;
        if let Some(item) = &item {
            self.taken = reader.position();
            // What was read because of the stage is in order.
            self.stage = self.stage.after(item).unwrap_or(Stage::Ended);
        }
        Ok(item)
    }

    /// What was read beyond the stream: packets again.
    pub fn into_rest(mut self) -> BytesMut {
        self.buffer();
        self.buffer
    }
}
