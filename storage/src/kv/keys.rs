//! Key spaces of the image.
//!
//! ```text
//! 00 name            meta of this package: "format", "store", "zxid"
//! 01 name            blobs of the caller (digest, epochs): name as given
//! 02 id              sessions: id, 8 bytes, big-endian, as unsigned
//! 03 path            znodes: path with each slash as a zero byte
//! ```
//!
//! A slash becomes the smallest byte so that a scan walks the tree depth first: a znode, then everything under it, then
//! its next sibling. With the slash itself `/a-b` would stand between `/a` and `/a/b`. No path holds a zero byte (Java's
//! PathUtils refuses it), so nothing is lost.

use std::ops::Range;

pub(crate) const META: u8 = 0;
pub(crate) const BLOB: u8 = 1;
pub(crate) const SESSION: u8 = 2;
pub(crate) const ZNODE: u8 = 3;

/// The whole of a key space.
pub(crate) fn space(of: u8) -> Range<[u8; 1]> {
    [of]..[of + 1]
}

/// A key of a named value.
pub(crate) fn named(space: u8, name: &str) -> Vec<u8> {
    let mut key = vec![space];
    key.extend_from_slice(name.as_bytes());
    key
}

/// Appends the key of a session.
pub(crate) fn push_session(out: &mut Vec<u8>, id: i64) {
    out.push(SESSION);
    out.extend_from_slice(&(id as u64).to_be_bytes());
}

/// The session of a key without its first byte.
pub(crate) fn session(key: &[u8]) -> Option<i64> {
    Some(u64::from_be_bytes(key.try_into().ok()?) as i64)
}

/// Whether a path can be a key.
pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.as_bytes().contains(&0)
}

/// Appends the key of a znode, whose path [`is_path`] has let through.
pub(crate) fn push_znode(out: &mut Vec<u8>, path: &str) {
    out.push(ZNODE);
    out.extend(path.bytes().map(|byte| if byte == b'/' { 0 } else { byte }));
}

/// The path of a key without its first byte, written into `out`.
pub(crate) fn znode<'o>(key: &[u8], out: &'o mut Vec<u8>) -> Option<&'o str> {
    out.clear();
    out.extend(key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }));
    let path = std::str::from_utf8(out).ok()?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(path: &str) -> Vec<u8> {
        let mut key = Vec::new();
        push_znode(&mut key, path);
        key
    }

    #[test]
    fn keys_walk_the_tree_depth_first() {
        let mut paths = ["/b", "/a/b", "/", "/a-b", "/a/b/c", "/a", "/a-b/x", "/ä", "/a\u{1}"];
        paths.sort_by_key(|path| key(path));
        assert_eq!(paths, ["/", "/a", "/a/b", "/a/b/c", "/a\u{1}", "/a-b", "/a-b/x", "/b", "/ä"]);
    }

    #[test]
    fn paths_and_sessions_come_back() {
        let mut out = Vec::new();
        for path in ["/", "/a", "/zookeeper/quota/x y", "/ä/🦀"] {
            assert_eq!(znode(&key(path)[1..], &mut out), Some(path));
        }
        for id in [0, 1, -1, i64::MIN, i64::MAX] {
            let mut key = Vec::new();
            push_session(&mut key, id);
            assert_eq!(session(&key[1..]), Some(id));
        }
        assert_eq!(znode(b"x", &mut out), None);
        assert_eq!(znode(&[0, 0xff], &mut out), None);
        assert_eq!(session(b"short"), None);
    }

    #[test]
    fn refuses_what_is_no_path() {
        assert!(is_path("/") && is_path("/a"));
        assert!(!is_path("") && !is_path("a") && !is_path("/a\0b"));
    }
}
