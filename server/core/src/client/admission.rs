//! Who may come, and what kind of request an operation is.

use rookeeper_protocol::client::ConnectRequest;
use rookeeper_protocol::types::{OpCode, Zxid};

/// Why a client may not come: its connection closes without a word, and it tries another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server is read-only, and the client did not say that it can do with that.
    ReadOnly,
    /// The client has seen what the server has not.
    Behind,
}

/// Whether a server refuses a client that is `read_only` or not, and has applied everything up to `last_zxid`
/// (`ZooKeeperServer#processConnectRequest`).
pub fn refusal(request: &ConnectRequest<'_>, read_only: bool, last_zxid: Zxid) -> Option<Refusal> {
    if read_only && request.read_only != Some(true) && !planted!(ReadOnlyForAll) {
        return Some(Refusal::ReadOnly);
    }
    (request.last_zxid_seen > last_zxid).then_some(Refusal::Behind)
}

/// What becomes of a request, by its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Becomes a transaction.
    Write,
    /// Is answered from the tree.
    Read,
    /// Is answered at once, whatever else is under way.
    Immediate,
    /// Is not known: UNIMPLEMENTED, and the connection closes.
    Unknown,
}

impl Admission {
    /// Sorts an operation of a client (`Request#isValid`, `ZooKeeperServer#processPacket`).
    pub fn of(op: OpCode) -> Self {
        match op {
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateTtl
            | OpCode::CreateContainer
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
            | OpCode::CreateSession
            | OpCode::CloseSession => Self::Write,
            OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::GetAllChildrenNumber
            | OpCode::GetEphemerals
            | OpCode::MultiRead
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::WhoAmI => Self::Read,
            OpCode::Auth | OpCode::Sasl => Self::Immediate,
            // Java lets clients send deleteContainer and so delete without permission; we do not.
            OpCode::Notification | OpCode::Check | OpCode::Error | OpCode::DeleteContainer => Self::Unknown,
        }
    }
}

/// Java's short name of an operation, as `cons` prints it.
pub(super) fn short_name(op: OpCode) -> &'static str {
    match op {
        OpCode::Ping => "PING",
        OpCode::CreateSession => "SESS",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Reconfig => "RECO",
        OpCode::SetAcl => "SETA",
        OpCode::CloseSession => "CLOS",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetAcl => "GETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::GetEphemerals => "GETE",
        OpCode::Notification | OpCode::Error | OpCode::Auth | OpCode::Sasl => "NA",
    }
}
