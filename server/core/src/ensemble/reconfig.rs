//! The list of members that a reconfiguration asks for, and who leads once it is committed
//! (`PrepRequestProcessor.pRequest2Txn`, case reconfig; `Leader.getDesignatedLeader`).

use std::cmp::Reverse;

use rookeeper_protocol::client::ReconfigRequest;
use rookeeper_protocol::types::{ErrorCode, HostPort, ServerId, Zxid};

use super::config::{ConfigError, ConfigProblem, ConfigRules, EnsembleConfig};
use super::member::{Member, MemberError, trim};
use super::membership::Membership;

/// Why a reconfiguration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigError {
    /// Another one is neither committed nor given up.
    #[error("another reconfiguration is under way")]
    InProgress,
    /// It is based on another list than the last one.
    #[error("it starts from version {asked:x}, but the last version seen is {last:x}")]
    BadVersion {
        /// The version that the client named.
        asked: i64,
        /// The version that it should have named.
        last: i64,
    },
    /// Single members cannot come and go where votes have weights.
    #[error("members of groups cannot join or leave one by one; give the whole list of new members")]
    Hierarchical,
    /// A member to remove is no number, or the one to add has none.
    #[error("{0:?} names no server")]
    NoServer(String),
    /// The line of a joining member.
    #[error("{0:?} must be server.N=, then addresses, then ;port or ;host:port")]
    WrongForm(String),
    /// The addresses of a joining member.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// Two members at one place.
    #[error("{place} of server.{joining} belongs to server.{present}")]
    SameAddress {
        /// What both name.
        place: HostPort,
        /// The member that is to join.
        joining: ServerId,
        /// The member that is there.
        present: ServerId,
    },
    /// The new members as a whole.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// Too few that could lead.
    #[error("at least {0} participants must remain")]
    TooFew(usize),
    /// The new members do not hold what the present ones do.
    #[error("no quorum of the new members is connected and in sync")]
    NoQuorum,
}

impl ReconfigError {
    /// The code that the client gets. A mistake that Java has no word for ends as a failure of decoding there.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InProgress => ErrorCode::ReconfigInProgress,
            Self::BadVersion { .. } => ErrorCode::BadVersion,
            Self::NoQuorum => ErrorCode::NewConfigNoQuorum,
            Self::NoServer(_) | Self::Member(MemberError::PortOutOfRange(_)) => ErrorCode::MarshallingError,
            Self::Config(errors) if errors.iter().any(|error| is_unchecked(&error.problem)) => {
                ErrorCode::MarshallingError
            }
            Self::Hierarchical
            | Self::WrongForm(_)
            | Self::Member(_)
            | Self::SameAddress { .. }
            | Self::Config(_)
            | Self::TooFew(_) => ErrorCode::BadArguments,
        }
    }
}

/// Whether Java fails over it with anything but a `ConfigException`.
fn is_unchecked(problem: &ConfigProblem) -> bool {
    match problem {
        ConfigProblem::Member(error) => matches!(error, MemberError::PortOutOfRange(_)),
        ConfigProblem::GivenTwice(_)
        | ConfigProblem::TwoGroups(..)
        | ConfigProblem::NoGroup
        | ConfigProblem::ForeignKey => false,
        ConfigProblem::NoNumber(_)
        | ConfigProblem::NoVersion(_)
        | ConfigProblem::NoParticipant(_)
        | ConfigProblem::BadEscape(_)
        | ConfigProblem::NoParticipants
        | ConfigProblem::OnlyObservers
        | ConfigProblem::ObserversOfOne => true,
    }
}

