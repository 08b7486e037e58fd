//! One thread's connections, kept busy with a [`Work`].
//!
//! Two ways to pace requests. *Closed loop*: every connection always has `depth` requests under way; a reply makes room
//! for the next. *Open loop*: requests are due at fixed points in time whatever the server does, and a latency counts
//! from the point at which the request was due, so that a server that stalls is charged for all who would have waited.

use std::time::{Duration, Instant};

use rookeeper_protocol::client::xid;
use rookeeper_protocol::types::OpCode;

use crate::connection::{Connection, ReadBuffer, Received, Sent, Tag, xid_after};
use crate::error::BenchError;
use crate::poller::Poller;
use crate::progress::Progress;
use crate::reply::{Reply, Verdict};
use crate::tally::Tally;
use crate::targets::Targets;
use crate::template::bare_request;

/// A connection is not given more requests while this many bytes of a batch are not sent.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// How often idle sessions are looked for, and how long a wait lasts at most.
const HOUSEKEEPING_NS: u64 = 500_000_000;

/// What is to be asked of the servers, and what has to come back.
pub(crate) trait Work {
    /// The names of the classes of latencies that are told apart; a tag's kind is the index.
    fn classes(&self) -> &'static [&'static str];

    /// Appends the next request of this connection to `out`, or tells with `None` that there is none now.
    fn request(&mut self, connection: usize, xid: i32, out: &mut Vec<u8>) -> Option<Tag>;

    /// Judges the reply to the request with this tag.
    fn reply(&mut self, tag: Tag, reply: &Reply<'_>) -> Verdict;

    /// Takes a watch event.
    fn event(&mut self, _connection: usize, _event: &Reply<'_>) -> Verdict {
        Verdict::Wrong("an event although nothing is watched")
    }

    /// Whether nothing else is awaited once every request has its reply.
    fn is_finished(&self) -> bool {
        true
    }
}

/// How much and how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests under way per connection at most.
    pub(crate) depth: usize,
    /// Requests in all.
    pub(crate) ops: u64,
    /// No request is made after this time.
    pub(crate) duration: Option<Duration>,
    /// Nanoseconds between the points at which requests are due: open loop.
    pub(crate) interval_ns: Option<f64>,
    /// The run fails when it is not over after this time.
    pub(crate) deadline: Duration,
}

/// One thread's connections.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) connections: Vec<Connection>,
    targets: Targets,
    session_timeout: Duration,
    poller: Poller,
    buffer: ReadBuffer,
    batch: Vec<u8>,
    origin: Instant,
    closing: bool,
}

/// What a run keeps while it goes on.
struct Run<'a, W> {
    work: &'a mut W,
    limits: Limits,
    tally: Tally,
    progress: &'a Progress,
    start_ns: u64,
    requests: u64,
    outstanding: u64,
}

impl Engine {
    /// An engine over established sessions, which the poller watches already.
    pub(crate) fn new(
        connections: Vec<Connection>,
        targets: Targets,
        session_timeout: Duration,
        poller: Poller,
        origin: Instant,
    ) -> Self {
        let (buffer, batch) = (ReadBuffer::new(), Vec::new());
        Self { connections, targets, session_timeout, poller, buffer, batch, origin, closing: false }
    }

    /// Time on the engine's clock.
    pub(crate) fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Makes requests until the work has no more or a limit is reached, and waits for all that is awaited.
    pub(crate) fn run<W: Work>(
        &mut self,
        work: &mut W,
        limits: Limits,
        progress: &Progress,
    ) -> Result<Tally, BenchError> {
        let (start_ns, tally) = (self.now_ns(), Tally::new(work.classes().len()));
        let mut run = Run { work, limits, tally, progress, start_ns, requests: 0, outstanding: 0 };
        let duration_ns = limits.duration.map_or(u64::MAX, |duration| duration.as_nanos() as u64);
        let end_ns = start_ns.saturating_add(duration_ns);
        let deadline_ns = start_ns + limits.deadline.as_nanos() as u64;
        let paced = limits.interval_ns;
        // In an open loop the number of requests is settled beforehand: late ones are sent late, but they are sent.
        if let Some(interval_ns) = paced
            && limits.duration.is_some()
        {
            run.limits.ops = run.limits.ops.min((duration_ns as f64 / interval_ns) as u64);
        }
        let mut ready = Vec::new();
        let mut housekeeping_ns = start_ns + HOUSEKEEPING_NS;
        if paced.is_none() {
            for index in 0..self.connections.len() {
                self.refill(index, start_ns, &mut run)?;
            }
        }
        loop {
            let mut now_ns = self.now_ns();
            if let Some(interval_ns) = paced {
                self.send_due(interval_ns, now_ns, &mut run)?;
            }
            let more = match paced {
                Some(_) => run.requests < run.limits.ops,
                // Closed loop: whoever can be given a request has been given one.
                None => false,
            };
            if !more && run.outstanding == 0 && run.work.is_finished() {
                break;
            }
            if now_ns >= deadline_ns {
                let what = format!("the run ({} of its {} requests are unanswered)", run.outstanding, run.requests);
                return Err(BenchError::Deadline { what, seconds: limits.deadline.as_secs_f64() });
            }
            if now_ns >= housekeeping_ns {
                self.ping_idle(now_ns)?;
                housekeeping_ns = now_ns + HOUSEKEEPING_NS;
            }
            let timeout_ns = match paced {
                Some(interval_ns) if more => run.due_ns(interval_ns).saturating_sub(now_ns).clamp(1, HOUSEKEEPING_NS),
                _ => HOUSEKEEPING_NS,
            };
            self.poller.wait(timeout_ns, &mut ready)?;
            for ready in &ready {
                if ready.writable {
                    self.flush(ready.connection)?;
                }
                if ready.readable {
                    now_ns = self.receive(ready.connection, &mut run)?;
                }
                if paced.is_none() && now_ns < end_ns {
                    self.refill(ready.connection, now_ns, &mut run)?;
                }
            }
        }
        run.tally.elapsed_ns = self.now_ns() - start_ns;
        Ok(run.tally)
    }

