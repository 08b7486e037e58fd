//! Hosts for the members of an ensemble: network namespaces around a switch, which can be cut, slowed down and made to
//! lose packets. Needs root, iproute2 and iptables; delays need a kernel with `netem`.
//!
//! The test itself has a port of the switch, too, and reaches every member whatever is cut between them.

use std::net::Ipv4Addr;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::janitor;

/// The first two numbers of all addresses; they exist in namespaces of this machine only.
const PREFIX: (u8, u8) = (10, 213);

/// The same of the second addresses, where hosts have two.
const SECOND_PREFIX: (u8, u8) = (10, 214);

/// The last number of the test's own address.
const OWN: u8 = 254;

/// What a slow link may have under way before it loses packets: a few large ones.
const BURST: &str = "16kb";

/// How long a packet may wait before a slow link until it is lost.
const QUEUE: &str = "400ms";

/// A network of its own for one ensemble. Dropping it removes the namespaces; so does the end of the test process.
#[derive(Debug)]
pub struct Network {
    name: String,
    subnet: u8,
    hosts: u8,
    has_second_addresses: bool,
    janitor: Child,
}

impl Network {
    /// Makes hosts numbered from 1, all of which reach each other.
    pub fn make(hosts: u8) -> Result<Self, String> {
        let network = Self::name(hosts, false)?;
        network.build()?;
        Ok(network)
    }

    /// The same with two addresses for each host, as if there were two networks. What the test says goes to the first.
    pub fn make_with_two_addresses(hosts: u8) -> Result<Self, String> {
        let network = Self::name(hosts, true)?;
        network.build()?;
        for id in 1..=hosts {
            let address = format!("{}/24", network.numbered(SECOND_PREFIX, id));
            ip(&["-n", &network.host(id), "addr", "add", &address, "dev", "eth0"])?;
        }
        Ok(network)
    }

