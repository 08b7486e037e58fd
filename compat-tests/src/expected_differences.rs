//! The only answers that are meant to differ from Apache ZooKeeper 3.9.5. Keep this list short.
//!
//! Each is a defect of that server that ours does not share. Most bring the Java server down, so that the two cannot be
//! played side by side: the script is played on ours alone, and what it must answer stands here.
//!
//! Besides these, what Java keeps in hash sets is compared without regard to order, since no client can rely on it: names
//! of children, a session's ephemeral znodes (also the order in which they go with it), a connection's identities.

use rookeeper_protocol::types::{ErrorCode, OpCode};

use crate::body::{Acls, Body};
use crate::request::{Request, auth};
use crate::request::{create, create_ttl, exists, make, make_as, multi, set, set_acl, sync};
use crate::script::Script;

/// One intended difference.
pub struct ExpectedDifference {
    /// Its name, and that of its script.
    pub name: &'static str,
    /// What the Java server does, and why ours does not.
    pub reason: &'static str,
    /// Plays it.
    pub script: fn(&mut Script),
    /// What ours answers to the requests of the connection `a`, in order.
    pub answers: &'static [ErrorCode],
}

/// All of them.
pub const EXPECTED_DIFFERENCES: &[ExpectedDifference] = &[
    ExpectedDifference {
        name: "ttl_without_a_mode",
        reason: "A createTTL whose mode has no TTL, with a negative ttl, is logged, ends the Java server when it is \
                 applied, and again at every start.",
        script: |s| {
            s.call("a", create_ttl(s.path("x"), Some(b""), &Acls::open(), 0, -1));
            s.call("a", create_ttl(s.path("x"), Some(b""), &Acls::open(), 3, i64::MIN));
            s.call("a", exists(s.path("x"), false));
        },
        answers: &[ErrorCode::BadArguments, ErrorCode::BadArguments, ErrorCode::NoNode],
    },
    ExpectedDifference {
        name: "limits_without_a_path",
        reason: "Creating /zookeeper/quota/zookeeper_limits ends the Java server.",
        script: |s| {
            s.call("a", make("/zookeeper/quota/zookeeper_limits", "count=1,bytes=1"));
            s.call("a", multi(&[make("/zookeeper/quota/zookeeper_limits", "count=1,bytes=1")]));
            s.call("a", exists("/zookeeper/quota/zookeeper_limits", false));
        },
        answers: &[ErrorCode::BadArguments, ErrorCode::BadArguments, ErrorCode::NoNode],
    },
    ExpectedDifference {
        name: "delete_container_by_a_client",
        reason: "Java lets any client delete any childless znode that is not ephemeral, whatever its access control \
                 list, with the operation that is meant for the server itself (20).",
        script: |s| {
            let path = s.path("x");
            s.call("a", make(&path, ""));
            s.send("a", Request::raw(OpCode::DeleteContainer.number(), Body::new().buffer(Some(path.as_bytes()))));
            s.closed("a");
        },
        answers: &[ErrorCode::Ok, ErrorCode::Unimplemented],
    },
    ExpectedDifference {
        name: "null_acl_in_a_multi",
        reason: "A create with a null access control list inside a multi gets its zxid a second time in Java: the next \
                 write has the same, and an ensemble then never answers a sync. Ours uses one zxid up.",
        script: |s| {
            s.call("a", multi(&[create(s.path("x"), Some(b""), &Acls::Null, 0)]));
            s.call("a", make(s.path("y"), ""));
            s.call("a", sync(s.path("y")));
        },
        answers: &[ErrorCode::MarshallingError, ErrorCode::Ok, ErrorCode::Ok],
    },
    ExpectedDifference {
        name: "acl_in_a_pipeline",
        reason: "A write pipelined behind a setACL may still be judged by the old list in Java.",
        script: |s| {
            let path = s.path("x");
            s.call("a", make(&path, ""));
            for _ in 0..50 {
                s.send("a", set_acl(&path, &Acls::one(1 | 16, "world", "anyone"), -1));
                s.send("a", set(&path, Some(b"refused"), -1));
                s.send("a", set_acl(&path, &Acls::open(), -1));
                s.send("a", set(&path, Some(b"allowed"), -1));
            }
            s.replies("a");
        },
        answers: &acl_answers(),
    },
    ExpectedDifference {
        name: "quota_in_a_pipeline",
        reason: "Java checks a hard quota against the tree as it is applied, so that one multi or one pipeline may \
                 overrun it.",
        script: |s| {
            let path = s.path("q");
            s.call("a", auth("digest", Some(b"user:pw")));
            s.call("a", make(&path, ""));
            let mut parent = "/zookeeper/quota".to_owned();
            for name in path.split('/').skip(1) {
                parent = format!("{parent}/{name}");
                s.call("a", make(&parent, ""));
            }
            let limits = "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2";
            s.call("a", make(format!("{parent}/zookeeper_limits"), limits));
            s.call("a", make(format!("{parent}/zookeeper_stats"), "count=0,bytes=0"));
            s.call("a", multi(&[make(format!("{path}/1"), ""), make(format!("{path}/2"), "")]));
            s.send("a", make_as(format!("{path}/1"), 1));
            s.send("a", make_as(format!("{path}/2"), 1));
            s.replies("a");
            s.call("a", create(format!("{path}/3"), None, &Acls::open(), 0));
        },
        answers: &[
            ErrorCode::Ok,
            ErrorCode::Ok,
            ErrorCode::Ok,
            ErrorCode::Ok,
            ErrorCode::Ok,
            ErrorCode::Ok,
            ErrorCode::QuotaExceeded,
            ErrorCode::Ok,
            ErrorCode::QuotaExceeded,
            ErrorCode::QuotaExceeded,
        ],
    },
];

const fn acl_answers() -> [ErrorCode; 201] {
    let mut answers = [ErrorCode::Ok; 201];
    let mut round = 0;
    while round < 50 {
        answers[2 + 4 * round] = ErrorCode::NoAuth;
        round += 1;
    }
    answers
}
