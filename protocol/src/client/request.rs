//! The bodies of requests, borrowed from their frames.
//!
//! Fields that may be null on the wire stay nullable: Java notices some nulls late, as a
//! `NullPointerException` in the middle of an operation, and what it answers depends on where.

use std::borrow::Cow;

use bytes::BytesMut;

use crate::jute::{DecodeError, DecodeErrorKind, Reader, Writer};
use crate::types::{Acl, read_acls_nullable, write_acls};

/// A string that may be null.
pub type Text<'a> = Option<Cow<'a, str>>;

/// Requests that consist of a path: getACL, sync, getEphemerals, getAllChildrenNumber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRequest<'a> {
    /// The znode, or the prefix for getEphemerals.
    pub path: Text<'a>,
}

impl<'a> PathRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()? })
    }
}

/// Requests that read a path and may watch it: exists, getData, getChildren, getChildren2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathWatchRequest<'a> {
    /// The znode.
    pub path: Text<'a>,
    /// Whether to leave a watch.
    pub watch: bool,
}

impl<'a> PathWatchRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, watch: reader.boolean()? })
    }
}

/// create, create2, createContainer and createTTL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest<'a> {
    /// The path, or its beginning for sequential modes.
    pub path: Text<'a>,
    /// The data; null and empty are different.
    pub data: Option<&'a [u8]>,
    /// The ACL as sent.
    pub acl: Option<Vec<Acl>>,
    /// Number of a [`CreateMode`](crate::types::CreateMode), or not.
    pub flags: i32,
    /// Time to live in milliseconds; -1 except in createTTL.
    pub ttl_ms: i64,
}

impl<'a> CreateRequest<'a> {
    /// Reads a create, create2 or createContainer.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: reader.text()?,
            data: reader.buffer()?,
            acl: read_acls_nullable(reader)?,
            flags: reader.int()?,
            ttl_ms: -1,
        })
    }

    /// Reads a createTTL.
    pub fn read_ttl(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut request = Self::read(reader)?;
        request.ttl_ms = reader.long()?;
        Ok(request)
    }
}

/// delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRequest<'a> {
    /// The znode.
    pub path: Text<'a>,
    /// Its version, or -1 for any.
    pub version: i32,
}

impl<'a> DeleteRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, version: reader.int()? })
    }
}

/// setData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetDataRequest<'a> {
    /// The znode.
    pub path: Text<'a>,
    /// The new data; null and empty are different.
    pub data: Option<&'a [u8]>,
    /// Its version, or -1 for any.
    pub version: i32,
}

impl<'a> SetDataRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, data: reader.buffer()?, version: reader.int()? })
    }
}

/// setACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAclRequest<'a> {
    /// The znode.
    pub path: Text<'a>,
    /// The new ACL as sent.
    pub acl: Option<Vec<Acl>>,
    /// The version of its ACL, or -1 for any.
    pub version: i32,
}

impl<'a> SetAclRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, acl: read_acls_nullable(reader)?, version: reader.int()? })
    }

    /// Writes the request.
    pub fn write(&self, out: &mut BytesMut) {
        match &self.path {
            Some(path) => out.text(path),
            None => out.null(),
        }
        match &self.acl {
            Some(acl) => write_acls(out, acl),
            None => out.null(),
        }
        out.int(self.version);
    }
}

/// check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRequest<'a> {
    /// The znode.
    pub path: Text<'a>,
    /// Its version, or -1 for any.
    pub version: i32,
}

impl<'a> CheckRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, version: reader.int()? })
    }
}

/// reconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconfigRequest<'a> {
    /// Servers to add or replace.
    pub joining: Text<'a>,
    /// Ids of servers to remove.
    pub leaving: Text<'a>,
    /// All servers of a new configuration.
    pub new_members: Text<'a>,
    /// Version of the configuration this is based on, or -1.
    pub from_config: i64,
}

impl<'a> ReconfigRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            joining: reader.text()?,
            leaving: reader.text()?,
            new_members: reader.text()?,
            from_config: reader.long()?,
        })
    }
}

/// checkWatches and removeWatches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchTypeRequest<'a> {
    /// The znode.
    pub path: Text<'a>,
    /// Number of a [`WatcherType`](super::WatcherType), or not.
    pub watcher_type: i32,
}

impl<'a> WatchTypeRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, watcher_type: reader.int()? })
    }
}

/// addWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddWatchRequest<'a> {
    /// The znode, existing or not.
    pub path: Text<'a>,
    /// Number of an [`AddWatchMode`](super::AddWatchMode), or not.
    pub mode: i32,
}

impl<'a> AddWatchRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: reader.text()?, mode: reader.int()? })
    }
}

/// auth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthRequest<'a> {
    /// Always 0; not looked at.
    pub auth_type: i32,
    /// The scheme.
    pub scheme: Text<'a>,
    /// What the scheme needs.
    pub auth: Option<&'a [u8]>,
}

impl<'a> AuthRequest<'a> {
    /// Reads the request.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { auth_type: reader.int()?, scheme: reader.text()?, auth: reader.buffer()? })
    }
}

/// setWatches and setWatches2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetWatchesRequest<'a> {
    /// The newest transaction the client has seen the effect of.
    pub relative_zxid: i64,
    /// Watches on data.
    pub data: Vec<Cow<'a, str>>,
    /// Watches on znodes that did not exist.
    pub exist: Vec<Cow<'a, str>>,
    /// Watches on children.
    pub child: Vec<Cow<'a, str>>,
    /// Persistent watches; only in setWatches2.
    pub persistent: Vec<Cow<'a, str>>,
    /// Persistent recursive watches; only in setWatches2.
    pub persistent_recursive: Vec<Cow<'a, str>>,
}

impl<'a> SetWatchesRequest<'a> {
    /// Reads a setWatches.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            relative_zxid: reader.long()?,
            data: paths(reader)?,
            exist: paths(reader)?,
            child: paths(reader)?,
            ..Self::default()
        })
    }

    /// Reads a setWatches2.
    pub fn read2(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut request = Self::read(reader)?;
        request.persistent = paths(reader)?;
        request.persistent_recursive = paths(reader)?;
        Ok(request)
    }
}

/// A vector of paths. Java fails with a `NullPointerException` on a null vector or path, which its client
/// sees as a marshalling error, just as if the bytes could not be read.
fn paths<'a>(reader: &mut Reader<'a>) -> Result<Vec<Cow<'a, str>>, DecodeError> {
    let paths = reader.text_vector()?.ok_or_else(|| reader.error(DecodeErrorKind::NullVector))?;
    paths.into_iter().map(|path| path.ok_or_else(|| reader.error(DecodeErrorKind::NullField))).collect()
}
