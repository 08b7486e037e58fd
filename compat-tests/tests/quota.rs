//! Quotas: their znodes, what is counted where, and what is refused.

use rookeeper_compat_tests::body::Acls;
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Script};
use rookeeper_compat_tests::server::Config;

static SOFT: Shared = Shared::new(Config::default);
static HARD: Shared = Shared::new(|| Config::default().key("enforceQuota", "true"));

/// Creates the quota znodes of a path as zkCli's setquota does: the parents, then limits, then stats.
fn set_quota(s: &mut Script, conn: &str, path: &str, limits: &str, stats: &str) {
    let mut parent = "/zookeeper/quota".to_owned();
    for name in path.split('/').skip(1) {
        parent = format!("{parent}/{name}");
        s.call(conn, make(&parent, ""));
    }
    s.call(conn, make(format!("{parent}/zookeeper_limits"), limits));
    s.call(conn, make(format!("{parent}/zookeeper_stats"), stats));
}

fn show_quota(s: &mut Script, conn: &str, path: &str) {
    s.call(conn, get(format!("/zookeeper/quota{path}/zookeeper_limits"), false));
    s.call(conn, get(format!("/zookeeper/quota{path}/zookeeper_stats"), false));
}

fn work_below_a_quota(s: &mut Script, limits: &str) {
    s.connect("a");
    let path = s.path("q");
    s.call("a", make(&path, "12345"));
    s.call("a", make(format!("{path}/before"), "123"));
    set_quota(s, "a", &path, limits, "count=0,bytes=0");
    show_quota(s, "a", &path);
    for request in [
        make(format!("{path}/a"), "1"),
        make(format!("{path}/b"), "1234567890"),
        make_as(format!("{path}/e"), 1),
        make_as(format!("{path}/s-"), 2),
        set(format!("{path}/a"), Some(b"123456789012345678901234567890"), -1),
        set(format!("{path}/a"), Some(b""), -1),
        set(format!("{path}/a"), None, -1),
        set(format!("{path}/a"), Some(b"1"), 77),
        set(&path, Some(b"1"), -1),
        create(format!("{path}/null"), None, &Acls::open(), 0),
        make(format!("{path}/a/deep"), "123456"),
        multi(&[set(format!("{path}/b"), Some(b"1"), -1), delete(format!("{path}/b"), -1)]),
        multi(&[make(format!("{path}/c"), "1"), check(&path, 99)]),
        delete(format!("{path}/a/deep"), -1),
        delete(format!("{path}/e"), -1),
        delete(format!("{path}/missing"), -1),
    ] {
        s.call("a", request);
        show_quota(s, "a", &path);
    }
}

