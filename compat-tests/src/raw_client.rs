//! A blocking connection to a client port that sends anything and tells apart all the ways of not being answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::client::FrameDecoder;

/// Longest frame that is believed: replies are not limited by the server, so only nonsense is refused.
const FRAME_LENGTH_MAX: usize = 256 << 20;

/// How long a server may take to take in what is written.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A frame's contents.
    Frame(Bytes),
    /// The connection was closed; these bytes had come of a frame that never ended.
    Closed(Bytes),
    /// The connection was reset (RST).
    Reset,
    /// Nothing came before the deadline.
    Nothing,
}

/// A connection to a server.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    buffer: BytesMut,
}

impl RawClient {
    /// Connects, and sends nothing yet.
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        // Not connect_timeout: a server that is full resets a connection right after taking it, which that call reports
        // instead of the connection. Reading will show it.
        let stream = TcpStream::connect(address)?;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(PATIENCE));
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Sends bytes as they are. An error means that the server has closed the connection, which reading will show.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a frame.
    pub fn send_frame(&mut self, contents: &[u8]) -> std::io::Result<()> {
        self.send(&frame(contents))
    }

    /// Tells the server that nothing more will be sent (FIN), while reading goes on.
    pub fn finish_sending(&mut self) -> std::io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Waits for the next frame, the end, or the deadline.
    pub fn receive(&mut self, patience: Duration) -> Received {
        let decoder = FrameDecoder::new(FRAME_LENGTH_MAX);
        let end = Instant::now() + patience;
        loop {
            match decoder.next_frame(&mut self.buffer) {
                Ok(Some(frame)) => return Received::Frame(frame),
                Ok(None) => {}
                // What is no frame is shown as it is: a four-letter word's text, for example.
                Err(_) => return Received::Frame(self.buffer.split().freeze()),
            }
            match self.fill(end) {
                Ok(true) => {}
                Ok(false) => return Received::Nothing,
                Err(received) => return received,
            }
        }
    }

    /// Everything that comes until the server closes, without looking for frames.
    pub fn receive_all(&mut self, patience: Duration) -> (Bytes, Received) {
        let end = Instant::now() + patience;
        loop {
            match self.fill(end) {
                Ok(true) => {}
                Ok(false) => return (self.buffer.split().freeze(), Received::Nothing),
                Err(Received::Closed(bytes)) => return (bytes, Received::Closed(Bytes::new())),
                Err(received) => return (self.buffer.split().freeze(), received),
            }
        }
    }

    /// Reads once. `Ok(false)` when the deadline has passed.
    fn fill(&mut self, end: Instant) -> Result<bool, Received> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut chunk = [0; 65536];
        let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(&mut chunk));
        match read {
            Ok(0) => Err(Received::Closed(self.buffer.split().freeze())),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(false),
                ErrorKind::Interrupted => Ok(true),
                _ => Err(Received::Reset),
            },
        }
    }
}

/// Contents with their length in front.
pub fn frame(contents: &[u8]) -> Vec<u8> {
    let length = i32::try_from(contents.len()).unwrap_or(i32::MAX);
    [&length.to_be_bytes()[..], contents].concat()
}
