//! Access control: who may do what, what is accepted as a list, and what is shown of it.

use rookeeper_compat_tests::body::{Acls, Body, Text};
use rookeeper_compat_tests::compare::Shared;
use rookeeper_compat_tests::request::*;
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::{Config, SUPER_AUTH};
use rookeeper_protocol::types::OpCode;

static PAIR: Shared = Shared::new(Config::default);

/// `digest:user:base64(sha1(user:pw))`, as `DigestAuthenticationProvider` makes it of `user:pw`.
const USER_ID: &str = "user:2Om+GBbT2q/tS6pdvACZbbm7/1A=";

#[test]
fn lists_that_are_refused_or_normalised() {
    let mut s = Script::new("acl_lists");
    s.connect("anonymous");
    s.connect("user");
    s.call("user", auth("digest", Some(b"user:pw")));
    let lists = [
        Acls::Null,
        Acls::empty(),
        Acls::open(),
        Acls::list(&[(31, "world", "anyone"), (31, "world", "anyone")]),
        Acls::list(&[(1, "world", "anyone"), (2, "world", "anyone"), (1, "world", "anyone")]),
        Acls::one(31, "world", "somebody"),
        Acls::one(31, "world", ""),
        Acls::one(31, "", "anyone"),
        Acls::one(31, "World", "anyone"),
        Acls::one(31, "nonsense", "x"),
        Acls::one(31, "auth", ""),
        Acls::one(31, "auth", "ignored"),
        Acls::list(&[(1, "auth", ""), (16, "world", "anyone")]),
        Acls::list(&[(31, "auth", ""), (31, "digest", "user:x"), (31, "auth", "")]),
        Acls::one(31, "digest", "user"),
        Acls::one(31, "digest", "user:hash"),
        Acls::one(31, "digest", "user:hash:more"),
        Acls::one(31, "digest", ":"),
        Acls::one(31, "digest", ""),
        Acls::one(31, "digest", USER_ID),
        Acls::one(31, "ip", "127.0.0.1"),
        Acls::one(31, "ip", "127.0.0.1/8"),
        Acls::one(31, "ip", "10.0.0.0/8"),
        Acls::one(31, "ip", "127.0.0.1/33"),
        Acls::one(31, "ip", "127.0.0.1/0"),
        Acls::one(31, "ip", "127.0.0.1/-1"),
        Acls::one(31, "ip", "127.0.0.1/x"),
        Acls::one(31, "ip", "127.0.0"),
        Acls::one(31, "ip", "::1"),
        Acls::one(31, "ip", "::1/64"),
        Acls::one(31, "ip", "fe80::1/129"),
        Acls::one(31, "ip", "300.0.0.1"),
        Acls::one(31, "ip", ""),
        Acls::one(31, "super", "x"),
        Acls::one(31, "sasl", "user"),
        Acls::one(31, "x509", "CN=a"),
        Acls::one(0, "world", "anyone"),
        Acls::one(-1, "world", "anyone"),
        Acls::one(32, "world", "anyone"),
        Acls::one(i32::MIN, "world", "anyone"),
        Acls::List(vec![(31, Text::Null, "anyone".into())]),
        Acls::List(vec![(31, "world".into(), Text::Null)]),
        Acls::List(vec![(31, "digest".into(), Text::Null)]),
        Acls::List(vec![(31, "auth".into(), Text::Null)]),
        Acls::list(&[(31, "world", "anyone"), (31, "nonsense", "x")]),
    ];
    for (index, acls) in lists.iter().enumerate() {
        for conn in ["anonymous", "user"] {
            let path = s.path(&format!("{conn}{index}"));
            s.call(conn, create(&path, Some(b""), acls, 0));
            s.call(conn, get_acl(&path));
            // Null inside a multi is an expected difference.
            if *acls != Acls::Null {
                s.call(conn, multi(&[create(format!("{path}m"), Some(b""), acls, 0)]));
            }
            s.call(conn, make(format!("{path}s"), ""));
            s.call(conn, set_acl(format!("{path}s"), acls, -1));
            s.call(conn, get_acl(format!("{path}s")));
        }
    }
    PAIR.compare(&s);
}

