//! One server of an ensemble as its line says it (`QuorumPeer.QuorumServer`):
//! `host:quorumPort:electionPort[:role][;[host:]clientPort]`, with more addresses after `|`.

use std::fmt;

use rookeeper_protocol::types::{
    BracketError, HostPort, ServerId, canonical_host, host_and_ports, is_any_local, is_loopback, split_parts,
};

/// Whether a server votes (`QuorumPeer.LearnerType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Votes and may lead.
    Participant,
    /// Follows without a vote.
    Observer,
}

impl Role {
    /// The role that a word names, in any case and with white space around it.
    pub fn named(word: &str) -> Option<Self> {
        match trim(word).to_lowercase().as_str() {
            "participant" => Some(Self::Participant),
            "observer" => Some(Self::Observer),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

/// Where one server reaches another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Name or address, without brackets; it is looked up when it is used. A literal address stands in the form
    /// in which Java shows it, so that two texts of one address are equal.
    pub host: String,
    /// Port where the leader serves learners.
    pub quorum_port: u16,
    /// Port for elections.
    pub election_port: u16,
}

impl PeerAddress {
    /// Where it serves learners while it leads.
    pub fn quorum(&self) -> HostPort {
        HostPort { host: self.host.clone(), port: self.quorum_port }
    }

    /// Where it takes part in elections.
    pub fn election(&self) -> HostPort {
        HostPort { host: self.host.clone(), port: self.election_port }
    }
}

/// One server of an ensemble.
///
/// Java also keeps the client address here that came from `clientPort`, with a mark that keeps it out of the
/// text. Here it stays out altogether, so that two lists with the same text are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The number behind `server.`.
    pub id: ServerId,
    /// At least one, each once, in the order of their hosts.
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Where it serves clients, when the line says so. Its host stands in the form of [`PeerAddress`].
    pub client: Option<HostPort>,
}

/// What is wrong with the line of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Too few or too many parts.
    #[error("{0:?} is not host:port:port or host:port:port:role, more such after |, then ;port or ;host:port")]
    WrongForm(String),
    /// An address in brackets that does not end, or has no port behind it.
    #[error("{0:?} {1}")]
    Brackets(String, BracketError),
    /// Not a number.
    #[error("{0:?} is no port; it must be a number from 0 to 65535, without white space")]
    NoPort(String),
    /// A number, but no port. Java fails otherwise then than for what is no number.
    #[error("{0:?} is no port; it must be a number from 0 to 65535, without white space")]
    PortOutOfRange(String),
    /// One port for learners and for elections.
    #[error("{0:?} has the same port twice; the ports for learners and elections must differ")]
    SamePort(String),
    /// Neither participant nor observer.
    #[error("{0:?} is no role; it must be participant or observer")]
    NoRole(String),
    /// Participant at one address, observer at another.
    #[error("{0:?} gives several roles to one server")]
    SeveralRoles(String),
    /// More addresses than one where only one is allowed.
    #[error("{0:?} has more than one address; set multiAddress.enabled=true to allow it")]
    SeveralAddresses(String),
}

impl Member {
    /// Reads the value of `server.<id>`. White space is not dropped, since Java does not either. `multi_address`
    /// is `multiAddress.enabled`.
    pub fn parse(id: ServerId, text: &str, multi_address: bool) -> Result<Self, MemberError> {
        let wrong_form = || MemberError::WrongForm(text.to_owned());
        let (peers, client) = match split_parts(text, ';')[..] {
            [peers] => (peers, None),
            [peers, client] => (peers, Some(client)),
            _ => return Err(wrong_form()),
        };
        let client = client.map(|client| parse_client(text, client)).transpose()?;
        let peers = split_parts(peers, '|');
        if peers.is_empty() {
            return Err(wrong_form());
        }
        if peers.len() > 1 && !multi_address {
            return Err(MemberError::SeveralAddresses(text.to_owned()));
        }
        let mut addresses = Vec::new();
        let mut role = None;
        for peer in peers {
            let (address, word) = parse_peer(text, peer)?;
            addresses.push(address);
            if let Some(word) = word {
                if role.is_some_and(|role| role != word) {
                    return Err(MemberError::SeveralRoles(text.to_owned()));
                }
                role = Some(word);
            }
        }
        addresses.sort();
        addresses.dedup();
        Ok(Self { id, addresses, role: role.unwrap_or(Role::Participant), client })
    }

    /// The places where it serves learners while it leads, as `QuorumServer.addr`.
    pub fn quorum_addresses(&self) -> impl Iterator<Item = HostPort> {
        self.addresses.iter().map(PeerAddress::quorum)
    }

    /// The places where it takes part in elections, as `QuorumServer.electionAddr`.
    pub fn election_addresses(&self) -> impl Iterator<Item = HostPort> {
        self.addresses.iter().map(PeerAddress::election)
    }

    /// All places that another server may not have as well: the wildcard and this machine itself are no places
    /// of that kind (`QuorumServer.checkAddressDuplicate`). Java compares what names resolve to, here the names
    /// themselves are compared, since the core resolves nothing.
    pub(super) fn exclusive_addresses(&self) -> impl Iterator<Item = HostPort> {
        let all = self.quorum_addresses().chain(self.election_addresses()).chain(self.client.clone());
        all.filter(|place| !is_any_local(&place.host) && !is_loopback(&place.host))
    }
}

