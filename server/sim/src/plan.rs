//! Which faults strike when, drawn from the seed before anything happens: so that one can be left out and all the others
//! stay what they were.

use std::collections::BTreeSet;
use std::fmt;

use rookeeper_storage::fs::CrashLuck;

use crate::clock::Micros;
use crate::random::Random;

/// The mean pause between two outages, in microseconds.
const OUTAGE_PAUSE_US: Micros = 10_000_000;

/// The longest that others go on without one that is cut off, before they die, in microseconds.
const OUTAGE_LAG_US_MAX: Micros = 3_000_000;

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Machines die, and come back when the fault ends.
    Crash(Vec<i64>, Luck),
    /// A process is killed; its machine goes on.
    Kill(i64),
    /// A server is told to stop.
    Stop(i64),
    /// Nothing goes these ways.
    Cut(Vec<(i64, i64)>),
    /// These ways are slow: so many microseconds at least and at most.
    Slow(Vec<(i64, i64)>, Micros, Micros),
    /// A process stands still.
    Pause(i64),
    /// A clock gains so many microseconds in a second.
    Drift(i64, i64),
    /// A wall clock is set, by so many milliseconds.
    Jump(i64, i64),
    /// A flush fails after so many others.
    FailedFlush(i64, u64),
    /// A write fails after so many others.
    FailedWrite(i64, u64),
    /// A disk has room for so many bytes more.
    FullDisk(i64, u64),
    /// A member loses its disk, if all others have what is on it.
    Wipe(i64),
    /// A member leaves the list.
    Leave(i64),
    /// A member comes into the list, with a vote or without.
    Join(i64, bool),
    /// A client says nothing for a while.
    Sleep(usize),
}

/// What survives of what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Nothing.
    Forget,
    /// Everything.
    Keep,
    /// Any part of it, drawn from this number.
    Draw(u64),
}

impl From<Luck> for CrashLuck {
    fn from(luck: Luck) -> Self {
        match luck {
            Luck::Forget => Self::Forget,
            Luck::Keep => Self::Keep,
            Luck::Draw(seed) => Self::Seed(seed),
        }
    }
}

/// A fault and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, in true microseconds.
    pub at: Micros,
    /// How long it lasts, in microseconds.
    pub lasts: Micros,
    /// What it is.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} s, for {:>7.3} s: {:?}", self.at as f64 / 1e6, self.lasts as f64 / 1e6, self.fault)
    }
}

/// All faults of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// In the order of their beginnings.
    pub(crate) faults: Vec<Planned>,
    /// Those that last at present.
    pub(crate) lasting: BTreeSet<usize>,
}

/// What kinds of faults a run has: each run has its own mixture, so that rare things meet.
#[derive(Debug, Clone, Copy)]
struct Mixture {
    weights: [u64; 14],
    /// The mean pause between two faults, in microseconds.
    pause_us: Micros,
}

impl Mixture {
    fn draw(random: &mut Random) -> Self {
        let mut weights = [10, 4, 3, 8, 4, 4, 2, 2, 3, 2, 2, 2, 3, 2];
        for weight in &mut weights {
            match random.below(4) {
                0 => *weight = 0,
                1 => *weight *= 4,
                _ => {}
            }
        }
        Self { weights, pause_us: [700_000, 2_000_000, 5_000_000, 15_000_000][random.below(4) as usize] }
    }
}

/// Draws the faults of a run for members `1..=members` and so many clients, between two times.
pub(crate) fn draw(
    random: &mut Random,
    members: i64,
    clients: usize,
    from: Micros,
    until: Micros,
    tick_ms: i64,
) -> Plan {
    let mixture = Mixture::draw(random);
    let mut plan = Plan::default();
    let mut at = from;
    loop {
        at += random.between(1, 2 * mixture.pause_us);
        if at >= until {
            return plan;
        }
        // Some faults are over before anybody notices, some outlast every timeout.
        let short = random.between(1_000, 300_000);
        let long = random.between(tick_ms * 1000, tick_ms * 25_000);
        let lasts = if random.permille(500) { short } else { long };
        let mut draws = Random::new(random.draw());
        if let Some(fault) = one(&mut draws, &mixture, members, clients) {
            plan.faults.push(Planned { at, lasts, fault });
        }
    }
}

