//! Where the server listens for clients (`QuorumPeerConfig.parseProperties` and
//! `setupClientPort`): clientPort and clientPortAddress, or this server's own line in the list of
//! servers.

use std::net::{SocketAddr, ToSocketAddrs};

use super::build::Source;
use super::error::{Origin, Problem};
use super::reader::Reader;
use super::server_config::{EnsembleSettings, ListenAddress};

const NO_CLIENT_PORT: &str = "is not set, so that no client could connect; set it, or give server.N a ;port and its \
     number to the file myid in dataDir";

pub(super) fn client_address(reader: &mut Reader, source: &Source<'_>, ensemble: &EnsembleSettings) -> ListenAddress {
    let ipv4_only = reader.switch("java.net.preferIPv4Stack");
    let path = match source {
        Source::CommandLine(line) => return ListenAddress::any(None, line.client_port, ipv4_only),
        Source::File { path } => path,
    };
    let from_keys = from_keys(reader, ipv4_only);
    let own_key = || ensemble.my_id.map(|id| format!("server.{id}")).unwrap_or_default();
    let own = ensemble.own_client().map(|own| (own.host.clone(), own.port));
    let from_list = own.and_then(|(host, port)| {
        resolve(&host, port, ipv4_only)
            .map_err(|text| {
                let origin = Some(Origin::file(path));
                reader.settings.problems.push(Problem::new(origin, Some(&own_key()), text));
            })
            .ok()
    });
    match (from_keys, from_list) {
        (Some(keys), Some(list)) => {
            if differ(&keys, &list) {
                let text = format!(
                    "clients are to connect to {} by this key, but to {} by {}; let the two agree, or remove one",
                    keys.socket,
                    list.socket,
                    own_key()
                );
                reader.refuse("clientPort", text);
            }
            list
        }
        (Some(address), None) | (None, Some(address)) => address,
        (None, None) => {
            let told = !reader.settings.problems.is_empty();
            if !told {
                let origin = Some(Origin::file(path));
                reader.settings.problems.push(Problem::new(origin, Some("clientPort"), NO_CLIENT_PORT));
            }
            ListenAddress::any(None, 0, ipv4_only)
        }
    }
}

/// A given address must be the same; where every address is meant, the port must be.
fn differ(keys: &ListenAddress, list: &ListenAddress) -> bool {
    if keys.any { keys.socket.port() != list.socket.port() } else { keys.socket != list.socket }
}

fn from_keys(reader: &mut Reader, ipv4_only: bool) -> Option<ListenAddress> {
    let host = reader.given("clientPortAddress");
    let Some(port) = reader.number("clientPort") else {
        // A wrong clientPort has been told already.
        if host.is_some() && reader.setting("clientPort").is_none() {
            reader.refuse("clientPortAddress", "needs clientPort, which is not set".to_owned());
        }
        return None;
    };
    let Ok(port) = u16::try_from(port) else {
        reader.refuse("clientPort", format!("{port} is not allowed; it must be a port from 0 to 65535"));
        return None;
    };
    let Some(host) = host else {
        return Some(ListenAddress::any(None, port, ipv4_only));
    };
    resolve(&host, port, ipv4_only).map_err(|text| reader.refuse("clientPortAddress", text)).ok()
}

/// `InetAddress.getByName`: brackets may stand around an IPv6 address, nothing means this host,
/// and of several addresses an IPv4 one goes first.
fn resolve(host: &str, port: u16, ipv4_only: bool) -> Result<ListenAddress, String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let name = if bare.is_empty() { "localhost" } else { bare };
    let found: Vec<SocketAddr> = (name, port)
        .to_socket_addrs()
        .map_err(|error| format!("{host:?} has no address on this machine's name service: {error}"))?
        .collect();
    let first = found.iter().find(|address| address.is_ipv4()).or_else(|| found.iter().find(|_| !ipv4_only));
    let Some(&socket) = first else {
        return Err(format!("{host:?} has no address that could be listened on"));
    };
    if socket.ip().is_unspecified() {
        return Ok(ListenAddress::any(Some(bare.to_owned()), port, ipv4_only));
    }
    Ok(ListenAddress { host: Some(bare.to_owned()), socket, any: false })
}
