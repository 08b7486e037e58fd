//! What all threads and tasks of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rookeeper_core::client::ConnectionRules;
use rookeeper_core::pipeline::{Notice, WriteRequest};
use rookeeper_core::tree::Tree;
use rookeeper_core::watch::WatchTable;
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::HostPort;
use tokio::sync::{Notify, watch};

use super::clock::Clock;
use super::inbox::Inbox;
use super::machine::Machine;
use crate::client::ConnectionTable;
use crate::config::ServerConfig;
use crate::metrics::ServerStats;

/// A running server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) clock: Clock,
    /// What the machine has not taken yet.
    pub(crate) inbox: Inbox,
    pub(crate) machine: Mutex<Machine>,
    pub(crate) tree: RwLock<Tree>,
    pub(crate) watches: Mutex<WatchTable>,
    pub(crate) connections: ConnectionTable,
    pub(crate) connection_rules: ConnectionRules,
    pub(crate) stats: ServerStats,
    /// Requests in the inbox and in the pipeline, for the throttle.
    pub(crate) in_flight: AtomicUsize,
    /// Bytes of these requests.
    pub(crate) in_flight_bytes: AtomicUsize,
    /// Requests in work above which connections with requests in work are read no further.
    pub(crate) outstanding_limit: AtomicUsize,
    /// Bytes of replies and events that clients have not taken, where they are many.
    pub(crate) unsent_bytes: AtomicI64,
    /// Bytes of large requests that are being received or served.
    pub(crate) large_request_bytes: AtomicI64,
    /// The reason why nothing is served any more.
    failure: Mutex<Option<Arc<str>>>,
    failed: AtomicBool,
    stopping: AtomicBool,
    /// Clients are served: always by a server that stands alone, by a member while it follows or leads.
    serves: AtomicBool,
    /// Signalled when the server fails or is told to stop.
    pub(crate) stop: Notify,
    /// Where clients are to be served from now on, when a reconfiguration says so.
    pub(crate) client_address: watch::Sender<Option<HostPort>>,
    /// The port that is listened on.
    pub(crate) client_port: std::sync::atomic::AtomicU16,
    /// Bytes of the image and of the log on disk, as last looked at.
    pub(crate) image_bytes: AtomicI64,
    pub(crate) log_bytes: AtomicI64,
    /// Bytes that the log was given since the start.
    pub(crate) log_written: std::sync::atomic::AtomicU64,
    /// The trace mask, which means nothing here but is kept (`stmk`, `gtmk`).
    pub(crate) trace_mask: AtomicI64,
}

/// Held by a thread that nobody can do without: if it ends in a panic the server ends too, instead of going on without it
/// (`ZooKeeperCriticalThread`).
#[derive(Debug)]
pub(crate) struct Critical(Arc<Shared>);

impl Drop for Critical {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("unnamed");
            self.0.fail(&format!(
                "the thread {name} ended in a panic, which is a mistake in the server; please report it"
            ));
        }
    }
}

/// Java's default trace mask (`ZooTrace`).
const TRACE_MASK_DEFAULT: i64 = 0b1_0011_0010;

impl Shared {
    pub(crate) fn new(
        config: ServerConfig,
        clock: Clock,
        machine: Machine,
        mut tree: Tree,
        connection_rules: ConnectionRules,
        seed: u64,
    ) -> Self {
        let serves = AtomicBool::new(machine.member().is_none());
        let stats = ServerStats::new();
        if let Some(mismatch) = tree.take_digest_mismatch() {
            // Whoever read the data folder has told it.
            stats.digest_mismatches.fetch_add(mismatch.count, Ordering::Relaxed);
        }
        let inbox = if machine.member().is_some() { Inbox::for_task() } else { Inbox::for_thread() };
        let outstanding_limit = AtomicUsize::new(outstanding_limit(&config, &machine));
        Self {
            config,
            clock,
            inbox,
            machine: Mutex::new(machine),
            tree: RwLock::new(tree),
            watches: Mutex::new(WatchTable::new(seed)),
            connections: ConnectionTable::default(),
            connection_rules,
            stats,
            in_flight: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
            outstanding_limit,
            unsent_bytes: AtomicI64::new(0),
            large_request_bytes: AtomicI64::new(0),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            serves,
            stop: Notify::new(),
            client_address: watch::Sender::new(None),
            client_port: std::sync::atomic::AtomicU16::new(0),
            image_bytes: AtomicI64::new(0),
            log_bytes: AtomicI64::new(0),
            log_written: std::sync::atomic::AtomicU64::new(0),
            trace_mask: AtomicI64::new(TRACE_MASK_DEFAULT),
        }
    }

    /// Hands requests to the pipeline, in order; they are taken out of the vector.
    pub(crate) fn submit(&self, requests: &mut Vec<WriteRequest>) {
        self.count_submitted(requests);
        self.inbox.push(requests);
    }

    /// The same, and carries them out if nobody else has anything to do. For whoever holds no lock, and can wait as long as a
    /// quick flush takes.
    pub(crate) fn carry_out(self: &Arc<Self>, requests: &mut Vec<WriteRequest>) {
        self.count_submitted(requests);
        if let Some(mut reader) = self.inbox.push_and_borrow(requests) {
            // Should this panic, the server has failed before the reader is given back.
            let _critical = self.critical_thread();
            reader.see_to_it();
        }
    }

