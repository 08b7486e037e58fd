//! The first message on an election connection: who dialled, and where it can be dialled back
//! (`QuorumCnxManager.InitialMessage`).

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;

use crate::jute::{Reader, Writer, decode_text};
use crate::types::{BracketError, HostPort, ServerId, host_and_ports, is_any_local, split_parts};

/// What an observer without a number calls itself (`QuorumPeer#OBSERVER_ID`). Who accepts such a connection gives it
/// a negative number that nobody has.
pub const LEGACY_OBSERVER: ServerId = ServerId(i64::MAX);

/// Longest text of addresses in bytes (`QuorumCnxManager#maxBuffer`).
pub const ADDRESSES_LEN_MAX: usize = 2048;

/// Length in bytes of what stands in front of the addresses.
const HEAD_LEN: usize = 20;

/// The two forms with addresses. They are read alike; the newer one is sent where `multiAddress.enabled` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum HandshakeVersion {
    /// With one address.
    One = -65536,
    /// With any number of them.
    Many = -65535,
}

/// Who dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialMessage {
    /// Its number, or [`LEGACY_OBSERVER`].
    pub server: ServerId,
    /// Where its election port is, as far as it tells.
    pub addresses: Vec<HostPort>,
}

/// A first message that ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// Neither a server's number nor a known form.
    #[error("unknown protocol version {0}")]
    Version(i64),
    /// The length of the addresses.
    #[error("{0} bytes of addresses; 1 to {ADDRESSES_LEN_MAX} are allowed")]
    Length(i32),
    /// An address in brackets.
    #[error("{address:?} {problem}")]
    Brackets {
        /// The address.
        address: String,
        /// What is wrong with it.
        problem: BracketError,
    },
    /// Another address.
    #[error("{0:?} is not a host and a port")]
    Address(String),
}

impl InitialMessage {
    /// Takes the message off the front of `buffer`, once all of it is there. A number alone is what servers before 3.5
    /// send. Addresses that mean every interface are left out: nobody can be dialled there. A name is not looked up,
    /// so it stays even where Java finds that it means every interface.
    pub fn next(buffer: &mut BytesMut) -> Result<Option<Self>, HandshakeError> {
        let mut reader = Reader::new(buffer);
        let Ok(first) = reader.long() else { return Ok(None) };
        if first >= 0 {
            buffer.advance(reader.position());
            return Ok(Some(Self { server: ServerId(first), addresses: Vec::new() }));
        }
        if ![HandshakeVersion::One as i64, HandshakeVersion::Many as i64].contains(&first) {
            return Err(HandshakeError::Version(first));
        }
        let (Ok(server), Ok(length)) = (reader.long(), reader.int()) else { return Ok(None) };
        let whole = match usize::try_from(length) {
            Ok(length) if (1..=ADDRESSES_LEN_MAX).contains(&length) => HEAD_LEN + length,
            _ => return Err(HandshakeError::Length(length)),
        };
        if buffer.len() < whole {
            return Ok(None);
        }
        let message = buffer.split_to(whole);
        let addresses = read_addresses(&decode_text(&message[HEAD_LEN..]))?;
        Ok(Some(Self { server: ServerId(server), addresses }))
    }

    /// Writes the message (`QuorumCnxManager#startConnection`). The older form has room for one address only.
    pub fn write(&self, version: HandshakeVersion, out: &mut BytesMut) {
        let count = match version {
            HandshakeVersion::One => 1,
            HandshakeVersion::Many => self.addresses.len(),
        };
        let texts: Vec<_> = self.addresses.iter().take(count).map(HostPort::to_string).collect();
        let text = texts.join("|");
        out.long(version as i64);
        out.long(self.server.0);
        out.count(text.len());
        out.put_slice(text.as_bytes());
    }
}

fn read_addresses(text: &str) -> Result<Vec<HostPort>, HandshakeError> {
    let parts = split_parts(text, '|').into_iter().map(read_address);
    let addresses = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(addresses.into_iter().filter(|address| !is_any_local(&address.host)).collect())
}

