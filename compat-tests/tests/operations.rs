//! Every operation with every odd argument, one after another: codes, Stats, the order of checks, and which failures
//! use up a zxid.

use rookeeper_compat_tests::body::{Acls, Text};
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::Config;
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

/// With the modes that 3.5 brought.
static EXTENDED: Shared = Shared::new(|| Config::default().key("extendedTypesEnabled", "true"));

/// Paths that are wrong, special or missing; `x` is there, and `x/child`.
fn odd_paths(s: &Script) -> Vec<String> {
    let mut paths: Vec<_> = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "//", "x", "/x/", "/.", "/.."]
        .iter()
        .map(|path| (*path).to_owned())
        .collect();
    let below = [
        "",
        "/",
        "//",
        "/x",
        "/x/",
        "/x//y",
        "/x/./y",
        "/x/../y",
        "/x/..",
        "/.x",
        "/x.",
        "/...",
        "/x/child",
        "/missing",
        "/missing/child",
        "/x/\0",
        "/\u{1}",
        "/\u{1f}",
        "/\u{20}",
        "/\u{7f}",
        "/\u{9f}",
        "/\u{a0}",
        "/\u{d7ff}",
        "/\u{e000}",
        "/\u{f8ff}",
        "/\u{f900}",
        "/\u{ffef}",
        "/\u{fff0}",
        "/\u{fffd}",
        "/\u{10000}",
        "/ ",
        "/\t",
    ];
    paths.extend(below.iter().map(|path| format!("{}{path}", s.path(""))));
    paths
}

#[test]
fn odd_paths_in_every_operation() {
    let acls = Acls::open();
    type Make = fn(&str, &Acls) -> Request;
    let makes: [(&str, Make); 20] = [
        ("create", |path, acls| create(path, Some(b"d"), acls, 0)),
        ("create_sequential", |path, acls| create2(path, Some(b"d"), acls, 2)),
        ("create_ephemeral", |path, acls| create2(path, Some(b"d"), acls, 1)),
        ("create_container", |path, acls| create_op(OpCode::CreateContainer, path, None, acls, 4)),
        ("set", |path, _| set(path, Some(b"e"), -1)),
        ("set_acl", |path, acls| set_acl(path, acls, -1)),
        ("exists", |path, _| exists(path, true)),
        ("get", |path, _| get(path, true)),
        ("get_acl", |path, _| get_acl(path)),
        ("children2", |path, _| children2(path, true)),
        ("count", |path, _| count_descendants(path)),
        ("ephemerals", |path, _| ephemerals(path)),
        ("sync", |path, _| sync(path)),
        ("add_watch", |path, _| add_watch(path, 0)),
        ("add_watch_recursive", |path, _| add_watch(path, 1)),
        ("check_watches", |path, _| watches(OpCode::CheckWatches, path, 3)),
        ("remove_watches", |path, _| watches(OpCode::RemoveWatches, path, 3)),
        ("multi_check", |path, _| multi(&[check(path, -1)])),
        ("multi_set", |path, _| multi(&[set(path, None, -1)])),
        ("delete", |path, _| delete(path, -1)),
    ];
    for (name, make_request) in makes {
        let mut s = Script::new(&format!("odd_{name}"));
        s.connect("a");
        s.call("a", make(s.path("x"), "x"));
        s.call("a", make(s.path("x/child"), ""));
        for path in odd_paths(&s) {
            // The root's children are those of all scripts that ran before on this pair.
            s.call("a", make_request(&path, &acls));
        }
        s.settle("a");
        PAIR.compare(&s);
    }
}

#[test]
fn versions() {
    let mut s = Script::new("versions");
    s.connect("a");
    let path = s.path("x");
    s.call("a", make(&path, ""));
    for version in [0, 0, 5, -1, 2, -2, 3, i32::MAX, i32::MIN, 1] {
        s.call("a", set(&path, Some(b"v"), version));
        s.call("a", set_acl(&path, &Acls::open(), version));
        s.call("a", multi(&[check(&path, version)]));
        s.call(
            "a",
            multi(&[set(&path, Some(b"m"), version), check(&path, version), check(&path, version.wrapping_add(1))]),
        );
    }
    for version in [0, 7, -2, i32::MIN, -1, -1] {
        s.call("a", delete(&path, version));
    }
    PAIR.compare(&s);
}

