//! A member's disk: storage's own log, image and installer over the doubles that forget what was not flushed.

use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use rookeeper_core::peer::{Loaded, Output, WriteId};
use rookeeper_core::pipeline::Pipeline;
use rookeeper_core::tree::{Tree, TreeRules};
use rookeeper_core::zab::{Epoch, Epochs, HistoryPiece, LogRecord};
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::fs::{CrashLuck, Fault, ModelFs};
use rookeeper_storage::kv::model::ModelDisk;
use rookeeper_storage::log::LogOptions;
use rookeeper_storage::tree::{Delta, ImageEntry};
use rookeeper_storage::{
    Epochs as StoredEpochs, Received, Receiving, Result, StorageError, Store, StoreOptions, replay,
};

use super::rebuild::{Rebuild, encode};

/// Bytes of a picture that go over the network at a time. Small, so that a snapshot of a few znodes can break off.
const PIECE_BYTES: usize = 512;

/// Pictures that are handed out at a time.
const TRANSFERS_MAX: usize = 16;

/// Changes that the image lacks before it is brought forward, and steps before it is made durable.
const IMAGE_STEP_CHANGES: usize = 16;
const IMAGE_FLUSH_STEPS: u32 = 4;

/// Below this the log is never held to be long against an image.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// What outlives a process.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) fs: ModelFs,
    kv: ModelDisk,
    segment_bytes: u64,
}

/// A part of a tree on its way to a learner: sessions with their timeouts, znodes with their records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    sessions: Vec<(i64, i32)>,
    znodes: Vec<(String, Bytes)>,
}

/// A tree that stands still.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) zxid: Zxid,
    /// Where it really ended: behind its zxid if others wrote meanwhile.
    pub(crate) end: Zxid,
    pub(crate) pieces: Vec<Rc<Piece>>,
}

impl Picture {
    fn znodes(&self) -> impl Iterator<Item = &(String, Bytes)> {
        self.pieces.iter().flat_map(|piece| &piece.znodes)
    }

    /// Whether a znode is in it.
    pub(crate) fn shows(&self, path: &str) -> bool {
        self.znodes().any(|(known, _)| known == path)
    }

    /// A picture that was begun when this one was made, and came to `last` then; the rest is as it was later. What came
    /// below a znode that was passed already is missing, as behind `DataTree#serializeNode`.
    pub(crate) fn ended_by(&self, later: &Self, last: &str) -> Self {
        let mut znodes: Vec<(String, Bytes)> = Vec::new();
        for znode in self.znodes() {
            znodes.push(znode.clone());
            if znode.0 == last {
                break;
            }
        }
        let passed: BTreeSet<String> = znodes.iter().map(|(path, _)| path.clone()).collect();
        let known: BTreeSet<&String> = self.znodes().map(|(path, _)| path).collect();
        let mut listed = passed.clone();
        for (path, record) in later.znodes().skip_while(|(path, _)| path != last).skip(1) {
            let parent = path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
            if listed.contains(parent) && (!passed.contains(parent) || known.contains(path)) {
                listed.insert(path.clone());
                znodes.push((path.clone(), record.clone()));
            }
        }
        let sessions = self.pieces.iter().flat_map(|piece| piece.sessions.iter().copied()).collect();
        let pieces = vec![Rc::new(Piece { sessions, znodes })];
        Self { zxid: self.zxid, end: later.zxid, pieces }
    }
}

/// What the disk reports of a write.
#[derive(Debug)]
pub(crate) enum Report {
    Durable(WriteId),
    Truncated { write: WriteId, last_zxid: Zxid, reloaded: Option<Box<(Tree, Loaded)>> },
    Installed { write: WriteId, tree: Box<Tree>, loaded: Box<Loaded> },
}

/// What a start found.
pub(crate) struct Opened {
    pub(crate) files: Files,
    pub(crate) tree: Tree,
    pub(crate) loaded: Loaded,
    pub(crate) epochs: Epochs,
}

/// The open files of a process.
#[derive(Debug)]
pub(crate) struct Files {
    store: Store<ModelFs, ModelDisk>,
    rules: TreeRules,
    /// The snapshot that is being received, what of it came before the disk was ready, and what belongs behind it.
    receiving: Option<Receiving<ModelFs, ModelDisk>>,
    received_zxid: Zxid,
    arrived: Vec<Rc<Piece>>,
    behind: Vec<LogRecord>,
    image_steps: u32,
}

impl Disk {
    pub(crate) fn new(segment_bytes: u64) -> Self {
        Self { fs: ModelFs::new(), kv: ModelDisk::new(), segment_bytes }
    }

