//! Strangers at the ports between running members: whatever they send, hold open or leave unread there, clients are served
//! as before, no member ends or changes its part, and none of them needs much more memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use rookeeper_compat_tests::client::Client;
use rookeeper_compat_tests::ensemble::{Ensemble, Mode, Role, usual};
use rookeeper_compat_tests::load::Load;
use rookeeper_compat_tests::process::resident_megabytes;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::rng::Rng;
use rookeeper_compat_tests::server::{Kind, free_port};
use rookeeper_protocol::peer::{AckEpoch, HandshakeVersion, InitialMessage, LearnerInfo, Notification, PacketType};
use rookeeper_protocol::types::{HostPort, ServerId, Zxid};

/// By how much a member may grow over all that strangers do. What it logs and keeps for learners meanwhile is among it.
const GROWTH_MAX_MEGABYTES: u64 = 96;

/// Steps of the load during each kind of annoyance, and behind it.
const STEPS: u64 = 60;

/// Connections to each of nine ports that say nothing.
const SILENT: usize = 500;

/// Connections that send the same kind of nonsense to a port.
const REPEATED: usize = 20;

/// Learners at a port that read nothing, and what they are to be sent meanwhile.
const DEAF: i64 = 8;
const WRITES: usize = 100;
const LARGE_BYTES: usize = 100_000;

/// How long a stranger waits for a connection to be taken, or for an answer. A port that takes no more is left alone.
const WAIT: Duration = Duration::from_millis(500);

/// Longer than a test takes.
const TIMEOUT_MS: i32 = 100_000;

/// Numbers that no member has.
const STRANGERS: [i64; 5] = [99, 0, -7, i64::MIN, i64::MAX];

fn ok<T>(what: &str, result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// A connection that whoever listens may end at any time.
fn connect(to: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, WAIT).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    stream.set_write_timeout(Some(WAIT)).ok()?;
    Some(stream)
}

/// Sends bytes, and returns the connection as it is then.
fn say(to: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = connect(to)?;
    // The other end may have closed it, as it should.
    let _ = stream.write_all(bytes);
    Some(stream)
}

/// The ports of the members: of learners, of elections, of observers.
struct Ports {
    learners: Vec<SocketAddr>,
    elections: Vec<SocketAddr>,
    masters: Vec<SocketAddr>,
}

impl Ports {
    fn all(&self) -> Vec<SocketAddr> {
        [&self.learners[..], &self.elections, &self.masters].concat()
    }
}

/// What is said at a port of elections by one with this number.
fn greeting(server: i64) -> Vec<u8> {
    let mut out = BytesMut::new();
    let addresses = vec![HostPort { host: "127.0.0.1".to_owned(), port: 1 }];
    InitialMessage { server: ServerId(server), addresses }.write(HandshakeVersion::One, &mut out);
    out.to_vec()
}

/// A learner's first packet.
fn introduction(server: i64, kind: PacketType) -> Vec<u8> {
    let mut out = BytesMut::new();
    LearnerInfo::new(ServerId(server), 0).write_packet(&mut out, kind, Zxid::ZERO);
    out.to_vec()
}

/// A message with its length in front.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = i32::try_from(message.len()).unwrap_or(i32::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

fn garbage(ports: &Ports) -> Vec<TcpStream> {
    let mut rng = Rng::new(7);
    let mut open = Vec::new();
    for port in ports.all() {
        for _ in 0..REPEATED {
            let bytes: Vec<_> = (0..2000).flat_map(|_| rng.next_u64().to_be_bytes()).collect();
            open.extend(say(port, &bytes));
        }
    }
    open
}

/// Lengths that are believed by nobody, where a length is expected: at first, behind a number, behind a packet's head.
fn lengths(ports: &Ports) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for length in [i32::MAX, i32::MAX - 8, i32::MIN, -2, 1 << 30, 0] {
        for port in ports.all() {
            open.extend(say(port, &[&length.to_be_bytes()[..], &[0; 1000]].concat()));
        }
        for port in &ports.elections {
            let head = [&(HandshakeVersion::One as i64).to_be_bytes()[..], &99_i64.to_be_bytes()].concat();
            open.extend(say(*port, &[&head[..], &length.to_be_bytes(), &[b'1'; 1000]].concat()));
            open.extend(say(*port, &[&greeting(98)[..], &length.to_be_bytes(), &[0; 1000]].concat()));
        }
        for port in ports.learners.iter().chain(&ports.masters) {
            for kind in [PacketType::FollowerInfo, PacketType::ObserverInfo] {
                let head = [&(kind as i32).to_be_bytes()[..], &0_i64.to_be_bytes()].concat();
                open.extend(say(*port, &[&head[..], &length.to_be_bytes(), &[0; 1000]].concat()));
            }
        }
    }
    open
}

/// Beginnings of what a member says, of each length.
fn halves(ports: &Ports) -> Vec<TcpStream> {
    let mut open = Vec::new();
    let (greeting, introduction) = (greeting(97), introduction(97, PacketType::FollowerInfo));
    for (to, whole) in
        [(&ports.elections, greeting), (&ports.learners, introduction.clone()), (&ports.masters, introduction)]
    {
        for port in to {
            open.extend((1..whole.len()).step_by(3).filter_map(|length| say(*port, &whole[..length])));
        }
    }
    open
}

