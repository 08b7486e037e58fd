//! The four-letter words: their text, their whitelist, and how they are told from frames.

use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Script, Step};
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::client::FourLetterWord;

static PAIR: Shared = Shared::new(Config::default);
/// For the test that lists all connections: Java may take its time to forget those of other tests.
static UNTOUCHED: Shared = Shared::new(Config::default);

#[test]
fn every_word_after_some_work() {
    let mut s = Script::new("words");
    s.connect("a");
    s.connect("b");
    s.ask("crst");
    s.ask("srst");
    s.call("a", make_as(s.path("e"), 1));
    s.call("a", make_as(s.path("e-"), 3));
    s.call("b", make_as(s.path("b"), 1));
    s.call("a", get(s.path("e"), true));
    s.call("b", exists(s.path("e"), true));
    s.call("b", exists(s.path("missing"), true));
    s.call("a", children(s.path(""), true));
    s.call("b", add_watch(s.path(""), 1));
    s.call("b", set(s.path("missing"), None, -1));
    for word in FourLetterWord::ALL {
        if *word != FourLetterWord::Stmk {
            s.ask(word.text());
        }
    }
    s.call("a", make(s.path("after"), ""));
    s.ask("cons");
    s.ask("crst");
    s.ask("cons");
    UNTOUCHED.compare(&s);
}

#[test]
fn the_last_operation_of_a_connection() {
    let mut s = Script::new("last_operations");
    s.connect("a");
    let path = s.path("x");
    for request in [
        make(&path, ""),
        set(&path, None, -1),
        get(&path, false),
        exists(&path, false),
        children(&path, false),
        children2(&path, false),
        get_acl(&path),
        set_acl(&path, &rookeeper_compat_tests::body::Acls::open(), -1),
        sync(&path),
        multi(&[check(&path, -1)]),
        multi_read(&[get(&path, false)]),
        set_watches(0, [&[], &[], &[]]),
        set_watches2(0, [&[], &[], &[], &[], &[]]),
        add_watch(&path, 0),
        watches(rookeeper_protocol::types::OpCode::CheckWatches, &path, 3),
        watches(rookeeper_protocol::types::OpCode::RemoveWatches, &path, 3),
        ephemerals("/"),
        count_descendants(&path),
        bare(rookeeper_protocol::types::OpCode::WhoAmI),
        create2(format!("{path}2"), None, &rookeeper_compat_tests::body::Acls::open(), 0),
        create_op(
            rookeeper_protocol::types::OpCode::CreateContainer,
            format!("{path}3"),
            None,
            &rookeeper_compat_tests::body::Acls::open(),
            4,
        ),
        reconfig("", "", "", -1),
        get("/missing", false),
        auth("digest", Some(b"a:b")),
        delete(&path, -1),
    ] {
        s.call("a", request);
        s.ask("cons");
    }
    s.step(Step::Settle("a".to_owned()));
    s.ask("cons");
    PAIR.compare(&s);
}

#[test]
fn the_trace_mask() {
    let mut s = Script::new("trace_mask");
    s.ask("gtmk");
    s.step(Step::Ask(b"stmk\0\0\0\0\0\0\x01\x07".to_vec()));
    s.ask("gtmk");
    s.step(Step::Ask(b"stmk\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()));
    s.ask("gtmk");
    s.step(Step::Ask(b"stmk\0\0\0\0\0\0\x01\x32".to_vec()));
    PAIR.compare(&s);
}

#[test]
fn only_whitelisted_words_are_answered() {
    static NONE: Shared = Shared::new(|| Config::default().without("4lw.commands.whitelist"));
    static SOME: Shared = Shared::new(|| Config::default().key("4lw.commands.whitelist", "ruok, stat ,nonsense"));
    for (name, pair) in [("none", &NONE), ("some", &SOME)] {
        let mut s = Script::new(&format!("whitelist_{name}"));
        for word in FourLetterWord::ALL {
            s.ask(word.text());
        }
        pair.compare(&s);
    }
}

#[test]
fn what_is_not_quite_a_word() {
    let mut s = Script::new("not_words");
    for (index, bytes) in [&b"RUOK"[..], b"ruo ", b"abcd", b"\nruo", b"0000"].into_iter().enumerate() {
        let conn = format!("c{index}");
        s.open(&conn);
        s.send_raw(&conn, bytes);
        s.closed(&conn);
    }
    for bytes in [&b"ruok\n"[..], b"ruok and more", b"ruokruok", b"isro\r\n"] {
        s.step(Step::Ask(bytes.to_vec()));
    }
    s.open("part");
    s.send_raw("part", b"ru");
    s.step(Step::FinishSending("part".to_owned()));
    s.closed("part");
    for cut in 1..4 {
        let conn = format!("pieces{cut}");
        s.open(&conn);
        s.send_raw(&conn, &b"isro"[..cut]);
        // The pieces travel apart: something else is answered in between.
        s.ask("ruok");
        s.send_raw(&conn, &b"isro"[cut..]);
        s.closed(&conn);
    }
    PAIR.compare(&s);
}

#[test]
fn a_word_inside_a_session_is_a_length() {
    let mut s = Script::new("word_in_session");
    s.connect("a");
    s.send_raw("a", b"ruok");
    s.closed("a");
    PAIR.compare(&s);
}

#[test]
fn words_before_and_after_a_restart() {
    static FRESH: Shared = Shared::new(Config::default);
    let mut s = Script::new("words_restart");
    s.connect("a");
    s.call("a", make_as(s.path("e"), 1));
    for index in 0..300 {
        s.send("a", make(s.path(&format!("n{index}")), "data"));
    }
    s.replies("a");
    s.ask("hash");
    s.ask("srvr");
    s.restart(Control::KillAndRestart);
    for word in ["dump", "srvr", "wchs", "isro", "mntr", "stat", "cons"] {
        s.ask(word);
    }
    FRESH.compare(&s);
}

#[test]
fn digests_are_kept_every_128_transactions() {
    let mut s = Script::new("digests");
    s.connect("a");
    for index in 0..520 {
        s.send("a", make_as(s.path("s-"), if index % 2 == 0 { 2 } else { 3 }));
    }
    s.replies("a");
    s.ask("hash");
    PAIR.compare(&s);
}
