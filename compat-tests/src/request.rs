//! Every client operation as a script writes it.

use rookeeper_protocol::types::OpCode;

use crate::body::{Acls, Body, Data, Text};

/// A request: its operation, its body, and how a report names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Number of the operation, known or not.
    pub op: i32,
    /// What follows the header.
    pub body: Body,
    /// For people.
    pub label: String,
}

impl Request {
    /// A request of a known operation.
    pub fn new(op: OpCode, body: Body, label: String) -> Self {
        Self { op: op.number(), label: format!("{} {label}", op.name()), body }
    }

    /// A request of any number.
    pub fn raw(op: i32, body: Body) -> Self {
        Self { op, body, label: format!("op {op}") }
    }

    /// The same with only the first `length` bytes of its body.
    #[must_use]
    pub fn cut(&self, length: usize) -> Self {
        let bytes = self.body.bytes(0);
        let label = format!("{} cut to {length} of {}", self.label, bytes.len());
        Self { op: self.op, body: Body::new().raw(&bytes[..length]), label }
    }

    /// The same with more bytes behind its body.
    #[must_use]
    pub fn with_trailing(&self, bytes: &[u8]) -> Self {
        let label = format!("{} and {} bytes more", self.label, bytes.len());
        Self { op: self.op, body: self.body.clone().raw(bytes), label }
    }
}

/// How much of data a label shows.
const LABEL_DATA_MAX: usize = 40;

fn show(data: Data<'_>) -> String {
    match data {
        None => "null".to_owned(),
        Some(data) if data.len() > LABEL_DATA_MAX => format!("{} bytes", data.len()),
        Some(data) => format!("\"{}\"", data.escape_ascii()),
    }
}

/// A create of one of the ops with a `CreateRequest`: create, create2, createContainer.
pub fn create_op(op: OpCode, path: impl Into<Text>, data: Data<'_>, acls: &Acls, flags: i32) -> Request {
    let path = path.into();
    let label = format!("{path} {} acl={acls} flags={flags}", show(data));
    Request::new(op, Body::new().text(&path).buffer(data).acls(acls).int(flags), label)
}

/// create.
pub fn create(path: impl Into<Text>, data: Data<'_>, acls: &Acls, flags: i32) -> Request {
    create_op(OpCode::Create, path, data, acls, flags)
}

/// create2.
pub fn create2(path: impl Into<Text>, data: Data<'_>, acls: &Acls, flags: i32) -> Request {
    create_op(OpCode::Create2, path, data, acls, flags)
}

/// create of a persistent, open znode.
pub fn make(path: impl Into<Text>, data: &str) -> Request {
    create(path, Some(data.as_bytes()), &Acls::open(), 0)
}

/// create of an open znode with flags and no data.
pub fn make_as(path: impl Into<Text>, flags: i32) -> Request {
    create(path, Some(b""), &Acls::open(), flags)
}

/// createTTL.
pub fn create_ttl(path: impl Into<Text>, data: Data<'_>, acls: &Acls, flags: i32, ttl: i64) -> Request {
    let path = path.into();
    let label = format!("{path} {} acl={acls} flags={flags} ttl={ttl}", show(data));
    Request::new(OpCode::CreateTtl, Body::new().text(&path).buffer(data).acls(acls).int(flags).long(ttl), label)
}

/// delete.
pub fn delete(path: impl Into<Text>, version: i32) -> Request {
    let path = path.into();
    let label = format!("{path} v={version}");
    Request::new(OpCode::Delete, Body::new().text(&path).int(version), label)
}

/// A request that is a path and a watch flag: exists, getData, getChildren, getChildren2.
pub fn read(op: OpCode, path: impl Into<Text>, watch: bool) -> Request {
    let path = path.into();
    let label = format!("{path} watch={watch}");
    Request::new(op, Body::new().text(&path).boolean(watch), label)
}

/// exists.
pub fn exists(path: impl Into<Text>, watch: bool) -> Request {
    read(OpCode::Exists, path, watch)
}

/// getData.
pub fn get(path: impl Into<Text>, watch: bool) -> Request {
    read(OpCode::GetData, path, watch)
}

/// getChildren.
pub fn children(path: impl Into<Text>, watch: bool) -> Request {
    read(OpCode::GetChildren, path, watch)
}

/// getChildren2.
pub fn children2(path: impl Into<Text>, watch: bool) -> Request {
    read(OpCode::GetChildren2, path, watch)
}