/// Votes of servers that nobody knows, in all forms, for a leader that does not exist and has seen everything.
fn votes(ports: &Ports) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for state in 0..4 {
        let vote = Notification {
            state,
            leader: ServerId(99),
            zxid: Zxid(i64::MAX),
            election_epoch: i64::MAX,
            peer_epoch: i64::MAX,
            version: 2,
            config: Some("server.99=127.0.0.1:1:2:participant\nversion=7fffffffffffffff".into()),
        };
        let mut message = BytesMut::new();
        vote.write(&mut message);
        for port in &ports.elections {
            for server in STRANGERS {
                // The oldest form has 28 bytes, the next one 40, then the version counts.
                let forms = [28, 36, 40, 44, 48, message.len()].map(|length| framed(&message[..length]));
                open.extend(say(*port, &[greeting(server), forms.concat()].concat()));
            }
        }
    }
    open
}

/// Learners with numbers of nobody, and of the one who is asked.
fn learners(ports: &Ports) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for (id, port) in (1..).zip(&ports.learners).chain((1..).zip(&ports.masters)) {
        for server in STRANGERS.into_iter().chain([id]) {
            for kind in [PacketType::FollowerInfo, PacketType::ObserverInfo] {
                open.extend(say(*port, &introduction(server, kind)));
            }
        }
    }
    open
}

fn silence(ports: &Ports) -> Vec<TcpStream> {
    let dial = |port: SocketAddr| (0..SILENT).map_while(move |_| connect(port)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let dialling: Vec<_> = ports.all().into_iter().map(|port| scope.spawn(move || dial(port))).collect();
        dialling.into_iter().flat_map(|open| open.join().expect("connections")).collect()
    })
}

/// Observers that begin as they should, and read no more than the first answer.
fn deafness(ports: &Ports) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for port in ports.learners.iter().chain(&ports.masters) {
        for number in 0..DEAF {
            let Some(mut stream) = say(*port, &introduction(50 + number, PacketType::ObserverInfo)) else { continue };
            // Those who have no leader to offer say nothing.
            if matches!(stream.read(&mut [0; 1]), Ok(1)) {
                let mut out = BytesMut::new();
                AckEpoch { current_epoch: Some(0) }.write_packet(&mut out, Zxid::ZERO);
                let _ = stream.write_all(&out);
                open.push(stream);
            }
        }
    }
    open
}

/// What a member has in memory.
fn resident(ensemble: &Ensemble, id: u8) -> u64 {
    ok("memory", resident_megabytes(ensemble.server(id).process_id().expect("a process")))
}

/// Each member's process and part.
fn parts(ensemble: &Ensemble) -> Vec<(Option<u32>, Option<Mode>)> {
    ensemble.ids().into_iter().map(|id| (ensemble.server(id).process_id(), ensemble.mode(id))).collect()
}

/// Nothing has been lost by anybody so far.
fn logged_losses(ensemble: &Ensemble) -> usize {
    let lost = |id: u8| {
        let text = ensemble.server(id).log_text();
        text.lines().filter(|line| line.contains("left leader") || line.contains("leads no longer")).count()
    };
    ensemble.ids().into_iter().map(lost).sum()
}

#[test]
fn strangers_at_the_ports_between_members_change_nothing() {
    let master = ok("port", free_port());
    let config = usual().key("observerMasterPort", &master.to_string());
    let members = [(Kind::Ours, Role::Participant); 3];
    let mut ensemble = ok("start", Ensemble::prepare_with(&members, &config, None));
    ok("launch", ensemble.launch_all());
    let leader = ok("start", ensemble.settle());
    let ids = ensemble.ids();
    let ports = Ports {
        learners: ids.iter().map(|id| ensemble.learner_address(*id)).collect(),
        elections: ids.iter().map(|id| ensemble.election_address(*id)).collect(),
        masters: ids.iter().map(|id| (ensemble.address(*id).ip(), master).into()).collect(),
    };
    let load = ok("load", Load::start(&ensemble.addresses()));
    ok("load", load.progress(STEPS));
    let before = parts(&ensemble);
    let all_resident = |ensemble: &Ensemble| ids.iter().map(|id| resident(ensemble, *id)).collect::<Vec<_>>();
    let (small, losses) = (all_resident(&ensemble), logged_losses(&ensemble));

    type Annoyance = fn(&Ports) -> Vec<TcpStream>;
    let annoyances: [(&str, Annoyance); 7] = [
        ("garbage", garbage),
        ("lengths", lengths),
        ("halves", halves),
        ("votes", votes),
        ("learners", learners),
        ("silence", silence),
        ("deafness", deafness),
    ];
    for (what, annoy) in annoyances {
        let open = annoy(&ports);
        ok(what, load.progress(STEPS));
        if what == "deafness" {
            assert!(!open.is_empty(), "no learner was let in");
            let mut client = ok(what, Client::open(&[ensemble.address(leader)], TIMEOUT_MS));
            ok(what, client.insist(&make("/large", "")));
            for _ in 0..WRITES {
                assert_eq!(ok(what, client.insist(&set("/large", Some(&[b'x'; LARGE_BYTES]), -1))).error, 0);
            }
            ok(what, client.close());
        }
        let large = all_resident(&ensemble);
        eprintln!("{what}: {} connections, {large:?} MB", open.len());
        assert_eq!(parts(&ensemble), before, "{what}: who runs, and as what");
        for (small, large) in small.iter().zip(&large) {
            assert!(large - small.min(large) <= GROWTH_MAX_MEGABYTES, "{what}: from {small} MB to {large} MB");
        }
        drop(open);
        ok(what, load.progress(STEPS));
    }
    assert_eq!(logged_losses(&ensemble), losses, "a member was lost");
    let rest = load.at_rest();
    for address in ensemble.addresses() {
        ok("all is there", load.check(address));
    }
    ok("at the end", ensemble.compare_after_load(&ensemble.ids()));
    drop(rest);
    ok("the load", load.end());
}
