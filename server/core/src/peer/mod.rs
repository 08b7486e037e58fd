//! One server of an ensemble as one machine: inputs and the time go in, outputs come out.
//!
//! ```text
//!             elected                       elected: somebody else
//!  Leading <----------- Looking (start) ----------------------------> Following, Observing
//!     |                    ^    ^                                          |
//!     +--------------------+    +------------------------------------------+
//!       no quorum follows         the leader is gone, or broke a rule
//! ```
//!
//! A server that looks for long may be read-only meanwhile (`local.rs`), and one that follows may serve observers
//! (`relaying.rs`).
//!
//! Nothing here waits. What takes time (a flush, the reading of the log, a snapshot) is an [`Output`] that a later
//! [`Input`] answers. The order for a driver is: any number of [`Peer::step`] and [`Peer::submit`], then
//! [`Peer::take_outputs`], and [`Peer::apply`] while [`Peer::has_committed`].
//!
//! The agreement ([`crate::zab`]) and the pipeline ([`crate::pipeline`]) know nothing of each other; here they meet.

mod actions;
mod change;
mod durability;
mod figures;
mod input;
mod leading;
mod learning;
mod local;
mod members;
mod outbox;
mod output;
mod relaying;
mod role;
mod rules;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{PeerState, QuorumPacket};
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{SessionId, Zxid};

pub use figures::{Counts, DetailedState, LeaderFigures, Measure, Sample, ZabPhase};
pub use input::{Clients, Input, Loaded};
pub use output::{Event, Output, WriteId};
pub use role::{CHANGES, may_become};
pub use rules::{PeerRules, Start};

use crate::election::{Election, ElectionOutput};
use crate::pipeline::{Connections, Now, Pipeline, WriteRequest};
use crate::tree::{ChangeLog, Tree};
use crate::watch::{ConnId, WatchTable};
use crate::zab::leader::Leader;
use crate::zab::{Action, DialId, Epochs, History, LearnerLink, State, Violation, follows, require};
use durability::{Durability, Written};
use figures::Figures;
use learning::Touches;
use outbox::Outbox;
use relaying::{Masters, Relayed};
use role::{Pause, Role};

/// Connections to the learner port that are kept while nobody knows yet who leads. More than an ensemble has servers.
const WAITING_LINKS_MAX: usize = 256;

/// A batch of more bytes leaves no room for the next one behind.
const KEPT_BYTES: usize = 1 << 20;

/// What a step may look at.
pub struct Lent<'a> {
    /// The tree.
    pub tree: &'a Tree,
    /// The clients' connections.
    pub clients: &'a dyn Clients,
}

/// Whether clients are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serving {
    /// They are not.
    No,
    /// Once everything up to here is applied.
    Behind(Zxid),
    /// They are.
    Yes,
    /// Those are that only want to read, since there is no leader.
    ReadOnly,
}

/// A learner that came before this server knew whether it leads.
#[derive(Debug)]
struct EarlyLearner {
    /// It waits no longer, in monotonic milliseconds.
    until_ms: i64,
    /// What it has said.
    first: Option<QuorumPacket>,
}

