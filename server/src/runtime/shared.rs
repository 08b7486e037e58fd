//! What all threads and tasks of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use rookeeper_core::client::ConnectionRules;
use rookeeper_core::pipeline::{Notice, Pipeline, WriteRequest};
use rookeeper_core::tree::Tree;
use rookeeper_core::watch::WatchTable;
use tokio::sync::Notify;

use super::clock::Clock;
use super::inbox::Inbox;
use crate::client::ConnectionTable;
use crate::config::ServerConfig;
use crate::metrics::ServerStats;

/// A running server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) clock: Clock,
    /// Requests that the pipeline has not taken yet.
    pub(crate) inbox: Inbox,
    pub(crate) pipeline: Mutex<Pipeline>,
    pub(crate) tree: RwLock<Tree>,
    pub(crate) watches: Mutex<WatchTable>,
    pub(crate) connections: ConnectionTable,
    pub(crate) connection_rules: ConnectionRules,
    pub(crate) stats: ServerStats,
    /// Requests in the inbox and in the pipeline, for the throttle.
    pub(crate) in_flight: AtomicUsize,
    /// Bytes of these requests.
    pub(crate) in_flight_bytes: AtomicUsize,
    /// Bytes of replies and events that clients have not taken, where they are many.
    pub(crate) unsent_bytes: AtomicI64,
    /// Bytes of large requests that are being received or served.
    pub(crate) large_request_bytes: AtomicI64,
    /// The reason why nothing is served any more.
    failure: Mutex<Option<Arc<str>>>,
    failed: AtomicBool,
    stopping: AtomicBool,
    /// Signalled when the server fails or is told to stop.
    pub(crate) stop: Notify,
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

/// Java's default trace mask (`ZooTrace`).
const TRACE_MASK_DEFAULT: i64 = 0b1_0011_0010;

impl Shared {
    pub(crate) fn new(
        config: ServerConfig,
        clock: Clock,
        pipeline: Pipeline,
        tree: Tree,
        connection_rules: ConnectionRules,
        seed: u64,
    ) -> Self {
        Self {
            config,
            clock,
            inbox: Inbox::default(),
            pipeline: Mutex::new(pipeline),
            tree: RwLock::new(tree),
            watches: Mutex::new(WatchTable::new(seed)),
            connections: ConnectionTable::default(),
            connection_rules,
            stats: ServerStats::new(),
            in_flight: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
            unsent_bytes: AtomicI64::new(0),
            large_request_bytes: AtomicI64::new(0),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            client_port: std::sync::atomic::AtomicU16::new(0),
            image_bytes: AtomicI64::new(0),
            log_bytes: AtomicI64::new(0),
            log_written: std::sync::atomic::AtomicU64::new(0),
            trace_mask: AtomicI64::new(TRACE_MASK_DEFAULT),
        }
    }

    /// Hands requests to the pipeline, in order; they are taken out of the vector.
    pub(crate) fn submit(&self, requests: &mut Vec<WriteRequest>) {
        let bytes = requests.iter().map(|request| request.body.len()).sum();
        self.in_flight.fetch_add(requests.len(), Ordering::Relaxed);
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inbox.push(requests);
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
        self.stop.notify_waiters();
        self.stop.notify_one();
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
