//! Which connection an election message goes over (`QuorumCnxManager`).
//!
//! Between two servers there is one connection, and the one with the larger number has opened it. The other one
//! can only knock: it connects, says who it is, hangs up, and is called back.
//!
//! ```text
//!             send, or somebody knocked              it stands, and is ours to open
//!   no link ---------------------------> dialling ----------------------------------> linked
//!      ^                                   |                                            |  ^
//!      |   failed, or only knocked         |     the larger number has called           |  | a newer one takes
//!      +-----------------------------------+ <------------------------------------------+  | its place
//!      |                                                                                |--+
//!      +--------------------------------------- ended ----------------------------------+
//! ```
//!
//! A message that was not sent is worth nothing once there is a newer one, so one waits at most. A message that
//! was sent may not have arrived when a connection ends, so the last one is sent again over the next, which is
//! opened at once. If that fails the other server is gone, and an election need not wait for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use rookeeper_protocol::peer::LEGACY_OBSERVER;
use rookeeper_protocol::types::{HostPort, ServerId};

/// How many other servers are known at most. An ensemble has far fewer; but anybody may call, and who is to join
/// an ensemble is not in its list yet.
pub const LINKS_MAX: usize = 256;

/// The first wait in milliseconds before a message that still waits makes another attempt to connect. Java leaves
/// that to the next message, which may come a minute later.
const RETRY_MS_MIN: i64 = 100;

/// The longest such wait: how long a server at most stays unheard that can be reached again.
const RETRY_MS_MAX: i64 = 2_000;

/// How long a message makes attempts; as long as an election waits at most before it repeats its vote.
const RETRY_FOR_MS: i64 = 60_000;

/// A connection that lived for less was perhaps accepted only to be closed: the next one is made with a pause.
const STABLE_MS: i64 = 1_000;

/// How many attempts to reach one server are under way at most.
const DIALS_MAX: u8 = 6;

/// A connection, numbered by who opened or accepted it; no number comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutput {
    /// Connect to the election port of a server and say who this server is. Answered by [`Links::on_dialed`] or
    /// [`Links::on_dial_failed`], after the connect timeout (`cnxTimeout`) at the latest.
    Dial {
        /// Which server.
        to: ServerId,
        /// Where, as it said itself; if it is silent about that, where the lists of members say.
        at: Vec<HostPort>,
    },
    /// Send a message. Answered by [`Links::on_written`], or by [`Links::on_closed`].
    Write {
        /// The connection.
        link: LinkId,
        /// What stands behind its length.
        message: Bytes,
    },
    /// End a connection. It is not reported as closed.
    Close(LinkId),
    /// There is a connection with this server (anew): what comes from it is to be taken as the server's.
    Linked {
        /// The other end.
        with: ServerId,
        /// The connection.
        link: LinkId,
    },
    /// There is none, and an attempt to make one has failed.
    Unreachable(ServerId),
}

/// The connections of one server's elections.
#[derive(Debug, Clone)]
pub struct Links {
    my_id: ServerId,
    peers: BTreeMap<ServerId, Peer>,
    /// The number of the next caller that has none.
    next_stranger: i64,
}

#[derive(Debug, Clone)]
struct Peer {
    link: Option<LinkId>,
    /// A message is being written.
    writing: bool,
    /// Attempts to connect that are under way.
    dialling: u8,
    /// When the last of them began.
    dialled_at_ms: i64,
    /// The message that waits.
    pending: Option<Bytes>,
    /// The message that went out last.
    last: Option<Bytes>,
    /// When the connection was made.
    linked_at_ms: i64,
    /// The next pause before an attempt.
    retry_ms: i64,
    retry_at_ms: Option<i64>,
    retry_until_ms: i64,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            link: None,
            writing: false,
            dialling: 0,
            dialled_at_ms: 0,
            pending: None,
            last: None,
            linked_at_ms: 0,
            retry_ms: RETRY_MS_MIN,
            retry_at_ms: None,
            retry_until_ms: 0,
        }
    }
}

