//! Sizes that are rare: deep trees, long names, many children, many watches.

use rookeeper_compat_tests::body::Acls;
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Script};
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

#[test]
fn a_deep_tree() {
    let mut s = Script::new("deep");
    s.connect("a");
    s.connect("watcher");
    s.call("watcher", add_watch(s.path(""), 1));
    let mut path = s.path("");
    for _ in 0..400 {
        path.push_str("/d");
        s.send("a", make(&path, ""));
    }
    s.send("a", get(&path, true));
    s.send("a", count_descendants(s.path("")));
    s.send("a", set(&path, Some(b"x"), -1));
    s.replies("a");
    s.settle("watcher");
    PAIR.compare(&s);
}

#[test]
fn a_long_name() {
    let mut s = Script::new("long_name");
    s.connect("a");
    for length in [32_767, 32_768, 65_535, 65_536, 400_000] {
        let path = s.path(&"n".repeat(length));
        s.call("a", create2(&path, Some(b"d"), &Acls::open(), 0));
        s.call("a", exists(&path, true));
        s.call("a", delete(&path, -1));
        s.call("a", create2(&path, Some(b"d"), &Acls::open(), 3));
    }
    s.call("a", ephemerals("/"));
    s.restart(Control::KillAndRestart);
    s.connect("b");
    s.call("b", children(s.path(""), false));
    PAIR.compare(&s);
}

#[test]
fn many_children() {
    let mut s = Script::new("many_children");
    s.connect("a");
    let root = s.path("dir");
    s.call("a", make(&root, ""));
    for index in 0..5000 {
        s.send("a", make_as(format!("{root}/{index:x}-"), if index % 5 == 0 { 3 } else { 2 }));
    }
    s.replies("a");
    s.call("a", children2(&root, true));
    s.call("a", ephemerals(&root));
    s.connect("b");
    s.call("b", children(&root, true));
    s.close_session("a");
    s.settle_after_session("b");
    s.call("b", children2(&root, false));
    PAIR.compare(&s);
}

#[test]
fn many_watches_on_one_connection() {
    let mut s = Script::new("many_watches");
    s.connect("a");
    s.connect("writer");
    let paths: Vec<_> = (0..1000).map(|index| s.path(&format!("n{index}"))).collect();
    let all: Vec<_> = paths.iter().map(String::as_str).collect();
    s.call("a", set_watches2(0, [&[], &all, &[], &[], &all[..500]]));
    for path in &paths {
        s.send("writer", make(path, ""));
    }
    s.replies("writer");
    s.settle("a");
    s.call("a", set_watches2(0, [&all, &[], &all, &[], &[]]));
    s.ask("wchs");
    for path in &paths {
        s.call("a", watches(OpCode::RemoveWatches, path, 3));
    }
    s.ask("wchs");
    PAIR.compare(&s);
}

#[test]
fn a_long_access_control_list() {
    let mut s = Script::new("long_acl");
    s.connect("a");
    let ids: Vec<_> = (0..1000).map(|index| format!("user{index}:hash")).collect();
    let mut entries: Vec<_> = ids.iter().map(|id| (1, "digest", id.as_str())).collect();
    entries.push((31, "world", "anyone"));
    s.call("a", create(s.path("x"), None, &Acls::list(&entries), 0));
    s.call("a", get_acl(s.path("x")));
    s.call("a", set_acl(s.path("x"), &Acls::list(&entries[500..]), 0));
    s.call("a", get_acl(s.path("x")));
    PAIR.compare(&s);
}

#[test]
fn several_identities_at_once() {
    let mut s = Script::new("identities");
    s.connect("both");
    s.call("both", auth("digest", Some(b"first:pw")));
    s.call("both", auth("digest", Some(b"second:pw")));
    s.call("both", create(s.path("x"), Some(b""), &Acls::one(31, "auth", ""), 0));
    for (conn, id) in [("first", &b"first:pw"[..]), ("second", b"second:pw"), ("third", b"third:pw")] {
        s.connect(conn);
        s.call(conn, auth("digest", Some(id)));
        s.call(conn, set(s.path("x"), Some(conn.as_bytes()), -1));
    }
    // The order in which Java expands `auth` is that of a set: it is not shown.
    s.call("both", set_acl(s.path("x"), &Acls::open(), -1));
    PAIR.compare(&s);
}
