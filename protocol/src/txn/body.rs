//! The bodies of transactions, one variant for each kind (`SerializeUtils#deserializeTxn`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::digest::{DIGEST_VERSION, TxnDigest};
use crate::jute::{DecodeError, DecodeErrorKind, Reader, VectorLength, Writer};
use crate::types::{AclList, OpCode, read_acls_nullable, write_acls};

/// What every kind of create holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTxn {
    /// The whole path, number included.
    pub path: Arc<str>,
    /// The data; null and empty are different.
    pub data: Option<Bytes>,
    /// The ACL with `auth` resolved.
    pub acl: AclList,
    /// The parent's stored cversion afterwards; -1 in logs of old servers means one more than before.
    pub parent_cversion: i32,
}

/// The change that a transaction makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn {
    /// create and create2 (the [`OpCode`] tells which).
    Create {
        /// Create or Create2.
        op: OpCode,
        /// Path, data, ACL, parent.
        create: CreateTxn,
        /// Whether the znode belongs to the session in the header.
        ephemeral: bool,
    },
    /// createContainer.
    CreateContainer(CreateTxn),
    /// createTTL.
    CreateTtl {
        /// Path, data, ACL, parent.
        create: CreateTxn,
        /// Time to live in milliseconds.
        ttl_ms: i64,
    },
    /// delete, and deleteContainer (the [`OpCode`] tells which).
    Delete {
        /// Delete or DeleteContainer.
        op: OpCode,
        /// The znode.
        path: Arc<str>,
    },
    /// setData, and reconfig (the [`OpCode`] tells which).
    SetData {
        /// SetData or Reconfig.
        op: OpCode,
        /// The znode.
        path: Arc<str>,
        /// The new data; null and empty are different.
        data: Option<Bytes>,
        /// The version afterwards.
        version: i32,
    },
    /// setACL.
    SetAcl {
        /// The znode.
        path: Arc<str>,
        /// The new ACL with `auth` resolved.
        acl: AclList,
        /// The ACL's version afterwards.
        version: i32,
    },
    /// A version that was compared; only inside a multi.
    Check {
        /// The znode.
        path: Arc<str>,
        /// One more than the version that was found.
        version: i32,
    },
    /// createSession.
    CreateSession {
        /// The session's timeout in milliseconds.
        timeout_ms: i32,
    },
    /// closeSession. `None` in logs without the list: then all that the session owns goes.
    CloseSession {
        /// The ephemeral znodes that go with it, proposed ones included.
        paths: Option<Vec<Box<str>>>,
    },
    /// Several changes, all or none.
    Multi(Vec<MultiPart>),
    /// A request that failed; it has a place in the order all the same.
    Error {
        /// Number of the error code.
        code: i32,
    },
}

/// One change of a multi, or the error in its place.
pub type MultiPart = Txn;

impl Txn {
    /// The number that stands in the header.
    pub fn kind(&self) -> OpCode {
        match self {
            Self::Create { op, .. } | Self::Delete { op, .. } | Self::SetData { op, .. } => *op,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::CreateTtl { .. } => OpCode::CreateTtl,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::Check { .. } => OpCode::Check,
            Self::CreateSession { .. } => OpCode::CreateSession,
            Self::CloseSession { .. } => OpCode::CloseSession,
            Self::Multi(_) => OpCode::Multi,
            Self::Error { .. } => OpCode::Error,
        }
    }

