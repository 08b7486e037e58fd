//! The image over the seam: stamped steps forward, whole scans.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Delta;
use crate::error::{CallerError, Result, StorageError};
use crate::kv::{Kv, KvSnapshot, KvUsage, VisitEntry, keys};
use crate::meta::StoreId;

/// Version of the keys and values that this package writes into the store.
pub const IMAGE_FORMAT_VERSION: u32 = 1;

const FORMAT: &str = "format";
const STORE: &str = "store";
const ZXID: &str = "zxid";
const RESTORE: &str = "restore this server's data, or start it empty if other servers have the data";

/// The tree at one zxid, brought forward by [`Delta`]s. Used by any thread; deltas come from one at a time.
#[derive(Debug)]
pub struct Image<K> {
    kv: K,
    path: PathBuf,
    store: StoreId,
    /// The zxid of the last delta. Held while a delta is written, so that a snapshot's stamp is its content's.
    zxid: Mutex<i64>,
}

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
        let image = Self { kv, path: path.to_path_buf(), store, zxid: Mutex::new(0) };
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
            let mut any = None;
            kv.snapshot()
                .scan(&[0][..]..&[0xff][..], &mut |key, _| {
                    any = Some(key.to_vec());
                    Err("one is enough".into())
                })
                .or_else(|e| if any.is_some() { Ok(()) } else { Err(e) })?;
            return match any {
                None => Ok(Err(kv)),
                Some(_) => Err(StorageError::mismatch(path, "the image has no format version", RESTORE)),
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
        Ok(Ok(Self { kv, path: path.to_path_buf(), store, zxid: Mutex::new(zxid) }))
    }

    /// Brings the image forward by one delta, atomically, and stamps it with the delta's zxid. Not durable before
    /// [`Self::flush`], though it may become so earlier. The delta can be used again after [`Delta::restart`].
    pub fn apply(&self, delta: &mut Delta) -> Result<()> {
        let mut zxid = self.lock_zxid();
        if delta.zxid() < *zxid {
            return Err(StorageError::NotRising { zxid: delta.zxid(), last: *zxid });
        }
        let stamp = delta.zxid().to_le_bytes();
        delta.batch.put(|key| key.extend_from_slice(&keys::named(keys::META, ZXID)), &stamp);
        self.kv.write(&delta.batch)?;
        *zxid = delta.zxid();
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
    pub fn load(
        &self,
        visit: &mut dyn FnMut(ImageEntry<'_>) -> std::result::Result<(), CallerError>,
    ) -> Result<ImageCounts> {
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
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(ImageEntry<'_>) -> std::result::Result<(), CallerError>,
    ) -> Result<ImageCounts> {
        let mut counts = ImageCounts::default();
        let mut path = Vec::new();
        self.space(keys::BLOB, &mut |key, bytes| {
            let name = std::str::from_utf8(key).map_err(|_| bad("a blob's name is not UTF-8", key))?;
            visit(ImageEntry::Blob { name, bytes })
        })?;
        self.space(keys::SESSION, &mut |key, value| {
            let id = keys::session(key).ok_or_else(|| bad("a session's key is not 8 bytes long", key))?;
            let timeout = value.try_into().map_err(|_| bad("a session's timeout is not 4 bytes long", key))?;
            counts.sessions += 1;
            visit(ImageEntry::Session { id, timeout_ms: i32::from_le_bytes(timeout) })
        })?;
        self.space(keys::ZNODE, &mut |key, record| {
            let path = keys::znode(key, &mut path).ok_or_else(|| bad("a znode's key is no path", key))?;
            counts.znodes += 1;
            counts.bytes += (key.len() + record.len()) as u64;
            visit(ImageEntry::Znode { path, record })
        })?;
        Ok(counts)
    }

    /// Scans one key space, without the byte that names it.
    fn space(&self, space: u8, visit: VisitEntry<'_>) -> Result<()> {
        let range = keys::space(space);
        self.view.scan(&range.start..&range.end, &mut |key, value| visit(&key[1..], value)).map_err(|e| match e {
            StorageError::Replay { source, .. } => StorageError::Replay { path: self.path.to_path_buf(), source },
            other => other,
        })
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
