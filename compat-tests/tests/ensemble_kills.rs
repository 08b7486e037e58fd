//! Members of an ensemble are killed, paused, wiped, run out of disk, while histories are recorded: nothing that was
//! acknowledged is lost, and what clients saw is linearizable.
//!
//! With `COMPAT_SUBJECT=java` the members are Apache ZooKeeper.

use std::time::Instant;

use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::history::Recording;
use rookeeper_compat_tests::load::Load;
use rookeeper_compat_tests::request::{make, set};
use rookeeper_compat_tests::rng::Rng;
use rookeeper_compat_tests::server::{Kind, PATIENCE};

/// Leaders killed in a row.
const KILLS: usize = 100;

/// Kills, the first ones, behind which histories are judged. Clients that ask all the time make each kill take twice as long.
const KILLS_RECORDED: usize = 25;

/// Kills of Apache ZooKeeper, whose starts and elections take seconds: enough to prove the test.
const KILLS_OF_JAVA: usize = 5;

/// Faults of a run with recorded histories.
const FAULTS: usize = 12;

/// Operations that clients are answered during a fault, and after it.
const OPERATIONS: u64 = 60;

/// The same during one of many kills: a few of each client's.
const OPERATIONS_OF_KILLS: u64 = 30;

/// Steps of the load between two kills.
const STEPS: u64 = 20;

/// A disk that is full after a second of writing.
const SMALL_DISK_MEGABYTES: u32 = 6;

/// The same disk, with room.
const LARGER_DISK_MEGABYTES: u32 = 200;

/// A member that so often in a row does not say that it serves does not serve.
const SILENT: usize = 5;

/// Data that fill a small disk soon.
const LARGE_BYTES: usize = 100_000;

