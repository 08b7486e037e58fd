//! Ensembles of real processes: members of either kind, from the same zoo.cfg files, on loopback or on hosts of their
//! own, and everything that can happen to them.
//!
//! - [`dynamic`]: members that come, go and change, and the files that tell of them
//! - [`folders`]: what operators do by hand to a member's folder
//! - [`network`]: hosts, cuts and slow links
//! - [`picture`]: what a member has: all znodes and the digest, and whether others have the same
//! - [`synchronized`]: whether a member got a DIFF, a TRUNC or a SNAP

pub mod dynamic;
pub mod folders;
pub mod network;
pub mod picture;
pub mod synchronized;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use crate::server::{Config, Kind, PATIENCE, POLL, Server, free_port};
use network::Network;

/// Ports of members that have a host of their own.
const HOST_PORTS: [u16; 3] = [2181, 2888, 3888];

/// Whether a member votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does.
    Participant,
    /// It does not.
    Observer,
}

/// What a member says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It observes.
    Observer,
}

/// One server of an ensemble.
#[derive(Debug)]
struct Member {
    role: Role,
    server: Server,
    /// The ports for other members: of the learners, of elections.
    ports: [u16; 2],
    /// Ports where clients or members found it before.
    left: Vec<u16>,
    paused: bool,
    own_disk: bool,
}

/// An ensemble. Members are numbered from 1, as in `server.1` and `myid`. Dropping it ends all of them.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Member>,
    // Behind the members: the hosts go when nothing runs on them.
    network: Option<Network>,
}

/// What every ensemble is configured with, unless a test says otherwise: ticks short enough that a lost leader is missed
/// soon, and limits long enough for two cores that run five members.
pub fn usual() -> Config {
    Config::default().key("tickTime", "500").key("initLimit", "60").key("syncLimit", "8")
}

impl Ensemble {
    /// Makes the folders of participants, with ports on loopback, and starts none.
    pub fn prepare(kinds: &[Kind]) -> Result<Self, String> {
        let members: Vec<_> = kinds.iter().map(|kind| (*kind, Role::Participant)).collect();
        Self::prepare_with(&members, &usual(), None)
    }

    /// Starts participants on loopback, and waits until they have a leader.
    pub fn start(kinds: &[Kind]) -> Result<Self, String> {
        let mut ensemble = Self::prepare(kinds)?;
        ensemble.launch_all()?;
        ensemble.settle()?;
        Ok(ensemble)
    }

    /// Starts participants on hosts of their own, and waits until they have a leader.
    pub fn start_on_hosts(kinds: &[Kind]) -> Result<Self, String> {
        let members: Vec<_> = kinds.iter().map(|kind| (*kind, Role::Participant)).collect();
        let hosts = u8::try_from(kinds.len()).map_err(|error| error.to_string())?;
        let mut ensemble = Self::prepare_with(&members, &usual(), Some(Network::make(hosts)?))?;
        ensemble.launch_all()?;
        ensemble.settle()?;
        Ok(ensemble)
    }

    /// Makes the folders of members, on hosts of a network or with ports on loopback, and starts none.
    pub fn prepare_with(kinds: &[(Kind, Role)], config: &Config, network: Option<Network>) -> Result<Self, String> {
        let mut config = config.clone();
        let mut places = Vec::new();
        for (id, (_, role)) in (1..).zip(kinds) {
            let (address, [client, peers, election]) = match &network {
                Some(network) => (network.address(id), HOST_PORTS),
                // Hosts of their own as far as a port is concerned that all have to share.
                None => (Ipv4Addr::new(127, 0, 0, id), [free_port()?, free_port()?, free_port()?]),
            };
            let role = if *role == Role::Observer { ":observer" } else { "" };
            let second = network.as_ref().and_then(|network| network.second_address(id));
            let second = second.map_or(String::new(), |address| format!("|{address}:{peers}:{election}"));
            config = config.key(&format!("server.{id}"), &format!("{address}:{peers}:{election}{second}{role}"));
            places.push((SocketAddr::from((address, client)), [peers, election]));
        }
        let mut ensemble = Self { members: Vec::new(), network };
        for ((kind, role), (address, ports)) in kinds.iter().zip(places) {
            ensemble.make_member(*kind, *role, &config, address, ports)?;
        }
        Ok(ensemble)
    }

