//! `dump`: sessions and connections by the time at which they expire, and ephemeral znodes (`DumpCommand`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rookeeper_core::pipeline::Pipeline;
use rookeeper_core::session::{Session, SessionTable};
use rookeeper_core::tree::ZnodeId;
use rookeeper_protocol::types::SessionId;

use super::four_letter::{PIECE_ENTRIES, Pieces};
use super::{connections, java_text};
use crate::runtime::Shared;

/// The answer to `dump`.
pub(super) fn dump(shared: &Arc<Shared>) -> Pieces {
    let parts = (shared.clone(), shared.clone(), shared.clone());
    let sessions = iter::once_with(move || sessions(&parts.0));
    let heading = iter::once_with(move || {
        let owners = parts.1.tree.read().ephemeral_owner_count();
        format!("ephemeral nodes dump:\nSessions with Ephemerals ({owners}):\n")
    });
    let connections = iter::once_with(move || connections(&parts.2));
    Box::new(sessions.chain(heading).chain(ephemerals(shared)).chain(connections))
}

/// What waits to expire, by the monotonic milliseconds at which it would (`ExpiryQueue`).
struct Buckets<T> {
    due: BTreeMap<i64, Vec<T>>,
    count: usize,
}

impl<T> Buckets<T> {
    fn new() -> Self {
        Self { due: BTreeMap::new(), count: 0 }
    }

    fn add(&mut self, due_ms: Option<i64>, waiting: T) {
        self.count += 1;
        if let Some(due_ms) = due_ms {
            self.due.entry(due_ms).or_default().push(waiting);
        }
    }

    /// `to_wall_ms` is what makes of a monotonic time one since 1970.
    fn text(&self, to_wall_ms: i64, tell: impl Fn(&T) -> String) -> String {
        let mut text = format!("Sets ({})/({}):\n", self.due.len(), self.count);
        for (due_ms, waiting) in &self.due {
            let _ = writeln!(text, "{} expire at {}:", waiting.len(), java_text::date(due_ms + to_wall_ms));
            for waiting in waiting {
                let _ = writeln!(text, "\t{}", tell(waiting));
            }
        }
        text
    }
}

fn to_wall_ms(shared: &Shared) -> i64 {
    let now = shared.clock.now();
    now.wall_ms - now.monotonic_ms
}

/// What is told of sessions (`SessionTracker#dumpSessions`).
fn sessions(shared: &Shared) -> String {
    let (is_in_charge, has_local) = {
        let machine = shared.machine.lock();
        let pipeline = machine.pipeline();
        // A read-only server has some without the switch, if clients have come.
        let has_local = pipeline.has_local_sessions() || !pipeline.local_sessions.is_empty();
        (machine.is_in_charge(), has_local)
    };
    let mut text = "SessionTracker dump:\n".to_owned();
    if has_local {
        let _ = write!(text, "Local Session {}", buckets(shared, |pipeline| &pipeline.local_sessions));
    }
    match is_in_charge {
        true => {
            let global = if has_local { "Global " } else { "" };
            let _ = write!(text, "{global}Session {}", buckets(shared, |pipeline| &pipeline.sessions));
        }
        // A learner leaves it to its leader to count the time.
        false => text.push_str(&timeouts(shared)),
    }
    text
}

/// A table of sessions.
type Table = fn(&Pipeline) -> &SessionTable;

/// All sessions of a table, some at a time.
fn walk(shared: &Shared, table: Table) -> impl Iterator<Item = (SessionId, Session)> {
    let mut after = None;
    let pieces = iter::from_fn(move || {
        let machine = shared.machine.lock();
        let behind = table(machine.pipeline()).iter_after(after).take(PIECE_ENTRIES);
        let found: Vec<_> = behind.map(|(id, session)| (id, *session)).collect();
        after = Some(found.last()?.0);
        Some(found)
    });
    pieces.flatten()
}