fn read_address(text: &str) -> Result<HostPort, HandshakeError> {
    let wrong = || HandshakeError::Address(text.to_owned());
    let parts =
        host_and_ports(text).map_err(|problem| HandshakeError::Brackets { address: text.to_owned(), problem })?;
    let [host, port] = parts[..] else { return Err(wrong()) };
    Ok(HostPort { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(version: i64, server: i64, length: i32, text: &str) -> BytesMut {
        let mut out = BytesMut::new();
        out.long(version);
        out.long(server);
        out.int(length);
        out.put_slice(text.as_bytes());
        out
    }

    fn addresses(text: &str) -> Result<Vec<String>, HandshakeError> {
        let mut buffer = message(-65535, 3, text.len() as i32, text);
        buffer.put_u8(9);
        let read = InitialMessage::next(&mut buffer)?.unwrap();
        assert_eq!((read.server, &buffer[..]), (ServerId(3), &[9][..]));
        Ok(read.addresses.iter().map(HostPort::to_string).collect())
    }

    #[test]
    fn addresses_that_java_takes() {
        for (text, want) in [
            ("a:1", &["a:1"][..]),
            ("a:1|b:+2|[::1]:3|", &["a:1", "b:2", "[::1]:3"]),
            ("[0:0:0:0:0:0:0:1]:3811|127.0.0.1:3801", &["[0:0:0:0:0:0:0:1]:3811", "127.0.0.1:3801"]),
            ("0.0.0.0:1|[::]:2|[0:0:0:0:0:0:0:0]:3|[::ffff:0.0.0.0]:4|c:5", &["c:5"]),
            ("0.0.0.0:1", &[]),
            ("|", &[]),
            ("[fe80::1%eth0]:65535", &["[fe80::1%eth0]:65535"]),
            (":7", &[":7"]),
        ] {
            assert_eq!(addresses(text).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn addresses_that_java_refuses() {
        let wrong = ["a", "a:1:2", "a:", "a:x", "a:65536", "a:-1", "|a:1", "a:1||b:2", "[::1]", "a: 1", "0.0.0.0:x"];
        for text in wrong {
            let error = addresses(text).unwrap_err();
            assert!(matches!(error, HandshakeError::Address(_)), "{text:?}: {error}");
        }
        for text in ["[::1:3811", "a:1|[::1]:"] {
            let error = addresses(text).unwrap_err();
            assert!(matches!(error, HandshakeError::Brackets { .. }), "{text:?}: {error}");
        }
    }

    #[test]
    fn heads_are_judged_before_all_is_there() {
        for version in [-1, -65534, -65537, i64::MIN] {
            let error = InitialMessage::next(&mut message(version, 0, 0, "")).unwrap_err();
            assert_eq!(error, HandshakeError::Version(version));
        }
        for length in [0, -1, 2049, i32::MIN, i32::MAX] {
            let error = InitialMessage::next(&mut message(-65536, 1, length, "")).unwrap_err();
            assert_eq!(error, HandshakeError::Length(length));
        }
        let longest = format!("{}:1", "a".repeat(ADDRESSES_LEN_MAX - 2));
        assert_eq!(addresses(&longest).unwrap(), [longest]);
    }

    #[test]
    fn a_number_alone_is_enough() {
        let mut buffer = BytesMut::new();
        buffer.long(LEGACY_OBSERVER.0);
        buffer.put_u8(1);
        let read = InitialMessage::next(&mut buffer).unwrap().unwrap();
        assert_eq!(read, InitialMessage { server: LEGACY_OBSERVER, addresses: Vec::new() });
        assert_eq!(buffer.len(), 1);
    }

    #[test]
    fn pieces_are_waited_for() {
        let host_port = |host: &str, port| HostPort { host: host.to_owned(), port };
        let message = InitialMessage { server: ServerId(-5), addresses: vec![host_port("::1", 1), host_port("b", 2)] };
        let mut whole = BytesMut::new();
        message.write(HandshakeVersion::Many, &mut whole);
        for length in 0..whole.len() {
            let mut piece = BytesMut::from(&whole[..length]);
            assert_eq!(InitialMessage::next(&mut piece), Ok(None));
            assert_eq!(piece.len(), length);
        }
        assert_eq!(InitialMessage::next(&mut whole), Ok(Some(message.clone())));
        message.write(HandshakeVersion::One, &mut whole);
        let first = message.addresses[..1].to_vec();
        assert_eq!(InitialMessage::next(&mut whole), Ok(Some(InitialMessage { addresses: first, ..message })));
    }
}
