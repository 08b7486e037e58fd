//! An ensemble: members, clients, the network between them, and one queue of what is to happen.
//!
//! Nothing here decides anything that a server decides. `arrivals.rs` hands a member what came to it, `outputs.rs` does what
//! a member asks for, `elections.rs` keeps its election connections, `lives.rs` starts and ends processes,
//! `reaping.rs` is their container manager, `showing.rs` looks at those that are read-only.

mod arrivals;
mod clients;
mod elections;
mod lives;
mod outputs;
mod reaping;
mod showing;

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_core::ensemble::EnsembleConfig;
use rookeeper_core::peer::{Input, Output};
use rookeeper_protocol::peer::{PacketType, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

use crate::checks::{Alive, Failed, Shown, Zab};
use crate::client::Client;
use crate::clock::Micros;
use crate::member::{Member, Picture, Process, Settings};
use crate::network::Network;
use crate::plan::Plan;
use crate::queue::{Event, Queue};
use crate::random::Random;
use crate::trace::Trace;

/// Clients are nodes of the network, behind all members.
pub(crate) const FIRST_CLIENT: i64 = 1000;

/// What a disk is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteKind {
    Append,
    Epochs,
    Truncate,
    Receive,
    Install,
    Drop,
    Members,
}

impl WriteKind {
    pub(crate) fn of(output: &Output) -> Option<Self> {
        Some(match output {
            Output::Append { .. } => Self::Append,
            Output::PersistEpochs { .. } => Self::Epochs,
            Output::Truncate { .. } => Self::Truncate,
            Output::ReceiveSnapshot { .. } => Self::Receive,
            Output::InstallSnapshot { .. } => Self::Install,
            Output::DropSnapshot { .. } => Self::Drop,
            Output::MembersSeen { .. } | Output::MembersActivated { .. } => Self::Members,
            _ => return None,
        })
    }
}

/// A whole ensemble.
pub(crate) struct Cluster {
    pub(crate) now: Micros,
    pub(crate) members: BTreeMap<i64, Member>,
    pub(crate) clients: Vec<Client>,
    pub(crate) network: Network,
    pub(crate) queue: Queue,
    pub(crate) random: Random,
    pub(crate) zab: Zab,
    pub(crate) alive: Alive,
    pub(crate) shown: Shown,
    pub(crate) trace: Trace,
    /// The first rule that was broken. Nothing happens any more then.
    pub(crate) failed: Option<Failed>,
    /// A scenario: each packet and each write by itself, nothing by chance.
    pub(crate) is_exact: bool,
    /// Microseconds that a flush takes, at least and at most.
    pub(crate) flush_us: (Micros, Micros),
    /// Disks that finish nothing more, or nothing from a write of some kind on, until they are let go.
    pub(crate) held_disks: BTreeMap<i64, Option<WriteKind>>,
    /// Machines whose disks may fail at present: a process that cannot start is no bug.
    pub(crate) sick_disks: BTreeSet<i64>,
    /// Members that are to stay down until somebody starts them.
    pub(crate) kept_down: BTreeSet<i64>,
    /// Members that take all that has come over a connection at once, and not each packet by itself.
    pub(crate) gathering: BTreeSet<i64>,
    /// Members that have begun a picture and end it when it is sent, as Java's do while others write: its beginning, and the
    /// last znode of that.
    pub(crate) begun: BTreeMap<i64, (Picture, String)>,
    /// Members that were sent such a picture, and where it really ended.
    pub(crate) ahead: BTreeMap<i64, Zxid>,
    /// The packets that have arrived, in a scenario: from whom, where, what.
    pub(crate) delivered: Vec<(i64, i64, PacketType, Zxid)>,
    /// What went on between members, by kind, for reports.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// The newest write that any client knows of.
    known: Zxid,
    /// Faults that were drawn and may strike.
    pub(crate) plan: Plan,
}

impl Cluster {
    /// Members with these numbers and roles, none of them running.
    pub(crate) fn new(seed: u64, roles: &[(i64, bool)], settings: &Settings, shows: bool) -> Self {
        let text: String = roles.iter().map(|(id, votes)| format!("{}\n", member_line(*id, *votes))).collect();
        let members = roles.iter().map(|(id, _)| (*id, Member::new(*id, &text, settings))).collect();
        let mut zab = Zab::default();
        zab.ledger.local_sessions = settings.local_sessions;
        Self {
            now: 0,
            members,
            clients: Vec::new(),
            network: Network::new((100, 900), 50),
            queue: Queue::default(),
            random: Random::new(seed),
            zab,
            alive: Alive::default(),
            shown: Shown::default(),
            trace: Trace::new(shows),
            failed: None,
            is_exact: false,
            flush_us: (200, 3000),
            held_disks: BTreeMap::new(),
            sick_disks: BTreeSet::new(),
            kept_down: BTreeSet::new(),
            gathering: BTreeSet::new(),
            begun: BTreeMap::new(),
            ahead: BTreeMap::new(),
            delivered: Vec::new(),
            counts: BTreeMap::new(),
            known: Zxid::ZERO,
            plan: Plan::default(),
        }
    }

