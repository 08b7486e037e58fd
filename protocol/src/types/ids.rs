//! The numbers that name things: servers, sessions and transactions.

use std::fmt;

/// A transaction's place in the one order of all writes: epoch in the high 32 bits, counter in the low
/// ones (`ZxidUtils`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before the first transaction.
    pub const ZERO: Zxid = Zxid(0);
    /// What a server tells instead of its last zxid when it does not know what it lacks.
    pub const UNKNOWN: Zxid = Zxid(-1);

    /// Builds a zxid from its two halves.
    pub fn new(epoch: u32, counter: u32) -> Self {
        Zxid((i64::from(epoch) << 32) | i64::from(counter))
    }

    /// The epoch of the leader that proposed it.
    pub fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Its number within the epoch.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The zxid of the transaction proposed after this one.
    pub fn next(self) -> Self {
        Zxid(self.0.wrapping_add(1))
    }
}

/// Prints as Java does, in hexadecimal with `0x` in front.
impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A server of an ensemble: the number in its file `myid`, and behind `server.` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

/// Prints as Java does, in decimal.
impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A client's session. The high byte is the id of the server that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: what a client that has none yet sends, and what internal requests carry.
    pub const NONE: SessionId = SessionId(0);
}

/// Prints as Java does, in hexadecimal with `0x` in front.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}
