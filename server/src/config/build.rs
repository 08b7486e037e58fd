//! Makes a [`ServerConfig`] of what was read: Java's defaults, its rules between keys, and what
//! it derives (`QuorumPeerConfig`, `ZooKeeperServer`, `BlueThrottle`, `AuthenticationHelper`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rookeeper_core::acl::DigestAlgorithm;

use super::address;
use super::error::{ConfigError, ConfigNote, NoteLevel, Origin};
use super::membership;
use super::reader::Reader;
use super::server_config::*;
use super::settings::Settings;

/// What a start without zoo.cfg says instead of the keys of zoo.cfg.
#[derive(Debug, Clone)]
pub(super) struct CommandLine {
    pub(super) client_port: u16,
    pub(super) data_dir: PathBuf,
    pub(super) tick_time_ms: i32,
    pub(super) max_client_cnxns: i32,
}

/// Where the keys of zoo.cfg come from.
pub(super) enum Source<'a> {
    /// A file.
    File { path: &'a Path },
    /// Words of the command line, or nothing at all.
    CommandLine(CommandLine),
}

/// Turns settings into a configuration, or tells everything that is wrong with them.
pub(super) fn build(mut settings: Settings, source: Source<'_>) -> Result<ServerConfig, ConfigError> {
    settings.screen();
    let mut reader = Reader::new(settings);
    let config = from_reader(&mut reader, &source);
    finish(reader.settings, config)
}

fn finish(settings: Settings, mut config: ServerConfig) -> Result<ServerConfig, ConfigError> {
    let Settings { notes, mut problems, .. } = settings;
    if !problems.is_empty() {
        // One mistake may be found by two rules, and rules do not run in the order of the file.
        problems.sort_by(|a, b| (a.origin.is_none(), &a.origin).cmp(&(b.origin.is_none(), &b.origin)));
        problems.dedup();
        return Err(ConfigError { problems });
    }
    config.notes = notes;
    Ok(config)
}

pub(super) fn from_reader(reader: &mut Reader, source: &Source<'_>) -> ServerConfig {
    let (data_dir, data_log_dir) = directories(reader, source);
    let ensemble = membership::read(reader, source, &data_dir);
    let client_address = address::client_address(reader, source, &ensemble);
    let (tick_time_ms, min_session_timeout_ms, max_session_timeout_ms) = timeouts(reader, source);
    let jute_max_buffer = jute_max_buffer(reader);
    check_snap_retain_count(reader);
    ServerConfig {
        file: match source {
            Source::File { path } => Some(path.to_path_buf()),
            Source::CommandLine(_) => None,
        },
        notes: Vec::new(),
        data_dir,
        data_log_dir,
        data_dir_autocreate: reader.switch("datadir.autocreate"),
        db_autocreate: reader.switch("db.autocreate"),
        client_address,
        client_port_listen_backlog: reader.int("clientPortListenBacklog"),
        client_tcp_keep_alive: reader.switch("clientTcpKeepAlive"),
        max_client_cnxns: match source {
            Source::File { .. } => reader.int("maxClientCnxns"),
            Source::CommandLine(line) => line.max_client_cnxns,
        },
        max_cnxns: max_cnxns(reader),
        sessionless_cnxn_timeout_ms: at_least_one(reader, "nio.sessionlessCnxnTimeout"),
        connection_throttle: connection_throttle(reader),
        tick_time_ms,
        min_session_timeout_ms,
        max_session_timeout_ms,
        jute_max_buffer,
        jute_max_buffer_extra: extra_buffer(reader, jute_max_buffer),
        global_outstanding_limit: reader.int("globalOutstandingLimit"),
        large_requests: large_requests(reader),
        request_throttle: RequestThrottle {
            max_requests: reader.positive("request_throttle_max_requests"),
            stall_time_ms: reader.positive("request_throttle_stall_time").unwrap_or(0),
        },
        snap_count: snap_count(reader),
        snap_size_limit_kb: unsigned(reader.number("snapSizeLimitInKb")).filter(|&limit| limit > 0),
        pre_alloc_size_kb: unsigned(reader.number("preAllocSize")).unwrap_or(0),
        force_sync: !reader.is("forceSync", "no"),
        fsync_warning_threshold_ms: unsigned(reader.number("fsync.warningthresholdms")).unwrap_or(0),
        group_commit: group_commit(reader),
        extended_types_enabled: reader.switch("extendedTypesEnabled"),
        emulate_353_ttl_nodes: reader.switch("emulate353TTLNodes"),
        digest_enabled: reader.switch("digest.enabled"),
        close_session_txn_enabled: reader.switch("closeSessionTxn.enabled"),
        enforce_quota: reader.switch("enforceQuota"),
        containers: containers(reader),
        skip_acl: reader.is("skipACL", "yes"),
        digest_auth_enabled: digest_auth_enabled(reader),
        super_digest: reader.given("DigestAuthenticationProvider.superDigest"),
        digest_alg: digest_alg(reader),
        enforce_auth_schemes: enforce_auth_schemes(reader),
        reconfig_enabled: reader.switch("reconfigEnabled"),
        four_letter_whitelist: four_letter_whitelist(reader),
        read_only_mode_enabled: reader.switch("readonlymode.enabled"),
        ensemble,
    }
}

