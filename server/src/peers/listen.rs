//! Listening for other servers.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rookeeper_protocol::types::HostPort;
use socket2::{Domain, Protocol, Socket, Type};

use super::addresses::resolve;
use super::limits::BIND_PAUSE;

/// Servers that may wait to be accepted (`QuorumCnxManager` and `Leader` leave Java's default of 50).
const BACKLOG: i32 = 128;

/// Listens at each address, or on all interfaces (`quorumListenOnAllIPs`). Tries again for what cannot be listened on yet,
/// up to `tries` times, for ever if that is 0 (`electionPortBindRetry`).
pub(crate) async fn bind_all(
    addresses: &[HostPort],
    all_interfaces: bool,
    tries: u32,
) -> Result<Vec<std::net::TcpListener>, (HostPort, io::Error)> {
    let mut listeners = Vec::new();
    for address in addresses {
        let mut tried = 0;
        loop {
            match bind(address, all_interfaces).await {
                Ok(listener) => break listeners.push(listener),
                Err(error) => {
                    tried += 1;
                    if tried == tries {
                        return Err((address.clone(), error));
                    }
                    tracing::warn!("cannot listen on {address}: {error}; trying again");
                    tokio::time::sleep(BIND_PAUSE).await;
                }
            }
        }
    }
    Ok(listeners)
}

async fn bind(address: &HostPort, all_interfaces: bool) -> io::Result<std::net::TcpListener> {
    let sockets = match all_interfaces {
        true => vec![SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port)],
        false => resolve(address).await?,
    };
    let first = sockets.first().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    listen(*first)
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket for both families, as in Java.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
