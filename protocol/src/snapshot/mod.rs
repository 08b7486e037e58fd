//! The whole tree as a stream, as a leader sends it behind a SNAP packet (`ZKDatabase#serializeSnapshot`).
//!
//! ```text
//!   number of sessions, that many of (id, timeout)
//!   number of lists,    that many of (key, ACL)        open to everybody has a key but stands nowhere
//!   (path, data, key of the ACL, stat) ...             parents before their children
//!   "/"                                                in place of a path; the root's own is empty
//!   "BenWasHere"                                       the signature, by which the stream is known to be whole
//! ```
//!
//! The files of snapshots have a header in front of this, and seals and digests behind it, but no signature; none of
//! these are in the stream.

mod item;
mod parser;
mod stage;
mod writer;

pub use item::{OPEN_ACL_KEY, SnapshotItem, SnapshotZnode};
pub use parser::SnapshotParser;
pub use writer::{OutOfOrder, SnapshotWriter};

#[cfg(test)]
mod tests;
