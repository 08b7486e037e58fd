//! A blocking client that can do everything a client should not.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use rookeeper_protocol::client::{
    ConnectRequest, ConnectResponse, FrameDecoder, PROTOCOL_VERSION, ReplyHeader, RequestHeader, WatchEvent,
    finish_frame, start_frame, xid,
};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{CreateMode, OpCode, SessionId, Stat, Zxid};

use super::PATIENCE;
use super::ask::{self, Ask};

/// Replies are not limited by the server; this is only to see nonsense.
const FRAME_LENGTH_MAX: usize = 64 << 20;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) error: i32,
    pub(crate) body: Bytes,
}

/// A connection, mostly with a session.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    input: BytesMut,
    next_xid: i32,
    pub(crate) session: SessionId,
    pub(crate) password: [u8; 16],
    pub(crate) timeout_ms: i32,
    /// The newest zxid in a reply.
    pub(crate) zxid: i64,
    /// Events that came so far.
    pub(crate) events: VecDeque<WatchEvent>,
}

impl Client {
    /// Connects, and says nothing.
    pub(crate) fn bare(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            input: BytesMut::new(),
            next_xid: 1,
            session: SessionId::NONE,
            password: [0; 16],
            timeout_ms: 0,
            zxid: 0,
            events: VecDeque::new(),
        })
    }

    /// Connects with a new session of 30 s.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::connect_for(address, 30_000)
    }

    pub(crate) fn connect_for(address: SocketAddr, timeout_ms: i32) -> io::Result<Self> {
        let mut client = Self::bare(address)?;
        client.shake_hands(SessionId::NONE, [0; 16], timeout_ms, 0)?;
        Ok(client)
    }

    /// Goes on with a session on a new connection. A session that is over shows as id 0.
    pub(crate) fn resume(&self, address: SocketAddr) -> io::Result<Self> {
        let mut client = Self::bare(address)?;
        client.shake_hands(self.session, self.password, self.timeout_ms, self.zxid)?;
        client.zxid = self.zxid;
        client.next_xid = self.next_xid;
        Ok(client)
    }

    fn shake_hands(&mut self, session: SessionId, password: [u8; 16], timeout_ms: i32, zxid: i64) -> io::Result<()> {
        self.send(&hello(session, password, timeout_ms, zxid))?;
        self.await_greeting()
    }

    /// Asks for a new session without waiting for the answer.
    pub(crate) fn greet(&mut self, timeout_ms: i32) -> io::Result<()> {
        self.send(&hello(SessionId::NONE, [0; 16], timeout_ms, 0))
    }

    /// Waits for the answer to a handshake.
    pub(crate) fn await_greeting(&mut self) -> io::Result<()> {
        let frame = self.frame(PATIENCE)?;
        let response = ConnectResponse::read(&mut Reader::new(&frame)).map_err(io::Error::other)?;
        (self.session, self.password) = (response.session_id, response.password);
        self.timeout_ms = response.timeout_ms;
        Ok(())
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request; its xid.
    pub(crate) fn ask(&mut self, ask: &Ask) -> io::Result<i32> {
        let mut out = BytesMut::new();
        let xid = self.queue(ask, &mut out);
        self.send(&out).map(|()| xid)
    }

    /// Puts a request behind others that are to be sent together; its xid.
    pub(crate) fn queue(&mut self, ask: &Ask, out: &mut BytesMut) -> i32 {
        let xid = match ask.op {
            OpCode::Ping => xid::PING,
            OpCode::SetWatches => xid::SET_WATCHES,
            _ => {
                self.next_xid += 1;
                self.next_xid
            }
        };
        let start = start_frame(out);
        RequestHeader { xid, op: ask.op.number() }.write(out);
        out.put_slice(&ask.body);
        finish_frame(out, start);
        xid
    }

    /// The next reply. Events that come before it are kept.
    pub(crate) fn reply(&mut self, patience: Duration) -> io::Result<Reply> {
        let end = Instant::now() + patience;
        loop {
            let frame = self.frame(end.saturating_duration_since(Instant::now()))?;
            let mut reader = Reader::new(&frame);
            let header = ReplyHeader::read(&mut reader).map_err(io::Error::other)?;
            if header.xid == xid::NOTIFICATION {
                self.events.push_back(WatchEvent::read(&mut reader).map_err(io::Error::other)?);
                continue;
            }
            let Zxid(zxid) = header.zxid;
            self.zxid = self.zxid.max(zxid);
            let body = frame.slice(reader.position()..);
            return Ok(Reply { xid: header.xid, zxid, error: header.error, body });
        }
    }

    /// Asks and waits for the answer, which must be the one to this request.
    pub(crate) fn call(&mut self, ask: &Ask) -> io::Result<Reply> {
        let xid = self.ask(ask)?;
        let reply = self.reply(PATIENCE)?;
        assert_eq!(reply.xid, xid, "the reply to another request");
        Ok(reply)
    }

    /// Asks for something that must succeed.
    pub(crate) fn must(&mut self, ask: &Ask) -> Reply {
        let reply = self.call(ask).unwrap_or_else(|error| panic!("{:?}: {error}", ask.op));
        assert_eq!(reply.error, 0, "{:?} is refused", ask.op);
        reply
    }

    /// Creates a persistent znode that must not be there yet.
    pub(crate) fn create(&mut self, path: &str, data: &[u8]) {
        self.must(&ask::create(path, data, CreateMode::Persistent));
    }

    /// Data and stat of a znode; nothing if there is none.
    pub(crate) fn get(&mut self, path: &str) -> Option<(Vec<u8>, Stat)> {
        let reply = self.call(&ask::get(path, false)).unwrap_or_else(|error| panic!("{path}: {error}"));
        if reply.error == -101 {
            return None;
        }
        assert_eq!(reply.error, 0, "{path}");
        let mut reader = Reader::new(&reply.body);
        let data = reader.buffer().unwrap().unwrap_or_default().to_vec();
        Some((data, Stat::read(&mut reader).unwrap()))
    }

    /// Names of the children of a znode that must be there.
    pub(crate) fn children(&mut self, path: &str) -> Vec<String> {
        let reply = self.must(&ask::children(path, false));
        let names = Reader::new(&reply.body).text_vector().unwrap().unwrap();
        names.into_iter().map(|name| name.unwrap().into_owned()).collect()
    }

    /// Waits for the next event.
    pub(crate) fn event(&mut self) -> WatchEvent {
        while self.events.is_empty() {
            let frame = self.frame(PATIENCE).expect("an event");
            let mut reader = Reader::new(&frame);
            let header = ReplyHeader::read(&mut reader).unwrap();
            assert_eq!(header.xid, xid::NOTIFICATION, "a reply where an event was expected");
            self.events.push_back(WatchEvent::read(&mut reader).unwrap());
        }
        self.events.pop_front().unwrap()
    }

    /// Whether the server closes this connection; what it sends before is thrown away.
    pub(crate) fn is_closed(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        loop {
            self.input.clear();
            match self.fill(end) {
                Ok(()) => {}
                Err(error) => return error.kind() != ErrorKind::TimedOut,
            }
        }
    }

    /// Everything until the server closes.
    pub(crate) fn text(&mut self) -> io::Result<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.fill(end) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(String::from_utf8_lossy(&self.input).into_owned());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same connection, to send on from another thread while this one reads.
    pub(crate) fn second_end(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Sends nothing more, but reads on.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The same, when the server may have closed already.
    pub(crate) fn finish_sending_quietly(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Goes away with a reset instead of a farewell.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends the session and waits until the server has closed.
    pub(crate) fn close(mut self) {
        self.must(&ask::close());
        assert!(self.is_closed(PATIENCE), "the connection of a closed session stays open");
    }

    /// The next frame.
    fn frame(&mut self, patience: Duration) -> io::Result<Bytes> {
        let end = Instant::now() + patience;
        loop {
            let frame = FrameDecoder::new(FRAME_LENGTH_MAX).next_frame(&mut self.input).map_err(io::Error::other)?;
            match frame {
                Some(frame) => return Ok(frame),
                None => self.fill(end)?,
            }
        }
    }

    /// Takes what has come, waiting for it.
    fn fill(&mut self, end: Instant) -> io::Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.input.put_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A handshake as a frame.
pub(crate) fn hello(session: SessionId, password: [u8; 16], timeout_ms: i32, zxid: i64) -> BytesMut {
    let mut out = BytesMut::new();
    let request = ConnectRequest {
        protocol_version: PROTOCOL_VERSION,
        last_zxid_seen: Zxid(zxid),
        timeout_ms,
        session_id: session,
        password: Some(&password),
        read_only: Some(false),
    };
    request.write_frame(&mut out);
    out
}

/// The answer to a four-letter word.
pub(crate) fn four_letters(address: SocketAddr, word: &str) -> io::Result<String> {
    let mut client = Client::bare(address)?;
    client.send(word.as_bytes())?;
    client.text()
}