/// setData.
pub fn set(path: impl Into<Text>, data: Data<'_>, version: i32) -> Request {
    let path = path.into();
    let label = format!("{path} {} v={version}", show(data));
    Request::new(OpCode::SetData, Body::new().text(&path).buffer(data).int(version), label)
}

/// A request that is only a path: getACL, sync, getEphemerals, getAllChildrenNumber.
pub fn path_only(op: OpCode, path: impl Into<Text>) -> Request {
    let path = path.into();
    let label = path.to_string();
    Request::new(op, Body::new().text(&path), label)
}

/// getACL.
pub fn get_acl(path: impl Into<Text>) -> Request {
    path_only(OpCode::GetAcl, path)
}

/// sync.
pub fn sync(path: impl Into<Text>) -> Request {
    path_only(OpCode::Sync, path)
}

/// getEphemerals.
pub fn ephemerals(prefix: impl Into<Text>) -> Request {
    path_only(OpCode::GetEphemerals, prefix)
}

/// getAllChildrenNumber.
pub fn count_descendants(path: impl Into<Text>) -> Request {
    path_only(OpCode::GetAllChildrenNumber, path)
}

/// setACL.
pub fn set_acl(path: impl Into<Text>, acls: &Acls, version: i32) -> Request {
    let path = path.into();
    let label = format!("{path} {acls} v={version}");
    Request::new(OpCode::SetAcl, Body::new().text(&path).acls(acls).int(version), label)
}

/// check.
pub fn check(path: impl Into<Text>, version: i32) -> Request {
    let path = path.into();
    let label = format!("{path} v={version}");
    Request::new(OpCode::Check, Body::new().text(&path).int(version), label)
}

/// auth.
pub fn auth(scheme: impl Into<Text>, auth: Data<'_>) -> Request {
    let scheme = scheme.into();
    let label = format!("{scheme} {}", show(auth));
    Request::new(OpCode::Auth, Body::new().int(0).text(&scheme).buffer(auth), label)
}

/// A request without a body: ping, whoAmI, closeSession.
pub fn bare(op: OpCode) -> Request {
    Request::new(op, Body::new(), String::new())
}

/// addWatch.
pub fn add_watch(path: impl Into<Text>, mode: i32) -> Request {
    let path = path.into();
    let label = format!("{path} mode={mode}");
    Request::new(OpCode::AddWatch, Body::new().text(&path).int(mode), label)
}

/// removeWatches or checkWatches.
pub fn watches(op: OpCode, path: impl Into<Text>, watcher_type: i32) -> Request {
    let path = path.into();
    let label = format!("{path} type={watcher_type}");
    Request::new(op, Body::new().text(&path).int(watcher_type), label)
}

/// setWatches: data, exist, child. `seen` is the last zxid seen, counted from the script's start.
pub fn set_watches(seen: i64, lists: [&[&str]; 3]) -> Request {
    let body = lists.iter().fold(Body::new().zxid(seen), |body, list| body.texts(list));
    Request::new(OpCode::SetWatches, body, format!("seen=+{seen} {lists:?}"))
}

/// setWatches2: data, exist, child, persistent, recursive.
pub fn set_watches2(seen: i64, lists: [&[&str]; 5]) -> Request {
    let body = lists.iter().fold(Body::new().zxid(seen), |body, list| body.texts(list));
    Request::new(OpCode::SetWatches2, body, format!("seen=+{seen} {lists:?}"))
}

/// reconfig.
pub fn reconfig(joining: impl Into<Text>, leaving: impl Into<Text>, members: impl Into<Text>, from: i64) -> Request {
    let (joining, leaving, members) = (joining.into(), leaving.into(), members.into());
    let label = format!("{joining} {leaving} {members} from={from}");
    Request::new(OpCode::Reconfig, Body::new().text(joining).text(leaving).text(members).long(from), label)
}

/// multi or multiRead of these.
pub fn many(op: OpCode, requests: &[Request]) -> Request {
    let body = requests
        .iter()
        .fold(Body::new(), |body, request| body.int(request.op).boolean(false).int(-1).body(request.body.clone()));
    let labels: Vec<_> = requests.iter().map(|request| request.label.as_str()).collect();
    Request::new(op, body.int(-1).boolean(true).int(-1), format!("{{{}}}", labels.join("; ")))
}

/// multi.
pub fn multi(requests: &[Request]) -> Request {
    many(OpCode::Multi, requests)
}

/// multiRead.
pub fn multi_read(requests: &[Request]) -> Request {
    many(OpCode::MultiRead, requests)
}
