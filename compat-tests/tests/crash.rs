//! kill -9 at random moments under load, on ours alone: whatever was acknowledged is there afterwards.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rookeeper_compat_tests::body::{Acls, Body};
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::raw_client::{RawClient, Received, frame};
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::rng::Rng;
use rookeeper_compat_tests::server::{Config, Server};
use rookeeper_protocol::jute::Reader;

/// Connections that write at the same time, each with znodes of its own.
const WRITERS: usize = 4;

/// Requests that a writer has on their way.
const DEPTH: usize = 16;

/// Counters of a writer that one multi moves together.
const TOGETHER: usize = 3;

/// Kills in an ordinary run; `ROOKEEPER_CRASH_CYCLES` asks for more.
const CYCLES: usize = 6;

/// A server lives so long under load before it is killed, at most.
const LIFE_MAX_MS: usize = 300;

/// How long a reply may take before a living server counts as dead.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one writer was told in one life of the server.
#[derive(Debug, Default, Clone)]
struct Acknowledged {
    /// The last number written to each of its counters, by kind of write.
    single: u64,
    together: u64,
    /// Sequential znodes by name, that were created and not deleted.
    created: Vec<String>,
    /// The newest zxid in a reply.
    zxid: i64,
}

/// What one writer has sent without hearing of it.
#[derive(Debug, Default, Clone)]
struct Sent {
    single: u64,
    together: u64,
    creates: usize,
}

enum Write {
    Single(u64),
    Together(u64),
    Create,
}

fn counter(writer: usize, name: &str) -> String {
    format!("/crash/w{writer}/{name}")
}

/// Writes until the connection is lost. Numbers go on from `from`.
fn write(address: SocketAddr, writer: usize, from: &Sent, seed: u64, stop: &AtomicBool) -> (Acknowledged, Sent) {
    let (mut known, mut sent) = (Acknowledged::default(), from.clone());
    (known.single, known.together) = (0, 0);
    let mut rng = Rng::new(seed);
    let Ok(mut client) = RawClient::connect(address) else { return (known, sent) };
    let hello = Body::new().int(0).long(0).int(60_000).long(0).buffer(Some(&[0; 16])).boolean(false);
    if client.send_frame(&hello.bytes(0)).is_err() || !matches!(client.receive(PATIENCE), Received::Frame(_)) {
        return (known, sent);
    }
    let mut pending = VecDeque::new();
    let mut xid = 0;
    loop {
        while pending.len() < DEPTH && !stop.load(Ordering::Relaxed) {
            xid += 1;
            let (request, write) = match rng.below(3) {
                0 => {
                    sent.single += 1;
                    let number = sent.single.to_string();
                    (set(counter(writer, "single"), Some(number.as_bytes()), -1), Write::Single(sent.single))
                }
                1 => {
                    sent.together += 1;
                    let number = sent.together.to_string();
                    let parts: Vec<_> = (0..TOGETHER)
                        .map(|part| set(counter(writer, &format!("part{part}")), Some(number.as_bytes()), -1))
                        .collect();
                    (multi(&parts), Write::Together(sent.together))
                }
                _ => {
                    sent.creates += 1;
                    (create(counter(writer, "log/n-"), Some(&[b'x'; 100]), &Acls::open(), 2), Write::Create)
                }
            };
            let contents = Body::new().int(xid).int(request.op).body(request.body);
            if client.send(&frame(&contents.bytes(0))).is_err() {
                break;
            }
            pending.push_back((xid, write));
        }
        if pending.is_empty() {
            return (known, sent);
        }
        let Received::Frame(reply) = client.receive(PATIENCE) else { return (known, sent) };
        let mut reader = Reader::new(&reply);
        let (number, zxid, error) = (reader.int(), reader.long(), reader.int());
        let (expected, write) = pending.pop_front().expect("a reply that nobody asked for");
        assert_eq!((number, error), (Ok(expected), Ok(0)), "writer {writer} is refused");
        let zxid = zxid.expect("a reply without a zxid");
        assert!(zxid > known.zxid, "writer {writer}: zxid {zxid:#x} behind {:#x}", known.zxid);
        known.zxid = zxid;
        match write {
            Write::Single(number) => known.single = number,
            Write::Together(number) => known.together = number,
            Write::Create => {
                let path = reader.text().ok().flatten().expect("a create without a path");
                known.created.push(path.into_owned());
            }
        }
    }
}

