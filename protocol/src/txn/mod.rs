//! What is agreed upon and logged: a header, a body, and the digest of the tree that results.

mod body;
mod digest;
mod entry;
mod header;

pub use body::{CreateTxn, MultiPart, Txn};
pub use digest::{DIGEST_VERSION, TxnDigest, znode_digest};
pub use entry::LogEntry;
pub use header::TxnHeader;
