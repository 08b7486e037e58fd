//! What one server knows of its ensemble: the list of members that is in force, the last one it has seen
//! proposed, and its own part in them (`QuorumPeer`).
//!
//! ```text
//!   active = last seen --see: proposed, or told by NEWLEADER--> active, last seen newer
//!        ^                                                              |
//!        +----------- activate: committed, or told in an election ------+
//! ```

use std::collections::BTreeSet;

use rookeeper_protocol::types::{HostPort, ServerId};

use super::config::{ConfigRules, EnsembleConfig};
use super::member::Role;
use super::quorum::Quorums;

/// The lists of members as one server knows them.
#[derive(Debug, Clone)]
pub struct Membership {
    my_id: ServerId,
    rules: ConfigRules,
    reconfig_enabled: bool,
    active: EnsembleConfig,
    last_seen: EnsembleConfig,
    role: Role,
    // What follows from the lists; asked for with every message.
    quorums: Quorums,
    voters: BTreeSet<ServerId>,
    active_text: String,
}

/// What another active list means to this server (`QuorumPeer.processReconfig`). Its text is to be written in
/// any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Another ensemble than before, not only another version.
    pub members_changed: bool,
    /// No newer list is under way, so that the file which keeps one goes.
    pub nothing_pending: bool,
    /// Participant has become observer or the other way round.
    pub role_changed: bool,
    /// The leader is no more, or is no longer where it was.
    pub leader_changed: bool,
    /// The list names another place than before where clients are to be served. It may be the one of
    /// `clientPort`, where they are served already.
    pub client_address: Option<HostPort>,
}

impl Activation {
    /// Whether the present following or leading ends.
    pub fn is_major(&self) -> bool {
        self.role_changed || self.leader_changed
    }
}

impl Membership {
    /// What a start has found: the list in force, one that was proposed when it stopped, `reconfigEnabled`.
    pub fn new(
        my_id: ServerId,
        active: EnsembleConfig,
        next: Option<EnsembleConfig>,
        rules: ConfigRules,
        reconfig_enabled: bool,
    ) -> Self {
        let mut membership = Self {
            my_id,
            rules,
            reconfig_enabled,
            role: role_of(my_id, &active),
            quorums: Quorums::new(&active, &active),
            voters: BTreeSet::new(),
            active_text: String::new(),
            last_seen: active.clone(),
            active,
        };
        membership.refresh();
        if let Some(next) = next {
            membership.see(next);
        }
        membership
    }

    /// This server.
    pub fn my_id(&self) -> ServerId {
        self.my_id
    }

    /// How lists from others are read.
    pub fn rules(&self) -> ConfigRules {
        self.rules
    }

    /// Whether lists may change at all (`reconfigEnabled`).
    pub fn reconfig_enabled(&self) -> bool {
        self.reconfig_enabled
    }

    /// The list in force (`getQuorumVerifier`).
    pub fn active(&self) -> &EnsembleConfig {
        &self.active
    }

    /// Its text.
    pub fn active_text(&self) -> &str {
        &self.active_text
    }

    /// The last list that was proposed, which is the one in force if none is under way
    /// (`getLastSeenQuorumVerifier`).
    pub fn last_seen(&self) -> &EnsembleConfig {
        &self.last_seen
    }

    /// Whether this server votes. One that no list names does what a participant does, but nobody counts it
    /// (`QuorumPeer.updateLearnerType`).
    pub fn role(&self) -> Role {
        self.role
    }

    /// As what this server takes part from its next election on. An observer that a list under way makes a voter follows already:
    /// without it that list might never have its quorum. Java's leaders count observers then, which need not have on disk what
    /// they acknowledge.
    pub fn next_role(&self) -> Role {
        if self.voters.contains(&self.my_id) { Role::Participant } else { self.role }
    }

    /// The quorums that a decision needs.
    pub fn quorums(&self) -> &Quorums {
        &self.quorums
    }

    /// Everybody whose vote is heard: the voters of both lists (`getCurrentAndNextConfigVoters`).
    pub fn voters(&self) -> &BTreeSet<ServerId> {
        &self.voters
    }

    /// A list was proposed, or the leader told the one it has (`setLastSeenQuorumVerifier`). True if it is
    /// another than the last one, and so is to be written. An older one is taken too: the newer one then was
    /// never committed.
    pub fn see(&mut self, config: EnsembleConfig) -> bool {
        if !self.reconfig_enabled || config.version == self.last_seen.version {
            return false;
        }
        self.last_seen = config;
        self.refresh();
        true
    }

    /// A list is in force (`processReconfig`). `leader` is whom this server follows, `designated` whom the
    /// reconfiguration makes leader. Nothing happens if the list is known or old, or if lists may not change.
    pub fn activate(
        &mut self,
        config: EnsembleConfig,
        leader: ServerId,
        designated: Option<ServerId>,
    ) -> Option<Activation> {
        if !self.reconfig_enabled || config.version <= self.active.version {
            return None;
        }
        let old = std::mem::replace(&mut self.active, config);
        if self.active.version > self.last_seen.version {
            self.last_seen = self.active.clone();
        }
        self.refresh();
        let nothing_pending = self.active.version == self.last_seen.version;
        let members_changed = !old.same_members(&self.active);
        let mut activation = Activation {
            members_changed,
            nothing_pending,
            role_changed: false,
            leader_changed: false,
            client_address: None,
        };
        if members_changed {
            let role = role_of(self.my_id, &self.active);
            activation.role_changed = std::mem::replace(&mut self.role, role) != role;
            activation.leader_changed = match designated {
                Some(designated) => designated != leader,
                None => !old.keeps_leader(leader, &self.active),
            };
            activation.client_address = new_client_address(self.my_id, &old, &self.active);
        }
        Some(activation)
    }

    fn refresh(&mut self) {
        self.quorums = Quorums::new(&self.active, &self.last_seen);
        self.voters = self.active.participants().chain(self.last_seen.participants()).map(|member| member.id).collect();
        self.active_text = self.active.to_string();
    }
}

fn role_of(id: ServerId, config: &EnsembleConfig) -> Role {
    config.members.get(&id).map_or(Role::Participant, |member| member.role)
}

fn new_client_address(id: ServerId, old: &EnsembleConfig, new: &EnsembleConfig) -> Option<HostPort> {
    let client = |config: &EnsembleConfig| config.members.get(&id).and_then(|member| member.client.clone());
    client(new).filter(|address| client(old).as_ref() != Some(address))
}

#[cfg(test)]
mod tests;
