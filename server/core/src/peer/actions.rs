//! What the roles and the election ask for, made into outputs.

use rookeeper_protocol::types::ServerId;

use super::output::{Event, Output};
use super::{Peer, Role, Serving};
use crate::election::ElectionOutput;
use crate::ensemble::EnsembleConfig;
use crate::pipeline::Now;
use crate::tree::Tree;
use crate::zab::{Action, Epoch};

/// Bytes of the log that are read at a time for a learner.
const HISTORY_PIECE_BYTES: usize = 1 << 20;

impl Peer {
    /// Carries out what was asked for, and what follows from it.
    pub(super) fn carry_out(&mut self, now: Now, tree: &Tree) {
        while !self.actions.is_empty() || !self.votes.is_empty() {
            let roles = self.roles;
            let mut actions = std::mem::take(&mut self.actions);
            for action in actions.drain(..) {
                // What a role asked for itself ends with it; what it asked of the disk does not.
                if roles == self.roles || outlives_role(&action) {
                    self.carry_out_one(now, tree, action);
                }
            }
            if self.actions.is_empty() {
                // The next packet needs the same memory.
                self.actions = actions;
            }
            for vote in std::mem::take(&mut self.votes) {
                self.on_vote(now, vote);
            }
        }
        self.figures.committed(now, self.state.history.committed(), self.leads());
    }

    fn carry_out_one(&mut self, now: Now, tree: &Tree, action: Action) {
        match action {
            Action::Append(record) => self.outbox.append(record, &mut self.durability),
            Action::PersistEpochs(epochs) => self.outbox.persist(epochs, &mut self.durability),
            Action::Truncate(keep) => {
                self.pipeline.forget_behind(keep);
                self.outbox.truncate(keep, &mut self.durability);
            }
            Action::ReceiveSnapshot(zxid) => {
                if let Role::Learning(learner) = &self.role {
                    self.outbox.receive_snapshot(learner.dial(), zxid, &mut self.durability);
                }
            }
            Action::InstallSnapshot => {
                // A snapshot of Java's may have some of this already, so that the tree is another one in between than the
                // digests say. What the leader commits from here on is behind all of it.
                self.behind_snapshot.iter_mut().for_each(|entry| entry.digest = None);
                self.outbox.install_snapshot(&mut self.durability);
            }
            Action::DropSnapshot => {
                self.behind_snapshot.clear();
                self.outbox.drop_snapshot(&mut self.durability);
            }
            Action::Dial { dial, to, timeout_ms } => self.outbox.push(Output::Dial { dial, to, timeout_ms }),
            Action::DialObserverMaster { dial, to, timeout_ms } => {
                self.outbox.push(Output::DialObserverMaster { dial, to, timeout_ms });
            }
            Action::ToLeader(frame) => {
                if let Role::Learning(learner) = &self.role {
                    self.outbox.tell_leader(learner.dial(), frame);
                }
            }
            Action::ToLearner(link, frame) => self.outbox.tell_learner(link, frame),
            Action::OpenSnapshot(link) => self.outbox.push_for_learner(link, Output::OpenSnapshot { link }),
            Action::SendSnapshot(link) => self.outbox.push_for_learner(link, Output::SendSnapshot { link }),
            Action::ReadHistory { link, after, through, size_limit_permille } => {
                let bytes_max = HISTORY_PIECE_BYTES;
                let output = Output::ReadHistory { link, after, through, bytes_max, size_limit_permille };
                self.outbox.push_for_learner(link, output);
            }
            Action::Dismiss { link, server, reason } => {
                self.outbox.push_for_learner(link, Output::Dismiss { link });
                self.outbox.push(Output::Tell(Event::Dismissed { link, server, reason }));
            }
            Action::SeeConfig(config) => self.see_leaders_members(&config),
            Action::SeeFirstConfig(version) => {
                let first = EnsembleConfig { version, ..self.state.membership.active().clone() };
                self.see_members(first);
            }
            Action::ActivateConfig => self.activate_leaders_members(now, tree),
            Action::Activate(zxid, leader) => self.activate_reconfiguration(now, tree, zxid, leader),
            Action::Establish(through) => {
                self.serving = Serving::Behind(through);
                self.election.on_epoch(i64::from(self.epoch().0));
            }
            // The history knows how far; applying needs the tree.
            Action::Commit(_) => {}
            Action::Synced => self.on_synced(),
            Action::Synchronized(server) => self.tell_synchronized(server),
            Action::Leave(reason) => self.leave(now, tree, reason),
        }
    }

    /// The epoch of the present role.
    pub(super) fn epoch(&self) -> Epoch {
        let epoch = match &self.role {
            Role::Leading(leader) => leader.epoch(),
            Role::Learning(learner) => learner.epoch(),
            Role::Looking | Role::Pausing(_) | Role::Stopped => None,
        };
        epoch.unwrap_or(self.state.epochs.current)
    }

    fn tell_synchronized(&mut self, server: ServerId) {
        self.outbox.push(Output::Tell(Event::Synchronized { server }));
    }

    fn on_vote(&mut self, now: Now, vote: ElectionOutput) {
        match vote {
            ElectionOutput::Send { to, message } => self.outbox.push(Output::ElectionMessage { to, message }),
            ElectionOutput::Decided(decision) => self.elected(now, decision),
            ElectionOutput::Activated(activation) => self.tell_activated(activation),
            ElectionOutput::VoterLooks(voter) => {
                if let Role::Leading(leader) = &mut self.role {
                    leader.on_voter_looks(&self.state, now.monotonic_ms, voter, &mut self.actions);
                }
            }
        }
    }
}

fn outlives_role(action: &Action) -> bool {
    match action {
        Action::Append(_)
        | Action::PersistEpochs(_)
        | Action::Truncate(_)
        | Action::InstallSnapshot
        | Action::DropSnapshot
        | Action::Dismiss { .. } => true,
        Action::ReceiveSnapshot(_)
        | Action::Dial { .. }
        | Action::DialObserverMaster { .. }
        | Action::ToLeader(_)
        | Action::ToLearner(..)
        | Action::OpenSnapshot(_)
        | Action::SendSnapshot(_)
        | Action::ReadHistory { .. }
        | Action::SeeConfig(_)
        | Action::SeeFirstConfig(_)
        | Action::ActivateConfig
        | Action::Activate(..)
        | Action::Establish(_)
        | Action::Commit(_)
        | Action::Synced
        | Action::Synchronized(_)
        | Action::Leave(_) => false,
    }
}
