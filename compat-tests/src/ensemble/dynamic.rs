//! Ensembles whose members change while they run: lists with the addresses for clients, as `reconfig` takes them, and
//! the files in which each member keeps the last one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::{Ensemble, Role};
use crate::server::{Config, Kind, free_port};

/// Files of a member, by name: what is in them.
pub type Files = BTreeMap<String, String>;

impl Ensemble {
    /// Makes the folders of members on loopback whose lists tell where clients connect, and starts none.
    pub fn prepare_dynamic(kinds: &[(Kind, Role)], config: &Config) -> Result<Self, String> {
        let mut ensemble = Self { members: Vec::new(), network: None };
        let mut config = config.clone();
        let mut places = Vec::new();
        for (id, (_, role)) in (1..).zip(kinds) {
            let place = free_place()?;
            config = config.key(&format!("server.{id}"), &specification(*role, place.0, place.1));
            places.push(place);
        }
        for ((kind, role), (address, ports)) in kinds.iter().zip(places) {
            ensemble.make_member(*kind, *role, &config, address, ports)?;
        }
        Ok(ensemble)
    }

    /// Makes the folder of a server that is to join: its list has these members and itself. Returns its number.
    pub fn prepare_joining(&mut self, kind: Kind, role: Role, present: &[u8], config: &Config) -> Result<u8, String> {
        let (address, ports) = free_place()?;
        let mut config = config.clone();
        for id in present {
            config = config.key(&format!("server.{id}"), &self.specification(*id));
        }
        let own = format!("server.{}", self.members.len() + 1);
        self.make_member(kind, role, &config.key(&own, &specification(role, address, ports)), address, ports)
    }

    /// Adds a key to the zoo.cfg of one member, which finds it at its next start.
    pub fn configure(&self, id: u8, key: &str, value: &str) -> Result<(), String> {
        use std::io::Write;
        let server = self.server(id);
        let file = std::fs::OpenOptions::new().append(true).open(server.folder().join("zoo.cfg"));
        let written = file.and_then(|mut file| writeln!(file, "{key}={value}"));
        written.map_err(|error| server.broken(&format!("has no zoo.cfg that can be written: {error}")))
    }

    /// The line of a member with which it joins, or becomes what it is from now on.
    pub fn line(&self, id: u8) -> String {
        format!("server.{id}={}", self.specification(id))
    }

    fn specification(&self, id: u8) -> String {
        let member = &self.members[usize::from(id) - 1];
        specification(member.role, member.server.address(), member.ports)
    }

    /// A member is expected to vote, or to observe, from now on.
    pub fn becomes(&mut self, id: u8, role: Role) {
        self.member(id).role = role;
    }

    /// Clients of a member are expected at another, free port from now on.
    pub fn moves_clients(&mut self, id: u8) -> Result<(), String> {
        let address = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let member = self.member(id);
        member.left.push(member.server.address().port());
        member.server.moved(address);
        Ok(())
    }

    /// Members that look for a leader are expected to find a member at another, free port from now on.
    pub fn moves_elections(&mut self, id: u8) -> Result<(), String> {
        let port = free_port()?;
        let member = self.member(id);
        let left = std::mem::replace(&mut member.ports[1], port);
        member.left.push(left);
        Ok(())
    }

    /// The same of learners.
    pub fn moves_learners(&mut self, id: u8) -> Result<(), String> {
        let port = free_port()?;
        let member = self.member(id);
        let left = std::mem::replace(&mut member.ports[0], port);
        member.left.push(left);
        Ok(())
    }

    /// zoo.cfg and all that begins with its name, with [`Self::named`] places. Lines are sorted: Java's order is that of a
    /// hash table.
    pub fn files(&self, id: u8) -> Result<Files, String> {
        let mut files = Files::new();
        let server = self.server(id);
        let failed = |error: std::io::Error| server.broken(&format!("has no files that can be read: {error}"));
        for entry in std::fs::read_dir(server.folder()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("zoo.cfg") || name.ends_with(".tmp") {
                continue;
            }
            let text = match std::fs::read_to_string(entry.path()) {
                Ok(text) => text,
                // It was replaced or removed meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let mut lines: Vec<_> = self.named(&text).lines().map(str::to_owned).collect();
            lines.sort_unstable();
            files.insert(name, lines.join("\n"));
        }
        Ok(files)
    }

    /// A text with names for the ports and folders of this ensemble's members.
    pub fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, member) in (1..).zip(&self.members) {
            let [peers, election] = member.ports;
            let client = member.server.address().port();
            for (port, name) in [(peers, "peers"), (election, "election"), (client, "client")] {
                text = with_name(&text, port, &format!("{name}{id}"));
            }
            for (number, port) in member.left.iter().enumerate() {
                text = with_name(&text, *port, &format!("left{id}.{number}"));
            }
            text = text.replace(&*member.server.folder().to_string_lossy(), &format!("folder{id}"));
        }
        text
    }
}

/// A text with a name for a port, where it stands as a number of its own: a version may begin with the same digits.
fn with_name(text: &str, port: u16, name: &str) -> String {
    let port = port.to_string();
    let mut named = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&port) {
        let (before, behind) = (&rest[..at], &rest[at + port.len()..]);
        let is_whole =
            !before.ends_with(|c: char| c.is_ascii_hexdigit()) && !behind.starts_with(|c: char| c.is_ascii_hexdigit());
        named.push_str(before);
        named.push_str(if is_whole { name } else { &port });
        rest = behind;
    }
    named + rest
}

fn free_place() -> Result<(SocketAddr, [u16; 2]), String> {
    Ok(((Ipv4Addr::LOCALHOST, free_port()?).into(), [free_port()?, free_port()?]))
}

fn specification(role: Role, client: SocketAddr, [peers, election]: [u16; 2]) -> String {
    let role = match role {
        Role::Participant => "participant",
        Role::Observer => "observer",
    };
    format!("{}:{peers}:{election}:{role};{client}", client.ip())
}
