//! From a data folder to a tree, and how znodes stand in the image.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use rookeeper_core::peer::Loaded;
use rookeeper_core::tree::{ChangeLog, Loader, Tree, TreeRules, ZnodeChange};
use rookeeper_core::zab::LogRecord;
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{AclList, SessionId, StatPersisted, Zxid, read_acls, write_acls};
use rookeeper_storage::Replay;
use rookeeper_storage::error::CallerError;
use rookeeper_storage::tree::ImageEntry;

/// Packs a znode for the image.
pub(super) fn encode(znode: &ZnodeChange<'_>, out: &mut BytesMut) {
    out.clear();
    znode.stat.write(out);
    write_acls(out, &znode.acl);
    out.boolean(znode.data.is_some());
    out.put_slice(znode.data.unwrap_or_default());
}

/// Puts a tree together from an image and the log behind it.
pub(super) struct Rebuild {
    loader: Option<Loader>,
    tree: Option<Tree>,
    sessions: BTreeMap<SessionId, i32>,
    changes: ChangeLog,
    image_zxid: Zxid,
    is_empty: bool,
    records: Vec<LogRecord>,
    rules: TreeRules,
}

impl Rebuild {
    pub(super) fn new(rules: TreeRules) -> Self {
        Self {
            loader: Some(Tree::loader(rules, 1)),
            tree: None,
            sessions: BTreeMap::new(),
            changes: ChangeLog::default(),
            image_zxid: Zxid::ZERO,
            is_empty: true,
            records: Vec::new(),
            rules,
        }
    }

    /// The tree, and what a server wants to know of it. All records of the log behind the image are handed over as recent.
    pub(super) fn finish(self) -> (Tree, Loaded) {
        let tree = self.tree.unwrap_or_else(|| Tree::new(self.rules, 1));
        let loaded = Loaded {
            last_zxid: self.records.last().map_or(self.image_zxid, |record| record.zxid),
            image_zxid: self.image_zxid,
            recent: self.records,
            sessions: self.sessions.into_iter().collect(),
            changes: self.changes,
        };
        (tree, loaded)
    }
}

impl Replay for Rebuild {
    fn entry(&mut self, entry: ImageEntry<'_>) -> Result<(), CallerError> {
        match entry {
            ImageEntry::Blob { .. } => {}
            ImageEntry::Session { id, timeout_ms } => {
                self.sessions.insert(SessionId(id), timeout_ms);
            }
            ImageEntry::Znode { path, record } => {
                let mut reader = Reader::new(record);
                let stat = StatPersisted::read(&mut reader)?;
                let acl: AclList = read_acls(&mut reader)?.into();
                let data = if reader.boolean()? { Some(reader.rest()) } else { None };
                let loader = self.loader.as_mut().ok_or("an entry behind the image's end")?;
                let id = loader.add(if path == "/" { "" } else { path }, data, &acl, stat)?;
                self.changes.loaded(id);
                self.is_empty = false;
            }
        }
        Ok(())
    }

    fn image_end(&mut self, zxid: i64) -> Result<(), CallerError> {
        let loader = self.loader.take().ok_or("the image ends twice")?;
        self.image_zxid = Zxid(zxid);
        self.tree = Some(match self.is_empty {
            true => {
                let tree = Tree::new(self.rules, 1);
                self.changes.all_changed(&tree);
                tree
            }
            false => loader.finish(Zxid(zxid)),
        });
        Ok(())
    }

    fn record(&mut self, zxid: i64, payload: &[u8]) -> Result<(), CallerError> {
        let entry = LogEntry::read(payload)?;
        let tree = self.tree.as_mut().ok_or("a record before the image's end")?;
        match entry.txn {
            Txn::CreateSession { timeout_ms } => drop(self.sessions.insert(entry.header.client_id, timeout_ms)),
            Txn::CloseSession { .. } => drop(self.sessions.remove(&entry.header.client_id)),
            _ => {}
        }
        tree.apply(&entry, &mut self.changes, &mut ());
        self.records.push(LogRecord { zxid: Zxid(zxid), payload: Bytes::copy_from_slice(payload) });
        Ok(())
    }
}
