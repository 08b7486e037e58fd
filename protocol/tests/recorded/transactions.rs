//! The transactions in proposals.

use std::collections::BTreeSet;

use bytes::BytesMut;
use rookeeper_protocol::peer::PacketType;
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::OpCode;

use crate::stream::{CONNECTIONS, Side};

fn entries(connection: &str) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    for packet in Side::Leader.packets(connection) {
        if matches!(packet.kind(), Some(PacketType::Proposal | PacketType::Inform)) {
            let data = packet.payload().unwrap();
            let entry = LogEntry::read(data).unwrap();
            assert_eq!(entry.header.zxid, packet.zxid);
            let mut again = BytesMut::new();
            entry.write(&mut again);
            assert_eq!(again, data, "{entry:?}");
            entries.push(entry);
        }
    }
    entries
}

#[test]
fn every_kind_is_read() {
    let mut kinds = BTreeSet::new();
    let mut parts = BTreeSet::new();
    for entry in CONNECTIONS.iter().flat_map(|connection| entries(connection)) {
        assert_eq!(entry.header.kind, entry.txn.kind().number());
        assert_eq!(entry.digest.is_none(), matches!(entry.txn, Txn::Error { .. }), "{entry:?}");
        kinds.insert(entry.txn.kind());
        if let Txn::Multi(txns) = entry.txn {
            parts.extend(txns.iter().map(Txn::kind));
        }
    }
    let creations = [OpCode::Create, OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl];
    let changes = [OpCode::Delete, OpCode::SetData, OpCode::Error];
    let alone = [
        OpCode::DeleteContainer,
        OpCode::SetAcl,
        OpCode::Reconfig,
        OpCode::Multi,
        OpCode::CreateSession,
        OpCode::CloseSession,
    ];
    assert_eq!(kinds, creations.into_iter().chain(changes).chain(alone).collect());
    assert_eq!(parts, creations.into_iter().chain(changes).chain([OpCode::Check]).collect());
}

#[test]
fn a_closed_session_lists_its_znodes_or_does_not() {
    let closed = |connection: &str| {
        let entries = entries(connection);
        let txns = entries.into_iter().map(|entry| entry.txn);
        txns.filter(|txn| matches!(txn, Txn::CloseSession { .. })).collect::<Vec<_>>()
    };
    let listed = |paths: &[&str]| Txn::CloseSession { paths: Some(paths.iter().map(|path| (*path).into()).collect()) };
    assert_eq!(closed("version-3.8"), [listed(&["/a/e"]), listed(&["/expires"])]);
    assert_eq!(closed("without-lists"), [const { Txn::CloseSession { paths: None } }; 2]);
}
