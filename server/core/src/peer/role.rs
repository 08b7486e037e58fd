//! The part that a server plays, and how it goes from one to the next.

/// What a server is at the moment (`QuorumPeer.ServerState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It looks for a leader.
    Looking,
    /// It follows a leader, and votes.
    Following,
    /// It leads.
    Leading,
    /// It follows a leader without a vote.
    Observing,
}
