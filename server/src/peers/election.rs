//! The election port: one task that owns the connections of elections, and says over which of them a notification goes
//! (`QuorumCnxManager`; the rules are in `rookeeper_core::election::Links`).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rookeeper_core::election::{LinkId, LinkOutput, Links};
use rookeeper_core::peer::Input;
use rookeeper_protocol::peer::{ELECTION_MESSAGE_LEN_MAX, HandshakeVersion, InitialMessage, election_frames};
use rookeeper_protocol::types::{HostPort, ServerId};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::addresses::{Addresses, resolve};
use super::limits::{ELECTION_EVENTS_MAX, ELECTION_READ_BYTES, EXHAUSTED_PAUSE, STRANGERS_MAX};
use crate::runtime::{Arrival, Shared};

/// What the configuration says about election connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ElectionSockets {
    /// `cnxTimeout`: for connecting.
    pub(crate) connect_timeout: Duration,
    /// `quorumCnxnTimeoutMs`: for the first message of whoever calls. Once that has come a connection may be silent: between
    /// elections nobody has anything to say (`QuorumCnxManager.RecvWorker`).
    pub(crate) handshake_timeout: Duration,
    /// `multiAddress.enabled`: the first message has all addresses.
    pub(crate) multi_address: bool,
    /// `tcpKeepAlive`.
    pub(crate) keep_alive: bool,
}

/// The way to the task. It ends, with its port and its connections, with the runtime that it runs on.
#[derive(Debug, Clone)]
pub(crate) struct ElectionPort {
    events: mpsc::Sender<Event>,
}

/// What the task is told.
#[derive(Debug)]
enum Event {
    Send { to: ServerId, message: Bytes },
    Listen { listeners: Vec<TcpListener>, done: oneshot::Sender<()> },
    Dialed { to: ServerId, stream: TcpStream },
    DialFailed { to: ServerId },
    Accepted { first: InitialMessage, stream: TcpStream, rest: BytesMut },
    Written { link: LinkId },
    Closed { link: LinkId },
}

impl ElectionPort {
    /// Serves elections on these listeners.
    pub(crate) fn open(
        shared: Arc<Shared>,
        addresses: Arc<Addresses>,
        sockets: ElectionSockets,
        listeners: Vec<std::net::TcpListener>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let _entered = runtime.enter();
        let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
        let (events, received) = mpsc::channel(ELECTION_EVENTS_MAX);
        let port = Port {
            links: Links::new(addresses.my_id()),
            shared,
            addresses,
            sockets,
            events: events.clone(),
            open: BTreeMap::new(),
            next_link: 1,
            tasks: JoinSet::new(),
            accepting: JoinSet::new(),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            out: Vec::new(),
        };
        runtime.spawn(port.run(listeners, received));
        Ok(Self { events })
    }

    /// Listens here from now on, and nowhere else: other listeners are closed when this returns. Connections that stand
    /// stay.
    pub(crate) async fn listen(&self, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
        let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
        let (done, listens) = oneshot::channel();
        self.events.send(Event::Listen { listeners, done }).await.map_err(io::Error::other)?;
        listens.await.map_err(io::Error::other)
    }

    /// Sends a notification. An election repeats itself: one that finds no room is dropped.
    pub(crate) fn send(&self, to: ServerId, message: Bytes) {
        if self.events.try_send(Event::Send { to, message }).is_err() {
            tracing::warn!("a notification for server {to} was dropped: too many are waiting");
        }
    }
}

/// A connection that has a number.
struct Open {
    /// Where messages go; dropping it ends the writing.
    messages: mpsc::Sender<Bytes>,
    /// The other half, until it is known who is there.
    unread: Option<(OwnedReadHalf, BytesMut)>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

struct Port {
    shared: Arc<Shared>,
    addresses: Arc<Addresses>,
    sockets: ElectionSockets,
    events: mpsc::Sender<Event>,
    links: Links,
    open: BTreeMap<LinkId, Open>,
    next_link: u64,
    /// All tasks of connections: they end with this one.
    tasks: JoinSet<()>,
    /// Those that listen.
    accepting: JoinSet<()>,
    /// Room for connections that have not said who they are.
    strangers: Arc<Semaphore>,
    out: Vec<LinkOutput>,
}

impl Port {
    async fn run(mut self, listeners: Vec<TcpListener>, mut received: mpsc::Receiver<Event>) {
        self.listen(listeners).await;
        loop {
            let deadline = self.links.next_deadline_ms().map(|at_ms| self.shared.clock.instant_at(at_ms));
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = received.recv() => match event {
                    Some(event) => self.on_event(event).await,
                    None => return,
                },
                () = due => self.links.on_timeout(self.shared.clock.monotonic_ms(), &mut self.out),
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
            }
            self.carry_out();
        }
    }

