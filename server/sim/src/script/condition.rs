//! Conditions: what a scenario waits for, and what it expects.

use bytes::Bytes;
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::ServerId;

use super::parse::{Condition, Words, packet_type};
use super::play::Stage;
use crate::member::Process;
use crate::network::Cargo;

/// Reads a condition.
pub(super) fn parse(words: &mut Words<'_>) -> Result<Condition, String> {
    if words.take("not") {
        return Ok(Condition::Not(Box::new(parse(words)?)));
    }
    if words.take("no") {
        words.need("leader")?;
        return Ok(Condition::Not(Box::new(Condition::Leader(None))));
    }
    if words.take("leader") {
        let id = words.peek().parse::<i64>().is_ok().then(|| words.number()).transpose()?;
        return Ok(Condition::Leader(id));
    }
    if words.take("all") {
        words.need("equal")?;
        return Ok(Condition::Equal);
    }
    if words.take("disk") {
        let id = words.number()?;
        words.need("waits")?;
        return Ok(Condition::DiskWaits(id, if words.take("for") { Some(words.write_kind()?) } else { None }));
    }
    if words.take("client") {
        return of_client(words);
    }
    if let Some(packet) = packet_type(words.peek()) {
        words.next()?;
        ["on", "the", "way"].into_iter().try_for_each(|word| words.need(word))?;
        let from = words.number()?;
        words.need("->")?;
        return Ok(Condition::OnTheWay(packet, from, words.number()?));
    }
    of_member(words)
}

fn of_client(words: &mut Words<'_>) -> Result<Condition, String> {
    let name = words.next()?.to_owned();
    Ok(match words.next()? {
        "connected" => Condition::Connected(name),
        "answered" => Condition::Answered(name),
        "lost" => {
            ["its", "session"].into_iter().try_for_each(|word| words.need(word))?;
            Condition::Lost(name)
        }
        "heard" => {
            let event = match words.next()? {
                "created" => 1,
                "deleted" => 2,
                "changed" => 3,
                "children" => 4,
                word => return Err(format!("{word:?} is no event")),
            };
            Condition::Event(name, event, words.next()?.to_owned())
        }
        word => return Err(format!("{word:?} is nothing of a client")),
    })
}

fn of_member(words: &mut Words<'_>) -> Result<Condition, String> {
    let id = words.number()?;
    Ok(match words.next()? {
        "serves" => Condition::Serves(id),
        "shows" => Condition::Shows(id),
        "grants" => {
            let path = words.next()?.to_owned();
            words.need("=")?;
            Condition::Grants(id, path, super::parse::perms(words)?)
        }
        "down" => Condition::Down(id),
        "looks" => Condition::Is(id, "looks"),
        "follows" => Condition::Is(id, "follows"),
        "leads" => Condition::Is(id, "leads"),
        "observes" => Condition::Is(id, "observes"),
        "accepted" => Condition::Accepted(id, words.number()?),
        "current" => Condition::Current(id, words.number()?),
        "has" => {
            let path = words.next()?.to_owned();
            let data = if words.take("=") { Some(Bytes::from(words.next()?.to_owned())) } else { None };
            Condition::Has(id, path, data)
        }
        "lacks" => Condition::Not(Box::new(Condition::Has(id, words.next()?.to_owned(), None))),
        "logged" => Condition::Logged(id, words.zxid()?),
        "flushed" => Condition::Flushed(id, words.zxid()?),
        "committed" => Condition::Committed(id, words.zxid()?),
        "applied" => Condition::Applied(id, words.zxid()?),
        word @ ("votes" | "listed") => {
            let at = if words.take("at") { Some(words.number()?) } else { None };
            Condition::Votes { member: id, votes: word == "votes", at }
        }
        "got" => {
            let packet = words.next()?;
            let packet = packet_type(packet).ok_or(format!("{packet:?} is no packet"))?;
            let zxid = words.peek().contains('.').then(|| words.zxid()).transpose()?;
            let from = words.take("from").then(|| words.number()).transpose()?;
            Condition::Got(id, packet, zxid, from)
        }
        word => return Err(format!("{word:?} is nothing of a server")),
    })
}

