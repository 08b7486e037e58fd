//! Jute, the serialization of ZooKeeper, written by hand: big-endian, no tags, no padding.

mod error;
mod reader;
mod text;
mod writer;

pub use error::{DecodeError, DecodeErrorKind};
pub use reader::{Reader, VectorLength};
pub use text::{decode_text, text_len, write_text};
pub use writer::Writer;
