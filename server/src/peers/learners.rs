//! The learner port: connections of those who follow or observe this server, if it leads (`LearnerCnxAcceptor`,
//! `LearnerHandler`).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rookeeper_core::peer::Input;
use rookeeper_core::zab::LearnerLink;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::limits::{EXHAUSTED_PAUSE, LEARNERS_MAX};
use super::outgoing::Outgoing;
use super::packets::Packets;
use crate::disk::{HistoryRequest, LogPosition};
use crate::runtime::Shared;

/// Work between two frames to a learner.
#[derive(Debug)]
pub(crate) enum Job {
    /// Write a snapshot, piece by piece; it is whole when the other end says so by an empty piece.
    Snapshot(mpsc::Receiver<Bytes>),
    /// Read a piece of the log, and hand it in.
    History(HistoryRequest),
}

/// Who comes to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guests {
    /// Learners, to the port where a leader serves them.
    Learners,
    /// Observers, to `observerMasterPort`, where followers serve them.
    Observers,
}

/// All connections to the learner port, and to `observerMasterPort`.
#[derive(Debug)]
pub(crate) struct LearnerPort {
    shared: Arc<Shared>,
    links: Mutex<BTreeMap<LearnerLink, Arc<Outgoing<Job>>>>,
    next_link: AtomicU64,
    accepting: Mutex<Vec<(Guests, JoinHandle<()>)>>,
    /// A learner that reads nothing for so long is given up: `initLimit`.
    patience: Duration,
}

