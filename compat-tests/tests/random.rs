//! Random scripts, compared step by step. A failure names its seed, and `ROOKEEPER_SEED=<seed>` plays that one alone.

use std::time::{SystemTime, UNIX_EPOCH};

use rookeeper_compat_tests::compare::{Shared, first_difference, report};
use rookeeper_compat_tests::random;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::Config;

static PLAIN: Shared = Shared::new(Config::default);
static EXTENDED: Shared = Shared::new(|| Config::default().key("extendedTypesEnabled", "true"));

/// Played every time.
const SEEDS: std::ops::Range<u64> = 1..11;

/// Pieces of work in a script.
const LENGTH: usize = 200;

/// How often a script that shows a difference is played again, to find the steps that matter.
const REPLAYS_MAX: usize = 60;

/// One seed's script on one pair.
struct Case<'p> {
    pair: &'p Shared,
    seed: u64,
    extended: bool,
    plays: usize,
}

impl Case<'_> {
    fn script(&self) -> Script {
        // Each play has znodes of its own, whose paths are equally long, so that the steps stay the same.
        random::script(&format!("seed{}_{:04}", self.seed, self.plays), self.seed, LENGTH, self.extended)
    }

    /// Plays these steps of the script. A report when the servers differ, with the step where they begin to.
    fn play(&mut self, kept: &[usize]) -> Option<(usize, String)> {
        let mut script = self.script();
        script.steps = kept.iter().map(|index| script.steps[*index].clone()).collect();
        self.plays += 1;
        match self.pair.with(|pair| pair.play(&script)) {
            Err(error) => Some((script.steps.len(), error)),
            Ok([reference, subject]) => {
                let step = first_difference(&reference, &subject)?;
                Some((step, report(&script, &reference, &subject).unwrap_or_default()))
            }
        }
    }

    /// Leaves out whatever is not needed for a difference, in ever smaller pieces.
    fn shrink(&mut self, mut kept: Vec<usize>, mut found: String) -> String {
        let mut piece = kept.len() / 2;
        while piece > 0 && self.plays < REPLAYS_MAX {
            let mut start = 0;
            while start < kept.len() && self.plays < REPLAYS_MAX {
                let rest: Vec<_> =
                    kept.iter().copied().enumerate().filter(|(at, _)| *at < start || *at >= start + piece).collect();
                let rest: Vec<_> = rest.into_iter().map(|(_, index)| index).collect();
                match self.play(&rest) {
                    Some((step, report)) => {
                        kept = rest;
                        kept.truncate(step + 1);
                        found = report;
                    }
                    None => start += piece,
                }
            }
            piece /= 2;
        }
        format!("{found}\nall that is left of it:\n{}", self.describe(&kept))
    }

    fn describe(&self, kept: &[usize]) -> String {
        let script = self.script();
        kept.iter().map(|index| format!("{}\n", script.steps[*index])).collect()
    }
}

fn compare(pair: &Shared, seed: u64, extended: bool) {
    eprintln!("seed {seed}");
    let mut case = Case { pair, seed, extended, plays: 0 };
    let all: Vec<_> = (0..case.script().steps.len()).collect();
    if let Some((step, first)) = case.play(&all) {
        let kept = all[..all.len().min(step + 1)].to_vec();
        let shrunk = case.shrink(kept, first.clone());
        panic!("ROOKEEPER_SEED={seed}: the shortest failing prefix is {} steps\n{first}\nshrunk: {shrunk}", step + 1);
    }
}

fn compare_all(pair: &Shared, extended: bool) {
    if let Ok(seed) = std::env::var("ROOKEEPER_SEED") {
        return compare(pair, seed.parse().expect("ROOKEEPER_SEED is not a number"), extended);
    }
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    for seed in SEEDS.chain([fresh]) {
        compare(pair, seed, extended);
    }
}

#[test]
fn random_scripts() {
    compare_all(&PLAIN, false);
}

#[test]
fn random_scripts_with_extended_types() {
    compare_all(&EXTENDED, true);
}
