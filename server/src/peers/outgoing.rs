//! What goes out to one server: frames and other work, in order.
//!
//! Whoever has a frame writes it straight to the socket if nothing waits before it; that saves a task's wake-up on the way of
//! every proposal and every acknowledgement. What the socket does not take at once, and what is no frame (a snapshot, a
//! piece of the log), is left to the connection's task.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::limits::UNSENT_BYTES_MAX;

/// Frames that are given to the system with one call.
const SLICES_MAX: usize = 64;

/// The way out to one server. `J` is work that is no frame; its turn comes when everything before it has gone out.
#[derive(Debug)]
pub(crate) struct Outgoing<J> {
    writer: OwnedWriteHalf,
    queue: Mutex<Queue<J>>,
    changed: Notify,
}

#[derive(Debug)]
struct Queue<J> {
    items: VecDeque<Item<J>>,
    bytes: usize,
    /// Bytes that the other end has taken, ever.
    taken: u64,
    /// A job is being done; whatever comes waits behind it.
    working: bool,
    closed: bool,
}

#[derive(Debug)]
enum Item<J> {
    Frame(Bytes),
    Job(J),
}

impl<J> Outgoing<J> {
    pub(super) fn new(writer: OwnedWriteHalf) -> Self {
        let queue = Queue { items: VecDeque::new(), bytes: 0, taken: 0, working: false, closed: false };
        Self { writer, queue: Mutex::new(queue), changed: Notify::new() }
    }

    /// Sends frames behind everything that was sent before. Never waits.
    pub(crate) fn send(&self, frames: Vec<Bytes>) {
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        let idle = queue.items.is_empty() && !queue.working;
        queue.bytes += frames.iter().map(Bytes::len).sum::<usize>();
        queue.items.extend(frames.into_iter().map(Item::Frame));
        let left = !idle || self.write_some(&mut queue).unwrap_or(true);
        if queue.bytes > UNSENT_BYTES_MAX {
            tracing::warn!(
                "closing a connection between servers: {} bytes were not read by the other end",
                queue.bytes
            );
            queue.close();
        }
        drop(queue);
        if left {
            self.changed.notify_one();
        }
    }

    /// Does work behind everything that was sent before.
    pub(crate) fn work(&self, job: J) {
        let mut queue = self.queue.lock();
        if !queue.closed {
            queue.items.push_back(Item::Job(job));
            drop(queue);
            self.changed.notify_one();
        }
    }

    /// Ends the connection; what was not written yet is dropped.
    pub(crate) fn close(&self) {
        self.queue.lock().close();
        self.changed.notify_one();
    }

    /// Writes what is there, and does the work; ends when the connection is closed, when the other end takes nothing for
    /// `patience`, or when writing or the work fails.
    pub(super) async fn run<F>(&self, patience: Duration, mut work: impl FnMut(J) -> F) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>>,
    {
        // How much the other end had taken when it last took something. What is sent meanwhile gives it no more time.
        let (mut taken, mut since) = (0, Instant::now());
        loop {
            let job = {
                let mut queue = self.queue.lock();
                if queue.closed {
                    return Ok(());
                }
                queue.working = false;
                let blocked = self.write_some(&mut queue)?;
                if queue.taken != taken || !blocked {
                    (taken, since) = (queue.taken, Instant::now());
                }
                match queue.items.front() {
                    Some(Item::Job(_)) if !blocked => match queue.items.pop_front() {
                        Some(Item::Job(job)) => {
                            queue.working = true;
                            Some(Some(job))
                        }
                        _ => None,
                    },
                    Some(_) => Some(None),
                    None => None,
                }
            };
            match job {
                Some(Some(job)) => work(job).await?,
                Some(None) => {
                    tokio::select! {
                        ready = self.writable(patience.saturating_sub(since.elapsed())) => ready?,
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Writes bytes as a part of the present job.
    pub(super) async fn write_all(&self, patience: Duration, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.queue.lock().closed {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match self.writer.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable(patience).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn writable(&self, patience: Duration) -> io::Result<()> {
        match tokio::time::timeout(patience, self.writer.writable()).await {
            Ok(ready) => ready,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the other end reads nothing")),
        }
    }

    /// Writes frames from the front as far as the socket takes them. Whether it would take no more.
    fn write_some(&self, queue: &mut Queue<J>) -> io::Result<bool> {
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let frames = queue.items.iter().map_while(|item| match item {
                Item::Frame(frame) => Some(frame),
                Item::Job(_) => None,
            });
            let count = slices.iter_mut().zip(frames).map(|(slice, frame)| *slice = IoSlice::new(frame)).count();
            if count == 0 {
                return Ok(false);
            }
            match self.writer.try_write_vectored(&slices[..count]) {
                Ok(written) => queue.written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<J> Queue<J> {
    fn written(&mut self, mut count: usize) {
        self.bytes -= count;
        self.taken += count as u64;
        while let Some(Item::Frame(frame)) = self.items.front_mut() {
            if frame.len() > count {
                frame.advance(count);
                return;
            }
            count -= frame.len();
            self.items.pop_front();
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.items.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap());
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        (dialled.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn frames_and_work_go_out_in_order() {
        let (one, mut other) = pair().await;
        let out: Arc<Outgoing<u8>> = Arc::new(Outgoing::new(one.into_split().1));
        out.send(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
        out.work(b'c');
        out.send(vec![Bytes::from_static(b"d")]);
        // More than a socket's buffers hold.
        out.send(vec![Bytes::from(vec![b'e'; 16 << 20])]);
        let task = {
            let out = out.clone();
            tokio::spawn(async move {
                out.run(Duration::from_secs(10), |job| {
                    let out = out.clone();
                    async move { out.write_all(Duration::from_secs(10), &[job]).await }
                })
                .await
            })
        };
        let mut read = vec![0; 4 + (16 << 20)];
        other.read_exact(&mut read).await.unwrap();
        assert_eq!(&read[..4], b"abcd");
        assert!(read[4..].iter().all(|byte| *byte == b'e'));
        out.close();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_reads_nothing_is_given_up() {
        let (one, other) = pair().await;
        let out: Outgoing<()> = Outgoing::new(one.into_split().1);
        out.send(vec![Bytes::from(vec![0; 64 << 20])]);
        let ended = out.run(Duration::from_millis(50), |()| async { Ok(()) }).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(other);
    }

    #[tokio::test]
    async fn who_reads_nothing_is_given_up_while_more_is_sent() {
        let (one, other) = pair().await;
        let out: Arc<Outgoing<()>> = Arc::new(Outgoing::new(one.into_split().1));
        out.send(vec![Bytes::from(vec![0; 64 << 20])]);
        let more = out.clone();
        let sender = tokio::spawn(async move {
            loop {
                // As everybody does who sends.
                more.changed.notify_one();
                tokio::task::yield_now().await;
            }
        });
        let run = out.run(Duration::from_millis(200), |()| async { Ok(()) });
        let ended = tokio::time::timeout(Duration::from_secs(20), run).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        sender.abort();
        drop(other);
    }

    #[tokio::test]
    async fn what_nobody_reads_has_a_bound() {
        let (one, _other) = pair().await;
        let out: Outgoing<()> = Outgoing::new(one.into_split().1);
        for _ in 0..5 {
            out.send(vec![Bytes::from(vec![0; 64 << 20])]);
        }
        let queue = out.queue.lock();
        assert!(queue.closed && queue.items.is_empty());
    }
}
