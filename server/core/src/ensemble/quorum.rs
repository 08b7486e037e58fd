//! Which sets of voters decide (`QuorumMaj`, `QuorumHierarchical`), in one list of members or in two at once
//! (`SyncedLearnerTracker`).

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_protocol::types::ServerId;

use super::config::EnsembleConfig;

/// The quorums of one list of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    voters: BTreeSet<ServerId>,
    groups: Option<Groups>,
}

/// Weighted votes in groups (`QuorumHierarchical`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Groups {
    /// Every server that has a group, voter or not, with its group and weight.
    servers: BTreeMap<ServerId, (i64, i64)>,
    /// Weights that were given, with a group or without.
    weights: BTreeMap<ServerId, i64>,
    /// The sum of the weights in each group. A sum of 64-bit weights may need more.
    totals: BTreeMap<i64, i128>,
}

impl Quorum {
    pub(super) fn new(config: &EnsembleConfig) -> Self {
        let voters = config.participants().map(|member| member.id).collect();
        let groups = config.hierarchy.as_ref().map(|hierarchy| {
            let weight = |id: &ServerId| hierarchy.weight_of.get(id).copied().unwrap_or(0);
            let servers: BTreeMap<_, _> =
                hierarchy.group_of.iter().map(|(id, group)| (*id, (*group, weight(id)))).collect();
            let mut totals = BTreeMap::new();
            for (group, weight) in servers.values() {
                *totals.entry(*group).or_default() += i128::from(*weight);
            }
            Groups { servers, weights: hierarchy.weight_of.clone(), totals }
        });
        Self { voters, groups }
    }

    /// The servers that vote.
    pub fn voters(&self) -> &BTreeSet<ServerId> {
        &self.voters
    }

    /// The weight of a server's vote; 1 where votes are counted (`QuorumVerifier.getWeight`). Java fails over a
    /// server that it has no weight for, which is taken as 0 here: it cannot be elected.
    pub fn weight(&self, id: ServerId) -> i64 {
        match &self.groups {
            None => 1,
            Some(groups) => groups.weights.get(&id).copied().unwrap_or(0),
        }
    }

    /// Whether the voters for which `has` holds are a quorum (`QuorumVerifier.containsQuorum`).
    pub fn satisfied_by(&self, has: impl Fn(ServerId) -> bool) -> bool {
        let present = self.voters.iter().copied().filter(|id| has(*id));
        match &self.groups {
            None => present.count() + usize::from(planted!(QuorumOffByOne)) > self.voters.len() / 2,
            Some(groups) => groups.satisfied_by(present),
        }
    }
}

impl Groups {
    /// A group counts with more than half of its weight; more than half of the groups that have any weight are
    /// needed.
    fn satisfied_by(&self, present: impl Iterator<Item = ServerId>) -> bool {
        let mut sums = BTreeMap::<i64, i128>::new();
        for (group, weight) in present.filter_map(|id| self.servers.get(&id)) {
            *sums.entry(*group).or_default() += i128::from(*weight);
        }
        let total = |group| self.totals.get(group).copied().unwrap_or(0);
        let won = sums.iter().filter(|(group, sum)| **sum > total(group) / 2).count();
        let counted = self.totals.values().filter(|total| **total != 0).count();
        won > counted / 2
    }
}

/// The quorums that are all needed at once: of the active list and, while a newer one is under way, of that one
/// too (`SyncedLearnerTracker`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorums {
    active: Quorum,
    next: Option<Quorum>,
}

impl Quorums {
    /// The quorums of `active`, and of `last_seen` if that list is newer.
    pub fn new(active: &EnsembleConfig, last_seen: &EnsembleConfig) -> Self {
        let next = (last_seen.version > active.version).then(|| last_seen.quorum());
        Self { active: active.quorum(), next }
    }

    /// The quorum of the active list.
    pub fn active(&self) -> &Quorum {
        &self.active
    }

    fn all(&self) -> impl Iterator<Item = &Quorum> {
        std::iter::once(&self.active).chain(&self.next)
    }

    /// Everybody whose vote counts in one of them.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        self.all().flat_map(|quorum| quorum.voters.iter().copied()).collect()
    }

    /// Whether its vote counts in each of them (`SyncedLearnerTracker.hasSid`).
    pub fn counts_everywhere(&self, id: ServerId) -> bool {
        self.all().all(|quorum| quorum.voters.contains(&id))
    }

    /// Whether the voters for which `has` holds are a quorum of each (`SyncedLearnerTracker.hasAllQuorums`).
    pub fn satisfied_by(&self, has: impl Fn(ServerId) -> bool) -> bool {
        self.all().all(|quorum| quorum.satisfied_by(&has))
    }

    /// The highest value that a quorum of each has reached: with the last acknowledged zxid of each voter, the
    /// zxid up to which all is committed.
    pub fn highest<T: Ord + Copy>(&self, reached: impl Fn(ServerId) -> Option<T>) -> Option<T> {
        let mut values: Vec<T> = self.all().flat_map(|quorum| &quorum.voters).filter_map(|id| reached(*id)).collect();
        values.sort_unstable();
        let enough = |value: &T| self.satisfied_by(|id| reached(id).is_some_and(|reached| reached >= *value));
        values.into_iter().rev().find(enough)
    }
}

#[cfg(test)]
mod tests;
