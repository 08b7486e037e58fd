//! A transaction as it stands in a log or a proposal: header, body, digest.

use bytes::BytesMut;

use super::body::Txn;
use super::digest::TxnDigest;
use super::header::TxnHeader;
use crate::jute::{DecodeError, Reader};

/// Header, body and, except for errors, the digest of the tree afterwards (`Util#marshallTxnEntry`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The header.
    pub header: TxnHeader,
    /// The change.
    pub txn: Txn,
    /// The tree's digest afterwards.
    pub digest: Option<TxnDigest>,
}

impl LogEntry {
    /// Writes the entry.
    pub fn write(&self, out: &mut BytesMut) {
        self.header.write(out);
        self.txn.write(out);
        if let Some(digest) = &self.digest {
            digest.write(out);
        }
    }

    /// Reads an entry. A missing digest is fine: old servers wrote none.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = TxnHeader::read(&mut reader)?;
        let txn = Txn::read(header.kind, &mut reader)?;
        let digest = if reader.remaining() == 0 { None } else { Some(TxnDigest::read(&mut reader)?) };
        Ok(Self { header, txn, digest })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::txn::CreateTxn;
    use crate::types::{Acl, OpCode, SessionId, Zxid};
    use bytes::Bytes;

    fn create(path: &str) -> CreateTxn {
        CreateTxn {
            path: path.into(),
            data: Some(Bytes::from_static(b"x")),
            acl: [Acl::open()].into(),
            parent_cversion: 4,
        }
    }

    fn round_trip(txn: Txn, digest: Option<TxnDigest>) {
        let header = TxnHeader { client_id: SessionId(5), cxid: 6, zxid: Zxid(7), time: 8, kind: txn.kind().number() };
        let entry = LogEntry { header, txn, digest };
        let mut bytes = BytesMut::new();
        entry.write(&mut bytes);
        assert_eq!(LogEntry::read(&bytes).unwrap(), entry);
        for length in 0..32 {
            LogEntry::read(&bytes[..length]).unwrap_err();
        }
    }

    #[test]
    fn entries_read_back_as_written() {
        let digest = Some(TxnDigest { version: 2, tree_digest: -9 });
        let parts = vec![
            Txn::Create { op: OpCode::Create2, create: create("/a"), ephemeral: true },
            Txn::CreateContainer(create("/b")),
            Txn::CreateTtl { create: create("/c"), ttl_ms: 99 },
            Txn::Delete { op: OpCode::Delete, path: "/d".into() },
            Txn::SetData { op: OpCode::SetData, path: "/e".into(), data: None, version: 3 },
            Txn::Check { path: "/f".into(), version: 1 },
            Txn::Error { code: -2 },
        ];
        for part in &parts {
            let digest = if matches!(part, Txn::Error { .. }) { None } else { digest };
            round_trip(part.clone(), digest);
        }
        round_trip(Txn::Multi(parts), digest);
        round_trip(Txn::SetAcl { path: "/g".into(), acl: [Acl::read_only()].into(), version: 1 }, digest);
        round_trip(Txn::CreateSession { timeout_ms: 4000 }, digest);
        round_trip(Txn::CloseSession { paths: Some(vec!["/h".into()]) }, digest);
    }

    #[test]
    fn a_digest_is_no_list_of_paths() {
        let close = |paths: Option<&[&str]>| Txn::CloseSession {
            paths: paths.map(|paths| paths.iter().map(|path| (*path).into()).collect()),
        };
        // The digest of a tree with little in it: its upper half reads as the length of an empty path.
        for digest in
            [None, Some(-9), Some(7)].map(|digest| digest.map(|tree_digest| TxnDigest { version: 2, tree_digest }))
        {
            round_trip(close(None), digest);
            round_trip(close(Some(&[])), digest);
            // As long as a digest.
            round_trip(close(Some(&["/abc"])), digest);
            round_trip(close(Some(&["/", "/"])), digest);
            round_trip(close(Some(&["/a", "/b", "/c"])), digest);
        }
    }

    #[test]
    fn a_multi_inside_a_multi_is_refused() {
        let txn = Txn::Multi(vec![Txn::Multi(vec![])]);
        let header =
            TxnHeader { client_id: SessionId(5), cxid: 6, zxid: Zxid(7), time: 8, kind: OpCode::Multi.number() };
        let mut bytes = BytesMut::new();
        LogEntry { header, txn, digest: None }.write(&mut bytes);
        LogEntry::read(&bytes).unwrap_err();
    }
}