#[test]
fn null_and_empty_data() {
    let mut s = Script::new("null_data");
    s.connect("a");
    for (name, data) in [("null", None), ("empty", Some(&b""[..])), ("some", Some(&b"d"[..]))] {
        let path = s.path(name);
        s.call("a", create2(&path, data, &Acls::open(), 0));
        s.call("a", get(&path, false));
        s.call("a", exists(&path, false));
        for other in [None, Some(&b""[..]), Some(&b"e"[..]), None] {
            s.call("a", set(&path, other, -1));
            s.call("a", get(&path, false));
            s.call("a", multi_read(&[get(&path, false)]));
        }
    }
    PAIR.compare(&s);
}

fn create_modes(s: &mut Script) {
    s.connect("a");
    let acls = Acls::open();
    for flags in [0, 1, 2, 3, 4, 5, 6, 7, -1, i32::MAX] {
        for op in [OpCode::Create, OpCode::Create2, OpCode::CreateContainer] {
            let path = s.path(&format!("{}_{flags}_", op.name()));
            s.call("a", create_op(op, &path, Some(b"d"), &acls, flags));
            s.call("a", create_op(op, &path, Some(b"d"), &acls, flags));
            s.call("a", create_op(op, format!("{path}/child"), Some(b"d"), &acls, flags));
            s.call("a", exists(&path, false));
            s.call("a", multi(&[create_op(op, format!("{path}m"), Some(b"d"), &acls, flags)]));
        }
        for ttl in [1, 100_000_000, 0, -5, 0xff_ffff_ffff, 0x100_0000_0000, i64::MAX, i64::MIN] {
            // A mode without a TTL together with a negative ttl ends the server (see the expected differences).
            if ttl < 0 && !matches!(flags, 5 | 6) {
                continue;
            }
            let path = s.path(&format!("ttl{ttl}_{flags}_"));
            s.call("a", create_ttl(&path, Some(b"d"), &acls, flags, ttl));
            s.call("a", exists(&path, false));
        }
    }
    s.call("a", ephemerals("/"));
    s.close_session("a");
}

#[test]
fn every_mode_in_every_create() {
    let mut s = Script::new("create_modes");
    create_modes(&mut s);
    PAIR.compare(&s);
}

#[test]
fn every_mode_in_every_create_with_extended_types() {
    let mut s = Script::new("create_modes_extended");
    create_modes(&mut s);
    EXTENDED.compare(&s);
}

#[test]
fn sequential_names_count_the_parents_children_ever() {
    let mut s = Script::new("sequential");
    s.connect("a");
    let root = s.path("");
    let sequential = |path: &str| create2(path, None, &Acls::open(), 2);
    s.call("a", sequential(&format!("{root}/a-")));
    s.call("a", sequential(&format!("{root}/b-")));
    s.call("a", make(format!("{root}/plain"), ""));
    s.call("a", sequential(&format!("{root}/")));
    s.call("a", delete(format!("{root}/plain"), -1));
    s.call("a", sequential(&format!("{root}/a-")));
    s.call("a", make(format!("{root}/a-0000000000"), ""));
    s.call("a", sequential(&format!("{root}/a-")));
    s.call("a", make(format!("{root}/a-0000000007"), ""));
    s.call("a", make(format!("{root}/a-0000000008"), ""));
    // The next number is taken by hand: the create fails, and the number stays where it is.
    s.call("a", sequential(&format!("{root}/a-")));
    s.call("a", sequential(&format!("{root}/a-")));
    s.call("a", sequential(&format!("{root}/c-")));
    s.call("a", set(&root, Some(b"x"), -1));
    s.call(
        "a",
        multi(&[
            sequential(&format!("{root}/m-")),
            sequential(&format!("{root}/m-")),
            sequential(&format!("{root}/m-")),
        ]),
    );
    s.call("a", multi(&[sequential(&format!("{root}/m-")), sequential(&format!("{root}/m-")), check(&root, 99)]));
    s.call(
        "a",
        multi(&[make(format!("{root}/z"), ""), delete(format!("{root}/z"), -1), sequential(&format!("{root}/m-"))]),
    );
    s.call("a", sequential(&format!("{root}/m-")));
    s.call("a", make_as(format!("{root}/e-"), 3));
    s.call("a", children2(&root, false));
    s.close_session("a");
    s.connect("b");
    s.call("b", sequential(&format!("{root}/after-")));
    s.call("b", exists(&root, false));
    PAIR.compare(&s);
}

