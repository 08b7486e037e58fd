//! Accepting connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rookeeper_protocol::client::FrameDecoder;
use rookeeper_protocol::types::HostPort;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::handle::{ConnectionHandle, java_address};
use super::table::Refusal;
use super::task::Task;
use super::throttle::Throttle;
use crate::config::{ListenAddress, ServerConfig};
use crate::runtime::Shared;

/// Connections that may wait to be accepted where the configuration leaves it to the system. The system cuts
/// it to what it allows (net.core.somaxconn).
const BACKLOG_MAX: i32 = 65_535;

/// Pause when the process has no file descriptors left, so that existing clients are served meanwhile.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Listens where the configuration says.
pub(crate) fn bind(config: &ServerConfig) -> io::Result<std::net::TcpListener> {
    let ListenAddress { socket: address, any, .. } = config.client_address;
    let backlog = config.listen_backlog().map_or(BACKLOG_MAX, |backlog| i32::try_from(backlog).unwrap_or(BACKLOG_MAX));
    match listen(address, any, backlog) {
        Err(_) if any && address.is_ipv6() => {
            // A system without IPv6.
            listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), any, backlog)
        }
        other => other,
    }
}

fn listen(address: SocketAddr, any: bool, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket for both families, as in Java.
        socket.set_only_v6(!any)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts until the server stops.
pub(crate) async fn serve(shared: Arc<Shared>, mut listener: TcpListener, seed: u64) {
    let throttle = Throttle::new(shared.config.connection_throttle, shared.clock.monotonic_ms(), seed);
    let mut moves = shared.client_address.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Ok(()) = moves.changed() => {
                let address = moves.borrow_and_update().clone();
                if let Some(address) = address {
                    listener = move_to(&shared, &address, listener).await;
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, remote)) => admit(&shared, &throttle, stream, remote),
            Err(error) if is_exhausted(&error) => {
                tracing::warn!("cannot accept a connection: {error}; raise the limit on open files (ulimit -n)");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            // The client went away before it was accepted.
            Err(error) => tracing::debug!("cannot accept a connection: {error}"),
        }
    }
}

/// Listens somewhere else, as a reconfiguration says; clients that are connected stay
/// (`NIOServerCnxnFactory#reconfigure`).
async fn move_to(shared: &Shared, address: &HostPort, present: TcpListener) -> TcpListener {
    let moved = async {
        let mut sockets = tokio::net::lookup_host((address.host.as_str(), address.port)).await?;
        let socket =
            sockets.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        let any = socket.ip().is_unspecified();
        if present.local_addr()?.port() == socket.port() && (any || present.local_addr()?.ip() == socket.ip()) {
            return Ok(None);
        }
        TcpListener::from_std(listen(socket, any, BACKLOG_MAX)?).map(Some)
    };
    match moved.await {
        Ok(Some(listener)) => {
            tracing::info!("listening for clients on {address} from now on");
            shared.client_port.store(address.port, Ordering::Relaxed);
            listener
        }
        Ok(None) => present,
        Err(error) => {
            tracing::error!("cannot listen for clients on {address}: {error}; the old address stays in use");
            present
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    let codes =
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOBUFS, rustix::io::Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| codes.iter().any(|known| known.raw_os_error() == code))
}

fn admit(shared: &Arc<Shared>, throttle: &Throttle, stream: TcpStream, remote: SocketAddr) {
    let config = &shared.config;
    let address = remote.ip().to_canonical();
    let id = match shared.connections.admit(address, config.max_cnxns, config.max_client_cnxns) {
        Ok(id) => id,
        Err(refusal) => {
            shared.stats.connections_rejected.fetch_add(1, Ordering::Relaxed);
            let address = java_address(address);
            match refusal {
                Refusal::Total => tracing::warn!("too many connections (maxCnxns={}): {address}", config.max_cnxns),
                Refusal::Address(count) => {
                    let max = config.max_client_cnxns;
                    tracing::warn!("too many connections from {address}: {count} (maxClientCnxns={max})");
                }
            }
            return close_hard(&stream);
        }
    };
    // A socket that cannot be set up is as good as a client that is gone; the task will notice.
    if let Err(error) =
        stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_keepalive(config.client_tcp_keep_alive))
    {
        tracing::debug!("cannot set up the connection of {remote}: {error}");
    }
    let (reader, writer) = stream.into_split();
    let handle =
        Arc::new(ConnectionHandle::new(id, writer, SocketAddr::new(address, remote.port()), shared.clock.now()));
    shared.connections.insert(handle.clone());
    let frames = FrameDecoder::new(config.jute_max_buffer as usize);
    tokio::spawn(Task::new(shared.clone(), handle, reader, frames, throttle.clone()).run());
}

/// Closes with a reset, as Java does with connections beyond the limit.
fn close_hard(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!("cannot reset a connection: {error}");
    }
}
