//! The forms of the command line, what follows from each, and the text of `conf`.

use std::collections::BTreeSet;
use std::path::Path;

use rookeeper_core::ensemble::{ConfigRules, EnsembleConfig, Membership};
use rookeeper_protocol::types::ServerId;

use super::{jvm, read};
use crate::config::build::{Source, from_reader};
use crate::config::keys::{self, Status};
use crate::config::reader::Reader;
use crate::config::settings::Settings;
use crate::config::{ConfEnsemble, ConfFacts, embedded_default, from_arguments, from_file};

const SMALL: &str = "dataDir=/var/lib/zk\nclientPort=2181\n";

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn port_and_directory() {
    let config = from_arguments(&words("2181 /data"), &jvm("")).unwrap();
    assert_eq!(config.client_address.socket.to_string(), "[::]:2181");
    assert!(config.client_address.any);
    assert_eq!(config.data_log_dir, Path::new("/data"));
    assert_eq!((config.tick_time_ms, config.max_client_cnxns), (3000, 0));
    assert_eq!((config.min_session_timeout_ms, config.max_session_timeout_ms), (6000, 60_000));
    assert_eq!(config.notes, []);

    let config = from_arguments(&words("0 /data 500 7"), &jvm("-Dzookeeper.snapCount=12")).unwrap();
    assert_eq!((config.tick_time_ms, config.max_client_cnxns, config.snap_count), (500, 7, 12));
    assert_eq!(config.client_address.socket.port(), 0);
}

