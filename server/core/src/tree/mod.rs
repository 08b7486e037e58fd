//! The tree of znodes in memory: the truth for reads (`DataTree`).
//!
//! A tree knows znodes, their ACLs, who owns which ephemeral, and quotas. It does not know watches, sessions
//! or requests: [`Tree::apply`] makes a change and tells an [`Observer`] what happened.

mod apply;
mod arena;
mod changes;
mod config;
mod index;
mod quota;
mod reap;
mod record;
mod varint;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use rookeeper_protocol::txn::znode_digest;
use rookeeper_protocol::types::{
    Acl, AclList, EphemeralOwner, ExtendedTypes, OwnerError, SessionId, Stat, StatPersisted, Zxid, parent_and_name,
};
use thiserror::Error;

pub use apply::{Applied, Observer, PartResult};
pub use arena::ZnodeId;
pub use changes::{ChangeLog, ChangeSet, ZnodeChange};
pub use quota::{LIMIT_NODE, QuotaStats, STAT_NODE, limit_path, stat_path};
pub use reap::{ReapRules, reapable};

use crate::acl::{AclId, AclTable};
use arena::{Arena, ROOT};
use record::Fields;

/// Znodes that can neither be created nor deleted (`DataTree#isSpecialPath`).
pub const SPECIAL_PATHS: [&str; 4] = ["/", ZOOKEEPER, QUOTA, CONFIG];
const ZOOKEEPER: &str = "/zookeeper";
/// Below it lie the quotas.
pub const QUOTA: &str = "/zookeeper/quota";
/// Holds the ensemble's configuration.
pub const CONFIG: &str = "/zookeeper/config";

/// Every so many zxids the digest is kept (`DataTree#DIGEST_LOG_INTERVAL`).
const DIGEST_LOG_INTERVAL: i64 = 128;
/// A large record's room is given back.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;
/// So many digests are kept (`DataTree#DIGEST_LOG_LIMIT`).
const DIGEST_LOG_MAX: usize = 1024;

/// What of the tree depends on the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeRules {
    /// How `ephemeralOwner` is read.
    pub extended_types: ExtendedTypes,
    /// Whether digests are kept (`zookeeper.digest.enabled`).
    pub digest: bool,
}

/// A tree that cannot be loaded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LoadError {
    /// A znode without its parent.
    #[error("znode {0} has no parent in the image")]
    Orphan(String),
    /// A znode that is there twice.
    #[error("znode {0} is in the image twice")]
    Twice(String),
    /// An owner that this version does not know.
    #[error("znode {path}: {error}")]
    Owner {
        /// The znode.
        path: String,
        /// What is wrong with it.
        error: OwnerError,
    },
}

/// A znode as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Znode<'a> {
    /// The data; null and empty are different.
    pub data: Option<&'a [u8]>,
    /// Number of its ACL.
    pub acl: AclId,
    /// The stat, complete.
    pub stat: StatPersisted,
    /// Number of children.
    pub num_children: u32,
    /// Its part in the tree's digest; 0 where digests are not kept.
    pub digest: i64,
    types: ExtendedTypes,
}

impl Znode<'_> {
    /// The stat as clients see it (`DataNode#copyStat`).
    pub fn client_stat(&self) -> Stat {
        let stat = &self.stat;
        Stat {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            // Deletions are not counted; that they equal creations less present children is enough.
            cversion: stat.cversion.wrapping_mul(2).wrapping_sub(self.num_children as i32),
            aversion: stat.aversion,
            ephemeral_owner: self.owner().visible(),
            data_length: self.data.map_or(0, <[u8]>::len) as i32,
            num_children: self.num_children as i32,
            pzxid: stat.pzxid,
        }
    }

    /// Whom it belongs to. An owner of an unknown kind was refused when the znode came in.
    pub fn owner(&self) -> EphemeralOwner {
        EphemeralOwner::decode(self.stat.ephemeral_owner, self.types).unwrap_or(EphemeralOwner::None)
    }
}

