//! The handshake and the framing: every variant that a client, old, broken or hostile, may send.

use rookeeper_compat_tests::body::{Body, Text};
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::player::bare_frame;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::{Control, Hello, Password, Script, Session, Step};
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

/// Connects with this request, and shows whether the connection lives on.
fn greet(s: &mut Script, conn: &str, hello: Hello) {
    s.connect_with(conn, hello);
    s.settle(conn);
}

#[test]
fn connect_requests_of_every_length() {
    let mut s = Script::new("connect_lengths");
    for cut in [0, 1, 4, 12, 16, 24, 27, 28, 29, 43] {
        greet(&mut s, &format!("cut{cut}"), Hello { cut: Some(cut), ..Hello::default() });
    }
    greet(&mut s, "without_flag", Hello { read_only: None, ..Hello::default() });
    greet(&mut s, "read_only", Hello { read_only: Some(1), ..Hello::default() });
    greet(&mut s, "read_only_2", Hello { read_only: Some(2), ..Hello::default() });
    greet(&mut s, "trailing", Hello { trailing: vec![1, 2, 3], ..Hello::default() });
    PAIR.compare(&s);
}

#[test]
fn passwords_of_every_kind() {
    let mut s = Script::new("connect_passwords");
    let password = |bytes: Option<&[u8]>| Password::Bytes(bytes.map(<[u8]>::to_vec));
    let wrong: [Option<&[u8]>; 6] = [None, Some(b""), Some(b"short"), Some(&[0; 16]), Some(&[7; 16]), Some(&[0; 40])];
    for (index, bytes) in wrong.into_iter().enumerate() {
        greet(&mut s, &format!("new{index}"), Hello { password: password(bytes), ..Hello::default() });
    }
    s.connect("a");
    s.drop_connection("a");
    for (index, bytes) in wrong.into_iter().enumerate() {
        let hello = Hello { password: password(bytes), ..Hello::resume("a") };
        greet(&mut s, &format!("resumed{index}"), hello);
    }
    greet(&mut s, "right", Hello::resume("a"));
    PAIR.compare(&s);
}

#[test]
fn a_wrong_password_closes_the_connection_that_has_the_session() {
    let mut s = Script::new("connect_steals");
    s.connect("a");
    s.call("a", make_as(s.path("e"), 1));
    greet(&mut s, "b", Hello { password: Password::Bytes(Some(vec![1; 16])), ..Hello::resume("a") });
    s.closed("a");
    greet(&mut s, "c", Hello::resume("a"));
    s.call("c", exists(s.path("e"), false));
    PAIR.compare(&s);
}

#[test]
fn sessions_that_do_not_exist() {
    let mut s = Script::new("connect_unknown");
    for (index, id) in [1, -1, i64::MIN, i64::MAX, 0x0100_0000_0000_0000].into_iter().enumerate() {
        let hello = Hello { session: Session::Unknown(id), ..Hello::default() };
        greet(&mut s, &format!("unknown{index}"), hello.clone());
        greet(&mut s, &format!("old{index}"), Hello { read_only: None, ..hello });
    }
    PAIR.compare(&s);
}

#[test]
fn timeouts_are_clamped() {
    let mut s = Script::new("connect_timeouts");
    for (index, timeout_ms) in
        [0, -1, i32::MIN, 1, 3999, 4000, 4001, 599_999, 600_000, 600_001, i32::MAX].into_iter().enumerate()
    {
        let conn = format!("t{index}");
        greet(&mut s, &conn, Hello { timeout_ms, ..Hello::default() });
        s.close_session(&conn);
    }
    s.connect_with("a", Hello { timeout_ms: 30_000, ..Hello::default() });
    s.drop_connection("a");
    greet(&mut s, "b", Hello { timeout_ms: 50_000, ..Hello::resume("a") });
    PAIR.compare(&s);
}

