//! The handshake and the framing.
#![allow(clippy::unwrap_used)]

use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::*;
use rookeeper_compat_tests::server::Config;

static PAIR: Shared = Shared::new(Config::default);

#[test]
fn first() {
    let mut s = Script::new("first");
    s.connect("a");
    s.call("a", make(s.path("x"), "hello"));
    s.call("a", get(s.path("x"), true));
    s.call("a", set(s.path("x"), Some(b"y"), -1));
    PAIR.compare(&s);
}
