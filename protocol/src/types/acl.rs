//! Access control lists.

use std::sync::Arc;

use bytes::BytesMut;

use crate::jute::{DecodeError, DecodeErrorKind, Reader, VectorLength, Writer};

/// Permission bits (`ZooDefs.Perms`).
pub struct Perms;

impl Perms {
    /// Read data and children.
    pub const READ: i32 = 1;
    /// Change data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Change the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// An identity: a scheme and a name within it. Either may be null on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// `world`, `digest`, `ip`, `auth` …
    pub scheme: Option<Box<str>>,
    /// The name, in the scheme's own form.
    pub id: Option<Box<str>>,
}

impl Id {
    /// An identity with both parts.
    pub fn new(scheme: &str, id: &str) -> Self {
        Self { scheme: Some(scheme.into()), id: Some(id.into()) }
    }

    /// Whether the scheme is this one.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.scheme.as_deref() == Some(scheme)
    }

    /// Reads an Id.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = || Ok(reader.text()?.map(|text| text.into_owned().into_boxed_str()));
        Ok(Self { scheme: part()?, id: part()? })
    }

    /// Writes an Id.
    pub fn write(&self, out: &mut BytesMut) {
        for part in [&self.scheme, &self.id] {
            match part {
                Some(text) => out.text(text),
                None => out.null(),
            }
        }
    }
}

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acl {
    /// Bits of [`Perms`].
    pub perms: i32,
    /// Who gets them.
    pub id: Id,
}

/// An access control list, shared by all that hold it.
pub type AclList = Arc<[Acl]>;

impl Acl {
    /// All permissions for everybody (`ZooDefs.Ids.OPEN_ACL_UNSAFE`).
    pub fn open() -> Self {
        Self { perms: Perms::ALL, id: Id::new("world", "anyone") }
    }

    /// Reading for everybody (`ZooDefs.Ids.READ_ACL_UNSAFE`).
    pub fn read_only() -> Self {
        Self { perms: Perms::READ, id: Id::new("world", "anyone") }
    }
}

/// Above this many entries a list is not reserved for in advance, so that a count alone costs no memory.
pub const MANY_ACLS: usize = 16;

/// Reads a vector of ACLs that may be null.
pub fn read_acls_nullable(reader: &mut Reader<'_>) -> Result<Option<Vec<Acl>>, DecodeError> {
    match reader.vector()? {
        VectorLength::Null => Ok(None),
        VectorLength::Elements(count) => {
            let mut acls = Vec::with_capacity(count.min(MANY_ACLS));
            for _ in 0..count {
                acls.push(Acl { perms: reader.int()?, id: Id::read(reader)? });
            }
            Ok(Some(acls))
        }
    }
}

/// Reads a vector of ACLs that must be there.
pub fn read_acls(reader: &mut Reader<'_>) -> Result<Vec<Acl>, DecodeError> {
    read_acls_nullable(reader)?.ok_or_else(|| reader.error(DecodeErrorKind::NullVector))
}

/// Writes a vector of ACLs.
pub fn write_acls(out: &mut BytesMut, acls: &[Acl]) {
    out.count(acls.len());
    for acl in acls {
        out.int(acl.perms);
        acl.id.write(out);
    }
}