/// The value as Java writes it into `/zookeeper/config` (`QuorumServer.toString`).
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.addresses.iter().enumerate() {
            let bar = if at == 0 { "" } else { "|" };
            write!(f, "{bar}{}:{}", address.quorum(), address.election_port)?;
        }
        write!(f, ":{}", self.role)?;
        match &self.client {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}

/// Java's `String.trim`: control characters go as well.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn parse_client(text: &str, client: &str) -> Result<HostPort, MemberError> {
    let (host, port) = match in_parts(client)?[..] {
        [port] => ("0.0.0.0", port),
        [host, port] => (host, port),
        _ => return Err(MemberError::WrongForm(text.to_owned())),
    };
    Ok(HostPort { host: canonical_host(host), port: parse_port(port)? })
}

fn parse_peer(text: &str, peer: &str) -> Result<(PeerAddress, Option<Role>), MemberError> {
    let (host, quorum, election, role) = match in_parts(peer)?[..] {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(role)),
        _ => return Err(MemberError::WrongForm(text.to_owned())),
    };
    let (quorum_port, election_port) = (parse_port(quorum)?, parse_port(election)?);
    if quorum_port == election_port {
        return Err(MemberError::SamePort(peer.to_owned()));
    }
    let role = match role {
        None => None,
        Some(word) => Some(Role::named(word).ok_or_else(|| MemberError::NoRole(word.to_owned()))?),
    };
    Ok((PeerAddress { host: canonical_host(host), quorum_port, election_port }, role))
}

fn parse_port(text: &str) -> Result<u16, MemberError> {
    let number: i32 = text.parse().map_err(|_| MemberError::NoPort(text.to_owned()))?;
    u16::try_from(number).map_err(|_| MemberError::PortOutOfRange(text.to_owned()))
}

fn in_parts(text: &str) -> Result<Vec<&str>, MemberError> {
    host_and_ports(text).map_err(|problem| MemberError::Brackets(text.to_owned(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let member = Member::parse(ServerId(1), text, true).map_err(|error| error.to_string())?;
        let shown = member.to_string();
        assert_eq!(Member::parse(ServerId(1), &shown, true), Ok(member), "{text:?} does not come back");
        Ok(shown)
    }

    #[test]
    fn forms_that_java_takes() {
        for (text, want) in [
            ("zk1:2888:3888", "zk1:2888:3888:participant"),
            ("zk1:2888:3888:Observer", "zk1:2888:3888:observer"),
            ("zk1:2888:3888;2181", "zk1:2888:3888:participant;0.0.0.0:2181"),
            ("zk1:2888:3888:participant;10.0.0.1:2181", "zk1:2888:3888:participant;10.0.0.1:2181"),
            ("zk1:2888:3888;[::1]:2181", "zk1:2888:3888:participant;[0:0:0:0:0:0:0:1]:2181"),
            ("[2001:db8::1]:2888:3888", "[2001:db8:0:0:0:0:0:1]:2888:3888:participant"),
            ("[fe80::1%eth0]:2888:3888", "[fe80:0:0:0:0:0:0:1%eth0]:2888:3888:participant"),
            ("[::ffff:10.0.0.1]:2888:3888", "10.0.0.1:2888:3888:participant"),
            ("[::1]x2888:3888", "[0:0:0:0:0:0:0:1]:2888:3888:participant"),
            ("zk1:+2888:3888:", "zk1:2888:3888:participant"),
            ("zk1:2888:3888;", "zk1:2888:3888:participant"),
            ("zk1:2888:3888: observer ", "zk1:2888:3888:observer"),
            ("b:1:2|a:3:4", "a:3:4|b:1:2:participant"),
            ("b:1:2:observer|a:3:4", "a:3:4|b:1:2:observer"),
            ("a:1:2|a:1:2", "a:1:2:participant"),
        ] {
            assert_eq!(shown(text), Ok(want.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn forms_that_java_refuses() {
        for (text, part) in [
            ("", "is not host:port:port"),
            ("|", "is not host:port:port"),
            (";", "is not host:port:port"),
            ("zk1", "is not host:port:port"),
            ("zk1:2888", "is not host:port:port"),
            ("zk1:2888:3888:observer:x", "is not host:port:port"),
            ("zk1:2888:3888;1;2", "is not host:port:port"),
            ("zk1:2888:3888;a:b:1", "is not host:port:port"),
            ("zk1:2888:3888 ", "is no port"),
            ("zk1:2888:70000", "is no port"),
            ("zk1:2888:-1", "is no port"),
            ("zk1:2888:3888;x", "is no port"),
            ("zk1:2888:2888", "has the same port twice"),
            ("zk1:2888:3888:leader", "is no role"),
            ("[::1:2888:3888", "has no ]"),
            ("[::1]:", "has no port after"),
            ("a:1:2:observer|b:1:2:participant", "several roles"),
        ] {
            let error = shown(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        let error = Member::parse(ServerId(1), "a:1:2|b:1:2", false).unwrap_err();
        assert!(error.to_string().contains("multiAddress.enabled"), "{error}");
    }
}
