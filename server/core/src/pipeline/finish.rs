//! From an applied transaction to a reply (`FinalRequestProcessor`).

use bytes::BytesMut;
use rookeeper_protocol::client::{
    ConnectResponse, MULTI_END, MultiHeader, PROTOCOL_VERSION, PathRequest, finish_frame, write_error_reply,
    write_reply_header,
};
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{ErrorCode, OpCode, Zxid};

use super::request::Origin;
use crate::session::password;
use crate::tree::{Applied, PartResult};

/// A request that has its result.
#[derive(Debug)]
pub struct Finished<'a> {
    /// Where it came from.
    pub origin: &'a Origin,
    /// The newest transaction applied.
    pub zxid: Zxid,
    result: Outcome<'a>,
}

#[derive(Debug)]
enum Outcome<'a> {
    Applied(&'a LogEntry, &'a Applied),
    /// A `sync` with this body.
    Synced(&'a [u8]),
    /// A local session began or ended.
    Local,
    Failed(ErrorCode),
}

impl<'a> Finished<'a> {
    /// A request whose transaction was applied.
    pub(super) fn applied(origin: &'a Origin, entry: &'a LogEntry, applied: &'a Applied, zxid: Zxid) -> Self {
        let result = match &entry.txn {
            Txn::Error { code } => Outcome::Failed(ErrorCode::from_number(*code).unwrap_or(ErrorCode::SystemError)),
            _ => Outcome::Applied(entry, applied),
        };
        Self { origin, zxid, result }
    }

    /// A request that could not be decoded.
    pub(super) fn refused(origin: &'a Origin, code: ErrorCode, zxid: Zxid) -> Self {
        Self { origin, zxid, result: Outcome::Failed(code) }
    }

    /// A local session begins or ends.
    pub(super) fn local(origin: &'a Origin, zxid: Zxid) -> Self {
        Self { origin, zxid, result: Outcome::Local }
    }

    /// A `sync` whose turn has come.
    pub(super) fn synced(origin: &'a Origin, body: &'a [u8], zxid: Zxid) -> Self {
        Self { origin, zxid, result: Outcome::Synced(body) }
    }

    /// Whether the connection closes without a reply: its client is connected elsewhere by now, and would take the answer
    /// for the end of its session (ZOOKEEPER-710).
    pub fn has_moved(&self) -> bool {
        matches!(self.result, Outcome::Failed(ErrorCode::SessionMoved))
    }

    /// Whether the connection closes behind the reply.
    pub fn closes(&self) -> bool {
        self.origin.op == OpCode::CloseSession
    }

    /// Whether the request failed as a whole.
    pub fn failed(&self) -> bool {
        matches!(self.result, Outcome::Failed(_))
    }

    /// Whether this is the session that the connection waits for.
    pub fn begins_session(&self) -> bool {
        self.origin.op == OpCode::CreateSession && !self.failed()
    }

    /// The handshake's answer to a new session, with the timeout agreed on.
    pub fn connect_response(&self, timeout_ms: i32, read_only: Option<bool>) -> ConnectResponse {
        ConnectResponse {
            protocol_version: PROTOCOL_VERSION,
            timeout_ms,
            session_id: self.origin.session,
            password: password(self.origin.session),
            read_only,
        }
    }

    /// Writes the reply's frame. A session's beginning is answered by [`Finished::connect_response`] instead.
    pub fn write_reply(&self, out: &mut BytesMut) {
        let xid = self.origin.xid;
        let (entry, applied) = match &self.result {
            Outcome::Failed(code) => return write_error_reply(out, xid, self.zxid, *code),
            Outcome::Local => return write_error_reply(out, xid, self.zxid, ErrorCode::Ok),
            Outcome::Synced(body) => return write_sync_reply(out, xid, self.zxid, body),
            Outcome::Applied(entry, applied) => (entry, applied),
        };
        if applied.result.error != 0 && self.origin.op != OpCode::Multi {
            let code = ErrorCode::from_number(applied.result.error).unwrap_or(ErrorCode::SystemError);
            return write_error_reply(out, xid, self.zxid, code);
        }
        let start = write_reply_header(out, xid, self.zxid);
        match &entry.txn {
            Txn::Multi(parts) => {
                for (part, result) in parts.iter().zip(&applied.parts) {
                    write_part(out, part, result);
                }
                MULTI_END.write(out);
            }
            txn => write_result(out, txn, &applied.result),
        }
        finish_frame(out, start);
    }
}

/// The answer to a `sync` is its path.
fn write_sync_reply(out: &mut BytesMut, xid: i32, zxid: Zxid, body: &[u8]) {
    let Ok(request) = PathRequest::read(&mut Reader::new(body)) else {
        return write_error_reply(out, xid, zxid, ErrorCode::MarshallingError);
    };
    let start = write_reply_header(out, xid, zxid);
    match &request.path {
        Some(path) => out.text(path),
        None => out.null(),
    }
    finish_frame(out, start);
}

/// The body of a successful change's result; a plain create tells no stat.
fn write_result(out: &mut BytesMut, txn: &Txn, result: &PartResult) {
    if let Txn::Create { create, .. } | Txn::CreateContainer(create) | Txn::CreateTtl { create, .. } = txn {
        out.text(&create.path);
        if txn.kind() == OpCode::Create {
            return;
        }
    }
    if let Txn::SetData { op: OpCode::Reconfig, data, .. } = txn {
        // The new list, as getData would tell it.
        out.buffer(data.as_deref());
    }
    if let Some(stat) = &result.stat {
        stat.write(out);
    }
}

/// A multi's result. All creates that tell a stat are told as create2.
fn write_part(out: &mut BytesMut, txn: &Txn, result: &PartResult) {
    if result.op == OpCode::Error || result.error != 0 {
        MultiHeader { op: OpCode::Error.number(), done: false, error: result.error }.write(out);
        out.int(result.error);
        return;
    }
    let op = match result.op {
        OpCode::CreateTtl | OpCode::CreateContainer => OpCode::Create2,
        OpCode::DeleteContainer => OpCode::Delete,
        op => op,
    };
    MultiHeader { op: op.number(), done: false, error: 0 }.write(out);
    write_result(out, txn, result);
}
