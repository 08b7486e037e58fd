//! Frames: a length and so many bytes, in both directions.

use byteorder::{BigEndian, ByteOrder};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::jute::Writer;

/// Length of the length in front of every frame.
pub const FRAME_HEADER_LEN: usize = 4;

/// One frame's contents.
pub type Frame = Bytes;

/// A frame that must not be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Too short or too long; on the client port negative, or above `jute.maxbuffer` (`NIOServerCnxn#readLength`).
    #[error("frame of {length} bytes; {length_min} to {length_max} are allowed")]
    Length {
        /// The length that was announced.
        length: i32,
        /// The shortest that is accepted.
        length_min: usize,
        /// The longest that is accepted.
        length_max: usize,
    },
}

/// Cuts frames off the front of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct FrameDecoder {
    length_min: usize,
    length_max: usize,
}

impl FrameDecoder {
    /// Accepts frames of at most `length_max` bytes.
    pub fn new(length_max: usize) -> Self {
        Self::with_min(0, length_max)
    }

    /// Accepts frames of `length_min` to `length_max` bytes.
    pub fn with_min(length_min: usize, length_max: usize) -> Self {
        Self { length_min, length_max }
    }

    /// The length of the frame at the front of `buffer`, once its four bytes are there.
    pub fn peek_length(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        if buffer.len() < FRAME_HEADER_LEN {
            return Ok(None);
        }
        let length = BigEndian::read_i32(buffer);
        match usize::try_from(length) {
            Ok(length) if (self.length_min..=self.length_max).contains(&length) => Ok(Some(length)),
            _ => Err(FrameError::Length { length, length_min: self.length_min, length_max: self.length_max }),
        }
    }

    /// Takes the next whole frame, if it is there. Nothing is copied.
    pub fn next_frame(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.peek_length(buffer)? else { return Ok(None) };
        if buffer.len() < FRAME_HEADER_LEN + length {
            return Ok(None);
        }
        buffer.advance(FRAME_HEADER_LEN);
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

/// Begins a frame whose length is not known yet; returns what [`finish_frame`] needs.
pub fn start_frame(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_i32(0);
    start
}

/// Fills in the length of the frame begun at `start`.
pub fn finish_frame(out: &mut BytesMut, start: usize) {
    out.fill_length(start);
}

/// The framing as a tokio-util codec.
#[cfg(feature = "codec")]
#[derive(Debug, Clone, Copy)]
pub struct FrameCodec(pub FrameDecoder);

#[cfg(feature = "codec")]
impl tokio_util::codec::Decoder for FrameCodec {
    type Item = Frame;
    type Error = std::io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Self::Error> {
        let frame = self.0.next_frame(buffer);
        frame.map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    }
}

#[cfg(feature = "codec")]
impl tokio_util::codec::Encoder<&[u8]> for FrameCodec {
    type Error = std::io::Error;

    fn encode(&mut self, frame: &[u8], out: &mut BytesMut) -> Result<(), Self::Error> {
        let start = start_frame(out);
        out.put_slice(frame);
        finish_frame(out, start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_come_off_whole() {
        let decoder = FrameDecoder::new(3);
        let mut buffer = BytesMut::from(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0][..]);
        assert_eq!(decoder.next_frame(&mut buffer).unwrap().unwrap(), [7, 8][..]);
        assert_eq!(decoder.next_frame(&mut buffer).unwrap().unwrap(), [][..]);
        assert_eq!(decoder.next_frame(&mut buffer).unwrap(), None);
        assert_eq!(buffer.len(), 3);
    }

    #[test]
    fn bad_lengths_are_refused_at_once() {
        let decoder = FrameDecoder::new(3);
        for (bytes, length) in [([0, 0, 0, 4], 4), ([0xFF; 4], -1)] {
            let error = decoder.next_frame(&mut BytesMut::from(&bytes[..])).unwrap_err();
            assert_eq!(error, FrameError::Length { length, length_min: 0, length_max: 3 });
        }
    }
}