fn unsigned(number: Option<i64>) -> Option<u64> {
    u64::try_from(number?).ok()
}

fn directories(reader: &mut Reader, source: &Source<'_>) -> (PathBuf, PathBuf) {
    let (path, given) = match source {
        Source::CommandLine(line) => return (line.data_dir.clone(), line.data_dir.clone()),
        Source::File { path } => (path, reader.given("dataDir")),
    };
    if given.is_none() {
        let text = "is not set; name the directory for the data".to_owned();
        reader.settings.problems.push(super::error::Problem::new(Some(Origin::file(path)), Some("dataDir"), text));
    }
    let log = reader.given("dataLogDir");
    for (name, value) in [("dataDir", &given), ("dataLogDir", &log)] {
        match value.as_deref() {
            Some("") => reader.refuse(name, "is empty; name a directory".to_owned()),
            Some(value) => tell_odd_path(reader, name, value),
            None => {}
        }
    }
    let data_dir = given.unwrap_or_default();
    let log = log.unwrap_or_else(|| data_dir.clone());
    (java_path(&data_dir), java_path(&log))
}

fn tell_odd_path(reader: &mut Reader, name: &str, value: &str) {
    if !value.starts_with('/') && !value.starts_with("./") {
        let text = format!("{value:?} is taken from the working directory; write ./{value} if that is meant");
        reader.warn(name, text);
    }
    if !value.is_ascii() {
        let text =
            format!("names {value:?}, for zoo.cfg is read as ISO-8859-1 as in Java; write other characters as \\uXXXX");
        reader.warn(name, text);
    }
}

/// Java's `File` holds neither double slashes nor one at the end.
fn java_path(text: &str) -> PathBuf {
    let parts: Vec<_> = text.split('/').filter(|part| !part.is_empty()).collect();
    let root = if text.starts_with('/') { "/" } else { "" };
    PathBuf::from(format!("{root}{}", parts.join("/")))
}

/// Tick and bounds of session timeouts, ms. Java multiplies in 32 bits and lets it overflow.
fn timeouts(reader: &mut Reader, source: &Source<'_>) -> (i32, i32, i32) {
    let (tick, min, max) = match source {
        Source::File { .. } => {
            (reader.int("tickTime"), reader.int("minSessionTimeout"), reader.int("maxSessionTimeout"))
        }
        Source::CommandLine(line) => (line.tick_time_ms, -1, -1),
    };
    if tick < 1 {
        reader.refuse("tickTime", format!("{tick} is not allowed; it must be at least 1 ms"));
    }
    let of_ticks = |given: i32, ticks: i32| if given == -1 { tick.wrapping_mul(ticks) } else { given };
    let (min, max) = (of_ticks(min, 2), of_ticks(max, 20));
    if min > max && tick >= 1 {
        let name = ["minSessionTimeout", "maxSessionTimeout", "tickTime"]
            .into_iter()
            .find(|name| reader.setting(name).is_some())
            .unwrap_or("minSessionTimeout");
        let text = format!("the shortest session timeout, {min} ms, must not be larger than the longest, {max} ms");
        reader.refuse(name, text);
    }
    (tick, min, max)
}

fn at_least_one(reader: &mut Reader, name: &'static str) -> u32 {
    reader.positive(name).unwrap_or_else(|| {
        reader.refuse(name, format!("{} is not allowed; it must be at least 1", reader.text(name)));
        1
    })
}

fn max_cnxns(reader: &mut Reader) -> u32 {
    let limit = reader.int("maxCnxns");
    u32::try_from(limit).unwrap_or_else(|_| {
        reader.warn("maxCnxns", format!("{limit} is taken as 0, no limit, as Apache ZooKeeper does"));
        0
    })
}

fn jute_max_buffer(reader: &mut Reader) -> u32 {
    at_least_one(reader, "jute.maxbuffer")
}

