//! Answering reads (`FinalRequestProcessor`).
//!
//! A reply is written straight from the tree into the connection's buffer.

use bytes::BytesMut;
use rookeeper_protocol::client::{
    AddWatchMode, AddWatchRequest, EventType, MULTI_END, MultiHeader, MultiOp, MultiRequest, PathRequest,
    PathWatchRequest, SetWatchesRequest, Text, WatchEvent, WatchTypeRequest, WatcherType, finish_frame, write_children,
    write_error_reply, write_reply_header, xid,
};
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::types::{Acl, ErrorCode, Id, OpCode, Perms, Zxid, write_acls};

use super::admission::short_name;
use super::connection::{Connection, Phase, ReadRequest, ReadView};
use crate::acl::{AclId, client_infos, permits};
use crate::tree::{Znode, ZnodeId};
use crate::watch::WatchModes;

impl Connection {
    /// Answers one read that [`Connection::take`] returned. What came for a connection that has ended is left.
    pub fn answer(&mut self, read: &ReadRequest, view: &mut ReadView<'_, '_>) {
        if self.phase() == Phase::Ending {
            return;
        }
        let ReadRequest { header, op, body, ids, received_ms } = read;
        let (op, received_ms) = (*op, *received_ms);
        let zxid = view.tree.last_zxid();
        let xid = if op == OpCode::Ping { xid::PING } else { header.xid };
        let reader = Reader::with_limit(body, view.rules.inner_length_max);
        if self.refuses(op) {
            let start = self.out.len();
            write_error_reply(&mut self.out, xid, zxid, ErrorCode::NotReadOnly);
            self.sent(start);
        } else if matches!(op, OpCode::SetWatches | OpCode::SetWatches2) {
            self.set_watches(xid, zxid, op, reader, view);
        } else {
            let start = write_reply_header(&mut self.out, xid, zxid);
            let mut read = Read { conn: self.id(), session: self.session(), ids, view };
            match read.answer(op, reader, &mut self.out) {
                Ok(code) => {
                    // Only multiRead has a body behind an error.
                    set_reply_error(&mut self.out, start, code);
                    finish_frame(&mut self.out, start);
                }
                Err(code) => {
                    self.out.truncate(start);
                    write_error_reply(&mut self.out, xid, zxid, code);
                }
            }
            self.sent(start);
        }
        self.answered(header.xid, zxid, short_name(op), received_ms, view.now_ms);
        self.tally.read(view.now_ms - received_ms);
    }

    /// setWatches: what was missed while the client was away goes out as events, before the reply.
    fn set_watches(&mut self, xid: i32, zxid: Zxid, op: OpCode, mut reader: Reader<'_>, view: &mut ReadView<'_, '_>) {
        let request = match op {
            OpCode::SetWatches => SetWatchesRequest::read(&mut reader),
            _ => SetWatchesRequest::read2(&mut reader),
        };
        let code = match request {
            Ok(request) => {
                self.catch_up(&request, view);
                ErrorCode::Ok
            }
            Err(_) => ErrorCode::MarshallingError,
        };
        let start = self.out.len();
        write_error_reply(&mut self.out, xid, zxid, code);
        self.sent(start);
    }

    /// Each watch either fires for what happened since `relative_zxid`, or is set again (`DataTree#setWatches`).
    fn catch_up(&mut self, request: &SetWatchesRequest<'_>, view: &mut ReadView<'_, '_>) {
        let (conn, tree, since) = (self.id(), view.tree, Zxid(request.relative_zxid));
        for path in &request.data {
            match tree.get(path) {
                None => self.missed(EventType::NodeDeleted, path),
                Some(znode) if znode.stat.mzxid > since => self.missed(EventType::NodeDataChanged, path),
                Some(_) => view.watches.table().add(conn, path, WatchModes::DATA),
            }
        }
        for path in &request.exist {
            match tree.get(path) {
                Some(_) => self.missed(EventType::NodeCreated, path),
                None => view.watches.table().add(conn, path, WatchModes::DATA),
            }
        }
        for path in &request.child {
            match tree.get(path) {
                None => self.missed(EventType::NodeDeleted, path),
                Some(znode) if znode.stat.pzxid > since => self.missed(EventType::NodeChildrenChanged, path),
                Some(_) => view.watches.table().add(conn, path, WatchModes::CHILD),
            }
        }
        for path in &request.persistent {
            view.watches.table().add(conn, path, WatchModes::PERSISTENT);
        }
        for path in &request.persistent_recursive {
            view.watches.table().add(conn, path, WatchModes::RECURSIVE);
        }
    }

    /// An event for a change that nobody remembers the transaction of.
    fn missed(&mut self, event: EventType, path: &str) {
        let start = self.out.len();
        WatchEvent::write_frame(&mut self.out, event, path, Zxid(-1));
        self.sent_event(start);
    }
}

/// One read being answered.
struct Read<'r, 'a, 'w> {
    conn: crate::watch::ConnId,
    session: rookeeper_protocol::types::SessionId,
    ids: &'r [Id],
    view: &'r mut ReadView<'a, 'w>,
}

