//! One connection, as its own task and the applying thread share it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use rookeeper_core::client::{Connection, Phase};
use rookeeper_core::watch::ConnId;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::limits::{UNSENT_BYTES_COUNTED, UNSENT_BYTES_MAX};
use crate::runtime::Shared;

/// A buffer that grew larger than this is given back once it is empty.
const OUT_BYTES_KEPT: usize = 16 << 10;

/// What is locked for each batch.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The machine behind the connection; its `out` is what goes out next.
    pub(crate) machine: Connection,
    /// The applying thread will wake the task.
    pub(crate) touched: bool,
    /// The task has stopped reading until something is answered.
    pub(super) paused: bool,
    /// Writing failed: there is no client any more.
    pub(super) broken: bool,
    /// What of its buffer is counted in [`Shared::unsent_bytes`].
    counted: usize,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct ConnectionHandle {
    pub(crate) id: ConnId,
    pub(crate) remote: SocketAddr,
    pub(super) writer: OwnedWriteHalf,
    pub(crate) state: Mutex<ConnectionState>,
    /// Wakes the task.
    pub(crate) notify: Notify,
    /// When the client was last heard of, in monotonic milliseconds.
    pub(crate) heard_ms: AtomicI64,
    /// The session timeout agreed on, in milliseconds.
    pub(crate) timeout_ms: AtomicI32,
    /// When the connection was accepted, in milliseconds since 1970.
    pub(crate) established_ms: i64,
}

impl ConnectionState {
    /// What the connection waits for, in Java's bits: 1 to read, 4 to write (`SelectionKey`).
    pub(crate) fn interest(&self) -> u8 {
        u8::from(!self.paused) | u8::from(!self.machine.out.is_empty()) << 2
    }
}

impl ConnectionHandle {
    pub(super) fn new(
        id: ConnId,
        writer: OwnedWriteHalf,
        remote: SocketAddr,
        now: rookeeper_core::pipeline::Now,
    ) -> Self {
        let machine = Connection::new(id, &java_address(remote.ip()));
        Self {
            id,
            remote,
            writer,
            state: Mutex::new(ConnectionState { machine, touched: false, paused: false, broken: false, counted: 0 }),
            notify: Notify::new(),
            heard_ms: AtomicI64::new(now.monotonic_ms),
            timeout_ms: AtomicI32::new(0),
            established_ms: now.wall_ms,
        }
    }

    /// Writes as much as the socket takes. Whether anything is left.
    pub(super) fn flush(&self, state: &mut ConnectionState) -> bool {
        let out = &mut state.machine.out;
        while !out.is_empty() {
            match self.writer.try_write(out) {
                Ok(0) => state.broken = true,
                Ok(count) => {
                    out.advance(count);
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => state.broken = true,
            }
            out.clear();
        }
        state.machine.drained();
        let out = &mut state.machine.out;
        if out.capacity() > OUT_BYTES_KEPT {
            *out = BytesMut::new();
        } else {
            out.clear();
        }
        false
    }

    /// Notes what the client has not taken, once it is much. Where all clients together have left too much, the one that
    /// adds to it goes: what it did not take is forgotten.
    pub(crate) fn count_unsent(&self, shared: &Shared, state: &mut ConnectionState) {
        let out = &state.machine.out;
        // The room that it takes counts, which is up to twice as much.
        let room = if out.len() >= UNSENT_BYTES_COUNTED { out.capacity() } else { 0 };
        if room == state.counted {
            return;
        }
        let added = room as i64 - state.counted as i64;
        let total = shared.unsent_bytes.fetch_add(added, Ordering::Relaxed) + added;
        state.counted = room;
        if added > 0 && total > UNSENT_BYTES_MAX {
            tracing::warn!(
                "closing {}: {room} bytes hold what it asked for and has not read, and those of all clients are {total}",
                self.remote
            );
            state.machine.out = BytesMut::new();
            state.machine.end();
            state.counted = 0;
            shared.unsent_bytes.fetch_sub(room as i64, Ordering::Relaxed);
        }
    }

    /// The connection is gone, and with it what its client has not taken.
    pub(super) fn forget_unsent(&self, shared: &Shared, state: &mut ConnectionState) {
        state.machine.out = BytesMut::new();
        self.count_unsent(shared, state);
    }

    /// Wakes the task, which writes what the applying thread has put into the buffer.
    pub(crate) fn let_task_write(&self, shared: &Shared) {
        {
            let mut state = self.state.lock();
            state.touched = false;
            shared.stats.add(&state.machine.take_tally());
        }
        self.notify.notify_one();
    }

    /// Writes what the applying thread has put into the buffer, and wakes the task if it has something to do then.
    pub(crate) fn write(&self, shared: &Shared) {
        let mut state = self.state.lock();
        state.touched = false;
        shared.stats.add(&state.machine.take_tally());
        let left = self.flush(&mut state);
        self.count_unsent(shared, &mut state);
        if left || state.paused || state.broken || state.machine.phase() != Phase::Open {
            drop(state);
            self.notify.notify_one();
        }
    }
}

/// An address as Java prints it: IPv6 in full, without abbreviation; IPv4 in IPv6 as IPv4.
pub(crate) fn java_address(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => {
            let segments = address.segments().map(|segment| format!("{segment:x}"));
            segments.join(":")
        }
    }
}
