//! Reading Jute from a slice, with every length checked.

use std::borrow::Cow;

use super::error::{DecodeError, DecodeErrorKind};
use super::text::{decode_text, read_i32, read_i64};

/// Reads Jute values from a slice, without copying.
///
/// The limit on inner lengths is Java's `jute.maxbuffer` plus its extra size
/// (`BinaryInputArchive#checkLength`). Since a slice is already in memory, a length within the limit but
/// beyond the slice is an [`DecodeErrorKind::UnexpectedEnd`] and reserves nothing.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    length_max: i32,
}

/// The count in front of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorLength {
    /// Length -1: the vector itself is null.
    Null,
    /// So many elements follow. Java takes every other negative length as zero.
    Elements(usize),
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`, accepting inner strings and buffers of any length that fits.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_limit(bytes, i32::MAX)
    }

    /// Reads from `bytes`, refusing inner strings and buffers of more than `length_max` bytes.
    pub fn with_limit(bytes: &'a [u8], length_max: i32) -> Self {
        Self { bytes, position: 0, length_max }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// What is left, unread.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// An error of the given kind at the present position.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { kind, offset: self.position }
    }

    /// Reads a record with `read` from bytes of which some may not have arrived yet: then there is none so far. A
    /// record that goes on beyond `length_max` bytes is refused as soon as so many are there.
    pub fn arriving<T>(
        &mut self,
        length_max: usize,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let start = self.position;
        let (record, end) = match read(self) {
            Err(DecodeError { kind: DecodeErrorKind::UnexpectedEnd, .. }) => (Ok(None), self.bytes.len()),
            record => (record.map(Some), self.position),
        };
        if end - start > length_max {
            return Err(DecodeError { kind: DecodeErrorKind::RecordTooLong(length_max), offset: end });
        }
        record
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.position.checked_add(count).filter(|end| *end <= self.bytes.len());
        match end {
            Some(end) => {
                let taken = &self.bytes[self.position..end];
                self.position = end;
                Ok(taken)
            }
            None => Err(self.error(DecodeErrorKind::UnexpectedEnd)),
        }
    }

    /// Reads one byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    /// Reads a boolean: every byte but zero is true.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        Ok(self.byte()? != 0)
    }

    /// Reads an int.
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        Ok(read_i32(self.take(4)?))
    }

    /// Reads a long.
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        Ok(read_i64(self.take(8)?))
    }

    /// Reads a buffer; length -1 is null, which ZooKeeper tells from an empty one.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        if length < 0 || length > self.length_max {
            return Err(self.error(DecodeErrorKind::UnreasonableLength(length)));
        }
        self.take(length as usize).map(Some)
    }

    /// Reads a string; length -1 is null. Bytes that are not UTF-8 are replaced as Java does.
    pub fn text(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer()?.map(decode_text))
    }

    /// Reads the count in front of a vector.
    pub fn vector(&mut self) -> Result<VectorLength, DecodeError> {
        Ok(match self.int()? {
            -1 => VectorLength::Null,
            count => VectorLength::Elements(count.max(0) as usize),
        })
    }

    /// Reads a vector of strings. Null yields `None`.
    ///
    /// Elements are read one by one, so that a huge count in a short frame ends with
    /// [`DecodeErrorKind::UnexpectedEnd`] before memory is reserved for it.
    pub fn text_vector(&mut self) -> Result<Option<Vec<Option<Cow<'a, str>>>>, DecodeError> {
        match self.vector()? {
            VectorLength::Null => Ok(None),
            VectorLength::Elements(count) => {
                let mut elements = Vec::with_capacity(count.min(self.remaining() / 4));
                for _ in 0..count {
                    elements.push(self.text()?);
                }
                Ok(Some(elements))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn null_empty_and_negative_lengths_are_told_apart() {
        let mut reader = Reader::with_limit(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFE], 10);
        assert_eq!(reader.buffer().unwrap(), None);
        assert_eq!(reader.buffer().unwrap(), Some(&[][..]));
        assert_eq!(
            reader.buffer().unwrap_err(),
            DecodeError { kind: DecodeErrorKind::UnreasonableLength(-2), offset: 12 }
        );
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_the_end_is_noticed() {
        let mut reader = Reader::with_limit(&[0, 0, 0, 11], 10);
        assert_eq!(reader.text().unwrap_err().kind, DecodeErrorKind::UnreasonableLength(11));
        let mut reader = Reader::with_limit(&[0, 0, 0, 10], 10);
        assert_eq!(reader.text().unwrap_err().kind, DecodeErrorKind::UnexpectedEnd);
    }

    #[test]
    fn a_huge_vector_in_a_short_frame_ends_early() {
        let mut reader = Reader::new(&[0x7F, 0xFF, 0xFF, 0xFF]);
        assert_eq!(reader.text_vector().unwrap_err().kind, DecodeErrorKind::UnexpectedEnd);
        assert_eq!(Reader::new(&[0x80, 0, 0, 0]).text_vector().unwrap(), Some(vec![]));
    }
}
