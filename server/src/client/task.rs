//! The task of one connection: bytes in, frames to the machine, bytes out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::MutexGuard;
use rookeeper_core::client::{Disposition, Phase, ReadRequest, ReadView, Taken, WatchAccess};
use rookeeper_core::peer::Input;
use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::tree::Tree;
use rookeeper_core::watch::WatchTable;
use rookeeper_protocol::client::{FRAME_HEADER_LEN, FourLetterWord, FrameDecoder};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Instant;

use super::handle::ConnectionHandle;
use super::handshake;
use super::limits::{
    BATCH_REQUESTS_MAX, IN_FLIGHT_BYTES_MAX, OUT_BYTES_MAX, READ_BYTES, WAITING_BYTES_MAX, WAITING_READS_MAX,
    WAITING_REQUESTS_MAX,
};
use super::throttle::Throttle;
use crate::admin::four_letter;
use crate::runtime::{Machine, Shared};

/// One connection's task.
pub(super) struct Task {
    shared: Arc<Shared>,
    handle: Arc<ConnectionHandle>,
    reader: OwnedReadHalf,
    frames: FrameDecoder,
    throttle: Throttle,
    input: BytesMut,
    writes: Vec<WriteRequest>,
    /// The large request that is being received, in bytes.
    large_request: usize,
    end_of_input: bool,
}

/// What the task does next.
enum Next {
    /// Read more.
    Read,
    /// Wait until something is answered, without reading.
    Wait,
    /// There is more in the buffer; serve it after the others.
    Again,
    /// Too many requests are in work; look again after a while (`request_throttle_stall_time`).
    Stall,
    /// Close once everything is written.
    Close,
}

/// How far a batch was served.
enum Served {
    /// To the end.
    Next(Next),
    /// To the first read: the tree has to be locked.
    NeedsTree(ReadRequest),
}

/// The watches, locked when a request of the batch first needs them.
struct LazyWatches<'a> {
    shared: &'a Shared,
    guard: Option<MutexGuard<'a, WatchTable>>,
}

impl WatchAccess for LazyWatches<'_> {
    fn table(&mut self) -> &mut WatchTable {
        let shared = self.shared;
        self.guard.get_or_insert_with(|| shared.watches.lock())
    }
}

impl Task {
    pub(super) fn new(
        shared: Arc<Shared>,
        handle: Arc<ConnectionHandle>,
        reader: OwnedReadHalf,
        frames: FrameDecoder,
        throttle: Throttle,
    ) -> Self {
        Self {
            shared,
            handle,
            reader,
            frames,
            throttle,
            input: BytesMut::new(),
            writes: Vec::new(),
            large_request: 0,
            end_of_input: false,
        }
    }

    pub(super) async fn run(mut self) {
        if self.open().await {
            self.serve().await;
        }
        self.leave();
    }

