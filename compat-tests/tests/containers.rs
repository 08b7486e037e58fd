//! Containers and znodes with a time to live: they go by themselves, and only when they should.

use rookeeper_compat_tests::body::Acls;
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Script};
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

/// Looked for every fifth of a second.
static PAIR: Shared = Shared::new(|| {
    Config::default().key("extendedTypesEnabled", "true").property("znode.container.checkIntervalMs", "200")
});

fn container(path: &str) -> Request {
    create_op(OpCode::CreateContainer, path, Some(b"c"), &Acls::open(), 4)
}

#[test]
fn an_emptied_container_goes_and_an_unused_one_stays() {
    let mut s = Script::new("container");
    s.connect("a");
    s.connect("watcher");
    let root = s.path("");
    s.call("watcher", add_watch(&root, 1));
    s.call("a", container(&format!("{root}/unused")));
    s.call("a", container(&format!("{root}/used")));
    s.call("a", make(format!("{root}/used/child"), ""));
    s.call("a", exists(format!("{root}/used"), true));
    s.call("a", delete(format!("{root}/used/child"), -1));
    s.wait_gone(&format!("{root}/used"));
    s.settle("a");
    s.settle("watcher");
    s.call("a", exists(format!("{root}/unused"), false));
    s.call("a", children2(&root, false));
    PAIR.compare(&s);
}

#[test]
fn containers_inside_containers_go_from_the_inside() {
    let mut s = Script::new("container_nested");
    s.connect("a");
    let root = s.path("");
    for path in ["a", "a/b", "a/b/c"] {
        s.call("a", container(&format!("{root}/{path}")));
    }
    s.call("a", make(format!("{root}/a/b/c/child"), ""));
    s.call("a", children(&root, true));
    s.call("a", delete(format!("{root}/a/b/c/child"), -1));
    s.wait_gone(&format!("{root}/a"));
    s.settle("a");
    s.call("a", make(format!("{root}/a"), "new"));
    PAIR.compare(&s);
}

#[test]
fn ephemeral_children_keep_a_container() {
    let mut s = Script::new("container_ephemeral");
    s.connect("a");
    s.connect("b");
    let path = s.path("c");
    s.call("a", container(&path));
    s.call("b", make_as(format!("{path}/e"), 1));
    s.call("a", exists(&path, true));
    s.close_session("b");
    s.wait_gone(&path);
    s.settle("a");
    PAIR.compare(&s);
}

#[test]
fn a_ttl_runs_out() {
    let mut s = Script::new("ttl");
    s.connect("a");
    let root = s.path("");
    s.call("a", children(&root, true));
    s.call("a", create_ttl(format!("{root}/short"), Some(b"x"), &Acls::open(), 5, 300));
    s.call("a", create_ttl(format!("{root}/seq-"), Some(b"x"), &Acls::open(), 6, 300_000_000));
    s.call("a", create_ttl(format!("{root}/parent"), Some(b"x"), &Acls::open(), 5, 100));
    s.call("a", make(format!("{root}/parent/child"), ""));
    s.call("a", exists(format!("{root}/short"), true));
    s.wait_gone(&format!("{root}/short"));
    s.settle("a");
    s.call("a", exists(format!("{root}/parent"), true));
    s.call("a", delete(format!("{root}/parent/child"), -1));
    s.wait_gone(&format!("{root}/parent"));
    s.settle("a");
    s.call("a", children2(&root, false));
    PAIR.compare(&s);
}

#[test]
fn owners_of_containers_and_ttls_are_not_shown() {
    let mut s = Script::new("ttl_stat");
    s.connect("a");
    let root = s.path("");
    s.call("a", container(&format!("{root}/c")));
    s.call("a", create_ttl(format!("{root}/t"), None, &Acls::open(), 5, 0xff_ffff_ffff));
    for name in ["c", "t"] {
        s.call("a", exists(format!("{root}/{name}"), false));
        s.call("a", make_as(format!("{root}/{name}/e"), 1));
        s.call("a", container(&format!("{root}/{name}/c")));
        s.call("a", create_ttl(format!("{root}/{name}/t"), None, &Acls::open(), 5, 1_000_000));
        s.call("a", set(format!("{root}/{name}"), Some(b"x"), -1));
    }
    s.call("a", ephemerals("/"));
    PAIR.compare(&s);
}

#[test]
fn they_outlive_the_server_and_go_afterwards() {
    let mut s = Script::new("ttl_restart");
    s.connect("a");
    let root = s.path("");
    s.call("a", container(&format!("{root}/c")));
    s.call("a", make(format!("{root}/c/child"), ""));
    s.call("a", create_ttl(format!("{root}/t"), None, &Acls::open(), 5, 1500));
    s.call("a", create_ttl(format!("{root}/long"), None, &Acls::open(), 5, 1_000_000));
    s.restart(Control::KillAndRestart);
    s.connect("b");
    s.wait_gone(&format!("{root}/t"));
    s.call("b", delete(format!("{root}/c/child"), -1));
    s.wait_gone(&format!("{root}/c"));
    s.call("b", children2(&root, false));
    PAIR.compare(&s);
}
