//! Snapshots.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_protocol::peer::PacketType;
use rookeeper_protocol::snapshot::{OPEN_ACL_KEY, SnapshotItem};
use rookeeper_protocol::txn::{LogEntry, znode_digest};
use rookeeper_protocol::types::{Acl, EphemeralOwner, ExtendedTypes, SessionId, StatPersisted, Zxid, parent_and_name};

use crate::stream::{Side, with_snapshot};

/// A snapshot's content.
#[derive(Default)]
struct Content {
    sessions: BTreeMap<SessionId, i32>,
    acls: BTreeMap<i64, Vec<Acl>>,
    paths: Vec<String>,
    stats: BTreeMap<String, StatPersisted>,
    data: BTreeMap<String, Option<Vec<u8>>>,
    acl_keys: BTreeSet<i64>,
    digest: i64,
}

fn content(connection: &str) -> Content {
    let mut content = Content::default();
    let mut ended = false;
    with_snapshot(connection, |item| match item {
        SnapshotItem::Sessions(_) | SnapshotItem::Acls(_) => {}
        SnapshotItem::Session { id, timeout_ms } => {
            content.sessions.insert(id, timeout_ms);
        }
        SnapshotItem::Acl { key, acl } => {
            content.acls.insert(key, acl.into_owned());
        }
        SnapshotItem::Znode(znode) => {
            let path = znode.path.into_owned();
            content.digest = content.digest.wrapping_add(znode_digest(&path, znode.data, &znode.stat));
            content.stats.insert(path.clone(), znode.stat);
            content.data.insert(path.clone(), znode.data.map(<[u8]>::to_vec));
            content.acl_keys.insert(znode.acl_key);
            content.paths.push(path);
        }
        SnapshotItem::End => ended = true,
    });
    assert!(ended);
    content
}

#[test]
fn parents_come_before_their_children() {
    for connection in ["snap", "observer"] {
        let content = content(connection);
        assert_eq!(content.paths[0], "/");
        for (at, path) in content.paths.iter().enumerate().skip(1) {
            let (parent, _) = parent_and_name(path).unwrap();
            let parent = if parent.is_empty() { "/" } else { parent };
            assert!(content.paths[..at].iter().any(|path| path == parent), "{path}");
        }
    }
}

#[test]
fn znodes_of_all_kinds_are_there() {
    let content = content("snap");
    assert_eq!(content.sessions.values().collect::<Vec<_>>(), [&20_000; 2]);
    assert_eq!(content.data["/a"].as_deref(), Some(&b"moved"[..]));
    assert_eq!(content.data["/a/n"], None);
    assert_eq!(content.data["/a/b"].as_deref(), Some(&b""[..]));
    assert!(content.data.contains_key("/ä中"));
    let owner = |path: &str| {
        EphemeralOwner::decode(content.stats[path].ephemeral_owner, ExtendedTypes { enabled: true, emulate_353: false })
    };
    assert_eq!(owner("/m"), Ok(EphemeralOwner::None));
    assert_eq!(owner("/ttl"), Ok(EphemeralOwner::Ttl(600_000)));
    let Ok(EphemeralOwner::Session(session)) = owner("/d1") else { panic!("{:?}", owner("/d1")) };
    assert!(content.sessions.contains_key(&session));
    // Every znode's list is there, but for the one that has none.
    let mut keys: BTreeSet<i64> = content.acls.keys().copied().collect();
    keys.insert(OPEN_ACL_KEY);
    assert_eq!(content.acl_keys, keys);
    assert!(content.acls.values().any(|acl| acl[..] == [Acl::open()]));
}

#[test]
fn the_tree_is_the_one_that_was_agreed_upon() {
    let packets = Side::Leader.packets("snap");
    let snap = packets.iter().find(|packet| packet.kind() == Some(PacketType::Snap)).unwrap();
    let agreed = |zxid: Zxid| {
        let mut proposals = Side::Leader.packets("follower").into_iter();
        let proposal =
            proposals.find(|packet| packet.kind() == Some(PacketType::Proposal) && packet.zxid == zxid).unwrap();
        LogEntry::read(proposal.payload().unwrap()).unwrap().digest.unwrap()
    };
    assert_eq!(content("snap").digest, agreed(snap.zxid).tree_digest);
}
