//! What kind of request an operation is.

use rookeeper_protocol::types::OpCode;

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