    /// Accepts connections here, and nowhere else any more.
    async fn listen(&mut self, listeners: Vec<TcpListener>) {
        self.accepting.shutdown().await;
        for listener in listeners {
            self.accepting.spawn(accept(listener, self.strangers.clone(), self.sockets, self.events.clone()));
        }
    }

    async fn on_event(&mut self, event: Event) {
        let now_ms = self.shared.clock.monotonic_ms();
        match event {
            Event::Listen { listeners, done } => {
                self.listen(listeners).await;
                // Who asked does not go before the server stops.
                let _told = done.send(());
            }
            Event::Send { to, message } => self.links.send(now_ms, to, message, &mut self.out),
            Event::Dialed { to, stream } => {
                let link = self.register(stream, BytesMut::new());
                self.links.on_dialed(now_ms, to, link, &mut self.out);
            }
            Event::DialFailed { to } => self.links.on_dial_failed(now_ms, to, &mut self.out),
            Event::Accepted { first, stream, rest } => {
                let link = self.register(stream, rest);
                self.links.on_accepted(now_ms, first.server, first.addresses, link, &mut self.out);
            }
            Event::Written { link } => self.links.on_written(link, &mut self.out),
            Event::Closed { link } => {
                self.open.remove(&link);
                self.links.on_closed(now_ms, link, &mut self.out);
            }
        }
    }

    /// Gives a connection its number; writing begins at once, reading when it is known who is there.
    fn register(&mut self, stream: TcpStream, rest: BytesMut) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (reader, writer) = stream.into_split();
        // One message is on its way at most; the next one is given when that was written.
        let (messages, waiting) = mpsc::channel(1);
        let task = self.tasks.spawn(write(link, writer, waiting, self.events.clone()));
        self.open.insert(link, Open { messages, unread: Some((reader, rest)), tasks: vec![task] });
        link
    }

    fn carry_out(&mut self) {
        for output in std::mem::take(&mut self.out) {
            match output {
                LinkOutput::Dial { to, at } => {
                    let at = if at.is_empty() { self.addresses.election_port(to) } else { at };
                    let first = InitialMessage {
                        server: self.addresses.my_id(),
                        addresses: self.addresses.own_election_port(),
                    };
                    self.tasks.spawn(dial(to, at, first, self.sockets, self.events.clone()));
                }
                LinkOutput::Write { link, message } => {
                    if let Some(open) = self.open.get(&link)
                        && open.messages.try_send(message).is_err()
                    {
                        // The writer has ended, and its word about that is on its way.
                        tracing::debug!("election connection {} takes no message", link.0);
                    }
                }
                LinkOutput::Close(link) => {
                    self.open.remove(&link);
                }
                LinkOutput::Linked { with, link } => {
                    if let Some(open) = self.open.get_mut(&link)
                        && let Some((reader, rest)) = open.unread.take()
                    {
                        let read = read(self.shared.clone(), with, link, (reader, rest), self.events.clone());
                        open.tasks.push(self.tasks.spawn(read));
                        self.shared.inbox.tell(Input::ElectionConnected { with });
                    }
                }
                LinkOutput::Unreachable(server) => self.shared.inbox.tell(Input::ElectionUnreachable { server }),
            }
        }
    }
}

fn prepare(stream: &TcpStream, sockets: ElectionSockets) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // A vote that the other end's system does not even acknowledge went over a path that is dead, and another address may
    // be reached (`QuorumCnxManager#asyncValidateIfSocketIsStillReachable`). A process that is paused acknowledges.
    socket.set_tcp_user_timeout(Some(sockets.connect_timeout))?;
    socket.set_keepalive(sockets.keep_alive)
}