/// Sessions by the time at which they expire (`SessionTrackerImpl#dumpSessions`).
fn buckets(shared: &Shared, table: Table) -> String {
    let mut buckets = Buckets::new();
    for (id, session) in walk(shared, table) {
        // What its connection has heard since, the table has not asked for yet.
        let heard = session.conn.filter(|_| !session.closing).and_then(|conn| shared.connections.last_heard(conn));
        let heard_ms = heard.map(|(heard_ms, timeout_ms)| bucket_ms(heard_ms, timeout_ms, shared.config.tick_time_ms));
        buckets.add(session.bucket_ms().max(heard_ms), id);
    }
    buckets.text(to_wall_ms(shared), |id| format!("{:#x}", id.0))
}

/// What a learner knows of the ensemble's sessions (`LearnerSessionTracker#dumpSessions`).
fn timeouts(shared: &Shared) -> String {
    let mut lines = String::new();
    let mut count = 0;
    for (id, session) in walk(shared, |pipeline| &pipeline.sessions).filter(|(_, session)| session.committed) {
        count += 1;
        let _ = writeln!(lines, "{:#x}\t{}ms", id.0, session.timeout_ms);
    }
    format!("Global Sessions({count}):\n{lines}")
}

fn connections(shared: &Arc<Shared>) -> String {
    let mut buckets = Buckets::new();
    let step_ms = i32::try_from(shared.config.sessionless_cnxn_timeout_ms).unwrap_or(i32::MAX);
    for handles in connections::walk(shared) {
        for handle in handles {
            let due_ms = bucket_ms(handle.heard_ms.load(Relaxed), handle.timeout_ms.load(Relaxed), step_ms);
            let session = handle.state.lock().machine.session();
            buckets.add(Some(due_ms), (handle.remote, session));
        }
    }
    let text = buckets.text(to_wall_ms(shared), |(remote, session)| {
        format!("ip: {} sessionId: {:#x}", java_text::socket(*remote), session.0)
    });
    format!("Connections dump:\nConnections {text}")
}

/// The end of the step in which something expires that was heard of at `heard_ms`.
fn bucket_ms(heard_ms: i64, timeout_ms: i32, step_ms: i32) -> i64 {
    let step_ms = i64::from(step_ms.max(1));
    ((heard_ms + i64::from(timeout_ms)).div_euclid(step_ms) + 1) * step_ms
}

/// The ephemeral znodes below their owners.
fn ephemerals(shared: &Arc<Shared>) -> impl Iterator<Item = String> + Send + use<> {
    let shared = shared.clone();
    let mut after: Option<(SessionId, ZnodeId)> = None;
    iter::from_fn(move || {
        let tree = shared.tree.read();
        let before = after;
        let mut text = String::new();
        for (session, id) in tree.ephemerals_after(before).take(PIECE_ENTRIES) {
            if after.is_none_or(|(told, _)| told != session) {
                let _ = writeln!(text, "{:#x}:", session.0);
            }
            let _ = writeln!(text, "\t{}", tree.path(id));
            after = Some((session, id));
        }
        (after != before).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_told_as_java_does() {
        let mut buckets = Buckets::new();
        buckets.add(Some(4000), 2);
        buckets.add(Some(2000), 1);
        buckets.add(Some(4000), 3);
        buckets.add(None, 4);
        let text = buckets.text(0, |id| format!("{id:#x}"));
        let dates = [2000, 4000].map(java_text::date);
        let expected =
            format!("Sets (2)/(4):\n1 expire at {}:\n\t0x1\n2 expire at {}:\n\t0x2\n\t0x3\n", dates[0], dates[1]);
        assert_eq!(text, expected);
    }

    #[test]
    fn a_bucket_ends_behind_the_deadline() {
        assert_eq!(
            [(0, 0), (0, 9_999), (1, 9_999), (5, 20_000)].map(|(heard, timeout)| bucket_ms(heard, timeout, 10_000)),
            [10_000, 10_000, 20_000, 30_000]
        );
    }
}
