//! Bytes that make no sense cost the connection they come on, at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use rookeeper_protocol::client::{AddWatchMode, SetWatchesRequest};
use rookeeper_protocol::types::{CreateMode, OpCode, SessionId};

use crate::support::ask::Ask;
use crate::support::client::hello;
use crate::support::random::Random;
use crate::support::witness::Witness;
use crate::support::{Client, Folder, PATIENCE, Server, allow_open_files, ask};

/// Connections that send nonsense one after the other, and requests with one wrong byte.
const CONNECTIONS: usize = 300;
const MUTANTS: usize = 3000;

/// Connections with a frame that never ends, and what each may cost at most: what has arrived, and a task.
const ENDLESS: usize = 1000;
const ENDLESS_KIB_MAX: u64 = 64;

/// The longest request (`jute.maxbuffer`).
const FRAME_MAX: i32 = 1_048_575;

/// What must hold after each attack.
struct Victim {
    server: Server,
    witness: Witness,
    _folder: Arc<Folder>,
}

impl Victim {
    fn new() -> Self {
        let folder = Arc::new(Folder::new());
        let server = Server::start(&folder, &[]);
        let witness = Witness::start(server.address);
        Self { server, witness, _folder: folder }
    }

    fn must_live(mut self) {
        self.witness.must_have_been_served();
        assert!(self.server.process.is_running());
        Client::connect(self.server.address).unwrap().close();
        let log = self.server.process.logged();
        assert!(!log.contains("panic"), "{log}");
    }
}

#[test]
fn random_bytes() {
    let mut random = Random::new();
    let victim = Victim::new();
    for number in 0..CONNECTIONS {
        let mut client = match number % 2 {
            0 => Client::bare(victim.server.address),
            _ => Client::connect(victim.server.address),
        }
        .unwrap();
        let length = 1 + random.below(4096) as usize;
        let mut bytes = random.bytes(length);
        if number % 4 < 2 && length > 4 {
            // A length that is believed, so that what is inside is looked at.
            bytes[..4].copy_from_slice(&(length as i32 - 4).to_be_bytes());
        }
        // The server may have closed already.
        let _ = client.send(&bytes);
        match number % 3 {
            0 => client.reset(),
            1 => {
                client.finish_sending_quietly();
                assert!(client.is_closed(PATIENCE), "a connection that has ended stays open");
            }
            _ => drop(client),
        }
    }
    victim.must_live();
}

/// Requests of every kind that have a body worth breaking.
fn requests() -> Vec<Ask> {
    let create = |mode| ask::create("/mutant", b"data", mode);
    let paths = vec!["/a".into(), "/b".into()];
    let watches = SetWatchesRequest { data: paths.clone(), exist: paths.clone(), child: paths, ..Default::default() };
    let mut requests = vec![
        create(CreateMode::Persistent),
        create(CreateMode::Ephemeral),
        create(CreateMode::PersistentSequential),
        create(CreateMode::Container),
        ask::set("/mutant", b"data"),
        ask::get("/mutant", true),
        ask::exists("/mutant", true),
        ask::children("/", true),
        ask::delete("/mutant"),
        ask::sync("/"),
        ask::add_watch("/mutant", AddWatchMode::PersistentRecursive),
        ask::set_watches(&watches),
        ask::multi(&[create(CreateMode::Persistent), ask::set("/mutant", b"x"), ask::delete("/mutant")]),
    ];
    // The same bodies under other operations.
    for op in
        [OpCode::SetAcl, OpCode::CreateTtl, OpCode::MultiRead, OpCode::Auth, OpCode::Reconfig, OpCode::RemoveWatches]
    {
        requests.push(Ask { op, body: requests[0].body.clone() });
    }
    requests
}

#[test]
fn requests_with_a_wrong_byte() {
    let mut random = Random::new();
    let victim = Victim::new();
    let requests = requests();
    let mut client = Client::connect(victim.server.address).unwrap();
    let mut closed = 0;
    for number in 0..MUTANTS {
        let mut request = requests[number % requests.len()].clone();
        for _ in 0..=random.below(2) {
            let at = random.below(request.body.len() as u64) as usize;
            request.body[at] = random.next() as u8;
        }
        if random.below(8) == 0 {
            request.body.truncate(random.below(request.body.len() as u64) as usize);
        }
        // A length can become larger than the request, but the answer comes: by a reply, or by the end.
        let answered = client.ask(&request).and_then(|_| client.reply(PATIENCE));
        match answered {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => panic!("{request:?} is never answered"),
            Err(_) => {
                closed += 1;
                client = Client::connect(victim.server.address).unwrap();
            }
        }
    }
    eprintln!("{closed} of {MUTANTS} ended their connection");
    assert!(closed < MUTANTS / 2, "most are only refused");
    victim.must_live();
}

