//! One server of an ensemble as zoo.cfg writes it (`QuorumPeer.QuorumServer`):
//! `host:quorumPort:electionPort[:role][;[host:]clientPort]`, with more addresses after `|`.

use std::fmt;

use nom::bytes::complete::{take, take_until};
use nom::character::complete::char;
use nom::combinator::rest;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::value;

/// Whether a server votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Votes and may lead.
    Participant,
    /// Follows without a vote.
    Observer,
}

impl Role {
    /// The role that a word names, in any case.
    pub(super) fn named(word: &str) -> Option<Self> {
        match value::trim(word).to_lowercase().as_str() {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Name or address, without brackets; it is looked up when it is used.
    pub host: String,
    /// Port where the leader serves learners.
    pub quorum_port: u16,
    /// Port for elections.
    pub election_port: u16,
}

/// A host that is not looked up yet, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// The number behind `server.`.
    pub id: i64,
    /// At least one, each host and port once.
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Where it serves clients, when the text says so.
    pub client: Option<HostPort>,
}

impl ServerSpec {
    /// Reads the value of `server.<id>`. White space is not dropped, since Java does not either.
    /// The error says what is wrong with the text.
    pub(super) fn parse(id: i64, text: &str, multi_address: bool) -> Result<Self, String> {
        let parts = split(text, ';');
        let (peers, client) = match parts[..] {
            [peers] => (peers, None),
            [peers, client] => (peers, Some(client)),
            _ => return Err(wrong_form(text)),
        };
        let client = client.map(|client| parse_client(text, client)).transpose()?;
        let peers = split(peers, '|');
        if peers.is_empty() {
            return Err(wrong_form(text));
        }
        if peers.len() > 1 && !multi_address {
            return Err(format!("{text:?} has more than one address; set multiAddress.enabled=true to allow it"));
        }
        let mut addresses = Vec::new();
        let mut role = None;
        for peer in peers {
            let (address, word) = parse_peer(text, peer)?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
            if let Some(word) = word {
                if role.is_some_and(|role| role != word) {
                    return Err(format!("{text:?} gives several roles to one server"));
                }
                role = Some(word);
            }
        }
        Ok(Self { id, addresses, role: role.unwrap_or(Role::Participant), client })
    }

    /// The value as Java writes it into `/zookeeper/config`, with the addresses in order of their
    /// hosts. A client address that came from clientPort is left out there: pass false.
    pub fn to_java_text(&self, with_client: bool) -> String {
        let mut addresses: Vec<_> = self.addresses.iter().collect();
        addresses.sort_by_key(|address| shown_host(&address.host));
        let mut text = addresses
            .iter()
            .map(|a| format!("{}:{}:{}", shown_host(&a.host), a.quorum_port, a.election_port))
            .collect::<Vec<_>>()
            .join("|");
        text.push_str(&format!(":{}", self.role));
        if let Some(client) = self.client.as_ref().filter(|_| with_client) {
            text.push_str(&format!(";{}:{}", shown_host(&client.host), client.port));
        }
        text
    }
}

/// A literal IPv6 address as Java shows it, all eight groups in brackets; else the host as it is.
fn shown_host(host: &str) -> String {
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, format!("%{zone}")),
        None => (host, String::new()),
    };
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let groups: Vec<_> = v6.segments().iter().map(|group| format!("{group:x}")).collect();
                format!("[{}{zone}]", groups.join(":"))
            }
        },
        Err(_) => host.to_owned(),
    }
}

fn wrong_form(text: &str) -> String {
    format!("{text:?} is not host:port:port or host:port:port:role, more such after |, then ;port or ;host:port")
}

fn parse_client(text: &str, client: &str) -> Result<HostPort, String> {
    let parts = host_and_ports(client)?;
    let (host, port) = match &parts[..] {
        [port] => ("0.0.0.0", port),
        [host, port] => (host.as_str(), port),
        _ => return Err(wrong_form(text)),
    };
    Ok(HostPort { host: host.to_owned(), port: parse_port(port)? })
}

fn parse_peer(text: &str, peer: &str) -> Result<(PeerAddress, Option<Role>), String> {
    let parts = host_and_ports(peer)?;
    let (host, quorum, election, role) = match &parts[..] {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(role)),
        _ => return Err(wrong_form(text)),
    };
    let address =
        PeerAddress { host: host.clone(), quorum_port: parse_port(quorum)?, election_port: parse_port(election)? };
    if address.quorum_port == address.election_port {
        return Err(format!("{peer:?} has the same port twice; the ports for learners and elections must differ"));
    }
    let role = match role {
        None => None,
        Some(word) => {
            Some(Role::named(word).ok_or_else(|| format!("{word:?} is no role; it must be participant or observer"))?)
        }
    };
    Ok((address, role))
}

fn parse_port(text: &str) -> Result<u16, String> {
    value::parse_int(text)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| format!("{text:?} is no port; it must be a number from 0 to 65535, without white space"))
}

/// Host and what follows it after colons (`ConfigUtils.getHostAndPort`). What stands between a
/// closing bracket and the first port is skipped unseen, as in Java.
fn host_and_ports(text: &str) -> Result<Vec<String>, String> {
    if !text.starts_with('[') {
        return Ok(split(text, ':').into_iter().map(str::to_owned).collect());
    }
    let (after, host) = bracketed(text).map_err(|_| format!("{text:?} begins with [ but has no ]"))?;
    let mut parts = vec![host.to_owned()];
    if !after.is_empty() {
        let (_, ports) = after_colon(after)
            .ok()
            .filter(|(_, ports)| !ports.is_empty())
            .ok_or_else(|| format!("{text:?} has no port after the address"))?;
        parts.extend(split(ports, ':').into_iter().map(str::to_owned));
    }
    Ok(parts)
}

fn bracketed(text: &str) -> IResult<&str, &str> {
    delimited(char('['), take_until("]"), char(']')).parse(text)
}

fn after_colon(text: &str) -> IResult<&str, &str> {
    preceded(take(1usize), rest).parse(text)
}

/// Java's `String.split`: empty parts at the end do not count, and a text without the separator
/// is one part even when empty.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<_> = text.split(separator).collect();
    if parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn spec(text: &str) -> Result<String, String> {
        ServerSpec::parse(1, text, true).map(|spec| spec.to_java_text(true))
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
            ("[::1]x2888:3888", "[0:0:0:0:0:0:0:1]:2888:3888:participant"),
            ("zk1:+2888:3888:", "zk1:2888:3888:participant"),
            ("zk1:2888:3888;", "zk1:2888:3888:participant"),
            ("zk1:2888:3888: observer ", "zk1:2888:3888:observer"),
            ("b:1:2|a:3:4", "a:3:4|b:1:2:participant"),
            ("b:1:2:observer|a:3:4", "a:3:4|b:1:2:observer"),
            ("a:1:2|a:1:2", "a:1:2:participant"),
        ] {
            assert_eq!(spec(text), Ok(want.to_owned()), "{text:?}");
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
            let error = spec(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        assert!(ServerSpec::parse(1, "a:1:2|b:1:2", false).unwrap_err().contains("multiAddress.enabled"));
    }
}
