//! A snapshot that a leader sends: from its stream into an image beside the present one, and into the tree that goes with
//! it. Both are made on threads of their own while it arrives; the connection's task only hands on what it reads.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::BytesMut;
use parking_lot::Mutex;
use rookeeper_core::tree::ZnodeChange;
use rookeeper_protocol::jute::DecodeError;
use rookeeper_protocol::snapshot::{OPEN_ACL_KEY, SnapshotItem, SnapshotParser};
use rookeeper_protocol::types::{Acl, AclList, EphemeralOwner, ExtendedTypes, OwnerError, Zxid, validate_path};
use rookeeper_storage::error::CallerError;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksEngine;
use rookeeper_storage::tree::Delta;
use rookeeper_storage::{Receiving, StorageError};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::recovery::Rebuild;
use super::znode_record;
use crate::runtime::{Courtesy, Shared, step_back, tree_rules};

/// Bytes of a part that is given to the image at once.
const PART_BYTES: usize = 64 << 10;

/// Parts that may wait for the image.
const PARTS_WAITING_MAX: usize = 16;

/// Pieces of the stream, each as it was read from the socket, that may wait to be taken apart.
const PIECES_WAITING_MAX: usize = 8;

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
    /// What the tree does not take.
    #[error("the snapshot cannot be taken: {0}")]
    Tree(CallerError),
}

/// How far the stream was read.
enum Progress {
    /// More has to arrive.
    NeedsMore,
    /// A part is full.
    Part(Delta),
    /// The last part; the stream has come to its end.
    Whole(Delta),
}

/// Takes a stream apart.
struct SnapshotReader {
    parser: SnapshotParser,
    tree: Rebuild,
    acls: BTreeMap<i64, AclList>,
    /// The path before, to see that parents stand before their children; empty before the root.
    before: String,
    record: BytesMut,
    part: Delta,
    types: ExtendedTypes,
    courtesy: Courtesy,
}

impl SnapshotReader {
    /// What passes here can be loaded: once a snapshot has taken the place of image and log there is nothing else that the
    /// server could start with.
    fn new(tree: Rebuild, inner_length_max: i32, types: ExtendedTypes) -> Self {
        Self {
            parser: SnapshotParser::new(BytesMut::new(), inner_length_max),
            tree,
            acls: BTreeMap::from([(OPEN_ACL_KEY, [Acl::open()].into())]),
            before: String::new(),
            record: BytesMut::new(),
            part: Delta::new(0),
            types,
            courtesy: Courtesy::default(),
        }
    }

    /// Takes what has arrived.
    fn add(&mut self, piece: BytesMut) {
        let buffer = self.parser.buffer();
        if buffer.is_empty() { *buffer = piece } else { buffer.extend_from_slice(&piece) }
    }

