//! Requests as clients send them, and what servers send as clients read it.

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::client::{ConnectResponse, FrameDecoder, ReplyHeader, RequestHeader, WatchEvent, xid};
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::types::{Acl, CreateMode, Id, OpCode, Perms, Stat, Zxid, write_acls};

/// One frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The handshake's answer.
    Connect(ConnectResponse),
    /// A reply; the body is what stands behind its header.
    Reply { xid: i32, zxid: i64, error: i32, body: Vec<u8> },
    /// A watch fired.
    Event { zxid: i64, event: i32, path: String },
}

/// A reply without a body.
pub(crate) fn reply(xid: i32, zxid: i64, error: i32) -> Sent {
    Sent::Reply { xid, zxid, error, body: Vec::new() }
}

/// A successful reply with a body.
pub(crate) fn answer(xid: i32, zxid: i64, body: BytesMut) -> Sent {
    Sent::Reply { xid, zxid, error: 0, body: body.to_vec() }
}

/// An event of a transaction.
pub(crate) fn event(zxid: i64, event: i32, path: &str) -> Sent {
    Sent::Event { zxid, event, path: path.to_owned() }
}

pub(crate) const CREATED: i32 = 1;
pub(crate) const DELETED: i32 = 2;
pub(crate) const DATA: i32 = 3;
pub(crate) const CHILDREN: i32 = 4;

/// Reads everything a connection sent. `expects_connect` is whether the handshake's answer comes first.
pub(crate) fn read_sent(out: &mut BytesMut, mut expects_connect: bool) -> Vec<Sent> {
    let frames = FrameDecoder::new(usize::MAX);
    let mut sent = Vec::new();
    while let Some(frame) = frames.next_frame(out).unwrap() {
        let mut reader = Reader::new(&frame);
        if std::mem::take(&mut expects_connect) {
            sent.push(Sent::Connect(ConnectResponse::read(&mut reader).unwrap()));
            assert_eq!(reader.remaining(), 0);
            continue;
        }
        let header = ReplyHeader::read(&mut reader).unwrap();
        if header.xid == xid::NOTIFICATION {
            let event = WatchEvent::read(&mut reader).unwrap();
            assert_eq!((reader.remaining(), event.state, header.error), (0, 3, 0));
            sent.push(Sent::Event { zxid: header.zxid.0, event: event.event_type, path: event.path });
        } else {
            let body = reader.rest().to_vec();
            sent.push(Sent::Reply { xid: header.xid, zxid: header.zxid.0, error: header.error, body });
        }
    }
    assert!(out.is_empty(), "half a frame was sent");
    sent
}

/// Bytes, built.
pub(crate) fn bytes(build: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    build(&mut out);
    out
}

/// A request: number, operation, body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) op: i32,
    pub(crate) body: BytesMut,
}

impl Request {
    pub(crate) fn new(op: OpCode, build: impl FnOnce(&mut BytesMut)) -> Self {
        Self { op: op.number(), body: bytes(build) }
    }

    pub(crate) fn frame(&self, xid: i32) -> Bytes {
        let mut out = bytes(|out| RequestHeader { xid, op: self.op }.write(out));
        out.extend_from_slice(&self.body);
        out.freeze()
    }
}

pub(crate) fn open() -> Vec<Acl> {
    vec![Acl::open()]
}

/// One entry for a user of the digest scheme, whose identity is made up.
pub(crate) fn user_acl(perms: i32, id: &str) -> Acl {
    Acl { perms, id: Id::new("digest", id) }
}

/// `auth`: whoever asks.
pub(crate) fn auth_acl() -> Vec<Acl> {
    vec![Acl { perms: Perms::ALL, id: Id::new("auth", "") }]
}

fn create_body(out: &mut BytesMut, path: &str, data: Option<&[u8]>, acl: &[Acl], flags: i32) {
    out.text(path);
    out.buffer(data);
    write_acls(out, acl);
    out.int(flags);
}

pub(crate) fn create_as(op: OpCode, path: &str, data: Option<&[u8]>, acl: &[Acl], flags: i32) -> Request {
    Request::new(op, |out| create_body(out, path, data, acl, flags))
}

pub(crate) fn create(path: &str, mode: CreateMode) -> Request {
    create_as(OpCode::Create, path, Some(b"data"), &open(), mode.flags())
}

pub(crate) fn persistent(path: &str) -> Request {
    create(path, CreateMode::Persistent)
}

pub(crate) fn ephemeral(path: &str) -> Request {
    create(path, CreateMode::Ephemeral)
}