fn ok<T>(what: &str, result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn seed() -> u64 {
    let seed = std::env::var("ROOKEEPER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    eprintln!("ROOKEEPER_SEED={seed}");
    seed
}

#[test]
fn leaders_are_killed_in_a_row() {
    let kind = subject_kind();
    let kills = std::env::var("ROOKEEPER_LEADER_KILLS").map_or_else(
        |_| if kind == Kind::Java { KILLS_OF_JAVA } else { KILLS },
        |kills| kills.parse().expect("ROOKEEPER_LEADER_KILLS is not a number"),
    );
    let seed = seed();
    let mut ensemble = ok("start", Ensemble::start(&[kind; 3]));
    let load = ok("load", Load::start(&ensemble.addresses()));
    let mut recording = Some(ok("clients", Recording::start(&ensemble, seed)));
    let mut answered = 0;
    let mut leader = ok("leader", ensemble.settle());
    for kill in 1..=kills {
        let what = format!("kill {kill}, of member {leader}");
        ensemble.kill(leader);
        let next = ok(&what, ensemble.settle());
        assert_ne!(next, leader, "{what}");
        ok(&what, load.progress(STEPS));
        if let Some(recording) = &recording {
            ok(&what, recording.progress(OPERATIONS_OF_KILLS));
        }
        ok(&what, ensemble.launch(leader));
        leader = ok(&what, ensemble.settle());
        let rest = load.at_rest();
        for address in ensemble.addresses() {
            ok(&what, load.check(address));
        }
        drop(rest);
        if let Some(recording) = recording.take_if(|_| kill >= KILLS_RECORDED.min(kills)) {
            answered = ok(&format!("histories, seed {seed}"), recording.end());
        }
    }
    let rest = load.at_rest();
    let znodes = ok("at the end", ensemble.compare_after_load(&ensemble.ids()));
    drop(rest);
    eprintln!("{kills} leaders killed, {} steps, {answered} operations, {znodes} znodes", load.steps());
    ok("the load", load.end());
}

/// What happens to members in a run with recorded histories; each fault is over before the next one.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// SIGKILL, and a start.
    Kill,
    /// SIGTERM, and a start.
    Terminate,
    /// SIGSTOP until the others have gone on.
    Pause,
    /// SIGTERM, all data removed, and a start.
    Wipe,
    /// SIGKILL of everyone at the same time, and a start.
    KillAll,
}

const ALL_FAULTS: [Fault; 5] = [Fault::Kill, Fault::Terminate, Fault::Pause, Fault::Wipe, Fault::KillAll];

/// Does it to a member, waits until clients are served during the fault and behind it.
fn strike(ensemble: &mut Ensemble, recording: &Recording, fault: Fault, victims: &[u8]) -> Result<(), String> {
    match fault {
        Fault::KillAll => {
            ensemble.ids().into_iter().for_each(|id| ensemble.kill(id));
            ensemble.launch_all()?;
        }
        _ => {
            for id in victims {
                match fault {
                    Fault::Kill => ensemble.kill(*id),
                    Fault::Pause => ensemble.pause(*id)?,
                    _ => drop(ensemble.terminate(*id)?),
                }
            }
            ensemble.settle()?;
            recording.progress(OPERATIONS)?;
            for id in victims {
                match fault {
                    Fault::Pause => ensemble.resume(*id)?,
                    Fault::Wipe => ensemble.wipe(*id).and_then(|()| ensemble.launch(*id))?,
                    _ => ensemble.launch(*id)?,
                }
            }
        }
    }
    ensemble.settle()?;
    recording.progress(OPERATIONS)
}

/// `victims_max` members at a time, the leader among them every other time.
fn faults(members: usize, victims_max: usize) {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let mut ensemble = ok("start", Ensemble::start(&vec![subject_kind(); members]));
    let recording = ok("clients", Recording::start(&ensemble, seed));
    ok("at first", recording.progress(OPERATIONS));
    for round in 0..FAULTS {
        let fault = *rng.pick(&ALL_FAULTS);
        let leader = ok("leader", ensemble.settle());
        // A wiped member has forgotten what it has acknowledged: never more than one, and not while others are down.
        let count = if matches!(fault, Fault::Wipe) { 1 } else { 1 + rng.below(victims_max) };
        let mut victims: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
        let first = rng.below(victims.len());
        victims.rotate_left(first);
        if rng.one_in(2) {
            victims.insert(0, leader);
        }
        victims.truncate(count);
        let what = format!("fault {round}: {fault:?} of {victims:?}, seed {seed}");
        eprintln!("{what}");
        ok(&what, strike(&mut ensemble, &recording, fault, &victims));
    }
    let answered = ok(&format!("histories, seed {seed}"), recording.end());
    ok("at the end", ensemble.compare_after_load(&ensemble.ids()));
    eprintln!("{FAULTS} faults, {answered} operations answered");
}

#[test]
fn three_members_are_hit() {
    faults(3, 1);
}

#[test]
fn five_members_are_hit_two_at_a_time() {
    faults(5, 2);
}

/// A member whose disk is full serves nobody instead of acknowledging what it cannot keep; the others go on, and with more room
/// it comes back.
fn full_disk(victim: u8) {
    let kinds = [(subject_kind(), Role::Participant); 3];
    // An image now and then, so that it is among what does not fit.
    let config = usual().key("snapCount", "100").key("preAllocSize", "64");
    let mut ensemble = ok("start", Ensemble::prepare_with(&kinds, &config, None));
    ok("disk", ensemble.limit_disk(victim, SMALL_DISK_MEGABYTES));
    ok("launch", ensemble.launch_all());
    // The highest number leads.
    ok("leader", ensemble.settle());
    let load = ok("load", Load::start(&ensemble.addresses()));
    let seed = seed();
    let recording = ok("clients", Recording::start(&ensemble, seed));
    let mut client = ok("client", Client::open(&ensemble.addresses(), 40_000));
    ok("a znode", client.insist(&make("/large", "")));
    let end = Instant::now() + PATIENCE;
    // Apache ZooKeeper may go on looking for a leader, over and over, and serves nobody.
    let mut silent = 0;
    while ensemble.is_running(victim) && silent < SILENT {
        silent = if ensemble.mode(victim).is_none() { silent + 1 } else { 0 };
        assert!(Instant::now() < end, "{}", ensemble.server(victim).broken("serves from a full disk"));
        ok("a write", client.insist(&set("/large", Some(&[b'x'; LARGE_BYTES]), -1)));
    }
    ensemble.kill(victim);
    ok("the others", ensemble.settle());
    ok("the others", load.progress(STEPS));
    ok("the others", recording.progress(OPERATIONS));
    ok("disk", ensemble.resize_disk(victim, LARGER_DISK_MEGABYTES));
    ok("launch", ensemble.launch(victim));
    ok("the member is back", ensemble.settle());
    ok("the member is back", recording.progress(OPERATIONS));
    ok(&format!("histories, seed {seed}"), recording.end());
    let rest = load.at_rest();
    for address in ensemble.addresses() {
        ok("all is there", load.check(address));
    }
    ok("all is there", ensemble.compare_after_load(&ensemble.ids()));
    drop(rest);
    ok("the load", load.end());
}

#[test]
fn a_followers_disk_is_full() {
    full_disk(1);
}

#[test]
fn the_leaders_disk_is_full() {
    full_disk(3);
}
