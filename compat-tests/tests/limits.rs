//! Limits on connections, frames and what is under way.

use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::Config;

/// One connection is the comparison's own.
const CONNECTIONS_MAX: usize = 4;

fn fill(s: &mut Script) {
    for index in 1..CONNECTIONS_MAX {
        s.connect(&format!("c{index}"));
    }
    for index in 0..3 {
        let conn = format!("refused{index}");
        s.open(&conn);
        s.closed(&conn);
    }
    s.call("c1", make(s.path("x"), ""));
    s.close_session("c1");
}

#[test]
fn connections_per_address() {
    static PAIR: Shared = Shared::new(|| Config::default().key("maxClientCnxns", "4"));
    let mut s = Script::new("max_client_cnxns");
    fill(&mut s);
    PAIR.compare(&s);
}

#[test]
fn connections_in_all() {
    static PAIR: Shared = Shared::new(|| Config::default().key("maxCnxns", "4"));
    let mut s = Script::new("max_cnxns");
    fill(&mut s);
    PAIR.compare(&s);
}

#[test]
fn the_largest_frame_is_configurable() {
    static PAIR: Shared = Shared::new(|| Config::default().property("jute.maxbuffer", "2000"));
    let mut s = Script::new("max_buffer");
    s.connect("a");
    s.call("a", make(s.path("x"), ""));
    let overhead = 8 + 4 + s.path("x").len() + 4 + 4;
    for total in [1999, 2000] {
        s.call("a", set(s.path("x"), Some(&vec![1; total - overhead]), -1));
    }
    s.send("a", set(s.path("x"), Some(&vec![1; 2001 - overhead]), -1));
    s.closed("a");
    s.connect("b");
    s.call("b", get(s.path("x"), false));
    // A reply may be longer than a request.
    for index in 0..40 {
        s.call("b", make(s.path(&format!("a_long_name_of_a_child_{index:040}")), ""));
    }
    s.call("b", children(s.path(""), false));
    PAIR.compare(&s);
}

#[test]
fn a_larger_frame_is_allowed() {
    static PAIR: Shared = Shared::new(|| Config::default().property("jute.maxbuffer", "5000000"));
    let mut s = Script::new("large_buffer");
    s.connect("a");
    s.call("a", make(s.path("x"), ""));
    s.call("a", set(s.path("x"), Some(&vec![7; 4_000_000]), -1));
    s.call("a", get(s.path("x"), false));
    PAIR.compare(&s);
}

#[test]
fn many_connections_with_requests_under_way() {
    static PAIR: Shared = Shared::new(|| Config::default().key("globalOutstandingLimit", "50"));
    let mut s = Script::new("outstanding");
    for conn in 0..20 {
        s.connect(&format!("c{conn}"));
    }
    for index in 0..100 {
        for conn in 0..20 {
            // Each connection works on its own znode: between connections there is no order.
            let (name, path) = (format!("c{conn}"), s.path(&format!("n{conn}")));
            if index == 0 {
                s.call(&name, make(&path, ""));
            } else {
                s.send(&name, watches(rookeeper_protocol::types::OpCode::CheckWatches, &path, 3));
            }
        }
    }
    for conn in 0..20 {
        s.replies(&format!("c{conn}"));
    }
    PAIR.compare(&s);
}

#[test]
fn session_timeouts_within_configured_bounds() {
    static PAIR: Shared = Shared::new(|| {
        Config::default().key("minSessionTimeout", "5000").key("maxSessionTimeout", "600000").key("tickTime", "3000")
    });
    let mut s = Script::new("timeout_bounds");
    for (index, timeout_ms) in [0, 4999, 5000, 5001, 600_001].into_iter().enumerate() {
        let conn = format!("c{index}");
        s.connect_with(&conn, rookeeper_compat_tests::script::Hello { timeout_ms, ..Default::default() });
        s.close_session(&conn);
    }
    PAIR.compare(&s);
}
