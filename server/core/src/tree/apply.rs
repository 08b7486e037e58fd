//! Making a change (`DataTree#processTxn`).

use bytes::Bytes;
use rookeeper_protocol::txn::{CreateTxn, DIGEST_VERSION, LogEntry, Txn, TxnHeader};
use rookeeper_protocol::types::{
    AclList, EphemeralOwner, ErrorCode, OpCode, SessionId, Stat, StatPersisted, Zxid, parent_and_name,
};

use super::LIMIT_NODE;
use super::{
    ChangeLog, DIGEST_LOG_INTERVAL, DIGEST_LOG_MAX, DigestMismatch, QUOTA, Tree, ZOOKEEPER, Znode, ZnodeId, ZxidDigest,
};
use crate::acl::AclId;

/// Is told of changes as they happen, in the order in which Java triggers watches.
pub trait Observer {
    /// A znode was created.
    fn created(&mut self, path: &str, zxid: Zxid, acl: &AclList);
    /// A znode was deleted: its own watches on data and on children.
    fn deleted(&mut self, path: &str, zxid: Zxid, acl: &AclList);
    /// A znode's data were set.
    fn data_changed(&mut self, path: &str, zxid: Zxid, acl: &AclList);
    /// A znode's children changed.
    fn children_changed(&mut self, path: &str, zxid: Zxid, acl: &AclList);
}

/// Sees nothing; for recovery, when nobody watches.
impl Observer for () {
    fn created(&mut self, _: &str, _: Zxid, _: &AclList) {}
    fn deleted(&mut self, _: &str, _: Zxid, _: &AclList) {}
    fn data_changed(&mut self, _: &str, _: Zxid, _: &AclList) {}
    fn children_changed(&mut self, _: &str, _: Zxid, _: &AclList) {}
}

/// The result of one change: what its reply is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartResult {
    /// The kind of change, or [`OpCode::Error`].
    pub op: OpCode,
    /// Number of the error code; 0 is success.
    pub error: i32,
    /// The stat afterwards, where the reply needs it.
    pub stat: Option<Stat>,
}

/// The result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The result of the whole.
    pub result: PartResult,
    /// The results of a multi's parts.
    pub parts: Vec<PartResult>,
}

impl PartResult {
    fn ok(op: OpCode, stat: Option<Stat>) -> Self {
        Self { op, error: 0, stat }
    }

    fn failed(op: OpCode, error: ErrorCode) -> Self {
        Self { op, error: error.number(), stat: None }
    }
}

impl Tree {
    /// Applies a transaction. Never fails: a change that cannot be made (only a damaged log asks for one)
    /// becomes an error in the result, as in Java.
    pub fn apply(&mut self, entry: &LogEntry, changes: &mut ChangeLog, observer: &mut dyn Observer) -> Applied {
        let applied = match &entry.txn {
            Txn::Multi(parts) => self.apply_multi(&entry.header, parts, changes, observer),
            txn => Applied { result: self.apply_one(&entry.header, txn, changes, observer), parts: Vec::new() },
        };
        // Sessions have their place in the image; the caller keeps their table.
        self.last_zxid = self.last_zxid.max(entry.header.zxid);
        self.check_digest(entry);
        applied
    }

    fn check_digest(&mut self, entry: &LogEntry) {
        let zxid = entry.header.zxid;
        // Without digests too, as zero: so does Java.
        if zxid.0 % DIGEST_LOG_INTERVAL == 0 {
            self.digest_log.push_back(ZxidDigest { zxid, digest: self.digest });
            if self.digest_log.len() > DIGEST_LOG_MAX {
                self.digest_log.pop_front();
            }
        }
        if self.rules.digest
            && let Some(expected) = entry.digest
            && expected.version == DIGEST_VERSION
            && expected.tree_digest != self.digest
        {
            self.digest_mismatches += 1;
            let (expected, found) = (expected.tree_digest, self.digest);
            let first = DigestMismatch { zxid, expected, found, count: 0 };
            self.untold_mismatch.get_or_insert(first).count += 1;
        }
    }

