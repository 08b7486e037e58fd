//! The thread of a member: everything that happens, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_core::peer::{Clients, Input, Lent, Output};
use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::tree::Tree;
use rookeeper_core::watch::ConnId;
use rookeeper_core::zab::LearnerLink;
use tokio::runtime::{Handle, Runtime};

use super::disk::{MemberDisk, Outcome};
use super::files::MemberFiles;
use super::monitor::Monitor;
use super::moving::Mover;
use crate::client::{ConnectionHandle, ConnectionTable};
use crate::disk::{ImageProgress, Picture};
use crate::peers::{Addresses, ElectionPort, LeaderLink, LearnerPort};
use crate::runtime::{Arrival, Arrived, LoneClient, Next, Reader, Shared, delivery};

/// Requests submitted under one hold of the machine; handshakes get their turn in between.
const SUBMIT_MAX: usize = 512;

/// Requests applied under one hold of the tree; readers get their turn in between.
const APPLY_MAX: usize = 512;

/// The longest wait for something to happen: what the image's thread needs is looked at now and then.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The ways to other servers.
pub(crate) struct Sockets {
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) election: ElectionPort,
    pub(crate) learners: Arc<LearnerPort>,
}

/// The thread's state.
pub(crate) struct MemberThread {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: MemberDisk,
    pub(super) progress: Arc<ImageProgress>,
    pub(super) sockets: Sockets,
    pub(super) mover: Arc<Mover>,
    pub(super) files: MemberFiles,
    pub(super) leader: Option<LeaderLink>,
    pub(super) pictures: BTreeMap<LearnerLink, Picture>,
    /// The threads that make and send them.
    pub(super) cameras: Vec<JoinHandle<()>>,
    requests: Vec<WriteRequest>,
    arrivals: Vec<Arrival>,
    outputs: Vec<Output>,
    outcomes: Vec<Outcome>,
    /// Nothing was waited for since the last turn.
    was_busy: bool,
    /// More has come while the last group was under way.
    crowded: bool,
    lone: LoneClient,
    pub(super) monitor: Monitor,
    touched: Vec<Arc<ConnectionHandle>>,
    /// Requests of clients in the machine, and their bytes, as they were last counted.
    in_flight: (usize, usize),
    /// Serves the sockets between servers.
    own: Handle,
    /// Runs the tasks that write to many connections of clients.
    clients: Handle,
    /// When time asks for something.
    until: Instant,
    /// The machine has said that the process may end.
    pub(super) stopped: bool,
}

impl Clients for ConnectionTable {
    fn last_heard(&self, conn: ConnId) -> Option<(i64, i32)> {
        self.last_heard(conn)
    }
}

impl MemberThread {
    pub(crate) fn new(
        shared: Arc<Shared>,
        disk: MemberDisk,
        progress: Arc<ImageProgress>,
        sockets: Sockets,
        files: MemberFiles,
        own: Handle,
        clients: Handle,
    ) -> Self {
        let mover = Mover::new(&sockets, shared.config.ensemble.limits.clone());
        Self {
            shared,
            disk,
            progress,
            sockets,
            mover,
            files,
            leader: None,
            pictures: BTreeMap::new(),
            cameras: Vec::new(),
            requests: Vec::new(),
            arrivals: Vec::new(),
            outputs: Vec::new(),
            outcomes: Vec::new(),
            was_busy: false,
            crowded: false,
            lone: LoneClient::default(),
            monitor: Monitor::default(),
            touched: Vec::new(),
            in_flight: (0, 0),
            own,
            clients,
            until: Instant::now(),
            stopped: false,
        }
    }

    /// Runs until the machine has stopped, or a write fails. The sockets between servers are served on this thread too:
    /// what another server says wakes it, and nobody else.
    pub(crate) fn run(mut self, runtime: Runtime) {
        let shared = self.shared.clone();
        let _critical = shared.critical_thread();
        let reader = runtime.block_on(async {
            // What the machine asked for when it was made.
            self.finish_turn();
            shared.inbox.read_as_task(Box::new(self)).await
        });
        // All sockets close at once, so that the others need not wait for one who says nothing any more.
        runtime.shutdown_background();
        reader.end();
    }

