//! Discovery: which epoch is new, and who comes along (`Leader#getEpochToPropose`, `#waitForEpochAck`).

use bytes::BytesMut;
use rookeeper_protocol::peer::{AckEpoch, LeaderInfo, LearnerInfo, QuorumPacket};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::learner::Phase;
use super::{Leader, Stage};
use crate::zab::action::{Action, LearnerLink, Reason};
use crate::zab::epoch::{Epoch, StateSummary};
use crate::zab::state::State;
use crate::zab::sync_plan::LearnerState;

impl Leader {
    /// The leader itself is the first to tell its accepted epoch.
    pub(super) fn offer_own_epoch(&mut self, state: &State) {
        // The last epoch has no next one: then no election can be won any more.
        self.epoch = state.epochs.accepted.max(state.known_epoch).next().unwrap_or(Epoch::MAX);
        if state.membership.active().is_voter(self.me) {
            self.introduced.insert(self.me);
            self.accepted.insert(self.me);
        }
    }

    /// Begins to lead. A server that is a quorum by itself need not wait for anybody.
    pub fn begin(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        self.count_introduced(state, now_ms, actions);
    }

    // zab: LeaderProcessFOLLOWERINFO
    pub(super) fn on_introduction(
        &mut self,
        state: &mut State,
        now_ms: i64,
        link: LearnerLink,
        follows: bool,
        packet: &QuorumPacket,
        actions: &mut Vec<Action>,
    ) {
        let info = match &packet.data {
            Some(data) => LearnerInfo::read(data),
            None => LearnerInfo { server: self.name_for_unnamed(), protocol_version: 1, config_version: 0 },
        };
        if info.config_version > state.membership.active().version {
            return self.dismiss(link, Reason::NewerConfiguration, actions);
        }
        let Some((accepted, next)) = Epoch::told_by(packet.zxid).and_then(|epoch| Some((epoch, epoch.next()?))) else {
            return self.dismiss(link, Reason::BadPacket, actions);
        };
        // Whoever comes again gave its old connection up, even if nobody has heard of that here.
        if let Some(old) = self.links.insert(info.server, link) {
            self.dismiss(old, Reason::Replaced, actions);
            self.links.insert(info.server, link);
        }
        let votes = follows && state.membership.active().is_voter(info.server);
        if votes {
            state.known_epoch = state.known_epoch.max(accepted);
        }
        if votes && self.stage > Stage::Discovering && accepted > self.epoch {
            // It accepted the epoch of a leader that came to nothing, and can never follow this one. Java leaves it waiting
            // for as long as the leader lives.
            return actions.push(Action::Leave(Reason::NewerEpoch));
        }
        let Some(learner) = self.learners.get_mut(&link) else { return };
        learner.introduce(info.server, follows, info.protocol_version);
        // A learner of the old protocol tells no more than this.
        learner.told = LearnerState { last_zxid: packet.zxid, current_epoch: None };
        if self.stage == Stage::Discovering {
            if accepted >= self.epoch {
                self.epoch = next;
            }
            if votes {
                self.introduced.insert(info.server);
            }
            self.count_introduced(state, now_ms, actions);
        } else if self.stage > Stage::Accepting {
            self.inform(state, now_ms, link, actions);
        }
    }

    /// A voter looks for a leader again. Where that is wished a leader that has waited long enough for a quorum takes this as
    /// a sign that none will come (`Leader#reportLookingSid`).
    pub fn on_voter_looks(&mut self, state: &State, now_ms: i64, voter: ServerId, actions: &mut Vec<Action>) {
        let waited_ms = now_ms - (self.deadline_ms - state.rules.init_ms());
        let long_enough = state.rules.epoch_wait_ms_max.is_some_and(|max_ms| waited_ms > max_ms);
        if self.stage == Stage::Discovering && long_enough && state.membership.voters().contains(&voter) {
            actions.push(Action::Leave(Reason::DisloyalVoter));
        }
    }

    fn name_for_unnamed(&mut self) -> ServerId {
        let name = ServerId(self.next_unnamed);
        self.next_unnamed -= 1;
        name
    }

