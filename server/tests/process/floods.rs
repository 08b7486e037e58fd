//! Too much of what is allowed: pings, multis, paths, watches.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use rookeeper_protocol::client::{AddWatchMode, EventType, MULTI_END, MultiHeader, SetWatchesRequest};
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::types::{CreateMode, OpCode};

use crate::support::ask::Ask;
use crate::support::random::Random;
use crate::support::witness::Witness;
use crate::support::{Client, Folder, PATIENCE, Server, ask};

/// The longest request (`jute.maxbuffer`), and what stands before its body.
const FRAME_MAX: usize = 1_048_575;
const REQUEST_HEADER: usize = 8;

/// Pings of each flooding client.
const PINGS: usize = 50_000;

/// Resident memory that a megabyte of requests may cost at most, in MiB: its parts as structures, its transaction, its
/// log record and its replies.
const RSS_PER_LARGE_REQUEST_MIB: u64 = 24;

#[test]
fn pings() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(server.address).unwrap();
                let mut out = BytesMut::new();
                (0..1000).for_each(|_| _ = client.queue(&ask::ping(), &mut out));
                for _ in 0..PINGS / 1000 {
                    client.send(&out).unwrap();
                    for _ in 0..1000 {
                        assert_eq!(client.reply(PATIENCE).unwrap().xid, -2);
                    }
                }
            });
        }
    });
    witness.must_have_been_served();
}

/// A multi of creates, padded so that its frame has exactly this many bytes; how many parts it has.
fn multi_of(length: usize, home: &str) -> (Ask, usize) {
    let mut body = BytesMut::new();
    let mut count = 0;
    let header = |op: OpCode| MultiHeader { op: op.number(), done: false, error: -1 };
    let mut part = BytesMut::new();
    let last = 200;
    while REQUEST_HEADER + body.len() + last < length {
        part.clear();
        header(OpCode::Create).write(&mut part);
        part.extend_from_slice(&ask::create(&format!("{home}/{count}"), b"", CreateMode::Persistent).body);
        body.extend_from_slice(&part);
        count += 1;
    }
    // The last part takes up what is left.
    let mut end = BytesMut::new();
    MULTI_END.write(&mut end);
    header(OpCode::SetData).write(&mut body);
    body.text(home);
    let data = length - REQUEST_HEADER - body.len() - 4 - 4 - end.len();
    body.buffer(Some(&vec![b'x'; data]));
    body.int(-1);
    body.extend_from_slice(&end);
    assert_eq!(REQUEST_HEADER + body.len(), length);
    (Ask { op: OpCode::Multi, body }, count + 1)
}

#[test]
fn a_multi_as_long_as_a_request_may_be() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let mut client = Client::connect(server.address).unwrap();
    let witness = Witness::start(server.address);
    let before = server.process.rss_mib();
    let rounds = 5;
    let mut total = 0;
    for round in 0..rounds {
        let home = format!("/large{round}");
        client.create(&home, b"");
        let (request, count) = multi_of(FRAME_MAX, &home);
        let reply = client.must(&request);
        let mut reader = Reader::new(&reply.body);
        for part in 0..count {
            let header = MultiHeader::read(&mut reader).unwrap();
            assert_eq!((header.done, header.error), (false, 0), "part {part}");
            match part + 1 == count {
                true => _ = rookeeper_protocol::types::Stat::read(&mut reader).unwrap(),
                false => assert_eq!(reader.text().unwrap().unwrap(), format!("{home}/{part}")),
            }
        }
        assert!(MultiHeader::read(&mut reader).unwrap().done);
        total += count - 1;
    }
    let grown = server.process.peak_rss_mib().saturating_sub(before);
    eprintln!("{rounds} multis with {total} creates: the most memory was {grown} MiB more");
    assert!(grown < rounds * RSS_PER_LARGE_REQUEST_MIB, "{grown} MiB");

    // One byte more is too much, and nothing of it happens.
    client.create("/larger", b"");
    let (request, _) = multi_of(FRAME_MAX + 1, "/larger");
    assert!(client.call(&request).is_err());
    // All or nothing with many parts, too: the last one fails.
    let mut client = Client::connect(server.address).unwrap();
    assert_eq!(client.get("/larger").unwrap().1.num_children, 0);
    let parts: Vec<_> = (0..5000)
        .map(|number| ask::create(&format!("/larger/{number}"), b"", CreateMode::Persistent))
        .chain([ask::delete("/nothing")])
        .collect();
    client.call(&ask::multi(&parts)).unwrap();
    assert_eq!(client.get("/larger").unwrap().1.num_children, 0);
    witness.must_have_been_served();
    server.kill();
    folder.must_be_sound();
    let server = Server::start(&folder, &[]);
    let mut client = Client::connect(server.address).unwrap();
    let there: i32 = (0..rounds).map(|round| client.get(&format!("/large{round}")).unwrap().1.num_children).sum();
    assert_eq!(there as usize, total);
}

