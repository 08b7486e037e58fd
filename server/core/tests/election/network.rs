//! The network and the clock: connections keep their messages in order, take their time, and end.

use std::collections::BTreeMap;

use bytes::Bytes;
use rookeeper_core::election::{LinkId, LinkOutput};
use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig};
use rookeeper_protocol::types::ServerId;

use super::server::{Disk, Live};

/// How long an attempt to connect takes that nobody answers, in milliseconds.
const CONNECT_TIMEOUT_MS: i64 = 5_000;

/// How often a server looks after its leader, or its followers, in milliseconds.
const TICK_MS: u64 = 20;

/// How often a message is sent again that did not get through, in milliseconds.
const RETRANSMIT_MS: i64 = 50;

/// A small generator (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Who belongs to the ensemble.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) voters: i64,
    pub(super) observers: i64,
    /// Three groups, and no weight for the last voter.
    pub(super) groups: bool,
}

impl Shape {
    fn config(self) -> EnsembleConfig {
        let role = |id| if id > self.voters { ":observer" } else { "" };
        let mut text: String =
            (1..=self.voters + self.observers).map(|id| format!("server.{id}=h{id}:2888:3888{}\n", role(id))).collect();
        if self.groups {
            let group = |from: i64| (1..=self.voters).filter(move |id| id % 3 == from).map(|id| id.to_string());
            for from in 0..3 {
                text += &format!("group.{from}={}\n", group(from).collect::<Vec<_>>().join(":"));
            }
            text += &format!("weight.{}=0\n", self.voters);
        }
        let rules = ConfigRules { multi_address: false, standalone_enabled: false };
        EnsembleConfig::parse(&text, rules).unwrap()
    }
}

#[derive(Debug)]
enum Event {
    /// A call for `to` arrives; `from` learns later what became of it.
    Call {
        from: usize,
        to: usize,
    },
    Dialed {
        at: usize,
        to: usize,
        conn: u64,
    },
    DialFailed {
        at: usize,
        to: usize,
    },
    /// The opener has said who it is.
    Accepted {
        at: usize,
        from: usize,
        conn: u64,
    },
    Message {
        conn: u64,
        to: usize,
        message: Bytes,
    },
    Written {
        conn: u64,
        at: usize,
    },
    Closed {
        conn: u64,
        at: usize,
    },
    Tick {
        at: usize,
        life: u32,
    },
}

/// A connection between two servers.
#[derive(Debug)]
struct Conn {
    ends: [usize; 2],
    open: [bool; 2],
    /// When the last message in each direction arrives.
    arrival_ms: [i64; 2],
}

/// A server's place: what survives a crash, and the server itself while it runs.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) disk: Disk,
    pub(super) live: Option<Live>,
    /// How often it was started.
    pub(super) life: u32,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now_ms: i64,
    pub(super) random: Random,
    pub(super) config: EnsembleConfig,
    pub(super) machines: Vec<Machine>,
    /// Messages from the first to the second do not get through.
    pub(super) blocked: Vec<(usize, usize)>,
    /// The slowest message takes this long, in milliseconds.
    pub(super) latency_ms_max: u64,
    /// The newest write that a quorum has: epoch and zxid.
    pub(super) committed: (i64, i64),
    /// Epochs and their leaders.
    pub(super) epochs: BTreeMap<i64, usize>,
    /// How new the history was of each that voted, by round and leader.
    pub(super) votes: BTreeMap<(ServerId, i64, usize), (i64, i64)>,
    /// What happened, in words; and a number made of every message.
    pub(super) trace: Vec<String>,
    pub(super) fingerprint: u64,
    conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    events: BTreeMap<(i64, u64), Event>,
    next_event: u64,
}

impl World {
    /// An ensemble that is switched off.
    pub(super) fn new(seed: u64, shape: Shape) -> Self {
        let config = shape.config();
        let count = config.members.len();
        let machine = |_| Machine { disk: Disk::default(), live: None, life: 0 };
        Self {
            now_ms: 0,
            random: Random(seed),
            config,
            machines: (0..count).map(machine).collect(),
            blocked: Vec::new(),
            latency_ms_max: 4,
            committed: (0, 0),
            epochs: BTreeMap::new(),
            votes: BTreeMap::new(),
            trace: Vec::new(),
            fingerprint: 0,
            conns: BTreeMap::new(),
            next_conn: 1,
            events: BTreeMap::new(),
            next_event: 0,
        }
    }

    pub(super) fn id(at: usize) -> ServerId {
        ServerId(at as i64 + 1)
    }