/// The list that the request asks for, with the zxid of its transaction as version. `synced` tells whom the
/// leader counts as connected and in sync, itself included. Whether reconfigurations are allowed at all, and
/// to this client, is not asked here.
pub fn reconfigured(
    request: &ReconfigRequest<'_>,
    membership: &Membership,
    zxid: Zxid,
    synced: impl Fn(ServerId) -> bool,
) -> Result<EnsembleConfig, ReconfigError> {
    let last = membership.last_seen();
    if last.version != membership.active().version {
        return Err(ReconfigError::InProgress);
    }
    if request.from_config != -1 && request.from_config != last.version {
        return Err(ReconfigError::BadVersion { asked: request.from_config, last: last.version });
    }
    let rules = membership.rules();
    let mut config = match &request.new_members {
        Some(members) => EnsembleConfig::parse(&members.replace(',', "\n"), rules).map_err(ReconfigError::Config)?,
        None => changed_one_by_one(last, request, rules)?,
    };
    config.version = zxid.0;
    let participants_min = if rules.standalone_enabled { 2 } else { 1 };
    if config.participants().count() < participants_min {
        return Err(ReconfigError::TooFew(participants_min));
    }
    if !config.quorum().satisfied_by(synced) {
        return Err(ReconfigError::NoQuorum);
    }
    Ok(config)
}

fn changed_one_by_one(
    last: &EnsembleConfig,
    request: &ReconfigRequest<'_>,
    rules: ConfigRules,
) -> Result<EnsembleConfig, ReconfigError> {
    if last.hierarchy.is_some() {
        return Err(ReconfigError::Hierarchical);
    }
    let mut config = last.clone();
    for leaving in parts(request.leaving.as_deref().unwrap_or_default(), ',') {
        config.members.remove(&server_id(leaving)?);
    }
    for joining in parts(request.joining.as_deref().unwrap_or_default(), ',') {
        let member = joining_member(joining, rules)?;
        check_places(&member, &config)?;
        config.members.insert(member.id, member);
    }
    Ok(config)
}

/// `server.N=addresses;client`, of which Java looks at the number behind the last dot only.
fn joining_member(text: &str, rules: ConfigRules) -> Result<Member, ReconfigError> {
    let wrong_form = || ReconfigError::WrongForm(text.to_owned());
    let mut sides = parts(text, '=');
    let (Some(key), Some(value), None) = (sides.next(), sides.next(), sides.next()) else {
        return Err(wrong_form());
    };
    let id = server_id(key.rsplit_once('.').map_or(key, |(_, id)| id))?;
    let member = Member::parse(id, value, rules.multi_address)?;
    if member.client.is_some() { Ok(member) } else { Err(wrong_form()) }
}

/// Two members may not share a place (`QuorumServer.checkAddressDuplicate`).
fn check_places(joining: &Member, config: &EnsembleConfig) -> Result<(), ReconfigError> {
    for present in config.members.values().filter(|present| present.id != joining.id) {
        let clash = |place: &HostPort| present.exclusive_addresses().any(|other| same_place(place, &other));
        if let Some(place) = joining.exclusive_addresses().find(clash) {
            return Err(ReconfigError::SameAddress { place, joining: joining.id, present: present.id });
        }
    }
    Ok(())
}

fn same_place(a: &HostPort, b: &HostPort) -> bool {
    a.port == b.port && a.host.eq_ignore_ascii_case(&b.host)
}

fn server_id(text: &str) -> Result<ServerId, ReconfigError> {
    text.parse().map(ServerId).map_err(|_| ReconfigError::NoServer(text.to_owned()))
}

/// What stands between separators, without white space and without what is empty (`StringUtils.split`).
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(trim).filter(|part| !part.is_empty())
}

/// Who leads once `next` is committed at `zxid`: the present leader if it votes there and has not moved, else
/// the voter that has acknowledged most of what follows, so that least is lost. `acked` is the last zxid that a
/// server has acknowledged.
pub fn designated_leader(
    leader: ServerId,
    active: &EnsembleConfig,
    next: &EnsembleConfig,
    zxid: Zxid,
    acked: impl Fn(ServerId) -> Option<Zxid>,
) -> ServerId {
    if active.keeps_leader(leader, next) {
        return leader;
    }
    let candidates = next.participants().map(|member| member.id).filter(|id| *id != leader);
    let with_acks = candidates.filter_map(|id| acked(id).filter(|last| *last >= zxid).map(|last| (last, Reverse(id))));
    // Nobody else can have it only where this leader, at another place, is the new quorum by itself.
    with_acks.max().map_or(leader, |(_, Reverse(id))| id)
}

#[cfg(test)]
mod tests;
