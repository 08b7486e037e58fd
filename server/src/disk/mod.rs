//! The threads that write to disk, and the start that reads from it.

mod flusher;
mod history;
mod image;
mod log;
mod recovery;
mod snapshot_in;
mod snapshot_out;
#[cfg(test)]
pub(crate) mod testing;
mod znode_record;

pub(crate) use flusher::Flusher;
pub(crate) use history::{HistoryRequest, LogPosition};
pub(crate) use image::ImageThread;
pub(crate) use log::{ImageProgress, LogThread};
pub(crate) use recovery::{INITIALIZE_FILE, Rebuild, RecoveredState};
pub(crate) use recovery::{
    recover, recover_member, remove_initialize_file, start_image_threads, store_options, verify,
};
pub(crate) use snapshot_in::{Filled, Incoming, SnapshotSink};
pub(crate) use snapshot_out::{Camera, Picture};
