//! Running one work per engine in its own thread, with progress, and measuring what all of it used.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::args::Observed;
use crate::engine::{Engine, Limits, Work};
use crate::error::BenchError;
use crate::process::{ServerUsage, own_cpu};
use crate::progress::Progress;
use crate::tally::Tally;

/// What a measured run gave.
pub(crate) struct Measured {
    /// What all engines counted.
    pub(crate) tally: Tally,
    /// Processor time of this process meanwhile.
    pub(crate) own_cpu: Duration,
    /// What the servers used meanwhile, if their processes are known.
    pub(crate) server: Option<ServerUsage>,
}

/// Runs `works[i]` on `engines[i]`, all at once, and prints the progress of `what` unless it is `None`.
pub(crate) fn measure<W: Work + Send>(
    engines: &mut [Engine],
    works: &mut [W],
    limits: Limits,
    what: Option<&str>,
    observed: Option<&Observed>,
) -> Result<Measured, BenchError> {
    let progress = if what.is_some() { Progress::printed() } else { Progress::silent() };
    let usage = || observed.map_or(Ok(None), Observed::usage);
    let (before, own_before) = (usage()?, own_cpu());
    let results = thread::scope(|scope| {
        let (over, all_over) = channel::<()>();
        let running: Vec<_> = engines
            .iter_mut()
            .zip(works)
            .map(|(engine, work)| {
                let (over, progress) = (over.clone(), &progress);
                scope.spawn(move || {
                    // Timers of an open loop are otherwise up to 50 us late. Without the permission, they stay so.
                    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
                    let result = engine.run(work, limits, progress);
                    drop(over);
                    result
                })
            })
            .collect();
        drop(over);
        progress.print_until(what.unwrap_or_default(), &all_over);
        // A panic in an engine is a defect of this tool; it goes on here.
        let join = |handle: thread::ScopedJoinHandle<'_, _>| {
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().map(join).collect::<Vec<_>>()
    });
    let (after, own_cpu) = (usage()?, own_cpu().saturating_sub(own_before));
    let mut tallies = results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut tally = tallies.next().unwrap_or_else(|| Tally::new(0));
    tallies.for_each(|other| tally.add(&other));
    let server = before.zip(after).map(|(before, after)| after.since(&before, tally.replies));
    Ok(Measured { tally, own_cpu, server })
}