/// A server.
#[derive(Debug)]
pub struct Peer {
    rules: PeerRules,
    state: State,
    election: Election,
    role: Role,
    /// How many roles there were.
    roles: u64,
    pipeline: Pipeline,
    serving: Serving,
    /// When the server becomes read-only, in monotonic milliseconds, if it looks for a leader until then.
    read_only_from_ms: Option<i64>,
    /// A reconfiguration has named another leader or another part for this server, which takes it once that is applied:
    /// the client that asked for it hears of it before.
    changes_sides_at: Option<Zxid>,
    /// The server was told to stop: what is under way is still answered.
    draining: bool,
    durability: Durability,
    outbox: Outbox,
    /// What the roles asked for and was not looked at.
    actions: Vec<Action>,
    /// The same of the election.
    votes: Vec<ElectionOutput>,
    early_learners: BTreeMap<LearnerLink, EarlyLearner>,
    next_dial: DialId,
    /// Packets of the present batch: a leader's PROPOSALs, whose data are what is logged, or a learner's REQUESTs. Empty
    /// between batches.
    packets: BytesMut,
    /// Requests of the learner whose packets are being read.
    gathered: Vec<WriteRequest>,
    touches: Touches,
    /// Transactions behind a snapshot that is not installed yet.
    behind_snapshot: Vec<LogEntry>,
    /// Clients that came back, and whose session the leader is asked for.
    renewals: BTreeMap<SessionId, ConnId>,
    masters: Masters,
    /// Questions for sessions of observers' clients that the leader has not answered, oldest first.
    relayed: VecDeque<Relayed>,
    figures: Figures,
    random: u64,
}

impl Peer {
    /// A server that starts: it looks for a leader at once.
    pub fn new(rules: PeerRules, start: Start, tree: &Tree, now: Now) -> Self {
        let Start { membership, epochs, loaded, is_unknown } = start;
        let history = History::new(rules.commit_log_count, loaded.last_zxid, loaded.image_zxid, loaded.recent);
        let pipeline = Pipeline::new(rules.pipeline.clone(), tree, loaded.sessions, loaded.changes, now)
            .with_local_sessions(rules.local_sessions);
        let state = State {
            rules: rules.zab,
            membership,
            epochs,
            known_epoch: epochs.accepted,
            history,
            wants_snapshot: false,
            is_ahead_of_log: false,
            is_unknown,
        };
        let mut peer = Self {
            election: Election::new(state.membership.my_id(), change::standing(&state), rules.election),
            state,
            role: Role::Looking,
            roles: 0,
            pipeline,
            serving: Serving::No,
            read_only_from_ms: None,
            changes_sides_at: None,
            draining: false,
            durability: Durability::default(),
            outbox: Outbox::default(),
            actions: Vec::new(),
            votes: Vec::new(),
            early_learners: BTreeMap::new(),
            next_dial: DialId(1),
            packets: BytesMut::new(),
            gathered: Vec::new(),
            touches: Touches::default(),
            behind_snapshot: Vec::new(),
            renewals: BTreeMap::new(),
            masters: Masters::default(),
            relayed: VecDeque::new(),
            figures: Figures::default(),
            random: rules.seed,
            rules,
        };
        peer.look(now);
        peer.carry_out(now, tree);
        peer
    }

    /// What the server is, as it tells others.
    pub fn peer_state(&self) -> PeerState {
        self.role.state()
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        self.serving == Serving::Yes && (self.rules.leader_serves || !self.leads())
    }

    /// Whether there may be sessions of clients.
    fn serves_sessions(&self) -> bool {
        matches!(self.serving, Serving::Yes | Serving::ReadOnly)
    }

    /// Whether this server leads, and is established: sessions expire and containers go only here.
    pub fn is_established_leader(&self) -> bool {
        self.serving == Serving::Yes && self.leads()
    }

    fn leads(&self) -> bool {
        matches!(self.role, Role::Leading(_))
    }

    /// The connection to the leader, or the attempt at it.
    pub fn dial(&self) -> Option<DialId> {
        match &self.role {
            Role::Learning(learner) => Some(learner.dial()),
            Role::Looking | Role::Pausing(_) | Role::Leading(_) | Role::Stopped => None,
        }
    }

