//! Clients that ask for more than they read: they wait, or go, and nobody else notices.

use bytes::BytesMut;
use rookeeper_protocol::client::AddWatchMode;
use rookeeper_protocol::types::CreateMode;

use crate::support::witness::Witness;
use crate::support::{Client, Folder, PATIENCE, Server, ask, wait_until};

/// Bytes of the znode that is asked for, and requests of each client.
const LARGE: usize = 900 << 10;
const CLIENTS: usize = 6;
const REQUESTS: usize = 100;

/// What a client that does not read may cost in MiB: the replies that were due when its socket was full, and one more.
const RSS_PER_CLIENT_MIB: u64 = 4;

/// Has the server answer something else often enough that what came before was looked at.
fn let_it_work(server: &Server) {
    let mut client = Client::connect(server.address).unwrap();
    for _ in 0..50 {
        client.must(&ask::sync("/"));
    }
}

#[test]
fn large_replies_that_nobody_reads_are_not_made() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let large = vec![b'x'; LARGE];
    Client::connect(server.address).unwrap().create("/large", &large);
    let before = server.process.rss_mib();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(server.address).unwrap()).collect();
    let mut out = BytesMut::new();
    let mut expected = Vec::new();
    for client in &mut clients {
        out.clear();
        expected = (0..REQUESTS).map(|_| client.queue(&ask::get("/large", false), &mut out)).collect();
        client.send(&out).unwrap();
    }
    let_it_work(&server);
    let grown = server.process.peak_rss_mib().saturating_sub(before);
    eprintln!("{CLIENTS} clients that ask for {} MiB each and read nothing: {grown} MiB", (LARGE * REQUESTS) >> 20);
    assert!(grown < CLIENTS as u64 * RSS_PER_CLIENT_MIB, "{grown} MiB");
    // They were only waiting: all of it comes, in order.
    for client in &mut clients {
        for xid in &expected {
            let reply = client.reply(PATIENCE).unwrap();
            assert_eq!((reply.xid, reply.error), (*xid, 0));
            assert!(reply.body.len() > LARGE && reply.body[4..].starts_with(&large));
        }
    }
    witness.must_have_been_served();
}

/// Reads wait behind the connection's own write, and are answered with it; the server takes only so many.
#[test]
fn large_reads_behind_a_write_are_few() {
    /// Rounds of a write and reads: more than fits into any buffer, from a client that only takes its time.
    const ROUNDS: usize = 3;
    /// Reads that may wait behind a write, each with a reply as long as the znode.
    const WAITING_READS_MAX: u64 = 64;
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let mut client = Client::connect(server.address).unwrap();
    client.create("/large", &vec![b'x'; LARGE]);
    client.create("/small", b"");
    let before = server.process.rss_mib();
    let mut out = BytesMut::new();
    let mut expected = Vec::new();
    for _ in 0..ROUNDS {
        expected.push(client.queue(&ask::set("/small", b""), &mut out));
        expected.extend((0..REQUESTS).map(|_| client.queue(&ask::get("/large", false), &mut out)));
    }
    client.send(&out).unwrap();
    let_it_work(&server);
    for xid in expected {
        let reply = client.reply(PATIENCE).expect("a client that reads all of it");
        assert_eq!((reply.xid, reply.error), (xid, 0));
    }
    let grown = server.process.peak_rss_mib().saturating_sub(before);
    eprintln!("{} MiB asked for behind writes: {grown} MiB", (LARGE * REQUESTS * ROUNDS) >> 20);
    // A buffer grows by doubling.
    let allowed = ((WAITING_READS_MAX * LARGE as u64) >> 20).next_power_of_two() + 4 * RSS_PER_CLIENT_MIB;
    assert!(grown < allowed, "{grown} MiB, {allowed} are allowed");
    witness.must_have_been_served();
}