    /// Hands in what clients want.
    fn submit(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let now = self.shared.clock.now();
        let taken = self.requests.len();
        let bytes: usize = self.requests.iter().map(|request| request.body.len()).sum();
        let mut requests = self.requests.drain(..);
        while requests.len() > 0 {
            let notices = {
                let mut machine = self.shared.machine.lock();
                let tree = self.shared.tree.read();
                let Some(peer) = machine.member_mut() else { return };
                let mut some = requests.by_ref().take(SUBMIT_MAX);
                peer.submit(now, &tree, &mut some);
                // Who serves nobody takes none, and nobody will ask for them again.
                some.for_each(drop);
                peer.pipeline_mut().take_notices()
            };
            notices.iter().for_each(|notice| self.shared.tell(notice));
        }
        drop(requests);
        // They wait in the machine now, or were dropped because nobody is served.
        self.shared.taken(taken, bytes);
        self.count_in_flight();
    }

    /// Hands in what happened. Behind the requests: a client that sent some and left wants them carried out.
    fn step(&mut self) {
        let now = self.shared.clock.now();
        let mut machine = self.shared.machine.lock();
        let tree = self.shared.tree.read();
        let Some(peer) = machine.member_mut() else { return };
        let lent = Lent { tree: &tree, clients: &self.shared.connections };
        for Arrival { input, room } in self.arrivals.drain(..) {
            forget_gone(&mut self.leader, &mut self.pictures, &input);
            peer.step(now, &lent, input);
            drop(room);
        }
        if peer.next_deadline_ms().is_some_and(|at_ms| at_ms <= now.monotonic_ms) {
            peer.step(now, &lent, Input::Timeout);
        }
    }

    /// Carries out all that is asked for, and applies what is committed, until nothing is left to do.
    fn carry_out(&mut self) -> rookeeper_storage::Result<()> {
        loop {
            self.take_outputs();
            let idle = self.outputs.is_empty();
            let outputs = std::mem::take(&mut self.outputs);
            let mut writes = Vec::new();
            // First what others wait for: their disks work while this one does.
            for output in outputs {
                if is_write(&output) { writes.push(output) } else { self.dispatch(output) }
            }
            for write in writes {
                match write {
                    Output::MembersSeen { text } => self.see_members(&text)?,
                    Output::MembersActivated { text, activation } => self.activate_members(&text, &activation)?,
                    write => self.disk.write(write, &mut self.outcomes)?,
                }
            }
            self.disk.flush(self.crowded, &mut self.outcomes)?;
            let told = self.tell_outcomes();
            let applied = self.apply();
            if idle && !told && !applied {
                return Ok(());
            }
        }
    }

    /// What is behind every turn.
    fn finish_turn(&mut self) {
        if let Err(error) = self.carry_out() {
            self.shared.fail(&error.to_string());
            return;
        }
        let (keep_after, deadline_ms) = {
            let machine = self.shared.machine.lock();
            machine.member().map_or((None, None), |peer| (peer.keep_log_after(), peer.next_deadline_ms()))
        };
        self.disk.attend_image(keep_after);
        // The clock counts whole milliseconds: one that has begun is not over.
        let deadline = deadline_ms.map(|at_ms| self.shared.clock.instant_at(at_ms + 1));
        let latest = Instant::now() + WAIT_MAX;
        self.until = deadline.map_or(latest, |deadline| deadline.min(latest));
    }

    fn take_outputs(&mut self) {
        if let Some(peer) = self.shared.machine.lock().member_mut() {
            peer.take_outputs(&mut self.outputs);
            self.monitor.look(&self.shared.stats, peer);
        }
    }

    /// Tells the machine what became of its writes. Whether there was anything to tell.
    fn tell_outcomes(&mut self) -> bool {
        let told = !self.outcomes.is_empty();
        for outcome in std::mem::take(&mut self.outcomes) {
            match outcome {
                Outcome::Tell(input) => self.tell(None, input),
                Outcome::Replaced(tree, input) => self.tell(Some(tree), input),
                Outcome::Cut(tree, input) => {
                    self.tell(tree, input);
                    if let Some(leader) = &self.leader {
                        leader.read_on();
                    }
                }
                Outcome::GiveUp => {
                    if let Some(LeaderLink { dial, .. }) = self.leader.take().as_ref() {
                        self.tell(None, Input::LeaderGone { dial: *dial });
                    }
                }
                Outcome::Receive(dial, sink) => {
                    if let Some(leader) = self.leader.as_ref().filter(|leader| leader.dial == dial) {
                        leader.receive(sink);
                    }
                }
            }
        }
        told
    }

