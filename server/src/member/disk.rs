//! What the machine asks of the disk, in its order, and what comes of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::RwLock;
use rookeeper_core::peer::{Input, Output, WriteId};
use rookeeper_core::tree::Tree;
use rookeeper_core::zab::{DialId, Epochs, LogRecord};
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::error::CallerError;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::{RocksEngine, RocksKv};
use rookeeper_storage::log::{History, LogWriter};
use rookeeper_storage::tree::Image;
use rookeeper_storage::{EpochFile, Installer, StorageError};

use crate::disk::{Filled, Flusher, ImageProgress, Incoming, Rebuild, SnapshotSink};
use crate::runtime::{Shared, tree_rules};

/// Bytes of transactions that are kept behind a snapshot until it is installed; the machine keeps them once more. A leader that
/// proposes more meanwhile is too fast for this server, which then begins anew.
const BEHIND_SNAPSHOT_BYTES_MAX: usize = 512 << 20;

/// The disk of a member.
pub(crate) struct MemberDisk {
    shared: Arc<Shared>,
    log: LogWriter<RealFs>,
    image: Arc<RwLock<Image<RocksKv>>>,
    epochs: EpochFile<RealFs>,
    installer: Installer<RealFs, RocksEngine>,
    progress: Arc<ImageProgress>,
    flusher: Flusher,
    /// A snapshot on its way, and what belongs behind it.
    incoming: Option<(Incoming, Vec<LogRecord>)>,
    /// The thread that fills the image of the last one, until somebody has waited for its end.
    filling: Option<JoinHandle<()>>,
    /// Bytes of what belongs behind it.
    behind_bytes: usize,
    /// The newest write that is handed to the disk, the one that the flush under way is about, and the one that was told
    /// to be durable.
    done: WriteId,
    flushing: WriteId,
    told: WriteId,
    /// Of the tree's hash tables.
    seed: u64,
}

/// What a write leads to besides that it is durable.
pub(crate) enum Outcome {
    /// Tell the machine.
    Tell(Input),
    /// The tree is another one; tell the machine under the same hold of the locks.
    Replaced(Box<Tree>, Input),
    /// The leader's connection may be read on: the snapshot goes there.
    Receive(DialId, SnapshotSink),
    /// The leader sends more than can be kept: leave it, and begin anew.
    GiveUp,
    /// The log was cut, and the leader's connection may be read on once the machine knows.
    Cut(Option<Box<Tree>>, Input),
}

impl MemberDisk {
    pub(crate) fn new(
        shared: Arc<Shared>,
        log: LogWriter<RealFs>,
        image: Arc<RwLock<Image<RocksKv>>>,
        epochs: EpochFile<RealFs>,
        installer: Installer<RealFs, RocksEngine>,
        progress: Arc<ImageProgress>,
        seed: u64,
    ) -> io::Result<Self> {
        let flusher = Flusher::start(shared.clone(), progress.clone(), Zxid(log.last_zxid()))?;
        Ok(Self {
            shared,
            log,
            image,
            epochs,
            installer,
            progress,
            flusher,
            incoming: None,
            filling: None,
            behind_bytes: 0,
            done: WriteId::default(),
            flushing: WriteId::default(),
            told: WriteId::default(),
            seed,
        })
    }

    /// What others may read of the log.
    pub(crate) fn history(&self) -> History<RealFs> {
        self.log.history()
    }

    /// The image, to be handed out.
    pub(crate) fn image(&self) -> &Arc<RwLock<Image<RocksKv>>> {
        &self.image
    }

    /// Carries out a write. Records are only collected: [`MemberDisk::flush`] makes them durable.
    pub(crate) fn write(&mut self, output: Output, into: &mut Vec<Outcome>) -> Result<(), StorageError> {
        match output {
            Output::Append { write, records } => {
                match &mut self.incoming {
                    Some((_, behind)) => {
                        self.behind_bytes += records.iter().map(|record| record.payload.len()).sum::<usize>();
                        behind.extend(records);
                        if self.behind_bytes > BEHIND_SNAPSHOT_BYTES_MAX {
                            tracing::warn!(
                                "giving up a snapshot: more follows it than {BEHIND_SNAPSHOT_BYTES_MAX} bytes"
                            );
                            self.behind_bytes = 0;
                            into.push(Outcome::GiveUp);
                        }
                    }
                    None => {
                        for record in &records {
                            self.flusher.append(&mut self.log, record.zxid, &record.payload)?;
                        }
                        let bytes = records.iter().map(|record| record.payload.len() as u64).sum();
                        self.shared.log_written.fetch_add(bytes, Ordering::Relaxed);
                    }
                }
                self.done = write;
            }
            Output::PersistEpochs { write, epochs } => {
                // What was appended before must be there when the epoch is (ZOOKEEPER-4643).
                self.flusher.settle(&mut self.log)?;
                self.set_epochs(epochs)?;
                self.done = write;
            }
            Output::Truncate { write, keep } => {
                self.settle(into)?;
                let outcome = self.truncate(write, keep)?;
                (self.done, self.told) = (write, write);
                into.push(outcome);
            }
            Output::ReceiveSnapshot { dial, zxid } => {
                // One that was given up may still be open, in the place that the new one takes. Its connection is gone, so that
                // its thread has nothing to wait for.
                self.end_filling();
                let receiving = self.installer.begin(&self.log)?;
                let (incoming, sink, filling) = Incoming::begin(&self.shared, zxid, receiving, self.rebuild())?;
                (self.incoming, self.filling) = (Some((incoming, Vec::new())), Some(filling));
                self.behind_bytes = 0;
                into.push(Outcome::Receive(dial, sink));
            }
            Output::DropSnapshot { write } => {
                if let Some((incoming, _)) = self.incoming.take() {
                    incoming.discard()?;
                }
                self.done = write;
            }
            Output::InstallSnapshot { write } => {
                self.settle(into)?;
                let outcome = self.install(write)?;
                (self.done, self.told) = (write, write);
                into.push(outcome);
            }
            // Not the disk's.
            _ => {}
        }
        Ok(())
    }

