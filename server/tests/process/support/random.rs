//! Random choices that can be repeated.

/// A generator (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// A generator with the seed of `ROOKEEPER_SEED`, or another one in each process; prints it.
    pub(crate) fn new() -> Self {
        let given = std::env::var("ROOKEEPER_SEED").ok();
        let seed =
            given.map_or(u64::from(std::process::id()), |seed| seed.parse().expect("ROOKEEPER_SEED is no number"));
        eprintln!("ROOKEEPER_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Another generator that goes its own way.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
