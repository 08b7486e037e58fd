//! From one role to the next.

use rookeeper_protocol::peer::{PeerState, QuorumPacket};
use rookeeper_protocol::types::Zxid;

use super::input::Loaded;
use super::output::{Event, Output};
use super::{EarlyLearner, Pause, Peer, Role, Serving, WAITING_LINKS_MAX, role};
use crate::election::{Decision, Standing};
use crate::pipeline::Now;
use crate::tree::Tree;
use crate::zab::leader::Leader;
use crate::zab::learner::Learner;
use crate::zab::{DialId, LearnerLink, Reason, State};

/// What a server has when it stands for election.
pub(super) fn standing(state: &State) -> Standing {
    Standing { zxid: state.standing_zxid(), epoch: i64::from(state.epochs.current.0) }
}

impl Peer {
    /// Looks for a leader.
    pub(super) fn look(&mut self, now: Now) {
        self.role = Role::Looking;
        self.figures.looks(now);
        self.begin_to_look(now);
        self.election.look(now.monotonic_ms, standing(&self.state), &self.state.membership, &mut self.votes);
    }

    fn become_role(&mut self, next: Role) {
        let (from, to) = (self.role.state(), next.state());
        debug_assert!(role::may_become(from, to), "no server goes from {from:?} to {to:?}");
        self.role = next;
        self.roles += 1;
        self.outbox.push(Output::StateChanged(to));
    }

    /// An election is over.
    // zab: ZabTurnToLeading, ZabTurnToFollowing
    pub(super) fn elected(&mut self, now: Now, decision: Decision) {
        let now_ms = now.monotonic_ms;
        self.end_read_only();
        self.figures.elected(now, decision.state);
        if decision.state == PeerState::Leading {
            let leader = Leader::new(&self.state, now_ms);
            self.become_role(Role::Leading(Box::new(leader)));
            let Role::Leading(leader) = &mut self.role else { return };
            leader.begin(&mut self.state, now_ms, &mut self.actions);
            for (link, early) in std::mem::take(&mut self.early_learners) {
                leader.on_connected(&self.state, now_ms, link, &mut self.actions);
                if let Some(first) = early.first {
                    // It says who it is; nothing else comes before it was answered.
                    let _nothing_else = leader.on_packet(&mut self.state, now_ms, link, first, &mut self.actions);
                }
            }
            return;
        }
        self.dismiss_early(|_| true);
        let follows = decision.state == PeerState::Following;
        let target = self.target(decision.vote.leader, follows);
        let learner = Learner::new(&self.state, now_ms, target, &mut self.actions);
        self.become_role(Role::Learning(Box::new(learner)));
    }

    /// The role ends, and the next one is looked for.
    pub(super) fn leave(&mut self, now: Now, tree: &Tree, reason: Reason) {
        if !self.end_role(now, tree, reason) {
            return;
        }
        if self.durability.is_log_uncertain() {
            self.become_role(Role::Pausing(Pause::Disk));
        } else if self.role.state() == PeerState::Observing && self.rules.observer_delay_ms > 0 {
            let from_ms = now.monotonic_ms + self.random_below(self.rules.observer_delay_ms);
            self.become_role(Role::Pausing(Pause::Until(from_ms)));
        } else {
            self.become_role(Role::Looking);
            self.look(now);
        }
    }

    /// A reconfiguration has named the leader, or changed what this server is: it goes on without an election
    /// (`QuorumPeer#updateServerState`).
    pub(super) fn change_sides(&mut self, now: Now, tree: &Tree) {
        if !self.end_role(now, tree, Reason::Reconfigured) {
            return;
        }
        if self.durability.is_log_uncertain() {
            return self.become_role(Role::Pausing(Pause::Disk));
        }
        let state = self.election.resume(&self.state.membership);
        let vote = self.election.current_vote();
        self.elected(now, Decision { vote, state });
    }

    /// The disk has told where the log ends now.
    pub(super) fn on_log_certain(&mut self, now: Now) {
        if matches!(self.role, Role::Pausing(Pause::Disk)) && !self.durability.is_log_uncertain() {
            self.look(now);
        }
    }

    /// Ends what belongs to the role. False if there is none.
    fn end_role(&mut self, now: Now, tree: &Tree, reason: Reason) -> bool {
        self.end_read_only();
        match &mut self.role {
            Role::Leading(leader) => {
                leader.dismiss_all(Reason::NotLeading, &mut self.actions);
                self.outbox.push(Output::Tell(Event::SteppedDown { reason }));
            }
            Role::Learning(learner) => {
                let (dial, leader) = (learner.dial(), learner.leader());
                learner.end(&mut self.state, &mut self.actions);
                self.next_dial = DialId(dial.0 + 1);
                self.outbox.push(Output::HangUp { dial });
                self.outbox.push(Output::Tell(Event::LeftLeader { leader, reason }));
            }
            Role::Looking | Role::Pausing(_) | Role::Stopped => return false,
        }
        if self.is_serving() {
            self.outbox.push(Output::StopServing);
        }
        self.note_end_of_role(now, reason);
        self.serving = Serving::No;
        self.changes_sides_at = None;
        self.pipeline.end_role(now, tree);
        self.renewals.clear();
        self.relayed.clear();
        self.touches.clear(now.monotonic_ms);
        true
    }