/// A digest of the past, as the four-letter word `hash` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZxidDigest {
    /// After this transaction …
    pub zxid: Zxid,
    /// … the tree had this digest.
    pub digest: i64,
}

/// Transactions that left another tree here than where they were made (`DataTree#compareDigest`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestMismatch {
    /// The first of them.
    pub zxid: Zxid,
    /// The digest of the tree behind it, as it says itself.
    pub expected: i64,
    /// The digest of the tree behind it here.
    pub found: i64,
    /// How many there were.
    pub count: u64,
}

/// The tree.
#[derive(Debug)]
pub struct Tree {
    arena: Arena,
    acls: AclTable,
    rules: TreeRules,
    ephemerals: BTreeMap<SessionId, BTreeSet<ZnodeId>>,
    containers: BTreeSet<ZnodeId>,
    ttls: BTreeSet<ZnodeId>,
    quotas: quota::QuotaTrie,
    digest: i64,
    digest_log: std::collections::VecDeque<ZxidDigest>,
    digest_mismatches: u64,
    /// Those of them that nobody has heard of.
    untold_mismatch: Option<DigestMismatch>,
    last_zxid: Zxid,
    data_size: i64,
    seed: u64,
    /// Where records are packed before they go to their place.
    scratch: Vec<u8>,
}

impl Tree {
    /// The tree that an empty server begins with. `seed` makes its hashes unpredictable.
    pub fn new(rules: TreeRules, seed: u64) -> Self {
        let mut tree = Self::bare(rules, seed);
        let open: AclList = [Acl::open()].into();
        let read_only: AclList = [Acl::read_only()].into();
        tree.put(ROOT, Some(&[]), &open, StatPersisted::default());
        for (path, acl, aversion) in [(ZOOKEEPER, &open, 0), (QUOTA, &open, 0), (CONFIG, &read_only, -1)] {
            let stat = StatPersisted { aversion, ..StatPersisted::default() };
            let parent = parent_and_name(path).and_then(|(parent_path, _)| tree.find(parent_path));
            tree.insert(parent.unwrap_or(ROOT), path, Some(&[]), acl, stat);
        }
        tree.renew_digest("", ROOT);
        tree
    }

    /// A tree with nothing but an unset root, to load an image into.
    fn bare(rules: TreeRules, seed: u64) -> Self {
        let mut acls = AclTable::default();
        let acl = acls.acquire(&[Acl::open()].into());
        let mut root = Vec::new();
        let stat = StatPersisted::default();
        record::encode(&mut root, &Fields { digest: 0, name: b"", data: Some(&[]), acl, stat });
        Self {
            arena: Arena::new(seed, &root),
            acls,
            rules,
            ephemerals: BTreeMap::new(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            quotas: quota::QuotaTrie::default(),
            digest: 0,
            digest_log: std::collections::VecDeque::new(),
            digest_mismatches: 0,
            untold_mismatch: None,
            last_zxid: Zxid::ZERO,
            data_size: 0,
            seed,
            scratch: Vec::new(),
        }
    }

    /// The newest transaction that was applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Number of znodes as Java counts them: the root lies under two names.
    pub fn node_count(&self) -> usize {
        self.arena.len() + 1
    }

    /// Bytes of all paths and data (`DataTree#cachedApproximateDataSize`). The root's two names are one byte.
    pub fn data_size(&self) -> i64 {
        self.data_size + 1
    }

    /// Number of ephemeral znodes.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// The digest of the whole tree.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// How often a transaction's digest was not the tree's.
    pub fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches
    }

    /// Takes what somebody should hear of: transactions since the last time whose digest was not the tree's.
    pub fn take_digest_mismatch(&mut self) -> Option<DigestMismatch> {
        self.untold_mismatch.take()
    }

