//! A list of members with their groups, weights and version: ZooKeeper's dynamic configuration
//! (`QuorumMaj`, `QuorumHierarchical`, `QuorumPeerConfig.parseDynamicConfig`).
//!
//! The same lines come from zoo.cfg, from a dynamic file, in notifications of an election, in NEWLEADER and in
//! the znode `/zookeeper/config`; all are read here.

use std::collections::BTreeMap;
use std::fmt;

use rookeeper_protocol::properties;
use rookeeper_protocol::types::ServerId;

use super::member::{Member, MemberError, Role, trim};
use super::quorum::Quorum;

/// Who belongs to an ensemble.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// All servers by id.
    pub members: BTreeMap<ServerId, Member>,
    /// Groups and weights, where votes are not simply counted.
    pub hierarchy: Option<Hierarchy>,
    /// The version of this list: the zxid of the reconfiguration that made it.
    pub version: i64,
}

/// Groups of voters, of which a majority of groups with a majority of weight each decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// The group of each server.
    pub group_of: BTreeMap<ServerId, i64>,
    /// The weight of each server's vote; every server that has a group has one.
    pub weight_of: BTreeMap<ServerId, i64>,
}

/// What a server's own settings say about the lists that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigRules {
    /// `multiAddress.enabled`.
    pub multi_address: bool,
    /// `standaloneEnabled`.
    pub standalone_enabled: bool,
}

/// One mistake in a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", key.as_ref().map_or(String::new(), |key| format!("{key}: ")))]
pub struct ConfigError {
    /// Which of the given lines is meant, from 0; absent where it is none.
    pub line: Option<usize>,
    /// The key as it was written; absent where no single key is meant.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: ConfigProblem,
}

/// What can be wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The line of a server cannot be read.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// Two keys that mean the same number.
    #[error("server {0} is given twice")]
    GivenTwice(ServerId),
    /// An id, a group or a weight.
    #[error("{0:?} is not a whole number, without white space")]
    NoNumber(String),
    /// The version.
    #[error("{0:?} is not allowed; it must be a hexadecimal number")]
    NoVersion(String),
    /// A server in two groups.
    #[error("server {0} is in group {1} and in group {2}; it can be in one only")]
    TwoGroups(ServerId, i64, i64),
    /// A participant in none.
    #[error("is in no group although groups are given; name it in one")]
    NoGroup,
    /// A group with a server whose weight nobody knows.
    #[error("names server {0}, which is no participant of this ensemble")]
    NoParticipant(ServerId),
    /// A key that is not about members.
    #[error("may not stand in a list of members, only server.N, group.N, weight.N and version may")]
    ForeignKey,
    /// The text is no properties.
    #[error(transparent)]
    BadEscape(#[from] properties::BadEscape),
    /// Nobody who could lead.
    #[error("standaloneEnabled=false needs a server.N that is a participant")]
    NoParticipants,
    /// Observers, but nobody to follow.
    #[error("observers need participants; name at least two")]
    OnlyObservers,
    /// Observers of a server that runs alone.
    #[error("observers need several participants; name at least two")]
    ObserversOfOne,
}

/// Whether a line with this key is part of a list of members, the version apart
/// (`QuorumPeerConfig.parseDynamicConfig`).
pub fn is_config_key(key: &str) -> bool {
    key.starts_with("server.") || key.starts_with("group") || key.starts_with("weight")
}

impl EnsembleConfig {
    /// Reads the text that travels between servers, or stands in `/zookeeper/config`. Of two lines with the same
    /// key the later one counts, a foreign key is refused (`QuorumPeer.configFromString`). An error holds all mistakes,
    /// never none.
    pub fn parse(text: &str, rules: ConfigRules) -> Result<Self, Vec<ConfigError>> {
        let about_all = |problem| vec![ConfigError { line: None, key: None, problem }];
        let entries = properties::parse(text).map_err(|bad| about_all(bad.into()))?;
        let lines: BTreeMap<&str, &str> = entries.iter().map(|entry| (&*entry.key, &*entry.value)).collect();
        let foreign = |key: &&&str| !is_config_key(trim(key)) && trim(key) != "version";
        if let Some(key) = lines.keys().find(foreign) {
            let key = Some((*key).to_owned());
            return Err(vec![ConfigError { line: None, key, problem: ConfigProblem::ForeignKey }]);
        }
        let lines: Vec<_> = lines.into_iter().collect();
        let config = Self::from_lines(&lines, rules.multi_address)?;
        config.check_counts(rules.standalone_enabled).map_err(about_all)?;
        Ok(config)
    }

    /// Reads lines, each a key and a value that is not trimmed, since Java takes these as they stand; other keys
    /// are skipped. An error holds all mistakes, never none.
    pub fn from_lines(lines: &[(&str, &str)], multi_address: bool) -> Result<Self, Vec<ConfigError>> {
        let mut config = Self::default();
        let mut hierarchy = Hierarchy::default();
        let mut grouped = false;
        let mut errors = Vec::new();
        for (at, (key, value)) in lines.iter().enumerate() {
            let taken = if let Some(id) = key.strip_prefix("server.") {
                config.take_server(id, value, multi_address)
            } else if key.starts_with("group") {
                grouped = true;
                hierarchy.take_group(key, value)
            } else if key.starts_with("weight") {
                grouped = true;
                hierarchy.take_weight(key, value)
            } else if *key == "version" {
                config.take_version(value)
            } else {
                Ok(())
            };
            if let Err(problem) = taken {
                errors.push(ConfigError { line: Some(at), key: Some((*key).to_owned()), problem });
            }
        }
        if grouped && errors.is_empty() {
            errors.extend(hierarchy.complete(&config, lines));
            config.hierarchy = Some(hierarchy);
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    fn take_server(&mut self, id: &str, text: &str, multi_address: bool) -> Result<(), ConfigProblem> {
        let id = ServerId(number(id)?);
        let member = Member::parse(id, text, multi_address)?;
        match self.members.insert(id, member) {
            None => Ok(()),
            Some(_) => Err(ConfigProblem::GivenTwice(id)),
        }
    }

    fn take_version(&mut self, text: &str) -> Result<(), ConfigProblem> {
        self.version = i64::from_str_radix(text, 16).map_err(|_| ConfigProblem::NoVersion(text.to_owned()))?;
        Ok(())
    }

    /// Members that vote.
    pub fn participants(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == Role::Participant)
    }

    /// Members that do not vote.
    pub fn observers(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == Role::Observer)
    }