/// Accepts connections, and reads from each who it is.
async fn accept(
    listener: TcpListener,
    strangers: Arc<Semaphore>,
    sockets: ElectionSockets,
    events: mpsc::Sender<Event>,
) {
    let mut greetings = JoinSet::new();
    loop {
        // It is never closed.
        let Ok(permit) = strangers.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("cannot accept an election connection: {error}");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        while greetings.try_join_next().is_some() {}
        let events = events.clone();
        greetings.spawn(async move {
            let _permit = permit;
            match timeout(sockets.handshake_timeout, greet(stream, sockets)).await {
                // The election's task is gone only when the server stops.
                Ok(Ok(accepted)) => drop(events.send(accepted).await),
                Ok(Err(error)) => tracing::debug!("an election connection ended: {error}"),
                Err(_) => tracing::debug!("an election connection did not say who it is"),
            }
        });
    }
}

async fn greet(mut stream: TcpStream, sockets: ElectionSockets) -> io::Result<Event> {
    prepare(&stream, sockets)?;
    let mut buffer = BytesMut::new();
    loop {
        if let Some(first) = InitialMessage::next(&mut buffer).map_err(io::Error::other)? {
            return Ok(Event::Accepted { first, stream, rest: buffer });
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Connects to whichever address answers first.
async fn dial(
    to: ServerId,
    at: Vec<HostPort>,
    first: InitialMessage,
    sockets: ElectionSockets,
    events: mpsc::Sender<Event>,
) {
    let mut tries = JoinSet::new();
    for address in at {
        let first = first.clone();
        tries.spawn(timeout(sockets.connect_timeout, connect(address, first, sockets)));
    }
    let mut event = Event::DialFailed { to };
    while let Some(tried) = tries.join_next().await {
        match tried {
            Ok(Ok(Ok(stream))) => {
                event = Event::Dialed { to, stream };
                break;
            }
            Ok(Ok(Err(error))) => tracing::debug!("cannot reach the election port of server {to}: {error}"),
            Ok(Err(_)) | Err(_) => tracing::debug!("the election port of server {to} does not answer"),
        }
    }
    drop(events.send(event).await);
}

async fn connect(address: HostPort, first: InitialMessage, sockets: ElectionSockets) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in resolve(&address).await? {
        match TcpStream::connect(socket).await {
            Ok(mut stream) => {
                prepare(&stream, sockets)?;
                let version = if sockets.multi_address { HandshakeVersion::Many } else { HandshakeVersion::One };
                let mut bytes = BytesMut::new();
                first.write(version, &mut bytes);
                stream.write_all(&bytes).await?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn write(
    link: LinkId,
    mut writer: OwnedWriteHalf,
    mut messages: mpsc::Receiver<Bytes>,
    events: mpsc::Sender<Event>,
) {
    while let Some(message) = messages.recv().await {
        let mut frame = BytesMut::with_capacity(4 + message.len());
        frame.put_i32(message.len() as i32);
        frame.put_slice(&message);
        let event = match writer.write_all(&frame).await {
            Ok(()) => Event::Written { link },
            Err(_) => Event::Closed { link },
        };
        let ended = matches!(event, Event::Closed { .. });
        if events.send(event).await.is_err() || ended {
            return;
        }
    }
}

async fn read(
    shared: Arc<Shared>,
    from: ServerId,
    link: LinkId,
    (mut reader, mut buffer): (OwnedReadHalf, BytesMut),
    events: mpsc::Sender<Event>,
) {
    let frames = election_frames();
    // Whoever sends faster than votes are counted is read more slowly.
    let room = Arc::new(Semaphore::new(ELECTION_MESSAGE_LEN_MAX));
    loop {
        match frames.next_frame(&mut buffer) {
            Ok(Some(message)) => {
                // It is never closed.
                let room = room.clone().acquire_many_owned(message.len() as u32).await.ok();
                shared.inbox.arrive(Arrival { input: Input::ElectionMessage { from, message }, room });
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!("closing the election connection with server {from}: {error}");
                break;
            }
        }
        buffer.reserve(ELECTION_READ_BYTES);
        if !matches!(reader.read_buf(&mut buffer).await, Ok(count) if count > 0) {
            break;
        }
    }
    drop(events.send(Event::Closed { link }).await);
}