    /// Whether a flush has ended, or the image waits for one.
    pub(crate) fn has_news(&self) -> bool {
        self.flusher.has_news() || self.progress.wants_log()
    }

    /// Whether a write does not take long, as far as can be told.
    pub(crate) fn is_quick(&self) -> bool {
        self.incoming.is_none() && self.flusher.is_quick()
    }

    /// How long what was appended still waits for company.
    pub(crate) fn waits_for_company(&self) -> Option<Duration> {
        self.flusher.waits_for_company()
    }

    /// Sees to it that everything becomes durable, and tells what is. `crowded`: more has come while this thread was busy.
    pub(crate) fn flush(&mut self, crowded: bool, into: &mut Vec<Outcome>) -> Result<(), StorageError> {
        if self.flusher.collect(&mut self.log)? {
            self.tell_durable(self.flushing, into);
            self.flushing = self.done;
        }
        if self.flusher.flush(&mut self.log, crowded)? {
            self.flushing = self.done;
            self.tell_durable(self.done, into);
        }
        Ok(())
    }

    /// Makes everything durable, and tells so.
    fn settle(&mut self, into: &mut Vec<Outcome>) -> Result<(), StorageError> {
        self.flusher.settle(&mut self.log)?;
        self.tell_durable(self.done, into);
        Ok(())
    }

    fn tell_durable(&mut self, through: WriteId, into: &mut Vec<Outcome>) {
        if through > self.told {
            self.told = through;
            into.push(Outcome::Tell(Input::Durable { through }));
        }
    }

    fn set_epochs(&mut self, epochs: Epochs) -> Result<(), StorageError> {
        let (accepted, current) = (epochs.accepted.0, epochs.current.0);
        self.epochs.set(rookeeper_storage::Epochs { accepted, current })
    }

    fn truncate(&mut self, write: WriteId, keep: Zxid) -> Result<Outcome, StorageError> {
        let image = self.image.clone();
        let image = image.read();
        match self.log.truncate(keep.0, &image) {
            Ok(()) => {}
            // The machine sees where the log ends, and asks for a snapshot.
            Err(error @ (StorageError::ImageAhead { .. } | StorageError::NotInLog { .. })) => {
                tracing::warn!("the leader wants the log cut behind {keep}: {error}; a snapshot will take its place");
            }
            Err(error) => return Err(error),
        }
        let last_zxid = Zxid(self.log.last_zxid());
        self.progress.log_reached(last_zxid.0);
        let mut rebuilt = None;
        if self.shared.tree.read().last_zxid() > last_zxid {
            let mut rebuild = self.rebuild();
            rookeeper_storage::replay(&image, &self.log.history(), &mut rebuild)?;
            rebuilt = Some(rebuild.finish(last_zxid, Zxid(image.zxid())));
        }
        tracing::info!("the log was cut behind {last_zxid}: what followed was never agreed on");
        let (tree, reloaded) = rebuilt.map_or((None, None), |(tree, loaded)| (Some(Box::new(tree)), Some(loaded)));
        Ok(Outcome::Cut(tree, Input::Truncated { write, last_zxid, reloaded }))
    }

    fn install(&mut self, write: WriteId) -> Result<Outcome, StorageError> {
        let refuse =
            |why: &str| StorageError::Replay { path: "snapshot".into(), source: Arc::from(CallerError::from(why)) };
        let Some((incoming, behind)) = self.incoming.take() else { return Err(refuse("none was received")) };
        let zxid = incoming.zxid;
        let Filled { receiving, tree } = incoming.take().ok_or_else(|| refuse("it was not received to its end"))?;
        let mut received = receiving.complete(zxid.0, &self.log)?;
        for record in &behind {
            received.append(record.zxid.0, &record.payload)?;
        }
        let mut image = self.image.write();
        received.switch(&mut self.log, &mut image)?;
        self.progress.log_reached(self.log.last_zxid());
        let (tree, loaded) = tree.received(zxid)?;
        tracing::info!("installed a snapshot of {} znodes at {zxid}", tree.node_count());
        Ok(Outcome::Replaced(Box::new(tree), Input::SnapshotInstalled { write, loaded }))
    }

    fn rebuild(&self) -> Rebuild {
        let config = &self.shared.config;
        Rebuild::new(tree_rules(config), self.seed).keeping(config.ensemble.limits.commit_log_count)
    }

    /// Takes out segments that the image made needless, except what learners still read.
    pub(crate) fn attend_image(&mut self, keep_after: Option<Zxid>) {
        self.progress.attend(&self.shared, &mut self.log, keep_after);
    }

    /// Waits until nobody fills an image; the connection that it comes over must be gone.
    pub(crate) fn end_filling(&mut self) {
        if self.filling.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a snapshot that was given up ended in a panic; please report it");
        }
    }

    /// Ends the log in order.
    pub(crate) fn close(mut self) -> Result<(), StorageError> {
        self.flusher.settle(&mut self.log)?;
        self.log.close().map(|_| ())
    }
}