    /// Whether it is a member that votes.
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.members.get(&id).is_some_and(|member| member.role == Role::Participant)
    }

    /// What it takes to decide something in this ensemble.
    pub fn quorum(&self) -> Quorum {
        Quorum::new(self)
    }

    /// Whether two lists mean the same ensemble, their versions apart. Java asks this of two lists with
    /// different versions only (`QuorumMaj.equals`, `QuorumHierarchical.equals`).
    pub fn same_members(&self, other: &Self) -> bool {
        self.members == other.members && self.hierarchy == other.hierarchy
    }

    /// Whether a leader votes in both lists and serves learners at the same places.
    pub(super) fn keeps_leader(&self, leader: ServerId, next: &Self) -> bool {
        match (self.members.get(&leader), next.members.get(&leader)) {
            (Some(old), Some(new)) => {
                let voters = self.is_voter(leader) && next.is_voter(leader);
                voters && old.quorum_addresses().eq(new.quorum_addresses())
            }
            _ => false,
        }
    }

    /// Whether members of these roles make sense together (`QuorumPeerConfig.parseDynamicConfig`).
    pub fn check_counts(&self, standalone_enabled: bool) -> Result<(), ConfigProblem> {
        let observers = self.observers().count();
        match (self.participants().count(), standalone_enabled) {
            (0, false) => Err(ConfigProblem::NoParticipants),
            (0, true) if observers > 0 => Err(ConfigProblem::OnlyObservers),
            (1, true) if observers > 0 => Err(ConfigProblem::ObserversOfOne),
            _ => Ok(()),
        }
    }
}

impl Hierarchy {
    fn take_group(&mut self, key: &str, text: &str) -> Result<(), ConfigProblem> {
        let group = number_of(key)?;
        for id in text.trim_end_matches(':').split(':') {
            let id = ServerId(number(id)?);
            if let Some(other) = self.group_of.insert(id, group) {
                return Err(ConfigProblem::TwoGroups(id, other, group));
            }
        }
        Ok(())
    }

    fn take_weight(&mut self, key: &str, text: &str) -> Result<(), ConfigProblem> {
        self.weight_of.insert(ServerId(number_of(key)?), number(text)?);
        Ok(())
    }

    /// Every voter needs a group; a vote without a weight counts once; a group may name others only if they
    /// have a weight.
    fn complete(&mut self, config: &EnsembleConfig, lines: &[(&str, &str)]) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for member in config.participants() {
            let of_member = |key: &str| key.strip_prefix("server.").and_then(|id| id.parse().ok()) == Some(member.id.0);
            let line = lines.iter().position(|(key, _)| of_member(key));
            if !self.group_of.contains_key(&member.id) {
                let key = Some(format!("server.{}", member.id));
                errors.push(ConfigError { line, key, problem: ConfigProblem::NoGroup });
            }
            self.weight_of.entry(member.id).or_insert(1);
        }
        for (id, group) in &self.group_of {
            if !self.weight_of.contains_key(id) {
                let of_group = |key: &str| key.starts_with("group") && number_of(key) == Ok(*group);
                let line = lines.iter().position(|(key, _)| of_group(key));
                let key = Some(format!("group.{group}"));
                errors.push(ConfigError { line, key, problem: ConfigProblem::NoParticipant(*id) });
            }
        }
        errors
    }
}

/// The text as Java writes it, except that Java's order of servers and groups is that of a hash table
/// (`QuorumMaj.toString`, `QuorumHierarchical.toString`).
impl fmt::Display for EnsembleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in self.members.values() {
            writeln!(f, "server.{}={member}", member.id)?;
        }
        if let Some(hierarchy) = &self.hierarchy {
            let mut groups = BTreeMap::<i64, Vec<String>>::new();
            for (id, group) in &hierarchy.group_of {
                groups.entry(*group).or_default().push(id.to_string());
            }
            for (group, ids) in groups {
                writeln!(f, "group.{group}={}", ids.join(":"))?;
            }
            for (id, weight) in &hierarchy.weight_of {
                writeln!(f, "weight.{id}={weight}")?;
            }
        }
        write!(f, "version={:x}", self.version)
    }
}

/// The number behind the first dot of a key; without a dot Java takes the whole key.
fn number_of(key: &str) -> Result<i64, ConfigProblem> {
    number(key.split_once('.').map_or(key, |(_, number)| number))
}

/// `Long.parseLong`: decimal, one optional sign.
fn number(text: &str) -> Result<i64, ConfigProblem> {
    text.parse().map_err(|_| ConfigProblem::NoNumber(text.to_owned()))
}

#[cfg(test)]
mod tests;
