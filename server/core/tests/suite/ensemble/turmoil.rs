//! Servers die, come back and lose each other at random, while clients write. Nothing acknowledged is lost, and in the end
//! all are equal.

use rookeeper_core::peer::PeerRules;
use rookeeper_core::session::LocalSessions;
use rookeeper_core::watch::ConnId;

use super::cluster::Cluster;
use crate::wire::{Sent, persistent};

/// Seeds tried with usual rules; a third of them with each of the others.
const SEEDS: u64 = 60;

struct Writer {
    server: i64,
    conn: ConnId,
    path: String,
}

fn begin(cluster: &mut Cluster, number: u64) -> Option<Writer> {
    let server = 1 + cluster.random_below(3) as i64;
    let now_ms = cluster.now_ms;
    if cluster.cut_off.contains(&server) || !cluster.serves(server) {
        return None;
    }
    let conn = cluster.server(server).connect(now_ms, None, 30_000)?;
    Some(Writer { server, conn, path: format!("/w{number}") })
}

fn turmoil(seed: u64, tune: fn(&mut PeerRules)) {
    let mut cluster = Cluster::tuned(seed, 1, tune);
    for server in cluster.servers.values_mut() {
        server.disk.log_max = 12;
    }
    cluster.settle();
    let mut acknowledged = Vec::new();
    let mut writers: Vec<Writer> = Vec::new();
    for number in 0..120 {
        writers.extend(begin(&mut cluster, number));
        let steps = cluster.random_below(60) as i64;
        cluster.run(steps);
        writers.retain(|writer| {
            let (sent, lives) = cluster.server(writer.server).take(writer.conn);
            for sent in sent {
                match sent {
                    Sent::Connect(_) => cluster.send(writer.server, writer.conn, 1, &persistent(&writer.path)),
                    Sent::Reply { error: 0, .. } => acknowledged.push(writer.path.clone()),
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            lives
        });
        let victim = 1 + cluster.random_below(4) as i64;
        match cluster.random_below(12) {
            0 | 1 if cluster.servers[&victim].running.is_some() => cluster.crash(victim),
            2..=5 if cluster.servers[&victim].running.is_none() => cluster.start(victim),
            6 if cluster.cut_off.is_empty() => cluster.isolate(victim),
            7 | 8 => cluster.heal(),
            _ => {}
        }
    }
    cluster.heal();
    for id in 1..=4 {
        if cluster.servers[&id].running.is_none() {
            cluster.start(id);
        }
    }
    cluster.settle();
    cluster.assert_equal();
    for path in acknowledged {
        assert!(cluster.has(1, &path), "seed {seed}: {path} was acknowledged and is gone");
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_dies() {
    (0..SEEDS).for_each(|seed| turmoil(seed, |_| {}));
}

#[test]
fn nothing_acknowledged_is_lost_when_observers_learn_from_followers_and_sessions_are_local() {
    let tune = |rules: &mut PeerRules| {
        rules.observer_masters = true;
        rules.local_sessions = LocalSessions::Upgradable;
        rules.read_only_mode = true;
    };
    (0..SEEDS / 3).for_each(|seed| turmoil(1000 + seed, tune));
}

#[test]
fn nothing_acknowledged_is_lost_when_observers_write_nothing() {
    (0..SEEDS / 3).for_each(|seed| turmoil(2000 + seed, |rules| rules.zab.observer_sync = false));
}
