//! Reading the log for a learner, piece by piece, while it is written.

use std::fmt;

use bytes::Bytes;
use rookeeper_core::zab::{HistoryPiece, LogRecord};
use rookeeper_protocol::types::Zxid;
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::log::{History, HistoryReader};
use rookeeper_storage::{Result, StorageError};

/// A piece that is wanted ([`rookeeper_core::peer::Output::ReadHistory`]).
#[derive(Debug)]
pub(crate) struct HistoryRequest {
    pub(crate) history: History<RealFs>,
    pub(crate) after: Zxid,
    pub(crate) through: Zxid,
    pub(crate) bytes_max: usize,
    /// Nothing is read if the log behind `after` is longer.
    pub(crate) log_bytes_max: Option<u64>,
}

/// Where the reading for a learner stands: the next piece is read without a search, and nothing behind it is purged.
#[derive(Default)]
pub(crate) struct LogPosition(Option<(Zxid, HistoryReader<RealFs>)>);

impl fmt::Debug for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogPosition").field(&self.0.as_ref().map(|(after, _)| after)).finish()
    }
}

impl HistoryRequest {
    /// Reads the piece. What cannot be read is told as unavailable: the learner is served another way.
    pub(crate) fn read(self, position: LogPosition) -> (HistoryPiece, LogPosition) {
        match self.try_read(position) {
            Ok(read) => read,
            Err(error) => {
                match error {
                    StorageError::NotInLog { .. } | StorageError::LogReplaced { .. } => {}
                    error => tracing::error!("the log cannot be read for a learner: {error}"),
                }
                (HistoryPiece::Unavailable, LogPosition::default())
            }
        }
    }

    fn try_read(self, position: LogPosition) -> Result<(HistoryPiece, LogPosition)> {
        if self.log_bytes_max.is_some_and(|max| self.history.bytes_after(self.after.0) > max) {
            return Ok((HistoryPiece::Unavailable, LogPosition::default()));
        }
        let mut reader = match position.0 {
            Some((after, reader)) if after == self.after => reader,
            _ => self.history.read_after(self.after.0)?,
        };
        let at_or_before = Zxid(reader.last_zxid());
        let piece = reader.next_piece(self.through.0, self.bytes_max)?.unwrap_or_default();
        let record = |(zxid, payload)| LogRecord { zxid: Zxid(zxid), payload: Bytes::copy_from_slice(payload) };
        let records: Vec<_> = piece.iter().map(record).collect();
        let after = records.last().map_or(self.after, |record| record.zxid);
        Ok((HistoryPiece::Records { at_or_before, records }, LogPosition(Some((after, reader)))))
    }
}
