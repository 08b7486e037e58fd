//! Lists of members: what Java takes, refuses and writes.

use proptest::prelude::*;

use super::*;

const RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: true };

fn read(lines: &[(&str, &str)]) -> Result<EnsembleConfig, Vec<String>> {
    let told = |error: &ConfigError| format!("{}: {error}", error.line.map_or("-".to_owned(), |line| line.to_string()));
    EnsembleConfig::from_lines(lines, false).map_err(|errors| errors.iter().map(told).collect())
}

fn parse(text: &str) -> Result<EnsembleConfig, String> {
    let told = |errors: Vec<ConfigError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    EnsembleConfig::parse(text, RULES).map_err(told)
}

fn ids<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<i64> {
    members.map(|member| member.id.0).collect()
}

#[test]
fn counts_voters_and_observers() {
    let config = read(&[("server.1", "a:1:2"), ("server.2", "b:1:2:observer"), ("version", "1f"), ("dataDir", "/x")]);
    let config = config.unwrap();
    assert_eq!((ids(config.participants()), ids(config.observers())), (vec![1], vec![2]));
    assert_eq!((config.version, config.hierarchy), (0x1f, None));
}

#[test]
fn groups_and_weights() {
    let lines = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("group.7", "1:2:"), ("weight.2", "3")];
    let hierarchy = read(&lines).unwrap().hierarchy.unwrap();
    assert_eq!(hierarchy.group_of, BTreeMap::from([(ServerId(1), 7), (ServerId(2), 7)]));
    assert_eq!(hierarchy.weight_of, BTreeMap::from([(ServerId(1), 1), (ServerId(2), 3)]));
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (lines, want) in [
        (&[("server.x", "a:1:2")][..], "0: server.x: \"x\" is not a whole number, without white space"),
        (&[("server.1", "a:1:2"), ("server.01", "b:1:2")], "1: server.01: server 1 is given twice"),
        (
            &[("server.1", "a:1:2"), ("group.1", "2"), ("weight.2", "1")],
            "0: server.1: is in no group although groups are given; name it in one",
        ),
        (
            &[("server.1", "a:1:2"), ("group.1", "1:2")],
            "1: group.1: names server 2, which is no participant of this ensemble",
        ),
        (
            &[("group.1", "1"), ("group.2", "1")],
            "1: group.2: server 1 is in group 1 and in group 2; it can be in one only",
        ),
        (&[("groups", "1")], "0: groups: \"groups\" is not a whole number, without white space"),
        (&[("group.1", "")], "0: group.1: \"\" is not a whole number, without white space"),
        (&[("version", "x")], "0: version: \"x\" is not allowed; it must be a hexadecimal number"),
    ] {
        assert_eq!(read(lines), Err(vec![want.to_owned()]), "{lines:?}");
    }
}

/// `QuorumMaj.toString`: no line feed at the end, the version in hexadecimal.
#[test]
fn majority_text() {
    let text = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\nserver.2=[2001:db8:0:0:0:0:0:2]:2888:3888:participant\n\
                server.10=zk10:2888:3888:observer;zk10:2181\nversion=100000000";
    assert_eq!(parse(text).unwrap().to_string(), text);
    assert_eq!(EnsembleConfig::default().to_string(), "version=0");
    assert_eq!(EnsembleConfig { version: -1, ..EnsembleConfig::default() }.to_string(), "version=ffffffffffffffff");
}

/// `QuorumHierarchical.toString`: weights that nobody gave are written too.
#[test]
fn hierarchical_text() {
    let config = parse(
        "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n\
         group.2=2:3\ngroup.1=1\nweight.2=0\nversion=ff",
    );
    let want = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\n\
                server.4=d:1:2:observer\ngroup.1=1\ngroup.2=2:3\nweight.1=1\nweight.2=0\nweight.3=1\nversion=ff";
    let config = config.unwrap();
    assert_eq!(config.to_string(), want);
    assert_eq!(parse(want), Ok(config));
}

/// The rules of `Properties.load`: comments, separators, escapes, the last of equal keys.
#[test]
fn text_is_properties() {
    let config =
        parse("# members\nserver.1 : a:1:2\n!\nserver.1=b:1:2\nserver.2\\=\n  version=\\u0031f\r").unwrap_err();
    assert!(config.contains("server.2="), "{config}");
    let config = parse("# members\nserver.1 : a:1:2\n!\nserver.1=b:1:2\n  version=\\u0031f\r").unwrap();
    assert_eq!(config.to_string(), "server.1=b:1:2:participant\nversion=1f");
}