#[test]
fn stats_of_parent_and_child() {
    let mut s = Script::new("stats");
    s.connect("a");
    let (root, x, child) = (s.path("p"), s.path("p/x"), s.path("p/x/c"));
    for request in [
        make(&root, "root"),
        make(&x, "x"),
        make(&child, ""),
        make_as(format!("{x}/e"), 1),
        set(&x, Some(b"longer"), -1),
        set_acl(&x, &Acls::open(), -1),
        delete(&child, -1),
        delete(&child, -1),
        delete(&x, -1),
        delete(format!("{x}/e"), -1),
        make(&child, "again"),
        set(&root, None, 0),
        delete(&child, 0),
        delete(&x, 1),
        make(&x, "new"),
    ] {
        s.call("a", request);
        for path in [&root, &x, &child] {
            s.call("a", exists(path, false));
        }
    }
    s.call("a", get("/zookeeper", false));
    s.call("a", get("/zookeeper/config", false));
    s.call("a", get_acl("/zookeeper/config"));
    s.call("a", get("/zookeeper/quota", false));
    s.call("a", children2("/zookeeper", false));
    s.call("a", get_acl("/"));
    PAIR.compare(&s);
}

#[test]
fn the_order_of_checks() {
    let mut s = Script::new("precedence");
    s.connect("owner");
    s.call("owner", auth("digest", Some(b"owner:pw")));
    s.connect("a");
    let (mine, null) = (Acls::one(31, "auth", ""), Acls::Null);
    let bad = Acls::one(31, "nonsense", "x");
    s.call("owner", create(s.path("locked"), Some(b""), &mine, 0));
    s.call("owner", create(s.path("locked/x"), Some(b""), &Acls::open(), 0));
    s.call("owner", create(s.path("locked/e"), Some(b""), &Acls::open(), 1));
    s.call("owner", create(s.path("e"), Some(b""), &mine, 1));
    s.call("owner", create(s.path("open"), Some(b""), &Acls::open(), 0));
    s.call("owner", create(s.path("open/e"), Some(b""), &Acls::open(), 1));
    let root = s.path("");
    let paths = [
        "locked",
        "locked/x",
        "locked/new",
        "locked/e/c",
        "e",
        "e/c",
        "open",
        "open/e/c",
        "open//",
        "missing/x",
        "locked/bad//",
        "",
    ];
    for name in paths {
        let path = if name.is_empty() { "nonsense".to_owned() } else { format!("{root}/{name}") };
        for (flags, acls) in
            [(0, &null), (0, &bad), (0, &Acls::open()), (1, &Acls::open()), (9, &bad), (5, &bad), (2, &bad)]
        {
            s.call("a", create(&path, Some(b""), acls, flags));
            if flags == 5 {
                s.call("a", create_ttl(&path, Some(b""), acls, flags, -3));
            }
        }
        for version in [-1, 7] {
            s.call("a", set(&path, Some(b""), version));
            s.call("a", set_acl(&path, &bad, version));
            s.call("a", set_acl(&path, &Acls::open(), version));
            s.call("a", multi(&[check(&path, version)]));
            s.call("a", delete(&path, version));
        }
        for op in [OpCode::Exists, OpCode::GetData, OpCode::GetChildren2] {
            s.call("a", read(op, &path, true));
        }
        s.call("a", get_acl(&path));
        s.call("a", count_descendants(&path));
        s.call("a", multi_read(&[get(&path, false), children(&path, false)]));
    }
    s.settle("a");
    PAIR.compare(&s);
}

