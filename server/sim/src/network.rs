//! Connections between machines: each one keeps its order, none knows of another.
//!
//! A route that is cut loses no bytes: they wait, as TCP sends them again, until the route is there or one end has given
//! up. Whoever closes an end is heard of at the other end as soon as its way is free.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use rookeeper_core::zab::DialId;
use rookeeper_protocol::peer::{PacketType, QuorumPacket};
use rookeeper_protocol::types::Zxid;

use crate::clock::Micros;
use crate::member::Piece;
use crate::queue::{Event, Queue};
use crate::random::Random;

pub(crate) type PipeId = u64;

/// How long an attempt that comes to a route that is cut waits until it tries again.
const RETRY_US: Micros = 250_000;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Election,
    Learner(DialId),
    /// The same, but of an observer to a server that follows.
    Master(DialId),
    Client,
}

/// What travels over one.
#[derive(Debug, Clone)]
pub(crate) enum Cargo {
    /// The connection stands.
    Open,
    /// An election connection's first message: who has called.
    Hello(i64),
    Vote(Bytes),
    Packet(QuorumPacket),
    Piece(Rc<Piece>),
    SnapshotEnd(Zxid),
    /// Frames of a client or for one.
    Frames(Bytes),
    /// The other end is closed.
    End,
}

/// An attempt to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) kind: Kind,
    /// The life of the process that asked.
    pub(crate) life: u64,
    /// When it is given up.
    pub(crate) until: Micros,
}

#[derive(Debug, Default)]
struct Lane {
    /// What is on its way, and when it arrives at the earliest.
    cargo: VecDeque<(Micros, Cargo)>,
    last_at: Micros,
    /// An event is in the queue.
    is_due: bool,
    /// The end reads no further at present.
    is_unread: bool,
}

/// A connection. End 0 has called end 1.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) kind: Kind,
    pub(crate) ends: [i64; 2],
    open: [bool; 2],
    /// What goes to end 0, and to end 1.
    lanes: [Lane; 2],
}

/// What is held back on its way, in a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Only packets of this type on a learner's connection, and whatever comes behind them.
    pub(crate) packet: Option<PacketType>,
    /// Only this kind of connection.
    pub(crate) kind: Option<HeldKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldKind {
    Election,
    Learner,
    Client,
}

/// All connections, and the routes that they take.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pipes: BTreeMap<PipeId, Pipe>,
    last_pipe: PipeId,
    /// Routes that nothing passes, in one direction.
    pub(crate) cut: BTreeSet<(i64, i64)>,
    /// Machines that read nothing: their processes stand still.
    pub(crate) paused: BTreeSet<i64>,
    /// Microseconds that a packet takes, at least and at most.
    pub(crate) delay: (Micros, Micros),
    /// What routes take that are slow at present.
    pub(crate) slow: BTreeMap<(i64, i64), (Micros, Micros)>,
    pub(crate) holds: Vec<Hold>,
    /// How many pieces a write falls into, so many times in a thousand for each packet.
    pub(crate) split_permille: u64,
}

impl Network {
    /// No connections yet. Packets take so many microseconds at least and at most; so many in a thousand are torn off what
    /// was written with them.
    pub(crate) fn new(delay: (Micros, Micros), split_permille: u64) -> Self {
        Self { delay, split_permille, ..Self::default() }
    }

    pub(crate) fn is_cut(&self, from: i64, to: i64) -> bool {
        self.cut.contains(&(from, to))
    }

    /// How long the next packet takes.
    pub(crate) fn draw_delay(&self, from: i64, to: i64, random: &mut Random) -> Micros {
        let (min, max) = self.slow.get(&(from, to)).copied().unwrap_or(self.delay);
        random.between(min, max)
    }

    pub(crate) fn pipe(&self, id: PipeId) -> Option<&Pipe> {
        self.pipes.get(&id)
    }

