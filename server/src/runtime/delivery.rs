//! Bringing what was applied to the connections.

use std::sync::Arc;

use bytes::BytesMut;
use rookeeper_core::client::{ReadView, WatchAccess};
use rookeeper_core::pipeline::{Connections, Finished};
use rookeeper_core::tree::Tree;
use rookeeper_core::watch::{ConnId, WatchTable};
use rookeeper_protocol::client::EventType;
use rookeeper_protocol::types::{AclList, OpCode, SessionId, Zxid};

use tokio::runtime::Handle;

use super::shared::Shared;
use crate::client::{ConnectionHandle, ConnectionMap};

/// Up to so many connections in one batch the applying thread writes for; above that, it has better things to do.
const DIRECT_WRITES_MAX: usize = 2;

/// Up to so many, each connection's own task writes. They are busy connections then, whose tasks run anyway; a change
/// that reaches more of them is news for watchers, who sleep.
const OWN_WRITES_MAX: usize = 64;

/// Sleeping connections that a task writes for before it lets others have their turn; fewer are not worth a task.
const WRITES_AT_ONCE: usize = 32;

/// A connection whose client does not read gets this many bytes of events; then it is closed. Replies are bounded
/// by the requests that may wait.
const UNREAD_EVENT_BYTES_MAX: usize = 16 << 20;

/// The connections while transactions are applied.
pub(crate) struct Delivery<'a> {
    shared: &'a Shared,
    connections: &'a ConnectionMap,
    now_ms: i64,
    touched: Vec<Arc<ConnectionHandle>>,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(shared: &'a Shared, connections: &'a ConnectionMap, touched: Vec<Arc<ConnectionHandle>>) -> Self {
        Self { shared, connections, now_ms: shared.clock.monotonic_ms(), touched }
    }

    /// The connections that have something to write.
    pub(crate) fn into_touched(self) -> Vec<Arc<ConnectionHandle>> {
        self.touched
    }

    fn with(&mut self, conn: ConnId, act: impl FnOnce(&mut rookeeper_core::client::Connection)) {
        let Some(handle) = self.connections.get(&conn) else { return };
        let mut state = handle.state.lock();
        act(&mut state.machine);
        // The count begins anew when all is written; a client that is always a little behind has taken most of it.
        let unread = state.machine.unread_event_bytes().min(state.machine.out.len());
        if unread > UNREAD_EVENT_BYTES_MAX {
            tracing::warn!(
                "closing {}: its client left {UNREAD_EVENT_BYTES_MAX} bytes of watch events unread",
                handle.remote
            );
            state.machine.out = BytesMut::new();
            state.machine.end();
        }
        handle.count_unsent(self.shared, &mut state);
        if !state.touched {
            state.touched = true;
            self.touched.push(handle.clone());
        }
    }
}

/// Lets the connections that were touched write, now that no lock is held.
pub(crate) fn wake(shared: &Arc<Shared>, runtime: &Handle, touched: &mut Vec<Arc<ConnectionHandle>>) {
    if touched.len() <= DIRECT_WRITES_MAX {
        touched.drain(..).for_each(|handle| handle.write(shared));
        return;
    }
    if touched.len() <= OWN_WRITES_MAX {
        touched.drain(..).for_each(|handle| handle.let_task_write(shared));
        return;
    }
    // A core is left to the pipeline, which goes on. With two, writing on both took a third longer until all had heard.
    let writers = runtime.metrics().num_workers().saturating_sub(1).max(1);
    let share_len = touched.len().div_ceil(writers).max(WRITES_AT_ONCE);
    while !touched.is_empty() {
        let share = touched.split_off(touched.len().saturating_sub(share_len));
        let shared = shared.clone();
        runtime.spawn(async move {
            for some in share.chunks(WRITES_AT_ONCE) {
                some.iter().for_each(|handle| handle.write(&shared));
                tokio::task::yield_now().await;
            }
        });
    }
}

impl Connections for Delivery<'_> {
    fn event(&mut self, conn: ConnId, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        let rules = &self.shared.connection_rules;
        self.with(conn, |connection| connection.event(&rules.acl, event, path, zxid, acl));
    }

    fn fired(&mut self, event: EventType, count: usize) {
        self.shared.stats.fired(event, count);
    }

    fn finished(&mut self, conn: ConnId, finished: &Finished<'_>, tree: &Tree, watches: &mut WatchTable) {
        let (rules, now_ms) = (&self.shared.connection_rules, self.now_ms);
        let stats = &self.shared.stats;
        // A `sync` changes nothing: Java counts it with the reads.
        let is_read = finished.origin.op == OpCode::Sync;
        let latency = if is_read { &stats.read_latency } else { &stats.update_latency };
        latency.add(now_ms - finished.origin.received_ms);
        let mut access = Direct(watches);
        self.with(conn, |connection| {
            connection.finished(finished, &mut ReadView { tree, watches: &mut access, rules, now_ms });
        });
    }

    fn session_over(&mut self, session: SessionId, conn: ConnId) {
        self.with(conn, |connection| {
            if connection.session() == session {
                connection.end();
            }
        });
    }
}

/// Watches that are locked already.
struct Direct<'a>(&'a mut WatchTable);

impl WatchAccess for Direct<'_> {
    fn table(&mut self) -> &mut WatchTable {
        self.0
    }
}