impl Links {
    /// A server without connections.
    pub fn new(my_id: ServerId) -> Self {
        Self { my_id, peers: BTreeMap::new(), next_stranger: -1 }
    }

    /// When [`on_timeout`](Self::on_timeout) has something to do (monotonic milliseconds).
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.peers.values().filter_map(|peer| peer.retry_at_ms).min()
    }

    /// Sends a message, over a new connection if there is none (`toSend`). Nothing happens where too many servers
    /// are known.
    pub fn send(&mut self, now_ms: i64, to: ServerId, message: Bytes, out: &mut Vec<LinkOutput>) {
        let Some(peer) = self.peer(to) else { return };
        peer.pending = Some(message);
        peer.retry_until_ms = now_ms.saturating_add(RETRY_FOR_MS);
        peer.write_pending(out);
        peer.dial(now_ms, to, Vec::new(), out);
    }

    /// A connection that was asked for stands, and this server's initial message is on its way
    /// (`startConnection`).
    pub fn on_dialed(&mut self, now_ms: i64, to: ServerId, link: LinkId, out: &mut Vec<LinkOutput>) {
        let my_id = self.my_id;
        let Some(peer) = self.peers.get_mut(&to) else { return out.push(LinkOutput::Close(link)) };
        peer.dialling = peer.dialling.saturating_sub(1);
        if to > my_id {
            out.push(LinkOutput::Close(link));
            peer.retry_later(now_ms);
        } else {
            peer.take(now_ms, to, link, out);
        }
    }

    /// A connection that was asked for could not be made.
    pub fn on_dial_failed(&mut self, now_ms: i64, to: ServerId, out: &mut Vec<LinkOutput>) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        peer.dialling = peer.dialling.saturating_sub(1);
        if peer.is_cut_off() {
            out.push(LinkOutput::Unreachable(to));
            peer.retry_later(now_ms);
        }
    }

    /// Somebody has connected and said who it is, and perhaps where it can be called back (`handleConnection`).
    pub fn on_accepted(
        &mut self,
        now_ms: i64,
        from: ServerId,
        at: Vec<HostPort>,
        link: LinkId,
        out: &mut Vec<LinkOutput>,
    ) {
        let from = if from == LEGACY_OBSERVER { self.stranger() } else { from };
        // Java leaves a caller with its own number waiting, which is a wrong configuration.
        let my_id = self.my_id;
        let peer = if from == my_id { None } else { self.peer(from) };
        let Some(peer) = peer else { return out.push(LinkOutput::Close(link)) };
        if from > my_id {
            return peer.take(now_ms, from, link, out);
        }
        out.push(LinkOutput::Close(link));
        // It would not knock if it still had the connection.
        if let Some(old) = peer.link.take() {
            out.push(LinkOutput::Close(old));
        }
        // An attempt that hangs was made when the caller could not be reached, and is not waited for. Java does.
        if peer.has_hung_dials(now_ms) {
            peer.dial_again(now_ms, from, at, out);
        } else {
            peer.dial(now_ms, from, at, out);
        }
    }

    /// A message went out.
    pub fn on_written(&mut self, link: LinkId, out: &mut Vec<LinkOutput>) {
        if let Some(peer) = self.peers.values_mut().find(|peer| peer.link == Some(link)) {
            peer.writing = false;
            peer.write_pending(out);
        }
    }

    /// A connection ended by itself.
    pub fn on_closed(&mut self, now_ms: i64, link: LinkId, out: &mut Vec<LinkOutput>) {
        let Some((id, peer)) = self.peers.iter_mut().find(|(_, peer)| peer.link == Some(link)) else { return };
        peer.link = None;
        // It may not have arrived, and the other server may be another one soon, which has not heard it.
        if peer.pending.is_none() {
            peer.pending = peer.last.clone();
        }
        if now_ms.saturating_sub(peer.linked_at_ms) >= STABLE_MS {
            peer.retry_ms = RETRY_MS_MIN;
            peer.dial(now_ms, *id, Vec::new(), out);
        } else {
            peer.retry_later(now_ms);
        }
    }

    /// The time that [`next_deadline_ms`](Self::next_deadline_ms) told has come. Harmless at any other time.
    pub fn on_timeout(&mut self, now_ms: i64, out: &mut Vec<LinkOutput>) {
        for (id, peer) in &mut self.peers {
            if peer.retry_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                peer.dial(now_ms, *id, Vec::new(), out);
            }
        }
    }

    /// A number for an observer from before ZooKeeper 3.5, which has none of its own.
    fn stranger(&mut self) -> ServerId {
        let id = ServerId(self.next_stranger);
        self.next_stranger = self.next_stranger.checked_sub(1).unwrap_or(-1);
        id
    }

    /// What is known of a server. Of too many, one is forgotten that there is nothing to do for.
    fn peer(&mut self, id: ServerId) -> Option<&mut Peer> {
        if !self.peers.contains_key(&id) && self.peers.len() >= LINKS_MAX {
            let idle = *self.peers.iter().find(|(_, peer)| peer.is_idle())?.0;
            self.peers.remove(&idle);
        }
        Some(self.peers.entry(id).or_default())
    }
}

