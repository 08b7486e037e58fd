//! A connection: what a client sends, in order, and what it gets, in order.
//!
//! ```text
//!  New --ConnectRequest--> Establishing --session valid--> Open --closeSession--> Closing --its reply--> Ending
//!   `------------------------- anything wrong, at any time ---------------------------------------> Ending
//! ```
//!
//! Reads are answered where they arrive. A read behind a write of the same connection waits until the write is
//! applied, and is answered before the next write of this connection is: a client sees its own writes, and not
//! its later ones (`CommitProcessor`).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use rookeeper_protocol::client::{
    AuthRequest, ConnectResponse, EventType, RequestHeader, WatchEvent, write_error_reply,
};
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::types::{AclList, ErrorCode, Id, OpCode, Perms, SessionId, Zxid};

use super::admission::{Admission, short_name};
use super::stats::{ConnectionStats, Tally};
use crate::acl::{AclPolicy, permits};
use crate::pipeline::{Finished, Origin, WriteRequest};
use crate::tree::Tree;
use crate::watch::{ConnId, WatchTable};

/// A connection ends when the reads that waited behind a write are answered with more bytes than this: they must
/// be answered before the next write, all at once, and short requests may ask for the same large znode again and
/// again. Clients take packets of 1 MiB unless told otherwise, and no usual one has a hundred of them in flight.
const WAITING_READ_BYTES_MAX: usize = 128 << 20;

/// Where a connection stands; the picture is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was said yet.
    New,
    /// The session is being made or looked up; nothing is read meanwhile.
    Establishing,
    /// Requests are served.
    Open,
    /// The client asked for its session's end: nothing more is read, but what is under way is answered, and
    /// its own ephemeral znodes still fire its watches.
    Closing,
    /// Nothing is read any more; the connection closes once everything is written.
    Ending,
}

/// What the driver is to do after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Read on.
    Continue,
    /// Write what there is, then close.
    Close,
}

/// The watches, for readers that may not need them: a driver locks them at the first call.
pub trait WatchAccess {
    /// The table.
    fn table(&mut self) -> &mut WatchTable;
}

impl WatchAccess for &mut WatchTable {
    fn table(&mut self) -> &mut WatchTable {
        self
    }
}

/// What all connections share.
#[derive(Debug, Clone)]
pub struct ConnectionRules {
    /// Who may do what.
    pub acl: AclPolicy,
    /// Longest string or buffer inside a request in bytes.
    pub inner_length_max: i32,
    /// Whether `sync` goes to the leader of an ensemble, and so stands in the order of the writes; a server that is alone
    /// answers it as a read.
    pub sync_is_agreed: bool,
    /// `sessionRequireClientSASLAuth` or `enforce.auth.enabled`: schemes of which a connection must have one.
    pub required_schemes: Vec<String>,
}

/// What a read looks at.
pub struct ReadView<'a, 'w> {
    /// The tree.
    pub tree: &'a Tree,
    /// The watches.
    pub watches: &'a mut (dyn WatchAccess + 'w),
    /// What all connections share.
    pub rules: &'a ConnectionRules,
    /// Monotonic milliseconds.
    pub now_ms: i64,
}

/// A request that waits for its turn.
#[derive(Debug)]
enum Waiting {
    /// A write that is in the pipeline, of so many bytes.
    Write(usize),
    /// A read behind it.
    Read(ReadRequest),
}

/// A read that was taken and is not answered yet.
#[derive(Debug)]
pub struct ReadRequest {
    pub(super) header: RequestHeader,
    pub(super) op: OpCode,
    pub(super) body: Bytes,
    /// The identities that the connection had when it came.
    pub(super) ids: Arc<[Id]>,
    pub(super) received_ms: i64,
}

/// What became of a frame.
#[derive(Debug)]
pub enum Taken {
    /// It is answered, waits for its turn, or is among the writes.
    Done(Disposition),
    /// Nothing stands before this read: it is to be answered by [`Connection::answer`] before the next frame is taken.
    Read(ReadRequest),
}

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    id: ConnId,
    address: Box<str>,
    ids: Arc<[Id]>,
    phase: Phase,
    session: SessionId,
    timeout_ms: i32,
    read_only_flag: Option<bool>,
    /// The server is read-only, and ends the connection before it is anything else.
    is_read_only: bool,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    waiting_reads: usize,
    /// Bytes of events since the buffer was last empty.
    unread_event_bytes: usize,
    /// What goes out, whole frames.
    pub out: BytesMut,
    stats: ConnectionStats,
    pub(super) tally: Tally,
}

