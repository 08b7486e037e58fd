//! One member of the ensemble: a machine with its clocks and its disk, and the process that runs on it, if one does.

mod clients;
mod disk;
mod rebuild;
mod serve;

use std::collections::{BTreeMap, VecDeque};

use rookeeper_core::acl::{AclPolicy, AuthRules};
use rookeeper_core::client::ConnectionRules;
use rookeeper_core::election::{Links, Timing};
use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig, Membership};
use rookeeper_core::peer::{Input, Lent, Output, Peer, PeerRules, Start};
use rookeeper_core::pipeline::{Now, PipelineRules};
use rookeeper_core::session::LocalSessions;
use rookeeper_core::tree::{ReapRules, Tree, TreeRules};
use rookeeper_core::watch::WatchTable;
use rookeeper_core::zab::{DialId, Epochs, LogRecord, SyncRules, ZabRules};
use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::{ExtendedTypes, ServerId, Zxid};

use crate::client::SUPER_DIGEST;
use crate::clock::{Clock, Micros};
use crate::network::PipeId;
pub(crate) use clients::Table;
pub(crate) use disk::{Disk, Files, Picture, Piece, Report};

pub(crate) const TREE_RULES: TreeRules =
    TreeRules { extended_types: ExtendedTypes { enabled: true, emulate_353: false }, digest: true };

pub(crate) const CONFIG_RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: false };

/// Bytes that a string or buffer in a request may have.
const INNER_LENGTH_MAX: i32 = 1 << 20;

/// How all members are configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// tickTime in milliseconds.
    pub(crate) tick_ms: i64,
    /// initLimit in ticks.
    pub(crate) init_limit: i64,
    /// syncLimit in ticks.
    pub(crate) sync_limit: i64,
    /// commitLogCount.
    pub(crate) commit_log_count: usize,
    /// Bytes of a segment of the log.
    pub(crate) segment_bytes: u64,
    /// forceSnapshotSync.
    pub(crate) force_snapshot: bool,
    /// snapshotSizeFactor in thousandths.
    pub(crate) snapshot_size_permille: Option<u32>,
    /// observerMasterPort is set on all members.
    pub(crate) observer_masters: bool,
    /// syncEnabled: whether observers log.
    pub(crate) observer_sync: bool,
    /// Where a leader begins to count in its epoch.
    pub(crate) first_counter: u32,
    /// localSessionsEnabled and localSessionsUpgradingEnabled.
    pub(crate) local_sessions: LocalSessions,
    /// readonlymode.enabled.
    pub(crate) read_only_mode: bool,
    /// Servers ask for rights; otherwise skipACL=yes.
    pub(crate) acls: bool,
    /// When containers and znodes with a time to live are removed, if they are.
    pub(crate) reaping: Option<Reaping>,
    /// So many times in a thousand what is committed is not applied at once.
    pub(crate) lazy_permille: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tick_ms: 2000,
            init_limit: 10,
            sync_limit: 5,
            commit_log_count: 500,
            segment_bytes: 16 << 10,
            force_snapshot: false,
            snapshot_size_permille: Some(330),
            observer_masters: false,
            observer_sync: true,
            first_counter: 0,
            local_sessions: LocalSessions::Disabled,
            read_only_mode: false,
            acls: false,
            reaping: None,
            lazy_permille: 0,
        }
    }
}

/// The schedule of the container manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reaping {
    /// znode.container.checkIntervalMs.
    pub(crate) interval_ms: i64,
    /// The pause between two removals, in milliseconds (znode.container.maxPerMinute).
    pub(crate) pause_ms: i64,
    /// znode.container.maxNeverUsedIntervalMs.
    pub(crate) rules: ReapRules,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: i64,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    /// `zoo.cfg.dynamic`, and the list that was seen last.
    pub(crate) members: String,
    next_members: Option<String>,
    pub(crate) process: Option<Process>,
    /// How many processes there were.
    pub(crate) life: u64,
    /// When the process wants to be told that time has passed.
    pub(crate) deadline: Option<Micros>,
    /// Its timers ring no earlier: it has stood still, and hears first what has come meanwhile.
    pub(crate) timers_from: Micros,
    pub(crate) settings: Settings,
}

/// A server's process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) peer: Peer,
    pub(crate) tree: Tree,
    /// Up to here the tree was read from image and log, committed or not.
    pub(crate) loaded: Zxid,
    pub(crate) watches: WatchTable,
    pub(crate) table: Table,
    pub(crate) files: Files,
    pub(crate) serves: bool,
    /// Clients that can do with that are shown the tree, and no more.
    pub(crate) shows: bool,
    /// What it was at the output that was carried out last.
    pub(crate) role: PeerState,
    /// What was given to the disk, in order; so much of it is being written.
    pub(crate) writes: VecDeque<Output>,
    pub(crate) writing: usize,
    /// The disk has finished, but the process stands still, or a scenario holds the disk.
    pub(crate) is_disk_late: bool,
    pub(crate) links: Links,
    /// The election connections that stand, and who is at their other ends.
    pub(crate) linked: BTreeMap<PipeId, i64>,
    /// The connection to the leader, if there is one.
    pub(crate) dial: Option<(DialId, Option<PipeId>)>,
    /// Pictures that were made for learners.
    pub(crate) pictures: BTreeMap<PipeId, Picture>,
    /// An event for applying is in the queue.
    pub(crate) applies_later: bool,
    /// What the container manager is about to remove.
    pub(crate) due: VecDeque<String>,
    /// Told to stop, and done with it.
    pub(crate) has_stopped: bool,
}