    /// Opens the data folder, as a server's start does.
    pub(crate) fn open(&self, server: i64, rules: TreeRules) -> Result<Opened> {
        let options = StoreOptions {
            data_dir: "/data".into(),
            data_log_dir: "/data".into(),
            log: LogOptions { segment_bytes: self.segment_bytes, force_sync: true },
            server: Some(server),
            trust_empty: true,
        };
        let mut rebuild = Rebuild::new(rules);
        let (store, recovered) = Store::open(&self.fs, &options, &self.kv, &mut rebuild)?;
        let (tree, loaded) = rebuild.finish();
        let StoredEpochs { accepted, current } = recovered.epochs.unwrap_or_default();
        let files = Files {
            store,
            rules,
            receiving: None,
            received_zxid: Zxid::ZERO,
            arrived: Vec::new(),
            behind: Vec::new(),
            image_steps: 0,
        };
        let epochs = Epochs { accepted: Epoch(accepted), current: Epoch(current) };
        Ok(Opened { files, tree, loaded, epochs })
    }

    /// The process is gone; what it wrote and did not flush is in the machine's memory.
    pub(crate) fn kill(&self) {
        self.fs.kill();
    }

    /// The machine is gone, and of what was not flushed as much survives as luck will have it.
    pub(crate) fn crash(&self, luck: CrashLuck) {
        self.fs.crash(luck);
        self.kv.crash(match luck {
            CrashLuck::Forget => 0,
            CrashLuck::Keep => u64::MAX,
            CrashLuck::Seed(seed) => seed,
        });
    }

    /// The disk takes no more than so many bytes more, or as many as it is given.
    pub(crate) fn limit(&self, room: Option<u64>) {
        self.fs.set_capacity(room.map(|room| self.fs.used_bytes() + room));
    }

    /// No call fails any more.
    pub(crate) fn heal(&self) {
        self.fs.fail(Fault::Flush(u64::MAX));
    }

    /// A call that is to come fails.
    pub(crate) fn fail(&self, fault: Fault) {
        self.fs.fail(fault);
    }
}

impl Files {
    /// Carries out writes in their order, and reports what became durable until one of them failed.
    pub(crate) fn write(&mut self, writes: Vec<Output>, tree: &Tree, reports: &mut Vec<Report>) -> Result<()> {
        let (mut appended, mut newest) = (None, tree.last_zxid());
        for write in writes {
            if !matches!(write, Output::Append { .. }) {
                self.flush(&mut appended, reports)?;
            }
            match write {
                Output::Append { write, records } => {
                    if self.receiving.is_some() {
                        self.behind.extend(records);
                    } else {
                        for record in records {
                            self.store.log.append(record.zxid.0, &record.payload)?;
                        }
                    }
                    appended = Some(write);
                }
                Output::PersistEpochs { write, epochs } => {
                    let (accepted, current) = (epochs.accepted.0, epochs.current.0);
                    self.store.epochs.set(StoredEpochs { accepted, current })?;
                    reports.push(Report::Durable(write));
                }
                Output::Truncate { write, keep } => {
                    self.store.log.truncate(keep.0, &self.store.image)?;
                    let last_zxid = Zxid(self.store.log.last_zxid());
                    let reloaded = if newest > keep { Some(Box::new(self.reload()?)) } else { None };
                    newest = reloaded.as_ref().map_or(newest, |reloaded| reloaded.0.last_zxid());
                    reports.push(Report::Truncated { write, last_zxid, reloaded });
                }
                Output::ReceiveSnapshot { zxid, .. } => {
                    self.receiving = Some(self.store.installer.begin(&self.store.log)?);
                    self.received_zxid = zxid;
                    self.take_in()?;
                }
                Output::DropSnapshot { write } => {
                    self.arrived.clear();
                    self.behind.clear();
                    if let Some(receiving) = self.receiving.take() {
                        receiving.discard()?;
                    }
                    reports.push(Report::Durable(write));
                }
                Output::InstallSnapshot { write } => {
                    let (tree, loaded) = self.install()?;
                    newest = tree.last_zxid();
                    reports.push(Report::Installed { write, tree: Box::new(tree), loaded: Box::new(loaded) });
                }
                _ => {}
            }
        }
        self.flush(&mut appended, reports)
    }

    fn flush(&mut self, appended: &mut Option<WriteId>, reports: &mut Vec<Report>) -> Result<()> {
        if let Some(write) = appended.take() {
            if self.receiving.is_none() {
                self.store.log.flush()?;
            }
            reports.push(Report::Durable(write));
        }
        Ok(())
    }

    /// Reads image and log once more.
    fn reload(&self) -> Result<(Tree, Loaded)> {
        let mut rebuild = Rebuild::new(self.rules);
        replay(&self.store.image, &self.store.log.history(), &mut rebuild)?;
        Ok(rebuild.finish())
    }

    /// A part of a snapshot came from the leader.
    pub(crate) fn receive(&mut self, piece: Rc<Piece>) -> Result<()> {
        self.arrived.push(piece);
        self.take_in()
    }

    fn take_in(&mut self) -> Result<()> {
        let Some(receiving) = &self.receiving else { return Ok(()) };
        for piece in self.arrived.drain(..) {
            let mut delta = Delta::new(0);
            piece.sessions.iter().for_each(|(id, timeout_ms)| delta.put_session(*id, *timeout_ms));
            piece.znodes.iter().try_for_each(|(path, record)| delta.put_znode(path, record))?;
            receiving.add(&delta)?;
        }
        Ok(())
    }

