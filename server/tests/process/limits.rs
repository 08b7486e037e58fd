//! The limits that an operator can set.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use rookeeper_protocol::types::{CreateMode, OpCode};

use crate::support::ask::Ask;
use crate::support::{Client, Folder, PATIENCE, Server, ask, wait_until};

fn is_refused(server: &Server) -> bool {
    match Client::connect(server.address) {
        Ok(_) => false,
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::TimedOut, "neither accepted nor refused");
            true
        }
    }
}

/// `maxClientCnxns` and `maxCnxns`: connections beyond are closed, those before are served, places become free again.
fn connections_at_once(key: &str) {
    let folder = Folder::new();
    let server = Server::start(&folder, &[(key, "5")]);
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(server.address).unwrap()).collect();
    for _ in 0..20 {
        assert!(is_refused(&server), "{key}");
    }
    let line = server.process.line("too many connections").expect("a line");
    assert!(line.contains(&format!("{key}=5")) && line.contains("127.0.0.1"), "{line}");
    clients.pop().unwrap().close();
    wait_until("the place is free", || match Client::connect(server.address) {
        Ok(client) => {
            clients.push(client);
            true
        }
        Err(_) => false,
    });
    assert!(is_refused(&server), "{key}");
    for client in &mut clients {
        assert!(client.get("/").is_some());
    }
}

#[test]
fn connections_of_one_address() {
    connections_at_once("maxClientCnxns");
}

#[test]
fn connections_of_all() {
    connections_at_once("maxCnxns");
}

#[test]
fn connections_without_a_session_are_closed_in_time() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("nio.sessionlessCnxnTimeout", "300")]);
    let mut with_session = Client::connect(server.address).unwrap();
    let began = Instant::now();
    let mut silent = Client::bare(server.address).unwrap();
    let mut half = Client::bare(server.address).unwrap();
    half.send(&[0, 0, 0, 45, 0, 0]).unwrap();
    let mut word = Client::bare(server.address).unwrap();
    word.send(b"ru").unwrap();
    for client in [&mut silent, &mut half, &mut word] {
        assert!(client.is_closed(PATIENCE), "a connection without a session stays");
        assert!(began.elapsed() >= Duration::from_millis(300), "closed after {:?}", began.elapsed());
    }
    // Java looks in steps of the timeout, so it may take two; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(with_session.get("/").is_some());
}

#[test]
fn one_request_in_work_is_enough_for_pipelines() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 400;
    for keys in [[("globalOutstandingLimit", "1")], [("request_throttle_max_requests", "1")]] {
        let folder = Folder::new();
        let keys = [keys[0], ("request_throttle_stall_time", "1")];
        let server = Server::start(&folder, &keys);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let server = &server;
                scope.spawn(move || {
                    let mut client = Client::connect(server.address).unwrap();
                    let home = format!("/c{number}");
                    client.create(&home, b"");
                    let mut out = BytesMut::new();
                    let expected: Vec<_> = (0..REQUESTS)
                        .map(|request| {
                            let asked = match request % 3 {
                                0 => ask::set(&home, request.to_string().as_bytes()),
                                1 => ask::get(&home, false),
                                _ => ask::create(&format!("{home}/{request}"), b"", CreateMode::Persistent),
                            };
                            client.queue(&asked, &mut out)
                        })
                        .collect();
                    client.send(&out).unwrap();
                    for xid in expected {
                        let reply = client.reply(PATIENCE).unwrap_or_else(|error| panic!("{keys:?}: {xid}: {error}"));
                        assert_eq!((reply.xid, reply.error), (xid, 0));
                    }
                    client.close();
                });
            }
        });
    }
}

#[test]
fn large_requests_have_a_budget() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("largeRequestThreshold", "1000"), ("largeRequestMaxBytes", "100000")]);
    let mut client = Client::connect(server.address).unwrap();
    client.create("/large", &[b'x'; 50_000]);
    // One after the other does not add up.
    for _ in 0..10 {
        client.must(&ask::set("/large", &[b'x'; 60_000]));
    }
    let mut greedy = Client::connect(server.address).unwrap();
    assert!(greedy.call(&ask::set("/large", &[b'x'; 120_000])).is_err(), "more than all of them may have");

    // A large request that is on its way counts.
    let mut begun = Client::connect(server.address).unwrap();
    let mut head = BytesMut::new();
    head.put_i32(60_000);
    head.put_bytes(0, 100);
    begun.send(&head).unwrap();
    wait_until("the budget is taken", || {
        let mut second = Client::connect(server.address).unwrap();
        second.call(&ask::set("/large", &[b'x'; 60_000])).is_err()
    });
    // Small ones are not concerned, and the budget comes back with the end of the connection.
    client.must(&ask::set("/large", b"small"));
    begun.reset();
    wait_until("the budget is free", || {
        let mut second = Client::connect(server.address).unwrap();
        second.call(&ask::set("/large", &[b'x'; 60_000])).is_ok()
    });
}

