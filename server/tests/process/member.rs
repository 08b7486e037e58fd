//! A member of an ensemble whose other members are away: its ports, its files, and who calls it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use rookeeper_protocol::peer::{HandshakeVersion, InitialMessage, Notification, PeerState};
use rookeeper_protocol::types::{HostPort, ServerId, Zxid};

use crate::support::process::{End, Process, configuration};
use crate::support::{Folder, PATIENCE, Server, wait_until};

/// Java's code for a port between servers that cannot be had (`ExitCode.UNABLE_TO_BIND_QUORUM_PORT`).
const PORT_TAKEN: Option<i32> = Some(14);
const WRITE_FAILED: Option<i32> = Some(10);
const WRONG_CONFIGURATION: Option<i32> = Some(2);

/// A round that no election has come to by itself.
const LATE_ROUND: i64 = 1000;

/// Server 1, with its learner port and its election port, and the lines of its zoo.cfg.
struct Member {
    folder: Folder,
    ports: [u16; 2],
    lines: Vec<(String, String)>,
}

impl Member {
    /// Of so many servers, the others of which listen nowhere.
    fn of(servers: u16) -> Self {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.data()).unwrap();
        std::fs::write(folder.data().join("myid"), "1\n").unwrap();
        // All at once, so that they differ.
        let held: Vec<_> = (0..2 * servers).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let ports: Vec<_> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let pairs = ports.chunks(2).zip(1..);
        let mut lines: Vec<_> =
            pairs.map(|(ports, id)| (format!("server.{id}"), format!("127.0.0.1:{}:{}", ports[0], ports[1]))).collect();
        lines.extend([("initLimit", "10"), ("syncLimit", "5")].map(|(key, value)| (key.to_owned(), value.to_owned())));
        Self { folder, ports: [ports[0], ports[1]], lines }
    }

    /// Its process, begun.
    fn spawn(&self, keys: &[(&str, &str)]) -> Process {
        let given = |name: &str| keys.iter().any(|(key, _)| *key == name);
        let lines = self.lines.iter().filter(|(key, _)| !given(key));
        let lines: Vec<_> = lines.map(|(key, value)| (&**key, &**value)).chain(keys.iter().copied()).collect();
        Process::server(&[configuration(&self.folder, &lines).to_str().unwrap()])
    }

    fn try_start(&self, keys: &[(&str, &str)]) -> Result<Server, End> {
        Server::await_start(self.spawn(keys))
    }

    fn start(&self, keys: &[(&str, &str)]) -> Server {
        self.try_start(keys).unwrap_or_else(|end| panic!("no start: {end:?}"))
    }

    /// Connects to the election port, and says nothing.
    fn call(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports[1])).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Connects as server 2 does.
    fn call_as_second(&self) -> TcpStream {
        let mut stream = self.call();
        let (_, at) = self.lines.iter().find(|(key, _)| key == "server.2").unwrap();
        let port = at.rsplit(':').next().unwrap().parse().unwrap();
        let addresses = vec![HostPort { host: "127.0.0.1".to_owned(), port }];
        let mut first = BytesMut::new();
        InitialMessage { server: ServerId(2), addresses }.write(HandshakeVersion::One, &mut first);
        stream.write_all(&first).unwrap();
        stream
    }
}

/// The next notification's round.
fn hear_round(stream: &mut TcpStream) -> io::Result<i64> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message)?;
    Ok(Notification::read(&message).map_err(io::Error::other)?.election_epoch)
}

/// Says that server 2 looks for a leader, in this round.
fn look(stream: &mut TcpStream, round: i64) {
    let mut message = BytesMut::new();
    let notification = Notification {
        state: PeerState::Looking.number(),
        leader: ServerId(2),
        zxid: Zxid(0),
        election_epoch: round,
        peer_epoch: 0,
        version: 2,
        config: None,
    };
    notification.write(&mut message);
    let mut frame = BytesMut::new();
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    stream.write_all(&frame).unwrap();
}

#[test]
fn a_port_between_servers_that_is_taken_is_told_by_its_exit_code() {
    for port in [0, 1] {
        let member = Member::of(3);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, member.ports[port])).unwrap();
        let end = member.try_start(&[("electionPortBindRetry", "1")]).expect_err("a start");
        assert_eq!(end.code, PORT_TAKEN, "{}", end.log);
        let told = format!("cannot listen for other servers on 127.0.0.1:{}: ", member.ports[port]);
        assert!(end.log.contains(&told), "{}", end.log);
        assert!(!end.log.contains("trying again"), "{}", end.log);
    }
}

