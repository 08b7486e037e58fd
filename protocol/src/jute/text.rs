//! Strings the way Java sees them: UTF-16 inside, a peculiar UTF-8 outside.
//!
//! Java decodes a ustring with `new String(bytes, UTF_8)` and encodes it one UTF-16 unit at a time, so
//! that a character outside the basic plane goes out as two three-byte surrogates. A Rust `str` cannot
//! hold lone surrogates, but neither can anything that Java's decoder returned.

use std::borrow::Cow;

use byteorder::{BigEndian, ByteOrder};
use bytes::{BufMut, BytesMut};

/// Decodes as Java's `new String(bytes, UTF_8)`: what is not UTF-8 becomes U+FFFD.
///
/// Java and Rust agree on how many replacement characters a broken sequence yields, with one exception:
/// an encoded surrogate (`ED A0..BF xx`) is one replacement in Java and three in Rust.
pub fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode_broken(bytes)),
    }
}

fn decode_broken(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text;
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(good));
                text.push('\u{FFFD}');
                let skipped = match bad {
                    [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
                    _ => error.error_len().unwrap_or(bad.len()),
                };
                bytes = &bad[skipped..];
            }
        }
    }
}

/// The length in bytes of `text` in Java's encoding.
pub fn text_len(text: &str) -> usize {
    // Only four-byte sequences differ: they become two surrogates of three bytes each.
    text.len() + 2 * text.bytes().filter(|byte| *byte >= 0xF0).count()
}

/// Appends `text` (without its length) in the encoding of Java's `BinaryOutputArchive`.
pub fn write_text(out: &mut BytesMut, text: &str) {
    if text.bytes().all(|byte| byte < 0xF0) {
        out.put_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        let mut units = [0u16; 2];
        for unit in character.encode_utf16(&mut units) {
            write_unit(out, *unit);
        }
    }
}

fn write_unit(out: &mut BytesMut, unit: u16) {
    let low = |shift: u16| 0x80 | ((unit >> shift) & 0x3F) as u8;
    match unit {
        0..0x80 => out.put_u8(unit as u8),
        0x80..0x800 => out.put_slice(&[0xC0 | (unit >> 6) as u8, low(0)]),
        _ => out.put_slice(&[0xE0 | (unit >> 12) as u8, low(6), low(0)]),
    }
}

/// Reads a big-endian `i32` from the first four bytes of `bytes`.
pub(super) fn read_i32(bytes: &[u8]) -> i32 {
    BigEndian::read_i32(bytes)
}

/// Reads a big-endian `i64` from the first eight bytes of `bytes`.
pub(super) fn read_i64(bytes: &[u8]) -> i64 {
    BigEndian::read_i64(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        write_text(&mut out, text);
        assert_eq!(out.len(), text_len(text));
        out.to_vec()
    }

    #[test]
    fn supplementary_characters_go_out_as_two_surrogates() {
        assert_eq!(encoded("a\u{1F600}é"), [b'a', 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80, 0xC3, 0xA9]);
    }

    #[test]
    fn broken_text_is_replaced_as_java_does() {
        assert_eq!(decode_text(b"ok"), "ok");
        assert_eq!(decode_text(&[b'a', 0xFF, b'b']), "a\u{FFFD}b");
        assert_eq!(decode_text(&[0xED, 0xA0, 0xBD, b'b']), "\u{FFFD}b");
        assert_eq!(decode_text(&[0xE2, 0x82]), "\u{FFFD}");
        assert_eq!(decode_text(&[0xC0, 0x80]), "\u{FFFD}\u{FFFD}");
        assert_eq!(decode_text(&[0xF0, 0x9F, 0x98]), "\u{FFFD}");
    }
}
