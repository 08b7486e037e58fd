//! Reads: bodies, errors, and the odd corners that no document tells.

use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, OpCode, Stat, write_acls};

use super::wire::*;
use super::world::{Options, T0, World};
use rookeeper_core::watch::ConnId;

/// A world with `/a` (data), `/a/b` and `/a/b/c`.
fn world() -> (World, ConnId) {
    let mut world = World::new();
    let conn = world.connect();
    for path in ["/a", "/a/b", "/a/b/c"] {
        world.ok(conn, &persistent(path));
    }
    (world, conn)
}

#[test]
fn a_fresh_tree_is_javas() {
    let mut world = World::new();
    let conn = world.connect();
    let zero = Stat::default();
    for (path, cversion, children, aversion) in
        [("/", -1, 1, 0), ("/zookeeper", -2, 2, 0), ("/zookeeper/quota", 0, 0, 0), ("/zookeeper/config", 0, 0, -1)]
    {
        let stat = Stat { cversion, num_children: children, aversion, ..zero };
        let expected = bytes(|out| {
            out.buffer(Some(b""));
            stat.write(out);
        });
        assert_eq!(world.ok(conn, &read(OpCode::GetData, path, false)), expected, "{path}");
        let acl = if path == "/zookeeper/config" { Acl::read_only() } else { Acl::open() };
        let expected = bytes(|out| {
            write_acls(out, &[acl]);
            stat.write(out);
        });
        assert_eq!(world.ok(conn, &by_path(OpCode::GetAcl, path)), expected, "{path}");
    }
    // The root lies under two names.
    assert_eq!((world.tree.node_count(), world.tree.digest()), (5, 1_371_985_504));
    for (path, count) in [("/", 3), ("/zookeeper", 2), ("/zookeeper/quota", 0), ("", 4)] {
        let body = world.ok(conn, &by_path(OpCode::GetAllChildrenNumber, path));
        assert_eq!(body, bytes(|out| out.int(count)), "{path}");
    }
}

#[test]
fn data_stat_and_children_are_told() {
    let (mut world, conn) = world();
    let stat = Stat { cversion: 1, num_children: 1, pzxid: rookeeper_protocol::types::Zxid(3), ..fresh_stat(2, T0, 4) };
    let data = bytes(|out| {
        out.buffer(Some(b"data"));
        stat.write(out);
    });
    assert_eq!(world.call(conn, 8, &read(OpCode::GetData, "/a", false)), answer(8, 4, data));
    assert_eq!(world.ok(conn, &read(OpCode::Exists, "/a", false)), stat_bytes(&stat));
    assert_eq!(world.ok(conn, &read(OpCode::GetChildren, "/a", false)), bytes(|out| names(out, &["b"])));
    let both = bytes(|out| {
        names(out, &["b"]);
        stat.write(out);
    });
    assert_eq!(world.ok(conn, &read(OpCode::GetChildren2, "/a", false)), both);
    assert_eq!(world.ok(conn, &by_path(OpCode::GetAllChildrenNumber, "/a")), bytes(|out| out.int(2)));
    assert_eq!(world.ok(conn, &by_path(OpCode::Sync, "any//thing")), text("any//thing"));
}

#[test]
fn paths_are_looked_up_as_they_are() {
    let (mut world, conn) = world();
    for op in [OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2, OpCode::Exists] {
        for path in ["/none", "a", "/a/", "//a", "/a//b", "/a/."] {
            assert_eq!(world.error(conn, &read(op, path, false)), -101, "{op:?} {path}");
        }
        // The empty path is the root.
        assert_eq!(world.error(conn, &read(op, "", false)), 0);
        let code = if op == OpCode::Exists { -8 } else { -101 };
        assert_eq!(world.error(conn, &read(op, "/a\0", false)), code);
    }
    for op in [OpCode::GetAcl, OpCode::GetAllChildrenNumber] {
        assert_eq!(world.error(conn, &by_path(op, "/none")), -101);
    }
}

#[test]
fn nulls_and_short_requests_are_marshalling_errors() {
    let (mut world, conn) = world();
    for op in [OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2, OpCode::Exists] {
        let null = Request::new(op, |out| {
            out.null();
            out.boolean(true);
        });
        assert_eq!(world.error(conn, &null), -5);
        assert_eq!(world.error(conn, &by_path(op, "/a")), -5, "the watch flag is missing");
    }
    for op in [OpCode::GetAcl, OpCode::GetAllChildrenNumber] {
        assert_eq!(world.error(conn, &Request::new(op, |out| out.null())), -5);
    }
    for op in [OpCode::Sync, OpCode::GetEphemerals, OpCode::AddWatch, OpCode::SetWatches, OpCode::MultiRead] {
        assert_eq!(world.error(conn, &bare(op)), -5, "{op:?}");
    }
    let null = Request::new(OpCode::Sync, |out| out.null());
    assert_eq!(world.ok(conn, &null), bytes(|out| out.null()));
    for op in [OpCode::CheckWatches, OpCode::RemoveWatches] {
        let null = Request::new(op, |out| {
            out.null();
            out.int(3);
        });
        assert_eq!(world.error(conn, &null), -121);
    }
    assert_eq!(world.watch_count(), 0);
}