    fn count_introduced(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        let introduced = &self.introduced;
        let enough = state.membership.quorums().active().satisfied_by(|id| introduced.contains(&id));
        let is_new = self.epoch > state.epochs.accepted;
        if self.stage == Stage::Discovering && enough && is_new && introduced.contains(&self.me) {
            self.stage = Stage::Accepting;
            self.deadline_ms = now_ms + state.rules.init_ms();
            state.epochs.accepted = self.epoch;
            actions.push(Action::PersistEpochs(state.epochs));
        }
    }

    /// The leader has promised the new epoch to itself; now the others may be asked.
    pub(super) fn epoch_accepted(&mut self, state: &mut State, now_ms: i64, actions: &mut Vec<Action>) {
        self.stage = Stage::Gathering;
        self.deadline_ms = now_ms + state.rules.init_ms();
        // A list without a version becomes the ensemble's first, so that it beats those that others were given.
        let (active, last_seen) = (state.membership.active(), state.membership.last_seen());
        if state.membership.reconfig_enabled() && active.version == 0 && last_seen.version == 0 {
            let version = self.epoch.start().0;
            actions.push(Action::SeeFirstConfig(version));
        }
        let waiting: Vec<_> = self.links_in(Phase::Introduced);
        for link in waiting {
            self.inform(state, now_ms, link, actions);
        }
        self.count_accepted(state, actions);
    }

    /// The learners that are in this phase.
    pub(super) fn links_in(&self, phase: Phase) -> Vec<LearnerLink> {
        self.learners.iter().filter(|(_, learner)| learner.phase == phase).map(|(link, _)| *link).collect()
    }

    /// Tells a learner the new epoch. One of the old protocol has nothing to say to that.
    fn inform(&mut self, state: &mut State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        let zxid = self.epoch.start();
        let Some(learner) = self.learners.get_mut(&link) else { return };
        if learner.speaks_epochs() {
            let mut out = BytesMut::new();
            LeaderInfo::CURRENT.write_packet(&mut out, zxid);
            learner.phase = Phase::Informed;
            learner.awaited(now_ms);
            actions.push(Action::ToLearner(link, out.freeze()));
        } else {
            learner.told.current_epoch = learner.extrapolated_epoch();
            self.take_epoch_ack(state, now_ms, link, actions);
        }
    }

    // zab: LeaderProcessACKEPOCH
    pub(super) fn on_ack_epoch(
        &mut self,
        state: &mut State,
        now_ms: i64,
        link: LearnerLink,
        packet: &QuorumPacket,
        actions: &mut Vec<Action>,
    ) {
        let Ok(ack) = AckEpoch::read(packet.data.as_deref().unwrap_or_default()) else {
            return self.dismiss(link, Reason::BadPacket, actions);
        };
        let Some(learner) = self.learners.get_mut(&link) else { return };
        learner.told = LearnerState { last_zxid: packet.zxid, current_epoch: ack.current_epoch.map(Epoch) };
        self.take_epoch_ack(state, now_ms, link, actions);
    }

    fn take_epoch_ack(&mut self, state: &mut State, now_ms: i64, link: LearnerLink, actions: &mut Vec<Action>) {
        let Some(learner) = self.learners.get_mut(&link) else { return };
        let LearnerState { last_zxid, current_epoch } = learner.told;
        let (server, follows) = (learner.server, learner.follows);
        if self.stage > Stage::Gathering {
            learner.phase = Phase::Acknowledged;
            if self.stage >= Stage::Synchronizing && !self.is_ahead(state, link) {
                self.synchronize(state, now_ms, link, actions);
            }
            return;
        }
        if current_epoch.is_some_and(|epoch| StateSummary { epoch, last_zxid } > self.own) {
            return self.dismiss(link, Reason::NewerHistory, actions);
        }
        learner.phase = Phase::Acknowledged;
        if let Some(server) = server
            && follows
            && current_epoch.is_some()
            && last_zxid != Zxid::UNKNOWN
            && state.membership.active().is_voter(server)
        {
            self.accepted.insert(server);
        }
        self.count_accepted(state, actions);
    }

    fn count_accepted(&mut self, state: &mut State, actions: &mut Vec<Action>) {
        let accepted = &self.accepted;
        let enough = state.membership.quorums().active().satisfied_by(|id| accepted.contains(&id));
        if self.stage == Stage::Gathering && enough && accepted.contains(&self.me) {
            self.stage = Stage::Adopting;
            state.epochs.current = self.epoch;
            actions.push(Action::PersistEpochs(state.epochs));
        }
    }
}
