//! What servers tell each other in an election (`FastLeaderElection`).

use std::borrow::Cow;

use bytes::BytesMut;

use crate::client::FrameDecoder;
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Writer, decode_text};
use crate::types::{ServerId, Zxid};

/// Longest message on an election connection in bytes (`QuorumCnxManager#PACKETMAXSIZE`).
pub const ELECTION_MESSAGE_LEN_MAX: usize = 512 * 1024;

/// The form that is sent: with the text of the active configuration.
const CURRENT_VERSION: i32 = 2;

/// Length of a message before ZooKeeper 3.4, which has no peer epoch.
const OLDEST_LEN: usize = 28;

/// Length of a message whose version does not count, though there are four bytes for it.
const UNVERSIONED_LEN: usize = 40;

/// How the messages of an election connection are cut. One without a byte ends the connection, as one that is too long
/// (`QuorumCnxManager.RecvWorker`).
pub fn election_frames() -> FrameDecoder {
    FrameDecoder::with_min(1, ELECTION_MESSAGE_LEN_MAX)
}

/// What a server is doing (`QuorumPeer.ServerState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum PeerState {
    /// Looks for a leader.
    Looking = 0,
    /// Follows one.
    Following = 1,
    /// Leads.
    Leading = 2,
    /// Follows one without a vote.
    Observing = 3,
}

impl PeerState {
    /// The state of this number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Looking,
            1 => Self::Following,
            2 => Self::Leading,
            3 => Self::Observing,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// A vote, and who gave it under which circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification<'a> {
    /// Number of the sender's [`PeerState`], or not: Java answers a server without a vote whatever stands here.
    pub state: i32,
    /// Whom it votes for.
    pub leader: ServerId,
    /// The last transaction that this one has logged.
    pub zxid: Zxid,
    /// The sender's round of voting.
    pub election_epoch: i64,
    /// The last epoch that the one voted for has taken part in.
    pub peer_epoch: i64,
    /// The message's form; 0 for the two that do not tell.
    pub version: i32,
    /// The text of the sender's active configuration; absent in old forms.
    pub config: Option<Cow<'a, str>>,
}

impl<'a> Notification<'a> {
    /// Reads a message in any of its forms, which only its length tells apart. Where this fails Java passes over the
    /// message and keeps the connection (`FastLeaderElection.Messenger.WorkerReceiver`).
    pub fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let (state, leader, zxid) = (reader.int()?, ServerId(reader.long()?), Zxid(reader.long()?));
        let election_epoch = reader.long()?;
        // The epoch's sign is kept: the zxid of an observer's vote is negative.
        let peer_epoch = if message.len() == OLDEST_LEN { zxid.0 >> 32 } else { reader.long()? };
        let version = if matches!(message.len(), OLDEST_LEN | UNVERSIONED_LEN) { 0 } else { reader.int()? };
        let config = if version > 1 { Some(read_config(&mut reader)?) } else { None };
        Ok(Self { state, leader, zxid, election_epoch, peer_epoch, version, config })
    }

    /// Writes the message in the form of today, whatever form it was read from (`FastLeaderElection#buildMsg`).
    pub fn write(&self, out: &mut BytesMut) {
        let config = self.config.as_deref().unwrap_or_default();
        out.int(self.state);
        out.long(self.leader.0);
        out.long(self.zxid.0);
        out.long(self.election_epoch);
        out.long(self.peer_epoch);
        out.int(CURRENT_VERSION);
        // Plain UTF-8 here, unlike everywhere else.
        out.buffer(Some(config.as_bytes()));
    }
}

fn read_config<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, DecodeError> {
    const NULL: i32 = -1;
    let text = reader.buffer()?;
    text.map(decode_text).ok_or_else(|| reader.error(DecodeErrorKind::UnreasonableLength(NULL)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::BufMut;

    /// The fields up to the election epoch, which all forms have.
    fn oldest() -> BytesMut {
        let mut message = BytesMut::new();
        message.put_i32(1);
        message.put_i64(7);
        message.put_i64(-2 << 32 | 5);
        message.put_i64(9);
        message
    }

    /// Forms up to 40 bytes and above, made by hand.
    fn message(versioned: i32, rest: &[u8]) -> BytesMut {
        let mut message = oldest();
        message.put_i64(11);
        message.put_i32(versioned);
        message.put_slice(rest);
        message
    }

    fn read(message: &[u8]) -> Option<(i64, i32, Option<String>)> {
        let read = Notification::read(message).ok()?;
        assert_eq!((read.state, read.leader, read.election_epoch), (1, ServerId(7), 9));
        assert_eq!(read.zxid, Zxid(-2 << 32 | 5));
        Some((read.peer_epoch, read.version, read.config.map(Cow::into_owned)))
    }

    #[test]
    fn the_length_tells_the_form() {
        assert_eq!(read(&oldest()), Some((-2, 0, None)));
        // The version does not count at this length, as if there were none.
        assert_eq!(read(&message(2, b"")), Some((11, 0, None)));
        assert_eq!(read(&message(1, b"x")), Some((11, 1, None)));
        assert_eq!(read(&message(-5, b"xyz")), Some((11, -5, None)));
        assert_eq!(read(&message(2, b"\0\0\0\0")), Some((11, 2, Some(String::new()))));
        assert_eq!(read(&message(2, b"\0\0\0\x03abcd")), Some((11, 2, Some("abc".to_owned()))));
        assert_eq!(read(&message(3, b"\0\0\0\x02\xffb")), Some((11, 3, Some("\u{fffd}b".to_owned()))));
    }

    #[test]
    fn malformed_messages_are_refused() {
        let whole = message(2, b"\0\0\0\x03abc");
        for length in (0..whole.len()).filter(|length| ![OLDEST_LEN, UNVERSIONED_LEN].contains(length)) {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        for length in [&b"\xff\xff\xff\xff"[..], b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x04abc"] {
            assert_eq!(read(&message(2, length)), None, "{length:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let config = Some(Cow::Borrowed("server.1=\u{1F600}:1:2:participant\nversion=0"));
        let state = PeerState::Leading.number();
        let (leader, zxid) = (ServerId(i64::MIN), Zxid(i64::MIN));
        let vote = Notification { state, leader, zxid, election_epoch: -1, peer_epoch: 2, version: 2, config };
        let mut out = BytesMut::new();
        vote.write(&mut out);
        assert_eq!(Notification::read(&out).unwrap(), vote);
    }

    #[test]
    fn messages_have_at_least_a_byte() {
        election_frames().next_frame(&mut BytesMut::from(&[0; 4][..])).unwrap_err();
        let mut frame = BytesMut::from(&[0, 8, 0, 0][..]);
        assert_eq!(election_frames().peek_length(&frame), Ok(Some(ELECTION_MESSAGE_LEN_MAX)));
        frame[3] = 1;
        election_frames().peek_length(&frame).unwrap_err();
    }
}
