//! What happened, as one number: two runs of the same seed must come to the same. On demand, line by line.

use std::fmt;
use std::io::Write;

use crate::clock::Micros;

/// The trace.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    shows: bool,
}

impl Trace {
    pub(crate) fn new(shows: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, events: 0, shows }
    }

    /// Something happened: when, what, to whom, and what tells it from others of its kind.
    pub(crate) fn note(&mut self, at: Micros, what: &'static str, who: i64, detail: u64) {
        self.events += 1;
        for byte in what.bytes() {
            self.mix(u64::from(byte));
        }
        [at as u64, who as u64, detail].into_iter().for_each(|number| self.mix(number));
        if self.shows {
            self.tell(at, format_args!("{what} {who} {detail:x}"));
        }
    }

    /// A line for a reader; it does not count.
    pub(crate) fn tell(&self, at: Micros, line: fmt::Arguments<'_>) {
        if self.shows {
            // Whoever closes the other end of a pipe wants to read no more.
            let _closed = writeln!(std::io::stdout().lock(), "{:>13.6} {line}", at as f64 / 1e6);
        }
    }

    pub(crate) fn shows(&self) -> bool {
        self.shows
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01B3).rotate_left(23);
    }

    /// Everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}

/// The same of bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for word in bytes.chunks(8) {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        hash = (hash ^ u64::from_le_bytes(padded)).wrapping_mul(0x0100_0000_01B3).rotate_left(29);
    }
    hash ^ bytes.len() as u64
}