#[test]
fn paths_as_deep_as_a_request_is_long() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let mut client = Client::connect(server.address).unwrap();
    let slashes = "/a".repeat(FRAME_MAX / 2 - 100);
    for request in [
        ask::get(&slashes, true),
        ask::exists(&slashes, true),
        ask::set(&slashes, b""),
        ask::delete(&slashes),
        ask::create(&slashes, b"", CreateMode::Persistent),
    ] {
        assert_eq!(client.call(&request).unwrap().error, -101, "{:?}", request.op);
    }
    client.must(&ask::add_watch(&slashes, AddWatchMode::PersistentRecursive));

    // A chain that is there, in one multi, under a watch at its top.
    let depth = 900;
    let chain: Vec<_> = (1..=depth).map(|depth| "/d".repeat(depth)).collect();
    client.must(&ask::add_watch("/d", AddWatchMode::PersistentRecursive));
    let creates: Vec<_> = chain.iter().map(|path| ask::create(path, b"", CreateMode::Persistent)).collect();
    client.must(&ask::multi(&creates));
    let events: Vec<_> = client.events.drain(..).collect();
    assert_eq!(events.len(), depth);
    assert!(events.iter().zip(&chain).all(|(event, path)| event.path == *path));
    client.must(&ask::set(&chain[depth - 1], b"deep"));
    assert_eq!(client.event().path, chain[depth - 1]);
    witness.must_have_been_served();
    server.kill();
    let server = Server::start(&folder, &[]);
    let mut client = Client::connect(server.address).unwrap();
    assert_eq!(client.get(&chain[depth - 1]).unwrap().0, b"deep");
}

#[test]
fn a_hundred_thousand_watches_of_one_client() {
    const WATCHES: usize = 100_000;
    /// Resident memory for them, in MiB: a path that only this watch has, and its entries in the tables.
    const RSS_MIB_MAX: u64 = 60;
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let mut client = Client::connect(server.address).unwrap();
    let before = server.process.rss_mib();
    let paths: Vec<_> = (0..WATCHES).map(|number| format!("/watched-{number:06}")).collect();
    for paths in paths.chunks(10_000) {
        let exist = paths.iter().map(|path| path.as_str().into()).collect();
        client.must(&ask::set_watches(&SetWatchesRequest { exist, ..Default::default() }));
    }
    let grown = server.process.rss_mib().saturating_sub(before);
    eprintln!("{WATCHES} watches cost {grown} MiB");
    assert!(grown < RSS_MIB_MAX, "{grown} MiB");
    // Each of them works; these are picked by chance.
    let mut random = Random::new();
    let mut other = Client::connect(server.address).unwrap();
    for _ in 0..20 {
        let path = &paths[random.below(WATCHES as u64) as usize];
        if other.call(&ask::create(path, b"", CreateMode::Persistent)).unwrap().error == 0 {
            let event = client.event();
            assert_eq!((event.event_type, &event.path), (EventType::NodeCreated as i32, path));
        }
    }
    // Its end must not hold up anybody.
    let began = Instant::now();
    client.reset();
    other.create("/after", b"");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    witness.must_have_been_served();
}