/// `BinaryInputArchive`: never less than the 1024 that once was fixed.
fn extra_buffer(reader: &Reader, jute_max_buffer: u32) -> u32 {
    let extra = reader.number("jute.maxbuffer.extrasize").unwrap_or(i64::from(jute_max_buffer));
    u32::try_from(extra).unwrap_or(0).max(1024)
}

/// `ZooKeeperServer.setLargeRequestMaxBytes` and `setLargeRequestThreshold`.
fn large_requests(reader: &mut Reader) -> LargeRequests {
    const DEFAULT_MAX_BYTES: u32 = 100 * 1024 * 1024;
    let max_bytes = reader.positive("largeRequestMaxBytes").unwrap_or_else(|| {
        let text = format!("must be above 0; it is taken as {DEFAULT_MAX_BYTES}, as Apache ZooKeeper does");
        reader.warn("largeRequestMaxBytes", text);
        DEFAULT_MAX_BYTES
    });
    let threshold = reader.positive("largeRequestThreshold");
    if threshold.is_none() && reader.int("largeRequestThreshold") != -1 {
        let text = "must be above 0, or -1; it is taken as -1, as Apache ZooKeeper does";
        reader.warn("largeRequestThreshold", text.to_owned());
    }
    LargeRequests { max_bytes, threshold }
}

/// `ZooKeeperServer.getSnapCount`.
fn snap_count(reader: &mut Reader) -> u32 {
    let count = reader.positive("snapCount").unwrap_or(0);
    if count < 2 {
        reader.warn("snapCount", "must be at least 2; it is taken as 2, as Apache ZooKeeper does".to_owned());
    }
    count.max(2)
}

/// `QuorumPeerConfig`: a purge never leaves less than 3. Nothing is purged here, but who wrote it should hear of it.
fn check_snap_retain_count(reader: &mut Reader) {
    const NAME: &str = "autopurge.snapRetainCount";
    const LEAST: u32 = 3;
    if reader.positive(NAME).unwrap_or(0) < LEAST {
        reader.warn(NAME, format!("must be at least {LEAST}; it is taken as {LEAST}, as Apache ZooKeeper does"));
    }
}

fn group_commit(reader: &Reader) -> GroupCommit {
    let flush_delay_ms = unsigned(reader.number("flushDelay")).unwrap_or(0);
    let poll = reader.number("maxWriteQueuePollTime");
    GroupCommit {
        flush_delay_ms,
        max_write_queue_poll_time_ms: match poll {
            Some(poll) => unsigned(Some(poll)).unwrap_or(0),
            None => flush_delay_ms / 3,
        },
        max_batch_size: reader.positive("maxBatchSize"),
    }
}

/// `ContainerManager`. A minute that is divided by 0 kills every look of Java's at its znodes;
/// by a negative number it leaves no pause.
fn containers(reader: &mut Reader) -> ContainerSchedule {
    const MINUTE_MS: u32 = 60_000;
    let per_minute = reader.int("znode.container.maxPerMinute");
    if per_minute == 0 {
        let text = "0 is not allowed, for nothing would ever be removed; it must be at least 1";
        reader.refuse("znode.container.maxPerMinute", text.to_owned());
    }
    ContainerSchedule {
        check_interval_ms: at_least_one(reader, "znode.container.checkIntervalMs"),
        pause_between_ms: u32::try_from(per_minute).ok().and_then(|n| MINUTE_MS.checked_div(n)).unwrap_or(0),
        max_never_used_interval_ms: unsigned(reader.number("znode.container.maxNeverUsedIntervalMs"))
            .filter(|&interval| interval > 0),
    }
}

/// `BlueThrottle`'s static initializer.
fn connection_throttle(reader: &mut Reader) -> ConnectionThrottle {
    let weights = session_weights(reader);
    let weighted = reader.switch("connection_throttle_weight_enabled");
    let factor = if weighted { weights.global } else { 1 };
    ConnectionThrottle {
        tokens: reader.int("connection_throttle_tokens").wrapping_mul(factor),
        fill_time_ms: reader.int("connection_throttle_fill_time"),
        fill_count: reader.int("connection_throttle_fill_count").wrapping_mul(factor),
        freeze_time_ms: reader.int("connection_throttle_freeze_time"),
        drop_increase: reader.real("connection_throttle_drop_increase"),
        drop_decrease: reader.real("connection_throttle_drop_decrease"),
        decrease_ratio: reader.real("connection_throttle_decrease_ratio"),
        weights: weighted.then_some(weights),
    }
}