    /// Reads what has arrived.
    fn read(&mut self) -> Result<Progress, SnapshotError> {
        loop {
            if self.part.size_bytes() >= PART_BYTES {
                return Ok(Progress::Part(self.take_part()));
            }
            let Self { parser, tree, acls, before, record, part, types, courtesy } = self;
            match parser.next_item()? {
                None => return Ok(Progress::NeedsMore),
                Some(SnapshotItem::End) if before.is_empty() => return Err(SnapshotError::Empty),
                Some(SnapshotItem::End) => return Ok(Progress::Whole(self.take_part())),
                Some(SnapshotItem::Sessions(_) | SnapshotItem::Acls(_)) => {}
                Some(SnapshotItem::Session { id, timeout_ms }) => {
                    part.put_session(id.0, timeout_ms);
                    tree.session(id, timeout_ms);
                }
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
                    tree.znode(path, znode.data, &acl, znode.stat).map_err(SnapshotError::Tree)?;
                    znode_record::encode(&ZnodeChange { path, data: znode.data, acl, stat: znode.stat }, record);
                    part.put_znode(path, record)?;
                    courtesy.step();
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
enum Place {
    /// Its threads have it.
    Filling,
    /// All parts are in it, or as many as have come.
    Filled(Box<Filled>),
    /// Nobody wants it any more.
    Unwanted,
}

/// An image, and the tree that goes with it.
pub(crate) struct Filled {
    pub(crate) receiving: Receiving<RealFs, RocksEngine>,
    pub(crate) tree: Rebuild,
}

/// A snapshot on its way into an image, as the member's thread holds it.
pub(crate) struct Incoming {
    /// The newest transaction in it.
    pub(crate) zxid: Zxid,
    place: Arc<Mutex<Place>>,
}

/// What its stream is handed to.
#[derive(Debug)]
pub(crate) struct SnapshotSink {
    /// What is read from the connection, until nobody takes it any more.
    pub(crate) pieces: mpsc::Sender<BytesMut>,
    /// The stream has come to its end: what was handed in beyond it.
    pub(crate) rest: oneshot::Receiver<Result<BytesMut, SnapshotError>>,
    /// All of it is in the image.
    pub(crate) stored: oneshot::Receiver<()>,
}

/// The other ends of a [`SnapshotSink`].
struct Stream {
    pieces: mpsc::Receiver<BytesMut>,
    rest: oneshot::Sender<Result<BytesMut, SnapshotError>>,
    stored: oneshot::Sender<()>,
}

impl Incoming {
    /// Fills an image and a tree on threads of their own. They let go of the image, and take an unwanted one away, before
    /// they end.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        zxid: Zxid,
        receiving: Receiving<RealFs, RocksEngine>,
        tree: Rebuild,
    ) -> Result<(Self, SnapshotSink, JoinHandle<()>), StorageError> {
        let place = Arc::new(Mutex::new(Place::Filling));
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let (tell_rest, rest) = oneshot::channel();
        let (tell, stored) = oneshot::channel();
        let stream = Stream { pieces, rest: tell_rest, stored: tell };
        let types = tree_rules(&shared.config).extended_types;
        let reader = SnapshotReader::new(tree, shared.connection_rules.inner_length_max, types);
        let (shared, there) = (shared.clone(), place.clone());
        let fill = move || {
            step_back();
            if let Err(error) = fill(reader, receiving, stream, &there) {
                shared.fail(&error.to_string());
            }
        };
        let thread = thread::Builder::new().name("snapshot-in".to_owned()).spawn(fill).map_err(no_thread)?;
        Ok((Self { zxid, place }, SnapshotSink { pieces: sender, rest, stored }, thread))
    }

    /// What it became, once it is filled.
    pub(crate) fn take(self) -> Option<Filled> {
        match std::mem::replace(&mut *self.place.lock(), Place::Unwanted) {
            Place::Filled(filled) => Some(*filled),
            Place::Filling | Place::Unwanted => None,
        }
    }

    /// Gives the snapshot up.
    pub(crate) fn discard(self) -> Result<(), StorageError> {
        self.take().map_or(Ok(()), |filled| filled.receiving.discard())
    }
}

fn no_thread(source: io::Error) -> StorageError {
    StorageError::Io { action: "start a thread for", path: Path::new("snapshot").into(), source: Arc::new(source) }
}

/// Takes the stream apart, and fills the image on another thread.
fn fill(
    mut reader: SnapshotReader,
    receiving: Receiving<RealFs, RocksEngine>,
    stream: Stream,
    place: &Mutex<Place>,
) -> Result<(), StorageError> {
    let Stream { pieces, rest, stored } = stream;
    let (parts, given) = sync_channel(PARTS_WAITING_MAX);
    let filled = thread::scope(|scope| {
        let image = &receiving;
        let filling = move || {
            given.iter().try_for_each(|part: Delta| {
                thread::yield_now();
                image.add(&part)
            })
        };
        let filling = thread::Builder::new().name("snapshot-image".to_owned()).spawn_scoped(scope, filling);
        let filling = filling.map_err(no_thread)?;
        read_all(&mut reader, pieces, parts, rest);
        filling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    filled?;
    let mut place = place.lock();
    if matches!(*place, Place::Unwanted) {
        drop(place);
        return receiving.discard();
    }
    *place = Place::Filled(Box::new(Filled { receiving, tree: reader.tree }));
    drop(place);
    // Who asked may be gone: then the machine drops the snapshot.
    let _nobody_waits = stored.send(());
    Ok(())
}

/// Reads to the end of the stream, or until the connection or the image is gone.
fn read_all(
    reader: &mut SnapshotReader,
    mut pieces: mpsc::Receiver<BytesMut>,
    parts: SyncSender<Delta>,
    rest: oneshot::Sender<Result<BytesMut, SnapshotError>>,
) {
    let told = loop {
        match reader.read() {
            Ok(Progress::NeedsMore) => match pieces.blocking_recv() {
                Some(piece) => reader.add(piece),
                None => return,
            },
            Ok(Progress::Part(part)) => {
                if parts.send(part).is_err() {
                    return;
                }
            }
            Ok(Progress::Whole(part)) => {
                if parts.send(part).is_err() {
                    return;
                }
                pieces.close();
                while let Some(piece) = pieces.blocking_recv() {
                    reader.add(piece);
                }
                break Ok(std::mem::take(reader.parser.buffer()));
            }
            Err(error) => break Err(error),
        }
    };
    // The connection may be gone.
    let _nobody_waits = rest.send(told);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::borrow::Cow;

    use rookeeper_core::tree::TreeRules;
    use rookeeper_protocol::snapshot::{SnapshotWriter, SnapshotZnode};
    use rookeeper_protocol::types::{SessionId, StatPersisted};

    use super::*;

    fn stream(znodes: &[(&str, i64)]) -> BytesMut {
        let znode = |&(path, ephemeral_owner): &(_, _)| {
            let stat = StatPersisted { ephemeral_owner, ..StatPersisted::default() };
            let path = Cow::Borrowed(path);
            SnapshotItem::Znode(SnapshotZnode { path, data: None, acl_key: OPEN_ACL_KEY, stat })
        };
        let session = SnapshotItem::Session { id: SessionId(7), timeout_ms: 4000 };
        let counts = [SnapshotItem::Sessions(1), session, SnapshotItem::Acls(0)];
        let mut stream = BytesMut::new();
        let items = counts.into_iter().chain(znodes.iter().map(znode)).chain([SnapshotItem::End]);
        SnapshotWriter::default().fill(items, usize::MAX, &mut stream).unwrap();
        stream
    }

    fn reader(types: ExtendedTypes) -> SnapshotReader {
        SnapshotReader::new(Rebuild::new(TreeRules { extended_types: types, digest: true }, 1), 1000, types)
    }

    fn read(znodes: &[(&str, i64)], types: ExtendedTypes) -> Result<bool, SnapshotError> {
        let mut reader = reader(types);
        reader.add(stream(znodes));
        reader.read().map(|progress| matches!(progress, Progress::Whole(_)))
    }

    /// What is told of a stream that comes in these pieces, the tree, and how many entries the image is given.
    fn read_pieces(pieces: Vec<BytesMut>) -> (Option<Result<BytesMut, SnapshotError>>, Rebuild, usize) {
        let mut reader = reader(ExtendedTypes::default());
        let (sender, given) = mpsc::channel(pieces.len());
        pieces.into_iter().for_each(|piece| sender.try_send(piece).unwrap());
        drop(sender);
        let (parts, filled) = sync_channel(PARTS_WAITING_MAX);
        let (tell, mut told) = oneshot::channel();
        read_all(&mut reader, given, parts, tell);
        (told.try_recv().ok(), reader.tree, filled.iter().map(|part| part.len()).sum())
    }

    #[test]
    fn a_stream_may_come_in_any_pieces_and_what_follows_is_handed_back() {
        let tree = [("/", 0), ("/a", 7), ("/a/b", 0), ("/c", 0)];
        let mut bytes = stream(&tree);
        let length = bytes.len();
        bytes.extend_from_slice(b"NEWLEADER");
        for piece in [1, 3, length - 1, length, length + 4, bytes.len()] {
            let pieces = bytes.chunks(piece).map(BytesMut::from).collect();
            let (rest, rebuild, entries) = read_pieces(pieces);
            assert_eq!(rest.unwrap().unwrap(), "NEWLEADER");
            // The session is an entry, too.
            assert_eq!(entries, tree.len() + 1);
            let (received, loaded) = rebuild.received(Zxid(5)).unwrap();
            // The root is counted twice, as in Java.
            assert_eq!((received.node_count(), received.last_zxid()), (tree.len() + 1, Zxid(5)));
            assert_eq!(loaded.sessions, [(SessionId(7), 4000)]);
        }
    }

    #[test]
    fn a_stream_that_breaks_off_or_is_wrong_is_told_apart() {
        let bytes = stream(&[("/", 0), ("/a", 0)]);
        let (told, ..) = read_pieces(vec![BytesMut::from(&bytes[..bytes.len() - 1])]);
        assert!(told.is_none());
        let (told, ..) = read_pieces(vec![stream(&[("/", 0), ("/a", 0), ("/a", 0)])]);
        assert!(matches!(told, Some(Err(SnapshotError::Tree(_)))), "{told:?}");
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
