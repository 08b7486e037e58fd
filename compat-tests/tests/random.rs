//! Random scripts, compared step by step. A failure names its seed, and `ROOKEEPER_SEED=<seed>` plays that one alone.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use rookeeper_compat_tests::compare::{Shared, first_difference, report};
use rookeeper_compat_tests::random;
use rookeeper_compat_tests::script::{Script, Step};
use rookeeper_compat_tests::server::Config;

static PLAIN: Shared = Shared::new(Config::default);
static EXTENDED: Shared = Shared::new(|| Config::default().key("extendedTypesEnabled", "true"));

/// Played every time.
const SEEDS: Range<u64> = 1..11;

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
    fn play(&mut self, kept: &[Range<usize>]) -> Option<(usize, String)> {
        let mut script = self.script();
        script.steps = kept.iter().flat_map(|unit| script.steps[unit.clone()].to_vec()).collect();
        self.plays += 1;
        match self.pair.with(|pair| pair.play(&script)) {
            Err(error) => Some((script.steps.len(), error)),
            Ok([reference, subject]) => {
                let step = first_difference(&reference, &subject)?;
                Some((step, report(&script, &reference, &subject).unwrap_or_default()))
            }
        }
    }

    /// The steps, with those that open a connection in one piece.
    fn units(&self) -> Vec<Range<usize>> {
        let steps = self.script().steps;
        let mut units = Vec::new();
        let mut start = 0;
        while start < steps.len() {
            // Open, connect request, answer.
            let end = if matches!(steps[start], Step::Open(_)) { start + 3 } else { start + 1 };
            units.push(start..end);
            start = end;
        }
        units
    }

    /// Leaves out whatever is not needed for a difference, in ever smaller pieces.
    fn shrink(&mut self, mut kept: Vec<Range<usize>>, mut found: String) -> String {
        let mut piece = kept.len() / 2;
        while piece > 0 && self.plays < REPLAYS_MAX {
            let mut start = 0;
            while start < kept.len() && self.plays < REPLAYS_MAX {
                let end = (start + piece).min(kept.len());
                let rest = [&kept[..start], &kept[end..]].concat();
                match self.play(&rest) {
                    Some((step, report)) => {
                        kept = up_to(&rest, step);
                        found = report;
                    }
                    None => start += piece,
                }
            }
            piece /= 2;
        }
        let script = self.script();
        let left = kept.into_iter().flatten().map(|index| format!("{}\n", script.steps[index]));
        format!("{found}\nall that is left of it:\n{}", left.collect::<String>())
    }
}

/// The units up to the one with this step.
fn up_to(units: &[Range<usize>], step: usize) -> Vec<Range<usize>> {
    let mut steps = 0;
    let before = units.iter().take_while(|unit| {
        steps += unit.len();
        steps <= step
    });
    let count = before.count();
    units[..units.len().min(count + 1)].to_vec()
}

fn compare(pair: &Shared, seed: u64, extended: bool) {
    eprintln!("seed {seed}");
    let mut case = Case { pair, seed, extended, plays: 0 };
    let all = case.units();
    if let Some((step, first)) = case.play(&all) {
        let shrunk = case.shrink(up_to(&all, step), first.clone());
        panic!("ROOKEEPER_SEED={seed}: the shortest failing prefix is {} steps\n{first}\nshrunk: {shrunk}", step + 1);
    }
}

fn compare_all(pair: &Shared, extended: bool) {
    if let Ok(seed) = std::env::var("ROOKEEPER_SEED") {
        return compare(pair, seed.parse().expect("ROOKEEPER_SEED is not a number"), extended);
    }
    let fresh =
        std::env::var("ROOKEEPER_SEEDS").map_or(1, |count| count.parse().expect("ROOKEEPER_SEEDS is not a number"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    for seed in SEEDS.chain(now..now + fresh) {
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