/// What a start read from the disk.
pub(crate) struct Found {
    pub(crate) image: Zxid,
    pub(crate) records: Vec<LogRecord>,
    pub(crate) epochs: Epochs,
}

impl Member {
    pub(crate) fn new(id: i64, members: &str, settings: &Settings) -> Self {
        Self {
            id,
            clock: Clock::new(id),
            disk: Disk::new(settings.segment_bytes),
            members: members.to_owned(),
            next_members: None,
            process: None,
            life: 0,
            deadline: None,
            timers_from: 0,
            settings: settings.clone(),
        }
    }

    fn peer_rules(&self) -> PeerRules {
        let settings = &self.settings;
        PeerRules {
            zab: ZabRules {
                tick_ms: settings.tick_ms,
                init_limit: settings.init_limit,
                sync_limit: settings.sync_limit,
                connect_limit: 0,
                epoch_wait_ms_max: None,
                observer_sync: settings.observer_sync,
                sync: SyncRules {
                    force_snapshot: settings.force_snapshot,
                    snapshot_size_permille: settings.snapshot_size_permille,
                    ..SyncRules::DEFAULT
                },
                first_counter: settings.first_counter,
            },
            pipeline: PipelineRules {
                server_id: self.id as u8,
                tick_ms: settings.tick_ms,
                session_timeout_ms_min: (settings.tick_ms * 2) as i32,
                session_timeout_ms_max: (settings.tick_ms * 20) as i32,
                acl: self.policy(),
                enforce_quota: false,
                reconfig_enabled: true,
                close_session_txn: true,
                inner_length_max: INNER_LENGTH_MAX,
            },
            election: Timing::default(),
            commit_log_count: settings.commit_log_count,
            leader_serves: true,
            observer_delay_ms: 200,
            observer_reconnect_delay_ms: 200,
            observer_masters: settings.observer_masters,
            local_sessions: settings.local_sessions,
            read_only_mode: settings.read_only_mode,
            seed: self.id as u64 + self.life,
        }
    }

    /// Whether anybody is asked for rights. If nobody is, all may reconfigure too.
    fn policy(&self) -> AclPolicy {
        let acls = self.settings.acls;
        let auth = AuthRules {
            digest_enabled: acls,
            super_digest: acls.then(|| SUPER_DIGEST.to_owned()),
            ..AuthRules::default()
        };
        AclPolicy { skip: !acls, auth }
    }

    /// Starts the server's process: reads the disk, and begins to look for a leader.
    pub(crate) fn start(&mut self, at: Micros) -> rookeeper_storage::Result<Found> {
        self.life += 1;
        self.clock.begin_process(at);
        let disk::Opened { files, tree, loaded, epochs } = self.disk.open(self.id, TREE_RULES)?;
        let found = Found { image: loaded.image_zxid, records: loaded.recent.clone(), epochs };
        let id = ServerId(self.id);
        let active = EnsembleConfig::parse(&self.members, CONFIG_RULES).unwrap_or_default();
        let next = self.next_members.as_ref().and_then(|text| EnsembleConfig::parse(text, CONFIG_RULES).ok());
        let membership = Membership::new(id, active, next, CONFIG_RULES, true);
        let start = Start { membership, epochs, loaded, is_unknown: false };
        let peer = Peer::new(self.peer_rules(), start, &tree, self.clock.now(at));
        let rules = ConnectionRules {
            acl: self.policy(),
            inner_length_max: INNER_LENGTH_MAX,
            sync_is_agreed: true,
            required_schemes: vec![],
        };
        self.process = Some(Process {
            peer,
            loaded: tree.last_zxid(),
            tree,
            watches: WatchTable::new(1),
            table: Table::new(rules),
            files,
            serves: false,
            shows: false,
            role: PeerState::Looking,
            writes: VecDeque::new(),
            writing: 0,
            is_disk_late: false,
            links: Links::new(id),
            linked: BTreeMap::new(),
            dial: None,
            pictures: BTreeMap::new(),
            applies_later: false,
            due: VecDeque::new(),
            has_stopped: false,
        });
        Ok(found)
    }

    /// Whether what it learns goes to its disk.
    pub(crate) fn logs(&self) -> bool {
        let observes = self.process.as_ref().is_some_and(|process| process.role == PeerState::Observing);
        self.settings.observer_sync || !observes
    }

    /// The process is gone.
    pub(crate) fn end(&mut self) {
        self.process = None;
        self.deadline = None;
        self.life += 1;
    }

    pub(crate) fn now(&self, at: Micros) -> Now {
        self.clock.now(at)
    }

    /// One input for the machine.
    pub(crate) fn step(&mut self, at: Micros, input: Input) {
        let now = self.clock.now(at);
        let Some(Process { peer, tree, table, .. }) = &mut self.process else { return };
        table.now_ms = now.monotonic_ms;
        peer.step(now, &Lent { tree, clients: table }, input);
    }

    /// A list was proposed.
    pub(crate) fn see_members(&mut self, text: String) {
        self.next_members = Some(text);
    }

    /// A list is in force.
    pub(crate) fn activate_members(&mut self, text: String, nothing_pending: bool) {
        self.members = text;
        if nothing_pending {
            self.next_members = None;
        }
    }

    /// Looks when the process wants to be told of the time.
    pub(crate) fn refresh_deadline(&mut self) {
        let deadline_ms = self.process.as_ref().and_then(|process| {
            let links = process.links.next_deadline_ms();
            [process.peer.next_deadline_ms(), links].into_iter().flatten().min()
        });
        self.deadline = deadline_ms.map(|deadline_ms| self.clock.when(deadline_ms));
    }
}
