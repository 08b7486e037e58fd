//! Listening for other servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rookeeper_protocol::types::HostPort;
use socket2::{Domain, Protocol, Socket, Type};

use super::addresses::resolve;
use super::limits::BIND_PAUSE;

/// Servers that may wait to be accepted (`QuorumCnxManager` and `Leader` leave Java's default of 50).
const BACKLOG: i32 = 128;

/// Listens at each address, or on all of them (`quorumListenOnAllIPs`). Tries again for what cannot be listened on yet,
/// up to `tries` times, for ever if that is 0 (`electionPortBindRetry`).
pub(crate) async fn bind_all(
    addresses: &[HostPort],
    all: Option<IpAddr>,
    tries: u32,
) -> Result<Vec<std::net::TcpListener>, (HostPort, io::Error)> {
    let mut listeners = Vec::new();
    for address in addresses {
        let mut tried = 0;
        loop {
            match bind(address, all).await {
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

async fn bind(address: &HostPort, all: Option<IpAddr>) -> io::Result<std::net::TcpListener> {
    let Some(all) = all else {
        let sockets = resolve(address).await?;
        let first =
            sockets.first().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        return listen(*first);
    };
    match listen(SocketAddr::new(all, address.port)) {
        Err(error) if all.is_ipv6() && lacks_ipv6(&error) => {
            listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port))
        }
        other => other,
    }
}

/// Whether a system without IPv6 says so.
fn lacks_ipv6(error: &io::Error) -> bool {
    [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL]
        .iter()
        .any(|known| error.raw_os_error() == Some(known.raw_os_error()))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn all_addresses_are_of_the_family_that_was_asked_for() {
        let at = [HostPort { host: "192.0.2.1".to_owned(), port: 0 }];
        let bound = bind_all(&at, Some(Ipv4Addr::UNSPECIFIED.into()), 1).await.unwrap();
        assert_eq!(bound[0].local_addr().unwrap().ip(), Ipv4Addr::UNSPECIFIED);
        // That one is no address of this host.
        assert!(bind_all(&at, None, 1).await.is_err());
    }
}
