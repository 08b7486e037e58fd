//! Two clients send frames to a small server without sockets and disks.
//!
//! What must hold whatever they send: no panic; what goes out is whole frames, no more of them than there was
//! reason for, and not many times what came in; every request that was taken is answered once everything is
//! durable; the log can be read, and applying it to a fresh tree leads to the same tree.

use bytes::{Bytes, BytesMut};
use rookeeper_core::acl::{AclPolicy, AuthRules, DigestAlgorithm};
use rookeeper_core::client::{Connection, ConnectionRules, Disposition, Phase, ReadView};
use rookeeper_core::pipeline::{Connections, Finished, Now, Pipeline, PipelineRules, WriteRequest};
use rookeeper_core::tree::{ChangeLog, Observer, Tree, TreeRules};
use rookeeper_core::watch::{ConnId, WatchTable};
use rookeeper_protocol::client::{EventType, FrameDecoder, ReplyHeader, RequestHeader, xid};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{AclList, ExtendedTypes, OpCode, SessionId, Zxid};

/// Longest frame that the clients may send, and longest string in it.
const FRAME_BYTES_MAX: usize = 4096;
/// Most frames of one input: more teach nothing that fewer do not.
const FRAMES_MAX: usize = 64;
/// What a reply may hold beside data, names and lists that clients have sent: header, Stat, lengths.
const REPLY_OVERHEAD_BYTES: usize = 256;
/// Znodes that are there from the beginning, generously.
const SPECIAL_ZNODES: usize = 8;
/// Bytes per character that a reply may need where a request needed one: U+FFFD for a broken byte.
const GROWTH: usize = 3;

/// The switches of one run, from the input's first byte.
struct Switches(u8);

impl Switches {
    fn is_on(&self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }

    fn tree(&self) -> TreeRules {
        TreeRules { extended_types: ExtendedTypes { enabled: self.is_on(0), emulate_353: false }, digest: true }
    }

    fn acl(&self) -> AclPolicy {
        AclPolicy {
            skip: self.is_on(1),
            auth: AuthRules {
                digest_enabled: !self.is_on(2),
                digest_algorithm: DigestAlgorithm::Md5,
                super_digest: None,
            },
        }
    }

    fn pipeline(&self) -> PipelineRules {
        PipelineRules {
            server_id: 1,
            tick_ms: 1000,
            session_timeout_ms_min: 2000,
            session_timeout_ms_max: 20_000,
            acl: self.acl(),
            enforce_quota: self.is_on(3),
            reconfig_enabled: self.is_on(4),
            close_session_txn: !self.is_on(5),
            inner_length_max: FRAME_BYTES_MAX as i32,
        }
    }

    fn connection(&self) -> ConnectionRules {
        let required_schemes = if self.is_on(6) { vec!["digest".to_owned()] } else { Vec::new() };
        ConnectionRules {
            acl: self.acl(),
            inner_length_max: FRAME_BYTES_MAX as i32,
            sync_is_agreed: false,
            required_schemes,
        }
    }

    /// Whether each write is applied before the next frame is read; else all are at the end.
    fn is_eager(&self) -> bool {
        self.is_on(7)
    }
}

/// The two clients' connections, as the pipeline sees them.
struct Clients {
    connections: Vec<Connection>,
    rules: ConnectionRules,
}

impl Clients {
    fn get(&mut self, conn: ConnId) -> &mut Connection {
        &mut self.connections[conn.0 as usize]
    }
}

impl Connections for Clients {
    fn event(&mut self, conn: ConnId, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        let Self { connections, rules } = self;
        connections[conn.0 as usize].event(&rules.acl, event, path, zxid, acl);
    }

    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, watches: &mut WatchTable) {
        let mut watches = watches;
        let Self { connections, rules } = self;
        let mut view = ReadView { tree, watches: &mut watches, rules, now_ms: 0 };
        connections[conn.0 as usize].finished(finished, &mut view);
    }

    fn fired(&mut self, _event: EventType, _watchers: usize) {}

    fn session_over(&mut self, _session: SessionId, conn: ConnId) {
        self.get(conn).end();
    }
}

/// The log's entries, each by itself.
#[derive(Default)]
struct Log(Vec<Bytes>);

struct Server {
    tree: Tree,
    watches: WatchTable,
    pipeline: Pipeline,
    clients: Clients,
    log: Log,
}

const NOW: Now = Now { monotonic_ms: 1_000_000, wall_ms: 1_700_000_000_000 };

impl Server {
    fn new(switches: &Switches) -> Self {
        let tree = Tree::new(switches.tree(), 1);
        let pipeline = Pipeline::new(switches.pipeline(), &tree, [], ChangeLog::default(), NOW);
        let connections = (0..2).map(|id| Connection::new(ConnId(id), "127.0.0.1")).collect();
        let clients = Clients { connections, rules: switches.connection() };
        let mut server = Self { tree, watches: WatchTable::new(2), pipeline, clients, log: Log::default() };
        for id in 0..2 {
            let session = server.pipeline.begin_session(NOW, 10_000, ConnId(id));
            let connection = server.clients.get(ConnId(id));
            connection.establish(session, 10_000, Some(false));
            let request = connection.create_session_request(NOW.monotonic_ms);
            server.submit(request);
        }
        server.commit();
        server
    }

    fn submit(&mut self, request: WriteRequest) {
        let mut entry = BytesMut::new();
        if self.pipeline.submit(NOW, &self.tree, request, &mut entry).is_some() {
            self.log.0.push(entry.freeze());
        } else {
            assert!(entry.is_empty());
        }
        self.pipeline.take_notices();
    }

