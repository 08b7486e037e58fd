//! What stands in the stream, one by one.

use std::borrow::Cow;

use bytes::BytesMut;

use crate::jute::{DecodeError, DecodeErrorKind, Reader, VectorLength, Writer};
use crate::types::{Acl, SessionId, StatPersisted, read_acls, write_acls};

/// The key of the list that is open to everybody (`ReferenceCountedACLCache#OPEN_UNSAFE_ACL_ID`). Only znodes that were
/// created without a list have it; a list with the same content may have another key as well.
pub const OPEN_ACL_KEY: i64 = -1;

/// Stands where a path would, and ends the znodes.
const TREE_END: &str = "/";

/// Length in bytes of a znode without its path and data: two lengths, key, stat.
pub(super) const ZNODE_OVERHEAD_LEN: usize = 76;

/// Ends the stream (`LearnerHandler#run`).
const SIGNATURE: &str = "BenWasHere";

/// One thing in the stream, in the order of the variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotItem<'a> {
    /// How many sessions follow.
    Sessions(usize),
    /// A session.
    Session {
        /// Its number.
        id: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// How many access control lists follow.
    Acls(usize),
    /// An access control list. There may be some that no znode has.
    Acl {
        /// By which znodes name it.
        key: i64,
        /// Its entries.
        acl: Cow<'a, [Acl]>,
    },
    /// A znode, behind its parent.
    Znode(SnapshotZnode<'a>),
    /// All has been said, and the signature is there.
    End,
}

/// A znode in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotZnode<'a> {
    /// The whole path, `/` for the root.
    pub path: Cow<'a, str>,
    /// The data; null and empty are different.
    pub data: Option<&'a [u8]>,
    /// Key of its access control list. In a snapshot that was taken while transactions were applied, a list may be
    /// missing until they are applied once more.
    pub acl_key: i64,
    /// What is stored besides.
    pub stat: StatPersisted,
}

impl SnapshotItem<'_> {
    /// Writes the item.
    pub(super) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Sessions(count) | Self::Acls(count) => out.count(*count),
            Self::Session { id, timeout_ms } => {
                out.long(id.0);
                out.int(*timeout_ms);
            }
            Self::Acl { key, acl } => {
                out.long(*key);
                write_acls(out, acl);
            }
            Self::Znode(znode) => {
                out.text(if znode.path == TREE_END { "" } else { &znode.path });
                out.buffer(znode.data);
                out.long(znode.acl_key);
                znode.stat.write(out);
            }
            Self::End => {
                out.text(TREE_END);
                out.text(SIGNATURE);
            }
        }
    }
}

pub(super) fn read_session_count<'a>(reader: &mut Reader<'a>) -> Result<SnapshotItem<'a>, DecodeError> {
    read_count(reader).map(SnapshotItem::Sessions)
}

pub(super) fn read_acl_count<'a>(reader: &mut Reader<'a>) -> Result<SnapshotItem<'a>, DecodeError> {
    read_count(reader).map(SnapshotItem::Acls)
}

/// Reads how many follow. Java takes every negative number for none, -1 included.
fn read_count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    Ok(match reader.vector()? {
        VectorLength::Null => 0,
        VectorLength::Elements(count) => count,
    })
}

pub(super) fn read_session<'a>(reader: &mut Reader<'a>) -> Result<SnapshotItem<'a>, DecodeError> {
    Ok(SnapshotItem::Session { id: SessionId(reader.long()?), timeout_ms: reader.int()? })
}

pub(super) fn read_acl<'a>(reader: &mut Reader<'a>) -> Result<SnapshotItem<'a>, DecodeError> {
    Ok(SnapshotItem::Acl { key: reader.long()?, acl: Cow::Owned(read_acls(reader)?) })
}

/// Reads a znode, or what stands in place of one at the end.
pub(super) fn read_znode_or_end<'a>(reader: &mut Reader<'a>) -> Result<SnapshotItem<'a>, DecodeError> {
    let text = |reader: &mut Reader<'a>| reader.text()?.ok_or_else(|| reader.error(DecodeErrorKind::NullField));
    let path = text(reader)?;
    if path == TREE_END {
        return match &*text(reader)? {
            SIGNATURE => Ok(SnapshotItem::End),
            _ => Err(reader.error(DecodeErrorKind::Signature)),
        };
    }
    let path = if path.is_empty() { Cow::Borrowed(TREE_END) } else { path };
    let (data, acl_key) = (reader.buffer()?, reader.long()?);
    Ok(SnapshotItem::Znode(SnapshotZnode { path, data, acl_key, stat: StatPersisted::read(reader)? }))
}
