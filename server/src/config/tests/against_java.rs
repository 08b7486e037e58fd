//! Holds our reading of many odd files against what Apache ZooKeeper 3.9.5 made of them.
//! `compat-tests/java/config` has the files, the recorded answers and the way to record them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rookeeper_core::acl::DigestAlgorithm;
use rookeeper_core::ensemble::{EnsembleConfig, Role};
use rookeeper_protocol::properties;

use super::jvm;
use crate::config::build::{Source, from_reader};
use crate::config::reader::Reader;
use crate::config::server_config::ServerConfig;
use crate::config::settings::Settings;

type Values = BTreeMap<String, String>;

fn folder() -> PathBuf {
    // As the recording script does; the cases name relative paths that the dump then shows.
    PathBuf::from("../compat-tests/java/config")
}

#[test]
fn same_values_and_same_refusals() {
    let recorded = recorded();
    let mut cases: Vec<_> = std::fs::read_dir(folder().join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cfg"))
        .collect();
    cases.sort();
    assert_eq!(cases.len(), recorded.len(), "record the answers anew: compat-tests/java/config/record.sh");
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut differences = Vec::new();
    for case in cases {
        let name = case.file_stem().unwrap().to_str().unwrap().to_owned();
        let java = &recorded[&name];
        let (header, ours) = ours(&case);
        let same = match (java, &ours) {
            (None, Err(_)) => true,
            (Some(java), Ok(ours)) => java == ours,
            _ => false,
        };
        if same == header.differs {
            differences.push(format!("{name}\n  Java: {}\n  ours: {}", short(java, &ours), short_ours(java, &ours)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn short(java: &Option<Values>, ours: &Result<Values, Vec<String>>) -> String {
    match java {
        None => "refused".to_owned(),
        Some(java) => match ours {
            Ok(ours) => {
                format!("{:?}", java.iter().filter(|(key, value)| ours.get(*key) != Some(value)).collect::<Vec<_>>())
            }
            Err(_) => "taken".to_owned(),
        },
    }
}

fn short_ours(java: &Option<Values>, ours: &Result<Values, Vec<String>>) -> String {
    match ours {
        Err(problems) => format!("refused: {}", problems.join("; ")),
        Ok(ours) => match java {
            Some(java) => {
                format!("{:?}", ours.iter().filter(|(key, value)| java.get(*key) != Some(value)).collect::<Vec<_>>())
            }
            None => "taken".to_owned(),
        },
    }
}

/// The recorded answers: nothing for a refusal, else all values. The record holds only those that
/// differ from the first case.
fn recorded() -> BTreeMap<String, Option<Values>> {
    let text = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    let mut defaults: Option<Values> = None;
    let mut cases = BTreeMap::new();
    for section in text.split("== ").skip(1) {
        let (name, lines) = section.split_once('\n').unwrap();
        if lines.starts_with("refused") {
            cases.insert(name.to_owned(), None);
            continue;
        }
        let mut values = defaults.clone().unwrap_or_default();
        for line in lines.lines() {
            let (key, value) = line.split_once('=').unwrap();
            // Here nothing is purged.
            if !["SnapRetainCount", "PurgeInterval"].contains(&key) {
                values.insert(key.to_owned(), value.to_owned());
            }
        }
        defaults.get_or_insert_with(|| values.clone());
        cases.insert(name.to_owned(), Some(values));
    }
    cases
}

struct Header {
    flags: String,
    differs: bool,
}

fn header(bytes: &[u8]) -> Header {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
    Header { flags: line("# jvm: ").unwrap_or_default(), differs: line("# differs: ").is_some() }
}

/// Reads a case the way `from_file` does, but lets ensembles through, so that their members can be
/// compared before servers can form one.
fn ours(path: &Path) -> (Header, Result<Values, Vec<String>>) {
    let bytes = std::fs::read(path).unwrap();
    let header = header(&bytes);
    let flags = jvm(&header.flags);
    let Ok(entries) = properties::parse_latin1(&bytes) else {
        return (header, Err(vec!["bad escape".to_owned()]));
    };
    let mut settings = Settings::new(&flags);
    settings.add_file(path, entries);
    settings.screen();
    let mut reader = Reader::new(settings);
    let config = from_reader(&mut reader, &Source::File { path });
    let problems: Vec<_> = reader.settings.problems.iter().map(ToString::to_string).collect();
    let values = if problems.is_empty() { Ok(dump(&config)) } else { Err(problems) };
    (header, values)
}

/// The names and forms of ConfigDump.java.
fn dump(config: &ServerConfig) -> Values {
    let host = if config.client_address.any { "any".to_owned() } else { java_ip(&config.client_address.socket.ip()) };
    let blue = &config.connection_throttle;
    let large = &config.large_requests;
    let requests = &config.request_throttle;
    let own = config.ensemble.my_id.and_then(|id| config.ensemble.members.members.get(&id));
    let role = match own.map_or(Role::Participant, |server| server.role) {
        Role::Participant => "PARTICIPANT",
        Role::Observer => "OBSERVER",
    };
    let enforced: Vec<_> = config.enforce_auth_schemes.iter().cloned().collect();
    let mut values: Vec<(&str, String)> = vec![
        ("clientPortAddress", format!("{host} {}", config.client_address.socket.port())),
        ("DataDir", config.data_dir.display().to_string()),
        ("DataLogDir", config.data_log_dir.display().to_string()),
        ("TickTime", config.tick_time_ms.to_string()),
        ("MaxClientCnxns", config.max_client_cnxns.to_string()),
        ("MinSessionTimeout", config.min_session_timeout_ms.to_string()),
        ("MaxSessionTimeout", config.max_session_timeout_ms.to_string()),
        ("ClientPortListenBacklog", config.client_port_listen_backlog.to_string()),
        ("ServerId", config.ensemble.my_id.map_or(-1, |id| id.0).to_string()),
        ("PeerType", role.to_owned()),
        ("ReconfigEnabled", config.reconfig_enabled.to_string()),
        ("Distributed", config.ensemble.distributed.to_string()),
        ("members", members(&config.ensemble.members)),
        ("nextMembers", config.ensemble.next_members.as_ref().map_or("none".to_owned(), members)),
        ("snapCount", config.snap_count.to_string()),
        ("snapSizeLimitInKb", config.snap_size_limit_kb.map_or("none".to_owned(), |kb| kb.to_string())),
        ("globalOutstandingLimit", config.global_outstanding_limit.to_string()),
        ("skipACL", config.skip_acl.to_string()),
        ("enforceQuota", config.enforce_quota.to_string()),
        ("digestEnabled", config.digest_enabled.to_string()),
        ("closeSessionTxnEnabled", config.close_session_txn_enabled.to_string()),
        ("flushDelay", config.group_commit.flush_delay_ms.to_string()),
        ("maxWriteQueuePollTime", config.group_commit.max_write_queue_poll_time_ms.to_string()),
        ("maxBatchSize", config.group_commit.max_batch_size.unwrap_or(0).to_string()),
        ("largeRequestMaxBytes", large.max_bytes.to_string()),
        ("largeRequestThreshold", large.threshold.map_or("-1".to_owned(), |bytes| bytes.to_string())),
        ("juteMaxBuffer", config.jute_max_buffer.to_string()),
        ("juteExtra", config.jute_max_buffer_extra.to_string()),
        ("extendedTypes", config.extended_types_enabled.to_string()),
        ("4lw", four_letter_words(config)),
        ("maxCnxns", config.max_cnxns.to_string()),
        ("throttle.TOKENS", blue.tokens.to_string()),
        ("throttle.FILL_TIME", blue.fill_time_ms.to_string()),
        ("throttle.FILL_COUNT", blue.fill_count.to_string()),
        ("throttle.FREEZE_TIME", blue.freeze_time_ms.to_string()),
        ("throttle.DROP_INCREASE", format!("{:?}", blue.drop_increase)),
        ("throttle.DROP_DECREASE", format!("{:?}", blue.drop_decrease)),
        ("throttle.DECREASE_RATIO", format!("{:?}", blue.decrease_ratio)),
        ("request.max", requests.max_requests.unwrap_or(0).to_string()),
        ("request.stall", requests.stall_time_ms.to_string()),
        ("forceSync", config.force_sync.to_string()),
        ("fsyncWarningMs", config.fsync_warning_threshold_ms.to_string()),
        ("preAllocKb", config.pre_alloc_size_kb.to_string()),
        ("digestAuth", config.digest_auth_enabled.to_string()),
        ("digestAlg", digest_length(config.digest_alg).to_string()),
        ("superDigest", config.super_digest.clone().unwrap_or("null".to_owned())),
        ("enforceAuth", if enforced.is_empty() { "none".to_owned() } else { enforced.join(",") }),
    ];
    if let Some(weights) = &blue.weights {
        values.push(("throttle.weight.GLOBAL", weights.global.to_string()));
        values.push(("throttle.weight.RENEW", weights.renew.to_string()));
        values.push(("throttle.weight.LOCAL", weights.local.to_string()));
    }
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn java_ip(ip: &std::net::IpAddr) -> String {
    match ip {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

/// The text of a list of servers, its lines in order.
fn members(members: &EnsembleConfig) -> String {
    let text = members.to_string();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort();
    lines.join(" ")
}

fn four_letter_words(config: &ServerConfig) -> String {
    let words = [
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst", "srvr", "stat",
        "stmk", "wchc", "wchp", "wchs",
    ];
    let allowed: Vec<_> = words.into_iter().filter(|word| config.four_letter_whitelist.allows(word)).collect();
    allowed.join(",")
}

fn digest_length(algorithm: DigestAlgorithm) -> usize {
    use DigestAlgorithm::*;
    match algorithm {
        Md5 => 16,
        Sha1 => 20,
        Sha224 | Sha512_224 | Sha3_224 => 28,
        Sha256 | Sha512_256 | Sha3_256 => 32,
        Sha384 | Sha3_384 => 48,
        Sha512 | Sha3_512 => 64,
    }
}
