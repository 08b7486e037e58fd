//! Digests: those of znodes and of the tree as a Java server computes them.
//!
//! The numbers are those of `DigestCalculator` and `DataTree` of Apache ZooKeeper 3.9.5, printed by a program
//! that applied the same transactions.

use bytes::Bytes;
use rookeeper_core::tree::{ChangeLog, DigestMismatch, Tree};
use rookeeper_protocol::txn::{CreateTxn, LogEntry, Txn, TxnDigest, TxnHeader, znode_digest};
use rookeeper_protocol::types::{Acl, AclList, OpCode, SessionId, StatPersisted, Zxid};

use super::wire::*;
use super::world::{Options, World};

#[test]
fn znodes_have_javas_digests() {
    let zero = StatPersisted::default();
    let counted = StatPersisted {
        czxid: Zxid(1),
        mzxid: Zxid(2),
        pzxid: Zxid(3),
        ctime: 4,
        mtime: 5,
        version: 6,
        cversion: 7,
        aversion: 8,
        ephemeral_owner: 9,
    };
    let usual = StatPersisted {
        czxid: Zxid(0x1_0000_0001),
        mzxid: Zxid(0x1_0000_0002),
        pzxid: Zxid(0x1_0000_0003),
        ctime: 1_700_000_000_000,
        mtime: 1_700_000_000_001,
        version: 4,
        cversion: 5,
        aversion: 6,
        ephemeral_owner: 0,
    };
    let negative = StatPersisted {
        czxid: Zxid(-1),
        mzxid: Zxid(-2),
        pzxid: Zxid(-3),
        ctime: -4,
        mtime: -5,
        version: -6,
        cversion: -7,
        aversion: -8,
        ephemeral_owner: i64::MIN,
    };
    let ttl = StatPersisted::created(Zxid(5), 9, 0xFF00_0000_0000_1388_u64 as i64);
    for (path, data, stat, digest) in [
        ("/", Some(&b""[..]), zero, 68_323_592),
        ("", Some(b""), zero, 68_323_592),
        ("", Some(b""), counted, 2_130_190_056),
        ("/zookeeper", Some(b""), zero, 1_303_661_912),
        ("/zookeeper/quota", Some(b""), zero, 0),
        ("/a", None, usual, 1_693_662_953),
        ("/a", Some(b"data"), usual, 3_203_942_876),
        ("/n\u{e4}me/\u{20ac}", Some(&[0, 255]), negative, 2_539_625_100),
        ("/t", Some(&[1]), ttl, 83_737_948),
    ] {
        assert_eq!(znode_digest(path, data, &stat), digest, "{path}");
    }
}

#[test]
fn the_tree_has_javas_digest_after_each_transaction() {
    let open: AclList = [Acl::open()].into();
    let create = |path: &str, data: Option<&'static [u8]>, parent_cversion| CreateTxn {
        path: path.into(),
        data: data.map(Bytes::from_static),
        acl: open.clone(),
        parent_cversion,
    };
    let plain = |op, create, ephemeral| Txn::Create { op, create, ephemeral };
    let steps = [
        (Txn::CreateSession { timeout_ms: 4000 }, 1_371_985_504),
        (plain(OpCode::Create, create("/a", Some(b"one"), 1), false), 2_678_752_293),
        (plain(OpCode::Create2, create("/a/e", None, 1), true), 5_822_186_392),
        (Txn::CreateContainer(create("/c", Some(b""), 2)), 7_578_590_570),
        (Txn::CreateTtl { create: create("/t", Some(&[1]), 3), ttl_ms: 5000 }, 9_696_752_663),
        (
            Txn::SetData { op: OpCode::SetData, path: "/a".into(), data: Some(Bytes::from_static(b"two")), version: 1 },
            11_119_142_092,
        ),
        (Txn::SetAcl { path: "/a".into(), acl: [Acl::read_only()].into(), version: 1 }, 11_503_384_715),
        // Below /zookeeper nothing counts.
        (plain(OpCode::Create, create("/zookeeper/quota/a", None, 1), false), 11_503_384_715),
        (Txn::Delete { op: OpCode::Delete, path: "/c".into() }, 12_248_534_020),
        (Txn::CloseSession { paths: Some(vec!["/a/e".into()]) }, 6_568_859_670),
    ];
    let mut tree = Tree::new(Options::default().tree, 1);
    let mut changes = ChangeLog::default();
    for (index, (txn, tree_digest)) in steps.into_iter().enumerate() {
        let zxid = index as i64 + 1;
        let header = TxnHeader {
            client_id: SessionId(7),
            cxid: 1,
            zxid: Zxid(zxid),
            time: 1_700_000_000_000 + zxid,
            kind: txn.kind().number(),
        };
        let digest = Some(TxnDigest { version: 2, tree_digest });
        let applied = tree.apply(&LogEntry { header, txn, digest }, &mut changes, &mut ());
        assert_eq!((applied.result.error, tree.digest(), tree.digest_mismatches()), (0, tree_digest, 0), "{zxid}");
    }
}

#[test]
fn a_wrong_digest_is_counted_and_an_unknown_version_is_not() {
    let mut tree = Tree::new(Options::default().tree, 1);
    let header = TxnHeader { client_id: SessionId(7), cxid: 1, zxid: Zxid(1), time: 0, kind: -10 };
    for (version, digest, mismatches) in [(2, tree.digest(), 0), (2, 5, 1), (3, 5, 1)] {
        let digest = Some(TxnDigest { version, tree_digest: digest });
        let entry = LogEntry { header, txn: Txn::CreateSession { timeout_ms: 1 }, digest };
        tree.apply(&entry, &mut ChangeLog::default(), &mut ());
        assert_eq!(tree.digest_mismatches(), mismatches);
    }
    let found = tree.digest();
    let mismatch = DigestMismatch { zxid: Zxid(1), expected: 5, found, count: 1 };
    assert_eq!((tree.take_digest_mismatch(), tree.take_digest_mismatch()), (Some(mismatch), None));
}

#[test]
fn every_128th_digest_is_kept() {
    let mut world = World::new();
    let conn = world.connect();
    let mut expected = Vec::new();
    while world.tree.last_zxid().0 < 300 {
        world.ok(conn, &set_data("/", b"", -1));
        if world.tree.last_zxid().0 % 128 == 0 {
            expected.push((world.tree.last_zxid(), world.tree.digest()));
        }
    }
    let kept: Vec<_> = world.tree.digest_log().map(|kept| (kept.zxid, kept.digest)).collect();
    assert_eq!(kept, expected);
    assert_eq!(kept.len(), 2);
}

#[test]
fn digests_can_be_switched_off() {
    let mut options = Options::default();
    options.tree.digest = false;
    let mut world = World::with(options);
    let conn = world.connect();
    world.ok(conn, &multi(&[persistent("/a"), set_data("/a", b"", 0)]));
    assert!(world.history.iter().all(|entry| entry.digest.is_none()));
    assert_eq!((world.tree.digest(), world.tree.digest_log().count()), (0, 0));
}
