//! Writing Jute.

use bytes::{BufMut, BytesMut};

use super::text::{text_len, write_text};

/// Jute values at the end of a growing buffer.
///
/// Implemented for [`BytesMut`], so that a reply is written where it will be sent from.
pub trait Writer {
    /// Writes a boolean as one byte.
    fn boolean(&mut self, value: bool);
    /// Writes one byte.
    fn byte(&mut self, value: u8);
    /// Writes an int.
    fn int(&mut self, value: i32);
    /// Writes a long.
    fn long(&mut self, value: i64);
    /// Writes a buffer with its length; `None` is null.
    fn buffer(&mut self, value: Option<&[u8]>);
    /// Writes a string with its length, in Java's encoding.
    fn text(&mut self, value: &str);
    /// Writes a null string, buffer or vector.
    fn null(&mut self);
    /// Writes the count in front of a vector.
    fn count(&mut self, count: usize);
    /// Fills in the length of a buffer that was written in place: its four bytes stand at `start`, and all behind
    /// them belongs to it.
    fn fill_length(&mut self, start: usize);
}

impl Writer for BytesMut {
    fn boolean(&mut self, value: bool) {
        self.put_u8(value.into());
    }

    fn byte(&mut self, value: u8) {
        self.put_u8(value);
    }

    fn int(&mut self, value: i32) {
        self.put_i32(value);
    }

    fn long(&mut self, value: i64) {
        self.put_i64(value);
    }

    fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.null(),
            Some(bytes) => {
                self.count(bytes.len());
                self.put_slice(bytes);
            }
        }
    }

    fn text(&mut self, value: &str) {
        self.count(text_len(value));
        write_text(self, value);
    }

    fn null(&mut self) {
        self.put_i32(-1);
    }

    fn count(&mut self, count: usize) {
        self.put_i32(saturated(count));
    }

    fn fill_length(&mut self, start: usize) {
        let body = start + size_of::<i32>();
        let length = saturated(self.len() - body);
        self[start..body].copy_from_slice(&length.to_be_bytes());
    }
}

/// Nothing near 2 GiB is ever built: frames are bounded by `jute.maxbuffer`, replies by the tree.
fn saturated(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