#[test]
fn special_znodes_cannot_be_deleted() {
    let mut s = Script::new("special");
    s.connect("a");
    for path in ["/", "/zookeeper", "/zookeeper/", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/quota/x", ""] {
        s.call("a", delete(path, -1));
        s.call("a", multi(&[delete(path, -1)]));
    }
    s.call("a", set("/zookeeper/config", Some(b"x"), -1));
    s.call("a", make("/zookeeper/config/x", ""));
    s.call("a", set_acl("/zookeeper/config", &Acls::open(), -1));
    s.call("a", make("/zookeeper/own", "x"));
    s.call("a", delete("/zookeeper/own", -1));
    s.call("a", create2("/", None, &Acls::open(), 0));
    s.call("a", create2("/", None, &Acls::open(), 1));
    s.call("a", children2("/zookeeper", false));
    PAIR.compare(&s);
}

#[test]
fn ephemerals_by_prefix() {
    let mut s = Script::new("ephemerals");
    s.connect("a");
    s.connect("b");
    for name in ["e1", "e2", "dir_e3"] {
        s.call("a", make_as(s.path(name), 1));
    }
    s.call("b", make_as(s.path("e4"), 3));
    let root = s.path("");
    for prefix in [
        "/".to_owned(),
        String::new(),
        "  ".to_owned(),
        root.clone(),
        format!("{root}/e"),
        format!("{root}/e1"),
        format!("{root}/e1/"),
        "/nowhere".to_owned(),
        "ephemerals".to_owned(),
    ] {
        s.call("a", ephemerals(&prefix));
        s.call("b", ephemerals(&prefix));
    }
    s.call("a", path_only(OpCode::GetEphemerals, Text::Null));
    s.call("a", multi(&[make_as(s.path("e5"), 1), delete(s.path("e1"), -1)]));
    s.call("a", ephemerals("/"));
    s.call("b", delete(s.path("e2"), -1));
    s.call("a", ephemerals("/"));
    PAIR.compare(&s);
}

#[test]
fn descendants_are_counted() {
    let mut s = Script::new("count");
    s.connect("a");
    for name in ["a", "a/b", "a/b/c", "ab", "a/d", "a-"] {
        s.call("a", make(s.path(name), ""));
    }
    for name in ["", "a", "a/b", "a/b/c", "ab", "missing"] {
        s.call("a", count_descendants(s.path(name)));
    }
    s.call("a", count_descendants("/zookeeper"));
    s.call("a", count_descendants("/zookeeper/quota"));
    PAIR.compare(&s);
}

#[test]
fn nothing_below_an_ephemeral() {
    let mut s = Script::new("below_ephemeral");
    s.connect("a");
    s.call("a", make_as(s.path("e"), 1));
    for flags in 0..5 {
        s.call("a", make_as(s.path("e/c"), flags));
        s.call("a", multi(&[make_as(s.path("e/c"), flags)]));
    }
    s.call("a", multi(&[make_as(s.path("f"), 1), make(s.path("f/c"), "")]));
    PAIR.compare(&s);
}

#[test]
fn reconfig_is_refused() {
    let mut s = Script::new("reconfig");
    s.connect("a");
    s.call("a", reconfig("server.1=localhost:2888:3888;2181", Text::Null, Text::Null, -1));
    s.call("a", reconfig(Text::Null, "1", Text::Null, 5));
    PAIR.compare(&s);
    static ENABLED: Shared = Shared::new(|| Config::default().key("reconfigEnabled", "true"));
    ENABLED.compare(&s);
}

#[test]
fn names_and_data_of_every_size() {
    let mut s = Script::new("sizes");
    s.connect("a");
    for size in [0usize, 1, 15, 16, 17, 127, 128, 255, 256, 1023, 4096, 65_535, 65_536, 300_000] {
        let path = s.path(&format!("n{}", "x".repeat(size.min(10_000))));
        let data = vec![b'd'; size];
        s.call("a", create2(&path, Some(&data), &Acls::open(), 0));
        s.call("a", get(&path, false));
        s.call("a", set(&path, Some(&data[..size / 2]), -1));
        s.call("a", get(&path, false));
    }
    s.call("a", children2(s.path(""), false));
    PAIR.compare(&s);
}