#[test]
fn each_permission_alone() {
    let mut s = Script::new("acl_permissions");
    s.connect("owner");
    s.call("owner", auth("digest", Some(b"user:pw")));
    s.connect("other");
    s.connect("super");
    s.call("super", auth("digest", Some(SUPER_AUTH)));
    for perms in [0, 1, 2, 4, 8, 16, 31, 1 | 16, 2 | 4, 12] {
        let root = s.path(&format!("p{perms}"));
        s.call(
            "owner",
            create(&root, Some(b"data"), &Acls::list(&[(31, "digest", USER_ID), (perms, "world", "anyone")]), 0),
        );
        s.call("owner", create(format!("{root}/child"), Some(b"data"), &Acls::one(31, "auth", ""), 0));
        for conn in ["other", "super", "owner"] {
            s.call(conn, get(&root, true));
            s.call(conn, exists(&root, true));
            s.call(conn, children(&root, true));
            s.call(conn, children2(&root, false));
            s.call(conn, count_descendants(&root));
            s.call(conn, get_acl(&root));
            s.call(conn, set(&root, Some(b"x"), -1));
            s.call(conn, make(format!("{root}/{conn}"), ""));
            s.call(conn, make_as(format!("{root}/{conn}-"), 2));
            s.call(conn, delete(format!("{root}/{conn}"), -1));
            s.call(conn, multi(&[check(&root, -1)]));
            s.call(conn, multi(&[set(&root, Some(b"m"), -1), make(format!("{root}/{conn}m"), "")]));
            s.call(conn, multi(&[delete(format!("{root}/{conn}m"), -1)]));
            s.call(conn, multi_read(&[get(&root, false), children(&root, false), get(format!("{root}/child"), false)]));
            s.call(conn, sync(&root));
            s.call(conn, get(format!("{root}/child"), false));
        }
        s.call("other", set_acl(&root, &Acls::list(&[(31, "digest", USER_ID), (perms, "world", "anyone")]), -1));
        s.call("other", delete(format!("{root}/child"), -1));
        for conn in ["other", "super", "owner"] {
            s.settle(conn);
        }
    }
    PAIR.compare(&s);
}

#[test]
fn hashes_are_shown_only_to_those_who_may_change_them() {
    let mut s = Script::new("acl_redaction");
    s.connect("owner");
    s.call("owner", auth("digest", Some(b"user:pw")));
    s.connect("other");
    let ids = [(1, "world", "anyone"), (31, "digest", USER_ID), (3, "digest", "second:hash"), (1, "ip", "127.0.0.1")];
    s.call("owner", create(s.path("read"), Some(b""), &Acls::list(&ids), 0));
    let ids = [(16, "world", "anyone"), (31, "digest", USER_ID)];
    s.call("owner", create(s.path("admin"), Some(b""), &Acls::list(&ids), 0));
    let ids = [(2, "world", "anyone"), (31, "digest", USER_ID)];
    s.call("owner", create(s.path("write"), Some(b""), &Acls::list(&ids), 0));
    for name in ["read", "admin", "write", "missing"] {
        s.call("owner", get_acl(s.path(name)));
        s.call("other", get_acl(s.path(name)));
    }
    PAIR.compare(&s);
}

#[test]
fn authentication() {
    let mut s = Script::new("authentication");
    let attempts: [(&str, Option<&[u8]>); 9] = [
        ("digest", Some(b"user:pw")),
        ("digest", Some(b"user")),
        ("digest", Some(b":")),
        ("digest", Some(b"a:b:c")),
        ("ip", Some(b"10.0.0.1")),
        ("ip", Some(b"")),
        ("ip", None),
        ("digest", Some(SUPER_AUTH)),
        ("digest", Some(b"super:wrong")),
    ];
    for (index, (scheme, bytes)) in attempts.into_iter().enumerate() {
        let conn = format!("c{index}");
        s.connect(&conn);
        s.call(&conn, auth(scheme, bytes));
        s.call(&conn, auth(scheme, bytes));
        s.call(&conn, bare(OpCode::WhoAmI));
        s.call(&conn, create(s.path(&conn), Some(b""), &Acls::one(31, "auth", ""), 0));
    }
    for (index, scheme) in ["world", "auth", "super", "x509", "sasl", "nonsense", "", "DIGEST"].into_iter().enumerate()
    {
        let conn = format!("refused{index}");
        s.connect(&conn);
        s.send(&conn, auth(scheme, Some(b"user:pw")));
        s.closed(&conn);
    }
    s.connect("null");
    s.send("null", auth(Text::Null, Some(b"user:pw")));
    s.closed("null");
    s.connect("several");
    for bytes in [&b"a:1"[..], b"b:2", b"a:1", b"a:other"] {
        s.call("several", auth("digest", Some(bytes)));
    }
    s.call("several", bare(OpCode::WhoAmI));
    s.connect("type");
    s.send_as(
        "type",
        -4,
        Request::new(OpCode::Auth, Body::new().int(77).text("digest").buffer(Some(b"t:t")), String::new()),
    );
    s.replies("type");
    s.call("type", bare(OpCode::WhoAmI));
    PAIR.compare(&s);
}

