//! One run: an ensemble from a seed, faults for a while, then none, and at the end all must be well.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_core::ensemble::EnsembleConfig;
use rookeeper_core::session::LocalSessions;
use rookeeper_core::tree::ReapRules;
use rookeeper_protocol::types::SessionId;

use crate::checks::{Failed, compare_members, ensure};
use crate::client::{Client, TTL_MS_MAX, Who, Workload};
use crate::clock::Micros;
use crate::cluster::{Cluster, FIRST_CLIENT};
use crate::member::{Reaping, Settings};
use crate::plan::{self, Plan, Planned};
use crate::random::Random;

/// Without faults at the beginning, so that there is something to lose.
const WARM_UP_US: Micros = 5_000_000;

/// Ticks that an ensemble has, once all faults are over, to be whole again: elections, initLimit, sessions that expire.
const RECOVERY_TICKS: i64 = 100;

/// The least that this is, in microseconds: elections have timers of their own, of a minute at most.
const RECOVERY_US_MIN: Micros = 180_000_000;

/// So many of a thousand ensembles have the read-only mode, and so many of a thousand clients of those can do with it.
const READ_ONLY_PERMILLE: u64 = 300;
const READERS_PERMILLE: u64 = 600;

/// How a run is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Seconds in which faults strike.
    pub seconds: i64,
    /// Whether all that happens is told.
    pub shows: bool,
    /// Faults of the plan that do not strike.
    pub left_out: BTreeSet<usize>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub failed: Option<Failed>,
    /// Everything that happened, as one number.
    pub hash: u64,
    /// How much happened.
    pub events: u64,
    /// Simulated microseconds.
    pub simulated_us: Micros,
    /// Transactions that were committed.
    pub committed: usize,
    /// Answers and events that clients got.
    pub answered: u64,
    /// What went on between the members, by kind.
    pub counts: BTreeMap<&'static str, u64>,
    /// The faults that were planned.
    pub plan: Vec<Planned>,
}

/// What an ensemble is like, by its seed.
struct Shape {
    roles: Vec<(i64, bool)>,
    clients: usize,
    pause_us: Micros,
    settings: Settings,
}

impl Shape {
    fn draw(random: &mut Random) -> Self {
        let voters = [3, 3, 3, 5][random.below(4) as usize];
        let observers = [0, 0, 1, 2][random.below(4) as usize];
        let settings = Settings {
            tick_ms: [100, 200, 500, 2000][random.below(4) as usize],
            commit_log_count: [5, 20, 100, 500][random.below(4) as usize],
            segment_bytes: [4 << 10, 8 << 10, 16 << 10, 64 << 10][random.below(4) as usize],
            force_snapshot: random.permille(50),
            snapshot_size_permille: if random.permille(300) { None } else { Some(330) },
            observer_masters: random.permille(300),
            observer_sync: !random.permille(200),
            first_counter: if random.permille(50) { u32::MAX - 300 } else { 0 },
            lazy_permille: [0, 0, 100, 500][random.below(4) as usize],
            local_sessions: [
                LocalSessions::Disabled,
                LocalSessions::Disabled,
                LocalSessions::Enabled,
                LocalSessions::Upgradable,
            ][random.below(4) as usize],
            acls: random.permille(500),
            reaping: Some(draw_reaping(random)),
            read_only_mode: random.fork(1).permille(READ_ONLY_PERMILLE),
            ..Settings::default()
        };
        Self {
            roles: (1..=voters + observers).map(|id| (id, id <= voters)).collect(),
            clients: random.between(2, 6) as usize,
            pause_us: [20_000, 60_000, 200_000, 600_000][random.below(4) as usize],
            settings,
        }
    }
}

fn draw_reaping(random: &mut Random) -> Reaping {
    Reaping {
        interval_ms: [500, 2_000, 10_000][random.below(3) as usize],
        pause_ms: [1, 20, 600][random.below(3) as usize],
        rules: ReapRules { never_used_ms_max: [0, 3_000][random.below(2) as usize] },
    }
}

