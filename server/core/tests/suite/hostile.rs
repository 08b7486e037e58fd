//! Bytes that no client would send.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use rookeeper_core::client::Phase;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{CreateMode, OpCode};

use super::wire::*;
use super::world::World;

/// Every number that means something, and some that do not.
const OPS: [i32; 34] = [
    -11, -10, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 100, 101, 102, 103,
    104, 105, 106, 107,
];

/// The longest that a frame of a few hundred bytes may be answered with in these small trees.
const ANSWER_MAX: usize = 64 << 10;

/// Pieces of which requests are made, some of them wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            &b"/"[..],
            b"/a",
            b"/a/b",
            b"/e",
            b"a",
            b"",
            b"/\xff",
            b"digest",
            b"world",
            b"anyone"
        ])
        .prop_map(|text| bytes(|out| out.buffer(Some(text))).to_vec()),
        prop::sample::select(vec![0, 1, -1, 2, 3, 5, 31, i32::MAX, i32::MIN])
            .prop_map(|int| int.to_be_bytes().to_vec()),
        prop::sample::select(vec![0i64, 1, -1, i64::MIN]).prop_map(|long| long.to_be_bytes().to_vec()),
        prop::sample::select(&OPS[..]).prop_map(|op| bytes(|out| multi_header(out, op, false, -1)).to_vec()),
        Just(bytes(|out| multi_header(out, -1, true, -1)).to_vec()),
        any::<bool>().prop_map(|flag| vec![flag.into()]),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn frame() -> impl Strategy<Value = Bytes> {
    let op = prop_oneof![9 => prop::sample::select(&OPS[..]), 1 => any::<i32>()];
    let body = prop_oneof![
        4 => prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    let framed = (any::<i32>(), op, body).prop_map(|(xid, op, body)| {
        let mut out = BytesMut::new();
        out.int(xid);
        out.int(op);
        out.put_slice(&body);
        out.freeze()
    });
    prop_oneof![20 => framed, 1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_cost_their_connection_at_most(frames in prop::collection::vec(frame(), 1..30)) {
        let mut world = World::new();
        let honest = world.connect();
        for request in [persistent("/a"), persistent("/a/b"), ephemeral("/e")] {
            world.ok(honest, &request);
        }
        let mut conn = world.connect();
        for (index, frame) in frames.into_iter().enumerate() {
            // Some are applied in groups.
            world.flushes_at_once = index % 3 == 0;
            world.send_frame(conn, frame);
            let out = &mut world.clients.connections.get_mut(&conn).unwrap().out;
            prop_assert!(out.len() <= ANSWER_MAX, "{} bytes", out.len());
            out.clear();
            if world.connection(conn).phase() != Phase::Open {
                world.flush();
                world.hang_up(conn);
                conn = world.connect();
            }
        }
        world.flushes_at_once = true;
        world.flush();
        prop_assert_eq!(world.pipeline.in_flight_bytes(), 0);
        // The server lives, and the other client is served.
        world.take(honest);
        let path = world.ok(honest, &create("/alive", CreateMode::PersistentSequential));
        prop_assert!(path.starts_with(&text("/alive")[4..]) || path.len() > 10);
    }
}

#[test]
fn a_multi_read_of_much_is_refused_before_it_costs_much() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &set_data("/", &vec![7; 1 << 20], -1));
    let parts = vec![read(OpCode::GetData, "/", false); 20_000];
    // Twenty gigabytes were asked for in half a megabyte.
    assert_eq!(world.call(conn, 1, &many(OpCode::MultiRead, &parts)), reply(1, 2, -5));
    assert!(world.connection(conn).out.capacity() < 256 << 20);
    assert!(matches!(world.call(conn, 2, &many(OpCode::MultiRead, &parts[..10])), Sent::Reply { error: 0, .. }));
}

#[test]
fn reads_of_much_that_wait_behind_a_write_end_their_connection() {
    let mut world = World::new();
    let conn = world.connect();
    world.ok(conn, &set_data("/", &vec![7; 1 << 20], -1));
    world.flushes_at_once = false;
    for xid in 0..100 {
        world.send(conn, 2 * xid, &persistent("/a"));
        // A hundred megabytes in all: as much as is allowed, and no more than a few of them wait for each write.
        world.send(conn, 2 * xid + 1, &read(OpCode::GetData, "/", false));
    }
    world.flush();
    assert_eq!((world.connection(conn).phase(), world.take(conn).len()), (Phase::Open, 200));
    world.send(conn, 1, &persistent("/b"));
    for xid in 0..1000 {
        world.send(conn, xid, &read(OpCode::GetData, "/", false));
    }
    world.flush();
    assert_eq!((world.connection(conn).phase(), world.connection(conn).outstanding()), (Phase::Ending, 0));
    assert!(world.connection(conn).out.len() < 130 << 20);
    assert!(world.has("/b"));
}
