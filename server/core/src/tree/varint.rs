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
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> u64 {
    // All but the largest numbers, when eight bytes can be loaded: without a loop over their bytes.
    if let Some(chunk) = bytes.first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let len = ends.trailing_zeros() as usize / 8 + 1;
            *bytes = &bytes[len..];
            let word = word & (u64::MAX >> (64 - 8 * len));
            // Seven bits of each byte, moved together: first pairs, then fours, then all.
            let pairs = (word & 0x007F_007F_007F_007F) | ((word & 0x7F00_7F00_7F00_7F00) >> 1);
            let fours = (pairs & 0x0000_3FFF_0000_3FFF) | ((pairs & 0x3FFF_0000_3FFF_0000) >> 2);
            return (fours & 0x0FFF_FFFF) | ((fours & 0x0FFF_FFFF_0000_0000) >> 4);
        }
    }
    take_slowly(bytes)
}

fn take_slowly(bytes: &mut &[u8]) -> u64 {
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
        let lengths = (0..64).flat_map(|bits| [1 << bits, (1 << bits) - 1]);
        for value in lengths.chain([300, i64::MIN as u64, u64::MAX]) {
            // Alone, and with others behind it.
            for behind in [&[][..], &[0xFF; 9]] {
                let mut out = Vec::new();
                put(&mut out, value);
                out.extend_from_slice(behind);
                let mut bytes = &out[..];
                assert_eq!(take(&mut bytes), value);
                assert_eq!(bytes, behind);
            }
        }
    }
}
