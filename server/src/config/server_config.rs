//! The configuration of one server as typed values: what zoo.cfg, JVM properties or the command
//! line say, with Java's defaults for the rest. Everything here is checked; whoever reads it need
//! not look twice.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use rookeeper_core::acl::DigestAlgorithm;
use rookeeper_core::ensemble::EnsembleConfig;
use rookeeper_protocol::types::{HostPort, ServerId};

use super::error::ConfigNote;
use super::limits::EnsembleLimits;

/// Configuration of a server. Each field names the key that sets it; the tables in `keys.rs` tell
/// the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// zoo.cfg as it was named, when there is one.
    pub file: Option<PathBuf>,
    /// Lines that the log should show at the start.
    pub notes: Vec<ConfigNote>,

    /// `dataDir`, as written.
    pub data_dir: PathBuf,
    /// `dataLogDir`, as written, or [`ServerConfig::data_dir`].
    pub data_log_dir: PathBuf,
    /// `datadir.autocreate`: create the two where they are missing, else refuse to start.
    pub data_dir_autocreate: bool,
    /// `db.autocreate`: a member without data takes part in elections. Otherwise it has no part in them until a leader has
    /// sent it a snapshot, or a file `initialize` in [`ServerConfig::data_log_dir`] says that nothing is missing.
    pub db_autocreate: bool,

    /// `clientPort` and `clientPortAddress`, or the client part of this server's `server.N` line.
    pub client_address: ListenAddress,
    /// `clientPortListenBacklog`: -1 means the system's limit. Java treats 0 and less than -1
    /// like 50, which is [`ServerConfig::listen_backlog`]'s business.
    pub client_port_listen_backlog: i32,
    /// `clientTcpKeepAlive`: TCP keepalive on client connections.
    pub client_tcp_keep_alive: bool,
    /// `maxClientCnxns`: connections of one client address; 0 or less: no limit.
    pub max_client_cnxns: i32,
    /// `maxCnxns`: connections of all clients; 0: no limit.
    pub max_cnxns: u32,
    /// `nio.sessionlessCnxnTimeout`, ms: how long a connection may stay without a session. Also
    /// the length of the steps in which Java looks. At least 1.
    pub sessionless_cnxn_timeout_ms: u32,
    /// `connection_throttle_*`: limit on new sessions.
    pub connection_throttle: ConnectionThrottle,

    /// `tickTime`, ms, at least 1.
    pub tick_time_ms: i32,
    /// `minSessionTimeout`, ms.
    pub min_session_timeout_ms: i32,
    /// `maxSessionTimeout`, ms, not less than the minimum.
    pub max_session_timeout_ms: i32,

    /// `jute.maxbuffer`, bytes: longest request and longest field in it.
    pub jute_max_buffer: u32,
    /// `jute.maxbuffer.extrasize`, bytes: added to that for what the server itself wrote (log,
    /// snapshot, other servers). At least 1024.
    pub jute_max_buffer_extra: u32,
    /// `globalOutstandingLimit`: requests in work above which connections with requests in work
    /// are read no further. Servers that vote share it.
    pub global_outstanding_limit: i32,
    /// `largeRequestMaxBytes` and `largeRequestThreshold`.
    pub large_requests: LargeRequests,
    /// `request_throttle_max_requests` and `request_throttle_stall_time`.
    pub request_throttle: RequestThrottle,

    /// `snapCount`: transactions between two snapshots, at least 2.
    pub snap_count: u32,
    /// `snapSizeLimitInKb`, KB of log between two snapshots; nothing: no limit.
    pub snap_size_limit_kb: Option<u64>,
    /// `preAllocSize`, KB by which the log file is extended ahead of writing; 0: not at all.
    pub pre_alloc_size_kb: u64,
    /// `forceSync`: false acknowledges transactions before they are flushed to disk.
    pub force_sync: bool,
    /// `fsync.warningthresholdms`, ms: a flush that takes longer is logged.
    pub fsync_warning_threshold_ms: u64,
    /// `flushDelay`, `maxWriteQueuePollTime` and `maxBatchSize`.
    pub group_commit: GroupCommit,

    /// `extendedTypesEnabled`: TTL znodes are allowed.
    pub extended_types_enabled: bool,
    /// `emulate353TTLNodes`: TTL znodes of 3.5.3 are read as such.
    pub emulate_353_ttl_nodes: bool,
    /// `digest.enabled`: each transaction carries a digest of the tree.
    pub digest_enabled: bool,
    /// `closeSessionTxn.enabled`: the transaction that closes a session names its ephemerals.
    pub close_session_txn_enabled: bool,
    /// `enforceQuota`: writes beyond a hard quota are refused.
    pub enforce_quota: bool,
    /// `znode.container.*`.
    pub containers: ContainerSchedule,

    /// `skipACL`: permissions are not checked.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`: the scheme digest is known. A digest class under
    /// `authProvider.*` makes it known as well.
    pub digest_auth_enabled: bool,
    /// `DigestAuthenticationProvider.superDigest`: the digest id of the super user.
    pub super_digest: Option<String>,
    /// `DigestAuthenticationProvider.digestAlg`: hash of the scheme digest.
    pub digest_alg: DigestAlgorithm,
    /// `enforce.auth.enabled` and `enforce.auth.schemes`: a client must have authenticated by one
    /// of these schemes (`digest`, `ip`) before it is served; empty: it need not.
    pub enforce_auth_schemes: BTreeSet<String>,

    /// `reconfigEnabled`: reconfig is allowed.
    pub reconfig_enabled: bool,
    /// `4lw.commands.whitelist`.
    pub four_letter_whitelist: FourLetterWhitelist,
    /// `readonlymode.enabled`: reads without a quorum. One server alone is a quorum.
    pub read_only_mode_enabled: bool,

    /// The ensemble that this server belongs to, if only to itself.
    pub ensemble: EnsembleSettings,
}

