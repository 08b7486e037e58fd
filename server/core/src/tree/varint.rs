//! Numbers in as few bytes as they need: seven bits a byte, lowest first (LEB128).

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `bytes`. The bytes are our own, so that an end inside a number reads as
/// the number so far.
pub(super) fn take(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if *byte < 0x80 || shift == 63 {
            break;
        }
        shift += 7;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), i64::MIN as u64, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, value);
            let mut bytes = &out[..];
            assert_eq!(take(&mut bytes), value);
            assert!(bytes.is_empty());
        }
    }
}
