//! Servers die, come back and lose each other at random, while clients write. Nothing acknowledged is lost, and in the end
//! all are equal.

use rookeeper_core::peer::PeerRules;
use rookeeper_core::session::LocalSessions;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::types::OpCode;

use super::cluster::Cluster;
use super::server::{Running, Server};
use crate::wire::{Sent, bare, ephemeral, persistent};

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

/// Clients with local sessions make ephemeral znodes, leave or die, and so do servers. In the end there are no clients, and
/// nothing of them is left.
fn haunted(seed: u64) {
    let mut cluster = Cluster::tuned(seed, 1, |rules| {
        rules.observer_masters = true;
        rules.local_sessions = LocalSessions::Upgradable;
        rules.read_only_mode = true;
    });
    cluster.settle();
    let mut owned = 0;
    for number in 0..80 {
        let server = 1 + cluster.random_below(4) as i64;
        let now_ms = cluster.now_ms;
        let running = cluster.servers[&server].running.as_ref();
        let session = running.and_then(|running| running.peer.pipeline().sessions.iter().next()).map(|(id, _)| id);
        // Some come back to sessions that others began.
        let session = session.filter(|_| number % 4 == 0);
        if let Some(conn) = cluster.server(server).connect(now_ms, session, 2000) {
            let pause_ms = cluster.random_below(10) as i64;
            cluster.run(pause_ms);
            cluster.send(server, conn, 1, &ephemeral(&format!("/e{number}")));
            match number % 3 {
                0 => cluster.send(server, conn, 2, &bare(OpCode::CloseSession)),
                1 => cluster.hang_up(server, conn),
                _ => {}
            }
        }
        let steps = cluster.random_below(300) as i64;
        cluster.run(steps);
        let count = |server: &Server| server.running.as_ref().map_or(0, |running| running.tree.ephemeral_count());
        owned = owned.max(cluster.servers.values().map(count).max().unwrap());
        let victim = 1 + cluster.random_below(4) as i64;
        match cluster.random_below(10) {
            0 if cluster.servers[&victim].running.is_some() => cluster.crash(victim),
            1..=4 if cluster.servers[&victim].running.is_none() => cluster.start(victim),
            5 if cluster.cut_off.is_empty() => cluster.isolate(victim),
            6..=8 => cluster.heal(),
            _ => {}
        }
    }
    assert!(owned > 0, "seed {seed}: nothing happened");
    cluster.heal();
    for id in 1..=4 {
        if cluster.servers[&id].running.is_none() {
            cluster.start(id);
        }
    }
    cluster.settle();
    cluster.run(10_000);
    cluster.assert_equal();
    for (id, server) in &cluster.servers {
        let Running { tree, peer, .. } = server.running.as_ref().unwrap();
        let (sessions, local) = (&peer.pipeline().sessions, &peer.pipeline().local_sessions);
        let left = (tree.ephemeral_count(), sessions.committed().count(), local.len());
        assert_eq!(left, (0, 0, 0), "seed {seed}: znodes, sessions and local sessions on {id}");
    }
}

#[test]
fn nothing_is_left_of_sessions_that_are_over_whatever_dies() {
    (0..SEEDS / 2).for_each(|seed| haunted(3000 + seed));
}
