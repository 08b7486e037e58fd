//! All connections of the server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use rookeeper_core::watch::ConnId;

use super::handle::ConnectionHandle;

/// Connections by number. Numbers rise and are not used again while anything may remember them.
pub(crate) type ConnectionMap = BTreeMap<ConnId, Arc<ConnectionHandle>>;

/// The connections, and how many each address has.
#[derive(Debug, Default)]
pub(crate) struct ConnectionTable {
    map: RwLock<ConnectionMap>,
    addresses: Mutex<Addresses>,
}

#[derive(Debug, Default)]
struct Addresses {
    counts: BTreeMap<IpAddr, usize>,
    total: usize,
    next_id: u32,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `maxCnxns`.
    Total,
    /// `maxClientCnxns`.
    Address(usize),
}

impl ConnectionTable {
    /// Counts a new connection from `address`, unless there are too many. Limits of 0 and below are none.
    pub(super) fn admit(&self, address: IpAddr, total_max: u32, address_max: i32) -> Result<ConnId, Refusal> {
        let mut addresses = self.addresses.lock();
        if total_max > 0 && addresses.total >= total_max as usize {
            return Err(Refusal::Total);
        }
        let count = addresses.counts.get(&address).copied().unwrap_or(0);
        if address_max > 0 && count >= address_max as usize {
            return Err(Refusal::Address(count));
        }
        *addresses.counts.entry(address).or_default() += 1;
        addresses.total += 1;
        let map = self.map.read();
        loop {
            addresses.next_id = addresses.next_id.wrapping_add(1);
            let id = ConnId(addresses.next_id);
            if !map.contains_key(&id) {
                return Ok(id);
            }
        }
    }

    /// A connection that was admitted is gone.
    pub(super) fn dismiss(&self, address: IpAddr) {
        let mut addresses = self.addresses.lock();
        addresses.total = addresses.total.saturating_sub(1);
        if let Some(count) = addresses.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.counts.remove(&address);
            }
        }
    }

    pub(super) fn insert(&self, handle: Arc<ConnectionHandle>) {
        self.map.write().insert(handle.id, handle);
    }

    pub(super) fn remove(&self, id: ConnId) {
        self.map.write().remove(&id);
    }

    /// All of them, for a batch of look-ups.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, ConnectionMap> {
        self.map.read()
    }

    /// One of them.
    pub(crate) fn get(&self, id: ConnId) -> Option<Arc<ConnectionHandle>> {
        self.map.read().get(&id).cloned()
    }

    /// Number of connections.
    pub(crate) fn len(&self) -> usize {
        self.map.read().len()
    }

    /// When a connection last heard of its client (monotonic milliseconds), and the timeout agreed on it.
    pub(crate) fn last_heard(&self, id: ConnId) -> Option<(i64, i32)> {
        let map = self.map.read();
        let handle = map.get(&id)?;
        Some((handle.heard_ms.load(Ordering::Relaxed), handle.timeout_ms.load(Ordering::Relaxed)))
    }

    /// Tells all connections to close.
    pub(crate) fn end_all(&self) {
        for handle in self.map.read().values() {
            handle.state.lock().machine.end();
            handle.notify.notify_one();
        }
    }
}
