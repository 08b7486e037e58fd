//! A client of several servers, as the official ones are: one session, which moves to another server when a connection
//! is lost, and takes its watches along.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rookeeper_protocol::client::xid;
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{ErrorCode, OpCode, Stat};

use crate::body::Body;
use crate::raw_client::{RawClient, Received};
use crate::request::{Request, bare, children, exists, get, set_watches};
use crate::view::password;

/// How long an attempt to connect may take until the next server is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// How long a reply may take until the connection counts as lost. A server that is paused or cut off says nothing.
const REPLY_PATIENCE: Duration = Duration::from_secs(3);

/// Pause behind a server that cannot be reached, so that a client does not spin while there is none.
const RETRY: Duration = Duration::from_millis(10);

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The connection was lost: whether the request was carried out is not known.
    Lost,
    /// No server took the session back in time: the request was not sent.
    NotSent,
    /// The session is over.
    Expired,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The newest zxid that the server knew.
    pub zxid: i64,
    /// 0, or the number of an error.
    pub error: i32,
    /// What follows the header.
    pub body: Bytes,
}

impl Reply {
    /// Data and Stat of a getData.
    pub fn data(&self) -> Result<(Vec<u8>, Stat), String> {
        let mut reader = Reader::new(&self.body);
        let data = reader.buffer().map_err(|error| error.to_string())?.unwrap_or_default().to_vec();
        Ok((data, Stat::read(&mut reader).map_err(|error| error.to_string())?))
    }

    /// The path of a create.
    pub fn path(&self) -> Result<String, String> {
        let path = Reader::new(&self.body).text().map_err(|error| error.to_string())?;
        Ok(path.unwrap_or_default().into_owned())
    }

    /// The names of getChildren, sorted.
    pub fn names(&self) -> Result<Vec<String>, String> {
        let names = Reader::new(&self.body).text_vector().map_err(|error| error.to_string())?;
        let mut names: Vec<_> = names.into_iter().flatten().flatten().map(String::from).collect();
        names.sort();
        Ok(names)
    }
}

/// A watch that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The type, as on the wire: 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    /// The znode.
    pub path: String,
}

/// What a client watches: by kind of the request that left the watch.
#[derive(Debug, Default)]
struct Watches {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    servers: Vec<SocketAddr>,
    next: usize,
    timeout_ms: i32,
    session: i64,
    connection: Option<RawClient>,
    xid: i32,
    zxid: i64,
    events: VecDeque<Event>,
    watches: Watches,
    moves: usize,
}

impl Client {
    /// Opens a session with one of these servers; the first is tried first.
    pub fn open(servers: &[SocketAddr], timeout_ms: i32) -> Result<Self, String> {
        let mut client = Self {
            servers: servers.to_vec(),
            next: 0,
            timeout_ms,
            session: 0,
            connection: None,
            xid: 0,
            zxid: 0,
            events: VecDeque::new(),
            watches: Watches::default(),
            moves: 0,
        };
        let end = Instant::now() + crate::server::PATIENCE;
        while client.session == 0 {
            if Instant::now() > end {
                return Err(format!("none of {servers:?} opens a session"));
            }
            // Nobody has given a session out yet: what fails here is only an attempt.
            let _ = client.connect_once();
        }
        Ok(client)
    }

    /// The session's id.
    pub fn session(&self) -> i64 {
        self.session
    }

    /// How often the session has come to a new connection.
    pub fn moves(&self) -> usize {
        self.moves
    }

    /// Drops the connection, and goes on with this server first.
    pub fn move_to(&mut self, server: SocketAddr) {
        self.connection = None;
        self.next = self.servers.iter().position(|known| *known == server).unwrap_or_else(|| {
            self.servers.push(server);
            self.servers.len() - 1
        });
    }

    /// One attempt with the next server. A session is taken over or, if there is none yet, opened.
    fn connect_once(&mut self) -> Result<(), Failure> {
        let server = self.servers[self.next % self.servers.len()];
        self.next = (self.next + 1) % self.servers.len();
        let Ok(mut connection) = RawClient::connect(server) else {
            std::thread::sleep(RETRY);
            return Err(Failure::NotSent);
        };
        let secret = if self.session == 0 { [0; 16] } else { password(self.session) };
        let hello = Body::new().int(0).long(self.zxid).int(self.timeout_ms).long(self.session);
        let hello = hello.buffer(Some(&secret)).boolean(false).bytes(0);
        let answer = connection.send_frame(&hello).ok().map(|()| connection.receive(CONNECT_PATIENCE));
        let Some(Received::Frame(frame)) = answer else {
            std::thread::sleep(RETRY);
            return Err(Failure::NotSent);
        };
        let session = frame.get(8..16).and_then(|id| id.try_into().ok()).map_or(0, i64::from_be_bytes);
        if session == 0 {
            return Err(Failure::Expired);
        }
        self.session = session;
        self.connection = Some(connection);
        self.moves += 1;
        self.watch_again()
    }

    /// Tells the new server what is watched; what has changed since fires at once.
    fn watch_again(&mut self) -> Result<(), Failure> {
        let lists = [&self.watches.data, &self.watches.exist, &self.watches.child];
        if lists.iter().all(|list| list.is_empty()) {
            return Ok(());
        }
        let lists = lists.map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
        let request = set_watches(self.zxid, [&lists[0], &lists[1], &lists[2]]);
        self.exchange(xid::SET_WATCHES, &request).map(drop)
    }

