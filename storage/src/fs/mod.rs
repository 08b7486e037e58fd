//! The seam to the file system: all that the log, the lock and the format file need of it.
//!
//! It is as small as the rules of durability are: bytes written to a file are safe after [`FsFile::flush`], a name in a
//! folder after [`Fs::sync_dir`], and nothing before. [`RealFs`] is the operating system, [`ModelFs`] a double in
//! memory that forgets, tears and fails.

mod model;
mod real;

pub use model::{CrashLuck, Fault, ModelFile, ModelFs, SECTOR_BYTES};
pub use real::{RealFile, RealFs, RealLock};

use std::fmt;
use std::io;
use std::path::Path;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only: the offline check needs no right to write.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// Who holds a lock that could not be had.
#[derive(Debug)]
pub enum LockError {
    /// Another process, whose id was found in the lock file if it is given here.
    Held(Option<u32>),
    /// The lock file could not be opened or written.
    Io(io::Error),
}

/// A file system.
pub trait Fs: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: FsFile;
    /// A lock that is held until it is dropped or its process ends, however it ends.
    type Lock: fmt::Debug + Send + Sync + 'static;

    /// Opens an existing file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;

    /// Creates a file for reading and writing; one that exists is an error.
    /// The name is durable after [`Self::sync_dir`] of its folder.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Names of the files and folders in `dir`, sorted; empty if there is no such folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or folder of this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Creates a folder and the folders above it, durably. One that exists is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Gives a file another name in the same folder, replacing what has that name.
    /// Durable after [`Self::sync_dir`]; until then a crash leaves the old name or the new one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`Self::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder. Durable after [`Self::sync_dir`] of the folder above.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock that this file stands for and writes this process's id into it.
    fn lock(&self, path: &Path) -> Result<Self::Lock, LockError>;

    /// A number that no other store has: the identity of a new store.
    fn unique(&self) -> u64;
}

/// An open file. It may be shared: one writes behind what another flushes.
#[allow(clippy::len_without_is_empty)]
pub trait FsFile: fmt::Debug + Send + Sync + 'static {
    /// Reads from `offset` until `buf` is full or the file ends; tells how many bytes were read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `offset`, extending the file where needed. Not durable before [`Self::flush`].
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros. Not durable before [`Self::flush`].
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Makes everything durable that was written to this file before the call, its length included.
    fn flush(&self) -> io::Result<()>;
}

/// Reads a whole small file.
///
/// `max` bounds what is read, so that a file of unexpected size cannot fill the memory.
pub(crate) fn read_small<F: Fs>(fs: &F, path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let file = fs.open(path, Access::Read)?;
    let mut bytes = vec![0; max];
    let len = file.read_at(&mut bytes, 0)?;
    bytes.truncate(len);
    Ok(bytes)
}