#[test]
fn new_sessions_have_a_rate() {
    let folder = Folder::new();
    // Three tokens, and a minute until the next one.
    let keys = [("connection_throttle_tokens", "3"), ("connection_throttle_fill_time", "60000")];
    let server = Server::start(&folder, &keys);
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(server.address).unwrap()).collect();
    for _ in 0..5 {
        assert!(is_refused(&server));
    }
    assert!(server.process.line("connection_throttle_tokens").is_some());
    for client in &mut clients {
        assert!(client.get("/").is_some());
    }
}

#[test]
fn sessions_cost_by_what_they_are() {
    let folder = Folder::new();
    // Ten tokens of a new session's weight, and a minute until the next ones.
    let keys = [
        ("connection_throttle_tokens", "2"),
        ("connection_throttle_fill_time", "60000"),
        ("connection_throttle_weight_enabled", "true"),
        ("connection_throttle_global_session_weight", "5"),
        ("connection_throttle_renew_session_weight", "2"),
    ];
    let server = Server::start(&folder, &keys);
    let first = Client::connect(server.address).unwrap();
    for _ in 0..2 {
        assert_eq!(first.resume(server.address).unwrap().session, first.session);
    }
    // One is left.
    assert!(is_refused(&server));
    assert!(first.resume(server.address).is_err());
}

#[test]
fn containers_go_one_after_the_other() {
    const CONTAINERS: u32 = 5;
    let folder = Folder::new();
    // One in a tenth of a second.
    let keys = [("znode.container.checkIntervalMs", "50"), ("znode.container.maxPerMinute", "600")];
    let server = Server::start(&folder, &keys);
    let mut client = Client::connect(server.address).unwrap();
    let names: Vec<_> = (0..CONTAINERS).map(|number| format!("/c{number}")).collect();
    for name in &names {
        client.must(&Ask { op: OpCode::CreateContainer, ..ask::create(name, b"", CreateMode::Container) });
        client.create(&format!("{name}/child"), b"");
    }
    // All become empty at once, so that one look finds them.
    client.must(&ask::multi(&names.iter().map(|name| ask::delete(&format!("{name}/child"))).collect::<Vec<_>>()));
    let mut first = None;
    wait_until("all containers are gone", || {
        let left = client.children("/").iter().filter(|name| name.starts_with('c')).count();
        if left < names.len() {
            first.get_or_insert_with(Instant::now);
        }
        left == 0
    });
    // The first one may have gone a while before it was seen to be.
    let took = first.expect("one is the first").elapsed();
    assert!(took >= Duration::from_millis(200), "{CONTAINERS} containers went within {took:?}");
}

#[test]
fn the_image_follows_when_the_log_is_long() {
    let folder = Folder::new();
    let keys = [("snapSizeLimitInKb", "100"), ("4lw.commands.whitelist", "mntr")];
    let server = Server::start(&folder, &keys);
    let mut client = Client::connect(server.address).unwrap();
    let before = server.told("zk_cnt_snapshottime");
    client.create("/a", &[b'x'; 200_000]);
    wait_until("the image is durable", || server.told("zk_cnt_snapshottime") > before);
}

#[test]
fn slow_flushes_are_told() {
    let folder = Folder::new();
    // Each one is.
    let server = Server::start(&folder, &[("fsync.warningthresholdms", "0")]);
    Client::connect(server.address).unwrap().create("/a", b"");
    assert!(server.process.line("flushing the transaction log took").is_some());
    server.kill();
    let server = Server::start(&folder, &[("fsync.warningthresholdms", "600000")]);
    Client::connect(server.address).unwrap().create("/b", b"");
    assert!(!server.process.logged().contains("flushing the transaction log took"));
}

#[test]
fn requests_have_a_length() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("jute.maxbuffer", "5000")]);
    let mut client = Client::connect(server.address).unwrap();
    // Header, path, data length, version.
    let overhead = 8 + 4 + "/length".len() + 4 + 4;
    client.create("/length", b"");
    client.must(&ask::set("/length", &vec![b'x'; 5000 - overhead]));
    assert!(client.call(&ask::set("/length", &vec![b'x'; 5001 - overhead])).is_err());
    let line = server.process.line("jute.maxbuffer").expect("a line");
    assert!(line.contains("5001 bytes"), "{line}");
    let mut client = Client::connect(server.address).unwrap();
    assert_eq!(client.get("/length").unwrap().0.len(), 5000 - overhead);
}