impl Peer {
    fn is_idle(&self) -> bool {
        self.is_cut_off() && self.retry_at_ms.is_none()
    }

    /// No connection, and none to be expected.
    fn is_cut_off(&self) -> bool {
        self.link.is_none() && self.dialling == 0
    }

    /// A connection stands; another one with the same server goes.
    fn take(&mut self, now_ms: i64, id: ServerId, link: LinkId, out: &mut Vec<LinkOutput>) {
        if let Some(old) = self.link.replace(link) {
            out.push(LinkOutput::Close(old));
        }
        (self.linked_at_ms, self.retry_at_ms, self.writing) = (now_ms, None, false);
        out.push(LinkOutput::Linked { with: id, link });
        if self.pending.is_none() {
            self.pending = self.last.clone();
        }
        self.write_pending(out);
    }

    fn write_pending(&mut self, out: &mut Vec<LinkOutput>) {
        let (Some(link), false) = (self.link, self.writing) else { return };
        if let Some(message) = self.pending.take() {
            self.writing = true;
            self.last = Some(message.clone());
            out.push(LinkOutput::Write { link, message });
        }
    }

    /// Makes a connection, unless there is one or will be one (`connectOne`).
    fn dial(&mut self, now_ms: i64, id: ServerId, at: Vec<HostPort>, out: &mut Vec<LinkOutput>) {
        self.retry_at_ms = None;
        if self.is_cut_off() {
            self.dial_again(now_ms, id, at, out);
        }
    }

    /// Whether all attempts under way have had their time, which is longer for each.
    fn has_hung_dials(&self, now_ms: i64) -> bool {
        let patience_ms = RETRY_MS_MIN << self.dialling;
        (1..DIALS_MAX).contains(&self.dialling) && now_ms.saturating_sub(self.dialled_at_ms) >= patience_ms
    }

    fn dial_again(&mut self, now_ms: i64, id: ServerId, at: Vec<HostPort>, out: &mut Vec<LinkOutput>) {
        self.dialling += 1;
        self.dialled_at_ms = now_ms;
        out.push(LinkOutput::Dial { to: id, at });
    }

    fn retry_later(&mut self, now_ms: i64) {
        if self.pending.is_some() && now_ms < self.retry_until_ms {
            self.retry_at_ms = Some(now_ms.saturating_add(self.retry_ms));
            self.retry_ms = (self.retry_ms * 2).min(RETRY_MS_MAX);
        }
    }
}

#[cfg(test)]
mod tests;
