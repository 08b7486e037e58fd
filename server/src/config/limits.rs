//! Limits and switches of a server among others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rookeeper_core::session::LocalSessions;

use super::reader::Reader;

/// Java's default of `snapshotSizeFactor` (`ZKDatabase`).
const SNAPSHOT_SIZE_FACTOR: f64 = 0.33;

/// What Java never goes below for `commitLogCount` (`ZKDatabase`).
const COMMIT_LOG_COUNT_MIN: i64 = 500;

/// Limits and switches that mean something among several servers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsembleLimits {
    /// `initLimit`, ticks.
    pub init_limit: i32,
    /// `syncLimit`, ticks.
    pub sync_limit: i32,
    /// `connectToLearnerMasterLimit`, ticks; 0: `initLimit`.
    pub connect_to_learner_master_limit: i32,
    /// How long another server may take nothing of what is sent to it: `initLimit` as a time.
    pub patience: Duration,
    /// `commitLogCount`: committed transactions kept in memory, at least 500.
    pub commit_log_count: usize,
    /// `snapshotSizeFactor` in thousandths; nothing: the log on disk is never sent.
    pub snapshot_size_permille: Option<u32>,
    /// `forceSnapshotSync`: a learner always gets a snapshot.
    pub force_snapshot_sync: bool,
    /// `cnxTimeout`: connecting to an election port.
    pub cnx_timeout: Duration,
    /// `quorumCnxnTimeoutMs`: how long whoever calls the election port may take to say who it is; `syncLimit` as a time
    /// where it is not given.
    pub quorum_cnxn_timeout: Duration,
    /// `electionPortBindRetry`: tries to listen on the ports between servers; 0: for ever.
    pub bind_tries: u32,
    /// `fastleader.minNotificationInterval`, ms.
    pub notification_interval_ms_min: i32,
    /// `fastleader.maxNotificationInterval`, ms.
    pub notification_interval_ms_max: i32,
    /// `leaderServes`: a leader serves clients.
    pub leader_serves: bool,
    /// `observer.election.DelayMs`, ms.
    pub observer_election_delay_ms: i64,
    /// `observer.reconnectDelayMs`, ms.
    pub observer_reconnect_delay_ms: i64,
    /// `observerMasterPort`: followers serve observers there, and observers come there; nothing: they come to the leader.
    pub observer_master_port: Option<u16>,
    /// `syncEnabled`, `observer.syncEnabled`: an observer writes what it is told to its log.
    pub observer_sync: bool,
    /// `leader.maxConcurrentSnapSyncs`.
    pub snap_syncs_max: usize,
    /// `leader.maxConcurrentDiffSyncs`.
    pub diff_syncs_max: usize,
    /// `testingonly.initialZxid`: the number behind which a leader begins to count in its epoch.
    pub first_counter: u32,
    /// `leader.maxTimeToWaitForEpoch`, ms; nothing: `initLimit`.
    pub epoch_wait_ms_max: Option<i64>,
    /// `localSessionsEnabled` and `localSessionsUpgradingEnabled`.
    pub local_sessions: LocalSessions,
    /// `quorumListenOnAllIPs`: every address is listened on, of IPv4 alone with `java.net.preferIPv4Stack`; nothing: those
    /// of the list.
    pub listen_on: Option<IpAddr>,
    /// `multiAddress.enabled`.
    pub multi_address: bool,
    /// `standaloneEnabled`.
    pub standalone_enabled: bool,
    /// `tcpKeepAlive`, of election connections.
    pub tcp_keep_alive: bool,
}

