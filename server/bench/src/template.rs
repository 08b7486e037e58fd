//! Request frames encoded once, with their changing parts patched in place.
//!
//! A benchmark that shares two cores with the server must not spend its time on encoding: every request is a copy of
//! a ready frame, in which the xid and a few numbers of fixed width are overwritten.

use bytes::{BufMut, BytesMut};
use rookeeper_protocol::client::{RequestHeader, finish_frame, start_frame};
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, OpCode, write_acls};

/// Stands for a number in the paths and values of templates.
pub(crate) const PLACEHOLDER: &str = "########";

/// Digits of a number; numbers stay below [`NUMBER_MAX`].
const WIDTH: usize = PLACEHOLDER.len();

/// The first number that does not fit into a placeholder.
pub(crate) const NUMBER_MAX: u32 = 100_000_000;

/// Where the xid stands in a frame: behind the length.
const XID_AT: usize = 4;

/// Where the path's length stands in every request that begins with a path: behind length, xid and operation.
const PATH_AT: usize = 12;

/// `number` as [`WIDTH`] decimal digits.
pub(crate) fn digits(number: u32) -> [u8; WIDTH] {
    let mut digits = [b'0'; WIDTH];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

/// A request frame with placeholders.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
    path_len: usize,
}

/// A placeholder: the number is divided before it is written, so that one number can name a folder and a znode in it.
#[derive(Debug, Clone, Copy)]
struct Patch {
    at: usize,
    divisor: u32,
}

impl Template {
    /// A frame of the operation with the body that `body` writes; it begins with `path`. The placeholders in it are
    /// filled with the number divided by `divisors`, one after the other; missing divisors are 1.
    fn new(op: OpCode, path: &str, divisors: &[u32], body: impl FnOnce(&mut BytesMut)) -> Self {
        let mut frame = BytesMut::new();
        let start = start_frame(&mut frame);
        RequestHeader { xid: 0, op: op.number() }.write(&mut frame);
        frame.text(path);
        body(&mut frame);
        finish_frame(&mut frame, start);
        let bytes = frame.to_vec();
        let mut patches = Vec::new();
        let mut at = 0;
        while at + WIDTH <= bytes.len() {
            if bytes[at..at + WIDTH] == *PLACEHOLDER.as_bytes() {
                patches.push(Patch { at, divisor: divisors.get(patches.len()).copied().unwrap_or(1) });
                at += WIDTH;
            } else {
                at += 1;
            }
        }
        Self { bytes, patches, path_len: path.len() }
    }

    /// getData, exists or getChildren, with or without a watch.
    pub(crate) fn read(op: OpCode, path: &str, divisors: &[u32], watch: bool) -> Self {
        Self::new(op, path, divisors, |out| out.boolean(watch))
    }

    /// create of a persistent znode that anyone may use.
    pub(crate) fn create(path: &str, divisors: &[u32], value: &[u8]) -> Self {
        Self::new(OpCode::Create, path, divisors, |out| {
            out.buffer(Some(value));
            write_acls(out, &[Acl::open()]);
            out.int(0);
        })
    }

    /// setData of any version.
    pub(crate) fn set(path: &str, divisors: &[u32], value: &[u8]) -> Self {
        Self::new(OpCode::SetData, path, divisors, |out| {
            out.buffer(Some(value));
            out.int(-1);
        })
    }

    /// delete of any version.
    pub(crate) fn delete(path: &str, divisors: &[u32]) -> Self {
        Self::new(OpCode::Delete, path, divisors, |out| out.int(-1))
    }

    /// sync.
    pub(crate) fn sync(path: &str) -> Self {
        Self::new(OpCode::Sync, path, &[], |_| {})
    }

    /// addWatch with the number of its mode.
    pub(crate) fn add_watch(path: &str, mode: i32) -> Self {
        Self::new(OpCode::AddWatch, path, &[], |out| out.int(mode))
    }

