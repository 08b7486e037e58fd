//! multi and multiRead: several operations in one request (`MultiOperationRecord`, `MultiResponse`).

use bytes::BytesMut;

use super::request::{CheckRequest, CreateRequest, DeleteRequest, PathWatchRequest, SetDataRequest};
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Writer};
use crate::types::{CreateMode, OpCode};

/// In front of each operation and each result; one with `done` ends the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultiHeader {
    /// Number of the operation, or -1 for an error.
    pub op: i32,
    /// Whether the list ends here.
    pub done: bool,
    /// Number of an error code, or -1 in requests.
    pub error: i32,
}

/// Ends the list of operations and the list of results.
pub const MULTI_END: MultiHeader = MultiHeader { op: -1, done: true, error: -1 };

impl MultiHeader {
    /// Reads the header.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { op: reader.int()?, done: reader.boolean()?, error: reader.int()? })
    }

    /// Writes the header.
    pub fn write(&self, out: &mut BytesMut) {
        out.int(self.op);
        out.boolean(self.done);
        out.int(self.error);
    }
}

/// One operation of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// create, create2, createContainer or createTTL, under the code that decides the transaction.
    Create(OpCode, CreateRequest<'a>),
    /// delete.
    Delete(DeleteRequest<'a>),
    /// setData.
    SetData(SetDataRequest<'a>),
    /// check.
    Check(CheckRequest<'a>),
    /// getChildren; the watch flag is not looked at.
    GetChildren(PathWatchRequest<'a>),
    /// getData; the watch flag is not looked at.
    GetData(PathWatchRequest<'a>),
}

/// Writes and reads do not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultiKind {
    /// Writes and checks: a multi.
    Transaction,
    /// Reads: a multiRead.
    Read,
}

impl MultiOp<'_> {
    /// Which kind of list it may stand in.
    pub fn kind(&self) -> MultiKind {
        match self {
            Self::GetChildren(_) | Self::GetData(_) => MultiKind::Read,
            _ => MultiKind::Transaction,
        }
    }
}

/// A whole list of operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    /// The operations in order, all of one kind.
    pub ops: Vec<MultiOp<'a>>,
}

impl<'a> MultiRequest<'a> {
    /// Reads the list, with the refusals that Java makes while it decodes: other operations, mixed kinds,
    /// create flags that name no mode, and a TTL mode in anything but createTTL.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut ops: Vec<MultiOp<'a>> = Vec::new();
        loop {
            let header = MultiHeader::read(reader)?;
            if header.done {
                return Ok(Self { ops });
            }
            let op = Self::read_op(reader, header.op)?;
            if ops.first().is_some_and(|first| first.kind() != op.kind()) {
                return Err(reader.error(DecodeErrorKind::InvalidOperation(header.op)));
            }
            ops.push(op);
        }
    }

    fn read_op(reader: &mut Reader<'a>, number: i32) -> Result<MultiOp<'a>, DecodeError> {
        Ok(match OpCode::from_number(number) {
            Some(op @ (OpCode::Create | OpCode::Create2 | OpCode::CreateContainer)) => {
                let request = CreateRequest::read(reader)?;
                if request.acl.is_none() {
                    return Err(reader.error(DecodeErrorKind::NullVector));
                }
                match CreateMode::from_flags(request.flags) {
                    Some(CreateMode::Container) => MultiOp::Create(OpCode::CreateContainer, request),
                    // CreateOptions' builder refuses a TTL mode without a TTL.
                    Some(mode) if !mode.is_ttl() => MultiOp::Create(op, request),
                    _ => return Err(reader.error(DecodeErrorKind::InvalidCreateMode(request.flags))),
                }
            }
            Some(OpCode::CreateTtl) => Self::without_needless_ttl(CreateRequest::read_ttl(reader)?),
            Some(OpCode::Delete) => MultiOp::Delete(DeleteRequest::read(reader)?),
            Some(OpCode::SetData) => MultiOp::SetData(SetDataRequest::read(reader)?),
            Some(OpCode::Check) => MultiOp::Check(CheckRequest::read(reader)?),
            Some(OpCode::GetChildren) => MultiOp::GetChildren(PathWatchRequest::read(reader)?),
            Some(OpCode::GetData) => MultiOp::GetData(PathWatchRequest::read(reader)?),
            _ => return Err(reader.error(DecodeErrorKind::InvalidOperation(number))),
        })
    }

    /// A createTTL whose mode has no TTL is an ordinary create, and its TTL is forgotten (`Op#create`).
    fn without_needless_ttl(mut request: CreateRequest<'a>) -> MultiOp<'a> {
        let op = match CreateMode::from_flags(request.flags) {
            Some(mode) if mode.is_ttl() => return MultiOp::Create(OpCode::CreateTtl, request),
            Some(CreateMode::Container) => OpCode::CreateContainer,
            _ => OpCode::Create,
        };
        request.ttl_ms = -1;
        MultiOp::Create(op, request)
    }
}
