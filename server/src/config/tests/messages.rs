//! What is said about a configuration: texts that stop the start, and lines for the log.

use super::read;

const SMALL: &str = "dataDir=/var/lib/zk\nclientPort=2181\n";

/// Lines of the log, or of the refusal, after zoo.cfg has two good lines.
fn notes(lines: &str, flags: &str) -> Vec<String> {
    let mut config = read(&format!("{SMALL}{lines}"), flags).unwrap();
    let folder = config.file.take().unwrap();
    let folder = folder.parent().unwrap().display().to_string();
    config.notes.iter().map(|note| note.to_string().replace(&format!("{folder}/"), "")).collect()
}

fn refusals(text: &str, flags: &str) -> Vec<String> {
    let error = read(text, flags).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn ordinary_files_are_taken_without_a_word() {
    let lines = "tickTime=2000\ninitLimit=10\nsyncLimit=5\n#maxClientCnxns=60\nadmin.enableServer=false\n\
                 maxResponseCacheSize=0\ncommitProcessor.numWorkerThreads=4\n\
                 authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider\n";
    assert_eq!(notes(lines, "-Dzookeeper.snapCount=1000 -Djute.maxbuffer=0x400000"), [""; 0]);
}

#[test]
fn wrong_values_are_told_with_their_place() {
    for (lines, want) in [
        (
            "tickTime=2s",
            "zoo.cfg:3: tickTime: \"2s\" is not allowed; it must be a whole number from -2147483648 to 2147483647",
        ),
        ("reconfigEnabled=yes", "zoo.cfg:3: reconfigEnabled: \"yes\" is not allowed; it must be true or false"),
        ("electionAlg=1", "zoo.cfg:3: electionAlg: \"1\" is not allowed; it must be 3"),
        ("peerType=leader", "zoo.cfg:3: peerType: \"leader\" is not allowed; it must be participant or observer"),
        ("\ntickTime=0", "zoo.cfg:4: tickTime: 0 is not allowed; it must be at least 1 ms"),
        (
            "minSessionTimeout=70000",
            "zoo.cfg:3: minSessionTimeout: the shortest session timeout, 70000 ms, must not be larger than the longest, \
             60000 ms",
        ),
        ("jute.maxbuffer=0", "zoo.cfg:3: jute.maxbuffer: 0 is not allowed; it must be at least 1"),
        (
            "nio.sessionlessCnxnTimeout=-1",
            "zoo.cfg:3: nio.sessionlessCnxnTimeout: -1 is not allowed; it must be at least 1",
        ),
        (
            "znode.container.maxPerMinute=0",
            "zoo.cfg:3: znode.container.maxPerMinute: 0 is not allowed, for nothing would ever be removed; it must be at \
             least 1",
        ),
        (
            "connection_throttle_drop_increase=x",
            "zoo.cfg:3: connection_throttle_drop_increase: \"x\" is not allowed; it must be a decimal number",
        ),
        (
            "enforce.auth.enabled=true",
            "zoo.cfg:3: enforce.auth.enabled: needs enforce.auth.schemes, the schemes of which a client must use one",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl",
            "zoo.cfg:4: enforce.auth.schemes: \"sasl\" is no scheme of this server; allowed are ip and, where enabled, \
             digest",
        ),
        (
            "snapCount=\\u12",
            "zoo.cfg:3: \\u must be followed by four hexadecimal digits; a backslash itself is written \\\\",
        ),
        (
            "server.1=a:1:2:3:4",
            "zoo.cfg:3: server.1: \"a:1:2:3:4\" is not host:port:port or host:port:port:role, more such after |, then \
             ;port or ;host:port",
        ),
        (
            "DigestAuthenticationProvider.digestAlg=CRC32",
            "zoo.cfg:3: DigestAuthenticationProvider.digestAlg: \"CRC32\" is no known hash; it must be one of MD5, SHA-1, \
             SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256, SHA3-224, SHA3-256, SHA3-384, SHA3-512",
        ),
    ] {
        assert_eq!(refusals(&format!("{SMALL}{lines}\n"), ""), [want], "{lines}");
    }
}

#[test]
fn missing_keys_are_told() {
    assert_eq!(refusals("", ""), ["zoo.cfg: dataDir: is not set; name the directory for the data"]);
    assert_eq!(
        refusals("dataDir=/d\n", ""),
        ["zoo.cfg: clientPort: is not set, so that no client could connect; set it, or give server.N a ;port and its \
          number to the file myid in dataDir"]
    );
    assert_eq!(
        refusals("dataDir=/d\nclientPortAddress=127.0.0.1\n", ""),
        ["zoo.cfg:2: clientPortAddress: needs clientPort, which is not set"]
    );
}

#[test]
fn what_would_be_dangerous_is_refused() {
    for line in [
        "secureClientPort=2281",
        "secureClientPortAddress=::1",
        "sslQuorum=true",
        "portUnification=true",
        "quorum.auth.enableSasl=true",
        "oraclePath=/o",
        "snapshot.trust.empty=true",
        "ssl.keyStore.location=/k",
        "ssl.quorum.trustStore.location=/t",
        "client.portUnification=true",
        "sessionRequireClientSASLAuth=true",
        "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "authProvider.x509=com.example.Mine",
        "sasl.serverconfig=Zk",
        "java.security.auth.login.config=/jaas.conf",
        "ensembleAuthName=a",
        "audit.enable=true",
        "test.allowDiscontinuousProposals=true",
    ] {
        let (key, value) = line.split_once('=').unwrap();
        let told = refusals(&format!("{SMALL}{line}\n"), "");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("zoo.cfg:3: {key}: ")), "{}", told[0]);
        assert!(told[0].contains("is not supported: "), "{}", told[0]);
        let secret = key.starts_with("ssl.");
        assert_eq!(told[0].contains(value), !secret, "{}", told[0]);
    }
    let told = refusals(SMALL, "-Djava.security.auth.login.config=/jaas.conf -Dzookeeper.audit.enable=true");
    assert_eq!(told.len(), 2);
    assert!(told[1].starts_with("environment variable JVMFLAGS: zookeeper.audit.enable: \"true\" is not supported: "));
}

