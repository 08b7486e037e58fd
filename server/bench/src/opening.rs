//! Opening sessions: many at once, each timed from the beginning of its connection to the server's answer.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rookeeper_protocol::client::{ConnectRequest, ConnectResponse, xid};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{OpCode, SessionId, Zxid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::Connection;
use crate::engine::Engine;
use crate::error::BenchError;
use crate::poller::{Poller, Ready};
use crate::tally::Latencies;
use crate::targets::Targets;
use crate::template::bare_request;

/// Files that are open besides the connections.
const OTHER_FILES: u64 = 64;

/// Longest answer to a connect request, with its length: 4 + 41 bytes. Some room, for servers that say more.
const ANSWER_LEN_MAX: usize = 128;

/// What sessions to open, and how.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// The servers; connections take turns.
    pub(crate) targets: Targets,
    /// Number of sessions.
    pub(crate) count: usize,
    /// Sessions under way at a time.
    pub(crate) at_once: usize,
    /// The session timeout to ask for.
    pub(crate) session_timeout: Duration,
    /// No answer counts after this time.
    pub(crate) deadline: Duration,
}

/// What came of it.
pub(crate) struct Opened {
    /// The engine over those sessions that were established.
    pub(crate) engine: Engine,
    /// From a connection's beginning to its session.
    pub(crate) latencies: Latencies,
    /// Sessions that were not established, by reason.
    pub(crate) refused: BTreeMap<String, usize>,
    /// From the first connection's beginning to the last answer.
    pub(crate) elapsed: Duration,
}

/// A connection without a session yet.
struct Attempt {
    stream: TcpStream,
    begun_ns: u64,
    asked: bool,
    answer: Vec<u8>,
}

impl Opening {
    /// Opens the sessions; refusals are counted.
    pub(crate) fn open(&self) -> Result<Opened, BenchError> {
        allow_files(self.count)?;
        let poller = Poller::new()?;
        let origin = Instant::now();
        let now_ns = || origin.elapsed().as_nanos() as u64;
        let mut request = BytesMut::new();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: i32::try_from(self.session_timeout.as_millis()).unwrap_or(i32::MAX),
            session_id: SessionId::NONE,
            password: Some(&[0; 16]),
            read_only: Some(false),
        }
        .write_frame(&mut request);

        let mut attempts: Vec<Option<Attempt>> = Vec::with_capacity(self.count);
        let mut opened: Vec<(usize, TcpStream)> = Vec::with_capacity(self.count);
        let (mut latencies, mut refused) = (Latencies::new(), BTreeMap::<String, usize>::new());
        let (mut under_way, mut ready, mut timeout) = (0, Vec::new(), self.session_timeout);
        let (ping, mut pinged_ns) = (bare_request(xid::PING, OpCode::Ping), 0);
        while attempts.len() < self.count || under_way > 0 {
            while attempts.len() < self.count && under_way < self.at_once {
                let index = attempts.len();
                match begin(&self.targets, index) {
                    Ok(stream) => {
                        poller.add(&stream, index, true)?;
                        let attempt = Attempt { stream, begun_ns: now_ns(), asked: false, answer: Vec::new() };
                        attempts.push(Some(attempt));
                        under_way += 1;
                    }
                    Err(reason) => {
                        attempts.push(None);
                        *refused.entry(reason).or_default() += 1;
                    }
                }
            }
            if origin.elapsed() >= self.deadline {
                *refused.entry(format!("no answer after {:.1} s", self.deadline.as_secs_f64())).or_default() +=
                    under_way;
                break;
            }
            if now_ns() - pinged_ns >= timeout.as_nanos() as u64 / 3 {
                // The first sessions must not expire while the last are being opened. The answers are read later, by
                // the engine; a connection that has been lost is noticed there, too.
                opened.iter_mut().for_each(|(_, stream)| drop(stream.write(&ping)));
                pinged_ns = now_ns();
            }
            poller.wait(100_000_000, &mut ready)?;
            for Ready { connection: index, readable, .. } in ready.iter().copied() {
                let Some(attempt) = attempts[index].as_mut() else { continue };
                let outcome = attempt.step(readable, &request);
                if matches!(outcome, Ok(None)) {
                    if attempt.asked {
                        poller.modify(&attempt.stream, index, false)?;
                    }
                    continue;
                }
                under_way -= 1;
                let Some(attempt) = attempts[index].take() else { continue };
                match outcome {
                    Ok(answer) => {
                        latencies.record(now_ns() - attempt.begun_ns, 1);
                        timeout = answer.unwrap_or(timeout).min(timeout);
                        opened.push((index, attempt.stream));
                    }
                    Err(reason) => {
                        poller.remove(&attempt.stream);
                        *refused.entry(reason).or_default() += 1;
                    }
                }
            }
        }
        let elapsed = origin.elapsed();
        for attempt in attempts.iter().flatten() {
            poller.remove(&attempt.stream);
        }
        // Connections are numbered by their place from now on; the poller learns the new numbers.
        let mut connections = Vec::with_capacity(opened.len());
        opened.sort_by_key(|(index, _)| *index);
        for (place, (index, stream)) in opened.into_iter().enumerate() {
            poller.remove(&stream);
            poller.add(&stream, place, false)?;
            connections.push(Connection::new(stream, index % self.targets.servers.len(), now_ns()));
        }
        let engine = Engine::new(connections, self.targets.clone(), timeout, poller, origin);
        Ok(Opened { engine, latencies, refused, elapsed })
    }

    /// Opens the sessions; one refusal is a failure.
    pub(crate) fn open_all(&self) -> Result<Engine, BenchError> {
        let opened = self.open()?;
        if opened.refused.is_empty() {
            return Ok(opened.engine);
        }
        Err(BenchError::Connect(format!(
            "{} of {} sessions: {}",
            refused_count(&opened.refused),
            self.count,
            reasons(&opened.refused)
        )))
    }
}