    /// Sees to it that there is a connection, trying all servers until `patience` is over.
    pub fn connect(&mut self, patience: Duration) -> Result<(), Failure> {
        let end = Instant::now() + patience;
        while self.connection.is_none() {
            match self.connect_once() {
                Err(Failure::Expired) => return Err(Failure::Expired),
                Err(_) if Instant::now() > end => return Err(Failure::NotSent),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends a request and waits for the reply. A lost connection is not made again before the next call.
    pub fn call(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.connect(REPLY_PATIENCE)?;
        self.xid = self.xid.wrapping_add(1).max(1);
        self.exchange(self.xid, request)
    }

    /// As [`Self::call`], again and again until there is a reply. Only for what may be done twice.
    pub fn insist(&mut self, request: &Request) -> Result<Reply, String> {
        let end = Instant::now() + crate::server::PATIENCE;
        loop {
            match self.call(request) {
                Ok(reply) if reply.error != ErrorCode::ConnectionLoss.number() => return Ok(reply),
                Err(Failure::Expired) => return Err(format!("session {:#x} is over", self.session)),
                other if Instant::now() > end => return Err(format!("{}: {other:?}", request.label)),
                _ => {}
            }
        }
    }

    fn exchange(&mut self, number: i32, request: &Request) -> Result<Reply, Failure> {
        let contents = Body::new().int(number).int(request.op).body(request.body.clone()).bytes(0);
        let Some(connection) = &mut self.connection else { return Err(Failure::NotSent) };
        if connection.send_frame(&contents).is_err() {
            self.connection = None;
            return Err(Failure::Lost);
        }
        let end = Instant::now() + REPLY_PATIENCE;
        loop {
            match self.receive(end.saturating_duration_since(Instant::now())) {
                Some((xid, reply)) if xid == number => return Ok(reply),
                Some(_) => {}
                None => {
                    self.connection = None;
                    return Err(Failure::Lost);
                }
            }
        }
    }

    /// The next frame, with its number. Events are put aside.
    fn receive(&mut self, patience: Duration) -> Option<(i32, Reply)> {
        let Received::Frame(frame) = self.connection.as_mut()?.receive(patience) else { return None };
        let mut reader = Reader::new(&frame);
        let (number, zxid, error) = (reader.int().ok()?, reader.long().ok()?, reader.int().ok()?);
        self.zxid = self.zxid.max(zxid);
        if number == xid::NOTIFICATION {
            let (kind, _) = (reader.int().ok()?, reader.int().ok()?);
            let path = reader.text().ok()??.into_owned();
            self.watches.fired(kind, &path);
            self.events.push_back(Event { kind, path });
        }
        Some((number, Reply { zxid, error, body: frame.slice(16..) }))
    }

    /// Reads data and leaves a watch.
    pub fn watch_data(&mut self, path: &str) -> Result<Reply, Failure> {
        let reply = self.call(&get(path, true))?;
        if reply.error == 0 {
            self.watches.data.insert(path.to_owned());
        }
        Ok(reply)
    }

    /// Asks whether a znode is there and leaves a watch.
    pub fn watch_exists(&mut self, path: &str) -> Result<bool, Failure> {
        let there = self.call(&exists(path, true))?.error == 0;
        let list = if there { &mut self.watches.data } else { &mut self.watches.exist };
        list.insert(path.to_owned());
        Ok(there)
    }

    /// Reads the names of children and leaves a watch.
    pub fn watch_children(&mut self, path: &str) -> Result<Reply, Failure> {
        let reply = self.call(&children(path, true))?;
        if reply.error == 0 {
            self.watches.child.insert(path.to_owned());
        }
        Ok(reply)
    }

    /// The next event; `Ok(None)` when none came in time. Keeps the session alive meanwhile, over any server.
    pub fn event(&mut self, patience: Duration) -> Result<Option<Event>, Failure> {
        let end = Instant::now() + patience;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            match self.exchange_ping(end) {
                Err(Failure::Expired) => return Err(Failure::Expired),
                // The next round tries the next server.
                _ => continue,
            }
        }
    }

    /// Waits a moment for events, and asks the server whether it is still there.
    fn exchange_ping(&mut self, end: Instant) -> Result<(), Failure> {
        /// How long a client listens between two pings.
        const LISTEN: Duration = Duration::from_millis(300);
        self.connect(REPLY_PATIENCE)?;
        let listen = LISTEN.min(end.saturating_duration_since(Instant::now()));
        if self.receive(listen).is_some() {
            return Ok(());
        }
        self.exchange(xid::PING, &bare(OpCode::Ping)).map(drop)
    }

    /// Closes the session.
    pub fn close(mut self) -> Result<(), String> {
        self.insist(&bare(OpCode::CloseSession)).map(drop)
    }
}

impl Watches {
    /// A watch fires once.
    fn fired(&mut self, kind: i32, path: &str) {
        /// NodeChildrenChanged.
        const CHILDREN: i32 = 4;
        /// NodeDeleted, which ends watches of every kind.
        const DELETED: i32 = 2;
        if kind != CHILDREN {
            self.data.remove(path);
            self.exist.remove(path);
        }
        if kind == CHILDREN || kind == DELETED {
            self.child.remove(path);
        }
    }
}
