//! multi and multiRead: all or nothing, and what is said about each part.

use rookeeper_compat_tests::body::{Acls, Body};
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

#[test]
fn a_failure_at_every_position_undoes_all() {
    let mut s = Script::new("multi_positions");
    s.connect("a");
    s.connect("watcher");
    let root = s.path("");
    s.call("a", make(format!("{root}/x"), "x"));
    s.call("a", make(format!("{root}/gone"), ""));
    s.call("watcher", add_watch(&root, 1));
    let parts = [
        make(format!("{root}/new"), "n"),
        set(format!("{root}/x"), Some(b"changed"), -1),
        create2(format!("{root}/seq-"), Some(b""), &Acls::open(), 2),
        make_as(format!("{root}/e"), 1),
        delete(format!("{root}/gone"), -1),
        check(format!("{root}/x"), 1),
    ];
    for failing in [
        check(format!("{root}/x"), 77),
        delete(format!("{root}/missing"), -1),
        make(&root, ""),
        make("nonsense", ""),
        set(format!("{root}/missing"), None, -1),
        create(format!("{root}/acl"), None, &Acls::empty(), 0),
        delete(&root, -1),
        make(format!("{root}/e/c"), ""),
    ] {
        for position in 0..=parts.len() {
            let mut all = parts.to_vec();
            all.insert(position, failing.clone());
            s.call("a", multi(&all));
        }
        s.settle("watcher");
        s.call("a", children2(&root, false));
    }
    s.call("a", multi(&parts));
    s.settle("watcher");
    s.call("a", make_as(format!("{root}/seq-"), 2));
    PAIR.compare(&s);
}

#[test]
fn later_parts_see_the_earlier_ones() {
    let mut s = Script::new("multi_inside");
    s.connect("a");
    let root = s.path("");
    let x = format!("{root}/x");
    for parts in [
        vec![],
        vec![make(&x, "1"), set(&x, Some(b"2"), 0), check(&x, 1), set(&x, None, 1), delete(&x, 2), make(&x, "3")],
        vec![delete(&x, 0), check(&x, -1)],
        vec![delete(&x, 0), delete(&x, 0)],
        vec![make(format!("{x}/a"), ""), make(format!("{x}/a/b"), ""), delete(format!("{x}/a"), -1)],
        vec![
            make(format!("{x}/a"), ""),
            make(format!("{x}/a/b"), ""),
            delete(format!("{x}/a/b"), -1),
            delete(format!("{x}/a"), -1),
            delete(&x, -1),
        ],
        vec![
            make_as(format!("{root}/s-"), 2),
            make_as(format!("{root}/s-"), 3),
            create2(format!("{root}/s-"), None, &Acls::open(), 2),
        ],
        vec![
            make_as(format!("{root}/e"), 1),
            delete(format!("{root}/e"), -1),
            make_as(format!("{root}/e"), 1),
            make(format!("{root}/e/c"), ""),
        ],
        vec![make_as(format!("{root}/e"), 1), delete(format!("{root}/e"), -1), make_as(format!("{root}/e"), 1)],
        vec![check(&root, 0), check(&root, 0), check(&root, -1)],
        vec![make(&x, ""), make(&x, "")],
        vec![set(&root, Some(b"r"), 0), check(&root, 0)],
        vec![set(&root, Some(b"r"), 0), check(&root, 1), set(&root, Some(b"s"), 1)],
    ] {
        s.call("a", multi(&parts));
        s.call("a", children2(&root, false));
        s.call("a", get(&root, false));
    }
    s.call("a", ephemerals("/"));
    PAIR.compare(&s);
}

#[test]
fn every_kind_of_part_alone_and_mixed() {
    let mut s = Script::new("multi_kinds");
    s.connect("a");
    let root = s.path("");
    let acls = Acls::open();
    let parts = |tag: &str| {
        let path = format!("{root}/{tag}");
        vec![
            make(&path, ""),
            create2(format!("{path}2"), Some(b""), &acls, 0),
            create_op(OpCode::CreateContainer, format!("{path}c"), None, &acls, 4),
            create_ttl(format!("{path}t"), None, &acls, 5, 100_000),
            create_ttl(format!("{path}u"), None, &acls, 6, 100_000),
            delete(&path, -1),
            set(&root, None, -1),
            check(&root, -1),
            get(&root, false),
            get(&root, true),
            children(&root, true),
            exists(&root, false),
            children2(&root, false),
            set_acl(&root, &acls, -1),
            get_acl(&root),
            sync(&root),
            multi(&[make(&path, "")]),
            multi_read(&[get(&root, false)]),
            bare(OpCode::Ping),
            bare(OpCode::CloseSession),
            reconfig("", "", "", -1),
            Request::raw(-1, Body::new().int(-5)),
            Request::raw(0, Body::new()),
            Request::raw(20, Body::new().buffer(Some(path.as_bytes()))),
            Request::raw(12345, Body::new()),
        ]
    };
    for op in [OpCode::Multi, OpCode::MultiRead] {
        for index in 0..parts("").len() {
            let part = |tag: &str| parts(&format!("{}_{index}_{tag}", op.name())).swap_remove(index);
            s.call("a", many(op, &[part("one")]));
            s.call("a", many(op, &[part("x"), get(&root, false)]));
            s.call("a", many(op, &[check(&root, -1), part("y")]));
            s.call("a", many(op, &[part("z"), part("z"), check(&root, -1)]));
        }
        s.call("a", many(op, &[]));
    }
    s.settle("a");
    PAIR.compare(&s);
}