/// Number of refused sessions.
pub(crate) fn refused_count(refused: &BTreeMap<String, usize>) -> usize {
    refused.values().sum()
}

/// The reasons in one line.
fn reasons(refused: &BTreeMap<String, usize>) -> String {
    let reasons: Vec<_> = refused.iter().map(|(reason, count)| format!("{reason} ({count})")).collect();
    reasons.join(", ")
}

impl Attempt {
    /// Goes on with what the socket is ready for. The timeout that the server granted, once it has.
    fn step(&mut self, readable: bool, request: &[u8]) -> Result<Option<Duration>, String> {
        if let Some(error) = self.stream.take_error().map_err(|error| error.to_string())? {
            return Err(error.to_string());
        }
        if !self.asked {
            // A new connection's buffer has room for 49 bytes; less than all of them means that it is no connection.
            match self.stream.write(request) {
                Ok(count) if count == request.len() => self.asked = true,
                Ok(_) => return Err("the connect request was not taken".to_owned()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        if !readable {
            return Ok(None);
        }
        let mut bytes = [0; ANSWER_LEN_MAX];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err("closed by the server".to_owned()),
            Ok(count) => self.answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.to_string()),
        }
        parse_answer(&self.answer)
    }
}

/// The granted timeout, when `bytes` hold the whole answer to a connect request.
pub(crate) fn parse_answer(bytes: &[u8]) -> Result<Option<Duration>, String> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > ANSWER_LEN_MAX {
        return Err(format!("a connect answer of {length} bytes"));
    }
    if rest.len() < length {
        return Ok(None);
    }
    let answer = ConnectResponse::read(&mut Reader::new(&rest[..length])).map_err(|error| error.to_string())?;
    match u64::try_from(answer.timeout_ms) {
        Ok(timeout_ms) if timeout_ms > 0 && answer.session_id != SessionId::NONE => {
            Ok(Some(Duration::from_millis(timeout_ms)))
        }
        _ => Err("the server gave no session".to_owned()),
    }
}

/// Begins a connection without waiting for it.
fn begin(targets: &Targets, index: usize) -> Result<TcpStream, String> {
    let address = targets.server(index).address;
    let begin = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(local) = targets.local_address(index) {
            socket.bind(&local.into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => Ok(socket.into()),
        }
    };
    begin().map_err(|error| error.to_string())
}

/// Raises the limit of open files, as far as this process may.
fn allow_files(connections: usize) -> Result<(), BenchError> {
    let needed = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).map_err(|error| {
        BenchError::Usage(format!(
            "{connections} connections need {needed} open files, but the limit is {} (ulimit -n) and could not be \
             raised: {error}",
            limit.current.unwrap_or(0)
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(timeout_ms: i32, session_id: i64) -> BytesMut {
        let mut out = BytesMut::new();
        let session_id = SessionId(session_id);
        let password = [0; 16];
        ConnectResponse { protocol_version: 0, timeout_ms, session_id, password, read_only: Some(false) }
            .write_frame(&mut out);
        out
    }

    #[test]
    fn answers_may_come_in_pieces() {
        let answer = answer(4000, 1);
        for end in 0..answer.len() {
            assert_eq!(parse_answer(&answer[..end]), Ok(None));
        }
        assert_eq!(parse_answer(&answer), Ok(Some(Duration::from_secs(4))));
    }

    #[test]
    fn refusals_are_no_sessions() {
        assert!(parse_answer(&answer(0, 0)).is_err());
        assert!(parse_answer(&answer(4000, 0)).is_err());
        assert!(parse_answer(&[0xFF; 8]).is_err());
    }
}