    /// Everything before the session: a four-letter word, or the handshake. Whether requests follow.
    async fn open(&mut self) -> bool {
        let deadline = self.sessionless_deadline();
        loop {
            if self.input.len() >= FRAME_HEADER_LEN {
                if let Some(word) = FourLetterWord::read(&self.input) {
                    {
                        let mut state = self.handle.state.lock();
                        state.machine.received(FRAME_HEADER_LEN);
                        self.shared.stats.add(&state.machine.take_tally());
                    }
                    if let Ok(Err(error)) = tokio::time::timeout_at(deadline, self.answer_word(word)).await {
                        tracing::debug!("four-letter word of {}: {error}", self.handle.remote);
                    }
                    return false;
                }
                if !self.shared.is_serving() {
                    return false;
                }
                match self.frames.next_frame(&mut self.input) {
                    Err(error) => {
                        tracing::warn!("closing {}: {error} (jute.maxbuffer)", self.handle.remote);
                        return false;
                    }
                    Ok(Some(frame)) => {
                        self.handle.state.lock().machine.received(FRAME_HEADER_LEN + frame.len());
                        return handshake::connect(&self.shared, &self.handle, &self.throttle, &frame).is_ok();
                    }
                    Ok(None) => {}
                }
            }
            self.input.reserve(READ_BYTES);
            match tokio::time::timeout_at(deadline, self.reader.read_buf(&mut self.input)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return false,
                Err(_) => {
                    self.shared.stats.sessionless_expired.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
            }
        }
    }

    /// Java looks at connections without a session in steps of their timeout.
    fn sessionless_deadline(&self) -> Instant {
        let step_ms = i64::from(self.shared.config.sessionless_cnxn_timeout_ms.max(1));
        let now_ms = self.shared.clock.monotonic_ms();
        let due_ms = ((now_ms + step_ms) / step_ms + 1) * step_ms;
        self.shared.clock.instant_at(due_ms).into()
    }

    async fn answer_word(&mut self, word: FourLetterWord) -> io::Result<()> {
        let mut argument = None;
        if word == FourLetterWord::Stmk && self.shared.config.four_letter_whitelist.allows(word.text()) {
            // Eight bytes of mask follow.
            while argument.is_none() && !self.end_of_input {
                argument = self.input.get(4..12).and_then(|mask| mask.try_into().ok()).map(i64::from_be_bytes);
                if argument.is_none() {
                    self.end_of_input = self.reader.read_buf(&mut self.input).await? == 0;
                }
            }
        }
        let mut written = 0;
        for text in four_letter::answer(&self.shared, self.handle.id, word, argument) {
            let mut left = text.as_bytes();
            while !left.is_empty() {
                self.handle.writer.writable().await?;
                match self.handle.writer.try_write(left) {
                    Ok(count) => left = &left[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            written += text.len();
            // The next piece of a long answer comes after the other connections of this thread.
            tokio::task::yield_now().await;
        }
        self.shared.stats.sent.fetch_add(four_letter::packets(written), Ordering::Relaxed);
        Ok(())
    }

    /// Requests, until the connection ends.
    async fn serve(&mut self) {
        loop {
            let next = self.serve_batch();
            if !self.writes.is_empty() {
                self.shared.carry_out(&mut self.writes);
            }
            let unwritten = {
                let mut state = self.handle.state.lock();
                self.shared.stats.add(&state.machine.take_tally());
                let unwritten = self.handle.flush(&mut state);
                self.handle.count_unsent(&self.shared, &mut state);
                if state.broken {
                    return;
                }
                unwritten
            };
            let interest = match (next, unwritten) {
                (Next::Close, false) => return,
                // Whoever does not read what was answered is not read either.
                (_, true) => Some(Interest::WRITABLE),
                (Next::Again, false) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                (Next::Stall, false) => {
                    let stall_ms = self.shared.config.request_throttle.stall_time_ms.max(1);
                    tokio::time::sleep(Duration::from_millis(u64::from(stall_ms))).await;
                    continue;
                }
                (Next::Wait, false) => None,
                (Next::Read, false) => Some(Interest::READABLE),
            };
            if !self.wait(interest).await {
                return;
            }
        }
    }

    /// Waits for the socket or for the applying thread. False when there is nothing to wait for any more.
    async fn wait(&mut self, interest: Option<Interest>) -> bool {
        if self.input.is_empty() && interest == Some(Interest::READABLE) {
            // An idle connection holds no buffer.
            self.input = BytesMut::new();
        }
        match interest {
            None => {
                self.handle.notify.notified().await;
                true
            }
            Some(Interest::READABLE) => {
                // Reading through the runtime, not past it: it notes when the socket is drained, and asks the
                // system no second time.
                self.input.reserve(READ_BYTES);
                let read = tokio::select! {
                    biased;
                    read = self.reader.read_buf(&mut self.input) => read,
                    () = self.handle.notify.notified() => return true,
                };
                self.end_of_input |= matches!(read, Ok(0));
                read.is_ok()
            }
            Some(_) => {
                tokio::select! {
                    ready = self.handle.writer.writable() => ready.is_ok(),
                    () = self.handle.notify.notified() => true,
                }
            }
        }
    }

    /// Serves the frames that have arrived: writes are collected, reads answered, all under one hold of the tree.
    ///
    /// The tree is locked when the first read comes, since whoever applies a group of writes holds it for a while,
    /// and not while the connection is locked: nobody waits for the tree with a connection in hand.
    fn serve_batch(&mut self) -> Next {
        let shared = self.shared.clone();
        let now_ms = shared.clock.monotonic_ms();
        let mut served = 0;
        let mut next = self.serve_frames(&shared, None, now_ms, &mut served);
        if let Served::NeedsTree(read) = next {
            let tree = shared.tree.read();
            next = self.serve_frames(&shared, Some((&tree, read)), now_ms, &mut served);
        }
        if served > 0 {
            self.handle.heard_ms.store(now_ms, Ordering::Relaxed);
        }
        match next {
            Served::Next(next) => next,
            // With the tree at hand no read is left over.
            Served::NeedsTree(_) => Next::Again,
        }
    }

    fn serve_frames(
        &mut self,
        shared: &Shared,
        tree: Option<(&Tree, ReadRequest)>,
        now_ms: i64,
        served: &mut usize,
    ) -> Served {
        let mut state = self.handle.state.lock();
        state.paused = false;
        match state.machine.phase() {
            Phase::New | Phase::Closing | Phase::Ending => {
                state.paused = state.machine.outstanding() > 0;
                return Served::Next(if state.paused && !self.end_of_input { Next::Wait } else { Next::Close });
            }
            Phase::Establishing => {
                state.paused = true;
                return Served::Next(if self.end_of_input { Next::Close } else { Next::Wait });
            }
            Phase::Open => {}
        }
        let rules = &shared.connection_rules;
        let mut watches = LazyWatches { shared, guard: None };
        let mut view = None;
        if let Some((tree, read)) = tree {
            let view = view.insert(ReadView { tree, watches: &mut watches, rules, now_ms });
            state.machine.answer(&read, view);
        }
        let next = loop {
            let machine = &mut state.machine;
            if *served >= BATCH_REQUESTS_MAX || machine.out.len() > OUT_BYTES_MAX {
                break Next::Again;
            }
            if machine.outstanding() >= WAITING_REQUESTS_MAX
                || machine.waiting_bytes() >= WAITING_BYTES_MAX
                || machine.waiting_reads() >= WAITING_READS_MAX
                || (machine.outstanding() > 0 && over_limit(shared))
            {
                state.paused = true;
                break Next::Wait;
            }
            if is_stalled(shared) {
                shared.stats.throttle_waits.fetch_add(1, Ordering::Relaxed);
                break Next::Stall;
            }
            if shared.is_stopping() {
                // What is under way is still answered; then all connections are told to end.
                state.paused = true;
                break Next::Wait;
            }
            // Before the frame is taken: it may have arrived as a whole.
            if !admit_large(shared, &self.frames, &self.input, &mut self.large_request) {
                let remote = self.handle.remote;
                tracing::warn!("closing {remote}: too many bytes of large requests (largeRequestMaxBytes)");
                break Next::Close;
            }
            match self.frames.next_frame(&mut self.input) {
                Ok(Some(frame)) => {
                    *served += 1;
                    release_large(shared, &mut self.large_request);
                    match machine.take(frame, rules, now_ms, &mut self.writes) {
                        Taken::Done(Disposition::Close) => break Next::Close,
                        Taken::Done(Disposition::Continue) => {}
                        Taken::Read(read) => match &mut view {
                            Some(view) => machine.answer(&read, view),
                            None => return Served::NeedsTree(read),
                        },
                    }
                    if machine.phase() != Phase::Open {
                        state.paused = true;
                        break Next::Wait;
                    }
                }
                Ok(None) if self.end_of_input => break Next::Close,
                Ok(None) => break Next::Read,
                Err(error) => {
                    tracing::warn!("closing {}: {error} (jute.maxbuffer)", self.handle.remote);
                    break Next::Close;
                }
            }
        };
        Served::Next(next)
    }

    /// The connection is gone: its watches go with it, its session waits for another one.
    fn leave(mut self) {
        let shared = &self.shared;
        release_large(shared, &mut self.large_request);
        let (session, timeout_ms) = {
            let mut state = self.handle.state.lock();
            let machine = &mut state.machine;
            machine.end();
            shared.stats.add(&machine.take_tally());
            let left = (machine.session(), machine.timeout_ms());
            self.handle.forget_unsent(shared, &mut state);
            left
        };
        shared.connections.remove(self.handle.id);
        {
            let heard_ms = self.handle.heard_ms.load(Ordering::Relaxed);
            let conn = self.handle.id;
            let mut machine = shared.machine.lock();
            match &mut *machine {
                Machine::Alone(pipeline) => pipeline.sessions.detach(session, conn, timeout_ms, heard_ms),
                Machine::Member(_) => {
                    shared.inbox.tell(Input::Disconnected { conn, session, timeout_ms, heard_ms });
                }
            }
        }
        shared.watches.lock().remove_connection(self.handle.id);
        shared.connections.dismiss(self.handle.remote.ip());
        if self.end_of_input {
            shared.stats.connections_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether so many requests are in work that connections with requests in work are read no further
/// (`globalOutstandingLimit`).
fn over_limit(shared: &Shared) -> bool {
    shared.in_flight.load(Ordering::Relaxed) > shared.outstanding_limit.load(Ordering::Relaxed)
        || shared.in_flight_bytes.load(Ordering::Relaxed) > IN_FLIGHT_BYTES_MAX
}

/// Whether so many requests are in work that no more enter (`request_throttle_max_requests`).
fn is_stalled(shared: &Shared) -> bool {
    let max = shared.config.request_throttle.max_requests;
    max.is_some_and(|max| shared.in_flight.load(Ordering::Relaxed) >= max as usize)
}

/// Counts a large request that is on its way in. False if all of them together would be too much.
fn admit_large(shared: &Shared, frames: &FrameDecoder, input: &[u8], counted: &mut usize) -> bool {
    let (Some(threshold), 0) = (shared.config.large_requests.threshold, *counted) else { return true };
    let Ok(Some(length)) = frames.peek_length(input) else { return true };
    if length <= threshold as usize {
        return true;
    }
    let total = shared.large_request_bytes.fetch_add(length as i64, Ordering::Relaxed) + length as i64;
    *counted = length;
    if total <= i64::from(shared.config.large_requests.max_bytes) {
        return true;
    }
    shared.stats.large_requests_rejected.fetch_add(1, Ordering::Relaxed);
    false
}

fn release_large(shared: &Shared, counted: &mut usize) {
    if *counted > 0 {
        shared.large_request_bytes.fetch_sub(*counted as i64, Ordering::Relaxed);
        *counted = 0;
    }
}
