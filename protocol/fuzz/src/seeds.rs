//! Inputs to begin with, one of each kind. Where they are not recorded, they are made by the encoders, so that they are
//! right whatever changes in these.

use std::path::PathBuf;

use bytes::BytesMut;
use rookeeper_protocol::client::{ConnectRequest, FourLetterWord, MULTI_END, MultiHeader, ReplyHeader, RequestHeader};
use rookeeper_protocol::client::{finish_frame, start_frame};
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::txn::{CreateTxn, LogEntry, Txn, TxnDigest, TxnHeader};
use rookeeper_protocol::types::{Acl, OpCode, SessionId, Stat, Zxid, write_acls};

use crate::peer::{recorded_snapshots, recordings};

/// A request's body and what it belongs to.
type Request = (OpCode, BytesMut);

fn body(op: OpCode, fill: impl FnOnce(&mut BytesMut)) -> Request {
    let mut out = BytesMut::new();
    fill(&mut out);
    (op, out)
}

fn create(op: OpCode, path: &str, flags: i32) -> Request {
    body(op, |out| {
        out.text(path);
        out.buffer(Some(b"data"));
        write_acls(out, &[Acl::open()]);
        out.int(flags);
        if op == OpCode::CreateTtl {
            out.long(1000);
        }
    })
}

fn path(op: OpCode, path: &str) -> Request {
    body(op, |out| out.text(path))
}

fn path_watch(op: OpCode, path: &str) -> Request {
    body(op, |out| {
        out.text(path);
        out.boolean(true);
    })
}

fn path_number(op: OpCode, path: &str, number: i32) -> Request {
    body(op, |out| {
        out.text(path);
        out.int(number);
    })
}

fn set_data(path: &str, data: &[u8]) -> Request {
    body(OpCode::SetData, |out| {
        out.text(path);
        out.buffer(Some(data));
        out.int(-1);
    })
}

fn set_watches(op: OpCode, lists: usize) -> Request {
    body(op, |out| {
        out.long(1);
        for _ in 0..lists {
            out.count(2);
            out.text("/a");
            out.text("/gone");
        }
    })
}

fn multi(op: OpCode, parts: &[Request]) -> Request {
    body(op, |out| {
        for (op, body) in parts {
            MultiHeader { op: op.number(), done: false, error: -1 }.write(out);
            out.extend_from_slice(body);
        }
        MULTI_END.write(out);
    })
}

/// One of each kind, in an order in which most of them succeed.
fn requests() -> Vec<Request> {
    let set_acl = body(OpCode::SetAcl, |out| {
        out.text("/a");
        write_acls(out, &[Acl::open(), Acl::read_only()]);
        out.int(-1);
    });
    let auth = body(OpCode::Auth, |out| {
        out.int(0);
        out.text("digest");
        out.buffer(Some(b"user:password"));
    });
    let reconfig = body(OpCode::Reconfig, |out| {
        out.text("server.1=localhost:1:2:participant;3");
        out.text("2");
        out.null();
        out.long(-1);
    });
    let writes = [
        path_number(OpCode::Check, "/a", 0),
        create(OpCode::Create2, "/a/m", 0),
        set_data("/a/m", b"2"),
        path_number(OpCode::Delete, "/a/m", 1),
    ];
    vec![
        auth,
        create(OpCode::Create, "/a", 0),
        path_number(OpCode::AddWatch, "/a", 1),
        path_watch(OpCode::GetData, "/a"),
        path_watch(OpCode::GetChildren, "/a"),
        create(OpCode::Create2, "/a/sequence", 3),
        create(OpCode::CreateContainer, "/a/container", 4),
        create(OpCode::CreateTtl, "/a/ttl", 5),
        create(OpCode::Create, "/zookeeper/quota/a", 0),
        create(OpCode::Create, "/zookeeper/quota/a/zookeeper_limits", 0),
        set_data("/zookeeper/quota/a/zookeeper_limits", b"count=2,bytes=9,byteHardLimit=-1;countHardLimit=3"),
        create(OpCode::Create, "/zookeeper/quota/a/zookeeper_stats", 0),
        set_data("/a", b"more than nine bytes"),
        set_acl,
        multi(OpCode::Multi, &writes),
        multi(OpCode::MultiRead, &[path_watch(OpCode::GetData, "/a"), path_watch(OpCode::GetChildren, "/")]),
        path_watch(OpCode::Exists, "/gone"),
        path_watch(OpCode::GetChildren2, "/"),
        path(OpCode::GetAcl, "/a"),
        path(OpCode::GetAllChildrenNumber, "/"),
        path(OpCode::GetEphemerals, "/"),
        path(OpCode::Sync, "/"),
        path_number(OpCode::CheckWatches, "/a", 5),
        path_number(OpCode::RemoveWatches, "/a", 3),
        set_watches(OpCode::SetWatches, 3),
        set_watches(OpCode::SetWatches2, 5),
        reconfig,
        body(OpCode::WhoAmI, |_| {}),
        body(OpCode::Ping, |_| {}),
        body(OpCode::Sasl, |out| out.buffer(Some(b"token"))),
        path_number(OpCode::Delete, "/a/container", -1),
        body(OpCode::CloseSession, |_| {}),
    ]
}

