//! Switches of zoo.cfg and of the JVM that change an answer.

use rookeeper_compat_tests::body::Acls;
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

#[test]
fn only_authenticated_connections_are_served() {
    static PAIR: Shared =
        Shared::new(|| Config::default().key("enforce.auth.enabled", "true").key("enforce.auth.schemes", "digest"));
    let mut s = Script::new("enforce_auth");
    for (index, request) in [
        make(s.path("x"), ""),
        get("/", false),
        exists("/", false),
        sync("/"),
        multi(&[]),
        set_watches(0, [&[], &[], &[]]),
        bare(OpCode::WhoAmI),
    ]
    .into_iter()
    .enumerate()
    {
        let conn = format!("refused{index}");
        s.connect(&conn);
        s.send(&conn, request);
        s.closed(&conn);
    }
    s.connect("a");
    s.call("a", auth("digest", Some(b"user:pw")));
    s.call("a", make(s.path("x"), ""));
    s.call("a", bare(OpCode::WhoAmI));
    s.close_session("a");
    PAIR.compare(&s);
}

#[test]
fn another_hash_for_digests() {
    static PAIR: Shared = Shared::new(|| {
        Config::default()
            .key("DigestAuthenticationProvider.digestAlg", "SHA-256")
            .key("DigestAuthenticationProvider.superDigest", "super:wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig=")
    });
    let mut s = Script::new("digest_algorithm");
    s.connect("a");
    s.call("a", auth("digest", Some(b"user:pw")));
    s.call("a", create(s.path("x"), Some(b""), &Acls::one(31, "auth", ""), 0));
    s.call("a", get_acl(s.path("x")));
    s.connect("b");
    s.call("b", get(s.path("x"), false));
    PAIR.compare(&s);
}

fn digests(name: &str) -> Script {
    let mut s = Script::new(name);
    s.connect("a");
    for _ in 0..300 {
        s.send("a", make_as(s.path("n-"), 2));
    }
    s.replies("a");
    s.ask("hash");
    s.restart(rookeeper_compat_tests::script::Control::KillAndRestart);
    s.connect("b");
    s.call("b", exists(s.path(""), false));
    s.ask("hash");
    s
}

#[test]
fn without_digests_of_the_tree_by_flag() {
    static PAIR: Shared = Shared::new(|| Config::default().property("zookeeper.digest.enabled", "false"));
    PAIR.compare(&digests("digest_disabled"));
}

#[test]
fn without_digests_of_the_tree_by_key() {
    static PAIR: Shared = Shared::new(|| Config::default().key("digest.enabled", "false"));
    PAIR.compare(&digests("digest_disabled_key"));
}

#[test]
fn closing_sessions_without_a_list_of_ephemerals() {
    static PAIR: Shared = Shared::new(|| Config::default().key("closeSessionTxn.enabled", "false"));
    let mut s = Script::new("close_session_txn");
    s.connect("a");
    s.connect("b");
    s.call("a", make_as(s.path("e1"), 1));
    s.call("a", make_as(s.path("e2"), 1));
    s.call("b", add_watch(s.path("e1"), 0));
    s.close_session("a");
    s.settle("b");
    s.call("b", children2(s.path(""), false));
    PAIR.compare(&s);
}

#[test]
fn times_to_live_as_in_3_5_3() {
    static PAIR: Shared =
        Shared::new(|| Config::default().key("extendedTypesEnabled", "true").key("emulate353TTLNodes", "true"));
    let mut s = Script::new("emulate_353");
    s.connect("a");
    for ttl in [1, 1_000_000, 0xff_ffff_ffff, 0x100_0000_0000] {
        s.call("a", create_ttl(s.path(&format!("t{ttl}")), Some(b""), &Acls::open(), 5, ttl));
        s.call("a", exists(s.path(&format!("t{ttl}")), false));
    }
    PAIR.compare(&s);
}

#[test]
fn connections_that_never_say_hello_are_closed() {
    static PAIR: Shared = Shared::new(|| Config::default().key("nio.sessionlessCnxnTimeout", "500"));
    let mut s = Script::new("sessionless");
    s.open("silent");
    s.open("half");
    s.send_raw("half", &[0, 0, 0, 45, 0, 0]);
    s.connect("a");
    s.closed("silent");
    s.closed("half");
    s.call("a", make(s.path("x"), ""));
    PAIR.compare(&s);
}

#[test]
fn properties_by_flag_and_by_key_are_the_same() {
    static FLAG: Shared = Shared::new(|| {
        Config::default()
            .without("DigestAuthenticationProvider.superDigest")
            .property("zookeeper.DigestAuthenticationProvider.superDigest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")
            .property("zookeeper.extendedTypesEnabled", "true")
            .property("zookeeper.skipACL", "yes")
            .without("4lw.commands.whitelist")
            .property("zookeeper.4lw.commands.whitelist", "ruok")
    });
    let mut s = Script::new("flags");
    s.connect("a");
    s.call("a", create_ttl(s.path("t"), None, &Acls::open(), 5, 1_000_000));
    s.call("a", create(s.path("x"), None, &Acls::one(31, "ip", "10.0.0.1"), 0));
    s.call("a", get(s.path("x"), false));
    s.ask("ruok");
    s.ask("stat");
    FLAG.compare(&s);
}

#[test]
fn without_caches_the_answers_are_the_same() {
    static PAIR: Shared =
        Shared::new(|| Config::default().key("maxResponseCacheSize", "0").key("maxGetChildrenResponseCacheSize", "0"));
    let mut s = Script::new("no_caches");
    s.connect("a");
    for round in 0..5 {
        s.call("a", make(s.path(&format!("n{round}")), "x"));
        s.call("a", children2(s.path(""), false));
        s.call("a", set(s.path(""), Some(format!("{round}").as_bytes()), -1));
        s.call("a", get(s.path(""), false));
    }
    PAIR.compare(&s);
}