#[test]
fn every_mode_in_a_multi_with_extended_types() {
    static EXTENDED: Shared = Shared::new(|| Config::default().key("extendedTypesEnabled", "true"));
    let mut s = Script::new("multi_extended");
    s.connect("a");
    let root = s.path("");
    let acls = Acls::open();
    for flags in -1..8 {
        for op in [OpCode::Create, OpCode::Create2, OpCode::CreateContainer] {
            s.call("a", multi(&[create_op(op, format!("{root}/{}{flags}-", op.name()), Some(b"d"), &acls, flags)]));
        }
        for ttl in [1_000_000, 0, 0xff_ffff_ffff, 0x100_0000_0000] {
            s.call("a", multi(&[create_ttl(format!("{root}/ttl{flags}_{ttl}-"), Some(b"d"), &acls, flags, ttl)]));
        }
        // Alone, one without a mode for it would end the Java server; in a multi it is another create.
        s.call("a", multi(&[create_ttl(format!("{root}/ttl{flags}_negative-"), Some(b"d"), &acls, flags, -1)]));
    }
    EXTENDED.compare(&s);
}

#[test]
fn headers_inside_a_multi() {
    let mut s = Script::new("multi_headers");
    s.connect("a");
    let root = s.path("");
    let part = make(format!("{root}/x"), "").body;
    let end = Body::new().int(-1).boolean(true).int(-1);
    let header = |kind: i32, done: bool, error: i32| Body::new().int(kind).boolean(done).int(error);
    for (index, body) in [
        // No end.
        header(1, false, -1).body(part.clone()),
        // An end of another form.
        header(1, false, -1).body(part.clone()).body(header(0, true, 0)),
        header(1, false, -1).body(part.clone()).body(header(1, true, 5)),
        // An error in the header of a part.
        header(1, false, 0).body(part.clone()).body(end.clone()),
        header(1, false, -110).body(part.clone()).body(end.clone()),
        // Done at once, with a part behind it.
        end.clone().body(header(1, false, -1)).body(part.clone()),
        // The end alone, cut.
        Body::new().int(-1).boolean(true),
        Body::new(),
        // A type without a body.
        header(2, false, -1),
        // Type -1, not done.
        header(-1, false, -1).body(end.clone()),
    ]
    .into_iter()
    .enumerate()
    {
        let conn = format!("c{index}");
        s.connect(&conn);
        s.send(&conn, Request::new(OpCode::Multi, body.clone(), format!("number {index}")));
        s.settle(&conn);
        s.send(&conn, Request::new(OpCode::MultiRead, body, format!("number {index}")));
        s.settle(&conn);
        s.call("a", delete(format!("{root}/x"), -1));
    }
    PAIR.compare(&s);
}

#[test]
fn reads_in_one_request() {
    let mut s = Script::new("multi_read");
    s.connect("owner");
    s.call("owner", auth("digest", Some(b"user:pw")));
    s.call("owner", create(s.path("locked"), Some(b"secret"), &Acls::one(31, "auth", ""), 0));
    s.call("owner", create(s.path("null"), None, &Acls::open(), 0));
    s.connect("a");
    let root = s.path("");
    s.call(
        "a",
        multi_read(&[
            get(&root, true),
            children(&root, true),
            get(format!("{root}/locked"), true),
            children(format!("{root}/locked"), true),
            get(format!("{root}/null"), true),
            get(format!("{root}/missing"), true),
            children(format!("{root}/missing"), true),
            get("", false),
            get("nonsense", false),
        ]),
    );
    // No watch was left by any of these.
    s.call("owner", make(s.path("new"), ""));
    s.call("owner", set(&root, Some(b"x"), -1));
    s.call("owner", make(s.path("missing"), ""));
    s.settle("a");
    s.call("a", watches(OpCode::CheckWatches, &root, 3));
    PAIR.compare(&s);
}

#[test]
fn a_large_multi() {
    let mut s = Script::new("multi_large");
    s.connect("a");
    s.connect("watcher");
    let root = s.path("");
    s.call("watcher", add_watch(&root, 1));
    s.call("watcher", children(&root, true));
    let creates: Vec<_> = (0..2000).map(|index| make(format!("{root}/n{index}"), "data")).collect();
    s.call("a", multi(&creates));
    s.settle("watcher");
    let mut deletes: Vec<_> = (0..2000).map(|index| delete(format!("{root}/n{index}"), 0)).collect();
    deletes.push(check(&root, 1));
    s.call("a", multi(&deletes));
    deletes.pop();
    s.call("a", multi(&deletes));
    s.settle("watcher");
    PAIR.compare(&s);
}
