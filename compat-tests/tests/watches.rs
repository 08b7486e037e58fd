//! Watches: every way to register one, every change, and the order in which clients hear of it.

use rookeeper_compat_tests::body::{Acls, Body};
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Hello, Script, Step};
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

/// The ways to register a watch, by name.
fn registrations(path: &str) -> [(&'static str, Request); 8] {
    [
        ("exists", exists(path, true)),
        ("get", get(path, true)),
        ("children", children(path, true)),
        ("children2", children2(path, true)),
        ("persistent", add_watch(path, 0)),
        ("recursive", add_watch(path, 1)),
        ("multi_read", multi_read(&[get(path, true), children(path, true)])),
        ("set_watches", set_watches2(i64::MAX >> 8, [&[path], &[path], &[path], &[path], &[path]])),
    ]
}

/// Changes at and around `x`, from nothing and back to it.
fn changes(root: &str) -> Vec<Request> {
    let x = format!("{root}/x");
    vec![
        make(&x, "1"),
        make(&x, "again"),
        set(&x, Some(b"2"), -1),
        set(&x, Some(b"2"), 77),
        set_acl(&x, &Acls::open(), -1),
        make(format!("{x}/c"), ""),
        set(format!("{x}/c"), Some(b"c"), -1),
        make(format!("{x}/c/d"), ""),
        delete(&x, -1),
        delete(format!("{x}/c/d"), -1),
        delete(format!("{x}/c"), -1),
        make_as(format!("{x}/s-"), 2),
        make_as(format!("{x}/s-"), 2),
        multi(&[delete(format!("{x}/s-0000000001"), -1), delete(format!("{x}/s-0000000002"), -1)]),
        make(format!("{root}/xy"), ""),
        delete(format!("{root}/xy"), -1),
        multi(&[
            set(&x, Some(b"m"), -1),
            make(format!("{x}/m"), ""),
            set(&x, Some(b"n"), -1),
            delete(format!("{x}/m"), -1),
        ]),
        multi(&[set(&x, Some(b"m"), -1), check(&x, 0)]),
        delete(&x, -1),
        make_as(&x, 1),
        multi(&[delete(&x, -1), make(&x, ""), delete(&x, -1), make(&x, "")]),
        delete(&x, -1),
    ]
}

#[test]
fn every_registration_hears_every_change() {
    for (name, _) in registrations("") {
        let mut s = Script::new(&format!("watch_{name}"));
        let root = s.path("");
        s.connect("writer");
        let targets = [("at_x", format!("{root}/x")), ("at_root", root.clone()), ("at_child", format!("{root}/x/c"))];
        for (conn, _) in &targets {
            s.connect(conn);
        }
        for change in changes(&root) {
            for (conn, path) in &targets {
                for (kind, request) in registrations(path) {
                    if kind == name {
                        s.call(conn, request);
                    }
                }
            }
            s.call("writer", change);
            for (conn, _) in &targets {
                s.settle(conn);
            }
        }
        PAIR.compare(&s);
    }
}

#[test]
fn one_shot_watches_fire_once_and_persistent_ones_always() {
    let mut s = Script::new("watch_once");
    let root = s.path("");
    s.connect("writer");
    for (conn, request) in registrations(&format!("{root}/x")) {
        s.connect(conn);
        // The same watch twice is one watch.
        s.call(conn, request.clone());
        s.call(conn, request);
    }
    for change in changes(&root) {
        s.call("writer", change);
        for (conn, _) in registrations("") {
            s.settle(conn);
        }
    }
    PAIR.compare(&s);
}

#[test]
fn all_kinds_on_one_connection() {
    let mut s = Script::new("watch_all_kinds");
    let root = s.path("");
    s.connect("a");
    for path in [root.clone(), format!("{root}/x")] {
        for (_, request) in registrations(&path) {
            s.call("a", request);
        }
    }
    for change in changes(&root) {
        s.call("a", change);
        s.call("a", exists(format!("{root}/x"), true));
        s.call("a", children(&root, true));
    }
    PAIR.compare(&s);
}

#[test]
fn own_changes_are_heard_before_their_replies() {
    let mut s = Script::new("watch_pipelined");
    let root = s.path("");
    s.connect("a");
    s.call("a", add_watch(&root, 1));
    for change in changes(&root) {
        s.send("a", get(format!("{root}/x"), true));
        s.send("a", change);
        s.send("a", exists(format!("{root}/x"), false));
    }
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn ephemerals_that_go_with_their_session() {
    let mut s = Script::new("watch_ephemerals");
    let root = s.path("");
    s.connect("a");
    s.connect("owner");
    s.call("owner", make(format!("{root}/d"), ""));
    for name in ["e", "d/e"] {
        s.call("owner", make_as(format!("{root}/{name}"), 1));
    }
    s.call("a", exists(format!("{root}/e"), true));
    s.call("a", children(format!("{root}/d"), true));
    s.call("a", get(format!("{root}/d"), true));
    s.close_session("owner");
    s.settle_after_session("a");
    s.call("a", children2(&root, false));
    PAIR.compare(&s);
}

#[test]
fn removing_and_checking() {
    for (name, _) in registrations("") {
        let mut s = Script::new(&format!("watch_remove_{name}"));
        let path = s.path("x");
        s.connect("writer");
        s.call("writer", make(&path, ""));
        for kind in [0, 1, 2, 3, 4, 5, 6, -1] {
            let conn = format!("c{kind}");
            s.connect(&conn);
            for (known, request) in registrations(&path) {
                if known == name {
                    s.call(&conn, request);
                }
            }
            for checked in [1, 2, 3, 4, 5] {
                s.call(&conn, watches(OpCode::CheckWatches, &path, checked));
            }
            s.call(&conn, watches(OpCode::CheckWatches, &path, kind));
            s.call(&conn, watches(OpCode::RemoveWatches, &path, kind));
            s.call(&conn, watches(OpCode::RemoveWatches, &path, kind));
            for checked in [1, 2, 3, 4, 5] {
                s.call(&conn, watches(OpCode::CheckWatches, &path, checked));
            }
        }
        s.call("writer", set(&path, Some(b"x"), -1));
        s.call("writer", make(format!("{path}/c"), ""));
        for kind in [0, 1, 2, 3, 4, 5, 6, -1] {
            s.settle(&format!("c{kind}"));
        }
        PAIR.compare(&s);
    }
}

#[test]
fn removal_on_another_path_and_from_another_connection() {
    let mut s = Script::new("watch_remove_elsewhere");
    let path = s.path("x");
    s.connect("a");
    s.connect("b");
    s.call("a", add_watch(&path, 1));
    s.call("a", exists(&path, true));
    s.call("b", watches(OpCode::RemoveWatches, &path, 3));
    s.call("a", watches(OpCode::RemoveWatches, format!("{path}/below"), 3));
    s.call("a", watches(OpCode::RemoveWatches, s.path(""), 3));
    s.call("a", watches(OpCode::CheckWatches, &path, 5));
    s.call("b", make(&path, ""));
    s.call("b", make(format!("{path}/below"), ""));
    s.settle("a");
    PAIR.compare(&s);
}

#[test]
fn add_watch_modes() {
    let mut s = Script::new("add_watch_modes");
    let path = s.path("x");
    s.connect("a");
    for mode in [0, 1, 2, -1, i32::MAX] {
        s.call("a", add_watch(&path, mode));
    }
    s.call("a", make(&path, ""));
    s.call("a", make(format!("{path}/c"), ""));
    // A watch of one mode replaces or joins the other.
    s.connect("b");
    for (mode, removed) in [(0, 4), (1, 5), (0, 5), (1, 4)] {
        s.call("b", add_watch(&path, mode));
        s.call("b", add_watch(&path, 1 - mode));
        s.call("b", watches(OpCode::RemoveWatches, &path, removed));
        s.call("a", set(&path, None, -1));
        s.call("a", make_as(format!("{path}/s"), 2));
        s.settle("b");
        s.call("b", watches(OpCode::RemoveWatches, &path, 3));
    }
    PAIR.compare(&s);
}

#[test]
fn recursive_watches_on_the_way_to_the_root() {
    let mut s = Script::new("watch_recursive");
    let root = s.path("");
    s.connect("a");
    s.connect("writer");
    s.call("writer", make(format!("{root}/b"), ""));
    s.call("writer", make(format!("{root}/b/c"), ""));
    for path in [root.clone(), format!("{root}/b"), format!("{root}/b/c"), format!("{root}/b/c/d")] {
        s.call("a", add_watch(path, 1));
    }
    s.call("a", get(format!("{root}/b/c"), true));
    s.call("a", children(format!("{root}/b"), true));
    for change in [
        make(format!("{root}/b/c/d"), ""),
        set(format!("{root}/b/c"), None, -1),
        delete(format!("{root}/b/c/d"), -1),
        delete(format!("{root}/b/c"), -1),
        make(format!("{root}/bb"), ""),
    ] {
        s.call("writer", change);
        s.settle("a");
    }
    s.connect("top");
    s.call("top", add_watch("/", 1));
    s.call("top", add_watch("/zookeeper", 0));
    s.call("writer", make(format!("{root}/b/c"), ""));
    s.call("writer", make_as(format!("{root}/b/s-"), 2));
    s.settle("top");
    s.call("top", add_watch("", 1));
    s.call("top", add_watch("relative", 1));
    s.call("top", add_watch("/trailing/", 1));
    s.call("writer", set(format!("{root}/b/c"), None, -1));
    s.settle("top");
    PAIR.compare(&s);
}

#[test]
fn catching_up() {
    let mut s = Script::new("watch_catch_up");
    let root = s.path("");
    s.connect("a");
    let names = ["kept", "set", "deleted", "recreated", "child_added", "acl"];
    for name in names {
        s.call("a", make(format!("{root}/{name}"), ""));
    }
    // The session took zxid 1 and the znodes 2 to 7.
    for change in [
        set(format!("{root}/set"), None, -1),
        delete(format!("{root}/deleted"), -1),
        delete(format!("{root}/recreated"), -1),
        make(format!("{root}/recreated"), ""),
        make(format!("{root}/child_added/c"), ""),
        set_acl(format!("{root}/acl"), &Acls::open(), -1),
        make(format!("{root}/new"), ""),
    ] {
        s.call("a", change);
    }
    let paths: Vec<String> =
        names.iter().chain(&["new", "never", "child_added/c"]).map(|name| format!("{root}/{name}")).collect();
    let all: Vec<&str> = paths.iter().map(String::as_str).collect();
    for seen in [-1, 0, 6, 7, 8, 10, 12, 14, 15, 1000] {
        for lists in [[&all[..], &[], &[]], [&[], &all[..], &[]], [&[], &[], &all[..]], [&all[..], &all[..], &all[..]]]
        {
            let conn = format!("b{seen}");
            s.connect(&conn);
            s.call(&conn, set_watches(seen, lists));
            for path in &all {
                s.call(&conn, watches(OpCode::CheckWatches, *path, 1));
                s.call(&conn, watches(OpCode::CheckWatches, *path, 2));
            }
            s.close_session(&conn);
        }
        let conn = format!("p{seen}");
        s.connect(&conn);
        s.call(&conn, set_watches2(seen, [&all, &all, &all, &all, &all]));
        for path in &all {
            for kind in 1..=5 {
                s.call(&conn, watches(OpCode::CheckWatches, *path, kind));
            }
        }
        s.close_session(&conn);
    }
    s.connect("c");
    s.call("c", set_watches2(7, [&all, &all, &all, &all, &all]));
    for path in &all {
        s.call("a", set(*path, Some(b"after"), -1));
        s.call("a", make(format!("{path}/x"), ""));
    }
    s.settle("c");
    PAIR.compare(&s);
}

#[test]
fn catching_up_on_what_may_not_be_read() {
    let mut s = Script::new("watch_catch_up_acl");
    s.connect("owner");
    s.call("owner", auth("digest", Some(b"user:pw")));
    let path = s.path("x");
    s.call("owner", create(&path, Some(b""), &Acls::one(31, "auth", ""), 0));
    s.connect("other");
    s.call("other", set_watches(0, [&[&path], &[&path], &[&path]]));
    s.call("other", set_watches(1000, [&[&path], &[], &[&path]]));
    s.call("owner", set(&path, Some(b"x"), -1));
    s.call("owner", make(format!("{path}/c"), ""));
    s.settle("other");
    PAIR.compare(&s);
}

#[test]
fn events_about_what_may_not_be_read_are_dropped() {
    let mut s = Script::new("watch_acl");
    s.connect("owner");
    s.call("owner", auth("digest", Some(b"user:pw")));
    s.connect("other");
    s.connect("late");
    let root = s.path("");
    let mine = Acls::one(31, "auth", "");
    s.call("other", add_watch(&root, 1));
    s.call("late", add_watch(&root, 1));
    s.call("other", exists(format!("{root}/x"), true));
    s.call("other", children(&root, true));
    s.call("owner", create(format!("{root}/x"), Some(b""), &mine, 0));
    s.settle("other");
    s.call("late", auth("digest", Some(b"user:pw")));
    s.call("owner", set(format!("{root}/x"), Some(b"1"), -1));
    s.call("owner", make(format!("{root}/x/open"), ""));
    s.call("owner", set(format!("{root}/x/open"), Some(b"1"), -1));
    s.call("owner", delete(format!("{root}/x/open"), -1));
    s.call("other", exists(format!("{root}/y"), true));
    s.call("owner", make(format!("{root}/y"), ""));
    s.settle("other");
    s.call("other", get(format!("{root}/y"), true));
    s.call("owner", set_acl(format!("{root}/y"), &mine, -1));
    s.call("owner", set(format!("{root}/y"), Some(b"2"), -1));
    s.settle("other");
    // The watch was used up by the event that was not sent.
    s.call("owner", set_acl(format!("{root}/y"), &Acls::open(), -1));
    s.call("owner", set(format!("{root}/y"), Some(b"3"), -1));
    s.settle("other");
    s.call("owner", delete(format!("{root}/x"), -1));
    s.call("owner", create(format!("{root}/z"), None, &Acls::one(2, "world", "anyone"), 0));
    s.call("owner", delete(format!("{root}/z"), -1));
    s.call(
        "owner",
        multi(&[
            create(format!("{root}/w"), None, &mine, 0),
            set(format!("{root}/w"), None, 0),
            delete(format!("{root}/w"), 1),
        ]),
    );
    for conn in ["other", "late"] {
        s.settle(conn);
    }
    s.call("owner", create(format!("{root}/dir"), None, &Acls::list(&[(31, "auth", ""), (4, "world", "anyone")]), 0));
    s.call("other", add_watch(format!("{root}/dir"), 0));
    s.call("other", make(format!("{root}/dir/c"), ""));
    s.settle("other");
    PAIR.compare(&s);
}

#[test]
fn watches_die_with_the_connection() {
    let mut s = Script::new("watch_connection");
    let path = s.path("x");
    s.connect("a");
    s.connect("writer");
    s.call("a", exists(&path, true));
    s.call("a", add_watch(&path, 1));
    s.drop_connection("a");
    s.connect_with("b", Hello::resume("a"));
    s.call("writer", make(&path, ""));
    s.settle("b");
    s.call("b", watches(OpCode::CheckWatches, &path, 3));
    s.call("b", set_watches2(1, [&[], &[&path], &[], &[&path], &[]]));
    s.call("writer", set(&path, None, -1));
    s.settle("b");
    PAIR.compare(&s);
}

#[test]
fn watches_set_again_after_a_restart() {
    let mut s = Script::new("watch_restart");
    let path = s.path("x");
    s.connect("a");
    s.connect("writer");
    s.call("writer", make(&path, ""));
    s.call("a", get(&path, true));
    s.restart(Control::KillAndRestart);
    s.connect_with("w", Hello::resume("writer"));
    s.call("w", set(&path, Some(b"after"), -1));
    s.connect_with("b", Hello { last_zxid_seen: Some(3), ..Hello::resume("a") });
    s.call("b", set_watches(3, [&[&path], &[], &[&path]]));
    s.call("w", set(&path, Some(b"again"), -1));
    s.call("w", make(format!("{path}/c"), ""));
    s.settle("b");
    PAIR.compare(&s);
}

#[test]
fn many_watchers_hear_in_order() {
    let mut s = Script::new("watch_many");
    let root = s.path("");
    s.connect("writer");
    s.call("writer", make(format!("{root}/x"), ""));
    for index in 0..30 {
        let conn = format!("c{index}");
        s.connect(&conn);
        s.call(&conn, add_watch(&root, i32::from(index % 2 == 0)));
        s.call(&conn, get(format!("{root}/x"), true));
    }
    for index in 0..40 {
        s.send("writer", set(format!("{root}/x"), None, -1));
        s.send("writer", make(format!("{root}/n{index}"), ""));
        s.send("writer", delete(format!("{root}/n{index}"), -1));
    }
    s.replies("writer");
    for index in 0..30 {
        s.settle(&format!("c{index}"));
    }
    PAIR.compare(&s);
}

#[test]
fn odd_lists_in_set_watches() {
    let mut s = Script::new("set_watches_odd");
    s.connect("a");
    let root = s.path("");
    let lists: [&[&str]; 4] =
        [&[""], &["relative", "/trailing/", "//"], &[&root, &root, &root], &["/missing", "/missing"]];
    for list in lists {
        s.call("a", set_watches(0, [list, list, list]));
        s.call("a", set_watches2(0, [list, list, list, list, list]));
    }
    for seen in [i64::MIN, -1, i64::MAX] {
        let body = Body::new().long(seen).texts(&[root.as_str()]).texts(&[root.as_str()]).texts(&[root.as_str()]);
        s.send_as("a", -8, Request::new(OpCode::SetWatches, body, format!("seen={seen}")));
        s.replies("a");
    }
    let null = Body::new().zxid(0).int(1).int(-1).int(0).int(0);
    s.send_as("a", -8, Request::new(OpCode::SetWatches, null, "a null path".to_owned()));
    s.step(Step::Settle("a".to_owned()));
    PAIR.compare(&s);
}