    /// Closes every session, and waits until the servers have said so.
    pub(crate) fn close(mut self) -> Result<(), BenchError> {
        self.closing = true;
        let mut work = CloseSessions { asked: vec![false; self.connections.len()] };
        let limits =
            Limits { depth: 1, ops: u64::MAX, duration: None, interval_ns: None, deadline: Duration::from_secs(60) };
        self.run(&mut work, limits, &Progress::silent()).map(drop)
    }

    /// Gives a connection as many requests as its depth allows, in one write.
    fn refill<W: Work>(&mut self, index: usize, now_ns: u64, run: &mut Run<'_, W>) -> Result<(), BenchError> {
        let connection = &mut self.connections[index];
        if !connection.is_flushed() || connection.closed {
            return Ok(());
        }
        self.batch.clear();
        while connection.pending.len() < run.limits.depth
            && self.batch.len() < BATCH_BYTES_MAX
            && run.requests < run.limits.ops
        {
            if !run.request(connection, index, now_ns, &mut self.batch) {
                break;
            }
        }
        self.send_batch(index, now_ns)
    }

    /// Sends the requests that are due. Connections take turns; one whose window is full holds up all, which is no
    /// matter, since latencies count from the time at which a request was due.
    fn send_due<W: Work>(&mut self, interval_ns: f64, now_ns: u64, run: &mut Run<'_, W>) -> Result<(), BenchError> {
        while run.requests < run.limits.ops && run.due_ns(interval_ns) <= now_ns {
            let index = (run.requests % self.connections.len() as u64) as usize;
            let connection = &mut self.connections[index];
            if connection.pending.len() >= run.limits.depth || !connection.is_flushed() {
                break;
            }
            self.batch.clear();
            let due_ns = run.due_ns(interval_ns);
            if !run.request(connection, index, due_ns, &mut self.batch) {
                run.limits.ops = run.requests;
                break;
            }
            self.send_batch(index, now_ns)?;
        }
        Ok(())
    }

    fn send_batch(&mut self, index: usize, now_ns: u64) -> Result<(), BenchError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let connection = &mut self.connections[index];
        connection.sent_ns = now_ns;
        match connection.send(&self.batch) {
            Ok(()) => self.watch_for_room(index),
            Err(error) => Err(self.lost(index, error.to_string())),
        }
    }

    fn flush(&mut self, index: usize) -> Result<(), BenchError> {
        match self.connections[index].flush() {
            Ok(()) => self.watch_for_room(index),
            Err(error) => Err(self.lost(index, error.to_string())),
        }
    }

    /// Tells the poller when a connection begins or ends to have bytes that the kernel does not take.
    fn watch_for_room(&mut self, index: usize) -> Result<(), BenchError> {
        let connection = &mut self.connections[index];
        let wants_write = !connection.is_flushed();
        if wants_write != connection.wants_write {
            connection.wants_write = wants_write;
            self.poller.modify(&connection.stream, index, wants_write)?;
        }
        Ok(())
    }

    /// Takes the replies that have come. Returns the time at which they had been read, one for all of them.
    fn receive<W: Work>(&mut self, index: usize, run: &mut Run<'_, W>) -> Result<u64, BenchError> {
        loop {
            let (origin, mut now_ns, mut same) = (self.origin, 0, Same::default());
            let received = self.connections[index].receive(&mut self.buffer, |connection, frame| {
                if now_ns == 0 {
                    now_ns = origin.elapsed().as_nanos() as u64;
                }
                run.take(connection, index, frame, now_ns, &mut same)
            });
            run.record(&same);
            match received {
                Ok(Received::All) => return Ok(if now_ns == 0 { self.now_ns() } else { now_ns }),
                Ok(Received::More) => {}
                Ok(Received::End) if self.closing && self.connections[index].pending.is_empty() => {
                    self.connections[index].closed = true;
                    self.poller.remove(&self.connections[index].stream);
                    return Ok(self.now_ns());
                }
                Ok(Received::End) => return Err(self.lost(index, "the server closed it".to_owned())),
                Err(reason) => return Err(self.lost(index, reason)),
            }
        }
    }

    /// Keeps sessions alive that have nothing to do, as clients do it: at a third of the timeout.
    fn ping_idle(&mut self, now_ns: u64) -> Result<(), BenchError> {
        let idle_ns = self.session_timeout.as_nanos() as u64 / 3;
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            if now_ns.saturating_sub(connection.sent_ns) >= idle_ns && connection.is_flushed() && !connection.closed {
                self.batch = bare_request(xid::PING, OpCode::Ping);
                self.send_batch(index, now_ns)?;
            }
        }
        Ok(())
    }

    fn lost(&self, index: usize, reason: String) -> BenchError {
        let connection = &self.connections[index];
        let server = self.targets.servers[connection.server].name.clone();
        BenchError::Lost { server, reason, unanswered: connection.pending.len() }
    }
}

