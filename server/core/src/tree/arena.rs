//! Where znodes live: numbered slots, linked into families, found by the hash of their path.

use foldhash::fast::FixedState;
use rookeeper_protocol::types::Zxid;
use std::hash::{BuildHasher, Hasher};

use super::index::Index;
use super::record;

/// Number of a znode. Reused after the znode is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZnodeId(pub u32);

/// The root always has the first slot.
pub(super) const ROOT: ZnodeId = ZnodeId(0);

/// No znode, in links.
const NONE: u32 = u32::MAX;

/// Slots a chunk: chunks are never moved, so that growing costs no copy of what is there.
const CHUNK: usize = 4096;

/// Parts of the index. Each grows by itself, so that no single insertion moves the whole of it.
const SHARDS: usize = 256;

/// A znode: its packed fields and its place among its kin.
#[derive(Debug)]
struct Slot {
    /// Empty in free slots: no znode packs into nothing.
    record: Box<[u8]>,
    parent: u32,
    next_sibling: u32,
    previous_sibling: u32,
    /// Place in `families`, or `NONE` for a znode that never had a child.
    family: u32,
}

/// What a znode has once it had a child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    first_child: u32,
    /// Number of children.
    pub(super) count: u32,
    /// Children ever created (the cversion that is stored, not the one clients see).
    pub(super) cversion: i32,
    /// Transaction that last created or deleted a child.
    pub(super) pzxid: Zxid,
}

/// All znodes.
#[derive(Debug)]
pub(super) struct Arena {
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
    families: Vec<Family>,
    free_families: Vec<u32>,
    shards: Vec<Index>,
    hash: FixedState,
    count: usize,
}

impl Arena {
    /// An arena that holds the root alone. `seed` makes the hash unpredictable to clients.
    pub(super) fn new(seed: u64, root: &[u8]) -> Self {
        let root = root.into();
        let mut arena = Self {
            chunks: Vec::new(),
            free: Vec::new(),
            families: Vec::new(),
            free_families: Vec::new(),
            shards: (0..SHARDS).map(|_| Index::default()).collect(),
            hash: FixedState::with_seed(seed),
            count: 0,
        };
        arena.push(Slot { record: root, parent: NONE, next_sibling: NONE, previous_sibling: NONE, family: NONE });
        arena.count = 1;
        arena
    }

