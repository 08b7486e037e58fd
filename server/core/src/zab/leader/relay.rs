//! A follower that serves observers, so that the leader need not (`ObserverMaster`).
//!
//! To an observer it is a leader that was established long ago: it proposes nothing and counts nothing, and tells what the
//! leader has told it to be committed. Whatever an observer's clients want goes on to the leader
//! ([`crate::peer`] sees to that).

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{InformAndActivate, PacketType, write_packet};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::learner::Phase;
use super::{Leader, Stage};
use crate::zab::action::{Action, LearnerLink};
use crate::zab::epoch::Epoch;
use crate::zab::state::State;

impl Leader {
    /// A follower that serves in this epoch begins to serve observers.
    pub fn relay(state: &State, now_ms: i64, epoch: Epoch) -> Self {
        Self {
            stage: Stage::Broadcasting,
            epoch,
            relays: true,
            last_proposed: state.history.committed(),
            next_ping_ms: now_ms + state.rules.ping_ms(),
            ..Self::new(state, now_ms)
        }
    }

    /// Whether this is a follower that serves observers.
    pub fn relays(&self) -> bool {
        self.relays
    }

    /// The leader has committed the record with this zxid, which is in memory as long as it is not said to be committed
    /// here; `designated` is who leads from now on, if it is a reconfiguration that says so.
    pub fn relay_commit(&mut self, state: &State, zxid: Zxid, designated: Option<ServerId>, actions: &mut Vec<Action>) {
        self.last_proposed = zxid;
        let Some(record) = state.history.window_after(Zxid(zxid.0 - 1)).next() else { return };
        let mut inform = BytesMut::new();
        match designated {
            None => write_packet(&mut inform, PacketType::Inform, zxid, Some(&record.payload)),
            Some(leader) => InformAndActivate { leader, entry: record.payload.clone() }.write_packet(&mut inform, zxid),
        }
        self.tell_committed(zxid, &Bytes::new(), &inform.freeze(), actions);
    }

    /// More is committed here: observers that were ahead of this server may not be any more.
    pub fn serve_those_ahead(&mut self, state: &State, now_ms: i64, actions: &mut Vec<Action>) {
        for link in self.links_in(Phase::Acknowledged) {
            if !self.is_ahead(state, link) {
                self.synchronize(state, now_ms, link, actions);
            }
        }
    }

    /// Whether a learner knows more of this epoch than this server, or something of a later one: what it was told by somebody
    /// else is committed, and this server will hear of it, or notice that its leader was replaced. Java cuts it off or replaces
    /// it, and the observer goes back in time. The beginning of this epoch is no transaction that could be waited for.
    pub(super) fn is_ahead(&self, state: &State, link: LearnerLink) -> bool {
        let told = self.learners.get(&link).map(|learner| learner.told.last_zxid);
        let is_later = |told: Zxid| Epoch::of(told) >= Some(self.epoch) && told != self.epoch.start();
        let is_ahead = |told: Zxid| told > state.history.committed() && is_later(told);
        self.relays && told.is_some_and(is_ahead)
    }
}
