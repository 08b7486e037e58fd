//! Watches of every kind, fired by every change; what a client that comes back has missed.

use rookeeper_core::watch::ConnId;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, CreateMode, OpCode};

use super::wire::*;
use super::world::World;

fn error_record(code: i32) -> bytes::BytesMut {
    bytes(|out| out.int(code))
}

/// A world with `/w` and `/w/c`, a client that writes, and one that watches `path` in the given way.
fn world(path: &str, kind: &str) -> (World, ConnId, ConnId) {
    let mut world = World::new();
    let (writer, watcher) = (world.connect(), world.connect());
    world.ok(writer, &persistent("/w"));
    world.ok(writer, &persistent("/w/c"));
    let request = match kind {
        "data" => read(OpCode::GetData, path, true),
        "exists" => read(OpCode::Exists, path, true),
        "child" => read(OpCode::GetChildren, path, true),
        "child2" => read(OpCode::GetChildren2, path, true),
        "persistent" => by_number(OpCode::AddWatch, path, 0),
        "recursive" => by_number(OpCode::AddWatch, path, 1),
        other => panic!("{other}"),
    };
    world.send(watcher, 1, &request);
    world.take(watcher);
    (world, writer, watcher)
}

/// Every change at and around `/w` in turn, each alone in its world: the events for a watch on `/w`.
fn table(path: &str, kind: &str) -> Vec<(&'static str, Vec<(i32, String)>)> {
    let changes: [(&'static str, Request); 11] = [
        ("create sibling", persistent("/x")),
        ("create child", persistent("/w/n")),
        ("create grandchild", persistent("/w/c/n")),
        ("set", set_data("/w", b"", -1)),
        ("set child", set_data("/w/c", b"", -1)),
        ("set acl", set_acl("/w", &open(), -1)),
        ("delete child", delete("/w/c", -1)),
        ("delete all", multi(&[delete("/w/c", -1), delete("/w", -1)])),
        ("check", multi(&[check("/w", -1)])),
        ("failed multi", multi(&[set_data("/w", b"", -1), delete("/none", -1)])),
        ("error", set_data("/w", b"", 77)),
    ];
    changes
        .into_iter()
        .map(|(name, change)| {
            let (mut world, writer, watcher) = world(path, kind);
            world.send(writer, 1, &change);
            let zxid = world.tree.last_zxid().0;
            let events = world.take(watcher).into_iter().map(|sent| match sent {
                Sent::Event { zxid: fired, event, path } if fired == zxid => (event, path),
                other => panic!("{other:?}"),
            });
            (name, events.collect::<Vec<_>>())
        })
        .filter(|(_, events): &(_, Vec<_>)| !events.is_empty())
        .collect()
}

fn e(event: i32, path: &str) -> (i32, String) {
    (event, path.to_owned())
}

#[test]
fn each_kind_sees_its_changes() {
    for kind in ["data", "exists"] {
        let expected = [("set", vec![e(DATA, "/w")]), ("delete all", vec![e(DELETED, "/w")])];
        assert_eq!(table("/w", kind), expected, "{kind}");
    }
    for kind in ["child", "child2"] {
        // One shot: of the two things that a multi does, the first is told.
        let expected = [
            ("create child", vec![e(CHILDREN, "/w")]),
            ("delete child", vec![e(CHILDREN, "/w")]),
            ("delete all", vec![e(CHILDREN, "/w")]),
        ];
        assert_eq!(table("/w", kind), expected, "{kind}");
    }
    let expected = [
        ("create child", vec![e(CHILDREN, "/w")]),
        ("set", vec![e(DATA, "/w")]),
        ("delete child", vec![e(CHILDREN, "/w")]),
        ("delete all", vec![e(CHILDREN, "/w"), e(DELETED, "/w")]),
    ];
    assert_eq!(table("/w", "persistent"), expected);
    let expected = [
        ("create child", vec![e(CREATED, "/w/n")]),
        ("create grandchild", vec![e(CREATED, "/w/c/n")]),
        ("set", vec![e(DATA, "/w")]),
        ("set child", vec![e(DATA, "/w/c")]),
        ("delete child", vec![e(DELETED, "/w/c")]),
        ("delete all", vec![e(DELETED, "/w/c"), e(DELETED, "/w")]),
    ];
    assert_eq!(table("/w", "recursive"), expected);
    let expected = [
        ("create sibling", vec![e(CREATED, "/x")]),
        ("create child", vec![e(CREATED, "/w/n")]),
        ("create grandchild", vec![e(CREATED, "/w/c/n")]),
        ("set", vec![e(DATA, "/w")]),
        ("set child", vec![e(DATA, "/w/c")]),
        ("delete child", vec![e(DELETED, "/w/c")]),
        ("delete all", vec![e(DELETED, "/w/c"), e(DELETED, "/w")]),
    ];
    assert_eq!(table("/", "recursive"), expected);
    assert_eq!(
        table("/", "child"),
        [("create sibling", vec![e(CHILDREN, "/")]), ("delete all", vec![e(CHILDREN, "/")])]
    );
    let expected = [
        ("set child", vec![e(DATA, "/w/c")]),
        ("delete child", vec![e(DELETED, "/w/c")]),
        ("delete all", vec![e(DELETED, "/w/c")]),
    ];
    assert_eq!(table("/w/c", "data"), expected);
    let expected = [
        ("create grandchild", vec![e(CHILDREN, "/w/c")]),
        ("delete child", vec![e(DELETED, "/w/c")]),
        ("delete all", vec![e(DELETED, "/w/c")]),
    ];
    assert_eq!(table("/w/c", "child"), expected);
    assert_eq!(table("/x", "exists"), [("create sibling", vec![e(CREATED, "/x")])]);
    // Without the znode only exists leaves a watch.
    for kind in ["data", "child", "child2"] {
        assert_eq!(table("/x", kind), []);
    }
}

#[test]
fn a_one_shot_watch_fires_once() {
    let (mut world, writer, watcher) = world("/w", "data");
    for xid in 1..3 {
        world.send(writer, xid, &set_data("/w", b"", -1));
    }
    assert_eq!(world.take(watcher), [event(5, DATA, "/w")]);
    assert_eq!((world.watch_count(), world.clients.fired), (0, 1));
}

#[test]
fn a_persistent_watch_stays() {
    let (mut world, writer, watcher) = world("/w", "persistent");
    for xid in 1..3 {
        world.send(writer, xid, &set_data("/w", b"", -1));
    }
    world.send(writer, 3, &delete("/w/c", -1));
    world.send(writer, 4, &delete("/w", -1));
    world.send(writer, 5, &persistent("/w"));
    let expected = [
        event(5, DATA, "/w"),
        event(6, DATA, "/w"),
        event(7, CHILDREN, "/w"),
        event(8, DELETED, "/w"),
        event(9, CREATED, "/w"),
    ];
    assert_eq!(world.take(watcher), expected);
}

#[test]
fn kinds_that_coexist_tell_each_change_once() {
    let (mut world, writer, watcher) = world("/w", "persistent");
    world.send(watcher, 2, &read(OpCode::GetData, "/w", true));
    world.send(watcher, 3, &read(OpCode::GetChildren, "/w", true));
    world.send(watcher, 4, &by_number(OpCode::AddWatch, "/w", 1));
    world.send(watcher, 5, &by_number(OpCode::AddWatch, "/", 1));
    world.take(watcher);
    world.send(writer, 1, &delete("/w/c", -1));
    world.send(writer, 2, &delete("/w", -1));
    let expected = [event(5, DELETED, "/w/c"), event(5, CHILDREN, "/w"), event(6, DELETED, "/w")];
    assert_eq!(world.take(watcher), expected);
}

#[test]
fn an_event_comes_before_the_reply_that_shows_the_change() {
    let (mut world, writer, watcher) = world("/w", "data");
    world.flushes_at_once = false;
    world.send(watcher, 7, &persistent("/mine"));
    world.send(writer, 1, &set_data("/w", b"new", -1));
    world.send(watcher, 8, &set_data("/w", b"mine", -1));
    world.send(watcher, 9, &read(OpCode::Exists, "/w", false));
    world.flush();
    let sent = world.take(watcher);
    assert!(
        matches!(
            &sent[..],
            [
                Sent::Reply { xid: 7, .. },
                Sent::Event { zxid: 6, .. },
                Sent::Reply { xid: 8, .. },
                Sent::Reply { xid: 9, .. }
            ]
        ),
        "{sent:?}"
    );
}

#[test]
fn a_watch_of_the_writer_itself_fires_before_its_reply() {
    let (mut world, _, watcher) = world("/w", "data");
    world.send(watcher, 2, &set_data("/w", b"", -1));
    let sent = world.take(watcher);
    assert!(matches!(&sent[..], [Sent::Event { zxid: 5, .. }, Sent::Reply { xid: 2, zxid: 5, .. }]), "{sent:?}");
}

#[test]
fn a_multi_fires_part_by_part() {
    let (mut world, writer, watcher) = world("/", "recursive");
    world.send(watcher, 2, &by_number(OpCode::AddWatch, "/w", 0));
    world.take(watcher);
    let parts = [
        persistent("/w/a"),
        set_data("/w/a", b"", -1),
        delete("/w/a", -1),
        create("/w/s", CreateMode::PersistentSequential),
    ];
    world.send(writer, 1, &multi(&parts));
    let expected = [
        event(5, CREATED, "/w/a"),
        event(5, CHILDREN, "/w"),
        event(5, DATA, "/w/a"),
        event(5, DELETED, "/w/a"),
        event(5, CHILDREN, "/w"),
        event(5, CREATED, "/w/s0000000002"),
        event(5, CHILDREN, "/w"),
    ];
    assert_eq!(world.take(watcher), expected);
}

#[test]
fn events_go_to_connections_in_the_order_of_their_numbers() {
    let mut world = World::new();
    let writer = world.connect();
    let watchers: Vec<ConnId> = (0..20).map(|_| world.connect()).collect();
    for watcher in watchers.iter().rev() {
        world.send(*watcher, 1, &read(OpCode::Exists, "/w", true));
    }
    world.clients.calls.clear();
    world.send(writer, 1, &persistent("/w"));
    let told: Vec<ConnId> =
        world.clients.calls.iter().filter(|(_, call)| *call == "event").map(|(conn, _)| *conn).collect();
    assert_eq!(told, watchers);
    assert_eq!((world.clients.fired, world.watch_count()), (20, 0));
}

#[test]
fn watches_are_checked_and_taken_back_by_kind() {
    let (children, data, any, persistent_kind, recursive) = (1, 2, 3, 4, 5);
    for (kind, matching) in [
        ("data", [data, any].as_slice()),
        ("exists", &[data, any]),
        ("child", &[children, any]),
        ("persistent", &[persistent_kind, any]),
        ("recursive", &[recursive, any]),
    ] {
        for number in 1..=5 {
            let (mut world, writer, watcher) = world("/w", kind);
            let code = if matching.contains(&number) { 0 } else { -121 };
            let check = by_number(OpCode::CheckWatches, "/w", number);
            let remove = by_number(OpCode::RemoveWatches, "/w", number);
            assert_eq!(world.call(watcher, 2, &check), reply(2, 4, code), "{kind} {number}");
            assert_eq!(world.call(watcher, 3, &remove), reply(3, 4, code));
            assert_eq!(world.error(watcher, &check), -121);
            // Another client's watches are none of its business.
            assert_eq!(world.error(writer, &by_number(OpCode::RemoveWatches, "/w", any)), -121);
            assert_eq!(world.watch_count() == 0, code == 0);
        }
    }
    let (mut world, _, watcher) = world("/w", "data");
    for number in [0, 6, -1] {
        assert_eq!(world.error(watcher, &by_number(OpCode::CheckWatches, "/w", number)), -5);
        assert_eq!(world.error(watcher, &by_number(OpCode::RemoveWatches, "/w", number)), -5);
    }
    for mode in [2, -1] {
        assert_eq!(world.error(watcher, &by_number(OpCode::AddWatch, "/w", mode)), -5);
    }
}

#[test]
fn persistent_watches_need_neither_znode_nor_permission_nor_a_legal_path() {
    let mut world = World::new();
    let conn = world.connect();
    for path in ["/none", "none", "", "/a//b"] {
        for mode in [0, 1] {
            let sent = world.call(conn, 1, &by_number(OpCode::AddWatch, path, mode));
            assert_eq!(sent, answer(1, 1, error_record(0)));
        }
    }
    // A persistent one lies in both tables, a recursive one in one.
    assert_eq!(world.watch_count(), 8);
    let zero_watch = read(OpCode::GetData, "/", false);
    world.ok(conn, &zero_watch);
    assert_eq!(world.watch_count(), 8);
}

#[test]
fn watches_go_with_their_connection() {
    let (mut world, writer, watcher) = world("/w", "recursive");
    world.hang_up(watcher);
    assert_eq!(world.watch_count(), 0);
    world.ok(writer, &set_data("/w", b"", -1));
    assert_eq!(world.clients.fired, 0);
}

#[test]
fn a_client_that_comes_back_learns_what_it_missed() {
    let mut world = World::new();
    let conn = world.connect();
    for path in ["/old", "/set", "/grown", "/set-and-grown"] {
        world.ok(conn, &persistent(path));
    }
    let since = world.tree.last_zxid().0;
    world.ok(conn, &set_data("/set", b"", -1));
    world.ok(conn, &persistent("/grown/x"));
    world.ok(conn, &persistent("/set-and-grown/x"));
    world.ok(conn, &set_data("/set-and-grown", b"", -1));
    let zxid = world.tree.last_zxid().0;
    let all: &[&str] = &["/old", "/set", "/grown", "/set-and-grown", "/none"];
    world.send(conn, -8, &set_watches(since, &[all, all, all]));
    let expected = [
        event(-1, DATA, "/set"),
        event(-1, DATA, "/set-and-grown"),
        event(-1, DELETED, "/none"),
        event(-1, CREATED, "/old"),
        event(-1, CREATED, "/set"),
        event(-1, CREATED, "/grown"),
        event(-1, CREATED, "/set-and-grown"),
        event(-1, CHILDREN, "/grown"),
        event(-1, CHILDREN, "/set-and-grown"),
        event(-1, DELETED, "/none"),
        reply(-8, zxid, 0),
    ];
    assert_eq!(world.take(conn), expected);
    // What was not missed is watched: data of /old and /grown, children of /old and /set, and /none.
    assert_eq!(world.watch_count(), 5);
    world.send(conn, 1, &multi(&[persistent("/old/x"), set_data("/old", b"", -1), persistent("/none")]));
    let zxid = world.tree.last_zxid().0;
    let fired: Vec<Sent> = world.take(conn).into_iter().take(3).collect();
    assert_eq!(fired, [event(zxid, CHILDREN, "/old"), event(zxid, DATA, "/old"), event(zxid, CREATED, "/none")]);

    world.send(conn, -8, &set_watches(since, &[&[], &[], &[], &["/set"], &["/grown"]]));
    assert_eq!(world.take(conn), [reply(-8, zxid, 0)]);
    assert_eq!(world.error(conn, &by_number(OpCode::CheckWatches, "/set", 4)), 0);
    assert_eq!(world.error(conn, &by_number(OpCode::CheckWatches, "/grown", 5)), 0);
}

#[test]
fn set_watches_with_nulls_cannot_be_read() {
    let mut world = World::new();
    let conn = world.connect();
    let null_list = Request::new(OpCode::SetWatches, |out| {
        out.long(0);
        out.null();
        out.count(0);
        out.count(0);
    });
    let null_path = Request::new(OpCode::SetWatches2, |out| {
        out.long(0);
        out.count(2);
        out.text("/");
        out.null();
        (0..4).for_each(|_| out.count(0));
    });
    for request in [null_list, null_path] {
        assert_eq!(world.call(conn, -8, &request), reply(-8, 1, -5));
    }
}

#[test]
fn only_those_who_may_read_learn_of_a_change() {
    let mut world = World::new();
    let (writer, watcher) = (world.connect(), world.connect());
    world.send(writer, -4, &auth("digest", b"me:secret"));
    world.take(writer);
    let secret = |path: &str| create_as(OpCode::Create, path, None, &auth_acl(), 0);
    world.ok(writer, &persistent("/open"));
    world.ok(writer, &secret("/shut"));
    world.ok(writer, &secret("/shut/in"));
    world.send(watcher, 1, &by_number(OpCode::AddWatch, "/", 1));
    world.send(watcher, 2, &by_number(OpCode::AddWatch, "/open", 0));
    world.send(watcher, 3, &by_number(OpCode::AddWatch, "/shut", 0));
    world.send(watcher, 4, &read(OpCode::Exists, "/open/secret", true));
    world.take(watcher);
    // The new znode's list decides on its creation, the parent's on its children.
    world.send(writer, 1, &secret("/open/secret"));
    assert_eq!(world.take(watcher), [event(6, CHILDREN, "/open")]);
    // The one-shot watch is spent all the same.
    assert_eq!(world.error(watcher, &by_number(OpCode::CheckWatches, "/open/secret", 2)), -121);
    world.send(writer, 2, &create_as(OpCode::Create, "/shut/seen", None, &open(), 0));
    assert_eq!(world.take(watcher), [event(7, CREATED, "/shut/seen")]);
    world.send(writer, 3, &set_data("/shut", b"", -1));
    world.send(writer, 4, &delete("/shut/in", -1));
    assert_eq!(world.take(watcher), []);
    // Who may read is asked when it happens, with the identities of that moment, and the list before it.
    world.send(writer, 5, &set_acl("/shut", &[Acl::read_only()], -1));
    world.send(writer, 6, &delete("/open/secret", -1));
    assert_eq!(world.take(watcher), [event(11, CHILDREN, "/open")]);
    world.send(writer, 7, &set_acl("/open", &auth_acl(), -1));
    world.send(watcher, -4, &auth("digest", b"me:secret"));
    world.take(watcher);
    world.send(writer, 8, &set_data("/open", b"", -1));
    assert_eq!(world.take(watcher), [event(13, DATA, "/open")]);
}