    /// Checks what must hold between any two steps.
    pub fn validate(&self, tree: &Tree) -> Result<(), Violation> {
        self.state.validate()?;
        match &self.role {
            Role::Leading(leader) => leader.validate(&self.state)?,
            Role::Learning(learner) => {
                learner.validate(&self.state)?;
                learner.observer_master().map_or(Ok(()), |master| master.validate(&self.state))?;
            }
            Role::Looking | Role::Pausing(_) | Role::Stopped => {}
        }
        let (applied, history) = (tree.last_zxid(), &self.state.history);
        if self.serving == Serving::Yes {
            let committed = history.committed();
            require(applied <= committed, "clients see only what is committed", || format!("{applied}, {committed}"))?;
        }
        for (session, _) in self.pipeline.local_sessions.iter() {
            let known = self.pipeline.sessions.get(session).is_some();
            require(!known && self.serves_sessions(), "a session is local or the ensemble's", || session.to_string())?;
        }
        let mut last = applied;
        for zxid in self.pipeline.waiting() {
            require(follows(last, zxid), "what is applied and what waits have no gap", || {
                format!("{zxid} behind {last}")
            })?;
            last = zxid;
        }
        let logged = history.last_logged();
        require(last == logged || self.is_replacing(), "what is logged is applied or waits", || {
            format!("{last}, {logged}")
        })
    }

    /// The state that the agreement works on.
    pub fn zab(&self) -> &State {
        &self.state
    }

