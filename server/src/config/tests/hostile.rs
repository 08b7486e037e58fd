//! Whatever stands in a file, reading it ends in a value or in an error.

use rookeeper_core::ensemble::Member;
use rookeeper_protocol::properties;
use rookeeper_protocol::types::ServerId;

use crate::config::keys;

/// A small generator (xorshift) with a fixed seed, so that a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Text made of the pieces that mean something, and of any bytes between them.
    fn text(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 20] = [
            b"=",
            b":",
            b" ",
            b"\\",
            b"\\u",
            b"00e4",
            b"\n",
            b"\r",
            b"#",
            b"!",
            b"server.1",
            b"[",
            b"]",
            b"|",
            b";",
            b"0x",
            b"-",
            b"+",
            b"\xff",
            b"\0",
        ];
        let mut text = Vec::new();
        for _ in 0..self.below(40) {
            match self.below(4) {
                0 => text.push(self.below(256) as u8),
                _ => text.extend_from_slice(PIECES[self.below(PIECES.len())]),
            }
        }
        text
    }
}

#[test]
fn any_bytes_are_survived() {
    let mut random = Random(0x5eed);
    let (mut entries, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let bytes = random.text();
        match properties::parse_latin1(&bytes) {
            Ok(read) => {
                let lines = bytes.split(|&byte| byte == b'\n' || byte == b'\r').count();
                assert!(read.iter().all(|entry| (1..=lines).contains(&entry.line)), "{bytes:?}");
                entries += read.len();
            }
            Err(bad) => {
                assert!(bad.line >= 1);
                refused += 1;
            }
        }
        let text: String = bytes.iter().map(|&byte| byte as char).collect();
        if let Ok(server) = Member::parse(ServerId(1), &text, true) {
            assert!(!server.addresses.is_empty(), "{text:?}");
        }
        for key in keys::all() {
            key.kind.judge(&text);
        }
    }
    assert!(entries > 1000 && refused > 1000, "{entries} entries, {refused} refusals");
}