#[test]
fn the_off_position_of_a_refused_switch_is_taken() {
    let lines = "sslQuorum=false\nportUnification=FALSE\nquorum.auth.enableSasl=false\nsnapshot.trust.empty=false\n\
                 audit.enable=false\nclient.portUnification=false\nsessionRequireClientSASLAuth=false\n";
    assert_eq!(notes(lines, ""), [""; 0]);
    let told = refusals(&format!("{SMALL}sessionRequireClientSASLAuth=yes\n"), "");
    assert!(told[0].contains("\"yes\" is not supported"), "{told:?}");
}

#[test]
fn what_an_ensemble_needs_is_asked_for() {
    let servers = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    assert_eq!(
        refusals(&format!("{SMALL}initLimit=5\nsyncLimit=2\n{servers}"), ""),
        ["zoo.cfg: an ensemble needs the file myid in dataDir, with the number of this server"]
    );
    assert_eq!(
        refusals(&format!("{SMALL}initLimit=5\n{servers}"), ""),
        [
            "zoo.cfg: syncLimit: is not set; an ensemble needs it",
            "zoo.cfg: an ensemble needs the file myid in dataDir, with the number of this server",
        ]
    );
    let told = refusals(&format!("{SMALL}server.1=a:1:2:observer\n"), "");
    assert_eq!(told, ["zoo.cfg:3: server.1: observers need participants; name at least two"]);
}

