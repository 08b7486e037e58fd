//! Numbers by hash: where the arena finds znodes by the hash of their path.
//!
//! An entry is 32 bits of hash and a number, side by side in one run of memory. The hash decides the place, by
//! its share of the whole range, so that entries stand in the order of their hashes: a search that meets a
//! greater hash is over, and growing is one walk from end to end that looks at no znode. A table that has to ask
//! for hashes again spends a tenth of the time of a million creations on it.

/// An entry's bits: hash above, number and one below; zero is no entry.
const EMPTY: u64 = 0;

/// Places of the smallest index.
const SPREAD_MIN: usize = 16;

/// Numbers by hash. Different numbers may have the same hash; the caller tells them apart.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Runs near the end may be longer than what hashes are spread over.
    entries: Vec<u64>,
    /// Places that hashes are spread over.
    spread: usize,
    len: usize,
}

fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn number_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

impl Index {
    /// The first place where an entry may stand.
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.spread as u64) >> 32) as usize
    }

    /// The place of the entry with this hash that `is_it` accepts.
    fn position(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<usize> {
        let home = self.home(hash);
        let run = self.entries.get(home..)?.iter().take_while(|entry| **entry != EMPTY && hash_of(**entry) <= hash);
        let mut candidates = run.enumerate().filter(|(_, entry)| hash_of(**entry) == hash);
        candidates.find(|(_, entry)| is_it(number_of(**entry))).map(|(offset, _)| home + offset)
    }

    /// The number with this hash that `is_it` accepts.
    pub(super) fn find(&self, hash: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.position(hash, is_it).map(|position| number_of(self.entries[position]))
    }

    /// Adds a number below `u32::MAX` that is not there yet.
    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        // Four fifths full at most: runs stay short.
        if (self.len + 1) * 5 > self.spread * 4 {
            self.grow();
        }
        self.len += 1;
        let mut entry = u64::from(hash) << 32 | (u64::from(number) + 1);
        // The others of the run move up by one.
        let home = self.home(hash);
        for place in self.entries.iter_mut().skip(home) {
            if *place == EMPTY {
                *place = entry;
                return;
            }
            if hash_of(*place) > hash_of(entry) {
                std::mem::swap(place, &mut entry);
            }
        }
        self.push(entry);
    }

    /// Adds a place behind the last one; room for more of them would be wasted.
    fn push(&mut self, entry: u64) {
        self.entries.reserve_exact(1);
        self.entries.push(entry);
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let Some(mut position) = self.position(hash, |other| other == number) else { return };
        // Those behind it that are not at home move down by one.
        while let Some(next) = self.entries.get(position + 1).copied() {
            if next == EMPTY || self.home(hash_of(next)) > position {
                break;
            }
            self.entries[position] = next;
            position += 1;
        }
        self.entries[position] = EMPTY;
        self.len -= 1;
    }

    fn grow(&mut self) {
        self.spread = (self.spread + self.spread / 3).max(SPREAD_MIN);
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; self.spread]);
        let mut free = 0;
        for entry in old.into_iter().filter(|entry| *entry != EMPTY) {
            let position = free.max(self.home(hash_of(entry)));
            match self.entries.get_mut(position) {
                Some(place) => *place = entry,
                None => self.push(entry),
            }
            free = position + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Numbers that look random, always the same.
    fn scatter(number: u32) -> u32 {
        number.wrapping_mul(0x9E37_79B9).rotate_left(13).wrapping_mul(0x85EB_CA6B)
    }

    fn check(index: &Index, expected: &BTreeMap<u32, u32>) {
        assert_eq!(index.len, expected.len());
        for (number, hash) in expected {
            assert_eq!(index.find(*hash, |found| found == *number), Some(*number));
        }
    }

    #[test]
    fn numbers_are_found_until_they_are_taken_out() {
        // Scattered hashes, all the same, all at the upper end, a handful of different ones.
        let spreads: [fn(u32) -> u32; 4] =
            [scatter, |_| 7, |number| u32::MAX - number % 3, |number| scatter(number % 5)];
        for spread in spreads {
            let (mut index, mut expected) = (Index::default(), BTreeMap::new());
            for number in 0..600 {
                index.insert(spread(number), number);
                expected.insert(number, spread(number));
                if number % 3 == 2 {
                    let gone = scatter(number) % number;
                    index.remove(spread(gone), gone);
                    expected.remove(&gone);
                }
                assert_eq!(index.find(spread(number), |_| false), None);
            }
            check(&index, &expected);
            for number in 0..600 {
                index.remove(spread(number), number);
                expected.remove(&number);
                check(&index, &expected);
            }
            assert!(index.entries.iter().all(|entry| *entry == EMPTY));
        }
    }

    #[test]
    fn a_number_costs_about_twelve_bytes() {
        let mut index = Index::default();
        for number in 0..4000 {
            index.insert(scatter(number), number);
            assert!(number < 100 || index.entries.len() * 8 <= (number as usize + 1) * 14);
        }
    }
}
