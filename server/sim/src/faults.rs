//! Faults as they begin and end.

use crate::client::Op;
use crate::clock::Micros;
use crate::cluster::{Cluster, FIRST_CLIENT, member_line};
use crate::plan::{Fault, Planned};
use crate::queue::Event;
use rookeeper_storage::fs::Fault as DiskFault;

/// How long a process takes to start again, in microseconds.
const RESTART_US: Micros = 500_000;

impl Cluster {
    /// Puts the beginnings of all faults into the queue.
    pub(crate) fn schedule_plan(&mut self) {
        for (index, planned) in self.plan.faults.iter().enumerate() {
            self.queue.add(planned.at, Event::Fault { index, ends: false });
        }
    }

    pub(crate) fn on_fault(&mut self, index: usize, ends: bool) {
        let Some(Planned { lasts, fault, .. }) = self.plan.faults.get(index).cloned() else { return };
        if ends {
            if self.plan.lasting.remove(&index) {
                self.end_fault(&fault);
            }
            return;
        }
        self.trace.tell(self.now, format_args!("FAULT {fault:?}"));
        self.plan.lasting.insert(index);
        self.queue.add(self.now + lasts, Event::Fault { index, ends: true });
        self.begin_fault(&fault);
    }

    fn begin_fault(&mut self, fault: &Fault) {
        let now = self.now;
        match fault {
            Fault::Crash(members, luck) => {
                for id in members {
                    self.kept_down.insert(*id);
                    self.crash(*id, (*luck).into());
                }
            }
            Fault::Kill(id) => {
                self.kept_down.insert(*id);
                self.trace.note(now, "is killed", *id, 0);
                self.kill(*id);
            }
            Fault::Stop(id) => self.stop(*id),
            Fault::Cut(_) | Fault::Slow(..) => self.refresh_routes(),
            Fault::Pause(id) => self.pause(*id, true),
            Fault::Drift(id, ppm) => {
                if let Some(member) = self.members.get_mut(id) {
                    member.clock.drift(now, *ppm);
                    member.refresh_deadline();
                }
            }
            Fault::Jump(id, ms) => {
                if let Some(member) = self.members.get_mut(id) {
                    member.clock.jump(*ms);
                }
            }
            Fault::FailedFlush(id, after) => self.make_sick(*id, Some(DiskFault::Flush(*after)), None),
            Fault::FailedWrite(id, after) => self.make_sick(*id, Some(DiskFault::Write(*after)), None),
            Fault::FullDisk(id, room) => self.make_sick(*id, None, Some(*room)),
            Fault::Wipe(id) => {
                if self.can_be_wiped(*id) {
                    self.kept_down.insert(*id);
                    self.kill(*id);
                    self.wipe(*id);
                }
            }
            Fault::Leave(id) => self.ask_anybody(Op::Reconfig { joining: None, leaving: Some(id.to_string()) }),
            Fault::Join(id, votes) => {
                self.ask_anybody(Op::Reconfig { joining: Some(member_line(*id, *votes)), leaving: None });
            }
            Fault::Sleep(index) => {
                self.network.paused.insert(FIRST_CLIENT + *index as i64);
            }
        }
    }

