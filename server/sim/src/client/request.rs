//! What clients ask, as frames.

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::client::{MULTI_END, MultiHeader, RequestHeader, finish_frame, start_frame};
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{CreateMode, OpCode, Zxid, write_acls};

use super::{Access, Who};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Create {
        path: String,
        data: Bytes,
        mode: CreateMode,
        access: Access,
    },
    /// For everybody.
    CreateTtl {
        path: String,
        data: Bytes,
        ttl_ms: i64,
    },
    Set {
        path: String,
        data: Bytes,
        version: i32,
    },
    SetAcl {
        path: String,
        access: Access,
    },
    Delete {
        path: String,
        version: i32,
    },
    Get {
        path: String,
        watch: bool,
    },
    Exists {
        path: String,
        watch: bool,
    },
    Children {
        path: String,
        watch: bool,
    },
    Sync,
    Multi(Vec<Op>),
    Check {
        path: String,
        version: i32,
    },
    Reconfig {
        joining: Option<String>,
        leaving: Option<String>,
    },
    Ping,
    /// Says who the client is.
    Auth(Who),
    SetWatches {
        since: Zxid,
        data: Vec<String>,
        exist: Vec<String>,
        child: Vec<String>,
    },
    Close,
}

impl Op {
    pub(crate) fn code(&self) -> OpCode {
        match self {
            Self::Create { mode: CreateMode::Container, .. } => OpCode::CreateContainer,
            Self::Create { .. } => OpCode::Create,
            Self::CreateTtl { .. } => OpCode::CreateTtl,
            Self::Set { .. } => OpCode::SetData,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::Delete { .. } => OpCode::Delete,
            Self::Get { .. } => OpCode::GetData,
            Self::Exists { .. } => OpCode::Exists,
            Self::Children { .. } => OpCode::GetChildren,
            Self::Sync => OpCode::Sync,
            Self::Multi(_) => OpCode::Multi,
            Self::Check { .. } => OpCode::Check,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::Ping => OpCode::Ping,
            Self::Auth(_) => OpCode::Auth,
            Self::SetWatches { .. } => OpCode::SetWatches,
            Self::Close => OpCode::CloseSession,
        }
    }

    /// Whether it becomes a transaction.
    pub(crate) fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::CreateTtl { .. }
                | Self::Set { .. }
                | Self::SetAcl { .. }
                | Self::Delete { .. }
                | Self::Multi(_)
                | Self::Reconfig { .. }
                | Self::Close
        )
    }

    /// Whether it makes a znode that goes with its session.
    pub(crate) fn makes_ephemeral(&self) -> bool {
        match self {
            Self::Create { mode, .. } => mode.is_ephemeral(),
            Self::Multi(parts) => parts.iter().any(Self::makes_ephemeral),
            _ => false,
        }
    }

    /// Its frame.
    pub(crate) fn frame(&self, xid: i32) -> Bytes {
        let mut out = BytesMut::new();
        let start = start_frame(&mut out);
        RequestHeader { xid, op: self.code().number() }.write(&mut out);
        self.write_body(&mut out);
        finish_frame(&mut out, start);
        out.freeze()
    }

    fn write_body(&self, out: &mut BytesMut) {
        match self {
            Self::Create { path, data, mode, access } => {
                out.text(path);
                out.buffer(Some(data));
                write_acls(out, &access.asked());
                out.int(mode.flags());
            }
            Self::CreateTtl { path, data, ttl_ms } => {
                out.text(path);
                out.buffer(Some(data));
                write_acls(out, &Access::OPEN.asked());
                out.int(CreateMode::PersistentWithTtl.flags());
                out.long(*ttl_ms);
            }
            Self::Set { path, data, version } => {
                out.text(path);
                out.buffer(Some(data));
                out.int(*version);
            }
            Self::SetAcl { path, access } => {
                out.text(path);
                write_acls(out, &access.asked());
                out.int(-1);
            }
            Self::Delete { path, version } | Self::Check { path, version } => {
                out.text(path);
                out.int(*version);
            }
            Self::Get { path, watch } | Self::Exists { path, watch } | Self::Children { path, watch } => {
                out.text(path);
                out.boolean(*watch);
            }
            Self::Sync => out.text("/"),
            Self::Multi(parts) => {
                for part in parts {
                    MultiHeader { op: part.code().number(), done: false, error: -1 }.write(out);
                    part.write_body(out);
                }
                MULTI_END.write(out);
            }
            Self::Reconfig { joining, leaving } => {
                for text in [joining.as_deref(), leaving.as_deref(), None] {
                    match text {
                        Some(text) => out.text(text),
                        None => out.null(),
                    }
                }
                out.long(-1);
            }
            Self::Ping | Self::Close => {}
            Self::Auth(who) => {
                out.int(0);
                out.text("digest");
                out.buffer(who.says().map(str::as_bytes));
            }
            Self::SetWatches { since, data, exist, child } => {
                out.long(since.0);
                for list in [data, exist, child] {
                    out.count(list.len());
                    list.iter().for_each(|path| out.text(path));
                }
            }
        }
    }
}
