//! The watches: `wchs`, `wchp`, `wchc` (`WatchManager`). Only data watches are told of, as in Java.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::iter;
use std::sync::Arc;

use rookeeper_core::watch::{ConnId, WatchesByConnection, WatchesByPath};
use rookeeper_protocol::types::SessionId;

use super::four_letter::{PIECE_ENTRIES, Pieces};
use crate::runtime::Shared;

/// `wchs`: watches in numbers.
pub(super) fn summary(shared: &Arc<Shared>) -> Pieces {
    let shared = shared.clone();
    Box::new(iter::once_with(move || {
        let mut connections = HashSet::new();
        let (mut paths, mut watches) = (0usize, 0usize);
        let mut walk = WatchesByPath::default();
        while walk.step(&shared.watches.lock(), PIECE_ENTRIES, |_, watchers| {
            paths += 1;
            watches += watchers.len();
            connections.extend(watchers.iter().copied());
        }) {}
        summary_text(connections.len(), paths, watches)
    }))
}

fn summary_text(connections: usize, paths: usize, watches: usize) -> String {
    format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
}

/// `wchp`: each path with the sessions that watch it, and an empty line.
pub(super) fn by_path(shared: &Arc<Shared>) -> Pieces {
    let mut sessions = Sessions::new(shared);
    let mut walk = Some(WatchesByPath::default());
    let paths = iter::from_fn(move || {
        let mut found: Vec<(String, Vec<ConnId>)> = Vec::new();
        let more = walk.as_mut()?.step(&sessions.shared.watches.lock(), PIECE_ENTRIES, |path, watchers| {
            found.push((path.to_owned(), watchers.to_vec()));
        });
        if !more {
            walk = None;
        }
        let mut text = String::new();
        for (path, watchers) in found {
            let _ = writeln!(text, "{path}");
            for session in watchers.into_iter().filter_map(|conn| sessions.of(conn)) {
                let _ = writeln!(text, "\t{:#x}", session.0);
            }
        }
        Some(text)
    });
    Box::new(paths.chain(iter::once("\n".to_owned())))
}

/// `wchc`: each session with the paths that it watches, and an empty line.
pub(super) fn by_connection(shared: &Arc<Shared>) -> Pieces {
    let mut sessions = Sessions::new(shared);
    let mut walk = Some(WatchesByConnection::default());
    let mut told = None;
    let paths = iter::from_fn(move || {
        let mut found: Vec<(ConnId, String)> = Vec::new();
        let more = walk.as_mut()?.step(&sessions.shared.watches.lock(), PIECE_ENTRIES, |conn, path| {
            found.push((conn, path.to_owned()));
        });
        if !more {
            walk = None;
        }
        let mut text = String::new();
        for (conn, path) in found {
            let Some(session) = sessions.of(conn) else { continue };
            if told.replace(conn) != Some(conn) {
                let _ = writeln!(text, "{:#x}", session.0);
            }
            let _ = writeln!(text, "\t{path}");
        }
        Some(text)
    });
    Box::new(paths.chain(iter::once("\n".to_owned())))
}

/// The sessions of connections. They are looked up while the watches are not held: a connection that serves a
/// batch waits for the watches, and must not be waited for by who holds them.
struct Sessions {
    shared: Arc<Shared>,
    known: BTreeMap<ConnId, SessionId>,
}

impl Sessions {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), known: BTreeMap::new() }
    }

    /// The session on a connection, unless it is gone meanwhile.
    fn of(&mut self, conn: ConnId) -> Option<SessionId> {
        if let Some(session) = self.known.get(&conn) {
            return Some(*session);
        }
        let session = self.shared.connections.get(conn)?.state.lock().machine.session();
        self.known.insert(conn, session);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_javas() {
        assert_eq!(summary_text(2, 4, 5), "2 connections watching 4 paths\nTotal watches:5\n");
    }
}