    fn end_fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Crash(members, _) => members.iter().for_each(|id| self.bring_back(*id)),
            Fault::Kill(id) | Fault::Stop(id) | Fault::Wipe(id) => self.bring_back(*id),
            Fault::Cut(_) | Fault::Slow(..) => self.refresh_routes(),
            Fault::Pause(id) => self.pause(*id, false),
            Fault::FailedFlush(id, _) | Fault::FailedWrite(id, _) | Fault::FullDisk(id, _) => {
                let is_sick = |planned: &Planned| match &planned.fault {
                    Fault::FailedFlush(other, _) | Fault::FailedWrite(other, _) | Fault::FullDisk(other, _) => {
                        other == id
                    }
                    _ => false,
                };
                if !self.plan.lasting.iter().filter_map(|index| self.plan.faults.get(*index)).any(is_sick) {
                    self.cure(*id);
                }
            }
            Fault::Sleep(index) => {
                self.network.paused.remove(&(FIRST_CLIENT + *index as i64));
                self.network.unblock(self.now, &mut self.queue);
            }
            Fault::Drift(..) | Fault::Jump(..) | Fault::Leave(_) | Fault::Join(..) => {}
        }
    }

    /// A server that was told to stop has stopped: it comes back when that fault ends, or now if it has ended.
    pub(crate) fn on_stopped(&mut self, id: i64) {
        let stops = |planned: &Planned| planned.fault == Fault::Stop(id);
        if !self.is_exact && !self.plan.lasting.iter().filter_map(|index| self.plan.faults.get(*index)).any(stops) {
            self.queue.add(self.now + RESTART_US, Event::Start { member: id });
        }
    }

    /// A member may run again, unless another fault keeps it down.
    fn bring_back(&mut self, id: i64) {
        let keeps = |planned: &Planned| match &planned.fault {
            Fault::Crash(members, _) => members.contains(&id),
            Fault::Kill(other) | Fault::Wipe(other) => *other == id,
            _ => false,
        };
        if !self.plan.lasting.iter().filter_map(|index| self.plan.faults.get(*index)).any(keeps) {
            self.kept_down.remove(&id);
            self.start(id);
        }
    }

    /// Routes are what the faults that last make of them.
    fn refresh_routes(&mut self) {
        self.network.cut.clear();
        self.network.slow.clear();
        for planned in self.plan.lasting.iter().filter_map(|index| self.plan.faults.get(*index)) {
            match &planned.fault {
                Fault::Cut(ways) => self.network.cut.extend(ways),
                Fault::Slow(ways, min, max) => {
                    self.network.slow.extend(ways.iter().map(|way| (*way, (*min, *max))));
                }
                _ => {}
            }
        }
        self.network.unblock(self.now, &mut self.queue);
    }

    /// A disk fails from now on, or is full soon.
    pub(crate) fn make_sick(&mut self, id: i64, fault: Option<DiskFault>, room: Option<u64>) {
        self.sick_disks.insert(id);
        if let Some(member) = self.members.get(&id) {
            if let Some(fault) = fault {
                member.disk.fail(fault);
            }
            if room.is_some() {
                member.disk.limit(room);
            }
        }
    }

    /// A disk works again. What it has refused has ended its process, or will have.
    pub(crate) fn cure(&mut self, id: i64) {
        self.sick_disks.remove(&id);
        if let Some(member) = self.members.get(&id) {
            member.disk.limit(None);
            member.disk.heal();
        }
        self.start(id);
    }

    /// Some client that is connected, and may, asks for this.
    fn ask_anybody(&mut self, op: Op) {
        if let Some(node) = self
            .clients
            .iter()
            .find(|client| client.is_open && !client.is_shown && client.may_reconfigure())
            .map(|client| client.node)
        {
            self.ask(node, op);
        }
    }

    /// All faults are over: everything works, and everybody is there.
    pub(crate) fn end_all_faults(&mut self) {
        self.trace.tell(self.now, format_args!("ALL FAULTS END"));
        self.plan.lasting.clear();
        self.plan.faults.clear();
        let ids: Vec<i64> = self.members.keys().copied().collect();
        self.kept_down.clear();
        self.network.paused.retain(|node| *node < FIRST_CLIENT);
        self.heal_routes();
        for id in ids {
            if self.network.paused.contains(&id) {
                self.pause(id, false);
            }
            if let Some(member) = self.members.get_mut(&id) {
                member.clock.drift(self.now, 0);
            }
            self.cure(id);
            if let Some(member) = self.members.get_mut(&id) {
                member.refresh_deadline();
            }
        }
    }
}
