//! The epochs that a member has promised and joined.

use crate::error::{Result, StorageError};
use crate::fs::Fs;
use crate::meta::{Epochs, Format, Layout, Member, write_format};

/// Keeps the epochs on disk. A change is durable, both epochs together, when [`Self::set`] returns, and only then may it
/// be told to others.
///
/// They stand in the format file, which is replaced by rename: no crash leaves one half or one epoch without the other
/// (ZOOKEEPER-1387, 2307, 2354, 4269), and they cannot be lost without the whole folder being refused.
#[derive(Debug)]
pub struct EpochFile<F: Fs> {
    fs: F,
    layout: Layout,
    format: Format,
    server: Option<i64>,
    failure: Option<StorageError>,
}

impl<F: Fs> EpochFile<F> {
    pub(crate) fn new(fs: F, layout: Layout, format: Format, server: Option<i64>) -> Self {
        Self { fs, layout, format, server, failure: None }
    }

    /// The epochs on disk; `None` if this store was never a member's. Java then takes the epoch of the last zxid for both
    /// (`QuorumPeer#loadDataBase`).
    pub fn get(&self) -> Option<Epochs> {
        self.format.member.map(|member| member.epochs)
    }

    /// Whether nobody knows what this member lacks: its store was made empty, without [`StoreOptions::trust_empty`], and
    /// it has not come to a leader's epoch since.
    ///
    /// [`StoreOptions::trust_empty`]: crate::StoreOptions::trust_empty
    pub fn data_unknown(&self) -> bool {
        self.format.member.is_some_and(|member| member.is_unknown)
    }

    /// Replaces the epochs, durably. What is there already costs nothing. A member that has come to an epoch has that
    /// epoch's history, and knows its data from then on.
    ///
    /// The current epoch may be older than that of the last zxid: a member makes the history of a new epoch durable
    /// before it joins that epoch (ZOOKEEPER-4643), and may crash in between. That is why they are not compared here.
    ///
    /// # Errors
    /// Refused, with nothing written, if one of them would go back or the accepted one be older than the current one.
    /// The first failed write is answered again by every later call; the next start finds the old epochs or the new.
    pub fn set(&mut self, epochs: Epochs) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)?;
        let known = self.get().unwrap_or_default();
        let refuse = |why| Err(StorageError::BadEpochs { accepted: epochs.accepted, current: epochs.current, why });
        if epochs.accepted < epochs.current {
            return refuse("the accepted one must not be the older".to_owned());
        }
        if epochs.accepted < known.accepted || epochs.current < known.current {
            return refuse(format!("they were {} and {}, and never go back", known.accepted, known.current));
        }
        let server = self.server.or(self.format.member.and_then(|member| member.server));
        let is_unknown = self.data_unknown() && epochs.current == known.current;
        let format = Format { member: Some(Member { server, epochs, is_unknown }), ..self.format };
        if format == self.format {
            return Ok(());
        }
        let written = write_format(&self.fs, &self.layout, &format);
        self.failure = written.clone().err();
        written?;
        self.format = format;
        Ok(())
    }
}
