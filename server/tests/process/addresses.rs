//! Where the server listens, and that it tells so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::support::{Client, Folder, Server, not_run};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn has_ipv6() -> bool {
    let has = TcpListener::bind((V6, 0)).is_ok();
    if !has {
        not_run("listening on IPv6", "this machine has none");
    }
    has
}

fn serves(ip: IpAddr, port: u16) -> bool {
    Client::connect(SocketAddr::new(ip, port)).is_ok_and(|mut client| client.get("/").is_some())
}

#[test]
fn port_0_is_a_free_port_that_the_log_tells() {
    let (one, two) = (Folder::new(), Folder::new());
    let (one, two) = (Server::start(&one, &[]), Server::start(&two, &[]));
    assert_ne!(one.address.port(), two.address.port());
    for server in [one, two] {
        assert_ne!(server.address.port(), 0);
        assert!(serves(V4, server.address.port()));
    }
}

#[test]
fn without_an_address_it_serves_ipv4_and_ipv6() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    assert!(serves(V4, server.address.port()));
    if has_ipv6() {
        assert!(serves(V6, server.address.port()));
    }
}

#[test]
fn ipv4_alone_is_served_where_java_was_told_so() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("java.net.preferIPv4Stack", "true")]);
    assert!(server.process.logged().contains("listening for clients on 0.0.0.0:"), "{}", server.process.logged());
    assert!(serves(V4, server.address.port()));
    assert!(!serves(V6, server.address.port()));
}

#[test]
fn a_given_address_is_the_only_one() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("clientPortAddress", "127.0.0.1")]);
    assert_eq!(server.address.ip(), V4);
    assert!(serves(V4, server.address.port()));
    assert!(!serves(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), server.address.port()));
    assert!(!serves(V6, server.address.port()));
    server.kill();
    if has_ipv6() {
        let server = Server::start(&folder, &[("clientPortAddress", "::1")]);
        assert_eq!(server.address.ip(), V6);
        assert!(serves(V6, server.address.port()));
        assert!(!serves(V4, server.address.port()));
    }
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let folder = Folder::new();
    // Set aside for documentation (RFC 5737): no machine has it.
    let end = Server::try_start(&folder, &[("clientPortAddress", "192.0.2.1")]).expect_err("a start");
    assert_eq!(end.code, Some(1), "{}", end.log);
    assert!(end.log.contains("cannot listen on 192.0.2.1:0"), "{}", end.log);
}
