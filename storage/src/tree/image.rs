//! The image over the seam: stamped steps forward, whole scans.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Delta;
use crate::error::{CallerError, Result, StorageError};
use crate::kv::{Kv, KvSnapshot, KvUsage, keys};
use crate::meta::StoreId;

/// Version of the keys and values that this package writes into the store.
pub const IMAGE_FORMAT_VERSION: u32 = 1;

const FORMAT: &str = "format";
const STORE: &str = "store";
const ZXID: &str = "zxid";
const RESTORE: &str = "restore this server's data, or start it empty if other servers have the data";

/// The tree at one zxid, brought forward by [`Delta`]s. Used by any thread; deltas come from one at a time.
///
/// It cannot go back. So it follows only what is committed ([`Self::set_committed`]): what is merely logged may have to
/// be truncated.
#[derive(Debug)]
pub struct Image<K> {
    kv: K,
    path: PathBuf,
    store: StoreId,
    /// The zxid of the last delta. Held while a delta is written, so that a snapshot's stamp is its content's.
    zxid: Mutex<i64>,
    /// No delta may go further.
    committed: AtomicI64,
    /// How many [`Transfer`](crate::Transfer)s read from it.
    pub(crate) transfers: AtomicUsize,
}

/// Receives an entry of an image.
pub type VisitImage<'v> = &'v mut dyn FnMut(ImageEntry<'_>) -> std::result::Result<(), CallerError>;

/// Something in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageEntry<'a> {
    /// A named value of the caller's.
    Blob {
        /// Its name.
        name: &'a str,
        /// Its bytes, as given.
        bytes: &'a [u8],
    },
    /// A session.
    Session {
        /// Session id.
        id: i64,
        /// Negotiated timeout in milliseconds.
        timeout_ms: i32,
    },
    /// A znode.
    Znode {
        /// Full path.
        path: &'a str,
        /// Its record, as given.
        record: &'a [u8],
    },
}

/// How much was in an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageCounts {
    /// Znodes, the root included where the caller stores it.
    pub znodes: u64,
    /// Sessions.
    pub sessions: u64,
    /// Bytes of the znodes' paths and records.
    pub bytes: u64,
}

/// The image at one zxid, unmoved by later deltas.
pub struct ImageSnapshot<'a, K: Kv + 'a> {
    view: K::Snapshot<'a>,
    path: &'a Path,
    zxid: i64,
}

impl<K: Kv> Image<K> {
    /// Makes an empty image at zxid 0 in a store that has none, durably. `path` is for messages.
    pub(crate) fn create(kv: K, path: &Path, store: StoreId) -> Result<Self> {
        let image = Self::new(kv, path, store, 0);
        let mut delta = Delta::new(0);
        let mut put = |name, bytes: &[u8]| delta.batch.put(|key| key.extend(keys::named(keys::META, name)), bytes);
        put(FORMAT, &IMAGE_FORMAT_VERSION.to_le_bytes());
        put(STORE, &store.0.to_le_bytes());
        image.apply(&mut delta)?;
        image.flush()?;
        Ok(image)
    }

    /// Opens the image in a store; gives the store back if there is none in it.
    pub(crate) fn open(kv: K, path: &Path) -> Result<std::result::Result<Self, K>> {
        let Some(format) = kv.get(&keys::named(keys::META, FORMAT))? else {
            let mut is_empty = true;
            kv.snapshot().scan(&[0][..]..&[0xff][..], 0, &mut |_, _| {
                is_empty = false;
                Ok(ControlFlow::Break(()))
            })?;
            return match is_empty {
                true => Ok(Err(kv)),
                false => Err(StorageError::mismatch(path, "the image has no format version", RESTORE)),
            };
        };
        let found = number::<4>(path, FORMAT, Some(&format)).map(u32::from_le_bytes)?;
        if found != IMAGE_FORMAT_VERSION {
            let known = IMAGE_FORMAT_VERSION;
            return Err(StorageError::UnknownFormat { path: path.to_path_buf(), found, known });
        }
        let read =
            |name| Ok::<_, StorageError>(number::<8>(path, name, kv.get(&keys::named(keys::META, name))?.as_deref()));
        let store = StoreId(u64::from_le_bytes(read(STORE)??));
        let zxid = i64::from_le_bytes(read(ZXID)??);
        Ok(Ok(Self::new(kv, path, store, zxid)))
    }