#[test]
fn identities_belong_to_the_connection() {
    let mut s = Script::new("acl_identities");
    s.connect("a");
    s.call("a", auth("digest", Some(b"user:pw")));
    s.call("a", create(s.path("x"), Some(b""), &Acls::one(31, "auth", ""), 0));
    s.drop_connection("a");
    s.connect_with("b", rookeeper_compat_tests::script::Hello::resume("a"));
    s.call("b", get(s.path("x"), false));
    s.call("b", bare(OpCode::WhoAmI));
    s.call("b", auth("digest", Some(b"user:pw")));
    s.call("b", get(s.path("x"), false));
    PAIR.compare(&s);
}

#[test]
fn a_sasl_packet_without_configuration() {
    let mut s = Script::new("sasl");
    s.connect("a");
    for token in [Some(&b""[..]), Some(b"token"), Some(&[0; 1000])] {
        s.send("a", Request::new(OpCode::Sasl, Body::new().buffer(token), String::new()));
        s.replies("a");
    }
    s.call("a", make(s.path("x"), ""));
    PAIR.compare(&s);
}

#[test]
fn without_acls_all_is_allowed() {
    static SKIP: Shared = Shared::new(|| Config::default().key("skipACL", "yes"));
    let mut s = Script::new("skip_acl");
    s.connect("a");
    s.connect("b");
    s.call("a", auth("digest", Some(b"user:pw")));
    s.call("a", create(s.path("x"), Some(b""), &Acls::one(31, "auth", ""), 0));
    s.call("b", get(s.path("x"), true));
    s.call("b", get_acl(s.path("x")));
    s.call("b", set(s.path("x"), Some(b"y"), -1));
    s.call("b", make(s.path("x/y"), ""));
    s.call("b", create(s.path("bad"), Some(b""), &Acls::empty(), 0));
    s.call("b", set_acl(s.path("x"), &Acls::one(31, "nonsense", ""), -1));
    s.call("b", delete(s.path("x/y"), -1));
    SKIP.compare(&s);
}

#[test]
fn refusals_before_the_pipeline() {
    static EAGER: Shared = Shared::new(|| Config::default().key("enableEagerACLCheck", "true"));
    let mut s = Script::new("eager_acl");
    s.connect("a");
    s.connect("b");
    s.call("a", auth("digest", Some(b"user:pw")));
    s.call("a", create(s.path("x"), Some(b""), &Acls::one(31, "auth", ""), 0));
    s.call("b", make(s.path("x/y"), ""));
    s.call("b", set(s.path("x"), Some(b""), -1));
    s.call("b", set_acl(s.path("x"), &Acls::open(), -1));
    s.call("b", delete(s.path("x/y"), -1));
    s.call("b", create2(s.path("x/y"), None, &Acls::open(), 2));
    s.call("b", create_op(OpCode::CreateContainer, s.path("x/c"), None, &Acls::open(), 4));
    s.call("b", make(s.path("missing/y"), ""));
    s.call("b", set(s.path("missing"), Some(b""), -1));
    s.call("b", multi(&[make(s.path("x/y"), "")]));
    s.call("b", create(s.path("bad"), Some(b""), &Acls::empty(), 0));
    EAGER.compare(&s);
}
