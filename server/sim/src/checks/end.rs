//! What must be the case once all faults are over: all members are equal, and are what was agreed on.

use std::collections::BTreeMap;

use rookeeper_core::tree::Tree;
use rookeeper_protocol::types::{EphemeralOwner, SessionId};

use super::{Failed, Ledger, ensure};

/// Compares a serving member with the order of all.
pub(crate) fn compare_members(
    member: i64,
    tree: &Tree,
    sessions: &BTreeMap<SessionId, i32>,
    ledger: &Ledger,
) -> Result<(), Failed> {
    let (zxid, last) = (tree.last_zxid(), ledger.last_zxid());
    ensure(zxid == last, "all members come to the same end", || {
        format!("server {member} is at {zxid}, the last is {last}")
    })?;
    ensure(tree.digest() == tree.compute_digest(), "a digest is that of the tree", || format!("server {member}"))?;
    let mut count = 0;
    for (path, state) in ledger.now() {
        count += 1;
        let Some(znode) = tree.get(path) else {
            return Err(Failed::new("what was agreed on is there", format!("server {member} lacks {path}")));
        };
        let (data, version) = (znode.data.unwrap_or_default(), znode.stat.version);
        let equal = data == state.data.as_deref().unwrap_or_default() && version == state.version;
        ensure(equal, "what was agreed on is there", || {
            format!("server {member} has {path} with version {version}, agreed was {}", state.version)
        })?;
        let owner = znode.owner();
        ensure(owner == state.owner, "a znode belongs to whoever made it", || {
            format!("server {member} has {path} of {owner:?}, agreed was {:?}", state.owner)
        })?;
        let acl = tree.acls().list(znode.acl);
        ensure(Some(&acl[..]) == ledger.acl_at(path, last), "a znode has the ACL that was agreed on", || {
            format!("server {member} has {path} with {acl:?}")
        })?;
        if let EphemeralOwner::Session(session) = state.owner {
            let is_open = ledger.sessions.get(&session).is_some_and(|life| life.closed.is_none());
            ensure(is_open, "an ephemeral znode belongs to an open session", || format!("{path} of {session}"))?;
        }
    }
    let own = tree.node_count() - Tree::new(*tree.rules(), 1).node_count();
    ensure(own == count, "nothing is there that was not agreed on", || {
        format!("server {member} has {own}, agreed were {count}")
    })?;
    let open: Vec<_> =
        ledger.sessions.iter().filter(|(_, life)| life.closed.is_none()).map(|(session, _)| *session).collect();
    ensure(sessions.keys().copied().eq(open.iter().copied()), "all members know the open sessions", || {
        format!("server {member} knows {:?}, agreed were {open:?}", sessions.keys())
    })
}
