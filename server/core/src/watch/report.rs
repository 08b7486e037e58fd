//! What operators ask about watches. Only data watches are told of, as in Java (`DataTree#getWatches`).

use super::table::{ConnId, WatchTable};

/// Watches in numbers (`WatchesSummary`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchSummary {
    /// Connections that watch something.
    pub connections: usize,
    /// Paths that are watched.
    pub paths: usize,
    /// Pairs of the two.
    pub watches: usize,
}

/// For each connection the paths it watches.
pub type WatchesByConnection = Vec<(ConnId, Vec<String>)>;

/// For each path the connections that watch it.
pub type WatchesByPath = Vec<(String, Vec<ConnId>)>;

impl WatchTable {
    /// The paths and their watchers of data.
    pub fn by_path(&self) -> WatchesByPath {
        let mut report = Vec::new();
        for entry in self.entries.iter().flatten() {
            let mut connections = Vec::new();
            entry.watchers.for_each(|conn, modes| {
                if modes.watches_data() {
                    connections.push(conn);
                }
            });
            if !connections.is_empty() {
                report.push((entry.path.to_string(), connections));
            }
        }
        report
    }

    /// The connections and the paths whose data they watch.
    pub fn by_connection(&self) -> WatchesByConnection {
        let mut report = std::collections::BTreeMap::<ConnId, Vec<String>>::new();
        for (path, connections) in self.by_path() {
            for conn in connections {
                report.entry(conn).or_default().push(path.clone());
            }
        }
        report.into_iter().collect()
    }

    /// The numbers alone.
    pub fn summary(&self) -> WatchSummary {
        let by_path = self.by_path();
        let watches = by_path.iter().map(|(_, connections)| connections.len()).sum();
        let mut connections: Vec<ConnId> = by_path.iter().flat_map(|(_, connections)| connections.clone()).collect();
        connections.sort_unstable();
        connections.dedup();
        WatchSummary { connections: connections.len(), paths: by_path.len(), watches }
    }
}