    /// Number of znodes, the root included.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn slot(&self, id: ZnodeId) -> &Slot {
        &self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK]
    }

    fn slot_mut(&mut self, id: ZnodeId) -> &mut Slot {
        &mut self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK]
    }

    fn push(&mut self, slot: Slot) -> ZnodeId {
        if let Some(free) = self.free.pop() {
            *self.slot_mut(ZnodeId(free)) = slot;
            return ZnodeId(free);
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(slot);
        ZnodeId((chunk * CHUNK + self.chunks[chunk].len() - 1) as u32)
    }

    /// Whether a znode lives in this slot.
    pub(super) fn is_live(&self, id: ZnodeId) -> bool {
        let chunk = self.chunks.get(id.0 as usize / CHUNK);
        chunk.and_then(|chunk| chunk.get(id.0 as usize % CHUNK)).is_some_and(|slot| !slot.record.is_empty())
    }

    /// The packed fields.
    pub(super) fn record(&self, id: ZnodeId) -> &[u8] {
        &self.slot(id).record
    }

    /// Replaces the packed fields; the name must stay.
    pub(super) fn set_record(&mut self, id: ZnodeId, record: &[u8]) {
        let slot = self.slot_mut(id);
        if slot.record.len() == record.len() {
            // Data of a fixed size are the rule: nothing to allocate.
            slot.record.copy_from_slice(record);
        } else {
            slot.record = record.into();
        }
    }

    /// Stores a znode's digest.
    pub(super) fn set_digest(&mut self, id: ZnodeId, digest: u32) {
        record::set_digest(&mut self.slot_mut(id).record, digest);
    }

    /// The parent; none for the root.
    pub(super) fn parent(&self, id: ZnodeId) -> Option<ZnodeId> {
        let parent = self.slot(id).parent;
        (parent != NONE).then_some(ZnodeId(parent))
    }

    /// What the znode has of children, if it ever had any.
    pub(super) fn family(&self, id: ZnodeId) -> Option<&Family> {
        self.families.get(self.slot(id).family as usize)
    }

    /// The same, made when it is not there; `pzxid` is what the znode has so far.
    pub(super) fn family_mut(&mut self, id: ZnodeId, pzxid: Zxid) -> &mut Family {
        let mut place = self.slot(id).family;
        if place == NONE {
            let family = Family { first_child: NONE, count: 0, cversion: 0, pzxid };
            place = match self.free_families.pop() {
                Some(free) => {
                    self.families[free as usize] = family;
                    free
                }
                None => {
                    self.families.push(family);
                    (self.families.len() - 1) as u32
                }
            };
            self.slot_mut(id).family = place;
        }
        &mut self.families[place as usize]
    }

    /// The children, latest first.
    pub(super) fn children(&self, id: ZnodeId) -> impl Iterator<Item = ZnodeId> + '_ {
        let mut next = self.family(id).map_or(NONE, |family| family.first_child);
        std::iter::from_fn(move || {
            let child = ZnodeId(next);
            (next != NONE).then(|| {
                next = self.slot(child).next_sibling;
                child
            })
        })
    }

    /// Appends the path of a znode (nothing for the root).
    pub(super) fn write_path(&self, id: ZnodeId, path: &mut String) {
        let mut lineage = Vec::with_capacity(16);
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            lineage.push(at);
            at = parent;
        }
        for ancestor in lineage.into_iter().rev() {
            path.push('/');
            path.push_str(std::str::from_utf8(record::name(self.record(ancestor))).unwrap_or_default());
        }
    }

    fn hash(&self, path: &str) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write(path.as_bytes());
        hasher.finish()
    }

    /// Finds a znode. The root is found as `""` and as `"/"`, as in Java.
    pub(super) fn find(&self, path: &str) -> Option<ZnodeId> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        let hash = self.hash(path);
        let shard = &self.shards[shard_of(hash)];
        shard.find(hash as u32, |id| self.is_at(ZnodeId(id), path)).map(ZnodeId)
    }

    /// Compares a znode's path from its end, name by name.
    fn is_at(&self, id: ZnodeId, path: &str) -> bool {
        let mut rest = path.as_bytes();
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            let Some(head) = rest.strip_suffix(record::name(self.record(at))) else { return false };
            let Some(head) = head.strip_suffix(b"/") else { return false };
            rest = head;
            at = parent;
        }
        rest.is_empty()
    }

    /// Adds a znode. The caller has seen that the parent is there and the path is free.
    pub(super) fn insert(&mut self, parent: ZnodeId, parent_pzxid: Zxid, path: &str, record: &[u8]) -> ZnodeId {
        let next_sibling = self.family_mut(parent, parent_pzxid).first_child;
        let record = record.into();
        let id = self.push(Slot { record, parent: parent.0, next_sibling, previous_sibling: NONE, family: NONE });
        if next_sibling != NONE {
            self.slot_mut(ZnodeId(next_sibling)).previous_sibling = id.0;
        }
        let family = self.family_mut(parent, parent_pzxid);
        family.first_child = id.0;
        family.count += 1;
        let hash = self.hash(path);
        self.shards[shard_of(hash)].insert(hash as u32, id.0);
        self.count += 1;
        id
    }

    /// Takes a znode without children out.
    pub(super) fn remove(&mut self, id: ZnodeId, path: &str) {
        let hash = self.hash(path);
        self.shards[shard_of(hash)].remove(hash as u32, id.0);
        let slot = std::mem::replace(
            self.slot_mut(id),
            Slot { record: Box::default(), parent: NONE, next_sibling: NONE, previous_sibling: NONE, family: NONE },
        );
        if slot.next_sibling != NONE {
            self.slot_mut(ZnodeId(slot.next_sibling)).previous_sibling = slot.previous_sibling;
        }
        let parent_family = self.slot(ZnodeId(slot.parent)).family as usize;
        if slot.previous_sibling != NONE {
            self.slot_mut(ZnodeId(slot.previous_sibling)).next_sibling = slot.next_sibling;
        } else {
            self.families[parent_family].first_child = slot.next_sibling;
        }
        self.families[parent_family].count -= 1;
        if slot.family != NONE {
            self.free_families.push(slot.family);
        }
        self.free.push(id.0);
        self.count -= 1;
    }
}

/// The shard of a hash: bits that the index inside does not look at.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}
