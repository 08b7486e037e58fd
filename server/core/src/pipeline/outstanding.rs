//! What was proposed but not applied yet (`ZooKeeperServer#outstandingChanges`).
//!
//! A request is judged by the state that it will meet. That is the tree's, with the changes on top that are
//! still on their way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use rookeeper_protocol::txn::znode_digest;
use rookeeper_protocol::types::{Acl, AclList, ErrorCode, SessionId, StatPersisted, Zxid};

use super::quota::QuotaDelta;
use crate::acl::{AclId, AclPolicy, permits};
use crate::tree::{Tree, ZnodeId};

/// A znode's ACL, in the tree or on its way there.
#[derive(Debug, Clone)]
pub(super) enum AclSource {
    Tree(AclId),
    Proposed(AclList),
}

impl AclSource {
    /// Whether one of `perms` is granted to a connection with these identities.
    pub(super) fn permits(
        &self,
        tree: &Tree,
        policy: &AclPolicy,
        perms: i32,
        ids: &[rookeeper_protocol::types::Id],
    ) -> bool {
        let list: &[Acl] = match self {
            Self::Tree(id) if tree.acls().permits_world(*id, perms) => return true,
            Self::Tree(id) => tree.acls().entries(*id),
            Self::Proposed(list) => list,
        };
        permits(policy, list, perms, ids)
    }
}

/// A znode's data, in the tree or on their way there.
#[derive(Debug, Clone)]
pub(super) enum DataSource {
    /// Those of this znode, which is there as long as nothing else is proposed at its path.
    Tree(ZnodeId),
    Proposed(Option<Bytes>),
}

/// The state a request will meet at a path.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) stat: StatPersisted,
    pub(super) num_children: u32,
    pub(super) acl: AclSource,
    pub(super) data: DataSource,
    /// Its part in the tree's digest.
    pub(super) digest: i64,
}

impl Record {
    /// Length of the data in bytes.
    pub(super) fn data_len(&self, tree: &Tree) -> usize {
        match &self.data {
            DataSource::Tree(id) => tree.znode(*id).data.map_or(0, <[u8]>::len),
            DataSource::Proposed(data) => data.as_ref().map_or(0, Bytes::len),
        }
    }
}

/// A proposed state: the znode as it will be, or gone.
#[derive(Debug, Clone)]
struct Change {
    zxid: Zxid,
    record: Option<Record>,
}

impl Change {
    /// Whose the znode will be, if it is there and belongs to anybody.
    fn owner(&self) -> Option<SessionId> {
        let owner = self.record.as_ref().map_or(0, |record| record.stat.ephemeral_owner);
        (owner != 0).then_some(SessionId(owner))
    }
}

/// Changes on their way, and what they add up to.
#[derive(Debug)]
pub(super) struct Outstanding {
    /// By path. Only looked up, never walked, so that its order means nothing.
    changes: HashMap<Arc<str>, Change, FixedState>,
    /// Paths in the order of their changes, to forget them again.
    order: VecDeque<(Zxid, Arc<str>)>,
    /// Ephemeral znodes on their way.
    owned: BTreeMap<SessionId, BTreeSet<Arc<str>>>,
    /// What quotas' counts will gain.
    quota: BTreeMap<String, QuotaDelta>,
    /// The tree's digest with all of it applied.
    pub(super) digest: i64,
    /// Undo information while a multi is prepared.
    undo: Option<Undo>,
    /// Changes ever proposed here.
    pub(super) queued: u64,
    /// Those that were applied since.
    pub(super) removed: u64,
}

/// The state before a multi.
#[derive(Debug)]
struct Undo {
    changes: Vec<(Arc<str>, Option<Change>)>,
    digest: i64,
    order_len: usize,
}

impl Outstanding {
    pub(super) fn new(digest: i64, seed: u64) -> Self {
        Self {
            changes: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: VecDeque::new(),
            owned: BTreeMap::new(),
            quota: BTreeMap::new(),
            digest,
            undo: None,
            queued: 0,
            removed: 0,
        }
    }

