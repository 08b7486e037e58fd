//! The connection to the leader (`Learner#connectToLeader`, `#syncWithLeader`).

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use rookeeper_core::peer::Input;
use rookeeper_core::zab::DialId;
use rookeeper_protocol::peer::{PacketType, QuorumPacket};
use rookeeper_protocol::types::{HostPort, ServerId, Zxid};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::addresses::resolve;
use super::outgoing::Outgoing;
use super::packets::Packets;
use crate::disk::SnapshotSink;
use crate::runtime::Shared;

/// How long an address that was refused rests while others have not answered yet.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Which leader to reach, and how long that may take.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) dial: DialId,
    pub(crate) to: ServerId,
    /// Where it may be; each is tried.
    pub(crate) at: Vec<HostPort>,
    pub(crate) timeout: Duration,
    /// A leader that reads nothing for so long is given up: `initLimit`.
    pub(crate) patience: Duration,
}

/// The connection, or the attempt to make it. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct LeaderLink {
    pub(crate) dial: DialId,
    out: Arc<OnceLock<Outgoing<Infallible>>>,
    control: mpsc::Sender<Control>,
    task: AbortHandle,
}

/// What the task waits for behind TRUNC and SNAP.
#[derive(Debug)]
enum Control {
    /// The log was cut: read on.
    ReadOn,
    /// Put the snapshot there.
    Receive(SnapshotSink),
}

impl LeaderLink {
    /// Begins to connect, on the runtime of the caller.
    pub(crate) fn dial(shared: Arc<Shared>, dial: Dial) -> Self {
        let out = Arc::new(OnceLock::new());
        // At most one is waited for at a time.
        let (control, controlled) = mpsc::channel(1);
        let number = dial.dial;
        let task = Task { shared, out: out.clone(), control: controlled, dial };
        let task = tokio::spawn(task.run()).abort_handle();
        Self { dial: number, out, control, task }
    }

    /// Sends frames.
    pub(crate) fn send(&self, frames: Vec<Bytes>) {
        if let Some(out) = self.out.get() {
            out.send(frames);
        }
    }

    /// The log was cut.
    pub(crate) fn read_on(&self) {
        self.control(Control::ReadOn);
    }

    /// Takes the snapshot that follows.
    pub(crate) fn receive(&self, sink: SnapshotSink) {
        self.control(Control::Receive(sink));
    }

    fn control(&self, control: Control) {
        if self.control.try_send(control).is_err() {
            tracing::debug!("the connection to the leader is gone");
        }
    }
}

impl Drop for LeaderLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    shared: Arc<Shared>,
    out: Arc<OnceLock<Outgoing<Infallible>>>,
    control: mpsc::Receiver<Control>,
    dial: Dial,
}

impl Task {
    async fn run(mut self) {
        if let Err(error) = self.serve().await {
            let places: Vec<_> = self.dial.at.iter().map(HostPort::to_string).collect();
            tracing::info!("the connection to leader {} at {} ended: {error}", self.dial.to, places.join("|"));
        }
        self.shared.inbox.tell(Input::LeaderGone { dial: self.dial.dial });
    }

    async fn serve(&mut self) -> io::Result<()> {
        let stream = connect(&self.dial).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let shared = self.shared.clone();
        let packets = Packets::new(reader, shared.connection_rules.inner_length_max);
        let links = self.out.clone();
        let out = links.get_or_init(|| Outgoing::new(writer));
        shared.inbox.tell(Input::LeaderConnected { dial: self.dial.dial });
        let patience = self.dial.patience;
        tokio::select! {
            read = self.read(packets) => read,
            written = out.run(patience, |job| async move { match job {} }) => written,
        }
    }

