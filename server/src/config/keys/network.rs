//! Properties of client connections, limits and operations, and those that Java reads without
//! the prefix `zookeeper.`.

use super::{CLIENT_LIBRARY, Key, Kind, Place, Status, key, refused, refused_unless, warned, warned_unless};
use Status::Honoured;

const fn property(name: &'static str, kind: Kind, default: &'static str, about: &'static str, status: Status) -> Key {
    key(Place::Property, name, kind, default, about, status)
}

const fn bare(name: &'static str, kind: Kind, default: &'static str, about: &'static str, status: Status) -> Key {
    key(Place::Bare, name, kind, default, about, status)
}

const OWN_THREADS: &str = "this server chooses its threads by the number of cores";

const NO_NETTY: &str = "connections are not served by Netty here";

const NO_ADMIN_SERVER: &str = "there is no AdminServer on an HTTP port yet; the four-letter words \
     tell the same";

const NO_LOG4J: &str = "there is no log4j here; the environment variable ROOKEEPER_LOG sets what is \
     logged";

const NODELAY: Status = Status::Accepted("packets between servers are never held back here");

pub(super) static KEYS: &[Key] = &[
    property(
        "serverCnxnFactory",
        Kind::OneOf(&[
            "org.apache.zookeeper.server.NIOServerCnxnFactory",
            "org.apache.zookeeper.server.NettyServerCnxnFactory",
        ]),
        "org.apache.zookeeper.server.NIOServerCnxnFactory",
        "Which Java class serves connections",
        Status::Accepted("both classes speak the same protocol, and so does this server"),
    ),
    property("maxCnxns", Kind::Int, "0", "Connections of all clients; 0: no limit", Honoured),
    property("clientTcpKeepAlive", Kind::Bool, "false", "TCP keepalive on client connections", Honoured),
    property(
        "nio.sessionlessCnxnTimeout",
        Kind::Int,
        "10000",
        "How long a connection may stay without a session, ms",
        Honoured,
    ),
    property("nio.numSelectorThreads", Kind::Int, "", "Selector threads", warned(OWN_THREADS)),
    property("nio.numWorkerThreads", Kind::Int, "", "Worker threads", warned(OWN_THREADS)),
    property(
        "nio.directBufferBytes",
        Kind::Int,
        "65536",
        "Size of direct buffers",
        warned("there are no direct buffers here"),
    ),
    property(
        "nio.shutdownTimeout",
        Kind::Long,
        "5000",
        "How long a stop waits for worker threads, ms",
        warned("a stop takes less than a second"),
    ),
    property(
        "netty.advancedFlowControl.enabled",
        Kind::Bool,
        "false",
        "Reads no further from a slow client",
        warned_unless(&["false"], NO_NETTY),
    ),
    property("netty.server.outstandingHandshake.limit", Kind::Int, "-1", "TLS handshakes in work", warned(NO_NETTY)),
    property(
        "netty.server.earlyDropSecureConnectionHandshakes",
        Kind::Bool,
        "false",
        "Drops TLS handshakes under load",
        warned_unless(&["false"], NO_NETTY),
    ),
    property("connection_throttle_tokens", Kind::Int, "0", "Tokens for new connections; 0: no throttle", Honoured),
    property("connection_throttle_fill_time", Kind::Int, "1", "Time between two refills, ms", Honoured),
    property("connection_throttle_fill_count", Kind::Int, "1", "Tokens of a refill", Honoured),
    property(
        "connection_throttle_freeze_time",
        Kind::Int,
        "-1",
        "Time between two changes of the dropping probability, ms; -1: no dropping",
        Honoured,
    ),
    property(
        "connection_throttle_drop_increase",
        Kind::StrictReal,
        "0.02",
        "Rise of the dropping probability",
        Honoured,
    ),
    property(
        "connection_throttle_drop_decrease",
        Kind::StrictReal,
        "0.002",
        "Fall of the dropping probability",
        Honoured,
    ),
    property(
        "connection_throttle_decrease_ratio",
        Kind::StrictReal,
        "0",
        "Share of tokens that may be missing while it falls",
        Honoured,
    ),
    property(
        "connection_throttle_weight_enabled",
        Kind::Bool,
        "false",
        "Connections cost by kind of session",
        Honoured,
    ),
    property("connection_throttle_global_session_weight", Kind::Int, "3", "Tokens of a new session", Honoured),
    property(
        "connection_throttle_renew_session_weight",
        Kind::Int,
        "2",
        "Tokens of a session that comes back",
        Honoured,
    ),
    property("connection_throttle_local_session_weight", Kind::Int, "1", "Tokens of a local session", Honoured),
    property(
        "4lw.commands.whitelist",
        Kind::Words,
        "",
        "Four-letter words that are answered, * for all; srvr always is",
        Honoured,
    ),
    property(
        "admin.enableServer",
        Kind::Text,
        "true",
        "Runs the AdminServer",
        warned_unless(&["false"], NO_ADMIN_SERVER),
    ),
    property("admin.serverAddress", Kind::Text, "0.0.0.0", "Its address", warned(NO_ADMIN_SERVER)),
    property("admin.serverPort", Kind::Int, "8080", "Its port", warned(NO_ADMIN_SERVER)),
    property("admin.idleTimeout", Kind::Int, "30000", "Its idle timeout, ms", warned(NO_ADMIN_SERVER)),
    property("admin.commandURL", Kind::Text, "/commands", "Its path", warned(NO_ADMIN_SERVER)),
    property("admin.httpVersion", Kind::Int, "11", "Its HTTP version", warned(NO_ADMIN_SERVER)),
    property(
        "admin.portUnification",
        Kind::Bool,
        "false",
        "HTTP and HTTPS on one port",
        warned_unless(&["false"], NO_ADMIN_SERVER),
    ),
    property("admin.forceHttps", Kind::Bool, "false", "HTTPS only", warned_unless(&["false"], NO_ADMIN_SERVER)),
    property(
        "admin.needClientAuth",
        Kind::Bool,
        "false",
        "Asks for a client certificate",
        warned_unless(&["false"], NO_ADMIN_SERVER),
    ),
    property(
        "admin.rateLimiterIntervalInMS",
        Kind::Int,
        "300000",
        "Time between two snapshots over HTTP, ms",
        warned(NO_ADMIN_SERVER),
    ),
    property(
        "admin.snapshot.enabled",
        Kind::Bool,
        "true",
        "Allows snapshots over HTTP",
        warned_unless(&["false"], NO_ADMIN_SERVER),
    ),
    property(
        "admin.restore.enabled",
        Kind::Bool,
        "true",
        "Allows a restore over HTTP",
        warned_unless(&["false"], NO_ADMIN_SERVER),
    ),
    property("jmx.log4j.disable", Kind::Bool, "false", "Hides log4j from JMX", warned_unless(&["true"], NO_LOG4J)),
    property("jmx.log4j.mbean", Kind::Text, "log4j:hierarchy=default", "Name of log4j in JMX", warned(NO_LOG4J)),
    property(
        "log.*",
        Kind::Text,
        "",
        "log.dir, log.file, log.threshold and others: where and what log4j or logback writes",
        warned(NO_LOG4J),
    ),
    property("root.logger", Kind::Text, "", "What log4j writes", warned(NO_LOG4J)),
    property("console.threshold", Kind::Text, "", "What log4j shows", warned(NO_LOG4J)),
    property("tracelog.*", Kind::Text, "", "Where log4j writes traces", warned(NO_LOG4J)),
    property(
        "testingonly.initialZxid",
        Kind::Long,
        "0",
        "Number of 32 bits behind which a leader begins to count in its epoch: to see an epoch end that has no numbers left",
        Honoured,
    ),
    property(
        "test.*",
        Kind::Text,
        "",
        "test.allowDiscontinuousProposals: leaves holes in Java's own tests",
        refused_unless(&["false"], TESTS),
    ),
    property("controllerPort", Kind::Text, "", "Port by which Java's own tests steer a server", refused(TESTS)),
    property("clientCnxnSocket", Kind::Text, "", "Which Java class connects", CLIENT_LIBRARY),
    property("client.secure", Kind::Bool, "false", "Connects with TLS", CLIENT_LIBRARY),
    property("disableAutoWatchReset", Kind::Bool, "false", "Does not set watches again", CLIENT_LIBRARY),
    property("request.timeout", Kind::Int, "0", "Timeout of a request, ms", CLIENT_LIBRARY),
    property("shuffleDnsResponse", Kind::Bool, "false", "Shuffles addresses", CLIENT_LIBRARY),
    property(
        "hostProvider.*",
        Kind::Text,
        "",
        "hostProvider.dnsSrvRefreshIntervalSeconds: looks servers up again, s",
        CLIENT_LIBRARY,
    ),
];