#[test]
fn a_soft_quota_only_counts() {
    for (name, limits) in [
        ("bytes", "count=-1,bytes=10"),
        ("count", "count=2,bytes=-1"),
        ("both", "count=2,bytes=10"),
        ("hard", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=2"),
        ("none", "count=-1,bytes=-1"),
    ] {
        let mut s = Script::new(&format!("quota_soft_{name}"));
        work_below_a_quota(&mut s, limits);
        SOFT.compare(&s);
    }
}

#[test]
fn a_hard_quota_refuses() {
    for (name, limits) in [
        ("bytes", "count=-1,bytes=-1=;byteHardLimit=15;countHardLimit=-1"),
        ("count", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4"),
        ("both", "count=1,bytes=1=;byteHardLimit=15;countHardLimit=4"),
        ("soft", "count=1,bytes=1"),
        ("comma", "count=1,bytes=1,byteHardLimit=15,countHardLimit=4"),
        ("order", "countHardLimit=3;count=5;bytes=7"),
        ("zero", "count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=0"),
    ] {
        let mut s = Script::new(&format!("quota_hard_{name}"));
        work_below_a_quota(&mut s, limits);
        HARD.compare(&s);
    }
}

#[test]
fn limits_that_change_or_go() {
    let mut s = Script::new("quota_changes");
    s.connect("a");
    let path = s.path("q");
    s.call("a", make(&path, ""));
    set_quota(&mut s, "a", &path, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2", "");
    show_quota(&mut s, "a", &path);
    let limits = format!("/zookeeper/quota{path}/zookeeper_limits");
    let stats = format!("/zookeeper/quota{path}/zookeeper_stats");
    for (index, request) in [
        set(&limits, Some(b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4"), -1),
        set(&stats, Some(b"count=100,bytes=100"), -1),
        set(&stats, Some(b"count=1,bytes=0"), -1),
        delete(&stats, -1),
        make(&stats, "count=7,bytes=7"),
        delete(&limits, -1),
        make(&limits, "count=-1,bytes=-1=;byteHardLimit=2;countHardLimit=-1"),
        delete(&limits, -1),
        delete(&stats, -1),
    ]
    .into_iter()
    .enumerate()
    {
        s.call("a", request);
        for round in 0..3 {
            s.call("a", make(format!("{path}/n{index}_{round}"), "x"));
        }
        show_quota(&mut s, "a", &path);
    }
    HARD.compare(&s);
}

#[test]
fn nested_quotas_count_at_the_deepest() {
    let mut s = Script::new("quota_nested");
    s.connect("a");
    let (outer, inner) = (s.path("o"), s.path("o/i"));
    s.call("a", make(&outer, ""));
    s.call("a", make(&inner, ""));
    set_quota(&mut s, "a", &outer, "count=10,bytes=10=;byteHardLimit=100;countHardLimit=6", "count=0,bytes=0");
    set_quota(&mut s, "a", &inner, "count=10,bytes=10=;byteHardLimit=100;countHardLimit=4", "count=0,bytes=0");
    for (index, path) in [&outer, &inner, &inner, &outer, &inner, &inner, &outer, &outer].into_iter().enumerate() {
        s.call("a", make(format!("{path}/n{index}"), "12"));
        show_quota(&mut s, "a", &outer);
        show_quota(&mut s, "a", &inner);
    }
    s.call("a", make(format!("{outer}x"), "beside"));
    show_quota(&mut s, "a", &outer);
    HARD.compare(&s);
}

#[test]
fn quotas_outlive_the_server() {
    let mut s = Script::new("quota_restart");
    s.connect("a");
    let path = s.path("q");
    s.call("a", make(&path, "123"));
    set_quota(&mut s, "a", &path, "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=4", "count=0,bytes=0");
    s.call("a", make(format!("{path}/a"), "1234"));
    s.restart(Control::KillAndRestart);
    s.connect("b");
    show_quota(&mut s, "b", &path);
    for index in 0..4 {
        s.call("b", make(format!("{path}/n{index}"), "1"));
        show_quota(&mut s, "b", &path);
    }
    s.restart(Control::StopAndRestart);
    s.connect("c");
    show_quota(&mut s, "c", &path);
    HARD.compare(&s);
}

#[test]
fn quota_znodes_are_watched_like_others() {
    let mut s = Script::new("quota_watches");
    s.connect("a");
    s.connect("watcher");
    let path = s.path("q");
    s.call("a", make(&path, ""));
    s.call("watcher", add_watch("/zookeeper/quota", 1));
    set_quota(&mut s, "a", &path, "count=1,bytes=1", "count=0,bytes=0");
    s.call("watcher", get(format!("/zookeeper/quota{path}/zookeeper_stats"), true));
    s.call("a", make(format!("{path}/a"), "123"));
    s.call("a", set(&path, Some(b"x"), -1));
    s.settle("watcher");
    s.call("a", exists(format!("/zookeeper/quota{path}/zookeeper_stats"), false));
    SOFT.compare(&s);
}

#[test]
fn a_hard_quota_in_a_pipeline_of_creates() {
    let mut s = Script::new("quota_multi");
    s.connect("a");
    let path = s.path("q");
    s.call("a", make(&path, ""));
    set_quota(&mut s, "a", &path, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2", "count=0,bytes=0");
    s.call("a", make(format!("{path}/first"), ""));
    s.call("a", multi(&[make(format!("{path}/m"), ""), set(&path, Some(b"x"), -1)]));
    s.call("a", multi(&[set(&path, Some(b"x"), -1), make(format!("{path}/m"), "")]));
    s.call(
        "a",
        create_op(rookeeper_protocol::types::OpCode::CreateContainer, format!("{path}/c"), None, &Acls::open(), 4),
    );
    s.call("a", make(format!("{path}/second"), ""));
    HARD.compare(&s);
}