    /// Puts the snapshot, and what came behind it, in the place of everything. The tree is that of the snapshot alone.
    fn install(&mut self) -> Result<(Tree, Loaded)> {
        self.take_in()?;
        let behind = std::mem::take(&mut self.behind);
        let Some(receiving) = self.receiving.take() else {
            return Err(StorageError::BadPath { path: "no snapshot is being received".into() });
        };
        let mut received: Received<_, _> = receiving.complete(self.received_zxid.0, &self.store.log)?;
        for record in behind {
            received.append(record.zxid.0, &record.payload)?;
        }
        received.switch(&mut self.store.log, &mut self.store.image)?;
        let mut rebuild = Rebuild::new(self.rules);
        self.store.image.load(&mut |entry| rookeeper_storage::Replay::entry(&mut rebuild, entry))?;
        rookeeper_storage::Replay::image_end(&mut rebuild, self.received_zxid.0)
            .map_err(|_| StorageError::BadPath { path: "a snapshot that ends twice".into() })?;
        Ok(rebuild.finish())
    }

    /// The image follows the tree, which holds nothing but what is committed and flushed.
    pub(crate) fn step_image(&mut self, tree: &Tree, pipeline: &mut Pipeline, keep_after: Option<Zxid>) -> Result<()> {
        let image = &self.store.image;
        if pipeline.changes.len() < IMAGE_STEP_CHANGES || tree.last_zxid().0 > self.store.log.history().last_zxid() {
            return Ok(());
        }
        let mut delta = Delta::new(tree.last_zxid().0);
        for path in pipeline.changes.deleted_paths() {
            delta.delete_znode(path)?;
        }
        let (mut record, mut failed) = (BytesMut::new(), None);
        let set = pipeline.changes.take(tree, |znode| {
            encode(&znode, &mut record);
            let path = if znode.path.is_empty() { "/" } else { znode.path };
            failed = failed.take().or(delta.put_znode(path, &record).err());
        });
        failed.map_or(Ok(()), Err)?;
        for (session, timeout_ms) in set.sessions {
            match timeout_ms {
                Some(timeout_ms) => delta.put_session(session.0, timeout_ms),
                None => delta.delete_session(session.0),
            }
        }
        image.set_committed(tree.last_zxid().0);
        image.apply(&mut delta)?;
        self.image_steps += 1;
        if self.image_steps.is_multiple_of(IMAGE_FLUSH_STEPS) {
            let durable = image.flush()?;
            self.store.log.retire(keep_after.map_or(durable, |keep| keep.0.min(durable))).remove()?;
        }
        Ok(())
    }

    /// A picture of the image as it is.
    pub(crate) fn picture(&self) -> Result<Picture> {
        let mut transfer = self.store.image.transfer(&self.store.log.history(), TRANSFERS_MAX)?;
        let mut picture = Picture { zxid: Zxid(transfer.zxid()), end: Zxid(transfer.zxid()), pieces: Vec::new() };
        loop {
            let mut piece = Piece::default();
            let more = transfer.next_piece(PIECE_BYTES, &mut |entry| {
                match entry {
                    ImageEntry::Session { id, timeout_ms } => piece.sessions.push((id, timeout_ms)),
                    ImageEntry::Znode { path, record } => {
                        piece.znodes.push((path.to_owned(), Bytes::copy_from_slice(record)));
                    }
                    ImageEntry::Blob { .. } => {}
                }
                Ok(())
            })?;
            picture.pieces.push(Rc::new(piece));
            if !more {
                return Ok(picture);
            }
        }
    }

    /// A piece of the log for a learner.
    pub(crate) fn history(
        &self,
        after: Zxid,
        through: Zxid,
        bytes_max: usize,
        size_limit_permille: Option<u32>,
    ) -> Result<HistoryPiece> {
        let history = self.store.log.history();
        let usage = self.store.image.usage();
        let image_bytes = (usage.disk_bytes + usage.memory_bytes).max(LOG_BYTES_MIN);
        let too_long = |permille: u32| history.bytes_after(after.0) > image_bytes * u64::from(permille) / 1000;
        if size_limit_permille.is_some_and(too_long) {
            return Ok(HistoryPiece::Unavailable);
        }
        let mut reader = match history.read_after(after.0) {
            Ok(reader) => reader,
            Err(StorageError::NotInLog { .. } | StorageError::LogReplaced { .. }) => {
                return Ok(HistoryPiece::Unavailable);
            }
            Err(error) => return Err(error),
        };
        let at_or_before = Zxid(reader.last_zxid());
        let record =
            |(zxid, payload): (i64, &[u8])| LogRecord { zxid: Zxid(zxid), payload: Bytes::copy_from_slice(payload) };
        let piece = reader.next_piece(through.0, bytes_max)?;
        let records = piece.map(|piece| piece.iter().map(record).collect()).unwrap_or_default();
        Ok(HistoryPiece::Records { at_or_before, records })
    }
}
