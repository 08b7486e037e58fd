//! A client: its session, its requests in order, its watches, and what it may conclude from every answer.

mod expected;
mod history;
mod request;
mod rights;
mod workload;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::client::{
    ConnectRequest, ConnectResponse, FrameDecoder, PASSWORD_LEN, ReplyHeader, WatchEvent, xid,
};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{SessionId, Zxid};

use crate::checks::{Failed, Ledger};
use crate::clock::Micros;
use crate::network::PipeId;
use crate::random::Random;
pub(crate) use request::Op;
pub(crate) use rights::{Access, SUPER_DIGEST, Who};
pub(crate) use workload::{TTL_MS_MAX, Workload};

/// So many times in a thousand a client asks for a new session when a read-only server has given it the one that it has, as
/// Java's clients always do; otherwise it learns that nobody knows it.
const ANEW_PERMILLE: u64 = 700;

/// So many times in a thousand one leaves the ensemble's session to itself, which a read-only server would not take.
const GIVEN_UP_PERMILLE: u64 = 200;

/// How long a client stays with a read-only server before it looks for another: so many microseconds at least, so many of its
/// timeouts at most.
const MOVES_US_MIN: Micros = 100_000;
const MOVES_TIMEOUTS_MAX: i64 = 6;

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WatchKind {
    /// A change of a znode that was there.
    Data,
    /// That a znode comes into being.
    Exist,
    /// A change of its children.
    Child,
}

/// A request without an answer.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) xid: i32,
    pub(crate) op: Op,
    /// The newest write that anybody knew of when this was asked.
    floor: Zxid,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) xid: i32,
    pub(crate) zxid: Zxid,
    pub(crate) error: i32,
    /// The data that was read.
    pub(crate) data: Option<Bytes>,
}

/// A watch that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fired {
    pub(crate) event: i32,
    pub(crate) path: String,
    pub(crate) zxid: Zxid,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) node: i64,
    pub(crate) random: Random,
    /// Who it is to its servers.
    pub(crate) who: Who,
    pub(crate) session: SessionId,
    password: [u8; PASSWORD_LEN],
    /// What it wishes, and what it got.
    wished_ms: i32,
    pub(crate) timeout_ms: i32,
    /// The newest zxid in any answer of this session.
    pub(crate) seen: Zxid,
    pub(crate) pipe: Option<PipeId>,
    /// An attempt to connect is under way.
    pub(crate) calls: bool,
    /// Which member it is connected to, or was.
    pub(crate) server: i64,
    /// The server that its session began on.
    home: i64,
    /// That one only showed its tree: nobody else ever knows the session.
    began_shown: bool,
    /// It has asked for something that only a session can own which all know.
    wants_ephemeral: bool,
    /// The session is there on this connection.
    pub(crate) is_open: bool,
    unread: BytesMut,
    pub(crate) pending: VecDeque<Pending>,
    next_xid: i32,
    watches: BTreeMap<(WatchKind, String), Zxid>,
    pub(crate) heard_at: Micros,
    pub(crate) sent_at: Micros,
    /// Requests of its own accord; none in a scenario.
    pub(crate) workload: Option<Workload>,
    /// It connects by itself.
    pub(crate) reconnects: bool,
    /// A server that only shows its tree will do.
    pub(crate) reads_only: bool,
    /// Its server is such a one.
    pub(crate) is_shown: bool,
    /// When it looks for a better one then.
    pub(crate) moves_at: Micros,
    /// What it was told, for a scenario.
    pub(crate) answers: Vec<Answer>,
    pub(crate) fired: Vec<Fired>,
    /// Sessions that it has lost.
    pub(crate) expired: u32,
    keeps_answers: bool,
    pub(crate) answered: u64,
}

impl Client {
    pub(crate) fn new(node: i64, random: Random, wished_ms: i32, workload: Option<Workload>) -> Self {
        Self {
            node,
            random,
            who: Who::Anybody,
            session: SessionId::NONE,
            password: [0; PASSWORD_LEN],
            wished_ms,
            timeout_ms: wished_ms,
            seen: Zxid::ZERO,
            pipe: None,
            calls: false,
            server: 0,
            home: 0,
            began_shown: false,
            wants_ephemeral: false,
            is_open: false,
            unread: BytesMut::new(),
            pending: VecDeque::new(),
            next_xid: 1,
            watches: BTreeMap::new(),
            heard_at: 0,
            sent_at: 0,
            reconnects: workload.is_some(),
            reads_only: false,
            is_shown: false,
            moves_at: 0,
            keeps_answers: workload.is_none(),
            workload,
            answers: Vec::new(),
            fired: Vec::new(),
            expired: 0,
            answered: 0,
        }
    }

    /// From now on it wishes this timeout.
    pub(crate) fn wish(&mut self, timeout_ms: i32) {
        (self.wished_ms, self.timeout_ms) = (timeout_ms, timeout_ms);
    }

    /// The number of its next request.
    pub(crate) fn next_xid(&self) -> i32 {
        self.next_xid
    }

