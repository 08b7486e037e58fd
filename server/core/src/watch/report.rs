//! What operators ask about watches. Only data watches are told of, as in Java (`DataTree#getWatches`).
//!
//! There may be millions. A walk goes over them in steps, so that whoever holds the table for a step does not
//! hold it for all of them; what changes between two steps may be seen or not.

use std::ops::Bound::{Excluded, Unbounded};

use super::table::{ConnId, WatchTable};

/// A walk over the paths whose data are watched.
#[derive(Debug, Default)]
pub struct WatchesByPath {
    slot: usize,
}

impl WatchesByPath {
    /// Visits the next paths and their watchers, until `count_max` of both were seen; the watchers of one path
    /// are never divided. Whether there may be more.
    pub fn step(&mut self, table: &WatchTable, count_max: usize, mut visit: impl FnMut(&str, &[ConnId])) -> bool {
        let mut connections = Vec::new();
        let mut seen = 0;
        while seen < count_max {
            let Some(entry) = table.entries.get(self.slot) else { return false };
            self.slot += 1;
            seen += 1;
            let Some(entry) = entry else { continue };
            connections.clear();
            entry.watchers.for_each(|conn, modes| {
                seen += 1;
                if modes.watches_data() {
                    connections.push(conn);
                }
            });
            if !connections.is_empty() {
                visit(&entry.path, &connections);
            }
        }
        true
    }
}

/// A walk over the connections that watch data.
#[derive(Debug, Default)]
pub struct WatchesByConnection {
    conn: Option<ConnId>,
    /// Where the rest of its paths lie.
    slots: Vec<u32>,
}

impl WatchesByConnection {
    /// Visits the next paths with their watcher, until `count_max` of both were seen; all paths of a watcher
    /// come one behind the other. Whether there may be more.
    pub fn step(&mut self, table: &WatchTable, count_max: usize, mut visit: impl FnMut(ConnId, &str)) -> bool {
        for _ in 0..count_max {
            let (Some(conn), Some(slot)) = (self.conn, self.slots.pop()) else {
                let behind = (self.conn.map_or(Unbounded, Excluded), Unbounded);
                let Some((conn, slots)) = table.connections.range(behind).next() else { return false };
                self.conn = Some(*conn);
                self.slots.extend(slots);
                continue;
            };
            // Another path may have got the slot meanwhile: what counts is who watches it now.
            if let Some(Some(entry)) = table.entries.get(slot as usize)
                && entry.watchers.get(conn).watches_data()
            {
                visit(conn, &entry.path);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::WatchModes;
    use super::*;

    fn table() -> WatchTable {
        let mut table = WatchTable::new(1);
        table.add(ConnId(1), "/a", WatchModes::DATA);
        table.add(ConnId(2), "/a", WatchModes::PERSISTENT);
        table.add(ConnId(2), "/b", WatchModes::RECURSIVE);
        table.add(ConnId(2), "/c", WatchModes::CHILD);
        table.add(ConnId(3), "/c", WatchModes::CHILD);
        table
    }

    #[test]
    fn paths_come_in_steps_with_their_data_watchers() {
        let table = table();
        for count_max in [1, 2, 100] {
            let mut walk = WatchesByPath::default();
            let mut found = Vec::new();
            while walk.step(&table, count_max, |path, connections| found.push((path.to_owned(), connections.to_vec())))
            {
            }
            let expected = [("/a".to_owned(), vec![ConnId(1), ConnId(2)]), ("/b".to_owned(), vec![ConnId(2)])];
            assert_eq!(found, expected, "{count_max}");
        }
    }

    #[test]
    fn connections_come_in_steps_with_the_paths_whose_data_they_watch() {
        let mut table = table();
        let mut walk = WatchesByConnection::default();
        let mut found = Vec::new();
        while walk.step(&table, 1, |conn, path| found.push((conn.0, path.to_owned()))) {}
        found.sort();
        assert_eq!(found, [(1, "/a".to_owned()), (2, "/a".to_owned()), (2, "/b".to_owned())]);

        // A connection that goes between two steps is not told of.
        let mut walk = WatchesByConnection::default();
        assert!(walk.step(&table, 1, |_, _| panic!("the first step only finds the connection")));
        table.remove_connection(ConnId(1));
        table.add(ConnId(4), "/d", WatchModes::DATA);
        let mut found = Vec::new();
        while walk.step(&table, 1, |conn, _| found.push(conn.0)) {}
        assert_eq!(found, [2, 2, 4]);
    }
}