    /// Digests of the past, oldest first.
    pub fn digest_log(&self) -> impl Iterator<Item = &ZxidDigest> {
        self.digest_log.iter()
    }

    /// The access control lists.
    pub fn acls(&self) -> &AclTable {
        &self.acls
    }

    /// The seed of its hashes.
    pub fn hash_seed(&self) -> u64 {
        self.seed
    }

    /// What depends on the configuration.
    pub fn rules(&self) -> &TreeRules {
        &self.rules
    }

    /// Finds a znode; `""` and `"/"` are the root.
    pub fn find(&self, path: &str) -> Option<ZnodeId> {
        self.arena.find(path)
    }

    /// Finds and reads a znode.
    pub fn get(&self, path: &str) -> Option<Znode<'_>> {
        self.find(path).map(|id| self.znode(id))
    }

    /// Reads a znode.
    pub fn znode(&self, id: ZnodeId) -> Znode<'_> {
        let Fields { digest, data, acl, mut stat, .. } = record::decode(self.arena.record(id));
        let mut num_children = 0;
        if let Some(family) = self.arena.family(id) {
            stat.cversion = family.cversion;
            stat.pzxid = family.pzxid;
            num_children = family.count;
        }
        Znode { data, acl, stat, num_children, digest: i64::from(digest), types: self.rules.extended_types }
    }

    /// The names of the children. Their order means nothing.
    pub fn children(&self, id: ZnodeId) -> impl Iterator<Item = &str> + '_ {
        let name = |id| std::str::from_utf8(record::name(self.arena.record(id))).unwrap_or_default();
        self.arena.children(id).map(name)
    }

    /// The path of a znode; empty for the root.
    pub fn path(&self, id: ZnodeId) -> String {
        let mut path = String::new();
        self.arena.write_path(id, &mut path);
        path
    }

    /// Number of all descendants. Java counts paths that begin so; for `/` it subtracts the root's two names.
    pub fn descendant_count(&self, id: ZnodeId) -> usize {
        if id == ROOT {
            return self.node_count() - 2;
        }
        let mut count = 0;
        self.walk(id, &mut |_| count += 1);
        count - 1
    }

    /// Visits a znode and all below it, parents first.
    fn walk(&self, id: ZnodeId, visit: &mut impl FnMut(ZnodeId)) {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            visit(id);
            pending.extend(self.arena.children(id));
        }
    }

    /// Paths of the ephemeral znodes of a session.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = String> + '_ {
        self.ephemerals.get(&session).into_iter().flatten().map(|id| self.path(*id))
    }

    /// Number of sessions that own ephemeral znodes.
    pub fn ephemeral_owner_count(&self) -> usize {
        self.ephemerals.len()
    }

    /// The sessions that own ephemeral znodes, in the order of their ids.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.ephemerals.keys().copied()
    }

    /// Ephemeral znodes with their owners, ordered by both, from behind `after` on.
    pub fn ephemerals_after(
        &self,
        after: Option<(SessionId, ZnodeId)>,
    ) -> impl Iterator<Item = (SessionId, ZnodeId)> + '_ {
        let begun = after.and_then(|(session, id)| {
            let ids = self.ephemerals.get(&session)?.range((Excluded(id), Unbounded));
            Some(ids.map(move |id| (session, *id)))
        });
        let others = (after.map_or(Unbounded, |(session, _)| Excluded(session)), Unbounded);
        let others = self.ephemerals.range(others).flat_map(|(session, ids)| ids.iter().map(|id| (*session, *id)));
        begun.into_iter().flatten().chain(others)
    }

    /// The deepest path above or at `path` that has a quota (`DataTree#getMaxPrefixWithQuota`).
    pub fn quota_of(&self, path: &str) -> Option<String> {
        self.quotas.deepest(path)
    }

    /// The digest of a znode with these data and this stat.
    fn digest_of(&self, path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> i64 {
        if self.rules.digest { znode_digest(path, data, stat) } else { 0 }
    }

    /// Digest of a znode as it is now, computed afresh; `path` is its path.
    fn compute_znode_digest(&self, path: &str, id: ZnodeId) -> i64 {
        let znode = self.znode(id);
        self.digest_of(path, znode.data, &znode.stat)
    }

    /// Computes a znode's digest after it was changed, and keeps the tree's right.
    fn renew_digest(&mut self, path: &str, id: ZnodeId) {
        if !self.rules.digest {
            return;
        }
        let before = i64::from(record::digest(self.arena.record(id)));
        let after = self.compute_znode_digest(path, id);
        self.arena.set_digest(id, after as u32);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
    }

    /// The digest of the whole tree, computed afresh.
    pub fn compute_digest(&self) -> i64 {
        let mut sum = 0i64;
        if self.rules.digest {
            self.walk(ROOT, &mut |id| sum = sum.wrapping_add(self.compute_znode_digest(&self.path(id), id)));
        }
        sum
    }

    /// Begins to load an image.
    pub fn loader(rules: TreeRules, seed: u64) -> Loader {
        Loader { tree: Self::bare(rules, seed), parent: (String::new(), ROOT) }
    }

    /// Sets fields of a znode that is there; pzxid and cversion go to the family when they are not what a
    /// znode without children has.
    fn put(&mut self, id: ZnodeId, data: Option<&[u8]>, acl: &AclList, stat: StatPersisted) {
        let old_acl = record::decode(self.arena.record(id)).acl;
        let acl = self.acls.acquire(acl);
        self.acls.release(old_acl);
        let digest = i64::from(record::digest(self.arena.record(id)));
        self.rewrite(id, digest, data, acl, stat);
    }

    /// Packs a znode anew, its name kept.
    fn rewrite(&mut self, id: ZnodeId, digest: i64, data: Option<&[u8]>, acl: AclId, stat: StatPersisted) {
        let Self { arena, scratch, .. } = self;
        {
            let name = record::name(arena.record(id));
            record::encode(scratch, &Fields { digest: digest as u32, name, data, acl, stat });
        }
        arena.set_record(id, scratch);
        scratch.shrink_to(SCRATCH_BYTES_KEPT);
        if stat.cversion != 0 || stat.pzxid != stat.czxid {
            let family = self.arena.family_mut(id, stat.pzxid);
            family.cversion = stat.cversion;
            family.pzxid = stat.pzxid;
        }
    }

    /// Adds a znode below its parent and to the sets of its kind, and its digest to the tree's. The parent's
    /// stat is the caller's.
    fn insert(
        &mut self,
        parent: ZnodeId,
        path: &str,
        data: Option<&[u8]>,
        acl: &AclList,
        stat: StatPersisted,
    ) -> ZnodeId {
        let (_, name) = parent_and_name(path).unwrap_or_default();
        let parent_czxid = record::decode(self.arena.record(parent)).stat.czxid;
        let digest = self.digest_of(path, data, &stat);
        self.digest = self.digest.wrapping_add(digest);
        let acl = self.acls.acquire(acl);
        let name = name.as_bytes();
        record::encode(&mut self.scratch, &Fields { digest: digest as u32, name, data, acl, stat });
        let id = self.arena.insert(parent, parent_czxid, path, &self.scratch);
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
        if stat.cversion != 0 || stat.pzxid != stat.czxid {
            let family = self.arena.family_mut(id, stat.pzxid);
            family.cversion = stat.cversion;
            family.pzxid = stat.pzxid;
        }
        match EphemeralOwner::decode(stat.ephemeral_owner, self.rules.extended_types) {
            Ok(EphemeralOwner::Session(session)) => {
                self.ephemerals.entry(session).or_default().insert(id);
            }
            Ok(EphemeralOwner::Container) => {
                self.containers.insert(id);
            }
            Ok(EphemeralOwner::Ttl(_)) => {
                self.ttls.insert(id);
            }
            Ok(EphemeralOwner::None) | Err(_) => {}
        }
        self.data_size += (path.len() + data.map_or(0, <[u8]>::len)) as i64;
        id
    }

    /// Takes a znode without children out of the tree and of the sets of its kind.
    fn remove(&mut self, id: ZnodeId, path: &str) {
        let znode = self.znode(id);
        let (owner, acl, data_len) = (znode.owner(), znode.acl, znode.data.map_or(0, <[u8]>::len));
        self.acls.release(acl);
        self.data_size -= (path.len() + data_len) as i64;
        match owner {
            EphemeralOwner::Session(session) => {
                if let Some(owned) = self.ephemerals.get_mut(&session) {
                    owned.remove(&id);
                    if owned.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            EphemeralOwner::Container => {
                self.containers.remove(&id);
            }
            EphemeralOwner::Ttl(_) => {
                self.ttls.remove(&id);
            }
            EphemeralOwner::None => {}
        }
        self.arena.remove(id, path);
    }
}

/// Loads an image: znodes in any order that puts parents before children. Fastest is the order of their paths.
#[derive(Debug)]
pub struct Loader {
    tree: Tree,
    /// The last znode's parent and its path: most znodes have the same one as the znode before.
    parent: (String, ZnodeId),
}

impl Loader {
    /// Adds a znode; the root's path is empty.
    pub fn add(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: &AclList,
        stat: StatPersisted,
    ) -> Result<ZnodeId, LoadError> {
        if let Err(error) = EphemeralOwner::decode(stat.ephemeral_owner, self.tree.rules.extended_types) {
            return Err(LoadError::Owner { path: path.to_owned(), error });
        }
        if path.is_empty() {
            self.tree.put(ROOT, data, acl, stat);
            self.tree.data_size += data.map_or(0, <[u8]>::len) as i64;
            self.tree.renew_digest("", ROOT);
            return Ok(ROOT);
        }
        if self.tree.find(path).is_some() {
            return Err(LoadError::Twice(path.to_owned()));
        }
        let orphan = || LoadError::Orphan(path.to_owned());
        let (parent_path, _) = parent_and_name(path).ok_or_else(orphan)?;
        if parent_path != self.parent.0 {
            self.parent = (parent_path.to_owned(), self.tree.find(parent_path).ok_or_else(orphan)?);
        }
        Ok(self.tree.insert(self.parent.1, path, data, acl, stat))
    }

    /// The tree as of `zxid`. Quotas are found again.
    pub fn finish(mut self, zxid: Zxid) -> Tree {
        self.tree.last_zxid = zxid;
        self.tree.load_quotas();
        self.tree
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ephemerals_can_be_walked_from_anywhere() {
        let extended_types = ExtendedTypes { enabled: false, emulate_353: false };
        let mut loader = Tree::loader(TreeRules { extended_types, digest: true }, 1);
        let open: AclList = [Acl::open()].into();
        for (path, owner) in [("/b", 7), ("/a", 5), ("/c", 7), ("/d", 0)] {
            let stat = StatPersisted { ephemeral_owner: owner, ..StatPersisted::default() };
            loader.add(path, None, &open, stat).unwrap();
        }
        let tree = loader.finish(Zxid(1));
        let all: Vec<_> = tree.ephemerals_after(None).collect();
        let told: Vec<_> = all.iter().map(|(session, id)| (session.0, tree.path(*id))).collect();
        assert_eq!(told, [(5, "/a".to_owned()), (7, "/b".to_owned()), (7, "/c".to_owned())]);
        for (index, place) in all.iter().enumerate() {
            assert!(tree.ephemerals_after(Some(*place)).eq(all[index + 1..].iter().copied()));
        }
        // What was told last may be gone, and its owner with it.
        let gone = (SessionId(6), ZnodeId(0));
        assert_eq!((tree.ephemeral_owner_count(), tree.ephemerals_after(Some(gone)).count()), (2, 2));
    }
}