    /// The connections that a machine takes part in.
    pub(crate) fn pipes_of(&self, node: i64) -> Vec<PipeId> {
        self.pipes.iter().filter(|(_, pipe)| pipe.ends.contains(&node)).map(|(id, _)| *id).collect()
    }

    /// A connection is no more; its ends.
    pub(crate) fn remove(&mut self, id: PipeId) -> Option<[i64; 2]> {
        self.pipes.remove(&id).map(|pipe| pipe.ends)
    }

    /// An attempt has come to the other machine, or to nowhere: then when it is made again, if it is.
    pub(crate) fn retry_at(&self, attempt: &Attempt, now: Micros) -> Option<Option<Micros>> {
        if !self.is_cut(attempt.from, attempt.to) && !self.is_cut(attempt.to, attempt.from) {
            return None;
        }
        let at = now + RETRY_US;
        Some((at < attempt.until).then_some(at))
    }

    /// A connection stands; both ends hear of it.
    pub(crate) fn open(&mut self, attempt: &Attempt, now: Micros, random: &mut Random, queue: &mut Queue) -> PipeId {
        self.last_pipe += 1;
        let id = self.last_pipe;
        let (kind, ends) = (attempt.kind, [attempt.from, attempt.to]);
        self.pipes.insert(id, Pipe { kind, ends, open: [true; 2], lanes: Default::default() });
        self.push(id, 1, now, Cargo::Open, queue);
        let back = now + self.draw_delay(attempt.to, attempt.from, random);
        self.push(id, 0, back, Cargo::Open, queue);
        id
    }

    /// Sends from one end to the other, all in one write, which may fall apart on its way.
    pub(crate) fn send(
        &mut self,
        id: PipeId,
        from: usize,
        cargo: impl IntoIterator<Item = Cargo>,
        now: Micros,
        random: &mut Random,
        queue: &mut Queue,
    ) {
        let Some(pipe) = self.pipes.get(&id).filter(|pipe| pipe.open[from]) else { return };
        let (here, there) = (pipe.ends[from], pipe.ends[1 - from]);
        let mut at = now + self.draw_delay(here, there, random);
        for cargo in cargo {
            if self.split_permille > 0 && random.permille(self.split_permille) {
                at += self.draw_delay(here, there, random);
            }
            self.push(id, 1 - from, at, cargo, queue);
        }
    }

    fn push(&mut self, id: PipeId, to: usize, at: Micros, cargo: Cargo, queue: &mut Queue) {
        let Some(pipe) = self.pipes.get_mut(&id).filter(|pipe| pipe.open[to]) else { return };
        let lane = &mut pipe.lanes[to];
        lane.last_at = lane.last_at.max(at);
        lane.cargo.push_back((lane.last_at, cargo));
        if !lane.is_due && lane.cargo.len() == 1 {
            lane.is_due = true;
            queue.add(lane.last_at, Event::Arrive { pipe: id, side: to });
        }
    }

    /// An end is closed: it reads nothing more, and the other end will hear of it behind all that was sent before.
    pub(crate) fn close(&mut self, id: PipeId, end: usize, now: Micros, random: &mut Random, queue: &mut Queue) {
        self.send(id, end, [Cargo::End], now, random, queue);
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        pipe.open[end] = false;
        pipe.lanes[end].cargo.clear();
        if !pipe.open[1 - end] {
            self.pipes.remove(&id);
        }
    }

    /// The end reads no further, or goes on.
    pub(crate) fn set_unread(&mut self, id: PipeId, end: usize, unread: bool) {
        if let Some(pipe) = self.pipes.get_mut(&id) {
            pipe.lanes[end].is_unread = unread;
        }
    }

    /// Whether the event for a lane is spent: what still waits there needs another.
    pub(crate) fn begin_arrival(&mut self, id: PipeId, to: usize) {
        if let Some(pipe) = self.pipes.get_mut(&id) {
            pipe.lanes[to].is_due = false;
        }
    }

