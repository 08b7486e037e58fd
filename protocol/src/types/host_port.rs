//! A host and a port in one text, as configurations and handshakes have them (`ConfigUtils`, `NetUtils`).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

/// A host that is not looked up yet, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Prints as Java does: a host with colons stands in brackets (`NetUtils#formatInetAddr`).
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// An address in brackets that is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BracketError {
    /// No closing bracket.
    #[error("begins with [ but has no ]")]
    Open,
    /// A colon behind the closing bracket, and nothing behind that.
    #[error("has no port after the address")]
    NoPort,
}

/// The host, and what follows it after colons, whatever that is and however much of it
/// (`ConfigUtils#getHostAndPort`). The character between a closing bracket and the first port is skipped unseen, as in
/// Java.
pub fn host_and_ports(text: &str) -> Result<Vec<&str>, BracketError> {
    let Some(bracketed) = text.strip_prefix('[') else { return Ok(split_parts(text, ':')) };
    let (host, after) = bracketed.split_once(']').ok_or(BracketError::Open)?;
    let mut parts = vec![host];
    let mut ports = after.chars();
    if ports.next().is_some() {
        if ports.as_str().is_empty() {
            return Err(BracketError::NoPort);
        }
        parts.extend(split_parts(ports.as_str(), ':'));
    }
    Ok(parts)
}

/// Java's `String.split`: empty parts at the end do not count, and a text without the separator is one part even when
/// empty.
pub fn split_parts(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<_> = text.split(separator).collect();
    if parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    parts
}

/// A literal IPv6 address as Java shows it, with all eight groups; else the host as it is.
pub fn canonical_host(host: &str) -> String {
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, format!("%{zone}")),
        None => (host, String::new()),
    };
    match address.parse::<Ipv6Addr>() {
        Ok(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => v6.segments().map(|group| format!("{group:x}")).join(":") + &zone,
        },
        Err(_) => host.to_owned(),
    }
}

/// Whether the host is the literal address that means every interface. A name is not looked up.
pub fn is_any_local(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_unspecified())
}

/// Whether the host is a literal address of this machine itself, or the usual name of one.
pub fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}