    /// The state at `path`.
    pub(super) fn record(&self, tree: &Tree, path: &str) -> Result<Record, ErrorCode> {
        let path = canonical(path);
        if !self.changes.is_empty()
            && let Some(change) = self.changes.get(path)
        {
            return change.record.clone().ok_or(ErrorCode::NoNode);
        }
        let id = tree.find(path).ok_or(ErrorCode::NoNode)?;
        let znode = tree.znode(id);
        Ok(Record {
            stat: znode.stat,
            num_children: znode.num_children,
            acl: AclSource::Tree(znode.acl),
            data: DataSource::Tree(id),
            digest: znode.digest,
        })
    }

    /// `path` as it is kept here: a path that has a change on its way is not allocated again.
    pub(super) fn key(&self, path: &str) -> Arc<str> {
        let path = canonical(path);
        self.changes.get_key_value(path).map_or_else(|| path.into(), |(key, _)| key.clone())
    }

    /// Proposes a state at `path`; the digest follows.
    pub(super) fn put(&mut self, tree: &Tree, zxid: Zxid, path: Arc<str>, mut record: Record) {
        let path = if &*path == "/" { self.key(&path) } else { path };
        let old = record.digest;
        record.digest = digest_of(tree, &path, &record);
        self.digest = self.digest.wrapping_sub(old).wrapping_add(record.digest);
        self.set(zxid, path, Some(record));
    }

    /// Proposes that the znode at `path`, now in this state, goes.
    pub(super) fn remove(&mut self, zxid: Zxid, path: Arc<str>, record: &Record) {
        self.digest = self.digest.wrapping_sub(record.digest);
        self.set(zxid, path, None);
    }

    fn set(&mut self, zxid: Zxid, path: Arc<str>, record: Option<Record>) {
        let old = self.replace(path.clone(), Some(Change { zxid, record }));
        if let Some(undo) = &mut self.undo {
            undo.changes.push((path.clone(), old));
        }
        self.order.push_back((zxid, path));
        self.queued += 1;
    }

    /// Changes come and go here, or are forgotten once applied, so that `owned` names just those that are there.
    fn replace(&mut self, path: Arc<str>, new: Option<Change>) -> Option<Change> {
        let new_owner = new.as_ref().and_then(Change::owner);
        let old = match new {
            Some(change) => self.changes.insert(path.clone(), change),
            None => self.changes.remove(&path),
        };
        let old_owner = old.as_ref().and_then(Change::owner);
        if old_owner == new_owner {
            return old;
        }
        self.disown(old_owner, &path);
        if let Some(owner) = new_owner {
            self.owned.entry(owner).or_default().insert(path);
        }
        old
    }

    fn disown(&mut self, owner: Option<SessionId>, path: &str) {
        if let Some(owner) = owner
            && let Some(paths) = self.owned.get_mut(&owner)
        {
            paths.remove(path);
            if paths.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }

    /// The paths that session `owner` will own, in the order of their names.
    pub(super) fn ephemerals(&self, tree: &Tree, owner: SessionId) -> BTreeSet<String> {
        let mut paths: BTreeSet<String> = tree.ephemerals(owner).collect();
        paths.extend(self.owned.get(&owner).into_iter().flatten().map(|path| path.to_string()));
        let lives = |path: &String| self.record(tree, path).is_ok_and(|record| record.stat.ephemeral_owner == owner.0);
        paths.retain(lives);
        paths
    }

    /// What a quota's counts will gain.
    pub(super) fn quota_gain(&self, path: &str) -> (i64, i64) {
        self.quota.get(path).map_or((0, 0), |delta| (delta.count, delta.bytes))
    }

    pub(super) fn add_quota(&mut self, delta: &QuotaDelta) {
        let sum = self.quota.entry(delta.path.clone()).or_insert_with(|| QuotaDelta::none(&delta.path));
        sum.count += delta.count;
        sum.bytes += delta.bytes;
    }

    pub(super) fn take_quota(&mut self, delta: &QuotaDelta) {
        if let Some(sum) = self.quota.get_mut(&delta.path) {
            sum.count -= delta.count;
            sum.bytes -= delta.bytes;
            if sum.count == 0 && sum.bytes == 0 {
                self.quota.remove(&delta.path);
            }
        }
    }

    /// A multi begins: what follows may be taken back.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Undo { changes: Vec::new(), digest: self.digest, order_len: self.order.len() });
    }