    pub(super) fn at(id: ServerId) -> usize {
        (id.0 - 1) as usize
    }

    pub(super) fn note(&mut self, text: String) {
        self.trace.push(format!("{:>7} {text}", self.now_ms));
    }

    pub(super) fn live(&mut self, at: usize) -> Option<&mut Live> {
        self.machines[at].live.as_mut()
    }

    pub(super) fn start(&mut self, at: usize) {
        self.machines[at].life += 1;
        let life = self.machines[at].life;
        self.note(format!("start {}", at + 1));
        let disk = self.machines[at].disk;
        self.machines[at].live = Some(Live::new(Self::id(at), self.config.clone(), disk));
        self.look(at);
        self.schedule(TICK_MS as i64, Event::Tick { at, life });
    }

    pub(super) fn crash(&mut self, at: usize) {
        self.note(format!("crash {}", at + 1));
        self.machines[at].live = None;
        let of_it: Vec<u64> =
            self.conns.iter().filter(|(_, conn)| conn.ends.contains(&at)).map(|(id, _)| *id).collect();
        of_it.into_iter().for_each(|conn| self.hang_up(conn, at));
    }

    /// A connection breaks, with whatever was on its way.
    pub(super) fn break_one(&mut self) {
        let count = self.conns.len() as u64;
        if count > 0 {
            let nth = self.random.below(count) as usize;
            let conn = *self.conns.keys().nth(nth).unwrap();
            let ends = self.conns[&conn].ends;
            self.note(format!("break {}-{}", ends[0] + 1, ends[1] + 1));
            self.events.retain(|_, event| {
                !matches!(event, Event::Message { conn: of, .. } | Event::Accepted { conn: of, .. } if *of == conn)
            });
            for at in ends {
                let delay = self.delay();
                self.schedule(delay, Event::Closed { conn, at });
            }
        }
    }

