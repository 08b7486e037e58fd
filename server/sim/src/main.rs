//! Runs seeds, replays one, makes a failing one smaller, and measures.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use rookeeper_sim::{Options, Outcome, load, play, run};

/// Whole ensembles from one seed.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs seeds, until one fails.
    Run {
        /// The first and the one behind the last, as 0..100; without an end they go on until the time is over.
        #[arg(long, default_value = "0..")]
        seeds: Seeds,
        /// Simulated seconds in which faults strike.
        #[arg(long, default_value_t = 60)]
        seconds: i64,
        /// Real seconds after which no other seed is begun.
        #[arg(long)]
        minutes: Option<f64>,
        /// Goes on behind a seed that fails.
        #[arg(long)]
        all: bool,
    },
    /// Runs one seed and tells all that happens.
    Replay {
        /// The seed.
        seed: u64,
        /// Simulated seconds in which faults strike; as it was run.
        #[arg(long, default_value_t = 60)]
        seconds: i64,
        /// Faults to leave out, by their numbers.
        #[arg(long, value_delimiter = ',')]
        without: Vec<usize>,
        /// Only what came of it.
        #[arg(long)]
        quiet: bool,
    },
    /// Plays scenarios.
    Play {
        /// Files of scenarios.
        files: Vec<PathBuf>,
        /// Tells all that happens.
        #[arg(long)]
        shows: bool,
    },
    /// Measures: three members, clients, no faults.
    Speed {
        /// Simulated seconds.
        #[arg(long, default_value_t = 2000)]
        seconds: i64,
        /// Clients; without any the ensemble is idle.
        #[arg(long, default_value_t = 4)]
        clients: usize,
        /// Requests of each client in a second.
        #[arg(long, default_value_t = 5)]
        requests: i64,
    },
    /// Leaves out as many faults of a failing seed as it can while the seed still fails.
    Shrink {
        /// The seed.
        seed: u64,
        /// Simulated seconds in which faults strike; as it was run.
        #[arg(long, default_value_t = 60)]
        seconds: i64,
    },
}

/// A range of seeds.
#[derive(Debug, Clone, Copy)]
struct Seeds {
    from: u64,
    until: u64,
}

impl std::str::FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no seed"));
        match text.split_once("..") {
            Some((from, "")) => Ok(Self { from: number(from)?, until: u64::MAX }),
            Some((from, until)) => Ok(Self { from: number(from)?, until: number(until)? }),
            None => number(text).map(|from| Self { from, until: from.saturating_add(1) }),
        }
    }
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match Arguments::parse().command {
        Command::Run { seeds, seconds, minutes, all } => run_seeds(&mut out, seeds, seconds, minutes, all),
        Command::Replay { seed, seconds, without, quiet } => {
            drop(out);
            let options = Options { seconds, shows: !quiet, left_out: without.into_iter().collect() };
            replay(&mut io::stdout().lock(), seed, &options)
        }
        Command::Speed { seconds, clients, requests } => {
            let before = cpu_seconds();
            let answered = load(seconds, clients, requests);
            let took = cpu_seconds() - before;
            let rate = seconds as f64 / took;
            writeln!(
                out,
                "{seconds} simulated seconds with {answered} answers in {took:.2} s of one core: {rate:.0} for one"
            )
            .map(|()| true)
        }
        Command::Play { files, shows } => {
            drop(out);
            play_files(&files, shows)
        }
        Command::Shrink { seed, seconds } => shrink(&mut out, seed, seconds),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // Whoever closes the other end of a pipe wants to read no more.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// What this process has used of a core: other programs do not count.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn run_seeds(out: &mut impl Write, seeds: Seeds, seconds: i64, minutes: Option<f64>, all: bool) -> io::Result<bool> {
    let started = Instant::now();
    let limit = minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let (mut runs, mut failures, mut simulated_us, mut committed, mut answered) = (0, 0, 0, 0, 0);
    let mut seed = seeds.from;
    while seed < seeds.until && limit.is_none_or(|limit| started.elapsed() < limit) {
        let outcome = run(seed, &Options { seconds, ..Options::default() });
        runs += 1;
        simulated_us += outcome.simulated_us;
        committed += outcome.committed;
        answered += outcome.answered;
        if let Some(failed) = &outcome.failed {
            failures += 1;
            writeln!(out, "FAILED seed {seed}: {failed}")?;
            writeln!(out, "       replay with: rookeeper-sim replay {seed} --seconds {seconds}")?;
            if !all {
                break;
            }
        }
        seed += 1;
    }
    let took = started.elapsed().as_secs_f64();
    let simulated = simulated_us as f64 / 1e6;
    writeln!(
        out,
        "{} passed, {failures} failed: seeds from {} on, {simulated:.0} simulated seconds in {took:.1} s ({:.0} for one), {committed} transactions, {answered} answers",
        runs - failures,
        seeds.from,
        simulated / took
    )?;
    Ok(failures == 0)
}