    fn apply_multi(
        &mut self,
        header: &TxnHeader,
        parts: &[Txn],
        changes: &mut ChangeLog,
        observer: &mut dyn Observer,
    ) -> Applied {
        let failed_at = parts.iter().position(|part| matches!(part, Txn::Error { .. }));
        let mut results = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            results.push(match (failed_at, part) {
                (Some(_), Txn::Error { code }) => PartResult { op: OpCode::Error, error: *code, stat: None },
                // Of a failed multi, what stands before the error succeeded in vain, what stands behind it
                // was never tried.
                (Some(at), _) if index < at => PartResult { op: OpCode::Error, error: 0, stat: None },
                (Some(_), _) => PartResult::failed(OpCode::Error, ErrorCode::RuntimeInconsistency),
                (None, part) => self.apply_one(header, part, changes, observer),
            });
        }
        let error = results.iter().map(|part| part.error).find(|error| *error != 0).unwrap_or(0);
        Applied { result: PartResult { op: OpCode::Multi, error, stat: None }, parts: results }
    }

    fn apply_one(
        &mut self,
        header: &TxnHeader,
        txn: &Txn,
        changes: &mut ChangeLog,
        observer: &mut dyn Observer,
    ) -> PartResult {
        let op = txn.kind();
        let result = match txn {
            Txn::Create { create, ephemeral, .. } => {
                let owner = if *ephemeral { EphemeralOwner::Session(header.client_id) } else { EphemeralOwner::None };
                self.create(header, create, owner, changes, observer)
            }
            Txn::CreateContainer(create) => self.create(header, create, EphemeralOwner::Container, changes, observer),
            Txn::CreateTtl { create, ttl_ms } => {
                self.create(header, create, EphemeralOwner::Ttl(*ttl_ms), changes, observer)
            }
            Txn::Delete { path, .. } => self.delete(path, header.zxid, changes, observer).map(|()| None),
            Txn::SetData { path, data, version, .. } => {
                self.set_data(header, path, data.as_ref(), *version, changes, observer).map(Some)
            }
            Txn::SetAcl { path, acl, version } => self.set_acl(path, acl, *version, changes).map(Some),
            Txn::CloseSession { paths } => {
                self.close_session(header, paths.as_deref(), changes, observer);
                changes.session_closed(header.client_id);
                Ok(None)
            }
            Txn::CreateSession { timeout_ms } => {
                changes.session_created(header.client_id, *timeout_ms);
                Ok(None)
            }
            Txn::Error { code } => return PartResult { op, error: *code, stat: None },
            Txn::Check { .. } | Txn::Multi(_) => Ok(None),
        };
        match result {
            Ok(stat) => PartResult::ok(op, stat),
            Err(error) => PartResult::failed(op, error),
        }
    }

    /// Changes a znode's fields, keeping the tree's digest right.
    fn update(&mut self, id: ZnodeId, path: &str, changes: &mut ChangeLog, change: impl FnOnce(&mut Self)) {
        change(self);
        self.renew_digest(path, id);
        changes.changed(id);
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        create: &CreateTxn,
        owner: EphemeralOwner,
        changes: &mut ChangeLog,
        observer: &mut dyn Observer,
    ) -> Result<Option<Stat>, ErrorCode> {
        let path: &str = &create.path;
        let (parent_path, name) = parent_and_name(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.find(parent_path).ok_or(ErrorCode::NoNode)?;
        if let Some(existing) = self.find(path) {
            self.replay_create(existing, path, parent, parent_path, create, header.zxid, changes);
            return Err(ErrorCode::NodeExists);
        }
        let stat = StatPersisted::created(header.zxid, header.time, owner.encode());
        let id = self.insert(parent, path, create.data.as_deref(), &create.acl, stat);
        changes.created(id);
        self.update(parent, parent_path, changes, |tree| {
            tree.raise_cversion(parent, create.parent_cversion, header.zxid);
        });
        let client_stat = self.znode(id).client_stat();
        let parent_acl = self.acl_list(parent);
        self.quota_node_created(parent_path, name, changes);
        self.account(path, create.data.as_ref().map_or(0, Bytes::len) as i64, 1, changes);
        observer.created(path, header.zxid, &create.acl);
        observer.children_changed(watched_parent(parent_path), header.zxid, &parent_acl);
        Ok(Some(client_stat))
    }

    /// A create of a znode that is there: an image newer than the log is being caught up with.
    #[allow(clippy::too_many_arguments)] // One caller; a struct would only rename them.
    fn replay_create(
        &mut self,
        existing: ZnodeId,
        path: &str,
        parent: ZnodeId,
        parent_path: &str,
        create: &CreateTxn,
        zxid: Zxid,
        changes: &mut ChangeLog,
    ) {
        self.update(existing, path, changes, |tree| {
            let znode = tree.znode(existing);
            let (data, stat) = (znode.data.map(Bytes::copy_from_slice), znode.stat);
            tree.put(existing, data.as_deref(), &create.acl, stat);
        });
        self.update(parent, parent_path, changes, |tree| {
            tree.raise_cversion(parent, create.parent_cversion, zxid);
        });
    }

    /// cversion and pzxid of a parent only ever rise. -1 means one more (logs of old servers).
    fn raise_cversion(&mut self, parent: ZnodeId, cversion: i32, zxid: Zxid) {
        let stat = self.znode(parent).stat;
        let family = self.arena.family_mut(parent, stat.pzxid);
        let cversion = if cversion == -1 { family.cversion.wrapping_add(1) } else { cversion };
        if cversion > family.cversion {
            family.cversion = cversion;
            family.pzxid = zxid;
        }
    }

    /// The last child was created or deleted at this zxid at the earliest.
    fn raise_pzxid(&mut self, parent: ZnodeId, zxid: Zxid) {
        let stat = self.znode(parent).stat;
        let family = self.arena.family_mut(parent, stat.pzxid);
        family.pzxid = family.pzxid.max(zxid);
    }

    fn delete(
        &mut self,
        path: &str,
        zxid: Zxid,
        changes: &mut ChangeLog,
        observer: &mut dyn Observer,
    ) -> Result<(), ErrorCode> {
        let (parent_path, name) = parent_and_name(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.find(parent_path).ok_or(ErrorCode::NoNode)?;
        let Some(id) = self.find(path) else {
            // The image is newer than the log; its parent may be older than this deletion.
            self.update(parent, parent_path, changes, |tree| tree.raise_pzxid(parent, zxid));
            return Err(ErrorCode::NoNode);
        };
        let znode = self.znode(id);
        if znode.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let (acl, digest) = (self.acls.list(znode.acl), znode.digest);
        let data_len = znode.data.map_or(0, <[u8]>::len) as i64;
        let parent_acl = self.acl_list(parent);
        self.digest = self.digest.wrapping_sub(digest);
        self.update(parent, parent_path, changes, |tree| {
            tree.remove(id, path);
            tree.raise_pzxid(parent, zxid);
        });
        changes.deleted(id, path);
        if parent_path.starts_with(ZOOKEEPER) && name == LIMIT_NODE {
            self.quotas.remove(parent_path.strip_prefix(QUOTA).unwrap_or_default());
        }
        self.account(path, -data_len, -1, changes);
        observer.deleted(path, zxid, &acl);
        observer.children_changed(watched_parent(parent_path), zxid, &parent_acl);
        Ok(())
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: Option<&Bytes>,
        version: i32,
        changes: &mut ChangeLog,
        observer: &mut dyn Observer,
    ) -> Result<Stat, ErrorCode> {
        let id = self.find(path).ok_or(ErrorCode::NoNode)?;
        let Znode { data: old, acl, stat, num_children, digest: before, types } = self.znode(id);
        let old_len = old.map_or(0, <[u8]>::len) as i64;
        let stat = StatPersisted { mtime: header.time, mzxid: header.zxid, version, ..stat };
        let data = data.map(|data| &data[..]);
        let digest = self.digest_of(path, data, &stat);
        let client_stat = Znode { data, acl, stat, num_children, digest, types }.client_stat();
        self.rewrite(id, digest, data, acl, stat);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(digest);
        changes.changed(id);
        let new_len = data.map_or(0, <[u8]>::len) as i64;
        self.data_size += new_len - old_len;
        self.account(path, new_len - old_len, 0, changes);
        let acl = self.acls.list(acl);
        observer.data_changed(path, header.zxid, &acl);
        Ok(client_stat)
    }

    fn set_acl(&mut self, path: &str, acl: &AclList, version: i32, changes: &mut ChangeLog) -> Result<Stat, ErrorCode> {
        let id = self.find(path).ok_or(ErrorCode::NoNode)?;
        self.update(id, path, changes, |tree| {
            let znode = tree.znode(id);
            let (data, stat) = (znode.data.map(Bytes::copy_from_slice), znode.stat);
            tree.put(id, data.as_deref(), acl, StatPersisted { aversion: version, ..stat });
        });
        Ok(self.znode(id).client_stat())
    }

    /// Deletes what a session owns: first what the transaction names, then what else is here.
    fn close_session(
        &mut self,
        header: &TxnHeader,
        paths: Option<&[Box<str>]>,
        changes: &mut ChangeLog,
        observer: &mut dyn Observer,
    ) {
        let kept = usize::from(planted!(EphemeralKept));
        for path in paths.unwrap_or_default().iter().skip(kept) {
            // A path that is gone was deleted by an image newer than this transaction.
            let _gone = self.delete(path, header.zxid, changes, observer);
        }
        let left: Vec<String> = self.ephemerals(header.client_id).collect();
        for path in left.into_iter().skip(kept) {
            let _gone = self.delete(&path, header.zxid, changes, observer);
        }
    }

    /// The ACL of a znode as a list.
    fn acl_list(&self, id: ZnodeId) -> AclList {
        self.acls.list(self.acl_id(id))
    }

    fn acl_id(&self, id: ZnodeId) -> AclId {
        self.znode(id).acl
    }

    /// Removes ephemeral znodes whose session is not among `sessions`: an old image may hold them
    /// (`ZooKeeperServer#loadData`). Returns how many.
    pub fn kill_orphans(&mut self, sessions: impl Fn(SessionId) -> bool, changes: &mut ChangeLog) -> usize {
        let dead: Vec<SessionId> = self.ephemerals.keys().copied().filter(|session| !sessions(*session)).collect();
        let paths: Vec<String> =
            dead.into_iter().flat_map(|session| self.ephemerals(session).collect::<Vec<_>>()).collect();
        let zxid = self.last_zxid;
        paths.iter().filter(|path| self.delete(path, zxid, changes, &mut ()).is_ok()).count()
    }
}

/// Watches on the root's children lie under `/`.
fn watched_parent(parent_path: &str) -> &str {
    if parent_path.is_empty() { "/" } else { parent_path }
}
