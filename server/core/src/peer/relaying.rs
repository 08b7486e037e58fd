//! Observers that learn from followers: what a follower passes on for them (`ObserverMaster`), and whom an observer asks
//! (`QuorumPeer#findLearnerMaster`).
//!
//! ```text
//!   leader --PROPOSAL, COMMIT--> follower --INFORM--> observer
//!   leader <--REQUEST, REVALIDATE, PING with sessions-- follower <--the same-- observer
//!   leader --SYNC, REVALIDATE--> follower --SYNC, REVALIDATE, to whoever asked--> observer
//! ```

use bytes::BytesMut;
use rookeeper_protocol::peer::{
    ForwardedRequest, PacketType, QuorumPacket, Revalidate, Revalidated, Touch, write_packet,
};
use rookeeper_protocol::types::{OpCode, ServerId, SessionId, Zxid};

use super::output::Output;
use super::{Peer, Role};
use crate::client::Admission;
use crate::pipeline::Now;
use crate::zab::learner::Target;
use crate::zab::{Action, LearnerLink};

/// Questions for sessions, and `sync`s, that may wait for the leader at a time, over all observers: a connection that asks
/// for more ends.
const RELAYED_MAX: usize = 100_000;

/// A question for a session that was passed on.
#[derive(Debug)]
pub(super) struct Relayed {
    session: SessionId,
    timeout_ms: i32,
    link: LearnerLink,
}

/// The voters, in the order in which an observer tries them.
#[derive(Debug, Default)]
pub(super) struct Masters {
    order: Vec<ServerId>,
    next: usize,
    /// How many were tried since this server last learned from anybody.
    tried: usize,
}

impl Masters {
    /// Somebody serves this observer.
    pub(super) fn found(&mut self) {
        self.tried = 0;
    }
}

impl Peer {
    /// Whom a learner of this leader connects to, and when.
    pub(super) fn target(&mut self, leader: ServerId, follows: bool) -> Target {
        let dial = self.next_dial;
        if follows {
            return Target { leader, master: None, follows, dial, delay_ms: 0 };
        }
        let (master, all_tried) = match self.rules.observer_masters {
            true => self.next_master(leader),
            false => (None, true),
        };
        let delay_ms = if all_tried { self.random_below(self.rules.observer_reconnect_delay_ms) } else { 0 };
        Target { leader, master, follows, dial, delay_ms }
    }

    /// The next voter that is not the leader, since a leader has no port for observers, and whether a round of all of them is
    /// over. Each observer has another order, which is a new one for other voters. None, for the leader itself, once all were
    /// tried in vain: Java's observers never ask it, and wait for as long as nobody else votes.
    fn next_master(&mut self, leader: ServerId) -> (Option<ServerId>, bool) {
        let voters: Vec<_> = self.state.membership.active().participants().map(|member| member.id).collect();
        let known = &self.masters.order;
        if voters.len() != known.len() || voters.iter().any(|voter| !known.contains(voter)) {
            let mut order = voters;
            for last in (1..order.len()).rev() {
                let other = self.random_below(last as i64 + 1) as usize;
                order.swap(last, other);
            }
            self.masters = Masters { order, next: 0, tried: 0 };
        }
        let Masters { order, next, tried } = &mut self.masters;
        let mut all_tried = false;
        while *tried < order.len() {
            all_tried |= *next == order.len();
            *next = *next % order.len() + 1;
            *tried += 1;
            let master = order[*next - 1];
            if master != leader {
                return (Some(master), all_tried);
            }
        }
        *tried = 0;
        (None, true)
    }

    pub(super) fn on_observer_connected(&mut self, now: Now, link: LearnerLink) {
        match &mut self.role {
            Role::Learning(learner) => {
                learner.on_observer_connected(&self.state, now.monotonic_ms, link, &mut self.actions);
            }
            Role::Looking | Role::Pausing(_) | Role::Leading(_) | Role::Stopped => {
                self.outbox.push_for_learner(link, Output::Dismiss { link });
            }
        }
    }

    /// An observer's client wants something: the leader is asked as if it were this server's. False if it cannot be read.
    pub(super) fn relay_request(&mut self, link: LearnerLink, packet: &QuorumPacket) -> bool {
        let Some(Ok(request)) = packet.data.as_ref().map(ForwardedRequest::read) else { return false };
        match OpCode::from_number(request.op) {
            Some(OpCode::Sync) if self.pipeline.syncs_waiting() >= RELAYED_MAX => return false,
            Some(OpCode::Sync) => self.pipeline.sync_of_observer(link.0),
            Some(op) if Admission::of(op) != Admission::Read => {}
            // The leader would make nothing of it (`FollowerRequestProcessor#run`).
            Some(_) | None => return true,
        }
        let mut out = BytesMut::new();
        packet.write(&mut out);
        self.actions.push(Action::ToLeader(out.freeze()));
        true
    }

    /// Sessions of an observer's clients gave a sign of life: the leader hears of it when it asks (`ObserverMaster#touch`).
    pub(super) fn relay_touches(&mut self, data: &[u8]) -> bool {
        let Ok(touches) = Touch::read_all(data) else { return false };
        touches.into_iter().all(|touch| self.touches.add(touch.session, touch.timeout_ms))
    }

    /// A client came to an observer with its session (`ObserverMaster#revalidateSession`).
    pub(super) fn relay_revalidate(&mut self, link: LearnerLink, data: &[u8]) -> bool {
        let Ok(question) = Revalidate::read(data) else { return false };
        if self.relayed.len() >= RELAYED_MAX {
            return false;
        }
        let Revalidate { session, timeout_ms } = question;
        self.relayed.push_back(Relayed { session, timeout_ms, link });
        let mut out = BytesMut::new();
        question.write_packet(&mut out);
        self.actions.push(Action::ToLeader(out.freeze()));
        true
    }

    /// The leader's answer, if it is an observer's: the leader answers in the order in which it was asked
    /// (`ObserverMaster#revalidateLearnerSession`).
    pub(super) fn relay_revalidated(&mut self, session: SessionId, valid: bool) -> bool {
        let Some(relayed) = self.relayed.pop_front_if(|relayed| relayed.session == session) else { return false };
        if valid {
            // Without room it is heard of when its observer tells of it.
            let _has_room = self.touches.add(session, relayed.timeout_ms);
        }
        let mut out = BytesMut::new();
        Revalidated { session, valid }.write_packet(&mut out);
        self.tell_observer(relayed.link, out);
        true
    }

    /// The oldest `sync` may be answered.
    pub(super) fn on_synced(&mut self) {
        if let Some(link) = self.pipeline.sync_due(self.state.history.committed()) {
            let mut out = BytesMut::new();
            write_packet(&mut out, PacketType::Sync, Zxid::ZERO, None);
            self.tell_observer(LearnerLink(link), out);
        }
    }

    /// Writes to an observer, if it is still there.
    fn tell_observer(&mut self, link: LearnerLink, out: BytesMut) {
        if self.role.learner_master().is_some_and(|master| master.learners().contains_key(&link)) {
            self.actions.push(Action::ToLearner(link, out.freeze()));
        }
    }
}
