//! The znode that shows who belongs to the ensemble (`ZKDatabase#initConfigInZKDatabase`).
//!
//! Each server writes it by itself as well: a list may be in force that no transaction of this tree has made. No digest
//! covers it. Java notes each server's own time in the mtime; here it stays as it is, so that the members' trees are equal.

use rookeeper_protocol::types::{StatPersisted, Zxid};

use super::{CONFIG, ChangeLog, Tree};

impl Tree {
    /// Shows the list of members that is in force. `version` is the list's, which stands in the znode's mzxid.
    pub fn show_config(&mut self, text: &[u8], version: i64, changes: &mut ChangeLog) {
        let Some(id) = self.find(CONFIG) else { return };
        let znode = self.znode(id);
        if znode.data == Some(text) {
            return;
        }
        let stat = StatPersisted { mzxid: Zxid(version), version: -1, ..znode.stat };
        let (acl, old_len) = (self.acls.list(znode.acl), znode.data.map_or(0, <[u8]>::len));
        self.data_size += text.len() as i64 - old_len as i64;
        self.put(id, Some(text), &acl, stat);
        changes.changed(id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::TreeRules;
    use rookeeper_protocol::types::ExtendedTypes;

    #[test]
    fn the_list_is_shown_with_its_version_and_changes_no_digest() {
        let extended_types = ExtendedTypes { enabled: false, emulate_353: false };
        let mut tree = Tree::new(TreeRules { extended_types, digest: true }, 1);
        let (digest, size, mut changes) = (tree.digest(), tree.data_size(), ChangeLog::default());
        tree.show_config(b"version=5", 5, &mut changes);
        let znode = tree.get(CONFIG).unwrap();
        assert_eq!(
            (znode.data, znode.stat.version, znode.stat.mzxid, znode.stat.mtime),
            (Some(&b"version=5"[..]), -1, Zxid(5), 0)
        );
        assert_eq!((tree.digest(), tree.compute_digest(), tree.data_size()), (digest, digest, size + 9));
        assert_eq!(changes.len(), 1);
        // The same again is nothing new.
        tree.show_config(b"version=5", 6, &mut changes);
        assert_eq!(tree.get(CONFIG).unwrap().stat.mzxid, Zxid(5));
    }
}
