//! What changed since the image was last brought forward.
//!
//! The log of changes remembers which znodes, not how: their present state is read when the changes are
//! taken, so that a znode set a thousand times is written once. Taking them holds up writers for the time
//! it takes to copy a few thousand znodes, and readers not at all.

use std::collections::BTreeMap;

use rookeeper_protocol::types::{AclList, SessionId, StatPersisted, Zxid};

use super::{Tree, ZnodeId};

/// Changes not taken yet.
#[derive(Debug, Default)]
pub struct ChangeLog {
    dirty: BitSet,
    dirty_list: Vec<ZnodeId>,
    /// Znodes that the image holds, so that one that comes and goes in between costs the image nothing.
    imaged: BitSet,
    deleted: Vec<Box<str>>,
    sessions: BTreeMap<SessionId, Option<i32>>,
}

/// The state of one znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZnodeChange<'a> {
    /// The path; empty for the root.
    pub path: &'a str,
    /// The data; null and empty are different.
    pub data: Option<&'a [u8]>,
    /// The ACL.
    pub acl: AclList,
    /// The stat, complete.
    pub stat: StatPersisted,
}

/// What the image lacks, besides the znodes themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// The state is that after this transaction.
    pub zxid: Zxid,
    /// Sessions that came (with their timeout in milliseconds) or went.
    pub sessions: Vec<(SessionId, Option<i32>)>,
}

impl ChangeLog {
    /// A znode has a new state.
    pub(super) fn changed(&mut self, id: ZnodeId) {
        if self.dirty.insert(id) {
            self.dirty_list.push(id);
        }
    }

    /// A znode is new.
    pub(super) fn created(&mut self, id: ZnodeId) {
        self.changed(id);
    }

    /// A znode is gone.
    pub(super) fn deleted(&mut self, id: ZnodeId, path: &str) {
        self.dirty.remove(id);
        if self.imaged.remove(id) {
            self.deleted.push(path.into());
        }
    }

    /// A session began.
    pub(super) fn session_created(&mut self, session: SessionId, timeout_ms: i32) {
        self.sessions.insert(session, Some(timeout_ms));
    }

    /// A session ended.
    pub(super) fn session_closed(&mut self, session: SessionId) {
        self.sessions.insert(session, None);
    }

    /// A znode was read from the image.
    pub fn loaded(&mut self, id: ZnodeId) {
        self.imaged.insert(id);
    }

    /// How many entries a set taken now would hold, at most.
    pub fn len(&self) -> usize {
        self.dirty_list.len() + self.deleted.len() + self.sessions.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Paths that are gone, or were gone before the znode that has the path now.
    pub fn deleted_paths(&self) -> &[Box<str>] {
        &self.deleted
    }

    /// Marks the whole tree as changed: there is no image yet.
    pub fn all_changed(&mut self, tree: &Tree) {
        let mut ids = Vec::new();
        tree.walk(super::arena::ROOT, &mut |id| ids.push(id));
        ids.into_iter().for_each(|id| self.changed(id));
    }

    /// Takes what changed; `put` gets each changed znode's present state. The paths of
    /// [`ChangeLog::deleted_paths`] are forgotten with it, and must be asked for before.
    pub fn take(&mut self, tree: &Tree, mut put: impl FnMut(ZnodeChange<'_>)) -> ChangeSet {
        let mut path = String::new();
        for id in std::mem::take(&mut self.dirty_list) {
            // A slot may have been freed, or taken again and so be listed twice.
            if !self.dirty.remove(id) || !tree.arena.is_live(id) {
                continue;
            }
            path.clear();
            tree.arena.write_path(id, &mut path);
            let znode = tree.znode(id);
            put(ZnodeChange { path: &path, data: znode.data, acl: tree.acls.list(znode.acl), stat: znode.stat });
            self.imaged.insert(id);
        }
        self.deleted.clear();
        ChangeSet { zxid: tree.last_zxid, sessions: std::mem::take(&mut self.sessions).into_iter().collect() }
    }
}

/// A set of slots, one bit each.
#[derive(Debug, Default)]
struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// Whether the slot was not in it.
    fn insert(&mut self, id: ZnodeId) -> bool {
        let (word, bit) = (id.0 as usize / 64, 1u64 << (id.0 % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        fresh
    }

    /// Whether the slot was in it.
    fn remove(&mut self, id: ZnodeId) -> bool {
        let bit = 1u64 << (id.0 % 64);
        match self.words.get_mut(id.0 as usize / 64) {
            Some(word) if *word & bit != 0 => {
                *word &= !bit;
                true
            }
            _ => false,
        }
    }
}