/// Replies of one batch whose requests were sent together: recorded as one entry.
#[derive(Default)]
struct Same {
    kind: u8,
    latency_ns: u64,
    count: u64,
}

impl<W: Work> Run<'_, W> {
    /// When the next request of an open loop is due.
    fn due_ns(&self, interval_ns: f64) -> u64 {
        self.start_ns + (self.requests as f64 * interval_ns) as u64
    }

    /// Appends a request to the batch; false when the work has none for this connection.
    #[inline]
    fn request(&mut self, connection: &mut Connection, index: usize, at_ns: u64, batch: &mut Vec<u8>) -> bool {
        let Some(tag) = self.work.request(index, connection.xid_next, batch) else { return false };
        connection.pending.push_back(Sent { at_ns, tag });
        connection.xid_next = xid_after(connection.xid_next);
        self.requests += 1;
        self.outstanding += 1;
        true
    }

    /// Takes one frame.
    #[inline]
    fn take(
        &mut self,
        connection: &mut Connection,
        index: usize,
        frame: &[u8],
        now_ns: u64,
        same: &mut Same,
    ) -> Result<(), String> {
        let Some(reply) = Reply::read(frame) else { return Err(format!("a reply of {} bytes", frame.len())) };
        if reply.xid < 0 {
            return self.take_unasked(index, &reply);
        }
        let Some(sent) = connection.pending.pop_front() else {
            return Err(format!("a reply with xid {} that nothing was asked for", reply.xid));
        };
        if reply.xid != connection.xid_due {
            return Err(format!("a reply with xid {} where {} was due", reply.xid, connection.xid_due));
        }
        connection.xid_due = xid_after(connection.xid_due);
        self.outstanding -= 1;
        let mut verdict = self.work.reply(sent.tag, &reply);
        if reply.zxid < connection.zxid_seen {
            verdict = Verdict::Wrong("a zxid before the one of the reply before");
        }
        connection.zxid_seen = reply.zxid;
        let latency_ns = now_ns.saturating_sub(sent.at_ns);
        if same.latency_ns != latency_ns || same.kind != sent.tag.kind {
            self.record(same);
            *same = Same { kind: sent.tag.kind, latency_ns, count: 0 };
        }
        same.count += 1;
        if verdict != Verdict::Good {
            self.count_bad(verdict);
        }
        Ok(())
    }

    /// Takes the answer to a ping, or an event.
    fn take_unasked(&mut self, index: usize, reply: &Reply<'_>) -> Result<(), String> {
        match reply.xid {
            xid::PING => Ok(()),
            xid::NOTIFICATION => {
                let verdict = self.work.event(index, reply);
                if verdict != Verdict::Good {
                    self.count_bad(verdict);
                }
                Ok(())
            }
            other => Err(format!("a reply with xid {other}")),
        }
    }

    fn record(&mut self, same: &Same) {
        if same.count > 0 {
            self.tally.replies += same.count;
            self.tally.latencies[usize::from(same.kind)].record(same.latency_ns, same.count);
            self.progress.count(same.count, same.latency_ns);
        }
    }

    #[cold]
    fn count_bad(&mut self, verdict: Verdict) {
        self.tally.count_bad(verdict);
        self.progress.count_bad();
    }
}

/// closeSession once per connection.
struct CloseSessions {
    asked: Vec<bool>,
}

impl Work for CloseSessions {
    fn classes(&self) -> &'static [&'static str] {
        &["closeSession"]
    }

    fn request(&mut self, connection: usize, xid: i32, out: &mut Vec<u8>) -> Option<Tag> {
        let asked = std::mem::replace(&mut self.asked[connection], true);
        (!asked).then(|| {
            out.extend_from_slice(&bare_request(xid, OpCode::CloseSession));
            Tag { kind: 0, number: 0 }
        })
    }

    fn reply(&mut self, _: Tag, reply: &Reply<'_>) -> Verdict {
        if reply.error == 0 { Verdict::Good } else { Verdict::Error(reply.error) }
    }

    /// Events of watches that are still set may come until the end.
    fn event(&mut self, _: usize, _: &Reply<'_>) -> Verdict {
        Verdict::Good
    }
}
