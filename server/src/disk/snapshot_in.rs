//! A snapshot that a leader sends: from its stream into an image beside the present one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::BytesMut;
use parking_lot::Mutex;
use rookeeper_core::tree::ZnodeChange;
use rookeeper_protocol::jute::DecodeError;
use rookeeper_protocol::snapshot::{OPEN_ACL_KEY, SnapshotItem, SnapshotParser};
use rookeeper_protocol::types::{Acl, AclList, EphemeralOwner, ExtendedTypes, OwnerError, Zxid, validate_path};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::{Receiving, StorageError};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::znode_record;
use crate::runtime::{Shared, step_back};

/// Bytes of a part that is given to the image at once.
const PART_BYTES: usize = 512 << 10;

/// Parts that may wait for the image.
const PARTS_WAITING_MAX: usize = 2;

/// A snapshot that cannot be taken in.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    /// The stream is no snapshot.
    #[error("the snapshot cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// A znode stands where no tree has one.
    #[error("the snapshot has a znode at {0:?}, where there is none above it or none can be")]
    Place(String),
    /// No tree is without a root.
    #[error("the snapshot has no znodes")]
    Empty,
    /// A znode that this server cannot have.
    #[error("the snapshot has a znode at {0:?} that cannot be taken: {1}; are the extended types configured alike?")]
    Owner(String, OwnerError),
    /// What the image does not take.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How far the stream was read.
pub(crate) enum Progress {
    /// More has to arrive.
    NeedsMore,
    /// A part is full.
    Part(Delta),
    /// The last part; the stream has come to its end.
    Whole(Delta),
}

/// Takes a stream apart.
pub(crate) struct SnapshotReader {
    parser: SnapshotParser,
    acls: BTreeMap<i64, AclList>,
    /// The path before, to see that parents stand before their children; empty before the root.
    before: String,
    record: BytesMut,
    part: Delta,
    types: ExtendedTypes,
}

impl SnapshotReader {
    /// Begins with what was read behind the SNAP packet. What passes here can be loaded: once a snapshot has taken the place
    /// of image and log there is nothing else that the server could start with.
    pub(crate) fn new(buffer: BytesMut, inner_length_max: i32, types: ExtendedTypes) -> Self {
        Self {
            parser: SnapshotParser::new(buffer, inner_length_max),
            acls: BTreeMap::from([(OPEN_ACL_KEY, [Acl::open()].into())]),
            before: String::new(),
            record: BytesMut::new(),
            part: Delta::new(0),
            types,
        }
    }

    /// Where to append what arrives.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.parser.buffer()
    }

    /// What was read beyond the stream.
    pub(crate) fn into_rest(self) -> BytesMut {
        self.parser.into_rest()
    }

    /// Reads what has arrived.
    pub(crate) fn read(&mut self) -> Result<Progress, SnapshotError> {
        loop {
            if self.part.size_bytes() >= PART_BYTES {
                return Ok(Progress::Part(self.take_part()));
            }
            let Self { parser, acls, before, record, part, types } = self;
            match parser.next_item()? {
                None => return Ok(Progress::NeedsMore),
                Some(SnapshotItem::End) if before.is_empty() => return Err(SnapshotError::Empty),
                Some(SnapshotItem::End) => return Ok(Progress::Whole(self.take_part())),
                Some(SnapshotItem::Sessions(_) | SnapshotItem::Acls(_)) => {}
                Some(SnapshotItem::Session { id, timeout_ms }) => part.put_session(id.0, timeout_ms),
                Some(SnapshotItem::Acl { key, acl }) => {
                    acls.insert(key, acl.into_owned().into());
                }
                Some(SnapshotItem::Znode(znode)) => {
                    let path = &*znode.path;
                    if !may_follow(before, path) {
                        return Err(SnapshotError::Place(path.to_owned()));
                    }
                    EphemeralOwner::decode(znode.stat.ephemeral_owner, *types)
                        .map_err(|error| SnapshotError::Owner(path.to_owned(), error))?;
                    path.clone_into(before);
                    // A list that is not there belongs to a znode that was made while the snapshot was written: its
                    // transaction follows, and tells the list. Until then nobody may do anything.
                    let acl = acls.get(&znode.acl_key).cloned().unwrap_or_else(|| AclList::from([]));
                    znode_record::encode(&ZnodeChange { path, data: znode.data, acl, stat: znode.stat }, record);
                    part.put_znode(path, record)?;
                }
            }
        }
    }

    fn take_part(&mut self) -> Delta {
        std::mem::replace(&mut self.part, Delta::new(0))
    }
}

/// Whether a znode may stand behind another when a tree is told from its root down, each znode before what is below it.
fn may_follow(before: &str, path: &str) -> bool {
    if before.is_empty() {
        return path == "/";
    }
    let Some((parent, _)) = path.rsplit_once('/') else { return false };
    let above = before.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    above && path != "/" && validate_path(path).is_ok()
}

/// Where the image is that takes a snapshot in.
#[derive(Debug)]
enum Place {
    /// Its thread has it.
    Filling,
    /// All parts are in it.
    Filled(Box<Receiving<RealFs, RocksEngine>>),
    /// Nobody wants it any more.
    Unwanted,
}