#[test]
fn writes_whose_replies_nobody_reads_wait_in_the_socket() {
    const WRITES: usize = 100_000;
    /// The requests that may wait in the server by its own limits, and their replies.
    const RSS_MIB_MAX: u64 = 32;
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let before = server.process.rss_mib();
    let mut client = Client::connect(server.address).unwrap();
    client.create("/written", b"");
    let mut out = BytesMut::new();
    let expected: Vec<_> = (0..WRITES).map(|_| client.queue(&ask::set("/written", b"value"), &mut out)).collect();
    let mut writer = client.second_end();
    std::thread::scope(|scope| {
        // Sending blocks when the server takes no more; it goes on when the replies are read.
        let sending = scope.spawn(move || std::io::Write::write_all(&mut writer, &out));
        let_it_work(&server);
        let grown = server.process.peak_rss_mib().saturating_sub(before);
        eprintln!("{WRITES} writes without reading: {grown} MiB");
        assert!(grown < RSS_MIB_MAX, "{grown} MiB");
        for xid in expected {
            let reply = client.reply(PATIENCE).unwrap();
            assert_eq!((reply.xid, reply.error), (xid, 0));
        }
        sending.join().unwrap().unwrap();
    });
    witness.must_have_been_served();
}

#[test]
fn a_watcher_that_does_not_read_its_events_is_closed() {
    /// An event is as long as its path.
    const PATH: usize = 200 << 10;
    /// The server keeps 16 MiB of unread events for a client; a socket takes some more.
    const EVENTS_MAX: usize = 250;
    /// Those, and as much again while the buffer grows.
    const RSS_MIB_MAX: u64 = 80;
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let before = server.process.rss_mib();
    let mut slow = Client::connect(server.address).unwrap();
    slow.must(&ask::add_watch("/", AddWatchMode::PersistentRecursive));
    let mut client = Client::connect(server.address).unwrap();
    let path = format!("/{}", "p".repeat(PATH));
    client.create(&path, b"");
    let mut sent = 0;
    while !server.process.logged().contains("watch events unread") {
        assert!(sent < EVENTS_MAX, "{sent} events of {PATH} bytes are kept for one who does not read");
        client.must(&ask::set(&path, b""));
        sent += 1;
    }
    let grown = server.process.peak_rss_mib().saturating_sub(before);
    eprintln!("{sent} events of {PATH} bytes until the end: {grown} MiB");
    assert!(sent > 50, "closed after {sent} events: a client that is a little slow must not be");
    assert!(grown < RSS_MIB_MAX, "{grown} MiB");
    assert!(slow.is_closed(PATIENCE));
    witness.must_have_been_served();
    // Its session lives on, and can be resumed.
    let again = slow.resume(server.address).unwrap();
    assert_eq!(again.session, slow.session);
    // And one that does read gets every event.
    let mut quick = Client::connect(server.address).unwrap();
    quick.must(&ask::add_watch("/quick", AddWatchMode::Persistent));
    client.must(&ask::create("/quick", b"", CreateMode::Persistent));
    assert_eq!(quick.event().path, "/quick");
    wait_until("the slow client's connection is gone", || server.process.connections() == 3);
}

/// What one client may cost is bounded; so is what all of them together may.
#[test]
fn clients_that_read_nothing_have_one_bound_together() {
    /// Reads behind a write of each client, as many as may wait.
    const READS: usize = 63;
    const CLIENTS: usize = 16;
    /// What all of them may hold (`UNSENT_BYTES_MAX`), and what one more adds, old and new buffer.
    const RSS_MIB_MAX: u64 = 512 + 128 + 64;
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let mut client = Client::connect(server.address).unwrap();
    client.create("/large", &vec![b'x'; LARGE]);
    client.create("/small", b"");
    let before = server.process.rss_mib();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(server.address).unwrap()).collect();
    let mut out = BytesMut::new();
    for client in &mut clients {
        out.clear();
        client.queue(&ask::set("/small", b""), &mut out);
        for _ in 0..READS {
            client.queue(&ask::get("/large", false), &mut out);
        }
        client.send(&out).unwrap();
    }
    let asked = (CLIENTS * READS * LARGE) >> 20;
    assert!(server.process.line("and those of all clients are").is_some());
    let_it_work(&server);
    let grown = server.process.peak_rss_mib().saturating_sub(before);
    eprintln!("{CLIENTS} clients that ask for {asked} MiB together and read nothing: {grown} MiB");
    assert!(grown < RSS_MIB_MAX, "{grown} MiB");
    // What they left goes with them.
    drop(clients);
    wait_until("only one client is left", || server.process.connections() <= 1);
    let mut reader = Client::connect(server.address).unwrap();
    assert_eq!(reader.must(&ask::get("/large", false)).error, 0);
}
