//! The image: the tree as it was at one zxid, in a key-value store.

mod delta;
mod image;

pub use delta::Delta;
pub use image::{Cursor, IMAGE_FORMAT_VERSION, Image, ImageCounts, ImageEntry, ImageSnapshot, VisitImage};