#[test]
fn a_client_that_is_ahead_is_refused() {
    let mut s = Script::new("connect_ahead");
    s.connect("a");
    // The session itself has taken the first zxid.
    for (index, seen) in [-1, 0, 1, 2, 1000, i64::MAX >> 8].into_iter().enumerate() {
        greet(&mut s, &format!("b{index}"), Hello { last_zxid_seen: Some(seen), ..Hello::default() });
    }
    greet(&mut s, "ahead", Hello { last_zxid_seen: Some(100), ..Hello::resume("a") });
    s.settle("a");
    PAIR.compare(&s);
}

#[test]
fn the_protocol_version_is_not_looked_at() {
    let mut s = Script::new("connect_version");
    for (index, protocol_version) in [1, -1, i32::MAX, i32::MIN].into_iter().enumerate() {
        greet(&mut s, &format!("v{index}"), Hello { protocol_version, ..Hello::default() });
    }
    PAIR.compare(&s);
}

#[test]
fn requests_right_behind_the_connect_request_are_answered() {
    let mut s = Script::new("connect_pipelined");
    s.open("a");
    s.step(Step::Hello("a".to_owned(), Hello::default()));
    s.send("a", make_as(s.path("e"), 1));
    s.send("a", get(s.path("e"), false));
    s.send("a", bare(OpCode::Ping));
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn a_second_connect_request_is_a_request() {
    let mut s = Script::new("connect_twice");
    s.connect("a");
    s.step(Step::Hello("a".to_owned(), Hello::default()));
    s.closed("a");
    PAIR.compare(&s);
}

#[test]
fn a_request_before_the_handshake() {
    let mut s = Script::new("no_handshake");
    for (index, request) in [bare(OpCode::Ping), make(s.path("x"), ""), auth("digest", Some(b"a:b"))].iter().enumerate()
    {
        let conn = format!("c{index}");
        s.open(&conn);
        s.send(&conn, request.clone());
        s.closed(&conn);
    }
    PAIR.compare(&s);
}

#[test]
fn frame_lengths_out_of_bounds() {
    let mut s = Script::new("frame_lengths");
    for (index, length) in [0, -1, i32::MIN, 0x000f_ffff, 0x0010_0000, i32::MAX].into_iter().enumerate() {
        for (when, conn) in [("before", format!("before{index}")), ("after", format!("after{index}"))] {
            if when == "before" {
                s.open(&conn)
            } else {
                s.connect(&conn)
            }
            s.send_raw(&conn, &i32::to_be_bytes(length));
            // A length within bounds waits for its bytes; nothing follows.
            s.step(Step::FinishSending(conn.clone()));
            s.closed(&conn);
        }
    }
    PAIR.compare(&s);
}

#[test]
fn short_frames_after_the_handshake() {
    let mut s = Script::new("short_frames");
    for length in 0..12 {
        let conn = format!("c{length}");
        s.connect(&conn);
        s.send_frame(&conn, &[0; 12][..length]);
        s.closed(&conn);
    }
    PAIR.compare(&s);
}

#[test]
fn the_largest_frame() {
    let mut s = Script::new("largest_frame");
    s.connect("a");
    s.call("a", make(s.path("x"), ""));
    let overhead = 8 + 4 + s.path("x").len() + 4 + 4;
    for total in [0x000f_fffe, 0x000f_ffff] {
        s.call("a", set(s.path("x"), Some(&vec![b'z'; total - overhead]), -1));
        s.call("a", get(s.path("x"), false));
    }
    s.send("a", set(s.path("x"), Some(&vec![b'z'; 0x0010_0000 - overhead]), -1));
    s.closed("a");
    s.connect("b");
    s.call("b", exists(s.path("x"), false));
    PAIR.compare(&s);
}

#[test]
fn frames_in_pieces() {
    let mut s = Script::new("frame_pieces");
    s.connect("a");
    let frame = bare_frame(7, OpCode::WhoAmI);
    for cut in 0..=frame.len() {
        s.send_raw("a", &frame[..cut]);
        s.send_raw("a", &frame[cut..]);
        s.read("a", 1);
    }
    let several = [frame.clone(), frame.clone(), frame[..5].to_vec()].concat();
    s.send_raw("a", &several);
    s.read("a", 2);
    s.send_raw("a", &frame[5..]);
    s.read("a", 1);
    PAIR.compare(&s);
}

#[test]
fn operations_that_do_not_exist() {
    let mut s = Script::new("unknown_ops");
    for op in [0, -1, 10, 13, 23, 24, 50, 99, 108, 1000, -2, -9, -12, i32::MAX, i32::MIN] {
        for (kind, body) in [("bare", Body::new()), ("path", Body::new().text(s.path("")).int(0))] {
            let conn = format!("{kind}{op}");
            s.connect(&conn);
            s.send(&conn, Request::raw(op, body));
            s.closed(&conn);
        }
    }
    PAIR.compare(&s);
}

#[test]
fn the_pipeline_before_an_unknown_operation_is_answered() {
    let mut s = Script::new("unknown_op_pipelined");
    s.connect("a");
    s.send("a", make(s.path("x"), ""));
    s.send("a", get(s.path("x"), false));
    // Java lets its refusal overtake writes that are under way, so that they are waited for.
    s.replies("a");
    s.send("a", Request::raw(1234, Body::new()));
    s.closed("a");
    s.connect("b");
    s.call("b", children(s.path(""), false));
    PAIR.compare(&s);
}

#[test]
fn create_session_sent_by_a_client() {
    let mut s = Script::new("client_create_session");
    for (index, body) in
        [Body::new(), Body::new().int(30_000), Body::new().int(-5), Body::new().long(1)].into_iter().enumerate()
    {
        let conn = format!("c{index}");
        s.connect(&conn);
        s.send(&conn, Request::raw(OpCode::CreateSession.number(), body));
        s.send(&conn, make(s.path(&conn), ""));
        s.settle(&conn);
    }
    PAIR.compare(&s);
}

#[test]
fn close_session() {
    let mut s = Script::new("close_session");
    s.connect("a");
    s.connect("b");
    s.call("a", make_as(s.path("e1"), 1));
    s.call("a", make_as(s.path("e2"), 1));
    s.call("b", exists(s.path("e1"), true));
    s.call("b", children(s.path(""), true));
    s.send("a", make(s.path("early"), ""));
    s.send("a", bare(OpCode::CloseSession));
    s.closed("a");
    s.settle("b");
    s.connect_with("again", Hello::resume("a"));
    s.closed("again");
    s.connect("c");
    s.send("c", Request::raw(OpCode::CloseSession.number(), Body::new().int(5)));
    s.closed("c");
    PAIR.compare(&s);
}

/// A request of every operation that has a body.
fn every_request(s: &Script) -> Vec<Request> {
    let acls = rookeeper_compat_tests::body::Acls::open();
    let path = s.path("x");
    let name = path.as_str();
    let mut requests = vec![
        make(name, "data"),
        create2(name, Some(b"data"), &acls, 0),
        create_op(OpCode::CreateContainer, name, Some(b"data"), &acls, 4),
        create_ttl(name, Some(b"data"), &acls, 5, 1000),
        delete(name, -1),
        set(name, Some(b"data"), -1),
        set_acl(name, &acls, -1),
        multi(&[make(name, ""), delete(name, -1)]),
        multi_read(&[get(name, false), children(name, false)]),
        auth("digest", Some(b"user:password")),
        set_watches(0, [&[name], &[name], &[name]]),
        set_watches2(0, [&[name], &[name], &[name], &[name], &[name]]),
        add_watch(name, 0),
        watches(OpCode::RemoveWatches, name, 3),
        watches(OpCode::CheckWatches, name, 3),
        reconfig("", "", "", -1),
        Request::new(OpCode::Sasl, Body::new().buffer(Some(b"token")), String::new()),
    ];
    requests.extend(
        [OpCode::Exists, OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2].map(|op| read(op, name, false)),
    );
    requests.extend(
        [OpCode::GetAcl, OpCode::Sync, OpCode::GetEphemerals, OpCode::GetAllChildrenNumber]
            .map(|op| path_only(op, name)),
    );
    requests
}

/// Every field boundary and a byte to either side would be too many connections; every fifth byte finds them all.
#[test]
fn bodies_cut_short() {
    for request in every_request(&Script::new("cut_body")) {
        let mut s = Script::new(&format!("cut_body_{}", OpCode::from_number(request.op).map_or("", OpCode::name)));
        let request = every_request(&s).into_iter().find(|same| same.op == request.op).unwrap_or(request);
        let length = request.body.bytes(0).len();
        let cuts = (0..length).filter(|cut| *cut < 6 || cut % 5 == 0 || length - cut < 6);
        for cut in cuts {
            let conn = format!("c{cut}");
            s.connect(&conn);
            s.send(&conn, request.cut(cut));
            s.settle(&conn);
        }
        PAIR.compare(&s);
    }
}

#[test]
fn bodies_with_bytes_behind_them() {
    let mut s = Script::new("trailing_bytes");
    for (index, request) in every_request(&s).into_iter().enumerate() {
        let conn = format!("c{index}");
        s.connect(&conn);
        s.send(&conn, request.with_trailing(&[0, 0, 0, 1, 2]));
        s.settle(&conn);
    }
    PAIR.compare(&s);
}

#[test]
fn null_and_broken_paths_in_every_operation() {
    let odd: [(&str, Text); 8] = [
        ("null", Text::Null),
        ("empty", "".into()),
        ("invalid", b"/invalid_utf8_\xff\xfe".as_slice().into()),
        ("cut_utf8", b"/cut_\xe2\x82".as_slice().into()),
        ("overlong", b"/overlong_\xc0\xaf_x".as_slice().into()),
        ("surrogates", b"/surrogate_\xed\xa0\xbd\xed\xb8\x80".as_slice().into()),
        ("supplementary", "/supplementary_\u{1f600}".into()),
        ("bmp", "/\u{e9}\u{20ac}\u{4e2d}".into()),
    ];
    for (kind, path) in odd {
        let mut s = Script::new(&format!("odd_path_{kind}"));
        let acls = rookeeper_compat_tests::body::Acls::open();
        let path = match path {
            Text::Bytes(bytes) if !bytes.is_empty() => Text::Bytes([s.path("").as_bytes(), &bytes].concat()),
            other => other,
        };
        let requests = [
            exists(&path, true),
            make_as(&path, 0),
            create2(&path, None, &acls, 2),
            get(&path, true),
            set(&path, Some(b"x"), -1),
            set_acl(&path, &acls, -1),
            get_acl(&path),
            children(&path, true),
            children2(&path, false),
            count_descendants(&path),
            ephemerals(&path),
            sync(&path),
            add_watch(&path, 0),
            add_watch(&path, 1),
            watches(OpCode::CheckWatches, &path, 3),
            watches(OpCode::RemoveWatches, &path, 3),
            multi(&[make_as(&path, 0), check(&path, -1)]),
            multi(&[set(&path, None, -1)]),
            multi(&[delete(&path, -1)]),
            multi_read(&[get(&path, false), children(&path, false)]),
            delete(&path, -1),
            reconfig(&path, &path, &path, 0),
        ];
        for (index, request) in requests.into_iter().enumerate() {
            let conn = format!("c{index}");
            s.connect(&conn);
            s.send(&conn, request);
            s.settle(&conn);
        }
        PAIR.compare(&s);
    }
}

#[test]
fn lengths_inside_a_body() {
    let mut s = Script::new("inner_lengths");
    let path = s.path("");
    let lengths = [-2, -1, 0, 1, 1_048_575, 2_097_150, 2_097_151, i32::MAX, i32::MIN];
    for (index, length) in lengths.into_iter().enumerate() {
        for (what, op, body) in [
            ("path", OpCode::GetData, Body::new().int(length).raw(b"/")),
            ("created", OpCode::Create, Body::new().int(length).raw(b"/")),
            ("data", OpCode::SetData, Body::new().text(&path).int(length).raw(b"x").int(-1)),
            ("acl", OpCode::SetAcl, Body::new().text(&path).int(length)),
            ("list", OpCode::SetWatches, Body::new().long(0).int(length)),
            ("auth", OpCode::Auth, Body::new().int(0).text("digest").int(length)),
            ("token", OpCode::Sasl, Body::new().int(length).raw(b"x")),
        ] {
            let conn = format!("{what}{index}");
            s.connect(&conn);
            s.send(&conn, Request::new(op, body, format!("with {what} of length {length}")));
            s.settle(&conn);
        }
    }
    PAIR.compare(&s);
}

#[test]
fn texts_that_are_not_utf8_or_beyond_the_basic_plane() {
    let mut s = Script::new("odd_texts");
    s.connect("a");
    let odd: [&[u8]; 6] =
        [b"\xff", b"\xc3", "\u{1f600}".as_bytes(), b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xe2\x82\x41"];
    for (index, bytes) in odd.into_iter().enumerate() {
        let id = Text::Bytes([b"user", bytes, b":AAAAAAAAAAAAAAAAAAAAAAAAAAA="].concat());
        let acls = rookeeper_compat_tests::body::Acls::List(vec![
            (31, "world".into(), "anyone".into()),
            (1, "digest".into(), id),
        ]);
        s.call("a", create(s.path(&format!("n{index}")), Some(bytes), &acls, 0));
        s.call("a", get_acl(s.path(&format!("n{index}"))));
        s.call("a", ephemerals(bytes));
        s.call("a", sync(bytes));
    }
    for (index, bytes) in odd.into_iter().enumerate() {
        let conn = format!("auth{index}");
        s.connect(&conn);
        s.call(&conn, auth("digest", Some(&[b"us", bytes, b"er:pw"].concat())));
        s.call(&conn, bare(OpCode::WhoAmI));
        s.call(&conn, create(s.path(&conn), None, &rookeeper_compat_tests::body::Acls::one(31, "auth", ""), 0));
    }
    PAIR.compare(&s);
}

#[test]
fn xids_are_echoed_whatever_they_are() {
    let mut s = Script::new("xids");
    s.connect("a");
    for xid in [0, -3, -5, -8, i32::MIN, i32::MAX, 5, 5, 4, -2, -4, -1] {
        s.send_as("a", xid, set(s.path(""), Some(b"x"), -1));
        s.replies("a");
        s.send_as("a", xid, get(s.path(""), false));
        s.replies("a");
    }
    for xid in [-2, 0, 77, -1, -4, i32::MIN] {
        s.send_as("a", xid, bare(OpCode::Ping));
        s.settle("a");
    }
    for xid in [-4, 0, 77, -1] {
        s.send_as("a", xid, auth("digest", Some(b"a:b")));
        s.replies("a");
    }
    for xid in [-8, 0, 77] {
        s.send_as("a", xid, set_watches(0, [&[], &[], &[]]));
        s.replies("a");
    }
    PAIR.compare(&s);
}

#[test]
fn a_ping_waits_for_its_turn() {
    let mut s = Script::new("ping_order");
    s.connect("a");
    for round in 0..20 {
        s.send("a", make(s.path(&format!("x{round}")), ""));
        s.send("a", bare(OpCode::Ping));
        s.send("a", get(s.path(&format!("x{round}")), false));
        s.send("a", bare(OpCode::Ping));
    }
    s.replies("a");
    PAIR.compare(&s);
}

#[test]
fn half_closed_connections_are_served() {
    let mut s = Script::new("half_closed");
    s.connect("a");
    s.send("a", make(s.path("x"), ""));
    s.step(Step::FinishSending("a".to_owned()));
    s.closed("a");
    s.wait_there(&s.path("x"));
    PAIR.compare(&s);
}

#[test]
fn a_restart_keeps_what_was_answered() {
    for control in [Control::KillAndRestart, Control::StopAndRestart] {
        let mut s = Script::new(&format!("restart_{control:?}"));
        s.connect("a");
        s.call("a", make(s.path("x"), "1"));
        s.call("a", make_as(s.path("e"), 1));
        s.call("a", create(s.path("none"), None, &rookeeper_compat_tests::body::Acls::open(), 0));
        s.restart(control);
        s.connect_with("b", Hello::resume("a"));
        s.call("b", get(s.path("x"), false));
        s.call("b", get(s.path("none"), false));
        s.call("b", exists(s.path("e"), false));
        s.call("b", ephemerals("/"));
        s.close_session("b");
        PAIR.compare(&s);
    }
}
