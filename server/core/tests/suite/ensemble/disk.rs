//! A disk that forgets what was not flushed.

use std::rc::Rc;

use rookeeper_core::peer::Loaded;
use rookeeper_core::tree::{ChangeLog, Tree, TreeRules};
use rookeeper_core::zab::{Epochs, HistoryPiece, LogRecord};
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::{AclList, SessionId, StatPersisted, Zxid};

/// A whole tree: what a snapshot is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump {
    pub(crate) zxid: Zxid,
    znodes: Vec<(String, Option<Vec<u8>>, AclList, StatPersisted)>,
    sessions: Vec<(SessionId, i32)>,
}

impl Dump {
    pub(crate) fn of(tree: &Tree, sessions: impl Iterator<Item = (SessionId, i32)>) -> Self {
        let mut changes = ChangeLog::default();
        changes.all_changed(tree);
        let mut znodes = Vec::new();
        changes.take(tree, |znode| {
            znodes.push((znode.path.to_owned(), znode.data.map(<[u8]>::to_vec), znode.acl, znode.stat));
        });
        znodes.sort_by(|one, other| one.0.cmp(&other.0));
        Self { zxid: tree.last_zxid(), znodes, sessions: sessions.collect() }
    }

    /// The same, with nobody's sessions.
    pub(crate) fn without_sessions(self) -> Self {
        Self { sessions: Vec::new(), ..self }
    }

    fn tree(&self, rules: TreeRules) -> Tree {
        if self.znodes.is_empty() {
            return Tree::new(rules, 1);
        }
        let mut loader = Tree::loader(rules, 1);
        for (path, data, acl, stat) in &self.znodes {
            loader.add(path, data.as_deref(), acl, *stat).unwrap();
        }
        loader.finish(self.zxid)
    }
}

/// What is durable.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) image: Rc<Dump>,
    pub(crate) log: Vec<LogRecord>,
    pub(crate) epochs: Epochs,
    /// Records that the log has kept at most; a learner that lacks more gets a snapshot.
    pub(crate) log_max: usize,
    /// The list of members in force, and one that was only seen.
    pub(crate) members: String,
    pub(crate) next_members: Option<String>,
    /// It is empty, and nobody knows what was to be there.
    pub(crate) is_unknown: bool,
}

impl Disk {
    pub(crate) fn last_zxid(&self) -> Zxid {
        self.log.last().map_or(self.image.zxid, |record| record.zxid)
    }

    pub(crate) fn append(&mut self, records: Vec<LogRecord>) {
        for record in records {
            assert!(record.zxid > self.last_zxid(), "{} behind {}", record.zxid, self.last_zxid());
            self.log.push(record);
        }
    }

    pub(crate) fn truncate(&mut self, keep: Zxid) {
        assert!(keep >= self.image.zxid, "the image cannot be cut");
        self.log.retain(|record| record.zxid <= keep);
    }

    pub(crate) fn replace(&mut self, image: Rc<Dump>) {
        self.image = image;
        self.log.clear();
    }

    /// Image and log, as a start finds them.
    pub(crate) fn load(&self, rules: TreeRules) -> (Tree, Loaded) {
        let mut tree = self.image.tree(rules);
        let mut sessions: std::collections::BTreeMap<_, _> = self.image.sessions.iter().copied().collect();
        let mut changes = ChangeLog::default();
        for record in &self.log {
            let entry = LogEntry::read(&record.payload).unwrap();
            match entry.txn {
                Txn::CreateSession { timeout_ms } => drop(sessions.insert(entry.header.client_id, timeout_ms)),
                Txn::CloseSession { .. } => drop(sessions.remove(&entry.header.client_id)),
                _ => {}
            }
            tree.apply(&entry, &mut changes, &mut ());
        }
        let loaded = Loaded {
            last_zxid: self.last_zxid(),
            image_zxid: self.image.zxid,
            recent: self.log.clone(),
            sessions: sessions.into_iter().collect(),
            changes,
        };
        (tree, loaded)
    }

    /// Reads the log for a learner. The oldest records count as purged when there are too many.
    pub(crate) fn history(&self, after: Zxid, through: Zxid, limited: bool) -> HistoryPiece {
        let begin = if limited { self.log.len().saturating_sub(self.log_max) } else { 0 };
        let kept = &self.log[begin..];
        let begins_after = if begin > 0 { self.log[begin - 1].zxid } else { self.image.zxid };
        let at_or_before = kept.iter().rev().map(|record| record.zxid).find(|zxid| *zxid <= after);
        let Some(at_or_before) = at_or_before.or((begins_after <= after).then_some(begins_after)) else {
            return HistoryPiece::Unavailable;
        };
        let wanted = kept.iter().filter(|record| record.zxid > after && record.zxid <= through);
        // Pieces of three, so that there are several.
        HistoryPiece::Records { at_or_before, records: wanted.take(3).cloned().collect() }
    }
}