/// A multiRead is refused beyond so many bytes of results. Its requests are short, and each may ask for the same
/// large znode again; clients take packets of 1 MiB unless told otherwise.
const MULTI_READ_BYTES_MAX: usize = 64 << 20;

/// Bytes that cannot be read, and nulls that Java stumbles over.
const MALFORMED: ErrorCode = ErrorCode::MarshallingError;

fn path_of<'a>(text: &'a Text<'_>) -> Result<&'a str, ErrorCode> {
    text.as_deref().ok_or(MALFORMED)
}

impl Read<'_, '_, '_> {
    /// Writes the reply's body. An error in `Ok` goes into the header with the body behind it.
    fn answer(&mut self, op: OpCode, mut reader: Reader<'_>, out: &mut BytesMut) -> Result<ErrorCode, ErrorCode> {
        let reader = &mut reader;
        match op {
            OpCode::GetData => {
                let request = PathWatchRequest::read(reader).map_err(|_| MALFORMED)?;
                let (_, znode) = self.readable(path_of(&request.path)?)?;
                write_data(out, &znode);
                self.watch(request.watch, &request.path, WatchModes::DATA);
            }
            OpCode::Exists => self.exists(reader, out)?,
            OpCode::GetChildren | OpCode::GetChildren2 => {
                let request = PathWatchRequest::read(reader).map_err(|_| MALFORMED)?;
                let (id, znode) = self.readable(path_of(&request.path)?)?;
                write_children(out, znode.num_children as usize, self.view.tree.children(id));
                if op == OpCode::GetChildren2 {
                    znode.client_stat().write(out);
                }
                self.watch(request.watch, &request.path, WatchModes::CHILD);
            }
            OpCode::GetAcl => self.get_acl(reader, out)?,
            OpCode::GetAllChildrenNumber => {
                let request = PathRequest::read(reader).map_err(|_| MALFORMED)?;
                let path = path_of(&request.path)?;
                let (id, _) = self.readable(path)?;
                // Java counts keys that begin with the path and a slash; the root's two names make it differ.
                let count = self.view.tree.descendant_count(id) + usize::from(path.is_empty());
                out.int(i32::try_from(count).unwrap_or(i32::MAX));
            }
            OpCode::Sync => {
                let request = PathRequest::read(reader).map_err(|_| MALFORMED)?;
                match &request.path {
                    Some(path) => out.text(path),
                    None => out.null(),
                }
            }
            OpCode::GetEphemerals => self.get_ephemerals(reader, out)?,
            OpCode::WhoAmI => {
                let infos = client_infos(self.ids, &self.view.rules.acl.auth);
                out.count(infos.len());
                for (scheme, user) in infos {
                    out.text(scheme);
                    out.text(user);
                }
            }
            OpCode::AddWatch => {
                let request = AddWatchRequest::read(reader).map_err(|_| MALFORMED)?;
                let mode = AddWatchMode::from_number(request.mode).ok_or(MALFORMED)?;
                // On a null path nothing ever happens; Java's table takes it all the same.
                self.watch(true, &request.path, mode.into());
                out.int(0);
            }
            OpCode::CheckWatches | OpCode::RemoveWatches => self.check_or_remove_watches(op, reader)?,
            OpCode::MultiRead => return self.multi_read(reader, out),
            // ping has no body; nothing else is admitted as a read.
            _ => {}
        }
        Ok(ErrorCode::Ok)
    }

    /// A znode that may be read.
    fn readable(&self, path: &str) -> Result<(ZnodeId, Znode<'_>), ErrorCode> {
        let id = self.view.tree.find(path).ok_or(ErrorCode::NoNode)?;
        let znode = self.view.tree.znode(id);
        self.check(znode.acl, Perms::READ)?;
        Ok((id, znode))
    }

    fn check(&self, acl: AclId, perms: i32) -> Result<(), ErrorCode> {
        let acls = self.view.tree.acls();
        let permitted =
            acls.permits_world(acl, perms) || permits(&self.view.rules.acl, acls.entries(acl), perms, self.ids);
        if permitted { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    /// Leaves a watch. The path is the one of the request, so that the event says the same.
    fn watch(&mut self, wanted: bool, path: &Text<'_>, modes: WatchModes) {
        if let (true, Some(path)) = (wanted, path) {
            self.view.watches.table().add(self.conn, path, modes);
        }
    }

    fn exists(&mut self, reader: &mut Reader<'_>, out: &mut BytesMut) -> Result<(), ErrorCode> {
        let request = PathWatchRequest::read(reader).map_err(|_| MALFORMED)?;
        let path = path_of(&request.path)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let stat = match self.view.tree.get(path) {
            Some(znode) => {
                self.check(znode.acl, Perms::READ)?;
                Some(znode.client_stat())
            }
            None => None,
        };
        // Also on a znode that is not there: that is how its creation is waited for.
        self.watch(request.watch, &request.path, WatchModes::DATA);
        stat.ok_or(ErrorCode::NoNode)?.write(out);
        Ok(())
    }

    fn get_acl(&mut self, reader: &mut Reader<'_>, out: &mut BytesMut) -> Result<(), ErrorCode> {
        let request = PathRequest::read(reader).map_err(|_| MALFORMED)?;
        let znode = self.view.tree.get(path_of(&request.path)?).ok_or(ErrorCode::NoNode)?;
        self.check(znode.acl, Perms::READ | Perms::ADMIN)?;
        let list = self.view.tree.acls().entries(znode.acl);
        match self.check(znode.acl, Perms::ADMIN) {
            Ok(()) => write_acls(out, list),
            // Only those who may change the list see the hashes in it.
            Err(_) => write_acls(out, &list.iter().map(without_hash).collect::<Vec<_>>()),
        }
        znode.client_stat().write(out);
        Ok(())
    }

    fn get_ephemerals(&mut self, reader: &mut Reader<'_>, out: &mut BytesMut) -> Result<(), ErrorCode> {
        let request = PathRequest::read(reader).map_err(|_| MALFORMED)?;
        let prefix = request.path.as_deref().unwrap_or_default();
        // Java trims everything up to the space.
        let trimmed = prefix.trim_matches(|character| character <= ' ');
        let all = trimmed.is_empty() || trimmed == "/";
        let paths: Vec<String> =
            self.view.tree.ephemerals(self.session).filter(|path| all || path.starts_with(prefix)).collect();
        write_children(out, paths.len(), paths.iter().map(String::as_str));
        Ok(())
    }

    fn check_or_remove_watches(&mut self, op: OpCode, reader: &mut Reader<'_>) -> Result<(), ErrorCode> {
        let request = WatchTypeRequest::read(reader).map_err(|_| MALFORMED)?;
        let watcher_type = WatcherType::from_number(request.watcher_type).ok_or(MALFORMED)?;
        let Some(path) = &request.path else { return Err(ErrorCode::NoWatcher) };
        let table = self.view.watches.table();
        let found = match op {
            OpCode::CheckWatches => table.contains(self.conn, path, watcher_type),
            _ => table.remove(self.conn, path, watcher_type),
        };
        if found { Ok(()) } else { Err(ErrorCode::NoWatcher) }
    }

    /// The operations are answered one by one. One that Java stumbles over fails the whole, but what was
    /// answered before it is sent behind the error, as in Java.
    fn multi_read(&mut self, reader: &mut Reader<'_>, out: &mut BytesMut) -> Result<ErrorCode, ErrorCode> {
        let request = MultiRequest::read(reader).map_err(|_| MALFORMED)?;
        let mut outcome = ErrorCode::Ok;
        let start = out.len();
        for op in &request.ops {
            if out.len() - start > MULTI_READ_BYTES_MAX {
                return Err(MALFORMED);
            }
            let (path, code) = match op {
                MultiOp::GetData(read) => (&read.path, OpCode::GetData),
                MultiOp::GetChildren(read) => (&read.path, OpCode::GetChildren),
                _ => (&None, OpCode::Error),
            };
            let Some(path) = path else {
                outcome = MALFORMED;
                break;
            };
            match self.readable(path) {
                Ok((id, znode)) => {
                    MultiHeader { op: code.number(), done: false, error: 0 }.write(out);
                    match code {
                        OpCode::GetData => write_data(out, &znode),
                        _ => write_children(out, znode.num_children as usize, self.view.tree.children(id)),
                    }
                }
                Err(error) => {
                    let (op, error) = (OpCode::Error.number(), error.number());
                    MultiHeader { op, done: false, error }.write(out);
                    out.int(error);
                }
            }
        }
        MULTI_END.write(out);
        Ok(outcome)
    }
}

/// Puts an error into the header of the reply begun at `start`.
fn set_reply_error(out: &mut BytesMut, start: usize, code: ErrorCode) {
    const ERROR_OFFSET: usize = rookeeper_protocol::client::FRAME_HEADER_LEN + 12;
    out[start + ERROR_OFFSET..start + ERROR_OFFSET + 4].copy_from_slice(&code.number().to_be_bytes());
}

fn write_data(out: &mut BytesMut, znode: &Znode<'_>) {
    out.buffer(znode.data);
    znode.client_stat().write(out);
}

/// A digest identity without what it was hashed to.
fn without_hash(acl: &Acl) -> Acl {
    let mut acl = acl.clone();
    if acl.id.has_scheme("digest")
        && let Some((user, _)) = acl.id.id.as_deref().and_then(|id| id.split_once(':'))
    {
        acl.id.id = Some(format!("{user}:x").into_boxed_str());
    }
    acl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_hidden() {
        let acl = Acl { perms: 1, id: Id::new("digest", "user:hash=") };
        assert_eq!(without_hash(&acl).id, Id::new("digest", "user:x"));
        assert_eq!(without_hash(&Acl::open()), Acl::open());
    }
}