    /// The connection stands: the client says who it is.
    pub(crate) fn on_open(&mut self, at: Micros, pipe: PipeId) -> Bytes {
        (self.pipe, self.calls, self.is_open, self.is_shown) = (Some(pipe), false, false, false);
        if self.reads_only && self.workload.is_some() {
            self.begin_anew();
        }
        (self.heard_at, self.sent_at) = (at, at);
        self.unread.clear();
        let mut out = BytesMut::new();
        let password = (self.session != SessionId::NONE).then_some(&self.password[..]);
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms: self.wished_ms,
            session_id: self.session,
            password: Some(password.unwrap_or(&[0; PASSWORD_LEN])),
            read_only: self.reads_only.then_some(true),
        }
        .write_frame(&mut out);
        out.freeze()
    }

    /// Perhaps the client asks for another session than it has.
    fn begin_anew(&mut self) {
        if self.began_shown && self.random.permille(ANEW_PERMILLE) {
            let seen = self.seen;
            self.forget_session();
            self.seen = seen;
        } else if !self.began_shown && self.random.permille(GIVEN_UP_PERMILLE) {
            self.forget_session();
        }
    }

    /// The connection is gone. Whether what was asked has happened nobody knows.
    pub(crate) fn on_gone(&mut self) {
        (self.pipe, self.calls, self.is_open) = (None, false, false);
        self.pending.clear();
    }

    /// Asks for something; the frame is to be sent.
    pub(crate) fn ask(&mut self, at: Micros, op: Op, known: Zxid) -> Bytes {
        self.sent_at = at;
        let number = match &op {
            Op::Ping => xid::PING,
            Op::SetWatches { .. } => xid::SET_WATCHES,
            Op::Auth(_) => xid::AUTH,
            _ => {
                self.next_xid += 1;
                self.next_xid - 1
            }
        };
        let frame = op.frame(number);
        self.wants_ephemeral |= op.makes_ephemeral() && !self.is_shown;
        self.pending.push_back(Pending { xid: number, op, floor: known });
        frame
    }

    /// Bytes of the server. What the client says at once is returned; `known` is raised by what it learns.
    pub(crate) fn on_bytes(
        &mut self,
        at: Micros,
        bytes: &[u8],
        ledger: &Ledger,
        known: &mut Zxid,
    ) -> Result<Option<Bytes>, Failed> {
        self.heard_at = at;
        self.unread.extend_from_slice(bytes);
        let mut says = None;
        while let Ok(Some(frame)) = FrameDecoder::new(usize::MAX).next_frame(&mut self.unread) {
            if self.is_open {
                self.on_frame(&frame, ledger, known)?;
            } else {
                says = self.on_connected(at, &frame, ledger)?;
            }
        }
        Ok(says)
    }

    fn on_connected(&mut self, at: Micros, frame: &[u8], ledger: &Ledger) -> Result<Option<Bytes>, Failed> {
        let response =
            ConnectResponse::read(&mut Reader::new(frame)).map_err(|error| Failed::new("a client can read", error))?;
        if response.session_id == SessionId::NONE {
            self.check_over(response.read_only == Some(true), ledger)?;
            self.forget_session();
            self.expired += 1;
            return Ok(None);
        }
        self.is_open = true;
        self.is_shown = response.read_only == Some(true);
        if self.is_shown && self.workload.is_some() {
            self.moves_at =
                at + self.random.between(MOVES_US_MIN, MOVES_TIMEOUTS_MAX * i64::from(self.timeout_ms) * 1000);
        }
        self.check_shown()?;
        let auth = self.who.says().map(|_| self.ask(at, Op::Auth(self.who), Zxid::ZERO));
        if self.session == SessionId::NONE {
            (self.session, self.password) = (response.session_id, response.password);
            (self.home, self.began_shown, self.wants_ephemeral) = (self.server, self.is_shown, false);
            return self.check_new_session(ledger).map(|()| auth);
        }
        self.check_resumed(ledger)?;
        self.timeout_ms = response.timeout_ms;
        if self.watches.is_empty() {
            return Ok(auth);
        }
        let of = |kind| self.watches.keys().filter(|key| key.0 == kind).map(|key| key.1.clone()).collect();
        let (data, exist, child) = (of(WatchKind::Data), of(WatchKind::Exist), of(WatchKind::Child));
        let op = Op::SetWatches { since: self.seen, data, exist, child };
        let watches = self.ask(at, op, Zxid::ZERO);
        Ok(Some(auth.into_iter().chain([watches]).flatten().collect()))
    }

    /// The session is over; the next connection asks for another.
    pub(crate) fn forget_session(&mut self) {
        (self.session, self.seen, self.next_xid) = (SessionId::NONE, Zxid::ZERO, 1);
        self.began_shown = false;
        self.watches.clear();
        self.pending.clear();
    }

    fn on_frame(&mut self, frame: &Bytes, ledger: &Ledger, known: &mut Zxid) -> Result<(), Failed> {
        let mut reader = Reader::new(frame);
        let unreadable = |error| Failed::new("a client can read", error);
        let header = ReplyHeader::read(&mut reader).map_err(unreadable)?;
        if header.xid == xid::NOTIFICATION {
            let event = WatchEvent::read(&mut reader).map_err(unreadable)?;
            let fired = Fired { event: event.event_type, path: event.path, zxid: header.zxid };
            return self.on_event(fired, ledger);
        }
        let Some(pending) = self.pending.pop_front().filter(|pending| pending.xid == header.xid) else {
            return Err(Failed::new(
                "answers come in the order of requests",
                format!("client {}: {header:?}", self.node),
            ));
        };
        let body = reader.rest();
        self.on_answer(pending, &header, body, ledger, known)
    }
}