    /// Makes the folder of one more member, with its zoo.cfg.
    fn make_member(
        &mut self,
        kind: Kind,
        role: Role,
        config: &Config,
        address: SocketAddr,
        ports: [u16; 2],
    ) -> Result<u8, String> {
        let id = u8::try_from(self.members.len() + 1).map_err(|error| error.to_string())?;
        let config = match role {
            Role::Observer => config.clone().key("peerType", "observer"),
            Role::Participant => config.clone(),
        };
        let host = self.network.as_ref().map(|network| network.host(id));
        let server = Server::prepare(kind, &config, address, host)?;
        std::fs::create_dir(server.data_folder()).map_err(|error| error.to_string())?;
        write_id(&server, id)?;
        self.members.push(Member { role, server, ports, left: Vec::new(), paused: false, own_disk: false });
        Ok(id)
    }

    /// The numbers of all members.
    pub fn ids(&self) -> Vec<u8> {
        (1..).zip(&self.members).map(|(id, _)| id).collect()
    }

    /// Where clients connect, all members.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.server.address()).collect()
    }

    /// Where clients connect to one member.
    pub fn address(&self, id: u8) -> SocketAddr {
        self.server(id).address()
    }

    /// Where learners come to a member, while it leads.
    pub fn learner_address(&self, id: u8) -> SocketAddr {
        (self.address(id).ip(), self.members[usize::from(id) - 1].ports[0]).into()
    }

    /// Where a member hears of elections.
    pub fn election_address(&self, id: u8) -> SocketAddr {
        (self.address(id).ip(), self.members[usize::from(id) - 1].ports[1]).into()
    }

    /// The process of a member and its folder.
    pub fn server(&self, id: u8) -> &Server {
        &self.members[usize::from(id) - 1].server
    }

    /// The network between the members, if they have hosts of their own.
    pub fn network(&self) -> Result<&Network, String> {
        self.network.as_ref().ok_or_else(|| "the members of this ensemble share the test's network".to_owned())
    }

    fn member(&mut self, id: u8) -> &mut Member {
        &mut self.members[usize::from(id) - 1]
    }

    /// Starts a member over the data that is there, and waits for nothing.
    pub fn launch(&mut self, id: u8) -> Result<(), String> {
        self.member(id).server.launch()
    }

    /// Starts all, and waits for nothing.
    pub fn launch_all(&mut self) -> Result<(), String> {
        self.ids().into_iter().try_for_each(|id| self.launch(id))
    }

    /// Ends a member with SIGKILL, paused or not.
    pub fn kill(&mut self, id: u8) {
        let member = self.member(id);
        member.paused = false;
        member.server.kill();
    }

    /// Ends a member in order.
    pub fn terminate(&mut self, id: u8) -> Result<Option<i32>, String> {
        self.member(id).server.terminate()
    }

    /// Stops a member where it stands (SIGSTOP): its connections stay open, and it answers nothing.
    pub fn pause(&mut self, id: u8) -> Result<(), String> {
        self.member(id).paused = true;
        self.server(id).signal("STOP")?;
        // Its threads go on for a moment after the signal was sent.
        let process = self.server(id).process_id().ok_or("it has no process")?;
        let end = Instant::now() + PATIENCE;
        while !stands_still(process) {
            if Instant::now() > end {
                return Err(self.server(id).broken("goes on after SIGSTOP"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// A paused member goes on.
    pub fn resume(&mut self, id: u8) -> Result<(), String> {
        self.member(id).paused = false;
        self.server(id).signal("CONT")
    }

    /// Removes the data of a member that does not run; its number stays.
    pub fn wipe(&mut self, id: u8) -> Result<(), String> {
        let member = self.member(id);
        assert!(!member.server.is_running(), "the data of a running member are not removed");
        // Not the folder itself, where a small disk may be mounted.
        for entry in std::fs::read_dir(member.server.data_folder()).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let gone = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            gone.map_err(|error| format!("{}: {error}", path.display()))?;
        }
        write_id(&member.server, id)
    }

    /// Ends a member in order and starts another kind in its place: the same number and ports, an empty data folder.
    pub fn replace(&mut self, id: u8, kind: Kind) -> Result<(), String> {
        self.terminate(id)?;
        self.wipe(id)?;
        self.member(id).server.become_kind(kind);
        self.launch(id)
    }

    /// Whether the process of a member is there.
    pub fn is_running(&mut self, id: u8) -> bool {
        self.member(id).server.is_running()
    }

    /// What a member says of itself; `None` when it serves nobody.
    pub fn mode(&self, id: u8) -> Option<Mode> {
        match self.server(id).ask("srvr")?.lines().find_map(|line| line.strip_prefix("Mode: "))? {
            "leader" => Some(Mode::Leader),
            "follower" => Some(Mode::Follower),
            "observer" => Some(Mode::Observer),
            _ => None,
        }
    }

    /// Waits until those members that run and are not paused serve under one leader; returns its number.
    pub fn settle(&mut self) -> Result<u8, String> {
        let mut running = self.ids();
        running.retain(|id| self.is_running(*id) && !self.member(*id).paused);
        self.settle_among(&running)
    }

    /// Waits until these members serve under one leader, which is one of them; returns its number.
    pub fn settle_among(&mut self, ids: &[u8]) -> Result<u8, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let modes: Vec<_> = ids.iter().map(|id| (*id, self.mode(*id))).collect();
            let leaders: Vec<_> = modes.iter().filter(|(_, mode)| *mode == Some(Mode::Leader)).collect();
            if let [(leader, _)] = leaders[..]
                && modes.iter().all(|(id, mode)| id == leader || *mode == Some(self.expected_mode(*id)))
            {
                return Ok(*leader);
            }
            if let Some(id) = ids.iter().find(|id| !self.member(**id).server.is_running()) {
                return Err(self.server(*id).broken("has ended"));
            }
            if Instant::now() > end {
                let logs: Vec<_> = ids.iter().map(|id| self.server(*id).broken("is without a leader")).collect();
                return Err(format!("no quorum within {PATIENCE:?}: {modes:?}\n{}", logs.join("\n")));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits until no member serves clients: no quorum is left, and all have noticed.
    pub fn wait_until_nobody_serves(&self) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while let Some(id) = self.ids().into_iter().find(|id| self.mode(*id).is_some()) {
            if Instant::now() > end {
                return Err(self.server(id).broken("serves without a quorum"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn expected_mode(&self, id: u8) -> Mode {
        match self.members[usize::from(id) - 1].role {
            Role::Observer => Mode::Observer,
            Role::Participant => Mode::Follower,
        }
    }

    /// Gives a member that does not run yet a disk of its own, of so many megabytes.
    pub fn limit_disk(&mut self, id: u8, megabytes: u32) -> Result<(), String> {
        self.mount(id, &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])?;
        self.member(id).own_disk = true;
        write_id(self.server(id), id)
    }

    /// Gives the disk of such a member another size.
    pub fn resize_disk(&mut self, id: u8, megabytes: u32) -> Result<(), String> {
        self.mount(id, &["-o", &format!("remount,size={megabytes}m")])
    }

    fn mount(&self, id: u8, how: &[&str]) -> Result<(), String> {
        let folder = self.server(id).data_folder();
        let done = std::process::Command::new("mount").args(how).arg(&folder).output();
        let done = done.map_err(|error| format!("mount does not start: {error}"))?;
        let said = String::from_utf8_lossy(&done.stderr);
        if done.status.success() { Ok(()) } else { Err(format!("{}: {said}", folder.display())) }
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.server.kill();
            if member.own_disk {
                // What stays mounted after all is in a folder that the next start of the machine empties.
                let _ = std::process::Command::new("umount").arg("-l").arg(member.server.data_folder()).status();
            }
        }
    }
}

/// Whether all threads of a process are stopped.
fn stands_still(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return false };
    // The state stands behind the name, which is in parentheses.
    let is_stopped = |stat: String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'));
    threads.flatten().all(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(is_stopped))
}

fn write_id(server: &Server, id: u8) -> Result<(), String> {
    std::fs::write(server.data_folder().join("myid"), format!("{id}\n")).map_err(|error| error.to_string())
}
