//! The servers of a connect string.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use rookeeper_protocol::types::validate_path;

use crate::template::PLACEHOLDER;

/// The port of a server that is named without one.
const DEFAULT_PORT: u16 = 2181;

/// More servers than any ensemble has.
const SERVERS_MAX: usize = 32;

/// Connections that are opened from one local address: below the number of ports the kernel gives out (28,232).
const CONNECTIONS_PER_ADDRESS: usize = 20_000;

/// A connect string as clients take it: `HOST[:PORT][,HOST[:PORT]…][/CHROOT]`.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    /// The servers, resolved.
    pub(crate) servers: Vec<Server>,
    /// Path in front of every path, or empty.
    pub(crate) chroot: String,
}

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// As it was named.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: SocketAddr,
}

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => (&text[..at], text[at..].trim_end_matches('/')),
            None => (text, ""),
        };
        if !chroot.is_empty() {
            validate_path(chroot).map_err(|error| format!("chroot {chroot}: {error}"))?;
        }
        let servers: Vec<_> = hosts.split(',').map(resolve).collect::<Result<_, _>>()?;
        if servers.len() > SERVERS_MAX {
            return Err(format!("{} servers; at most {SERVERS_MAX} are taken", servers.len()));
        }
        if chroot.contains(PLACEHOLDER) {
            return Err(format!("chroot {chroot}: {PLACEHOLDER} stands for numbers in this tool's own paths"));
        }
        Ok(Self { servers, chroot: chroot.to_owned() })
    }
}

fn resolve(host: &str) -> Result<Server, String> {
    let host = host.trim();
    if host.is_empty() {
        return Err("an empty server name; expected HOST:PORT[,HOST:PORT…][/CHROOT]".to_owned());
    }
    let has_port = host.rfind(':').is_some_and(|colon| !host[colon..].contains(']') && !host[..colon].ends_with(':'));
    let name = if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") };
    let mut addresses = name.to_socket_addrs().map_err(|error| format!("server {name}: {error}"))?;
    let address = addresses.next().ok_or_else(|| format!("server {name} has no address"))?;
    Ok(Server { name, address })
}

impl Targets {
    /// The server that connection number `index` goes to: they take turns.
    pub(crate) fn server(&self, index: usize) -> &Server {
        &self.servers[index % self.servers.len()]
    }

    /// The local address for connection number `index`, where one address has not ports enough for all: servers on
    /// the loopback are then spoken to from 127.0.0.2, 127.0.0.3 and so on.
    pub(crate) fn local_address(&self, index: usize) -> Option<SocketAddr> {
        let block = index / self.servers.len() / CONNECTIONS_PER_ADDRESS;
        let loopback = matches!(self.server(index).address.ip(), IpAddr::V4(ip) if ip.is_loopback());
        (block > 0 && loopback).then(|| {
            let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + block as u32);
            SocketAddr::new(IpAddr::V4(ip), 0)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn connect_strings_are_read_as_clients_read_them() {
        let targets: Targets = "127.0.0.1:5000,127.0.0.2/a/b".parse().unwrap();
        assert_eq!(targets.chroot, "/a/b");
        assert_eq!(targets.server(0).address, "127.0.0.1:5000".parse().unwrap());
        assert_eq!(targets.server(3).address, "127.0.0.2:2181".parse().unwrap());
        assert_eq!("[::1]:7".parse::<Targets>().unwrap().server(9).address, "[::1]:7".parse().unwrap());
        assert_eq!("[::1]".parse::<Targets>().unwrap().server(9).address, "[::1]:2181".parse().unwrap());
        assert_eq!("127.0.0.1/".parse::<Targets>().unwrap().chroot, "");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, word) in [
            ("", "empty"),
            ("127.0.0.1,,127.0.0.2", "empty"),
            ("127.0.0.1:99999", "127.0.0.1:99999"),
            ("127.0.0.1/a//b", "chroot"),
            ("127.0.0.1/########", "chroot"),
        ] {
            let error = text.parse::<Targets>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn many_connections_spread_over_local_addresses() {
        let targets: Targets = "127.0.0.1:5000".parse().unwrap();
        assert_eq!(targets.local_address(19_999), None);
        assert_eq!(targets.local_address(20_000), Some("127.0.0.2:0".parse().unwrap()));
        assert_eq!("1.2.3.4:5".parse::<Targets>().unwrap().local_address(50_000), None);
    }
}
