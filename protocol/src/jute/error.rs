//! What can be wrong with bytes, and where.

use thiserror::Error;

/// Why bytes could not be decoded, and at which offset of the decoded slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct DecodeError {
    /// What was wrong.
    pub kind: DecodeErrorKind,
    /// Offset in bytes, counted from the start of the slice that was being decoded.
    pub offset: usize,
}

/// The kinds of malformed input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The bytes end inside a field (Java: `EOFException`).
    #[error("the bytes end inside a field")]
    UnexpectedEnd,
    /// A string or buffer length that is negative (other than -1) or above the limit
    /// (Java: `BinaryInputArchive#checkLength`).
    #[error("unreasonable length {0}")]
    UnreasonableLength(i32),
    /// A multi that mixes reads with writes, or holds an operation that a multi may not hold
    /// (Java: `MultiOperationRecord#deserialize`).
    #[error("operation {0} is not allowed here")]
    InvalidOperation(i32),
    /// A number that names no create mode (Java: `CreateMode#fromFlag`).
    #[error("invalid create flags {0}")]
    InvalidCreateMode(i32),
    /// A transaction type that no log holds (Java: `SerializeUtils#deserializeTxn`).
    #[error("unknown transaction type {0}")]
    UnknownTxnType(i32),
    /// A vector whose length is null where the format needs one.
    #[error("a null vector where elements are needed")]
    NullVector,
    /// A record whose field must not be null here.
    #[error("a null field where a value is needed")]
    NullField,
    /// A snapshot that does not end as it should (`Learner#syncWithLeader`).
    #[error("the signature behind the snapshot is missing")]
    Signature,
    /// A record that goes on beyond all that is allowed for one.
    #[error("a record of more than {0} bytes")]
    RecordTooLong(usize),
}