/// A snapshot on its way into an image, as the member's thread holds it.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The newest transaction in it.
    pub(crate) zxid: Zxid,
    place: Arc<Mutex<Place>>,
}

/// Where its parts go, and where to hear that all of them are there.
#[derive(Debug)]
pub(crate) struct SnapshotSink {
    pub(crate) parts: mpsc::Sender<Delta>,
    pub(crate) stored: oneshot::Receiver<()>,
}

impl Incoming {
    /// Fills an image on a thread of its own. The thread lets go of the image, and takes an unwanted one away, before it ends.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        zxid: Zxid,
        receiving: Receiving<RealFs, RocksEngine>,
    ) -> std::io::Result<(Self, SnapshotSink, JoinHandle<()>)> {
        let place = Arc::new(Mutex::new(Place::Filling));
        let (parts, given) = mpsc::channel(PARTS_WAITING_MAX);
        let (tell, stored) = oneshot::channel();
        let (shared, there) = (shared.clone(), place.clone());
        let fill = move || {
            step_back();
            if let Err(error) = fill(receiving, given, &there, tell) {
                shared.fail(&error.to_string());
            }
        };
        let thread = std::thread::Builder::new().name("snapshot-in".to_owned()).spawn(fill)?;
        Ok((Self { zxid, place }, SnapshotSink { parts, stored }, thread))
    }

    /// The image, once it is filled.
    pub(crate) fn take(self) -> Option<Receiving<RealFs, RocksEngine>> {
        match std::mem::replace(&mut *self.place.lock(), Place::Unwanted) {
            Place::Filled(receiving) => Some(*receiving),
            Place::Filling | Place::Unwanted => None,
        }
    }

    /// Gives the snapshot up.
    pub(crate) fn discard(self) -> Result<(), StorageError> {
        self.take().map_or(Ok(()), Receiving::discard)
    }
}

fn fill(
    receiving: Receiving<RealFs, RocksEngine>,
    mut parts: mpsc::Receiver<Delta>,
    place: &Mutex<Place>,
    tell: oneshot::Sender<()>,
) -> Result<(), StorageError> {
    while let Some(part) = parts.blocking_recv() {
        receiving.add(&part)?;
    }
    let mut place = place.lock();
    if matches!(*place, Place::Unwanted) {
        drop(place);
        return receiving.discard();
    }
    *place = Place::Filled(Box::new(receiving));
    drop(place);
    // Who asked may be gone: then the machine drops the snapshot.
    let _nobody_waits = tell.send(());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::borrow::Cow;

    use rookeeper_protocol::snapshot::{SnapshotWriter, SnapshotZnode};
    use rookeeper_protocol::types::StatPersisted;

    use super::*;

    fn read(znodes: &[(&str, i64)], types: ExtendedTypes) -> Result<bool, SnapshotError> {
        let znode = |&(path, ephemeral_owner): &(_, _)| {
            let stat = StatPersisted { ephemeral_owner, ..StatPersisted::default() };
            let path = Cow::Borrowed(path);
            SnapshotItem::Znode(SnapshotZnode { path, data: None, acl_key: OPEN_ACL_KEY, stat })
        };
        let counts = [SnapshotItem::Sessions(0), SnapshotItem::Acls(0)];
        let mut stream = BytesMut::new();
        let items = counts.into_iter().chain(znodes.iter().map(znode)).chain([SnapshotItem::End]);
        SnapshotWriter::default().fill(items, usize::MAX, &mut stream).unwrap();
        let mut reader = SnapshotReader::new(stream, 1000, types);
        reader.read().map(|progress| matches!(progress, Progress::Whole(_)))
    }

    #[test]
    fn what_cannot_be_loaded_is_not_taken_in() {
        let (plain, extended) = (ExtendedTypes::default(), ExtendedTypes { enabled: true, emulate_353: false });
        // A time to live, and a feature that no ZooKeeper has yet.
        let (ttl, feature) = (0xFF_u64 << 56 | 5, 0xFF_u64 << 56 | 1 << 40);
        assert!(read(&[("/", 0), ("/a", ttl as i64)], extended).unwrap());
        assert!(read(&[("/", 0), ("/a", feature as i64)], plain).unwrap());
        let refused = read(&[("/", 0), ("/a", feature as i64)], extended);
        assert!(matches!(refused, Err(SnapshotError::Owner(path, _)) if path == "/a"));
        assert!(matches!(read(&[], plain), Err(SnapshotError::Empty)));
        assert!(matches!(read(&[("/", 0), ("/a/b", 0)], plain), Err(SnapshotError::Place(path)) if path == "/a/b"));
    }

    #[test]
    fn parents_stand_before_their_children() {
        let tree = ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e"];
        let mut before = "";
        for path in tree {
            assert!(may_follow(before, path), "{path} behind {before}");
            before = path;
        }
        for (before, path) in
            [("", "/a"), ("/", "/"), ("/a", "/b/c"), ("/ab", "/a/c"), ("/a", "a"), ("/a", "/a//b"), ("/a", "/a/")]
        {
            assert!(!may_follow(before, path), "{path} behind {before}");
        }
    }
}
