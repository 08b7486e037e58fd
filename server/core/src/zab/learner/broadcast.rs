//! Broadcast: proposals are logged and acknowledged, commits obeyed (`Follower#processPacket`,
//! `Observer#processPacket`, `SendAckRequestProcessor`).

use bytes::BytesMut;
use rookeeper_protocol::peer::{
    CommitAndActivate, InformAndActivate, PACKET_OVERHEAD_LEN, PacketType, QuorumPacket, write_packet,
};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::{Learner, Stage};
use crate::zab::action::{Action, Reason};
use crate::zab::epoch::Epoch;
use crate::zab::history::{LogRecord, follows};
use crate::zab::state::State;

impl Learner {
    /// A proposal goes to the log. False if it does not.
    // zab: FollowerProcessPROPOSAL, FollowerProcessPROPOSALInSync
    pub(super) fn on_proposal(&mut self, state: &mut State, packet: QuorumPacket, actions: &mut Vec<Action>) -> bool {
        let QuorumPacket { zxid, data: payload, .. } = packet;
        // A snapshot of Java's may be newer than the proposals behind it.
        if zxid <= state.last_logged() && self.stage < Stage::Serving {
            return false;
        }
        let is_next = follows(state.last_logged(), zxid) && self.may_have(zxid);
        let Some(payload) = payload.filter(|_| is_next) else {
            // A leader that remembers its history with a hole (ZOOKEEPER-4925) would send the same again. Only a snapshot
            // has what is missing.
            state.wants_snapshot |= self.stage == Stage::Copying;
            actions.push(Action::Leave(Reason::BadProposal));
            return false;
        };
        let record = LogRecord { zxid, payload };
        state.history.append(record.clone());
        // What comes behind a snapshot becomes part of it, whoever this is.
        if self.follows || state.rules.observer_sync || self.replaced.is_some() {
            actions.push(Action::Append(record));
        } else {
            state.is_ahead_of_log = true;
        }
        self.uncommitted.push_back(zxid);
        if self.stage > Stage::Copying && self.follows {
            self.unacknowledged.push_back(zxid);
        }
        true
    }

    /// Whether the leader's history may hold this: nothing of a later epoch than its own.
    pub(super) fn may_have(&self, zxid: Zxid) -> bool {
        Epoch::of(zxid).is_some_and(|epoch| epoch <= self.epoch)
    }

    /// The oldest proposal is committed.
    // zab: FollowerProcessCOMMIT
    pub(super) fn on_commit(
        &mut self,
        state: &mut State,
        zxid: Zxid,
        designated: Option<ServerId>,
        actions: &mut Vec<Action>,
    ) {
        if !self.take_commit(zxid, actions) || self.stage != Stage::Serving {
            return;
        }
        if let Some(observers) = &mut self.observers {
            observers.relay_commit(state, zxid, designated, actions);
        }
        state.history.commit(zxid);
        actions.push(Action::Commit(zxid));
        if let Some(observers) = &mut self.observers {
            observers.serve_those_ahead(state, self.heard_ms, actions);
        }
    }

    /// Whether a commit says something new that may be said.
    // zab: FollowerProcessCOMMITInSync
    fn take_commit(&mut self, zxid: Zxid, actions: &mut Vec<Action>) -> bool {
        if zxid <= self.told_committed {
            return false;
        }
        if self.uncommitted.front() != Some(&zxid) {
            // Java ends the process here (`ExitCode.UNMATCHED_TXN_COMMIT`).
            actions.push(Action::Leave(Reason::BadCommit));
            return false;
        }
        self.uncommitted.pop_front();
        self.told_committed = zxid;
        true
    }

    pub(super) fn on_commit_and_activate(
        &mut self,
        state: &mut State,
        packet: &QuorumPacket,
        actions: &mut Vec<Action>,
    ) {
        let Ok(CommitAndActivate { leader }) = CommitAndActivate::read(packet.data.as_deref().unwrap_or_default())
        else {
            return actions.push(Action::Leave(Reason::BadPacket));
        };
        if packet.zxid > self.told_committed {
            self.on_commit(state, packet.zxid, Some(leader), actions);
            self.activate(packet.zxid, leader, actions);
        }
    }

    fn activate(&self, zxid: Zxid, leader: ServerId, actions: &mut Vec<Action>) {
        if self.told_committed == zxid {
            actions.push(Action::Activate(zxid, leader));
        }
    }

    /// A proposal and its commit in one, for observers. False if it was not logged.
    pub(super) fn on_inform(&mut self, state: &mut State, packet: QuorumPacket, actions: &mut Vec<Action>) -> bool {
        let zxid = packet.zxid;
        let learned = zxid > self.told_committed && self.on_proposal(state, packet, actions);
        if learned {
            self.on_commit(state, zxid, None, actions);
        }
        learned
    }

    pub(super) fn on_inform_and_activate(
        &mut self,
        state: &mut State,
        packet: QuorumPacket,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(Ok(InformAndActivate { leader, entry })) = packet.data.as_ref().map(InformAndActivate::read) else {
            actions.push(Action::Leave(Reason::BadPacket));
            return false;
        };
        let zxid = packet.zxid;
        let learned = self.on_inform(state, QuorumPacket { data: Some(entry), ..packet }, actions);
        if learned {
            self.activate(zxid, leader, actions);
        }
        learned
    }

    /// Acknowledges what is on disk, once NEWLEADER is acknowledged; the history knows how far that is. Java's leaders
    /// count each acknowledgement for one proposal.
    pub(super) fn acknowledge(&mut self, state: &State, actions: &mut Vec<Action>) {
        if self.stage < Stage::Prepared || !self.follows {
            return;
        }
        let durable = if planted!(AckBeforeFlush) { state.last_logged() } else { state.history.durable() };
        let mut out = BytesMut::with_capacity(self.unacknowledged.len() * PACKET_OVERHEAD_LEN);
        while let Some(zxid) = self.unacknowledged.pop_front_if(|zxid| *zxid <= durable) {
            write_packet(&mut out, PacketType::Ack, zxid, None);
        }
        if !out.is_empty() {
            actions.push(Action::ToLeader(out.freeze()));
        }
    }
}