#[test]
fn a_first_number_must_leave_others() {
    for number in ["4294967295", "-1"] {
        let told = refusals(&format!("{SMALL}testingonly.initialZxid={number}\n"), "");
        let wanted = format!("zoo.cfg:3: testingonly.initialZxid: no transaction comes behind {number}; ");
        assert!(matches!(&told[..], [told] if told.starts_with(&wanted)), "{told:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = refusals("tickTime=x\nclientPort=99999\nsslQuorum=true\nserver.1=a\n", "");
    let places: Vec<_> = told.iter().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        ["zoo.cfg:1 tickTime", "zoo.cfg:2 clientPort", "zoo.cfg:3 sslQuorum", "zoo.cfg:4 server.1", "zoo.cfg dataDir"]
    );
}

#[test]
fn what_has_no_effect_is_told() {
    for (lines, flags, want) in [
        (
            "snapshot.compression.method=gz",
            "",
            "zoo.cfg:3: snapshot.compression.method: \"gz\" has no effect: the files of this server have a format of \
             their own, to which this does not apply",
        ),
        ("foo=1", "", "zoo.cfg:3: foo: no such key, so it has no effect, as in Apache ZooKeeper"),
        (
            "snapcount=1",
            "",
            "zoo.cfg:3: snapcount: no such key, so it has no effect, as in Apache ZooKeeper; is snapCount meant?",
        ),
        (
            "zookeeper.snapCount=1",
            "",
            "zoo.cfg:3: zookeeper.snapCount: no such key, so it has no effect, as in Apache ZooKeeper; is snapCount \
             meant?",
        ),
        (
            "",
            "-Dzookeeper.tickTime=1",
            "environment variable JVMFLAGS: zookeeper.tickTime: no such key, so it has no effect, as in Apache ZooKeeper; \
             write tickTime in zoo.cfg instead",
        ),
        (
            "snapCount=many",
            "",
            "zoo.cfg:3: snapCount: \"many\" is not allowed; it must be a whole number from -2147483648 to 2147483647. It \
             is taken as 100000, as Apache ZooKeeper does",
        ),
        (
            "digest.enabled=on",
            "",
            "zoo.cfg:3: digest.enabled: \"on\" is not allowed; it must be true or false. It is taken as false, as Apache \
             ZooKeeper does",
        ),
        (
            "forceSync=false",
            "",
            "zoo.cfg:3: forceSync: \"false\" is not allowed; it must be no or yes. It is taken as yes, as Apache ZooKeeper \
             does",
        ),
        (
            "snapshotSizeFactor=1.5",
            "",
            "zoo.cfg:3: snapshotSizeFactor: must be at most 1; it is taken as 0.33, as Apache ZooKeeper does",
        ),
        ("snapCount=1", "", "zoo.cfg:3: snapCount: must be at least 2; it is taken as 2, as Apache ZooKeeper does"),
        (
            "autopurge.snapRetainCount=1",
            "",
            "zoo.cfg:3: autopurge.snapRetainCount: must be at least 3; it is taken as 3, as Apache ZooKeeper does",
        ),
        ("tickTime=1\ntickTime=2", "", "zoo.cfg:3: tickTime: overridden by zoo.cfg:4"),
        (
            "snapCount=5",
            "-Dzookeeper.snapCount=6",
            "environment variable JVMFLAGS: zookeeper.snapCount: overridden by zoo.cfg:3",
        ),
        (
            "jute.maxbuffer=5",
            "-Djute.maxbuffer=6",
            "zoo.cfg:3: jute.maxbuffer: not used, since environment variable JVMFLAGS sets jute.maxbuffer",
        ),
        (
            "SASLAuthenticationProvider.superPassword=hunter2",
            "",
            "zoo.cfg:3: SASLAuthenticationProvider.superPassword: \"(not shown)\" has no effect: there is no SASL here \
             yet, so nobody can become such a user",
        ),
        ("", "-Xmx1g -Duser.x=y", "these options are for a JVM and mean nothing here: -Xmx1g -Duser.x"),
        ("server.1=a:1:2;2181", "", "one server.N line makes no ensemble; the server runs alone"),
        (
            "dataLogDir=log",
            "",
            "zoo.cfg:3: dataLogDir: \"log\" is taken from the working directory; write ./log if that is meant",
        ),
    ] {
        assert_eq!(notes(lines, flags), [want], "{lines}");
    }
}
