//! A connection's phases, and the packets that are answered outside the order.

use bytes::Bytes;
use rookeeper_core::acl::{DigestAlgorithm, digest_id};
use rookeeper_core::client::{Disposition, Phase};
use rookeeper_core::session::password;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::client::ConnectResponse;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Id, OpCode, SessionId};

use super::wire::*;
use super::world::{Options, T0, World};

fn connected(session: SessionId, timeout_ms: i32, read_only: Option<bool>) -> Sent {
    Sent::Connect(ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id: session,
        password: password(session),
        read_only,
    })
}

#[test]
fn a_new_session_is_answered_once_it_is_applied() {
    for (asked, flag, agreed, told) in
        [(0, None, 2000, None), (5000, Some(true), 5000, Some(false)), (i32::MAX, Some(false), 20_000, Some(false))]
    {
        let mut world = World::new();
        world.flushes_at_once = false;
        let conn = world.begin(asked, flag);
        assert_eq!((world.connection(conn).phase(), world.take(conn)), (Phase::Establishing, vec![]));
        assert_eq!(world.connection(conn).outstanding(), 1);
        world.flush();
        assert_eq!(world.connection(conn).phase(), Phase::Open);
        let session = world.session(conn);
        // The server's number, then five bytes of the clock.
        let clock = (T0 as u64) << 24 >> 8;
        assert_eq!(session.0 as u64, 1 << 56 | clock);
        assert_eq!(world.take(conn), [connected(session, agreed, told)]);
        assert_eq!(world.connection(conn).outstanding(), 0);
        let txn = rookeeper_protocol::txn::Txn::CreateSession { timeout_ms: agreed };
        assert_eq!(world.take_log(), [world.entry(conn, 0, 1, txn)]);
    }
}

#[test]
fn a_session_is_resumed_with_its_password_only() {
    let mut world = World::new();
    let first = world.connect();
    let session = world.session(first);
    let second = world.resume(session, 3000, &password(session));
    // The old connection closes without a word.
    assert_eq!((world.connection(first).phase(), world.take(first)), (Phase::Ending, vec![]));
    assert_eq!(world.take(second), [connected(session, 3000, None)]);
    assert_eq!(world.ok(second, &persistent("/a")), text("/a"));
    let third = world.resume(session, 3000, &[0; 16]);
    assert_eq!(world.take(third), [Sent::Connect(ConnectResponse::expired(None))]);
    assert_eq!(world.connection(third).phase(), Phase::Ending);
    let unknown = SessionId(77);
    let fourth = world.resume(unknown, 3000, &password(unknown));
    assert_eq!(world.take(fourth), [Sent::Connect(ConnectResponse::expired(None))]);
}

#[test]
fn closing_answers_what_is_under_way_and_then_ends() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    world.send(conn, 1, &ephemeral("/e"));
    world.send(conn, 2, &read(OpCode::GetChildren, "/e", true));
    assert_eq!(world.send(conn, 3, &bare(OpCode::CloseSession)), Disposition::Continue);
    assert_eq!(world.connection(conn).phase(), Phase::Closing);
    world.flush();
    let sent = world.take(conn);
    let expected =
        [answer(1, 2, text("/e")), answer(2, 2, bytes(|out| out.count(0))), event(3, DELETED, "/e"), reply(3, 3, 0)];
    assert_eq!(sent, expected);
    assert_eq!((world.connection(conn).phase(), world.connection(conn).outstanding()), (Phase::Ending, 0));
    assert!(world.pipeline.sessions.is_empty() && !world.has("/e"));
}

#[test]
fn a_connection_that_ended_gets_nothing_more() {
    let mut world = World::new();
    let conn = world.connect();
    world.send(conn, 1, &by_number(OpCode::AddWatch, "/", 1));
    world.take(conn);
    world.flushes_at_once = false;
    world.send(conn, 2, &persistent("/a"));
    world.send(conn, 3, &read(OpCode::GetData, "/a", false));
    world.clients.connections.get_mut(&conn).unwrap().end();
    world.flush();
    assert!(world.has("/a"));
    assert_eq!(world.take(conn), []);

    // Nor does one whose session was still being made.
    let conn = world.begin(5000, None);
    world.clients.connections.get_mut(&conn).unwrap().end();
    world.flush();
    assert_eq!((world.connection(conn).phase(), world.take(conn)), (Phase::Ending, vec![]));
}

#[test]
fn a_client_that_asks_for_its_session_again_gets_a_handshake() {
    let mut world = World::new();
    let conn = world.connect();
    let session = world.session(conn);
    world.send(conn, 5, &Request::new(OpCode::CreateSession, |out| out.int(1234)));
    let out = &mut world.clients.connections.get_mut(&conn).unwrap().out;
    assert_eq!(read_sent(out, true), [connected(session, 10_000, Some(false))]);
    assert_eq!(world.pipeline.sessions.get(session).unwrap().timeout_ms, 1234);
}

/// Sends a frame that ends the connection, and returns what is said before.
fn last_words(frame: Bytes) -> Vec<Sent> {
    let mut world = World::new();
    let conn = world.connect();
    assert_eq!(world.send_frame(conn, frame), Disposition::Close);
    assert_eq!((world.connection(conn).phase(), world.pipeline.in_flight()), (Phase::Ending, 0));
    world.take(conn)
}

#[test]
fn unknown_operations_are_refused_and_close() {
    for op in [0, -1, 13, 20, 10, 23, 99, 108, 1000, -100, i32::MIN] {
        let request = Request { op, body: text("/") };
        assert_eq!(last_words(request.frame(5)), [reply(5, -1, -6)], "{op}");
    }
}