    /// What arrives at this end now, if anything does.
    pub(crate) fn arrived(&mut self, id: PipeId, to: usize, now: Micros, queue: &mut Queue) -> Option<Cargo> {
        let pipe = self.pipes.get(&id)?;
        let (at, first) = pipe.lanes[to].cargo.front()?;
        if *at <= now && !self.is_blocked(pipe, to, first) {
            let pipe = self.pipes.get_mut(&id)?;
            let (_, cargo) = pipe.lanes[to].cargo.pop_front()?;
            if matches!(cargo, Cargo::End) {
                self.pipes.remove(&id);
            }
            return Some(cargo);
        }
        let at = *at;
        if at > now {
            let pipe = self.pipes.get_mut(&id)?;
            if !pipe.lanes[to].is_due {
                pipe.lanes[to].is_due = true;
                queue.add(at, Event::Arrive { pipe: id, side: to });
            }
        }
        None
    }

    /// Whether a packet is what comes next at this end, sooner or later.
    pub(crate) fn packet_is_next(&self, id: PipeId, to: usize) -> bool {
        let next = self.pipes.get(&id).and_then(|pipe| pipe.lanes[to].cargo.front());
        matches!(next, Some((_, Cargo::Packet(_))))
    }

    fn is_blocked(&self, pipe: &Pipe, to: usize, cargo: &Cargo) -> bool {
        let (from, node) = (pipe.ends[1 - to], pipe.ends[to]);
        self.is_cut(from, node)
            || self.paused.contains(&node)
            || pipe.lanes[to].is_unread
            || self.holds.iter().any(|hold| hold.from == from && hold.to == node && hold.holds(pipe.kind, cargo))
    }

    /// Something is no longer in the way: all that waits is looked at again.
    pub(crate) fn unblock(&mut self, now: Micros, queue: &mut Queue) {
        for (id, pipe) in &mut self.pipes {
            for (side, lane) in pipe.lanes.iter_mut().enumerate() {
                if let Some((at, _)) = lane.cargo.front()
                    && !lane.is_due
                {
                    lane.is_due = true;
                    queue.add(now.max(*at), Event::Arrive { pipe: *id, side });
                }
            }
        }
    }

    /// Whether an end has taken nothing of what came for it for so long; and whether that is a snapshot.
    pub(crate) fn is_stuck(&self, id: PipeId, to: usize, since: Micros) -> Option<bool> {
        let lane = &self.pipes.get(&id)?.lanes[to];
        let (at, _) = lane.cargo.front()?;
        let is_snapshot = |(_, cargo): &(Micros, Cargo)| matches!(cargo, Cargo::Piece(_) | Cargo::SnapshotEnd(_));
        (*at <= since).then(|| lane.cargo.iter().any(is_snapshot))
    }

    /// What is on its way from one machine to another, oldest first of each connection.
    pub(crate) fn on_the_way(&self, from: i64, to: i64) -> impl Iterator<Item = &Cargo> {
        self.pipes.values().flat_map(move |pipe| {
            [0, 1]
                .into_iter()
                .filter(move |side| pipe.ends[1 - side] == from && pipe.ends[*side] == to)
                .flat_map(move |side| pipe.lanes[side].cargo.iter().map(|(_, cargo)| cargo))
        })
    }
}

impl Hold {
    fn holds(&self, kind: Kind, cargo: &Cargo) -> bool {
        let is_kind = match self.kind {
            None => true,
            Some(HeldKind::Election) => kind == Kind::Election,
            Some(HeldKind::Learner) => matches!(kind, Kind::Learner(_) | Kind::Master(_)),
            Some(HeldKind::Client) => kind == Kind::Client,
        };
        let is_packet = match (self.packet, cargo) {
            (None, _) => true,
            (Some(wanted), Cargo::Packet(packet)) => packet.kind() == Some(wanted),
            (Some(_), _) => false,
        };
        is_kind && is_packet
    }
}
