//! Starting a server, and stopping it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rookeeper_core::acl::{AclPolicy, AuthRules};
use rookeeper_core::client::ConnectionRules;
use rookeeper_core::ensemble::{ConfigRules, Membership};
use rookeeper_core::peer::{Input, Peer, Start};
use rookeeper_core::pipeline::{Pipeline, PipelineRules};
use rookeeper_core::tree::{Tree, TreeRules};
use rookeeper_core::zab::{Epoch, Epochs};
use rookeeper_protocol::types::{ExtendedTypes, HostPort, ServerId};
use rookeeper_storage::fs::RealFs;
use rookeeper_storage::kv::rocks::{RocksEngine, RocksKv};
use rookeeper_storage::log::LogWriter;
use rookeeper_storage::tree::Image;
use rookeeper_storage::{EpochFile, Installer, Recovered, StorageError, StoreLock};
use thiserror::Error;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::clock::Clock;
use super::machine::Machine;
use super::shared::Shared;
use super::tick;
use crate::client;
use crate::config::{NoteLevel, ServerConfig};
use crate::disk::{self, ImageProgress, ImageThread, LogThread, RecoveredState};
use crate::member::{MemberDisk, MemberFiles, MemberThread, Sockets, election_sockets, peer_rules};
use crate::peers::{Addresses, ElectionPort, Guests, LearnerPort, bind_all};

/// How long a stop waits for requests that are under way.
const DRAIN_MAX: Duration = Duration::from_millis(700);

/// How long a server that failed waits for its image to be closed.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Tasks that a member's thread runs before it looks at its sockets again.
const MEMBER_EVENT_INTERVAL: u32 = 4;

/// Why a server did not start, or stopped.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The data folder is not there, and may not be made.
    #[error("cannot use {path} as data folder: {source}; make it, or let the server write to its parent")]
    DataDir {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The client port cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another server running there?")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A port for the other servers cannot be listened on.
    #[error(
        "cannot listen for other servers on {address}: {source}; is another server running there, or is it not this host's address?"
    )]
    ListenPeers {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refuses threads or timers.
    #[error("cannot start: {0}")]
    System(std::io::Error),
    /// A write or flush failed while the server ran.
    #[error("{0}; free or repair the disk and start again: everything that was acknowledged is in the log")]
    Failed(Arc<str>),
}

impl ServerError {
    /// Java's exit code for it (`ExitCode`).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Storage(_) | Self::DataDir { .. } => 3,
            Self::Failed(_) => 10,
            Self::Listen { .. } | Self::System(_) => 1,
            Self::ListenPeers { .. } => 14,
        }
    }
}

/// A server that runs.
pub struct Started {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
    log_thread: JoinHandle<()>,
    image_thread: JoinHandle<()>,
    progress: Arc<ImageProgress>,
    terminate: Signal,
    interrupt: Signal,
    _lock: rookeeper_storage::StoreLock<rookeeper_storage::fs::RealFs>,
}

/// Java creates the data folders unless it is told not to.
fn prepare_dirs(config: &ServerConfig) -> Result<(), ServerError> {
    for dir in [&config.data_dir, &config.data_log_dir] {
        let refuse = |source| ServerError::DataDir { path: dir.display().to_string(), source };
        if config.data_dir_autocreate {
            std::fs::create_dir_all(dir).map_err(refuse)?;
        } else {
            std::fs::metadata(dir).map_err(refuse)?;
        }
    }
    Ok(())
}

fn acl_policy(config: &ServerConfig) -> AclPolicy {
    AclPolicy {
        skip: config.skip_acl,
        auth: AuthRules {
            digest_enabled: config.digest_auth_enabled,
            digest_algorithm: config.digest_alg,
            super_digest: config.super_digest.clone(),
        },
    }
}

/// What of the tree depends on the configuration.
pub(crate) fn tree_rules(config: &ServerConfig) -> TreeRules {
    TreeRules {
        extended_types: ExtendedTypes {
            enabled: config.extended_types_enabled,
            emulate_353: config.emulate_353_ttl_nodes,
        },
        digest: config.digest_enabled,
    }
}

fn inner_length_max(config: &ServerConfig) -> i32 {
    i32::try_from(u64::from(config.jute_max_buffer) + u64::from(config.jute_max_buffer_extra)).unwrap_or(i32::MAX)
}