#[test]
fn ephemerals_are_those_of_the_session_that_asks() {
    let (mut world, conn) = world();
    let other = world.connect();
    for path in ["/x1", "/x2", "/a/x"] {
        world.ok(conn, &ephemeral(path));
    }
    world.ok(other, &ephemeral("/x3"));
    let mut list = |prefix: Option<&str>| {
        let request = Request::new(OpCode::GetEphemerals, |out| match prefix {
            Some(prefix) => out.text(prefix),
            None => out.null(),
        });
        let body = world.ok(conn, &request);
        let mut reader = rookeeper_protocol::jute::Reader::new(&body);
        let mut found: Vec<String> =
            reader.text_vector().unwrap().unwrap().into_iter().map(|path| path.unwrap().into_owned()).collect();
        found.sort();
        found
    };
    for all in [None, Some(""), Some("/"), Some(" / "), Some("\t")] {
        assert_eq!(list(all), ["/a/x", "/x1", "/x2"], "{all:?}");
    }
    // A prefix is a beginning of the text, not a path.
    assert_eq!(list(Some("/x")), ["/x1", "/x2"]);
    assert_eq!(list(Some(" /x")), Vec::<String>::new());
}

#[test]
fn multi_read_answers_each_for_itself() {
    let (mut world, conn) = world();
    world.ok(conn, &create_as(OpCode::Create, "/shut", None, &[user_acl(31, "a:b")], 0));
    let parts = [
        read(OpCode::GetData, "/none", true),
        read(OpCode::GetChildren, "/a/b", true),
        read(OpCode::GetData, "/shut", false),
        read(OpCode::GetData, "/a/b/c", true),
    ];
    let data = bytes(|out| {
        out.buffer(Some(b"data"));
        fresh_stat(4, T0, 4).write(out);
    });
    let children = bytes(|out| names(out, &["c"]));
    let expected = results(&[failed(-101), (8, 0, children), failed(-102), (4, 0, data)]);
    assert_eq!(world.call(conn, 1, &many(OpCode::MultiRead, &parts)), answer(1, 5, expected));
    // Watches are not set, whatever the flag says.
    assert_eq!(world.watch_count(), 0);
    assert_eq!(world.ok(conn, &many(OpCode::MultiRead, &[])), results(&[]));
    assert_eq!(world.error(conn, &many(OpCode::MultiRead, &[parts[0].clone(), persistent("/x")])), -5);
    // What was answered before Java stumbles stands behind the error.
    let null = Request::new(OpCode::GetData, |out| {
        out.null();
        out.boolean(false);
    });
    let sent = world.call(conn, 2, &many(OpCode::MultiRead, &[parts[0].clone(), null]));
    let body = results(&[failed(-101)]).to_vec();
    assert_eq!(sent, Sent::Reply { xid: 2, zxid: 5, error: -5, body });
}

#[test]
fn a_multi_read_of_writes_is_refused() {
    let (mut world, conn) = world();
    let sent = world.call(conn, 2, &many(OpCode::MultiRead, &[persistent("/x")]));
    let body = results(&[]).to_vec();
    assert_eq!(sent, Sent::Reply { xid: 2, zxid: 4, error: -5, body });
    assert!(!world.has("/x"));
}

#[test]
fn text_comes_back_in_javas_encoding() {
    let mut world = World::new();
    let conn = world.connect();
    // Bytes that are no text are replaced, in paths (where the replacement is not legal) and in a sync.
    let broken = Request::new(OpCode::Sync, |out| out.buffer(Some(&[b'a', 0xFF, b'b'])));
    assert_eq!(world.ok(conn, &broken), text("a\u{FFFD}b"));
    let supplementary = Request::new(OpCode::Sync, |out| out.buffer(Some("\u{1F600}".as_bytes())));
    let surrogates = bytes(|out| out.buffer(Some(&[0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80])));
    assert_eq!(world.ok(conn, &supplementary), surrogates);
    assert_eq!(world.ok(conn, &persistent("/n\u{e4}me/".trim_end_matches('/'))), text("/n\u{e4}me"));
    assert_eq!(world.error(conn, &persistent("/\u{1F600}")), -8);
}

#[test]
fn ttls_and_containers_show_no_owner() {
    let mut options = Options::default();
    options.tree.extended_types.enabled = true;
    let mut world = World::with(options);
    let conn = world.connect();
    world.ok(conn, &create_ttl("/t", rookeeper_protocol::types::CreateMode::PersistentWithTtl, 5));
    world.ok(conn, &create_as(OpCode::CreateContainer, "/c", None, &open(), 4));
    for path in ["/t", "/c"] {
        assert_eq!(world.tree.get(path).unwrap().client_stat().ephemeral_owner, 0);
    }
    assert_eq!(world.ok(conn, &by_path(OpCode::GetEphemerals, "")), bytes(|out| out.count(0)));
}
