//! The decoders of the protocol: no panic, nothing invented, and what was read is written back as it was.

use bytes::BytesMut;
use rookeeper_protocol::client::{
    AddWatchRequest, AuthRequest, CheckRequest, ConnectRequest, ConnectResponse, CreateRequest, DeleteRequest,
    FRAME_HEADER_LEN, FourLetterWord, Frame, FrameDecoder, FrameError, MultiRequest, PathRequest, PathWatchRequest,
    ReconfigRequest, ReplyHeader, RequestHeader, SetAclRequest, SetDataRequest, SetWatchesRequest, WatchEvent,
    WatchTypeRequest,
};
use rookeeper_protocol::jute::{DecodeError, Reader};
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{Stat, StatPersisted};

/// Reads with one decoder. A reader never stands behind its bytes, and says where it failed.
fn read<'a, T>(data: &'a [u8], decode: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>) -> Option<T> {
    let mut reader = Reader::new(data);
    let result = decode(&mut reader);
    assert!(reader.position() <= data.len());
    assert_eq!(reader.position() + reader.remaining(), data.len());
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// The contents of the only frame in these bytes.
fn only_frame(mut bytes: BytesMut) -> Frame {
    let frame = FrameDecoder::new(usize::MAX).next_frame(&mut bytes);
    assert!(bytes.is_empty());
    frame.ok().flatten().expect("what is written as a frame is a frame")
}

/// A connect request, and the handshake's answer: what was understood survives being written.
pub fn connect(data: &[u8]) {
    if let Some(request) = read(data, ConnectRequest::read) {
        let mut out = BytesMut::new();
        request.write_frame(&mut out);
        assert_eq!(read(&only_frame(out), ConnectRequest::read), Some(request));
    }
    if let Some(response) = read(data, ConnectResponse::read) {
        let mut out = BytesMut::new();
        response.write_frame(&mut out);
        assert_eq!(read(&only_frame(out), ConnectResponse::read), Some(response));
    }
}

/// Every body that a request may have.
pub fn request(data: &[u8]) {
    read(data, RequestHeader::read);
    read(data, CreateRequest::read);
    read(data, CreateRequest::read_ttl);
    read(data, DeleteRequest::read);
    read(data, SetDataRequest::read);
    read(data, SetAclRequest::read);
    read(data, CheckRequest::read);
    read(data, PathRequest::read);
    read(data, PathWatchRequest::read);
    read(data, ReconfigRequest::read);
    read(data, WatchTypeRequest::read);
    read(data, AddWatchRequest::read);
    read(data, AuthRequest::read);
    read(data, SetWatchesRequest::read);
    read(data, SetWatchesRequest::read2);
}

/// A multi has one kind of operations, and no more of them than its bytes can hold.
pub fn multi(data: &[u8]) {
    // The header alone has nine bytes.
    const OP_BYTES_MIN: usize = 9;
    if let Some(request) = read(data, MultiRequest::read) {
        assert!(request.ops.len() <= data.len() / OP_BYTES_MIN);
        assert!(request.ops.iter().all(|op| op.kind() == request.ops[0].kind()));
    }
}

/// What clients read from servers.
pub fn reply(data: &[u8]) {
    read(data, ReplyHeader::read);
    read(data, Stat::read);
    read(data, StatPersisted::read);
    read(data, WatchEvent::read);
}

/// A log entry. Broken text is mended by the first reading and may be broken again by the first writing (a
/// character beyond the basic plane), as in Java; from then on nothing changes any more.
pub fn log_entry(data: &[u8]) {
    let Ok(entry) = LogEntry::read(data) else { return };
    let again = |entry: &LogEntry| {
        let mut out = BytesMut::new();
        entry.write(&mut out);
        LogEntry::read(&out).expect("what is written can be read")
    };
    let second = again(&entry);
    assert_eq!(entry.header, second.header);
    assert_eq!(entry.digest, second.digest);
    assert_eq!(entry.txn.kind(), second.txn.kind());
    assert_eq!(second, again(&second));
}

/// Frames come off a stream the same, however it arrives. The first two bytes say what is allowed and how much
/// arrives at once.
pub fn frames(data: &[u8]) {
    let [length_max, step, stream @ ..] = data else { return };
    let decoder = FrameDecoder::new(usize::from(*length_max));
    let whole = cut(decoder, stream, stream.len().max(1));
    assert_eq!(whole, cut(decoder, stream, usize::from(*step).max(1)));
    let taken: usize = whole.0.iter().map(|frame| FRAME_HEADER_LEN + frame.len()).sum();
    assert_eq!(taken + whole.2, stream.len());
    assert!(whole.0.iter().all(|frame| frame.len() <= usize::from(*length_max)));
}

/// The frames of a stream that arrives in pieces, the error at its end, and how many bytes were left.
fn cut(decoder: FrameDecoder, stream: &[u8], step: usize) -> (Vec<Frame>, Option<FrameError>, usize) {
    let (mut frames, mut buffer) = (Vec::new(), BytesMut::new());
    let mut arrived = 0;
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        arrived += piece.len();
        loop {
            match decoder.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error), buffer.len() + stream.len() - arrived),
            }
        }
    }
    (frames, None, buffer.len())
}

/// A word is known by its four letters alone.
pub fn four_letter(data: &[u8]) {
    let starts = |word: &&FourLetterWord| data.starts_with(word.text().as_bytes());
    let telnet = data.starts_with(&[0xff, 0xf4, 0xff, 0xfd]).then_some(FourLetterWord::TelnetClose);
    assert_eq!(FourLetterWord::read(data), FourLetterWord::ALL.iter().find(starts).copied().or(telnet));
}
