//! Sessions: how they end, move, and outlive connections and servers.

use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Hello, Script};
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

/// Sessions may end within a second.
static SHORT: Shared = Shared::new(|| Config::default().key("tickTime", "200"));

const SHORT_TIMEOUT_MS: i32 = 600;

fn short() -> Hello {
    Hello { timeout_ms: SHORT_TIMEOUT_MS, ..Hello::default() }
}

#[test]
fn a_silent_client_loses_its_session() {
    let mut s = Script::new("expiry");
    s.connect("watcher");
    s.connect_with("silent", short());
    s.call("silent", make_as(s.path("e1"), 1));
    s.call("silent", make_as(s.path("e2"), 1));
    s.call("watcher", exists(s.path("e1"), true));
    s.call("watcher", children(s.path(""), true));
    s.closed("silent");
    s.settle_after_session("watcher");
    s.connect_with("late", Hello::resume("silent"));
    s.closed("late");
    s.call("watcher", children2(s.path(""), false));
    s.call("watcher", make(s.path("after"), ""));
    SHORT.compare(&s);
}

#[test]
fn a_session_without_a_connection_ends_too() {
    let mut s = Script::new("expiry_dropped");
    s.connect_with("a", short());
    s.call("a", make_as(s.path("e"), 1));
    s.drop_connection("a");
    s.wait_gone(&s.path("e"));
    s.connect_with("b", Hello::resume("a"));
    s.closed("b");
    SHORT.compare(&s);
}

#[test]
fn sessions_end_one_after_the_other() {
    let mut s = Script::new("expiry_buckets");
    s.connect("watcher");
    // Long enough apart for the later one to hold on while the machine is slow.
    s.connect_with("first", short());
    s.connect_with("second", Hello { timeout_ms: 2400, ..Hello::default() });
    s.call("first", make_as(s.path("first"), 1));
    s.call("second", make_as(s.path("second"), 1));
    s.call("watcher", add_watch(s.path(""), 1));
    s.closed("first");
    s.closed("second");
    s.settle("watcher");
    SHORT.compare(&s);
}

#[test]
fn resuming_on_another_connection_closes_the_old_one() {
    let mut s = Script::new("resume");
    s.connect("a");
    s.call("a", make_as(s.path("e"), 1));
    s.call("a", exists(s.path("e"), true));
    s.connect_with("b", Hello::resume("a"));
    s.closed("a");
    s.call("b", exists(s.path("e"), false));
    s.call("b", set(s.path("e"), Some(b"x"), -1));
    s.call("b", ephemerals("/"));
    s.connect_with("c", Hello { timeout_ms: 100_000, read_only: None, ..Hello::resume("b") });
    s.closed("b");
    s.call("c", delete(s.path("e"), -1));
    s.close_session("c");
    s.connect_with("d", Hello::resume("c"));
    s.closed("d");
    PAIR.compare(&s);
}

#[test]
fn a_dropped_connection_leaves_its_session() {
    let mut s = Script::new("dropped");
    s.connect("a");
    s.call("a", make_as(s.path("e"), 1));
    for round in 0..5 {
        let (from, to) = (if round == 0 { "a".to_owned() } else { format!("r{}", round - 1) }, format!("r{round}"));
        s.drop_connection(&from);
        s.connect_with(&to, Hello::resume(&from));
        s.call(&to, exists(s.path("e"), false));
        s.call(&to, make_as(s.path("s-"), 3));
    }
    s.close_session("r4");
    PAIR.compare(&s);
}

#[test]
fn requests_in_flight_are_done_when_the_client_leaves() {
    let mut s = Script::new("in_flight");
    s.connect("a");
    for index in 0..50 {
        s.send("a", make(s.path(&format!("n{index}")), ""));
    }
    s.send("a", bare(OpCode::CloseSession));
    s.closed("a");
    s.connect("b");
    s.call("b", children(s.path(""), false));
    PAIR.compare(&s);
}

