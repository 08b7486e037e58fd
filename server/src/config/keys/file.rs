//! Keys that `QuorumPeerConfig.parseProperties` reads from zoo.cfg itself. Whether a wrong value
//! stops the start is stricter here than for properties, as in Java.

use super::{Key, Kind, PURGED, Place, Status, key, refused, refused_unless, warned, warned_unless};
use Status::{Accepted, Honoured};

const fn file(name: &'static str, kind: Kind, default: &'static str, about: &'static str, status: Status) -> Key {
    key(Place::File, name, kind, default, about, status)
}

const NO_CLIENT_TLS: &str = "this server has no TLS port yet; clients that rely on it would be \
     without encryption. Remove the key, and put a TLS proxy in front if it is needed";

const NO_QUORUM_TLS: &str = "servers do not speak TLS with each other yet. Set it to false or \
     remove it";

const NO_QUORUM_SASL: &str = "servers do not authenticate each other by SASL yet. Set it to false \
     or remove it";

const WITHOUT_QUORUM_SASL: Status = Accepted("without effect while quorum.auth.enableSasl is false, in Java too");

const NO_JVM: &str = "there is no JVM here whose pauses could be watched";

const ALL_ADDRESSES: Status = Accepted("all addresses are tried at once, and the first that answers is taken");

const NO_ORACLE: &str = "a quorum that asks an oracle file is not supported; without it two servers would count votes \
     differently than intended. Remove the key";