    fn commit(&mut self) {
        let Self { tree, watches, pipeline, clients, .. } = self;
        let more = pipeline.commit(tree, watches, clients, Zxid(i64::MAX), usize::MAX);
        assert!(!more && pipeline.in_flight() == 0);
    }

    fn frame(&mut self, conn: ConnId, frame: Bytes) -> Disposition {
        let mut writes = Vec::new();
        let Self { tree, watches, clients: Clients { connections, rules }, .. } = self;
        let mut watches = watches;
        let mut view = ReadView { tree, watches: &mut watches, rules, now_ms: NOW.monotonic_ms };
        let disposition = connections[conn.0 as usize].request(frame, &mut view, &mut writes);
        for write in writes {
            self.submit(write);
        }
        disposition
    }
}

/// Plays the input: a byte of switches, then frames as they stand in a stream, to one client and the other in turn.
pub fn session(data: &[u8]) {
    let [switches, stream @ ..] = data else { return };
    let switches = Switches(*switches);
    let mut server = Server::new(&switches);
    let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let mut stream = BytesMut::from(stream);
    let (mut requests, mut bytes_in) = ([Requests::default(); 2], 0);
    for turn in 0..FRAMES_MAX {
        // Half a frame at the end is taken as a whole one: its length is not what matters here.
        let frame = match decoder.next_frame(&mut stream) {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(_) if stream.is_empty() => break,
            Ok(None) | Err(_) => stream.split_to(stream.len().min(FRAME_BYTES_MAX)).freeze(),
        };
        let conn = ConnId((turn % 2) as u32);
        if server.clients.get(conn).phase() != Phase::Open {
            continue;
        }
        bytes_in += frame.len();
        requests[conn.0 as usize].note(&frame);
        let before = server.clients.get(conn).out.len();
        let disposition = server.frame(conn, frame);
        if disposition == Disposition::Close {
            assert_eq!(server.clients.get(conn).phase(), Phase::Ending);
        }
        // Each of a multiRead's operations may ask for all there is.
        let most = REPLY_OVERHEAD_BYTES * (turn + SPECIAL_ZNODES) + bytes_in * GROWTH;
        let grown = server.clients.get(conn).out.len() - before;
        assert!(grown <= most * most, "{grown} bytes for a request after {bytes_in} bytes of them");
        if switches.is_eager() {
            server.commit();
        }
    }
    server.commit();
    for (id, requests) in requests.into_iter().enumerate() {
        check_output(&mut server.clients.connections[id], requests, &server.tree);
    }
    check_replay(&server, &switches);
}

/// What a client has asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    count: usize,
    /// Requests whose number is that of an event: their replies look like events.
    like_events: usize,
    /// Requests for a session, which clients never send so: the handshake's answer, which has no header, is the reply.
    without_header: usize,
}

impl Requests {
    fn note(&mut self, frame: &[u8]) {
        self.count += 1;
        if let Ok(header) = RequestHeader::read(&mut Reader::new(frame)) {
            self.like_events += usize::from(header.xid == xid::NOTIFICATION);
            self.without_header += usize::from(header.op == OpCode::CreateSession.number());
        }
    }
}

/// What went out is whole frames, every request has its reply, and nobody still waits.
fn check_output(connection: &mut Connection, requests: Requests, tree: &Tree) {
    assert_eq!((connection.outstanding(), connection.waiting_bytes()), (0, 0));
    let decoder = FrameDecoder::new(usize::MAX);
    let mut out = std::mem::take(&mut connection.out);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame(&mut out).expect("lengths are what was written") {
        frames.push(frame);
    }
    assert!(out.is_empty(), "half a frame went out");
    assert_eq!(connection.stats().sent, frames.len() as u64);
    if requests.without_header > 0 {
        return;
    }
    let mut replies = 0;
    // The first is the answer to the handshake.
    for frame in frames.iter().skip(1) {
        let header = ReplyHeader::read(&mut Reader::new(frame)).expect("a header");
        assert!(header.zxid <= tree.last_zxid());
        replies += usize::from(header.xid != xid::NOTIFICATION);
    }
    assert!(replies <= requests.count);
    if connection.phase() == Phase::Open && requests.like_events == 0 {
        assert_eq!(replies, requests.count);
    }
}

/// Recovery reads the log and comes to the same tree.
fn check_replay(server: &Server, switches: &Switches) {
    struct Nobody;
    impl Observer for Nobody {
        fn created(&mut self, _: &str, _: Zxid, _: &AclList) {}
        fn deleted(&mut self, _: &str, _: Zxid, _: &AclList) {}
        fn data_changed(&mut self, _: &str, _: Zxid, _: &AclList) {}
        fn children_changed(&mut self, _: &str, _: Zxid, _: &AclList) {}
    }
    let mut tree = Tree::new(switches.tree(), 3);
    let mut changes = ChangeLog::default();
    for bytes in &server.log.0 {
        let entry = LogEntry::read(bytes).expect("what is logged can be read");
        assert_eq!(entry.header.zxid, Zxid(tree.last_zxid().0 + 1));
        tree.apply(&entry, &mut changes, &mut Nobody);
    }
    assert_eq!(tree.digest_mismatches(), 0);
    assert_eq!(server.tree.digest_mismatches(), 0);
    assert_eq!(tree.digest(), server.tree.digest());
    assert_eq!(tree.compute_digest(), tree.digest());
    assert_eq!(tree.node_count(), server.tree.node_count());
    assert_eq!(tree.ephemeral_count(), server.tree.ephemeral_count());
    assert_eq!(tree.data_size(), server.tree.data_size());
}