fn pipeline_rules(config: &ServerConfig) -> PipelineRules {
    PipelineRules {
        server_id: config.ensemble.session_id_prefix() as u8,
        tick_ms: i64::from(config.tick_time_ms),
        session_timeout_ms_min: config.min_session_timeout_ms,
        session_timeout_ms_max: config.max_session_timeout_ms,
        acl: acl_policy(config),
        enforce_quota: config.enforce_quota,
        reconfig_enabled: config.reconfig_enabled,
        close_session_txn: config.close_session_txn_enabled,
        inner_length_max: inner_length_max(config),
    }
}

/// Opens the data folder, listens, and serves.
pub fn start(config: ServerConfig) -> Result<Started, ServerError> {
    let clock = Clock::start();
    for note in &config.notes {
        match note.level {
            NoteLevel::Info => tracing::info!("{note}"),
            NoteLevel::Warn => tracing::warn!("{note}"),
        }
    }
    // The port first: a second server on the same port must not touch the data.
    let listener = client::bind(&config)
        .map_err(|source| ServerError::Listen { address: config.client_address.socket.to_string(), source })?;
    prepare_dirs(&config)?;
    let seed = random_seed();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("client")
        .enable_all()
        .build()
        .map_err(ServerError::System)?;
    disk::start_image_threads()?;
    let initialize_file = config.data_log_dir.join(disk::INITIALIZE_FILE);
    let Loaded { shared, image, lock, work } = match config.ensemble.distributed {
        false => load_alone(config, clock, seed)?,
        true => load_member(config, clock, seed)?,
    };
    // Behind the start that it was meant for, whatever that has found: the store remembers.
    disk::remove_initialize_file(&initialize_file)?;
    let progress = Arc::new(ImageProgress::default());
    let image = Arc::new(RwLock::new(image));
    let image_thread = ImageThread::new(shared.clone(), image.clone(), progress.clone());
    let log_thread = work.start(&shared, image, &progress, runtime.handle())?;
    let image_thread = spawn("image", || image_thread.run())?;

    let (terminate, interrupt) = {
        let _entered = runtime.enter();
        // Before anybody is told that the server runs: from then on it stops in order.
        let terminate = signal(SignalKind::terminate()).map_err(ServerError::System)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(ServerError::System)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(ServerError::System)?;
        let address = listener.local_addr().map_err(ServerError::System)?;
        shared.client_port.store(address.port(), Ordering::Relaxed);
        tracing::info!("listening for clients on {address}");
        runtime.spawn(client::serve(shared.clone(), listener, seed));
        runtime.spawn(tick::expire_sessions(shared.clone()));
        runtime.spawn(tick::reap(shared.clone()));
        (terminate, interrupt)
    };
    Ok(Started { shared, runtime, log_thread, image_thread, progress, terminate, interrupt, _lock: lock })
}

/// A server whose data were read.
struct Loaded {
    shared: Arc<Shared>,
    image: Image<RocksKv>,
    lock: StoreLock<RealFs>,
    work: Work,
}

/// What the thread needs that prepares, flushes and applies.
enum Work {
    Alone(Box<LogWriter<RealFs>>),
    Member(Box<MemberWork>),
}

struct MemberWork {
    log: LogWriter<RealFs>,
    epochs: EpochFile<RealFs>,
    installer: Installer<RealFs, RocksEngine>,
    sockets: Sockets,
    files: MemberFiles,
    seed: u64,
    /// For the sockets between servers, and for the thread that reads them.
    runtime: Runtime,
}

impl Work {
    fn start(
        self,
        shared: &Arc<Shared>,
        image: Arc<RwLock<Image<RocksKv>>>,
        progress: &Arc<ImageProgress>,
        runtime: &Handle,
    ) -> Result<JoinHandle<()>, ServerError> {
        match self {
            Self::Alone(log) => {
                let log = LogThread::new(shared.clone(), *log, progress.clone(), runtime.clone())
                    .map_err(ServerError::System)?;
                spawn("log", || log.run())
            }
            Self::Member(work) => {
                let MemberWork { log, epochs, installer, sockets, files, seed, runtime: own } = *work;
                let disk = MemberDisk::new(shared.clone(), log, image, epochs, installer, progress.clone(), seed);
                let disk = disk.map_err(ServerError::System)?;
                let (shared, progress) = (shared.clone(), progress.clone());
                let member =
                    MemberThread::new(shared, disk, progress, sockets, files, own.handle().clone(), runtime.clone());
                spawn("member", move || member.run(own))
            }
        }
    }
}