    fn new(kv: K, path: &Path, store: StoreId, zxid: i64) -> Self {
        Self {
            kv,
            path: path.to_path_buf(),
            store,
            zxid: Mutex::new(zxid),
            committed: AtomicI64::new(zxid),
            transfers: AtomicUsize::new(0),
        }
    }

    /// Everything up to `zxid` is committed: the image may follow as far as that. What was told before stays allowed. A
    /// server that stands alone commits what it logs, and tells `i64::MAX` once. An image that was just opened may not
    /// go on before it is told, since of the log behind it nobody knows yet what is committed.
    pub fn set_committed(&self, zxid: i64) {
        self.committed.fetch_max(zxid, Ordering::AcqRel);
    }

    /// Brings the image forward by one delta, atomically, and stamps it with the delta's zxid, which must be that of a
    /// record in the log. Not durable before [`Self::flush`], though it may become so earlier. The delta can be used
    /// again after [`Delta::restart`].
    ///
    /// Refused if the delta goes back, or beyond what is committed.
    pub fn apply(&self, delta: &mut Delta) -> Result<()> {
        let committed = self.committed.load(Ordering::Acquire);
        if delta.zxid() > committed {
            return Err(StorageError::NotCommitted { zxid: delta.zxid(), committed });
        }
        let mut zxid = self.lock_zxid();
        if delta.zxid() < *zxid {
            return Err(StorageError::NotRising { zxid: delta.zxid(), last: *zxid });
        }
        stamp(delta);
        self.kv.write(&delta.batch)?;
        *zxid = delta.zxid();
        Ok(())
    }

    /// Puts a part of a snapshot into an image that is nobody's yet; the delta's zxid means nothing.
    pub(crate) fn fill(&self, delta: &Delta) -> Result<()> {
        self.kv.write(&delta.batch)
    }

    /// The snapshot is complete: stamps the image with its zxid, durably.
    pub(crate) fn complete(&self, zxid: i64) -> Result<()> {
        let mut delta = Delta::new(zxid);
        let mut stamped = self.lock_zxid();
        stamp(&mut delta);
        self.kv.write(&delta.batch)?;
        self.kv.flush()?;
        *stamped = zxid;
        self.committed.store(zxid, Ordering::Release);
        Ok(())
    }

    /// Makes the image durable; tells the zxid up to which the log is no longer needed for a start.
    ///
    /// Before it the log must be durable up to there, with `forceSync` off too
    /// ([`LogWriter::flush_through`](crate::log::LogWriter::flush_through)), or a start will find an image that is
    /// ahead of the log.
    pub fn flush(&self) -> Result<i64> {
        let zxid = self.zxid();
        self.kv.flush()?;
        Ok(zxid)
    }

    /// The zxid of the last delta.
    pub fn zxid(&self) -> i64 {
        *self.lock_zxid()
    }

    /// Folder of the image, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Identity of the store that the image belongs to.
    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    /// Gives the store back, to make another image in it.
    pub(crate) fn into_kv(self) -> K {
        self.kv
    }

    /// The value that was stored under a name.
    pub fn blob(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.kv.get(&keys::named(keys::BLOB, name))
    }

