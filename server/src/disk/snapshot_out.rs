//! A snapshot for a learner: a picture of the image that stands still while the image goes on
//! (`LearnerHandler#run`, `SerializeUtils#serializeSnapshot`).

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use rookeeper_core::peer::Input;
use rookeeper_core::tree::{ChangeLog, Tree, TreeRules};
use rookeeper_core::zab::LearnerLink;
use rookeeper_protocol::snapshot::{SnapshotItem, SnapshotWriter, SnapshotZnode};
use rookeeper_protocol::types::{AclList, SessionId, Zxid};
use rookeeper_storage::error::CallerError;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::RocksKv;
use rookeeper_storage::log::History;
use rookeeper_storage::tree::{Image, ImageEntry};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::log::ImageProgress;
use super::znode_record::Decoder;
use crate::runtime::{Courtesy, Shared, step_back};

/// Bytes that are given to the socket at once.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces that may wait for the socket.
const PIECES_WAITING_MAX: usize = 4;

/// Pictures that may stand at one time; each keeps what is replaced in the image.
const PICTURES_MAX: usize = 64;

/// Why a picture is given up that nothing is wrong with: nobody reads this.
const GONE: &str = "the learner is gone";

/// A picture that stands still, or will.
#[derive(Debug)]
pub(crate) struct Picture {
    go: oneshot::Sender<mpsc::Sender<Bytes>>,
}

/// What a picture is made of.
pub(crate) struct Camera {
    pub(crate) shared: Arc<Shared>,
    pub(crate) image: Arc<RwLock<Image<RocksKv>>>,
    pub(crate) progress: Arc<ImageProgress>,
    pub(crate) history: History<RealFs>,
    pub(crate) rules: TreeRules,
}

impl Picture {
    /// Begins to make one, on a thread of its own, which lets go of the image before it ends. `failed` is called when there
    /// will be none.
    pub(crate) fn begin(
        camera: Camera,
        link: LearnerLink,
        failed: impl FnOnce() + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (go, sent) = oneshot::channel();
        let show = move || {
            step_back();
            if let Err(error) = camera.show(link, sent) {
                tracing::error!("no snapshot for learner {}: {error}", link.0);
                failed();
            }
        };
        let thread = std::thread::Builder::new().name("snapshot-out".to_owned()).spawn(show)?;
        Ok((Self { go }, thread))
    }

    /// Sends it: the pieces come out of what is returned, an empty one last.
    pub(crate) fn send(self) -> mpsc::Receiver<Bytes> {
        let (pieces, received) = mpsc::channel(PIECES_WAITING_MAX);
        // If its thread has failed nothing comes, and the connection ends.
        let _failed = self.go.send(pieces);
        received
    }
}

/// The stream on its way to the socket.
struct Stream<'a> {
    writer: SnapshotWriter,
    out: BytesMut,
    pieces: mpsc::Sender<Bytes>,
    /// Nobody takes it any more.
    gone: &'a Cell<bool>,
}

impl Stream<'_> {
    fn put(&mut self, item: SnapshotItem<'_>) -> Result<(), CallerError> {
        self.writer.fill([item], usize::MAX, &mut self.out)?;
        if self.out.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CallerError> {
        let piece = self.out.split().freeze();
        self.pieces.blocking_send(piece).map_err(|_| {
            self.gone.set(true);
            GONE.into()
        })
    }

    /// Ends the stream.
    fn end(mut self) -> Result<(), CallerError> {
        self.put(SnapshotItem::End)?;
        if !self.out.is_empty() {
            self.flush()?;
        }
        // An empty piece says that it is whole.
        self.flush()
    }
}

/// What stands in front of the znodes: sessions, and the lists that znodes have.
#[derive(Default)]
struct Heading {
    sessions: Vec<(SessionId, i32)>,
    acls: BTreeMap<AclList, i64>,
    decoder: Decoder,
}

impl Heading {
    fn note(&mut self, entry: ImageEntry<'_>) -> Result<(), CallerError> {
        match entry {
            ImageEntry::Blob { .. } => {}
            ImageEntry::Session { id, timeout_ms } => self.sessions.push((SessionId(id), timeout_ms)),
            ImageEntry::Znode { record, .. } => {
                if let Some(acl) = self.decoder.other_acl(record)? {
                    self.number(&acl);
                }
            }
        }
        Ok(())
    }

