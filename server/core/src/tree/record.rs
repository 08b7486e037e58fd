//! A znode in one allocation.
//!
//! A million znodes must fit into little memory, so that name, data and stat share one boxed slice without
//! spare room, and numbers take as many bytes as they need. What most znodes do not have costs nothing: a
//! znode that was never changed stores neither mzxid nor mtime nor version, one whose ACL was never changed
//! no aversion, one that nobody owns no owner. What changes with children (pzxid, cversion) lives with the
//! children, see [`Family`](super::arena::Family), so that a child's creation does not rewrite its parent.
//!
//! ```text
//! flags  1 byte
//! czxid  varint            ctime  varint           acl  varint
//! [mzxid - czxid, mtime - ctime, version  varints]   if CHANGED
//! [aversion  varint]       if ACL_CHANGED
//! [owner  8 bytes]         if OWNED
//! name length  varint      name      data (all the rest)
//! ```

use rookeeper_protocol::types::{StatPersisted, Zxid};

use super::varint;
use crate::acl::AclId;

const DATA_NULL: u8 = 1;
const CHANGED: u8 = 2;
const ACL_CHANGED: u8 = 4;
const OWNED: u8 = 8;

/// Everything about a znode but its place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) name: &'a str,
    pub(super) data: Option<&'a [u8]>,
    pub(super) acl: AclId,
    /// pzxid and cversion are not stored here; they read as czxid and zero.
    pub(super) stat: StatPersisted,
}

/// Packs a znode.
pub(super) fn encode(fields: &Fields<'_>) -> Box<[u8]> {
    let stat = &fields.stat;
    let changed = stat.mzxid != stat.czxid || stat.mtime != stat.ctime || stat.version != 0;
    let mut flags = 0;
    let mut set = |condition, bit| flags |= if condition { bit } else { 0 };
    set(fields.data.is_none(), DATA_NULL);
    set(changed, CHANGED);
    set(stat.aversion != 0, ACL_CHANGED);
    set(stat.ephemeral_owner != 0, OWNED);
    let data = fields.data.unwrap_or_default();
    let mut out = Vec::with_capacity(48 + fields.name.len() + data.len());
    out.push(flags);
    varint::put(&mut out, stat.czxid.0 as u64);
    varint::put(&mut out, stat.ctime as u64);
    varint::put(&mut out, u64::from(fields.acl.0));
    if changed {
        varint::put(&mut out, stat.mzxid.0.wrapping_sub(stat.czxid.0) as u64);
        varint::put(&mut out, stat.mtime.wrapping_sub(stat.ctime) as u64);
        varint::put(&mut out, u64::from(stat.version as u32));
    }
    if stat.aversion != 0 {
        varint::put(&mut out, u64::from(stat.aversion as u32));
    }
    if stat.ephemeral_owner != 0 {
        out.extend_from_slice(&stat.ephemeral_owner.to_be_bytes());
    }
    varint::put(&mut out, fields.name.len() as u64);
    out.extend_from_slice(fields.name.as_bytes());
    out.extend_from_slice(data);
    out.into_boxed_slice()
}

/// Unpacks a znode.
pub(super) fn decode(record: &[u8]) -> Fields<'_> {
    let (flags, mut rest) = record.split_first().map_or((DATA_NULL, record), |(flags, rest)| (*flags, rest));
    let czxid = Zxid(varint::take(&mut rest) as i64);
    let ctime = varint::take(&mut rest) as i64;
    let acl = AclId(varint::take(&mut rest) as u32);
    let mut stat = StatPersisted::created(czxid, ctime, 0);
    if flags & CHANGED != 0 {
        stat.mzxid = Zxid(czxid.0.wrapping_add(varint::take(&mut rest) as i64));
        stat.mtime = ctime.wrapping_add(varint::take(&mut rest) as i64);
        stat.version = varint::take(&mut rest) as u32 as i32;
    }
    if flags & ACL_CHANGED != 0 {
        stat.aversion = varint::take(&mut rest) as u32 as i32;
    }
    if flags & OWNED != 0
        && let Some((owner, after)) = rest.split_first_chunk::<8>()
    {
        stat.ephemeral_owner = i64::from_be_bytes(*owner);
        rest = after;
    }
    let name_len = varint::take(&mut rest) as usize;
    let (name, data) = rest.split_at(name_len.min(rest.len()));
    Fields {
        name: std::str::from_utf8(name).unwrap_or_default(),
        data: (flags & DATA_NULL == 0).then_some(data),
        acl,
        stat,
    }
}

/// The name alone, as bytes: what a lookup compares.
pub(super) fn name_bytes(record: &[u8]) -> &[u8] {
    let (flags, mut rest) = record.split_first().map_or((0, record), |(flags, rest)| (*flags, rest));
    let numbers = 3 + if flags & CHANGED != 0 { 3 } else { 0 } + usize::from(flags & ACL_CHANGED != 0);
    for _ in 0..numbers {
        varint::take(&mut rest);
    }
    if flags & OWNED != 0 {
        rest = rest.get(8..).unwrap_or_default();
    }
    let name_len = varint::take(&mut rest) as usize;
    rest.get(..name_len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn znodes_read_back() {
        let plain = StatPersisted::created(Zxid(0x1_0000_0001), 1_700_000_000_000, 0);
        let worn =
            StatPersisted { mzxid: Zxid(-5), mtime: 3, version: -1, aversion: 7, ephemeral_owner: i64::MIN, ..plain };
        for stat in [plain, worn, StatPersisted::default()] {
            for data in [None, Some(&b""[..]), Some(&b"data"[..])] {
                let fields = Fields { name: "näme", data, acl: AclId(300), stat };
                let record = encode(&fields);
                assert_eq!(decode(&record), fields);
                assert_eq!(name_bytes(&record), "näme".as_bytes());
            }
        }
    }

    #[test]
    fn an_ordinary_znode_adds_little_to_name_and_data() {
        let stat = StatPersisted::created(Zxid(1_000_000), 1_763_000_000_000, 0);
        let record = encode(&Fields { name: "n0000001", data: Some(&[0; 100]), acl: AclId(1), stat });
        assert!(record.len() <= 108 + 13, "{}", record.len());
    }
}