    /// The epochs, as they were last given to the disk.
    pub fn epochs(&self) -> Epochs {
        self.state.epochs
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The pipeline, for whoever takes changes out of it or reads its tables.
    pub fn pipeline_mut(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    /// The newest write that was asked for.
    pub fn last_write(&self) -> WriteId {
        self.durability.last()
    }

    /// Whether the image may be brought forward to this tree: everything in it is known to be committed.
    pub fn image_may_follow(&self, tree: &Tree) -> bool {
        let is_logged = !self.state.is_ahead_of_log && !self.is_replacing();
        tree.last_zxid() <= self.state.history.committed() && is_logged
    }

    /// Whether tree and log are about to become others.
    fn is_replacing(&self) -> bool {
        matches!(&self.role, Role::Learning(learner) if learner.is_replacing()) || self.durability.is_log_uncertain()
    }

    /// The zxid behind which the log is still needed, for learners that are being served from it.
    pub fn keep_log_after(&self) -> Option<Zxid> {
        match &self.role {
            Role::Leading(leader) => leader.keep_log_after(),
            Role::Learning(learner) => learner.observer_master().and_then(Leader::keep_log_after),
            Role::Looking | Role::Pausing(_) | Role::Stopped => None,
        }
    }

    /// Whether there are outputs to take.
    pub fn has_outputs(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Takes what is to be done, in order.
    pub fn take_outputs(&mut self, into: &mut Vec<Output>) {
        self.outbox.take(into);
    }

    /// When [`Input::Timeout`] is due, in monotonic milliseconds.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let role = match &self.role {
            Role::Looking => self.election.next_deadline_ms(),
            Role::Pausing(Pause::Until(from_ms)) => Some(*from_ms),
            Role::Pausing(Pause::Disk) => None,
            Role::Leading(leader) => Some(leader.next_deadline_ms(&self.state)),
            Role::Learning(learner) => Some(learner.next_deadline_ms(&self.state)),
            Role::Stopped => None,
        };
        let early = self.early_learners.values().map(|early| early.until_ms).min();
        let sessions = self.is_established_leader().then(|| self.pipeline.sessions.next_deadline_ms()).flatten();
        let local = self.serves_sessions().then(|| self.pipeline.local_sessions.next_deadline_ms()).flatten();
        let read_only = self.read_only_deadline_ms();
        [role, early, sessions, local, read_only]
            .into_iter()
            .flatten()
            .min()
            .filter(|deadline_ms| *deadline_ms != i64::MAX)
    }

    /// Something happened.
    pub fn step(&mut self, now: Now, lent: &Lent<'_>, input: Input) {
        if matches!(self.role, Role::Stopped) {
            return;
        }
        match input {
            Input::Timeout => self.on_timeout(now, lent),
            Input::ElectionMessage { from, message } => {
                let membership = &mut self.state.membership;
                // What is no notification is passed over, as by Java.
                let _passed_over =
                    self.election.on_message(now.monotonic_ms, from, &message, membership, &mut self.votes);
            }
            Input::ElectionConnected { with } => self.election.on_connected(with),
            Input::ElectionUnreachable { server } => {
                let membership = &self.state.membership;
                self.election.on_unreachable(now.monotonic_ms, server, membership, &mut self.votes);
            }
            Input::LearnerConnected { link } => self.on_learner_connected(now, link),
            Input::ObserverConnected { link } => self.on_observer_connected(now, link),
            Input::LearnerPackets { link, packets } => self.on_learner_packets(now, lent.tree, link, packets),
            Input::LearnerGone { link } => self.on_learner_gone(link),
            Input::LeaderConnected { dial } => {
                if let Some(learner) = self.role.learner_on(dial) {
                    learner.on_connected(&self.state, now.monotonic_ms, &mut self.actions);
                }
            }
            Input::LeaderPackets { dial, packets } => {
                for packet in packets {
                    self.on_leader_packet(now, lent, dial, packet);
                    // One may change what the next one means.
                    self.carry_out(now, lent.tree);
                }
            }
            Input::LeaderGone { dial } => {
                if let Some(learner) = self.role.learner_on(dial) {
                    learner.on_gone(now.monotonic_ms, &mut self.actions);
                }
            }
            Input::Durable { through } => self.on_durable(now, through),
            Input::Truncated { write, last_zxid, reloaded } => {
                self.on_durable(now, write);
                self.on_truncated(now, lent.tree, last_zxid, reloaded);
            }
            Input::SnapshotReceived { dial, zxid } => {
                if let Some(learner) = self.role.learner_on(dial) {
                    learner.on_snapshot_received(&mut self.state, now.monotonic_ms, zxid);
                }
            }
            Input::SnapshotInstalled { write, loaded } => {
                self.on_durable(now, write);
                self.on_snapshot_installed(now, lent.tree, loaded);
            }
            Input::HistoryRead { link, piece } => {
                if let Some(master) = self.role.learner_master() {
                    master.on_history(&self.state, now.monotonic_ms, link, piece, &mut self.actions);
                }
            }
            Input::SnapshotOpened { link, zxid } => {
                if let Some(master) = self.role.learner_master() {
                    master.on_snapshot_opened(link, zxid, &mut self.actions);
                }
            }
            Input::SnapshotSent { link } => {
                if let Some(master) = self.role.learner_master() {
                    master.on_snapshot_sent(&self.state, now.monotonic_ms, link, &mut self.actions);
                }
            }
            Input::RenewSession { conn, session, timeout_ms } => self.renew_session(now, conn, session, timeout_ms),
            Input::Disconnected { conn, session, timeout_ms, heard_ms } => {
                self.on_disconnected(conn, session, timeout_ms, heard_ms);
            }
            Input::Stop => self.on_stop(now, lent.tree),
        }
        self.carry_out(now, lent.tree);
        self.stop_if_drained(now, lent.tree);
    }

    /// The packets of the present batch, which is over. A large one takes its memory along.
    fn take_packets(&mut self) -> Bytes {
        let frame = self.packets.split().freeze();
        if frame.len() > KEPT_BYTES {
            self.packets = BytesMut::new();
        }
        frame
    }

    /// Clients of this server, or the server itself, want something changed. Requests must come in the order in which
    /// each client sent them.
    pub fn submit(&mut self, now: Now, tree: &Tree, requests: impl IntoIterator<Item = WriteRequest>) {
        if !self.serves_sessions() || self.takes_no_more() {
            return;
        }
        match self.role {
            Role::Leading(_) => self.propose(now, tree, requests),
            Role::Learning(_) => self.forward(now, requests),
            Role::Looking => self.submit_read_only(requests),
            Role::Pausing(_) | Role::Stopped => {}
        }
        self.carry_out(now, tree);
    }

    /// Whether [`Peer::apply`] has something to do.
    pub fn has_committed(&self) -> bool {
        match self.serving {
            Serving::No => false,
            Serving::Behind(_) => true,
            Serving::Yes | Serving::ReadOnly => self.pipeline.has_due(self.visible_through()),
        }
    }

    /// Up to where clients may be shown what is logged.
    fn visible_through(&self) -> Zxid {
        if planted!(UnagreedShown) && self.is_read_only() {
            return self.state.history.last_logged();
        }
        self.state.history.committed()
    }

    /// Applies what is committed, and answers; at most `count_max` requests, so that readers get their turn. Returns
    /// whether there is more.
    pub fn apply(
        &mut self,
        now: Now,
        tree: &mut Tree,
        watches: &mut WatchTable,
        connections: &mut dyn Connections,
        count_max: usize,
    ) -> bool {
        if self.serving == Serving::No {
            return false;
        }
        let committed = self.visible_through();
        let more = self.pipeline.commit(tree, watches, connections, committed, count_max);
        self.figures.applied(now, tree.last_zxid());
        if self.state.is_ahead_of_log {
            // The image that lacks this is replaced before it is brought forward again.
            self.pipeline.changes = ChangeLog::default();
        }
        if let Serving::Behind(through) = self.serving
            && !more
            && tree.last_zxid() >= through
        {
            let active = self.state.membership.active();
            let (text, version) = (self.state.membership.active_text(), active.version);
            tree.show_config(text.as_bytes(), version, &mut self.pipeline.changes);
            self.begin_to_serve(now, tree);
            self.carry_out(now, tree);
        }
        if self.changes_sides_at.is_some_and(|zxid| zxid <= tree.last_zxid()) {
            self.change_sides(now, tree);
            self.carry_out(now, tree);
        }
        self.stop_if_drained(now, tree);
        more
    }

    /// Whether only what is under way is still answered: the role is about to end.
    fn takes_no_more(&self) -> bool {
        self.draining || self.changes_sides_at.is_some()
    }

    fn on_timeout(&mut self, now: Now, lent: &Lent<'_>) {
        let now_ms = now.monotonic_ms;
        self.dismiss_early(|early| early.until_ms <= now_ms);
        match &mut self.role {
            Role::Pausing(Pause::Until(from_ms)) if *from_ms <= now_ms => self.look(now),
            Role::Looking => self.election.on_timeout(now_ms, &self.state.membership, &mut self.votes),
            Role::Leading(leader) => leader.on_timeout(&mut self.state, now_ms, &mut self.actions),
            Role::Learning(learner) => learner.on_timeout(&mut self.state, now_ms, &mut self.actions),
            Role::Pausing(_) | Role::Stopped => {}
        }
        self.become_read_only(now);
        if self.is_established_leader() {
            self.expire_sessions(now, lent);
        }
        if self.serves_sessions() {
            self.expire_local_sessions(now, lent);
        }
    }

    fn on_durable(&mut self, now: Now, through: WriteId) {
        while let Some(written) = self.durability.take(through) {
            match written {
                Written::Log(zxid) => {
                    self.state.history.flushed(zxid);
                    match &mut self.role {
                        Role::Leading(leader) => leader.on_flushed(&mut self.state, &mut self.actions),
                        Role::Learning(learner) => learner.on_flushed(&self.state, zxid, &mut self.actions),
                        Role::Looking | Role::Pausing(_) | Role::Stopped => {}
                    }
                }
                Written::Epochs(epochs) => match &mut self.role {
                    Role::Leading(leader) => {
                        leader.on_epochs_persisted(&mut self.state, now.monotonic_ms, epochs, &mut self.actions);
                    }
                    Role::Learning(learner) => {
                        learner.on_epochs_persisted(&mut self.state, now.monotonic_ms, epochs, &mut self.actions);
                    }
                    Role::Looking | Role::Pausing(_) | Role::Stopped => {}
                },
                Written::Replaced | Written::Nothing => {}
            }
        }
    }
}