/// Apache ZooKeeper writes such a request to its log byte by byte, and serves nobody for seconds.
#[test]
fn long_writes_that_cannot_be_decoded_are_refused_at_once() {
    const MARSHALLING_ERROR: i32 = -5;
    let victim = Victim::new();
    let mut client = Client::connect(victim.server.address).unwrap();
    let writes = [OpCode::Create, OpCode::Create2, OpCode::SetData, OpCode::Delete, OpCode::SetAcl, OpCode::CreateTtl];
    let began = Instant::now();
    for op in writes {
        // A length of its first field that is longer than all that follows.
        let body = BytesMut::from(&vec![0x7f; FRAME_MAX as usize - 8][..]);
        let reply = client.call(&Ask { op, body }).unwrap_or_else(|error| panic!("{op:?}: {error}"));
        assert_eq!(reply.error, MARSHALLING_ERROR, "{op:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(writes.len() as u64), "{:?}", began.elapsed());
    assert!(client.get("/").is_some());
    victim.must_live();
}

#[test]
fn lengths_that_no_frame_has() {
    let victim = Victim::new();
    for length in [-1, i32::MIN, i32::MAX, FRAME_MAX + 1, 0] {
        for greeting in [false, true] {
            let mut client =
                if greeting { Client::connect(victim.server.address) } else { Client::bare(victim.server.address) }
                    .unwrap();
            client.send(&length.to_be_bytes()).unwrap();
            assert!(client.is_closed(PATIENCE), "length {length} is believed");
        }
    }
    // A handshake that claims an endless password.
    let mut client = Client::bare(victim.server.address).unwrap();
    let mut bytes = BytesMut::from(&hello(SessionId::NONE, [0; 16], 1000, 0)[..]);
    bytes[28..32].copy_from_slice(&i32::MAX.to_be_bytes());
    client.send(&bytes).unwrap();
    assert!(client.is_closed(PATIENCE));
    victim.must_live();
}

#[test]
fn frames_that_never_end() {
    assert!(allow_open_files(8192), "cannot have enough open files");
    let victim = Victim::new();
    let before = victim.server.process.rss_mib();
    let clients: Vec<_> = (0..ENDLESS)
        .map(|number| {
            let mut client = if number % 2 == 0 {
                Client::bare(victim.server.address)
            } else {
                Client::connect(victim.server.address)
            }
            .unwrap();
            let mut bytes = BytesMut::new();
            bytes.put_i32(FRAME_MAX);
            bytes.put_bytes(0, 100);
            client.send(&bytes).unwrap();
            client
        })
        .collect();
    // The last of them is heard before this is answered.
    Client::connect(victim.server.address).unwrap().close();
    let grown = victim.server.process.rss_mib().saturating_sub(before);
    eprintln!("{ENDLESS} announced frames of 1 MB cost {grown} MiB");
    assert!(grown * 1024 < ENDLESS as u64 * ENDLESS_KIB_MAX, "{grown} MiB for what was only announced");
    clients.into_iter().for_each(Client::reset);
    victim.must_live();
}

#[test]
fn clients_that_vanish_with_requests_under_way() {
    let victim = Victim::new();
    for number in 0..CONNECTIONS {
        let mut client = Client::connect(victim.server.address).unwrap();
        let mut out = BytesMut::new();
        for part in 0..20 {
            client.queue(&ask::create(&format!("/v{number}-{part}"), &[b'x'; 1000], CreateMode::Ephemeral), &mut out);
            client.queue(&ask::get("/", true), &mut out);
        }
        // Half of the last request is missing.
        let end = out.len() - 7;
        client.send(&out[..end]).unwrap();
        match number % 3 {
            0 => client.reset(),
            1 => client.finish_sending(),
            _ => drop(client),
        }
    }
    victim.must_live();
}

#[test]
fn four_letter_words_among_garbage() {
    let mut random = Random::new();
    let victim = Victim::new();
    for word in ["ruok", "srvr", "stat", "mntr", "stmk", "dump", "wchp", "crst", "rrrr", "\0\0\0\0", "ruo"] {
        for length in [0, 1, 8, 100_000] {
            let mut client = Client::bare(victim.server.address).unwrap();
            let mut bytes = word.as_bytes().to_vec();
            bytes.extend(random.bytes(length));
            // It may be answered and closed before all of it is sent.
            let _ = client.send(&bytes);
            client.finish_sending_quietly();
            assert!(client.is_closed(PATIENCE), "{word} and {length} bytes more: the connection stays open");
        }
    }
    victim.must_live();
}