fn load_alone(config: ServerConfig, clock: Clock, seed: u64) -> Result<Loaded, ServerError> {
    let began = Instant::now();
    let (store, state) = disk::recover(&disk::store_options(&config), tree_rules(&config), seed)?;
    let took = began.elapsed();
    report_recovery(&state.report, &state.tree, state.sessions.len(), took);
    if state.orphans > 0 {
        tracing::warn!("removed {} ephemeral znodes without a session", state.orphans);
    }
    let RecoveredState { tree, sessions, changes, report, .. } = state;
    let pipeline = Pipeline::new(pipeline_rules(&config), &tree, sessions, changes, clock.now());
    let rules = connection_rules(&config);
    let shared = Shared::new(config, clock, Machine::Alone(Box::new(pipeline)), tree, rules, seed);
    shared.stats.recovered(&report, took);
    Ok(Loaded {
        shared: Arc::new(shared),
        image: store.image,
        lock: store.lock,
        work: Work::Alone(Box::new(store.log)),
    })
}

fn load_member(config: ServerConfig, clock: Clock, seed: u64) -> Result<Loaded, ServerError> {
    let ensemble = config.ensemble.clone();
    let my_id = ensemble.my_id.unwrap_or(ServerId(0));
    let began = Instant::now();
    let recent_max = ensemble.limits.commit_log_count;
    let (store, tree, loaded, report) =
        disk::recover_member(&disk::store_options(&config), tree_rules(&config), seed, recent_max)?;
    let took = began.elapsed();
    report_recovery(&report, &tree, loaded.sessions.len(), took);

    // A store that was never a member's has the epoch of its last transaction (`QuorumPeer#loadDataBase`).
    let epochs = match store.epochs.get() {
        Some(epochs) => Epochs { accepted: Epoch(epochs.accepted), current: Epoch(epochs.current) },
        None => {
            let epoch = Epoch::of(loaded.last_zxid).unwrap_or_default();
            Epochs { accepted: epoch, current: epoch }
        }
    };
    let limits = &ensemble.limits;
    let rules = ConfigRules { multi_address: limits.multi_address, standalone_enabled: limits.standalone_enabled };
    let next = ensemble.next_members.clone().filter(|_| config.reconfig_enabled);
    let membership = Membership::new(my_id, ensemble.members.clone(), next.clone(), rules, config.reconfig_enabled);
    let peer_rules = peer_rules(&config, pipeline_rules(&config), seed);
    let is_unknown = report.data_unknown;
    if is_unknown {
        tracing::warn!(
            "the data folder is empty and db.autocreate is false: no part in elections until a leader has sent its data; \
             if nothing is missing, make an empty file {} in dataLogDir (dataDir, if that is not set) and start again",
            disk::INITIALIZE_FILE
        );
    }
    let peer = Peer::new(peer_rules, Start { membership, epochs, loaded, is_unknown }, &tree, clock.now());

    let files = MemberFiles::new(config.file.clone(), format!("server.{my_id}"));
    if config.reconfig_enabled && ensemble.dynamic_config_file.is_none() {
        files.back_up()?;
    }
    let rules = ConnectionRules { sync_is_agreed: true, ..connection_rules(&config) };
    let machine = Machine::Member(Box::new(peer));
    let shared = Arc::new(Shared::new(config, clock, machine, tree, rules, seed));
    shared.stats.recovered(&report, took);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .event_interval(MEMBER_EVENT_INTERVAL)
        .enable_all()
        .build()
        .map_err(ServerError::System)?;
    let sockets = open_sockets(&shared, Addresses::new(my_id, ensemble.members, next), &runtime)?;
    let (log, epochs, installer) = (store.log, store.epochs, store.installer);
    let work = Work::Member(Box::new(MemberWork { log, epochs, installer, sockets, files, seed, runtime }));
    Ok(Loaded { shared, image: store.image, lock: store.lock, work })
}

