//! Thousands of connections at once.

use std::time::{Duration, Instant};

use crate::support::witness::Witness;
use crate::support::{Client, Folder, PATIENCE, Server, allow_open_files, ask, not_run};

const CONNECTIONS: usize = 10_000;

/// Threads that connect.
const THREADS: usize = 8;

/// Resident memory that a connection with a session may cost, idle.
const RSS_KIB_MAX: u64 = 8;

/// All of them have a session within this time. It takes about a second where nothing else runs.
const CONNECTED_WITHIN: Duration = Duration::from_secs(25);

#[test]
fn ten_thousand_sessions_at_once() {
    if !allow_open_files(CONNECTIONS as u64 + 2000) {
        return not_run("ten thousand connections", "the limit on open files cannot be raised");
    }
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let witness = Witness::start(server.address);
    let before = server.process.rss_mib();
    let began = Instant::now();
    let address = server.address;
    let clients: Vec<Client> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(move || {
                    // All connections of a thread wait at the same time for being accepted and greeted.
                    let mut clients: Vec<_> =
                        (0..CONNECTIONS / THREADS).map(|_| Client::bare(address).unwrap()).collect();
                    clients.iter_mut().for_each(|client| client.greet(30_000).unwrap());
                    clients.iter_mut().for_each(|client| client.await_greeting().unwrap());
                    clients
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let took = began.elapsed();
    assert!(clients.iter().all(|client| client.session.0 != 0));
    let grown = server.process.rss_mib().saturating_sub(before);
    eprintln!("{CONNECTIONS} sessions in {took:?}, {grown} MiB");
    assert!(took < CONNECTED_WITHIN, "{took:?}");
    assert!(grown * 1024 < CONNECTIONS as u64 * RSS_KIB_MAX, "{grown} MiB");
    witness.must_have_been_served();
    // Every one of them is served.
    let mut clients = clients;
    let request = ask::exists("/", false);
    clients.iter_mut().for_each(|client| _ = client.ask(&request).unwrap());
    for client in &mut clients {
        assert_eq!(client.reply(PATIENCE).unwrap().error, 0);
    }
    clients.into_iter().for_each(Client::reset);
    Client::connect(address).unwrap().close();
}
