//! Plays a scenario: each packet and each write comes by itself, in the order that the script says.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rookeeper_protocol::types::CreateMode;
use rookeeper_storage::fs::Fault as DiskFault;

use super::parse::{ClientCommand, Command, Condition, Script, Wanted, parse};
use crate::client::{Access, Answer, Client, Op};
use crate::clock::Micros;
use crate::cluster::{Cluster, FIRST_CLIENT};
use crate::network::Kind;
use crate::random::Random;
use crate::run;

/// How long a packet and a flush take in a scenario, in microseconds.
const STEP_US: Micros = 1000;

/// How long an answer may take.
const ANSWER_US: Micros = 60_000_000;

/// How long an ensemble may take to be whole again at the end.
const RECOVERY_US: Micros = 300_000_000;

/// Znodes that a client creates in one transaction when it makes many.
const FILL_STEP: usize = 10;

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Played {
    /// The tickets that it is about.
    pub tickets: Vec<String>,
    /// What went wrong there.
    pub story: String,
    /// Mistakes that make it fail, by their names, where mistakes can be planted.
    pub catches: Vec<String>,
    /// The step at which it did not go as it should, and why.
    pub failed: Option<String>,
    /// Everything that happened, as one number.
    pub hash: u64,
}

/// The ensemble on its stage, and the names of its clients.
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    names: BTreeMap<String, i64>,
    tick_ms: i64,
    ended_well: bool,
}

/// Plays a scenario from its text. `shows` tells all that happens.
pub fn play(text: &str, shows: bool) -> Played {
    let script = match parse(text) {
        Ok(script) => script,
        Err(error) => {
            let failed = Some(error.to_string());
            return Played { tickets: Vec::new(), story: String::new(), catches: Vec::new(), failed, hash: 0 };
        }
    };
    let Script { tickets, story, catches, roles, settings, steps } = script;
    let mut cluster = Cluster::new(1, &roles, &settings, shows);
    cluster.is_exact = true;
    cluster.network.delay = (STEP_US, STEP_US);
    cluster.network.split_permille = 0;
    let mut stage = Stage { cluster, names: BTreeMap::new(), tick_ms: settings.tick_ms, ended_well: false };
    let mut failed = None;
    for step in steps {
        stage.cluster.trace.tell(stage.cluster.now, format_args!("=== {step}"));
        let done = stage.carry_out(step.command.clone());
        if let Some(broken) = &stage.cluster.failed {
            failed = Some(format!("{step}: {broken}"));
        } else if let Err(problem) = done {
            failed = Some(format!("{step}: {problem}; {}", run::describe(&stage.cluster)));
        }
        if failed.is_some() {
            break;
        }
    }
    if failed.is_none() && !stage.ended_well {
        failed = Some("a scenario ends well, and says so".to_owned());
    }
    Played { tickets, story, catches, failed, hash: stage.cluster.trace.hash() }
}

impl Stage {
    pub(super) fn client(&self, name: &str) -> Option<i64> {
        self.names.get(name).copied()
    }

    fn carry_out(&mut self, command: Command) -> Result<(), String> {
        let cluster = &mut self.cluster;
        match command {
            Command::Start(ids) => ids.iter().for_each(|id| cluster.start(*id)),
            Command::Crash(ids, luck) => ids.iter().for_each(|id| cluster.crash(*id, luck.into())),
            Command::Kill(ids) => ids.iter().for_each(|id| cluster.kill(*id)),
            Command::Stop(ids) => ids.iter().for_each(|id| cluster.stop(*id)),
            Command::Wipe(id) => {
                if cluster.process(id).is_some() {
                    return Err("a disk is replaced while its server is down".to_owned());
                }
                cluster.wipe(id);
            }
            Command::Pause(id) => cluster.pause(id, true),
            Command::Resume(id) => cluster.pause(id, false),
            Command::FailFlush(id) => cluster.make_sick(id, Some(DiskFault::Flush(0)), None),
            Command::FailWrite(id) => cluster.make_sick(id, Some(DiskFault::Write(0)), None),
            Command::FillDisk(id, room) => cluster.make_sick(id, None, Some(room)),
            Command::CureDisk(id) => cluster.cure(id),
            Command::JumpClock(id, ms) => {
                if let Some(member) = cluster.members.get_mut(&id) {
                    member.clock.jump(ms);
                }
            }
            Command::Gather(id) => drop(cluster.gathering.insert(id)),
            Command::BeginPictures(id, last) => return self.begin_pictures(id, last),
            Command::Cut(ways) => cluster.network.cut.extend(ways),
            Command::Isolate(id) => {
                let others: Vec<i64> = cluster.members.keys().copied().filter(|other| *other != id).collect();
                let ways: BTreeSet<_> = others.into_iter().flat_map(|other| [(id, other), (other, id)]).collect();
                cluster.network.cut.extend(ways);
            }
            Command::Heal => cluster.heal_routes(),
            Command::Forget => cluster.delivered.clear(),
            Command::Break(one, other) => self.break_between(one, other),
            Command::Hold(holds) => cluster.network.holds.extend(holds),
            Command::Release(holds) => {
                cluster.network.holds.retain(|hold| !holds.contains(hold));
                cluster.network.unblock(cluster.now, &mut cluster.queue);
            }
            Command::ReleaseAll => self.release_all(),
            Command::HoldDisk(id, kind) => drop(cluster.held_disks.insert(id, kind)),
            Command::Flush(id) => return self.flush(id),
            Command::ReleaseDisk(id) => {
                cluster.held_disks.remove(&id);
                cluster.let_disk_go(id);
            }
            Command::Run(micros) => cluster.run(micros),
            Command::Until(condition, micros) => return self.until(&condition, micros),
            Command::Expect(condition) => {
                return if self.is_so(&condition) { Ok(()) } else { Err("it is not so".to_owned()) };
            }
            Command::Client(name, command) => return self.client_does(&name, command),
            Command::EndWell => return self.end_well(),
        }
        Ok(())
    }