    /// The rule was broken, or not.
    pub(crate) fn check(&mut self, checked: Result<(), Failed>) {
        if let Err(failed) = checked
            && self.failed.is_none()
        {
            self.trace.tell(self.now, format_args!("BROKEN {failed}"));
            self.failed = Some(failed);
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn process(&mut self, id: i64) -> Option<&mut Process> {
        self.members.get_mut(&id)?.process.as_mut()
    }

    /// The running members.
    pub(crate) fn running(&self) -> impl Iterator<Item = (i64, &Process)> {
        self.members.iter().filter_map(|(id, member)| Some((*id, member.process.as_ref()?)))
    }

    /// Who is established as leader. While there is one that was replaced and has not noticed, the newer one.
    pub(crate) fn leader(&self) -> Option<i64> {
        let leads = self.running().filter(|(_, process)| process.peer.is_established_leader());
        leads.max_by_key(|(_, process)| process.peer.epochs().current).map(|(id, _)| id)
    }

    /// One input for a member's machine.
    pub(crate) fn step(&mut self, id: i64, input: Input) {
        let at = self.now;
        if let Some(member) = self.members.get_mut(&id) {
            member.step(at, input);
        }
    }

    /// The next thing happens, if it does before this time. False if nothing does.
    pub(crate) fn advance(&mut self, until: Micros) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let timeout = self
            .members
            .iter()
            .filter(|(id, _)| !self.network.paused.contains(id))
            .filter_map(|(id, member)| Some((member.deadline?.max(member.timers_from), *id)))
            .min();
        let event_at = self.queue.next_at();
        let next = [event_at, timeout.map(|(at, _)| at)].into_iter().flatten().min().unwrap_or(Micros::MAX);
        if next > until {
            self.now = self.now.max(until);
            return false;
        }
        self.now = self.now.max(next);
        match timeout {
            Some((at, id)) if event_at.is_none_or(|event_at| at < event_at) => {
                self.trace.note(self.now, "timeout", id, 0);
                self.on_links_timeout(id);
                self.step(id, Input::Timeout);
                self.pump(id);
            }
            _ => {
                if let Some(event) = self.queue.take() {
                    self.happen(event);
                }
            }
        }
        true
    }

    /// Time passes.
    pub(crate) fn run(&mut self, micros: Micros) {
        let until = self.now + micros;
        while self.advance(until) {}
    }

    /// Time passes until something is the case. False if it was not in time.
    pub(crate) fn run_until(&mut self, micros: Micros, is_so: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + micros;
        while !is_so(self) {
            if !self.advance(until) {
                return false;
            }
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { pipe, side } => self.on_arrival(pipe, side),
            Event::Connect(attempt) => self.on_attempt(&attempt),
            Event::Flushed { member, life } if self.lives(member, life) => self.on_flushed(member),
            Event::Own { member, life, input } if self.lives(member, life) => {
                self.step(member, *input);
                self.pump(member);
            }
            Event::Apply { member, life } if self.lives(member, life) => {
                if let Some(process) = self.process(member) {
                    process.applies_later = false;
                }
                self.pump(member);
            }
            Event::Reap { member, life } if self.lives(member, life) => self.on_reap(member, life),
            Event::Flushed { .. } | Event::Own { .. } | Event::Apply { .. } | Event::Reap { .. } => {}
            Event::Look { pipe } => self.look_at_pipe(pipe),
            Event::Client { index } => self.on_client_turn(index),
            Event::Fault { index, ends } => self.on_fault(index, ends),
            Event::Start { member } => self.start(member),
        }
    }

    /// Whether the process is the one that asked.
    fn lives(&self, id: i64, life: u64) -> bool {
        self.members.get(&id).is_some_and(|member| member.life == life && member.process.is_some())
    }

    /// Looks at a member from outside.
    fn judge(&mut self, id: i64) {
        let Some(Process { peer, tree, .. }) = self.members.get(&id).and_then(|member| member.process.as_ref()) else {
            return;
        };
        let valid = peer
            .validate(tree)
            .map_err(|violation| Failed::new(violation.rule, format!("server {id}: {}", violation.detail)));
        self.check(valid);
        self.note_commits(id);
        self.check_shown(id);
    }

    /// Holds what a member takes for committed against the others.
    fn note_commits(&mut self, id: i64) {
        let Some(Process { peer, .. }) = self.members.get(&id).and_then(|member| member.process.as_ref()) else {
            return;
        };
        let active = peer.zab().membership.active();
        let looked = self.zab.look(id, peer, |has| is_majority(active, has));
        self.check(looked);
    }

    /// What a member's disk does next, if it has anything to do.
    pub(crate) fn next_write(&self, id: i64) -> Option<WriteKind> {
        WriteKind::of(self.members.get(&id)?.process.as_ref()?.writes.front()?)
    }

    /// Whether a scenario holds the disk back from what it would do next.
    pub(crate) fn is_disk_held(&self, id: i64) -> bool {
        let held = self.held_disks.get(&id);
        held.is_some_and(|kind| kind.is_none_or(|kind| self.next_write(id) == Some(kind)))
    }

    /// Whether a member serves in the role that its list gives it.
    pub(crate) fn serves(&self, id: i64) -> bool {
        let process = self.members.get(&id).and_then(|member| member.process.as_ref());
        process.is_some_and(|process| process.serves && process.role != PeerState::Looking)
    }
}

/// The line of a server in a list of members.
pub(crate) fn member_line(id: i64, votes: bool) -> String {
    let role = if votes { "participant" } else { "observer" };
    format!("server.{id}=h{id}:1:2:{role};0.0.0.0:{id}")
}

/// Whether servers are enough to decide, whatever the members think of it.
fn is_majority(config: &EnsembleConfig, has: &dyn Fn(ServerId) -> bool) -> bool {
    let voters = config.participants().count();
    let have = config.participants().filter(|member| has(member.id)).count();
    2 * have > voters
}