pub(super) static KEYS: &[Key] = &[
    file("dataDir", Kind::Path, "", "Directory of the data; required", Honoured),
    file("dataLogDir", Kind::Path, "", "Directory of the transaction log; dataDir if absent", Honoured),
    file("clientPort", Kind::StrictInt, "", "Port for clients; 0 lets the system choose", Honoured),
    file("clientPortAddress", Kind::Text, "", "Address to listen on; every address if absent", Honoured),
    file(
        "clientPortListenBacklog",
        Kind::StrictInt,
        "-1",
        "Connections that may wait to be accepted; -1: the system's limit",
        Honoured,
    ),
    file("secureClientPort", Kind::StrictInt, "", "Port for clients with TLS", refused(NO_CLIENT_TLS)),
    file("secureClientPortAddress", Kind::Text, "", "Address of the TLS port", refused(NO_CLIENT_TLS)),
    file(
        "maxClientCnxns",
        Kind::StrictInt,
        "60",
        "Connections of one client address; 0: no limit. 0 is the default for a start without zoo.cfg",
        Honoured,
    ),
    file("tickTime", Kind::StrictInt, "3000", "Length of a tick, ms", Honoured),
    file("minSessionTimeout", Kind::StrictInt, "-1", "Shortest session timeout, ms; -1: 2 ticks", Honoured),
    file("maxSessionTimeout", Kind::StrictInt, "-1", "Longest session timeout, ms; -1: 20 ticks", Honoured),
    file("autopurge.snapRetainCount", Kind::StrictInt, "3", "Snapshots that a purge leaves, at least 3", PURGED),
    file("autopurge.purgeInterval", Kind::StrictInt, "0", "Time between two purges, hours; 0: never", PURGED),
    file("reconfigEnabled", Kind::StrictBool, "false", "Allows reconfig", Honoured),
    file(
        "standaloneEnabled",
        Kind::StrictBool,
        "true",
        "A single server runs alone; false: as an ensemble of one",
        Honoured,
    ),
    file("dynamicConfigFile", Kind::Path, "", "File with the servers of the ensemble", Honoured),
    file("server.N", Kind::Text, "", "Server N: host:port:port[:role][;[host:]port], more addresses after |", Honoured),
    file("group.N", Kind::Text, "", "Ids of the servers of voting group N, colons between them", Honoured),
    file("weight.N", Kind::Text, "", "Weight of the vote of server N", Honoured),
    file("version", Kind::Text, "", "Version of the list of servers, hexadecimal", Honoured),
    file("initLimit", Kind::StrictInt, "0", "Ticks to connect to the leader and to be brought up to date", Honoured),
    file("syncLimit", Kind::StrictInt, "0", "Ticks until a silent server is given up", Honoured),
    file("connectToLearnerMasterLimit", Kind::StrictInt, "0", "Ticks to connect to the leader", Honoured),
    file(
        "electionAlg",
        Kind::OneOf(&["3"]),
        "3",
        "Way of election",
        Accepted("there is one way, which is Apache ZooKeeper's only one too"),
    ),
    file(
        "peerType",
        Kind::Text,
        "participant",
        "participant or observer; the list of servers has the last word",
        Honoured,
    ),
    file("quorumListenOnAllIPs", Kind::StrictBool, "false", "Servers listen on every address", Honoured),
    file("localSessionsEnabled", Kind::StrictBool, "false", "Sessions that only one server knows", Honoured),
    file(
        "localSessionsUpgradingEnabled",
        Kind::StrictBool,
        "false",
        "Local sessions become global when needed",
        Honoured,
    ),
    file("observerMasterPort", Kind::StrictInt, "0", "Port where followers serve observers", Honoured),
    file("syncEnabled", Kind::StrictBool, "true", "Observers write log and snapshots", Honoured),
    file("multiAddress.enabled", Kind::StrictBool, "false", "Servers may have several addresses", Honoured),
    file(
        "multiAddress.reachabilityCheckEnabled",
        Kind::StrictBool,
        "true",
        "Tries which address answers",
        ALL_ADDRESSES,
    ),
    file(
        "multiAddress.reachabilityCheckTimeoutMs",
        Kind::StrictInt,
        "1000",
        "How long that may take, ms",
        ALL_ADDRESSES,
    ),
    file("oraclePath", Kind::Path, "", "File that decides for an ensemble of two", refused(NO_ORACLE)),
    file("sslQuorum", Kind::StrictBool, "false", "TLS between servers", refused_unless(&["false"], NO_QUORUM_TLS)),
    file(
        "portUnification",
        Kind::StrictBool,
        "false",
        "TLS and plain connections between servers on one port",
        refused_unless(&["false"], NO_QUORUM_TLS),
    ),
    file(
        "sslQuorumReloadCertFiles",
        Kind::StrictBool,
        "false",
        "Reads changed certificates of servers",
        refused_unless(&["false"], NO_QUORUM_TLS),
    ),
    file(
        "quorum.auth.enableSasl",
        Kind::StrictBool,
        "false",
        "SASL between servers",
        refused_unless(&["false"], NO_QUORUM_SASL),
    ),
    file(
        "quorum.auth.serverRequireSasl",
        Kind::StrictBool,
        "false",
        "Servers accept authenticated servers only",
        refused_unless(&["false"], NO_QUORUM_SASL),
    ),
    file(
        "quorum.auth.learnerRequireSasl",
        Kind::StrictBool,
        "false",
        "Servers authenticate when they connect",
        refused_unless(&["false"], NO_QUORUM_SASL),
    ),
    file(
        "quorum.auth.learner.saslLoginContext",
        Kind::Text,
        "QuorumLearner",
        "JAAS section for connecting",
        WITHOUT_QUORUM_SASL,
    ),
    file(
        "quorum.auth.server.saslLoginContext",
        Kind::Text,
        "QuorumServer",
        "JAAS section for accepting",
        WITHOUT_QUORUM_SASL,
    ),
    file(
        "quorum.auth.kerberos.servicePrincipal",
        Kind::Text,
        "zkquorum/localhost",
        "Kerberos principal of the servers",
        WITHOUT_QUORUM_SASL,
    ),
    file("quorum.cnxn.threads.size", Kind::StrictInt, "20", "Threads that authenticate servers", WITHOUT_QUORUM_SASL),
    file(
        "metricsProvider.className",
        Kind::OneOf(&[
            "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
            "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
            "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
        ]),
        "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
        "Where metrics go",
        warned_unless(
            &["org.apache.zookeeper.metrics.impl.defaultmetricsprovider"],
            "metrics are told by the four-letter word mntr only; there is no HTTP port for them yet",
        ),
    ),
    file(
        "metricsProvider.*",
        Kind::Text,
        "",
        "Options of the metrics provider",
        warned("the metrics provider that would read it does not exist here"),
    ),
    file(
        "jvm.pause.monitor",
        Kind::StrictBool,
        "false",
        "Watches for pauses of the JVM",
        warned_unless(&["false"], NO_JVM),
    ),
    file("jvm.pause.info-threshold.ms", Kind::StrictLong, "1000", "Pause that is logged, ms", warned(NO_JVM)),
    file("jvm.pause.warn-threshold.ms", Kind::StrictLong, "10000", "Pause that is warned about, ms", warned(NO_JVM)),
    file("jvm.pause.sleep.time.ms", Kind::StrictLong, "500", "Time between two looks, ms", warned(NO_JVM)),
];