    /// The image as it is now, to be read while it moves on.
    pub fn snapshot(&self) -> ImageSnapshot<'_, K> {
        let zxid = self.lock_zxid();
        ImageSnapshot { view: self.kv.snapshot(), path: &self.path, zxid: *zxid }
    }

    /// Hands everything in the image to `visit`: blobs, sessions, then znodes depth first, parents before children.
    pub fn load(&self, visit: VisitImage<'_>) -> Result<ImageCounts> {
        self.snapshot().visit(visit)
    }

    /// What the image uses on disk and in memory.
    pub fn usage(&self) -> KvUsage {
        self.kv.usage()
    }

    fn lock_zxid(&self) -> MutexGuard<'_, i64> {
        self.zxid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kv> ImageSnapshot<'_, K> {
    /// The zxid whose tree this is.
    pub fn zxid(&self) -> i64 {
        self.zxid
    }

    /// Hands everything to `visit`, in the order of [`Image::load`].
    pub fn visit(&self, visit: VisitImage<'_>) -> Result<ImageCounts> {
        let mut cursor = Cursor::default();
        self.visit_piece(&mut cursor, usize::MAX, visit)?;
        Ok(cursor.counts)
    }

    /// Hands what comes next to `visit`, in the order of [`Image::load`], until at least `bytes_max` bytes of keys and
    /// records were handed over; tells whether there may be more.
    pub fn visit_piece(&self, cursor: &mut Cursor, bytes_max: usize, visit: VisitImage<'_>) -> Result<bool> {
        let (mut bytes, mut path, mut more) = (0, Vec::new(), false);
        let (mut last, from) = (Vec::new(), cursor.next.clone());
        let counts = &mut cursor.counts;
        let scanned = self.view.scan(&from..&keys::space(keys::ZNODE).end, bytes_max, &mut |key, value| {
            visit(decode(key, value, &mut path, counts)?)?;
            bytes += key.len() + value.len();
            more = bytes >= bytes_max;
            if more {
                last.extend_from_slice(key);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        });
        scanned.map_err(|e| match e {
            StorageError::Replay { source, .. } => StorageError::Replay { path: self.path.to_path_buf(), source },
            other => other,
        })?;
        // The smallest key behind the last one, or the end of everything.
        last.push(0);
        cursor.next = if more { last } else { keys::space(keys::ZNODE).end.to_vec() };
        Ok(more)
    }
}

/// How far an image was read.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The smallest key that was not read.
    next: Vec<u8>,
    counts: ImageCounts,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { next: keys::space(keys::BLOB).start.to_vec(), counts: ImageCounts::default() }
    }
}

impl Cursor {
    /// What was read so far.
    pub fn counts(&self) -> ImageCounts {
        self.counts
    }
}

/// Lets a delta carry its zxid into the store.
fn stamp(delta: &mut Delta) {
    let zxid = delta.zxid().to_le_bytes();
    delta.batch.put(|key| key.extend_from_slice(&keys::named(keys::META, ZXID)), &zxid);
}

/// An entry as it was stored.
fn decode<'a>(
    key: &'a [u8],
    value: &'a [u8],
    path: &'a mut Vec<u8>,
    counts: &mut ImageCounts,
) -> std::result::Result<ImageEntry<'a>, CallerError> {
    let (&space, rest) = key.split_first().ok_or("a key is empty: the image is damaged")?;
    match space {
        keys::BLOB => {
            let name = std::str::from_utf8(rest).map_err(|_| bad("a blob's name is not UTF-8", rest))?;
            Ok(ImageEntry::Blob { name, bytes: value })
        }
        keys::SESSION => {
            let id = keys::session(rest).ok_or_else(|| bad("a session's key is not 8 bytes long", rest))?;
            let timeout = value.try_into().map_err(|_| bad("a session's timeout is not 4 bytes long", rest))?;
            counts.sessions += 1;
            Ok(ImageEntry::Session { id, timeout_ms: i32::from_le_bytes(timeout) })
        }
        _ => {
            let path = keys::znode(rest, path).ok_or_else(|| bad("a znode's key is no path", rest))?;
            counts.znodes += 1;
            counts.bytes += (rest.len() + value.len()) as u64;
            Ok(ImageEntry::Znode { path, record: value })
        }
    }
}

fn bad(what: &str, key: &[u8]) -> CallerError {
    format!("{what} (key {}): the image is damaged", key.escape_ascii()).into()
}

fn number<const N: usize>(path: &Path, name: &str, value: Option<&[u8]>) -> Result<[u8; N]> {
    let value = value.ok_or_else(|| StorageError::mismatch(path, format!("the image has no {name}"), RESTORE))?;
    let len = value.len();
    value
        .try_into()
        .map_err(|_| StorageError::mismatch(path, format!("the image's {name} has {len} bytes, not {N}"), RESTORE))
}
