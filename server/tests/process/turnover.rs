//! Connections that come and go leave nothing behind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::support::{Client, Folder, Server, ask, wait_until};

const CONNECTIONS: usize = 20_000;

/// Threads that connect. Each takes an address of its own, so that ports that wait for their end are no limit.
const THREADS: usize = 16;

/// Connections after which memory must have found its size; what the others may add, in MiB: the noise of an allocator.
const SETTLED: usize = 8_000;
const GROWTH_MIB_MAX: u64 = 6;

/// One connection of each kind in turn: a session that ends, one that is left to expire, none at all.
fn come_and_go(port: u16, thread: usize, count: usize) {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, thread as u8)), port);
    for number in 0..count {
        if number % 4 == 3 {
            let mut client = Client::bare(address).unwrap();
            client.send(&[0, 0, 0, 45, 1]).unwrap();
            client.reset();
            continue;
        }
        let mut client = Client::connect_for(address, 1).unwrap();
        client.must(&ask::get("/", true));
        let never = ask::exists(&format!("/never-{thread}-{number}"), true);
        assert_eq!(client.call(&never).unwrap().error, -101);
        match number % 2 {
            0 => client.close(),
            _ => client.reset(),
        }
    }
}

#[test]
fn connections_leave_nothing_behind() {
    let folder = Folder::new();
    // Sessions that nobody ends are over after 200 ms.
    let server = Server::start(&folder, &[("tickTime", "100"), ("4lw.commands.whitelist", "*"), ("snapCount", "5000")]);
    let port = server.address.port();
    let run = |count: usize| {
        std::thread::scope(|scope| {
            for thread in 1..=THREADS {
                scope.spawn(move || come_and_go(port, thread, count / THREADS));
            }
        });
        wait_until("all sessions are over", || server.told("zk_global_sessions") == 0);
        wait_until("all connections are closed", || server.process.connections() == 0);
        assert_eq!(server.told("zk_watch_count"), 0, "watches of closed connections");
        assert_eq!(server.told("zk_num_alive_connections"), 1);
        server.process.rss_mib()
    };
    let settled = run(SETTLED);
    let after = run(CONNECTIONS - SETTLED);
    eprintln!("{settled} MiB after {SETTLED} connections, {after} MiB after {CONNECTIONS}");
    assert!(after <= settled + GROWTH_MIB_MAX, "from {settled} to {after} MiB");
}