    /// Hands in one thing, perhaps with another tree.
    fn tell(&mut self, tree: Option<Box<Tree>>, input: Input) {
        let now = self.shared.clock.now();
        let mut machine = self.shared.machine.lock();
        let old = tree.map(|tree| std::mem::replace(&mut *self.shared.tree.write(), *tree));
        let tree = self.shared.tree.read();
        if let Some(peer) = machine.member_mut() {
            peer.step(now, &Lent { tree: &tree, clients: &self.shared.connections }, input);
        }
        drop(tree);
        drop(machine);
        // Taking a large tree apart takes a while, and nobody has to wait for it.
        drop(old);
    }

    /// Applies what is committed, and answers. Whether there was anything.
    fn apply(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut applied = false;
        loop {
            let (more, behind) = {
                let mut machine = shared.machine.lock();
                let Some(peer) = machine.member_mut() else { return false };
                if !peer.has_committed() {
                    break;
                }
                applied = true;
                let now = shared.clock.now();
                let more = {
                    let mut tree = shared.tree.write();
                    let connections = shared.connections.read();
                    let mut watches = shared.watches.lock();
                    let touched = std::mem::take(&mut self.touched);
                    let mut delivery = delivery::Delivery::new(&shared, &connections, touched);
                    let more = peer.apply(now, &mut tree, &mut watches, &mut delivery, APPLY_MAX);
                    self.touched = delivery.into_touched();
                    if let Some(mismatch) = tree.take_digest_mismatch() {
                        shared.stats.mismatched(&mismatch, now.monotonic_ms);
                    }
                    more
                };
                (more, peer.pipeline().changes.len())
            };
            delivery::wake(&shared, &self.clients, &mut self.touched);
            self.progress.call(behind);
            if !more {
                break;
            }
        }
        if applied {
            self.count_in_flight();
        }
        applied
    }

    /// Brings the count of what is in work to what the machine has.
    fn count_in_flight(&mut self) {
        let held = self.shared.machine.lock().pipeline().requests_in_flight();
        self.shared.count_held(self.in_flight, held);
        self.in_flight = held;
    }
}

impl Reader for MemberThread {
    fn next(&mut self, arrived: &Arrived) -> Next {
        if self.stopped || self.shared.has_failed() {
            return Next::End;
        }
        // Not for what has ended a wait.
        self.crowded = self.was_busy && !arrived.is_empty();
        let now = Instant::now();
        if !arrived.is_empty() || self.disk.has_news() || self.until <= now {
            return Next::Turn;
        }
        self.was_busy = false;
        let until = self.disk.waits_for_company().map_or(self.until, |company| self.until.min(now + company));
        Next::Wait { until: Some(until), lends: self.lone.is_alone() && self.disk.is_quick() }
    }

    fn turn(&mut self) {
        let own = self.own.clone();
        let _entered = own.enter();
        {
            let mut arrived = self.shared.inbox.lock();
            std::mem::swap(&mut arrived.requests, &mut self.requests);
            std::mem::swap(&mut arrived.arrivals, &mut self.arrivals);
        }
        self.lone.note(&self.requests, self.shared.stats.received.load(Ordering::Relaxed));
        self.submit();
        self.step();
        self.finish_turn();
        self.was_busy = true;
    }

    fn end(mut self: Box<Self>) {
        // Nobody wants snapshots any more. The image is closed by whoever has it last, which must not be a thread that is
        // left behind when the process ends.
        self.pictures.clear();
        self.cameras.drain(..).for_each(|camera| drop(camera.join()));
        self.disk.end_filling();
        let Self { shared, disk, .. } = *self;
        if shared.has_failed() {
            return;
        }
        if let Err(error) = disk.close() {
            shared.fail(&error.to_string());
        }
    }
}

/// What is over is let go before the machine hears of it.
fn forget_gone(leader: &mut Option<LeaderLink>, pictures: &mut BTreeMap<LearnerLink, Picture>, input: &Input) {
    match input {
        Input::LeaderGone { dial } => {
            leader.take_if(|leader| leader.dial == *dial);
        }
        Input::LearnerGone { link } => {
            pictures.remove(link);
        }
        _ => {}
    }
}

fn is_write(output: &Output) -> bool {
    matches!(
        output,
        Output::Append { .. }
            | Output::PersistEpochs { .. }
            | Output::Truncate { .. }
            | Output::ReceiveSnapshot { .. }
            | Output::InstallSnapshot { .. }
            | Output::DropSnapshot { .. }
            | Output::MembersSeen { .. }
            | Output::MembersActivated { .. }
    )
}