impl Connection {
    /// A connection from `address` (the bare address as Java prints it).
    pub fn new(id: ConnId, address: &str) -> Self {
        Self {
            id,
            address: address.into(),
            ids: Arc::from([Id::new("ip", address)]),
            phase: Phase::New,
            session: SessionId::NONE,
            timeout_ms: 0,
            read_only_flag: None,
            is_read_only: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_reads: 0,
            unread_event_bytes: 0,
            out: BytesMut::new(),
            stats: ConnectionStats::default(),
            tally: Tally::default(),
        }
    }

    /// Its number.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its session, once the client named one or got one.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The timeout agreed on, in milliseconds.
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }

    /// The identities.
    pub fn identities(&self) -> &Arc<[Id]> {
        &self.ids
    }

    /// Requests that are not answered yet.
    pub fn outstanding(&self) -> usize {
        self.waiting.len() + usize::from(self.phase == Phase::Establishing)
    }

    /// Bytes of requests that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Reads that wait behind a write. They are answered all at once, so that their number bounds memory.
    pub fn waiting_reads(&self) -> usize {
        self.waiting_reads
    }

    /// Bytes of events that the client has not taken; nobody asked for them one by one.
    pub fn unread_event_bytes(&self) -> usize {
        self.unread_event_bytes
    }

    /// Everything in the buffer was written.
    pub fn drained(&mut self) {
        self.unread_event_bytes = 0;
    }

    /// Its counts.
    pub fn stats(&self) -> &ConnectionStats {
        &self.stats
    }

    /// Begins its counts anew (`crst`).
    pub fn reset_stats(&mut self) {
        self.stats = ConnectionStats::default();
    }

    /// Takes what was counted since the last time.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// A packet of so many bytes was read.
    pub fn received(&mut self, len: usize) {
        self.stats.received += 1;
        self.tally.received += 1;
        self.tally.bytes_received += len as u64;
    }

    /// The server is read-only: the client learns of it with its session, and writes are refused
    /// (`ReadOnlyRequestProcessor`). Before [`Connection::establish`].
    pub fn serve_read_only(&mut self) {
        self.is_read_only = true;
    }

    /// Whether the server refuses this operation since it is read-only.
    pub(super) fn refuses(&self, op: OpCode) -> bool {
        let writes = Admission::of(op) == Admission::Write && op != OpCode::CloseSession;
        self.is_read_only && (writes || op == OpCode::Sync)
    }

    /// The client asked for a session; nothing is read until it has one.
    pub fn establish(&mut self, session: SessionId, timeout_ms: i32, read_only_flag: Option<bool>) {
        self.phase = Phase::Establishing;
        self.session = session;
        self.timeout_ms = timeout_ms;
        self.read_only_flag = read_only_flag;
    }

    /// The request that makes the connection's new session.
    pub fn create_session_request(&self, received_ms: i64) -> WriteRequest {
        let origin = self.origin(0, OpCode::CreateSession, received_ms);
        let body = Bytes::copy_from_slice(&self.timeout_ms.to_be_bytes());
        WriteRequest { origin, ids: self.ids.clone(), body }
    }

    fn origin(&self, xid: i32, op: OpCode, received_ms: i64) -> Origin {
        Origin { conn: Some(self.id), learner: None, session: self.session, xid, op, received_ms }
    }

    /// The session that the client resumes is there, or not.
    pub fn resumed(&mut self, valid: bool) {
        let response = match valid {
            true => {
                self.phase = Phase::Open;
                ConnectResponse {
                    protocol_version: rookeeper_protocol::client::PROTOCOL_VERSION,
                    timeout_ms: self.timeout_ms,
                    session_id: self.session,
                    password: crate::session::password(self.session),
                    read_only: self.read_only_flag,
                }
            }
            false => {
                self.phase = Phase::Ending;
                ConnectResponse::expired(self.read_only_flag)
            }
        };
        self.write_connect_response(&response);
    }

    fn write_connect_response(&mut self, response: &ConnectResponse) {
        // Only those who sent the flag are told.
        ConnectResponse { read_only: self.read_only_flag.map(|_| self.is_read_only), ..response.clone() }
            .write_frame(&mut self.out);
        // A packet, but no reply whose length would count.
        self.stats.sent += 1;
        self.tally.sent += 1;
    }

    /// Nothing more is read; what is written goes out first.
    pub fn end(&mut self) {
        self.phase = Phase::Ending;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.waiting_reads = 0;
    }

    /// Takes one request and answers it, if it is its turn; see [`Connection::take`].
    pub fn request(
        &mut self,
        frame: Bytes,
        view: &mut ReadView<'_, '_>,
        writes: &mut Vec<WriteRequest>,
    ) -> Disposition {
        match self.take(frame, view.rules, view.now_ms, writes) {
            Taken::Done(disposition) => disposition,
            Taken::Read(read) => {
                self.answer(&read, view);
                Disposition::Continue
            }
        }
    }

    /// Takes one request, without a look at the tree. Writes are handed to `writes`, in order; everything else is
    /// answered into [`Connection::out`], by [`Connection::answer`] or behind the write that stands before it.
    pub fn take(
        &mut self,
        frame: Bytes,
        rules: &ConnectionRules,
        now_ms: i64,
        writes: &mut Vec<WriteRequest>,
    ) -> Taken {
        self.received(frame.len() + 4);
        let mut reader = Reader::new(&frame);
        let Ok(header) = RequestHeader::read(&mut reader) else {
            // Java's reader throws, and the connection closes without a word.
            return Taken::Done(self.close());
        };
        let header_len = reader.position();
        let mut body = frame;
        body.advance(header_len);
        let op = OpCode::from_number(header.op);
        match op.map_or(Admission::Unknown, Admission::of) {
            Admission::Immediate if op == Some(OpCode::Auth) => return Taken::Done(self.auth(header, &body, rules)),
            Admission::Immediate => return Taken::Done(self.sasl(header, &body, rules)),
            _ => {}
        }
        if !self.is_authenticated(rules) {
            let code = ErrorCode::SessionClosedRequireSaslAuth;
            return Taken::Done(self.refuse(header.xid, Zxid::ZERO, code));
        }
        let Some(op) = op.filter(|op| Admission::of(*op) != Admission::Unknown) else {
            return Taken::Done(self.refuse(header.xid, Zxid(-1), ErrorCode::Unimplemented));
        };
        let is_agreed = Admission::of(op) == Admission::Write || (op == OpCode::Sync && rules.sync_is_agreed);
        if is_agreed && !self.refuses(op) {
            self.waiting.push_back(Waiting::Write(body.len()));
            self.waiting_bytes += body.len();
            let origin = self.origin(header.xid, op, now_ms);
            writes.push(WriteRequest { origin, ids: self.ids.clone(), body });
            if op == OpCode::CloseSession {
                self.phase = Phase::Closing;
            }
        } else {
            let read = ReadRequest { header, op, body, ids: self.ids.clone(), received_ms: now_ms };
            if self.waiting.is_empty() {
                return Taken::Read(read);
            }
            self.waiting_bytes += read.body.len();
            self.waiting_reads += 1;
            self.waiting.push_back(Waiting::Read(read));
        }
        Taken::Done(Disposition::Continue)
    }

    fn close(&mut self) -> Disposition {
        self.end();
        Disposition::Close
    }

    /// Answers with an error and closes.
    fn refuse(&mut self, xid: i32, zxid: Zxid, code: ErrorCode) -> Disposition {
        let start = self.out.len();
        write_error_reply(&mut self.out, xid, zxid, code);
        self.sent(start);
        self.close()
    }

    fn is_authenticated(&self, rules: &ConnectionRules) -> bool {
        let required = &rules.required_schemes;
        required.is_empty() || required.iter().any(|scheme| self.ids.iter().any(|id| id.has_scheme(scheme)))
    }

    /// auth: answered at once, before everything that waits.
    fn auth(&mut self, header: RequestHeader, body: &[u8], rules: &ConnectionRules) -> Disposition {
        let mut reader = Reader::with_limit(body, rules.inner_length_max);
        let Ok(request) = AuthRequest::read(&mut reader) else { return self.close() };
        let won = rules.acl.auth.authenticate(request.scheme.as_deref(), request.auth, &self.address);
        let Some(won) = won else {
            return self.refuse(header.xid, Zxid::ZERO, ErrorCode::AuthFailed);
        };
        let fresh: Vec<Id> = won.0.into_iter().filter(|id| !self.ids.contains(id)).collect();
        if !fresh.is_empty() {
            self.ids = self.ids.iter().cloned().chain(fresh).collect();
        }
        let start = self.out.len();
        write_error_reply(&mut self.out, header.xid, Zxid::ZERO, ErrorCode::Ok);
        self.sent(start);
        Disposition::Continue
    }

    /// sasl: without a configuration for it Java answers OK with a null token, and the client goes on without.
    fn sasl(&mut self, header: RequestHeader, body: &[u8], rules: &ConnectionRules) -> Disposition {
        // Java's reader throws, or stumbles over a null token: the connection closes without a word.
        if !matches!(Reader::with_limit(body, rules.inner_length_max).buffer(), Ok(Some(_))) {
            return self.close();
        }
        let start = rookeeper_protocol::client::write_reply_header(&mut self.out, header.xid, Zxid::ZERO);
        self.out.null();
        rookeeper_protocol::client::finish_frame(&mut self.out, start);
        self.sent(start);
        Disposition::Continue
    }

    /// A reply's frame was written from `start` on.
    pub(super) fn sent(&mut self, start: usize) {
        self.stats.sent += 1;
        self.tally.response((self.out.len() - start).saturating_sub(4) as u64);
    }

    /// An event's frame was written from `start` on.
    pub(super) fn sent_event(&mut self, start: usize) {
        self.stats.sent += 1;
        self.tally.event((self.out.len() - start).saturating_sub(4) as u64);
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, xid: i32, zxid: Zxid, op: &'static str, received_ms: i64, now_ms: i64) {
        let latency_ms = (now_ms - received_ms).max(0);
        let stats = &mut self.stats;
        // Java leaves the numbers of pings, auth and watch packets out.
        if xid >= 0 {
            stats.last_cxid = i64::from(xid);
        }
        stats.last_zxid = zxid.0;
        stats.last_op = op;
        stats.last_response_ms = now_ms;
        stats.last_latency_ms = latency_ms;
        stats.count += 1;
        stats.total_latency_ms += latency_ms as u64;
        stats.min_latency_ms = stats.min_latency_ms.min(latency_ms);
        stats.max_latency_ms = stats.max_latency_ms.max(latency_ms);
        self.tally.latency(latency_ms);
    }

    /// A watch fired. Only those who may read the znode learn of it.
    pub fn event(&mut self, policy: &AclPolicy, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        if self.phase == Phase::Ending || !permits(policy, acl, Perms::READ, &self.ids) {
            return;
        }
        let start = self.out.len();
        WatchEvent::write_frame(&mut self.out, event, path, zxid);
        self.unread_event_bytes += self.out.len() - start;
        self.sent_event(start);
    }

    /// A write of this connection has its result: it is answered, and so are the reads behind it.
    pub fn finished(&mut self, finished: &Finished<'_>, view: &mut ReadView<'_, '_>) {
        let origin = finished.origin;
        if finished.begins_session() && self.phase == Phase::Establishing {
            self.phase = Phase::Open;
        } else if !self.take_write() {
            // The connection was told to end meanwhile.
            return;
        }
        if finished.has_moved() {
            return self.end();
        }
        if finished.begins_session() {
            self.answered(origin.xid, finished.zxid, short_name(origin.op), origin.received_ms, view.now_ms);
            let response = finished.connect_response(self.timeout_ms, self.read_only_flag);
            self.write_connect_response(&response);
        } else {
            let start = self.out.len();
            finished.write_reply(&mut self.out);
            self.sent(start);
            // Java gives a write its name only once it has succeeded.
            let name = if finished.failed() { short_name(OpCode::Error) } else { short_name(origin.op) };
            self.answered(origin.xid, finished.zxid, name, origin.received_ms, view.now_ms);
        }
        if finished.closes() {
            self.end();
            return;
        }
        self.run_waiting_reads(view);
    }

    /// Takes the write in front off the queue.
    fn take_write(&mut self) -> bool {
        let Some(Waiting::Write(bytes)) = self.waiting.pop_front() else { return false };
        self.waiting_bytes -= bytes;
        true
    }

    fn run_waiting_reads(&mut self, view: &mut ReadView<'_, '_>) {
        while let Some(Waiting::Read(_)) = self.waiting.front() {
            if self.out.len() > WAITING_READ_BYTES_MAX {
                return self.end();
            }
            self.waiting_reads -= 1;
            if let Some(Waiting::Read(read)) = self.waiting.pop_front() {
                self.waiting_bytes -= read.body.len();
                self.answer(&read, view);
            }
        }
    }
}
