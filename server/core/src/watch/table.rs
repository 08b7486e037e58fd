//! Who watches which path, and how.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};
use rookeeper_protocol::client::{AddWatchMode, WatcherType};
use std::hash::{BuildHasher, Hasher};

/// Number of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// The ways in which one connection watches one path; several may coexist.
///
/// Java keeps two tables, of data and of child watches. A set of bits is both of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchModes(u8);

impl WatchModes {
    /// Once, for data and existence.
    pub const DATA: Self = Self(1);
    /// Once, for children.
    pub const CHILD: Self = Self(2);
    /// Again and again, for data, existence and children.
    pub const PERSISTENT: Self = Self(4 | 8);
    /// Again and again, for data and existence here and below.
    pub const RECURSIVE: Self = Self(16);

    const ONE_SHOT: Self = Self(1 | 2);
    const IN_DATA_TABLE: Self = Self(1 | 4 | 16);
    const IN_CHILD_TABLE: Self = Self(2 | 8);

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether a data watch of any kind is among them: the only ones that reports tell of.
    pub fn watches_data(self) -> bool {
        self.intersects(Self::IN_DATA_TABLE)
    }

    fn of_type(watcher_type: WatcherType) -> Self {
        match watcher_type {
            WatcherType::Children => Self::CHILD,
            WatcherType::Data => Self::DATA,
            WatcherType::Any => Self(!0),
            WatcherType::Persistent => Self::PERSISTENT,
            WatcherType::PersistentRecursive => Self::RECURSIVE,
        }
    }
}

impl From<AddWatchMode> for WatchModes {
    fn from(mode: AddWatchMode) -> Self {
        match mode {
            AddWatchMode::Persistent => Self::PERSISTENT,
            AddWatchMode::PersistentRecursive => Self::RECURSIVE,
        }
    }
}

/// The watchers of a path. Most paths have one, some have a hundred thousand.
#[derive(Debug)]
pub(super) enum Watchers {
    One(ConnId, WatchModes),
    #[allow(clippy::box_collection)] // A map is three words; most entries hold none.
    Many(Box<BTreeMap<ConnId, WatchModes>>),
}

impl Watchers {
    pub(super) fn get(&self, conn: ConnId) -> WatchModes {
        match self {
            Self::One(one, modes) if *one == conn => *modes,
            Self::One(..) => WatchModes::default(),
            Self::Many(many) => many.get(&conn).copied().unwrap_or_default(),
        }
    }

    /// Sets the modes of a connection; none of them takes it out. Whether anybody is left.
    fn set(&mut self, conn: ConnId, modes: WatchModes) -> bool {
        let gone = modes == WatchModes::default();
        match self {
            Self::One(one, present) if *one == conn => {
                *present = modes;
                !gone
            }
            Self::One(..) if gone => true,
            Self::One(one, present) => {
                *self = Self::Many(Box::new(BTreeMap::from([(*one, *present), (conn, modes)])));
                true
            }
            Self::Many(many) => {
                if gone {
                    many.remove(&conn);
                } else {
                    many.insert(conn, modes);
                }
                !many.is_empty()
            }
        }
    }

