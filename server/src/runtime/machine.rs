//! The machine behind a server: a pipeline for one that stands alone, a peer for a member of an ensemble.

use rookeeper_core::peer::Peer;
use rookeeper_core::pipeline::{Now, Pipeline};
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::SessionId;

/// What requests go through.
#[derive(Debug)]
pub(crate) enum Machine {
    /// The server stands alone: what is flushed is agreed on.
    Alone(Box<Pipeline>),
    /// The server is one of several.
    Member(Box<Peer>),
}

impl Machine {
    pub(crate) fn pipeline(&self) -> &Pipeline {
        match self {
            Self::Alone(pipeline) => pipeline,
            Self::Member(peer) => peer.pipeline(),
        }
    }

    pub(crate) fn pipeline_mut(&mut self) -> &mut Pipeline {
        match self {
            Self::Alone(pipeline) => pipeline,
            Self::Member(peer) => peer.pipeline_mut(),
        }
    }

    /// The member; `None` where the server stands alone.
    pub(crate) fn member(&self) -> Option<&Peer> {
        match self {
            Self::Alone(_) => None,
            Self::Member(peer) => Some(peer),
        }
    }

    /// The same, to be changed.
    pub(crate) fn member_mut(&mut self) -> Option<&mut Peer> {
        match self {
            Self::Alone(_) => None,
            Self::Member(peer) => Some(peer),
        }
    }

    /// A new session for a connection; its createSession request is what comes next.
    pub(crate) fn begin_session(&mut self, now: Now, timeout_ms: i32, conn: ConnId) -> SessionId {
        match self {
            Self::Alone(pipeline) => pipeline.begin_session(now, timeout_ms, conn),
            Self::Member(peer) => peer.begin_session(now, timeout_ms, conn),
        }
    }

    /// Whether clients are served, if only readers, as far as it depends on other servers.
    pub(crate) fn is_serving(&self) -> bool {
        self.member().is_none_or(|peer| peer.is_serving() || peer.is_read_only())
    }

    /// Whether the server only shows what it has, since it finds no quorum.
    pub(crate) fn is_read_only(&self) -> bool {
        self.member().is_some_and(Peer::is_read_only)
    }

    /// What the server is, as operators are told (`ServerStats.Provider#getState`).
    pub(crate) fn mode(&self) -> &'static str {
        let Self::Member(peer) = self else { return "standalone" };
        match peer.peer_state() {
            _ if peer.is_read_only() => "read-only",
            PeerState::Looking => "looking",
            PeerState::Leading => "leader",
            PeerState::Following => "follower",
            PeerState::Observing => "observer",
        }
    }

    /// Whether what happens by itself (sessions that expire, containers that go) happens here.
    pub(crate) fn is_in_charge(&self) -> bool {
        self.member().is_none_or(Peer::is_established_leader)
    }
}