    fn name(hosts: u8, has_second_addresses: bool) -> Result<Self, String> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let name = format!("rk{}c{call}", std::process::id());
        let subnet = free_subnet(std::process::id().wrapping_add(call))?;
        let script = "trap '' INT TERM; read -r _; for host; do ip netns del $host; done";
        let names: Vec<_> = (0..=hosts).map(|host| format!("{name}-{host}")).collect();
        let janitor = janitor(script, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self { name, subnet, hosts, has_second_addresses, janitor })
    }

    fn build(&self) -> Result<(), String> {
        // The switch is a host of its own, number 0.
        let switch = &self.host(0);
        ip(&["netns", "add", switch])?;
        ip(&["-n", switch, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", switch, "link", "set", "switch", "up"])?;
        for id in 1..=self.hosts {
            let (host, port) = (&self.host(id), &format!("port{id}"));
            ip(&["netns", "add", host])?;
            ip(&["-n", host, "link", "set", "lo", "up"])?;
            ip(&["-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host])?;
            ip(&["-n", switch, "link", "set", port, "master", "switch", "up"])?;
            ip(&["-n", host, "addr", "add", &format!("{}/24", self.address(id)), "dev", "eth0"])?;
            ip(&["-n", host, "link", "set", "eth0", "up"])?;
        }
        ip(&["link", "add", &self.name, "type", "veth", "peer", "name", "port0", "netns", switch])?;
        ip(&["-n", switch, "link", "set", "port0", "master", "switch", "up"])?;
        ip(&["addr", "add", &format!("{}/24", self.address(OWN)), "dev", &self.name])?;
        ip(&["link", "set", &self.name, "up"])
    }

    /// The namespace of a host.
    pub fn host(&self, id: u8) -> String {
        format!("{}-{id}", self.name)
    }

    /// The address of a host.
    pub fn address(&self, id: u8) -> Ipv4Addr {
        self.numbered(PREFIX, id)
    }

    /// The second address of a host, if hosts have two.
    pub fn second_address(&self, id: u8) -> Option<Ipv4Addr> {
        self.has_second_addresses.then(|| self.numbered(SECOND_PREFIX, id))
    }

    fn numbered(&self, prefix: (u8, u8), id: u8) -> Ipv4Addr {
        Ipv4Addr::new(prefix.0, prefix.1, self.subnet, id)
    }

    /// From now on, what one host sends to the other is lost; the other direction is not touched.
    pub fn cut(&self, from: u8, to: u8) -> Result<(), String> {
        self.cut_at(self.address(from), to)
    }

    fn cut_at(&self, sender: Ipv4Addr, to: u8) -> Result<(), String> {
        self.filter(to, &["-A", "INPUT", "-s", &sender.to_string(), "-j", "DROP"])
    }

    /// What others send from their second addresses to this host's is lost, and the other way.
    pub fn cut_second_address(&self, id: u8) -> Result<(), String> {
        for other in (1..=self.hosts).filter(|other| *other != id) {
            self.cut_at(self.numbered(SECOND_PREFIX, id), other)?;
            self.cut_at(self.numbered(SECOND_PREFIX, other), id)?;
        }
        Ok(())
    }

    /// The same of the first addresses; the test still reaches the host there.
    pub fn cut_first_address(&self, id: u8) -> Result<(), String> {
        let others: Vec<_> = (1..=self.hosts).filter(|other| *other != id).collect();
        self.part(&[id], &others)
    }

    /// Cuts both directions between each host of one side and each of the other.
    pub fn part(&self, one: &[u8], other: &[u8]) -> Result<(), String> {
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
            self.cut(a, b)?;
            self.cut(b, a)?;
        }
        Ok(())
    }

    /// A host loses one of so many packets that other hosts send to it.
    pub fn lose(&self, id: u8, one_in: u32) -> Result<(), String> {
        let probability = (1.0 / f64::from(one_in)).to_string();
        self.filter(
            id,
            &["-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", &probability, "-j", "DROP"],
        )
    }

    /// A host sends no more than this.
    pub fn slow(&self, id: u8, kilobits_per_second: u32) -> Result<(), String> {
        let rate = format!("{kilobits_per_second}kbit");
        let host = self.host(id);
        let what = ["qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", &rate, "burst", BURST, "latency", QUEUE];
        run("tc", &[&["-n", &host], &what[..]].concat())
    }

    /// Whether this kernel can delay packets.
    pub fn can_delay(&self) -> bool {
        // Number 0 is the switch, whose own loopback nobody uses.
        let delays =
            |what| run("tc", &["-n", &self.host(0), "qdisc", what, "dev", "lo", "root", "netem", "delay", "1ms"]);
        delays("add").and_then(|()| delays("del")).is_ok()
    }

    /// What a host sends is on its way for so long, and by up to the jitter more or less.
    pub fn delay(&self, id: u8, delay_ms: u32, jitter_ms: u32) -> Result<(), String> {
        let (delay, jitter) = (format!("{delay_ms}ms"), format!("{jitter_ms}ms"));
        let host = self.host(id);
        run("tc", &["-n", &host, "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", &delay, &jitter])
    }

    /// Everything is as it was at first.
    pub fn heal(&self) -> Result<(), String> {
        for id in 1..=self.hosts {
            self.filter(id, &["-F", "INPUT"])?;
            // Fails where nothing was slowed down.
            let _ = run("tc", &["-n", &self.host(id), "qdisc", "del", "dev", "eth0", "root"]);
        }
        Ok(())
    }

    fn filter(&self, id: u8, rule: &[&str]) -> Result<(), String> {
        let host = self.host(id);
        ip(&[&["netns", "exec", &host, "iptables", "-w"], rule].concat())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Without its input the janitor does its work.
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// A third number of addresses that no route of this machine has yet.
fn free_subnet(from: u32) -> Result<u8, String> {
    let routes = output("ip", &["-4", "route", "show"])?;
    let is_free = |subnet: &u8| !routes.contains(&format!("{}.{}.{subnet}.0/24", PREFIX.0, PREFIX.1));
    let candidates = (0..=255_u32).map(|offset| (from.wrapping_add(offset) % 256) as u8);
    candidates.into_iter().find(is_free).ok_or_else(|| "no addresses are left for a network".to_owned())
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    output(program, arguments).map(drop)
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(arguments).output();
    let done = done.map_err(|error| format!("{program} does not start ({error}): install iproute2 and iptables"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}