    async fn read(&mut self, mut packets: Packets) -> io::Result<()> {
        let (shared, dial) = (self.shared.clone(), self.dial.dial);
        while packets.read().await? {
            loop {
                let batch = packets.take(ends_packets)?;
                let end = batch.packets.last().filter(|packet| ends_packets(packet)).map(|packet| packet.zxid);
                packets.hand_in(&shared, batch, |packets| Input::LeaderPackets { dial, packets }).await;
                let Some(zxid) = end else { break };
                match self.control.recv().await {
                    Some(Control::ReadOn) => {}
                    Some(Control::Receive(sink)) => self.receive(&mut packets, sink, zxid).await?,
                    None => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Hands a snapshot on as it comes off the stream.
    async fn receive(&mut self, packets: &mut Packets, sink: SnapshotSink, zxid: Zxid) -> io::Result<()> {
        let SnapshotSink { pieces, mut rest, stored } = sink;
        let rest = loop {
            if packets.buffer.is_empty() {
                let more = tokio::time::timeout(self.dial.patience, packets.read());
                tokio::select! {
                    biased;
                    rest = &mut rest => break rest,
                    more = more => {
                        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the snapshot does not go on");
                        if !more.map_err(silent)?? {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                    }
                }
            }
            match pieces.reserve().await {
                Ok(room) => room.send(std::mem::take(&mut packets.buffer)),
                // What follows is no part of it.
                Err(_) => break (&mut rest).await,
            }
        };
        let gone = |_| io::Error::other("the snapshot is not wanted any more");
        let mut rest = rest.map_err(gone)?.map_err(io::Error::other)?;
        rest.unsplit(std::mem::take(&mut packets.buffer));
        packets.buffer = rest;
        stored.await.map_err(io::Error::other)?;
        self.shared.inbox.tell(Input::SnapshotReceived { dial: self.dial.dial, zxid });
        Ok(())
    }
}

/// Whether what follows this packet means something else, or must wait.
fn ends_packets(packet: &QuorumPacket) -> bool {
    matches!(packet.kind(), Some(PacketType::Trunc | PacketType::Snap))
}

/// Connects to whichever address answers first. Once all have failed it is the machine's to say whether to try again; until
/// then those that were refused are asked again (`Learner.LeaderConnector`): one that drops everything must not keep others
/// waiting, of which a leader may open the port in this moment.
async fn connect(dial: &Dial) -> io::Result<TcpStream> {
    let deadline = Instant::now() + dial.timeout;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no list of members says where it is");
    let mut unknown = dial.at.len();
    let mut tries = JoinSet::new();
    for address in &dial.at {
        tries.spawn(connect_to(address.clone(), Duration::ZERO));
    }
    loop {
        let Ok(tried) = tokio::time::timeout_at(deadline, tries.join_next()).await else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        match tried {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err((address, pause, error)))) => {
                failure = error;
                unknown -= usize::from(pause.is_zero());
                if unknown == 0 {
                    return Err(failure);
                }
                tries.spawn(connect_to(address, RETRY_PAUSE));
            }
            Some(Err(error)) => return Err(io::Error::other(error)),
            None => return Err(failure),
        }
    }
}

/// Tries an address after a pause; what was tried comes with the error.
async fn connect_to(address: HostPort, pause: Duration) -> Result<TcpStream, (HostPort, Duration, io::Error)> {
    tokio::time::sleep(pause).await;
    connect_once(&address).await.map_err(|error| (address, pause, error))
}

async fn connect_once(address: &HostPort) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in resolve(address).await? {
        match TcpStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::net::TcpListener;

    /// Longer than any of these takes.
    const LONG: Duration = Duration::from_secs(60);

    fn dial(ports: &[u16]) -> Dial {
        let at = ports.iter().map(|port| HostPort { host: "127.0.0.1".to_owned(), port: *port }).collect();
        Dial { dial: DialId(1), to: ServerId(1), at, timeout: LONG, patience: LONG }
    }

    async fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
    }

    /// A port whose queue is full: nobody is answered there.
    async fn silent() -> (TcpListener, Vec<tokio::task::JoinHandle<io::Result<TcpStream>>>) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let at = listener.local_addr().unwrap();
        let guests = (0..8).map(|_| tokio::spawn(TcpStream::connect(at))).collect();
        (listener, guests)
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_asked_again_while_another_is_silent() {
        let (listener, guests) = silent().await;
        let late = free_port().await;
        let dial = dial(&[listener.local_addr().unwrap().port(), late]);
        let mut connecting = std::pin::pin!(connect(&dial));
        let given_up = tokio::time::timeout(RETRY_PAUSE, connecting.as_mut()).await;
        assert!(given_up.is_err(), "{given_up:?}");
        let opened = TcpListener::bind(("127.0.0.1", late)).await.unwrap();
        let stream = tokio::time::timeout(LONG, connecting).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), opened.local_addr().unwrap());
        guests.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn where_all_refuse_nobody_waits() {
        let dial = dial(&[free_port().await, free_port().await]);
        let refused = tokio::time::timeout(LONG / 2, connect(&dial)).await.unwrap();
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