impl ServerConfig {
    /// The backlog to listen with; nothing: as long as the system allows. Java takes 50 for a
    /// number that is none (`ServerSocket.bind`).
    pub fn listen_backlog(&self) -> Option<u32> {
        match self.client_port_listen_backlog {
            -1 => None,
            backlog => Some(u32::try_from(backlog).ok().filter(|&backlog| backlog > 0).unwrap_or(50)),
        }
    }
}

/// Where to listen for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// The host as it was written; absent where only a port was given.
    pub host: Option<String>,
    /// The first address that the host has, an IPv4 one if there is any, as in Java. For every
    /// address this is `[::]`, or `0.0.0.0` with `java.net.preferIPv4Stack`.
    pub socket: SocketAddr,
    /// Fall back to `0.0.0.0` where the system has no IPv6.
    pub any: bool,
}

impl ListenAddress {
    /// Every address of this host. Java listens with one socket for IPv4 and IPv6, whichever of
    /// the two unspecified addresses was written.
    pub(super) fn any(host: Option<String>, port: u16, ipv4_only: bool) -> Self {
        let address = if ipv4_only { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        Self { host, socket: SocketAddr::new(address, port), any: true }
    }
}

/// Limit on new sessions (`BlueThrottle`). Weights are already applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionThrottle {
    /// Tokens that the bucket holds; 0: no throttle.
    pub tokens: i32,
    /// Time between two refills, ms.
    pub fill_time_ms: i32,
    /// Tokens of a refill.
    pub fill_count: i32,
    /// Time between two changes of the dropping probability, ms; -1: nothing is dropped.
    pub freeze_time_ms: i32,
    /// Rise of the dropping probability.
    pub drop_increase: f64,
    /// Fall of the dropping probability.
    pub drop_decrease: f64,
    /// Share of tokens that may be missing while it falls.
    pub decrease_ratio: f64,
    /// Tokens per kind of session; nothing: each takes one.
    pub weights: Option<SessionWeights>,
}

/// Tokens that a session takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWeights {
    /// A new session.
    pub global: i32,
    /// A session that comes back.
    pub renew: i32,
    /// A local session.
    pub local: i32,
}

/// Limit on the bytes of large requests in work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeRequests {
    /// Bytes of all large requests together, at least 1.
    pub max_bytes: u32,
    /// Bytes above which a request is large; nothing: none is.
    pub threshold: Option<u32>,
}

/// Holding requests back before they enter the pipeline (`RequestThrottler`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests in work before further ones wait; nothing: no limit.
    pub max_requests: Option<u32>,
    /// How long a request waits before it looks again, ms.
    pub stall_time_ms: u32,
}

/// When waiting transactions are flushed (`SyncRequestProcessor`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommit {
    /// How long a transaction may wait for others, ms; 0: no longer than the disk is busy.
    pub flush_delay_ms: u64,
    /// How long to wait for a further transaction within that time, ms.
    pub max_write_queue_poll_time_ms: u64,
    /// Transactions that are flushed at once; nothing: no limit.
    pub max_batch_size: Option<u32>,
}

/// When empty containers and old TTL znodes are removed (`ContainerManager`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerSchedule {
    /// Time between two looks, ms, at least 1.
    pub check_interval_ms: u32,
    /// Shortest time between two removals of one look, ms: a minute by
    /// `znode.container.maxPerMinute`.
    pub pause_between_ms: u32,
    /// Age at which a container that never had a child is removed, ms; nothing: never.
    pub max_never_used_interval_ms: Option<u64>,
}

/// Which four-letter words are answered (`FourLetterCommands.isEnabled`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FourLetterWhitelist {
    /// Every word that the server knows.
    pub all: bool,
    /// These words, which need not be known to the server.
    pub words: BTreeSet<String>,
}

impl FourLetterWhitelist {
    /// Whether a word that the server knows is answered.
    pub fn allows(&self, word: &str) -> bool {
        self.all || self.words.contains(word)
    }
}

/// This server among others. One server alone keeps the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsembleSettings {
    /// The number in `dataDir/myid`, when that file is there.
    pub my_id: Option<ServerId>,
    /// `server.N`, `group.N`, `weight.N` and `version`.
    pub members: EnsembleConfig,
    /// The list of a reconfiguration that was proposed but perhaps not committed.
    pub next_members: Option<EnsembleConfig>,
    /// Several servers, or one that insists (`standaloneEnabled=false`).
    pub distributed: bool,
    /// `dynamicConfigFile`.
    pub dynamic_config_file: Option<PathBuf>,
    /// What else matters among several servers.
    pub limits: EnsembleLimits,
}

impl EnsembleSettings {
    /// What a session id begins with, and under which number this server is known: `myid` in an
    /// ensemble. Java gives a server alone 1 for its sessions, whatever `myid` says.
    pub fn session_id_prefix(&self) -> i64 {
        self.my_id.filter(|_| self.distributed).map_or(1, |id| id.0)
    }

    /// The number that `conf` shows: 0 for a server alone, as in Java.
    pub fn shown_server_id(&self) -> i64 {
        self.my_id.filter(|_| self.distributed).map_or(0, |id| id.0)
    }

    /// The client part of this server's own line.
    pub(super) fn own_client(&self) -> Option<&HostPort> {
        self.members.members.get(&self.my_id?)?.client.as_ref()
    }
}
