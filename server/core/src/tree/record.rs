//! A znode in one allocation.
//!
//! A million znodes must fit into little memory, so that name, data and stat share one boxed slice without
//! spare room, and numbers take as many bytes as they need. What most znodes do not have costs nothing: a
//! znode that was never changed stores neither mzxid nor mtime nor version, one whose ACL was never changed
//! no aversion, one that nobody owns no owner. What changes with children (pzxid, cversion) lives with the
//! children, see [`Family`](super::arena::Family), so that a child's creation does not rewrite its parent.
//!
//! The digest is stored as well: a change needs the old one, and computing it again would cost more than all the
//! rest. The name stands in front, where a lookup finds it at once.
//!
//! ```text
//! flags  1 byte            digest  4 bytes
//! name length  varint      name
//! czxid  varint            ctime  varint           acl  varint
//! [mzxid - czxid, mtime - ctime, version  varints]   if CHANGED
//! [aversion  varint]       if ACL_CHANGED
//! [owner  8 bytes]         if OWNED
//! data  (all the rest)
//! ```

use rookeeper_protocol::types::{StatPersisted, Zxid};

use super::varint;
use crate::acl::AclId;

const DATA_NULL: u8 = 1;
const CHANGED: u8 = 2;
const ACL_CHANGED: u8 = 4;
const OWNED: u8 = 8;

/// Where the name begins, its length in front.
const NAME_AT: usize = 5;

/// Everything about a znode but its place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// Its part in the tree's digest, a CRC-32.
    pub(super) digest: u32,
    /// UTF-8.
    pub(super) name: &'a [u8],
    pub(super) data: Option<&'a [u8]>,
    pub(super) acl: AclId,
    /// pzxid and cversion are not stored here; they read as czxid and zero.
    pub(super) stat: StatPersisted,
}

/// Packs a znode into `out`, whatever was there before.
pub(super) fn encode(out: &mut Vec<u8>, fields: &Fields<'_>) {
    let stat = &fields.stat;
    let changed = stat.mzxid != stat.czxid || stat.mtime != stat.ctime || stat.version != 0;
    let mut flags = 0;
    let mut set = |condition, bit| flags |= if condition { bit } else { 0 };
    set(fields.data.is_none(), DATA_NULL);
    set(changed, CHANGED);
    set(stat.aversion != 0, ACL_CHANGED);
    set(stat.ephemeral_owner != 0, OWNED);
    out.clear();
    out.push(flags);
    out.extend_from_slice(&fields.digest.to_ne_bytes());
    varint::put(out, fields.name.len() as u64);
    out.extend_from_slice(fields.name);
    varint::put(out, stat.czxid.0 as u64);
    varint::put(out, stat.ctime as u64);
    varint::put(out, u64::from(fields.acl.0));
    if changed {
        varint::put(out, stat.mzxid.0.wrapping_sub(stat.czxid.0) as u64);
        varint::put(out, stat.mtime.wrapping_sub(stat.ctime) as u64);
        varint::put(out, u64::from(stat.version as u32));
    }
    if stat.aversion != 0 {
        varint::put(out, u64::from(stat.aversion as u32));
    }
    if stat.ephemeral_owner != 0 {
        out.extend_from_slice(&stat.ephemeral_owner.to_be_bytes());
    }
    out.extend_from_slice(fields.data.unwrap_or_default());
}

/// Unpacks a znode.
pub(super) fn decode(record: &[u8]) -> Fields<'_> {
    let flags = record.first().copied().unwrap_or(DATA_NULL);
    let (name, mut rest) = split_name(record);
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
    Fields { digest: digest(record), name, data: (flags & DATA_NULL == 0).then_some(rest), acl, stat }
}

/// The name, and what comes behind it.
fn split_name(record: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = record.get(NAME_AT..).unwrap_or_default();
    let name_len = varint::take(&mut rest) as usize;
    rest.split_at(name_len.min(rest.len()))
}

/// The name alone: what a lookup compares.
pub(super) fn name(record: &[u8]) -> &[u8] {
    split_name(record).0
}

/// The stored digest.
pub(super) fn digest(record: &[u8]) -> u32 {
    record.get(1..).and_then(<[u8]>::first_chunk).map_or(0, |digest| u32::from_ne_bytes(*digest))
}

/// Stores another digest.
pub(super) fn set_digest(record: &mut [u8], digest: u32) {
    if let Some(place) = record.get_mut(1..NAME_AT) {
        place.copy_from_slice(&digest.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn znodes_read_back() {
        let plain = StatPersisted::created(Zxid(0x1_0000_0001), 1_700_000_000_000, 0);
        let worn =
            StatPersisted { mzxid: Zxid(-5), mtime: 3, version: -1, aversion: 7, ephemeral_owner: i64::MIN, ..plain };
        let mut record = Vec::new();
        for stat in [plain, worn, StatPersisted::default()] {
            for data in [None, Some(&b""[..]), Some(&b"data"[..])] {
                let fields = Fields { digest: 0x8765_4321, name: "näme".as_bytes(), data, acl: AclId(300), stat };
                encode(&mut record, &fields);
                assert_eq!(decode(&record), fields);
                assert_eq!(name(&record), "näme".as_bytes());
                set_digest(&mut record, 7);
                assert_eq!(decode(&record), Fields { digest: 7, ..fields });
            }
        }
    }

    #[test]
    fn an_ordinary_znode_adds_little_to_name_and_data() {
        let stat = StatPersisted::created(Zxid(1_000_000), 1_763_000_000_000, 0);
        let mut record = Vec::new();
        encode(&mut record, &Fields { digest: 1, name: b"n0000001", data: Some(&[0; 100]), acl: AclId(1), stat });
        assert!(record.len() <= 108 + 17, "{}", record.len());
    }
}
