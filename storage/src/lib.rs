//! Durability: what is on disk, and since when.
//!
//! Two things are kept. The *transaction log* ([`log`]) is the truth: a write is acknowledged once its record is
//! flushed there. The *image* ([`tree`]) is a copy of the tree in a key-value store that is brought forward behind
//! the log, so that a start reads the image and only the end of the log. [`Store::open`] puts the two together and
//! refuses what does not fit; [`verify`] checks a folder offline. For an ensemble there are the epochs ([`EpochFile`]),
//! the log read while it is written ([`log::History`]), the image handed out ([`Transfer`]) and taken in ([`Installer`]).
//!
//! The log sees the disk only through [`fs`] and the image only through [`kv`]. Both seams have a double in memory
//! that forgets what was not flushed, so that the code that ships is the code that is crashed in tests and in
//! simulations. Nothing here is asynchronous, starts a thread (RocksDB has its own) or depends on a clock
//! (a start is timed, for its report).
//!
//! `DESIGN.md` beside this package gives every key and byte, the rules and the measurements they rest on.

mod epochs;
pub mod error;
pub mod fs;
mod install;
pub mod kv;
pub mod log;
mod meta;
mod recover;
mod transfer;
pub mod tree;
pub mod verify;

pub use epochs::EpochFile;
pub use error::{Result, StorageError};
pub use install::{Installer, Received, Receiving};
pub use meta::{DATA_FOLDER, Epochs, FORMAT_FILE, FORMAT_VERSION, LOCK_FILE, StoreId, StoreLock};
pub use recover::{Recovered, Replay, Store, StoreOptions, replay};
pub use transfer::Transfer;
