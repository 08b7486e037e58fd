//! Who may do what, as requests see it.

use rookeeper_core::acl::{DigestAlgorithm, digest_id};
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, Id, OpCode, Perms, write_acls};

use super::wire::*;
use super::world::{Options, World};

fn login(world: &mut World, credentials: &str) -> ConnId {
    let conn = world.connect();
    assert_eq!(world.call(conn, -4, &auth("digest", credentials.as_bytes())), reply(-4, 0, 0));
    conn
}

fn id(credentials: &str) -> String {
    digest_id(credentials, DigestAlgorithm::Sha1)
}

/// The error of each operation on a znode that gives `perms` to everybody; its parent gives the same.
fn outcomes(perms: i32) -> Vec<(&'static str, i32)> {
    let acl = [Acl { perms, id: Acl::open().id }];
    let requests = [
        ("create", persistent("/p/n/new")),
        ("delete", delete("/p/n", -1)),
        ("setData", set_data("/p/n", b"", -1)),
        ("setACL", set_acl("/p/n", &open(), -1)),
        ("getData", read(OpCode::GetData, "/p/n", false)),
        ("exists", read(OpCode::Exists, "/p/n", false)),
        ("getChildren", read(OpCode::GetChildren, "/p/n", false)),
        ("getChildren2", read(OpCode::GetChildren2, "/p/n", false)),
        ("getAllChildrenNumber", by_path(OpCode::GetAllChildrenNumber, "/p/n")),
        ("getACL", by_path(OpCode::GetAcl, "/p/n")),
        ("sync", by_path(OpCode::Sync, "/p/n")),
    ];
    requests
        .into_iter()
        .map(|(name, request)| {
            let mut world = World::new();
            let conn = world.connect();
            world.ok(conn, &persistent("/p"));
            world.ok(conn, &create_as(OpCode::Create, "/p/n", None, &acl, 0));
            world.ok(conn, &set_acl("/p", &acl, -1));
            (name, world.error(conn, &request))
        })
        .filter(|(_, code)| *code != -102)
        .collect()
}