impl LearnerPort {
    pub(crate) fn new(shared: Arc<Shared>, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            shared,
            links: Mutex::default(),
            next_link: AtomicU64::new(1),
            accepting: Mutex::default(),
            patience,
        })
    }

    /// Serves those who come to this listener.
    pub(crate) fn listen(
        self: &Arc<Self>,
        listener: std::net::TcpListener,
        guests: Guests,
        runtime: &Handle,
    ) -> io::Result<()> {
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let task = runtime.spawn(self.clone().accept(listener, guests));
        self.accepting.lock().push((guests, task));
        Ok(())
    }

    /// Accepts nobody of these any more, and closes their listeners; connections that stand stay.
    pub(crate) async fn stop_listening(&self, guests: Guests) {
        let stopped: Vec<_> = self.accepting.lock().extract_if(.., |(of, _)| *of == guests).collect();
        for (_, task) in stopped {
            task.abort();
            // It never ends by itself.
            let _aborted = task.await;
        }
    }

    /// Sends frames to a learner; nothing happens if it is gone.
    pub(crate) fn send(&self, link: LearnerLink, frames: Vec<Bytes>) {
        if let Some(out) = self.out(link) {
            out.send(frames);
        }
    }

    /// Does work for a learner behind all frames that were sent before.
    pub(crate) fn work(&self, link: LearnerLink, job: Job) {
        if let Some(out) = self.out(link) {
            out.work(job);
        }
    }

    /// Ends a connection.
    pub(crate) fn dismiss(&self, link: LearnerLink) {
        if let Some(out) = self.links.lock().remove(&link) {
            out.close();
        }
    }

    /// Whether a connection stands. Its end is told behind this.
    pub(crate) fn is_open(&self, link: LearnerLink) -> bool {
        self.links.lock().contains_key(&link)
    }

    fn out(&self, link: LearnerLink) -> Option<Arc<Outgoing<Job>>> {
        self.links.lock().get(&link).cloned()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, guests: Guests) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => match self.register(stream) {
                    Some(open) => drop(tokio::spawn(self.clone().serve(open, guests))),
                    None => {
                        tracing::warn!(
                            "refusing {remote} at the learner port: there are {LEARNERS_MAX} connections already"
                        );
                    }
                },
                Err(error) => {
                    tracing::warn!("cannot accept a learner's connection: {error}");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    /// Gives a connection its number, if there is room for it; until it is served it counts already.
    fn register(&self, stream: TcpStream) -> Option<(LearnerLink, OwnedReadHalf, Arc<Outgoing<Job>>)> {
        let mut links = self.links.lock();
        if links.len() >= LEARNERS_MAX {
            return None;
        }
        // A socket that takes no options is gone already, which shows when it is read.
        let _gone = stream.set_nodelay(true);
        let link = LearnerLink(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (reader, writer) = stream.into_split();
        let out = Arc::new(Outgoing::new(writer));
        links.insert(link, out.clone());
        Some((link, reader, out))
    }

    async fn serve(self: Arc<Self>, open: (LearnerLink, OwnedReadHalf, Arc<Outgoing<Job>>), guests: Guests) {
        let (link, reader, out) = open;
        let shared = &*self.shared;
        shared.inbox.tell(match guests {
            Guests::Learners => Input::LearnerConnected { link },
            Guests::Observers => Input::ObserverConnected { link },
        });
        let packets = Packets::new(reader, shared.connection_rules.inner_length_max);
        let position = Mutex::new(LogPosition::default());
        let ended = tokio::select! {
            read = read(shared, link, packets, &position) => read,
            written = out.run(self.patience, |job| self.work_on(link, &out, &position, job)) => written,
        };
        if let Err(error) = ended {
            tracing::debug!("the connection of learner {} ended: {error}", link.0);
        }
        out.close();
        self.links.lock().remove(&link);
        shared.inbox.tell(Input::LearnerGone { link });
    }

    async fn work_on(
        &self,
        link: LearnerLink,
        out: &Outgoing<Job>,
        position: &Mutex<LogPosition>,
        job: Job,
    ) -> io::Result<()> {
        match job {
            Job::Snapshot(mut pieces) => {
                while let Some(piece) = pieces.recv().await {
                    if piece.is_empty() {
                        self.shared.inbox.tell(Input::SnapshotSent { link });
                        return Ok(());
                    }
                    out.write_all(self.patience, &piece).await?;
                }
                Err(io::Error::other("the snapshot could not be read"))
            }
            Job::History(request) => {
                let before = std::mem::take(&mut *position.lock());
                let read = tokio::task::spawn_blocking(move || request.read(before));
                let (piece, after) = read.await.map_err(io::Error::other)?;
                *position.lock() = after;
                self.shared.inbox.tell(Input::HistoryRead { link, piece });
                Ok(())
            }
        }
    }
}

async fn read(
    shared: &Shared,
    link: LearnerLink,
    mut packets: Packets,
    position: &Mutex<LogPosition>,
) -> io::Result<()> {
    while packets.read().await? {
        // A learner says nothing while it is sent what it lacked. Whoever speaks again has all of it, and must not keep
        // segments of the log for as long as it stays connected.
        *position.lock() = LogPosition::default();
        let batch = packets.take(|_| false)?;
        packets.hand_in(shared, batch, |packets| Input::LearnerPackets { link, packets }).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;
    use rookeeper_core::zab::HistoryPiece;
    use rookeeper_protocol::peer::{PacketType, write_packet};
    use rookeeper_protocol::types::Zxid;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::disk::testing::log_of;
    use crate::runtime::testing::idle_server;

    async fn next_input(shared: &Shared) -> Input {
        loop {
            let arrival = shared.inbox.lock().arrivals.pop();
            match arrival {
                Some(arrival) => return arrival.input,
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// A port, and a learner that has come to it.
    async fn connected(shared: &Arc<Shared>) -> (Arc<LearnerPort>, TcpStream, LearnerLink) {
        let port = LearnerPort::new(shared.clone(), Duration::from_secs(60));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        port.listen(listener, Guests::Learners, &Handle::current()).unwrap();
        let learner = TcpStream::connect(at).await.unwrap();
        let Input::LearnerConnected { link } = next_input(shared).await else { panic!("not connected") };
        (port, learner, link)
    }

    #[tokio::test]
    async fn who_was_served_from_the_log_does_not_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log_of(dir.path(), 100);
        let shared = idle_server();
        let (port, mut learner, link) = connected(&shared).await;

        let (after, through) = (Zxid(1), Zxid(100));
        let request = HistoryRequest { history: log.history(), after, through, bytes_max: 1, log_bytes_max: None };
        port.work(link, Job::History(request));
        let Input::HistoryRead { piece: HistoryPiece::Records { records, .. }, .. } = next_input(&shared).await else {
            panic!("nothing was read")
        };
        assert_eq!(records.len(), 1);
        // The next piece is still there, whatever the image has meanwhile.
        assert!(log.retire(100).is_empty());
        let mut word = BytesMut::new();
        write_packet(&mut word, PacketType::Ack, Zxid(1), None);
        learner.write_all(&word).await.unwrap();
        assert!(matches!(next_input(&shared).await, Input::LearnerPackets { .. }));
        assert!(!log.retire(100).is_empty());
    }

    /// Whoever prepares something for a learner relies on it: what is prepared before is let go when the end is told.
    #[tokio::test]
    async fn a_connection_is_closed_before_its_end_is_told() {
        let shared = idle_server();
        let (port, learner, link) = connected(&shared).await;
        assert!(port.is_open(link));
        drop(learner);
        assert!(matches!(next_input(&shared).await, Input::LearnerGone { .. }));
        assert!(!port.is_open(link));
    }
}
