//! Whether the checks find what they are for: mistakes that are made on purpose, each within a bounded number of seeds.
#![cfg(feature = "planted")]

use rookeeper_sim::{Mistake, Options, plant, run};

/// Seeds in which each mistake is found at the latest, of runs of this many seconds. README.md has how many it took.
const SEEDS_MAX: u64 = 60;
const SECONDS: i64 = 30;

#[test]
fn every_mistake_is_found() {
    let mut missed = Vec::new();
    let mut table = String::new();
    // Two leaders at a time and a client that asks the old one meet in one of many hundred seeds: a scenario finds it.
    for mistake in Mistake::ALL.into_iter().filter(|mistake| *mistake != Mistake::SyncUnasked) {
        plant(Some(mistake));
        let found = (0..SEEDS_MAX).find_map(|seed| {
            let options = Options { seconds: SECONDS, ..Options::default() };
            run(seed, &options).failed.map(|failed| (seed + 1, failed.rule))
        });
        match found {
            Some((seeds, rule)) => table.push_str(&format!("| {mistake:?} | {seeds} | {rule} |\n")),
            None => missed.push(mistake),
        }
    }
    plant(None);
    assert!(missed.is_empty(), "not found: {missed:?}; found:\n{table}");
    let readme = include_str!("../README.md");
    let untold: Vec<_> =
        Mistake::ALL.into_iter().filter(|mistake| !readme.contains(&format!("| {mistake:?} |"))).collect();
    assert!(untold.is_empty(), "README.md lacks {untold:?}; found:\n{table}");
}