const TESTS: &str = "made for the tests of Apache ZooKeeper; it breaks what a server promises. \
     Remove it";

const NO_CLIENT_SASL: &str = "this server does not offer SASL yet, and clients that must log in could not. Remove the property, \
     and protect znodes by digest or ip";

pub(super) static BARE_KEYS: &[Key] = &[
    bare("jute.maxbuffer", Kind::Int, "1048575", "Longest request and longest field, bytes", Honoured),
    bare(
        "readonlymode.enabled",
        Kind::Bool,
        "false",
        "Serves reads without a quorum; adds isro to the four-letter words",
        Honoured,
    ),
    bare(
        "znode.container.checkIntervalMs",
        Kind::Int,
        "60000",
        "Time between two looks for empty containers and old TTL znodes, ms",
        Honoured,
    ),
    bare("znode.container.maxPerMinute", Kind::Int, "10000", "Such znodes that are removed in a minute", Honoured),
    bare(
        "znode.container.maxNeverUsedIntervalMs",
        Kind::Long,
        "0",
        "Age at which a container that never had a child is removed, ms; 0: never",
        Honoured,
    ),
    bare(
        "java.net.preferIPv4Stack",
        Kind::Bool,
        "false",
        "Listens on IPv4 only where no address is given, or quorumListenOnAllIPs is set",
        Honoured,
    ),
    bare("leader.nodelay", Kind::Exactly("true", "false"), "true", "TCP_NODELAY towards learners", NODELAY),
    bare("follower.nodelay", Kind::Exactly("true", "false"), "true", "TCP_NODELAY towards the leader", NODELAY),
    bare(
        "java.security.auth.login.config",
        Kind::Path,
        "",
        "JAAS file, with which Java offers SASL to clients",
        refused(NO_CLIENT_SASL),
    ),
];
