//! What all replies have in common.

use bytes::BytesMut;

use super::frame::{finish_frame, start_frame};
use super::header::ReplyHeader;
use crate::jute::Writer;
use crate::types::{ErrorCode, Zxid};

/// Begins the frame of a successful reply; the body follows, then [`finish_frame`](super::finish_frame).
pub fn write_reply_header(out: &mut BytesMut, xid: i32, zxid: Zxid) -> usize {
    let start = start_frame(out);
    ReplyHeader { xid, zxid, error: ErrorCode::Ok.number() }.write(out);
    start
}

/// Writes a whole reply that has no body: an error, or the success of an operation without a result.
pub fn write_error_reply(out: &mut BytesMut, xid: i32, zxid: Zxid, error: ErrorCode) {
    let start = start_frame(out);
    ReplyHeader { xid, zxid, error: error.number() }.write(out);
    finish_frame(out, start);
}

/// Writes a vector of names.
pub fn write_children<'a>(out: &mut BytesMut, count: usize, names: impl Iterator<Item = &'a str>) {
    out.count(count);
    for name in names {
        out.text(name);
    }
}