/// Runs a seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut random = Random::new(seed);
    let shape = Shape::draw(&mut random.fork(1));
    let until = WARM_UP_US + options.seconds * 1_000_000;
    let members = shape.roles.len() as i64;
    let tick_ms = shape.settings.tick_ms;
    let mut plan = plan::draw(&mut random.fork(2), members, shape.clients, WARM_UP_US, until, tick_ms);
    if shape.settings.read_only_mode {
        plan::add_outages(&mut plan, &mut random.fork(4), members, WARM_UP_US, until);
    }
    let drawn = plan.faults.clone();
    let mut cluster = begin(&mut random, &shape, options.shows);
    cluster.plan = leave_out(plan, &options.left_out);
    cluster.schedule_plan();
    cluster.run(until);
    finish(&mut cluster, tick_ms);
    Outcome {
        failed: cluster.failed.clone(),
        hash: cluster.trace.hash(),
        events: cluster.trace.events(),
        simulated_us: cluster.now,
        committed: cluster.zab.ledger.len(),
        answered: cluster.clients.iter().map(|client| client.answered).sum(),
        counts: cluster.counts.clone(),
        plan: drawn,
    }
}

/// The plan without some of its faults; those that stay keep their numbers.
fn leave_out(mut plan: Plan, left_out: &BTreeSet<usize>) -> Plan {
    let mut number = 0;
    plan.faults.retain(|_| {
        number += 1;
        !left_out.contains(&(number - 1))
    });
    plan
}

fn begin(random: &mut Random, shape: &Shape, shows: bool) -> Cluster {
    let mut cluster = Cluster::new(random.fork(3).draw(), &shape.roles, &shape.settings, shows);
    for (id, _) in &shape.roles {
        cluster.start(*id);
    }
    let timeouts_ms = [shape.settings.tick_ms * 2, shape.settings.tick_ms * 8];
    for index in 0..shape.clients {
        let node = FIRST_CLIENT + index as i64;
        let workload = Workload { pause_us: shape.pause_us, rests: false };
        let timeout_ms = timeouts_ms[index % 2] as i32;
        let mut client = Client::new(node, random.fork(100 + index as u64), timeout_ms, Some(workload));
        if shape.settings.acls {
            // The first one can do everything, so that somebody can reconfigure.
            client.who = [Who::Super, Who::Alice, Who::Stranger, Who::Bob][index % 4];
        }
        let mut reads = random.fork(200 + index as u64);
        client.reads_only = shape.settings.read_only_mode && reads.permille(READERS_PERMILLE);
        cluster.add_client(client);
    }
    cluster
}

/// No fault any more: whoever belongs to the ensemble serves again, in a time that has a bound, and all are equal.
fn finish(cluster: &mut Cluster, tick_ms: i64) {
    cluster.end_all_faults();
    let bound = (RECOVERY_TICKS * tick_ms * 1000).max(RECOVERY_US_MIN);
    let whole = cluster.run_until(bound, is_whole);
    cluster.check(ensure(whole, "an ensemble without faults serves after a while", || describe(cluster)));
    // Whatever clients want then is done.
    let before: Vec<u64> = cluster.clients.iter().map(|client| client.answered).collect();
    let served = cluster.run_until(bound, |cluster| {
        cluster.clients.iter().zip(&before).all(|(client, before)| client.answered > before + 3 && !client.is_shown)
    });
    cluster.check(ensure(served, "clients are served after a while", || describe(cluster)));
    for client in &mut cluster.clients {
        if let Some(workload) = &mut client.workload {
            workload.rests = true;
        }
    }
    // What has a time to live has outlived it then, unless a wall clock was set back; of what is due nothing stays.
    cluster.run(TTL_MS_MAX * 1000);
    let reaped = cluster.run_until(bound, Cluster::has_nothing_due);
    cluster.check(ensure(reaped, "what is due goes after a while", || describe(cluster)));
    let settled = settle(cluster, bound);
    cluster.check(settled);
}

