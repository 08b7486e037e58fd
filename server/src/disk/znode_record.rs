//! A znode in the image: its ACL, its stat, its data, in Jute.

use bytes::{BufMut, BytesMut};
use rookeeper_core::tree::ZnodeChange;
use rookeeper_protocol::jute::{DecodeError, Reader, Writer};
use rookeeper_protocol::types::{Acl, AclList, StatPersisted, read_acls, write_acls};

/// Bytes of a packed stat.
const STAT_BYTES: usize = 60;

/// Packs a znode. `out` is emptied first.
pub(super) fn encode(znode: &ZnodeChange<'_>, out: &mut BytesMut) {
    out.clear();
    znode.stat.write(out);
    write_acls(out, &znode.acl);
    match znode.data {
        None => out.boolean(false),
        Some(data) => {
            out.boolean(true);
            out.put_slice(data);
        }
    }
}

/// A znode as it was packed.
pub(super) struct StoredZnode<'a> {
    pub(super) stat: StatPersisted,
    pub(super) acl: AclList,
    pub(super) data: Option<&'a [u8]>,
}

/// Unpacks znodes; most have the same ACL as the one before, which is read once then.
#[derive(Default)]
pub(super) struct Decoder {
    acl_bytes: Vec<u8>,
    acl: Option<AclList>,
}

impl Decoder {
    /// The znode's ACL, unless it is the same as that of the one before.
    pub(super) fn other_acl(&mut self, record: &[u8]) -> Result<Option<AclList>, DecodeError> {
        let is_same = |list: &[u8]| self.acl.is_some() && list.starts_with(&self.acl_bytes);
        if record.get(STAT_BYTES..).is_some_and(is_same) {
            return Ok(None);
        }
        self.decode(record).map(|znode| Some(znode.acl))
    }

    pub(super) fn decode<'a>(&mut self, record: &'a [u8]) -> Result<StoredZnode<'a>, DecodeError> {
        let mut reader = Reader::new(record);
        let stat = StatPersisted::read(&mut reader)?;
        let rest = reader.rest();
        let acl = match &self.acl {
            Some(acl) if rest.starts_with(&self.acl_bytes) => {
                reader = Reader::new(&rest[self.acl_bytes.len()..]);
                acl.clone()
            }
            _ => {
                let before = reader.remaining();
                let list: Vec<Acl> = read_acls(&mut reader)?;
                self.acl_bytes = rest[..before - reader.remaining()].to_vec();
                self.acl.insert(list.into()).clone()
            }
        };
        let data = if reader.boolean()? { Some(reader.rest()) } else { None };
        Ok(StoredZnode { stat, acl, data })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rookeeper_protocol::types::Zxid;

    #[test]
    fn znodes_read_back() {
        let mut decoder = Decoder::default();
        let mut record = BytesMut::new();
        let stat = StatPersisted { aversion: 3, ..StatPersisted::created(Zxid(7), 8, 9) };
        for acl in [vec![Acl::open()], vec![Acl::open(), Acl::read_only()], vec![], vec![Acl::open()]] {
            for data in [None, Some(&b""[..]), Some(&b"data"[..])] {
                let acl: AclList = acl.clone().into();
                encode(&ZnodeChange { path: "/a", data, acl: acl.clone(), stat }, &mut record);
                let (again, other) = (decoder.acl.as_ref() == Some(&acl), decoder.other_acl(&record).unwrap());
                assert_eq!(other, (!again).then(|| acl.clone()));
                let stored = decoder.decode(&record).unwrap();
                assert_eq!((stored.stat, stored.acl, stored.data), (stat, acl, data));
            }
        }
        decoder.decode(&record[..STAT_BYTES - 1]).map(|_| ()).unwrap_err();
        decoder.other_acl(&record[..STAT_BYTES - 1]).unwrap_err();
    }
}