    pub(super) fn for_each(&self, mut visit: impl FnMut(ConnId, WatchModes)) {
        match self {
            Self::One(conn, modes) => visit(*conn, *modes),
            Self::Many(many) => many.iter().for_each(|(conn, modes)| visit(*conn, *modes)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Box<str>,
    pub(super) watchers: Watchers,
}

/// All watches of a server. They belong to connections, not to sessions.
#[derive(Debug)]
pub struct WatchTable {
    pub(super) entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    pub(super) connections: BTreeMap<ConnId, HashSet<u32, FixedState>>,
    hash: FixedState,
    recursive: usize,
    data_watches: usize,
    child_watches: usize,
}

impl WatchTable {
    /// No watches. `seed` makes the hashes unpredictable.
    pub fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            connections: BTreeMap::new(),
            hash: FixedState::with_seed(seed),
            recursive: 0,
            data_watches: 0,
            child_watches: 0,
        }
    }

    /// Number of watches as Java counts them: a persistent one lies in both tables.
    pub fn len(&self) -> usize {
        self.data_watches + self.child_watches
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hash(hash: &FixedState, path: &str) -> u64 {
        let mut hasher = hash.build_hasher();
        hasher.write(path.as_bytes());
        hasher.finish()
    }

    fn find(&self, path: &str) -> Option<u32> {
        let is_path = |id: &u32| self.entries[*id as usize].as_ref().is_some_and(|entry| &*entry.path == path);
        self.index.find(Self::hash(&self.hash, path), is_path).copied()
    }

    /// Adds to the ways in which a connection watches a path.
    pub fn add(&mut self, conn: ConnId, path: &str, modes: WatchModes) {
        let id = match self.find(path) {
            Some(id) => id,
            None => self.insert_path(path, conn),
        };
        let present = self.modes(id, conn);
        self.set(id, conn, present, present.with(modes));
    }

    fn insert_path(&mut self, path: &str, conn: ConnId) -> u32 {
        let entry = Some(Entry { path: path.into(), watchers: Watchers::One(conn, WatchModes::default()) });
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let Self { index, entries, hash, .. } = self;
        index.insert_unique(Self::hash(hash, path), id, |other| {
            Self::hash(hash, entries[*other as usize].as_ref().map_or("", |entry| &entry.path))
        });
        id
    }

    fn modes(&self, id: u32, conn: ConnId) -> WatchModes {
        self.entries[id as usize].as_ref().map_or_else(WatchModes::default, |entry| entry.watchers.get(conn))
    }

    /// The one place where modes change, so that all counts stay right.
    fn set(&mut self, id: u32, conn: ConnId, old: WatchModes, new: WatchModes) {
        if old == new {
            return;
        }
        let count = |counter: &mut usize, table: WatchModes| {
            *counter += usize::from(new.intersects(table));
            *counter -= usize::from(old.intersects(table));
        };
        count(&mut self.recursive, WatchModes::RECURSIVE);
        count(&mut self.data_watches, WatchModes::IN_DATA_TABLE);
        count(&mut self.child_watches, WatchModes::IN_CHILD_TABLE);
        if old == WatchModes::default() {
            let hash = &self.hash;
            let paths = self.connections.entry(conn).or_insert_with(|| HashSet::with_hasher(hash.clone()));
            paths.insert(id);
        } else if new == WatchModes::default()
            && let Some(paths) = self.connections.get_mut(&conn)
        {
            paths.remove(&id);
            if paths.is_empty() {
                self.connections.remove(&conn);
            }
        }
        let Some(entry) = &mut self.entries[id as usize] else { return };
        if !entry.watchers.set(conn, new) {
            let hash = Self::hash(&self.hash, &entry.path);
            if let Ok(found) = self.index.find_entry(hash, |other| *other == id) {
                found.remove();
            }
            self.entries[id as usize] = None;
            self.free.push(id);
        }
    }

    /// Whether a connection watches a path in this way (`DataTree#containsWatcher`).
    pub fn contains(&self, conn: ConnId, path: &str, watcher_type: WatcherType) -> bool {
        let wanted = WatchModes::of_type(watcher_type);
        self.find(path).is_some_and(|id| self.modes(id, conn).intersects(wanted))
    }

    /// Ends the ways in which a connection watches a path. Whether there were any.
    pub fn remove(&mut self, conn: ConnId, path: &str, watcher_type: WatcherType) -> bool {
        let wanted = WatchModes::of_type(watcher_type);
        let Some(id) = self.find(path) else { return false };
        let modes = self.modes(id, conn);
        self.set(id, conn, modes, modes.without(wanted));
        modes.intersects(wanted)
    }

    /// A connection is gone, and its watches with it.
    pub fn remove_connection(&mut self, conn: ConnId) {
        let Some(paths) = self.connections.remove(&conn) else { return };
        for id in paths {
            let modes = self.modes(id, conn);
            self.set(id, conn, modes, WatchModes::default());
        }
    }

    /// A znode was created or its data were set: whom to tell, each once. One-shot watches end.
    pub fn fire_data(&mut self, path: &str, told: &mut Vec<ConnId>) {
        self.fire(path, WatchModes::IN_DATA_TABLE, told);
        self.fire_ancestors(path, told);
    }

    /// A znode's children changed: whom to tell.
    pub fn fire_children(&mut self, path: &str, told: &mut Vec<ConnId>) {
        self.fire(path, WatchModes::IN_CHILD_TABLE, told);
    }

    /// A znode was deleted: whom to tell, each once, however many watches it had on it.
    pub fn fire_deleted(&mut self, path: &str, told: &mut Vec<ConnId>) {
        self.fire(path, WatchModes::IN_DATA_TABLE.with(WatchModes::IN_CHILD_TABLE), told);
        self.fire_ancestors(path, told);
    }

    fn fire(&mut self, path: &str, table: WatchModes, told: &mut Vec<ConnId>) {
        told.clear();
        let Some(id) = self.find(path) else { return };
        let mut fired = Vec::new();
        if let Some(entry) = &self.entries[id as usize] {
            entry.watchers.for_each(|conn, modes| {
                if modes.intersects(table) {
                    fired.push((conn, modes));
                }
            });
        }
        let one_shot = WatchModes(table.0 & WatchModes::ONE_SHOT.0);
        for (conn, modes) in fired {
            told.push(conn);
            self.set(id, conn, modes, modes.without(one_shot));
        }
    }

    fn fire_ancestors(&self, path: &str, told: &mut Vec<ConnId>) {
        if self.recursive == 0 || path == "/" {
            return;
        }
        let before = told.len();
        let mut ancestor = path;
        while ancestor != "/" {
            let slash = ancestor.rfind('/').unwrap_or(0);
            ancestor = if slash == 0 { "/" } else { &ancestor[..slash] };
            if let Some(id) = self.find(ancestor)
                && let Some(entry) = &self.entries[id as usize]
            {
                entry.watchers.for_each(|conn, modes| {
                    if modes.intersects(WatchModes::RECURSIVE) {
                        told.push(conn);
                    }
                });
            }
        }
        if told.len() > before {
            told.sort_unstable();
            told.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(fire: impl FnOnce(&mut Vec<ConnId>)) -> Vec<u32> {
        let mut told = Vec::new();
        fire(&mut told);
        told.into_iter().map(|conn| conn.0).collect()
    }

    #[test]
    fn one_shot_watches_fire_once_and_persistent_ones_stay() {
        let mut table = WatchTable::new(1);
        table.add(ConnId(1), "/a", WatchModes::DATA);
        table.add(ConnId(1), "/a", WatchModes::CHILD);
        table.add(ConnId(2), "/a", WatchModes::PERSISTENT);
        assert_eq!(table.len(), 4);
        assert_eq!(fired(|told| table.fire_data("/a", told)), [1, 2]);
        assert_eq!(fired(|told| table.fire_data("/a", told)), [2]);
        assert_eq!(fired(|told| table.fire_children("/a", told)), [1, 2]);
        assert_eq!(fired(|told| table.fire_children("/a", told)), [2]);
        assert_eq!(table.len(), 2);
        table.remove_connection(ConnId(2));
        assert!(table.is_empty() && table.connections.is_empty());
    }

    #[test]
    fn a_deletion_tells_each_connection_once() {
        let mut table = WatchTable::new(1);
        table.add(ConnId(1), "/a", WatchModes::DATA);
        table.add(ConnId(1), "/a", WatchModes::CHILD);
        table.add(ConnId(1), "/", WatchModes::RECURSIVE);
        table.add(ConnId(3), "/a", WatchModes::CHILD);
        assert_eq!(fired(|told| table.fire_deleted("/a", told)), [1, 3]);
        assert_eq!(fired(|told| table.fire_deleted("/a", told)), [1]);
    }

    #[test]
    fn recursive_watches_see_what_lies_below_but_no_children_events() {
        let mut table = WatchTable::new(1);
        table.add(ConnId(1), "/a", WatchModes::RECURSIVE);
        assert_eq!(fired(|told| table.fire_data("/a/b/c", told)), [1]);
        assert_eq!(fired(|told| table.fire_data("/a", told)), [1]);
        assert_eq!(fired(|told| table.fire_data("/ab", told)), []);
        assert_eq!(fired(|told| table.fire_children("/a", told)), []);
    }

    #[test]
    fn watches_are_taken_back_by_type() {
        let mut table = WatchTable::new(1);
        table.add(ConnId(1), "/a", WatchModes::DATA);
        table.add(ConnId(1), "/a", WatchModes::RECURSIVE);
        assert!(!table.remove(ConnId(1), "/a", WatcherType::Children));
        assert!(table.contains(ConnId(1), "/a", WatcherType::Data));
        assert!(table.remove(ConnId(1), "/a", WatcherType::Data));
        assert!(!table.contains(ConnId(1), "/a", WatcherType::Data));
        assert!(table.contains(ConnId(1), "/a", WatcherType::Any));
        assert!(table.remove(ConnId(1), "/a", WatcherType::Any));
        assert!(!table.remove(ConnId(1), "/a", WatcherType::Any));
        assert!(table.is_empty());
    }
}
