//! Who belongs to the ensemble, as it changes: a list is seen when it is proposed, and in force when that is committed
//! (`QuorumPeer#setLastSeenQuorumVerifier`, `#processReconfig`).

use rookeeper_protocol::client::ReconfigRequest;
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::peer::new_leader_config;
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{ErrorCode, OpCode, ServerId, Zxid};

use super::output::Output;
use super::{Peer, Role, Serving};
use crate::ensemble::{Activation, EnsembleConfig, ReconfigError, reconfigured};
use crate::pipeline::{Now, WriteRequest};
use crate::tree::Tree;
use crate::zab::Reason;

impl Peer {
    /// A list was proposed, or told by the leader.
    pub(super) fn see_members(&mut self, config: EnsembleConfig) {
        if self.state.membership.see(config) {
            let text = self.state.membership.last_seen().to_string();
            self.outbox.members(Output::MembersSeen { text });
        }
    }

    /// The leader's last list, as NEWLEADER has it. One that cannot be read Java prints and forgets.
    pub(super) fn see_leaders_members(&mut self, data: &[u8]) {
        let text = new_leader_config(Some(data));
        let config = text.map(|text| EnsembleConfig::parse(&text, self.state.membership.rules()));
        if let Some(Ok(config)) = config {
            self.see_members(config);
        }
    }

    /// The list that stands in a transaction, if it is a reconfiguration.
    pub(super) fn members_in(&self, entry: &LogEntry) -> Option<EnsembleConfig> {
        let Txn::SetData { op: OpCode::Reconfig, data: Some(data), .. } = &entry.txn else { return None };
        EnsembleConfig::parse(&String::from_utf8_lossy(data), self.state.membership.rules()).ok()
    }

    /// The last list that was seen is in force: a quorum has it. `designated` leads, if the reconfiguration says so.
    pub(super) fn activate_members(&mut self, designated: Option<ServerId>) -> Option<Activation> {
        let config = self.state.membership.last_seen().clone();
        let leader = match &self.role {
            Role::Learning(learner) => learner.leader(),
            _ => self.state.membership.my_id(),
        };
        let activation = self.state.membership.activate(config, leader, designated)?;
        self.tell_activated(activation.clone());
        Some(activation)
    }

    pub(super) fn tell_activated(&mut self, activation: Activation) {
        let text = self.state.membership.active().to_string();
        self.outbox.members(Output::MembersActivated { text, activation });
    }

    /// The list of the leader's NEWLEADER is in force (UPTODATE).
    pub(super) fn activate_leaders_members(&mut self, now: Now, tree: &Tree) {
        if self.activate_members(None).is_some_and(|activation| activation.is_major()) {
            self.leave(now, tree, Reason::Reconfigured);
        }
    }

    /// A reconfiguration is committed, and names who leads from now on.
    pub(super) fn activate_reconfiguration(&mut self, now: Now, tree: &Tree, zxid: Zxid, designated: ServerId) {
        let Some(activation) = self.activate_members(Some(designated)) else { return };
        self.election.on_designated(designated, zxid);
        if activation.is_major() && self.serving == Serving::Yes {
            self.changes_sides_at = Some(zxid);
        } else if activation.is_major() {
            self.change_sides(now, tree);
        } else if let Role::Leading(leader) = &mut self.role {
            // What waited for both lists may wait for nothing any more.
            leader.on_flushed(&mut self.state, &mut self.actions);
        }
    }

    /// What a client's reconfiguration comes to, in the order of Java's checks, except for its permission.
    pub(super) fn judge_reconfiguration(&self, now: Now, request: &WriteRequest) -> Result<EnsembleConfig, ErrorCode> {
        let Role::Leading(leader) = &self.role else { return Err(ErrorCode::Unimplemented) };
        let mut reader = Reader::with_limit(&request.body, self.rules.pipeline.inner_length_max);
        let asked = ReconfigRequest::read(&mut reader).map_err(|_| ErrorCode::MarshallingError)?;
        let zxid = self.pipeline.last_proposed().next();
        let synced = |id| leader.is_in_sync(id, now.monotonic_ms);
        reconfigured(&asked, &self.state.membership, zxid, synced).map_err(|error: ReconfigError| error.code())
    }
}
