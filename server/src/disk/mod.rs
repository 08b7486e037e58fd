//! The threads that write to disk, and the start that reads from it.

mod image;
mod log;
mod recovery;
mod znode_record;

pub(crate) use image::ImageThread;
pub(crate) use log::{ImageProgress, LogThread};
pub(crate) use recovery::verify;
pub(crate) use recovery::{RecoveredState, recover, store_options};