    /// The multi is complete.
    pub(super) fn keep(&mut self) {
        self.undo = None;
    }

    /// The multi failed: everything since it began is forgotten.
    pub(super) fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (path, old) in undo.changes.into_iter().rev() {
            self.replace(path, old);
        }
        self.order.truncate(undo.order_len);
        self.digest = undo.digest;
    }

    /// Everything up to `zxid` is in the tree now.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        while let Some((changed, path)) = self.order.pop_front_if(|(changed, _)| *changed <= zxid) {
            self.removed += 1;
            // One that came later stays.
            if let EntryRef::Occupied(entry) = self.changes.entry_ref(&*path)
                && entry.get().zxid == changed
            {
                let old = entry.remove();
                self.disown(old.owner(), &path);
            }
        }
    }
}

/// The root lies under one name here.
fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

fn digest_of(tree: &Tree, path: &str, record: &Record) -> i64 {
    if !tree.rules().digest {
        return 0;
    }
    match &record.data {
        DataSource::Tree(id) => znode_digest(path, tree.znode(*id).data, &record.stat),
        DataSource::Proposed(data) => znode_digest(path, data.as_deref(), &record.stat),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::TreeRules;
    use rookeeper_protocol::types::ExtendedTypes;

    const OWNER: SessionId = SessionId(7);

    fn propose(outstanding: &mut Outstanding, tree: &Tree, zxid: i64, path: &str) {
        let stat = StatPersisted::created(Zxid(zxid), 0, OWNER.0);
        let (acl, data) = (AclSource::Proposed([Acl::open()].into()), DataSource::Proposed(None));
        outstanding.put(tree, Zxid(zxid), path.into(), Record { stat, num_children: 0, acl, data, digest: 0 });
    }

    fn owned(outstanding: &Outstanding) -> Vec<&str> {
        outstanding.owned.values().flatten().map(|path| &**path).collect()
    }

    #[test]
    fn what_goes_before_it_is_applied_leaves_nothing_behind() {
        let tree = Tree::new(TreeRules { extended_types: ExtendedTypes::default(), digest: true }, 1);
        let mut outstanding = Outstanding::new(0, 1);
        // A pipeline that never runs empty.
        for zxid in (1..100).step_by(2) {
            propose(&mut outstanding, &tree, zxid, "/e");
            assert_eq!(owned(&outstanding), ["/e"]);
            let record = outstanding.record(&tree, "/e").unwrap();
            outstanding.remove(Zxid(zxid + 1), "/e".into(), &record);
            outstanding.applied(Zxid(zxid));
            assert_eq!((owned(&outstanding).len(), outstanding.changes.len(), outstanding.order.len()), (0, 1, 1));
        }
        assert_eq!(outstanding.digest, 0);
    }

    #[test]
    fn a_multi_taken_back_gives_back_what_was_owned() {
        let tree = Tree::new(TreeRules { extended_types: ExtendedTypes::default(), digest: true }, 1);
        let mut outstanding = Outstanding::new(0, 1);
        propose(&mut outstanding, &tree, 1, "/kept");
        let digest = outstanding.digest;
        outstanding.begin();
        let record = outstanding.record(&tree, "/kept").unwrap();
        outstanding.remove(Zxid(2), "/kept".into(), &record);
        propose(&mut outstanding, &tree, 2, "/lost");
        assert_eq!(owned(&outstanding), ["/lost"]);
        outstanding.roll_back();
        assert_eq!((owned(&outstanding), outstanding.digest), (vec!["/kept"], digest));
        outstanding.applied(Zxid(1));
        assert!(outstanding.owned.is_empty() && outstanding.changes.is_empty() && outstanding.order.is_empty());
    }
}