pub(crate) fn create_ttl(path: &str, mode: CreateMode, ttl_ms: i64) -> Request {
    Request::new(OpCode::CreateTtl, |out| {
        create_body(out, path, Some(b"data"), &open(), mode.flags());
        out.long(ttl_ms);
    })
}

pub(crate) fn delete(path: &str, version: i32) -> Request {
    Request::new(OpCode::Delete, |out| {
        out.text(path);
        out.int(version);
    })
}

pub(crate) fn set_data(path: &str, data: &[u8], version: i32) -> Request {
    Request::new(OpCode::SetData, |out| {
        out.text(path);
        out.buffer(Some(data));
        out.int(version);
    })
}

pub(crate) fn set_acl(path: &str, acl: &[Acl], version: i32) -> Request {
    Request::new(OpCode::SetAcl, |out| {
        out.text(path);
        write_acls(out, acl);
        out.int(version);
    })
}

pub(crate) fn check(path: &str, version: i32) -> Request {
    Request::new(OpCode::Check, |out| {
        out.text(path);
        out.int(version);
    })
}

/// exists, getData, getChildren, getChildren2.
pub(crate) fn read(op: OpCode, path: &str, watch: bool) -> Request {
    Request::new(op, |out| {
        out.text(path);
        out.boolean(watch);
    })
}

/// getACL, sync, getEphemerals, getAllChildrenNumber.
pub(crate) fn by_path(op: OpCode, path: &str) -> Request {
    Request::new(op, |out| out.text(path))
}

/// addWatch, checkWatches, removeWatches.
pub(crate) fn by_number(op: OpCode, path: &str, number: i32) -> Request {
    Request::new(op, |out| {
        out.text(path);
        out.int(number);
    })
}

pub(crate) fn bare(op: OpCode) -> Request {
    Request::new(op, |_| {})
}

pub(crate) fn auth(scheme: &str, auth: &[u8]) -> Request {
    Request::new(OpCode::Auth, |out| {
        out.int(0);
        out.text(scheme);
        out.buffer(Some(auth));
    })
}

pub(crate) fn multi_header(out: &mut BytesMut, op: i32, done: bool, error: i32) {
    out.int(op);
    out.boolean(done);
    out.int(error);
}

/// multi or multiRead of these.
pub(crate) fn many(op: OpCode, requests: &[Request]) -> Request {
    Request::new(op, |out| {
        for request in requests {
            multi_header(out, request.op, false, -1);
            out.extend_from_slice(&request.body);
        }
        multi_header(out, -1, true, -1);
    })
}

pub(crate) fn multi(requests: &[Request]) -> Request {
    many(OpCode::Multi, requests)
}

/// The results of a multi: each the number, the error and the body.
pub(crate) fn results(parts: &[(i32, i32, BytesMut)]) -> BytesMut {
    bytes(|out| {
        for (op, error, body) in parts {
            multi_header(out, *op, false, *error);
            out.extend_from_slice(body);
        }
        multi_header(out, -1, true, -1);
    })
}

/// A part of a multi that failed, or succeeded in vain.
pub(crate) fn failed(error: i32) -> (i32, i32, BytesMut) {
    (-1, error, bytes(|out| out.int(error)))
}

/// setWatches (three lists) or setWatches2 (five).
pub(crate) fn set_watches(relative_zxid: i64, lists: &[&[&str]]) -> Request {
    let op = if lists.len() == 3 { OpCode::SetWatches } else { OpCode::SetWatches2 };
    Request::new(op, |out| {
        out.long(relative_zxid);
        for list in lists {
            names(out, list);
        }
    })
}

/// A vector of strings.
pub(crate) fn names(out: &mut BytesMut, list: &[&str]) {
    out.count(list.len());
    for path in list {
        out.text(path);
    }
}

pub(crate) fn text(text: &str) -> BytesMut {
    bytes(|out| out.text(text))
}

pub(crate) fn stat_bytes(stat: &Stat) -> BytesMut {
    bytes(|out| stat.write(out))
}

/// A path and a stat, as create2 answers.
pub(crate) fn path_and_stat(path: &str, stat: &Stat) -> BytesMut {
    bytes(|out| {
        out.text(path);
        stat.write(out);
    })
}

/// The stat of a znode just created, with `data` of so many bytes.
pub(crate) fn fresh_stat(zxid: i64, time: i64, data_length: i32) -> Stat {
    let zxid = Zxid(zxid);
    Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time, data_length, ..Stat::default() }
}