fn number(control: &mut ControlClient, path: &str) -> u64 {
    let (error, reply) = control.call(&get(path, false)).expect("a read after the restart");
    assert_eq!(error, 0, "{path} is gone");
    let mut reader = Reader::new(&reply[16..]);
    let data = reader.buffer().expect("data").unwrap_or_default();
    std::str::from_utf8(data).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// Everything that was acknowledged is there, nothing that was never sent is, and no multi is half done. `all` is what
/// is known to be there over all lives of the server.
fn check(control: &mut ControlClient, writer: usize, known: &Acknowledged, sent: &Sent, all: &mut Acknowledged) {
    let single = number(control, &counter(writer, "single"));
    let floor = known.single.max(all.single);
    assert!((floor..=sent.single).contains(&single), "writer {writer}: {single} after {known:?}, {sent:?}");
    let parts: Vec<_> = (0..TOGETHER).map(|part| number(control, &counter(writer, &format!("part{part}")))).collect();
    assert!(parts.iter().all(|part| *part == parts[0]), "writer {writer}: a multi is half done: {parts:?}");
    let floor = known.together.max(all.together);
    assert!((floor..=sent.together).contains(&parts[0]), "writer {writer}: {parts:?} after {known:?}, {sent:?}");
    (all.single, all.together) = (single, parts[0]);
    let created = &mut all.created;
    created.extend(known.created.iter().cloned());
    let (_, reply) = control.call(&children(counter(writer, "log"), false)).expect("the children");
    let names = Reader::new(&reply[16..]).text_vector().expect("names").unwrap_or_default();
    let there: BTreeSet<_> = names.into_iter().flatten().map(|name| counter(writer, &format!("log/{name}"))).collect();
    for path in created.iter() {
        assert!(there.contains(path), "writer {writer}: {path} was acknowledged and is gone");
    }
    assert!(there.len() <= sent.creates, "writer {writer}: {} znodes of {} creates", there.len(), sent.creates);
}

#[test]
fn nothing_acknowledged_is_lost() {
    let cycles = std::env::var("ROOKEEPER_CRASH_CYCLES")
        .map_or(CYCLES, |cycles| cycles.parse().expect("ROOKEEPER_CRASH_CYCLES is not a number"));
    let seed = std::env::var("ROOKEEPER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| std::process::id().into());
    eprintln!("ROOKEEPER_SEED={seed}");
    let mut rng = Rng::new(seed);
    // Small segments and frequent images, so that kills fall into their changes, too.
    let config = Config::default().key("snapCount", "1000").key("preAllocSize", "256");
    let mut server = Server::start(subject_kind(), &config).unwrap_or_else(|error| panic!("{error}"));
    let mut control = ControlClient::connect(server.address()).expect("a session");
    control.create("/crash").expect("a znode");
    for writer in 0..WRITERS {
        control.create(&format!("/crash/w{writer}")).expect("a znode");
        control.create(&counter(writer, "log")).expect("a znode");
        for name in ["single", "part0", "part1", "part2"] {
            control.create(&counter(writer, name)).expect("a znode");
            control.call(&set(counter(writer, name), Some(b"0"), -1)).expect("a number");
        }
    }
    let mut sent = vec![Sent::default(); WRITERS];
    let mut kept = vec![Acknowledged::default(); WRITERS];
    let mut zxid = control.zxid().expect("a zxid");
    for cycle in 0..cycles {
        let stop = AtomicBool::new(false);
        let address = server.address();
        let seeds: Vec<_> = (0..WRITERS).map(|_| rng.next_u64()).collect();
        let life = Duration::from_millis(rng.below(LIFE_MAX_MS) as u64);
        let results: Vec<_> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (from, seed, stop) = (&sent[writer], seeds[writer], &stop);
                    scope.spawn(move || write(address, writer, from, seed, stop))
                })
                .collect();
            let end = Instant::now() + life;
            // The moment of the kill is the test's input, not something that is waited for.
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
            server.kill();
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().expect("a writer panicked")).collect()
        });
        server.start_again().unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
        control.reconnect(server.address()).unwrap_or_else(|error| panic!("cycle {cycle}: {error}"));
        let newest = results.iter().map(|(known, _)| known.zxid).max().unwrap_or(0).max(zxid);
        zxid = control.zxid().expect("a zxid");
        assert!(zxid >= newest, "cycle {cycle}: the zxid is {zxid:#x} after {newest:#x} was acknowledged");
        for (writer, (known, now_sent)) in results.iter().enumerate() {
            check(&mut control, writer, known, now_sent, &mut kept[writer]);
            sent[writer] = now_sent.clone();
        }
    }
    let total: usize = kept.iter().map(|kept| kept.created.len()).sum();
    eprintln!("{cycles} kills, {total} creates acknowledged and kept");
    assert!(total > 0, "no writer was ever acknowledged anything");
}