pub(super) fn read(reader: &mut Reader, multi_address: bool) -> EnsembleLimits {
    let ms = |number: i64| Duration::from_millis(u64::try_from(number).unwrap_or(0));
    let (tick_ms, init_limit) = (i64::from(reader.int("tickTime")), reader.int("initLimit"));
    EnsembleLimits {
        init_limit,
        sync_limit: reader.int("syncLimit"),
        connect_to_learner_master_limit: reader.int("connectToLearnerMasterLimit"),
        patience: ms((tick_ms * i64::from(init_limit)).max(1)),
        commit_log_count: commit_log_count(reader),
        snapshot_size_permille: snapshot_size_permille(reader),
        force_snapshot_sync: reader.switch("forceSnapshotSync"),
        cnx_timeout: ms(i64::from(reader.int("cnxTimeout")).max(1)),
        quorum_cnxn_timeout: ms(quorum_cnxn_timeout_ms(reader, tick_ms)),
        bind_tries: u32::try_from(reader.int("electionPortBindRetry")).unwrap_or(3),
        notification_interval_ms_min: reader.int("fastleader.minNotificationInterval"),
        notification_interval_ms_max: reader.int("fastleader.maxNotificationInterval"),
        leader_serves: reader.is("leaderServes", "yes"),
        observer_election_delay_ms: reader.number("observer.election.DelayMs").unwrap_or(0),
        observer_reconnect_delay_ms: reader.number("observer.reconnectDelayMs").unwrap_or(0),
        observer_master_port: observer_master_port(reader),
        observer_sync: match reader.given("observer.syncEnabled") {
            Some(_) => reader.switch("observer.syncEnabled"),
            None => reader.switch("syncEnabled"),
        },
        snap_syncs_max: syncs_max(reader, "leader.maxConcurrentSnapSyncs", 10),
        diff_syncs_max: syncs_max(reader, "leader.maxConcurrentDiffSyncs", 100),
        first_counter: first_counter(reader),
        epoch_wait_ms_max: reader.number("leader.maxTimeToWaitForEpoch").filter(|ms| *ms >= 0),
        local_sessions: local_sessions(reader),
        listen_on: reader.switch("quorumListenOnAllIPs").then(|| {
            let ipv4_only = reader.switch("java.net.preferIPv4Stack");
            if ipv4_only { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
        }),
        multi_address,
        standalone_enabled: reader.switch("standaloneEnabled"),
        tcp_keep_alive: reader.switch("tcpKeepAlive"),
    }
}

/// `QuorumPeer#createCnxnManager`.
fn quorum_cnxn_timeout_ms(reader: &mut Reader, tick_ms: i64) -> i64 {
    let sync_limit_ms = tick_ms.saturating_mul(i64::from(reader.int("syncLimit")));
    reader.positive("quorumCnxnTimeoutMs").map_or(sync_limit_ms, i64::from).max(1)
}

/// `LearnerHandler`'s limits; what is not above 0 means the default (`LeaderZooKeeperServer`).
fn syncs_max(reader: &mut Reader, name: &'static str, default: usize) -> usize {
    match reader.positive(name) {
        Some(max) => max as usize,
        None => {
            reader.warn(name, format!("must be above 0; it is taken as {default}, as Apache ZooKeeper does"));
            default
        }
    }
}

/// Java takes whatever it is, and goes on in another epoch where it does not fit.
fn first_counter(reader: &mut Reader) -> u32 {
    const NAME: &str = "testingonly.initialZxid";
    let number = reader.number(NAME).unwrap_or(0);
    // The last number is no transaction's (`Leader#propose`).
    let counter = u32::try_from(number).ok().filter(|counter| *counter < u32::MAX).unwrap_or_else(|| {
        reader.refuse(NAME, format!("no transaction comes behind {number}; it must be from 0 to {}", u32::MAX - 1));
        0
    });
    if counter > 0 {
        reader.warn(NAME, format!("{} transactions end this server's term as leader", u32::MAX - counter));
    }
    counter
}

fn observer_master_port(reader: &mut Reader) -> Option<u16> {
    let port = reader.int("observerMasterPort");
    if port <= 0 {
        return None;
    }
    let valid = u16::try_from(port).ok();
    if valid.is_none() {
        reader.refuse("observerMasterPort", format!("{port} is no port; it must be from 1 to 65535, or 0 for none"));
    }
    valid
}

fn local_sessions(reader: &Reader) -> LocalSessions {
    match (reader.switch("localSessionsEnabled"), reader.switch("localSessionsUpgradingEnabled")) {
        (false, _) => LocalSessions::Disabled,
        (true, false) => LocalSessions::Enabled,
        (true, true) => LocalSessions::Upgradable,
    }
}

/// `ZKDatabase` takes its default for what is more than the whole snapshot.
fn snapshot_size_permille(reader: &mut Reader) -> Option<u32> {
    const NAME: &str = "snapshotSizeFactor";
    let mut factor = reader.real(NAME);
    if factor > 1.0 {
        reader
            .warn(NAME, format!("must be at most 1; it is taken as {SNAPSHOT_SIZE_FACTOR}, as Apache ZooKeeper does"));
        factor = SNAPSHOT_SIZE_FACTOR;
    }
    (factor >= 0.0).then_some((factor * 1000.0) as u32)
}

fn commit_log_count(reader: &mut Reader) -> usize {
    let count = reader.number("commitLogCount").unwrap_or(COMMIT_LOG_COUNT_MIN);
    if count < COMMIT_LOG_COUNT_MIN {
        let text = format!("{count} is taken as {COMMIT_LOG_COUNT_MIN}, as Apache ZooKeeper does");
        reader.warn("commitLogCount", text);
    }
    usize::try_from(count.max(COMMIT_LOG_COUNT_MIN)).unwrap_or(usize::MAX)
}
