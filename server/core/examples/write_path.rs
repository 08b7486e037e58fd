//! The core's part of a benchmark, to be timed and profiled from outside, since the core has no clock:
//!
//! ```text
//! cargo build --release -p rookeeper-core --example write_path
//! perf record target/release/examples/write_path set 3000000
//! valgrind --tool=callgrind target/release/examples/write_path create-delete 100000
//! ```
//!
//! Fifty connections send twenty requests each, all are prepared, applied and answered, and so on: what
//! `rookeeper bench` sends with `--connections 50 --pipeline 20`, without sockets, disk and locks.

use std::error::Error;

use bytes::BytesMut;
use rookeeper_core::acl::{AclPolicy, AuthRules};
use rookeeper_core::client::{Connection, ConnectionRules, ReadView};
use rookeeper_core::pipeline::{Connections, Finished, Now, Pipeline, PipelineRules, WriteRequest};
use rookeeper_core::tree::{ChangeLog, Tree, TreeRules};
use rookeeper_core::watch::{ConnId, WatchTable};
use rookeeper_protocol::client::{EventType, FrameDecoder, RequestHeader, finish_frame, start_frame};
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, AclList, ExtendedTypes, OpCode, SessionId, Zxid, write_acls};

const CONNECTIONS: usize = 50;
const DEPTH: usize = 20;
/// Changes after which what the image lacks is taken away, as the image's thread does.
const IMAGE_STEP_CHANGES: usize = 4096;

/// The connections; `answered` counts bytes, so that nothing is optimized away.
struct Clients {
    connections: Vec<Connection>,
    rules: ConnectionRules,
    answered: usize,
}

impl Connections for Clients {
    fn event(&mut self, conn: ConnId, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        self.connections[conn.0 as usize].event(&self.rules.acl, event, path, zxid, acl);
    }

    fn fired(&mut self, _event: EventType, _count: usize) {}

    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, mut watches: &mut WatchTable) {
        let mut view = ReadView { tree, watches: &mut watches, rules: &self.rules, now_ms: 0 };
        self.connections[conn.0 as usize].finished(finished, &mut view);
    }

    fn session_over(&mut self, _session: SessionId, _conn: ConnId) {}
}

/// Appends a request's frame.
fn request(out: &mut BytesMut, op: OpCode, path: &str, body: impl FnOnce(&mut BytesMut)) {
    let start = start_frame(out);
    RequestHeader { xid: 1, op: op.number() }.write(out);
    out.text(path);
    body(out);
    finish_frame(out, start);
}

fn append(out: &mut BytesMut, workload: &str, number: usize) {
    let data = [b'x'; 100];
    match (workload, number % 2) {
        ("set", _) => request(out, OpCode::SetData, &format!("/bench/{:08}", number % 1000), |out| {
            out.buffer(Some(&data));
            out.int(-1);
        }),
        (_, 0) => request(out, OpCode::Create, &format!("/bench/n{number:08}"), |out| {
            out.buffer(Some(&data));
            write_acls(out, &[Acl::open()]);
            out.int(0);
        }),
        _ => request(out, OpCode::Delete, &format!("/bench/n{:08}", number - 1), |out| out.int(-1)),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let workload = args.next().ok_or("write_path set|create-delete COUNT")?;
    let count: usize = args.next().ok_or("how many?")?.parse()?;
    let now = Now { monotonic_ms: 0, wall_ms: 1_700_000_000_000 };
    let auth = AuthRules { digest_enabled: true, ..AuthRules::default() };
    let rules = PipelineRules {
        server_id: 1,
        tick_ms: 2000,
        session_timeout_ms_min: 4000,
        session_timeout_ms_max: 40_000,
        acl: AclPolicy { skip: false, auth },
        enforce_quota: false,
        reconfig_enabled: false,
        close_session_txn: true,
        inner_length_max: 1 << 20,
    };
    let tree_rules = TreeRules { extended_types: ExtendedTypes::default(), digest: true };
    let mut tree = Tree::new(tree_rules, 1);
    let mut watches = WatchTable::new(1);
    let connection_rules = ConnectionRules {
        acl: rules.acl.clone(),
        inner_length_max: 1 << 20,
        sync_is_agreed: false,
        required_schemes: Vec::new(),
    };
    let mut pipeline = Pipeline::new(rules, &tree, [], ChangeLog::default(), now);
    let mut clients = Clients { connections: Vec::new(), rules: connection_rules, answered: 0 };
    let (mut log, mut writes, mut input) = (BytesMut::new(), Vec::<WriteRequest>::new(), BytesMut::new());
    for number in 0..CONNECTIONS {
        let conn = ConnId(number as u32);
        let session = pipeline.begin_session(now, 10_000, conn);
        let mut connection = Connection::new(conn, "10.0.0.1");
        connection.establish(session, 10_000, None);
        writes.push(connection.create_session_request(0));
        clients.connections.push(connection);
    }
    let commit = |pipeline: &mut Pipeline, tree: &mut Tree, watches: &mut WatchTable, clients: &mut Clients| {
        let durable = pipeline.last_proposed();
        while pipeline.commit(tree, watches, clients, durable, 512) {}
        for connection in &mut clients.connections {
            clients.answered += connection.out.len();
            connection.out.clear();
            connection.drained();
        }
        if pipeline.changes.len() > IMAGE_STEP_CHANGES {
            pipeline.changes = ChangeLog::default();
        }
    };
    for write in writes.drain(..) {
        pipeline.submit(now, &tree, write, &mut log);
    }
    commit(&mut pipeline, &mut tree, &mut watches, &mut clients);
    request(&mut input, OpCode::Create, "/bench", |out| {
        out.buffer(Some(&[]));
        write_acls(out, &[Acl::open()]);
        out.int(0);
    });
    for number in 0..1000 {
        request(&mut input, OpCode::Create, &format!("/bench/{number:08}"), |out| {
            out.buffer(Some(&[b'x'; 100]));
            write_acls(out, &[Acl::open()]);
            out.int(0);
        });
    }
    let frames = FrameDecoder::new(1 << 20);
    let mut done = 0;
    let mut conn = 0;
    let mut sent = 0;
    // What stands in the input first is the preparation; then one connection's share after the other.
    while done < count {
        let mut view = ReadView { tree: &tree, watches: &mut &mut watches, rules: &clients.rules, now_ms: 0 };
        while let Some(frame) = frames.next_frame(&mut input)? {
            clients.connections[conn].request(frame, &mut view, &mut writes);
        }
        for write in writes.drain(..) {
            pipeline.submit(now, &tree, write, &mut log);
        }
        conn += 1;
        if conn == CONNECTIONS {
            conn = 0;
            done += CONNECTIONS * DEPTH;
            log.clear();
            commit(&mut pipeline, &mut tree, &mut watches, &mut clients);
        }
        for _ in 0..DEPTH {
            append(&mut input, &workload, sent);
            sent += 1;
        }
    }
    let (zxid, digest) = (tree.last_zxid(), tree.digest());
    #[allow(clippy::print_stdout)] // What it is for.
    {
        println!("{} bytes of replies, zxid {zxid:?}, digest {digest}", clients.answered);
    }
    Ok(())
}