/// `QuorumPeerConfig.parseDynamicConfig`.
#[test]
fn text_that_java_refuses() {
    for (text, want) in [
        ("clientPort=2181\nversion=0", "clientPort: may not stand in a list of members"),
        ("server.1=a:1:2\nbad=\\u00", "bad: "),
        ("server.1=\\u12", "\\u must be followed by four hexadecimal digits"),
        ("server.1=a:1:2:observer", "observers need participants"),
        ("server.1=a:1:2\nserver.2=b:1:2:observer", "observers need several participants"),
        ("server.1=a:1:2|b:1:2", "server.1: \"a:1:2|b:1:2\" has more than one address"),
        ("server.1=a:1:2\nversion=", "version: \"\" is not allowed"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(want) || want == "bad: " && error.contains("four hexadecimal"), "{text:?}: {error}");
    }
    let alone = ConfigRules { standalone_enabled: false, ..RULES };
    assert!(EnsembleConfig::parse("version=0", alone).is_err());
    assert_eq!(parse("version=0"), Ok(EnsembleConfig::default()), "nobody at all is no mistake to Java");
    assert!(EnsembleConfig::parse("server.1=a:1:2", alone).is_ok());
    let several = ConfigRules { multi_address: true, ..RULES };
    assert!(EnsembleConfig::parse("server.1=a:1:2|b:1:2", several).is_ok());
}

/// `QuorumMaj.equals`, `QuorumHierarchical.equals`.
#[test]
fn same_members_whatever_the_version() {
    let config = |text: &str| EnsembleConfig::parse(text, ConfigRules { multi_address: true, ..RULES }).unwrap();
    let base = config("server.1=a:1:2|b:1:2;5\nserver.2=c:1:2\nversion=1");
    for (text, same) in [
        ("server.2=c:1:2:PARTICIPANT\nserver.1=b:1:2|a:1:2;5\nversion=2", true),
        ("server.1=a:1:2|b:1:2;6\nserver.2=c:1:2\nversion=2", false),
        ("server.1=a:1:2|b:1:2\nserver.2=c:1:2\nversion=2", false),
        ("server.1=a:1:2|b:1:3;5\nserver.2=c:1:2\nversion=2", false),
        ("server.1=a:1:2|b:1:2;5\nserver.2=c:1:2:observer\nserver.3=d:1:2", false),
        ("server.1=a:1:2|b:1:2;5\nserver.3=c:1:2\nversion=2", false),
        ("server.1=a:1:2|b:1:2;5\nserver.2=c:1:2\ngroup.1=1:2\nversion=2", false),
    ] {
        assert_eq!(base.same_members(&config(text)), same, "{text}");
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    let pieces = vec![
        "server.1",
        "server.2",
        "server.-3",
        "group.1",
        "group",
        "weight.1",
        "weight.2",
        "version",
        "=",
        ":",
        ";",
        "|",
        "\n",
        "a",
        "b.c",
        "[::1]",
        "[",
        "]",
        "%",
        "1",
        "2",
        "65535",
        "70000",
        "-1",
        "observer",
        "participant",
        "\\",
        "\\u0031",
        " ",
        "#",
        "\u{e4}",
    ];
    prop::sample::select(pieces)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever came over the network is read or refused, and what was read comes back from its own text.
    #[test]
    fn any_text_is_survived(pieces in prop::collection::vec(piece(), 0..60)) {
        let several = ConfigRules { multi_address: true, ..RULES };
        if let Ok(config) = EnsembleConfig::parse(&pieces.concat(), several) {
            prop_assert_eq!(EnsembleConfig::parse(&config.to_string(), several), Ok(config));
        }
    }

    /// Lists of members come back from their text, numbers of any size included, and their quorums are asked.
    #[test]
    fn lists_come_back(
        servers in prop::collection::btree_map(any::<i64>(), (0..3usize, any::<bool>(), any::<i64>()), 1..8),
        version in 0..i64::MAX,
    ) {
        let mut text = format!("version={version:x}\n");
        let mut groups = [const { Vec::new() }; 3];
        for (id, (group, client, weight)) in &servers {
            let client = if *client { ";[fe80::2%eth0]:2181" } else { "" };
            text += &format!("server.{id}=h{id}:2888:3888|[::{group}]:1:2{client}\nweight.{id}={weight}\n");
            groups[*group].push(id.to_string());
        }
        for (group, ids) in groups.iter().enumerate().filter(|(_, ids)| !ids.is_empty()) {
            text += &format!("group.{group}={}\n", ids.join(":"));
        }
        let rules = ConfigRules { multi_address: true, standalone_enabled: false };
        let config = EnsembleConfig::parse(&text, rules).unwrap();
        prop_assert_eq!(EnsembleConfig::parse(&config.to_string(), rules), Ok(config.clone()));
        prop_assert!(!config.quorum().satisfied_by(|_| false));
    }
}