/// Whatever was asked is answered in time, and then all members are equal.
pub(crate) fn settle(cluster: &mut Cluster, bound: Micros) -> Result<(), Failed> {
    let rested = cluster.run_until(bound, is_at_rest);
    if let Some(failed) = &cluster.failed {
        return Err(failed.clone());
    }
    ensure(rested, "what was asked is answered, and all members have it", || describe(cluster))?;
    compare(cluster)
}

/// Three members as they are without a configuration, but with fewer records in memory, since all of them are looked at after
/// each step; so many clients with so many requests a second each, and no
/// faults: how much happens in so many seconds is for the caller to measure. Tells how many answers clients got.
pub fn load(seconds: i64, clients: usize, requests_per_second: i64) -> u64 {
    let mut random = Random::new(1);
    let shape = Shape {
        roles: vec![(1, true), (2, true), (3, true)],
        clients,
        pause_us: 1_000_000 / requests_per_second.max(1),
        settings: Settings { commit_log_count: 100, ..Settings::default() },
    };
    let mut cluster = begin(&mut random, &shape, false);
    cluster.run(seconds * 1_000_000);
    cluster.clients.iter().map(|client| client.answered).sum()
}

/// Who is in the list that the leader has.
fn belonging(cluster: &Cluster) -> Option<Vec<i64>> {
    let process = cluster.members.get(&cluster.leader()?)?.process.as_ref()?;
    Some(process.peer.zab().membership.active().members.keys().map(|id| id.0).collect())
}

fn is_whole(cluster: &Cluster) -> bool {
    belonging(cluster).is_some_and(|ids| ids.into_iter().all(|id| cluster.serves(id)))
}

fn is_at_rest(cluster: &Cluster) -> bool {
    let last = cluster.zab.ledger.last_zxid();
    let is_there = |id: &i64| {
        let process = cluster.members.get(id).and_then(|member| member.process.as_ref());
        process.is_some_and(|process| process.tree.last_zxid() == last && process.peer.zab().last_logged() == last)
    };
    cluster.clients.iter().all(|client| client.is_open && !client.is_shown && client.pending.is_empty())
        && is_whole(cluster)
        && belonging(cluster).is_some_and(|ids| ids.iter().all(is_there))
}

fn compare(cluster: &Cluster) -> Result<(), Failed> {
    for id in belonging(cluster).unwrap_or_default() {
        let Some(process) = cluster.members.get(&id).and_then(|member| member.process.as_ref()) else { continue };
        let sessions: BTreeMap<SessionId, i32> = process.peer.pipeline().sessions.committed().collect();
        compare_members(id, &process.tree, &sessions, &cluster.zab.ledger)?;
        ensure(
            process.tree.digest_mismatches() == 0,
            "every transaction leaves the tree that it was made for",
            || format!("server {id}"),
        )?;
    }
    Ok(())
}

/// How things stand, for whoever wants to know why nothing goes on.
pub(crate) fn describe(cluster: &Cluster) -> String {
    let member = |(id, process): (i64, &crate::member::Process)| {
        let (zxid, epochs) = (process.peer.zab().last_logged(), process.peer.epochs());
        let membership = &process.peer.zab().membership;
        let list = |config: &EnsembleConfig| {
            let voters: Vec<i64> = config.participants().map(|voter| voter.id.0).collect();
            format!("{voters:?} of {:x}", config.version)
        };
        let (active, seen) = (list(membership.active()), list(membership.last_seen()));
        let serves = match (process.serves, process.shows) {
            (true, _) => ", serves",
            (_, true) => ", shows",
            _ => "",
        };
        format!("{id} {:?}{serves} at {zxid}, {epochs:?}, {active} vote, seen {seen}", process.role)
    };
    let members: Vec<String> = cluster.running().map(member).collect();
    let waiting =
        cluster.clients.iter().filter(|client| !client.is_open || client.is_shown || !client.pending.is_empty());
    let waiting: Vec<String> = waiting
        .map(|client| format!("{} at {} ({} under way)", client.node, client.server, client.pending.len()))
        .collect();
    format!("leader {:?}; {}; clients that wait: {}", cluster.leader(), members.join("; "), waiting.join(", "))
}