    fn count_submitted(&self, requests: &[WriteRequest]) {
        let bytes = requests.iter().map(|request| request.body.len()).sum();
        self.in_flight.fetch_add(requests.len(), Ordering::Relaxed);
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Requests of so many bytes left the inbox for the machine of a member, which counts them from now on.
    pub(crate) fn taken(&self, requests: usize, bytes: usize) {
        self.in_flight.fetch_sub(requests, Ordering::Relaxed);
        self.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A member's machine held so many requests of so many bytes, and holds others now.
    pub(crate) fn count_held(&self, before: (usize, usize), now: (usize, usize)) {
        // Wrapping, so that a difference may be negative.
        self.in_flight.fetch_add(now.0.wrapping_sub(before.0), Ordering::Relaxed);
        self.in_flight_bytes.fetch_add(now.1.wrapping_sub(before.1), Ordering::Relaxed);
    }

    /// A member's part has changed, or the list of members: the limit on requests in work with it.
    pub(crate) fn part_changed(&self) {
        let limit = outstanding_limit(&self.config, &self.machine.lock());
        self.outstanding_limit.store(limit, Ordering::Relaxed);
    }

    /// So many transactions were flushed.
    pub(crate) fn flushed(&self, transactions: usize, took: Duration) {
        self.stats.flushed(transactions, took);
        if took > Duration::from_millis(self.config.fsync_warning_threshold_ms) {
            self.stats.slow_flushes.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("flushing the transaction log took {} ms; the disk is too slow or shared", took.as_millis());
        }
    }

    /// Tells operators of something.
    pub(crate) fn tell(&self, notice: &Notice) {
        match notice {
            Notice::QuotaExceeded { path, text, refused } => {
                tracing::warn!("Quota exceeded: {path}: {text}");
                if *refused {
                    self.stats.quota_exceeded(path);
                }
            }
        }
    }

    /// Whether clients are served.
    pub(crate) fn is_serving(&self) -> bool {
        self.is_running() && self.serves.load(Ordering::Acquire)
    }

    /// A member of an ensemble serves clients from now on.
    pub(crate) fn begin_to_serve(&self) {
        self.serves.store(true, Ordering::Release);
    }

    /// It does so no longer: all of them have to go.
    pub(crate) fn end_serving(&self) {
        self.serves.store(false, Ordering::Release);
        self.connections.end_all();
    }

    /// Whether the server is one of several.
    pub(crate) fn is_member(&self) -> bool {
        self.config.ensemble.distributed
    }

    /// Whether nothing has failed and the server was not told to stop.
    pub(crate) fn is_running(&self) -> bool {
        !self.failed.load(Ordering::Acquire) && !self.stopping.load(Ordering::Acquire)
    }

    /// Whether the server was told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Nothing can be promised any more: the first failed write or flush ends the server.
    pub(crate) fn fail(&self, reason: &str) {
        tracing::error!("{reason}; the server stops, nothing that was acknowledged is lost");
        self.failure.lock().get_or_insert_with(|| reason.into());
        self.failed.store(true, Ordering::Release);
        self.connections.end_all();
        self.inbox.wake();
        self.stop.notify_waiters();
        self.stop.notify_one();
    }

    /// For the beginning of a thread that nobody can do without.
    pub(crate) fn critical_thread(self: &Arc<Self>) -> Critical {
        Critical(self.clone())
    }

    /// Whether the server failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Why the server failed.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.failure.lock().clone()
    }

    /// No more requests are taken.
    pub(crate) fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.inbox.wake();
    }
}

/// `globalOutstandingLimit`. Servers that vote share it, since the leader has the requests of all of them
/// (`LeaderZooKeeperServer#getGlobalOutstandingLimit`, `FollowerZooKeeperServer`).
fn outstanding_limit(config: &ServerConfig, machine: &Machine) -> usize {
    let limit = usize::try_from(config.global_outstanding_limit).unwrap_or(0);
    let sharing = machine
        .member()
        .filter(|peer| !peer.is_read_only() && matches!(peer.peer_state(), PeerState::Leading | PeerState::Following));
    limit / sharing.map_or(1, |peer| sharers(peer.quorum_size()))
}

/// Followers of an ensemble with so many voters.
fn sharers(voters: usize) -> usize {
    if voters > 2 { voters - 1 } else { 1 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::sharers;
    use crate::runtime::testing::idle_server;

    #[test]
    fn followers_share_the_limit_on_requests() {
        // The numbers of servers that vote, and what Java divides by.
        assert_eq!([0, 1, 2, 3, 4, 5].map(sharers), [1, 1, 1, 2, 3, 4]);
    }

    #[test]
    fn a_server_does_not_outlive_a_thread_that_it_needs() {
        let shared = idle_server();
        let run = |breaks: bool| {
            let shared = shared.clone();
            let work = move || {
                let _critical = shared.critical_thread();
                assert!(!breaks);
            };
            std::thread::Builder::new().name("log".to_owned()).spawn(work).unwrap().join()
        };
        run(false).unwrap();
        assert!(shared.is_running());
        run(true).unwrap_err();
        assert!(!shared.is_running() && shared.failure().unwrap().starts_with("the thread log ended in a panic"));
    }
}