/// Listens for the other servers.
fn open_sockets(shared: &Arc<Shared>, addresses: Addresses, runtime: &Runtime) -> Result<Sockets, ServerError> {
    let limits = &shared.config.ensemble.limits;
    let addresses = Arc::new(addresses);
    let bind = |at: &[HostPort]| {
        let bound = runtime.block_on(bind_all(at, limits.listen_on, limits.bind_tries));
        bound.map_err(|(address, source)| ServerError::ListenPeers { address: address.to_string(), source })
    };
    let elections = bind(&addresses.election_port(addresses.my_id()))?;
    let learners = LearnerPort::new(shared.clone(), limits.patience);
    for listener in bind(&addresses.learner_port(addresses.my_id()))? {
        learners.listen(listener, Guests::Learners, runtime.handle()).map_err(ServerError::System)?;
    }
    if let Some(port) = limits.observer_master_port {
        let own = addresses.learner_port(addresses.my_id()).into_iter();
        let at: Vec<_> = own.map(|address| HostPort { port, ..address }).collect();
        for listener in bind(&at)? {
            learners.listen(listener, Guests::Observers, runtime.handle()).map_err(ServerError::System)?;
        }
    }
    let sockets = election_sockets(&shared.config);
    let election = ElectionPort::open(shared.clone(), addresses.clone(), sockets, elections, runtime.handle());
    Ok(Sockets { addresses, election: election.map_err(ServerError::System)?, learners })
}

fn connection_rules(config: &ServerConfig) -> ConnectionRules {
    ConnectionRules {
        acl: acl_policy(config),
        inner_length_max: inner_length_max(config),
        sync_is_agreed: false,
        required_schemes: config.enforce_auth_schemes.iter().cloned().collect(),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ServerError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(ServerError::System)
}

/// A number that clients cannot guess: hash tables are keyed with it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn report_recovery(report: &Recovered, tree: &Tree, sessions: usize, took: Duration) {
    if let Some(torn) = &report.torn {
        tracing::warn!("the end of the log was torn by a crash and is cut: {torn:?}");
    }
    let mismatches = tree.digest_mismatches();
    if mismatches > 0 {
        tracing::error!(
            "{mismatches} transactions of the log left another tree than they did at first: their digests differ; \
             keep the data folder, and compare with rookeeper verify"
        );
    }
    tracing::info!(
        "recovered {} znodes and {sessions} sessions at zxid {} in {} ms: image at {:#x} in {} ms, {} transactions of the log in {} ms",
        tree.node_count(),
        tree.last_zxid(),
        took.as_millis(),
        report.image_zxid,
        report.image_time.as_millis(),
        report.replayed,
        report.log_time.as_millis(),
    );
}

impl Started {
    /// Serves until the process is told to stop (SIGTERM, SIGINT) or a write fails.
    pub fn run_until_stopped(mut self) -> Result<(), ServerError> {
        let Self { shared, runtime, terminate, interrupt, .. } = &mut self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                () = shared.stop.notified() => {}
            }
        });
        self.stop()
    }

    /// Answers what is under way, closes all connections, and ends the log in order.
    fn stop(self) -> Result<(), ServerError> {
        let Self { shared, runtime, log_thread, image_thread, progress, _lock, .. } = self;
        if let Some(reason) = shared.failure() {
            progress.end();
            shared.inbox.wake();
            // The image is closed by whoever has it last; a process that ends meanwhile would die of it. But a thread may
            // hang in the disk: then the process ends without it.
            let deadline = Instant::now() + CLOSE_MAX;
            while !(log_thread.is_finished() && image_thread.is_finished()) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            runtime.shutdown_background();
            return Err(ServerError::Failed(reason));
        }
        shared.begin_stop();
        let deadline = Instant::now() + DRAIN_MAX;
        if shared.is_member() {
            // The first word lets it answer what is under way, the second one ends it.
            shared.inbox.tell(Input::Stop);
            while !log_thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            shared.inbox.tell(Input::Stop);
        }
        // The log's thread ends by itself when nothing is left; what comes later is not answered.
        while shared.in_flight.load(Ordering::Relaxed) > 0 && !log_thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        shared.connections.end_all();
        runtime.shutdown_timeout(Duration::from_millis(100));
        progress.end();
        shared.inbox.wake();
        for thread in [log_thread, image_thread] {
            if thread.join().is_err() {
                tracing::error!("a thread ended in a panic; please report it");
            }
        }
        match shared.failure() {
            Some(reason) => Err(ServerError::Failed(reason)),
            None => {
                tracing::info!("stopped at zxid {}", shared.tree.read().last_zxid());
                Ok(())
            }
        }
    }
}
