//! kill -9 at random moments under load: everything acknowledged is there, nothing is half there, and nobody notices
//! more than a lost connection.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use rookeeper_protocol::client::{EventType, SetWatchesRequest};
use rookeeper_protocol::types::CreateMode;

use crate::support::process::{Process, configuration};
use crate::support::random::Random;
use crate::support::{Client, Folder, PATIENCE, Server, ask};

/// Kills in an ordinary run.
const CYCLES: usize = 8;

/// Writers at the same time, and requests that each has on their way.
const WRITERS: usize = 4;
const DEPTH: usize = 16;

/// A server lives so long under load, at most; a start that is interrupted as well, so long.
const LIFE_MS_MAX: u64 = 250;
const START_MS_MAX: u64 = 40;

/// Steps that a writer keeps; a multi that makes one more deletes the oldest.
const STEPS_KEPT: u64 = 20;

/// What one writer has written. Its multis write their number into two znodes, make a third with the number as its
/// name and delete an old one: half of that would show.
#[derive(Debug, Default, Clone)]
struct Written {
    counter: u64,
    step: u64,
    entries: BTreeSet<String>,
}

enum Write {
    Counter,
    Step,
    Entry(String),
}

/// Writes until the connection is lost: what was acknowledged, what was sent, the newest zxid.
fn write(address: SocketAddr, home: &str, from: &Written, mut random: Random) -> (Written, Written, i64) {
    let (mut known, mut sent) = (from.clone(), from.clone());
    let Ok(mut client) = Client::connect(address) else { return (known, sent, 0) };
    let mut waiting = VecDeque::new();
    let mut out = BytesMut::new();
    loop {
        while waiting.len() < DEPTH {
            let (request, write) = match random.below(3) {
                0 => {
                    sent.counter += 1;
                    (ask::set(&format!("{home}/counter"), sent.counter.to_string().as_bytes()), Write::Counter)
                }
                1 => {
                    sent.step += 1;
                    (step(home, sent.step), Write::Step)
                }
                _ => {
                    let name = format!("{:016x}", random.next());
                    sent.entries.insert(name.clone());
                    let path = format!("{home}/entries/{name}");
                    (ask::create(&path, &[b'x'; 100], CreateMode::Persistent), Write::Entry(name))
                }
            };
            waiting.push_back((client.queue(&request, &mut out), write));
        }
        // After the end of the server what came back before still counts.
        let _ = client.send(&out.split());
        let Ok(reply) = client.reply(PATIENCE) else { return (known, sent, client.zxid) };
        let (xid, write) = waiting.pop_front().expect("a reply that nobody asked for");
        assert_eq!((reply.xid, reply.error), (xid, 0), "{home}");
        assert_eq!(reply.zxid, client.zxid, "{home}: the zxid goes back");
        match write {
            Write::Counter => known.counter += 1,
            Write::Step => known.step += 1,
            Write::Entry(name) => _ = known.entries.insert(name),
        }
    }
}

fn step(home: &str, number: u64) -> ask::Ask {
    let text = number.to_string();
    let mut parts = vec![
        ask::set(&format!("{home}/left"), text.as_bytes()),
        ask::create(&format!("{home}/steps/{number}"), b"", CreateMode::Persistent),
        ask::set(&format!("{home}/right"), text.as_bytes()),
    ];
    if number > STEPS_KEPT {
        parts.push(ask::delete(&format!("{home}/steps/{}", number - STEPS_KEPT)));
    }
    ask::multi(&parts)
}

fn number(client: &mut Client, path: &str) -> u64 {
    let (data, _) = client.get(path).unwrap_or_else(|| panic!("{path} is gone"));
    std::str::from_utf8(&data).unwrap().parse().unwrap()
}

/// Compares what is there with what may be there; what it is.
fn check(client: &mut Client, home: &str, known: &Written, sent: &Written) -> Written {
    let counter = number(client, &format!("{home}/counter"));
    assert!((known.counter..=sent.counter).contains(&counter), "{home}: {counter}, {known:?}, {sent:?}");
    let step = number(client, &format!("{home}/left"));
    assert!((known.step..=sent.step).contains(&step), "{home}: step {step}, {known:?}, {sent:?}");
    assert_eq!(number(client, &format!("{home}/right")), step, "{home}: half a multi");
    let steps: BTreeSet<_> = client.children(&format!("{home}/steps")).into_iter().collect();
    let expected: BTreeSet<_> = (step.saturating_sub(STEPS_KEPT) + 1..=step).map(|step| step.to_string()).collect();
    assert_eq!(steps, expected, "{home}: half a multi");
    let entries: BTreeSet<_> = client.children(&format!("{home}/entries")).into_iter().collect();
    let lost: Vec<_> = known.entries.difference(&entries).collect();
    assert!(lost.is_empty(), "{home}: acknowledged and gone: {lost:?}");
    assert!(entries.is_subset(&sent.entries), "{home}: nobody has sent these");
    Written { counter, step, entries }
}

/// Changes something under each kind of watch while the one who watches is away.
fn change_what_is_watched(client: &mut Client, cycle: usize) {
    client.must(&ask::set("/watched/data", cycle.to_string().as_bytes()));
    client.create(&format!("/watched/new-{cycle}"), b"");
    client.create(&format!("/watched/parent/{cycle}"), b"");
    client.must(&ask::delete(&format!("/watched/old-{cycle}")));
}

