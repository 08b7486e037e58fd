//! Watches on the wire: modes, types, events.

use bytes::BytesMut;

use super::frame::{finish_frame, start_frame};
use super::header::{ReplyHeader, xid};
use crate::jute::{DecodeError, Reader, Writer};
use crate::types::Zxid;

/// The only state a server sends in an event (`Watcher.Event.KeeperState.SyncConnected`).
pub const KEEPER_STATE_SYNC_CONNECTED: i32 = 3;

/// What happened (`Watcher.Event.EventType`); servers send these four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum EventType {
    /// The znode was created.
    NodeCreated = 1,
    /// The znode was deleted.
    NodeDeleted = 2,
    /// Its data were set.
    NodeDataChanged = 3,
    /// A child was created or deleted.
    NodeChildrenChanged = 4,
}

/// A watch event as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// Number of the [`EventType`].
    pub event_type: i32,
    /// Number of the client state.
    pub state: i32,
    /// The znode.
    pub path: String,
}

impl WatchEvent {
    /// Reads an event behind its reply header.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (event_type, state) = (reader.int()?, reader.int()?);
        let path = reader.text()?.unwrap_or_default().into_owned();
        Ok(Self { event_type, state, path })
    }

    /// Writes the frame of an event. `zxid` is the transaction that fired it, or -1 for those that
    /// setWatches catches up on (`NIOServerCnxn#process`).
    pub fn write_frame(out: &mut BytesMut, event_type: EventType, path: &str, zxid: Zxid) {
        let start = start_frame(out);
        ReplyHeader { xid: xid::NOTIFICATION, zxid, error: 0 }.write(out);
        out.int(event_type as i32);
        out.int(KEEPER_STATE_SYNC_CONNECTED);
        out.text(path);
        finish_frame(out, start);
    }
}

/// How an addWatch watches (`ZooDefs.AddWatchModes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddWatchMode {
    /// The znode and its children, again and again.
    Persistent,
    /// The znode and all below it, again and again.
    PersistentRecursive,
}

impl AddWatchMode {
    /// The mode of this number.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Persistent),
            1 => Some(Self::PersistentRecursive),
            _ => None,
        }
    }
}

/// Which watches checkWatches and removeWatches mean (`Watcher.WatcherType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatcherType {
    /// One-shot watches on children.
    Children,
    /// One-shot watches on data and existence.
    Data,
    /// All kinds.
    Any,
    /// Persistent ones.
    Persistent,
    /// Persistent recursive ones.
    PersistentRecursive,
}

impl WatcherType {
    /// The type of this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::PersistentRecursive,
            _ => return None,
        })
    }
}