impl Stage {
    /// Whether it is so now.
    pub(super) fn is_so(&self, condition: &Condition) -> bool {
        let cluster = &self.cluster;
        let process = |id: &i64| cluster.members.get(id).and_then(|member| member.process.as_ref());
        let client = |name: &String| {
            self.client(name).and_then(|node| cluster.clients.iter().find(|client| client.node == node))
        };
        let zab = |id: &i64| process(id).map(|process| process.peer.zab());
        match condition {
            Condition::Not(condition) => !self.is_so(condition),
            Condition::Leader(None) => cluster.leader().is_some(),
            Condition::Leader(id) => cluster.leader() == *id,
            Condition::Serves(id) => cluster.serves(*id),
            Condition::Shows(id) => process(id).is_some_and(|process| process.shows),
            Condition::Grants(id, path, perms) => process(id).is_some_and(|process| {
                let acl = process.tree.get(path).map(|znode| process.tree.acls().list(znode.acl));
                acl.is_some_and(|acl| acl.iter().map(|acl| acl.perms).eq([*perms]))
            }),
            Condition::Down(id) => process(id).is_none(),
            Condition::Is(id, role) => process(id).is_some_and(|process| role_of(process) == *role),
            Condition::Accepted(id, epoch) => zab(id).is_some_and(|zab| zab.epochs.accepted.0 == *epoch),
            Condition::Current(id, epoch) => zab(id).is_some_and(|zab| zab.epochs.current.0 == *epoch),
            Condition::Has(id, path, data) => process(id)
                .and_then(|process| process.tree.get(path))
                .is_some_and(|znode| data.as_ref().is_none_or(|data| znode.data == Some(&data[..]))),
            Condition::Logged(id, zxid) => zab(id).is_some_and(|zab| zab.last_logged() == *zxid),
            Condition::Flushed(id, zxid) => zab(id).is_some_and(|zab| zab.history.durable() == *zxid),
            Condition::Committed(id, zxid) => zab(id).is_some_and(|zab| zab.history.committed() == *zxid),
            Condition::Applied(id, zxid) => process(id).is_some_and(|process| process.tree.last_zxid() == *zxid),
            Condition::OnTheWay(packet, from, to) => cluster
                .network
                .on_the_way(*from, *to)
                .any(|cargo| matches!(cargo, Cargo::Packet(other) if other.kind() == Some(*packet))),
            Condition::Got(id, packet, zxid, from) => {
                cluster.delivered.iter().any(|(sender, receiver, kind, number)| {
                    receiver == id
                        && kind == packet
                        && zxid.is_none_or(|zxid| zxid == *number)
                        && from.is_none_or(|from| from == *sender)
                })
            }
            Condition::DiskWaits(id, kind) => {
                let next = cluster.next_write(*id);
                next.is_some() && kind.is_none_or(|kind| next == Some(kind))
            }
            Condition::Votes { member, votes, at } => {
                let at = at.or_else(|| cluster.leader()).and_then(|at| process(&at));
                let active = at.map(|process| process.peer.zab().membership.active());
                active.is_some_and(|active| match votes {
                    true => active.is_voter(ServerId(*member)),
                    false => active.members.contains_key(&ServerId(*member)),
                })
            }
            Condition::Equal => self.are_equal(),
            Condition::Connected(name) => client(name).is_some_and(|client| client.is_open),
            Condition::Lost(name) => client(name).is_some_and(|client| client.expired > 0),
            Condition::Answered(name) => client(name).is_some_and(|client| client.is_open && client.pending.is_empty()),
            Condition::Event(name, event, path) => client(name)
                .is_some_and(|client| client.fired.iter().any(|fired| fired.event == *event && fired.path == *path)),
        }
    }

    /// Whether all running members that serve have the same tree.
    fn are_equal(&self) -> bool {
        let of = |process: &Process| (process.tree.last_zxid(), process.tree.digest());
        let trees: Vec<_> = self.cluster.running().map(|(_, process)| of(process)).collect();
        trees.windows(2).all(|pair| pair.first() == pair.last())
    }
}

fn role_of(process: &Process) -> &'static str {
    match process.peer.peer_state() {
        PeerState::Looking => "looks",
        PeerState::Following => "follows",
        PeerState::Leading => "leads",
        PeerState::Observing => "observes",
    }
}