    fn until(&mut self, condition: &Condition, micros: Micros) -> Result<(), String> {
        let until = self.cluster.now + micros;
        while !self.is_so(condition) {
            if !self.cluster.advance(until) {
                return Err(format!("it was not so within {} ms", micros / 1000));
            }
        }
        Ok(())
    }

    /// The learner's connections between two members end as if a router had thrown them away: both ends hear of it at once.
    fn break_between(&mut self, one: i64, other: i64) {
        let cluster = &mut self.cluster;
        for pipe in cluster.network.pipes_of(one) {
            let is_it = cluster.network.pipe(pipe).is_some_and(|pipe| {
                pipe.ends.contains(&other) && matches!(pipe.kind, Kind::Learner(_) | Kind::Master(_))
            });
            if is_it {
                cluster.break_pipe(pipe);
            }
        }
    }

    fn begin_pictures(&mut self, id: i64, last: String) -> Result<(), String> {
        let Some(process) = self.cluster.process(id) else { return Err("nobody is there".to_owned()) };
        let picture = process.files.picture().map_err(|error| error.to_string())?;
        if !picture.shows(&last) {
            return Err(format!("{last} is not in the picture"));
        }
        self.cluster.begun.insert(id, (picture, last));
        Ok(())
    }

    fn release_all(&mut self) {
        let cluster = &mut self.cluster;
        cluster.network.holds.clear();
        let disks = std::mem::take(&mut cluster.held_disks);
        cluster.network.unblock(cluster.now, &mut cluster.queue);
        disks.keys().for_each(|id| cluster.let_disk_go(*id));
    }

    /// The disk does the next thing that it was asked for, and no more.
    fn flush(&mut self, id: i64) -> Result<(), String> {
        let is_late = |cluster: &Cluster| {
            let process = cluster.members.get(&id).and_then(|member| member.process.as_ref());
            process.is_some_and(|process| process.is_disk_late)
        };
        if !self.cluster.run_until(ANSWER_US, is_late) {
            return Err("the disk has nothing to do".to_owned());
        }
        self.cluster.finish_writes(id);
        Ok(())
    }

    fn client_does(&mut self, name: &str, command: ClientCommand) -> Result<(), String> {
        let node = match self.client(name) {
            Some(node) => node,
            None => {
                let node = FIRST_CLIENT + self.names.len() as i64;
                self.names.insert(name.to_owned(), node);
                self.cluster.add_client(Client::new(node, Random::new(node as u64), 20_000, None))
            }
        };
        match command {
            ClientCommand::Connect(server, timeout_ms, reads_only) => {
                self.cluster.hang_up(node);
                if let Some(client) = self.cluster.client(node) {
                    client.wish(timeout_ms);
                    client.reads_only = reads_only;
                }
                self.cluster.connect(node, server);
                Ok(())
            }
            ClientCommand::Ask(op) => {
                self.wait_for_session(name)?;
                self.cluster.ask(node, op);
                Ok(())
            }
            ClientCommand::Do(op, wanted) => {
                self.wait_for_session(name)?;
                self.does(node, op, &wanted)
            }
            ClientCommand::Fill(count, parent) => {
                self.wait_for_session(name)?;
                self.does(node, create(parent.clone()), &Wanted::Fine)?;
                let paths: Vec<String> = (1..=count).map(|number| format!("{parent}/{number}")).collect();
                paths.chunks(FILL_STEP).try_for_each(|paths| {
                    let parts = paths.iter().cloned().map(create).collect();
                    self.does(node, Op::Multi(parts), &Wanted::Fine)
                })
            }
            ClientCommand::HangUp => {
                self.cluster.hang_up(node);
                Ok(())
            }
        }
    }

    fn wait_for_session(&mut self, name: &str) -> Result<(), String> {
        let connected = Condition::Connected(name.to_owned());
        self.until(&connected, ANSWER_US).map_err(|problem| format!("the client is not connected: {problem}"))
    }

    fn does(&mut self, node: i64, op: Op, wanted: &Wanted) -> Result<(), String> {
        let Some(xid) = self.cluster.client(node).map(|client| client.next_xid()) else { return Ok(()) };
        self.cluster.ask(node, op);
        let find = |cluster: &Cluster| -> Option<Answer> {
            let client = cluster.clients.iter().find(|client| client.node == node)?;
            client.answers.iter().rev().find(|answer| answer.xid == xid).cloned()
        };
        self.cluster.run_until(ANSWER_US, |cluster| find(cluster).is_some());
        let Some(answer) = find(&self.cluster) else { return Err("there was no answer".to_owned()) };
        let is_wanted = match wanted {
            Wanted::Fine => answer.error == 0,
            Wanted::Error(error) => answer.error == *error,
            Wanted::Data(data) => answer.error == 0 && answer.data.as_ref() == Some(data),
        };
        if is_wanted { Ok(()) } else { Err(format!("the answer was {answer:?}")) }
    }

    fn end_well(&mut self) -> Result<(), String> {
        self.release_all();
        self.ended_well = true;
        let cluster = &mut self.cluster;
        cluster.end_all_faults();
        for client in &mut cluster.clients {
            client.reconnects = true;
        }
        run::settle(cluster, RECOVERY_US.max(self.tick_ms * 100_000)).map_err(|failed| failed.to_string())
    }
}

fn create(path: String) -> Op {
    Op::Create { path, data: Bytes::from_static(b"data"), mode: CreateMode::Persistent, access: Access::OPEN }
}