/// A weight that is not above 0 means the default; one below a local session's means that one's.
fn session_weights(reader: &mut Reader) -> SessionWeights {
    const LOCAL: &str = "connection_throttle_local_session_weight";
    let given_local = reader.int(LOCAL);
    let mut weight = |name: &'static str, default: i32| {
        let given = reader.int(name);
        let taken = if given <= 0 { default } else { given.max(given_local) };
        if taken != given {
            reader.warn(name, format!("{given} is taken as {taken}, as Apache ZooKeeper does"));
        }
        taken
    };
    SessionWeights {
        global: weight("connection_throttle_global_session_weight", 3),
        renew: weight("connection_throttle_renew_session_weight", 2),
        local: weight(LOCAL, 1),
    }
}

/// `FourLetterCommands.isEnabled`: `*` ends the list; isro is for clients of read-only mode, srvr
/// for the start script.
fn four_letter_whitelist(reader: &Reader) -> FourLetterWhitelist {
    let mut list = FourLetterWhitelist::default();
    for word in reader.text("4lw.commands.whitelist").split(',').map(super::value::trim) {
        if word == "*" {
            list.all = true;
            break;
        }
        if !word.is_empty() {
            list.words.insert(word.to_owned());
        }
    }
    if reader.is("readonlymode.enabled", "true") {
        list.words.insert("isro".to_owned());
    }
    list.words.insert("srvr".to_owned());
    list
}

/// The two classes of `authProvider.*` that exist here. Naming the digest class makes the scheme
/// known although it was disabled (`ProviderRegistry.initialize`).
fn digest_auth_enabled(reader: &mut Reader) -> bool {
    const PACKAGE: &str = "org.apache.zookeeper.server.auth.";
    reader.setting("authProvider.*");
    let mut enabled = reader.switch("DigestAuthenticationProvider.enabled");
    for (_, setting) in reader.settings.properties_under("zookeeper.authProvider.") {
        match setting.value.strip_prefix(PACKAGE) {
            Some("DigestAuthenticationProvider") => enabled = true,
            Some("IPAuthenticationProvider") => {}
            _ => {
                let text = format!(
                    "{:?} is not supported: clients authenticate by digest or ip only, and znodes that the class \
                     protects could not be used. Remove the key, or name {PACKAGE}DigestAuthenticationProvider or \
                     {PACKAGE}IPAuthenticationProvider",
                    setting.value
                );
                reader.settings.refuse(&setting, text);
            }
        }
    }
    enabled
}

fn digest_alg(reader: &mut Reader) -> DigestAlgorithm {
    const NAME: &str = "DigestAuthenticationProvider.digestAlg";
    let name = reader.text(NAME);
    digest_named(&name).unwrap_or_else(|| {
        let names = DigestAlgorithm::NAMES.map(|(name, _)| name).join(", ");
        reader.refuse(NAME, format!("{name:?} is no known hash; it must be one of {names}"));
        DigestAlgorithm::default()
    })
}

/// The hash that a JVM means by a name, in any case; `SHA` and forms without the first hyphen are
/// names as well.
fn digest_named(name: &str) -> Option<DigestAlgorithm> {
    let upper = name.to_ascii_uppercase();
    let is = |known: &str| upper == known || upper == known.replacen("SHA-", "SHA", 1);
    let known = DigestAlgorithm::NAMES.iter().find(|(known, _)| is(known)).map(|(_, algorithm)| *algorithm);
    known.or_else(|| (upper == "SHA").then_some(DigestAlgorithm::Sha1))
}

/// `AuthenticationHelper`.
fn enforce_auth_schemes(reader: &mut Reader) -> BTreeSet<String> {
    const SCHEMES: &str = "enforce.auth.schemes";
    let schemes = reader.given(SCHEMES);
    if !reader.switch("enforce.auth.enabled") {
        return BTreeSet::new();
    }
    let Some(schemes) = schemes else {
        let text = "needs enforce.auth.schemes, the schemes of which a client must use one".to_owned();
        reader.refuse("enforce.auth.enabled", text);
        return BTreeSet::new();
    };
    let digest = digest_auth_enabled(reader);
    let schemes: BTreeSet<_> = schemes.split(',').map(|scheme| super::value::trim(scheme).to_owned()).collect();
    for scheme in &schemes {
        let known = scheme == "ip" || scheme == "digest" && digest;
        if !known {
            let text = format!("{scheme:?} is no scheme of this server; allowed are ip and, where enabled, digest");
            reader.refuse(SCHEMES, text);
        }
    }
    schemes
}

/// A line that the start says about no key in particular.
pub(super) fn info(text: impl Into<String>) -> ConfigNote {
    ConfigNote { level: NoteLevel::Info, origin: None, key: None, text: text.into() }
}