    pub(super) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }

    fn delay(&mut self) -> i64 {
        1 + self.random.below(self.latency_ms_max) as i64
    }

    fn schedule(&mut self, delay_ms: i64, event: Event) {
        self.events.insert((self.now_ms + delay_ms, self.next_event), event);
        self.next_event += 1;
    }

    /// Lets everything happen up to this time.
    pub(super) fn run_until(&mut self, until_ms: i64) {
        loop {
            let event_ms = self.events.keys().next().map_or(i64::MAX, |(at_ms, _)| *at_ms);
            let deadline = |machine: &Machine| machine.live.as_ref().and_then(Live::next_deadline_ms);
            let deadlines = self.machines.iter().enumerate();
            let next = deadlines.filter_map(|(at, machine)| deadline(machine).map(|at_ms| (at_ms, at))).min();
            let deadline_ms = next.map_or(i64::MAX, |(at_ms, _)| at_ms);
            if event_ms.min(deadline_ms) > until_ms {
                break;
            }
            if event_ms <= deadline_ms {
                let ((at_ms, _), event) = self.events.pop_first().unwrap();
                self.now_ms = self.now_ms.max(at_ms);
                self.happen(event);
            } else if let Some((at_ms, at)) = next {
                self.now_ms = self.now_ms.max(at_ms);
                self.wake(at);
            }
        }
        self.now_ms = until_ms;
    }

    fn happen(&mut self, event: Event) {
        let now_ms = self.now_ms;
        match event {
            Event::Call { from, to } => self.call(from, to),
            Event::Dialed { at, to, conn } => self.dialed(at, to, conn),
            Event::Accepted { at, from, conn } => self.accepted(at, from, conn),
            Event::DialFailed { at, to } => {
                if let Some(live) = self.live(at) {
                    let out = live.links(|links, out| links.on_dial_failed(now_ms, Self::id(to), out));
                    self.carry_out(at, out);
                }
            }
            Event::Message { conn, to, message } => self.arrive(conn, to, message),
            Event::Written { conn, at } => {
                if let Some(live) = self.live(at) {
                    let out = live.links(|links, out| links.on_written(LinkId(conn), out));
                    self.carry_out(at, out);
                }
            }
            Event::Closed { conn, at } => self.closed(conn, at),
            Event::Tick { at, life } => {
                if self.machines[at].life == life && self.machines[at].live.is_some() {
                    self.tick(at);
                    let delay = (TICK_MS + self.random.below(TICK_MS)) as i64;
                    self.schedule(delay, Event::Tick { at, life });
                }
            }
        }
    }

    /// Refused by a server that is off, answered too late through a wall.
    fn call(&mut self, from: usize, to: usize) {
        if self.is_blocked(from, to) || self.is_blocked(to, from) {
            return self.schedule(CONNECT_TIMEOUT_MS, Event::DialFailed { at: from, to });
        }
        let delay = self.delay();
        if self.machines[to].live.is_none() {
            return self.schedule(delay, Event::DialFailed { at: from, to });
        }
        let conn = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(conn, Conn { ends: [from, to], open: [true; 2], arrival_ms: [0; 2] });
        self.schedule(delay, Event::Dialed { at: from, to, conn });
    }

    fn dialed(&mut self, at: usize, to: usize, conn: u64) {
        let (now_ms, delay) = (self.now_ms, self.delay());
        if self.machines[at].live.is_none() {
            return self.hang_up(conn, at);
        }
        // It may have ended before its opener learnt that it stands.
        let open = self.conns.get_mut(&conn).filter(|conn| conn.open[0]);
        let stands = open.map(|conn| conn.arrival_ms[0] = now_ms + delay).is_some();
        if stands {
            self.schedule(delay, Event::Accepted { at: to, from: at, conn });
        }
        let Some(live) = self.live(at) else { return };
        let out = live.links(|links, out| match stands {
            true => links.on_dialed(now_ms, Self::id(to), LinkId(conn), out),
            false => links.on_dial_failed(now_ms, Self::id(to), out),
        });
        self.carry_out(at, out);
    }

    fn accepted(&mut self, at: usize, from: usize, conn: u64) {
        let now_ms = self.now_ms;
        if !self.conns.get(&conn).is_some_and(|conn| conn.open[1]) {
            return;
        }
        match self.live(at) {
            Some(live) => {
                let out =
                    live.links(|links, out| links.on_accepted(now_ms, Self::id(from), Vec::new(), LinkId(conn), out));
                self.carry_out(at, out);
            }
            None => self.hang_up(conn, at),
        }
    }

    fn arrive(&mut self, conn: u64, to: usize, message: Bytes) {
        let Some(ends) = self.conns.get(&conn).map(|conn| conn.ends) else { return };
        let from = if ends[0] == to { ends[1] } else { ends[0] };
        if self.is_blocked(from, to) {
            return self.schedule(RETRANSMIT_MS, Event::Message { conn, to, message });
        }
        for byte in &message {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.fingerprint ^= self.now_ms as u64;
        self.hear(to, LinkId(conn), &message);
    }

    /// One end is closed by its server; the other one hears of it.
    fn hang_up(&mut self, conn: u64, at: usize) {
        let Some(entry) = self.conns.get_mut(&conn) else { return };
        let side = usize::from(entry.ends[1] == at);
        entry.open[side] = false;
        let other = entry.ends[1 - side];
        if entry.open == [false; 2] {
            self.conns.remove(&conn);
        } else {
            // Behind everything that was sent before.
            let delay = (entry.arrival_ms[side] - self.now_ms).max(0) + self.delay();
            self.schedule(delay, Event::Closed { conn, at: other });
        }
    }

    fn closed(&mut self, conn: u64, at: usize) {
        let Some(entry) = self.conns.get(&conn) else { return };
        let side = usize::from(entry.ends[1] == at);
        if !entry.open[side] {
            return;
        }
        self.hang_up(conn, at);
        let now_ms = self.now_ms;
        if let Some(live) = self.live(at) {
            let out = live.links(|links, out| links.on_closed(now_ms, LinkId(conn), out));
            self.carry_out(at, out);
        }
    }

    /// Does what a server asks of the network.
    pub(super) fn carry_out(&mut self, at: usize, outputs: Vec<LinkOutput>) {
        for output in outputs {
            match output {
                LinkOutput::Dial { to, .. } => {
                    let delay = self.delay();
                    self.schedule(delay, Event::Call { from: at, to: Self::at(to) });
                }
                LinkOutput::Write { link, message } => self.write(at, link.0, message),
                LinkOutput::Close(link) => self.hang_up(link.0, at),
                LinkOutput::Linked { with, link } => self.linked(at, with, link),
                LinkOutput::Unreachable(id) => self.unreachable(at, id),
            }
        }
    }

    fn write(&mut self, at: usize, conn: u64, message: Bytes) {
        let arrival_ms = self.now_ms + self.delay();
        let Some(entry) = self.conns.get_mut(&conn) else { return };
        let side = usize::from(entry.ends[1] == at);
        let to = entry.ends[1 - side];
        entry.arrival_ms[side] = entry.arrival_ms[side].max(arrival_ms);
        let delay = entry.arrival_ms[side] - self.now_ms;
        self.schedule(delay, Event::Message { conn, to, message });
        self.schedule(0, Event::Written { conn, at });
    }
}