#[test]
fn frames_without_a_header_close_without_a_word() {
    for len in 0..8 {
        assert_eq!(last_words(Bytes::from(vec![0; len])), []);
    }
}

#[test]
fn auth_is_answered_at_once_and_counts_from_then_on() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    world.send(conn, 1, &create_as(OpCode::Create, "/mine", None, &[user_acl(31, "me:x")], 0));
    world.send(conn, 2, &create_as(OpCode::Create, "/early", None, &auth_acl(), 0));
    world.send(conn, -4, &auth("digest", b"me:secret"));
    assert_eq!(world.take(conn), [reply(-4, 0, 0)]);
    world.send(conn, 3, &create_as(OpCode::Create, "/late", None, &auth_acl(), 0));
    // A second time adds nothing; an address is an identity, but proves nothing.
    world.send(conn, -4, &auth("digest", b"me:secret"));
    world.send(conn, -4, &auth("ip", b""));
    world.send(conn, 4, &bare(OpCode::WhoAmI));
    world.flush();
    let who = bytes(|out| {
        out.count(2);
        for text in ["ip", "10.0.0.1", "digest", "me"] {
            out.text(text);
        }
    });
    let expected = [
        reply(-4, 0, 0),
        reply(-4, 0, 0),
        answer(1, 2, text("/mine")),
        reply(2, 3, -114),
        answer(3, 4, text("/late")),
        answer(4, 4, who),
    ];
    assert_eq!(world.take(conn), expected);
    let id = Id::new("digest", &digest_id("me:secret", DigestAlgorithm::Sha1));
    let late = world.tree.get("/late").unwrap().acl;
    assert_eq!(world.tree.acls().entries(late)[0].id, id);
}

#[test]
fn auth_that_fails_is_told_and_closes() {
    for (scheme, token) in [("x509", &b"x"[..]), ("sasl", b""), ("world", b"anyone"), ("super", b""), ("", b"")] {
        assert_eq!(last_words(auth(scheme, token).frame(-4)), [reply(-4, 0, -115)], "{scheme}");
    }
    let null = Request::new(OpCode::Auth, |out| {
        out.int(0);
        out.null();
        out.null();
    });
    assert_eq!(last_words(null.frame(-4)), [reply(-4, 0, -115)]);
    // What cannot be read closes without a word.
    assert_eq!(last_words(Request::new(OpCode::Auth, |out| out.int(0)).frame(-4)), []);
}

#[test]
fn sasl_without_a_configuration_lets_the_client_go_on() {
    let mut world = World::new();
    let conn = world.connect();
    let token = Request::new(OpCode::Sasl, |out| out.buffer(Some(b"token")));
    assert_eq!(world.call(conn, 9, &token), answer(9, 0, bytes(|out| out.null())));
    assert_eq!(world.ok(conn, &persistent("/a")), text("/a"));
    assert_eq!(last_words(Request::new(OpCode::Sasl, |out| out.null()).frame(9)), []);
    assert_eq!(last_words(Request::new(OpCode::Sasl, |out| out.int(50)).frame(9)), []);
}

fn demanding() -> (World, ConnId) {
    let options = Options { required_schemes: vec!["digest".into(), "x509".into()], ..Options::default() };
    let mut world = World::with(options);
    let conn = world.connect();
    (world, conn)
}

#[test]
fn a_server_that_demands_authentication_gets_it_first() {
    for op in [OpCode::Ping.number(), OpCode::Create.number(), OpCode::CloseSession.number(), 99] {
        let (mut world, conn) = demanding();
        let request = Request { op, body: text("/") };
        assert_eq!(world.send(conn, 3, &request), Disposition::Close);
        assert_eq!(world.take(conn), [reply(3, 0, -124)], "{op}");
    }
    let (mut world, conn) = demanding();
    world.send(conn, -4, &auth("digest", b"me:secret"));
    world.take(conn);
    assert_eq!(world.call(conn, 1, &bare(OpCode::Ping)), reply(-2, 1, 0));
}

#[test]
fn inner_lengths_beyond_the_limit_cannot_be_read() {
    let mut options = Options::default();
    options.pipeline.inner_length_max = 10;
    let mut world = World::with(options);
    let conn = world.connect();
    assert_eq!(world.error(conn, &set_data("/", &[0; 11], -1)), -5);
    assert_eq!(world.error(conn, &read(OpCode::GetData, "/0123456789", false)), -5);
    assert_eq!(world.error(conn, &set_data("/", &[0; 10], -1)), 0);
}

#[test]
fn requests_are_counted() {
    let mut world = World::new();
    let conn = world.connect();
    world.flushes_at_once = false;
    world.pass(10);
    world.send(conn, 5, &persistent("/a"));
    world.pass(3);
    world.flush();
    world.send(conn, 6, &read(OpCode::GetData, "/a", false));
    let stats = world.connection(conn).stats().clone();
    assert_eq!((stats.received, stats.sent, stats.count), (2, 3, 3));
    assert_eq!((stats.last_cxid, stats.last_zxid, stats.last_op), (6, 2, "GETD"));
    assert_eq!((stats.min_latency_ms, stats.max_latency_ms, stats.last_latency_ms), (0, 3, 0));
    assert_eq!(stats.last_response_ms, 13);
    let tally = world.clients.connections.get_mut(&conn).unwrap().take_tally();
    assert_eq!((tally.received, tally.sent, tally.total_latency_ms), (2, 3, 3));
}