    /// Everything that was committed with this role is applied: clients may come.
    pub(super) fn begin_to_serve(&mut self, now: Now, tree: &Tree) {
        self.serving = Serving::Yes;
        self.figures.serves(now, self.role.state());
        match &mut self.role {
            Role::Leading(leader) => {
                self.pipeline.lead(now, tree, leader.last_proposed());
                leader.established(&mut self.state, now.monotonic_ms, &mut self.actions);
                self.end_dead_owners(now, tree);
            }
            Role::Learning(_) => {
                self.touches.clear(now.monotonic_ms);
                self.masters.found();
            }
            Role::Looking | Role::Pausing(_) | Role::Stopped => {}
        }
        if self.is_serving() {
            self.outbox.push(Output::Serve);
        }
    }

    /// The server is told to stop. The first time, requests that are under way are answered before; the second time the
    /// driver will not wait any longer.
    pub(super) fn on_stop(&mut self, now: Now, tree: &Tree) {
        if self.draining {
            self.stop(now, tree);
        }
        self.draining = true;
    }

    /// Ends a server that was told to, once nothing is under way. The others learn of it by the end of their connections, and
    /// need not wait for anybody who is silent.
    pub(super) fn stop_if_drained(&mut self, now: Now, tree: &Tree) {
        if !self.draining || matches!(self.role, Role::Stopped) {
            return;
        }
        if self.serving != Serving::Yes || !self.pipeline.is_awaited() {
            self.stop(now, tree);
        }
    }

    fn stop(&mut self, now: Now, tree: &Tree) {
        self.end_role(now, tree, Reason::Stopping);
        self.dismiss_early(|_| true);
        self.carry_out(now, tree);
        self.role = Role::Stopped;
        self.outbox.push(Output::Stopped);
    }

    pub(super) fn on_truncated(&mut self, now: Now, tree: &Tree, last_zxid: Zxid, reloaded: Option<Loaded>) {
        if let Some(Loaded { sessions, changes, .. }) = reloaded {
            self.pipeline.replace(now, tree, sessions, changes);
        }
        match &mut self.role {
            Role::Learning(learner) => {
                learner.on_truncated(&mut self.state, now.monotonic_ms, last_zxid, &mut self.actions);
            }
            Role::Looking | Role::Pausing(_) | Role::Leading(_) | Role::Stopped => {
                self.state.history.truncate(last_zxid);
            }
        }
        self.on_log_certain(now);
    }

    pub(super) fn on_snapshot_installed(&mut self, now: Now, tree: &Tree, loaded: Loaded) {
        let Loaded { sessions, changes, .. } = loaded;
        self.pipeline.replace(now, tree, sessions, changes);
        for entry in std::mem::take(&mut self.behind_snapshot) {
            self.pipeline.learn(entry);
        }
        self.on_log_certain(now);
    }

    pub(super) fn on_learner_connected(&mut self, now: Now, link: LearnerLink) {
        match &mut self.role {
            Role::Leading(leader) => {
                leader.on_connected(&self.state, now.monotonic_ms, link, &mut self.actions);
            }
            Role::Looking | Role::Pausing(_) if self.early_learners.len() < WAITING_LINKS_MAX => {
                let until_ms = now.monotonic_ms + self.state.rules.tick_ms;
                self.early_learners.insert(link, EarlyLearner { until_ms, first: None });
            }
            Role::Looking | Role::Pausing(_) | Role::Learning(_) | Role::Stopped => {
                self.outbox.push_for_learner(link, Output::Dismiss { link });
            }
        }
    }

    /// A packet of a learner that nobody serves yet.
    pub(super) fn on_early_packet(&mut self, link: LearnerLink, packet: QuorumPacket) {
        let Some(early) = self.early_learners.get_mut(&link) else { return };
        if early.first.replace(packet).is_some() {
            self.early_learners.remove(&link);
            self.outbox.push_for_learner(link, Output::Dismiss { link });
        }
    }

    pub(super) fn on_learner_gone(&mut self, link: LearnerLink) {
        self.early_learners.remove(&link);
        if let Some(master) = self.role.learner_master() {
            master.on_gone(link);
        }
    }

    pub(super) fn dismiss_early(&mut self, is_over: impl Fn(&EarlyLearner) -> bool) {
        let over: Vec<_> =
            self.early_learners.iter().filter(|(_, early)| is_over(early)).map(|(link, _)| *link).collect();
        for link in over {
            self.early_learners.remove(&link);
            self.outbox.push_for_learner(link, Output::Dismiss { link });
        }
    }

    /// A number below `bound` that differs from server to server (SplitMix64).
    pub(super) fn random_below(&mut self, bound: i64) -> i64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as i64
    }
}
