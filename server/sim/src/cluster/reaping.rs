//! The container manager of a process (`ContainerManager`): on its schedule it looks what may go, if it leads, and asks for one
//! removal after the other.

use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::tree::reapable;

use super::Cluster;
use crate::member::{Process, Reaping};
use crate::queue::Event;

impl Cluster {
    fn reaping(&self, id: i64) -> Option<Reaping> {
        self.members.get(&id)?.settings.reaping
    }

    /// A process has started: it looks for the first time when the interval is over.
    pub(super) fn begin_reaping(&mut self, id: i64) {
        let life = self.members.get(&id).map_or(0, |member| member.life);
        if let Some(reaping) = self.reaping(id) {
            self.queue.add(self.now + reaping.interval_ms * 1000, Event::Reap { member: id, life });
        }
    }

    /// One removal, or one look.
    pub(super) fn on_reap(&mut self, id: i64, life: u64) {
        let Some(reaping) = self.reaping(id) else { return };
        if !self.network.paused.contains(&id) {
            self.reap(id, reaping);
        }
        let busy = self.process(id).is_some_and(|process| !process.due.is_empty());
        let pause_ms = if busy { reaping.pause_ms } else { reaping.interval_ms };
        self.queue.add(self.now + pause_ms * 1000, Event::Reap { member: id, life });
    }

    fn reap(&mut self, id: i64, reaping: Reaping) {
        let at = self.now;
        let Some(member) = self.members.get_mut(&id) else { return };
        let now = member.now(at);
        let Some(Process { peer, tree, due, .. }) = &mut member.process else { return };
        if due.is_empty() && peer.is_established_leader() {
            let found = reapable(tree, &reaping.rules, now.wall_ms);
            let (zxid, never_used_ms_max) = (tree.last_zxid(), reaping.rules.never_used_ms_max);
            due.extend(found.iter().cloned());
            let looked = self.zab.ledger.looked_for_due(id, zxid, now.wall_ms, never_used_ms_max, &found);
            self.trace.note(at, "looks what is due", id, found.len() as u64);
            self.check(looked);
        }
        let Some(Process { peer, tree, due, .. }) = self.process(id) else { return };
        if let Some(path) = due.pop_front() {
            peer.submit(now, tree, [WriteRequest::reap(&path, now.monotonic_ms)]);
            self.trace.tell(at, format_args!("  {id} removes {path}"));
            self.count("reaped");
            self.pump(id);
        }
    }

    /// Whether all is gone that may go by the leader's clock.
    pub(crate) fn has_nothing_due(&self) -> bool {
        let leads = |id: i64| Some((self.members.get(&id)?.now(self.now).wall_ms, self.reaping(id)));
        match self.leader().and_then(leads) {
            Some((now_ms, Some(reaping))) => {
                let ledger = &self.zab.ledger;
                ledger.due(ledger.last_zxid(), now_ms, reaping.rules.never_used_ms_max).next().is_none()
            }
            Some((_, None)) => true,
            None => false,
        }
    }
}