    /// The number of a list, which it gets when it is first seen; Java counts from 1 too.
    fn number(&mut self, acl: &AclList) -> i64 {
        let next = self.acls.len() as i64 + 1;
        match self.acls.get(acl) {
            Some(number) => *number,
            None => {
                self.acls.insert(acl.clone(), next);
                next
            }
        }
    }

    fn write(&self, stream: &mut Stream<'_>) -> Result<(), CallerError> {
        stream.put(SnapshotItem::Sessions(self.sessions.len()))?;
        for (id, timeout_ms) in &self.sessions {
            stream.put(SnapshotItem::Session { id: *id, timeout_ms: *timeout_ms })?;
        }
        stream.put(SnapshotItem::Acls(self.acls.len()))?;
        for (acl, key) in &self.acls {
            stream.put(SnapshotItem::Acl { key: *key, acl: Cow::Borrowed(acl) })?;
        }
        Ok(())
    }
}

impl Camera {
    fn show(self, link: LearnerLink, sent: oneshot::Receiver<mpsc::Sender<Bytes>>) -> Result<(), CallerError> {
        let gone = Cell::new(false);
        match self.show_unless(&gone, link, sent) {
            // Nothing is wrong with the picture.
            Err(_) if gone.get() => Ok(()),
            shown => shown,
        }
    }

    fn show_unless(
        self,
        gone: &Cell<bool>,
        link: LearnerLink,
        mut sent: oneshot::Receiver<mpsc::Sender<Bytes>>,
    ) -> Result<(), CallerError> {
        // The newer the picture, the less has to follow it.
        self.progress.bring_forward();
        let image = self.image.read();
        let mut transfer = image.transfer(&self.history, PICTURES_MAX)?;
        let mut heading = Heading::default();
        let mut courtesy = Courtesy::default();
        let counts = transfer.survey(&mut |entry| match sent.try_recv() {
            // Whoever wants to replace the image, or to end, does not wait for what nobody wants.
            Err(TryRecvError::Closed) => {
                gone.set(true);
                Err(GONE.into())
            }
            _ => {
                courtesy.step();
                heading.note(entry)
            }
        })?;
        self.shared.inbox.tell(Input::SnapshotOpened { link, zxid: Zxid(transfer.zxid()) });
        // A learner that has gone meanwhile wants none.
        let Ok(pieces) = sent.blocking_recv() else { return Ok(()) };
        let mut stream = Stream { writer: SnapshotWriter::default(), out: BytesMut::new(), pieces, gone };
        if counts.znodes == 0 {
            return new_tree(self.rules, stream);
        }
        heading.write(&mut stream)?;
        // Most znodes have the same list as the one before.
        let mut before: Option<(AclList, i64)> = None;
        let mut znode = |entry: ImageEntry<'_>| {
            let ImageEntry::Znode { path, record } = entry else { return Ok(()) };
            courtesy.step();
            let znode = heading.decoder.decode(record)?;
            let acl_key = match &before {
                Some((acl, key)) if Arc::ptr_eq(acl, &znode.acl) => *key,
                _ => {
                    let key = heading.acls.get(&znode.acl).copied().ok_or("a list that was not there before")?;
                    before.insert((znode.acl, key)).1
                }
            };
            let (path, data, stat) = (Cow::Borrowed(path), znode.data, znode.stat);
            stream.put(SnapshotItem::Znode(SnapshotZnode { path, data, acl_key, stat }))
        };
        while transfer.next_piece(PIECE_BYTES, &mut znode)? {}
        stream.end()
    }
}

/// A server that has never written anything has the znodes that every tree begins with.
fn new_tree(rules: TreeRules, mut stream: Stream<'_>) -> Result<(), CallerError> {
    let tree = Tree::new(rules, 0);
    let mut changes = ChangeLog::default();
    changes.all_changed(&tree);
    let mut heading = Heading::default();
    let mut znodes = Vec::new();
    changes.take(&tree, |znode| {
        let acl_key = heading.number(&znode.acl);
        let path = if znode.path.is_empty() { "/" } else { znode.path };
        znodes.push((path.to_owned(), znode.data.map(<[u8]>::to_vec), acl_key, znode.stat));
    });
    znodes.sort_by(|one, other| one.0.cmp(&other.0));
    heading.write(&mut stream)?;
    for (path, data, acl_key, stat) in &znodes {
        let (path, data) = (Cow::Borrowed(&**path), data.as_deref());
        stream.put(SnapshotItem::Znode(SnapshotZnode { path, data, acl_key: *acl_key, stat: *stat }))?;
    }
    stream.end()
}
