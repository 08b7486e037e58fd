//! Many requests without waiting: replies in order, and each read shows all writes sent before it.

use rookeeper_compat_tests::body::Acls;
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

#[test]
fn reads_between_writes_show_them() {
    let mut s = Script::new("pipe_reads");
    s.connect("a");
    let root = s.path("");
    for index in 0..200 {
        let path = format!("{root}/n{index}");
        s.send("a", make(&path, "1"));
        s.send("a", get(&path, false));
        s.send("a", set(&path, Some(format!("{index}").as_bytes()), 0));
        s.send("a", get(&path, false));
        s.send("a", set(&path, Some(b"wrong"), 0));
        s.send("a", children2(&path, false));
        if index % 3 == 0 {
            s.send("a", delete(&path, 1));
            s.send("a", exists(&path, false));
        }
        if index % 7 == 0 {
            s.send("a", sync(&path));
            s.send("a", bare(OpCode::Ping));
            s.send("a", ephemerals("/"));
        }
    }
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn all_kinds_of_operations_pipelined() {
    let mut s = Script::new("pipe_kinds");
    s.connect("a");
    let root = s.path("");
    s.send("a", add_watch(&root, 1));
    for round in 0..40 {
        let path = format!("{root}/r{round}");
        s.send("a", multi(&[make(&path, ""), make(format!("{path}/c"), ""), make_as(format!("{path}/e"), 1)]));
        s.send("a", count_descendants(&path));
        s.send("a", ephemerals(&path));
        s.send("a", multi_read(&[get(&path, false), children(&path, false)]));
        s.send("a", children(&path, true));
        s.send("a", make_as(format!("{path}/s-"), 2));
        s.send("a", make_as(format!("{path}/s-"), 2));
        s.send("a", exists(format!("{path}/s-0000000002"), true));
        s.send("a", multi(&[set(&path, Some(b"x"), 0), check(&path, 7)]));
        s.send("a", multi(&[set(&path, Some(b"x"), 0), check(&path, 1)]));
        s.send("a", get(&path, true));
        s.send("a", delete(format!("{path}/s-0000000002"), -1));
        s.send("a", set_acl(&path, &Acls::open(), 0));
        s.send("a", get_acl(&path));
        s.send("a", watches(OpCode::CheckWatches, &path, 2));
        s.send("a", watches(OpCode::RemoveWatches, &path, 2));
        s.send("a", bare(OpCode::WhoAmI));
        s.send("a", delete(&path, -1));
        s.send("a", reconfig("", "", "", -1));
    }
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn failures_in_a_pipeline_undo_nothing_else() {
    let mut s = Script::new("pipe_failures");
    s.connect("a");
    let root = s.path("");
    for index in 0..100 {
        let path = format!("{root}/n{}", index % 5);
        s.send("a", make(&path, ""));
        s.send("a", make(format!("{path}/child"), ""));
        s.send("a", delete(&path, -1));
        s.send("a", multi(&[delete(format!("{path}/child"), -1), make(format!("{root}/t"), ""), check(&path, 9)]));
        s.send("a", delete(format!("{path}/child"), 0));
        s.send("a", delete(&path, index % 3));
        s.send("a", make_as(format!("{root}/s-"), 2));
    }
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn a_deep_pipeline_on_one_connection() {
    let mut s = Script::new("pipe_deep");
    s.connect("a");
    let root = s.path("");
    // More than globalOutstandingLimit.
    for _ in 0..3000 {
        s.send("a", set(&root, Some(b"x"), -1));
    }
    s.send("a", get(&root, false));
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn large_requests_and_replies_in_a_pipeline() {
    let mut s = Script::new("pipe_large");
    s.connect("a");
    let path = s.path("x");
    s.send("a", make(&path, ""));
    for round in 0..20u8 {
        s.send("a", set(&path, Some(&vec![round; 200_000 + usize::from(round)]), i32::from(round)));
        s.send("a", get(&path, false));
        s.send("a", exists(&path, false));
    }
    s.replies("a");
    PAIR.compare(&s);
}
