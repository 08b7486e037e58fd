//! What happens by itself: sessions expire, containers and TTL znodes go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::tree::{ReapRules, reapable};

use super::shared::Shared;

/// Ends sessions as their buckets fall due.
pub(crate) async fn expire_sessions(shared: Arc<Shared>) {
    if shared.is_member() {
        // The machine does it, while it leads.
        return;
    }
    let tick = Duration::from_millis(shared.config.tick_time_ms.max(1) as u64);
    while shared.is_running() {
        let due_ms = shared.machine.lock().pipeline().sessions.next_deadline_ms();
        let next = tokio::time::Instant::now() + tick;
        // A session may begin meanwhile that falls due earlier than any other, but not within this tick.
        let at = due_ms.map_or(next, |due_ms| next.min(shared.clock.instant_at(due_ms).into()));
        tokio::time::sleep_until(at).await;
        let now_ms = shared.clock.monotonic_ms();
        let expired = {
            let mut machine = shared.machine.lock();
            machine.pipeline_mut().sessions.expire(now_ms, |conn| shared.connections.last_heard(conn))
        };
        if expired.is_empty() {
            continue;
        }
        shared.stats.sessions_expired.fetch_add(expired.len() as u64, Ordering::Relaxed);
        for session in &expired {
            tracing::info!("session {session} expired");
        }
        shared.submit(&mut expired.into_iter().map(|session| WriteRequest::expire(session, now_ms)).collect());
    }
}

/// Removes empty containers and TTL znodes that nobody needs, on Java's schedule.
pub(crate) async fn reap(shared: Arc<Shared>) {
    let schedule = shared.config.containers;
    let interval = Duration::from_millis(u64::from(schedule.check_interval_ms));
    let pause = Duration::from_millis(u64::from(schedule.pause_between_ms));
    let never_used_ms_max = schedule.max_never_used_interval_ms.map_or(0, |max| i64::try_from(max).unwrap_or(i64::MAX));
    let rules = ReapRules { never_used_ms_max };
    let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if !shared.machine.lock().is_in_charge() {
            continue;
        }
        let paths = reapable(&shared.tree.read(), &rules, shared.clock.wall_ms());
        for path in paths {
            if !shared.is_running() {
                return;
            }
            shared.submit(&mut vec![WriteRequest::reap(&path, shared.clock.monotonic_ms())]);
            tokio::time::sleep(pause).await;
        }
    }
}