fn replay(out: &mut impl Write, seed: u64, options: &Options) -> io::Result<bool> {
    let outcome = run(seed, options);
    writeln!(out, "the plan of seed {seed}:")?;
    for (number, planned) in outcome.plan.iter().enumerate() {
        let struck = if options.left_out.contains(&number) { " (left out)" } else { "" };
        writeln!(out, "{number:>4} {planned}{struck}")?;
    }
    tell(out, &outcome)?;
    Ok(outcome.failed.is_none())
}

fn tell(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let Outcome { hash, events, simulated_us, committed, answered, counts, .. } = outcome;
    writeln!(out, "{:.3} simulated seconds, {events} events, trace {hash:016x}", *simulated_us as f64 / 1e6)?;
    writeln!(out, "{committed} transactions, {answered} answers, {counts:?}")?;
    match &outcome.failed {
        Some(failed) => writeln!(out, "FAILED: {failed}"),
        None => writeln!(out, "no rule was broken"),
    }
}

/// Plays each scenario; what it shows comes before its outcome.
fn play_files(files: &[PathBuf], shows: bool) -> io::Result<bool> {
    let mut failures = 0;
    for file in files {
        let played = play(&std::fs::read_to_string(file)?, shows);
        let mut out = io::stdout().lock();
        match &played.failed {
            None => writeln!(out, "ok     {} ({})", file.display(), played.tickets.join(" "))?,
            Some(failed) => {
                failures += 1;
                writeln!(out, "FAILED {}: {failed}", file.display())?;
            }
        }
    }
    writeln!(io::stdout().lock(), "{} passed, {failures} failed: scenarios", files.len() - failures)?;
    Ok(failures == 0)
}

/// Leaves out halves of the faults, then quarters, and so on down to single ones, as long as the same rule is broken.
fn shrink(out: &mut impl Write, seed: u64, seconds: i64) -> io::Result<bool> {
    let outcome = run(seed, &Options { seconds, ..Options::default() });
    let Some(failed) = outcome.failed else {
        writeln!(out, "seed {seed} does not fail")?;
        return Ok(false);
    };
    let mut kept: Vec<usize> = (0..outcome.plan.len()).collect();
    let without =
        |kept: &[usize]| (0..outcome.plan.len()).filter(|number| !kept.contains(number)).collect::<BTreeSet<_>>();
    let fails = |kept: &[usize]| {
        let options = Options { seconds, left_out: without(kept), ..Options::default() };
        run(seed, &options).failed.is_some_and(|other| other.rule == failed.rule)
    };
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut begin = 0;
        while begin < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(begin..kept.len().min(begin + size));
            if fails(&fewer) {
                kept = fewer;
                writeln!(out, "{} faults are enough", kept.len())?;
            } else {
                begin += size;
            }
        }
        size /= 2;
    }
    writeln!(out, "seed {seed} fails with {} of {} faults: {failed}", kept.len(), outcome.plan.len())?;
    for number in &kept {
        if let Some(planned) = outcome.plan.get(*number) {
            writeln!(out, "{number:>4} {planned}")?;
        }
    }
    let without: Vec<String> = without(&kept).iter().map(ToString::to_string).collect();
    writeln!(out, "replay with: rookeeper-sim replay {seed} --seconds {seconds} --without {}", without.join(","))?;
    Ok(true)
}
