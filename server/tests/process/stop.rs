//! Being told to stop: quick, in order, with everything that was acknowledged on disk.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::Duration;

use rookeeper_protocol::types::CreateMode;
use rustix::process::Signal;

use crate::support::{Client, Folder, PATIENCE, Server, allow_open_files, ask};

/// A stop takes no longer, whatever is connected.
const STOP_MAX: Duration = Duration::from_secs(1);

/// Connections during a stop under load, and how many of them write, how deep.
const CONNECTIONS: usize = 1000;
const WRITERS: usize = 8;
const DEPTH: usize = 20;

#[test]
fn idle_servers_stop_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::new();
        let server = Server::start(&folder, &[]);
        let mut client = Client::connect(server.address).unwrap();
        client.create("/kept", b"");
        let took = server.stop(signal);
        assert!(took < STOP_MAX, "{signal:?}: {took:?}");
        assert!(client.is_closed(PATIENCE), "a client was left without an end");
        folder.must_be_sound();
        let server = Server::start(&folder, &[]);
        // Sessions outlive a restart.
        let mut client = client.resume(server.address).unwrap();
        assert!(client.get("/kept").is_some());
    }
}

#[test]
fn a_stop_before_anybody_came_leaves_a_sound_folder() {
    let folder = Folder::new();
    for _ in 0..3 {
        assert!(Server::start(&folder, &[]).stop(Signal::TERM) < STOP_MAX);
        folder.must_be_sound();
    }
}

/// Creates znodes until the connection ends; those that were acknowledged.
fn write(address: SocketAddr, writer: usize, under_way: &Barrier) -> Vec<String> {
    let mut client = Client::connect(address).unwrap();
    let (mut waiting, mut known) = (VecDeque::new(), Vec::new());
    for number in 0.. {
        if number == 2 * DEPTH {
            under_way.wait();
        }
        let path = format!("/w{writer}-{number}");
        if client.ask(&ask::create(&path, &[b'x'; 100], CreateMode::Persistent)).is_err() {
            break;
        }
        waiting.push_back(path);
        if waiting.len() == DEPTH {
            let Ok(reply) = client.reply(PATIENCE) else { break };
            assert_eq!(reply.error, 0);
            known.extend(waiting.pop_front());
        }
    }
    while let Ok(reply) = client.reply(PATIENCE) {
        assert_eq!(reply.error, 0);
        known.extend(waiting.pop_front());
    }
    known
}

#[test]
fn a_stop_under_load_is_quick_and_loses_nothing() {
    assert!(allow_open_files(8192), "cannot have enough open files");
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::new();
        let server = Server::start(&folder, &[]);
        let address = server.address;
        let idle: Vec<_> = (0..CONNECTIONS - WRITERS).map(|_| Client::connect(address).unwrap()).collect();
        let under_way = Barrier::new(WRITERS + 1);
        let (took, known) = std::thread::scope(|scope| {
            let under_way = &under_way;
            let writers: Vec<_> =
                (0..WRITERS).map(|writer| scope.spawn(move || write(address, writer, under_way))).collect();
            under_way.wait();
            let took = server.stop(signal);
            let known: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
            (took, known)
        });
        eprintln!("{signal:?} with {CONNECTIONS} connections: {took:?}, {} creates acknowledged", known.len());
        assert!(took < STOP_MAX, "{signal:?} took {took:?}");
        for mut client in idle {
            assert!(client.is_closed(PATIENCE), "a client was left without an end");
        }
        folder.must_be_sound();
        let server = Server::start(&folder, &[]);
        let mut client = Client::connect(server.address).unwrap();
        let there = client.children("/");
        let there: std::collections::BTreeSet<_> = there.iter().map(String::as_str).collect();
        for path in known {
            assert!(there.contains(&path[1..]), "{path} was acknowledged and is gone");
        }
    }
}