/// One server is alone for long enough to become read-only, since the others die or are out of reach. Often it dies too, and
/// comes back before them. These faults come on top of the others, and the last of them strike shortly before the end.
pub(crate) fn add_outages(plan: &mut Plan, random: &mut Random, members: i64, from: Micros, until: Micros) {
    let mut at = from;
    loop {
        at += random.between(OUTAGE_PAUSE_US / 4, 2 * OUTAGE_PAUSE_US);
        let is_last = at >= until;
        if is_last {
            at = (until - random.between(OUTAGE_LAG_US_MAX, OUTAGE_PAUSE_US)).max(from);
        }
        let alone = random.between(1, members);
        let others: Vec<i64> = (1..=members).filter(|id| *id != alone).collect();
        let dark_us = random.between(50_000, 1_000_000);
        let alone_us = dark_us + random.between(1_000_000, 8_000_000);
        // What the others do until they die is missing on one that was cut off before.
        let lag_us = random.between(0, OUTAGE_LAG_US_MAX);
        let mut add = |at, lasts, fault| plan.faults.push(Planned { at, lasts, fault });
        let (is_cut_off, dies) = (random.permille(600), random.permille(500));
        if is_cut_off {
            let ways = others.iter().flat_map(|other| [(alone, *other), (*other, alone)]).collect();
            add(at, alone_us + random.between(0, 8_000_000), Fault::Cut(ways));
        }
        if dies {
            add(at, dark_us, Fault::Crash(vec![alone], luck(random)));
        }
        if !is_cut_off || random.permille(500) {
            add(at + lag_us, alone_us, Fault::Crash(others, luck(random)));
        }
        if is_last {
            break;
        }
    }
    plan.faults.sort_by_key(|planned| planned.at);
}

fn one(random: &mut Random, mixture: &Mixture, members: i64, clients: usize) -> Option<Fault> {
    let mut drawn = random.below(mixture.weights.iter().sum());
    let kind = mixture.weights.iter().position(|weight| {
        let is_it = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        is_it
    })?;
    let member = random.between(1, members);
    Some(match kind {
        0 => Fault::Crash(some(random, members), luck(random)),
        1 => Fault::Kill(member),
        2 => Fault::Stop(member),
        3 => Fault::Cut(ways(random, members)),
        4 => {
            let max = random.between(2_000, 400_000);
            Fault::Slow(ways(random, members), max / 4, max)
        }
        5 => Fault::Pause(member),
        6 => Fault::Drift(member, random.between(-50_000, 50_000)),
        7 => Fault::Jump(member, random.between(-3_600_000, 3_600_000)),
        8 => Fault::FailedFlush(member, random.below(20)),
        9 => Fault::FailedWrite(member, random.below(20)),
        10 => Fault::FullDisk(member, random.below(20_000)),
        11 => Fault::Wipe(member),
        12 if random.permille(500) => Fault::Leave(member),
        12 => Fault::Join(member, random.permille(700)),
        _ => Fault::Sleep(random.below(clients as u64) as usize),
    })
}

fn luck(random: &mut Random) -> Luck {
    match random.below(4) {
        0 => Luck::Forget,
        1 => Luck::Keep,
        _ => Luck::Draw(random.draw()),
    }
}

/// Some of the members, at least one; now and then all.
fn some(random: &mut Random, members: i64) -> Vec<i64> {
    let share = [200, 200, 500, 1000][random.below(4) as usize];
    let mut some: Vec<i64> = (1..=members).filter(|_| random.permille(share)).collect();
    if some.is_empty() {
        some.push(random.between(1, members));
    }
    some
}

/// Routes: around one member, between two groups, in a ring where nobody sees all, or any at all; in both directions or one.
fn ways(random: &mut Random, members: i64) -> Vec<(i64, i64)> {
    let pairs = (1..=members).flat_map(|from| (1..=members).map(move |to| (from, to))).filter(|(from, to)| from != to);
    let (one, group) = (random.between(1, members), some(random, members));
    let (shape, direction) = (random.below(4), random.below(4));
    let (odds, kept) = (random.between(100, 600) as u64, random.below(2) == 0);
    let mut drawn = random.fork(1);
    let between = |from: i64, to: i64| match direction {
        0 => from < to,
        1 => from > to,
        _ => true,
    };
    pairs
        .filter(|(from, to)| match shape {
            0 if direction == 0 => *from == one,
            0 if direction == 1 => *to == one,
            0 => *from == one || *to == one,
            1 if direction < 2 => group.contains(from) && group.contains(to) != kept,
            1 => group.contains(from) != group.contains(to),
            2 => (*from - *to).rem_euclid(members) > 1 && (*to - *from).rem_euclid(members) > 1 && between(*from, *to),
            _ => drawn.permille(odds),
        })
        .collect()
}
