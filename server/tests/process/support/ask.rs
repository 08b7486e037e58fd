//! Requests.

use bytes::{BufMut, BytesMut};
use rookeeper_protocol::client::{AddWatchMode, MULTI_END, MultiHeader, SetWatchesRequest};
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, CreateMode, OpCode, write_acls};

/// A request without its header.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) op: OpCode,
    pub(crate) body: BytesMut,
}

fn ask(op: OpCode, write: impl FnOnce(&mut BytesMut)) -> Ask {
    let mut body = BytesMut::new();
    write(&mut body);
    Ask { op, body }
}

pub(crate) fn create(path: &str, data: &[u8], mode: CreateMode) -> Ask {
    ask(OpCode::Create, |body| {
        body.text(path);
        body.buffer(Some(data));
        write_acls(body, &[Acl::open()]);
        body.int(mode.flags());
    })
}

pub(crate) fn delete(path: &str) -> Ask {
    ask(OpCode::Delete, |body| {
        body.text(path);
        body.int(-1);
    })
}

pub(crate) fn set(path: &str, data: &[u8]) -> Ask {
    ask(OpCode::SetData, |body| {
        body.text(path);
        body.buffer(Some(data));
        body.int(-1);
    })
}

fn read(op: OpCode, path: &str, watch: bool) -> Ask {
    ask(op, |body| {
        body.text(path);
        body.boolean(watch);
    })
}

pub(crate) fn get(path: &str, watch: bool) -> Ask {
    read(OpCode::GetData, path, watch)
}

pub(crate) fn exists(path: &str, watch: bool) -> Ask {
    read(OpCode::Exists, path, watch)
}

pub(crate) fn children(path: &str, watch: bool) -> Ask {
    read(OpCode::GetChildren, path, watch)
}

pub(crate) fn sync(path: &str) -> Ask {
    ask(OpCode::Sync, |body| body.text(path))
}

pub(crate) fn ping() -> Ask {
    ask(OpCode::Ping, |_| {})
}

pub(crate) fn close() -> Ask {
    ask(OpCode::CloseSession, |_| {})
}

pub(crate) fn add_watch(path: &str, mode: AddWatchMode) -> Ask {
    ask(OpCode::AddWatch, |body| {
        body.text(path);
        body.int(if mode == AddWatchMode::Persistent { 0 } else { 1 });
    })
}

pub(crate) fn set_watches(request: &SetWatchesRequest<'_>) -> Ask {
    ask(OpCode::SetWatches, |body| {
        body.long(request.relative_zxid);
        for paths in [&request.data, &request.exist, &request.child] {
            body.count(paths.len());
            paths.iter().for_each(|path| body.text(path));
        }
    })
}

pub(crate) fn multi(parts: &[Ask]) -> Ask {
    ask(OpCode::Multi, |body| {
        for part in parts {
            MultiHeader { op: part.op.number(), done: false, error: -1 }.write(body);
            body.put_slice(&part.body);
        }
        MULTI_END.write(body);
    })
}