/// The requests as a stream of frames, behind the byte of switches. Each is there for both clients.
fn stream(switches: u8, requests: &[Request]) -> BytesMut {
    let mut out = BytesMut::from(&[switches][..]);
    for (number, (op, body)) in requests.iter().flat_map(|request| [request, request]).enumerate() {
        let start = start_frame(&mut out);
        RequestHeader { xid: number as i32 + 1, op: op.number() }.write(&mut out);
        out.extend_from_slice(body);
        finish_frame(&mut out, start);
    }
    out
}

fn log_entries() -> Vec<BytesMut> {
    let create =
        CreateTxn { path: "/a".into(), data: Some(b"data"[..].into()), acl: [Acl::open()].into(), parent_cversion: 1 };
    let created = Txn::Create { op: OpCode::Create2, create: create.clone(), ephemeral: true };
    let changed = Txn::SetData { op: OpCode::SetData, path: "/a".into(), data: None, version: 1 };
    let txns = [
        Txn::Multi(vec![created.clone(), changed.clone(), Txn::Check { path: "/a".into(), version: 1 }]),
        Txn::CreateContainer(create.clone()),
        Txn::CreateTtl { create, ttl_ms: 1000 },
        Txn::Delete { op: OpCode::DeleteContainer, path: "/a".into() },
        Txn::SetAcl { path: "/a".into(), acl: [Acl::read_only()].into(), version: 1 },
        Txn::CreateSession { timeout_ms: 4000 },
        Txn::CloseSession { paths: Some(vec!["/a".into()]) },
        Txn::CloseSession { paths: None },
        Txn::Error { code: -101 },
        created,
        changed,
    ];
    let entry = |txn: &Txn| {
        let header = TxnHeader { client_id: SessionId(1), cxid: 2, zxid: Zxid(3), time: 4, kind: txn.kind().number() };
        let mut out = BytesMut::new();
        let digest = Some(TxnDigest { version: 2, tree_digest: 5 });
        LogEntry { header, txn: txn.clone(), digest }.write(&mut out);
        out
    };
    txns.iter().map(entry).collect()
}

fn connect() -> BytesMut {
    let mut out = BytesMut::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(1),
        timeout_ms: 4000,
        session_id: SessionId(2),
        password: Some(&[7; 16]),
        read_only: Some(true),
    };
    request.write_frame(&mut out);
    out.split_off(4)
}

fn reply() -> BytesMut {
    let mut out = BytesMut::new();
    ReplyHeader { xid: 1, zxid: Zxid(2), error: 0 }.write(&mut out);
    out.buffer(Some(b"data"));
    Stat::default().write(&mut out);
    out
}

/// The inputs of one target.
fn inputs(target: &str) -> Vec<BytesMut> {
    let requests = requests();
    let is_multi = |op: OpCode| matches!(op, OpCode::Multi | OpCode::MultiRead);
    match target {
        "connect" => vec![connect()],
        "request" => requests.into_iter().map(|(_, body)| body).collect(),
        "multi" => requests.into_iter().filter(|(op, _)| is_multi(*op)).map(|(_, body)| body).collect(),
        "reply" => vec![reply()],
        "log_entry" => log_entries(),
        "frames" => vec![BytesMut::from(&[200, 3, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0, 2, 7, 7, 0, 0][..])],
        "election" => [recordings(&["dialler"], 1), recordings(&["acceptor"], 0)].concat(),
        "packets" => recordings(&["learner", "leader"], 0),
        "snapshot" => recorded_snapshots(),
        "four_letter" => FourLetterWord::ALL.iter().map(|word| BytesMut::from(word.text())).collect(),
        "session" => [0, 1, 0x20, 0x80, 0x99, 0x49].map(|switches| stream(switches, &requests)).into(),
        _ => panic!("no inputs for {target}"),
    }
}

/// Puts a target's inputs into the folder that libFuzzer was given, if it was given one.
pub fn seed(target: &str) {
    let Some(folder) = std::env::args_os().skip(1).map(PathBuf::from).find(|path| path.is_dir()) else { return };
    for (number, input) in inputs(target).iter().enumerate() {
        let file = folder.join(format!("seed-{number}"));
        std::fs::write(&file, input).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