#[test]
fn wrong_words() {
    for (line, want) in [
        ("", "0 words were given; write a configuration file, or: port dataDir [tickTime] [maxClientCnxns]"),
        ("1", "1 words were given; write a configuration file, or: port dataDir [tickTime] [maxClientCnxns]"),
        ("1 a 2 3 4", "5 words were given; write a configuration file, or: port dataDir [tickTime] [maxClientCnxns]"),
        ("x /data", "argument 1: port: \"x\" is not allowed; it must be a whole number from -2147483648 to 2147483647"),
        ("65536 /data", "argument 1: port: 65536 is not allowed; it must be a port from 0 to 65535"),
        (
            "1 /data 3s",
            "argument 3: tickTime: \"3s\" is not allowed; it must be a whole number from -2147483648 to 2147483647",
        ),
        ("1 /data 0", "tickTime: 0 is not allowed; it must be at least 1 ms"),
    ] {
        let error = from_arguments(&words(line), &jvm("")).unwrap_err();
        assert_eq!(error.to_string(), want, "{line:?}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn nothing_at_all() {
    let config = embedded_default(&jvm("-Djava.net.preferIPv4Stack=true")).unwrap();
    assert_eq!(config.client_address.socket.to_string(), "0.0.0.0:2181");
    assert_eq!((config.tick_time_ms, config.max_client_cnxns), (2000, 60));
    assert!(config.four_letter_whitelist.allows("srvr"));
    assert!(!config.four_letter_whitelist.allows("stat"));
    let notes: Vec<_> = config.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["no configuration was given: port 2181, data in ./rookeeper-data, tickTime 2000 ms"]);
}

#[test]
fn a_missing_file() {
    let error = from_file(Path::new("/no/such/zoo.cfg"), &jvm("")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/no/such/zoo.cfg: cannot be read: No such file or directory (os error 2); give the path of a configuration file"
    );
}

#[test]
fn conf_has_the_lines_of_java() {
    let config = read("dataDir=./data/\nclientPort=0\nclientPortListenBacklog=9\n", "").unwrap();
    let folder = std::env::current_dir().unwrap();
    let folder = folder.display();
    let text = config.conf_text(ConfFacts { client_port: 23917, data_dir_size: 1, data_log_size: 457 }, None);
    assert_eq!(
        text,
        format!(
            "clientPort=23917\nsecureClientPort=-1\ndataDir={folder}/./data/version-2\ndataDirSize=1\n\
             dataLogDir={folder}/./data/version-2\ndataLogSize=457\ntickTime=3000\nmaxClientCnxns=60\n\
             minSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=9\nserverId=0\n"
        )
    );
}

#[test]
fn conf_of_a_member_has_the_lines_of_java() {
    let config = read(&format!("{SMALL}initLimit=7\nsyncLimit=3\n"), "").unwrap();
    let rules = ConfigRules { multi_address: true, standalone_enabled: false };
    let list = "server.1=a:2888:3888|b:2889:3888:participant\nserver.4=c:2888:3889:observer\nversion=10000000a";
    let members = EnsembleConfig::parse(list, rules).unwrap();
    let facts = ConfFacts { client_port: 2181, data_dir_size: 1, data_log_size: 2 };
    let told = |id, with_members| {
        let membership = Membership::new(ServerId(id), members.clone(), None, rules, true);
        let text = config.conf_text(facts, Some(ConfEnsemble { membership: &membership, with_members }));
        text.split_once("serverId=0\n").unwrap().1.to_owned()
    };
    let lines = "initLimit=7\nsyncLimit=3\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888|2889\npeerType=0\n";
    assert_eq!(told(1, true), format!("{lines}membership: \n{list}"));
    let lines = "initLimit=7\nsyncLimit=3\nelectionAlg=3\nelectionPort=3889\nquorumPort=2888\npeerType=1\n";
    assert_eq!(told(4, false), lines);
}

#[test]
fn a_server_alone_has_the_numbers_of_java() {
    let config = read(SMALL, "").unwrap();
    assert_eq!((config.ensemble.shown_server_id(), config.ensemble.session_id_prefix()), (0, 1));
}

#[test]
fn backlog() {
    for (written, want) in [("-1", None), ("0", Some(50)), ("-7", Some(50)), ("4096", Some(4096))] {
        let config = read(&format!("{SMALL}clientPortListenBacklog={written}\n"), "").unwrap();
        assert_eq!(config.listen_backlog(), want, "{written}");
    }
}

#[test]
fn whoever_calls_the_election_port_has_sync_limit_to_say_who_it_is() {
    for (line, want_ms) in [("", 15_000), ("quorumCnxnTimeoutMs=0\n", 15_000), ("quorumCnxnTimeoutMs=300\n", 300)] {
        let config = read(&format!("{SMALL}tickTime=3000\nsyncLimit=5\n{line}"), "").unwrap();
        assert_eq!(config.ensemble.limits.quorum_cnxn_timeout.as_millis(), want_ms, "{line}");
    }
}

#[test]
fn all_addresses_between_servers_are_of_ipv4_where_java_was_told_so() {
    let listens = |lines: &str| {
        let limits = read(&format!("{SMALL}{lines}"), "").unwrap().ensemble.limits;
        limits.listen_on.map(|ip| ip.to_string())
    };
    assert_eq!(listens(""), None);
    assert_eq!(listens("java.net.preferIPv4Stack=true\n"), None);
    assert_eq!(listens("quorumListenOnAllIPs=true\n").as_deref(), Some("::"));
    assert_eq!(listens("quorumListenOnAllIPs=true\njava.net.preferIPv4Stack=true\n").as_deref(), Some("0.0.0.0"));
}

#[test]
fn containers() {
    let config = read(SMALL, "").unwrap();
    assert_eq!(
        (config.containers.check_interval_ms, config.containers.pause_between_ms),
        (60_000, 6),
        "a minute by 10000 removals"
    );
    assert_eq!(config.containers.max_never_used_interval_ms, None);
    let flags = "-Dznode.container.maxPerMinute=-1 -Dznode.container.maxNeverUsedIntervalMs=5";
    let config = read(&format!("{SMALL}znode.container.checkIntervalMs=100\n"), flags).unwrap();
    assert_eq!((config.containers.check_interval_ms, config.containers.pause_between_ms), (100, 0));
    assert_eq!(config.containers.max_never_used_interval_ms, Some(5));
}

#[test]
fn super_digest() {
    let text = format!("{SMALL}DigestAuthenticationProvider.superDigest = super:x=\n");
    let config = read(&text, "").unwrap();
    assert_eq!(config.super_digest.as_deref(), Some("super:x="));
}

/// A key that claims to be honoured is read, and one that is read claims so, or belongs to the
/// ensemble.
#[test]
fn honoured_keys_are_read() {
    let mut reader = Reader::new(Settings::new(&jvm("")));
    let path = Path::new("zoo.cfg");
    from_reader(&mut reader, &Source::File { path });
    let read: BTreeSet<_> = reader.keys_read();
    for key in keys::all() {
        match key.status {
            Status::Honoured => assert!(read.contains(key.name), "{} is honoured but not read", key.name),
            Status::Accepted(_) => {}
            _ => assert!(!read.contains(key.name), "{} is read", key.name),
        }
    }
}