#[test]
fn ephemerals_go_with_the_session_in_one_transaction() {
    let mut s = Script::new("ephemerals_end");
    s.connect("a");
    s.connect("b");
    for index in 0..20 {
        s.call("a", make_as(s.path(&format!("e{index}")), 1));
    }
    s.call("a", make(s.path("p"), ""));
    s.send("a", make_as(s.path("p/late"), 1));
    s.send("a", delete(s.path("e3"), -1));
    s.send("a", bare(OpCode::CloseSession));
    s.closed("a");
    s.call("b", children2(s.path(""), false));
    s.call("b", children2(s.path("p"), false));
    s.call("b", make_as(s.path("e1"), 1));
    s.call("b", ephemerals("/"));
    PAIR.compare(&s);
}

#[test]
fn the_owner_is_in_the_stat() {
    let mut s = Script::new("owner");
    s.connect("a");
    s.connect("b");
    s.call("a", make_as(s.path("e"), 1));
    s.call("b", exists(s.path("e"), false));
    s.call("b", make_as(s.path("e"), 1));
    s.call("b", delete(s.path("e"), -1));
    s.call("b", make_as(s.path("e"), 1));
    s.call("a", exists(s.path("e"), false));
    s.close_session("a");
    s.call("b", exists(s.path("e"), false));
    PAIR.compare(&s);
}

#[test]
fn sessions_outlive_the_server() {
    for control in [Control::KillAndRestart, Control::StopAndRestart] {
        let mut s = Script::new(&format!("outlive_{control:?}"));
        s.connect("a");
        s.connect("b");
        s.connect("closed");
        s.call("a", make_as(s.path("a"), 1));
        s.call("b", make_as(s.path("b"), 1));
        s.call("closed", make_as(s.path("c"), 1));
        s.close_session("closed");
        for round in 0..3 {
            s.restart(control);
            let conns = [format!("a{round}"), format!("b{round}")];
            s.connect_with(
                &conns[0],
                Hello::resume(if round == 0 { "a".to_owned() } else { format!("a{}", round - 1) }.as_str()),
            );
            s.connect_with(
                &conns[1],
                Hello::resume(if round == 0 { "b".to_owned() } else { format!("b{}", round - 1) }.as_str()),
            );
            s.call(&conns[0], ephemerals("/"));
            s.call(&conns[1], exists(s.path("a"), true));
            s.call(&conns[0], set(s.path("a"), Some(b"x"), -1));
            s.settle(&conns[1]);
        }
        s.connect_with("gone", Hello::resume("closed"));
        s.closed("gone");
        s.connect("new");
        s.close_session("a2");
        s.call("new", children2(s.path(""), false));
        PAIR.compare(&s);
    }
}

#[test]
fn a_session_may_end_after_a_restart() {
    let mut s = Script::new("expiry_restart");
    s.connect_with("a", Hello { timeout_ms: 2000, ..Hello::default() });
    s.call("a", make_as(s.path("e"), 1));
    s.restart(Control::KillAndRestart);
    s.wait_gone(&s.path("e"));
    s.connect_with("b", Hello::resume("a"));
    s.closed("b");
    SHORT.compare(&s);
}

#[test]
fn pings_keep_a_session() {
    let mut s = Script::new("pings");
    // The wait for the other session takes longer than this one's timeout, and yet its client has pinged by then.
    s.connect_with("kept", Hello { timeout_ms: 3000, ..Hello::default() });
    s.call("kept", make_as(s.path("kept"), 1));
    for round in 0..4 {
        let conn = format!("silent{round}");
        s.connect_with(&conn, Hello { timeout_ms: 1000, ..Hello::default() });
        s.call(&conn, make_as(s.path(&conn), 1));
        s.closed(&conn);
        s.settle("kept");
    }
    s.call("kept", exists(s.path("kept"), false));
    SHORT.compare(&s);
}
