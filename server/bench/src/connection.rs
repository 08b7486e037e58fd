//! One session's connection: frames out in batches, frames in from a buffer that all connections share.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::reply::{HEADER_LEN, int};

/// No server sends a longer frame unless it is configured to: 64 MiB.
const FRAME_LEN_MAX: usize = 64 << 20;

/// Room for one read; holds several thousand small replies.
const READ_BUFFER_LEN: usize = 256 << 10;

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// When it was sent, or was to be sent, on the engine's clock.
    pub(crate) at_ns: u64,
    /// What the work calls it.
    pub(crate) tag: Tag,
}

/// What a work needs to know of a request to judge the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The kind of request; also the class its latency is counted in.
    pub(crate) kind: u8,
    /// The number of the znode.
    pub(crate) number: u32,
}

/// A connected session.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Index of the server in the connect string.
    pub(crate) server: usize,
    /// Requests without a reply, oldest first; its length is bounded by the depth.
    pub(crate) pending: VecDeque<Sent>,
    /// The xid of the next request.
    pub(crate) xid_next: i32,
    /// The xid of the oldest request without a reply.
    pub(crate) xid_due: i32,
    /// The newest zxid seen in a reply.
    pub(crate) zxid_seen: i64,
    /// When a request was last sent.
    pub(crate) sent_ns: u64,
    /// Whether the poller waits for room to write.
    pub(crate) wants_write: bool,
    /// Whether it has been closed in order.
    pub(crate) closed: bool,
    /// The beginning of a frame whose rest has not come yet.
    partial: Vec<u8>,
    /// Bytes the kernel has not taken yet, from `unsent_from` on.
    unsent: Vec<u8>,
    unsent_from: usize,
}

/// The xid behind `xid`: they stay positive, since negative ones have meanings of their own.
pub(crate) fn xid_after(xid: i32) -> i32 {
    if xid == i32::MAX { 1 } else { xid + 1 }
}

impl Connection {
    /// A connection whose session has been established.
    pub(crate) fn new(stream: TcpStream, server: usize, now_ns: u64) -> Self {
        Self {
            stream,
            server,
            pending: VecDeque::new(),
            xid_next: 1,
            xid_due: 1,
            zxid_seen: 0,
            sent_ns: now_ns,
            wants_write: false,
            closed: false,
            partial: Vec::new(),
            unsent: Vec::new(),
            unsent_from: 0,
        }
    }

    /// Whether the kernel has taken all that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Sends whole frames; what the kernel does not take now is kept for [`Connection::flush`].
    pub(crate) fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        if !self.is_flushed() {
            self.unsent.extend_from_slice(frames);
            return Ok(());
        }
        let taken = write_some(&mut self.stream, frames)?;
        if taken < frames.len() {
            self.unsent.extend_from_slice(&frames[taken..]);
        }
        Ok(())
    }

    /// Sends what was left over.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.unsent_from += write_some(&mut self.stream, &self.unsent[self.unsent_from..])?;
        if self.unsent_from == self.unsent.len() {
            self.unsent.clear();
            self.unsent_from = 0;
        }
        Ok(())
    }

    /// Reads once and gives every whole frame's contents to `take`. Returns whether more may be waiting.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut ReadBuffer,
        mut take: impl FnMut(&mut Self, &[u8]) -> Result<(), String>,
    ) -> Result<Received, String> {
        let begun = self.partial.len();
        buffer.0[..begun].copy_from_slice(&self.partial);
        self.partial.clear();
        let capacity = buffer.0.len() - begun;
        let count = match self.stream.read(&mut buffer.0[begun..]) {
            Ok(0) => return Ok(Received::End),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error.to_string()),
        };
        let mut rest = &buffer.0[..begun + count];
        let mut room = READ_BUFFER_LEN;
        while rest.len() >= 4 {
            let announced = int(rest, 0);
            let len = usize::try_from(announced).ok().filter(|len| (HEADER_LEN..=FRAME_LEN_MAX).contains(len));
            let Some(len) = len else { return Err(format!("a frame of {announced} bytes")) };
            if rest.len() < 4 + len {
                room = room.max(4 + len);
                break;
            }
            take(self, &rest[4..4 + len])?;
            rest = &rest[4 + len..];
        }
        self.partial.extend_from_slice(rest);
        if room > buffer.0.len() {
            buffer.0.resize(room, 0);
        }
        Ok(if count == capacity { Received::More } else { Received::All })
    }
}

/// What a read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Everything there was.
    All,
    /// As much as there was room for.
    More,
    /// The server has closed the connection.
    End,
}

/// Where an engine reads into. Shared, so that thousands of connections cost no memory for reading.
#[derive(Debug)]
pub(crate) struct ReadBuffer(Vec<u8>);

impl ReadBuffer {
    /// A buffer of [`READ_BUFFER_LEN`]; it grows when a longer frame is announced.
    pub(crate) fn new() -> Self {
        Self(vec![0; READ_BUFFER_LEN])
    }
}

fn write_some(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<usize> {
    let len = bytes.len();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(len - bytes.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Connection::new(stream, 0, 0), listener.accept().unwrap().0)
    }

    fn frame(len: usize) -> Vec<u8> {
        let mut frame = (len as u32).to_be_bytes().to_vec();
        frame.resize(4 + len, 7);
        frame
    }

    /// Receives until the other end is closed; returns the frames' lengths, or the error.
    fn lengths(connection: &mut Connection) -> Result<Vec<usize>, String> {
        let (mut lengths, mut buffer) = (Vec::new(), ReadBuffer::new());
        loop {
            let received = connection.receive(&mut buffer, |_, frame| {
                lengths.push(frame.len());
                Ok(())
            })?;
            if received == Received::End {
                return Ok(lengths);
            }
        }
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let (mut connection, mut server) = pair();
        let long = READ_BUFFER_LEN + 5;
        let writer = std::thread::spawn(move || {
            let bytes = [frame(16), frame(20), frame(long), frame(17)].concat();
            for piece in bytes.chunks(50_001) {
                server.write_all(piece).unwrap();
            }
        });
        assert_eq!(lengths(&mut connection), Ok(vec![16, 20, long, 17]));
        writer.join().unwrap();
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for length in [-1_i32, 0, 15, i32::MAX] {
            let (mut connection, mut server) = pair();
            server.write_all(&length.to_be_bytes()).unwrap();
            assert!(lengths(&mut connection).unwrap_err().contains(&length.to_string()));
        }
    }

    #[test]
    fn xids_stay_positive() {
        assert_eq!(xid_after(7), 8);
        assert_eq!(xid_after(i32::MAX), 1);
    }
}
