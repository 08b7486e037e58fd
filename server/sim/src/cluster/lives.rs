//! How processes begin and end, and what befalls their machines.

use rookeeper_core::peer::{Input, Output};
use rookeeper_storage::StorageError;
use rookeeper_storage::fs::{CrashLuck, Fault};

use super::Cluster;
use crate::checks::Failed;
use crate::clock::Micros;
use crate::member::Disk;
use crate::network::PipeId;
use crate::queue::Event;

/// How long it takes until a process that its disk has ended is started again, in microseconds.
const RESTART_US: (Micros, Micros) = (100_000, 5_000_000);

/// How much later than what has come meanwhile the timers of a process ring that stood still, in microseconds.
const TIMERS_LATE_US: Micros = 3_000;

/// Calls of a batch of writes that a crash may hit.
const CALLS_HIT: i64 = 12;

impl Cluster {
    /// Starts a member's process, if none runs.
    pub(crate) fn start(&mut self, id: i64) {
        let at = self.now;
        if self.kept_down.contains(&id) {
            return;
        }
        let Some(member) = self.members.get_mut(&id).filter(|member| member.process.is_none()) else { return };
        self.trace.note(at, "starts", id, 0);
        match member.start(at) {
            Ok(found) => {
                let started = self.zab.started(id, found.image, &found.records, found.epochs);
                self.check(started);
                self.begin_reaping(id);
                self.pump(id);
            }
            Err(error) if self.sick_disks.contains(&id) => {
                self.trace.tell(at, format_args!("  {id}: {error}"));
                self.restart_later(id);
            }
            Err(error) => {
                self.check(Err(Failed::new("a server starts after any crash", format!("server {id}: {error}"))))
            }
        }
    }

    fn restart_later(&mut self, id: i64) {
        let at = self.now + self.random.between(RESTART_US.0, RESTART_US.1);
        self.queue.add(at, Event::Start { member: id });
    }

    /// A write failed. A server ends then, and is started again.
    pub(crate) fn on_disk_failure(&mut self, id: i64, error: &StorageError) {
        self.trace.tell(self.now, format_args!("  {id}: {error}"));
        if !self.sick_disks.contains(&id) {
            return self.check(Err(Failed::new(
                "a disk that works takes all that is written",
                format!("server {id}: {error}"),
            )));
        }
        self.count("disk failed");
        // In the same step it may have committed what its image has now.
        self.note_commits(id);
        self.kill(id);
        self.restart_later(id);
    }

    /// The process ends, its machine goes on.
    pub(crate) fn kill(&mut self, id: i64) {
        self.end_process(id);
        if let Some(member) = self.members.get(&id) {
            member.disk.kill();
        }
    }

    /// The machine dies. What was not flushed is lost, or some of it is not, as luck will have it.
    pub(crate) fn crash(&mut self, id: i64, luck: CrashLuck) {
        self.trace.note(self.now, "crashes", id, 0);
        if let CrashLuck::Seed(_) = luck {
            self.interrupt_writes(id);
        }
        self.end_process(id);
        if let Some(member) = self.members.get(&id) {
            member.disk.crash(luck);
        }
    }

    /// The machine dies in the middle of what its disk was doing.
    fn interrupt_writes(&mut self, id: i64) {
        let calls = self.random.between(0, CALLS_HIT) as u64;
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(process) = &mut member.process else { return };
        let count = std::mem::take(&mut process.writing);
        let batch: Vec<Output> = process.writes.drain(..count).collect();
        if batch.is_empty() {
            return;
        }
        if batch.iter().any(|write| matches!(write, Output::Truncate { .. } | Output::InstallSnapshot { .. })) {
            self.zab.unsettled(id);
        }
        member.disk.fail(Fault::Stop(calls));
        // Whether it came to its end or not, nobody is told.
        let _interrupted = process.files.write(batch, &process.tree, &mut Vec::new());
    }

    fn end_process(&mut self, id: i64) {
        if let Some(member) = self.members.get_mut(&id) {
            member.end();
        }
        self.alive.ends(id);
        self.shown.ends(id);
        for pipe in self.network.pipes_of(id) {
            if let Some(end) = self.network.pipe(pipe).and_then(|pipe| pipe.ends.iter().position(|end| *end == id)) {
                self.close(pipe, end);
            }
        }
    }

    /// A server is told to stop, and its process ends when it says so.
    pub(crate) fn stop(&mut self, id: i64) {
        self.trace.note(self.now, "is told to stop", id, 0);
        self.step(id, Input::Stop);
        self.pump(id);
    }

    /// The process stands still, or goes on: its machine answers for it as long as nobody wants to know anything.
    pub(crate) fn pause(&mut self, id: i64, stands_still: bool) {
        self.trace.note(self.now, "stands still", id, u64::from(stands_still));
        if stands_still {
            self.network.paused.insert(id);
            return;
        }
        self.network.paused.remove(&id);
        if !self.is_exact {
            let timers_from = self.now + self.random.between(0, TIMERS_LATE_US);
            if let Some(member) = self.members.get_mut(&id) {
                member.timers_from = timers_from;
            }
        }
        self.network.unblock(self.now, &mut self.queue);
        self.let_disk_go(id);
    }

    /// The disk is no longer held.
    pub(crate) fn let_disk_go(&mut self, id: i64) {
        if self.process(id).is_some_and(|process| process.is_disk_late) && !self.is_disk_held(id) {
            self.finish_writes(id);
        }
    }

    /// The disk of a member that does not run is replaced by an empty one.
    pub(crate) fn wipe(&mut self, id: i64) {
        self.trace.note(self.now, "is wiped", id, 0);
        if let Some(member) = self.members.get_mut(&id) {
            member.disk = Disk::new(member.settings.segment_bytes);
        }
        self.zab.wiped(id);
    }

    /// A connection is gone, without a word on it: both ends hear of that at once.
    pub(crate) fn break_pipe(&mut self, pipe: PipeId) {
        let Some(ends) = self.network.remove(pipe) else { return };
        for (side, node) in ends.into_iter().enumerate() {
            self.on_pipe_broken(node, pipe, side);
            self.pump(node);
        }
    }

    /// Nothing is in the way between members any more.
    pub(crate) fn heal_routes(&mut self) {
        self.network.cut.clear();
        self.network.slow.clear();
        self.network.unblock(self.now, &mut self.queue);
    }

    /// Whether a member can lose its disk: a quorum of voters without it serves, and they have all that is on its disk.
    pub(crate) fn can_be_wiped(&self, id: i64) -> bool {
        let Some(process) = self.leader().and_then(|leader| self.members.get(&leader)?.process.as_ref()) else {
            return false;
        };
        let voters: Vec<i64> = process.peer.zab().membership.active().participants().map(|voter| voter.id.0).collect();
        let mut others = voters.iter().copied().filter(|other| *other != id);
        voters.len() > 2 && others.all(|other| self.serves(other) && self.zab.has_all_of(other, id))
    }
}