    /// Writes the body.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Create { create, ephemeral, .. } => {
                write_create_head(out, create);
                out.boolean(*ephemeral);
                out.int(create.parent_cversion);
            }
            Self::CreateContainer(create) => {
                write_create_head(out, create);
                out.int(create.parent_cversion);
            }
            Self::CreateTtl { create, ttl_ms } => {
                write_create_head(out, create);
                out.int(create.parent_cversion);
                out.long(*ttl_ms);
            }
            Self::Delete { path, .. } => out.text(path),
            Self::SetData { path, data, version, .. } => {
                out.text(path);
                out.buffer(data.as_deref());
                out.int(*version);
            }
            Self::SetAcl { path, acl, version } => {
                out.text(path);
                write_acls(out, acl);
                out.int(*version);
            }
            Self::Check { path, version } => {
                out.text(path);
                out.int(*version);
            }
            Self::CreateSession { timeout_ms } => out.int(*timeout_ms),
            Self::CloseSession { paths } => {
                // Without a list Java writes no body at all (`closeSessionTxn.enabled=false`).
                if let Some(paths) = paths {
                    out.count(paths.len());
                    for path in paths {
                        out.text(path);
                    }
                }
            }
            Self::Multi(parts) => {
                out.count(parts.len());
                for part in parts {
                    out.int(part.kind().number());
                    write_nested(out, part);
                }
            }
            Self::Error { code } => out.int(*code),
        }
    }

    /// Reads the body of a transaction of this kind.
    pub fn read(kind: i32, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let unknown = |reader: &Reader<'_>| reader.error(DecodeErrorKind::UnknownTxnType(kind));
        let Some(op) = OpCode::from_number(kind) else { return Err(unknown(reader)) };
        Ok(match op {
            OpCode::Create | OpCode::Create2 => {
                let mut create = read_create_head(reader)?;
                let ephemeral = reader.boolean()?;
                // CreateTxnV0, written before 3.4, ends here.
                create.parent_cversion = if reader.remaining() == 0 { -1 } else { reader.int()? };
                Self::Create { op, create, ephemeral }
            }
            OpCode::CreateContainer => {
                let mut create = read_create_head(reader)?;
                create.parent_cversion = reader.int()?;
                Self::CreateContainer(create)
            }
            OpCode::CreateTtl => {
                let mut create = read_create_head(reader)?;
                create.parent_cversion = reader.int()?;
                Self::CreateTtl { create, ttl_ms: reader.long()? }
            }
            OpCode::Delete | OpCode::DeleteContainer => Self::Delete { op, path: read_path(reader)? },
            OpCode::SetData | OpCode::Reconfig => Self::SetData {
                op,
                path: read_path(reader)?,
                data: reader.buffer()?.map(Bytes::copy_from_slice),
                version: reader.int()?,
            },
            OpCode::SetAcl => {
                Self::SetAcl { path: read_path(reader)?, acl: read_acl_list(reader)?, version: reader.int()? }
            }
            OpCode::Check => Self::Check { path: read_path(reader)?, version: reader.int()? },
            OpCode::CreateSession => Self::CreateSession { timeout_ms: reader.int()? },
            OpCode::CloseSession => Self::CloseSession { paths: read_paths(reader)? },
            OpCode::Multi => Self::Multi(read_parts(reader)?),
            OpCode::Error => Self::Error { code: reader.int()? },
            _ => return Err(unknown(reader)),
        })
    }
}

fn write_create_head(out: &mut BytesMut, create: &CreateTxn) {
    out.text(&create.path);
    out.buffer(create.data.as_deref());
    write_acls(out, &create.acl);
}

fn read_create_head(reader: &mut Reader<'_>) -> Result<CreateTxn, DecodeError> {
    Ok(CreateTxn {
        path: read_path(reader)?,
        data: reader.buffer()?.map(Bytes::copy_from_slice),
        acl: read_acl_list(reader)?,
        parent_cversion: -1,
    })
}

/// A null list in a log means what an empty one means: everybody may do everything.
fn read_acl_list(reader: &mut Reader<'_>) -> Result<AclList, DecodeError> {
    Ok(read_acls_nullable(reader)?.unwrap_or_default().into())
}

fn read_path(reader: &mut Reader<'_>) -> Result<Arc<str>, DecodeError> {
    match reader.text()? {
        Some(path) => Ok(path.into()),
        None => Err(reader.error(DecodeErrorKind::NullField)),
    }
}

/// The paths of a closeSession. A server with `closeSessionTxn.enabled=false`, or one before 3.6, writes none, and
/// then the digest may follow: it is told from a list by its length and its first number. A list with that number of
/// paths, none of them empty, is longer. (Java takes the digest for a list then, `SerializeUtils#deserializeTxn`.)
fn read_paths(reader: &mut Reader<'_>) -> Result<Option<Vec<Box<str>>>, DecodeError> {
    let is_digest = |rest: &[u8]| rest.len() == TxnDigest::LEN && rest.starts_with(&DIGEST_VERSION.to_be_bytes());
    if reader.remaining() == 0 || is_digest(reader.rest()) {
        return Ok(None);
    }
    let paths = reader.text_vector()?.unwrap_or_default();
    let owned = |path: Option<std::borrow::Cow<'_, str>>| path.map(|path| path.into_owned().into_boxed_str());
    paths
        .into_iter()
        .map(owned)
        .collect::<Option<Vec<_>>>()
        .map(Some)
        .ok_or_else(|| reader.error(DecodeErrorKind::NullField))
}

fn write_nested(out: &mut BytesMut, part: &Txn) {
    let start = out.len();
    out.int(0);
    part.write(out);
    out.fill_length(start);
}

fn read_parts(reader: &mut Reader<'_>) -> Result<Vec<Txn>, DecodeError> {
    let VectorLength::Elements(count) = reader.vector()? else { return Ok(Vec::new()) };
    let mut parts = Vec::with_capacity(count.min(reader.remaining() / 8));
    for _ in 0..count {
        let kind = reader.int()?;
        let bytes = reader.buffer()?.ok_or_else(|| reader.error(DecodeErrorKind::NullField))?;
        if kind == OpCode::Multi.number() {
            // A multi inside a multi does not exist; refusing it also bounds the recursion.
            return Err(reader.error(DecodeErrorKind::UnknownTxnType(kind)));
        }
        parts.push(Txn::read(kind, &mut Reader::new(bytes))?);
    }
    Ok(parts)
}