#[test]
fn each_permission_opens_its_operations() {
    let ok = |names: &[&'static str]| names.iter().map(|name| (*name, 0)).collect::<Vec<_>>();
    let reads = ["getData", "exists", "getChildren", "getChildren2", "getAllChildrenNumber", "getACL", "sync"];
    assert_eq!(outcomes(Perms::READ), ok(&reads));
    assert_eq!(outcomes(Perms::WRITE), ok(&["setData", "sync"]));
    assert_eq!(outcomes(Perms::CREATE), ok(&["create", "sync"]));
    assert_eq!(outcomes(Perms::DELETE), ok(&["delete", "sync"]));
    assert_eq!(outcomes(Perms::ADMIN), ok(&["setACL", "getACL", "sync"]));
    assert_eq!(outcomes(0), ok(&["sync"]));
}

#[test]
fn a_set_acl_on_its_way_judges_what_follows() {
    let mut world = World::new();
    let conn = world.connect();
    let (mine, other) = (login(&mut world, "me:1"), login(&mut world, "you:2"));
    world.ok(conn, &persistent("/a"));
    world.flushes_at_once = false;
    world.send(mine, 1, &set_acl("/a", &auth_acl(), 0));
    world.send(other, 1, &set_data("/a", b"no", -1));
    world.send(other, 2, &persistent("/a/no"));
    world.send(mine, 2, &set_data("/a", b"yes", -1));
    world.send(mine, 3, &set_acl("/a", &open(), 1));
    world.send(other, 3, &persistent("/a/yes"));
    // A create on its way has its list at once as well.
    world.send(mine, 4, &create_as(OpCode::Create, "/b", None, &auth_acl(), 0));
    world.send(other, 4, &persistent("/b/no"));
    world.flush();
    let codes = |sent: Vec<Sent>| -> Vec<i32> {
        sent.iter().map(|sent| if let Sent::Reply { error, .. } = sent { *error } else { panic!() }).collect()
    };
    assert_eq!(codes(world.take(mine)), [0, 0, 0, 0]);
    assert_eq!(codes(world.take(other)), [-102, -102, 0, -102]);
    assert_eq!(world.data("/a"), "yes");
}

#[test]
fn get_acl_hides_hashes_from_those_who_may_not_change_them() {
    let mut world = World::new();
    let (owner, reader) = (login(&mut world, "me:1"), world.connect());
    let list = [user_acl(Perms::ALL, &id("me:1")), Acl::read_only(), Acl { perms: 1, id: Id::new("ip", "1.2.3.4") }];
    world.ok(owner, &create_as(OpCode::Create, "/a", None, &list, 0));
    let stat = world.tree.get("/a").unwrap().client_stat();
    let expected = |list: &[Acl]| {
        bytes(|out| {
            write_acls(out, list);
            stat.write(out);
        })
    };
    assert_eq!(world.ok(owner, &by_path(OpCode::GetAcl, "/a")), expected(&list));
    let mut hidden = list.clone();
    hidden[0].id = Id::new("digest", "me:x");
    assert_eq!(world.ok(reader, &by_path(OpCode::GetAcl, "/a")), expected(&hidden));
    assert_eq!(world.error(reader, &by_path(OpCode::GetAcl, "/none")), -101);
}

#[test]
fn the_super_user_and_skip_acl_may_do_everything() {
    let mut options = Options::default();
    options.pipeline.acl.auth.super_digest = Some(id("super:secret"));
    let mut world = World::with(options);
    let (owner, root) = (login(&mut world, "me:1"), login(&mut world, "super:secret"));
    world.ok(owner, &create_as(OpCode::Create, "/a", None, &auth_acl(), 0));
    world.ok(root, &set_data("/a", b"", -1));
    world.ok(root, &read(OpCode::GetData, "/zookeeper/config", false));
    world.ok(root, &set_data("/zookeeper/config", b"", -1));
    let who = bytes(|out| {
        out.count(3);
        for text in ["ip", "10.0.0.1", "super", "", "digest", "super"] {
            out.text(text);
        }
    });
    assert_eq!(world.ok(root, &bare(OpCode::WhoAmI)), who);

    let mut options = Options::default();
    options.pipeline.acl.skip = true;
    let mut world = World::with(options);
    let conn = world.connect();
    world.ok(conn, &create_as(OpCode::Create, "/a", None, &[user_acl(31, "me:x")], 0));
    world.ok(conn, &set_data("/a", b"", -1));
    world.ok(conn, &read(OpCode::GetData, "/a", false));
}

#[test]
fn identities_are_those_of_the_moment_the_request_was_read() {
    let mut world = World::new();
    let conn = world.connect();
    let owner = login(&mut world, "me:1");
    world.ok(owner, &create_as(OpCode::Create, "/a", None, &auth_acl(), 0));
    world.flushes_at_once = false;
    world.send(conn, 1, &persistent("/b"));
    world.send(conn, 2, &read(OpCode::GetData, "/a", false));
    world.send(conn, -4, &auth("digest", b"me:1"));
    world.send(conn, 3, &read(OpCode::Exists, "/a", false));
    world.flush();
    let sent = world.take(conn);
    assert_eq!(sent[..3], [reply(-4, 0, 0), answer(1, 4, text("/b")), reply(2, 4, -102)]);
    assert!(matches!(sent[3], Sent::Reply { xid: 3, error: 0, .. }));
}

#[test]
fn a_znode_that_may_not_be_read_gets_no_watch() {
    let mut world = World::new();
    let (owner, conn) = (login(&mut world, "me:1"), world.connect());
    world.ok(owner, &create_as(OpCode::Create, "/a", None, &auth_acl(), 0));
    for op in [OpCode::Exists, OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2] {
        assert_eq!(world.error(conn, &read(op, "/a", true)), -102);
    }
    assert_eq!(world.watch_count(), 0);
}

#[test]
fn digest_can_be_switched_off() {
    let mut options = Options::default();
    options.pipeline.acl.auth.digest_enabled = false;
    let mut world = World::with(options);
    let conn = world.connect();
    assert_eq!(world.error(conn, &create_as(OpCode::Create, "/a", None, &[user_acl(31, "me:x")], 0)), -114);
    assert_eq!(world.call(conn, -4, &auth("digest", b"me:1")), reply(-4, 0, -115));
}