    /// Length of the frame in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the request for `number` to `out`.
    #[inline]
    pub(crate) fn put(&self, xid: i32, number: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let frame = &mut out[start..];
        frame[XID_AT..XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
        for patch in &self.patches {
            frame[patch.at..patch.at + WIDTH].copy_from_slice(&digits(number / patch.divisor));
        }
    }

    /// Whether `text` (a string with its length, as in the reply to create) is the path of the request for `number`.
    pub(crate) fn is_path(&self, number: u32, text: &[u8]) -> bool {
        let end = PATH_AT + 4 + self.path_len;
        if text.len() != 4 + self.path_len {
            return false;
        }
        let mut from = PATH_AT;
        for patch in self.patches.iter().take_while(|patch| patch.at < end) {
            let (at, sent) = (patch.at - PATH_AT, digits(number / patch.divisor));
            if text[from - PATH_AT..at] != self.bytes[from..patch.at] || text[at..at + WIDTH] != sent {
                return false;
            }
            from = patch.at + WIDTH;
        }
        text[from - PATH_AT..] == self.bytes[from..end]
    }
}

/// A request without a body: ping, closeSession.
pub(crate) fn bare_request(xid: i32, op: OpCode) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let start = start_frame(&mut frame);
    RequestHeader { xid, op: op.number() }.write(&mut frame);
    finish_frame(&mut frame, start);
    frame.to_vec()
}

/// The data of the benchmark's znodes: the znode's number where there is room for it, then a filler.
///
/// Every znode holds its own number whatever workload wrote it, so that every read can be checked.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    bytes: Vec<u8>,
}

impl Value {
    /// A value of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(size);
        if size >= WIDTH {
            bytes.put_slice(PLACEHOLDER.as_bytes());
        }
        let filler = (bytes.len()..size).map(|at| b'a' + (at % 26) as u8);
        bytes.extend(filler);
        Self { bytes: bytes.to_vec() }
    }

    /// The bytes for a template.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether `data` is what the znode of this number holds.
    #[inline]
    pub(crate) fn is(&self, number: u32, data: &[u8]) -> bool {
        if data.len() != self.bytes.len() {
            return false;
        }
        let numbered = if data.len() >= WIDTH { WIDTH } else { 0 };
        data[numbered..] == self.bytes[numbered..] && (numbered == 0 || data[..WIDTH] == digits(number))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rookeeper_protocol::client::CreateRequest;
    use rookeeper_protocol::jute::Reader;

    #[test]
    fn a_patched_create_reads_as_the_request_it_stands_for() {
        let value = Value::new(20);
        let template = Template::create("/a/d########/n########", &[1000, 1], value.bytes());
        let mut out = vec![9];
        template.put(7, 12_345, &mut out);
        let mut reader = Reader::new(&out[5..]);
        assert_eq!(RequestHeader::read(&mut reader), Ok(RequestHeader { xid: 7, op: 1 }));
        let request = CreateRequest::read(&mut reader).unwrap();
        assert_eq!(request.path.as_deref(), Some("/a/d00000012/n00012345"));
        assert!(value.is(12_345, request.data.unwrap_or_default()));
        assert!(!value.is(12_346, request.data.unwrap_or_default()));
        assert_eq!(reader.remaining(), 0);
        assert!(template.is_path(12_345, &out[13..13 + 4 + 22]));
        assert!(!template.is_path(12_346, &out[13..13 + 4 + 22]));
        assert!(!template.is_path(12_345, &out[13..13 + 4 + 21]));
    }

    #[test]
    fn values_too_short_for_a_number_are_all_filler() {
        let value = Value::new(7);
        assert_eq!(value.bytes(), b"abcdefg");
        assert!(value.is(5, b"abcdefg"));
        assert!(!value.is(5, b"abcdefgh"));
        assert!(Value::new(0).is(1, b""));
    }
}