#[test]
fn a_port_between_servers_is_tried_as_often_as_asked_for() {
    let member = Member::of(3);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, member.ports[1])).unwrap();
    let end = member.try_start(&[("electionPortBindRetry", "2")]).expect_err("a start");
    assert_eq!(end.code, PORT_TAKEN, "{}", end.log);
    assert_eq!(end.log.matches("trying again").count(), 1, "{}", end.log);

    // For ever, until it is free.
    let process = member.spawn(&[("electionPortBindRetry", "0")]);
    process.line("trying again").expect("a line");
    drop(taken);
    Server::await_start(process).expect("a start");
}

#[test]
fn a_timeout_of_connections_that_is_no_number_is_refused() {
    let end = Member::of(3).try_start(&[("cnxTimeout", "soon")]).expect_err("a start");
    assert_eq!(end.code, WRONG_CONFIGURATION, "{}", end.log);
    assert!(end.log.contains("cnxTimeout: \"soon\" is not allowed"), "{}", end.log);
}

#[test]
fn an_address_of_another_host_needs_all_interfaces() {
    let member = Member::of(3);
    // Set aside for documentation (RFC 5737): no machine has it.
    let elsewhere = format!("192.0.2.1:{}:{}", member.ports[0], member.ports[1]);
    let keys = [("server.1", &*elsewhere), ("electionPortBindRetry", "1")];
    let end = member.try_start(&keys).expect_err("a start");
    assert_eq!(end.code, PORT_TAKEN, "{}", end.log);

    let _server = member.start(&[keys[0], keys[1], ("quorumListenOnAllIPs", "true")]);
    hear_round(&mut member.call_as_second()).unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, member.ports[0])).unwrap();
}

#[test]
fn who_calls_the_election_port_may_be_silent_once_it_has_said_who_it_is() {
    let member = Member::of(3);
    let _server = member.start(&[("quorumCnxnTimeoutMs", "300"), ("cnxTimeout", "60000")]);
    let mut linked = member.call_as_second();
    hear_round(&mut linked).unwrap();
    // By the time that this one is disconnected the other has been silent for longer.
    let began = Instant::now();
    let mut stranger = member.call();
    stranger.write_all(&[0; 4]).unwrap();
    let ended = stranger.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    look(&mut linked, LATE_ROUND);
    while hear_round(&mut linked).expect("the connection stands") != LATE_ROUND {}
}

/// Whether the connection that comes from here is kept alive by the system of the other end: its timer is the second kind.
fn is_kept_alive(server: &Server, ours: SocketAddr, theirs: SocketAddr) -> bool {
    let ends = |address: SocketAddr| format!(":{:04X}", address.port());
    let tables =
        ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/{}/net/{name}", server.process.pid())));
    let lines: Vec<_> = tables.iter().flatten().flat_map(|table| table.lines()).collect();
    let columns = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut timers = columns.filter_map(|columns| {
        let found = columns.get(1)?.ends_with(&ends(theirs)) && columns.get(2)?.ends_with(&ends(ours));
        found.then(|| columns.get(5).is_some_and(|timer| timer.starts_with("02:")))
    });
    timers.next().expect("the connection is in the system's table")
}

#[test]
fn connections_are_kept_alive_where_that_is_asked_for() {
    for on in [false, true] {
        let member = Member::of(3);
        let text = on.to_string();
        let server = member.start(&[("tcpKeepAlive", &text), ("clientTcpKeepAlive", &text)]);
        let mut election = member.call_as_second();
        hear_round(&mut election).unwrap();
        let client = TcpStream::connect(server.address).unwrap();
        for stream in [&election, &client] {
            let (ours, theirs) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            // What was sent last may still be unacknowledged, which has a timer of its own.
            wait_until("the timer is as asked for", || is_kept_alive(&server, ours, theirs) == on);
        }
    }
}

#[test]
fn a_list_of_members_that_cannot_be_written_ends_the_member() {
    let member = Member::of(1);
    let keys = [("standaloneEnabled", "false"), ("reconfigEnabled", "true")];
    // Even root cannot write a file where a folder is.
    std::fs::create_dir(member.folder.path("zoo.cfg.dynamic.next.tmp")).unwrap();
    let end = match member.try_start(&keys) {
        Ok(mut server) => server.process.end(),
        Err(end) => end,
    };
    assert_eq!(end.code, WRITE_FAILED, "{}", end.log);
    assert!(end.log.contains("cannot write") && end.log.contains("zoo.cfg.dynamic"), "{}", end.log);
    std::fs::remove_dir(member.folder.path("zoo.cfg.dynamic.next.tmp")).unwrap();
    let server = member.start(&keys);
    server.process.line("clients are served from now on").expect("a line");
}
