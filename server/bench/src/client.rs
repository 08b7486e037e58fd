//! A blocking client with one request under way, for what is not measured and for what must survive a lost server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rookeeper_protocol::client::{ConnectRequest, xid};
use rookeeper_protocol::types::{ErrorCode, OpCode, SessionId, Zxid};

use crate::connection::xid_after;
use crate::error::BenchError;
use crate::opening::parse_answer;
use crate::reply::{Reply, code_name};
use crate::targets::{Server, Targets};
use crate::template::{Template, bare_request};

/// Longest reply to any request of this client: data of the default `jute.maxbuffer`, with room.
const REPLY_LEN_MAX: usize = 4 << 20;

/// Pause between two attempts to connect to a server that is not there yet.
const RETRY: Duration = Duration::from_millis(2);

/// How long a reply may take when nothing is measured.
pub(crate) const CALL_PATIENCE: Duration = Duration::from_secs(30);

/// How long the first attempt to open a session may take, and the longest. Short at first and then longer: a server
/// that is starting may accept a connection and never answer it (Apache ZooKeeper does, between listening and running).
const PATIENCE_MIN: Duration = Duration::from_millis(50);
const PATIENCE_MAX: Duration = Duration::from_secs(2);

/// Attempts to open a session, each with twice the patience of the one before that was not answered.
#[derive(Debug)]
pub(crate) struct Attempts {
    patience: Duration,
}

impl Attempts {
    /// No attempt yet.
    pub(crate) fn new() -> Self {
        Self { patience: PATIENCE_MIN }
    }

    /// One attempt.
    pub(crate) fn next(&mut self, server: &Server, session_timeout: Duration) -> io::Result<Client> {
        let result = Client::connect(server, session_timeout, self.patience);
        if let Err(error) = &result
            && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            self.patience = PATIENCE_MAX.min(self.patience * 2);
        }
        result
    }
}

/// A session over one connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    xid: i32,
    frame: Vec<u8>,
}

impl Client {
    /// Opens a session; every step of it takes at most `patience`.
    pub(crate) fn connect(server: &Server, session_timeout: Duration, patience: Duration) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&server.address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut request = BytesMut::new();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: i32::try_from(session_timeout.as_millis()).unwrap_or(i32::MAX),
            session_id: SessionId::NONE,
            password: Some(&[0; 16]),
            read_only: Some(false),
        }
        .write_frame(&mut request);
        stream.write_all(&request)?;
        let mut client = Self { stream, xid: 1, frame: Vec::new() };
        client.read_frame()?;
        let answer = [&(client.frame.len() as u32).to_be_bytes()[..], &client.frame].concat();
        parse_answer(&answer).map_err(io::Error::other)?;
        Ok(client)
    }

    /// Opens a session with the first server that gives one, trying until `patience` is over.
    pub(crate) fn wait(targets: &Targets, session_timeout: Duration, patience: Duration) -> Result<Self, BenchError> {
        let (start, mut attempts) = (Instant::now(), Attempts::new());
        loop {
            let mut last = None;
            for server in &targets.servers {
                match attempts.next(server, session_timeout) {
                    Ok(client) => return client.patient(CALL_PATIENCE),
                    Err(error) => last = Some(format!("{}: {error}", server.name)),
                }
            }
            if start.elapsed() >= patience {
                let last = last.unwrap_or_default();
                let message =
                    format!("no server answers after {:.1} s: {last}; see --servers, --wait", patience.as_secs_f64());
                return Err(BenchError::Connect(message));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Sets how long a reply may take from now on.
    pub(crate) fn patient(self, patience: Duration) -> Result<Self, BenchError> {
        let set = || {
            self.stream.set_read_timeout(Some(patience))?;
            self.stream.set_write_timeout(Some(patience))
        };
        set().map_err(BenchError::io("cannot set a socket's timeout"))?;
        Ok(self)
    }

    /// Sends a request and waits for its reply. The error code, and the body if there is one.
    pub(crate) fn call(&mut self, request: &Template, number: u32) -> io::Result<(i32, &[u8])> {
        let mut out = Vec::with_capacity(request.len());
        request.put(self.xid, number, &mut out);
        self.exchange(&out)
    }

    /// Sends a request without a body and waits for its reply.
    pub(crate) fn call_bare(&mut self, op: OpCode) -> io::Result<(i32, &[u8])> {
        let request = bare_request(self.xid, op);
        self.exchange(&request)
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<(i32, &[u8])> {
        let asked = self.xid;
        self.stream.write_all(request)?;
        self.xid = xid_after(self.xid);
        loop {
            self.read_frame()?;
            let reply = Reply::read(&self.frame).ok_or_else(|| io::Error::other("a reply without a header"))?;
            if reply.xid == asked {
                break;
            }
            if reply.xid != xid::PING && reply.xid != xid::NOTIFICATION {
                return Err(io::Error::other(format!("a reply with xid {} where {asked} was due", reply.xid)));
            }
        }
        let reply = Reply::read(&self.frame).ok_or_else(|| io::Error::other("a reply without a header"))?;
        Ok((reply.error, reply.body))
    }

    fn read_frame(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > REPLY_LEN_MAX {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        self.frame.resize(length, 0);
        self.stream.read_exact(&mut self.frame)
    }

    /// Creates the path and all above it; what exists is left alone.
    pub(crate) fn make_path(&mut self, path: &str) -> Result<(), BenchError> {
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let create = Template::create(&path[..end], &[], &[]);
            self.expect(&create, &format!("create {}", &path[..end]), &[ErrorCode::NodeExists])?;
        }
        Ok(())
    }

    /// Sends a request whose failure, but for these codes, ends the benchmark.
    pub(crate) fn expect(&mut self, request: &Template, what: &str, tolerated: &[ErrorCode]) -> Result<(), BenchError> {
        let (code, _) = self.call(request, 0).map_err(BenchError::io(what))?;
        if code == 0 || tolerated.iter().any(|tolerated| tolerated.number() == code) {
            return Ok(());
        }
        Err(BenchError::Refused { what: what.to_owned(), code: code_name(code) })
    }

    /// Closes the session. What the server answers does not matter any more: its timeout ends the session too.
    pub(crate) fn close(mut self) {
        let _ = self.call_bare(OpCode::CloseSession);
    }
}