/// The one who watches is back: exactly what it has missed is told, the rest when it happens.
fn check_watches(watcher: &mut Client, control: &mut Client, cycle: usize, seen: i64) {
    let (new, old) = (format!("/watched/new-{cycle}"), format!("/watched/old-{cycle}"));
    let request = SetWatchesRequest {
        relative_zxid: seen,
        data: vec!["/watched/data".into(), old.as_str().into(), "/watched/quiet".into()],
        exist: vec![new.as_str().into(), "/watched/never".into()],
        child: vec!["/watched/parent".into(), "/watched/quiet".into()],
        ..SetWatchesRequest::default()
    };
    watcher.must(&ask::set_watches(&request));
    let told: BTreeSet<_> = watcher.events.drain(..).map(|event| (event.event_type, event.path)).collect();
    let missed = [
        (EventType::NodeDataChanged as i32, "/watched/data".to_owned()),
        (EventType::NodeDeleted as i32, old),
        (EventType::NodeCreated as i32, new),
        (EventType::NodeChildrenChanged as i32, "/watched/parent".to_owned()),
    ];
    assert_eq!(told, BTreeSet::from(missed), "what was missed");
    control.must(&ask::set("/watched/quiet", b"loud"));
    let event = watcher.event();
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeDataChanged as i32, "/watched/quiet"));
}

fn cycles() -> usize {
    let given = std::env::var("ROOKEEPER_CRASH_CYCLES").ok();
    given.map_or(CYCLES, |cycles| cycles.parse().expect("ROOKEEPER_CRASH_CYCLES is no number"))
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_done() {
    let cycles = cycles();
    let mut random = Random::new();
    let folder = Folder::new();
    // Small segments and frequent images, so that kills fall into their changes, too.
    let keys = [("snapCount", "500"), ("preAllocSize", "128"), ("4lw.commands.whitelist", "mntr")];
    let homes: Vec<_> = (0..WRITERS).map(|writer| format!("/writer{writer}")).collect();
    let mut server = Server::start(&folder, &keys);
    let mut control = Client::connect_for(server.address, 40_000).unwrap();
    for home in &homes {
        for (name, data) in
            [("", ""), ("/steps", ""), ("/entries", ""), ("/counter", "0"), ("/left", "0"), ("/right", "0")]
        {
            control.create(&format!("{home}{name}"), data.as_bytes());
        }
    }
    for name in ["", "/data", "/quiet", "/parent"] {
        control.create(&format!("/watched{name}"), b"");
    }
    let mut watcher = Client::connect_for(server.address, 40_000).unwrap();
    let mut written = vec![Written::default(); WRITERS];
    let mut ephemerals: Vec<String> = Vec::new();
    let mut acknowledged = 0;
    for cycle in 0..cycles {
        control.create(&format!("/watched/old-{cycle}"), b"");
        let ephemeral = format!("/ephemeral-{cycle}");
        watcher.must(&ask::create(&ephemeral, b"", CreateMode::Ephemeral));
        ephemerals.push(ephemeral);
        // It goes away here, and comes back as the same session after the kill.
        let seen = watcher.zxid;
        let away = watcher;
        change_what_is_watched(&mut control, cycle);

        let address = server.address;
        let randoms: Vec<_> = homes.iter().map(|_| random.fork()).collect();
        let life = Duration::from_millis(random.below(LIFE_MS_MAX));
        let results: Vec<_> = std::thread::scope(|scope| {
            let starts = homes.iter().zip(&written).zip(randoms);
            let writers: Vec<_> =
                starts.map(|((home, from), random)| scope.spawn(move || write(address, home, from, random))).collect();
            // The moment of the kill is the input of this test, nothing that could be waited for.
            std::thread::sleep(life);
            server.kill();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        folder.must_be_sound();
        if random.below(2) == 0 {
            // Killed again while it starts.
            let file = configuration(&folder, &keys);
            let process = Process::server(&[file.to_str().unwrap()]);
            std::thread::sleep(Duration::from_millis(random.below(START_MS_MAX)));
            drop(process);
            folder.must_be_sound();
        }

        server = Server::start(&folder, &keys);
        let newest = results.iter().map(|(_, _, zxid)| *zxid).max().unwrap().max(control.zxid);
        let session = control.session;
        control = control.resume(server.address).unwrap();
        assert_eq!(control.session, session, "cycle {cycle}: a session is lost");
        let now = control.must(&ask::exists("/", false)).zxid;
        assert!(now >= newest, "cycle {cycle}: zxid {now:#x} after {newest:#x} was acknowledged");
        for (writer, (known, sent, _)) in results.iter().enumerate() {
            let there = check(&mut control, &homes[writer], known, sent);
            acknowledged += known.counter + known.step - written[writer].counter - written[writer].step;
            written[writer] = there;
        }
        assert_eq!(server.told("zk_digest_mismatches_count"), 0, "cycle {cycle}: another tree than before");
        watcher = away.resume(server.address).unwrap();
        assert_eq!(watcher.session, away.session, "cycle {cycle}: a session is lost");
        for path in &ephemerals {
            let (_, stat) = control.get(path).unwrap_or_else(|| panic!("cycle {cycle}: {path} is gone"));
            assert_eq!(stat.ephemeral_owner, watcher.session.0, "{path}");
        }
        check_watches(&mut watcher, &mut control, cycle, seen);
    }
    eprintln!("{cycles} kills, {acknowledged} writes of two kinds acknowledged and kept");
    assert!(acknowledged > 0, "nothing was ever acknowledged");
    // Sessions that end after all that take their ephemerals with them.
    watcher.close();
    for path in &ephemerals {
        assert!(control.get(path).is_none(), "{path} outlives its session");
    }
}
